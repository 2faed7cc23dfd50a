// What the flame graph draws: the profile, narrowed to what the reader wants to see, in one of three orders.
import type { Block } from "../border.ts";
import { includes, NOTHING, selectionOf, type Selection } from "../bus.ts";
import { criticalPath } from "../critical.ts";
import { deepen } from "./deepen.ts";
import { heaviestFirst, merge, runsLike, sandwich } from "./merge.ts";
import { narrow, type Choice } from "./narrow.ts";
import { endOf, selectionBelow } from "../rows.ts";
import { buildTree, isPart, nameOf, type Metric, type Tree } from "../tree.ts";

export const ORDERS = ["time", "merged", "sandwich"] as const;
export type Order = (typeof ORDERS)[number];

export class Orders {
  /** The whole profile. Nodes of it are called base nodes. */
  base: Tree;
  /** What is drawn. */
  tree: Tree;
  order: Order = "time";
  /** Base node whose callers and callees the sandwich shows. */
  focus = -1;
  private narrowed: Tree;
  private critical: Uint8Array | null = null;

  constructor(block: Block, private choice: Choice) {
    this.base = buildTree(deepen(block));
    this.narrowed = this.tree = this.base;
    this.build();
  }

  setBlock(block: Block, focus: number): void {
    this.base = buildTree(deepen(block));
    this.critical = null;
    this.focus = focus;
    this.build();
  }

  setChoice(choice: Choice): void {
    this.choice = choice;
    this.build();
  }

  setOrder(order: Order, focus: number): void {
    this.order = order;
    this.focus = focus;
    this.arrange();
  }

  /** Nodes of the merged orders keep their numbers; their places change. */
  setMetric(metric: Metric): void {
    this.choice = { ...this.choice, metric };
    if (this.choice.least > 0 || this.base.block.replayed) this.build();
    else if (this.order !== "time") this.tree = heaviestFirst(this.tree, metric);
  }

  get isNarrowed(): boolean {
    const { kinds, models, only, least } = this.choice;
    return kinds.size > 0 || models.size > 0 || only !== null || least > 0;
  }

  private build(): void {
    this.narrowed = narrow(this.base, this.choice);
    this.arrange();
  }

  private arrange(): void {
    const { narrowed, choice } = this;
    const at = this.order === "sandwich" && this.focus >= 0 ? (narrowed.made?.of[this.focus] ?? this.focus) : -1;
    if (this.order === "sandwich" && at < 0) this.order = "merged";
    if (this.order === "time" || narrowed.block.nodes === 0) this.tree = narrowed;
    else this.tree = heaviestFirst(at >= 0 ? sandwich(narrowed, runsLike(narrowed, at)) : merge(narrowed), choice.metric);
  }

  /** Base node of which a node has its name. */
  baseOf(node: number): number {
    if (node < 0) return -1;
    const at = this.tree === this.narrowed ? node : this.tree.made!.like[node]!;
    return this.narrowed.made?.like[at] ?? at;
  }

  /** Node that shows a base node; -1 if none does. */
  nodeOf(base: number): number {
    const at = base < 0 ? -1 : (this.narrowed.made?.of[base] ?? base);
    return at < 0 || this.tree === this.narrowed ? at : this.tree.made!.of[at]!;
  }

  /** Rows that a node stands for; of a part of a prompt, those of the calls. */
  selectionAt(node: number): Selection {
    if (node < 0) return NOTHING;
    const { narrowed, base } = this;
    const { made, block } = this.tree;
    const name = nameOf(block, isPart(this.tree, node) && node > 0 ? block.parent[node]! : node);
    const members = this.tree === narrowed ? Int32Array.of(node) : made!.members.subarray(made!.first[node]!, made!.first[node + 1]!);
    const nodes = members.map((at) => (isPart(narrowed, at) ? narrowed.block.parent[at]! : at));
    const of = narrowed.made?.of;
    if (!of) return selectionBelow(base, nodes, name);
    // With the rows of steps that are hidden in these nodes, but not of calls that are left out.
    const inside = new Uint8Array(narrowed.block.nodes);
    for (const at of nodes) inside.fill(1, at, endOf(narrowed, at));
    const rows: number[] = [];
    for (let at = 0; at < base.block.nodes; at++) if (of[at]! >= 0 && inside[of[at]!] && base.block.row[at]! >= 0) rows.push(base.block.row[at]!);
    return rows.length === 0 ? NOTHING : selectionOf(rows.sort((a, b) => a - b), name);
  }

  /** The innermost node that stands for these rows and no others, or -1; and the nodes whose own rows they are. */
  find(selection: Selection): { node: number; own: Uint8Array } {
    const { block, made } = this.tree;
    const own = new Uint8Array(block.nodes);
    const inside = new Int32Array(block.nodes);
    const all = new Int32Array(block.nodes);
    let wanted = 0;
    for (let base = 0; base < this.base.block.nodes && selection.rows.length > 0; base++) {
      const row = this.base.block.row[base]!;
      const node = row < 0 ? -1 : this.nodeOf(base);
      if (node < 0) continue;
      all[node]!++;
      if (!includes(selection, row)) continue;
      inside[node]!++;
      own[node] = 1;
      wanted++;
    }
    let found = -1;
    for (let node = block.nodes - 1; node >= 0 && wanted > 0 && found < 0; node--) {
      if (made?.up?.[node]) continue;
      if (inside[node] === wanted && all[node] === wanted) found = node;
      const up = block.parent[node]!;
      if (up < 0) continue;
      inside[up]! += inside[node]!;
      all[up]! += all[node]!;
    }
    return { node: found, own };
  }

  /** Whether a node is on the critical path. */
  criticalMask(): Uint8Array {
    this.critical ??= criticalPath(this.base).on;
    const on = new Uint8Array(this.tree.block.nodes);
    for (let base = 0; base < this.critical.length; base++) {
      const node = this.critical[base] ? this.nodeOf(base) : -1;
      if (node >= 0) on[node] = 1;
    }
    return on;
  }
}
