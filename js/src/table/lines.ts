// The lines of the cost table from top to bottom: groups, what is in those that are open, and their order.
import { COLUMNS } from "./columns.ts";
import { plain } from "../format.ts";
import { groupBy, type Group } from "./grouping.ts";
import { CALL, type Key, type Ledger } from "./ledger.ts";
import { sumUp, type Sums } from "./sums.ts";
import { nameOf, stringOf } from "../tree.ts";

export interface Line {
  readonly id: string;
  readonly label: string;
  /** Beside the label, quietly. */
  readonly note: string;
  /** From 1. */
  readonly level: number;
  readonly entries: readonly number[];
  readonly sums: Sums;
  /** Of a call; -1 for a group. */
  readonly node: number;
  /** Whether it is open; undefined where there is nothing to open. */
  readonly open: boolean | undefined;
  /** Place among its siblings, from 1, and how many there are. */
  readonly place: number;
  readonly of: number;
}

export const NAME = "name";

export interface Order {
  /** Id of a column, or `NAME`. */
  readonly by: string;
  readonly descending: boolean;
}

export class Lines {
  private readonly top: Group[];
  private readonly inner = new Map<string, Group[]>();
  private readonly single = new Map<number, Sums>();

  constructor(private readonly ledger: Ledger, private readonly keys: readonly Key[], private readonly entries: readonly number[]) {
    this.top = keys[0] === CALL ? [] : groupBy(ledger, keys[0]!, entries);
  }

  get groups(): number {
    return this.top.length;
  }

  /** The sums that stand in the table while no group is open. */
  sums(): Sums[] {
    return this.top.length > 0 ? this.top.map((group) => group.sums) : this.entries.slice(0, 1000).map((entry) => this.of(entry));
  }

  /** The groups around a call that have to be open for it to be seen. */
  above(entry: number): string[] {
    const ids: string[] = [];
    let found = this.top.find((group) => group.sums.entries.includes(entry));
    while (found) {
      ids.push(found.id);
      found = this.subgroups(found)?.find((group) => group.sums.entries.includes(entry));
    }
    return ids;
  }

  list(order: Order, open: ReadonlySet<string>): Line[] {
    const lines: Line[] = [];
    if (this.keys[0] === CALL) this.calls(lines, this.entries, order, 1, "");
    else this.add(lines, this.top, order, open);
    return lines;
  }

  private add(lines: Line[], groups: Group[], order: Order, open: ReadonlySet<string>): void {
    const sorted = inOrder(groups, order, (group) => group.sums, (group) => group.label);
    sorted.forEach((group, at) => {
      const { id, label, level, sums } = group;
      const isOpen = open.has(id);
      const opens = !(sums.rest && sums.entries.every((entry) => this.ledger.rest[entry]));
      const one = { id, label, note: "", level, entries: sums.entries, sums, node: -1, open: opens ? isOpen : undefined };
      lines.push({ ...one, place: at + 1, of: sorted.length });
      if (!isOpen || !opens) return;
      const within = this.subgroups(group);
      if (within) this.add(lines, within, order, open);
      else this.calls(lines, sums.entries, order, level + 1, id);
    });
  }

  private subgroups(group: Group): Group[] | null {
    const key = this.keys[group.level];
    if (!key || key === CALL) return null;
    let found = this.inner.get(group.id);
    if (!found) this.inner.set(group.id, (found = groupBy(this.ledger, key, group.sums.entries, group)));
    return found;
  }

  private calls(lines: Line[], entries: readonly number[], order: Order, level: number, above: string): void {
    const { ledger } = this;
    const { block } = ledger.tree;
    const label = (entry: number) => callLabel(ledger, entry);
    const sumsOf = (entry: number) => this.of(entry);
    const sorted = inOrder([...entries], order, sumsOf, label);
    sorted.forEach((entry, at) => {
      const node = ledger.node[entry]!;
      lines.push({
        id: `${above}#${block.row[node]! >= 0 ? block.row[node]! : `n${node}`}`,
        get label() {
          return label(entry);
        },
        get note() {
          return plain(stringOf(block, block.where[node]), 60);
        },
        get sums() {
          return sumsOf(entry);
        },
        level, entries: [entry], node: ledger.rest[entry] ? -1 : node, open: undefined, place: at + 1, of: sorted.length,
      });
    });
  }

  private of(entry: number): Sums {
    let sums = this.single.get(entry);
    if (!sums) this.single.set(entry, (sums = sumUp(this.ledger, [entry])));
    return sums;
  }
}

function callLabel({ tree, node }: Ledger, entry: number): string {
  const { block } = tree;
  return plain(nameOf(block, node[entry]!), 200) || "(blank)";
}

/** Unknown values last, whichever way; equal ones by tokens, then as they came. */
function inOrder<T>(items: T[], { by, descending }: Order, sumsOf: (item: T) => Sums, labelOf: (item: T) => string): T[] {
  const sign = descending ? -1 : 1;
  if (by === NAME) {
    const collator = new Intl.Collator("en", { numeric: true });
    const labels = new Map(items.map((item) => [item, labelOf(item)]));
    return items.sort((a, b) => sign * collator.compare(labels.get(a)!, labels.get(b)!));
  }
  const value = (COLUMNS.find((column) => column.id === by) ?? COLUMNS[0]!).value;
  const rank = items.map((item, at) => ({ item, at, value: value(sumsOf(item)), tokens: sumsOf(item).tokens }));
  rank.sort((a, b) => {
    const unknown = Number(Number.isNaN(a.value)) - Number(Number.isNaN(b.value));
    return unknown || sign * (a.value - b.value) || b.tokens - a.tokens || a.at - b.at;
  });
  return rank.map(({ item }) => item);
}
