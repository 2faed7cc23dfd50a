// The box with facts beside the pointer or the focused node.
import { h } from "./dom.ts";
import type { Fact } from "./facts.ts";
import { place, type Anchor } from "./place.ts";

export class Tooltip {
  readonly element = h("div", { class: "tp-tooltip", role: "tooltip", "data-testid": "tokprof-tooltip", hidden: true });
  /** What it speaks of; -1 while it is hidden. */
  node = -1;
  /** While something else lies where it would be. */
  private muted = false;

  constructor() {
    // The top layer is not clipped by the scroll boxes that hosts put around an output.
    if ("showPopover" in this.element) this.element.popover = "manual";
  }

  /** `content` runs only when the node is another one. */
  show(node: number, anchor: Anchor, content: () => { name: string; facts: readonly Fact[] }): void {
    if (this.muted) return;
    const { element } = this;
    if (node !== this.node) {
      this.node = node;
      const { name, facts } = content();
      const rows = facts.map((fact) =>
        h("div", { class: `tp-fact${fact.tone ? ` tp-${fact.tone}` : ""}` }, h("dt", {}, fact.label), h("dd", {}, fact.value)),
      );
      element.replaceChildren(h("div", { class: "tp-tooltip-name" }, name), h("dl", {}, ...rows));
    }
    element.hidden = false;
    if (element.popover && !element.matches(":popover-open")) element.showPopover();
    const { width, height } = element.getBoundingClientRect();
    const { left, top } = place(anchor, { width, height }, { width: innerWidth, height: innerHeight });
    element.style.left = `${left}px`;
    element.style.top = `${top}px`;
  }

  mute(muted: boolean): void {
    this.muted = muted;
    if (muted) this.hide();
  }

  hide(): void {
    this.node = -1;
    if (this.element.hidden) return;
    if (this.element.popover && this.element.matches(":popover-open")) this.element.hidePopover();
    this.element.hidden = true;
  }
}
