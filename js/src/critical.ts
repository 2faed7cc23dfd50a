// The critical path: the chain of steps that determines when the profile ends.
// From the end backwards: of the steps inside a step, the one that ended last; before its start, the one that had ended
// last by then, and so on. A step that still ran when a later one began did not hold it up, and is not on the path.
// A step that goes on after the one that began it, as a task in the background does, did not hold up the end of that one.
// It ended within the nearest step around it that ended no earlier, and counts among those inside that one. It began
// within the nearest step around it that was still running then: from its start backwards, the path goes on there. What
// ended after the profile did not hold it up, unless it is directly below the root.
// It is the definition of tokprof/analysis/critical.py; both are tested on the same cases.
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
  /** What ended within the node, by its end, the last one at the end of the list. */
  readonly inside: number[];
}

/** When nodes ran, in seconds, and within which node around them they began and ended; -1 for none. */
interface Times {
  readonly start: Float64Array;
  /** What is directly below the root and goes on after it ends with it. */
  readonly end: Float64Array;
  readonly began: Int32Array;
  readonly ended: Int32Array;
}

export function criticalPath(tree: Tree): CriticalPath {
  const { block } = tree;
  const n = block.nodes;
  const times = timesOf(tree);
  const { start, end, began } = times;
  const inside = insideOf(tree, times);
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
    return { node, from: Math.min(from, until), until, inside: inside(node) };
  };
  const path: Visit[] = n > 0 ? [visit(0, start[0]!, end[0]!)] : [];
  while (path.length > 0) {
    const top = path.at(-1)!;
    const child = lastBefore(times, top);
    if (child >= 0) {
      const to = Math.min(top.until, end[child]!);
      stretch(top.node, to, top.until);
      path.push(visit(child, Math.max(top.from, start[child]!), to));
      continue;
    }
    stretch(top.node, top.from, top.until);
    path.pop();
    const around = path.at(-1);
    if (!around) continue;
    const where = began[top.node]!;
    if (where === around.node) around.until = top.from;
    else path.push(visit(where, Math.max(around.from, start[where]!), top.from));
  }
  const total = self.slice();
  for (let node = n - 1; node > 0; node--) total[block.parent[node]!]! += total[node]!;
  return { stretches: backwards.reverse(), on, self, total };
}

function timesOf({ block }: Tree): Times {
  const n = block.nodes;
  const start = new Float64Array(n);
  const end = new Float64Array(n);
  const began = Int32Array.from(block.parent);
  const ended = Int32Array.from(block.parent);
  for (let node = 0; node < n; node++) {
    const up = block.parent[node]!;
    start[node] = block.start[node] || 0;
    end[node] = endOf(block, node);
    if (up === 0) end[node] = Math.min(end[node]!, end[0]!);
    while (ended[node]! >= 0 && end[node]! > end[ended[node]!]! + TOLERANCE) ended[node] = ended[ended[node]!]!;
    while (began[node] !== ended[node] && began[node]! >= 0 && end[began[node]!]! <= start[node]!) began[node] = ended[began[node]!]!;
  }
  return { start, end, began, ended };
}

function endOf(block: Tree["block"], node: number): number {
  return (block.start[node] || 0) + (block.duration[node] || 0);
}

/** What ended within a node, by its end, also after the profile. */
function insideOf({ block }: Tree, { ended }: Times): (node: number) => number[] {
  const first = new Int32Array(ended.length).fill(-1);
  const next = new Int32Array(ended.length).fill(-1);
  for (let node = ended.length - 1; node > 0; node--) {
    const around = ended[node]!;
    if (around < 0) continue;
    next[node] = first[around]!;
    first[around] = node;
  }
  return (node) => {
    const inside: number[] = [];
    for (let each = first[node]!; each >= 0; each = next[each]!) inside.push(each);
    return inside.sort((a, b) => endOf(block, a) - endOf(block, b) || b - a);
  };
}

/** Of what ended within a node, what did so last before the path's end in it; -1 where nothing did. */
function lastBefore({ start, end }: Times, { inside, until, from }: Visit): number {
  while (inside.length > 0) {
    const node = inside.pop()!;
    if (start[node]! < until && end[node]! > from && end[node]! <= until + TOLERANCE) return node;
  }
  return -1;
}
