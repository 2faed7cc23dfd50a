// The flame graph as a piece of page: puts the parts together and holds their state.
import type { Block } from "./border.ts";
import { sameSelection, type Selection } from "./bus.ts";
import type { Box } from "./canvas.ts";
import { colorize, type ColorMode, type Coloring } from "./color.ts";
import { Details } from "./details.ts";
import { h } from "./dom.ts";
import { facts, label, title, whyEmpty } from "./facts.ts";
import { integer, percent } from "./format.ts";
import { commandOf, walk, type Command } from "./keys.ts";
import { layout, type Layout } from "./layout.ts";
import { Legend } from "./legend.ts";
import type { Host, View } from "./mount.ts";
import { nodeOf, selectionAt } from "./rows.ts";
import { both, matchedTotal, ofEntry, search, type Match } from "./search.ts";
import { Stage, type Look } from "./stage.ts";
import { readTheme, watchTheme, type Theme } from "./theme.ts";
import { Toolbar } from "./toolbar.ts";
import { buildTree, isMetric, kindOf, nameOf, sameNode, totalOf, type Metric, type Tree } from "./tree.ts";
import { Twin } from "./twin.ts";

export interface FlameOptions extends Host {
  readonly metric: Metric;
}

interface Handle {
  boxOf(node: number): Box;
  nodes: { name: string; kind: string }[];
}

export class Flame implements View {
  readonly element: HTMLElement;
  private readonly heading = h("div", { class: "tp-title", "data-testid": "tokprof-title" });
  private readonly toolbar: Toolbar;
  private readonly legend: Legend;
  private readonly details = new Details();
  private readonly twin = new Twin();
  private readonly stage: Stage;

  private tree: Tree;
  private layout: Layout;
  private coloring: Coloring;
  private theme: Theme | null = null;
  /** A host may render before it puts the element into the page, where alone it has the page's colours. */
  private themed = false;
  private metric: Metric;
  private mode: ColorMode = "model";
  private query = "";
  private picked: string | null = null;
  private match: Match | null = null;
  private selection = -1;

  constructor(block: Block, private readonly options: FlameOptions) {
    const { signal } = options;
    this.metric = options.metric;
    this.tree = buildTree(block);
    this.layout = layout(this.tree, this.metric);
    this.coloring = colorize(this.tree, this.mode);
    this.stage = new Stage(this.layout, {
      clicked: (node) => {
        this.element.focus({ preventScroll: true });
        this.choose(node);
      },
      resized: () => this.resized(),
      look: () => this.look(),
      tell: (node) => ({ name: label(this.tree, node), facts: facts(this.tree, this.metric, node) }),
    }, signal);
    this.toolbar = new Toolbar(this.metric, this.mode, {
      metric: (metric) => this.setMetric(metric),
      mode: (mode) => this.setMode(mode),
      search: (text) => this.find(text, this.picked),
      reset: () => this.reset(),
    });
    this.legend = new Legend((key) => this.find(this.query, key));
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
      this.stage.element,
      this.details.element,
      this.details.live,
      this.twin.element,
      this.stage.tooltip.element,
    );
    watchTheme(() => this.readTheme(), signal);
    this.element.addEventListener("keydown", (event) => this.key(event), { signal });
    this.element.addEventListener("focusout", () => this.stage.tooltip.hide(), { signal });
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
    this.stage.draw();
  }

  setBlock(block: Block): void {
    const selected = sameNode(this.tree.block, block, this.selection);
    this.tree = buildTree(block);
    this.coloring = colorize(this.tree, this.mode);
    this.stage.unhover();
    this.selection = selected;
    this.relayout(!this.stage.camera.isWhole);
    this.refresh();
  }

  showSelection(selection: Selection): void {
    // A function and the one call it makes have the same rows; the reader's choice between them stays.
    if (sameSelection(selection, selectionAt(this.tree, this.selection))) return;
    const node = nodeOf(this.tree, selection);
    this.selection = node;
    if (node >= 0) this.stage.reveal(node);
    this.showNode();
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
        return this.stage.zoomBy(command === "in" ? 1.6 : 1 / 1.6, this.selection);
      case "reset":
        return this.reset();
      case "escape":
        if (!this.stage.camera.isWhole) return this.stage.camera.showAll();
        if (this.match) return this.reset();
        this.stage.tooltip.hide();
        return this.choose(-1);
      case "search":
        this.toolbar.input.focus();
        return this.toolbar.input.select();
      case "zoom":
        return this.stage.zoomTo(this.selection);
      default: {
        const node = walk(this.tree, this.selection, command, (n) => this.isShown(n));
        this.choose(node);
        this.stage.reveal(node);
        this.stage.tip(node);
      }
    }
  }

  private isShown(node: number): boolean {
    return this.metric === "time" || this.layout.w[node]! > 0 || this.layout.marks.includes(node);
  }

  private choose(node: number): void {
    if (node === this.selection) return;
    this.selection = node;
    this.showNode();
    this.options.select(selectionAt(this.tree, node));
  }

  private showNode(): void {
    const { tree, metric, selection } = this;
    this.element.dataset["selected"] = String(selection);
    this.root().dataset["selected"] = String(selection);
    this.details.render(tree, metric, selection);
    this.details.announce(tree, metric, selection);
    const id = this.twin.select(selection);
    if (id) this.element.setAttribute("aria-activedescendant", id);
    else this.element.removeAttribute("aria-activedescendant");
    this.stage.draw();
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
    this.stage.draw();
  }

  private reset(): void {
    this.toolbar.input.value = "";
    this.find("", null);
    this.stage.camera.showAll();
  }

  private relayout(keepView: boolean): void {
    this.layout = layout(this.tree, this.metric);
    this.stage.setLayout(this.layout, keepView);
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
      boxOf: (node) => this.stage.boxOf(node),
      get nodes() {
        return Array.from({ length: block.nodes }, (_, node) => ({ name: nameOf(block, node), kind: kindOf(block, node) }));
      },
    };
    const empty = placed.order.length === 0 || !(placed.to > placed.from);
    this.match = both(search(tree, this.query), this.picked === null ? null : ofEntry(this.coloring, this.picked));
    if (theme) this.legend.render(tree, this.coloring, theme, this.picked);
    this.twin.render(tree, metric);
    this.stage.fit(this.options.height, empty ? () => whyEmpty(tree, metric) : null);
    this.showNode();
  }

  private resized(): void {
    if (this.theme && !this.themed && this.element.isConnected) this.readTheme();
  }

  private look(): Look | null {
    const { tree, coloring, match, selection: selected, theme } = this;
    this.toolbar.setChanged(!this.stage.camera.isWhole || match !== null);
    return theme && { tree, coloring, match, selected, theme };
  }
}

export function initialMetric(...candidates: unknown[]): Metric {
  return candidates.find(isMetric) ?? "tokens";
}
