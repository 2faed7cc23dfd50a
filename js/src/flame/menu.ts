// A button with a panel below it; Escape and a click elsewhere close it.
import { h } from "../dom.ts";

const EDGE = 8;

export class Menu {
  readonly element: HTMLElement;
  readonly panel: HTMLElement;
  readonly button: HTMLButtonElement;

  constructor(text: string, testid: string, signal: AbortSignal, private readonly opened: () => void = () => {}) {
    this.panel = h("div", { class: "tp-panel", role: "group", "aria-label": text, "data-testid": `${testid}-panel`, hidden: true });
    this.button = h("button", {
      type: "button", class: "tp-reset", "aria-expanded": "false", "data-testid": testid, click: () => this.toggle(this.panel.hidden),
    }, text);
    this.element = h("div", { class: "tp-drop" }, this.button, this.panel);
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || this.panel.hidden) return;
      event.preventDefault();
      event.stopPropagation();
      this.toggle(false);
      this.button.focus();
    }, { signal });
    document.addEventListener("pointerdown", (event) => {
      // What lies in a shadow tree is seen from outside as its host.
      if (!event.composedPath().includes(this.element)) this.toggle(false);
    }, { signal });
  }

  toggle(open: boolean): void {
    if (open === !this.panel.hidden) return;
    if (open) this.opened();
    this.panel.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
    if (!open) return;
    this.place();
    this.panel.querySelector<HTMLElement>("input, button, select")?.focus({ preventScroll: true });
  }

  /** Inside the widget, which cuts off what reaches beyond it; over the button where there is too little room below. */
  private place(): void {
    const { style } = this.panel;
    style.cssText = "";
    const around = (this.element.closest(".tokprof") ?? this.element).getBoundingClientRect();
    style.maxHeight = `${around.height - 2 * EDGE}px`;
    const { left, top, right, bottom } = this.panel.getBoundingClientRect();
    const over = (by: number, room: number) => Math.max(0, Math.min(by + EDGE, room - EDGE));
    const width = Math.min(around.right, document.documentElement.clientWidth);
    style.translate = `${-over(right - width, left - around.left)}px ${-over(bottom - around.bottom, top - around.top)}px`;
  }
}
