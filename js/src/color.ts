// Colours of boxes: Okabe-Ito, told apart with any colour vision, softened towards the background, with ink that can be read.
import { dollars, percent } from "./format.ts";
import { isPart, kindOf, nameOf, PART, stringOf, totalOf, type Tree } from "./tree.ts";

export type Rgb = readonly [number, number, number];

/** Okabe & Ito's set, in order of use, with grey in the place of black, which would be lost in a dark theme. */
export const OKABE_ITO: readonly Rgb[] = [
  [86, 180, 233], // sky blue
  [230, 159, 0], // orange
  [0, 158, 115], // bluish green
  [204, 121, 167], // reddish purple
  [0, 114, 178], // blue
  [213, 94, 0], // vermilion
  [240, 228, 66], // yellow
  [153, 153, 153], // grey: whatever has no colour of its own
];
const GREY = 7;

const KIND_COLORS: Readonly<Record<string, number>> = {
  llm: 0,
  tool: 1,
  embedding: 2,
  agent: 3,
  task: 4,
  retriever: 5,
  reranker: 6,
};

export interface Swatch {
  readonly fill: string;
  readonly ink: string;
  readonly mutedFill: string;
  readonly mutedInk: string;
  /** Of the parts of a call. */
  readonly softFill: string;
  readonly softInk: string;
}

/** Index of a colour: 0-7 Okabe-Ito, then the quiet tones. */
export const FRAME = 8;
export const STEP = 9;
export const ROOT = 10;
/** First of the colours of heat, from cool to hot. */
export const HEAT = 11;
const HEATS: readonly Rgb[] = [
  [254, 235, 190],
  [250, 197, 110],
  [240, 140, 60],
  [213, 80, 20],
  [150, 28, 30],
];

export function mix(a: Rgb, b: Rgb, t: number): Rgb {
  return [0, 1, 2].map((i) => Math.round(a[i]! + (b[i]! - a[i]!) * t)) as unknown as Rgb;
}

export function luminance(color: Rgb): number {
  const [r, g, b] = color.map((c) => {
    const v = c / 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  }) as unknown as Rgb;
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Contrast ratio of WCAG 2, 1 to 21. */
export function contrast(a: Rgb, b: Rgb): number {
  const [hi, lo] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (hi + 0.05) / (lo + 0.05);
}

const DARK_INK: Rgb = [8, 10, 12];
const LIGHT_INK: Rgb = [255, 255, 255];

export function inkOn(fill: Rgb): Rgb {
  return contrast(fill, DARK_INK) >= contrast(fill, LIGHT_INK) ? DARK_INK : LIGHT_INK;
}

export const css = ([r, g, b]: Rgb): string => `rgb(${r} ${g} ${b})`;

export function isDark(background: Rgb): boolean {
  return luminance(background) < 0.2;
}

export function fills(background: Rgb, foreground: Rgb): Rgb[] {
  const dark = isDark(background);
  const colors = OKABE_ITO.map((color) => mix(color, background, dark ? 0.05 : 0.22));
  const quiet = dark ? [0.13, 0.22, 0.3] : [0.075, 0.14, 0.2];
  return [...colors, ...quiet.map((t) => mix(background, foreground, t)), ...HEATS];
}

export function swatches(background: Rgb, foreground: Rgb): Swatch[] {
  return fills(background, foreground).map((fill) => {
    const muted = mix(fill, background, 0.76);
    const soft = mix(fill, background, 0.5);
    return {
      fill: css(fill),
      ink: css(inkOn(fill)),
      mutedFill: css(muted),
      mutedInk: css(mix(inkOn(muted), muted, 0.45)),
      softFill: css(soft),
      softInk: css(inkOn(soft)),
    };
  });
}

export type ColorMode = "model" | "kind" | "source" | "heat";

/** Colours of provenances: blue is sure, orange is not, grey is not known. */
const SOURCE_COLORS: Readonly<Record<string, number>> = { cached: 6, reported: 0, derived: 2, estimated: 1, partial: 5, missing: GREY };

export interface LegendEntry {
  readonly key: string;
  readonly label: string;
  readonly color: number;
  readonly nodes: number;
}

export interface Coloring {
  /** Colour of each node. */
  readonly color: Uint8Array;
  /** Legend entry of each node, or -1. */
  readonly entry: Int32Array;
  readonly legend: readonly LegendEntry[];
}

/** What a node is filed under in the legend; empty for code and steps when colours stand for models. */
function legendKey(tree: Tree, mode: ColorMode, node: number): string {
  const { block } = tree;
  if (mode === "kind") return kindOf(block, node);
  if (mode === "source") return tree.isCall[node] ? (block.sources[tree.totals.source[node]!] ?? "") : "";
  if (!tree.isCall[node]) return "";
  return stringOf(block, block.model[node]) || `(no model) ${nameOf(block, node)}`;
}

export function colorize(tree: Tree, mode: ColorMode): Coloring {
  if (mode === "heat") return heat(tree);
  const { block } = tree;
  const n = block.nodes;
  const groups = new Map<string, { nodes: number; weight: number; index: number }>();
  const group = new Int32Array(n).fill(-1);
  for (let node = 0; node < n; node++) {
    const key = legendKey(tree, mode, node);
    if (!key) continue;
    let found = groups.get(key);
    if (!found) groups.set(key, (found = { nodes: 0, weight: 0, index: groups.size }));
    found.nodes++;
    found.weight += mode === "model" ? totalOf(tree, "tokens", node) : 1;
    group[node] = found.index;
  }
  const sorted = [...groups].sort(([a, x], [b, y]) => y.weight - x.weight || (a < b ? -1 : 1));
  const place = new Int32Array(groups.size);
  const legend = sorted.map(([key, { nodes, index }], rank): LegendEntry => {
    place[index] = rank;
    const color = mode === "model" ? Math.min(rank, GREY) : mode === "source" ? SOURCE_COLORS[key]! : kindColor(key);
    return { key, label: key, nodes, color };
  });
  const color = new Uint8Array(n);
  const entry = new Int32Array(n).fill(-1);
  for (let node = 0; node < n; node++) {
    if (group[node]! >= 0) entry[node] = place[group[node]!]!;
    color[node] = entry[node]! >= 0 ? legend[entry[node]!]!.color : quietTone(kindOf(block, node));
    const up = block.parent[node]!;
    if (mode === "kind" || !isPart(tree, node) || up < 0) continue;
    color[node] = color[up]!;
    entry[node] = entry[up]!;
  }
  return { color, entry, legend };
}

/** Colours of the nodes of which others have their looks: a model keeps its colour, whatever of it is shown. */
export function colorsLike({ color, entry, legend }: Coloring, nodes: number, like: (node: number) => number): Coloring {
  const at = Int32Array.from({ length: nodes }, (_, node) => like(node));
  return { color: Uint8Array.from(at, (node) => color[node]!), entry: at.map((node) => entry[node]!), legend };
}

/** Colour by the price of a token, or, where no price is known, by the share of all tokens; in steps of equal ratio. */
function heat(tree: Tree): Coloring {
  const n = tree.block.nodes;
  const whole = n > 0 ? totalOf(tree, "tokens", 0) : 0;
  const priced = n > 0 && totalOf(tree, "cost", 0) > 0;
  const value = Float64Array.from({ length: n }, (_, node) => {
    const tokens = totalOf(tree, "tokens", node);
    return priced ? (1e6 * totalOf(tree, "cost", node)) / tokens : tokens / whole;
  });
  let [least, most] = [Infinity, 0];
  for (let node = 0; node < n; node++) {
    if (!tree.isCall[node] || !(value[node]! > 0)) continue;
    least = Math.min(least, value[node]!);
    most = Math.max(most, value[node]!);
  }
  const steps = most > least * 1.0001 ? HEATS.length : 1;
  const step = (v: number) => Math.max(0, Math.min(steps - 1, Math.floor((steps * Math.log(v / least)) / Math.log(most / least || 1))));
  const words = (v: number) => (priced ? dollars(v) : percent(v, 1));
  const counts = new Array<number>(steps).fill(0);
  const color = new Uint8Array(n);
  const entry = new Int32Array(n).fill(-1);
  for (let node = 0; node < n; node++) {
    color[node] = quietTone(kindOf(tree.block, node));
    if (!(value[node]! > 0) || !Number.isFinite(value[node]!)) continue;
    const at = steps === 1 ? 0 : step(value[node]!);
    entry[node] = at;
    color[node] = HEAT + at;
    counts[at]!++;
  }
  const edge = (at: number) => words(least * (most / least) ** (at / steps));
  const legend = counts.map((nodes, at) => {
    const label = `${edge(at)}${steps > 1 ? ` to ${edge(at + 1)}` : ""}${priced ? " / M tokens" : ""}`;
    return { key: String(at), label, color: HEAT + at, nodes };
  });
  return { color, entry, legend: most > 0 ? legend : [] };
}

function kindColor(kind: string): number {
  const color = KIND_COLORS[kind];
  if (color !== undefined) return color;
  return kind === "frame" || kind === "cell" || kind === "profile" || kind === PART ? quietTone(kind) : GREY;
}

function quietTone(kind: string): number {
  if (kind === "frame") return FRAME;
  return kind === "cell" || kind === "profile" ? ROOT : STEP;
}
