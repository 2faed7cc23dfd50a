// The whole graph in a strip, and which part of it is in sight. A drag moves that part, or chooses another one.
import type { Look } from "./stage.ts";
import { forEachBox } from "./cull.ts";
import { h } from "../dom.ts";
import type { Layout } from "../layout.ts";
import { isPart } from "../tree.ts";
import type { View } from "./viewport.ts";

const HEIGHT = 28;
const STEADY = 3;

export class Minimap {
  readonly element = h("canvas", { class: "tp-minimap", "aria-hidden": "true", "data-testid": "tokprof-minimap" });
  private readonly picture = document.createElement("canvas");
  private made: readonly unknown[] = [];
  private layout: Layout | null = null;
  private view: View = { x0: 0, x1: 1 };

  constructor(show: (x0: number, x1: number, glide: boolean) => void, signal: AbortSignal) {
    const { element } = this;
    let from = NaN;
    let moved = false;
    let grip: View | null = null;
    const at = (event: PointerEvent) => {
      const box = element.getBoundingClientRect();
      const { from: x0, to: x1 } = this.layout!;
      return x0 + Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * (x1 - x0);
    };
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !this.layout) return;
      event.preventDefault();
      element.setPointerCapture(event.pointerId);
      from = at(event);
      moved = false;
      const { x0, x1 } = this.view;
      const whole = x1 - x0 >= (this.layout.to - this.layout.from) * (1 - 1e-9);
      grip = !whole && from >= x0 && from <= x1 ? this.view : null;
    }, { signal });
    element.addEventListener("pointermove", (event) => {
      if (Number.isNaN(from) || !this.layout) return;
      const to = at(event);
      moved ||= Math.abs(to - from) * element.clientWidth > STEADY * (this.layout.to - this.layout.from);
      if (!moved) return;
      if (grip) show(grip.x0 + to - from, grip.x1 + to - from, false);
      else show(Math.min(from, to), Math.max(from, to), false);
    }, { signal });
    element.addEventListener("pointerup", () => {
      const half = (this.view.x1 - this.view.x0) / 2;
      if (!moved && !Number.isNaN(from)) show(from - half, from + half, true);
      from = NaN;
    }, { signal });
    element.addEventListener("pointercancel", () => (from = NaN), { signal });
  }

  draw(look: Look, layout: Layout, view: View, width: number, ratio: number): void {
    const { element, picture } = this;
    this.layout = layout;
    this.view = view;
    const [w, tall] = [Math.max(1, Math.round(width * ratio)), Math.round(HEIGHT * ratio)];
    const made = [layout, look.coloring, look.theme, look.match, w, tall];
    if (made.some((part, i) => part !== this.made[i])) {
      this.made = made;
      for (const canvas of [element, picture]) [canvas.width, canvas.height] = [w, tall];
      this.paint(look, layout, w, tall);
    }
    const context = element.getContext("2d")!;
    context.clearRect(0, 0, w, tall);
    context.drawImage(picture, 0, 0);
    const scale = w / (layout.to - layout.from || 1);
    const left = (view.x0 - layout.from) * scale;
    const right = (view.x1 - layout.from) * scale;
    if (right - left >= w - 0.5) return;
    context.fillStyle = `rgb(${look.theme.background.join(" ")} / 0.72)`;
    context.fillRect(0, 0, left, tall);
    context.fillRect(right, 0, w - right, tall);
    context.strokeStyle = `rgb(${look.theme.foreground.join(" ")})`;
    context.lineWidth = ratio;
    context.strokeRect(Math.min(left, w - 4) + ratio / 2, ratio / 2, Math.max(3, right - left) - ratio, tall - ratio);
  }

  private paint({ tree, coloring, theme, match }: Look, layout: Layout, w: number, tall: number): void {
    const context = this.picture.getContext("2d")!;
    const step = Math.min(tall / 7, tall / Math.max(1, layout.rowCount));
    // Of more rows than pixels, as many as there are pixels.
    const skip = Math.max(1, Math.floor(1 / step));
    for (let row = 0; row < layout.rowCount; row += skip) {
      forEachBox(layout, row, { x0: layout.from, x1: layout.to }, w, (node, left, wide) => {
        const swatch = theme.swatches[coloring.color[node]!]!;
        context.fillStyle = match && !match.mask[node] ? swatch.mutedFill : isPart(tree, node) ? swatch.softFill : swatch.fill;
        context.fillRect(left, row * step, wide, Math.max(1, step * skip - (step > 3 ? 1 : 0)));
      });
    }
  }
}
