// The panel behind "Save": the graph as a file, made in the browser.
import { h } from "../dom.ts";
import { plain } from "../format.ts";
import { Menu } from "./menu.ts";
import { png, svg } from "./picture.ts";
import type { Stage } from "./stage.ts";

export function saveMenu(stage: Stage, title: () => { name: string; parts: string[] }, signal: AbortSignal): Menu {
  const menu = new Menu("Save", "tokprof-save", signal);
  const item = (text: string, kind: string, make: () => Promise<Blob | null> | null) =>
    h("button", { type: "button", "data-testid": `tokprof-${kind}`, click: () => {
      menu.toggle(false);
      const name = plain(title().name, 60).replace(/[^\w.-]+/g, "-") || "tokprof";
      void make()?.then((blob) => blob && save(blob, `${name}.${kind}`));
    } }, text);
  menu.panel.append(
    item("Picture (PNG)", "png", () => {
      const scene = stage.scene();
      return scene && png(scene);
    }),
    item("Drawing (SVG)", "svg", () => {
      const scene = stage.scene();
      const { name, parts } = title();
      const text = scene && svg(scene, [name, ...parts].join(" · "), stage.measure);
      return text ? Promise.resolve(new Blob([text], { type: "image/svg+xml" })) : null;
    }),
  );
  return menu;
}

function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
