// Small trees for tests, and random ones.
import { decode, encode, type EncodeInput } from "./border.ts";
import { buildTree, type Tree } from "./tree.ts";

export const KINDS = ["cell", "frame", "llm", "embedding"];

export function treeOf(columns: EncodeInput["columns"], strings: string[] = ["n"]): Tree {
  const nodes = columns.parent!.length;
  const count = Array.from(columns.kind ?? [], (kind) => (kind >= KINDS.indexOf("llm") ? 1 : 0));
  const filled = { name: new Array<number>(nodes).fill(0), ...(columns.kind ? { count } : {}), ...columns };
  return buildTree(decode(encode({ nodes, columns: filled, strings, kinds: KINDS })));
}

export function generator(seed: number): () => number {
  let state = seed;
  return () => ((state = (state * 1664525 + 1013904223) >>> 0) / 2 ** 32);
}

/** A tree in which children lie inside their parents and often overlap each other. */
export function randomTree(nodes: number, seed: number): Tree {
  const next = generator(seed);
  const parent = [-1];
  const start = [0];
  const duration = [100];
  const kind = [0];
  const path = [0];
  for (let node = 1; node < nodes; node++) {
    while (path.length > 1 && (next() < 0.45 || path.length > 25)) path.pop();
    const up = path.at(-1)!;
    parent.push(up);
    start.push(start[up]! + duration[up]! * next() * 0.8);
    duration.push(Math.max(0, (start[up]! + duration[up]! - start[node]!) * next()));
    kind.push(next() < 0.4 ? 2 : 1);
    path.push(node);
  }
  const input = kind.map((k) => (k === 2 ? Math.floor(next() * 1000) : 0));
  return treeOf({ parent, start, duration, kind, input, source: kind.map((k) => (k === 2 ? 0 : 255)) });
}
