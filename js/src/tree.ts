// Links between the nodes of a block, and inclusive totals.
import { NO_SOURCE, type Block } from "./border.ts";

export const METRICS = ["time", "tokens", "input", "output", "cost"] as const;
export type Metric = (typeof METRICS)[number];

export function isMetric(value: unknown): value is Metric {
  return METRICS.includes(value as Metric);
}

const EMBEDDING_KINDS = new Set(["embedding", "reranker"]);
const CALL_KINDS = new Set(["llm", ...EMBEDDING_KINDS]);

/** Inclusive values of each node: its own and those of everything below it. */
export interface Totals {
  readonly input: Float64Array;
  readonly output: Float64Array;
  readonly embedding: Float64Array;
  readonly cache_read: Float64Array;
  readonly cache_write: Float64Array;
  readonly reasoning: Float64Array;
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
}

export function buildTree(block: Block): Tree {
  const n = block.nodes;
  const firstChild = new Int32Array(n).fill(-1);
  const nextSibling = new Int32Array(n).fill(-1);
  const prevSibling = new Int32Array(n).fill(-1);
  const depth = new Int32Array(n);
  const isCall = new Uint8Array(n);
  const isEmbedding = new Uint8Array(n);
  const callKind = block.kinds.map((kind) => CALL_KINDS.has(kind));
  const embeddingKind = block.kinds.map((kind) => EMBEDDING_KINDS.has(kind));
  for (let node = n - 1; node > 0; node--) {
    const up = block.parent[node]!;
    const next = firstChild[up]!;
    nextSibling[node] = next;
    if (next >= 0) prevSibling[next] = node;
    firstChild[up] = node;
  }
  for (let node = 0; node < n; node++) {
    if (node > 0) depth[node] = depth[block.parent[node]!]! + 1;
    isCall[node] = callKind[block.kind[node]!] || block.source[node] !== NO_SOURCE ? 1 : 0;
    isEmbedding[node] = isCall[node] && (embeddingKind[block.kind[node]!] || block.embedding[node]! > 0) ? 1 : 0;
  }
  const totals = sumUp(block, isCall, isEmbedding);
  return { block, firstChild, nextSibling, prevSibling, depth, isCall, isEmbedding, totals };
}

function sumUp(block: Block, isCall: Uint8Array, isEmbedding: Uint8Array): Totals {
  const n = block.nodes;
  const totals = {
    input: block.input.slice(),
    output: block.output.slice(),
    embedding: block.embedding.slice(),
    cache_read: block.cache_read.slice(),
    cache_write: block.cache_write.slice(),
    reasoning: block.reasoning.slice(),
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
    const cost = block.cost[node]!;
    if (Number.isFinite(cost)) totals.cost[node] = cost;
    if (!isCall[node]) continue;
    const source = block.source[node]!;
    totals.calls[node] = 1;
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
  const language = metric === "input" || metric === "output";
  return totals.unknown[node]! - (language ? totals.unknownEmbedding[node]! : 0);
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
      return totals[metric][node]!;
  }
}

/** What the node used itself, without its children; for time, what no child of it covers. */
export function selfOf(tree: Tree, metric: Metric, node: number): number {
  const { block } = tree;
  switch (metric) {
    case "time":
      return selfTime(tree, node);
    case "tokens":
      return block.input[node]! + block.output[node]! + block.embedding[node]!;
    case "cost":
      return block.cost[node] || 0;
    default:
      return block[metric][node]!;
  }
}

function selfTime(tree: Tree, node: number): number {
  const { block, firstChild, nextSibling } = tree;
  const from = block.start[node]!;
  const to = from + (block.duration[node] || 0);
  const parts: [number, number][] = [];
  for (let child = firstChild[node]!; child >= 0; child = nextSibling[child]!) {
    const start = block.start[child]!;
    parts.push([Math.max(from, start), Math.min(to, start + (block.duration[child] || 0))]);
  }
  parts.sort((a, b) => a[0] - b[0]);
  let free = 0;
  let reached = from;
  for (const [start, end] of parts) {
    if (start > reached) free += start - reached;
    reached = Math.max(reached, end);
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

/** A node of one block in a later one, or -1: a live profile inserts nodes, so the index alone says nothing. */
export function sameNode(old: Block, block: Block, node: number): number {
  if (node < 0) return -1;
  const row = old.row[node]!;
  if (row >= 0) return block.row.indexOf(row);
  return node < block.nodes && nameOf(block, node) === nameOf(old, node) ? node : -1;
}
