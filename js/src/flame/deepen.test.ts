import { describe, expect, test } from "vitest";
import { decode, encode, type Block } from "../border.ts";
import { facts } from "../facts.ts";
import { layout } from "../layout.ts";
import { buildTree, isPart, METRICS, nameOf, replayedShare, selfOf, totalOf } from "../tree.ts";
import { Orders } from "./orders.ts";
import type { Choice } from "./narrow.ts";
import { deepen } from "./deepen.ts";

const all = (more: Partial<Choice> = {}): Choice =>
  ({ kinds: new Set(), models: new Set(), only: null, least: 0, metric: "tokens", fold: false, unfolded: new Set(), ...more });

/** cell > step > two calls; the first with parts, and with a call below it. */
function block(): Block {
  return decode(
    encode({
      nodes: 5,
      columns: {
        parent: [-1, 0, 1, 2, 1], name: [0, 1, 2, 2, 2], kind: [0, 1, 2, 2, 2], source: [255, 255, 0, 0, 0], row: [0, 1, 2, 3, 4],
        input: [0, 0, 100, 7, 40], output: [0, 0, 30, 1, 5], reasoning: [0, 0, 10, 0, 0], cache_read: [0, 0, 60, 0, 0],
        cost: [0, 0, 1.3, 0.1, NaN], cost_input: [0, 0, 0.4, 0, 0], cost_cache_read: [0, 0, 0.6, 0, 0], cost_output: [0, 0, 0.3, 0, 0],
        duration: [9, 8, 3, 1, 2], start: [0, 0, 1, 2, 5], count: [0, 0, 1, 1, 1], model: [-1, -1, 3, 3, 3],
      },
      strings: ["cell", "step", "chat", "gpt", "search"],
      kinds: ["cell", "task", "llm"],
      segments: {
        node: [2, 2, 2, 4], part: [0, 1, 2, 0], label: [4, -1, -1, -1], tokens: [50, 20, 30, 40], new: [0, 20, 6, 40], cached: [50, 10, 0, 0],
        cost: [0.5, 0.2, 0.3, NaN], names: ["tools", "system", "history"],
      },
    }),
  );
}

const names = (orders: Orders) => Array.from({ length: orders.tree.block.nodes }, (_, n) => nameOf(orders.tree.block, n));

describe("the parts of a prompt", () => {
  test("stand below their call, and account for all of it", () => {
    const flat = buildTree(block());
    const deep = buildTree(deepen(block()));
    expect(Array.from({ length: deep.block.nodes }, (_, n) => nameOf(deep.block, n))).toEqual(
      ["cell", "step", "chat", "search · tool", "system", "history", "output", "reasoning", "chat", "chat", "tools", "output"]);
    const call = 2;
    for (const metric of METRICS) {
      expect(totalOf(deep, metric, 0)).toBeCloseTo(totalOf(flat, metric, 0));
      expect(totalOf(deep, metric, call)).toBeCloseTo(totalOf(flat, metric, 2));
      if (metric !== "time") expect(selfOf(deep, metric, call)).toBe(0);
    }
    expect([3, 4, 5, 6, 7].map((n) => totalOf(deep, "tokens", n))).toEqual([50, 20, 30, 20, 10]);
    expect([3, 4, 5, 6, 7].map((n) => totalOf(deep, "cached", n))).toEqual([50, 10, 0, 0, 0]);
    expect([6, 7].map((n) => totalOf(deep, "cost", n))).toEqual([expect.closeTo(0.2), expect.closeTo(0.1)]);
    expect([3, 4, 5, 6].map((n) => replayedShare(deep, n))).toEqual([1, 0, 0.8, 0]);
    expect(deep.totals.replayed[0]).toBe(74);
    expect([deep.totals.calls[0], deep.totals.unpriced[0]]).toEqual([3, 1]);
    expect(deepen(decode(encode({ nodes: 1, columns: { parent: [-1] }, strings: [], kinds: ["cell"] }))).segments).toBeUndefined();
  });

  test("are as wide as their metric says, and not there in time", () => {
    const orders = new Orders(block(), all());
    const shown = (metric: (typeof METRICS)[number]) => {
      orders.setMetric(metric);
      const { order } = layout(orders.tree, metric);
      return [...order].filter((n) => isPart(orders.tree, n)).map((n) => nameOf(orders.tree.block, n));
    };
    expect(shown("input")).toEqual(["search · tool", "system", "history", "tools"]);
    expect(shown("output")).toEqual(["output", "reasoning", "output"]);
    expect(shown("reasoning")).toEqual(["reasoning"]);
    expect(shown("time")).toEqual([]);
    expect(names(orders)).toEqual(["cell", "step", "chat", "chat", "chat"]);
    expect(selfOf(orders.tree, "time", 2)).toBe(2);
    expect(shown("cost")).toEqual(["search · tool", "system", "history", "output", "reasoning"]);
  });

  test("select their calls, in every order", () => {
    const orders = new Orders(block(), all());
    const part = () => names(orders).indexOf("history");
    expect(orders.selectionAt(part())).toEqual({ rows: [2, 4], label: "chat" });
    expect(orders.selectionAt(names(orders).indexOf("tools"))).toEqual({ rows: [4, 5], label: "chat" });
    orders.setOrder("merged", -1);
    const output = names(orders).indexOf("output");
    expect(orders.selectionAt(output)).toEqual({ rows: [2, 5], label: "chat" });
    orders.setOrder("sandwich", 5);
    expect(nameOf(orders.tree.block, 0)).toBe("history");
    expect(orders.selectionAt(1)).toEqual({ rows: [2, 4], label: "chat" });
  });

  test("go where their call goes", () => {
    const orders = new Orders(block(), all({ kinds: new Set(["part"]) }));
    expect(names(orders)).toEqual(["cell", "step", "chat", "chat", "chat"]);
    expect(selfOf(orders.tree, "tokens", 2)).toBe(130);
    orders.setChoice(all({ models: new Set(["gpt"]) }));
    expect(totalOf(orders.tree, "tokens", 0)).toBe(0);
    const only = new Uint8Array(12);
    only[5] = 1;
    orders.setChoice(all({ only }));
    expect(names(orders)).toEqual(["cell", "step", "chat", "history"]);
    expect(totalOf(orders.tree, "tokens", 0)).toBe(30);
  });

  test("say what they are", () => {
    const tree = buildTree(deepen(block()));
    const said = (node: number) => Object.fromEntries(facts(tree, "tokens", node).map(({ label, value }) => [label, value]));
    expect(said(5)).toMatchObject({ Kind: "part of the prompt", Tokens: "~ 30", "Sent before": "24 (80%)" });
    expect(said(6)).toMatchObject({ Kind: "part of the answer", Tokens: "20" });
    expect(said(10)).toMatchObject({ Cost: "price unknown" });
    expect(said(2)["Tokens"]).toBe("138");
    expect(said(3)["Duration"]).toBeUndefined();
  });
});

test("columns of segments are checked", () => {
  const make = (segments: object) => () => decode(encode({
    nodes: 2, columns: { parent: [-1, 0] }, strings: ["a"], kinds: ["cell"],
    segments: { node: [1], part: [0], label: [0], tokens: [1], new: [1], cached: [0], cost: [0], names: ["user"], ...segments },
  }));
  expect(make({})().segments!.names).toEqual(["user"]);
  expect(make({ node: [2] })).toThrow('column "segment_node"');
  expect(make({ part: [1] })).toThrow('column "segment_part"');
  expect(make({ label: [1] })).toThrow('column "segment_label"');
  expect(make({ tokens: [1, 2] })).toThrow('column "segment_tokens"');
  expect(make({ node: [1, 0], part: [0, 0], label: [0, 0], tokens: [1, 1], new: [1, 1], cached: [0, 0], cost: [0, 0] })).toThrow("out of order");
});
