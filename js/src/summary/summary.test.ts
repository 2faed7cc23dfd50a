import { expect, test } from "vitest";
import { asState, figures, sentence, sparkline, spent, used } from "./summary.ts";

const STATE = {
  phase: "ended", title: "In[3]", seconds: 8.24, flying: 0, tokens: 12345, bound: "≥", cost: 0.0123, cost_bound: "",
  calls: 3, errors: 1, retries: 0, pulse: [1, 0, 4], budget: [],
  spenders: [{ what: "tool", name: "read", where: "", tokens: 900, seconds: 2, cost: null, share: 0.8, rows: [1, 3] }],
  notes: ["one"],
};
const values = (state: unknown) => Object.fromEntries(figures(asState(state)).map(({ key, value }) => [key, value]));

test("figures say what they lack", () => {
  expect(values(STATE)).toEqual({
    tokens: "≥ 12,345", cost: "$0.0123", calls: "3", errors: "1", retries: "0", seconds: "8.24 s",
  });
  expect(values({ ...STATE, tokens: 0, cost: null })).toMatchObject({ tokens: "?", cost: "?" });
  expect(values({ ...STATE, cost: 0, cost_bound: "≥" }).cost).toBe("≥ $0");
});

test("while it runs the clock shows whole seconds", () => {
  expect(values({ ...STATE, phase: "live" }).seconds).toBe("8 s");
  expect(values({ ...STATE, phase: "live", seconds: 0.4 }).seconds).toBe("400 ms");
});

test("before the first call has ended nothing is unknown", () => {
  expect(values({ phase: "live", calls: 0, cost: null })).toMatchObject({ tokens: "0", cost: "$0" });
});

test("what a spender used", () => {
  const [spender] = asState(STATE).spenders;
  expect(spent(spender!)).toBe("900 · 80%");
  expect(spent({ ...spender!, cost: 0.5 })).toBe("900 · $0.5000 · 80%");
  expect(spent({ ...spender!, tokens: 0 })).toBe("2 s · 80%");
});

test("budgets", () => {
  expect(used({ what: "tokens", used: 500, limit: 2000 })).toEqual({ words: "500 of 2,000 tokens (25%)", share: 0.25, over: false });
  expect(used({ what: "cost", used: 3, limit: 2 })).toEqual({ words: "$3.00 of $2.00 (150%)", share: 1, over: true });
});

test("a budget inside another has its name", () => {
  const { budget } = asState({ budget: [{ what: "input_tokens", used: 5, limit: 10, name: "plan" }] });
  expect(used(budget[0]!).words).toBe("plan: 5 of 10 input tokens (50%)");
});

test("where a budget stopped it is read aloud, too", () => {
  const stopped = ["stopped at In[3]:4 in plan()", "b", "c", "d"];
  const state = asState({ ...STATE, stopped });
  expect(state.stopped).toHaveLength(3);
  expect(sentence(state)).toContain("; stopped at In[3]:4 in plan(); b");
});

test("the sentence for a screen reader leaves zeros out", () => {
  expect(sentence(asState(STATE))).toBe("In[3]: ≥ 12,345 tokens, $0.0123 cost, 3 calls, 1 failed, 8.24 s time");
});

test("a state from whoever sent it", () => {
  for (const nonsense of [null, 7, "x", [], { spenders: 3, notes: [{}], pulse: ["a", NaN, -1] }]) {
    const state = asState(nonsense);
    expect(state.title).toBe("");
    expect(state.tokens).toBe(0);
    expect(sparkline(state.pulse, 100, 20)).toBe("");
  }
  const hostile = asState({ title: "a\u202eb\u0000", notes: ["x".repeat(1e6)], bound: "<b>", spenders: [{ rows: "1" }] });
  expect(hostile.title).toBe("a b");
  expect(hostile.notes[0]!.length).toBeLessThan(400);
  expect(hostile.bound).toBe("");
  expect(hostile.spenders[0]!.rows).toEqual([]);
});

test("the tallest bar fills the box, and a small one can be seen", () => {
  expect(sparkline([1000, 1, 0], 120, 20)).toBe("M0 20v-20h9v20zM10 20v-1h9v1z");
  expect(sparkline([], 120, 20)).toBe("");
});
