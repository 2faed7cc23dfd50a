// Other orders of a tree: equal paths as one, and what calls and is called by one of its functions, tools or models.
import { derive, membersOf } from "./derive.ts";
import { selfTime, totalOf, type Metric, type Tree } from "../tree.ts";

/** Of each node, what it is a run of: name, kind, file or cell, and of a call its model. */
export function identities({ block, isCall }: Tree): Int32Array {
  const places = new Map<string, number>();
  const place = block.strings.map((text) => {
    const file = text.slice(0, 600).replace(/:\d+$/, "");
    if (!places.has(file)) places.set(file, places.size + 1);
    return places.get(file)!;
  });
  const found = new Map<number | string, number>();
  const kinds = block.kinds.length + 1;
  const strings = block.strings.length + 1;
  const frame = block.kinds.indexOf("frame");
  const ids = new Int32Array(block.nodes);
  for (let node = 0; node < block.nodes; node++) {
    const kind = block.kind[node]!;
    // Steps are known by their names, functions by their files too, as in `Profile.tree`.
    const third = isCall[node] ? block.model[node]! + 1 : kind === frame ? (place[block.where[node]!] ?? 0) : 0;
    const number = ((block.name[node]! + 1) * kinds + kind) * strings + third;
    const key = number < Number.MAX_SAFE_INTEGER ? number : `${block.name[node]} ${kind} ${third}`;
    let id = found.get(key);
    if (id === undefined) found.set(key, (id = found.size));
    ids[node] = id;
  }
  return ids;
}

/** Seconds of each node in which parallel work counts as often as there is of it. */
function summedTime(tree: Tree): Float64Array {
  const { block } = tree;
  const sum = new Float64Array(block.nodes);
  for (let node = block.nodes - 1; node >= 0; node--) {
    sum[node]! += selfTime(tree, node);
    if (node > 0) sum[block.parent[node]!]! += sum[node]!;
  }
  return sum;
}

class Groups {
  readonly parent: number[] = [];
  readonly like: number[] = [];
  readonly pairs: number[] = [];
  readonly pairGroup: number[] = [];
  private readonly known = new Map<number, number>();

  constructor(private readonly kinds: number) {}

  /** The group of an identity below another group. */
  at(up: number, id: number, like: number): number {
    const slot = (up + 1) * this.kinds + id;
    let group = this.known.get(slot);
    if (group === undefined) {
      this.known.set(slot, (group = this.parent.push(up) - 1));
      this.like.push(like);
    }
    return group;
  }

  add(group: number, node: number): void {
    this.pairs.push(node);
    this.pairGroup.push(group);
  }

  tree(from: Tree, of: Int32Array, up?: Uint8Array): Tree {
    const time = summedTime(from);
    const made = {
      ...membersOf(this.parent.length, this.pairs, (i) => this.pairGroup[i]!),
      like: Int32Array.from(this.like),
      of,
      merged: true,
      ...(up ? { up } : {}),
    };
    const duration = new Float64Array(this.parent.length);
    for (let i = 0; i < this.pairs.length; i++) duration[this.pairGroup[i]!]! += time[this.pairs[i]!]!;
    return derive(from, { parent: Int32Array.from(this.parent), made, columns: { duration } });
  }
}

/** Nodes with the same path are one. */
export function merge(tree: Tree): Tree {
  const { block } = tree;
  const ids = identities(tree);
  const groups = new Groups(block.nodes + 1);
  const of = new Int32Array(block.nodes);
  for (let node = 0; node < block.nodes; node++) {
    of[node] = groups.at(node === 0 ? -1 : of[block.parent[node]!]!, ids[node]!, node);
    groups.add(of[node]!, node);
  }
  return groups.tree(tree, of);
}

/** All runs of what a node is: of a call, those of its model. */
export function runsLike(tree: Tree, node: number): Uint8Array {
  const { block, isCall } = tree;
  const ids = identities(tree);
  const model = isCall[node] && block.model[node]! >= 0 ? block.model[node]! : -1;
  const runs = new Uint8Array(block.nodes);
  for (let at = 0; at < block.nodes; at++) {
    runs[at] = (model >= 0 ? isCall[at] && block.model[at] === model : ids[at] === ids[node]) ? 1 : 0;
  }
  return runs;
}

/** Node 0 stands for some nodes; below it is what they called, and above it (`up`) what called them. Runs inside runs count once. */
export function sandwich(tree: Tree, runs: Uint8Array): Tree {
  const { block } = tree;
  const ids = identities(tree);
  const n = block.nodes;
  // Callers must not be taken for callees of the same identity: theirs are counted on from n.
  const groups = new Groups(2 * n);
  const of = new Int32Array(n).fill(-1);
  const outermost: number[] = [];
  for (let node = 0; node < n; node++) {
    const up = node === 0 ? -1 : of[block.parent[node]!]!;
    if (up < 0 && !runs[node]) continue;
    if (up < 0) outermost.push(node);
    of[node] = up < 0 ? groups.at(-1, 0, outermost[0]!) : groups.at(up, ids[node]!, node);
    groups.add(of[node]!, node);
  }
  const callees = groups.parent.length;
  let level = outermost.map((node) => ({ node, at: node, group: 0 }));
  while (level.length > 0) {
    level = level.flatMap(({ node, at, group }) => {
      const caller = block.parent[at]!;
      if (caller < 0) return [];
      const next = groups.at(group, n + ids[caller]!, caller);
      groups.add(next, node);
      return [{ node, at: caller, group: next }];
    });
  }
  const up = Uint8Array.from(groups.parent, (_, group) => (group >= callees ? 1 : 0));
  return groups.tree(tree, of, up);
}

/** The same tree with the heaviest siblings first; what leads up stands behind what leads down. */
export function heaviestFirst(tree: Tree, metric: Metric): Tree {
  const { block, made } = tree;
  const n = block.nodes;
  const value = Float64Array.from({ length: n }, (_, node) => totalOf(tree, metric, node));
  const side = (node: number) => made?.up?.[node] ?? 0;
  const firstChild = new Int32Array(n).fill(-1);
  const nextSibling = new Int32Array(n).fill(-1);
  const prevSibling = new Int32Array(n).fill(-1);
  for (let node = 0; node < n; node++) {
    const children: number[] = [];
    for (let child = tree.firstChild[node]!; child >= 0; child = tree.nextSibling[child]!) children.push(child);
    children.sort((a, b) => side(a) - side(b) || value[b]! - value[a]! || a - b);
    children.forEach((child, i) => {
      if (i === 0) firstChild[node] = child;
      else {
        prevSibling[child] = children[i - 1]!;
        nextSibling[children[i - 1]!] = child;
      }
    });
  }
  return { ...tree, firstChild, nextSibling, prevSibling };
}
