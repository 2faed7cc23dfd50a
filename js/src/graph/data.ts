// Who passed text on to whom: answers that came back in prompts, between the nodes of the graph that made the calls.
import { FLOW_VIAS, type FlowVia } from "../border.ts";
import { compact, integer, plural } from "../format.ts";
import type { GraphEdge } from "./graph.ts";
import type { Tree } from "../tree.ts";

/** What an edge of data carries. */
export interface Stream {
  /** Tokens of the prompts that it went into; of those flows that are known. */
  readonly tokens: number;
  readonly unknown: number;
  readonly byVia: Readonly<Record<FlowVia, number>>;
  /** The way that most tokens took. */
  readonly via: FlowVia;
  readonly sources: number;
  readonly targets: number;
}

export const VIA_WORDS: Readonly<Record<FlowVia, string>> = {
  text: "quoted in prompts",
  tool: "through tools",
  history: "sent again as history",
};

/** Edges between homes: of each node of the tree, the node of the graph in which it is seen. */
export function dataEdges({ block }: Tree, home: Int32Array): GraphEdge[] {
  const { flows } = block;
  if (!flows) return [];
  const pairs = new Map<string, { from: number; to: number; flows: number[] }>();
  for (let at = 0; at < flows.from.length; at++) {
    const from = home[flows.from[at]!]!;
    const to = home[flows.to[at]!]!;
    const key = `${from} ${to}`;
    const known = pairs.get(key);
    if (known) known.flows.push(at);
    else pairs.set(key, { from, to, flows: [at] });
  }
  const edges = [...pairs.values()].map(({ from, to, flows: members }) => {
    const byVia: Record<FlowVia, number> = { history: 0, tool: 0, text: 0 };
    const count: Record<FlowVia, number> = { history: 0, tool: 0, text: 0 };
    let unknown = 0;
    for (const at of members) {
      const via = FLOW_VIAS[flows.via[at]!]!;
      const tokens = flows.tokens[at]!;
      count[via]++;
      if (Number.isNaN(tokens)) unknown++;
      else byVia[via] += tokens;
    }
    const sources = new Set(members.map((at) => flows.from[at]!));
    const targets = new Set(members.map((at) => flows.to[at]!));
    const via = [...FLOW_VIAS].sort((a, b) => byVia[b] - byVia[a] || count[b] - count[a])[0]!;
    const tokens = byVia.history + byVia.tool + byVia.text;
    const stream: Stream = { tokens, unknown, byVia, via, sources: sources.size, targets: targets.size };
    const nodes = [...new Set([...sources, ...targets])].sort((a, b) => a - b);
    return { from, to, back: false, nodes, stream };
  });
  return withBacks(edges);
}

/** Edges with those marked that close a circle: of the edges of a circle the one with the fewest tokens, or against time. */
function withBacks<Edge extends GraphEdge & { stream: Stream }>(edges: readonly Edge[]): Edge[] {
  const onward = new Map<number, number[]>();
  const leads = (from: number, to: number): boolean => {
    const seen = new Set([from]);
    for (const node of seen) {
      if (node === to) return true;
      for (const next of onward.get(node) ?? []) seen.add(next);
    }
    return false;
  };
  const against = ({ from, to }: Edge) => Number(from > to);
  const backs = new Set<Edge>();
  for (const edge of [...edges].sort((a, b) => b.stream.tokens - a.stream.tokens || against(a) - against(b))) {
    const { from, to } = edge;
    if (from === to) continue;
    if (leads(to, from)) backs.add(edge);
    else onward.set(from, [...(onward.get(from) ?? []), to]);
  }
  return edges.map((edge) => (backs.has(edge) ? { ...edge, back: true } : edge));
}

export function tokensOf({ tokens, unknown }: Pick<Stream, "tokens" | "unknown">, write = compact): string {
  if (tokens === 0 && unknown > 0) return "? tokens";
  return `${unknown > 0 ? "≥ " : ""}${write(tokens)} ${tokens === 1 ? "token" : "tokens"}`;
}

/** What goes into a node from others, or (`out`) from it to others. */
export function carried(edges: readonly GraphEdge[], node: number, out: boolean): string {
  const mine = edges.filter(({ from, to, stream }) => stream && from !== to && (out ? from : to) === node);
  if (mine.length === 0) return "";
  const tokens = mine.reduce((sum, { stream }) => sum + stream!.tokens, 0);
  const unknown = mine.reduce((sum, { stream }) => sum + stream!.unknown, 0);
  return `${tokensOf({ tokens, unknown }, integer)} ${out ? "to" : "from"} ${plural(mine.length, "step")}`;
}
