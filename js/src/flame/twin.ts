// The same tree as text, for screen readers: a canvas has nothing to read.
import { h } from "../dom.ts";
import { amount, label } from "../facts.ts";
import { integer } from "../format.ts";
import { kindOf, type Metric, type Tree } from "../tree.ts";

const MOST = 500;

export class Twin {
  readonly element = h("div", { class: "tp-hidden", role: "tree", "aria-label": "Steps and calls", "data-testid": "tokprof-tree" });
  private readonly id = `tokprof-${Math.random().toString(36).slice(2, 10)}`;
  private items: HTMLElement[] = [];
  private selected = -1;

  render(tree: Tree, metric: Metric): void {
    const { nodes } = tree.block;
    this.items = [];
    const list: HTMLElement[] = [];
    const { firstChild, nextSibling, block } = tree;
    // In the order of the siblings, which of a merged tree is not that of the numbers.
    for (let node = nodes > 0 ? 0 : -1, seen = 0; node >= 0 && seen < MOST; seen++) {
      const text = `${label(tree, node)}, ${kindOf(tree.block, node)}, ${amount(tree, metric, node)}`;
      this.items[node] = (
        h("div", { id: `${this.id}-${node}`, role: "treeitem", "aria-level": tree.depth[node]! + 1, "aria-selected": "false" }, text)
      );
      list.push(this.items[node]!);
      let next = firstChild[node]!;
      for (let at = node; next < 0 && at > 0; at = block.parent[at]!) next = nextSibling[at]!;
      node = next;
    }
    const rest = nodes > MOST ? [h("div", { role: "treeitem", "aria-level": 1 }, `and ${integer(nodes - MOST)} more`)] : [];
    this.element.replaceChildren(...list, ...rest);
    this.select(this.selected);
  }

  /** Returns the id of the node's item, if it has one. */
  select(node: number): string | null {
    this.items[this.selected]?.setAttribute("aria-selected", "false");
    this.selected = node;
    const item = this.items[node];
    item?.setAttribute("aria-selected", "true");
    return item?.id ?? null;
  }
}
