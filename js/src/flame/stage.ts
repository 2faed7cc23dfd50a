// The canvas in its scroll box: what is in sight, what lies under the pointer, and the tooltip beside it.
import { boxOf, hit, Painter, ROW, RULER, UNFOLD, type Box, type Placement, type Scene } from "./canvas.ts";
import { Camera } from "./camera.ts";
import { hitRow } from "./cull.ts";
import { h } from "../dom.ts";
import type { Fact } from "../facts.ts";
import type { Layout } from "../layout.ts";
import { Minimap } from "./minimap.ts";
import { Morph, MOST } from "./morph.ts";
import { listenToPointer } from "./pointer.ts";
import { Tooltip } from "../tooltip.ts";
import type { View } from "./viewport.ts";

/** What is drawn, wherever it lies. */
export type Look = Pick<Scene, "tree" | "coloring" | "match" | "critical" | "selected" | "theme">;

export interface StageEvents {
  /** A click on a node, or beside all of them (-1). */
  clicked(node: number): void;
  /** A click on the mark of a folded box. */
  unfolded(node: number): void;
  /** The view goes elsewhere. */
  moved(target: View): void;
  resized(): void;
  /** Before each frame; null while there is nothing to draw with. */
  look(): Look | null;
  /** What the tooltip says. */
  tell(node: number): { name: string; facts: readonly Fact[] };
}

/** Where the reader looks: a node and its place on the screen. */
export interface Eye {
  readonly node: number;
  readonly view: View;
  readonly box: Box;
}

const BORDER = 1;
const LEAST_HEIGHT = RULER + 3 * ROW;

export class Stage {
  readonly element: HTMLElement;
  readonly tooltip = new Tooltip();
  readonly camera: Camera;
  readonly minimap: Minimap;
  private readonly canvas = h("canvas", { class: "tp-canvas", "aria-hidden": "true", "data-testid": "tokprof-canvas" });
  private readonly spacer = h("div", { class: "tp-spacer" });
  private readonly nothing = h("p", { class: "tp-nothing", "data-testid": "tokprof-nothing", hidden: true });
  private readonly painter: Painter;
  private hovered = -1;
  private width = 0;
  private height = 0;
  private ratio = 1;
  private frame = 0;
  private target: View | null = null;
  private morph: Morph | null = null;
  /** The boxes as they are drawn just now. */
  private drawn: Layout;
  private scrollTo: number | null = null;

  constructor(private layout: Layout, private readonly events: StageEvents, signal: AbortSignal) {
    this.drawn = layout;
    this.minimap = new Minimap((x0, x1, glide) => this.camera.show(x0, x1, glide), signal);
    this.camera = new Camera(layout.from, layout.to, () => this.draw());
    this.painter = new Painter(this.canvas.getContext("2d", { alpha: false })!);
    this.element = h("div", { class: "tp-scroller" }, this.spacer, this.nothing);
    this.spacer.append(this.canvas);
    this.listen(signal);
  }

  private listen(signal: AbortSignal): void {
    const resize = new ResizeObserver(() => this.resize());
    resize.observe(this.element);
    signal.addEventListener("abort", () => {
      resize.disconnect();
      cancelAnimationFrame(this.frame);
      this.tooltip.hide();
    });
    this.element.addEventListener("scroll", () => {
      // Rows also scroll because the keyboard went to a node; its tooltip goes with it.
      if (this.hovered < 0 && this.tooltip.node >= 0) this.tip(this.tooltip.node);
      else this.unhover();
      this.draw();
    }, { signal, passive: true });
    listenToPointer(this.canvas, {
      hover: (x, y) => this.hover(x, y),
      leave: () => this.unhover(),
      click: (x, y) => {
        const node = hit(this.placement(), x, y);
        const box = node < 0 ? null : this.boxOf(node);
        const mark = box && box.w > 2 * UNFOLD && x < Math.max(0, box.x) + UNFOLD;
        if (mark && this.events.look()?.tree.made?.folded?.[node]) this.events.unfolded(node);
        else this.events.clicked(node);
      },
      doubleClick: (x, y) => this.zoomTo(hit(this.placement(), x, y)),
      drag: (dx, dy) => {
        this.camera.panBy(-dx / this.width);
        this.element.scrollTop -= dy;
      },
      zoom: (factor, x) => {
        this.unhover();
        this.camera.zoom(factor, x / this.width);
      },
      scrollSideways: (dx) => this.camera.panBy(dx / this.width),
    }, signal);
  }

  /** Where the eye is: on `node` if that is in sight, else under the pointer, else in the middle. */
  eye(node: number): Eye {
    const placement = this.placement();
    const { view, scroll, width } = placement;
    const seen = (at: number) => {
      if (at < 0 || this.layout.row[at]! >= this.layout.rowCount) return false;
      const { x, w, y } = this.boxOf(at);
      return x + w >= 0 && x <= width && y > 0 && y < this.height && this.layout.w[at]! > 0;
    };
    let at = [node, this.hovered].find(seen) ?? -1;
    for (let row = Math.floor((scroll + this.height - RULER) / ROW); at < 0 && row >= 0; row--) {
      at = hitRow(this.layout, row, view, width, width / 2);
    }
    return { node: at, view, box: at < 0 ? { x: 0, y: 0, w: width, h: 0 } : this.boxOf(at) };
  }

  /** Other boxes; a node stays where the eye is on it. `was` gives the node that a node was. */
  setLayout(layout: Layout, eye: Eye, node: number, was: (node: number) => number): void {
    const { camera, width } = this;
    const whole = camera.isWhole;
    const old = this.layout;
    this.layout = this.drawn = layout;
    camera.setRange(layout.from, layout.to, false);
    const wide = node >= 0 ? layout.w[node]! : 0;
    if (!whole && wide > 0 && width > 0) {
      const span = (wide * width) / Math.max(eye.box.w, 1e-6);
      const x0 = layout.x[node]! - (eye.box.x / width) * span;
      camera.show(x0, x0 + span, false);
    }
    if (node >= 0 && eye.node >= 0) this.scrollTo = RULER + layout.row[node]! * ROW - eye.box.y;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.morph = calm || layout.x.length > MOST ? null : new Morph(old, eye.view, layout, camera.view, was);
  }

  /** Boxes of another state of the same profile. */
  update(layout: Layout): void {
    const keep = !this.camera.isWhole;
    this.layout = this.drawn = layout;
    this.morph = null;
    this.camera.setRange(layout.from, layout.to, keep);
  }

  /** Takes the room that the boxes need, up to `most` pixels; `empty` says why there are none. */
  fit(most: number, empty: (() => string) | null): void {
    this.nothing.hidden = !empty;
    this.spacer.hidden = empty !== null;
    this.nothing.textContent = empty ? empty() : "";
    const rows = empty ? 0 : RULER + this.layout.rowCount * ROW + 4;
    this.spacer.style.height = `${rows}px`;
    this.element.style.height = `${Math.max(LEAST_HEIGHT, Math.min(most, rows + BORDER))}px`;
    if (this.scrollTo !== null) this.element.scrollTop = this.scrollTo;
    this.scrollTo = null;
    this.minimap.element.hidden = empty !== null;
    this.resize();
  }

  readonly measure = (text: string): number => this.painter.measure(text);

  /** What would be drawn on a canvas of any height. */
  scene(): Scene | null {
    const look = this.events.look();
    return look && { ...look, ...this.placement(), height: this.height, hovered: -1 };
  }

  boxOf(node: number): Box {
    return boxOf(this.placement(), node);
  }

  /** Zooms by the keyboard: at a node if it is in sight. */
  zoomBy(factor: number, node: number): void {
    this.camera.zoomSmoothly(factor, this.middle(node));
  }

  private middle(node: number): number {
    if (node < 0) return 0.5;
    const { x0, x1 } = this.camera.target;
    const at = (this.layout.x[node]! + this.layout.w[node]! / 2 - x0) / (x1 - x0);
    return at >= 0 && at <= 1 ? at : 0.5;
  }

  zoomTo(node: number): void {
    if (node < 0 || !(this.layout.w[node]! > 0)) return;
    const { x, w } = this.layout;
    this.unhover();
    this.camera.show(x[node]!, x[node]! + w[node]!);
  }

  /** Brings a node into sight with as little movement as can be. */
  reveal(node: number): void {
    const { x, w, row } = this.layout;
    const view = this.camera.target;
    const [left, right] = [x[node]!, x[node]! + w[node]!];
    if (right < view.x0 || left > view.x1) {
      const span = Math.max(view.x1 - view.x0, w[node]! * 1.2);
      const middle = (left + right) / 2;
      this.camera.show(middle - span / 2, middle + span / 2);
    }
    const top = row[node]! * ROW;
    const room = this.height - RULER - ROW;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top > this.element.scrollTop + room) this.element.scrollTop = top - room;
  }

  private hover(x: number, y: number): void {
    const node = hit(this.placement(), x, y);
    this.canvas.classList.toggle("tp-over", node >= 0);
    if (node !== this.hovered) {
      this.hovered = node;
      this.draw();
    }
    if (node < 0) return this.tooltip.hide();
    const box = this.canvas.getBoundingClientRect();
    const top = box.top + this.boxOf(node).y;
    this.tooltip.show(node, { x: box.left + x, top, bottom: top + ROW }, () => this.events.tell(node));
  }

  unhover(): void {
    this.tooltip.hide();
    if (this.hovered < 0) return;
    this.hovered = -1;
    this.draw();
  }

  /** The tooltip at a node that was reached by keyboard. */
  tip(node: number): void {
    if (node < 0) return;
    const canvas = this.canvas.getBoundingClientRect();
    const box = boxOf({ ...this.placement(), view: this.camera.target }, node);
    const x = canvas.left + Math.min(Math.max(box.x, 0), this.width - 20);
    const top = canvas.top + Math.min(Math.max(box.y, RULER), this.height);
    this.tooltip.show(node, { x, top, bottom: top + ROW }, () => this.events.tell(node));
  }

  private resize(): void {
    this.width = this.spacer.clientWidth || this.width;
    this.height = this.element.clientHeight || this.height;
    this.events.resized();
    this.draw();
  }

  private placement(): Placement {
    return { layout: this.drawn, view: this.camera.view, scroll: this.element.scrollTop, width: this.width };
  }

  draw(): void {
    this.frame ||= requestAnimationFrame((now) => this.paint(now));
  }

  private paint(now: number): void {
    this.frame = 0;
    const moving = this.camera.advance(now);
    const between = this.morph?.at(now) ?? null;
    if (!between) this.morph = null;
    this.drawn = between ?? this.layout;
    if (moving || between) this.draw();
    if (this.camera.target !== this.target) this.events.moved((this.target = this.camera.target));
    const { width, height, canvas, hovered } = this;
    const look = this.events.look();
    if (!look || width <= 0 || height <= 0 || this.spacer.hidden) return;
    const ratio = devicePixelRatio || 1;
    const [w, h2] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== w || canvas.height !== h2 || ratio !== this.ratio) {
      this.ratio = ratio;
      canvas.width = w;
      canvas.height = h2;
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    this.painter.paint({ ...look, ...this.placement(), height, hovered }, ratio);
    this.minimap.draw(look, this.layout, this.camera.view, width, ratio);
  }
}
