// The flame graph as a piece of page: puts the parts together and holds their state.
import type { Block } from "../border.ts";
import { NOTHING, sameSelection, type Selection } from "../bus.ts";
import type { Box } from "./canvas.ts";
import { colorize, colorsLike, type ColorMode, type Coloring } from "../color.ts";
import { Crumbs, pathTo } from "./crumbs.ts";
import { DetailPanel } from "../detail.ts";
import { Details } from "./details.ts";
import { h } from "../dom.ts";
import { facts, label, title, whyEmpty } from "../facts.ts";
import { filterMenu, unfiltered } from "./filters.ts";
import { integer, percent } from "../format.ts";
import { Help } from "./help.ts";
import { commandOf, walk, type Command } from "./keys.ts";
import { isShown, layout, type Layout } from "../layout.ts";
import { Legend } from "./legend.ts";
import type { Host, View } from "../mount.ts";
import type { Choice } from "./narrow.ts";
import { Orders, type Order } from "./orders.ts";
import { saveMenu } from "./saving.ts";
import { both, inOrder, matchedTotal, ofEntry, search, type Match } from "../search.ts";
import { Stage, type Look } from "./stage.ts";
import { readTheme, watchTheme, type Theme } from "../theme.ts";
import { Toolbar } from "./toolbar.ts";
import { isMetric, isPart, kindOf, nameOf, runsOf, sameNode, totalOf, type Metric, type Tree } from "../tree.ts";
import { Twin } from "./twin.ts";
import type { View as Sight } from "./viewport.ts";

export interface FlameOptions extends Host {
  readonly metric: Metric;
}

/** For tests: nodes are those of the profile, whatever is made of them. */
interface Handle {
  boxOf(node: number): Box;
  nodes: { name: string; kind: string }[];
}

export class Flame implements View {
  readonly element: HTMLElement;
  private readonly heading = h("div", { class: "tp-title", "data-testid": "tokprof-title" });
  private readonly toolbar: Toolbar;
  private readonly legend: Legend;
  private readonly crumbs = new Crumbs((node) => this.goTo(node));
  private readonly details = new Details();
  private readonly detail: DetailPanel;
  private readonly twin = new Twin();
  private readonly help = new Help();
  private readonly stage: Stage;
  private readonly orders: Orders;
  private readonly filters = unfiltered();
  private readonly more = h("button", { type: "button", class: "tp-reset tp-more", "data-testid": "tokprof-more", click: () => this.toggleDetail() });

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
  private matches: number[] | null = null;
  /** Node that is selected, and what is selected where no node is all of it. */
  private selection = -1;
  private scattered: Match | null = null;
  private said: Selection = NOTHING;
  private unfolded = new Set<number>();
  private critical: Uint8Array | null = null;
  private before: Order = "time";
  private detailed = false;

  constructor(block: Block, private readonly options: FlameOptions) {
    const { signal } = options;
    this.metric = options.metric;
    this.orders = new Orders(block, this.choice());
    this.layout = layout(this.tree, this.metric);
    this.coloring = this.colors();
    this.stage = new Stage(this.layout, {
      clicked: (node) => {
        this.element.focus({ preventScroll: true });
        this.choose(node);
      },
      unfolded: (node) => this.unfold(node),
      moved: (view) => this.sight(view),
      resized: () => this.resized(),
      look: () => this.look(),
      tell: (node) => ({ name: label(this.tree, node), facts: facts(this.tree, this.metric, node) }),
    }, signal);
    this.toolbar = new Toolbar(this.metric, this.mode, {
      order: (order) => this.setOrder(order),
      metric: (metric) => this.setMetric(metric),
      mode: (mode) => this.setMode(mode),
      search: (text) => this.type(text),
      match: (way) => this.step(way),
      reset: () => this.reset(),
    }, [filterMenu(this.filters, () => this.orders.base, () => this.narrowed(), signal), saveMenu(this.stage, () => title(this.orders.base), signal)]);
    this.legend = new Legend((key) => this.find(this.query, key));
    this.detail = new DetailPanel(options.detail, () => {
      this.toggleDetail();
      this.element.focus({ preventScroll: true });
    }, signal);
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
      h("div", { class: "tp-head" }, this.heading, this.toolbar.element, this.legend.element, this.crumbs.element),
      this.stage.minimap.element,
      this.stage.element,
      this.details.element,
      this.detail.element,
      this.details.live,
      this.twin.element,
      this.help.element,
      this.stage.tooltip.element,
    );
    watchTheme(() => this.readTheme(), signal);
    this.element.addEventListener("keydown", (event) => this.key(event), { signal });
    this.element.addEventListener("focusout", () => this.stage.tooltip.hide(), { signal });
    this.element.addEventListener("pointerdown", (event) => {
      if (!event.composedPath().includes(this.help.element)) this.toggleHelp(false);
    }, { signal });
  }

  private get tree(): Tree {
    return this.orders.tree;
  }

  /** To be called once the element is in the page. */
  start(): void {
    this.readTheme();
    this.refresh();
  }

  private readTheme(): void {
    this.theme = readTheme(this.element);
    this.themed = this.element.isConnected;
    this.renderLegend();
    this.stage.draw();
  }

  setBlock(block: Block): void {
    const { orders } = this;
    const old = orders.base.block;
    const [selected, focus] = [orders.baseOf(this.selection), orders.focus].map((node) => sameNode(old, block, node!));
    this.unfolded = new Set([...this.unfolded].map((node) => sameNode(old, block, node)));
    this.stage.unhover();
    orders.setChoice(this.choice(null));
    orders.setBlock(block, focus!);
    if (this.filters.only) orders.setChoice(this.choice());
    this.selection = orders.nodeOf(selected!);
    this.layout = layout(this.tree, this.metric);
    this.coloring = this.colors();
    this.stage.update(this.layout);
    this.toolbar.setOrder(orders.order);
    this.refresh();
  }

  showSelection(selection: Selection): void {
    this.said = selection;
    // A function and the one call it makes have the same rows; the reader's choice between them stays.
    if (this.selection >= 0 && sameSelection(selection, this.orders.selectionAt(this.selection))) return;
    this.place(selection);
    if (this.selection >= 0) this.stage.reveal(this.selection);
    this.showNode();
  }

  private place(selection: Selection): void {
    const { node, own } = this.orders.find(selection);
    this.selection = node;
    const count = node < 0 ? own.reduce((sum, one) => sum + one, 0) : 0;
    this.scattered = count > 0 ? { mask: own, count } : null;
  }

  private key(event: KeyboardEvent): void {
    const command = commandOf(event);
    const typing = event.target === this.toolbar.input;
    if (event.key !== "Tab" && !event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
    if (typing && event.key === "Enter") {
      event.preventDefault();
      return this.step(event.shiftKey ? -1 : 1);
    }
    if (typing && event.key === "Escape") {
      event.preventDefault();
      this.type((this.toolbar.input.value = ""));
      return this.element.focus({ preventScroll: true });
    }
    const control = event.target !== this.element;
    if (!command || typing || event.defaultPrevented) return;
    if (control && command !== "escape" && command !== "search") return;
    event.preventDefault();
    this.run(command);
  }

  private run(command: Command): void {
    const { stage, filters } = this;
    switch (command) {
      case "in":
      case "out":
        return stage.zoomBy(command === "in" ? 1.6 : 1 / 1.6, this.selection);
      case "reset":
        return this.reset();
      case "escape":
        if (!this.help.element.hidden) return this.toggleHelp(false);
        if (!stage.camera.isWhole) return stage.camera.showAll();
        if (this.orders.order === "sandwich") return this.setOrder(this.before);
        if (this.match) return this.reset();
        stage.tooltip.hide();
        return this.choose(-1);
      case "search":
        this.toolbar.input.focus();
        return this.toolbar.input.select();
      case "zoom":
        return stage.zoomTo(this.selection);
      case "time":
      case "merged":
      case "sandwich":
        return this.setOrder(command);
      case "unfold":
        return this.unfold(this.selection);
      case "functions":
        if (!filters.kinds.delete("frame")) filters.kinds.add("frame");
        return this.narrowed();
      case "critical":
        filters.critical = !filters.critical;
        return this.narrowed();
      case "match":
        return this.step(1);
      case "detail":
        return this.toggleDetail();
      case "help":
        return this.toggleHelp();
      default:
        this.goTo(walk(this.tree, this.selection, command, (n) => isShown(this.tree, this.layout, n)), false);
    }
  }

  /** Selects a node and brings it into sight, or all of the view to it. */
  private goTo(node: number, zoom = true): void {
    this.choose(node);
    if (zoom) return this.stage.zoomTo(node);
    this.stage.reveal(node);
    this.stage.tip(node);
  }

  private choose(node: number): void {
    if (node === this.selection && !this.scattered) return;
    this.selection = node;
    this.scattered = null;
    this.said = this.orders.selectionAt(node);
    this.showNode();
    this.options.select(this.said);
  }

  private showNode(): void {
    const { tree, metric, selection, orders, more } = this;
    const base = orders.baseOf(selection);
    this.element.dataset["selected"] = this.root().dataset["selected"] = String(base);
    // The details of a part are those of its call.
    const part = isPart(tree, selection) && runsOf(tree, selection) === 1;
    const single = selection >= 0 && (part || (tree.isCall[selection] === 1 && tree.block.row[selection]! >= 0));
    more.textContent = this.detailed ? "Less (d)" : "More (d)";
    more.setAttribute("aria-expanded", String(this.detailed));
    this.details.render(tree, metric, selection, single ? more : undefined);
    this.details.announce(tree, metric, selection);
    if (single && this.detailed) this.detail.show(orders.base, part ? orders.base.block.parent[base]! : base);
    else this.detail.hide();
    const id = this.twin.select(selection);
    if (id) this.element.setAttribute("aria-activedescendant", id);
    else this.element.removeAttribute("aria-activedescendant");
    this.stage.draw();
  }

  private toggleHelp(open?: boolean): void {
    const { element } = this.help;
    if (element.matches(":focus")) this.element.focus({ preventScroll: true });
    this.help.toggle(open);
    this.stage.tooltip.mute(!element.hidden);
  }

  private toggleDetail(): void {
    this.detailed = !this.detailed;
    this.showNode();
  }

  /** Does something to what is drawn, while the eye stays on the node it is on. */
  private change(act: () => void): void {
    const { orders, stage } = this;
    const eye = stage.eye(this.selection);
    const old = this.tree;
    const [seen, selected] = [orders.baseOf(eye.node), orders.baseOf(this.selection)];
    // The node that showed each base node, for where the boxes come from.
    const places = old.block.nodes;
    const before = new Map<number, number>();
    for (let node = places - 1; node >= 0 && places <= 20_000; node--) before.set(orders.baseOf(node), node);
    act();
    this.layout = layout(this.tree, this.metric);
    if (this.tree.block !== old.block) this.coloring = this.colors();
    stage.unhover();
    const same = this.tree.block === old.block;
    stage.setLayout(this.layout, eye, orders.nodeOf(seen), (node) => (same ? node : (before.get(orders.baseOf(node)) ?? -1)));
    if (!same) {
      this.selection = orders.nodeOf(selected);
      if (this.selection < 0 || this.scattered) this.place(this.said);
    }
    this.toolbar.setOrder(orders.order);
    this.refresh();
  }

  private setMetric(metric: Metric): void {
    this.change(() => {
      this.metric = metric;
      this.orders.setMetric(metric);
    });
  }

  private setOrder(order: Order): void {
    const { orders } = this;
    const chosen = orders.baseOf(this.selection);
    if (order === "sandwich" && chosen < 0) {
      this.toolbar.setOrder(orders.order);
      return this.crumbs.say("First choose the function, tool or call whose callers and callees you want to see.");
    }
    if (orders.order !== "sandwich") this.before = orders.order;
    this.stage.camera.showAll();
    this.change(() => orders.setOrder(order, chosen));
  }

  private unfold(node: number): void {
    const { made } = this.tree;
    if (node < 0 || made?.up?.[node]) return;
    const base = this.orders.baseOf(node);
    // Of a chain that is unfolded, any of its functions folds it again.
    let head = base;
    const { parent, kind } = this.orders.base.block;
    while (head > 0 && !this.unfolded.has(head)) head = kind[parent[head]!] === kind[base] ? parent[head]! : -1;
    this.change(() => {
      if (head <= 0 || !this.unfolded.delete(head)) this.unfolded.add(base);
      this.orders.setChoice(this.choice());
    });
  }

  private narrowed(): void {
    this.change(() => this.orders.setChoice(this.choice()));
  }

  private choice(found = this.filters?.only ? search(this.orders.base, this.query) : null): Choice {
    const { kinds, models, least, fold } = this.filters;
    return { kinds, models, least, fold, only: found && found.count > 0 ? found.mask : null, metric: this.metric, unfolded: this.unfolded };
  }

  private setMode(mode: ColorMode): void {
    this.mode = mode;
    this.coloring = this.colors();
    this.find(this.query, null);
  }

  private colors(): Coloring {
    const { tree, orders, mode } = this;
    if (mode === "heat" || mode === "source" || tree === orders.base) return colorize(tree, mode);
    return colorsLike(colorize(orders.base, mode), tree.block.nodes, (node) => orders.baseOf(node));
  }

  private type(text: string): void {
    this.query = text;
    if (this.filters.only) this.narrowed();
    else this.find(text, this.picked);
  }

  private find(text: string, picked: string | null): void {
    this.query = text;
    this.picked = picked;
    const { tree } = this;
    const found = search(tree, text);
    this.match = both(found, picked === null ? null : ofEntry(this.coloring, picked));
    this.matches = null;
    this.count(-1);
    this.renderLegend();
    this.stage.draw();
  }

  /** Says how much was found, and which one of it the reader is at. */
  private count(at: number): void {
    const { match, tree, metric } = this;
    if (!match || !this.query.trim()) return this.toolbar.setFound("", match?.count ?? 0);
    const whole = totalOf(tree, metric, 0);
    const share = percent(Math.min(whole, matchedTotal(tree, metric, match)), whole);
    const place = at < 0 ? "" : `${integer(at + 1)} of `;
    this.toolbar.setFound(match.count === 0 ? "none" : `${place}${integer(at < 0 ? match.count : this.matches!.length)} · ${share}`, match.count);
  }

  private step(way: 1 | -1): void {
    if (!this.match) return;
    const list = (this.matches ??= inOrder(this.tree, this.layout, this.match));
    if (list.length === 0) return this.toolbar.setFound("none to be seen", 0);
    const here = list.indexOf(this.selection);
    const at = here < 0 ? (way > 0 ? 0 : list.length - 1) : (here + way + list.length) % list.length;
    this.goTo(list[at]!, false);
    this.count(at);
  }

  private reset(): void {
    const { orders, filters } = this;
    this.toolbar.input.value = "";
    const narrowed = orders.isNarrowed || orders.order === "sandwich";
    Object.assign(filters, { ...unfiltered(), kinds: filters.kinds, models: filters.models, critical: filters.critical, fold: filters.fold });
    filters.kinds.clear();
    filters.models.clear();
    this.query = "";
    this.picked = null;
    if (narrowed) {
      this.change(() => {
        if (orders.order === "sandwich") orders.setOrder(this.before, -1);
        orders.setChoice(this.choice());
      });
    }
    this.find("", null);
    this.stage.camera.showAll();
  }

  private root(): HTMLElement & { tokprof?: Handle } {
    return this.element.closest<HTMLElement>(".tokprof") ?? this.element;
  }

  private renderLegend(): void {
    if (this.theme) this.legend.render(this.tree, this.coloring, this.theme, this.picked, this.critical !== null);
  }

  /** Everything that depends on the block, on the choice of it, or on the metric. */
  private refresh(): void {
    const { tree, metric, layout: placed, orders } = this;
    const { block } = orders.base;
    const { name, parts } = title(orders.base);
    this.heading.replaceChildren(h("strong", {}, name), ...parts.map((part) => h("span", {}, part)));
    this.element.setAttribute("aria-label", `Token flame graph, ${[name, ...parts].join(", ")}`);
    const root = this.root();
    Object.assign(root.dataset, { nodes: block.nodes, shown: tree.block.nodes, metric, order: orders.order });
    root.tokprof = {
      boxOf: (node) => {
        const at = orders.nodeOf(node);
        return at < 0 ? { x: 0, y: 0, w: 0, h: 0 } : this.stage.boxOf(at);
      },
      get nodes() {
        return Array.from({ length: block.nodes }, (_, node) => ({ name: nameOf(block, node), kind: kindOf(block, node) }));
      },
    };
    const empty = placed.order.length === 0 || !(placed.to > placed.from);
    this.critical = this.filters.critical ? orders.criticalMask() : null;
    this.find(this.query, this.picked);
    this.twin.render(tree, metric);
    this.stage.fit(this.options.height, empty ? () => whyEmpty(tree, metric) : null);
    this.sight(this.stage.camera.target);
    this.showNode();
  }

  private sight(view: Sight): void {
    const { orders, tree } = this;
    const notes: string[] = [];
    if (orders.order === "sandwich") notes.push("callers above, callees below · Esc leaves");
    if (orders.isNarrowed) notes.push(`${integer(tree.totals.calls[0] ?? 0)} of ${integer(orders.base.totals.calls[0] ?? 0)} calls shown`);
    const path = this.stage.camera.isWhole ? [] : pathTo(tree, this.layout, view);
    this.crumbs.render(tree, path, notes.join(" · "));
  }

  private resized(): void {
    if (this.theme && !this.themed && this.element.isConnected) this.readTheme();
  }

  private look(): Look | null {
    const { coloring, match, scattered, critical, selection: selected, theme, orders } = this;
    this.toolbar.setChanged(!this.stage.camera.isWhole || match !== null || orders.isNarrowed || orders.order === "sandwich");
    return theme && { tree: this.tree, coloring, match: match ?? scattered, critical, selected, theme };
  }
}

export function initialMetric(...candidates: unknown[]): Metric {
  return candidates.find(isMetric) ?? "tokens";
}
