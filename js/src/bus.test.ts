import { expect, test } from "vitest";
import { asSelection, includes, join, NOTHING, selectionOf, type Selection } from "./bus.ts";

test("rows are packed into ranges, and found in them", () => {
  const selection = selectionOf([0, 1, 2, 7, 9, 10], "x");
  expect(selection.rows).toEqual([0, 3, 7, 8, 9, 11]);
  expect([0, 2, 3, 7, 8, 9, 10, 11].map((row) => includes(selection, row))).toEqual([
    true, true, false, true, false, true, true, false,
  ]);
  expect(includes(NOTHING, 0)).toBe(false);
});

test("a selection reaches the other views of the profile, and no others", () => {
  const heard: Record<string, Selection[]> = { a: [], b: [], other: [] };
  const leave = new AbortController();
  const a = join("p", (s) => heard["a"]!.push(s), leave.signal);
  const b = join("p", (s) => heard["b"]!.push(s), leave.signal);
  join("q", (s) => heard["other"]!.push(s), leave.signal);
  const one = selectionOf([3], "three");
  a.tell(one);
  a.tell(selectionOf([3], "three"));
  expect(heard).toEqual({ a: [], b: [one], other: [] });
  expect(b.now()).toBe(one);
  leave.abort();
  b.tell(NOTHING);
  expect(heard["a"]).toEqual([]);
});

test("nonsense selects nothing", () => {
  for (const value of [null, 3, {}, { rows: "x" }, { rows: [1] }, { rows: [1, "2"] }]) expect(asSelection(value)).toBe(NOTHING);
  expect(asSelection({ rows: [1, 2] })).toEqual({ rows: [1, 2], label: "" });
});
