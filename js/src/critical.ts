// The critical path: the chain of steps that determines when the profile ends.
// From the end backwards: of the steps inside a step, the one that ended last; before its start, the one that had ended
// last by then, and so on. A step that still ran when a later one began did not hold it up, and is not on the path.
import type { Tree } from "./tree.ts";

/** A stretch of time that a node spent on the path itself, not in a step inside it; seconds since the start. */
export interface Stretch {
  readonly node: number;
  readonly from: number;
  readonly to: number;
}

export interface CriticalPath {
  /** In order of time, without gaps: together they last as long as the root. */
  readonly stretches: readonly Stretch[];
  /** Whether a node is on the path. */
  readonly on: Uint8Array;
  /** Seconds of the path in each node itself. */
  readonly self: Float64Array;
  /** Seconds of the path at or below each node. */
  readonly total: Float64Array;
}

/** Seconds by which clocks may differ. */
const TOLERANCE = 1e-9;

interface Visit {
  readonly node: number;
  /** The path runs in this node, or below it, up to here. */
  until: number;
  readonly from: number;
  /** Children by end, the last one at the end of the list. */
  readonly children: number[];
}

export function criticalPath(tree: Tree): CriticalPath {
  const { block } = tree;
  const n = block.nodes;
  const on = new Uint8Array(n);
  const self = new Float64Array(n);
  const backwards: Stretch[] = [];
  const stretch = (node: number, from: number, to: number) => {
    if (to - from <= 0) return;
    self[node]! += to - from;
    backwards.push({ node, from, to });
  };
  const visit = (node: number, from: number, until: number): Visit => {
    on[node] = 1;
    return { node, from, until, children: childrenByEnd(tree, node) };
  };
  const stack: Visit[] = n > 0 ? [visit(0, startOf(tree, 0), endOf(tree, 0))] : [];
  while (stack.length > 0) {
    const top = stack.at(-1)!;
    const child = lastBefore(tree, top);
    if (child < 0) {
      stretch(top.node, top.from, top.until);
      stack.pop();
      continue;
    }
    const to = Math.min(top.until, endOf(tree, child));
    stretch(top.node, to, top.until);
    top.until = Math.max(top.from, startOf(tree, child));
    stack.push(visit(child, top.until, to));
  }
  const total = self.slice();
  for (let node = n - 1; node > 0; node--) total[block.parent[node]!]! += total[node]!;
  return { stretches: backwards.reverse(), on, self, total };
}

function startOf({ block }: Tree, node: number): number {
  return block.start[node] || 0;
}

/** Of a step that runs on after the profile, the end is the profile's. */
function endOf({ block }: Tree, node: number): number {
  return (block.start[node] || 0) + (block.duration[node] || 0);
}

function childrenByEnd(tree: Tree, node: number): number[] {
  const children: number[] = [];
  for (let child = tree.firstChild[node]!; child >= 0; child = tree.nextSibling[child]!) children.push(child);
  return children.sort((a, b) => endOf(tree, a) - endOf(tree, b) || b - a);
}

/** The child that ended last before the path's end in its parent; -1 where none did. */
function lastBefore(tree: Tree, { children, until, from, node }: Visit): number {
  // What was still running when the profile ended held up its end as much as anything.
  const root = node === 0 && until >= endOf(tree, 0);
  while (children.length > 0) {
    const child = children.pop()!;
    const end = endOf(tree, child);
    const begins = startOf(tree, child) < until && end > from;
    if (begins && (end <= until + TOLERANCE || root)) return child;
  }
  return -1;
}
