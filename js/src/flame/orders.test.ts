import { describe, expect, test } from "vitest";
import { decode, encode } from "../border.ts";
import { criticalPath } from "../critical.ts";
import { generator, KINDS, randomTree, treeOf } from "../fixture.ts";
import { layout } from "../layout.ts";
import { heaviestFirst, merge, runsLike, sandwich } from "./merge.ts";
import { narrow, type Choice } from "./narrow.ts";
import { Orders } from "./orders.ts";
import { buildTree, METRICS, nameOf, runsOf, selfOf, totalOf, type Tree } from "../tree.ts";

const all = (more: Partial<Choice> = {}): Choice =>
  ({ kinds: new Set(), models: new Set(), only: null, least: 0, metric: "tokens", fold: false, unfolded: new Set(), ...more });

/** A random tree in which the same few names come again and again. */
function repeating(nodes: number, seed: number): Tree {
  const { block } = randomTree(nodes, seed);
  const next = generator(seed + 100);
  const names = Int32Array.from({ length: nodes }, () => Math.floor(next() * 4));
  const calls = Array.from(block.source, (source) => source === 0);
  const tokens = (most: number) => calls.map((call) => (call ? Math.floor(next() * most) : 0));
  const columns = {
    parent: block.parent, start: block.start, duration: block.duration, kind: block.kind, source: block.source, name: names,
    model: calls.map((call) => (call ? 4 + Math.floor(next() * 2) : -1)), row: names.map((_, i) => i),
    input: tokens(1000), output: tokens(300), cache_read: tokens(200), reasoning: tokens(100),
    cost: calls.map((call) => (call && next() < 0.8 ? next() : NaN)),
  };
  return buildTree(decode(encode({ nodes, columns, strings: ["a", "b", "c", "d", "gpt", "claude"], kinds: KINDS })));
}

/** No box wider than its parent's room, in each direction. */
function expectInside(tree: Tree): void {
  for (const metric of METRICS) {
    const l = layout(tree, metric);
    const sum = new Float64Array(tree.block.nodes);
    const up = tree.made?.up;
    for (let node = 1; node < tree.block.nodes; node++) {
      const above = tree.block.parent[node]!;
      expect(l.x[node]!).toBeGreaterThanOrEqual(l.x[above]! - 1e-6);
      expect(l.x[node]! + l.w[node]!).toBeLessThanOrEqual(l.x[above]! + l.w[above]! + 1e-6);
      if (above > 0 || !up?.[node]) sum[above]! += l.w[node]!;
    }
    if (metric === "time" && !tree.made?.merged) continue;
    sum.forEach((value, node) => expect(value).toBeLessThanOrEqual(l.w[node]! + 1e-6));
  }
}

describe("merged", () => {
  test("equal paths are one, and every total is the sum of theirs", () => {
    for (let seed = 1; seed < 8; seed++) {
      const tree = repeating(300, seed);
      const merged = merge(tree);
      expect(merged.block.nodes).toBeLessThan(300);
      for (const metric of METRICS) {
        const sums = new Float64Array(merged.block.nodes);
        const self = new Float64Array(merged.block.nodes);
        for (let node = 0; node < 300; node++) sums[merged.made!.of[node]!]! += totalOf(tree, metric, node);
        for (let node = 0; node < merged.block.nodes; node++) self[0]! += selfOf(merged, metric, node);
        if (metric !== "time") sums.forEach((sum, node) => expect(totalOf(merged, metric, node)).toBeCloseTo(sum));
        expect(self[0]).toBeCloseTo(totalOf(merged, metric, 0));
      }
      for (let node = 1; node < 300; node++) {
        expect(merged.made!.of[tree.block.parent[node]!]).toBe(merged.block.parent[merged.made!.of[node]!]);
        expect(nameOf(merged.block, merged.made!.of[node]!)).toBe(nameOf(tree.block, node));
      }
      expectInside(merged);
    }
  });

  test("counts, doubts and failures add up; a price that no call has stays unknown", () => {
    const tree = treeOf({
      parent: [-1, 0, 0, 0], kind: [0, 2, 2, 2], source: [255, 0, 4, 2], status: [0, 0, 1, 0], cost: [0, NaN, NaN, NaN],
      input: [0, 5, 0, 7], row: [0, 1, 2, 3],
    });
    const { totals, block, made } = merge(tree);
    expect([block.nodes, made!.first[2]! - made!.first[1]!]).toEqual([2, 3]);
    expect([totals.calls[1], totals.errors[1], totals.unknown[1], totals.unpriced[1], totals.source[1]]).toEqual([3, 1, 1, 3, 4]);
    expect([block.input[1], block.row[1], block.cost[1], block.status[1]]).toEqual([12, -1, NaN, 0]);
  });

  test("heaviest first keeps the totals, and orders siblings by any metric", () => {
    const merged = merge(repeating(400, 3));
    for (const metric of METRICS) {
      const tree = heaviestFirst(merged, metric);
      let seen = 0;
      for (let node = 0; node < tree.block.nodes; node++) {
        for (let child = tree.firstChild[node]!, last = Infinity; child >= 0; child = tree.nextSibling[child]!) {
          expect(totalOf(tree, metric, child)).toBeLessThanOrEqual(last);
          last = totalOf(tree, metric, child);
          seen++;
        }
      }
      expect(seen).toBe(tree.block.nodes - 1);
      expect(layout(tree, metric).to).toBe(layout(merged, metric).to);
      expectInside(tree);
    }
  });

  test("time of parallel work is summed", () => {
    const tree = treeOf({ parent: [-1, 0, 0, 0], kind: [0, 2, 2, 1], start: [0, 1, 1, 9], duration: [10, 5, 6, 1], source: [255, 0, 0, 255] });
    const merged = merge(tree);
    expect([...merged.block.duration]).toEqual([10 - 6 - 1 + 11 + 1, 11, 1]);
    expect(selfOf(merged, "time", 0)).toBe(3);
  });
});

describe("sandwich", () => {
  // root > a > f > x, root > b > f > (x, f > x): f inside f counts once
  const tree = () =>
    treeOf(
      { parent: [-1, 0, 1, 2, 0, 4, 5, 5, 7], kind: [0, 1, 1, 2, 1, 1, 2, 1, 2], name: [0, 1, 3, 4, 2, 3, 4, 3, 4],
        input: [0, 0, 0, 10, 0, 0, 20, 0, 30], source: [255, 255, 255, 0, 255, 255, 0, 255, 0], row: [0, -1, -1, 1, -1, -1, 2, -1, 3] },
      ["root", "a", "b", "f", "x"],
    );

  test("callers and callees of a function each come to what it used", () => {
    const s = heaviestFirst(sandwich(tree(), runsLike(tree(), 2)), "tokens");
    const named = (up: number) =>
      Array.from({ length: s.block.nodes }, (_, n) => n).filter((n) => n > 0 && s.made!.up![n] === up)
        .map((n) => [nameOf(s.block, n), totalOf(s, "tokens", n), s.depth[n]]);
    expect([nameOf(s.block, 0), totalOf(s, "tokens", 0), runsOf(s, 0)]).toEqual(["f", 60, 2]);
    expect(named(1)).toEqual([["a", 10, 1], ["b", 50, 1], ["root", 10, 2], ["root", 50, 2]]);
    expect(named(0)).toEqual([["x", 30, 1], ["f", 30, 1], ["x", 30, 2]]);
    const l = layout(s, "tokens");
    expect(l.row[0]).toBe(2);
    expect([...l.row.subarray(1)].sort()).toEqual([0, 0, 1, 1, 3, 3, 4]);
    expectInside(s);
  });

  test("of a call, all calls of its model; callers add up to them", () => {
    for (let seed = 1; seed < 6; seed++) {
      const random = repeating(200, seed);
      const call = random.isCall.indexOf(1);
      const s = sandwich(random, runsLike(random, call));
      expectInside(s);
      let callers = 0;
      for (let node = 1; node < s.block.nodes; node++) if (s.made!.up![node] && s.depth[node] === 1) callers += totalOf(s, "tokens", node);
      expect(callers).toBe(totalOf(s, "tokens", 0));
    }
  });
});

describe("a part of the tree", () => {
  test("without functions their children move up, and nothing is lost", () => {
    const tree = repeating(300, 5);
    const part = narrow(tree, all({ kinds: new Set(["frame"]) }));
    expect(part.block.nodes).toBe(tree.isCall.reduce((sum, call) => sum + call, 1));
    for (const metric of METRICS) expect(totalOf(part, metric, 0)).toBeCloseTo(totalOf(tree, metric, 0));
    expectInside(part);
  });

  test("calls of a model that is not wanted do not count", () => {
    const tree = repeating(300, 6);
    const [gpt, claude] = ["gpt", "claude"].map((model) => narrow(tree, all({ models: new Set([model]) })));
    for (const metric of ["tokens", "cost"] as const) {
      expect(totalOf(gpt!, metric, 0) + totalOf(claude!, metric, 0)).toBeCloseTo(totalOf(tree, metric, 0));
    }
    expect(gpt!.totals.calls[0]! + claude!.totals.calls[0]!).toBe(tree.totals.calls[0]);
    expectInside(gpt!);
  });

  test("what is smaller than the threshold is not shown, but counts", () => {
    const tree = repeating(300, 7);
    const part = narrow(tree, all({ least: 0.05 }));
    expect(part.block.nodes).toBeLessThan(300);
    for (let node = 0; node < part.block.nodes; node++) {
      expect(totalOf(part, "tokens", node)).toBeGreaterThanOrEqual(0.05 * totalOf(tree, "tokens", 0));
      expect(totalOf(part, "tokens", node)).toBe(totalOf(tree, "tokens", part.made!.like[node]!));
    }
  });

  test("only what was searched for, with what is around it", () => {
    const tree = treeOf({ parent: [-1, 0, 1, 0, 3], kind: [0, 1, 2, 1, 2], input: [0, 0, 3, 0, 4], source: [255, 255, 0, 255, 0] });
    const part = narrow(tree, all({ only: Uint8Array.of(0, 0, 1, 0, 0) }));
    expect([...part.made!.like]).toEqual([0, 1, 2]);
    expect(totalOf(part, "tokens", 0)).toBe(3);
  });

  test("a chain of functions is one box, until it is unfolded", () => {
    // root > f > g > h > (call, call); root > call
    const tree = treeOf(
      { parent: [-1, 0, 1, 2, 3, 3, 0], kind: [0, 1, 1, 1, 2, 2, 2], name: [0, 1, 2, 3, 4, 4, 4], input: [0, 0, 0, 0, 1, 2, 4], source: [255, 255, 255, 255, 0, 0, 0] },
      ["root", "f", "g", "h", "call"],
    );
    const folded = narrow(tree, all({ fold: true }));
    expect([...folded.made!.of]).toEqual([0, 1, 1, 1, 2, 3, 4]);
    expect([nameOf(folded.block, 1), folded.made!.folded![1], totalOf(folded, "tokens", 1)]).toEqual(["f › g › h", 2, 3]);
    expect(narrow(tree, all({ fold: true, unfolded: new Set([1]) }))).toBe(tree);
    expectInside(folded);
  });
});

test("rows lead to nodes and back, in every order", () => {
  const { block } = repeating(300, 8);
  const orders = new Orders(block, all({ fold: true }));
  const call = orders.base.isCall.indexOf(1);
  for (const order of ["time", "merged", "sandwich"] as const) {
    orders.setOrder(order, call);
    expect(orders.order).toBe(order);
    for (let base = 0; base < 300; base++) {
      const node = orders.nodeOf(base);
      if (node < 0) continue;
      const { node: found } = orders.find(orders.selectionAt(node));
      // The node itself, or the innermost one with the same rows.
      for (let at = found; at !== node; at = orders.tree.block.parent[at]!) expect(at).toBeGreaterThan(node);
    }
  }
});

test("the path to the end lies in boxes that are shown, also merged", () => {
  const { block } = repeating(200, 9);
  const orders = new Orders(block, all({ kinds: new Set(["frame"]) }));
  const { on } = criticalPath(orders.base);
  orders.setOrder("merged", -1);
  const mask = orders.criticalMask();
  on.forEach((is, base) => is && orders.nodeOf(base) >= 0 && expect(mask[orders.nodeOf(base)]).toBe(1));
});
