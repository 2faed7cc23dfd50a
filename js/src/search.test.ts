import { expect, test } from "vitest";
import { colorize } from "./color.ts";
import { treeOf } from "./fixture.ts";
import { both, matchedTotal, ofEntry, search } from "./search.ts";

const tree = () =>
  treeOf(
    { parent: [-1, 0, 1, 1], name: [0, 1, 2, 2], kind: [0, 1, 2, 2], model: [-1, -1, 3, 4], where: [-1, 5, -1, -1], input: [0, 0, 30, 70], source: [255, 255, 0, 0] },
    ["In[2]", "Plan", "chat", "gpt-5", "claude", "agent.py:12"],
  );

test("substring in any case, over name, model and place", () => {
  const found = (text: string) => [...(search(tree(), text)?.mask ?? [])];
  expect(found("plan")).toEqual([0, 1, 0, 0]);
  expect(found("GPT")).toEqual([0, 0, 1, 0]);
  expect(found("agent.py")).toEqual([0, 1, 0, 0]);
  expect(found("nope")).toEqual([0, 0, 0, 0]);
  expect(search(tree(), "  ")).toBeNull();
});

test("the share counts a token once, though parent and child match", () => {
  const t = tree();
  expect(matchedTotal(t, "tokens", search(t, "claude")!)).toBe(70);
  const all = { mask: new Uint8Array([0, 1, 1, 1]), count: 3 };
  expect(matchedTotal(t, "tokens", all)).toBe(100);
});

test("a legend entry picks its nodes, together with a search only what is both", () => {
  const t = tree();
  const claude = ofEntry(colorize(t, "model"), "claude")!;
  expect([...claude.mask]).toEqual([0, 0, 0, 1]);
  expect(both(claude, search(t, "chat"))!.count).toBe(1);
  expect(both(claude, search(t, "gpt"))!.count).toBe(0);
  expect(both(null, claude)).toBe(claude);
});
