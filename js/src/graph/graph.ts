// A profile as a graph that can be read: which steps are seen, what stands for the others, and who called whom.
import { criticalPath, type CriticalPath } from "../critical.ts";
import { groupsOf, spends, type Group, type Groups } from "./groups.ts";
import { dataEdges, type Stream } from "./data.ts";
import { summarize, valuesOf } from "./sums.ts";
import { kindOf, nameOf, stringOf, totalOf, type Metric, type Tree } from "../tree.ts";

/** What an edge says: who called whom, or whose answer went into whose prompt. */
export type EdgeMode = "calls" | "data";

export interface GraphOptions {
  readonly metric: Metric;
  readonly edges: EdgeMode;
  /** Share of the whole below which a step is not shown, 0 to 1. */
  readonly threshold: number;
  /** Most nodes to show. */
  readonly limit: number;
  /** Keys of nodes whose runs are shown one by one. */
  readonly split: ReadonlySet<string>;
  /** Keys of nodes whose inner steps the reader has folded. */
  readonly folded: ReadonlySet<string>;
  /** Keys of nodes that show more than they would by themselves: a chain of functions, steps beyond the limit. */
  readonly opened: ReadonlySet<string>;
}

/** As many boxes as anybody can look at, and as can be laid out while one waits. */
export const MOST_NODES = 400;

export interface GraphNode {
  readonly key: string;
  readonly base: string;
  readonly model: boolean;
  readonly name: string;
  readonly kind: string;
  readonly where: string;
  /** Nodes of the tree that it stands for, outermost alone; of a model, its calls. */
  readonly nodes: readonly number[];
  /** How many runs it stands for. */
  readonly runs: number;
  /** Which run it is, from 1; 0: all of them; -1: the others. */
  readonly run: number;
  /** Names of the functions that it hides above itself, each of which does nothing but call the next one. */
  readonly chain: readonly string[];
  /** Key in `opened` under which the chain that it is part of has been opened. */
  readonly chained: string | null;
  /** Steps inside that are not shown. */
  readonly hidden: number;
  /** Steps inside, shown or not. */
  readonly inner: number;
  readonly folded: boolean;
  readonly depth: number;
}

export interface GraphEdge {
  readonly from: number;
  readonly to: number;
  /** Leads to a step around it, or passes text on to an earlier one. */
  readonly back: boolean;
  readonly nodes: readonly number[];
  /** Of an edge of data, what it carries. */
  readonly stream?: Stream;
}

export interface Graph {
  /** What its edges are. */
  readonly mode: EdgeMode;
  readonly tree: Tree;
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  /** Figures of the nodes, then of the edges, as a tree that has no links. */
  readonly sums: Tree;
  /** Of each node and then of each edge, durations of its runs in ascending order. */
  readonly durations: readonly Float64Array[];
  /** Seconds of nodes and then edges that are no one else's. */
  readonly selfTime: Float64Array;
  readonly critical: CriticalPath;
  /** Seconds of the critical path at each node, then on each edge; -1 where it does not pass. */
  readonly criticalSeconds: Float64Array;
  /** Of each node of the tree, the graph's node in which it is seen; -1 where it has no part in the data. */
  readonly home: Int32Array;
  /** Of each call, the node of its model; -1 of the others. */
  readonly modelHome: Int32Array;
  /** Steps that are not seen because they are small, and because there are too many. */
  readonly small: number;
  readonly beyond: number;
  /** Steps and models that have no part in the data. */
  readonly apart: number;
  /** Nodes that there would be without a limit. */
  readonly total: number;
}

export function buildGraph(tree: Tree, options: GraphOptions): Graph {
  const groups = groupsOf(tree, options.split, options.metric);
  const chains = chainsOf(tree, groups, options.opened);
  const seen = choose(tree, groups, chains, options);
  const { nodes: all, place } = nodesOf(tree, groups, chains, seen, options);
  const models = all.length - groups.models.length;
  const data = options.edges === "data";
  const home = data ? stepsOf(tree, groups, seen, place) : Int32Array.from(groups.of, (group) => place[seen.home[group]!]!);
  const modelHome = groups.modelOf.map((model) => (model >= 0 ? models + model : -1));
  const { nodes, edges } =
    data
      ? onlyData(all, dataEdges(tree, home), home, modelHome)
      : { nodes: all, edges: callEdges(tree, groups, seen.home, place, models) };
  const critical = criticalPath(tree);
  const lists = [...nodes, ...edges];
  const own = [...nodes.map((node) => node.model), ...edges.map((edge) => nodes[edge.to]!.model)];
  const sums = summarize(tree, lists.map(({ nodes: of }) => of), own);
  return {
    mode: options.edges,
    tree,
    nodes,
    edges,
    ...sums,
    critical,
    criticalSeconds: Float64Array.from(lists, ({ nodes: of }, at) =>
      (!data || at < nodes.length) && of.some((node) => critical.on[node]) ? of.reduce((sum, node) => sum + critical.total[node]!, 0) : -1,
    ),
    home,
    modelHome,
    small: seen.small,
    beyond: seen.beyond,
    apart: all.length - nodes.length,
    total: all.length + seen.beyond,
  };
}

/** Of data, the ends are named steps: which function of an agent made the call says less than whose call it was. */
function stepsOf(tree: Tree, { all, of }: Groups, { home }: Seen, place: Int32Array): Int32Array {
  const named = new Int32Array(all.length).fill(-1);
  for (const { id, parent, nodes } of all) {
    const kind = kindOf(tree.block, nodes[0]!);
    if (kind === "cell" || kind === "profile") continue;
    named[id] = kind !== "frame" && home[id] === id ? place[id]! : parent ? named[parent.id]! : -1;
  }
  return Int32Array.from(of, (group) => (named[home[group]!]! >= 0 ? named[home[group]!]! : place[home[group]!]!));
}

/** The nodes that have a part in the data, and their edges; what has none is no more at home anywhere. */
function onlyData(all: readonly GraphNode[], edges: readonly GraphEdge[], home: Int32Array, modelHome: Int32Array) {
  const part = new Set(edges.flatMap(({ from, to }) => [from, to]));
  const nodes: GraphNode[] = [];
  const moved = Int32Array.from(all, (node, at) => (part.has(at) ? nodes.push(node) - 1 : -1));
  home.forEach((at, node) => (home[node] = moved[at]!));
  modelHome.fill(-1);
  return { nodes, edges: edges.map((edge) => ({ ...edge, from: moved[edge.from]!, to: moved[edge.to]! })) };
}

interface Chains {
  /** Of each group, the last one of the chain of functions that it begins or goes on with; itself, where it is in none. */
  readonly tail: Int32Array;
  /** Whether a group is shown by the tail of its chain. */
  readonly skipped: Uint8Array;
}

/** Functions that do nothing but call one other function. */
function chainsOf(tree: Tree, { all, links, of }: Groups, opened: ReadonlySet<string>): Chains {
  const calls = new Uint8Array(all.length);
  for (let node = 0; node < tree.block.nodes; node++) if (spends(tree, node)) calls[of[node]!] = 1;
  for (const { from, to, back } of links) if (back) calls[from.id] = calls[to.id] = 1;
  const isFrame = (group: Group) => group.run === 0 && kindOf(tree.block, group.nodes[0]!) === "frame";
  const tail = Int32Array.from(all, (group) => group.id);
  const skipped = new Uint8Array(all.length);
  for (let id = all.length - 1; id >= 0; id--) {
    const group = all[id]!;
    const only = group.children.length === 1 ? group.children[0]! : null;
    if (!only || calls[id] || !isFrame(group) || !isFrame(only)) continue;
    tail[id] = tail[only.id]!;
    skipped[id] = opened.has(all[tail[id]!]!.key) ? 0 : 1;
  }
  return { tail, skipped };
}

interface Seen {
  /** Groups that have a node. */
  readonly shown: Uint8Array;
  /** Of each group, the one that shows it. */
  readonly home: Int32Array;
  readonly hidden: Int32Array;
  readonly small: number;
  readonly beyond: number;
}

function choose(tree: Tree, { all, models }: Groups, { tail, skipped }: Chains, options: GraphOptions): Seen {
  const { metric, threshold, folded, opened } = options;
  const weight = new Float64Array(all.length);
  const candidate = new Uint8Array(all.length);
  const tooSmall = new Uint8Array(all.length);
  let small = 0;
  const whole = all.length > 0 ? valuesOf(tree, metric, all[0]!.nodes) : 0;
  for (const group of all) {
    const { id, parent } = group;
    const above = parent ? weight[parent.id]! : Infinity;
    const value = valuesOf(tree, metric, group.nodes);
    weight[id] = Math.min(above, value);
    const unseen = parent && (!candidate[parent.id] || folded.has(parent.key));
    tooSmall[id] = parent && (unseen ? tooSmall[parent.id] : whole > 0 && value < threshold * whole) ? 1 : 0;
    if (tooSmall[id] && !skipped[id]) small++;
    if (!unseen && !tooSmall[id]) candidate[id] = 1;
  }
  // What the reader has opened goes before what is large.
  for (const group of all) {
    if (!group.parent || !opened.has(group.parent.key)) continue;
    for (let at: Group | null = group; at; at = at.parent) weight[at.id] = Infinity;
  }
  const wanted = all.filter(({ id }) => candidate[id] && !skipped[id]);
  const room = Math.max(1, options.limit - models.length);
  const kept = [...wanted].sort((a, b) => weight[b.id]! - weight[a.id]! || a.id - b.id).slice(0, room);
  const shown = new Uint8Array(all.length);
  for (const { id } of kept) shown[id] = 1;
  const home = new Int32Array(all.length);
  const hidden = new Int32Array(all.length);
  for (const { id, parent } of all) {
    home[id] = shown[id] ? id : shown[tail[id]!] && skipped[id] ? tail[id]! : parent ? home[parent.id]! : 0;
    if (!shown[id] && !skipped[id]) hidden[home[id]!]!++;
  }
  return { shown, home, hidden, small, beyond: wanted.length - kept.length };
}

function nodesOf(
  tree: Tree,
  { all, models }: Groups,
  { tail, skipped }: Chains,
  { shown, hidden }: Seen,
  { folded, opened }: GraphOptions,
): { nodes: GraphNode[]; place: Int32Array } {
  const { block } = tree;
  const chain = new Map<number, string[]>();
  for (const { id, nodes } of all) {
    if (!skipped[id]) continue;
    const names = chain.get(tail[id]!);
    if (names) names.push(nameOf(block, nodes[0]!));
    else chain.set(tail[id]!, [nameOf(block, nodes[0]!)]);
  }
  const below = new Int32Array(all.length);
  for (let id = all.length - 1; id > 0; id--) below[all[id]!.parent!.id]! += below[id]! + 1;
  const ofChain = new Set(all.filter(({ id }) => tail[id] !== id).map(({ id }) => tail[id]!));
  const place = new Int32Array(all.length).fill(-1);
  const nodes: GraphNode[] = [];
  for (const { id, key, base, nodes: of, run, depth } of all) {
    if (!shown[id]) continue;
    const first = of[0]!;
    const end = all[tail[id]!]!;
    place[id] = nodes.push({
      key,
      base,
      model: false,
      name: nameOf(block, first),
      kind: kindOf(block, first),
      where: stringOf(block, block.where[first]),
      nodes: of,
      runs: runsOf(tree, of),
      run,
      chain: chain.get(id) ?? [],
      chained: opened.has(end.key) && ofChain.has(end.id) ? end.key : null,
      hidden: hidden[id]!,
      inner: below[id]!,
      folded: folded.has(key),
      depth,
    }) - 1;
  }
  for (const { key, base, name, nodes: of, run } of models) {
    const kind = kindOf(block, of[0]!);
    const rest = { chain: [], chained: null, hidden: 0, inner: 0, folded: false, depth: 0 };
    nodes.push({ key, base, model: true, name, kind, where: "", nodes: of, runs: runsOf(tree, of), run, ...rest });
  }
  return { nodes, place };
}

/** A node may stand for more than one call where rows were not kept. */
function runsOf({ block }: Tree, nodes: readonly number[]): number {
  return nodes.reduce((sum, node) => sum + Math.max(1, block.count[node]!), 0);
}

function callEdges(tree: Tree, groups: Groups, home: Int32Array, place: Int32Array, models: number): GraphEdge[] {
  const edges = new Map<string, { from: number; to: number; back: boolean; nodes: number[] }>();
  const add = (from: number, to: number, back: boolean, nodes: readonly number[]) => {
    const key = `${from} ${to}`;
    const known = edges.get(key);
    if (known) known.nodes.push(...nodes);
    else edges.set(key, { from, to, back, nodes: [...nodes] });
  };
  for (const { from, to, nodes, back } of groups.links) {
    const [a, b] = [home[from.id]!, home[to.id]!];
    // Inside of what is folded nothing is to be seen, unless a step calls itself.
    if (a !== b || (back && from === to && a === from.id)) add(place[a]!, place[b]!, back, nodes);
  }
  for (let node = 0; node < tree.block.nodes; node++) {
    const model = groups.modelOf[node]!;
    if (model >= 0) add(place[home[groups.of[node]!]!]!, models + model, false, [node]);
  }
  return [...edges.values()].map((edge) => ({ ...edge, nodes: outermost(edge.nodes, groups.end) }));
}

function outermost(nodes: number[], end: Int32Array): number[] {
  let reached = 0;
  return nodes.sort((a, b) => a - b).filter((node) => node >= reached && (reached = end[node]!) > 0);
}

/** Share of the whole that a node or an edge (after the nodes) has. */
export function shareOf({ sums, tree }: Graph, metric: Metric, index: number): number {
  const whole = tree.block.nodes > 0 ? totalOf(tree, metric, 0) : 0;
  return whole > 0 ? Math.min(1, totalOf(sums, metric, index) / whole) : 0;
}
