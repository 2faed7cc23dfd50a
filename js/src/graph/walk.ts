// Where an arrow key leads in a graph: along its edges, and between nodes beside each other.
import type { Orientation, Placed } from "./layout.ts";
import type { Graph } from "./graph.ts";

export type Direction = "up" | "down" | "left" | "right";

/** `came` is the node from which the reader came: of several callers, the way back is to that one. */
export function step(
  graph: Graph,
  placed: Placed,
  orientation: Orientation,
  node: number,
  direction: Direction,
  came: number,
): number {
  if (graph.nodes.length === 0) return -1;
  if (node < 0 || node >= graph.nodes.length) return 0;
  const across = orientation === "across";
  const deeper = across ? "right" : "down";
  const higher = across ? "left" : "up";
  if (direction === deeper || direction === higher) {
    const next = graph.edges
      .filter(({ from, to, back, stream }) => from !== to && (!back || stream))
      // Data that goes back to an earlier step lies the other way round.
      .map(({ from, to, back }) => (back ? [to, from] : [from, to]) as [number, number])
      .filter(([from, to]) => (direction === deeper ? from : to) === node)
      .map(([from, to]) => (direction === deeper ? to : from));
    if (next.includes(came)) return came;
    return nearest(next, node, (at) => lateral(placed, across, at));
  }
  const sign = direction === (across ? "down" : "right") ? 1 : -1;
  const rank = (at: number) => (across ? placed.nodes[at]!.x : placed.nodes[at]!.y);
  const beside = placed.nodes.flatMap((_, at) => {
    const far = sign * (lateral(placed, across, at) - lateral(placed, across, node));
    return far > 0 && Math.abs(rank(at) - rank(node)) < 1 ? [at] : [];
  });
  return nearest(beside, node, (at) => lateral(placed, across, at));
}

function lateral({ nodes }: Placed, across: boolean, node: number): number {
  return across ? nodes[node]!.y : nodes[node]!.x;
}

function nearest(candidates: readonly number[], node: number, place: (node: number) => number): number {
  let best = node;
  let distance = Infinity;
  for (const candidate of candidates) {
    const far = Math.abs(place(candidate) - place(node));
    if (far < distance) [best, distance] = [candidate, far];
  }
  return best;
}
