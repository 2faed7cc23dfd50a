// The keys of the flame graph, as a table over it.
import { h } from "../dom.ts";

const KEYS: readonly (readonly [string, string])[] = [
  ["↑ ↓ ← →", "to the box above, below, beside"],
  ["Home", "to the root"],
  ["Enter", "zoom to the box"],
  ["+ −", "zoom in, out"],
  ["0", "show everything"],
  ["Esc", "leave: sandwich, zoom, search, selection"],
  ["1", "time order"],
  ["2", "merged, heaviest first"],
  ["3", "callers and callees of the box"],
  ["/", "search; Enter and Shift+Enter go through the matches"],
  ["n", "next match"],
  ["f", "functions on or off"],
  ["e", "unfold a chain, or fold it again"],
  ["c", "critical path"],
  ["d", "details of the call"],
  ["?", "this list"],
];

export class Help {
  readonly element = h("div", { class: "tp-keys", role: "note", "aria-label": "Keys", "data-testid": "tokprof-keys", tabindex: 0, hidden: true },
    h("dl", {}, ...KEYS.map(([key, what]) => h("div", { class: "tp-fact" }, h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)))));

  toggle(open = this.element.hidden): void {
    this.element.hidden = !open;
  }
}
