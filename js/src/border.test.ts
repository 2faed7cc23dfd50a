import { describe, expect, test } from "vitest";
import { decode, encode, NO_SOURCE } from "./border.ts";

const bytes = () =>
  encode({
    nodes: 3,
    columns: { parent: [-1, 0, 1], name: [0, 1, 2], kind: [0, 1, 1], start: [0, 0.5, 1], input: [0, 10, 20], http_status: [0, 200, 429] },
    strings: ["cell", "a", "b"],
    kinds: ["cell", "llm"],
    meta: { title: "In[2]" },
  });

/** The block with another header of the same length or longer. */
function withHeader(change: (header: Record<string, any>) => void): Uint8Array {
  const old = bytes();
  const length = new DataView(old.buffer).getUint32(4, true);
  const header = JSON.parse(new TextDecoder().decode(old.subarray(8, 8 + length)));
  change(header);
  const text = new TextEncoder().encode(JSON.stringify(header));
  const size = Math.ceil((8 + text.length) / 8) * 8 - 8;
  const out = new Uint8Array(8 + size + old.length - 8 - length).fill(32);
  out.set(old.subarray(0, 4));
  new DataView(out.buffer).setUint32(4, size, true);
  out.set(text, 8);
  out.set(old.subarray(8 + length), 8 + size);
  return out;
}

describe("decode", () => {
  test("reads columns, strings and meta", () => {
    const block = decode(bytes());
    expect(block.nodes).toBe(3);
    expect([...block.parent]).toEqual([-1, 0, 1]);
    expect([...block.start]).toEqual([0, 0.5, 1]);
    expect([...block.http_status]).toEqual([0, 200, 429]);
    expect(block.strings[block.name[2]!]).toBe("b");
    expect(block.meta.title).toBe("In[2]");
  });

  test("reads a DataView that is not aligned", () => {
    const data = bytes();
    const shifted = new Uint8Array(data.length + 3);
    shifted.set(data, 3);
    expect([...decode(new DataView(shifted.buffer, 3)).input]).toEqual([0, 10, 20]);
  });

  test("absent columns are full of their default", () => {
    const block = decode(bytes());
    expect([...block.source]).toEqual([NO_SOURCE, NO_SOURCE, NO_SOURCE]);
    expect([...block.model]).toEqual([-1, -1, -1]);
    expect([...block.cost]).toEqual([0, 0, 0]);
    expect([...block.ttft]).toEqual([NaN, NaN, NaN]);
    expect([...block.reasoning]).toEqual([0, 0, 0]);
    expect([...block.embedding]).toEqual([0, 0, 0]);
  });

  test("says what is wrong", () => {
    expect(() => decode(new Uint8Array([1, 2, 3]))).toThrow("not a tokprof block");
    expect(() => decode(bytes().subarray(0, 40))).toThrow("ends inside its header");
    expect(() => decode(bytes().subarray(0, bytes().length - 8))).toThrow('column "http_status": outside the block');
    expect(() => decode(withHeader((h) => (h["columns"]["input"]["dtype"] = "f4")))).toThrow('column "input"');
    expect(() => decode(withHeader((h) => (h["columns"]["start"]["length"] = 2)))).toThrow('column "start"');
    expect(() => decode(withHeader((h) => (h["strings"] = ["cell"])))).toThrow('column "name"');
    expect(() => decode(withHeader((h) => (h["version"] = 9)))).toThrow("version 9");
  });

  test("reads flows, which have a length of their own", () => {
    const flows = { from: [1, 1, 2, 1], to: [2, 2, 1, 2], via: [0, 1, 2, 2], tokens: [5, 6, NaN, 7] };
    const made = (more: object) =>
      decode(encode({ nodes: 3, columns: { parent: [-1, 0, 0] }, strings: [], kinds: ["cell"], flows: { ...flows, ...more } }));
    expect([...made({}).flows!.tokens]).toEqual([5, 6, NaN, 7]);
    expect(decode(bytes()).flows).toBeUndefined();
    expect(() => made({ to: [2, 2, 3, 2] })).toThrow('column "flow_to"');
    expect(() => made({ from: [2, -1, 1, 2] })).toThrow('column "flow_from"');
    expect(() => made({ via: [0, 1, 2, 3] })).toThrow('column "flow_via"');
    expect(() => made({ via: [0, 1] })).toThrow('column "flow_via": 2 values for 4');
  });

  test("a parent after its child is refused", () => {
    const block = encode({ nodes: 2, columns: { parent: [-1, 1] }, strings: [], kinds: ["cell"] });
    expect(() => decode(block)).toThrow('column "parent"');
  });
});
