import { expect, test } from "vitest";
import { treeOf } from "../fixture.ts";
import { commandOf, walk } from "./keys.ts";

const key = (name: string, more = {}) => ({ key: name, ctrlKey: false, metaKey: false, altKey: false, ...more });

test("keys with a modifier stay with the notebook and the browser", () => {
  expect(commandOf(key("ArrowUp"))).toBe("parent");
  expect(commandOf(key("/"))).toBe("search");
  expect(commandOf(key("0", { ctrlKey: true }))).toBeUndefined();
  expect(commandOf(key("toString"))).toBeUndefined();
});

test("arrows walk the tree and skip what is not shown", () => {
  const tree = treeOf({ parent: [-1, 0, 1, 1, 1, 0] });
  const all = () => true;
  expect(walk(tree, -1, "child", all)).toBe(0);
  expect(walk(tree, 0, "child", all)).toBe(1);
  expect(walk(tree, 1, "next", all)).toBe(5);
  expect(walk(tree, 5, "previous", all)).toBe(1);
  expect(walk(tree, 4, "parent", all)).toBe(1);
  expect(walk(tree, 0, "parent", all)).toBe(0);
  expect(walk(tree, 4, "next", all)).toBe(4);
  expect(walk(tree, 2, "next", (node) => node !== 3)).toBe(4);
  expect(walk(tree, 1, "child", (node) => node > 2)).toBe(3);
  expect(walk(tree, 5, "child", all)).toBe(5);
});
