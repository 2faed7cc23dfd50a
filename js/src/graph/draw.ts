// The graph as SVG. Text goes in as text nodes only: every name in a profile is hostile.
import { fit, integer, percent, seconds } from "../format.ts";
import { briefly, kindLabel, lines, nodeName } from "./facts.ts";
import { iconOf } from "./icons.ts";
import { NODE_HEIGHT, NODE_WIDTH, type Orientation, type Placed } from "./layout.ts";
import { tokensOf } from "./data.ts";
import { curve, loop, widthOf } from "./path.ts";
import { shareOf, type Graph } from "./graph.ts";
import { totalOf, type Metric } from "../tree.ts";

const SVG = "http://www.w3.org/2000/svg";

export function s<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | number | undefined> = {},
  ...children: (Node | string)[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

export interface Drawing {
  /** Bottom to top. */
  readonly layers: readonly SVGGElement[];
  readonly nodes: readonly SVGGElement[];
  readonly edges: readonly SVGGElement[];
}

export interface Style {
  readonly metric: Metric;
  readonly orientation: Orientation;
  /** Colour of a model's name; empty for none. */
  readonly colorOf: (model: string) => string;
  /** Width of a text in pixels. */
  readonly measure: (text: string, font: "name" | "far" | "small") => number;
}

/** Share of the profile's time from which on the critical path bears its seconds. */
const WORTH_SECONDS = 0.02;

export function draw(graph: Graph, placed: Placed, style: Style): Drawing {
  const labels: SVGGElement[] = [];
  const edges = graph.edges.map((_, at) => drawEdge(graph, placed, style, at, labels));
  const nodes = graph.nodes.map((_, at) => drawNode(graph, placed, style, at));
  // Wide edges lie below narrow ones.
  const weight = (at: number) => graph.edges[at]!.stream?.tokens ?? totalOf(graph.sums, "tokens", graph.nodes.length + at);
  const ordered = edges.map((edge, at) => [edge, weight(at)] as const).sort((a, b) => b[1] - a[1]);
  const layer = (name: string, children: readonly SVGGElement[]) => s("g", { class: name }, ...children);
  return {
    layers: [layer("tp-edges", ordered.map(([edge]) => edge)), layer("tp-nodes", nodes), layer("tp-labels", labels)],
    nodes,
    edges,
  };
}

function drawEdge(graph: Graph, placed: Placed, style: Style, at: number, labels: SVGGElement[]): SVGGElement {
  const { from, to, back, stream } = graph.edges[at]!;
  const index = graph.nodes.length + at;
  const share = widthOf(stream ? stream.tokens / heaviest(graph) : shareOf(graph, "tokens", index));
  const width = stream ? Math.max(2, share * 0.75) : back ? Math.min(3, share) : share;
  const points = placed.edges[at]!;
  const { line, head, middle } =
    from === to ? loop(placed.nodes[from]!, width, style.orientation) : curve(points, width, style.orientation, back);
  const on = graph.criticalSeconds[index]!;
  const group = s(
    "g",
    { class: `tp-edge${stream ? ` tp-flow tp-via-${stream.via}` : back ? " tp-back" : ""}${on >= 0 ? " tp-critical" : ""}`, "data-edge": at },
    s("path", { class: "tp-reach", d: line }),
    s("path", { class: "tp-wire", d: line, "stroke-width": Math.round(width * 10) / 10 }),
  );
  // Over the wire: a thin line where the critical path runs, whatever the width.
  if (on >= 0) group.append(s("path", { class: "tp-core", d: line }));
  group.append(s("path", { class: "tp-tip", d: head }));
  const whole = graph.critical.total[0] ?? 0;
  const label = (text: string, kind: string) => {
    const size = style.measure(text, "small") + 12;
    // Beside a loop, which it would cover.
    const aside = stream && from === to ? size / 2 + (style.orientation === "across" ? 28 : 8) : 0;
    labels.push(
      s(
        "g",
        { class: `tp-label ${kind}`, "data-of": at, transform: `translate(${Math.round(middle.x + aside)},${Math.round(middle.y)})` },
        s("rect", { x: -size / 2, y: -9, width: size, height: 18, rx: 9 }),
        s("text", { y: 4, "text-anchor": "middle" }, text),
      ),
    );
  };
  if (stream) {
    label(tokensOf(stream), "tp-label-flow");
    return group;
  }
  const others = graph.edges.some((edge, i) => i !== at && !edge.back && edge.to === to && graph.criticalSeconds[graph.nodes.length + i]! >= 0);
  // Where it is the only way, the node says the same.
  if (others && from !== to && on >= WORTH_SECONDS * whole) label(`◆ ${seconds(on)}`, "tp-label-critical");
  label(`${briefly(graph, "tokens", index)} tokens · ${briefly(graph, "cost", index)}`, "tp-label-full");
  return group;
}

/** Tokens of the widest edge of data. */
function heaviest({ edges }: Graph): number {
  return edges.reduce((most, { stream }) => Math.max(most, stream?.tokens ?? 0), 1);
}

const PAD = 12;

function drawNode(graph: Graph, placed: Placed, style: Style, at: number): SVGGElement {
  const node = graph.nodes[at]!;
  const { metric, measure } = style;
  const { totals } = graph.sums;
  const corner = placed.nodes[at]!;
  const on = graph.criticalSeconds[at]!;
  const share = shareOf(graph, metric, at);
  const color = node.model ? style.colorOf(node.name) : "";
  const classes = ["tp-node", `tp-kind-${node.model ? "model" : /^[a-z]+$/.test(node.kind) ? node.kind : "step"}`];
  if (on >= 0) classes.push("tp-critical");
  const round = node.model ? 18 : 7;
  const box = { width: NODE_WIDTH, height: NODE_HEIGHT, rx: round };
  const group = s("g", { class: classes.join(" "), "data-node": at, transform: `translate(${Math.round(corner.x)},${Math.round(corner.y)})` });
  const several = node.runs > 1 && node.run <= 0;
  if (several) group.append(s("rect", { ...box, class: "tp-card tp-behind", x: 4, y: 4 }));
  group.append(s("rect", { ...box, class: "tp-card" }));
  if (color) group.append(s("rect", { class: "tp-tint", ...box, fill: color }));

  const signs: [string, string][] = [];
  if (totals.errors[at]! > 0) signs.push(["tp-bad", `✕ ${integer(totals.errors[at]!)}`]);
  if (totals.retries[at]! > 0) signs.push(["tp-part", `↻ ${integer(totals.retries[at]!)}`]);
  if (several && !node.model) signs.push(["tp-runs", `×${integer(node.runs)}`]);
  if (on >= 0) signs.unshift(["tp-when", `◆ ${seconds(on)}`]);
  let right = NODE_WIDTH - PAD;
  const near = s("g", { class: "tp-near" });
  for (const [name, text] of signs.reverse()) {
    near.append(s("text", { class: `tp-mark ${name}`, x: right, y: 19, "text-anchor": "end" }, text));
    right -= measure(text, "small") + 8;
  }
  const chain = node.chain.length > 0 ? ` +${integer(node.chain.length)}` : "";
  // The icon says the kind, too.
  const kind = measure(kindLabel(node) + chain, "small") <= right - PAD - 20 ? kindLabel(node) + chain : chain.trim();
  near.append(
    s("path", { class: "tp-icon", d: iconOf(node), transform: `translate(${PAD - 1},8)` }),
    s("text", { class: "tp-what", x: PAD + 18, y: 19 }, kind),
  );
  const room = NODE_WIDTH - 2 * PAD;
  const name = nodeName(node);
  const [spent, took] = lines(graph, at);
  const small = (text: string) => measure(text, "small");
  near.append(
    s("text", { class: "tp-name", x: PAD, y: 38 }, fit(name, room, (text) => measure(text, "name"))),
    s("text", { class: "tp-spent", x: PAD, y: 55 }, fit(spent, room, small)),
    s("text", { class: "tp-took", x: PAD, y: 70 }, fit(took, room, small)),
  );
  const failed = totals.errors[at]! > 0 ? " ✕" : "";
  const times = several && !node.model ? `×${integer(node.runs)}` : "";
  const wide = room - 27 - (times ? 8 + measure(times, "far") : 0);
  const far = s(
    "g",
    { class: "tp-far" },
    s("path", { class: "tp-icon", d: iconOf(node), transform: `translate(${PAD - 2},17) scale(1.45)` }),
    s("text", { class: "tp-name", x: PAD + 25, y: 34 }, fit(name, wide, (text) => measure(text, "far"))),
    s("text", { class: "tp-name", x: NODE_WIDTH - PAD, y: 34, "text-anchor": "end" }, times),
    s("text", { class: "tp-spent", x: PAD, y: 63 }, `${briefly(graph, metric, at)}${failed}`),
    s("text", { class: "tp-spent", x: NODE_WIDTH - PAD, y: 63, "text-anchor": "end" }, percent(share, 1)),
  );
  const length = NODE_WIDTH - 2 * round;
  group.append(
    near,
    far,
    s("rect", { class: "tp-track", x: round, y: NODE_HEIGHT - 5, width: length, height: 3, rx: 1.5 }),
  );
  if (share > 0) {
    group.append(s("rect", { class: "tp-share", x: round, y: NODE_HEIGHT - 5, width: Math.max(2, length * share), height: 3, rx: 1.5 }));
  }
  if (node.hidden > 0) {
    const text = `+${integer(node.hidden)}`;
    const size = small(text) + 12;
    const place = style.orientation === "across" ? [NODE_WIDTH - 6, NODE_HEIGHT - 14] : [NODE_WIDTH - 18 - size / 2, NODE_HEIGHT];
    group.append(
      s(
        "g",
        { class: "tp-plus", "data-more": at, transform: `translate(${place[0]},${place[1]})` },
        s("rect", { x: -6, y: -9, width: size, height: 18, rx: 9 }),
        s("text", { x: size / 2 - 6, y: 4, "text-anchor": "middle" }, text),
      ),
    );
  }
  return group;
}
