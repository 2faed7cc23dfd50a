// The graph of steps as a piece of page: puts the parts together and holds their state.
import type { Block } from "../border.ts";
import { FLOW_VIAS } from "../border.ts";
import { NOTHING, sameSelection, type Selection } from "../bus.ts";
import { colorize } from "../color.ts";
import { h } from "../dom.ts";
import { title, whyEmpty } from "../facts.ts";
import { integer, seconds } from "../format.ts";
import { draw, type Style } from "./draw.ts";
import { callAt, GraphDetails } from "./details.ts";
import { graphFacts, nameAt, notes, openingInWords } from "./facts.ts";
import { layout, type Orientation, type Placed } from "./layout.ts";
import { find, searchGraph, selectionFor } from "./pick.ts";
import { GraphStage } from "./stage.ts";
import { GraphToolbar } from "./toolbar.ts";
import { GraphTwin } from "./twin.ts";
import { step, type Direction } from "./walk.ts";
import { VIA_WORDS } from "./data.ts";
import { buildGraph, MOST_NODES, type EdgeMode, type Graph } from "./graph.ts";
import type { Host, View } from "../mount.ts";
import type { Match } from "../search.ts";
import { readTheme, watchTheme, type Theme } from "../theme.ts";
import { buildTree, type Metric, type Tree } from "../tree.ts";

export interface DagOptions extends Host {
  readonly metric: Metric;
  readonly edges?: EdgeMode;
}

/** Room for the tokens that an edge of data bears. */
const LABEL = 66;
/** Narrower than this, the graph runs downwards. */
const NARROW = 600;

const ARROWS: Readonly<Record<string, Direction>> = {
  ArrowUp: "up",
  ArrowDown: "down",
  ArrowLeft: "left",
  ArrowRight: "right",
};

export class Dag implements View {
  readonly element: HTMLElement;
  private readonly heading = h("div", { class: "tp-title", "data-testid": "tokprof-title" });
  private readonly legend = h("div", { class: "tp-legend", role: "group", "aria-label": "Legend", "data-testid": "tokprof-legend" });
  private readonly note = h("p", { class: "tp-note", role: "status", "data-testid": "tokprof-note" });
  private readonly details: GraphDetails;
  private readonly toolbar: GraphToolbar;
  private readonly twin = new GraphTwin();
  private readonly stage: GraphStage;

  private tree: Tree;
  private graph!: Graph;
  private placed!: Placed;
  private theme: Theme | null = null;
  /** A host may render before it puts the element into the page, where alone it has the page's colours. */
  private themed = false;
  private metric: Metric;
  private edges: EdgeMode;
  private orientation: Orientation = "across";
  private turned = false;
  private threshold = 0;
  private readonly split = new Set<string>();
  private readonly folded = new Set<string>();
  private readonly opened = new Set<string>();
  private query = "";
  private match: Match | null = null;
  /** Node or, behind the nodes, edge. */
  private selected = -1;
  private selection: Selection = NOTHING;
  private within: ReadonlySet<number> = new Set();
  private came = -1;

  constructor(block: Block, private readonly options: DagOptions) {
    const { signal } = options;
    this.metric = options.metric;
    this.edges = options.edges ?? "calls";
    this.tree = buildTree(block);
    this.stage = new GraphStage({
      clicked: (index) => {
        this.element.focus({ preventScroll: true });
        this.choose(index);
      },
      opened: (node) => this.open(node),
      resized: () => this.resized(),
      tell: (index) => ({ name: nameAt(this.graph, index), facts: graphFacts(this.graph, this.metric, index) }),
    }, signal);
    this.toolbar = new GraphToolbar(this.metric, this.orientation, {
      metric: (metric) => this.change(() => (this.metric = metric)),
      edges: (mode) => this.turnTo(mode),
      orientation: (orientation) => {
        this.turned = true;
        this.stage.forget();
        this.change(() => (this.orientation = orientation));
      },
      threshold: (share) => {
        this.toolbar.setThreshold(share);
        this.stage.forget();
        this.change(() => (this.threshold = share));
      },
      critical: (on) => this.stage.element.classList.toggle("tp-show-critical", on),
      search: (text) => this.find(text),
      match: (way) => this.toMatch(way),
      zoom: (factor) => this.stage.zoomBy(factor, this.selected),
      fit: () => this.stage.fitAll(),
    });
    this.stage.element.classList.add("tp-show-critical");
    this.details = new GraphDetails(options, () => this.toggleDetail());
    this.element = h(
      "div",
      {
        class: "tp-dag",
        tabindex: 0,
        role: "application",
        "aria-roledescription": "graph of steps",
        "data-lm-suppress-shortcuts": "true",
        "data-testid": "tokprof-dag",
      },
      h("div", { class: "tp-head" }, this.heading, this.toolbar.element, this.legend, this.note),
      this.stage.element,
      this.details.element,
      this.details.panel.element,
      this.details.live,
      this.twin.element,
      this.stage.tooltip.element,
    );
    watchTheme(() => this.readTheme(), signal);
    this.element.addEventListener("keydown", (event) => this.key(event), { signal });
    this.element.addEventListener("focusout", () => this.stage.tooltip.hide(), { signal });
  }

  start(): void {
    this.orient();
    this.themed = this.element.isConnected;
    this.theme = readTheme(this.element);
    this.render();
  }

  /** A narrow window shows more of a graph that runs downwards. */
  private orient(): void {
    const width = this.stage.measuredWidth;
    if (this.turned || width === 0) return;
    this.orientation = width < NARROW ? "down" : "across";
    this.toolbar.setOrientation(this.orientation);
  }

  private readTheme(): void {
    this.themed = this.element.isConnected;
    this.theme = readTheme(this.element);
    this.render();
  }

  private resized(): void {
    const before = this.orientation;
    this.orient();
    if (!this.theme) return;
    if (!this.themed && this.element.isConnected) this.readTheme();
    else if (before !== this.orientation) this.render();
    else this.stage.takeRoom(this.options.height, this.emptiness());
  }

  setBlock(block: Block): void {
    const same = this.graph.nodes[this.selected]?.key;
    const root = this.graph.nodes[0]?.key;
    this.tree = buildTree(block);
    this.render(same ?? root);
  }

  showSelection(selection: Selection): void {
    if (sameSelection(selection, this.selection)) return;
    this.selection = selection;
    if (selection.rows.length === 0) this.selected = -1;
    this.showSelected();
    if (this.selected >= 0) this.stage.reveal(this.selected);
  }

  /** Draws the graph anew, with the node `after` where the node `before` was in the window. */
  private render(before?: string, after = before): void {
    const { tree, metric, orientation, threshold, split, folded, opened, theme } = this;
    const old = before === undefined ? -1 : this.at(before);
    const chosen = this.graph?.nodes[this.selected]?.key;
    const edges = tree.block.flows ? this.edges : "calls";
    this.toolbar.setEdges(edges, tree.block.flows !== undefined);
    this.graph = buildGraph(tree, { metric, edges, threshold, limit: MOST_NODES, split, folded, opened });
    const label = edges === "data" ? LABEL : 0;
    this.placed = layout({ nodes: this.graph.nodes.length, edges: this.graph.edges, orientation, label });
    this.came = -1;
    this.selected = chosen === undefined ? -1 : this.at(chosen);
    const drawing = draw(this.graph, this.placed, this.style(theme));
    this.stage.show(drawing, this.placed, old < 0 ? -1 : this.at(after), old);
    this.stage.takeRoom(this.options.height, this.emptiness());
    this.twin.render(this.graph, metric);
    this.words();
    this.search();
    this.showSelected();
  }

  private style(theme: Theme | null): Style {
    const coloring = colorize(this.tree, "model");
    const colors = new Map(coloring.legend.map(({ key, color }) => [key, color]));
    const context = document.createElement("canvas").getContext("2d")!;
    const family = getComputedStyle(this.element).fontFamily || "sans-serif";
    const fonts = { name: `600 13.5px ${family}`, far: `600 20px ${family}`, small: `12px ${family}` };
    return {
      metric: this.metric,
      orientation: this.orientation,
      colorOf: (model) => theme?.swatches[colors.get(model) ?? 7]?.fill ?? "",
      measure: (text, font) => {
        context.font = fonts[font];
        return context.measureText(text).width;
      },
    };
  }

  private emptiness(): string {
    const { block, totals } = this.tree;
    return block.nodes === 0 || (totals.calls[0] === 0 && this.graph.nodes.length < 2) ? whyEmpty(this.tree, "tokens") : "";
  }

  private words(): void {
    const { tree, graph } = this;
    const { name, parts } = title(tree);
    this.heading.replaceChildren(h("strong", {}, name), ...parts.map((part) => h("span", {}, part)));
    this.element.setAttribute("aria-label", `Graph of steps${graph.mode === "data" ? " and the answers they pass on" : ""}, ${[name, ...parts].join(", ")}`);
    const { errors, retries } = tree.totals;
    const sign = (mark: Node | string, text: string) =>
      h("span", { class: "tp-sign" }, typeof mark === "string" ? h("b", { "aria-hidden": "true" }, mark) : mark, text);
    const bar = (kind: string) => h("i", { class: `tp-key ${kind}`, "aria-hidden": "true" });
    const data = graph.mode === "data";
    const ways = [...FLOW_VIAS].reverse().filter((via) => graph.edges.some(({ stream }) => stream?.via === via));
    const wires = data
      ? [h("span", { class: "tp-sign" }, "tokens of answers:"), ...ways.map((via) => sign(bar(`tp-key-via tp-via-${via}`), VIA_WORDS[via]))]
      : [sign(bar("tp-key-wire"), "width: tokens carried")];
    this.legend.replaceChildren(
      ...wires,
      sign(data ? "◆" : bar("tp-key-core"), data ? "on the critical path" : `◆ critical path, ${seconds(graph.critical.total[0] ?? 0)}`),
      ...(!data && graph.edges.some(({ back }) => back) ? [sign(bar("tp-key-back"), "recursion")] : []),
      ...(errors[0]! > 0 ? [sign("✕", "failed")] : []),
      ...(retries[0]! > 0 ? [sign("↻", "retry")] : []),
    );
    const nothing = this.edges === "data" && !data ? "No answer came back in a prompt that was kept: the edges show who called whom. " : "";
    this.note.textContent = nothing + notes(graph, this.threshold);
    const root = this.root();
    root.dataset["nodes"] = String(graph.nodes.length);
    root.dataset["metric"] = this.metric;
    root.dataset["edges"] = graph.mode;
    root.tokprof = { nodes: graph.nodes.map((node, at) => ({ name: nameAt(graph, at), kind: node.kind, runs: node.runs })) };
  }

  private root(): HTMLElement & { tokprof?: unknown } {
    return this.element.closest<HTMLElement>(".tokprof") ?? this.element;
  }

  private choose(index: number): void {
    this.selection = selectionFor(this.graph, this.tree, index);
    this.selected = index;
    this.showSelected();
    this.options.select(this.selection);
  }

  private showSelected(): void {
    const { graph } = this;
    const picked = find(graph, this.tree, this.selection, this.selected);
    // A step without rows of its own or below has been chosen all the same.
    if (this.selection.rows.length > 0 || this.selected < 0) this.selected = picked.index;
    // Where one node says it all, the others need no mark.
    this.within = this.selected < 0 ? picked.within : new Set();
    const { selected } = this;
    this.root().dataset["selected"] = selected < 0 ? "" : nameAt(graph, selected);
    const id = this.twin.select(selected);
    if (id) this.element.setAttribute("aria-activedescendant", id);
    else this.element.removeAttribute("aria-activedescendant");
    this.highlight();
    this.tell();
  }

  private highlight(): void {
    const { graph, selected } = this;
    this.stage.highlight(selected, this.within, this.match?.mask ?? null, (edge) => {
      const { from, to } = graph.edges[edge]!;
      return selected >= 0 && selected < graph.nodes.length && (from === selected || to === selected);
    });
  }

  private tell(): void {
    this.details.render(this.graph, this.tree, this.metric, this.selected, this.within.size);
  }

  private toggleDetail(): void {
    this.details.turn();
    this.tell();
    this.element.focus({ preventScroll: true });
  }

  /** More of a node, or less of it. */
  private open(at: number): void {
    const node = this.graph.nodes[at];
    if (!node || !openingInWords(node)) return;
    const { key, base, chained } = node;
    let after = key;
    if (node.hidden > 0) {
      if (!this.folded.delete(key)) this.opened.add(key);
    } else if (node.chain.length > 0) {
      this.opened.add(key);
    } else if (node.runs > 1 && node.run === 0 && base) {
      this.split.add(base);
    } else if (node.run !== 0) {
      this.split.delete(base);
      after = base;
    } else if (chained !== null) {
      this.opened.delete(chained);
      after = chained;
    } else {
      this.folded.add(key);
    }
    this.become(key, after);
  }

  private fold(at: number): void {
    const node = this.graph.nodes[at];
    if (!node || node.inner === 0) return;
    if (node.hidden > 0) return this.open(at);
    this.folded.add(node.key);
    this.become(node.key, node.key);
  }

  /** Draws anew, with `after` in the place of the node `before`, and chooses it. */
  private become(before: string, after: string): void {
    this.render(before, after);
    this.choose(this.at(after));
    this.stage.reveal(this.selected);
  }

  /** The node of a key, or the first one of its runs. */
  private at(key: string | undefined): number {
    const { nodes } = this.graph;
    const same = nodes.findIndex((node) => node.key === key);
    return same >= 0 ? same : nodes.findIndex((node) => node.base === key);
  }

  /** Who called whom, or whose answer went into whose prompt. */
  private turnTo(mode: EdgeMode): void {
    if (!this.tree.block.flows || mode === this.graph.mode) return;
    this.stage.forget();
    this.change(() => (this.edges = mode));
    this.stage.reveal(this.selected);
  }

  private change(apply: () => void): void {
    apply();
    this.render();
  }

  private find(text: string): void {
    this.query = text;
    this.search();
    this.highlight();
  }

  private search(): void {
    this.match = searchGraph(this.graph, this.tree, this.query);
    const count = this.match?.count ?? 0;
    this.toolbar.setFound(this.match ? (count === 0 ? "none" : integer(count)) : "", count);
  }

  private toMatch(way: 1 | -1): void {
    const { match, graph } = this;
    if (!match || match.count === 0) return;
    const n = graph.nodes.length;
    let at = this.selected < n ? this.selected : -1;
    if (at < 0 && way < 0) at = 0;
    do at = (at + way + n) % n;
    while (!match.mask[at]);
    this.choose(at);
    this.stage.reveal(at);
    let place = 0;
    for (let i = 0; i <= at; i++) place += match.mask[i]!;
    this.toolbar.setFound(`${integer(place)} of ${integer(match.count)}`, match.count);
  }

  private key(event: KeyboardEvent): void {
    const { key, ctrlKey, metaKey, altKey } = event;
    const chord = ctrlKey || metaKey || altKey;
    if (key !== "Tab" && !chord) event.stopPropagation();
    if (chord || event.defaultPrevented) return;
    if (event.target === this.toolbar.input) {
      if (key === "Enter") this.toMatch(event.shiftKey ? -1 : 1);
      else if (key === "Escape") {
        this.find((this.toolbar.input.value = ""));
        this.element.focus({ preventScroll: true });
      } else return;
      return event.preventDefault();
    }
    if (event.target !== this.element && key !== "Escape" && key !== "/") return;
    if (this.run(key)) event.preventDefault();
  }

  private run(key: string): boolean {
    const { graph, placed, orientation, selected, stage } = this;
    const direction = ARROWS[key];
    const node = selected < graph.nodes.length ? selected : graph.edges[selected - graph.nodes.length]!.to;
    if (direction) {
      this.walkTo(step(graph, placed, orientation, node, direction, this.came));
      return true;
    }
    switch (key) {
      case "Home":
        this.walkTo(graph.nodes.length > 0 ? 0 : -1);
        return true;
      case "Enter":
        this.open(node);
        return true;
      case " ":
        this.fold(node);
        return true;
      case "+":
      case "=":
      case "-":
        stage.zoomBy(key === "-" ? 1 / 1.3 : 1.3, node);
        return true;
      case "e":
        this.turnTo(graph.mode === "calls" ? "data" : "calls");
        return true;
      case "d":
        if (callAt(graph, this.tree, selected) >= 0) this.toggleDetail();
        return true;
      case "0":
        stage.fitAll();
        return true;
      case "n":
      case "N":
        this.toMatch(key === "n" ? 1 : -1);
        return true;
      case "/":
        this.toolbar.input.focus();
        this.toolbar.input.select();
        return true;
      case "Escape":
        this.element.focus({ preventScroll: true });
        stage.tooltip.hide();
        if (this.query) this.find((this.toolbar.input.value = ""));
        else this.choose(-1);
        return true;
      default:
        return false;
    }
  }

  private walkTo(node: number): void {
    if (node !== this.selected) this.came = this.selected;
    this.choose(node);
    this.stage.reveal(node);
    this.stage.tip(node);
  }
}

