// What the colours mean; a click picks one out.
import type { Coloring } from "../color.ts";
import { h } from "../dom.ts";
import { plain } from "../format.ts";
import type { Theme } from "../theme.ts";
import type { Tree } from "../tree.ts";

const MOST = 12;

export class Legend {
  readonly element = h("div", { class: "tp-legend", role: "group", "aria-label": "Legend", "data-testid": "tokprof-legend" });

  constructor(private readonly picked: (key: string | null) => void) {}

  render(tree: Tree, coloring: Coloring, theme: Theme, active: string | null, critical = false): void {
    const focused = this.element.querySelector<HTMLElement>(":focus")?.dataset["key"];
    const items: HTMLElement[] = coloring.legend.slice(0, MOST).map((entry) => {
      const dot = h("i", { class: "tp-dot", "aria-hidden": "true" });
      dot.style.background = theme.swatches[entry.color]!.fill;
      const on = entry.key === active;
      return h(
        "button",
        {
          type: "button",
          "data-key": entry.key,
          "data-testid": "tokprof-legend-item",
          "aria-pressed": String(on),
          click: () => this.picked(on ? null : entry.key),
        },
        dot,
        h("span", {}, plain(entry.label, 60)),
      );
    });
    if (coloring.legend.length > MOST) items.push(h("span", { class: "tp-sign" }, `and ${coloring.legend.length - MOST} more`));
    const { errors, retries, unknown, source, replayed } = tree.totals;
    const sign = (glyph: string, text: string) =>
      items.push(h("span", { class: "tp-sign" }, h("b", { "aria-hidden": "true" }, glyph), text));
    if (errors[0]! > 0) sign("✕", "failed");
    if (retries[0]! > 0) sign("↻", "retry");
    if (unknown[0]! > 0) sign("?", "tokens unknown");
    const estimated = tree.block.sources.indexOf("estimated");
    if (source.some((value, node) => value === estimated && tree.isCall[node] === 1)) sign("▧", "estimated");
    if (replayed[0]! > 0) sign("▨", "sent before");
    if (critical) sign("▁", "critical path");
    this.element.replaceChildren(...items);
    if (focused !== undefined) {
      items.find((item) => item.dataset["key"] === focused)?.focus();
    }
  }
}
