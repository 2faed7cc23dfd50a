// Which part of the x axis is seen. Pure: a view is two numbers.

export interface View {
  readonly x0: number;
  readonly x1: number;
}

/** Doubles keep about 2^52 steps, so deeper than this boxes would jitter. */
const DEEPEST = 2 ** 36;

export function clampView(view: View, from: number, to: number): View {
  const whole = to - from;
  if (!(whole > 0)) return { x0: from, x1: from + 1 };
  const span = Math.min(whole, Math.max(view.x1 - view.x0, whole / DEEPEST));
  const x0 = Math.min(Math.max(view.x0, from), to - span);
  return { x0, x1: x0 + span };
}

/** Zooms by `factor` (> 1 is closer) and keeps the point at `fraction` of the width in its place. */
export function zoomAt(view: View, factor: number, fraction: number, from: number, to: number): View {
  const span = (view.x1 - view.x0) / factor;
  const at = view.x0 + (view.x1 - view.x0) * fraction;
  return clampView({ x0: at - span * fraction, x1: at + span * (1 - fraction) }, from, to);
}

export function pan(view: View, by: number, from: number, to: number): View {
  return clampView({ x0: view.x0 + by, x1: view.x1 + by }, from, to);
}

/** View between two others, at t in 0..1; the span runs in log space so that the speed of zooming looks even. */
export function between(a: View, b: View, t: number): View {
  if (t >= 1) return b;
  const spanA = a.x1 - a.x0;
  const spanB = b.x1 - b.x0;
  if (!(spanA > 0) || !(spanB > 0)) return b;
  const span = spanA * (spanB / spanA) ** t;
  const u = Math.abs(spanB - spanA) < spanA * 1e-6 ? t : (span - spanA) / (spanB - spanA);
  const x0 = a.x0 + (b.x0 - a.x0) * u;
  return { x0, x1: x0 + span };
}

export function ease(t: number): number {
  return 1 - (1 - t) ** 3;
}

export function isWhole(view: View, from: number, to: number): boolean {
  return view.x1 - view.x0 >= (to - from) * (1 - 1e-9);
}

/** Step of about `count` round ticks over a span: 1, 2 or 5 times a power of ten. */
export function tickStep(span: number, count: number): number {
  const raw = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  const digit = raw / power;
  return (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10) * power;
}

export function ticks(view: View, count: number): { step: number; values: number[] } {
  const step = tickStep(view.x1 - view.x0, count);
  const values: number[] = [];
  for (let i = Math.ceil(view.x0 / step - 1e-9); i * step <= view.x1; i++) values.push(i * step);
  return { step, values };
}
