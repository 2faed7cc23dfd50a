// The columns of the cost table: what each says of some calls, and which of them find room.
import { compact, integer, percent, seconds } from "../format.ts";
import { COST_PARTS, figureOf, hitRate, markOf, quantile, unsplit, type Mark, type Sums } from "./sums.ts";
import type { Figure } from "../border.ts";

export interface Column {
  readonly id: string;
  readonly title: string;
  /** Under which the chooser lists it. */
  readonly group: string;
  readonly hint: string;
  readonly width: number;
  /** Small numbers find room first. */
  readonly rank: number;
  /** What it is sorted by; NaN where it is not known. */
  readonly value: (sums: Sums) => number;
  readonly text: (sums: Sums, scale: Scale) => string;
  /** Drawn as a bar, from 0 to 1. */
  readonly bar?: true;
  /** It says words, and is sorted by what they stand for. */
  readonly words?: true;
  readonly tone?: "bad";
  /** Whether there is anything to tell of it in all the calls. */
  readonly tells: (all: Sums) => boolean;
}

/** What all cells of a table have in common. */
export interface Scale {
  readonly all: Sums;
  /** Decimals of USD. */
  readonly places: number;
}

const NOTHING = "–";

function marked(mark: Mark, text: string): string {
  if (mark === "?" || mark === "–") return mark;
  return mark ? `${mark} ${text}` : text;
}

/** All cells of a column have the same decimals, so that they line up; less than the last one is told as such. */
export function usd(value: number, places: number): string {
  if (!Number.isFinite(value)) return "?";
  if (value === 0) return "$0";
  const size = Math.abs(value);
  const least = 10 ** -places;
  if (size > 0 && size < least / 2) return `<$${least.toFixed(places)}`;
  const [whole = "0", fraction] = size.toFixed(places).split(".");
  return `${value < 0 ? "-" : ""}$${integer(Number(whole))}${fraction ? `.${fraction}` : ""}`;
}

/** Decimals with which the smallest of some amounts still says something. */
export function placesFor(amounts: readonly number[]): number {
  const least = Math.min(...amounts.filter((amount) => amount > 0));
  if (!Number.isFinite(least)) return 4;
  return Math.min(6, Math.max(2, Math.ceil(-Math.log10(least)) + 1));
}

function tokens(figure: Figure, title: string, hint: string, width: number, rank: number): Column {
  return {
    id: figure, title, hint, width, rank, group: "Tokens",
    value: (sums) => figureOf(sums, figure),
    text: (sums) => marked(markOf(sums, figure), integer(sums[figure])),
    tells: (all) => markOf(all, figure) !== "–" && (all[figure] > 0 || figure === "tokens"),
  };
}

function share(id: string, figure: "tokens" | "cost", title: string, rank: number): Column {
  return {
    id, title, width: 108, rank, group: figure === "cost" ? "Cost" : "Tokens", bar: true,
    hint: `Share of all ${figure === "cost" ? "known cost" : "known tokens"}`,
    value: (sums) => figureOf(sums, figure),
    text: (sums, { all }) => (Number.isNaN(figureOf(sums, figure)) || !(all[figure] > 0) ? "" : percent(sums[figure], all[figure])),
    tells: (all) => all[figure] > 0,
  };
}

function part(id: (typeof COST_PARTS)[number], title: string, hint: string, rank: number): Column {
  const known = (sums: Sums) => !Number.isNaN(figureOf(sums, "cost")) && !(sums[id] === 0 && unsplit(sums) > 0);
  return {
    id, title, hint, rank, width: 86, group: "Cost",
    value: (sums) => (known(sums) ? sums[id] : NaN),
    text: (sums, { places }) => {
      const mark = markOf(sums, "cost");
      if (mark === "–") return NOTHING;
      if (!known(sums)) return "?";
      return marked(unsplit(sums) > 0 ? "≥" : mark, usd(sums[id], places));
    },
    tells: (all) => all[id] > 0,
  };
}

function time(id: string, title: string, of: "duration" | "ttft", q: number, hint: string, rank: number): Column {
  const single = (sums: Sums) => sums.entries.length === 1 && sums.calls === 1;
  return {
    id, title, hint, rank, width: 68, group: "Time",
    value: (sums) => quantile(sums, of, q),
    text: (sums) => {
      if (q > 0.5 && single(sums)) return ""; // of one call, the first of them says it
      const value = quantile(sums, of, q);
      return Number.isNaN(value) ? NOTHING : seconds(value);
    },
    tells: (all) => !Number.isNaN(quantile(all, of, q)),
  };
}

function count(id: "errors" | "retries", title: string, glyph: string, hint: string, rank: number): Column {
  return {
    id, title, hint, rank, width: 70, group: "Calls",
    value: (sums) => (sums.rest && sums.entries.length === 1 ? NaN : sums[id]),
    text: (sums) => (sums[id] > 0 ? `${glyph} ${integer(sums[id])}` : sums.rest ? "?" : "0"),
    tells: (all) => all[id] > 0,
    ...(id === "errors" ? { tone: "bad" as const } : {}),
  };
}

function saved(id: "saved" | "saved_cost", lacks: "unsaved" | "uncosted", title: string, group: string, hint: string, rank: number): Column {
  const known = (sums: Sums) => sums.hits > sums[lacks];
  return {
    id, title, hint, rank, group, width: 84,
    value: (sums) => (known(sums) ? sums[id] : NaN),
    text: (sums, { places }) => {
      if (!known(sums)) return sums.hits > 0 || sums.rest ? "?" : NOTHING;
      return marked(sums[lacks] > 0 || sums.rest ? "≥" : "", id === "saved" ? integer(sums.saved) : usd(sums.saved_cost, places));
    },
    tells: (all) => all[id] > 0,
  };
}

const SOURCE_WORDS: Readonly<Record<string, string>> = {
  cached: "from a cache", reported: "reported", derived: "derived", estimated: "estimated", partial: "lower bound", missing: "unknown",
};

/** Where the tokens of some calls come from: `reported`, `12 reported, 3 estimated`. */
export function provenance({ sources, refused, rest, ledger }: Sums): string {
  if (rest) return "summed up";
  const parts = sources.flatMap((calls, at) => (calls > 0 ? [[calls, SOURCE_WORDS[ledger.tree.block.sources[at]!] ?? ""] as const] : []));
  if (refused > 0) parts.push([refused, "refused"]);
  if (parts.length === 1) return parts[0]![1];
  return parts.map(([calls, word]) => `${compact(calls)} ${word}`).join(", ");
}

export const COLUMNS: readonly Column[] = [
  {
    id: "calls", title: "Calls", group: "Calls", hint: "Model calls, retries and failures included", width: 64, rank: 3,
    value: (sums) => sums.calls,
    text: (sums) => integer(sums.calls),
    tells: () => true,
  },
  tokens("tokens", "Tokens", "Input, output and embedding together", 96, 1),
  share("tokens_share", "tokens", "% tokens", 5),
  tokens("input", "Input", "All that went in, cache reads and writes included", 90, 6),
  tokens("output", "Output", "All that came out, reasoning included", 84, 7),
  tokens("cache_read", "Cached", "Part of the input that was read from a cache", 84, 10),
  {
    id: "hit_rate", title: "Hit rate", group: "Tokens", hint: "Part of the input that came from a cache", width: 70, rank: 11,
    value: hitRate,
    text: (sums) => {
      const [cached, input] = [markOf(sums, "cache_read"), markOf(sums, "input")];
      if (cached === "–" || input === "–") return NOTHING;
      const rate = hitRate(sums);
      if (Number.isNaN(rate)) return sums.input === 0 && cached !== "?" && input === "" ? NOTHING : "?";
      return marked(input === "≥" || cached === "~" ? "~" : cached, percent(rate, 1));
    },
    tells: (all) => all.cache_read > 0,
  },
  tokens("cache_write", "Cache write", "Part of the input that was written to a cache", 84, 14),
  tokens("reasoning", "Reasoning", "Part of the output that was thought, not said", 84, 13),
  tokens("embedding", "Embedding", "Of embedding models and rerankers", 90, 12),
  {
    id: "cost", title: "Cost", group: "Cost", hint: "USD, of the calls with a known price", width: 96, rank: 2,
    value: (sums) => figureOf(sums, "cost"),
    text: (sums, { places }) => marked(markOf(sums, "cost"), usd(sums.cost, places)),
    tells: () => true,
  },
  share("cost_share", "cost", "% cost", 4),
  part("cost_input", "$ input", "USD for fresh input, and fees by the request", 15),
  part("cost_output", "$ output", "USD for output", 16),
  part("cost_cache_read", "$ cached", "USD for what was read from a cache", 17),
  part("cost_cache_write", "$ cache write", "USD for what was written to a cache", 18),
  {
    id: "cost_unsplit", title: "$ not split", group: "Cost", hint: "USD that the provider told as a whole", width: 86, rank: 22,
    value: (sums) => unsplit(sums),
    text: (sums, { places }) => (Number.isNaN(unsplit(sums)) || unsplit(sums) === 0 ? NOTHING : usd(unsplit(sums), places)),
    tells: (all) => unsplit(all) !== 0 && !Number.isNaN(unsplit(all)),
  },
  time("p50", "p50", "duration", 0.5, "Half of the calls took no longer", 8),
  time("p95", "p95", "duration", 0.95, "95% of the calls took no longer", 9),
  time("p99", "p99", "duration", 0.99, "99% of the calls took no longer", 19),
  time("ttft", "TTFT p50", "ttft", 0.5, "Time to the first token: half of the streams took no longer", 20),
  {
    id: "time", title: "Time", group: "Time", hint: "Sum over the calls, also of those that ran side by side", width: 76, rank: 21,
    value: (sums) => (sums.rest && sums.entries.length === 1 ? NaN : sums.time),
    text: (sums) => (sums.rest ? "?" : seconds(sums.time)),
    tells: () => true,
  },
  saved("saved", "unsaved", "Saved", "Tokens", "Tokens that a cache saved by its answers", 3.7),
  saved("saved_cost", "uncosted", "$ saved", "Cost", "USD that a cache saved by its answers", 3.8),
  count("errors", "Errors", "✕", "Calls that failed or were cancelled", 3.5),
  count("retries", "Retries", "↻", "Calls that were a second or later attempt", 3.6),
  {
    id: "source", title: "Counted", group: "Calls", hint: "Where the tokens come from", width: 150, rank: 23, words: true,
    value: ({ sources }) => sources.reduce((worst, calls, at) => (calls > 0 ? at : worst), -1),
    text: provenance,
    tells: (all) => all.sources.some((calls, at) => calls > 0 && all.ledger.tree.block.sources[at] !== "reported") || all.refused > 0,
  },
];

const FIRST = 190;
const NARROW_FIRST = 132;

/** Width of the first column where all others are there. */
export function firstWidth(room: number, others: readonly Column[]): number {
  const least = room < 560 ? NARROW_FIRST : FIRST;
  return Math.max(least, room - others.reduce((sum, column) => sum + column.width, 0));
}

/** A column as wide as its total needs. */
export function widened(column: Column, scale: Scale): Column {
  if (column.bar || column.words) return column;
  const width = Math.max(column.width, Math.ceil(column.text(scale.all, scale).length * 7.7) + 20);
  return width === column.width ? column : { ...column, width };
}

/** How many columns have something to say and are not among those shown. */
export function unshown(columns: readonly Column[], all: Sums, shown: readonly Column[]): number {
  const ids = new Set(shown.map((column) => column.id));
  return columns.filter((column) => column.tells(all) && !ids.has(column.id)).length;
}

/** The columns that find room and have something to say, in their order. */
export function fitting(columns: readonly Column[], all: Sums, room: number): Column[] {
  let left = room - (room < 560 ? NARROW_FIRST : FIRST);
  const chosen = new Set<Column>();
  for (const column of [...columns].sort((a, b) => a.rank - b.rank)) {
    if (!column.tells(all)) continue;
    left -= column.width;
    if (left < 0) break;
    chosen.add(column);
  }
  return columns.filter((column) => chosen.has(column));
}
