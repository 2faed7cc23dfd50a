// What is known of a node or an edge of the graph, in words. An index behind the nodes is an edge.
import { addTokens, amount, bound, METRIC_LABELS, type Fact } from "../facts.ts";
import { compact, dollars, integer, percent, plain, plural, seconds } from "../format.ts";
import { FLOW_VIAS } from "../border.ts";
import { carried, tokensOf, VIA_WORDS } from "./data.ts";
import { median } from "./sums.ts";
import type { Stream } from "./data.ts";
import { MOST_NODES, shareOf, type Graph, type GraphNode } from "./graph.ts";
import { totalOf, unknownOf, type Metric } from "../tree.ts";

const KINDS: Readonly<Record<string, string>> = { frame: "function", llm: "model", embedding: "embedding model" };

/** What a node is, as its box says it. */
export function kindLabel({ kind, model, name, where }: GraphNode): string {
  if (kind === "frame" && name === where) return "line";
  if (kind in KINDS) return KINDS[kind]!;
  return model ? `${kind} model` : plain(kind, 30);
}

export function nodeName({ name, run, runs }: GraphNode): string {
  const text = plain(name, 200) || "(no name)";
  if (run > 0) return `${text} #${run}`;
  return run < 0 ? `${text}, ${integer(runs)} others` : text;
}

export function nameAt(graph: Graph, index: number): string {
  const { nodes, edges } = graph;
  if (index < nodes.length) return nodeName(nodes[index]!);
  const { from, to } = edges[index - nodes.length]!;
  return `${nodeName(nodes[from]!)} → ${nodeName(nodes[to]!)}`;
}

/** An amount as it fits into a box or beside an edge. */
export function briefly({ sums }: Graph, metric: Metric, index: number): string {
  const value = totalOf(sums, metric, index);
  if (metric === "time") return seconds(value);
  const unknown = metric === "cost" ? sums.totals.unpriced[index]! : unknownOf(sums, metric, index);
  if (value === 0 && unknown > 0) return "?";
  return bound(sums, metric, index).trim() + (metric === "cost" ? dollars(value) : compact(value));
}

/** The two lines of figures in a box. */
export function lines(graph: Graph, index: number): [string, string] {
  const { totals } = graph.sums;
  const calls = totals.calls[index]!;
  const cost = briefly(graph, "cost", index);
  const spent = calls === 0 ? "no model calls" : `${briefly(graph, "tokens", index)} tokens · ${cost === "?" ? "price ?" : cost}`;
  const runs = graph.durations[index]!;
  const time = runs.length > 1 ? `median ${seconds(median(runs))}` : seconds(runs[0] ?? NaN);
  return [spent, calls === 0 ? time : `${plural(calls, "call")} · ${time}`];
}

export function graphFacts(graph: Graph, metric: Metric, index: number): Fact[] {
  const { nodes, sums, criticalSeconds, critical } = graph;
  const list: Fact[] = [];
  const add = (label: string, value: string, tone?: Fact["tone"]) => {
    if (value) list.push(tone ? { label, value, tone } : { label, value });
  };
  const node = nodes[index];
  const edge = graph.edges[index - nodes.length];
  if (edge?.stream) return streamFacts(edge.stream, edge.from === edge.to);
  const { totals } = sums;
  const calls = plural(totals.calls[index]!, "call");
  if (node) {
    const runs = node.model || node.run > 0 ? "" : node.runs > 1 ? plural(node.runs, "run") : "";
    add("Kind", [kindLabel(node), runs, node.model && node.run > 0 ? "" : calls].filter(Boolean).join(", "));
    if (node.where !== node.name) add("Where", plain(node.where));
    const [first, ...others] = node.chain;
    if (first !== undefined) add("Through", plain([first, ...others].join(" → "), 120));
    if (graph.mode === "data") {
      add("Receives", carried(graph.edges, index, false));
      add("Passes on", carried(graph.edges, index, true));
    } else {
      const callers = graph.edges.filter(({ to, from }) => nodes[to] === node && from !== to).length;
      if (callers > 1) add("Callers", integer(callers));
    }
  } else if (edge) {
    const to = nodes[edge.to]!;
    const times = to.model ? "" : `called ${edge.nodes.length === 1 ? "once" : `${integer(edge.nodes.length)} times`}`;
    add("Edge", [edge.back ? "back to a step around it" : "", times, calls].filter(Boolean).join(", "));
  }
  if (totals.errors[index]! > 0) add("Failed", plural(totals.errors[index]!, "call"), "bad");
  if (totals.retries[index]! > 0) add("Retries", integer(totals.retries[index]!), "part");
  // Of a graph of data, the first node is not the whole.
  const share = percent(shareOf(graph, metric, index), 1);
  const addFact: typeof add = (label, value, tone) => add(label, label === "Share" ? value.replace(/^\S+/, share) : value, tone);
  if (totals.calls[index]! > 0) addTokens(sums, metric, index, addFact);
  add("Latency", latency(graph, index));
  const on = criticalSeconds[index]!;
  const whole = critical.total[0] ?? 0;
  if (on >= 0) add("Critical", `${seconds(on)} of the ${seconds(whole)} that the profile took (${percent(on, whole)})`);
  if (node && node.hidden > 0) add("Inside", `${plural(node.hidden, "step")} not shown`);
  return list;
}

/** What an edge of data carries, and how. */
function streamFacts(stream: Stream, same: boolean): Fact[] {
  const { sources, targets, byVia } = stream;
  const ways = FLOW_VIAS.filter((via) => byVia[via] > 0).reverse();
  return [
    { label: "Carries", value: tokensOf(stream, integer) },
    ...ways.map((via) => ({ label: VIA_LABELS[via], value: ways.length === 1 ? VIA_WORDS[via] : `${integer(byVia[via])} ${VIA_WORDS[via]}` })),
    { label: "Between", value: `${plural(sources, "call")} and ${targets} later${same ? " of the same step" : ""}` },
  ];
}

const VIA_LABELS = { text: "Text", tool: "Tools", history: "History" } as const;

function latency({ durations, sums, selfTime, nodes }: Graph, index: number): string {
  const runs = durations[index]!;
  const total = totalOf(sums, "time", index);
  const own = index < nodes.length && total - selfTime[index]! > 1e-9 ? ` (${seconds(selfTime[index]!)} self)` : "";
  if (runs.length <= 1) return seconds(total) + own;
  return `median ${seconds(median(runs))}, up to ${seconds(runs.at(-1)!)}, ${seconds(total)} in all${own}`;
}

/** What Enter or a double click does; empty where it does nothing. */
export function openingInWords(node: GraphNode): string {
  if (node.hidden > 0) return `shows ${plural(node.hidden, "step")} inside`;
  if (node.chain.length > 0) return `shows ${plural(node.chain.length, "function")} before it`;
  if (node.runs > 1 && node.run === 0 && node.base) return `shows its ${integer(node.runs)} ${node.model ? "calls" : "runs"}`;
  if (node.run !== 0) return `puts the ${node.model ? "calls" : "runs"} together again`;
  if (node.chained !== null) return "folds the functions before it";
  return node.inner > 0 ? "folds what is inside" : "";
}

/** What is seen and what is not. */
export function notes(graph: Graph, threshold: number): string {
  const { small, beyond, total, apart } = graph;
  const parts: string[] = [];
  if (apart > 0) parts.push(`${plural(apart, "step or model", "steps and models")} that no answer came from or went into ${apart === 1 ? "is" : "are"} not shown.`);
  if (small > 0) parts.push(`${plural(small, "step")} below ${percent(threshold, 1)} ${small === 1 ? "is" : "are"} folded into the caller.`);
  if (beyond > 0) {
    const most = `${integer(MOST_NODES)} are as many as can be read`;
    parts.push(`${integer(total - beyond)} of ${integer(total)} nodes are ${apart > 0 ? "looked at" : "shown"}, the largest: ${most}. The others are folded into their callers.`);
  }
  return parts.join(" ");
}

/** One sentence for a screen reader. */
export function nodeSentence(graph: Graph, metric: Metric, index: number): string {
  const rest = graphFacts(graph, metric, index).map(({ label, value }) => `${label} ${value}`);
  const node = graph.nodes[index];
  const opening = node ? openingInWords(node) : "";
  return [nameAt(graph, index), ...rest, opening ? `Enter ${opening}` : ""].filter(Boolean).join("; ");
}

/** The same, short: for a list of all nodes. */
export function itemText(graph: Graph, metric: Metric, index: number): string {
  const node = graph.nodes[index]!;
  const names = (indexes: number[]) => [...new Set(indexes)].map((i) => nodeName(graph.nodes[i]!)).slice(0, 12).join(", ");
  const callers = names(graph.edges.filter(({ to }) => to === index).map(({ from }) => from));
  const callees = names(graph.edges.filter(({ from }) => from === index).map(({ to }) => to));
  return [
    nodeName(node),
    kindLabel(node),
    node.run === 0 && node.runs > 1 && !node.model ? plural(node.runs, "run") : "",
    `${METRIC_LABELS[metric]} ${amount(graph.sums, metric, index)}, ${percent(shareOf(graph, metric, index), 1)}`,
    ...lines(graph, index),
    graph.criticalSeconds[index]! >= 0 ? "on the critical path" : "",
    callers && (graph.mode === "data" ? `receives answers of ${callers}` : `called by ${callers}`),
    callees && (graph.mode === "data" ? `passes answers on to ${callees}` : `calls ${callees}`),
  ].filter(Boolean).join("; ");
}
