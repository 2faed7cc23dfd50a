// The calls of a profile, one entry each, and what each can be filed under.
import { stringOf, type Tree } from "../tree.ts";
import { plain } from "../format.ts";

export interface Ledger {
  readonly tree: Tree;
  /** Node of each entry, in the order of the calls. */
  readonly node: Int32Array;
  /** Calls that an entry stands for: 0 for a step that reported what no call below it did. */
  readonly calls: Int32Array;
  /** Whether an entry is what a bounded block has summed up. */
  readonly rest: Uint8Array;
  /** Entry of each row of the span table. */
  readonly entryOf: ReadonlyMap<number, number>;
  /** What the calls can be grouped by. */
  readonly keys: readonly Key[];
  /** Index of the value of each entry, -1 for none, and the values. */
  column(key: Key): Filed;
}

/** `model`, `function`, `agent`, ..., or `tag:NAME`. */
export type Key = string;

export interface Filed {
  readonly of: Int32Array;
  readonly values: readonly string[];
}

/** Every call by itself. */
export const CALL = "call";
export const KEYS: readonly Key[] = ["model", "function", "agent", "tool", "cell:line", "provider", "kind"];
const MOST_TAGS = 40;

export function keyName(key: Key): string {
  if (key === "cell:line") return "Line";
  return key.startsWith("tag:") ? `Tag ${plain(key.slice(4), 40)}` : key.charAt(0).toUpperCase() + key.slice(1);
}

export function buildLedger(tree: Tree): Ledger {
  const { block, isCall, firstChild } = tree;
  const nodes: number[] = [];
  const calls: number[] = [];
  const rest: number[] = [];
  const entryOf = new Map<number, number>();
  for (let node = 0; node < block.nodes; node++) {
    const row = block.row[node]!;
    const leftOut = row < 0 && node > 0 && firstChild[node]! < 0 && block.meta.truncated === true;
    const call = leftOut || isCall[node] || block.priced[node]! > 0 ? block.count[node]! : 0;
    if (!call && !block.told[node] && !block.untold[node]) continue;
    if (row >= 0) entryOf.set(row, nodes.length);
    nodes.push(node);
    calls.push(call);
    rest.push(leftOut ? 1 : 0);
  }
  const node = Int32Array.from(nodes);
  const tags = tagsOf(tree, node);
  const known = new Map<Key, Filed>();
  const file = (key: Key): Filed => {
    if (key.startsWith("tag:")) return fileBy(node, (at) => tags.at[at]?.[key.slice(4)]);
    switch (key) {
      case "kind":
        return { of: node.map((at) => block.kind[at]!), values: block.kinds };
      case "agent":
      case "tool":
        return { of: pick(around(tree, key), node), values: block.strings };
      case "cell:line":
        return { of: pick(block.where, node), values: block.strings };
      case CALL:
        return { of: pick(block.name, node), values: block.strings };
      case "function":
      case "provider":
        return { of: pick(block[key], node), values: block.strings };
      default:
        return { of: pick(block.model, node), values: block.strings };
    }
  };
  return {
    tree,
    node,
    calls: Int32Array.from(calls),
    rest: Uint8Array.from(rest),
    entryOf,
    keys: [...KEYS, ...tags.names.map((name) => `tag:${name}`), CALL],
    column(key) {
      let filed = known.get(key);
      if (!filed) known.set(key, (filed = file(key)));
      return filed;
    },
  };
}

function pick(values: Int32Array, nodes: Int32Array): Int32Array {
  return nodes.map((node) => values[node]!);
}

/** Name of the innermost step of a kind around each node, as an index into the strings. */
function around({ block }: Tree, kind: string): Int32Array {
  const wanted = block.kinds.indexOf(kind);
  const found = new Int32Array(block.nodes).fill(-1);
  for (let node = 1; node < block.nodes; node++) {
    const up = block.parent[node]!;
    found[node] = block.kind[up] === wanted ? block.name[up]! : found[up]!;
  }
  return found;
}

type Tags = Readonly<Record<string, string>>;

/** Tags of each node with those of the nodes around it; the inner one wins. */
function tagsOf({ block }: Tree, entries: Int32Array): { at: (Tags | undefined)[]; names: string[] } {
  const at: (Tags | undefined)[] = new Array(block.nodes);
  const joined = new Map<Tags | undefined, Map<number, Tags>>();
  for (let node = 0; node < block.nodes; node++) {
    const outer = node > 0 ? at[block.parent[node]!] : undefined;
    const own = block.tags[node]!;
    if (own < 0) {
      at[node] = outer;
      continue;
    }
    let inner = joined.get(outer);
    if (!inner) joined.set(outer, (inner = new Map()));
    let tags = inner.get(own);
    // Without a prototype: a tag may be called __proto__.
    if (!tags) inner.set(own, (tags = Object.assign(Object.create(null), outer, parse(stringOf(block, own))) as Tags));
    at[node] = tags;
  }
  const names = new Set<string>();
  for (const tags of new Set(Array.from(entries, (node) => at[node]))) {
    for (const name in tags) if (names.size < MOST_TAGS) names.add(name);
  }
  return { at, names: [...names].sort() };
}

function parse(text: string): Tags {
  try {
    const value: unknown = JSON.parse(text);
    const pairs = typeof value === "object" && value !== null ? Object.entries(value) : [];
    return Object.fromEntries(pairs.filter((pair): pair is [string, string] => typeof pair[1] === "string"));
  } catch {
    return {}; // cut short on its way
  }
}

function fileBy(nodes: Int32Array, valueOf: (node: number) => string | undefined): Filed {
  const values: string[] = [];
  const index = new Map<string, number>();
  const of = nodes.map((node) => {
    const value = valueOf(node);
    if (value === undefined) return -1;
    let found = index.get(value);
    if (found === undefined) index.set(value, (found = values.push(value) - 1));
    return found;
  });
  return { of, values };
}
