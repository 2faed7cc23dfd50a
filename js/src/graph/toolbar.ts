// The controls above the graph of steps.
import { h, segmented } from "../dom.ts";
import { METRIC_LABELS } from "../facts.ts";
import type { EdgeMode } from "./graph.ts";
import type { Orientation } from "./layout.ts";
import type { Metric } from "../tree.ts";

export interface GraphToolbarEvents {
  metric(metric: Metric): void;
  edges(mode: EdgeMode): void;
  orientation(orientation: Orientation): void;
  threshold(share: number): void;
  critical(on: boolean): void;
  search(text: string): void;
  /** To the next (1) or the previous (-1) match. */
  match(way: 1 | -1): void;
  zoom(factor: number): void;
  fit(): void;
}

/** What the bars can show a share of, beside what was asked for. */
const SHOWN: readonly Metric[] = ["time", "tokens", "input", "output", "cost"];

/** Shares of the whole, as people say them. */
export const THRESHOLDS = [0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5] as const;

export class GraphToolbar {
  readonly element: HTMLElement;
  readonly input: HTMLInputElement;
  private readonly found = h("output", { class: "tp-found", "data-testid": "tokprof-found" });
  private readonly steps: readonly [HTMLButtonElement, HTMLButtonElement];
  private readonly slider: HTMLInputElement;
  private readonly least = h("output", { class: "tp-least", "data-testid": "tokprof-threshold-value" });
  private readonly critical: HTMLButtonElement;
  private readonly flow: { set: (value: Orientation) => void };
  private readonly edges: { element: HTMLElement; set: (value: EdgeMode) => void };
  private readonly edgesField: HTMLElement;

  constructor(metric: Metric, orientation: Orientation, events: GraphToolbarEvents) {
    const metrics = segmented<Metric>(
      "Bars show",
      "tokprof-metric",
      [...new Set([...SHOWN, metric])].map((m) => [m, METRIC_LABELS[m]] as const),
      metric,
      events.metric,
    );
    this.edges = segmented<EdgeMode>("Edges show", "tokprof-edges", [["calls", "Calls"], ["data", "Data"]] as const, "calls", events.edges);
    this.edges.element.querySelector('[data-value="calls"]')!.setAttribute("title", "Who called whom (e)");
    this.edges.element.querySelector('[data-value="data"]')!.setAttribute("title", "Whose answer went into whose prompt (e)");
    this.edgesField = h("div", { class: "tp-field", hidden: true }, h("span", { class: "tp-caption", "aria-hidden": "true" }, "Edges"), this.edges.element);
    const flow = segmented(
      "Direction",
      "tokprof-flow",
      [["across", "→"], ["down", "↓"]] as const,
      orientation,
      events.orientation,
    );
    flow.element.querySelector('[data-value="across"]')!.setAttribute("aria-label", "left to right");
    flow.element.querySelector('[data-value="down"]')!.setAttribute("aria-label", "top to bottom");
    this.flow = flow;
    const button = (text: string, name: string, testid: string, click: () => void) =>
      h("button", { type: "button", class: "tp-reset", "aria-label": name, title: name, "data-testid": testid, click }, text);
    this.critical = button("◆", "Mark the steps that determine when the profile ends", "tokprof-critical", () => {
      const on = this.critical.getAttribute("aria-pressed") !== "true";
      this.critical.setAttribute("aria-pressed", String(on));
      events.critical(on);
    });
    this.critical.setAttribute("aria-pressed", "true");
    this.critical.append(h("span", { class: "tp-wide" }, " Critical path"));
    this.critical.setAttribute("aria-label", "Critical path");
    this.input = h("input", {
      type: "search",
      placeholder: "Search",
      "aria-label": "Search names, models and places",
      "data-testid": "tokprof-search",
      autocomplete: "off",
      spellcheck: "false",
      input: () => events.search(this.input.value),
    });
    this.steps = [
      button("‹", "Previous match", "tokprof-previous", () => events.match(-1)),
      button("›", "Next match", "tokprof-next", () => events.match(1)),
    ];
    this.slider = h("input", {
      type: "range",
      min: 0,
      max: THRESHOLDS.length - 1,
      step: 1,
      value: 0,
      "aria-label": "Fold steps with a smaller share",
      "data-testid": "tokprof-threshold",
      input: () => events.threshold(THRESHOLDS[Number(this.slider.value)] ?? 0),
    });
    this.setThreshold(0);
    this.setFound("", 0);
    this.element = h(
      "div",
      { class: "tp-toolbar", role: "toolbar", "aria-label": "View" },
      h("div", { class: "tp-field" }, h("span", { class: "tp-caption", "aria-hidden": "true" }, "Bars"), metrics.element),
      this.edgesField,
      h("div", { class: "tp-field" }, flow.element, this.critical),
      h("label", { class: "tp-field tp-threshold" }, h("span", { class: "tp-quiet" }, "Hide", h("span", { class: "tp-wide" }, " below")), this.slider, this.least),
      h(
        "div",
        { class: "tp-field tp-find" },
        h("div", { class: "tp-search" }, this.input, this.found),
        ...this.steps,
        h("span", { class: "tp-gap" }),
        button("−", "Zoom out (-)", "tokprof-out", () => events.zoom(1 / 1.3)),
        button("+", "Zoom in (+)", "tokprof-in", () => events.zoom(1.3)),
        button("Fit", "Fit: show everything (0)", "tokprof-fit", events.fit),
      ),
    );
  }

  /** How much was found; empty when nothing is searched. */
  setFound(text: string, matches: number): void {
    this.found.textContent = text;
    for (const step of this.steps) step.disabled = matches === 0;
  }

  setThreshold(share: number): void {
    const text = share === 0 ? "0 %" : `${share * 100} %`;
    this.least.textContent = text;
    this.slider.setAttribute("aria-valuetext", share === 0 ? "everything is shown" : text);
  }

  /** `there`: whether there is data to show. */
  setEdges(mode: EdgeMode, there: boolean): void {
    this.edges.set(mode);
    this.edgesField.hidden = !there;
  }

  setOrientation(orientation: Orientation): void {
    this.flow.set(orientation);
  }
}
