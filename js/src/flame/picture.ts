// The graph as a file: what is in sight from left to right, with all rows.
import { boxOf, LOW, Painter, ROW, RULER, type Scene } from "./canvas.ts";
import { forEachBox } from "./cull.ts";
import { glyphs, label, shortAmount } from "../facts.ts";
import { fit, plain } from "../format.ts";
import { isPart, replayedShare } from "../tree.ts";

/** Canvases have limits, and nobody looks at more. */
const MOST_ROWS = 700;

const heightOf = (scene: Scene) => RULER + Math.min(scene.layout.rowCount, MOST_ROWS) * ROW + 4;

export function escapeXml(text: string): string {
  // Lone surrogates and control characters are no XML.
  return plain(text).replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]|[\ufffe\uffff]/g, "\ufffd")
    .replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

export function svg(scene: Scene, title: string, measure: (text: string) => number): string {
  const { tree, layout, view, width, theme, coloring, match, critical } = scene;
  const { statuses, sources, status } = tree.block;
  const height = heightOf(scene);
  const rgb = (color: readonly number[]) => `rgb(${color.join(",")})`;
  const css = (color: string) => color.replace(/(\d) (?=\d)/g, "$1,");
  const parts: string[] = [];
  const n = (value: number) => String(Math.round(value * 100) / 100);
  for (let row = 0; row < Math.min(layout.rowCount, MOST_ROWS); row++) {
    forEachBox(layout, row, view, width, (node, left, wide) => {
      const y = boxOf({ ...scene, scroll: 0 }, node).y;
      const swatch = theme.swatches[coloring.color[node]!]!;
      const muted = match !== null && !match.mask[node];
      const from = Math.max(left, 0);
      const room = Math.min(left + wide, width) - from - (wide >= 3 ? 1 : 0);
      const part = isPart(tree, node);
      const rect = (fill: string, at = y, tall = part ? LOW : ROW - 1, wide = room) =>
        `<rect x="${n(from)}" y="${n(at)}" width="${n(Math.max(0.5, wide))}" height="${tall}" rx="${wide > 8 ? 2 : 0}" fill="${fill}"/>`;
      const name = label(tree, node);
      parts.push(`<g><title>${escapeXml(`${name}, ${shortAmount(tree, layout.metric, node)}`)}</title>`, rect(css(muted ? swatch.mutedFill : part ? swatch.softFill : swatch.fill)));
      const before = part ? room * replayedShare(tree, node) : 0;
      if (before > 0.5) parts.push(...[css(swatch.mutedFill), "url(#e)"].map((fill) => rect(fill, y, LOW, before)));
      if (!muted && statuses[status[node]!] === "error") parts.push(rect("url(#f)"));
      else if (!muted && layout.metric !== "time" && tree.isCall[node] && sources[tree.totals.source[node]!] === "estimated") parts.push(rect("url(#e)"));
      if (critical?.[node]) parts.push(rect(rgb(theme.foreground), y + ROW - 4, 3));
      const text = room > 20 ? fit(glyphs(tree, layout.metric, node) + name, room - 12, measure) : "";
      if (text) parts.push(`<text x="${n(from + 6)}" y="${n(y + (part ? 12 : 13.5))}" fill="${css(muted ? swatch.mutedInk : part ? swatch.softInk : swatch.ink)}">${escapeXml(text)}</text>`);
      parts.push("</g>");
    });
  }
  const stripe = (id: string, path: string, opacity: number) =>
    `<pattern id="${id}" width="6" height="6" patternUnits="userSpaceOnUse"><path d="${path}" stroke="#000" stroke-opacity="${opacity}" stroke-width="1.3"/></pattern>`;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${n(width)}" height="${height}" viewBox="0 0 ${n(width)} ${height}" font-family="system-ui,sans-serif" font-size="11.5">` +
    `<defs>${stripe("f", "M-1 7L7 -1", 0.42)}${stripe("e", "M-1 -1L7 7", 0.2)}</defs>` +
    `<rect width="100%" height="100%" fill="${rgb(theme.background)}"/><text x="6" y="15" fill="${rgb(theme.foreground)}">${escapeXml(title)}</text>${parts.join("")}</svg>`
  );
}

export function png(scene: Scene): Promise<Blob | null> {
  const canvas = document.createElement("canvas");
  const height = heightOf(scene);
  const ratio = Math.min(2, 16_000 / Math.max(height, scene.width));
  canvas.width = Math.round(scene.width * ratio);
  canvas.height = Math.round(height * ratio);
  new Painter(canvas.getContext("2d", { alpha: false })!).paint({ ...scene, scroll: 0, height, hovered: -1 }, ratio);
  return new Promise((done) => canvas.toBlob(done));
}
