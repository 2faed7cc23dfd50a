// The drawing in its window: what part is in sight, what the pointer is on, and the tooltip beside it.
import { h } from "../dom.ts";
import type { Fact } from "../facts.ts";
import { fitted, kept, revealed, zoomed, type Sight } from "./camera.ts";
import { s, type Drawing } from "./draw.ts";
import { NODE_HEIGHT, NODE_WIDTH, type Placed } from "./layout.ts";
import { listenToGraph, type Target } from "./pointer.ts";
import { Tooltip } from "../tooltip.ts";

export interface GraphStageEvents {
  /** A click on a node or an edge (behind the nodes), or beside all of them (-1). */
  clicked(index: number): void;
  /** A double click on a node, or a click on its sign of hidden steps. */
  opened(node: number): void;
  resized(): void;
  tell(index: number): { name: string; facts: readonly Fact[] };
}

/** Below this scale, only names and one figure can be read. */
const FAR = 0.68;
const LEAST_HEIGHT = 150;
/** The graph begins no smaller than this: readers see its beginning, and may zoom out. */
const LEGIBLE = 0.45;

export class GraphStage {
  readonly tooltip = new Tooltip();
  private readonly view = s("g");
  private readonly svg = s("svg", { class: "tp-graph", "aria-hidden": "true" }, this.view);
  private readonly nothing = h("p", { class: "tp-nothing", "data-testid": "tokprof-nothing", hidden: true });
  readonly element = h("div", { class: "tp-stage", "data-testid": "tokprof-graph" }, this.svg, this.nothing);
  private drawing: Drawing = { layers: [], nodes: [], edges: [] };
  private placed: Placed = { nodes: [], edges: [], width: 1, height: 1 };
  private sight: Sight = { x: 0, y: 0, k: 1 };
  /** Whether the reader has not moved the drawing yet. */
  private untouched = true;
  private width = 0;
  private height = 0;
  private hovered: Element | null = null;

  constructor(private readonly events: GraphStageEvents, signal: AbortSignal) {
    const resize = new ResizeObserver(() => this.resize());
    resize.observe(this.element);
    signal.addEventListener("abort", () => {
      resize.disconnect();
      this.tooltip.hide();
    });
    listenToGraph(this.element, {
      hover: (target, x, y) => this.hover(target, x, y),
      leave: () => this.unhover(),
      click: (target) => (target.part === "more" ? events.opened(target.at) : events.clicked(this.indexOf(target))),
      doubleClick: (target) => target.part === "node" && events.opened(target.at),
      drag: (dx, dy) => this.look({ ...this.sight, x: this.sight.x + dx, y: this.sight.y + dy }),
      zoom: (factor, x, y) => {
        this.unhover();
        this.look(zoomed(this.sight, factor, { x, y }));
      },
    }, signal);
  }

  private indexOf({ part, at }: Target): number {
    if (part === "nothing") return -1;
    return part === "edge" ? this.drawing.nodes.length + at : at;
  }

  /** Shows another drawing; the node `anchor`, which was `before` in the old one, stays where it is. */
  show(drawing: Drawing, placed: Placed, anchor = -1, before = -1): void {
    const old = this.placed.nodes[before];
    this.unhover();
    this.drawing = drawing;
    this.placed = placed;
    this.view.replaceChildren(...drawing.layers);
    const now = placed.nodes[anchor];
    if (old && now) {
      const { x, y, k } = this.sight;
      this.apply({ k, x: x + (old.x - now.x) * k, y: y + (old.y - now.y) * k });
      this.untouched = false;
    } else if (this.untouched) {
      this.begin();
    } else {
      this.apply(this.sight);
    }
  }

  /** Takes the room that the drawing needs, up to `most` pixels; `empty` says why there is none. */
  takeRoom(most: number, empty: string): void {
    this.nothing.hidden = !empty;
    this.svg.style.display = empty ? "none" : "";
    this.nothing.textContent = empty;
    const { width, height } = this.placed;
    const scale = Math.max(LEGIBLE, Math.min(1, (this.width || width) / width));
    const wanted = empty ? 0 : Math.ceil(height * scale);
    // A running cell adds steps: the room may grow, but what stands below does not jump back.
    this.height = Math.max(this.untouched ? 0 : this.height, Math.max(LEAST_HEIGHT, Math.min(most, wanted)));
    this.element.style.height = `${this.height}px`;
    if (this.untouched) this.begin();
  }

  /** What the reader sees at first: all of it if that can be read, else where it begins. */
  private begin(): void {
    const whole = fitted(this.placed, this.room());
    if (whole.k >= LEGIBLE) return this.apply(whole);
    const k = LEGIBLE;
    const root = this.placed.nodes[0] ?? { x: 0, y: 0 };
    const { width, height } = this.room();
    const place = (size: number, at: number, window: number) =>
      size * k <= window ? (window - size * k) / 2 : Math.min(0, Math.max(window - size * k, window / 2 - at * k));
    const x = place(this.placed.width, root.x + NODE_WIDTH / 2, width);
    const y = place(this.placed.height, root.y + NODE_HEIGHT / 2, height);
    this.apply({ k, x, y });
  }

  fitAll(): void {
    this.untouched = true;
    this.apply(fitted(this.placed, this.room()));
  }

  zoomBy(factor: number, node: number): void {
    const corner = this.placed.nodes[node];
    const { x, y, k } = this.sight;
    const at = corner
      ? { x: (corner.x + NODE_WIDTH / 2) * k + x, y: (corner.y + NODE_HEIGHT / 2) * k + y }
      : { x: this.width / 2, y: this.height / 2 };
    this.look(zoomed(this.sight, factor, at));
  }

  reveal(node: number): void {
    const corner = this.placed.nodes[node];
    if (!corner) return;
    const next = revealed(this.sight, { ...corner, width: NODE_WIDTH, height: NODE_HEIGHT }, this.room());
    if (next.x !== this.sight.x || next.y !== this.sight.y) this.look(next);
  }

  /** Starts over at the next drawing. */
  forget(): void {
    this.untouched = true;
  }

  private room(): { width: number; height: number } {
    return { width: this.width || 600, height: this.height || LEAST_HEIGHT };
  }

  private look(sight: Sight): void {
    this.untouched = false;
    this.apply(sight);
  }

  private apply(sight: Sight): void {
    const { x, y, k } = (this.sight = kept(sight, this.placed, this.room()));
    this.view.setAttribute("transform", `translate(${x},${y}) scale(${k})`);
    this.svg.classList.toggle("tp-is-far", k < FAR);
  }

  private resize(): void {
    const width = this.element.clientWidth;
    if (width === 0 || width === this.width) return;
    this.width = width;
    this.events.resized();
    if (this.untouched) this.begin();
  }

  get measuredWidth(): number {
    return this.width || this.element.clientWidth;
  }

  private hover(target: Target, x: number, y: number): void {
    const index = this.indexOf(target);
    const element = this.elementOf(index);
    if (element !== this.hovered) {
      this.mark(this.hovered, false);
      this.mark(element, true);
      this.hovered = element;
    }
    if (index < 0) return this.tooltip.hide();
    const box = element!.getBoundingClientRect();
    const [top, bottom] = target.part === "edge" ? [y - 8, y + 8] : [box.top, box.bottom];
    this.tooltip.show(index, { x, top, bottom }, () => this.events.tell(index));
  }

  private elementOf(index: number): SVGGElement | null {
    const { nodes, edges } = this.drawing;
    return nodes[index] ?? edges[index - nodes.length] ?? null;
  }

  private mark(element: Element | null, on: boolean): void {
    if (!element) return;
    element.classList.toggle("tp-over", on);
    const edge = element.getAttribute("data-edge");
    if (edge === null) return;
    for (const label of this.view.querySelectorAll(`[data-of="${edge}"]`)) label.classList.toggle("tp-over", on);
  }

  unhover(): void {
    this.tooltip.hide();
    this.mark(this.hovered, false);
    this.hovered = null;
  }

  /** The tooltip at a node that was reached by keyboard. */
  tip(node: number): void {
    const box = this.drawing.nodes[node]?.getBoundingClientRect();
    const stage = this.element.getBoundingClientRect();
    if (!box) return;
    const x = Math.min(Math.max(box.left, stage.left), stage.right - 20);
    this.tooltip.show(node, { x, top: box.top, bottom: box.bottom }, () => this.events.tell(node));
  }

  /** Marks what is selected, what selected rows are in, and what a search has left over. */
  highlight(selected: number, within: ReadonlySet<number>, mask: Uint8Array | null, touches: (edge: number) => boolean): void {
    const { nodes, edges } = this.drawing;
    this.svg.classList.toggle("tp-searched", mask !== null);
    nodes.forEach((element, at) => {
      element.classList.toggle("tp-selected", at === selected);
      element.classList.toggle("tp-within", at !== selected && within.has(at));
      element.classList.toggle("tp-dim", mask !== null && !mask[at]);
    });
    edges.forEach((element, at) => {
      element.classList.toggle("tp-selected", nodes.length + at === selected);
      element.classList.toggle("tp-touch", touches(at));
    });
    for (const label of this.view.querySelectorAll(".tp-label")) {
      label.classList.toggle("tp-selected", nodes.length + Number(label.getAttribute("data-of")) === selected);
    }
  }
}
