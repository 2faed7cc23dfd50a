// Where the view is: the boxes around all that is in sight, from the root inwards.
import { h } from "../dom.ts";
import { label } from "../facts.ts";
import type { Layout } from "../layout.ts";
import type { Tree } from "../tree.ts";
import type { View } from "./viewport.ts";

/** Boxes that reach from one edge of the view to the other, outermost first. */
export function pathTo({ firstChild, nextSibling, block }: Tree, { x, w }: Layout, { x0, x1 }: View): number[] {
  if (block.nodes === 0) return [];
  const path = [0];
  const slack = (x1 - x0) * 1e-6;
  for (let node = firstChild[0]!; node >= 0; ) {
    if (x[node]! <= x0 + slack && x[node]! + w[node]! >= x1 - slack) {
      path.push(node);
      node = firstChild[node]!;
    } else node = nextSibling[node]!;
  }
  return path;
}

export class Crumbs {
  readonly element: HTMLElement;
  private readonly list = h("nav", { "aria-label": "Zoom path", "data-testid": "tokprof-crumbs" });
  private readonly note = h("span", { class: "tp-sign", role: "status", "data-testid": "tokprof-note" });
  private shown = "";

  constructor(private readonly zoom: (node: number) => void) {
    this.element = h("div", { class: "tp-crumbs" }, this.list, this.note);
  }

  /** Until something else is shown. */
  say(note: string): void {
    this.note.textContent = note;
    this.shown = "";
  }

  render(tree: Tree, path: readonly number[], note: string): void {
    const names = path.map((node) => label(tree, node));
    if (this.shown === JSON.stringify([names, path, note])) return;
    this.shown = JSON.stringify([names, path, note]);
    this.note.textContent = note;
    const crumb = (node: number, i: number) => {
      const here = i === path.length - 1;
      return h("button", { type: "button", title: names[i], "aria-current": here ? "location" : undefined, click: () => this.zoom(node) }, names[i]!);
    };
    // The innermost ones say most.
    const from = Math.max(1, path.length - 6);
    const dots = from > 1 ? [h("span", {}, "…")] : [];
    this.list.replaceChildren(...path.slice(0, 1).map(crumb), ...dots, ...path.slice(from).map((node, i) => crumb(node, i + from)));
  }
}
