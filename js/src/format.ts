// Numbers and text as a reader sees them. English, without locale: the same profile looks the same everywhere.

export function integer(value: number): string {
  const digits = String(Math.round(Math.abs(value)));
  const grouped = digits.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  return value < 0 && grouped !== "0" ? `-${grouped}` : grouped;
}

/** 950, 1.2k, 12k, 3.4M: for axes and boxes. */
export function compact(value: number): string {
  const size = Math.abs(value);
  for (const [unit, letter] of [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const) {
    if (size >= unit * 0.9995) return trim((value / unit).toFixed(size / unit < 9.95 ? 1 : 0)) + letter;
  }
  return trim(value.toFixed(size < 9.95 && !Number.isInteger(value) ? 1 : 0));
}

function trim(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

export function seconds(value: number): string {
  if (!Number.isFinite(value)) return "unknown";
  const size = Math.abs(value);
  if (size === 0) return "0 s";
  if (size < 0.9995e-3) return `${trim((value * 1e6).toFixed(0))} µs`;
  if (size < 0.9995) return `${trim((value * 1e3).toFixed(size < 0.00995 ? 1 : 0))} ms`;
  if (size < 59.95) return `${trim(value.toFixed(size < 9.95 ? 2 : 1))} s`;
  const whole = Math.round(value);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export function dollars(value: number): string {
  if (!Number.isFinite(value)) return "price unknown";
  const size = Math.abs(value);
  if (size === 0) return "$0";
  if (value > 0 && size < 0.0000005) return "<$0.000001";
  if (size < 0.001) return `$${value.toFixed(6).replace(/0{1,2}$/, "")}`;
  return `$${size < 1 ? value.toFixed(4) : integer(Math.trunc(value)) + value.toFixed(2).slice(-3)}`;
}

export function percent(part: number, whole: number): string {
  if (!(whole > 0)) return "0%";
  const value = (100 * part) / whole;
  if (value > 0 && value < 0.1) return "<0.1%";
  return `${value < 9.95 ? trim(value.toFixed(1)) : value.toFixed(0)}%`;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${integer(count)} ${count === 1 ? one : many}`;
}

/** Label of an axis tick; the step says how many digits matter. */
export function tick(value: number, step: number, metric: string): string {
  if (metric === "time") {
    if (value === 0) return "0";
    const [unit, name] = step >= 0.5 ? [1, "s"] : step >= 0.5e-3 ? [1e-3, "ms"] : [1e-6, "µs"];
    return `${digits(value / unit, step / unit)} ${name}`;
  }
  if (metric === "cost") return value === 0 ? "$0" : `$${digits(value, step)}`;
  if (value === 0) return "0";
  for (const [unit, letter] of [
    [1e6, "M"],
    [1e3, "k"],
  ] as const) {
    if (step >= unit / 10 && value >= unit) return `${digits(value / unit, step / unit)}${letter}`;
  }
  return digits(value, step);
}

function digits(value: number, step: number): string {
  const places = Math.min(12, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  const [whole = "0", fraction] = value.toFixed(places).split(".");
  return integer(Number(whole)) + (fraction ? `.${fraction}` : "");
}

const LONGEST = 300;
// Control characters, zero-width and direction marks: they can forge or scramble a label on a canvas.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]+/g;

/** One line of harmless text; long input is cut before any work is done on it. */
export function plain(text: string, longest = LONGEST): string {
  const cut = text.length > longest ? `${text.slice(0, longest)}…` : text;
  return cut.replace(HIDDEN, " ").trim();
}

/** Longest beginning of a text that fits, with an ellipsis; `measure` is asked O(log n) times. */
export function fit(text: string, room: number, measure: (text: string) => number): string {
  if (room <= 0) return "";
  if (measure(text) <= room) return text;
  let lo = 0;
  let hi = text.length;
  while (lo < hi) {
    const mid = (lo + hi + 1) >> 1;
    if (measure(`${text.slice(0, mid)}…`) <= room) lo = mid;
    else hi = mid - 1;
  }
  // Half of a surrogate pair would be drawn as a box.
  if (lo > 0 && /[\ud800-\udbff]/.test(text[lo - 1]!)) lo--;
  return lo < 2 ? "" : `${text.slice(0, lo).trimEnd()}…`;
}
