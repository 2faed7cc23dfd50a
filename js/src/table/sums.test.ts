import { expect, test } from "vitest";
import fixture from "../../../tests/fixtures/costs.json";
import { decode, FIGURES } from "../border.ts";
import { filterEntries, groupBy, type Group } from "./grouping.ts";
import { buildLedger } from "./ledger.ts";
import { COST_PARTS, figureOf, hitRate, markOf, quantile, sumUp, unsplit, type Sums } from "./sums.ts";
import { buildTree, stringOf } from "../tree.ts";

interface Expected {
  calls: number;
  total_tokens: number | null;
  [figure: string]: unknown;
}

const ledger = buildLedger(buildTree(decode(Uint8Array.from(atob(fixture.block), (c) => c.charCodeAt(0)))));
const entries = filterEntries(ledger, "");
const all = sumUp(ledger, entries);

/** The value that a group stands for; "" for none. */
const valueOf = (group: Group) => group.id.slice(1).replace(/^=/, "").replace(/^-1$/, "");
const orNaN = (value: unknown) => (value === null ? NaN : (value as number));
const close = (value: number, expected: number) =>
  Number.isNaN(expected) ? expect(value).toBeNaN() : expect(value).toBeCloseTo(expected, 9);

for (const [key, groups] of Object.entries(fixture.groups) as [string, Record<string, Expected>][]) {
  test(`by ${key}, the browser's groups are Python's`, () => {
    const found = new Map(groupBy(ledger, key, entries).map((group) => [valueOf(group), group.sums]));
    expect([...found.keys()].sort()).toEqual(Object.keys(groups).sort());
    for (const [value, expected] of Object.entries(groups)) compare(found.get(value)!, expected);
  });
}

function compare(sums: Sums, expected: Expected): void {
  expect(sums.calls).toBe(expected.calls);
  if (expected["bounds"] === undefined) {
    expect(sums.tokens).toBe(expected.total_tokens ?? 0);
    return;
  }
  expect([sums.errors, sums.retries, sums.hits]).toEqual([expected["errors"], expected["retries"], expected["cache_hits"]]);
  for (const [name, lacks, wanted] of [["saved", "unsaved", "saved_tokens"], ["saved_cost", "uncosted", "saved_cost"]] as const) {
    close(sums.hits > 0 && sums[lacks] === sums.hits ? NaN : sums[name], orNaN(expected[wanted]));
  }
  for (const figure of FIGURES) {
    const bound = (expected["bounds"] as Record<string, string>)[figure]!;
    const mark = markOf(sums, figure);
    expect(mark === "–" || mark === "~" ? "" : mark, figure).toBe(bound);
    const name = figure === "cost" ? "cost" : figure === "tokens" ? "total_tokens" : `${figure}_tokens`;
    // What nobody had to tell, a refused request, is 0 in Python's sums, and has no figure here.
    if (mark === "–") expect(expected[name]).toBe(0);
    else close(figureOf(sums, figure), orNaN(expected[name]));
  }
  close(sums.time, orNaN(expected["duration_s"]));
  const wanted = expected["quantiles"] as number[] | null;
  [0.5, 0.95, 0.99].forEach((q, at) => close(quantile(sums, "duration", q), wanted ? wanted[at]! : NaN));
}

test("the totals row is prof.totals", () => {
  const { totals } = fixture;
  expect([all.calls, all.errors, all.retries]).toEqual([totals.calls, totals.errors, totals.retries]);
  expect([all.tokens, all.input, all.output, all.embedding]).toEqual([
    totals.total_tokens, totals.input_tokens, totals.output_tokens, totals.embedding_tokens,
  ]);
  expect([all.cache_read, all.cache_write, all.reasoning]).toEqual([
    totals.cache_read_tokens, totals.cache_write_tokens, totals.reasoning_tokens,
  ]);
  expect(all.cost).toBeCloseTo(totals.cost, 12);
  expect([all.hits, all.saved]).toEqual([totals.cache_hits, totals.saved_tokens]);
  expect(all.saved_cost).toBeCloseTo(totals.saved_cost, 12);
});

test("groups add up to the totals row, whatever they are by", () => {
  for (const key of ledger.keys) {
    const groups = groupBy(ledger, key, entries);
    for (const figure of ["calls", "tokens", "cost", "cost_input", "errors"] as const) {
      expect(groups.reduce((sum, group) => sum + group.sums[figure], 0), `${key} ${figure}`).toBeCloseTo(all[figure], 9);
    }
  }
});

test("the parts of a cost and what nobody split are the cost", () => {
  const parts = COST_PARTS.reduce((sum, name) => sum + all[name], 0);
  expect(parts + unsplit(all)).toBeCloseTo(all.cost, 12);
  const router = groupBy(ledger, "model", entries).find((group) => group.label === "router-x")!;
  expect(unsplit(router.sums)).toBeCloseTo(0.0125);
});

test("groups within groups, and the innermost tag wins", () => {
  const agents = groupBy(ledger, "agent", entries);
  const writer = agents.find((group) => group.label === "writer")!;
  const models = groupBy(ledger, "model", writer.sums.entries, writer);
  expect(models.map((group) => [group.label, group.level, group.sums.calls])).toEqual([
    ["claude-one", 2, 1], ["gpt-one", 2, 1], ["router-x", 2, 1],
  ]);
  expect(agents.map((group) => group.label).sort()).toEqual(["(no agent)", "researcher", "writer"]);
  expect(groupBy(ledger, "tag:user", entries).map((group) => group.label).sort()).toEqual(["(no tag user)", "u1", "u2"]);
  expect(ledger.keys).toContain("tag:team");
});

test("what is not known is no number", () => {
  const group = (label: string) => groupBy(ledger, "model", entries).find((one) => one.label === label)!.sums;
  expect([markOf(group("mystery"), "tokens"), markOf(group("mystery"), "cost")]).toEqual(["≥", "?"]);
  expect(figureOf(group("mystery"), "cost")).toBeNaN();
  expect(markOf(group("claude-one"), "output")).toBe("~");
  expect(markOf(group("embed-one"), "output")).toBe("–");
  expect(hitRate(group("embed-one"))).toBeNaN();
  expect(hitRate(group("claude-one"))).toBeCloseTo(group("claude-one").cache_read / group("claude-one").input);
});

test("a filter finds calls by what is known of them", () => {
  const names = (text: string) => [...new Set(filterEntries(ledger, text).map((entry) => stringOf(ledger.tree.block, ledger.tree.block.model[ledger.node[entry]!]!)))];
  expect(names("MYSTERY")).toEqual(["mystery"]);
  expect(names("tools.py").sort()).toEqual(["claude-one", "embed-one"]);
  expect(names("slow down")).toEqual(["gpt-one"]);
  expect(names("u2")).toEqual(["mystery"]);
  expect(filterEntries(ledger, "no such thing")).toEqual([]);
});
