// One selection for all views of a profile on a page, also of different bundles and without a kernel.

/** Rows of the span table as begin, end, begin, end, ... (each end one past the last), and what they are. */
export interface Selection {
  readonly rows: readonly number[];
  readonly label: string;
}

export const NOTHING: Selection = { rows: [], label: "" };

type Heard = (selection: Selection) => void;

/** Bundles of the views do not share modules, but the page they are in. */
const KEY = Symbol.for("tokprof.selection");

interface Channel {
  now: Selection;
  readonly listeners: Set<Heard>;
}

function channelOf(profile: string): Channel {
  const page = globalThis as unknown as Record<symbol, Map<string, Channel> | undefined>;
  const channels = (page[KEY] ??= new Map());
  let channel = channels.get(profile);
  if (!channel) channels.set(profile, (channel = { now: NOTHING, listeners: new Set() }));
  return channel;
}

export interface Member {
  /** What is selected now. */
  readonly now: () => Selection;
  /** Tells the other views. */
  readonly tell: (selection: Selection) => void;
}

/** Joins the views of a profile; `heard` is called for selections made in another one. */
export function join(profile: string, heard: Heard, signal: AbortSignal): Member {
  const channel = channelOf(profile);
  channel.listeners.add(heard);
  signal.addEventListener("abort", () => channel.listeners.delete(heard));
  return {
    now: () => channel.now,
    tell(selection) {
      if (sameSelection(selection, channel.now) && selection.label === channel.now.label) return;
      channel.now = selection;
      for (const listener of [...channel.listeners]) if (listener !== heard) listener(selection);
    },
  };
}

export function sameSelection(a: Selection, b: Selection): boolean {
  return a.rows.length === b.rows.length && a.rows.every((edge, i) => edge === b.rows[i]);
}

/** Rows in ascending order as a selection. */
export function selectionOf(rows: readonly number[], label: string): Selection {
  const edges: number[] = [];
  for (const row of rows) {
    if (edges.length > 0 && edges[edges.length - 1] === row) edges[edges.length - 1] = row + 1;
    else edges.push(row, row + 1);
  }
  return { rows: edges, label };
}

/** Whether a row is selected; binary search over the edges. */
export function includes(selection: Selection, row: number): boolean {
  const { rows } = selection;
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle]! <= row) low = middle + 1;
    else high = middle;
  }
  return low % 2 === 1;
}

/** What a model or a message says is selected; nothing, where it says nonsense. */
export function asSelection(value: unknown): Selection {
  const { rows, label } = (value ?? {}) as { rows?: unknown; label?: unknown };
  if (!Array.isArray(rows) || rows.length % 2 !== 0 || !rows.every((edge) => Number.isInteger(edge))) return NOTHING;
  return { rows: rows as number[], label: typeof label === "string" ? label : "" };
}
