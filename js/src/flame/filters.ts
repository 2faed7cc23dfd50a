// What the graph shows and what not: the panel behind "Show".
import { h } from "../dom.ts";
import { plain } from "../format.ts";
import { Menu } from "./menu.ts";
import { offered } from "./narrow.ts";
import { PART, type Tree } from "../tree.ts";

export interface Filters {
  kinds: Set<string>;
  models: Set<string>;
  least: number;
  fold: boolean;
  only: boolean;
  critical: boolean;
}

export const SHARES = [0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1] as const;

export const unfiltered = (): Filters => ({ kinds: new Set(), models: new Set(), least: 0, fold: true, only: false, critical: false });

export function filterMenu(filters: Filters, tree: () => Tree, changed: () => void, signal: AbortSignal): Menu {
  const menu = new Menu("Show", "tokprof-show", signal, () => {
    const { kinds, models } = offered(tree());
    const tick = (text: string, testid: string, on: boolean, set: (on: boolean) => void) => {
      const box = h("input", { type: "checkbox", checked: on, "data-testid": `tokprof-${testid}` });
      box.addEventListener("change", () => {
        set(box.checked);
        changed();
      });
      return h("label", {}, box, h("span", {}, text));
    };
    const key = (text: string, name: string) => [text, name] as const;
    const flag = ([text, name]: readonly [string, string], field: "fold" | "only" | "critical") =>
      tick(text, name, filters[field], (on) => (filters[field] = on));
    const each = (names: readonly string[], hidden: Set<string>, kind: string) =>
      names.map((name) =>
        tick(kind === "kind" && name === "frame" ? "functions (f)" : kind === "kind" && name === PART ? "parts of prompts" : plain(name, 60), `${kind}-${name}`, !hidden.has(name), (on) => {
          if (on) hidden.delete(name);
          else hidden.add(name);
        }));
    const least = h("select", { "data-testid": "tokprof-least", change: () => {
      filters.least = Number(least.value);
      changed();
    } }, ...SHARES.map((share) => h("option", { value: share, selected: share === filters.least }, share ? `${share * 100} % and more` : "of any size")));
    const part = (title: string, ...content: HTMLElement[]) => h("fieldset", {}, h("legend", {}, title), ...content);
    menu.panel.replaceChildren(
      part("View", flag(key("Critical path (c)", "critical"), "critical"), flag(key("Fold chains of functions", "fold"), "fold"),
        flag(key("Only what is searched for", "only"), "only"), h("label", {}, h("span", {}, "Steps"), least)),
      part("Kinds", ...each(kinds, filters.kinds, "kind")),
      ...(models.length > 1 ? [part("Models", ...each(models.slice(0, 40), filters.models, "model"))] : []),
    );
  });
  return menu;
}
