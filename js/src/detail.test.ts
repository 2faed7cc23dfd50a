import { expect, test } from "vitest";
import { arithmetic } from "./detail.ts";
import { treeOf } from "./fixture.ts";

const tree = treeOf({
  parent: [-1, 0, 0, 0, 0], kind: [0, 2, 2, 2, 3], input: [0, 1000, 10, 5, 0], output: [0, 100, 10, 5, 0], cache_read: [0, 400, 0, 0, 0],
  embedding: [0, 0, 0, 0, 2000], cost: [NaN, 0.0022, 0.0125, NaN, 0.00004], source: [255, 0, 0, 0, 0],
  cost_input: [0, 0.0012, 0, 0, 0.00004], cost_output: [0, 0.0008, 0, 0, 0], cost_cache_read: [0, 0.0002, 0, 0, 0],
});

test("the cost of a call is its tokens by their prices", () => {
  expect(arithmetic(tree, 1)).toEqual([
    { name: "fresh input", tokens: 600, usd: 0.0012 },
    { name: "cache reads", tokens: 400, usd: 0.0002 },
    { name: "output", tokens: 100, usd: 0.0008 },
  ]);
  expect(arithmetic(tree, 4)).toEqual([{ name: "input", tokens: 2000, usd: 0.00004 }]);
});

test("a cost that was told as a whole is not split, and an unknown one is not zero", () => {
  expect(arithmetic(tree, 2)).toEqual([{ name: "told as a whole", tokens: 0, usd: 0.0125 }]);
  expect(arithmetic(tree, 3)).toBeNull();
});
