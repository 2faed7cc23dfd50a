// The flame graph as a piece of page: puts the parts together and holds their state.
import type { Block } from "./border.ts";
import { boxOf, hit, Painter, ROW, RULER, type Box, type Placement, type Scene } from "./canvas.ts";
import { Camera } from "./camera.ts";
import { colorize, type ColorMode, type Coloring } from "./color.ts";
import { Details } from "./details.ts";
import { h } from "./dom.ts";
import { facts, label, title, whyEmpty } from "./facts.ts";
import { integer, percent } from "./format.ts";
import { commandOf, walk, type Command } from "./keys.ts";
import { layout, type Layout } from "./layout.ts";
import { Legend } from "./legend.ts";
import { listenToPointer } from "./pointer.ts";
import { both, matchedTotal, ofEntry, search, type Match } from "./search.ts";
import { readTheme, watchTheme, type Theme } from "./theme.ts";
import { Toolbar } from "./toolbar.ts";
import { Tooltip } from "./tooltip.ts";
import { buildTree, isMetric, kindOf, nameOf, sameNode, totalOf, type Metric, type Tree } from "./tree.ts";
import { Twin } from "./twin.ts";

export interface FlameOptions {
  readonly metric: Metric;
  /** Most that the graph may be high, in pixels; beyond it the rows scroll. */
  readonly height: number;
  /** Called when the reader selects a node, or none (-1). */
  readonly selected: (node: number) => void;
  readonly signal: AbortSignal;
}

interface Handle {
  boxOf(node: number): Box;
  nodes: { name: string; kind: string }[];
}

const LEAST_HEIGHT = RULER + 3 * ROW;

export class Flame {
  readonly element: HTMLElement;
  private readonly heading = h("div", { class: "tp-title", "data-testid": "tokprof-title" });
  private readonly canvas = h("canvas", { class: "tp-canvas", "aria-hidden": "true", "data-testid": "tokprof-canvas" });
  private readonly spacer = h("div", { class: "tp-spacer" });
  private readonly scroller: HTMLElement;
  private readonly nothing = h("p", { class: "tp-nothing", "data-testid": "tokprof-nothing", hidden: true });
  private readonly toolbar: Toolbar;
  private readonly legend: Legend;
  private readonly details = new Details();
  private readonly twin = new Twin();
  private readonly tooltip = new Tooltip();
  private readonly painter: Painter;

  private tree: Tree;
  private layout: Layout;
  private coloring: Coloring;
  private theme: Theme | null = null;
  /** A host may render before it puts the element into the page, where alone it has the page's colours. */
  private themed = false;
  private metric: Metric;
  private mode: ColorMode = "model";
  private readonly camera: Camera;
  private query = "";
  private picked: string | null = null;
  private match: Match | null = null;
  private selection = -1;
  private hovered = -1;
  private width = 0;
  private height = 0;
  private ratio = 1;
  private frame = 0;

  constructor(block: Block, private readonly options: FlameOptions) {
    const { signal } = options;
    this.metric = options.metric;
    this.tree = buildTree(block);
    this.layout = layout(this.tree, this.metric);
    this.coloring = colorize(this.tree, this.mode);
    this.camera = new Camera(this.layout.from, this.layout.to, () => this.draw());
    this.painter = new Painter(this.canvas.getContext("2d", { alpha: false })!);
    this.toolbar = new Toolbar(this.metric, this.mode, {
      metric: (metric) => this.setMetric(metric),
      mode: (mode) => this.setMode(mode),
      search: (text) => this.find(text, this.picked),
      reset: () => this.reset(),
    });
    this.legend = new Legend((key) => this.find(this.query, key));
    this.scroller = h("div", { class: "tp-scroller" }, this.spacer, this.nothing);
    this.spacer.append(this.canvas);
    this.element = h(
      "div",
      {
        class: "tp-flame",
        tabindex: 0,
        role: "application",
        "aria-roledescription": "flame graph",
        "data-lm-suppress-shortcuts": "true",
        "data-testid": "tokprof-flame",
      },
      h("div", { class: "tp-head" }, this.heading, this.toolbar.element, this.legend.element),
      this.scroller,
      this.details.element,
      this.details.live,
      this.twin.element,
      this.tooltip.element,
    );
    this.listen(signal);
  }

  /** To be called once the element is in the page. */
  start(): void {
    this.readTheme();
    this.refresh();
  }

  private readTheme(): void {
    this.theme = readTheme(this.element);
    this.themed = this.element.isConnected;
    this.legend.render(this.tree, this.coloring, this.theme, this.picked);
    this.draw();
  }

  setBlock(block: Block): void {
    const selected = sameNode(this.tree.block, block, this.selection);
    this.tree = buildTree(block);
    this.coloring = colorize(this.tree, this.mode);
    this.hovered = -1;
    this.tooltip.hide();
    this.selection = selected;
    this.relayout(!this.camera.isWhole);
    this.refresh();
  }

  /** Selects a node without telling anybody. */
  select(node: number): void {
    const known = node >= 0 && node < this.tree.block.nodes ? node : -1;
    if (known === this.selection) return;
    this.selection = known;
    if (known >= 0) this.reveal(known);
    this.showSelection();
  }

  private listen(signal: AbortSignal): void {
    const resize = new ResizeObserver(() => this.resize());
    resize.observe(this.scroller);
    signal.addEventListener("abort", () => {
      resize.disconnect();
      cancelAnimationFrame(this.frame);
      this.tooltip.hide();
    });
    watchTheme(() => this.readTheme(), signal);
    this.scroller.addEventListener("scroll", () => {
      // Rows also scroll because the keyboard went to a node; its tooltip goes with it.
      if (this.hovered < 0 && this.tooltip.node >= 0) this.tip(this.tooltip.node);
      else this.unhover();
      this.draw();
    }, { signal, passive: true });
    this.element.addEventListener("keydown", (event) => this.key(event), { signal });
    this.element.addEventListener("focusout", () => this.tooltip.hide(), { signal });
    listenToPointer(this.canvas, {
      hover: (x, y) => this.hover(x, y),
      leave: () => this.unhover(),
      click: (x, y) => {
        this.element.focus({ preventScroll: true });
        this.choose(hit(this.placement(), x, y));
      },
      doubleClick: (x, y) => this.zoomTo(hit(this.placement(), x, y)),
      drag: (dx, dy) => {
        this.camera.panBy(-dx / this.width);
        this.scroller.scrollTop -= dy;
      },
      zoom: (factor, x) => {
        this.unhover();
        this.camera.zoom(factor, x / this.width);
      },
      scrollSideways: (dx) => this.camera.panBy(dx / this.width),
    }, signal);
  }

  private key(event: KeyboardEvent): void {
    const command = commandOf(event);
    const typing = event.target === this.toolbar.input;
    if (event.key !== "Tab" && !event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
    if (typing && (event.key === "Escape" || event.key === "Enter")) {
      event.preventDefault();
      if (event.key === "Escape") this.find((this.toolbar.input.value = ""), this.picked);
      this.element.focus({ preventScroll: true });
      return;
    }
    const control = event.target !== this.element;
    if (!command || typing || event.defaultPrevented) return;
    if (control && command !== "escape" && command !== "search") return;
    event.preventDefault();
    this.run(command);
  }

  private run(command: Command): void {
    switch (command) {
      case "in":
      case "out":
        return this.camera.zoomSmoothly(command === "in" ? 1.6 : 1 / 1.6, this.middle());
      case "reset":
        return this.reset();
      case "escape":
        if (!this.camera.isWhole) return this.camera.showAll();
        if (this.match) return this.reset();
        this.tooltip.hide();
        return this.choose(-1);
      case "search":
        this.toolbar.input.focus();
        return this.toolbar.input.select();
      case "zoom":
        return this.zoomTo(this.selection);
      default: {
        const node = walk(this.tree, this.selection, command, (n) => this.isShown(n));
        this.choose(node);
        this.reveal(node);
        this.tip(node);
      }
    }
  }

  private isShown(node: number): boolean {
    return this.metric === "time" || this.layout.w[node]! > 0 || this.layout.marks.includes(node);
  }

  /** Where keyboard zoom aims: at the selected node if it is in sight. */
  private middle(): number {
    if (this.selection < 0) return 0.5;
    const { x0, x1 } = this.camera.target;
    const at = (this.layout.x[this.selection]! + this.layout.w[this.selection]! / 2 - x0) / (x1 - x0);
    return at >= 0 && at <= 1 ? at : 0.5;
  }

  private choose(node: number): void {
    if (node === this.selection) return;
    this.selection = node;
    this.showSelection();
    this.options.selected(node);
  }

  private showSelection(): void {
    const { tree, metric, selection } = this;
    this.element.dataset["selected"] = String(selection);
    this.root().dataset["selected"] = String(selection);
    this.details.render(tree, metric, selection);
    this.details.announce(tree, metric, selection);
    const id = this.twin.select(selection);
    if (id) this.element.setAttribute("aria-activedescendant", id);
    else this.element.removeAttribute("aria-activedescendant");
    this.draw();
  }

  private setMetric(metric: Metric): void {
    this.metric = metric;
    this.relayout(false);
    this.find(this.query, this.picked);
    this.refresh();
  }

  private setMode(mode: ColorMode): void {
    this.mode = mode;
    this.coloring = colorize(this.tree, mode);
    this.find(this.query, null);
  }

  private find(text: string, picked: string | null): void {
    this.query = text;
    this.picked = picked;
    const { tree, metric } = this;
    const found = search(tree, text);
    this.match = both(found, picked === null ? null : ofEntry(this.coloring, picked));
    if (this.match && found) {
      const share = percent(Math.min(totalOf(tree, metric, 0), matchedTotal(tree, metric, this.match)), totalOf(tree, metric, 0));
      this.toolbar.setFound(this.match.count === 0 ? "none" : `${integer(this.match.count)} · ${share}`);
    } else {
      this.toolbar.setFound("");
    }
    if (this.theme) this.legend.render(tree, this.coloring, this.theme, picked);
    this.draw();
  }

  private reset(): void {
    this.toolbar.input.value = "";
    this.find("", null);
    this.camera.showAll();
  }

  private zoomTo(node: number): void {
    if (node < 0 || !(this.layout.w[node]! > 0)) return;
    const { x, w } = this.layout;
    this.unhover();
    this.camera.show(x[node]!, x[node]! + w[node]!);
  }

  /** Brings a node into sight with as little movement as can be. */
  private reveal(node: number): void {
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
    if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
    else if (top > this.scroller.scrollTop + room) this.scroller.scrollTop = top - room;
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
    const top = box.top + boxOf(this.placement(), node).y;
    this.tooltip.show(node, { x: box.left + x, top, bottom: top + ROW }, () => this.content(node));
  }

  private unhover(): void {
    this.tooltip.hide();
    if (this.hovered < 0) return;
    this.hovered = -1;
    this.draw();
  }

  /** The tooltip at a node that was reached by keyboard. */
  private tip(node: number): void {
    if (node < 0) return;
    const canvas = this.canvas.getBoundingClientRect();
    const box = boxOf({ ...this.placement(), view: this.camera.target }, node);
    const x = canvas.left + Math.min(Math.max(box.x, 0), this.width - 20);
    const top = canvas.top + Math.min(Math.max(box.y, RULER), this.height);
    this.tooltip.show(node, { x, top, bottom: top + ROW }, () => this.content(node));
  }

  private content(node: number) {
    return { name: label(this.tree, node), facts: facts(this.tree, this.metric, node) };
  }

  private relayout(keepView: boolean): void {
    this.layout = layout(this.tree, this.metric);
    this.camera.setRange(this.layout.from, this.layout.to, keepView);
  }

  private root(): HTMLElement & { tokprof?: Handle } {
    return this.element.closest<HTMLElement>(".tokprof") ?? this.element;
  }

  /** Everything that depends on the block or the metric. */
  private refresh(): void {
    const { tree, metric, layout: placed, theme } = this;
    const { block } = tree;
    const { name, parts } = title(tree);
    this.heading.replaceChildren(h("strong", {}, name), ...parts.map((part) => h("span", {}, part)));
    this.element.setAttribute("aria-label", `Token flame graph, ${[name, ...parts].join(", ")}`);
    const root = this.root();
    root.dataset["nodes"] = String(block.nodes);
    root.dataset["metric"] = metric;
    root.tokprof = {
      boxOf: (node) => boxOf(this.placement(), node),
      get nodes() {
        return Array.from({ length: block.nodes }, (_, node) => ({ name: nameOf(block, node), kind: kindOf(block, node) }));
      },
    };
    const empty = placed.order.length === 0 || !(placed.to > placed.from);
    this.nothing.hidden = !empty;
    this.spacer.hidden = empty;
    this.nothing.textContent = empty ? whyEmpty(tree, metric) : "";
    const rows = empty ? 0 : RULER + placed.rowCount * ROW + 4;
    this.spacer.style.height = `${rows}px`;
    this.scroller.style.height = `${Math.max(LEAST_HEIGHT, Math.min(this.options.height, rows))}px`;
    this.match = both(search(tree, this.query), this.picked === null ? null : ofEntry(this.coloring, this.picked));
    if (theme) this.legend.render(tree, this.coloring, theme, this.picked);
    this.twin.render(tree, metric);
    this.resize();
    this.showSelection();
  }

  private resize(): void {
    this.width = this.spacer.clientWidth || this.width;
    this.height = this.scroller.clientHeight || this.height;
    if (this.theme && !this.themed && this.element.isConnected) this.readTheme();
    this.draw();
  }

  private placement(): Placement {
    return { layout: this.layout, view: this.camera.view, scroll: this.scroller.scrollTop, width: this.width };
  }

  private draw(): void {
    this.frame ||= requestAnimationFrame((now) => this.paint(now));
  }

  private paint(now: number): void {
    this.frame = 0;
    if (this.camera.advance(now)) this.draw();
    const { theme, width, height, canvas } = this;
    this.toolbar.setChanged(!this.camera.isWhole || this.match !== null);
    if (!theme || width <= 0 || height <= 0 || this.spacer.hidden) return;
    const ratio = devicePixelRatio || 1;
    const [w, h2] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== w || canvas.height !== h2 || ratio !== this.ratio) {
      this.ratio = ratio;
      canvas.width = w;
      canvas.height = h2;
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    const { tree, coloring, match, selection: selected, hovered } = this;
    const scene: Scene = { ...this.placement(), height, tree, coloring, match, selected, hovered, theme };
    this.painter.paint(scene, ratio);
  }
}

export function initialMetric(...candidates: unknown[]): Metric {
  return candidates.find(isMetric) ?? "tokens";
}
