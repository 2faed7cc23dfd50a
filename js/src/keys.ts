// What a key means, and where an arrow leads.
import type { Tree } from "./tree.ts";

export type Command =
  | "parent"
  | "child"
  | "previous"
  | "next"
  | "root"
  | "zoom"
  | "in"
  | "out"
  | "reset"
  | "escape"
  | "search";

const KEYS: Readonly<Record<string, Command>> = {
  ArrowUp: "parent",
  ArrowDown: "child",
  ArrowLeft: "previous",
  ArrowRight: "next",
  Home: "root",
  Enter: "zoom",
  "+": "in",
  "=": "in",
  "-": "out",
  "0": "reset",
  Escape: "escape",
  "/": "search",
};

export interface Key {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
}

export function commandOf({ key, ctrlKey, metaKey, altKey }: Key): Command | undefined {
  if (ctrlKey || metaKey || altKey) return undefined;
  return Object.hasOwn(KEYS, key) ? KEYS[key] : undefined;
}

/** Node to which an arrow leads from `node` (-1: nothing selected yet) among those that are shown. */
export function walk(tree: Tree, node: number, command: Command, shown: (node: number) => boolean): number {
  const { block, firstChild, nextSibling, prevSibling } = tree;
  if (block.nodes === 0) return -1;
  if (node < 0 || command === "root") return 0;
  const along = (links: Int32Array, from: number): number => {
    let at = from;
    while (at >= 0 && !shown(at)) at = links[at]!;
    return at >= 0 ? at : node;
  };
  switch (command) {
    case "parent":
      return Math.max(0, block.parent[node]!);
    case "child":
      return along(nextSibling, firstChild[node]!);
    case "next":
      return along(nextSibling, nextSibling[node]!);
    case "previous":
      return along(prevSibling, prevSibling[node]!);
    default:
      return node;
  }
}
