import { expect, test } from "vitest";
import { colorize, swatches } from "../color.ts";
import { treeOf } from "../fixture.ts";
import { layout } from "../layout.ts";
import { escapeXml, svg } from "./picture.ts";

const EVIL = `</text><script>alert(1)</script>&"'\u0000\u202e\ud800`;

test("names become text of the drawing and nothing else", () => {
  expect(escapeXml("a<b>&\"'")).toBe("a&#60;b&#62;&#38;&#34;&#39;");
  const tree = treeOf({ parent: [-1, 0], kind: [0, 2], name: [0, 0], input: [0, 5], source: [255, 2] }, [EVIL]);
  const placed = layout(tree, "tokens");
  const theme = { background: [255, 255, 255], foreground: [0, 0, 0], swatches: swatches([255, 255, 255], [0, 0, 0]) } as never;
  const text = svg(
    { tree, layout: placed, coloring: colorize(tree, "model"), match: null, critical: Uint8Array.of(1, 1), view: { x0: 0, x1: 5 }, scroll: 40,
      width: 600, height: 90, selected: -1, hovered: -1, theme },
    EVIL, (s) => s.length * 6,
  );
  expect(text).not.toMatch(/<script|[\u0000-\u001f\u202e]/);
  expect([...text.matchAll(/<(\/?)(\w+)/g)].filter(([, , tag]) => !["svg", "defs", "pattern", "path", "rect", "g", "title", "text"].includes(tag!))).toEqual([]);
  expect(text.match(/<g>/g)).toHaveLength(2);
  expect(text).toContain("url(#e)");
});
