// What a key means, and where an arrow leads.
import type { Tree } from "../tree.ts";

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
  | "search"
  | "time"
  | "merged"
  | "sandwich"
  | "unfold"
  | "functions"
  | "critical"
  | "match"
  | "detail"
  | "help";

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
  "1": "time",
  "2": "merged",
  "3": "sandwich",
  e: "unfold",
  f: "functions",
  c: "critical",
  n: "match",
  d: "detail",
  "?": "help",
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
  const up = tree.made?.up;
  if (block.nodes === 0) return -1;
  if (node < 0 || command === "root") return 0;
  const along = (links: Int32Array, from: number, side: number): number => {
    let at = from;
    while (at >= 0 && !(shown(at) && (up?.[at] ?? 0) === side)) at = links[at]!;
    return at >= 0 ? at : node;
  };
  const side = up?.[node] ?? 0;
  const upwards = command === "parent" ? 1 : 0;
  switch (command) {
    case "parent":
    case "child":
      // Callers of a sandwich are its children, drawn above it.
      if (up ? side !== upwards && node > 0 : upwards) return Math.max(0, block.parent[node]!);
      return along(nextSibling, firstChild[node]!, upwards);
    case "next":
      return along(nextSibling, nextSibling[node]!, side);
    case "previous":
      return along(prevSibling, prevSibling[node]!, side);
    default:
      return node;
  }
}
