// The graph as a list of sentences, for screen readers.
import { h } from "../dom.ts";
import { itemText } from "./facts.ts";
import type { Graph } from "./graph.ts";
import type { Metric } from "../tree.ts";

export class GraphTwin {
  readonly element = h("div", { class: "tp-hidden", role: "tree", "aria-label": "Steps and models", "data-testid": "tokprof-tree" });
  private readonly id = `tokprof-${Math.random().toString(36).slice(2, 10)}`;
  private items: HTMLElement[] = [];

  render(graph: Graph, metric: Metric): void {
    this.items = graph.nodes.map((node, at) => {
      const open = node.hidden > 0 ? "false" : node.inner > 0 ? "true" : undefined;
      return h(
        "div",
        { id: `${this.id}-${at}`, role: "treeitem", "aria-level": node.depth + 1, "aria-selected": "false", "aria-expanded": open },
        itemText(graph, metric, at),
      );
    });
    this.element.replaceChildren(...this.items);
  }

  /** Returns the id of the node's item, if it has one. */
  select(node: number): string | null {
    this.items.forEach((item, at) => item.setAttribute("aria-selected", String(at === node)));
    return this.items[node]?.id ?? null;
  }
}
