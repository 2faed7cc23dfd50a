import { expect, test } from "vitest";
import { colorize, contrast, fills, FRAME, inkOn, OKABE_ITO, type Rgb } from "./color.ts";
import { treeOf } from "./fixture.ts";

const THEMES: [Rgb, Rgb][] = [
  [[255, 255, 255], [33, 33, 33]],
  [[17, 17, 17], [255, 255, 255]],
  [[30, 30, 30], [204, 204, 204]],
];

test("every label can be read, in light and dark", () => {
  for (const [background, foreground] of THEMES) {
    for (const fill of [...OKABE_ITO, ...fills(background, foreground)]) {
      expect(contrast(fill, inkOn(fill))).toBeGreaterThan(4.5);
    }
  }
});

test("frames are quiet, models have a colour each, the heaviest comes first", () => {
  const tree = treeOf({ parent: [-1, 0, 1, 1], kind: [0, 1, 2, 2], model: [-1, -1, 0, 1], input: [0, 0, 5, 50], source: [255, 255, 0, 0] }, ["small", "big"]);
  const { legend, color } = colorize(tree, "model");
  expect(legend.map((e) => e.label)).toEqual(["big", "small"]);
  expect([...color.slice(1)]).toEqual([FRAME, 1, 0]);
});
