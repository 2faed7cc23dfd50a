// Which nodes a text or a legend entry picks out, and how much of the whole they are.
import type { Coloring } from "./color.ts";
import { isShown, type Layout } from "./layout.ts";
import { totalOf, type Metric, type Tree } from "./tree.ts";

export interface Match {
  readonly mask: Uint8Array;
  readonly count: number;
}

const LONGEST = 10_000;

/** Substring, any case, over name, model and place. */
export function search(tree: Tree, text: string): Match | null {
  const needle = text.trim().toLowerCase();
  if (!needle) return null;
  const { block } = tree;
  const hit = block.strings.map((s) => (s.slice(0, LONGEST).toLowerCase().includes(needle) ? 1 : 0));
  return select(block.nodes, (node) =>
    Boolean(hit[block.name[node]!] || hit[block.model[node]!] || hit[block.where[node]!]),
  );
}

/** Matches from top left to bottom right as they are drawn, those that are not drawn left out. */
export function inOrder(tree: Tree, layout: Layout, { mask }: Match): number[] {
  const found: number[] = [];
  for (let node = 0; node < mask.length; node++) if (mask[node] && isShown(tree, layout, node)) found.push(node);
  const { x, row } = layout;
  return found.sort((a, b) => x[a]! - x[b]! || row[a]! - row[b]! || a - b);
}

export function ofEntry(coloring: Coloring, key: string): Match | null {
  const entry = coloring.legend.findIndex((e) => e.key === key);
  return entry < 0 ? null : select(coloring.entry.length, (node) => coloring.entry[node] === entry);
}

export function both(a: Match | null, b: Match | null): Match | null {
  if (!a || !b) return a ?? b;
  return select(a.mask.length, (node) => Boolean(a.mask[node] && b.mask[node]));
}

function select(n: number, test: (node: number) => boolean): Match {
  const mask = new Uint8Array(n);
  let count = 0;
  for (let node = 0; node < n; node++) {
    if (test(node)) {
      mask[node] = 1;
      count++;
    }
  }
  return { mask, count };
}

/** Inclusive value of the matches, each token once: a match inside another match adds nothing. Parallel time may pass the whole. */
export function matchedTotal(tree: Tree, metric: Metric, { mask }: Match): number {
  const { block } = tree;
  const covered = new Uint8Array(block.nodes);
  let sum = 0;
  for (let node = 0; node < block.nodes; node++) {
    if (tree.made?.up?.[node]) continue;
    const above = node > 0 ? covered[block.parent[node]!]! : 0;
    if (mask[node] && !above) sum += totalOf(tree, metric, node);
    covered[node] = above | mask[node]!;
  }
  return sum;
}
