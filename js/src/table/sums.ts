// What some calls come to, and how well that is known: the same rules as Python's `by`.
import { FIGURES, type Figure } from "../border.ts";
import type { Ledger } from "./ledger.ts";

export const COST_PARTS = ["cost_input", "cost_output", "cost_cache_read", "cost_cache_write"] as const;
const TOKENS = ["input", "output", "embedding", "cache_read", "cache_write", "reasoning"] as const;

export interface Sums {
  readonly ledger: Ledger;
  readonly entries: readonly number[];
  calls: number;
  tokens: number;
  input: number;
  output: number;
  embedding: number;
  cache_read: number;
  cache_write: number;
  reasoning: number;
  /** Of the calls with a known price, USD. */
  cost: number;
  cost_input: number;
  cost_output: number;
  cost_cache_read: number;
  cost_cache_write: number;
  /** Seconds, also of calls that ran side by side. */
  time: number;
  errors: number;
  retries: number;
  /** Calls that a cache answered, and what it saved, as far as known: tokens, USD. */
  hits: number;
  saved: number;
  saved_cost: number;
  /** Hits of which that is not known. */
  unsaved: number;
  uncosted: number;
  /** Bits of figures: told by any call; not, or not all, by any; told by an estimate. */
  told: number;
  untold: number;
  estimated: number;
  /** Calls by provenance, as in `block.sources`. */
  readonly sources: number[];
  /** Calls that were refused, and so neither told nor lack anything. */
  refused: number;
  /** Whether any of it is what a bounded block has summed up: its errors and times are not known. */
  rest: boolean;
}

const BIT = Object.fromEntries(FIGURES.map((figure, at) => [figure, 1 << at])) as Record<Figure, number>;

export function sumUp(ledger: Ledger, entries: readonly number[]): Sums {
  const { block } = ledger.tree;
  const sums: Sums = {
    ledger, entries, calls: 0, tokens: 0, input: 0, output: 0, embedding: 0, cache_read: 0, cache_write: 0, reasoning: 0,
    cost: 0, cost_input: 0, cost_output: 0, cost_cache_read: 0, cost_cache_write: 0, time: 0, errors: 0, retries: 0,
    hits: 0, saved: 0, saved_cost: 0, unsaved: 0, uncosted: 0,
    told: 0, untold: 0, estimated: 0, sources: block.sources.map(() => 0), refused: 0, rest: false,
  };
  const estimated = block.sources.indexOf("estimated");
  const cached = block.pricings.indexOf("cached");
  const failed = block.statuses.map((status) => status === "error" || status === "cancelled");
  for (const entry of entries) {
    const node = ledger.node[entry]!;
    const calls = ledger.calls[entry]!;
    sums.calls += calls;
    for (const name of TOKENS) sums[name] += block[name][node]!;
    sums.cost += block.cost[node] || 0;
    for (const name of COST_PARTS) sums[name] += block[name][node]!;
    sums.told |= block.told[node]!;
    sums.untold |= block.untold[node]!;
    if (ledger.rest[entry]) {
      sums.rest = true;
      continue;
    }
    if (!calls) continue;
    sums.time += block.duration[node] || 0;
    if (failed[block.status[node]!]) sums.errors += calls;
    if (block.attempt[node]! > 1) sums.retries += calls;
    if (block.priced[node] === cached) {
      sums.hits += calls;
      sums.saved += block.saved[node] || 0;
      sums.saved_cost += block.saved_cost[node] || 0;
      if (Number.isNaN(block.saved[node])) sums.unsaved += calls;
      if (Number.isNaN(block.saved_cost[node])) sums.uncosted += calls;
    }
    const source = block.source[node]!;
    if (source < sums.sources.length) sums.sources[source]! += calls;
    else sums.refused += calls;
    if (source === estimated) sums.estimated |= block.told[node]!;
  }
  sums.tokens = sums.input + sums.output + sums.embedding;
  return sums;
}

/** `?`: nothing of it is known; `≥`: some calls did not tell; `~`: estimated; `–`: there was nothing to tell. */
export type Mark = "" | "?" | "≥" | "~" | "–";

export function markOf({ told, untold, estimated }: Sums, figure: Figure): Mark {
  const bit = BIT[figure];
  if (untold & bit) return told & bit ? "≥" : "?";
  if (!(told & bit)) return "–";
  return estimated & bit ? "~" : "";
}

/** The sum of a figure; NaN where nothing of it is known. */
export function figureOf(sums: Sums, figure: Figure): number {
  const mark = markOf(sums, figure);
  return mark === "?" || mark === "–" ? NaN : sums[figure];
}

/** Part of the input that came from a cache; NaN where that is not known. */
export function hitRate(sums: Sums): number {
  return figureOf(sums, "cache_read") / (figureOf(sums, "input") || NaN);
}

/** USD that no part of the cost accounts for: the provider told the whole alone. */
export function unsplit(sums: Sums): number {
  const known = figureOf(sums, "cost");
  const rest = known - COST_PARTS.reduce((sum, name) => sum + sums[name], 0);
  return Math.abs(rest) < 1e-9 + 1e-6 * known ? 0 : rest;
}

const sorted = new WeakMap<Sums, { duration?: Float64Array; ttft?: Float64Array }>();

/** Seconds that a share `q` of the calls did not exceed, by linear interpolation; NaN where none is known. */
export function quantile(sums: Sums, of: "duration" | "ttft", q: number): number {
  let known = sorted.get(sums);
  if (!known) sorted.set(sums, (known = {}));
  const values = (known[of] ??= timesOf(sums, of));
  if (values.length === 0) return NaN;
  const at = q * (values.length - 1);
  const low = Math.floor(at);
  const from = values[low]!;
  return from + (values[Math.min(low + 1, values.length - 1)]! - from) * (at - low);
}

/** A row that stands for many calls has no time of one. */
function timesOf({ ledger, entries }: Sums, of: "duration" | "ttft"): Float64Array {
  const column = ledger.tree.block[of];
  const times: number[] = [];
  for (const entry of entries) {
    const seconds = column[ledger.node[entry]!]!;
    if (ledger.calls[entry] === 1 && !ledger.rest[entry] && Number.isFinite(seconds)) times.push(seconds);
  }
  return Float64Array.from(times).sort();
}
