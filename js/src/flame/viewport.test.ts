import { expect, test } from "vitest";
import { between, clampView, isWhole, pan, tickStep, ticks, zoomAt } from "./viewport.ts";

test("zoom keeps the point under the pointer in its place", () => {
  const view = zoomAt({ x0: 0, x1: 100 }, 4, 0.3, 0, 100);
  expect(view.x1 - view.x0).toBeCloseTo(25);
  expect(view.x0 + 0.3 * 25).toBeCloseTo(30);
});

test("a view never leaves the profile and never collapses", () => {
  expect(pan({ x0: 0, x1: 10 }, -5, 0, 100)).toEqual({ x0: 0, x1: 10 });
  expect(zoomAt({ x0: 90, x1: 100 }, 0.01, 1, 0, 100)).toEqual({ x0: 0, x1: 100 });
  let view = { x0: 0, x1: 100 };
  for (let i = 0; i < 500; i++) view = zoomAt(view, 2, 0.5, 0, 100);
  expect(view.x1).toBeGreaterThan(view.x0);
  expect(clampView({ x0: 3, x1: 4 }, 0, 0)).toEqual({ x0: 0, x1: 1 });
});

test("an animation starts and ends where it should", () => {
  const [a, b] = [{ x0: 0, x1: 100 }, { x0: 40, x1: 41 }];
  expect(between(a, b, 0).x0).toBeCloseTo(0);
  expect(between(a, b, 1)).toBe(b);
  const half = between(a, b, 0.5);
  expect(half.x1 - half.x0).toBeCloseTo(10);
  expect(isWhole(half, 0, 100)).toBe(false);
});

test("ticks are round", () => {
  expect([tickStep(8.2, 8), tickStep(14_027, 8), tickStep(0.0327, 6)]).toEqual([2, 2000, 0.01]);
  expect(ticks({ x0: 1.5, x1: 4 }, 3).values).toEqual([2, 3, 4]);
});
