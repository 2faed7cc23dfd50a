// The cost table as a piece of page: puts the parts together and holds their state.
import type { Block } from "../border.ts";
import { includes, NOTHING, sameSelection, selectionOf, type Selection } from "../bus.ts";
import { Chooser } from "./chooser.ts";
import { COLUMNS, firstWidth, fitting, placesFor, unshown, widened, type Column, type Scale } from "./columns.ts";
import { copyText, markdown, tsv } from "../clipboard.ts";
import { DetailPanel, say } from "../detail.ts";
import { h } from "../dom.ts";
import { title, whyEmpty } from "../facts.ts";
import { dollars, integer, plain, plural } from "../format.ts";
import { Grid, ROW_HEIGHT, type GridCell, type GridRow } from "./grid.ts";
import { filterEntries } from "./grouping.ts";
import { buildLedger, CALL, keyName, type Key, type Ledger } from "./ledger.ts";
import { Lines, NAME, type Line, type Order } from "./lines.ts";
import type { Host, View } from "../mount.ts";
import { COST_PARTS, figureOf, markOf, sumUp, type Sums } from "./sums.ts";
import { buildTree } from "../tree.ts";
import { tableKey, type TableCommand } from "./keys.ts";

export interface CostsOptions extends Host {
  /** One or two keys to group by. */
  readonly by: readonly string[];
}

const LEAST_ROWS = 6;

export class Costs implements View {
  readonly element: HTMLElement;
  private readonly heading = h("div", { class: "tp-title", "data-testid": "tokprof-title" });
  private readonly first = h("select", { "aria-label": "Group by", "data-testid": "tokprof-by", change: () => this.groupBy(0) });
  private readonly second = h("select", { "aria-label": "then by", "data-testid": "tokprof-then", change: () => this.groupBy(1) });
  private readonly input: HTMLInputElement;
  private readonly found = h("output", { class: "tp-found", "data-testid": "tokprof-filter-found" });
  private readonly chooser: Chooser;
  private readonly grid: Grid;
  private readonly detail: DetailPanel;
  private readonly status = h("div", { class: "tp-details", "data-testid": "tokprof-status" });
  private readonly live = h("div", { class: "tp-hidden", "aria-live": "polite", "data-testid": "tokprof-live" });
  private readonly nothing = h("p", { class: "tp-nothing", hidden: true, "data-testid": "tokprof-costs-nothing" });

  private ledger: Ledger;
  private keys: Key[];
  private order: Order;
  private readonly open = new Set<string>();
  private chosen: ReadonlySet<string> | null = null;
  private columns: readonly Column[] = [];
  private all: Sums;
  private matching: Sums;
  private model: Lines;
  private lines: Line[] = [];
  private scale: Scale;
  private selection: Selection = NOTHING;
  private readonly states = new Map<string, GridRow["selected"]>();
  private picked = new Set<string>();
  private focused = -1;
  private anchor = -1;
  private hiddenFor: Selection | null = null;

  constructor(block: Block, private readonly options: CostsOptions) {
    const { signal } = options;
    this.keys = options.by.slice(0, 2).map(String);
    this.ledger = buildLedger(buildTree(block));
    this.all = this.matching = sumUp(this.ledger, filterEntries(this.ledger, ""));
    this.scale = { all: this.all, places: 4 };
    this.settleKeys();
    this.model = new Lines(this.ledger, this.keys, this.all.entries);
    this.order = { by: figureOf(this.all, "cost") > 0 ? "cost" : "tokens", descending: true };
    this.input = h("input", {
      type: "search", placeholder: "Filter", "aria-label": "Filter calls by name, model, code, tag or error", "data-testid": "tokprof-filter",
      autocomplete: "off", spellcheck: "false", input: () => this.filter(),
    });
    this.chooser = new Chooser((ids) => {
      this.chosen = ids;
      this.arrange();
    }, signal);
    this.grid = new Grid("Costs", {
      sort: (id) => this.sort(id),
      row: (at) => this.rowOf(at),
      clicked: (at, event) => this.clicked(at, event),
      toggled: (at) => this.toggle(at),
      resized: () => this.arrange(),
    }, signal);
    this.detail = new DetailPanel(options.detail, () => {
      this.hiddenFor = this.selection;
      this.detail.hide();
      this.grid.table.focus({ preventScroll: true });
    }, signal);
    const copy = (kind: "tsv" | "markdown", text: string, hint: string) => {
      const button = h("button", { type: "button", class: "tp-button", title: hint, "data-testid": `tokprof-copy-${kind}` }, text);
      button.addEventListener("click", () => void this.copy(kind).then((done) => say(button, done ? "Copied" : "Not allowed", text)));
      return button;
    };
    const field = (caption: string, ...parts: HTMLElement[]) =>
      h("div", { class: "tp-field" }, h("span", { class: "tp-caption", "aria-hidden": "true" }, caption), ...parts);
    this.element = h(
      "div",
      { class: "tp-costs", "data-lm-suppress-shortcuts": "true", "data-testid": "tokprof-costs" },
      h("div", { class: "tp-head" }, this.heading, h(
        "div",
        { class: "tp-toolbar", role: "toolbar", "aria-label": "Cost table" },
        field("By", this.first, h("span", { class: "tp-caption", "aria-hidden": "true" }, "then"), this.second),
        h("div", { class: "tp-field tp-find" }, h("div", { class: "tp-search" }, this.input, this.found)),
        h("div", { class: "tp-field" }, this.chooser.button,
          h("div", { class: "tp-buttons", role: "group", "aria-label": "Copy" },
            copy("tsv", "Copy TSV", "What is shown, or the chosen rows, for a spreadsheet"), copy("markdown", "Markdown", "The same as a Markdown table"))),
      ), this.chooser.panel),
      h("div", { class: "tp-costs-body" }, h("div", { class: "tp-costs-main" }, this.grid.element, this.nothing), this.detail.element),
      this.status,
      this.live,
    );
    this.element.addEventListener("keydown", (event) => this.key(event), { signal });
  }

  /** To be called once the element is in the page. */
  start(): void {
    this.refresh();
  }

  setBlock(block: Block): void {
    const focused = this.lines[this.focused]?.id;
    this.ledger = buildLedger(buildTree(block));
    this.settleKeys();
    this.refresh();
    this.focused = focused === undefined ? -1 : this.lines.findIndex((line) => line.id === focused);
    this.grid.focus(this.focused);
  }

  showSelection(selection: Selection): void {
    if (sameSelection(selection, this.selection)) return;
    this.picked.clear();
    this.take(selection);
    const entry = this.chosenEntry();
    if (entry >= 0) this.reveal(entry);
  }

  /** Brings a call into sight, and opens the groups around it. */
  private reveal(entry: number): void {
    if (!this.matching.entries.includes(entry)) return;
    for (const id of this.model.above(entry)) this.open.add(id);
    this.relist();
    const node = this.ledger.node[entry];
    const at = this.lines.findIndex((line) => line.node === node);
    if (at >= 0) this.go(at);
  }

  private settleKeys(): void {
    // A tag may come with a later block; until then nothing has it.
    const known = (key: Key | undefined): key is Key =>
      key !== undefined && (this.ledger.keys.includes(key) || key.startsWith("tag:"));
    const [first, second] = this.keys;
    this.keys = [known(first) ? first : "model"];
    if (known(second) && second !== this.keys[0] && this.keys[0] !== CALL && second !== CALL) this.keys.push(second);
  }

  private groupBy(level: number): void {
    const select = level === 0 ? this.first : this.second;
    this.keys = level === 0 ? [select.value, ...this.keys.slice(1)] : [this.keys[0]!, ...(select.value ? [select.value] : [])];
    this.settleKeys();
    this.open.clear();
    this.focused = -1;
    this.refresh();
  }

  private filter(): void {
    this.refresh();
    this.focused = -1;
    this.grid.focus(-1);
  }

  private sort(id: string): void {
    const words = id === NAME;
    this.order = this.order.by === id ? { by: id, descending: !this.order.descending } : { by: id, descending: !words };
    const focused = this.lines[this.focused]?.id;
    this.relist();
    this.focused = focused === undefined ? -1 : this.lines.findIndex((line) => line.id === focused);
    this.grid.focus(this.focused);
  }

  private toggle(at: number): void {
    const line = this.lines[at];
    if (!line || line.open === undefined) return;
    if (line.open) this.open.delete(line.id);
    else this.open.add(line.id);
    this.relist();
    this.focused = at;
    this.grid.focus(at);
  }

  private key(event: KeyboardEvent): void {
    const { target } = event;
    const withModifier = event.ctrlKey || event.metaKey || event.altKey;
    if (event.key !== "Tab" && !withModifier) event.stopPropagation();
    if (event.defaultPrevented) return;
    if (target === this.input) {
      if (event.key !== "Escape" && event.key !== "Enter" && event.key !== "ArrowDown") return;
      event.preventDefault();
      if (event.key === "Escape" && this.input.value) {
        this.input.value = "";
        return this.filter();
      }
      return this.grid.table.focus({ preventScroll: true });
    }
    const command = tableKey(event);
    const typing = target instanceof HTMLSelectElement || (target instanceof HTMLInputElement && target.type !== "checkbox");
    if (!command || typing) return;
    if (target !== this.grid.table && command !== "search" && command !== "clear") return;
    if (command === "copy" && !(getSelection()?.isCollapsed ?? true)) return; // the reader has marked a text
    event.preventDefault();
    event.stopPropagation();
    this.run(command, event.shiftKey);
  }

  private run(command: TableCommand, extend: boolean): void {
    const at = this.focused;
    const line = this.lines[at];
    switch (command) {
      case "search":
        this.input.focus();
        return this.input.select();
      case "clear":
        if (this.selection.rows.length > 0) return this.choose([]);
        if (this.input.value) {
          this.input.value = "";
          this.filter();
        }
        return;
      case "copy":
        void this.copy("tsv").then((done) => (this.live.textContent = done ? "Copied" : "Copying is not allowed here"));
        return;
      case "all":
        return this.choose(this.lines.map((_, i) => i));
      case "pick":
        return line && this.pick(at);
      case "open":
        if (line?.open !== undefined) this.toggle(at);
        else if (line) this.choose([at]);
        return;
      case "right":
        if (line?.open === false) return this.toggle(at);
        return line?.open ? this.walk(at + 1, false) : undefined;
      case "left": {
        if (line?.open) return this.toggle(at);
        let up = at;
        while (up > 0 && this.lines[up]!.level >= (line?.level ?? 0)) up--;
        return line && line.level > 1 ? this.walk(up, false) : undefined;
      }
      default: {
        const page = this.grid.page;
        const to = { up: at - 1, down: at + 1, home: 0, end: this.lines.length - 1, pageup: at - page, pagedown: at + page }[command];
        this.walk(at < 0 && command !== "end" ? 0 : to, extend);
      }
    }
  }

  private walk(to: number, extend: boolean): void {
    if (this.lines.length === 0) return;
    const at = Math.max(0, Math.min(this.lines.length - 1, to));
    if (extend && this.anchor >= 0) this.range(at);
    else this.choose([at]);
    this.go(at);
  }

  private go(at: number): void {
    this.focused = at;
    this.grid.focus(at);
    this.grid.reveal(at);
  }

  private clicked(at: number, event: MouseEvent): void {
    this.focused = at;
    if (event.shiftKey && this.anchor >= 0) this.range(at);
    else if (event.ctrlKey || event.metaKey) this.pick(at);
    else this.choose([at]);
    this.grid.focus(at);
  }

  private range(at: number): void {
    const { anchor } = this;
    const [from, to] = anchor < at ? [anchor, at] : [at, anchor];
    this.choose(Array.from({ length: to - from + 1 }, (_, i) => from + i));
    this.anchor = anchor;
  }

  /** Adds a line to the chosen ones, or takes it away. */
  private pick(at: number): void {
    const { id } = this.lines[at]!;
    const ids = new Set(this.picked);
    if (!ids.delete(id)) ids.add(id);
    this.choose(this.lines.flatMap((line, i) => (ids.has(line.id) ? [i] : [])));
    this.anchor = at;
  }

  private choose(ats: readonly number[]): void {
    const chosen = ats.map((at) => this.lines[at]!);
    this.picked = new Set(chosen.map((line) => line.id));
    this.anchor = ats.at(-1) ?? -1;
    const rows = new Set<number>();
    const { block } = this.ledger.tree;
    for (const { entries } of chosen) {
      for (const entry of entries) if (block.row[this.ledger.node[entry]!]! >= 0) rows.add(block.row[this.ledger.node[entry]!]!);
    }
    const name = chosen.length === 1 ? chosen[0]!.label : `${integer(chosen.length)} rows`;
    const selection = rows.size === 0 ? NOTHING : selectionOf([...rows].sort((a, b) => a - b), name);
    this.take(selection);
    this.options.select(selection);
  }

  /** What is selected now, whoever chose it. */
  private take(selection: Selection): void {
    this.selection = selection;
    this.states.clear();
    this.showDetail();
    this.grid.draw(true);
    this.tell();
  }

  private chosenEntries(): number[] {
    if (this.selection.rows.length === 0) return [];
    const { block } = this.ledger.tree;
    return this.all.entries.filter((entry) => block.row[this.ledger.node[entry]!]! >= 0 && includes(this.selection, block.row[this.ledger.node[entry]!]!));
  }

  /** The one call that is chosen, or -1. */
  private chosenEntry(): number {
    const entries = this.chosenEntries();
    return entries.length === 1 ? entries[0]! : -1;
  }

  private showDetail(): void {
    const entry = this.chosenEntry();
    if (this.hiddenFor && sameSelection(this.hiddenFor, this.selection)) return;
    this.hiddenFor = null;
    if (entry >= 0) this.detail.show(this.ledger.tree, this.ledger.node[entry]!);
    else this.detail.hide();
    this.element.classList.toggle("tp-with-detail", entry >= 0);
  }

  private tell(): void {
    const entries = this.chosenEntries();
    if (entries.length === 0) {
      const keys: [string, string][] = [["↑ ↓", "walk"], ["Enter", "open"], ["Shift ↑ ↓", "select more"], ["/", "filter"], [COMMAND, "copy"]];
      this.status.replaceChildren(...keys.map(([key, what]) => h("span", { class: "tp-hint" }, h("kbd", {}, key), what)));
      this.live.textContent = "";
      return;
    }
    const sums = sumUp(this.ledger, entries);
    const text = (figure: "tokens" | "cost", value: string, what: string) => {
      const mark = markOf(sums, figure);
      return mark === "?" || mark === "–" ? `${what} unknown` : `${mark ? `${mark} ` : ""}${value}`;
    };
    const parts = [
      plural(sums.calls, "call"),
      text("tokens", `${integer(sums.tokens)} tokens`, "tokens"),
      text("cost", dollars(sums.cost), "price"),
    ];
    const name = plain(this.selection.label, 80);
    this.status.replaceChildren(h("strong", {}, name || "Selected"), ...parts.map((part) => h("span", {}, part)));
    this.live.textContent = [name, ...parts].join(", ");
  }

  private rowOf(at: number): GridRow {
    const line = this.lines[at]!;
    const { place, of, level, open, note } = line;
    return { place, of, level, open, note, label: line.label, selected: this.stateOf(line), cells: this.cellsOf(line.sums) };
  }

  private cellsOf(sums: Sums): GridCell[] {
    return this.columns.map((column) => {
      const text = column.text(sums, this.scale);
      const tone = column.tone && text !== "0" ? "tp-bad" : text === "–" || text === "0" ? "tp-quiet" : /^[?≥~]/.test(text) ? "tp-part" : "";
      const kind = column.words ? "tp-words" : column.bar ? "tp-share" : "";
      const cell = { text, class: [kind, tone].filter(Boolean).join(" ") };
      if (!column.bar) return cell;
      return { ...cell, bar: text ? column.value(sums) / column.value(this.all) : 0 };
    });
  }

  private stateOf(line: Line): GridRow["selected"] {
    if (this.selection.rows.length === 0) return "false";
    let state = this.states.get(line.id);
    if (!state) {
      const { block } = this.ledger.tree;
      let inside = 0;
      for (const entry of line.entries) {
        const row = block.row[this.ledger.node[entry]!]!;
        if (row >= 0 && includes(this.selection, row)) inside++;
      }
      state = inside === 0 ? "false" : inside === line.entries.length ? "true" : "mixed";
      this.states.set(line.id, state);
    }
    return state;
  }

  /** Everything that depends on the block, the keys or the filter. */
  private refresh(): void {
    const { ledger, keys } = this;
    const text = this.input.value;
    this.all = sumUp(ledger, filterEntries(ledger, ""));
    this.matching = text.trim() ? sumUp(ledger, filterEntries(ledger, text)) : this.all;
    this.model = new Lines(ledger, keys, this.matching.entries);
    const amounts = this.model.sums().flatMap((sums) => sums.cost);
    this.scale = { all: this.all, places: placesFor([...amounts, ...COST_PARTS.map((name) => this.all[name])]) };
    const { name, parts } = title(ledger.tree);
    this.heading.replaceChildren(h("strong", {}, name), ...parts.map((part) => h("span", {}, part)));
    this.grid.table.setAttribute("aria-label", `Costs of ${name} by ${keys.map(keyName).join(", then ")}`);
    this.found.textContent = this.matching === this.all ? "" : this.matching.entries.length === 0 ? "none" : `${integer(this.matching.calls)} of ${integer(this.all.calls)}`;
    const option = (key: Key) => h("option", { value: key }, keyName(key));
    const choices = [...ledger.keys];
    for (const key of keys) if (!choices.includes(key)) choices.push(key);
    this.first.replaceChildren(...choices.map(option));
    this.first.value = keys[0]!;
    this.second.replaceChildren(h("option", { value: "" }, "–"), ...choices.filter((key) => key !== keys[0] && key !== CALL).map(option));
    this.second.value = keys[1] ?? "";
    this.second.disabled = keys[0] === CALL;
    const empty = this.all.entries.length === 0;
    this.nothing.hidden = !empty;
    this.grid.element.hidden = empty;
    this.nothing.textContent = empty ? whyEmpty(ledger.tree, "tokens") : "";
    this.arrange(true);
    this.showDetail();
    this.tell();
  }

  /** Chooses the columns; without `anew` nothing else has changed but the room. */
  private arrange(anew = false): void {
    const { room } = this.grid;
    if (room === 0 && !anew) return;
    const sized = COLUMNS.map((column) => widened(column, this.scale));
    const chosen = this.chosen;
    const columns = chosen ? sized.filter(({ id }) => chosen.has(id)) : fitting(sized, this.all, room || 800);
    const layout = JSON.stringify([room, columns.map(({ id, width }) => [id, width])]);
    if (!anew && layout === this.element.dataset["layout"]) return;
    this.element.dataset["layout"] = layout;
    this.columns = columns;
    const first = { id: NAME, title: this.keys.map(keyName).join(" / "), hint: "Name", width: firstWidth(room || 800, columns) };
    this.grid.setColumns([first, ...columns]);
    this.chooser.render(COLUMNS, columns, chosen !== null, chosen ? 0 : unshown(COLUMNS, this.all, columns));
    this.relist();
  }

  /** Everything that depends on the order and on what is open. */
  private relist(): void {
    this.lines = this.model.list(this.order, this.open);
    this.states.clear();
    this.grid.setHead(this.order.by, this.order.descending);
    const some = this.matching !== this.all;
    this.grid.setTotal(some ? `${plural(this.matching.calls, "call")} found` : `All ${plural(this.all.calls, "call")}`, this.cellsOf(this.matching));
    const least = (LEAST_ROWS + 2) * ROW_HEIGHT;
    const bar = this.grid.element.offsetHeight - this.grid.element.clientHeight;
    const whole = (this.lines.length + 2) * ROW_HEIGHT + bar + 1;
    this.grid.element.style.height = `${Math.max(Math.min(least, whole), Math.min(this.options.height, whole))}px`;
    this.grid.setLength(this.lines.length);
    this.element.dataset["rows"] = String(this.lines.length);
  }

  /** Copies the chosen rows, or all that the table would show if it had room for it, with the totals. */
  private copy(kind: "tsv" | "markdown"): Promise<boolean> {
    const { scale } = this;
    const some = this.lines.filter((line) => this.picked.has(line.id));
    const lines = some.length > 0 ? some : this.lines;
    const columns = this.columns.filter((column) => kind === "markdown" || !column.bar);
    const head = [this.keys.map(keyName).join(" / "), ...columns.map((column) => column.title)];
    const label = (line: Line) => `${"\u2003".repeat(line.level - 1)}${line.label}`;
    const totals = some.length > 0 ? [] : [{ label: "Total", sums: this.matching }];
    if (kind === "markdown") {
      const cells = (sums: Sums) => columns.map((column) => column.text(sums, scale));
      const rows = [...lines.map((line) => [label(line), ...cells(line.sums)]), ...totals.map(({ label: name, sums }) => [name, ...cells(sums)])];
      return copyText(markdown([head, ...rows]));
    }
    const cells = (sums: Sums) => columns.map((column) => (column.words ? column.text(sums, scale) : column.value(sums)));
    const rows = [...lines.map((line) => [line.label, ...cells(line.sums)]), ...totals.map(({ label: name, sums }) => [name, ...cells(sums)])];
    return copyText(tsv([head, ...rows]));
  }
}

const COMMAND = typeof navigator !== "undefined" && /Mac|iP(hone|ad)/.test(navigator.platform) ? "⌘ C" : "Ctrl C";
