// Where each node lies: x in units of the metric, y as a row number. No recursion: a stack may be thousands of frames deep.
import { totalOf, type Metric, type Tree } from "./tree.ts";

export interface Layout {
  readonly metric: Metric;
  readonly x: Float64Array;
  readonly w: Float64Array;
  readonly row: Int32Array;
  readonly rowCount: number;
  /** Nodes of row r, by x: `order[rowStart[r]] .. order[rowStart[r + 1] - 1]`. Nodes without width are left out. */
  readonly order: Int32Array;
  readonly rowStart: Int32Array;
  /** Calls that failed or whose size is unknown: they have no width but must not vanish. By row and x. */
  readonly marks: Int32Array;
  readonly from: number;
  readonly to: number;
}

export function layout(tree: Tree, metric: Metric): Layout {
  return metric === "time" && !tree.made?.merged ? timeLayout(tree) : metricLayout(tree, metric);
}

/** Side by side in the order of the siblings; the width is the inclusive value, what is the node's own stays free at the right end. */
export function metricLayout(tree: Tree, metric: Metric): Layout {
  const { block, firstChild, nextSibling, made } = tree;
  const n = block.nodes;
  const x = new Float64Array(n);
  const w = new Float64Array(n);
  for (let node = 0; node < n; node++) w[node] = Math.max(0, totalOf(tree, metric, node));
  for (let node = 0; node < n; node++) {
    let at = x[node]!;
    let up = made?.up?.[node];
    for (let child = firstChild[node]!; child >= 0; child = nextSibling[child]!) {
      // Callers begin anew, on the other side of the root.
      if (made?.up?.[child] !== up) {
        up = made?.up?.[child];
        at = x[node]!;
      }
      x[child] = at;
      at += w[child]!;
    }
  }
  return finish(tree, metric, x, w, rowsOf(tree, w, metric), 0, n > 0 ? w[0]! : 0);
}

/** The depth; of a tree that grows both ways, counted from the outermost caller with a width. */
function rowsOf({ depth, made }: Tree, w: Float64Array, metric: Metric): Int32Array {
  const up = made?.up;
  if (!up) return depth;
  let most = 0;
  for (let node = 0; node < depth.length; node++) if (up[node] && (w[node]! > 0 || metric === "time")) most = Math.max(most, depth[node]!);
  return depth.map((at, node) => (up[node] ? Math.max(0, most - at) : most + at));
}

/** Each node at its own time; siblings that overlap lie in lanes below each other. */
export function timeLayout(tree: Tree): Layout {
  const { block } = tree;
  const n = block.nodes;
  const x = new Float64Array(n);
  const end = new Float64Array(n);
  const last = lastMoment(tree);
  const open = block.statuses.indexOf("open");
  for (let node = 0; node < n; node++) {
    const start = block.start[node]!;
    x[node] = Number.isFinite(start) ? start : 0;
    const duration = block.duration[node]!;
    const known = Number.isFinite(duration) && duration >= 0;
    end[node] = known && !(block.status[node] === open && duration === 0) ? x[node]! + (known ? duration : 0) : last;
  }
  // Work of a background task may outlive who started it: the box then reaches as far as its children.
  for (let node = n - 1; node > 0; node--) {
    const up = block.parent[node]!;
    if (end[node]! > end[up]!) end[up] = end[node]!;
    if (x[node]! < x[up]!) x[up] = x[node]!;
  }
  const w = end;
  const offset = new Int32Array(n);
  const packer = new LanePacker(tree, x, end, offset);
  for (let node = n - 1; node >= 0; node--) packer.pack(node);
  const row = new Int32Array(n);
  for (let node = 0; node < n; node++) {
    if (node > 0) row[node] = row[block.parent[node]!]! + 1 + offset[node]!;
    w[node] = end[node]! - x[node]!;
  }
  return finish(tree, "time", x, w, row, n > 0 ? x[0]! : 0, n > 0 ? x[0]! + w[0]! : 0);
}

function lastMoment({ block }: Tree): number {
  let last = block.meta.duration_s ?? 0;
  for (let node = 0; node < block.nodes; node++) {
    const end = block.start[node]! + block.duration[node]!;
    if (end > last) last = end;
  }
  return last;
}

/** First fit of subtrees into lanes; a lane is as high as the highest subtree in it. */
class LanePacker {
  /** Rows of each subtree. */
  private readonly height: Int32Array;

  constructor(
    private readonly tree: Tree,
    private readonly x: Float64Array,
    private readonly end: Float64Array,
    private readonly offset: Int32Array,
  ) {
    this.height = new Int32Array(x.length).fill(1);
  }

  pack(node: number): void {
    const { firstChild, nextSibling } = this.tree;
    const { x, end, height, offset } = this;
    const first = firstChild[node]!;
    if (first < 0) return;
    let ordered = true;
    let tallest = 0;
    let reached = -Infinity;
    for (let child = first; child >= 0; child = nextSibling[child]!) {
      if (x[child]! < reached) ordered = false;
      reached = Math.max(reached, end[child]!);
      tallest = Math.max(tallest, height[child]!);
    }
    if (ordered) {
      height[node] = 1 + tallest;
      return;
    }
    const children: number[] = [];
    for (let child = first; child >= 0; child = nextSibling[child]!) children.push(child);
    children.sort((a, b) => x[a]! - x[b]! || end[b]! - end[a]! || a - b);
    const laneHeight: number[] = [];
    const laneOf = new Int32Array(children.length);
    const busy = new Heap();
    const free = new Heap();
    children.forEach((child, i) => {
      while (busy.size > 0 && busy.key() <= x[child]!) {
        const lane = busy.pop();
        free.push(lane, lane);
      }
      const lane = free.size > 0 ? free.pop() : laneHeight.push(0) - 1;
      laneOf[i] = lane;
      laneHeight[lane] = Math.max(laneHeight[lane]!, height[child]!);
      busy.push(end[child]!, lane);
    });
    let sum = 0;
    const top = laneHeight.map((h) => (sum += h) - h);
    children.forEach((child, i) => (offset[child] = top[laneOf[i]!]!));
    height[node] = 1 + sum;
  }
}

/** Binary min-heap of values by key. */
class Heap {
  private readonly keys: number[] = [];
  private readonly values: number[] = [];

  get size(): number {
    return this.keys.length;
  }

  key(): number {
    return this.keys[0]!;
  }

  push(key: number, value: number): void {
    const { keys, values } = this;
    let at = keys.length;
    while (at > 0) {
      const up = (at - 1) >> 1;
      if (keys[up]! <= key) break;
      keys[at] = keys[up]!;
      values[at] = values[up]!;
      at = up;
    }
    keys[at] = key;
    values[at] = value;
  }

  pop(): number {
    const { keys, values } = this;
    const result = values[0]!;
    const key = keys.pop()!;
    const value = values.pop()!;
    const size = keys.length;
    if (size === 0) return result;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      if (down >= size) break;
      if (down + 1 < size && keys[down + 1]! < keys[down]!) down++;
      if (keys[down]! >= key) break;
      keys[at] = keys[down]!;
      values[at] = values[down]!;
      at = down;
    }
    keys[at] = key;
    values[at] = value;
    return result;
  }
}

function finish(
  tree: Tree,
  metric: Metric,
  x: Float64Array,
  w: Float64Array,
  row: Int32Array,
  from: number,
  to: number,
): Layout {
  const n = x.length;
  const shown = (node: number) => metric === "time" || w[node]! > 0;
  const up = tree.made?.up;
  let rowCount = 0;
  let count = 0;
  const marks: number[] = [];
  const failed = tree.block.statuses.indexOf("error");
  for (let node = 0; node < n; node++) {
    if (shown(node)) {
      rowCount = Math.max(rowCount, row[node]! + 1);
      count++;
    } else if (!up?.[node] && (isUnknown(tree, metric, node) || (tree.isCall[node] && tree.block.status[node] === failed))) {
      marks.push(node);
      rowCount = Math.max(rowCount, row[node]! + 1);
    }
  }
  const rowStart = new Int32Array(rowCount + 1);
  for (let node = 0; node < n; node++) if (shown(node)) rowStart[row[node]! + 1]!++;
  for (let r = 0; r < rowCount; r++) rowStart[r + 1]! += rowStart[r]!;
  const fill = rowStart.slice();
  const order = new Int32Array(count);
  for (let node = 0; node < n; node++) if (shown(node)) order[fill[row[node]!]!++] = node;
  for (let r = 0; r < rowCount; r++) {
    const nodes = order.subarray(rowStart[r]!, rowStart[r + 1]!);
    for (let i = 1; i < nodes.length; i++) {
      if (x[nodes[i]!]! < x[nodes[i - 1]!]!) {
        nodes.sort((a, b) => x[a]! - x[b]! || a - b);
        break;
      }
    }
  }
  marks.sort((a, b) => row[a]! - row[b]! || x[a]! - x[b]! || a - b);
  return { metric, x, w, row, rowCount, order, rowStart, marks: Int32Array.from(marks), from, to };
}

/** Whether a node is drawn, be it ever so narrow. */
export function isShown(tree: Tree, { metric, w }: Layout, node: number): boolean {
  if (metric === "time" || w[node]! > 0) return true;
  const failed = tree.isCall[node] === 1 && tree.block.statuses[tree.block.status[node]!] === "error";
  return !tree.made?.up?.[node] && (failed || isUnknown(tree, metric, node));
}

/** Whether the node is a call of which the metric is not known. */
export function isUnknown(tree: Tree, metric: Metric, node: number): boolean {
  if (!tree.isCall[node] || metric === "time") return false;
  if (metric === "cost") return Number.isNaN(tree.block.cost[node]!);
  if (metric !== "tokens" && tree.isEmbedding[node]) return false;
  const source = tree.block.sources[tree.block.source[node]!];
  return source === "missing" || source === "partial";
}
