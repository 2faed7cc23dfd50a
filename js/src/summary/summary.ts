// What the summary shows: the state that Python sends, checked, and its figures in words.
import { dollars, integer, percent, plain, seconds } from "../format.ts";

export interface Spender {
  readonly what: string;
  readonly name: string;
  readonly where: string;
  readonly tokens: number;
  readonly seconds: number;
  /** USD; null where it is not known. */
  readonly cost: number | null;
  readonly share: number;
  /** As in a selection; empty where it cannot be selected. */
  readonly rows: readonly number[];
}

export interface Budget {
  readonly what: string;
  readonly used: number;
  readonly limit: number;
  /** Of the budget, where it has one. */
  readonly name?: string;
}

/** Trait `_state` of `tokprof.views.summary.Summary`. */
export interface State {
  readonly phase: "live" | "ended";
  readonly title: string;
  readonly seconds: number;
  readonly flying: number;
  readonly tokens: number;
  readonly bound: string;
  readonly cost: number | null;
  readonly cost_bound: string;
  readonly calls: number;
  readonly errors: number;
  readonly retries: number;
  /** Tokens of each bucket of time so far. */
  readonly pulse: readonly number[];
  readonly budget: readonly Budget[];
  /** Where budgets were reached, a sentence each. */
  readonly stopped: readonly string[];
  readonly spenders: readonly Spender[];
  readonly notes: readonly string[];
}

const BOUNDS = ["≥", "~"];

/** A state from whoever sent it: what is no figure is 0, and what is too much is left out. */
export function asState(value: unknown): State {
  const from = object(value);
  return {
    phase: from["phase"] === "live" ? "live" : "ended",
    title: text(from["title"]),
    seconds: number(from["seconds"]),
    flying: number(from["flying"]),
    tokens: number(from["tokens"]),
    bound: BOUNDS.find((bound) => bound === from["bound"]) ?? "",
    cost: from["cost"] === null || from["cost"] === undefined ? null : number(from["cost"]),
    cost_bound: BOUNDS.find((bound) => bound === from["cost_bound"]) ?? "",
    calls: number(from["calls"]),
    errors: number(from["errors"]),
    retries: number(from["retries"]),
    pulse: list(from["pulse"], 200).map(number),
    budget: list(from["budget"], 4).map((each) => {
      const { what, used, limit, name } = object(each);
      return { what: text(what), used: number(used), limit: number(limit), name: text(name) };
    }),
    stopped: list(from["stopped"], 3).map(text),
    spenders: list(from["spenders"], 3).map((each) => {
      const spender = object(each);
      return {
        what: text(spender["what"]),
        name: text(spender["name"]),
        where: text(spender["where"]),
        tokens: number(spender["tokens"]),
        seconds: number(spender["seconds"]),
        cost: typeof spender["cost"] === "number" ? number(spender["cost"]) : null,
        share: Math.min(1, number(spender["share"])),
        rows: list(spender["rows"], Infinity).map(number),
      };
    }),
    notes: list(from["notes"], 4).map(text),
  };
}

const object = (value: unknown) => (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
const number = (value: unknown) => (typeof value === "number" && Number.isFinite(value) ? Math.max(0, value) : 0);
const text = (value: unknown) => (typeof value === "string" ? plain(value) : "");
const list = (value: unknown, most: number) => (Array.isArray(value) ? (value as unknown[]).slice(0, most) : []);

export interface Figure {
  readonly key: string;
  readonly value: string;
  readonly unit: string;
  readonly tone: "" | "bad" | "part";
}

/** The headline; a figure is always there, so that nothing moves when it changes. */
export function figures(state: State): Figure[] {
  const { bound, cost, cost_bound, calls, errors, retries } = state;
  const none = state.phase === "ended" && bound === "≥" && state.tokens === 0;
  const tokens = none ? "?" : bounded(bound, integer(state.tokens));
  const money = cost === null ? "?" : bounded(cost_bound, dollars(cost));
  return [
    { key: "tokens", value: tokens, unit: "tokens", tone: bound ? "part" : "" },
    { key: "cost", value: calls ? money : "$0", unit: "cost", tone: calls && (cost === null || cost_bound) ? "part" : "" },
    { key: "calls", value: integer(calls), unit: calls === 1 ? "call" : "calls", tone: "" },
    { key: "errors", value: integer(errors), unit: "failed", tone: errors ? "bad" : "" },
    { key: "retries", value: integer(retries), unit: retries === 1 ? "retry" : "retries", tone: retries ? "part" : "" },
    { key: "seconds", value: clock(state), unit: "time", tone: "" },
  ];
}

const bounded = (bound: string, figure: string) => (bound ? `${bound} ${figure}` : figure);

/** While it runs, whole seconds: tenths would flicker. */
function clock(state: State): string {
  return state.phase === "live" && state.seconds >= 1 ? seconds(Math.floor(state.seconds)) : seconds(state.seconds);
}

export function spent(spender: Spender): string {
  const share = percent(spender.share, 1);
  if (spender.tokens === 0) return `${seconds(spender.seconds)} · ${share}`;
  const cost = spender.cost === null ? "" : ` · ${dollars(spender.cost)}`;
  return `${integer(spender.tokens)}${cost} · ${share}`;
}

/** How much of a budget is used, in words and as a share; more than all of it is 1. */
export function used({ what, used, limit, name }: Budget): { words: string; share: number; over: boolean } {
  const say = what === "cost" ? dollars : what === "seconds" ? seconds : integer;
  const unit = what === "cost" || what === "seconds" ? "" : ` ${what.replace("_", " ")}`;
  const whose = name ? `${name}: ` : "";
  const share = limit > 0 ? used / limit : 1;
  const words = `${whose}${say(used)} of ${say(limit)}${unit} (${percent(share, 1)})`;
  return { words, share: Math.min(1, share), over: used > limit };
}

/** The summary as one sentence: what a screen reader is told when it has ended. */
export function sentence(state: State): string {
  const parts = figures(state).filter(({ key, value }) => value !== "0" || key === "calls");
  return [`${state.title}: ${parts.map(({ value, unit }) => `${value} ${unit}`).join(", ")}`, ...state.stopped].join("; ");
}

/** Path of bars, one a bucket, over a box of `width` times `height`; the tallest fills it. */
export function sparkline(pulse: readonly number[], width: number, height: number): string {
  const most = Math.max(...pulse, 0);
  if (pulse.length === 0 || most === 0) return "";
  const step = width / Math.max(pulse.length, 12);
  const bar = Math.max(1, step - 1);
  return pulse
    .map((count, i) => {
      const tall = count === 0 ? 0 : Math.max(1, (count / most) * height);
      return tall === 0 ? "" : `M${round(i * step)} ${height}v${round(-tall)}h${round(bar)}v${round(tall)}z`;
    })
    .join("");
}

const round = (value: number) => Math.round(value * 100) / 100;
