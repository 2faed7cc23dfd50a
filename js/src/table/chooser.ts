// Which columns are shown: those that find room, or the reader's own choice.
import type { Column } from "./columns.ts";
import { h } from "../dom.ts";
import { plural } from "../format.ts";

export class Chooser {
  /** Opens the panel. */
  readonly button: HTMLButtonElement;
  readonly panel = h("div", { class: "tp-chooser", role: "group", "aria-label": "Columns", "data-testid": "tokprof-columns" });

  /** `changed` is given the ids of the columns, or null for those that find room. */
  constructor(private readonly changed: (ids: ReadonlySet<string> | null) => void, signal: AbortSignal) {
    this.panel.hidden = true;
    this.button = h("button", {
      type: "button", class: "tp-button", "aria-expanded": "false", "data-testid": "tokprof-columns-button",
      click: () => this.toggle(this.panel.hidden),
    }, "Columns");
    this.panel.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      this.toggle(false);
      this.button.focus();
    }, { signal });
  }

  /** `more` columns have something to say and found no room. */
  render(columns: readonly Column[], shown: readonly Column[], chosen: boolean, more: number): void {
    const hint = more > 0 ? `${plural(more, "more column")} found no room` : "";
    this.button.replaceChildren("Columns", ...(more > 0 ? [h("span", { class: "tp-plenty", "data-testid": "tokprof-columns-more" }, `+${more}`)] : []));
    this.button.title = hint;
    const focused = this.panel.querySelector<HTMLInputElement>(":focus")?.value;
    const ids = new Set(shown.map((column) => column.id));
    const groups = [...new Set(columns.map((column) => column.group))];
    const box = ({ id, title, hint }: Column) => {
      const input = h("input", { type: "checkbox", value: id, checked: ids.has(id), "data-testid": `tokprof-column-${id}` });
      input.addEventListener("change", () => {
        if (input.checked) ids.add(id);
        else ids.delete(id);
        this.changed(ids);
      });
      return h("label", { title: hint }, input, title);
    };
    const auto = h("button", {
      type: "button", class: "tp-button", disabled: !chosen, "data-testid": "tokprof-columns-auto", click: () => this.changed(null),
    }, "What fits");
    this.panel.replaceChildren(
      ...groups.map((group) =>
        h("fieldset", {}, h("legend", {}, group), ...columns.filter((column) => column.group === group).map(box)),
      ),
      auto,
    );
    if (focused) this.panel.querySelector<HTMLElement>(`input[value="${focused}"]`)?.focus();
  }

  private toggle(open: boolean): void {
    this.panel.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
  }
}
