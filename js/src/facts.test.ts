import { expect, test } from "vitest";
import { amount, facts, glyphs, shortAmount, title, whyEmpty } from "./facts.ts";
import { treeOf } from "./fixture.ts";
import { place } from "./place.ts";

const tree = () =>
  treeOf(
    {
      parent: [-1, 0, 0, 0], name: [0, 1, 1, 1], kind: [0, 2, 2, 2], model: [-1, 2, 2, 2],
      input: [0, 1000, 0, 0], cache_read: [0, 400, 0, 0], output: [0, 234, 0, 0], reasoning: [0, 34, 0, 0],
      cost: [NaN, 0.0123, NaN, 0], source: [255, 0, 4, 0], status: [0, 0, 0, 1], http_status: [0, 200, 200, 429],
      attempt: [0, 2, 1, 1], error: [-1, -1, -1, 3], duration: [8.2, 1, 1, 1], stream: [0, 1, 0, 0], ttft: [NaN, 0.5, NaN, NaN],
    },
    ["In[2]", "chat", "gpt", "slow down"],
  );

const said = (node: number) => Object.fromEntries(facts(tree(), "tokens", node).map((f) => [f.label, f.value]));

test("the title says where something is missing", () => {
  expect(title(tree()).parts).toEqual(["≥ 1,234 tokens", "≥ $0.0123", "3 calls", "1 failed", "8.2 s"]);
});

test("facts of a call are in words", () => {
  expect(said(1)).toMatchObject({
    Kind: "llm, streamed",
    Tokens: "1,234",
    Input: "1,000 (400 from cache)",
    Output: "234 (34 reasoning)",
    Cost: "$0.0123",
    Counted: "reported by the provider",
    Duration: "1 s, first token after 500 ms",
    Retry: "attempt 2 of the same request",
  });
  expect(said(2)).toMatchObject({ Tokens: "unknown", Cost: "price unknown" });
  expect(said(0)).toMatchObject({ Counted: "lower bound: 1 of 3 calls without full usage" });
  expect(said(3)).toMatchObject({ Status: "error · HTTP 429 · slow down" });
});

const mixed = () =>
  treeOf(
    { parent: [-1, 0, 0, 0], name: [0, 1, 2, 2], kind: [0, 2, 3, 3], input: [0, 1000, 0, 0], output: [0, 234, 0, 0],
      embedding: [0, 0, 5000, 0], source: [255, 0, 0, 4], duration: [1, 1, 1, 1] },
    ["In[2]", "chat", "embeddings"],
  );

test("embedding tokens are named", () => {
  const t = mixed();
  const words = (node: number) => Object.fromEntries(facts(t, "tokens", node).map((f) => [f.label, f.value]));
  expect(title(t).parts[0]).toBe("≥ 6,234 tokens (5,000 embedding)");
  expect(words(0)).toMatchObject({ Tokens: "≥ 6,234 (0 self)", Input: "1,000", Output: "234", Embedding: "5,000" });
  expect(words(1)).not.toHaveProperty("Embedding");
  expect(words(2)).toMatchObject({ "Embedding tokens": "5,000", Kind: "embedding" });
  for (const label of ["Tokens", "Input", "Output", "Embedding"]) expect(words(2)).not.toHaveProperty(label);
  expect(words(3)).toMatchObject({ "Embedding tokens": "unknown" });
  const alone = treeOf({ parent: [-1, 0], kind: [0, 3], embedding: [0, 12], source: [255, 0] });
  expect(title(alone).parts[0]).toBe("12 embedding tokens");
  expect(whyEmpty(alone, "input")).toBe("No input.");
});

test("an unknown embedding leaves the input of language models exact", () => {
  const t = mixed();
  expect([amount(t, "tokens", 0), amount(t, "input", 0), amount(t, "output", 0)]).toEqual(["≥ 6,234", "1,000", "234"]);
  expect([glyphs(t, "tokens", 3), glyphs(t, "input", 3)]).toEqual(["? ", ""]);
});

test("states are told without colour", () => {
  const t = tree();
  expect([1, 2, 3].map((node) => glyphs(t, "tokens", node))).toEqual(["↻1 ", "? ", "✕ "]);
  expect(shortAmount(t, "tokens", 0)).toBe("≥1.2k");
});

test("an empty picture has a reason", () => {
  expect(whyEmpty(tree(), "cost")).toContain("No price is known");
});

test("what was told to be nothing is not what was not told", () => {
  // bits of input, output and tokens, and the one of reasoning
  const [whole, reasoning] = [1 | 2 | 128, 32];
  const tree = (told: number[], untold: number[]) =>
    treeOf({ parent: [-1, 0, 0], kind: [0, 2, 2], input: [0, 5, 5], output: [0, 1, 1], source: [255, 0, 3], told: [0, ...told], untold: [0, ...untold] });
  expect(whyEmpty(tree([whole | reasoning, whole | reasoning], [0, 0]), "reasoning")).toBe("No reasoning tokens.");
  expect(whyEmpty(tree([whole | reasoning, 0], [0, whole | reasoning]), "reasoning")).toBe("No reasoning tokens in the calls that reported theirs.");
  expect(whyEmpty(tree([whole, whole], [reasoning, reasoning]), "reasoning")).toBe("The providers did not tell the reasoning tokens of these calls.");
  expect(whyEmpty(tree([0, 0], [whole | reasoning, whole]), "reasoning")).toBe("The providers did not report tokens for these calls.");
});

test("a tooltip stays inside the page", () => {
  const size = { width: 200, height: 100 };
  const room = { width: 400, height: 300 };
  expect(place({ x: 10, top: 20, bottom: 40 }, size, room)).toEqual({ left: 20, top: 50 });
  expect(place({ x: 390, top: 220, bottom: 240 }, size, room)).toEqual({ left: 194, top: 110 });
  expect(place({ x: 10, top: 20, bottom: 240 }, size, { width: 400, height: 250 }).top).toBeGreaterThanOrEqual(0);
});
