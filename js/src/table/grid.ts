// A table of any length: only the rows in sight are in the page. Head, first column and totals stay where they are.
import { h } from "../dom.ts";

export interface GridColumn {
  readonly id: string;
  readonly title: string;
  readonly hint: string;
  readonly width: number;
}

export interface GridCell {
  readonly text: string;
  /** From 0 to 1. */
  readonly bar?: number;
  readonly class?: string;
}

export interface GridRow {
  readonly label: string;
  readonly note: string;
  readonly level: number;
  readonly open: boolean | undefined;
  readonly place: number;
  readonly of: number;
  readonly selected: "true" | "false" | "mixed";
  readonly cells: readonly GridCell[];
}

export interface GridEvents {
  sort(id: string): void;
  row(at: number): GridRow;
  clicked(at: number, event: MouseEvent): void;
  toggled(at: number): void;
  resized(): void;
}

export const ROW_HEIGHT = 26;
const BEYOND = 10;

export class Grid {
  readonly element = h("div", { class: "tp-grid", "data-testid": "tokprof-grid" });
  readonly table: HTMLTableElement;
  private readonly sizes = h("colgroup");
  private readonly head = h("tr", { role: "row" });
  private readonly body = h("tbody", { role: "rowgroup" });
  private readonly foot = h("tr", { role: "row", class: "tp-total", "data-testid": "tokprof-total" });
  private readonly id = `tokprof-${Math.random().toString(36).slice(2, 10)}`;
  private columns: readonly GridColumn[] = [];
  private length = 0;
  private first = 0;
  private last = 0;
  private focused = -1;
  private frame = 0;

  constructor(label: string, private readonly events: GridEvents, signal: AbortSignal) {
    this.table = h(
      "table",
      { class: "tp-table", role: "treegrid", tabindex: 0, "aria-label": label, "aria-multiselectable": "true", "data-testid": "tokprof-table" },
      this.sizes,
      h("thead", { role: "rowgroup" }, this.head),
      this.body,
      h("tfoot", { role: "rowgroup" }, this.foot),
    );
    this.element.append(this.table);
    const resize = new ResizeObserver(() => {
      this.events.resized();
      this.draw();
    });
    resize.observe(this.element);
    signal.addEventListener("abort", () => {
      resize.disconnect();
      cancelAnimationFrame(this.frame);
    });
    this.element.addEventListener("scroll", () => this.drawSoon(), { signal, passive: true });
    this.body.addEventListener("click", (event) => this.click(event), { signal });
    this.body.addEventListener("mousedown", (event) => {
      if (event.shiftKey) event.preventDefault(); // selects rows, not text
    }, { signal });
    this.head.addEventListener("keydown", (event) => this.headKey(event), { signal });
  }

  get room(): number {
    return this.element.clientWidth;
  }

  /** Rows that are in sight at once. */
  get page(): number {
    return Math.max(1, Math.floor((this.element.clientHeight - 3 * ROW_HEIGHT) / ROW_HEIGHT));
  }

  setColumns(columns: readonly GridColumn[]): void {
    this.columns = columns;
    this.sizes.replaceChildren(...columns.map(({ width }) => h("col", { style: `width:${width}px` })));
    this.table.style.width = `${columns.reduce((sum, { width }) => sum + width, 0)}px`;
    this.table.setAttribute("aria-colcount", String(columns.length));
  }

  /** `by` is the column that the rows are sorted by. */
  setHead(by: string, descending: boolean): void {
    const focused = this.head.querySelector<HTMLElement>(":focus")?.dataset["column"];
    const cells = this.columns.map(({ id, title, hint }, at) => {
      const sorted = id === by;
      const arrow = h("span", { class: "tp-arrow", "aria-hidden": "true" }, sorted ? (descending ? "▾" : "▴") : "");
      const button = h("button", {
        type: "button", title: hint, tabindex: sorted ? 0 : -1, "data-column": id, "data-testid": `tokprof-sort-${id}`,
        click: () => this.events.sort(id),
      }, ...(at === 0 ? [title, arrow] : [arrow, title]));
      return h("th", {
        scope: "col", role: "columnheader", "aria-colindex": at + 1, "aria-sort": sorted ? (descending ? "descending" : "ascending") : "none",
      }, button);
    });
    this.head.replaceChildren(...cells);
    const buttons = [...this.head.querySelectorAll<HTMLElement>("button")];
    if (!buttons.some((button) => button.tabIndex === 0) && buttons[0]) buttons[0].tabIndex = 0;
    if (focused !== undefined) buttons.find((button) => button.dataset["column"] === focused)?.focus({ preventScroll: true });
  }

  setTotal(label: string, cells: readonly GridCell[]): void {
    this.foot.replaceChildren(h("th", { scope: "row", role: "rowheader", title: label }, label), ...cells.map(cellOf));
  }

  setLength(length: number): void {
    this.length = length;
    this.table.setAttribute("aria-rowcount", String(length + 2));
    this.draw(true);
  }

  /** Height that shows everything, in pixels. */
  get whole(): number {
    return (this.length + 2) * ROW_HEIGHT + 4;
  }

  focus(at: number): void {
    this.focused = at;
    this.draw(true);
  }

  /** Scrolls as little as can be. */
  reveal(at: number): void {
    const top = at * ROW_HEIGHT;
    const view = this.element.clientHeight - 2 * ROW_HEIGHT;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top + ROW_HEIGHT > this.element.scrollTop + view) this.element.scrollTop = top + ROW_HEIGHT - view;
    this.draw();
  }

  private drawSoon(): void {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.draw());
  }

  /** Puts the rows in sight into the page, unless they are there; `anew` where they may have changed. */
  draw(anew = false): void {
    const top = Math.floor(this.element.scrollTop / ROW_HEIGHT);
    const shown = Math.ceil(this.element.clientHeight / ROW_HEIGHT);
    const [from, to] = [Math.max(0, Math.min(top, this.length - shown)), Math.min(this.length, top + shown)];
    if (!anew && from >= this.first && to <= this.last) return;
    this.first = Math.max(0, from - BEYOND);
    this.last = Math.min(this.length, to + BEYOND);
    const rows: HTMLElement[] = [];
    for (let at = this.first; at < this.last; at++) rows.push(this.rowOf(at));
    this.body.replaceChildren(spacer(this.first), ...rows, spacer(this.length - this.last));
    const here = this.focused >= this.first && this.focused < this.last;
    if (here) this.table.setAttribute("aria-activedescendant", `${this.id}-${this.focused}`);
    else this.table.removeAttribute("aria-activedescendant");
  }

  private rowOf(at: number): HTMLElement {
    const row = this.events.row(at);
    const open = row.open;
    const twist = h("span", { class: "tp-twist", "aria-hidden": "true" }, open === undefined ? "" : open ? "▾" : "▸");
    const label = h("span", { class: "tp-label" }, row.label);
    if (row.note) label.append(h("span", { class: "tp-note" }, row.note));
    const name = h("th", { scope: "row", role: "rowheader", title: [row.label, row.note].filter(Boolean).join("\n") }, twist, label);
    name.style.setProperty("--level", String(row.level - 1));
    return h(
      "tr",
      {
        id: `${this.id}-${at}`,
        role: "row",
        class: [at === this.focused ? "tp-focused" : "", row.level > 1 ? "tp-inner" : "", at % 2 ? "tp-odd" : ""].join(" ").trim(),
        "data-at": at,
        "data-testid": "tokprof-row",
        "aria-rowindex": at + 2,
        "aria-level": row.level,
        "aria-posinset": row.place,
        "aria-setsize": row.of,
        "aria-selected": row.selected === "true" ? "true" : "false",
        "data-selected": row.selected,
        "aria-expanded": open === undefined ? undefined : String(open),
      },
      name,
      ...row.cells.map(cellOf),
    );
  }

  private click(event: MouseEvent): void {
    const target = event.target as Element;
    const row = target.closest<HTMLElement>("tr[data-at]");
    if (!row) return;
    const at = Number(row.dataset["at"]);
    this.table.focus({ preventScroll: true });
    if (target.closest(".tp-twist") && row.hasAttribute("aria-expanded")) this.events.toggled(at);
    else this.events.clicked(at, event);
  }

  private headKey(event: KeyboardEvent): void {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const buttons = [...this.head.querySelectorAll<HTMLElement>("button")];
    const now = buttons.findIndex((button) => button === event.target);
    const next = buttons[Math.max(0, Math.min(buttons.length - 1, now + step))]!;
    for (const button of buttons) button.tabIndex = button === next ? 0 : -1;
    next.focus();
  }
}

function cellOf(cell: GridCell): HTMLElement {
  const element = h("td", { role: "gridcell", class: cell.class });
  if (cell.bar === undefined) {
    element.append(cell.text);
    return element;
  }
  const fill = h("i");
  fill.style.width = `${(100 * Math.max(0, Math.min(1, cell.bar))).toFixed(2)}%`;
  element.append(h("span", { class: "tp-bar", "aria-hidden": "true" }, fill), h("span", { class: "tp-percent" }, cell.text));
  return element;
}

function spacer(rows: number): HTMLElement {
  const cell = h("td", { "aria-hidden": "true" });
  cell.style.height = `${rows * ROW_HEIGHT}px`;
  const row = h("tr", { class: "tp-gap", role: "presentation", "aria-hidden": "true" }, cell);
  row.hidden = rows <= 0;
  return row;
}
