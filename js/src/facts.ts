// What is known of a node, in words: for the tooltip, the details line, the title and screen readers.
import { FIGURES, NO_SOURCE } from "./border.ts";
import { compact, dollars, integer, percent, plain, plural, seconds } from "./format.ts";
import { isUnknown } from "./layout.ts";
import { isOfLanguage, isPart, kindOf, nameOf, runsOf, selfOf, stringOf, totalOf, unknownOf, type Metric, type Tree } from "./tree.ts";

export interface Fact {
  readonly label: string;
  readonly value: string;
  readonly tone?: "bad" | "part";
}

const PROVENANCE: Readonly<Record<string, string>> = {
  cached: "answered from a cache: nothing was spent",
  reported: "reported by the provider",
  derived: "derived from what the provider reported",
  estimated: "estimated by a tokenizer",
  partial: "lower bound: cut short, or part of it (hidden reasoning, pictures) cannot be counted",
  missing: "unknown: the provider reported no usage",
};

export const METRIC_LABELS: Readonly<Record<Metric, string>> = {
  time: "Time",
  tokens: "Tokens",
  input: "Input",
  output: "Output",
  cached: "Cached",
  reasoning: "Reasoning",
  cost: "Cost",
};

const NOUNS: Readonly<Record<Metric, string>> = {
  time: "time",
  tokens: "tokens",
  input: "input",
  output: "output",
  cached: "cached tokens",
  reasoning: "reasoning tokens",
  cost: "cost",
};

/** "≥" where something is missing, "~" where something is estimated. */
export function bound(tree: Tree, metric: Metric, node: number): string {
  const { totals, block } = tree;
  if (metric === "time") return "";
  if (unknownOf(tree, metric, node) > 0 || (metric === "cost" && totals.unpriced[node]! > 0)) return "≥ ";
  const source = isOfLanguage(metric) ? totals.languageSource : totals.source;
  return block.sources[source[node]!] === "estimated" || (isPart(tree, node) && totals.input[node]! > 0) ? "~ " : "";
}

export function amount(tree: Tree, metric: Metric, node: number): string {
  const { totals } = tree;
  const value = totalOf(tree, metric, node);
  if (metric === "time") return seconds(value);
  if (metric === "cost") {
    if (value === 0 && totals.unpriced[node]! > 0) return "price unknown";
    return bound(tree, metric, node) + dollars(value);
  }
  if (value === 0 && unknownOf(tree, metric, node) > 0) return "unknown";
  return bound(tree, metric, node) + integer(value);
}

/** The amount as it fits into a box. */
export function shortAmount(tree: Tree, metric: Metric, node: number): string {
  const value = totalOf(tree, metric, node);
  if (metric === "time") return seconds(value);
  if (isUnknown(tree, metric, node) && value === 0) return "?";
  const text = metric === "cost" ? dollars(value) : compact(value);
  return bound(tree, metric, node).trim() + text;
}

/** Marks in front of a label, so that no state is told by colour alone. */
export function glyphs(tree: Tree, metric: Metric, node: number): string {
  const { block, totals } = tree;
  let text = "";
  const status = block.statuses[block.status[node]!];
  const calls = tree.isCall[node] && runsOf(tree, node) > 1;
  if (calls && totals.errors[node]! > 0) text += `✕${totals.errors[node]} `;
  else if (status === "error") text += "✕ ";
  if (calls && totals.retries[node]! > 0) text += `↻${totals.retries[node]} `;
  else if (block.attempt[node]! > 1) text += `↻${block.attempt[node]! - 1} `;
  if (tree.made?.folded?.[node]) text += `⊞${tree.made.folded[node]! + 1} `;
  if (isUnknown(tree, metric === "time" ? "tokens" : metric, node)) text += "? ";
  return text;
}

export function label(tree: Tree, node: number): string {
  const runs = tree.made?.up?.[node] ? 1 : runsOf(tree, node);
  return plain(nameOf(tree.block, node), 200) + (runs > 1 ? ` ×${integer(runs)}` : "");
}

export function title(tree: Tree): { name: string; parts: string[] } {
  const { block, totals } = tree;
  const parts: string[] = (block.meta.summary ?? []).map((part) => plain(String(part), 60));
  if (block.nodes > 0 && parts.length === 0) {
    parts.push(tokensInWords(tree), amount(tree, "cost", 0));
    parts.push(plural(totals.calls[0]!, "call"));
    if (totals.errors[0]! > 0) parts.push(`${integer(totals.errors[0]!)} failed`);
    parts.push(seconds(block.meta.duration_s ?? totalOf(tree, "time", 0)));
  }
  return { name: plain(block.meta.title || "Profile", 120), parts };
}

function tokensInWords(tree: Tree): string {
  const text = amount(tree, "tokens", 0);
  const embedding = tree.totals.embedding[0]!;
  if (text === "unknown") return "tokens unknown";
  if (embedding === 0) return `${text} tokens`;
  return embedsOnly(tree, 0) ? `${text} embedding tokens` : `${text} tokens (${integer(embedding)} embedding)`;
}

/** Whether all tokens at or below a node are those of embedding models and rerankers. */
function embedsOnly({ totals, isEmbedding }: Tree, node: number): boolean {
  const language = totals.input[node]! + totals.output[node]!;
  return language === 0 && (totals.embedding[node]! > 0 || isEmbedding[node] === 1);
}

export function facts(tree: Tree, metric: Metric, node: number): Fact[] {
  const { block, totals, isCall } = tree;
  const list: Fact[] = [];
  const add = (label: string, value: string, tone?: Fact["tone"]) => {
    if (value) list.push(tone ? { label, value, tone } : { label, value });
  };
  const calls = totals.calls[node]!;
  const part = isPart(tree, node);
  const inside = part || (isCall[node] && calls === 1) ? "" : plural(calls, "call");
  const whole = part ? `part of the ${totals.input[node]! > 0 ? "prompt" : "answer"}` : kindOf(block, node);
  add("Kind", [whole, block.stream[node] ? "streamed" : "", inside].filter(Boolean).join(", "));
  add("Model", plain(stringOf(block, block.model[node])));
  add("Where", plain(stringOf(block, block.where[node])));
  const status = block.statuses[block.status[node]!] ?? "ok";
  const http = block.http_status[node]!;
  if (status !== "ok") {
    const detail = [http ? `HTTP ${http}` : "", plain(stringOf(block, block.error[node]), 160)].filter(Boolean);
    add("Status", [status, ...detail].join(" · "), status === "open" ? "part" : "bad");
  }
  const attempt = block.attempt[node]!;
  if (attempt > 1) add("Retry", `attempt ${attempt} of the same request`, "part");
  if (totals.errors[node]! > 0 && (!isCall[node] || calls > 1)) add("Failed", plural(totals.errors[node]!, "call"), "bad");
  const folded = tree.made?.folded?.[node];
  if (folded) add("Folded", `${integer(folded + 1)} functions that each call nothing but the next; unfold with e`);
  if (calls > 0) addTokens(tree, metric, node, add);
  else if (part) addPart(tree, metric, node, add);
  if (!part) add("Duration", duration(tree, node));
  return list;
}

function duration(tree: Tree, node: number): string {
  const { block } = tree;
  if (tree.made?.merged) {
    const runs = runsOf(tree, node);
    return seconds(block.duration[node]!) + (runs > 1 ? `, ${plural(runs, "run")} and parallel calls summed` : "");
  }
  const own = tree.firstChild[node]! >= 0 && !isPart(tree, tree.firstChild[node]!) ? ` (${seconds(selfOf(tree, "time", node))} self)` : "";
  const parts = [seconds(block.duration[node]!) + own];
  if (Number.isFinite(block.ttft[node])) parts.push(`first token after ${seconds(block.ttft[node]!)}`);
  return parts.join(", ");
}

/** Where the numbers of a node come from; of several calls, the weakest source is told. */
function provenance({ block, totals }: Tree, node: number): string {
  const source = block.sources[totals.source[node]!] ?? "";
  const words = PROVENANCE[source] ?? "";
  const calls = totals.calls[node]!;
  const unknown = totals.unknown[node]!;
  if (calls <= 1 || source === "reported" || source === "cached") return words;
  if (unknown === calls) return "unknown: no call has full usage";
  if (unknown > 0) return `lower bound: ${integer(unknown)} of ${integer(calls)} calls without full usage`;
  return `partly ${words}`;
}

export function addTokens(
  tree: Tree,
  metric: Metric,
  node: number,
  add: Add,
): void {
  const { totals } = tree;
  const total = totalOf(tree, "tokens", node);
  const unknown = totals.unknown[node]!;
  const part = (n: number, word: string) => (n > 0 ? `${integer(n)} ${word}` : "");
  const of = (value: number, parts: string[]) => {
    const known = parts.filter(Boolean);
    return integer(value) + (known.length ? ` (${known.join(", ")})` : "");
  };
  const self = selfOf(tree, "tokens", node);
  const own = self !== total && !isPart(tree, tree.firstChild[node]!) ? ` (${integer(self)} self)` : "";
  const only = embedsOnly(tree, node);
  add(only ? "Embedding tokens" : "Tokens", amount(tree, "tokens", node) + (total > 0 ? own : ""), unknown ? "part" : undefined);
  const embedding = totals.embedding[node]!;
  if (total > embedding) {
    const cached = [part(totals.cache_read[node]!, "from cache"), part(totals.cache_write[node]!, "to cache")];
    add("Input", of(totals.input[node]!, cached));
    addReplayed(tree, node, add);
    add("Output", of(totals.output[node]!, [part(totals.reasoning[node]!, "reasoning")]));
  }
  if (embedding > 0 && !only) add("Embedding", integer(embedding));
  const cost = amount(tree, "cost", node);
  const unpriced = totals.unpriced[node]!;
  const gap = unpriced > 0 && cost !== "price unknown" ? ` (${plural(unpriced, "call")} without price)` : "";
  add("Cost", cost + gap, unpriced ? "part" : undefined);
  add("Saved", saved(tree, node));
  addShare(tree, metric, node, add);
  const source = totals.source[node]!;
  if (source !== NO_SOURCE) {
    add("Counted", provenance(tree, node), unknown ? "part" : undefined);
  }
}

/** What a cache saved by this call. */
function saved({ block, isCall, made }: Tree, node: number): string {
  if (made || !isCall[node] || block.pricings[block.priced[node]!] !== "cached") return "";
  const [tokens, cost] = [block.saved[node]!, block.saved_cost[node]!];
  return [tokens > 0 ? `${integer(tokens)} tokens` : "", cost > 0 ? dollars(cost) : ""].filter(Boolean).join(", ");
}

type Add = (label: string, value: string, tone?: Fact["tone"]) => void;

function addShare(tree: Tree, metric: Metric, node: number, add: Add): void {
  const whole = totalOf(tree, metric, 0);
  if (node <= 0 || !(whole > 0)) return;
  const all = tree.made?.up ? `the ${NOUNS[metric]} of ${label(tree, 0)}` : `all ${NOUNS[metric]}`;
  add("Share", `${percent(totalOf(tree, metric, node), whole)} of ${all}`);
}

function addReplayed({ totals }: Tree, node: number, add: Add): void {
  const { input, replayed } = totals;
  if (replayed[node]! > 0) add("Sent before", `${integer(replayed[node]!)} (${percent(replayed[node]!, input[node]!)})`);
}

/** Of a part of a prompt or an answer. */
function addPart(tree: Tree, metric: Metric, node: number, add: Add): void {
  const { totals, block } = tree;
  add("Tokens", amount(tree, "tokens", node));
  addReplayed(tree, node, add);
  add("From cache", totals.cache_read[node]! > 0 ? integer(totals.cache_read[node]!) : "");
  const call = block.parent[node]!;
  add("Cost", totals.cost[node]! > 0 || (call >= 0 && totals.unpriced[call] === 0) ? amount(tree, "cost", node) : "price unknown");
  addShare(tree, metric, node, add);
  if (totals.input[node]! > 0) add("Counted", "its share of the input, by a tokenizer");
}

/** Why a metric has nothing to draw. */
export function whyEmpty(tree: Tree, metric: Metric): string {
  const { totals, block } = tree;
  if (block.nodes === 0 || (totals.calls[0] === 0 && metric !== "time")) return "No model calls were recorded.";
  if (metric === "cost" && totals.unpriced[0]! > 0) {
    return "No price is known for these calls, so there is no cost to show. tokprof.prices.add(...) sets one.";
  }
  if (metric === "time") return "These calls took no time.";
  const bit = 1 << FIGURES.indexOf(metric === "cached" ? "cache_read" : metric);
  const [told, untold] = [block.told, block.untold].map((column) => column.some((bits) => bits & bit));
  const none = `No ${NOUNS[metric]}`;
  if (told) return untold ? `${none} in the calls that reported theirs.` : `${none}.`;
  if (untold && anyTold(tree)) return `The providers did not tell the ${NOUNS[metric]} of these calls.`;
  if (untold || unknownOf(tree, metric, 0) > 0) return "The providers did not report tokens for these calls.";
  return `${none}.`;
}

/** Whether any call told its tokens, be it without this or that part of them. */
function anyTold({ block }: Tree): boolean {
  const bit = 1 << FIGURES.indexOf("tokens");
  return block.told.some((bits) => bits & bit);
}

/** One sentence for a screen reader. */
export function sentence(tree: Tree, metric: Metric, node: number): string {
  const rest = facts(tree, metric, node).map(({ label: name, value }) => `${name} ${value}`);
  return [label(tree, node), ...rest].join("; ");
}
