import { describe, expect, it } from "vitest";
import { criticalPath } from "./critical.ts";
import { generator, randomTree, treeOf } from "./fixture.ts";

type Step = [up: number, start: number, end: number];

/** Random steps on whole seconds, many of which go on after the one that began them; in pre-order. */
function outliving(count: number, seed: number): Step[] {
  const next = generator(seed);
  const steps: Step[] = [];
  const path: [number, number, number][] = [[0, 0, 40]];
  while (steps.length < count) {
    while (path.length > 1 && next() < 0.4) path.pop();
    const [up, begin, stop] = path.at(-1)!;
    const start = begin + Math.floor(next() * (stop - begin + 1));
    const end = start + Math.floor(next() * (next() < 0.4 ? 20 : stop - start + 1));
    steps.push([up, start, end]);
    path.push([steps.length, start, end]);
  }
  return steps;
}

/** When a profile ends if a step takes less time, everything forward in time, as in tests/unit/test_critical.py. */
function replay(whole: number, steps: Step[], shorter: number, seconds: number): number {
  const all: Step[] = [[-1, 0, whole], ...steps.map(([up, start, end]): Step => [up, start, up === 0 ? Math.min(end, whole) : end])];
  const above = (node: number): number[] => (node < 0 ? [] : [node, ...above(all[node]![0])]);
  const ended = all.map(([up, , end]) => above(up).find((each) => all[each]![2] >= end) ?? -1);
  const began = all.map(([up, start], node) => above(up).find((each) => all[each]![2] > start || each === ended[node]) ?? -1);
  const last = (nodes: number[], from: number, when: (node: number) => number) => Math.max(from, ...nodes.map(when));
  const within = (node: number) => all.map((_, each) => each).filter((each) => ended[each] === node);
  const begins = (node: number): number => {
    const around = began[node]!;
    const shift = node === shorter + 1 ? -seconds : 0;
    if (around < 0) return shift;
    const before = within(around).filter((each) => all[each]![1] < all[node]![1] && all[each]![2] <= all[node]![1]);
    return last(before, begins(around), ends) + all[node]![1] - last(before, all[around]![1], (each) => all[each]![2]) + shift;
  };
  const ends = (node: number): number => {
    const inside = within(node).filter((each) => all[each]![1] < all[node]![2] && all[each]![2] > all[node]![1]);
    return last(inside, begins(node), ends) + all[node]![2] - last(inside, all[node]![1], (each) => all[each]![2]);
  };
  return ends(0);
}

/** A root, and steps of [parent, start, end]. */
function tree(end: number, ...steps: Step[]) {
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

  it("goes through what goes on after the step that began it, and through that step until then", () => {
    const path = (end: number, ...steps: Step[]) =>
      criticalPath(tree(end, ...steps)).stretches.map(({ node, from, to }) => [node, from, to]);
    expect(path(10, [0, 0, 4], [1, 1, 9])).toEqual([[1, 0, 1], [2, 1, 9], [0, 9, 10]]);
    expect(path(10, [0, 0, 8], [1, 1, 4], [2, 2, 7])).toEqual([[1, 0, 1], [2, 1, 2], [3, 2, 7], [1, 7, 8], [0, 8, 10]]);
    // beyond the profile, and begun when the step had ended
    expect(path(5, [0, 1, 4], [1, 2, 9])).toEqual([[0, 0, 1], [1, 1, 4], [0, 4, 5]]);
    expect(path(10, [0, 0, 3], [1, 5, 9])).toEqual([[1, 0, 3], [0, 3, 5], [2, 5, 9], [0, 9, 10]]);
  });

  it("takes for its chain only what, if it were shorter, would end the profile sooner", () => {
    for (let seed = 1; seed < 120; seed++) {
      const steps = outliving(12, seed);
      const { on } = criticalPath(tree(40, ...steps));
      steps.forEach(([, start, end], at) => {
        const leaf = !steps.some(([up]) => up === at + 1);
        if (leaf && end > start && replay(40, steps, at, 0.5) < 40 - 1e-9) expect(on[at + 1]).toBe(1);
      });
    }
  });

  it("is as long as the root, without gaps, in any tree", () => {
    const trees = Array.from({ length: 30 }, (_, i) => [randomTree(300, i + 1), 100] as const);
    const others = Array.from({ length: 30 }, (_, i) => [tree(40, ...outliving(60, i + 1)), 40] as const);
    for (const [each, whole] of [...trees, ...others]) {
      const { stretches, total } = criticalPath(each);
      expect(total[0]).toBeCloseTo(whole, 6);
      let reached = 0;
      for (const { from, to } of stretches) {
        expect(from).toBeCloseTo(reached, 6);
        reached = to;
      }
      expect(reached).toBeCloseTo(whole, 6);
    }
  });

  it("goes through thousands of functions inside each other", () => {
    const deep = Array.from({ length: 20_000 }, (_, i): Step => [i, 0, 1]);
    expect(criticalPath(tree(1, ...deep)).on.every(Boolean)).toBe(true);
  });

  it("is nothing where there is nothing", () => {
    expect(criticalPath(treeOf({ parent: [] })).stretches).toEqual([]);
  });
});
