// Between nodes of the tree and rows of the span table, which all views of a profile have in common.
import { includes, NOTHING, selectionOf, type Selection } from "./bus.ts";
import { nameOf, type Tree } from "./tree.ts";

/** First node behind everything that is below `node`: nodes are in pre-order. */
export function endOf({ block, depth }: Tree, node: number): number {
  let end = node + 1;
  while (end < block.nodes && depth[end]! > depth[node]!) end++;
  return end;
}

/** Rows at or below some nodes, as a selection that bears a label. */
export function selectionBelow(tree: Tree, nodes: readonly number[], label: string): Selection {
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

/** The innermost node with these rows at or below it, and no others; -1 if there is none. */
export function nodeOf(tree: Tree, selection: Selection): number {
  if (selection.rows.length === 0) return -1;
  const { block } = tree;
  const wanted = sizeOf(selection);
  const inside = new Int32Array(block.nodes);
  const all = new Int32Array(block.nodes);
  for (let node = block.nodes - 1; node >= 0; node--) {
    const row = block.row[node]!;
    if (row >= 0) {
      all[node]!++;
      if (includes(selection, row)) inside[node]!++;
    }
    if (inside[node] === wanted) return all[node] === wanted ? node : -1;
    const up = block.parent[node]!;
    if (up >= 0) {
      inside[up]! += inside[node]!;
      all[up]! += all[node]!;
    }
  }
  return -1;
}

/** Rows of a selection. */
export function sizeOf({ rows }: Selection): number {
  let size = 0;
  for (let i = 0; i < rows.length; i += 2) size += rows[i + 1]! - rows[i]!;
  return size;
}

/** Of each node, whether its own row is selected. */
export function flags({ block }: Tree, selection: Selection): Uint8Array {
  const found = new Uint8Array(block.nodes);
  for (let node = 0; node < block.nodes; node++) {
    if (block.row[node]! >= 0 && includes(selection, block.row[node]!)) found[node] = 1;
  }
  return found;
}
