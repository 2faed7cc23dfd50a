// The line under the graph: what is selected, or what one can do.
import { h } from "../dom.ts";
import { facts, label, sentence } from "../facts.ts";
import type { Metric, Tree } from "../tree.ts";

export class Details {
  readonly element = h("div", { class: "tp-details", "data-testid": "tokprof-details" });
  readonly live = h("div", { class: "tp-hidden", "aria-live": "polite", "data-testid": "tokprof-live" });

  /** `more` stands at the end of the line. */
  render(tree: Tree, metric: Metric, node: number, more?: HTMLElement): void {
    if (node < 0) {
      const keys: [string, string][] = [
        ["click", "facts"],
        ["double click", "zoom in"],
        [/Mac|iP(hone|ad)/.test(navigator.platform) ? "⌘ wheel" : "Ctrl wheel", "zoom"],
        ["← ↑ ↓ →", "walk"],
        ["/", "search"],
        ["?", "all keys"],
      ];
      const hints = keys.map(([key, what]) => h("span", { class: "tp-hint" }, h("kbd", {}, key), what));
      this.element.replaceChildren(...hints);
      return;
    }
    const list = facts(tree, metric, node).map((fact) =>
      h("div", { class: `tp-fact${fact.tone ? ` tp-${fact.tone}` : ""}` }, h("dt", {}, fact.label), h("dd", {}, fact.value)),
    );
    this.element.replaceChildren(h("strong", {}, label(tree, node)), h("dl", {}, ...list), ...(more ? [more] : []));
  }

  announce(tree: Tree, metric: Metric, node: number): void {
    this.live.textContent = node < 0 ? "Nothing selected" : sentence(tree, metric, node);
  }
}
