// A part of a tree: calls left out, steps hidden, chains of functions folded.
import { derive, membersOf } from "./derive.ts";
import { isPart, kindOf, nameOf, PART, stringOf, sumUp, totalOf, type Metric, type Tree } from "../tree.ts";

export interface Choice {
  /** Kinds that are not shown: of steps their children move up, calls are left out. */
  readonly kinds: ReadonlySet<string>;
  /** Models whose calls are left out. */
  readonly models: ReadonlySet<string>;
  /** Nothing but these nodes, with what is around them and in them. */
  readonly only: Uint8Array | null;
  /** Least share of the whole that a node must have. */
  readonly least: number;
  readonly metric: Metric;
  /** Whether a function that does nothing but call one other is folded into one box with it. */
  readonly fold: boolean;
  /** Heads of the chains that are not. */
  readonly unfolded: ReadonlySet<number>;
}

/** What the choice shows; the tree itself, where that is all of it. */
export function narrow(tree: Tree, choice: Choice): Tree {
  const { block, isCall } = tree;
  const n = block.nodes;
  const left = leftOut(tree, choice);
  const totals = left ? sumUp(block, isCall, tree.isEmbedding, left) : tree.totals;
  // Parts of prompts have tokens, but no time.
  const hiddenKind = block.kinds.map((kind) => choice.kinds.has(kind) || (kind === PART && choice.metric === "time"));
  const summed = { ...tree, totals };
  const least = choice.least > 0 && n > 0 ? choice.least * totalOf(summed, choice.metric, 0) : 0;
  const hidden = new Uint8Array(n);
  let any = left !== null;
  for (let node = 1; node < n; node++) {
    if (left?.[node] || hiddenKind[block.kind[node]!] || (least > 0 && totalOf(summed, choice.metric, node) < least)) {
      hidden[node] = 1;
      any = true;
    }
  }
  // `at`: the shown node that a node is, or lies in.
  const above = new Int32Array(n).fill(-1);
  const children = new Int32Array(n);
  for (let node = 1; node < n; node++) {
    const up = block.parent[node]!;
    above[node] = hidden[up] ? above[up]! : up;
    if (!hidden[node]) children[above[node]!]!++;
  }
  const frame = block.kinds.indexOf("frame");
  /** Outermost function of the chain that a node is in. */
  const head = new Int32Array(n);
  const joins = (node: number) =>
    choice.fold && block.kind[node] === frame && above[node]! > 0 && block.kind[above[node]!] === frame && children[above[node]!] === 1;
  const of = new Int32Array(n).fill(-1);
  const parent: number[] = [];
  const like: number[] = [];
  const folded: number[] = [];
  const chains = new Map<number, string[]>();
  for (let node = 0; node < n; node++) {
    const up = above[node]! < 0 ? -1 : of[above[node]!]!;
    if (hidden[node]) {
      of[node] = left?.[node] ? -1 : up;
      continue;
    }
    const chained = joins(node);
    head[node] = chained ? head[above[node]!]! : node;
    if (chained && !choice.unfolded.has(head[node]!)) {
      of[node] = up;
      folded[up]!++;
      if (!chains.has(up)) chains.set(up, [nameOf(block, like[up]!)]);
      chains.get(up)!.push(nameOf(block, node));
      continue;
    }
    of[node] = parent.push(up) - 1;
    like.push(node);
    folded.push(0);
  }
  if (!any && chains.size === 0) return tree;
  const likes = Int32Array.from(like);
  const made = { ...membersOf(likes.length, likes, (i) => i), like: likes, of, merged: false, folded: Int32Array.from(folded) };
  const strings = block.strings.slice();
  const known = new Map<string, number>();
  const name = likes.map((node) => block.name[node]!);
  for (const [box, names] of chains) {
    const text = names.join(" › ");
    if (!known.has(text)) known.set(text, strings.push(text) - 1);
    name[box] = known.get(text)!;
  }
  return derive(tree, { parent: Int32Array.from(parent), made, totals, columns: { name, strings } });
}

/** Nodes whose values do not count; null where all do. */
function leftOut(tree: Tree, { kinds, models, only }: Choice): Uint8Array | null {
  const { block, isCall, totals } = tree;
  const n = block.nodes;
  const kind = block.kinds.map((name) => kinds.has(name));
  const left = new Uint8Array(n);
  const out = new Uint8Array(n);
  let any = false;
  const inside = new Uint8Array(n);
  for (let node = 1; node < n; node++) {
    inside[node] = only && (only[node] || inside[block.parent[node]!]) ? 1 : 0;
    if (isCall[node] && (kind[block.kind[node]!] || models.has(modelOf(tree, node)))) out[node] = 1;
    else if (isPart(tree, node)) out[node] = out[block.parent[node]!]!;
    left[node] = out[node] || (only && !inside[node]) ? 1 : 0;
    any ||= left[node] === 1;
  }
  if (!any) return null;
  // A step that has lost all its calls goes with them; one around something that stays, stays, unless it is a call that is out.
  const stays = new Uint8Array(n);
  for (let node = n - 1; node > 0; node--) {
    const step = !isCall[node] && totals.calls[node]! > 0;
    if (stays[node]) left[node] = out[node]!;
    else if (step) left[node] = 1;
    if (!left[node] || stays[node]) stays[block.parent[node]!] = 1;
  }
  return left;
}

/** Model of a call, as one can choose it. */
export function modelOf(tree: Tree, node: number): string {
  const { block } = tree;
  return stringOf(block, block.model[node]) || `(no model) ${nameOf(block, node)}`;
}

/** Kinds and models that there are, in order of appearance. */
export function offered(tree: Tree): { kinds: string[]; models: string[] } {
  const kinds = new Set<string>();
  const models = new Set<string>();
  for (let node = 0; node < tree.block.nodes; node++) {
    if (node > 0) kinds.add(kindOf(tree.block, node));
    if (tree.isCall[node]) models.add(modelOf(tree, node));
  }
  return { kinds: [...kinds], models: [...models] };
}
