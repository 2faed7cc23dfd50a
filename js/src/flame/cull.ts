// Which boxes of a row are worth drawing, and which box lies under a point.
import type { Layout } from "../layout.ts";
import type { View } from "./viewport.ts";

/** First index in order[lo..hi) whose right edge lies beyond `at`. Boxes of a row do not overlap, so the edges are sorted. */
function firstEndingAfter({ order, x, w }: Layout, lo: number, hi: number, at: number): number {
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    const node = order[mid]!;
    if (x[node]! + w[node]! > at) hi = mid;
    else lo = mid + 1;
  }
  return lo;
}

/** First index in order[lo..hi) that starts at `at` or later. */
function firstStartingAt({ order, x }: Layout, lo: number, hi: number, at: number): number {
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if (x[order[mid]!]! >= at) hi = mid;
    else lo = mid + 1;
  }
  return lo;
}

/** Called with a node, its left edge and width in pixels, how many boxes the block stands for, and its place in `order`. */
export type Draw = (node: number, left: number, width: number, count: number, place: number) => void;

/** Visits what is visible of a row. A run of boxes below one pixel becomes one block, and the search jumps to the next pixel. */
export function forEachBox(layout: Layout, row: number, view: View, width: number, draw: Draw): void {
  const { order, rowStart, x, w } = layout;
  const scale = width / (view.x1 - view.x0);
  const hi = rowStart[row + 1]!;
  let i = firstEndingAfter(layout, rowStart[row]!, hi, view.x0);
  // A box without width (an instant) at the left edge is still seen.
  while (i > rowStart[row]! && x[order[i - 1]!]! >= view.x0) i--;
  while (i < hi) {
    const node = order[i]!;
    const left = (x[node]! - view.x0) * scale;
    if (left >= width) return;
    const wide = w[node]! * scale;
    if (wide >= 1) {
      draw(node, left, wide, 1, i);
      i++;
      continue;
    }
    const pixel = Math.floor(left);
    const next = firstStartingAt(layout, i + 1, hi, view.x0 + (pixel + 1) / scale);
    let end = next;
    // A wide box that starts inside this pixel is drawn in its own right.
    if (next - i > 1) {
      const tail = order[next - 1]!;
      if (w[tail]! * scale >= 1) end = next - 1;
    }
    draw(node, pixel, 1, Math.max(1, end - i), i);
    i = Math.max(end, i + 1);
  }
}

/** Node of a row under a pixel, or -1; `slack` pixels to either side count for narrow boxes. */
export function hitRow(layout: Layout, row: number, view: View, width: number, px: number, slack = 1): number {
  if (row < 0 || row >= layout.rowCount) return -1;
  const { order, rowStart, x, w } = layout;
  const unit = (view.x1 - view.x0) / width;
  const at = view.x0 + px * unit;
  const lo = rowStart[row]!;
  const hi = rowStart[row + 1]!;
  const i = firstEndingAfter(layout, lo, hi, at);
  if (i < hi && x[order[i]!]! <= at) return order[i]!;
  let best = -1;
  let distance = slack * unit;
  for (const j of [i - 1, i]) {
    if (j < lo || j >= hi) continue;
    const node = order[j]!;
    const away = x[node]! > at ? x[node]! - at : at - x[node]! - w[node]!;
    if (away <= distance) {
      best = node;
      distance = away;
    }
  }
  return best;
}
