// Links between the nodes of a block, and inclusive totals.
import { NO_SOURCE, type Block } from "./border.ts";

export const METRICS = ["time", "tokens", "input", "output", "cached", "reasoning", "cost"] as const;
export type Metric = (typeof METRICS)[number];

/** Columns of the metrics that are one column. */
const COLUMN = { input: "input", output: "output", cached: "cache_read", reasoning: "reasoning", cost: "cost" } as const;

/** Whether a metric is of language models alone. */
export function isOfLanguage(metric: Metric): boolean {
  return metric !== "time" && metric !== "tokens" && metric !== "cost";
}

export function isMetric(value: unknown): value is Metric {
  return METRICS.includes(value as Metric);
}

/** Kind of the nodes that stand for a part of a prompt or an answer. */
export const PART = "part";

const EMBEDDING_KINDS = new Set(["embedding", "reranker"]);
export const CALL_KINDS = new Set(["llm", ...EMBEDDING_KINDS]);

/** Inclusive values of each node: its own and those of everything below it. */
export interface Totals {
  readonly input: Float64Array;
  readonly output: Float64Array;
  readonly embedding: Float64Array;
  readonly cache_read: Float64Array;
  readonly cache_write: Float64Array;
  readonly reasoning: Float64Array;
  /** Input that an earlier call had sent, where the block tells it. */
  readonly replayed: Float64Array;
  /** Sum of the known costs, USD. */
  readonly cost: Float64Array;
  readonly calls: Int32Array;
  /** Calls without a known price. */
  readonly unpriced: Int32Array;
  /** Calls whose tokens are missing or only a lower bound. */
  readonly unknown: Int32Array;
  /** Those of them that are calls of embedding models or rerankers. */
  readonly unknownEmbedding: Int32Array;
  readonly errors: Int32Array;
  readonly retries: Int32Array;
  /** Index of the worst provenance below, or NO_SOURCE. */
  readonly source: Uint8Array;
  /** The same of the calls of language models alone. */
  readonly languageSource: Uint8Array;
}

export interface Tree {
  readonly block: Block;
  readonly firstChild: Int32Array;
  readonly nextSibling: Int32Array;
  readonly prevSibling: Int32Array;
  readonly depth: Int32Array;
  readonly isCall: Uint8Array;
  /** Calls of embedding models and rerankers. */
  readonly isEmbedding: Uint8Array;
  readonly totals: Totals;
  /** Of a tree that was made from another one: what of that it shows. */
  readonly made?: Made;
}

export interface Made {
  /** Nodes that node n stands for, with all below them: `members[first[n]] .. members[first[n + 1] - 1]`. */
  readonly first: Int32Array;
  readonly members: Int32Array;
  /** The node of which a node has its name and looks. */
  readonly like: Int32Array;
  /** Node that shows a node of the other tree; -1 where none does. */
  readonly of: Int32Array;
  /** Whether nodes stand for several ones: then time is a sum, and has no place on a clock. */
  readonly merged: boolean;
  /** Nodes that lead to the root, instead of away from it. */
  readonly up?: Uint8Array;
  /** How many nodes are folded into one. */
  readonly folded?: Int32Array;
}

/** How many nodes of the profile a node stands for. */
export function runsOf({ made }: Tree, node: number): number {
  return made ? made.first[node + 1]! - made.first[node]! : 1;
}

export function buildTree(block: Block): Tree {
  const n = block.nodes;
  const isCall = new Uint8Array(n);
  const isEmbedding = new Uint8Array(n);
  const callKind = block.kinds.map((kind) => CALL_KINDS.has(kind));
  const embeddingKind = block.kinds.map((kind) => EMBEDDING_KINDS.has(kind));
  for (let node = 0; node < n; node++) {
    isCall[node] = callKind[block.kind[node]!] || block.source[node] !== NO_SOURCE ? 1 : 0;
    isEmbedding[node] = isCall[node] && (embeddingKind[block.kind[node]!] || block.embedding[node]! > 0) ? 1 : 0;
  }
  const totals = sumUp(block, isCall, isEmbedding);
  return { block, ...linksOf(block.parent), isCall, isEmbedding, totals };
}

/** Links of a tree of which only the parents are known, each before its children; siblings in their order. */
export function linksOf(parent: Int32Array): Pick<Tree, "firstChild" | "nextSibling" | "prevSibling" | "depth"> {
  const n = parent.length;
  const firstChild = new Int32Array(n).fill(-1);
  const nextSibling = new Int32Array(n).fill(-1);
  const prevSibling = new Int32Array(n).fill(-1);
  const depth = new Int32Array(n);
  for (let node = n - 1; node > 0; node--) {
    const up = parent[node]!;
    const next = firstChild[up]!;
    nextSibling[node] = next;
    if (next >= 0) prevSibling[next] = node;
    firstChild[up] = node;
  }
  for (let node = 1; node < n; node++) depth[node] = depth[parent[node]!]! + 1;
  return { firstChild, nextSibling, prevSibling, depth };
}

/** Inclusive values; what is `left` out of account adds nothing. */
export function sumUp(block: Block, isCall: Uint8Array, isEmbedding: Uint8Array, left?: Uint8Array): Totals {
  const n = block.nodes;
  const totals = {
    input: block.input.slice(),
    output: block.output.slice(),
    embedding: block.embedding.slice(),
    cache_read: block.cache_read.slice(),
    cache_write: block.cache_write.slice(),
    reasoning: block.reasoning.slice(),
    replayed: block.replayed?.slice() ?? new Float64Array(n),
    cost: new Float64Array(n),
    calls: new Int32Array(n),
    unpriced: new Int32Array(n),
    unknown: new Int32Array(n),
    unknownEmbedding: new Int32Array(n),
    errors: new Int32Array(n),
    retries: new Int32Array(n),
    source: block.source.slice(),
    languageSource: block.source.map((source, node) => (isEmbedding[node] ? NO_SOURCE : source)),
  };
  const missing = block.sources.indexOf("missing");
  const partial = block.sources.indexOf("partial");
  const failed = block.statuses.indexOf("error");
  for (let node = 0; node < n; node++) {
    if (left?.[node]) {
      for (const column of Object.values(totals)) column[node] = 0;
      totals.source[node] = totals.languageSource[node] = NO_SOURCE;
      continue;
    }
    const cost = block.cost[node]!;
    if (Number.isFinite(cost)) totals.cost[node] = cost;
    // A node may stand for many: for rows that were not kept, or for what a bounded block leaves out.
    totals.calls[node] = Math.max(block.count[node]!, isCall[node]!);
    if (!isCall[node]) continue;
    const source = block.source[node]!;
    if (Number.isNaN(cost)) totals.unpriced[node] = 1;
    if (source === missing || source === partial) {
      totals.unknown[node] = 1;
      totals.unknownEmbedding[node] = isEmbedding[node]!;
    }
    if (block.status[node] === failed) totals.errors[node] = 1;
    if (block.attempt[node]! > 1) totals.retries[node] = 1;
  }
  const { source, languageSource, ...sums } = totals;
  const columns = Object.values(sums);
  for (let node = n - 1; node > 0; node--) {
    const up = block.parent[node]!;
    for (const column of columns) column[up]! += column[node]!;
    for (const column of [source, languageSource]) {
      const own = column[node]!;
      if (own !== NO_SOURCE && (column[up] === NO_SOURCE || own > column[up]!)) column[up] = own;
    }
  }
  return totals;
}

/** Calls at or below a node that may have spent more of a metric than they told. */
export function unknownOf({ totals }: Tree, metric: Metric, node: number): number {
  return totals.unknown[node]! - (isOfLanguage(metric) ? totals.unknownEmbedding[node]! : 0);
}

/** Inclusive value of a node for a metric; seconds for time. */
export function totalOf(tree: Tree, metric: Metric, node: number): number {
  const { totals, block } = tree;
  switch (metric) {
    case "time":
      return block.duration[node] || 0;
    case "tokens":
      return totals.input[node]! + totals.output[node]! + totals.embedding[node]!;
    default:
      return totals[COLUMN[metric]][node]!;
  }
}

/** What the node used itself, without its children; for time, what no child of it covers. */
export function selfOf(tree: Tree, metric: Metric, node: number): number {
  const { block } = tree;
  switch (metric) {
    case "time":
      return tree.made?.merged ? sumLeft(tree, node) : selfTime(tree, node);
    case "tokens":
      return block.input[node]! + block.output[node]! + block.embedding[node]!;
    case "cost":
      return block.cost[node] || 0;
    default:
      return block[COLUMN[metric]][node]!;
  }
}

/** Of summed time, what the children do not account for. */
function sumLeft({ block, firstChild, nextSibling, made }: Tree, node: number): number {
  if (made?.up?.[node]) return 0;
  let left = block.duration[node]!;
  for (let child = firstChild[node]!; child >= 0; child = nextSibling[child]!) {
    if (!made?.up?.[child]) left -= block.duration[child]!;
  }
  return Math.max(0, left);
}

/** Seconds of a node that no child of it covers. */
export function selfTime(tree: Tree, node: number): number {
  const { block, firstChild, nextSibling } = tree;
  const from = block.start[node]!;
  const to = from + (block.duration[node] || 0);
  const starts = (child: number) => Math.max(from, block.start[child]!);
  let ordered = true;
  let before = -Infinity;
  for (let child = firstChild[node]!; child >= 0 && ordered; child = nextSibling[child]!) {
    ordered = starts(child) >= before;
    before = starts(child);
  }
  let free = 0;
  let reached = from;
  const add = (child: number) => {
    const start = starts(child);
    if (start > reached) free += start - reached;
    reached = Math.max(reached, Math.min(to, block.start[child]! + (block.duration[child] || 0)));
  };
  if (ordered) {
    for (let child = firstChild[node]!; child >= 0; child = nextSibling[child]!) add(child);
  } else {
    const children: number[] = [];
    for (let child = firstChild[node]!; child >= 0; child = nextSibling[child]!) children.push(child);
    children.sort((a, b) => starts(a) - starts(b)).forEach(add);
  }
  return Math.max(0, free + to - Math.max(reached, from));
}

export function stringOf(block: Block, index: number | undefined): string {
  return index === undefined || index < 0 ? "" : (block.strings[index] ?? "");
}

export function nameOf(block: Block, node: number): string {
  return stringOf(block, block.name[node]) || "(no name)";
}

export function kindOf(block: Block, node: number): string {
  return block.kinds[block.kind[node]!] ?? "";
}

export function isPart({ block }: Tree, node: number): boolean {
  return node >= 0 && kindOf(block, node) === PART;
}

/** How much of the input at or below a node was sent before, from 0 to 1. */
export function replayedShare({ totals }: Tree, node: number): number {
  return totals.input[node]! > 0 ? totals.replayed[node]! / totals.input[node]! : 0;
}

/** A node of one block in a later one, or -1: a live profile inserts nodes, so the index alone says nothing. */
export function sameNode(old: Block, block: Block, node: number): number {
  if (node < 0) return -1;
  const row = old.row[node]!;
  if (row >= 0) return block.row.indexOf(row);
  return node < block.nodes && nameOf(block, node) === nameOf(old, node) ? node : -1;
}
