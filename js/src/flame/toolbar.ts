// The controls above the graph.
import type { ColorMode } from "../color.ts";
import { h, segmented } from "../dom.ts";
import { METRIC_LABELS } from "../facts.ts";
import type { Menu } from "./menu.ts";
import type { Order } from "./orders.ts";
import { METRICS, type Metric } from "../tree.ts";

export interface ToolbarEvents {
  order(order: Order): void;
  metric(metric: Metric): void;
  mode(mode: ColorMode): void;
  search(text: string): void;
  /** To the next (1) or the previous (-1) match. */
  match(way: 1 | -1): void;
  reset(): void;
}

export class Toolbar {
  readonly element: HTMLElement;
  readonly input: HTMLInputElement;
  readonly setOrder: (order: Order) => void;
  private readonly found = h("output", { class: "tp-found", "data-testid": "tokprof-found" });
  private readonly steps: readonly HTMLButtonElement[];
  private readonly resetButton: HTMLButtonElement;

  constructor(metric: Metric, mode: ColorMode, events: ToolbarEvents, menus: readonly Menu[]) {
    const orders = segmented(
      "Order of the boxes",
      "tokprof-order",
      [
        ["time", "Time order"],
        ["merged", "Merged"],
        ["sandwich", "Sandwich"],
      ] as const,
      "time",
      events.order,
    );
    this.setOrder = orders.set;
    const widths = segmented("Width of a box", "tokprof-metric", METRICS.map((m) => [m, METRIC_LABELS[m]] as const), metric, events.metric);
    const colors = segmented(
      "Colour of a box",
      "tokprof-color",
      [
        ["model", "Model"],
        ["kind", "Kind"],
        ["source", "Source"],
        ["heat", "Heat"],
      ] as const,
      mode,
      events.mode,
    );
    this.input = h("input", {
      type: "search",
      placeholder: "Search",
      "aria-label": "Search names, models and places",
      "data-testid": "tokprof-search",
      autocomplete: "off",
      spellcheck: "false",
      input: () => events.search(this.input.value),
    });
    const button = (text: string, name: string, testid: string, click: () => void) =>
      h("button", { type: "button", class: "tp-reset", title: name, "aria-label": text.length > 1 ? undefined : name, "data-testid": testid, click }, text);
    this.steps = [
      button("‹", "Previous match (Shift+Enter)", "tokprof-previous", () => events.match(-1)),
      button("›", "Next match (Enter)", "tokprof-next", () => events.match(1)),
    ];
    this.resetButton = button("Reset", "Show everything (0)", "tokprof-reset", events.reset);
    const field = (caption: string, ...parts: HTMLElement[]) =>
      h("div", { class: "tp-field" }, h("span", { class: "tp-caption", "aria-hidden": "true" }, caption), ...parts);
    this.element = h(
      "div",
      { class: "tp-toolbar", role: "toolbar", "aria-label": "View" },
      field("Width", widths.element),
      field("Colour", colors.element),
      h("div", { class: "tp-field tp-find" }, orders.element, ...menus.map((menu) => menu.element), h("span", { class: "tp-gap" }), h("div", { class: "tp-search" }, this.input, this.found), ...this.steps, this.resetButton),
    );
    this.setFound("", 0);
  }

  /** What was found; empty when nothing is searched. */
  setFound(text: string, matches: number): void {
    this.found.textContent = text;
    for (const step of this.steps) step.disabled = matches === 0;
  }

  setChanged(changed: boolean): void {
    this.resetButton.disabled = !changed;
  }
}
