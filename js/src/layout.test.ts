import { describe, expect, test } from "vitest";
import { randomTree, treeOf } from "./fixture.ts";
import { layout, metricLayout, timeLayout, type Layout } from "./layout.ts";
import { totalOf, type Tree } from "./tree.ts";

function expectSound(tree: Tree, l: Layout): void {
  const { parent } = tree.block;
  const slack = 1e-9 * (l.to - l.from);
  for (let node = 1; node < tree.block.nodes; node++) {
    const up = parent[node]!;
    expect(l.row[node]!).toBeGreaterThan(l.row[up]!);
    expect(l.x[node]!).toBeGreaterThanOrEqual(l.x[up]! - slack);
    expect(l.x[node]! + l.w[node]!).toBeLessThanOrEqual(l.x[up]! + l.w[up]! + slack);
  }
  for (let row = 0; row < l.rowCount; row++) {
    let reached = -Infinity;
    for (let i = l.rowStart[row]!; i < l.rowStart[row + 1]!; i++) {
      const node = l.order[i]!;
      expect(l.row[node]).toBe(row);
      expect(l.x[node]!).toBeGreaterThanOrEqual(reached - slack);
      reached = l.x[node]! + l.w[node]!;
    }
  }
}

describe("in random trees", () => {
  for (const metric of ["time", "tokens"] as const) {
    test(`${metric}: children lie inside their parents, boxes of a row do not overlap`, () => {
      for (let seed = 1; seed < 25; seed++) {
        const tree = randomTree(200, seed);
        expectSound(tree, layout(tree, metric));
      }
    });
  }

  test("tokens: widths of children and self fill the parent", () => {
    const tree = randomTree(500, 3);
    const l = metricLayout(tree, "tokens");
    const sum = new Float64Array(500);
    for (let node = 499; node > 0; node--) sum[tree.block.parent[node]!]! += l.w[node]!;
    for (let node = 0; node < 500; node++) {
      expect(l.w[node]).toBe(totalOf(tree, "tokens", node));
      expect(sum[node]! + tree.block.input[node]! + tree.block.output[node]!).toBe(l.w[node]);
    }
  });
});

describe("lanes", () => {
  test("siblings that follow each other share a row", () => {
    const l = timeLayout(treeOf({ parent: [-1, 0, 0], start: [0, 0, 1], duration: [2, 1, 1] }));
    expect([...l.row]).toEqual([0, 1, 1]);
  });

  test("siblings at the same time lie below each other, and a free lane is used again", () => {
    const l = timeLayout(treeOf({ parent: [-1, 0, 0, 0], start: [0, 0, 1, 3], duration: [5, 3, 4, 1] }));
    expect([...l.row]).toEqual([0, 1, 2, 1]);
  });

  test("a lane is as high as the subtrees in it", () => {
    const tree = treeOf({ parent: [-1, 0, 1, 2, 0], start: [0, 0, 0, 0, 1], duration: [9, 5, 5, 5, 5] });
    expect([...timeLayout(tree).row]).toEqual([0, 1, 2, 3, 4]);
  });

  test("a parent reaches as far as work that outlives it", () => {
    const l = timeLayout(treeOf({ parent: [-1, 0, 1], start: [0, 0, 1], duration: [2, 1, 5] }));
    expect([...l.w]).toEqual([6, 6, 5]);
  });
});

test("a call of unknown size and a failed one are marks, not boxes", () => {
  const tree = treeOf({ parent: [-1, 0, 0, 0], kind: [0, 2, 2, 2], input: [0, 5, 0, 0], source: [255, 0, 4, 0], status: [0, 0, 0, 1] });
  const l = metricLayout(tree, "tokens");
  expect([...l.marks]).toEqual([2, 3]);
  expect([...l.order]).toEqual([0, 1]);
});

test("a stack of 50,000 frames is laid out", () => {
  const parent = Array.from({ length: 50_000 }, (_, i) => i - 1);
  const tree = treeOf({ parent, duration: parent.map(() => 1) });
  expect(timeLayout(tree).rowCount).toBe(50_000);
});

test("50,000 parallel calls are laid out", () => {
  const parent = [-1, ...new Array<number>(50_000).fill(0)];
  const tree = treeOf({ parent, start: parent.map((_, i) => i * 1e-6), duration: parent.map(() => 10) });
  expect(timeLayout(tree).rowCount).toBe(50_001);
});

test("embeddings have a width in tokens, and none in input or output", () => {
  const tree = treeOf({ parent: [-1, 0, 0, 0], kind: [0, 2, 3, 3], input: [0, 7, 0, 0], embedding: [0, 0, 50, 0], source: [255, 0, 0, 4] });
  const tokens = metricLayout(tree, "tokens");
  const input = metricLayout(tree, "input");
  expect([[...tokens.w], [...tokens.marks]]).toEqual([[57, 7, 50, 0], [3]]);
  expect([[...input.w], [...input.marks]]).toEqual([[7, 7, 0, 0], []]);
});
