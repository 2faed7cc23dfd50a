import { expect, test } from "vitest";
import { generator, randomTree, treeOf } from "./fixture.ts";
import { sameNode, selfOf, totalOf, unknownOf } from "./tree.ts";

// cell > frame > (call, failed call, unpriced call)
const tree = () =>
  treeOf({
    parent: [-1, 0, 1, 1, 1],
    kind: [0, 1, 2, 2, 2],
    start: [0, 0, 1, 2, 5],
    duration: [10, 10, 2, 2, 1],
    input: [0, 0, 100, 0, 50],
    output: [0, 0, 10, 0, 5],
    cost: [NaN, NaN, 0.5, 0, NaN],
    source: [255, 255, 0, 4, 2],
    status: [0, 0, 0, 1, 0],
    attempt: [0, 0, 1, 1, 2],
    row: [0, -1, 1, 2, 3],
  });

test("totals are the sum of what is below, calls and gaps are counted", () => {
  const t = tree();
  expect(totalOf(t, "tokens", 0)).toBe(165);
  expect(totalOf(t, "cost", 0)).toBe(0.5);
  expect(t.totals.calls[0]).toBe(3);
  expect(t.totals.unpriced[0]).toBe(1);
  expect(t.totals.unknown[0]).toBe(1);
  expect(t.totals.errors[0]).toBe(1);
  expect(t.totals.retries[0]).toBe(1);
});

test("provenance of a total is the worst below it", () => {
  const { source } = tree().totals;
  expect([...source]).toEqual([4, 4, 0, 4, 2]);
});

test("self time is what no child covers, overlaps counted once", () => {
  expect(selfOf(tree(), "time", 1)).toBeCloseTo(10 - 3 - 1);
});

test("self sums to the total of the root in random trees", () => {
  for (let seed = 1; seed < 20; seed++) {
    const t = randomTree(300, seed);
    let sum = 0;
    for (let node = 0; node < 300; node++) sum += selfOf(t, "tokens", node);
    expect(totalOf(t, "tokens", 0)).toBe(sum);
  }
});

test("a selected span is found again by its row, a frame by its place", () => {
  const a = tree().block;
  const b = treeOf({ parent: [-1, 0, 1], row: [0, -1, 3] }).block;
  expect(sameNode(a, b, 4)).toBe(2);
  expect(sameNode(a, b, 1)).toBe(1);
  expect(sameNode(a, b, 2)).toBe(-1);
});

test("siblings are linked both ways in call order", () => {
  const t = tree();
  expect([t.firstChild[1], t.nextSibling[2], t.nextSibling[3], t.nextSibling[4]]).toEqual([2, 3, 4, -1]);
  expect([t.prevSibling[4], t.prevSibling[3], t.prevSibling[2]]).toEqual([3, 2, -1]);
  expect(generator(1)()).toBe(generator(1)());
});

test("embeddings are tokens, but no input of a language model", () => {
  const t = treeOf({ parent: [-1, 0, 0, 0], kind: [0, 2, 3, 3], input: [0, 100, 0, 0], output: [0, 10, 0, 0], embedding: [0, 0, 5000, 0], source: [255, 0, 0, 4] });
  expect(["tokens", "input", "output"].map((metric) => totalOf(t, metric as never, 0))).toEqual([5110, 100, 10]);
  expect(["tokens", "input"].map((metric) => selfOf(t, metric as never, 2))).toEqual([5000, 0]);
  expect(["tokens", "input", "output"].map((metric) => unknownOf(t, metric as never, 0))).toEqual([1, 0, 0]);
  expect([t.totals.source[0], t.totals.languageSource[0]]).toEqual([4, 0]);
  expect([...t.isEmbedding]).toEqual([0, 0, 1, 1]);
});
