import { describe, expect, it } from "vitest";
import type { Tree } from "../tree.ts";
import { dataEdges } from "./data.ts";

function edgesOf(flows: readonly (readonly [number, number, number])[]) {
  const columns = {
    from: Int32Array.from(flows, ([from]) => from),
    to: Int32Array.from(flows, ([, to]) => to),
    tokens: Float64Array.from(flows, ([, , tokens]) => tokens),
    via: new Uint8Array(flows.length),
  };
  const home = Int32Array.from({ length: 10 }, (_, at) => at);
  return dataEdges({ block: { flows: columns } } as unknown as Tree, home).map(({ from, to, back }) => [from, to, back]);
}

describe("edges of data", () => {
  it("lead on from a tool to the step that called it, which began before", () => {
    expect(edgesOf([[2, 1, 50], [1, 3, 80]])).toEqual([[2, 1, false], [1, 3, false]]);
  });

  it("go back where they close a circle: the one with the fewest tokens, of equal ones the one against time", () => {
    expect(edgesOf([[1, 2, 10], [2, 3, 90], [3, 1, 40]])).toEqual([[1, 2, true], [2, 3, false], [3, 1, false]]);
    expect(edgesOf([[2, 1, 10], [1, 2, 10], [3, 3, 5]])).toEqual([[2, 1, true], [1, 2, false], [3, 3, false]]);
  });
});
