// Calls in groups, and groups in groups.
import { plain } from "../format.ts";
import { CALL, keyName, type Key, type Ledger } from "./ledger.ts";
import { stringOf } from "../tree.ts";
import { sumUp, type Sums } from "./sums.ts";

export interface Group {
  /** The same for the same group of a later block. */
  readonly id: string;
  readonly label: string;
  readonly key: Key;
  readonly level: number;
  readonly sums: Sums;
}

/** The groups of some entries by one key, in the order of their first calls. */
export function groupBy(ledger: Ledger, key: Key, entries: readonly number[], above?: Group): Group[] {
  const { of, values } = ledger.column(key);
  const found = new Map<number, number[]>();
  for (const entry of entries) {
    const at = ledger.rest[entry] ? -2 : of[entry]!;
    const list = found.get(at);
    if (list) list.push(entry);
    else found.set(at, [entry]);
  }
  const level = above ? above.level + 1 : 1;
  return Array.from(found, ([at, list]) => {
    const value = at >= 0 ? values[at]! : "";
    const id = `${above?.id ?? ""}/${at >= 0 ? `=${value}` : at}`;
    return { id, label: at === -2 ? LEFT_OUT : labelOf(key, value), key, level, sums: sumUp(ledger, list) };
  });
}

const LEFT_OUT = "(smaller steps, not in this file)";

function labelOf(key: Key, value: string): string {
  // A function inside another one is known by its own name.
  const text = plain(key === "function" ? value.slice(value.lastIndexOf("<locals>.") + 1).replace(/^locals>\./, "") : value, 200);
  if (text) return text;
  if (value) return "(blank)";
  return `(no ${key === "cell:line" ? "line of yours" : key === "function" ? "function of yours" : keyName(key).toLowerCase()})`;
}

const LONGEST = 10_000;

/** Entries that a text is found in: name, model, code, agent, tool, tags, error and what they are grouped by. */
export function filterEntries(ledger: Ledger, text: string): number[] {
  const all = Array.from(ledger.node, (_, entry) => entry);
  const needle = text.trim().toLowerCase();
  if (!needle) return all;
  const { block } = ledger.tree;
  const seen = new Map<string, boolean>();
  const has = (value: string) => {
    let found = seen.get(value);
    if (found === undefined) seen.set(value, (found = value.slice(0, LONGEST).toLowerCase().includes(needle)));
    return found;
  };
  const columns = ledger.keys.filter((key) => key !== CALL).map((key) => ledger.column(key));
  return all.filter((entry) => {
    const node = ledger.node[entry]!;
    if (has(stringOf(block, block.name[node])) || has(stringOf(block, block.error[node]))) return true;
    if (has(block.statuses[block.status[node]!] ?? "")) return true;
    return columns.some(({ of, values }) => of[entry]! >= 0 && has(values[of[entry]!]!));
  });
}
