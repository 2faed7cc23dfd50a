import { describe, expect, test } from "vitest";
import { forEachBox, hitRow } from "./cull.ts";
import { randomTree, treeOf } from "../fixture.ts";
import { timeLayout, type Layout } from "../layout.ts";

function boxes(l: Layout, row: number, x0: number, x1: number, width: number) {
  const out: { node: number; left: number; wide: number; count: number }[] = [];
  forEachBox(l, row, { x0, x1 }, width, (node, left, wide, count) => out.push({ node, left, wide, count }));
  return out;
}

const many = () => {
  const n = 10_000;
  const parent = [-1, ...new Array<number>(n).fill(0)];
  return timeLayout(treeOf({ parent, start: parent.map((_, i) => Math.max(0, i - 1)), duration: [n, ...new Array<number>(n).fill(1)] }));
};

describe("culling", () => {
  test("no more blocks than pixels, and no box is forgotten", () => {
    const drawn = boxes(many(), 1, 0, 10_000, 500);
    expect(drawn.length).toBeLessThanOrEqual(500);
    expect(drawn.reduce((sum, box) => sum + box.count, 0)).toBe(10_000);
  });

  test("zoomed in, only what is visible is visited", () => {
    const drawn = boxes(many(), 1, 5000, 5010, 500);
    expect(drawn.map((box) => box.node - 1)).toEqual([5000, 5001, 5002, 5003, 5004, 5005, 5006, 5007, 5008, 5009]);
    expect(drawn[0]).toMatchObject({ left: 0, wide: 50 });
  });

  test("a wide box that starts in the pixel of a run is drawn in its own right", () => {
    const l = timeLayout(treeOf({ parent: [-1, 0, 0, 0], start: [0, 0, 0.1, 0.2], duration: [100, 0.1, 0.1, 99] }));
    expect(boxes(l, 1, 0, 100, 100).map(({ node, count }) => [node, count])).toEqual([[1, 2], [3, 1]]);
  });

  test("every box of a random tree is drawn or stands in a block", () => {
    const l = timeLayout(randomTree(3000, 5));
    for (let row = 0; row < l.rowCount; row++) {
      const drawn = boxes(l, row, l.from, l.to * 1.0001, 300);
      expect(drawn.reduce((sum, box) => sum + box.count, 0)).toBe(l.rowStart[row + 1]! - l.rowStart[row]!);
    }
  });
});

describe("hit", () => {
  test("agrees with what was drawn", () => {
    const l = timeLayout(randomTree(500, 9));
    for (let row = 0; row < l.rowCount; row++) {
      for (const { node, left, wide } of boxes(l, row, l.from, l.to, 800)) {
        if (wide > 1) expect(hitRow(l, row, { x0: l.from, x1: l.to }, 800, left + wide / 2)).toBe(node);
      }
    }
  });

  test("empty space and other rows hit nothing; a narrow box has some slack", () => {
    const l = timeLayout(treeOf({ parent: [-1, 0], start: [0, 50], duration: [100, 0.01] }));
    const at = (row: number, px: number) => hitRow(l, row, { x0: 0, x1: 100 }, 100, px);
    expect([at(0, 3), at(1, 3), at(2, 3), at(-1, 3)]).toEqual([0, -1, -1, -1]);
    expect([at(1, 49.3), at(1, 50.6), at(1, 52)]).toEqual([1, 1, -1]);
  });
});
