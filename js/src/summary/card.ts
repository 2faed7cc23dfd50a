// The summary as a piece of page. It is made once; a new state changes text and widths, and nothing changes its place.
import type { Selection } from "../bus.ts";
import { sameSelection } from "../bus.ts";
import { h } from "../dom.ts";
import { figures, sentence, sparkline, spent, used, type Budget, type Spender, type State } from "./summary.ts";

const SLOTS = 3;
const [WIDE, TALL] = [132, 24];
const SVG = "http://www.w3.org/2000/svg";

export class SummaryCard {
  readonly element: HTMLElement;
  private readonly title = h("strong", { class: "tp-sum-title" });
  private readonly state = h("span", { class: "tp-sum-phase" });
  private readonly figures = new Map<string, { box: HTMLElement; value: HTMLElement; unit: HTMLElement }>();
  private readonly path = document.createElementNS(SVG, "path");
  private readonly bars: Slot[];
  private readonly notes = h("ul", { class: "tp-sum-notes", "data-testid": "tokprof-notes" });
  private readonly budgets = h("div", { class: "tp-sum-budgets", "data-testid": "tokprof-budgets" });
  private readonly stopped = h("ul", { class: "tp-sum-stopped", "data-testid": "tokprof-stopped" });
  private readonly said = h("div", { class: "tp-hidden", role: "status" });
  private phase = "";

  constructor(first: State, private readonly select: (selection: Selection) => void) {
    const head = h("dl", { class: "tp-sum-figures" });
    for (const { key } of figures(first)) {
      const [value, unit] = [h("dd"), h("dt")];
      const box = h("div", { "data-figure": key, "data-testid": `tokprof-figure-${key}` }, value, unit);
      this.figures.set(key, { box, value, unit });
      head.append(box);
    }
    const line = document.createElementNS(SVG, "svg");
    line.setAttribute("viewBox", `0 0 ${WIDE} ${TALL}`);
    line.setAttribute("preserveAspectRatio", "none");
    line.setAttribute("aria-hidden", "true");
    line.setAttribute("class", "tp-sum-pulse");
    line.append(this.path);
    this.bars = Array.from({ length: SLOTS }, () => new Slot((spender) => this.choose(spender)));
    this.element = h(
      "section",
      { class: "tp-sum", "aria-label": `tokprof summary of ${first.title}`, "data-testid": "tokprof-summary" },
      h("div", { class: "tp-sum-head" }, h("div", { class: "tp-sum-name" }, this.title, this.state), head, line),
      this.stopped,
      this.budgets,
      h(
        "div",
        { class: "tp-sum-body" },
        h("ol", { class: "tp-sum-spenders", "aria-label": "Who spent most" }, ...this.bars.map((bar) => bar.element)),
        this.notes,
      ),
      this.said,
    );
    this.show(first);
  }

  show(state: State): void {
    set(this.title, state.title);
    this.title.title = state.title;
    for (const { key, value, unit, tone } of figures(state)) {
      const figure = this.figures.get(key)!;
      set(figure.value, value);
      set(figure.unit, unit);
      figure.box.className = `${tone ? `tp-${tone}` : ""}${value === "0" ? " tp-sum-none" : ""}`;
    }
    const live = state.phase === "live";
    set(this.state, live ? "running" : "");
    this.path.setAttribute("d", sparkline(state.pulse, WIDE, TALL));
    this.bars.forEach((bar, i) => bar.show(state.spenders[i]));
    this.showBudgets(state.budget);
    lines(this.stopped, state.stopped);
    lines(this.notes, state.notes);
    if (this.phase === "live" && !live) set(this.said, sentence(state));
    this.phase = this.element.dataset["phase"] = state.phase;
  }

  showSelection(selection: Selection): void {
    for (const bar of this.bars) bar.mark(selection);
  }

  private choose(spender: Spender): void {
    this.select({ rows: spender.rows, label: spender.name });
  }

  private showBudgets(budgets: readonly Budget[]): void {
    while (this.budgets.childElementCount > budgets.length) this.budgets.lastElementChild!.remove();
    while (this.budgets.childElementCount < budgets.length) {
      const bar = h("div", { role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100 }, h("i"));
      this.budgets.append(h("div", { class: "tp-sum-budget" }, bar, h("span")));
    }
    budgets.forEach((budget, i) => {
      const row = this.budgets.children[i]!;
      const [bar, label] = [row.children[0] as HTMLElement, row.children[1]!];
      const { words, share, over } = used(budget);
      row.classList.toggle("tp-sum-over", over);
      (bar.firstElementChild as HTMLElement).style.width = `${share * 100}%`;
      bar.setAttribute("aria-label", `budget of ${budget.what}`);
      bar.setAttribute("aria-valuenow", String(Math.round(share * 100)));
      bar.setAttribute("aria-valuetext", words);
      set(label, over ? `${words}, over budget` : words);
    });
  }
}

/** The place of one spender; empty, it keeps its height. */
class Slot {
  private readonly bar = h("i");
  private readonly name = h("span", { class: "tp-sum-who" });
  private readonly where = h("span", { class: "tp-sum-where" });
  private readonly figure = h("span", { class: "tp-sum-spent" });
  private readonly button: HTMLButtonElement;
  readonly element: HTMLElement;
  private spender: Spender | undefined;

  constructor(chosen: (spender: Spender) => void) {
    this.button = h(
      "button",
      { type: "button", click: () => this.spender && chosen(this.pressed ? { ...this.spender, rows: [], name: "" } : this.spender) },
      this.bar, this.name, this.where, this.figure,
    );
    this.element = h("li", {}, this.button);
  }

  private get pressed(): boolean {
    return this.button.getAttribute("aria-pressed") === "true";
  }

  show(spender: Spender | undefined): void {
    this.spender = spender;
    this.button.hidden = !spender;
    this.button.disabled = !spender || spender.rows.length === 0;
    if (!spender) return;
    const place = spender.where && spender.where !== spender.name ? spender.where : "";
    this.bar.style.width = `${Math.max(0.5, spender.share * 100)}%`;
    set(this.name, spender.name);
    set(this.where, [spender.what, place].filter(Boolean).join(" · "));
    set(this.figure, spent(spender));
    this.button.title = `${spender.name} (${[spender.what, place].filter(Boolean).join(", ")})`;
  }

  mark(selection: Selection): void {
    const rows = this.spender?.rows ?? [];
    const same = rows.length > 0 && sameSelection(selection, { rows, label: "" });
    this.button.setAttribute("aria-pressed", String(same));
  }
}

function lines(place: HTMLElement, texts: readonly string[]): void {
  while (place.childElementCount > texts.length) place.lastElementChild!.remove();
  while (place.childElementCount < texts.length) place.append(h("li"));
  texts.forEach((text, i) => set(place.children[i]!, text));
}

/** Text that is the same is left alone: a selection in it stays, and nothing is laid out anew. */
function set(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}
