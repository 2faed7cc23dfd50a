// Which steps of the tree are one: the repeated runs of a step in its context, recursion folded into the outermost run.
import { NO_SOURCE } from "../border.ts";
import { CALL_KINDS, kindOf, nameOf, stringOf, totalOf, type Metric, type Tree } from "../tree.ts";

/** Runs of one step under the same callers. */
export interface Group {
  readonly id: number;
  readonly key: string;
  /** Key of all runs of this step, where this is one of several. */
  readonly base: string;
  readonly parent: Group | null;
  readonly identity: number;
  readonly depth: number;
  /** Nodes of the tree, outermost alone: a run inside a run is part of it. */
  readonly nodes: number[];
  readonly children: Group[];
  /** Which run this is, from 1; 0: all of them; -1: those that are not shown one by one. */
  readonly run: number;
}

/** Who called whom. */
export interface Link {
  readonly from: Group;
  readonly to: Group;
  /** Nodes of `to` that were called so. */
  readonly nodes: number[];
  /** A step called one that it is inside of. */
  readonly back: boolean;
}

/** Calls of one model, or one of them. */
export interface ModelGroup {
  readonly key: string;
  readonly base: string;
  readonly name: string;
  readonly nodes: number[];
  readonly run: number;
}

export interface Groups {
  readonly all: readonly Group[];
  readonly links: readonly Link[];
  readonly models: readonly ModelGroup[];
  /** Of each node, its group; of a call without steps inside, that of its caller. */
  readonly of: Int32Array;
  /** Of each node, its model; -1 where it is no call. */
  readonly modelOf: Int32Array;
  /** First node behind everything that is below a node. */
  readonly end: Int32Array;
}

/** Runs that are shown one by one; the others are one node. */
export const MOST_RUNS = 20;
/** Models with a node of their own. */
const MOST_MODELS = 40;

/** Chooses the largest runs, in order of time. */
function chooseRuns(tree: Tree, metric: Metric, nodes: readonly number[]): Map<number, number> {
  const numbered = nodes.map((node, i) => [node, i + 1] as const);
  if (numbered.length <= MOST_RUNS) return new Map(numbered);
  const value = new Map(numbered.map(([node]) => [node, totalOf(tree, metric, node)]));
  const largest = numbered.sort((a, b) => value.get(b[0])! - value.get(a[0])! || a[0] - b[0]).slice(0, MOST_RUNS - 1);
  return new Map(largest);
}

/** `split` holds the keys of the groups whose runs are to be seen one by one. */
export function groupsOf(tree: Tree, split: ReadonlySet<string>, metric: Metric): Groups {
  const chosen = new Map<string, Map<number, number>>();
  // Runs inside of runs are known only once these are taken apart.
  for (;;) {
    const builder = new Builder(tree, chosen);
    const found = builder.all.filter((g) => g.nodes.length > 1 && g.run === 0 && split.has(g.key) && !chosen.has(g.key));
    if (found.length === 0) return builder.finish(split, metric);
    for (const { key, nodes } of found) chosen.set(key, chooseRuns(tree, metric, nodes));
  }
}

class Builder {
  readonly all: Group[] = [];
  private readonly end: Int32Array;
  private readonly of: Int32Array;
  private readonly modelOf: Int32Array;
  private readonly identities = new Map<string, number>();
  private readonly texts: string[] = [];
  private readonly places = new Map<string, Group>();
  private readonly links = new Map<string, Link>();
  /** First node behind the last outermost one of a group or link. */
  private readonly reached = new Map<Group | Link, number>();

  constructor(
    private readonly tree: Tree,
    private readonly chosen: ReadonlyMap<string, ReadonlyMap<number, number>>,
  ) {
    const { block } = tree;
    const n = block.nodes;
    this.end = new Int32Array(n).map((_, node) => node + 1);
    for (let node = n - 1; node > 0; node--) {
      const up = block.parent[node]!;
      if (this.end[node]! > this.end[up]!) this.end[up] = this.end[node]!;
    }
    this.of = new Int32Array(n).fill(-1);
    this.modelOf = new Int32Array(n).fill(-1);
    for (let node = 0; node < n; node++) this.place(node);
  }

  private place(node: number): void {
    const { tree, all, of } = this;
    const up = node > 0 ? all[of[tree.block.parent[node]!]!]! : null;
    if (up && isPlainCall(tree, node)) {
      of[node] = up.id;
      return;
    }
    const identity = this.identityOf(node);
    const outer = around(up, identity);
    const group = outer ?? this.child(up, identity, node);
    of[node] = group.id;
    this.take(group, group.nodes, node);
    if (!up) return;
    const key = `${up.id} ${group.id}`;
    let link = this.links.get(key);
    if (!link) this.links.set(key, (link = { from: up, to: group, nodes: [], back: outer !== null }));
    this.take(link, link.nodes, node);
  }

  private take(into: Group | Link, nodes: number[], node: number): void {
    if (node < (this.reached.get(into) ?? 0)) return;
    nodes.push(node);
    this.reached.set(into, this.end[node]!);
  }

  private identityOf(node: number): number {
    const { tree, identities } = this;
    const kind = kindOf(tree.block, node);
    const where = kind === "frame" ? fileOf(stringOf(tree.block, tree.block.where[node])) : "";
    const text = JSON.stringify([kind, nameOf(tree.block, node), where]);
    let identity = identities.get(text);
    if (identity === undefined) identities.set(text, (identity = this.texts.push(text) - 1));
    return identity;
  }

  private child(up: Group | null, identity: number, node: number): Group {
    const place = `${up?.id ?? -1} ${identity}`;
    const known = this.places.get(place);
    const base = known?.base ?? hash(`${up?.key ?? ""}/${this.texts[identity]}`);
    const runs = this.chosen.get(base);
    if (!runs) return known ?? this.make(place, up, identity, base, base, 0);
    const run = runs.get(node) ?? this.runAround(node, base) ?? -1;
    const numbered = `${place} ${run}`;
    return this.places.get(numbered) ?? this.make(numbered, up, identity, `${base}#${run}`, base, run);
  }

  /** A run inside a run belongs to it. */
  private runAround(node: number, base: string): number | undefined {
    const { parent } = this.tree.block;
    for (let at = parent[node]!; at >= 0; at = parent[at]!) {
      const group = this.all[this.of[at]!]!;
      if (group.base === base) return group.run;
    }
    return undefined;
  }

  private make(place: string, parent: Group | null, identity: number, key: string, base: string, run: number): Group {
    const depth = parent ? parent.depth + 1 : 0;
    const group: Group = { id: this.all.length, key, base, parent, identity, depth, nodes: [], children: [], run };
    this.all.push(group);
    this.places.set(place, group);
    parent?.children.push(group);
    return group;
  }

  finish(split: ReadonlySet<string>, metric: Metric): Groups {
    const models = this.models(split, metric);
    models.forEach(({ nodes }, at) => nodes.forEach((node) => (this.modelOf[node] = at)));
    return { all: this.all, links: [...this.links.values()], models, of: this.of, modelOf: this.modelOf, end: this.end };
  }

  private models(split: ReadonlySet<string>, metric: Metric): ModelGroup[] {
    const { tree } = this;
    const calls = new Map<string, number[]>();
    for (let node = 0; node < tree.block.nodes; node++) {
      if (!spends(tree, node)) continue;
      const name = stringOf(tree.block, tree.block.model[node]) || "model unknown";
      const known = calls.get(name);
      if (known) known.push(node);
      else calls.set(name, [node]);
    }
    const weight = ([, nodes]: [string, number[]]) => nodes.reduce((sum, node) => sum + totalOf(tree, "tokens", node), 0);
    const sorted = [...calls].sort((a, b) => weight(b) - weight(a) || b[1].length - a[1].length || (a[0] < b[0] ? -1 : 1));
    const models: ModelGroup[] = [];
    for (const [name, nodes] of sorted.slice(0, MOST_MODELS)) {
      const base = hash(`model ${name}`);
      if (!split.has(base) || nodes.length < 2) {
        models.push({ key: base, base, name, nodes, run: 0 });
        continue;
      }
      const runs = chooseRuns(tree, metric, nodes);
      const rest = nodes.filter((node) => !runs.has(node));
      for (const [node, run] of [...runs].sort((a, b) => a[1] - b[1])) {
        models.push({ key: `${base}#${run}`, base, name, nodes: [node], run });
      }
      if (rest.length > 0) models.push({ key: `${base}#-1`, base, name, nodes: rest, run: -1 });
    }
    const rest = sorted.slice(MOST_MODELS);
    if (rest.length > 0) {
      const key = hash("other models");
      const nodes = rest.flatMap(([, calls]) => calls).sort((a, b) => a - b);
      models.push({ key, base: "", name: `${rest.length} more models`, nodes, run: 0 });
    }
    return models;
  }
}

/** Whether tokens of its own are counted at a node, or would be if they were known. */
export function spends(tree: Tree, node: number): boolean {
  if (!tree.isCall[node]) return false;
  return tree.block.source[node] !== NO_SOURCE || tree.firstChild[node]! < 0;
}

/** A call that is nothing but a run of a model: it has no node but its model's. */
function isPlainCall(tree: Tree, node: number): boolean {
  return tree.firstChild[node]! < 0 && CALL_KINDS.has(kindOf(tree.block, node));
}

function around(group: Group | null, identity: number): Group | null {
  for (let at = group; at; at = at.parent) if (at.identity === identity) return at;
  return null;
}

/** `agent.py` of `agent.py:12`: a function is the same whichever of its lines ran. */
function fileOf(where: string): string {
  return where.replace(/:\d+$/, "");
}

/** Short name of a path that may be thousands of functions deep; 53 bits (cyrb53). */
function hash(text: string): string {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 2654435761);
    b = Math.imul(b ^ code, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return (4294967296 * (2097151 & b) + (a >>> 0)).toString(36);
}
