// Between the graph and the rows of the span table. An index behind the nodes is an edge.
import { includes, NOTHING, selectionOf, type Selection } from "../bus.ts";
import { kindLabel, nameAt, nodeName } from "./facts.ts";
import type { Graph } from "./graph.ts";
import { selectionBelow, sizeOf } from "../rows.ts";
import { stringOf, type Tree } from "../tree.ts";
import type { Match } from "../search.ts";

/** What is selected when the reader chooses a node or an edge; nothing for -1. */
export function selectionFor(graph: Graph, tree: Tree, index: number): Selection {
  const { nodes, edges } = graph;
  const of = nodes[index] ?? edges[index - nodes.length];
  if (!of) return NOTHING;
  const label = nameAt(graph, index);
  if (!isOwn(graph, index)) return selectionBelow(tree, of.nodes, label);
  const rows = of.nodes.map((node) => tree.block.row[node]!).filter((row) => row >= 0);
  return selectionOf(rows.sort((a, b) => a - b), label);
}

/** Whether a node or an edge stands for calls alone, without what is inside of them. */
function isOwn({ nodes, edges }: Graph, index: number): boolean {
  return nodes[index]?.model ?? nodes[edges[index - nodes.length]!.to]!.model;
}

export interface Picked {
  /** Node or edge that has these rows and no others; -1 for none. */
  readonly index: number;
  /** Nodes in which selected rows are. */
  readonly within: ReadonlySet<number>;
}

/** Finds a selection that was made elsewhere; `index` was chosen here last. */
export function find(graph: Graph, tree: Tree, selection: Selection, index: number): Picked {
  const { nodes, edges, home, modelHome } = graph;
  const { row, parent } = tree.block;
  const n = tree.block.nodes;
  const within = new Set<number>();
  if (selection.rows.length === 0) return { index: -1, within };
  const wanted = sizeOf(selection);
  const all = new Int32Array(n);
  const inside = new Int32Array(n);
  for (let node = n - 1; node >= 0; node--) {
    if (row[node]! >= 0) {
      all[node]!++;
      if (includes(selection, row[node]!)) {
        inside[node]!++;
        if (home[node]! >= 0) within.add(home[node]!);
        if (modelHome[node]! >= 0) within.add(modelHome[node]!);
      }
    }
    if (node > 0) {
      all[parent[node]!]! += all[node]!;
      inside[parent[node]!]! += inside[node]!;
    }
  }
  const has = (at: number): boolean => {
    const of = nodes[at] ?? edges[at - nodes.length]!;
    const own = isOwn(graph, at);
    let [rows, hits] = [0, 0];
    for (const node of of.nodes) {
      const here = row[node]! >= 0 ? 1 : 0;
      rows += own ? here : all[node]!;
      hits += own ? (here && includes(selection, row[node]!) ? 1 : 0) : inside[node]!;
    }
    return rows === wanted && hits === wanted;
  };
  if (index >= 0 && index < nodes.length + edges.length && has(index)) return { index, within };
  const same = nodes.flatMap((_, at) => (has(at) ? [at] : []));
  const named = same.find((at) => nodes[at]!.name === selection.label || nodeName(nodes[at]!) === selection.label);
  const deepest = same.reduce((best, at) => (best < 0 || nodes[at]!.depth > nodes[best]!.depth ? at : best), -1);
  return { index: named ?? deepest, within };
}

const LONGEST = 10_000;

/** Substring, any case, over names and places of what a node stands for, the functions of its chain and its calls' models. */
export function searchGraph(graph: Graph, tree: Tree, text: string): Match | null {
  const needle = text.trim().toLowerCase();
  if (!needle) return null;
  const has = (name: string) => name.slice(0, LONGEST).toLowerCase().includes(needle);
  const mask = new Uint8Array(graph.nodes.length);
  graph.nodes.forEach((node, at) => {
    if ([node.name, node.where, kindLabel(node), ...node.chain].some(has)) mask[at] = 1;
  });
  // Steps that are not shown are found where they are folded in.
  const hit = tree.block.strings.map(has);
  for (let node = 0; node < tree.block.nodes; node++) {
    const name = tree.block.name[node]!;
    const home = graph.home[node]!;
    if (home >= 0 && graph.modelHome[node]! < 0 && name >= 0 && hit[name] && stringOf(tree.block, name)) mask[home] = 1;
  }
  return { mask, count: mask.reduce((sum, one) => sum + one, 0) };
}
