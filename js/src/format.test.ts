import { expect, test } from "vitest";
import { compact, dollars, fit, integer, percent, plain, plural, seconds, tick } from "./format.ts";

test("numbers", () => {
  expect([0, 999, 1000, 1234567].map(integer)).toEqual(["0", "999", "1,000", "1,234,567"]);
  expect([0, 950, 1234, 12345, 999_999, 3.4e6].map(compact)).toEqual(["0", "950", "1.2k", "12k", "1M", "3.4M"]);
  expect([0, 0.00000042, 0.0000242, 0.0123, 2.5, 1234.5].map(dollars)).toEqual(["$0", "<$0.000001", "$0.000024", "$0.0123", "$2.50", "$1,234.50"]);
  expect(dollars(NaN)).toBe("price unknown");
  expect([0, 4.2e-5, 0.0042, 0.34, 8.2, 42.26, 61, 3700].map(seconds)).toEqual(["0 s", "42 µs", "4.2 ms", "340 ms", "8.2 s", "42.3 s", "1 min 1 s", "1 h 1 min"]);
  expect([percent(1, 3), percent(1, 100), percent(1, 1e6), percent(0, 0)]).toEqual(["33%", "1%", "<0.1%", "0%"]);
  expect([plural(1, "call"), plural(2, "call")]).toEqual(["1 call", "2 calls"]);
});

test("ticks show as many digits as the step needs", () => {
  expect([tick(1.5, 0.5, "time"), tick(0.25, 0.05, "time"), tick(4000, 2000, "tokens"), tick(2e7, 1e7, "tokens"), tick(500, 500, "tokens"), tick(0.005, 0.005, "cost")]).toEqual(["1.5 s", "250 ms", "4k", "20M", "500", "$0.005"]);
});

test("names cannot scramble a label", () => {
  expect(plain("a\u202eb\u0000c\nd\u200be")).toBe("a b c d e");
  expect(plain("x".repeat(1_000_000)).length).toBe(301);
  expect(plain("<b>&amp;")).toBe("<b>&amp;");
});

test("text is cut to what fits, never inside a surrogate pair", () => {
  const measure = (text: string) => text.length;
  expect(fit("summarise", 20, measure)).toBe("summarise");
  expect(fit("summarise", 6, measure)).toBe("summa…");
  expect(fit("ab😀cd", 4, measure)).toBe("ab…");
  expect(fit("summarise", 2, measure)).toBe("");
});
