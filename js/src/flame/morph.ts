// Boxes on their way from where they were to where they are now.
import type { Layout } from "../layout.ts";
import { ease, type View } from "./viewport.ts";

const MORPH_MS = 220;
/** Of more boxes than this, a frame would take too long. */
export const MOST = 20_000;

export class Morph {
  private begun = 0;
  private readonly x: Float64Array;
  private readonly w: Float64Array;

  /** `was` gives the node that a node was in the old layout, or -1; places are on the screen. */
  constructor(old: Layout, oldView: View, private readonly to: Layout, view: View, was: (node: number) => number) {
    const scale = (view.x1 - view.x0) / (oldView.x1 - oldView.x0);
    this.x = to.x.slice();
    this.w = to.w.slice();
    for (let node = 0; node < to.x.length; node++) {
      const before = was(node);
      if (before < 0) continue;
      this.x[node] = view.x0 + (old.x[before]! - oldView.x0) * scale;
      this.w[node] = old.w[before]! * scale;
    }
  }

  /** The boxes at a moment; null once they have come to rest. */
  at(now: number): Layout | null {
    this.begun ||= now;
    const t = (now - this.begun) / MORPH_MS;
    if (t >= 1) return null;
    const done = ease(t);
    const { to } = this;
    const x = to.x.map((end, node) => this.x[node]! + (end - this.x[node]!) * done);
    const w = to.w.map((end, node) => this.w[node]! + (end - this.w[node]!) * done);
    const order = to.order.slice();
    for (let row = 0; row < to.rowCount; row++) {
      order.subarray(to.rowStart[row]!, to.rowStart[row + 1]!).sort((a, b) => x[a]! - x[b]! || a - b);
    }
    return { ...to, x, w, order };
  }
}
