import { expect, test } from "vitest";
import { COLUMNS, firstWidth, fitting, placesFor, unshown, usd, widened } from "./columns.ts";
import { treeOf } from "../fixture.ts";
import { buildLedger, CALL } from "./ledger.ts";
import { Lines, NAME, type Order } from "./lines.ts";
import { sumUp } from "./sums.ts";
import { markdown, tsv } from "../clipboard.ts";
import { tableKey } from "./keys.ts";

// told and untold: bits of input, output, (embedding, cache read, cache write, reasoning,) cost, tokens
const TOLD = 1 | 2 | 64 | 128;
const ledger = () =>
  buildLedger(
    treeOf(
      {
        parent: [-1, 0, 0, 0, 0], name: [0, 1, 2, 3, 1], kind: [0, 2, 2, 2, 2], model: [-1, 4, 5, 4, 6], row: [0, 1, 2, 3, 4],
        input: [0, 10, 500, 30, 0], output: [0, 1, 5, 3, 0], cost: [NaN, 0.5, 0.00002, 0.25, NaN], source: [255, 0, 0, 0, 4],
        told: [0, TOLD, TOLD, TOLD, 0], untold: [0, 0, 0, 0, TOLD], duration: [9, 1, 2, 3, 4],
      },
      ["In[2]", "chat 10", "chat 9", "chat 2", "a", "b", "c"],
    ),
  );
const order = (by: string, descending = true): Order => ({ by, descending });
const linesOf = (keys: string[], by: Order, open: string[] = []) => {
  const made = ledger();
  return new Lines(made, keys, [0, 1, 2, 3]).list(by, new Set(open));
};

test("unknown values stand last, whichever way the order goes", () => {
  expect(linesOf(["model"], order("cost")).map((line) => line.label)).toEqual(["a", "b", "c"]);
  expect(linesOf(["model"], order("cost", false)).map((line) => line.label)).toEqual(["b", "a", "c"]);
  expect(linesOf([CALL], order(NAME, false)).map((line) => line.label)).toEqual(["chat 2", "chat 9", "chat 10", "chat 10"]);
});

test("an open group shows its calls in the same order", () => {
  const lines = linesOf(["model"], order("tokens"), ["/=a"]);
  expect(lines.map((line) => [line.label, line.level, line.node, line.open])).toEqual([
    ["b", 1, -1, false], ["a", 1, -1, true], ["chat 2", 2, 3, undefined], ["chat 10", 2, 1, undefined], ["c", 1, -1, false],
  ]);
  expect(lines.map((line) => [line.place, line.of])).toEqual([[1, 3], [2, 3], [1, 2], [2, 2], [3, 3]]);
  expect(new Lines(ledger(), ["model", "kind"], [0, 1, 2, 3]).above(2)).toEqual(["/=a", "/=a/=llm"]);
});

test("figures line up, and a small one is never zero", () => {
  expect(placesFor([0.5, 0.00002, 0])).toBe(6);
  expect([usd(0.75, 4), usd(1234.5, 2), usd(0, 4), usd(0.00002, 4), usd(NaN, 4)]).toEqual(["$0.7500", "$1,234.50", "$0", "<$0.0001", "?"]);
});

test("columns with nothing to say give their room to others", () => {
  const made = ledger();
  const all = sumUp(made, [0, 1, 2, 3]);
  const ids = (room: number) => fitting(COLUMNS, all, room).map((column) => column.id);
  expect(ids(400)).toEqual(["calls", "tokens", "cost"]);
  expect(ids(3000)).toEqual(["calls", "tokens", "tokens_share", "input", "output", "cost", "cost_share", "cost_unsplit", "p50", "p95", "p99", "time", "source"]);
  expect([400, 3000].map((room) => unshown(COLUMNS, all, fitting(COLUMNS, all, room)))).toEqual([10, 0]);
  const failing = fitting(COLUMNS, { ...all, errors: 1, retries: 2 }, 600).map((column) => column.id);
  expect(failing).toEqual(["calls", "tokens", "cost", "errors", "retries"]);
  const shown = fitting(COLUMNS, all, 700);
  expect(firstWidth(700, shown) + shown.reduce((sum, column) => sum + column.width, 0)).toBe(700);
  const cost = COLUMNS.find((column) => column.id === "cost")!;
  expect(cost.text(all, { all, places: 2 })).toBe("≥ $0.75");
  expect(widened(cost, { all: { ...all, cost: 1e9 }, places: 6 }).width).toBeGreaterThan(cost.width);
});

test("copies hold no formula and no broken table", () => {
  expect(tsv([["Model", "Cost"], ["=1+1\tx", 0.1 + 0.2], ["b", NaN]])).toBe("Model\tCost\n'=1+1 x\t0.3\nb\t\n");
  expect(markdown([["Model", "Cost"], ["a|b<i>", "≥ 1"]])).toBe("| Model | Cost |\n| :-- | --: |\n| a\\|b\\<i\\> | ≥ 1 |\n");
});

test("keys of the notebook's host are left alone", () => {
  const key = (name: string, more = {}) => tableKey({ key: name, ctrlKey: false, metaKey: false, altKey: false, ...more });
  expect([key("ArrowDown"), key("Enter"), key(" "), key("c", { ctrlKey: true }), key("a", { metaKey: true })]).toEqual(["down", "open", "pick", "copy", "all"]);
  expect([key("c"), key("s", { ctrlKey: true }), key("ArrowDown", { altKey: true }), key("toString")]).toEqual([undefined, undefined, undefined, undefined]);
});
