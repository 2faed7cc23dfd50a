// Edges as curves: they leave and arrive along the flow, and end where the arrowhead begins.
import { NODE_HEIGHT, NODE_WIDTH, type Orientation, type Point } from "./layout.ts";

export interface Curve {
  readonly line: string;
  readonly head: string;
  /** Where a label goes. */
  readonly middle: Point;
}

const THINNEST = 1.5;
const WIDEST = 16;

/** Width of an edge that carries a share of what the widest one carries. */
export function widthOf(share: number): number {
  return share > 0 ? Math.max(THINNEST, WIDEST * Math.sqrt(share)) : THINNEST;
}

const r = (value: number) => Math.round(value * 10) / 10;

/** Through all points; `back` leads against the flow. */
export function curve(points: readonly Point[], width: number, orientation: Orientation, back: boolean): Curve {
  const across = orientation === "across";
  const way = back ? -1 : 1;
  const long = 6 + width * 0.7;
  const half = 3.5 + width * 0.65;
  const tip = points.at(-1)!;
  const step = (point: Point, by: number): Point => (across ? { x: point.x + by, y: point.y } : { x: point.x, y: point.y + by });
  const end = step(tip, -way * long);
  const through = [...points.slice(0, -1), end];
  let line = `M${r(through[0]!.x)},${r(through[0]!.y)}`;
  for (let i = 1; i < through.length; i++) {
    const [a, b] = [through[i - 1]!, through[i]!];
    const reach = (way * Math.max(24, Math.abs(across ? b.x - a.x : b.y - a.y))) / 2;
    const [c, d] = [step(a, reach), step(b, -reach)];
    line += `C${r(c.x)},${r(c.y)} ${r(d.x)},${r(d.y)} ${r(b.x)},${r(b.y)}`;
  }
  const [left, right] = across
    ? [{ x: end.x, y: end.y - half }, { x: end.x, y: end.y + half }]
    : [{ x: end.x - half, y: end.y }, { x: end.x + half, y: end.y }];
  const head = `M${r(left.x)},${r(left.y)}L${r(tip.x)},${r(tip.y)}L${r(right.x)},${r(right.y)}Z`;
  const at = through.length >> 1;
  const middle =
    through.length > 2
      ? through[at]!
      : { x: (through[0]!.x + end.x) / 2, y: (through[0]!.y + end.y) / 2 };
  return { line, head, middle };
}

/** Of a step that calls itself: out of the box and into it again. */
export function loop(corner: Point, width: number, orientation: Orientation): Curve {
  const across = orientation === "across";
  const out = 20;
  const half = 3.5 + width * 0.65;
  const long = 6 + width * 0.7;
  if (across) {
    const x = corner.x + NODE_WIDTH * 0.62;
    const back = corner.x + NODE_WIDTH * 0.38;
    const y = corner.y;
    return {
      line: `M${r(x)},${r(y)}C${r(x)},${r(y - out)} ${r(back)},${r(y - out)} ${r(back)},${r(y - long)}`,
      head: `M${r(back - half)},${r(y - long)}L${r(back)},${r(y)}L${r(back + half)},${r(y - long)}Z`,
      middle: { x: (x + back) / 2, y: y - out * 0.75 },
    };
  }
  const x = corner.x + NODE_WIDTH;
  const y = corner.y + NODE_HEIGHT * 0.66;
  const back = corner.y + NODE_HEIGHT * 0.34;
  return {
    line: `M${r(x)},${r(y)}C${r(x + out)},${r(y)} ${r(x + out)},${r(back)} ${r(x + long)},${r(back)}`,
    head: `M${r(x + long)},${r(back - half)}L${r(x)},${r(back)}L${r(x + long)},${r(back + half)}Z`,
    middle: { x: x + out * 0.75, y: (y + back) / 2 },
  };
}
