// The deepest level: below each call whose prompt was kept, the parts of the prompt and what came out.
import { fallbackOf, NAMES, type Block, type ColumnArray } from "../border.ts";
import { PART, stringOf } from "../tree.ts";

/** A block with nodes for the parts of prompts: what a call has of its own is shared out among them. */
export function deepen(block: Block): Block {
  const { segments, nodes } = block;
  if (!segments) return block;
  const strings = block.strings.slice();
  const known = new Map<string, number>();
  const name = (text: string) => {
    if (!known.has(text)) known.set(text, strings.push(text) - 1);
    return known.get(text)!;
  };
  const places = new Int32Array(nodes);
  /** Of each part its call, and of a part of the prompt its place in `segments`. */
  const calls: number[] = [];
  const from: number[] = [];
  const at: number[] = [];
  let next = 0;
  for (let node = 0, segment = 0; node < nodes; node++) {
    places[node] = next++;
    const add = (what: number) => {
      calls.push(node);
      from.push(what);
      at.push(next++);
    };
    if (segments.node[segment] !== node) continue;
    while (segments.node[segment] === node) add(segment++);
    if (block.output[node]! > block.reasoning[node]!) add(-1);
    if (block.reasoning[node]! > 0) add(-2);
  }
  const made: Record<string, unknown> = { ...block, nodes: next, strings, kinds: [...block.kinds, PART], segments: undefined };
  for (const column of NAMES) {
    const old: ColumnArray = block[column];
    const values = new (old.constructor as Float64ArrayConstructor)(next).fill(fallbackOf(column)) as ColumnArray;
    for (let node = 0; node < nodes; node++) values[places[node]!] = old[node]!;
    made[column] = values;
  }
  const deep = made as unknown as Block;
  const replayed = (made["replayed"] = new Float64Array(next));
  for (let node = 1; node < nodes; node++) deep.parent[places[node]!] = places[block.parent[node]!]!;
  calls.forEach((node, i) => {
    const [part, call, segment] = [at[i]!, places[node]!, from[i]!];
    deep.parent[part] = call;
    deep.kind[part] = block.kinds.length;
    deep.start[part] = deep.start[call]!;
    const move = (column: "input" | "output" | "cache_read" | "reasoning" | "cost", amount: number) => {
      if (!(amount > 0)) return;
      deep[column][part] = amount;
      const left = deep[column][call]! - amount;
      deep[column][call] = left < amount * 1e-9 ? 0 : left;
    };
    if (segment >= 0) {
      const label = stringOf(block, segments.label[segment]);
      const kind = segments.names[segments.part[segment]!]!;
      deep.name[part] = name(label ? `${label} · ${kind.replace(/^tool /, "").replace(/^tools$/, "tool")}` : kind);
      move("input", segments.tokens[segment]!);
      move("cache_read", segments.cached[segment]!);
      move("cost", segments.cost[segment]!);
      replayed[part] = segments.tokens[segment]! - segments.new[segment]!;
      return;
    }
    const thought = block.reasoning[node]!;
    const tokens = segment === -1 ? block.output[node]! - thought : thought;
    deep.name[part] = name(segment === -1 ? "output" : "reasoning");
    move("output", tokens);
    if (segment === -2) move("reasoning", tokens);
    move("cost", (block.cost_output[node]! * tokens) / block.output[node]!);
  });
  return deep;
}
