// Where nodes and edges lie. The one place that knows the layout engine.
import { Graph as Dagre, layout as place } from "@dagrejs/dagre";

export type Orientation = "across" | "down";

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** What a layout needs to know. */
export interface Shape {
  readonly nodes: number;
  readonly edges: readonly { readonly from: number; readonly to: number; readonly back: boolean }[];
  readonly orientation: Orientation;
  /** Pixels of room for a label on each edge. */
  readonly label?: number;
}

export interface Placed {
  /** Top left corners. */
  readonly nodes: readonly Point[];
  /** From the border of one node to that of the other, through points between; of a loop, none. */
  readonly edges: readonly (readonly Point[])[];
  readonly width: number;
  readonly height: number;
}

export const NODE_WIDTH = 196;
export const NODE_HEIGHT = 82;
const MARGIN = 16;
/** Beside a node, for the loop of a step that calls itself. */
const LOOP_ROOM = 26;

/** How far from the middle edges lie that lead to and fro between two nodes. */
const APART = 15;

export function layout({ nodes, edges, orientation, label = 0 }: Shape): Placed {
  const across = orientation === "across";
  const graph = new Dagre({ multigraph: true });
  graph.setGraph({
    rankdir: across ? "LR" : "TB",
    ranker: "tight-tree",
    nodesep: across ? 16 : 22,
    edgesep: 10,
    ranksep: across ? 58 + label : 50 + (label && 22),
    marginx: MARGIN,
    marginy: label > 0 && across && edges.some(({ from, to }) => from === to) ? MARGIN + LOOP_ROOM - 6 : MARGIN,
  });
  graph.setDefaultEdgeLabel(() => ({}));
  for (let node = 0; node < nodes; node++) graph.setNode(String(node), { width: NODE_WIDTH, height: NODE_HEIGHT });
  edges.forEach(({ from, to, back }, at) => {
    if (from === to) return;
    // Against the flow: laid out with it, and turned round below.
    const [a, b] = back ? [to, from] : [from, to];
    graph.setEdge(String(a), String(b), { weight: back ? 0 : 1, minlen: 1 }, String(at));
  });
  if (nodes > 0) place(graph);
  const { width: long = 0, height: high = 0 } = graph.graph() as { width?: number; height?: number };
  const centres = Array.from({ length: nodes }, (_, node): Point => {
    const { x = 0, y = 0 } = graph.node(String(node)) as Partial<Point>;
    return { x, y };
  });
  const mirrored = againstTime(centres, edges, across);
  const turn = ({ x, y }: Point): Point => (!mirrored ? { x, y } : across ? { x, y: high - y } : { x: long - x, y });
  const corners = centres.map(turn).map(({ x, y }) => ({ x: x - NODE_WIDTH / 2, y: y - NODE_HEIGHT / 2 }));
  const pairs = new Set(edges.map(({ from, to }) => `${from} ${to}`));
  const lines = edges.map(({ from, to, back }, at): Point[] => {
    if (from === to) return [];
    const [a, b] = back ? [to, from] : [from, to];
    const { points = [] } = graph.edge({ v: String(a), w: String(b), name: String(at) }) as { points?: Point[] };
    const between = points.slice(1, -1).map(turn);
    // A direct edge needs no bend; with more than one, the middle ones lead round the nodes in between.
    const bends = between.length > 1 ? between : [];
    const aside = label > 0 && pairs.has(`${to} ${from}`) ? (back ? APART : -APART) : 0;
    const shift = ({ x, y }: Point): Point => (across ? { x, y: y + aside } : { x: x + aside, y });
    const line = [leave(corners[a]!, across), ...bends, arrive(corners[b]!, across)].map(shift);
    return back ? line.reverse() : line;
  });
  const loops = edges.some(({ from, to }) => from === to) ? LOOP_ROOM : 0;
  const right = Math.max(0, ...corners.map(({ x }) => x + NODE_WIDTH), ...lines.flat().map(({ x }) => x));
  const bottom = Math.max(0, ...corners.map(({ y }) => y + NODE_HEIGHT), ...lines.flat().map(({ y }) => y));
  return { nodes: corners, edges: lines, width: right + MARGIN + loops, height: bottom + MARGIN };
}

/** Whether the steps that one caller has for itself lie before those that it called earlier; nodes are in order of time. */
function againstTime(centres: readonly Point[], edges: Shape["edges"], across: boolean): boolean {
  const place = (node: number) => (across ? centres[node]!.y : centres[node]!.x);
  const callers = new Map<number, number>();
  for (const { to, back } of edges) if (!back) callers.set(to, (callers.get(to) ?? 0) + 1);
  const called = new Map<number, number[]>();
  for (const { from, to, back } of edges) {
    if (back || callers.get(to) !== 1) continue;
    const list = called.get(from);
    if (list) list.push(to);
    else called.set(from, [to]);
  }
  for (const [, list] of [...called].sort(([a], [b]) => a - b)) {
    list.sort((a, b) => a - b);
    const ends = place(list.at(-1)!) - place(list[0]!);
    if (ends !== 0) return ends < 0;
  }
  return false;
}

function leave({ x, y }: Point, across: boolean): Point {
  return across ? { x: x + NODE_WIDTH, y: y + NODE_HEIGHT / 2 } : { x: x + NODE_WIDTH / 2, y: y + NODE_HEIGHT };
}

function arrive({ x, y }: Point, across: boolean): Point {
  return across ? { x, y: y + NODE_HEIGHT / 2 } : { x: x + NODE_WIDTH / 2, y };
}
