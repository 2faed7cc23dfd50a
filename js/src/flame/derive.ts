// A tree made from another one: each node stands for one or more nodes of that, with all below them.
import { NAMES, NO_SOURCE, type Block, type ColumnArray, type ColumnName } from "../border.ts";
import { linksOf, type Made, type Totals, type Tree } from "../tree.ts";

export interface Plan {
  readonly parent: Int32Array;
  readonly made: Made;
  /** Columns that are not those of the nodes' likes. */
  readonly columns?: Partial<Block>;
  /** Of the other tree, where they are not its own. */
  readonly totals?: Totals;
}

/** Members of nodes from pairs, in order of the nodes. */
export function membersOf(nodes: number, pairs: ArrayLike<number>, node: (pair: number) => number): Pick<Made, "first" | "members"> {
  const first = new Int32Array(nodes + 1);
  for (let i = 0; i < pairs.length; i++) if (node(i) >= 0) first[node(i) + 1]!++;
  for (let at = 0; at < nodes; at++) first[at + 1]! += first[at]!;
  const fill = first.slice();
  const members = new Int32Array(first[nodes]!);
  for (let i = 0; i < pairs.length; i++) if (node(i) >= 0) members[fill[node(i)]!++] = pairs[i]!;
  return { first, members };
}

/** What a caller has of its own; its figures are those of what it called. */
const NAMING = new Set<ColumnName>(["name", "kind", "where", "function", "model"]);

export function derive(from: Tree, { parent, made, columns, totals: given }: Plan): Tree {
  const links = linksOf(parent);
  const { firstChild, nextSibling } = links;
  const n = parent.length;
  const totals = gatherTotals(given ?? from.totals, made);
  const take = <T extends ColumnArray>(column: T) => made.like.map((node) => column[node]!) as unknown as T;
  const isCall = Uint8Array.from(take(from.isCall));
  const isEmbedding = Uint8Array.from(take(from.isEmbedding));

  /** What the children do not account for. */
  const own = (values: Float64Array): Float64Array => {
    const left = values.slice();
    for (let node = 0; node < n; node++) {
      if (made.up?.[node]) left[node] = 0;
      else {
        for (let child = firstChild[node]!; child >= 0; child = nextSibling[child]!) {
          if (!made.up?.[child]) left[node]! -= values[child]!;
        }
        if (left[node]! < values[node]! * 1e-12) left[node] = 0;
      }
    }
    return left;
  };
  const make = (name: ColumnName): ColumnArray => {
    if (name in totals && name !== "source") {
      const values = own(totals[name as "input"]);
      for (let node = 0; name === "cost" && node < n; node++) {
        if (isCall[node] && totals.calls[node]! > 0 && totals.unpriced[node] === totals.calls[node]) values[node] = NaN;
      }
      return values;
    }
    return agreed(from.block[name], made, NAMING.has(name), name === "ttft" ? NaN : undefined);
  };
  const { strings, kinds, statuses, sources, pricings, meta } = from.block;
  const block = { nodes: n, strings, kinds, statuses, sources, pricings, meta, ...columns, parent } as Record<string, unknown>;
  // Most columns are never asked for; of a large tree each of them is megabytes.
  for (const name of NAMES) {
    if (name in block) continue;
    Object.defineProperty(block, name, {
      configurable: true,
      get() {
        const value = make(name);
        Object.defineProperty(block, name, { value });
        return value;
      },
    });
  }
  return { block: block as unknown as Block, ...links, isCall, isEmbedding, totals, made };
}

/** Values that all members of a node have in common; where they differ, none. */
function agreed(column: ColumnArray, { first, members, like, up }: Made, naming: boolean, none = column instanceof Int32Array ? -1 : 0): ColumnArray {
  const values = new (column.constructor as Int32ArrayConstructor)(like.length);
  for (let node = 0; node < like.length; node++) {
    const value = column[like[node]!]!;
    let same = naming || !up?.[node];
    for (let i = first[node]!; same && !up?.[node] && i < first[node + 1]!; i++) same = Object.is(column[members[i]!], value);
    values[node] = same ? value : none;
  }
  return values;
}

function gatherTotals(totals: Totals, { first, members }: Made): Totals {
  const n = first.length - 1;
  const gathered: Record<string, ColumnArray> = {};
  for (const [name, column] of Object.entries(totals) as [string, ColumnArray][]) {
    const worst = name === "source" || name === "languageSource";
    const values = new (column.constructor as Float64ArrayConstructor)(n) as ColumnArray;
    for (let node = 0; node < n; node++) {
      let sum = worst ? NO_SOURCE : 0;
      for (let i = first[node]!; i < first[node + 1]!; i++) {
        const value = column[members[i]!]!;
        if (!worst) sum += value;
        else if (value !== NO_SOURCE && (sum === NO_SOURCE || value > sum)) sum = value;
      }
      values[node] = sum;
    }
    gathered[name] = values;
  }
  return gathered as unknown as Totals;
}
