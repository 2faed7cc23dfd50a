// Paints the flame graph: a function of the layout, the view and the theme. Rows grow downwards from the root.
import type { Coloring } from "../color.ts";
import { forEachBox, hitRow } from "./cull.ts";
import { glyphs, label, shortAmount } from "../facts.ts";
import { fit, tick } from "../format.ts";
import type { Layout } from "../layout.ts";
import type { Match } from "../search.ts";
import type { Theme } from "../theme.ts";
import { isPart, replayedShare, type Tree } from "../tree.ts";
import { ticks, type View } from "./viewport.ts";

export const ROW = 20;
export const RULER = 22;
const MARK = 13;
/** Height of the box of a part of a prompt. */
export const LOW = 16;
const LABEL_FROM = 22;

/** Width of the part of a folded box that unfolds it. */
export const UNFOLD = 26;
const NARROWEST = 5;

export interface Scene {
  readonly tree: Tree;
  readonly layout: Layout;
  readonly coloring: Coloring;
  readonly match: Match | null;
  /** Whether a node is on the critical path; null where that is not asked for. */
  readonly critical: Uint8Array | null;
  readonly view: View;
  readonly scroll: number;
  readonly width: number;
  readonly height: number;
  readonly selected: number;
  readonly hovered: number;
  readonly theme: Theme;
}

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

export type Placement = Pick<Scene, "layout" | "view" | "scroll" | "width">;

/** Box of a node in canvas pixels; may lie outside the canvas. */
export function boxOf({ layout, view, scroll, width }: Placement, node: number): Box {
  const scale = width / (view.x1 - view.x0);
  return {
    x: (layout.x[node]! - view.x0) * scale,
    y: RULER + layout.row[node]! * ROW - scroll,
    w: layout.w[node]! * scale,
    h: ROW - 1,
  };
}

export function hit(placement: Placement, px: number, py: number): number {
  if (py < RULER) return -1;
  const { layout, view, scroll, width } = placement;
  const row = Math.floor((py - RULER + scroll) / ROW);
  let marked = -1;
  forEachMark(placement, row, (node, left) => {
    if (px >= left && px < left + MARK) marked = node;
  });
  return marked >= 0 ? marked : hitRow(layout, row, view, width, px);
}

/** Marks of a row, at most one for each `MARK` pixels. */
function forEachMark({ layout, view, width }: Placement, row: number, visit: (node: number, left: number) => void): void {
  const { marks, x } = layout;
  const scale = width / (view.x1 - view.x0);
  let lo = 0;
  let hi = marks.length;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    const node = marks[mid]!;
    const before = layout.row[node]! < row || (layout.row[node] === row && x[node]! < view.x0);
    if (before) lo = mid + 1;
    else hi = mid;
  }
  let taken = -Infinity;
  for (; lo < marks.length && layout.row[marks[lo]!] === row && x[marks[lo]!]! <= view.x1; lo++) {
    const node = marks[lo]!;
    const left = Math.min((x[node]! - view.x0) * scale, width - MARK);
    if (left < taken) continue;
    visit(node, left);
    taken = left + MARK;
  }
}

/** Stripes over the boxes of failed calls; thin ones the other way over those of estimates, and over what was sent before. */
export function hatch(context: CanvasRenderingContext2D, ratio: number, thin = false, ink = `0 0 0 / ${thin ? 0.2 : 0.42}`): CanvasPattern | null {
  const size = Math.round((thin ? 5 : 6) * ratio);
  const tile = document.createElement("canvas");
  tile.width = tile.height = size;
  const c = tile.getContext("2d")!;
  c.strokeStyle = `rgb(${ink})`;
  c.lineWidth = (thin ? 1 : 1.4) * ratio;
  if (thin) c.setTransform(-1, 0, 0, 1, size, 0);
  c.beginPath();
  for (const shift of [-size, 0, size]) {
    c.moveTo(shift - 1, size + 1);
    c.lineTo(shift + size + 1, -1);
  }
  c.stroke();
  const pattern = context.createPattern(tile, "repeat");
  pattern?.setTransform(new DOMMatrix().scale(1 / ratio));
  return pattern;
}

export class Painter {
  private pattern: CanvasPattern | null = null;
  private estimate: CanvasPattern | null = null;
  private before: CanvasPattern | null = null;
  private ratio = 0;
  private ink = "";
  private readonly widths = new Map<string, number>();
  private font = "";

  constructor(private readonly context: CanvasRenderingContext2D) {}

  paint(scene: Scene, ratio: number): void {
    const { context } = this;
    const { width, height, theme, layout, scroll } = scene;
    const ink = theme.foreground.join(" ");
    if (ratio !== this.ratio || ink !== this.ink) {
      this.ratio = ratio;
      this.ink = ink;
      this.pattern = hatch(context, ratio);
      this.estimate = hatch(context, ratio, true);
      this.before = hatch(context, ratio, true, `${ink} / 0.22`);
    }
    if (theme.font !== this.font) {
      this.font = theme.font;
      this.widths.clear();
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = `rgb(${theme.background.join(" ")})`;
    // A pixel more than asked for: the backing store is rounded up.
    context.fillRect(0, 0, width + 1, height + 1);
    context.font = theme.font;
    context.textBaseline = "middle";
    this.gridLines(scene);
    const first = Math.max(0, Math.floor(scroll / ROW));
    const last = Math.min(layout.rowCount - 1, Math.floor((scroll + height - RULER) / ROW));
    for (let row = first; row <= last; row++) this.row(scene, row);
    this.outlines(scene);
    this.ruler(scene);
  }

  private row(scene: Scene, row: number): void {
    const { context } = this;
    const { layout, view, width, coloring, match, theme, tree } = scene;
    const top = RULER + row * ROW - scene.scroll;
    const failed = tree.block.statuses.indexOf("error");
    const estimated = layout.metric === "time" ? -2 : tree.block.sources.indexOf("estimated");
    let style = "";
    const marks: [node: number, left: number][] = [];
    forEachMark(scene, row, (node, left) => marks.push([node, left]));
    forEachBox(layout, row, view, width, (first, left, wide, count, place) => {
      // A block of many boxes takes the looks of the first match in it, so that nothing found is hidden.
      let node = first;
      for (let i = place; match !== null && i < place + count; i++) {
        if (!match.mask[layout.order[i]!]) continue;
        node = layout.order[i]!;
        break;
      }
      const swatch = theme.swatches[coloring.color[node]!]!;
      const muted = match !== null && !match.mask[node];
      const part = isPart(tree, node);
      const tall = part ? LOW : ROW - 1;
      const fill = muted ? swatch.mutedFill : part ? swatch.softFill : swatch.fill;
      if (fill !== style) context.fillStyle = style = fill;
      const from = Math.max(left, -4);
      const to = Math.min(left + wide, width + 4);
      const gap = wide >= 3 ? 1 : 0;
      if (to - from < 8) {
        context.fillRect(from, top, Math.max(1, to - from - gap), tall);
      } else {
        context.beginPath();
        context.roundRect(from, top, to - from - gap, tall, 2.5);
        context.fill();
      }
      const before = part && wide >= 2 ? Math.min(to - gap, left + (wide - gap) * replayedShare(tree, node)) - from : 0;
      if (before > 0) {
        context.fillStyle = swatch.mutedFill;
        context.fillRect(from, top, before, tall);
        if (this.before) context.fillStyle = this.before;
        context.fillRect(from, top, before, tall);
        style = "";
      }
      const stripes = tree.block.status[node] === failed ? this.pattern : tree.totals.source[node] === estimated && tree.isCall[node] ? this.estimate : null;
      if (wide >= 2 && stripes && !muted) {
        context.fillStyle = stripes;
        context.fillRect(from, top, to - from - gap, ROW - 1);
        style = "";
      }
      if (scene.critical?.[node] && wide >= 2) {
        context.fillStyle = `rgb(${theme.foreground.join(" ")})`;
        context.fillRect(from, top + ROW - 4, to - from - gap, 3);
        style = "";
      }
      if (wide >= LABEL_FROM) {
        const covered = marks.find(([, at]) => at > from - MARK && at < from + 8);
        const ink = muted ? swatch.mutedInk : part ? swatch.softInk : swatch.ink;
        this.label(scene, node, covered ? covered[1] + MARK - 2 : from, to - gap, top, ink, fill);
        style = "";
      }
    });
    for (const [node, left] of marks) {
      const muted = match !== null && !match.mask[node];
      this.mark(scene, left, top, muted, tree.block.status[node] === failed ? "✕" : "?");
    }
  }

  /** A call without a width: a dashed tab of fixed size, because nobody knows how wide it should be. */
  private mark({ theme }: Scene, left: number, top: number, muted: boolean, glyph: string): void {
    const { context } = this;
    context.globalAlpha = muted ? 0.35 : 1;
    context.fillStyle = `rgb(${theme.background.join(" ")})`;
    context.strokeStyle = context.fillStyle;
    context.beginPath();
    context.roundRect(left, top, MARK, ROW - 1, 2.5);
    context.fill();
    context.strokeStyle = theme.danger;
    context.setLineDash([2.5, 2]);
    context.beginPath();
    context.roundRect(left + 0.5, top + 0.5, MARK - 1, ROW - 2, 2.5);
    context.stroke();
    context.setLineDash([]);
    context.fillStyle = theme.danger;
    context.textAlign = "center";
    context.fillText(glyph, left + MARK / 2, top + ROW / 2);
    context.textAlign = "left";
    context.globalAlpha = 1;
  }

  measure = (text: string): number => {
    let width = this.widths.get(text);
    if (width === undefined) {
      if (this.widths.size > 20_000) this.widths.clear();
      this.widths.set(text, (width = this.context.measureText(text).width));
    }
    return width;
  };

  private label(scene: Scene, node: number, from: number, to: number, top: number, ink: string, fill: string): void {
    const { context } = this;
    const { tree, layout, width } = scene;
    const left = Math.max(from, 0) + 6;
    const right = Math.min(to, width) - 6;
    const room = right - left;
    if (room < 8) return;
    const part = isPart(tree, node);
    const middle = top + (part ? LOW + 1 : ROW - 1) / 2;
    const mark = glyphs(tree, layout.metric, node);
    // 3 px is less than any letter takes, so nothing that fits is cut here.
    const whole = (mark + label(tree, node)).slice(0, Math.ceil(room / 3) + 4);
    const text = fit(whole, room, this.measure) || (mark && this.measure(mark.trim()) <= room ? mark.trim() : "");
    if (!text) return;
    // The stripes would run through the letters.
    const clear = (from: number, wide: number) => {
      context.fillStyle = fill;
      context.fillRect(from - 3, top + 2, wide + 6, (part ? LOW : ROW - 1) - 4);
    };
    const striped = (mark && tree.block.statuses[tree.block.status[node]!] === "error") || (part && tree.totals.replayed[node]! > 0);
    if (striped) clear(left, this.measure(text));
    context.fillStyle = ink;
    context.fillText(text, left, middle);
    const value = shortAmount(tree, layout.metric, node);
    const wide = this.measure(value);
    if (room > this.measure(text) + wide + 16 && to <= width + 4 && value) {
      if (striped && part) clear(right - wide, wide);
      context.fillStyle = ink;
      context.globalAlpha = 0.8;
      context.fillText(value, right - wide, middle);
      context.globalAlpha = 1;
    }
  }

  private outlines(scene: Scene): void {
    const { context } = this;
    const { theme, hovered, selected } = scene;
    const outline = (node: number, color: string, line: number) => {
      const { x, y, w, h } = boxOf(scene, node);
      const box = { x, y, w, h: isPart(scene.tree, node) ? LOW : h };
      const isMark = scene.layout.metric !== "time" && scene.layout.w[node] === 0;
      // What has no pixel of its own is still to be seen where it is.
      const tiny = !isMark && box.w - 1 < NARROWEST;
      const wide = isMark ? MARK : Math.max(box.w - 1, NARROWEST);
      const from = Math.max(-3, isMark ? Math.min(box.x, scene.width - MARK) : tiny ? Math.min(box.x - 2, scene.width - NARROWEST) : box.x);
      const to = Math.min(scene.width + 3, box.x + wide);
      if (to < 0 || from > scene.width || box.y > scene.height) return;
      context.strokeStyle = color;
      context.lineWidth = line;
      context.beginPath();
      context.roundRect(from + line / 2, box.y + line / 2, Math.max(1, (isMark ? MARK : to - from) - line), box.h - line, 2.5);
      context.stroke();
      context.lineWidth = 1;
      if (line < 2 || to - from < 8 || box.h < ROW - 1) return;
      // On a box of the ink's own colour the line alone would not be seen.
      context.strokeStyle = `rgb(${theme.background.join(" ")})`;
      context.strokeRect(from + 2.5, box.y + 2.5, to - from - 5, box.h - 5);
    };
    const ink = `rgb(${theme.foreground.join(" ")})`;
    if (hovered >= 0 && hovered !== selected) outline(hovered, ink, 1);
    if (selected >= 0) outline(selected, ink, 2);
  }

  private gridLines({ view, width, height, theme }: Scene): void {
    const { context } = this;
    context.fillStyle = theme.line;
    const scale = width / (view.x1 - view.x0);
    for (const value of ticks(view, width / 110).values) {
      context.fillRect(Math.round((value - view.x0) * scale), RULER, 1, height - RULER);
    }
  }

  private ruler({ view, width, theme, layout }: Scene): void {
    const { context } = this;
    context.fillStyle = `rgb(${theme.background.join(" ")})`;
    context.fillRect(0, 0, width, RULER - 1);
    const { step, values } = ticks(view, width / 110);
    const scale = width / (view.x1 - view.x0);
    for (const value of values) {
      const x = Math.round((value - view.x0) * scale);
      context.fillStyle = theme.line;
      context.fillRect(x, RULER - 8, 1, 7);
      context.fillStyle = theme.quiet;
      const text = tick(value, step, layout.metric);
      const wide = this.measure(text);
      if (x + 4 + wide <= width) context.fillText(text, x + 4, RULER / 2 - 1);
    }
  }
}
