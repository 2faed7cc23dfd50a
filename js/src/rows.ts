// Between nodes of the tree and rows of the span table, which all views of a profile have in common.
import { NOTHING, selectionOf, type Selection } from "./bus.ts";
import { nameOf, type Tree } from "./tree.ts";

/** First node behind everything that is below `node`: nodes are in pre-order. */
export function endOf({ block, depth }: Tree, node: number): number {
  let end = node + 1;
  while (end < block.nodes && depth[end]! > depth[node]!) end++;
  return end;
}

/** Rows at or below some nodes, as a selection that bears a label. */
export function selectionBelow(tree: Tree, nodes: Iterable<number>, label: string): Selection {
  const rows = new Set<number>();
  for (const node of nodes) {
    const end = endOf(tree, node);
    for (let at = node; at < end; at++) if (tree.block.row[at]! >= 0) rows.add(tree.block.row[at]!);
  }
  return rows.size === 0 ? NOTHING : selectionOf([...rows].sort((a, b) => a - b), label);
}

/** What is selected when the reader chooses a node; nothing for -1. */
export function selectionAt(tree: Tree, node: number): Selection {
  return node < 0 ? NOTHING : selectionBelow(tree, [node], nameOf(tree.block, node));
}

/** Rows of a selection. */
export function sizeOf({ rows }: Selection): number {
  let size = 0;
  for (let i = 0; i < rows.length; i += 2) size += rows[i + 1]! - rows[i]!;
  return size;
}
