// What many steps come to, in the shape of a tree's totals: so that all views say figures in the same words.
import { NO_SOURCE, type Block } from "../border.ts";
import { selfOf, totalOf, type Metric, type Tree } from "../tree.ts";

export interface Sums {
  readonly sums: Tree;
  readonly durations: readonly Float64Array[];
  readonly selfTime: Float64Array;
}

/** Inclusive value of some nodes, none of which is inside another. */
export function valuesOf(tree: Tree, metric: Metric, nodes: readonly number[]): number {
  return nodes.reduce((sum, node) => sum + totalOf(tree, metric, node), 0);
}

/** Sums over each list of nodes: of everything at and below them, or (`own`) of what they spent themselves. */
export function summarize(tree: Tree, lists: readonly (readonly number[])[], own: readonly boolean[]): Sums {
  const { block, totals, isEmbedding } = tree;
  const n = lists.length;
  const number = () => new Float64Array(n);
  const count = () => new Int32Array(n);
  const result = {
    input: number(), output: number(), embedding: number(), cache_read: number(), cache_write: number(),
    reasoning: number(), cost: number(), calls: count(), unpriced: count(), unknown: count(),
    unknownEmbedding: count(), errors: count(), retries: count(),
    source: new Uint8Array(n).fill(NO_SOURCE), languageSource: new Uint8Array(n).fill(NO_SOURCE),
  };
  const { source, languageSource, ...columns } = result;
  const names = Object.keys(columns) as (keyof typeof columns)[];
  const duration = number();
  const selfTime = number();
  const durations: Float64Array[] = [];
  const worse = (column: Uint8Array, at: number, value: number) => {
    if (value !== NO_SOURCE && (column[at] === NO_SOURCE || value > column[at]!)) column[at] = value;
  };
  lists.forEach((nodes, at) => {
    for (const node of nodes) {
      duration[at]! += block.duration[node] || 0;
      selfTime[at]! += selfOf(tree, "time", node);
      for (const name of names) columns[name][at]! += totals[name][node]!;
      if (!own[at]) {
        worse(source, at, totals.source[node]!);
        worse(languageSource, at, totals.languageSource[node]!);
        continue;
      }
      worse(source, at, block.source[node]!);
      if (!isEmbedding[node]) worse(languageSource, at, block.source[node]!);
      const { firstChild, nextSibling } = tree;
      for (let child = firstChild[node]!; child >= 0; child = nextSibling[child]!) {
        for (const name of names) columns[name][at]! -= totals[name][child]!;
      }
    }
    durations.push(Float64Array.from(nodes, (node) => block.duration[node] || 0).sort());
  });
  const none = new Int32Array(n).fill(-1);
  const { input, output, embedding, cost } = result;
  const shown: Block = { ...block, nodes: n, duration, source, input, output, embedding, cost };
  const flags = new Uint8Array(n);
  const sums: Tree = {
    ...tree,
    block: shown,
    firstChild: none,
    nextSibling: none,
    prevSibling: none,
    depth: new Int32Array(n),
    isCall: flags,
    isEmbedding: flags,
    totals: { ...totals, ...result },
  };
  return { sums, durations, selfTime };
}

/** The middle one of values in ascending order, or the mean of the two. */
export function median(values: Float64Array): number {
  const half = values.length >> 1;
  if (values.length === 0) return NaN;
  return values.length % 2 ? values[half]! : (values[half - 1]! + values[half]!) / 2;
}
