// The controls above the graph.
import type { ColorMode } from "./color.ts";
import { h, segmented } from "./dom.ts";
import { METRIC_LABELS } from "./facts.ts";
import { METRICS, type Metric } from "./tree.ts";

export interface ToolbarEvents {
  metric(metric: Metric): void;
  mode(mode: ColorMode): void;
  search(text: string): void;
  reset(): void;
}

export class Toolbar {
  readonly element: HTMLElement;
  readonly input: HTMLInputElement;
  private readonly found = h("output", { class: "tp-found", "data-testid": "tokprof-found" });
  private readonly resetButton: HTMLButtonElement;

  constructor(metric: Metric, mode: ColorMode, events: ToolbarEvents) {
    const widths = segmented(
      "Width of a box",
      "tokprof-metric",
      METRICS.map((m) => [m, METRIC_LABELS[m]] as const),
      metric,
      events.metric,
    );
    const colors = segmented(
      "Colour of a box",
      "tokprof-color",
      [
        ["model", "Model"],
        ["kind", "Kind"],
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
    this.resetButton = h("button", {
      type: "button",
      class: "tp-reset",
      title: "Show everything (0)",
      "data-testid": "tokprof-reset",
      click: events.reset,
    }, "Reset");
    this.element = h(
      "div",
      { class: "tp-toolbar", role: "toolbar", "aria-label": "View" },
      h("div", { class: "tp-field" }, h("span", { class: "tp-caption", "aria-hidden": "true" }, "Width"), widths.element),
      h("div", { class: "tp-field" }, h("span", { class: "tp-caption", "aria-hidden": "true" }, "Colour"), colors.element),
      h("div", { class: "tp-field tp-find" }, h("div", { class: "tp-search" }, this.input, this.found), this.resetButton),
    );
  }

  /** How much was found; empty when nothing is searched. */
  setFound(text: string): void {
    this.found.textContent = text;
  }

  setChanged(changed: boolean): void {
    this.resetButton.disabled = !changed;
  }
}
