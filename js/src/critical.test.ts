import { describe, expect, it } from "vitest";
import { criticalPath } from "./critical.ts";
import { randomTree, treeOf } from "./fixture.ts";

/** A root, and steps of [parent, start, end]. */
function tree(end: number, ...steps: [number, number, number][]) {
  return treeOf({
    parent: [-1, ...steps.map(([up]) => up)],
    start: [0, ...steps.map(([, start]) => start)],
    duration: [end, ...steps.map(([, start, stop]) => stop - start)],
    kind: [0, ...steps.map(() => 1)],
  });
}

describe("the critical path", () => {
  it("goes through everything that happens one after the other", () => {
    const { on, self, stretches } = criticalPath(tree(10, [0, 1, 4], [0, 5, 9]));
    expect([...on]).toEqual([1, 1, 1]);
    expect([...self]).toEqual([3, 3, 4]);
    expect(stretches.map(({ node, from, to }) => [node, from, to])).toEqual([[0, 0, 1], [1, 1, 4], [0, 4, 5], [2, 5, 9], [0, 9, 10]]);
  });

  it("takes of steps side by side the one that ends last", () => {
    const { on, total } = criticalPath(tree(8, [0, 0, 3], [0, 0, 8], [0, 0, 5]));
    expect([...on]).toEqual([1, 0, 1, 0]);
    expect([...total]).toEqual([8, 0, 8, 0]);
  });

  it("goes back to what had ended before the last step began, and leaves out what still ran then", () => {
    const { on, self } = criticalPath(tree(10, [0, 0, 4], [0, 0, 6], [0, 5, 10]));
    expect([...on]).toEqual([1, 1, 0, 1]);
    expect([...self]).toEqual([1, 4, 0, 5]);
  });

  it("goes down into what a step waited for", () => {
    const { on, total } = criticalPath(tree(10, [0, 0, 10], [1, 1, 3], [1, 2, 9]));
    expect([...on]).toEqual([1, 1, 0, 1]);
    expect([...total]).toEqual([10, 10, 0, 7]);
  });

  it("ends with the profile, also where a step goes on", () => {
    const { total } = criticalPath(tree(5, [0, 1, 9]));
    expect([...total]).toEqual([5, 4]);
  });

  it("is as long as the root, without gaps, in any tree", () => {
    for (let seed = 1; seed < 30; seed++) {
      const { stretches, total } = criticalPath(randomTree(300, seed));
      expect(total[0]).toBeCloseTo(100, 6);
      let reached = 0;
      for (const { from, to } of stretches) {
        expect(from).toBeCloseTo(reached, 6);
        reached = to;
      }
      expect(reached).toBeCloseTo(100, 6);
    }
  });

  it("goes through thousands of functions inside each other", () => {
    const deep = Array.from({ length: 20_000 }, (_, i): [number, number, number] => [i, 0, 1]);
    expect(criticalPath(tree(1, ...deep)).on.every(Boolean)).toBe(true);
  });

  it("is nothing where there is nothing", () => {
    expect(criticalPath(treeOf({ parent: [] })).stretches).toEqual([]);
  });
});
