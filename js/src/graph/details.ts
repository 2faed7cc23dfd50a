// The line under the graph: what is selected, or what one can do; and everything about a call, where one asks for it.
import { DetailPanel } from "../detail.ts";
import { h } from "../dom.ts";
import { integer } from "../format.ts";
import { graphFacts, nameAt, nodeSentence, openingInWords } from "./facts.ts";
import type { Graph } from "./graph.ts";
import type { Host } from "../mount.ts";
import type { Metric, Tree } from "../tree.ts";

export class GraphDetails {
  readonly element = h("div", { class: "tp-details", "data-testid": "tokprof-details" });
  readonly live = h("div", { class: "tp-hidden", "aria-live": "polite", "data-testid": "tokprof-live" });
  readonly panel: DetailPanel;
  private open = false;

  /** `toggle` is called when the reader asks for more or less of a call. */
  constructor({ detail, signal }: Pick<Host, "detail" | "signal">, private readonly toggle: () => void) {
    this.panel = new DetailPanel(detail, toggle, signal);
  }

  /** `elsewhere`: nodes in which rows lie that are selected in another view. */
  render(graph: Graph, tree: Tree, metric: Metric, selected: number, elsewhere: number): void {
    const call = callAt(graph, tree, selected);
    if (call >= 0 && this.open) this.panel.show(tree, call);
    else this.panel.hide();
    this.live.textContent = selected < 0 ? "Nothing selected" : nodeSentence(graph, metric, selected);
    if (selected < 0) return this.hint(elsewhere);
    const list = graphFacts(graph, metric, selected).map(({ label, value, tone }) =>
      h("div", { class: `tp-fact${tone ? ` tp-${tone}` : ""}` }, h("dt", {}, label), h("dd", {}, value)),
    );
    const node = graph.nodes[selected];
    const opening = node ? openingInWords(node) : "";
    const parts: Node[] = [h("strong", {}, nameAt(graph, selected)), h("dl", {}, ...list)];
    if (opening) parts.push(h("span", { class: "tp-hint" }, h("kbd", {}, "Enter"), opening));
    if (call >= 0) {
      const expanded = String(this.open);
      const more = { type: "button", class: "tp-reset", "aria-expanded": expanded, "data-testid": "tokprof-more", click: this.toggle };
      parts.push(h("button", more, this.open ? "Less (d)" : "More (d)"));
    }
    this.element.replaceChildren(...parts);
  }

  private hint(elsewhere: number): void {
    const apple = /Mac|iP(hone|ad)/.test(navigator.platform);
    const keys: [string, string][] = [
      ["click", "facts"],
      ["double click", "open or fold"],
      ["drag", "move"],
      [apple ? "⌘ wheel" : "Ctrl wheel", "zoom"],
      ["← ↑ ↓ →", "walk"],
      ["/", "search"],
      ["0", "fit"],
    ];
    const within = elsewhere > 0 ? [h("strong", {}, `Selected rows are in ${integer(elsewhere)} nodes`)] : [];
    this.element.replaceChildren(...within, ...keys.map(([key, what]) => h("span", { class: "tp-hint" }, h("kbd", {}, key), what)));
  }

  /** More or less of a call, from now on. */
  turn(): void {
    this.open = !this.open;
  }
}

/** The call that a node or an edge stands for alone; -1 for none. */
export function callAt({ nodes, edges }: Graph, tree: Tree, index: number): number {
  const of = (nodes[index] ?? edges[index - nodes.length])?.nodes ?? [];
  return of.length === 1 && tree.isCall[of[0]!] && tree.block.row[of[0]!]! >= 0 ? of[0]! : -1;
}
