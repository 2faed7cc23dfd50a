// The view in motion: where it is now and where it goes.
import { between, clampView, ease, isWhole, pan, zoomAt, type View } from "./viewport.ts";

const ZOOM_MS = 150;

export class Camera {
  view: View;
  private animation: { from: View; to: View; begun: number } | null = null;

  constructor(
    private from: number,
    private to: number,
    private readonly changed: () => void,
  ) {
    this.view = { x0: from, x1: to };
  }

  /** Where the view will be when it comes to rest. */
  get target(): View {
    return this.animation?.to ?? this.view;
  }

  get isWhole(): boolean {
    return isWhole(this.target, this.from, this.to);
  }

  /** New limits of the axis; without `keep`, everything comes into view. */
  setRange(from: number, to: number, keep: boolean): void {
    const view = this.target;
    this.from = from;
    this.to = to;
    this.animation = null;
    this.view = clampView(keep ? view : { x0: from, x1: to }, from, to);
  }

  /** Zooms without delay: the wheel is an animation by itself. */
  zoom(factor: number, fraction: number): void {
    this.jump(zoomAt(this.target, factor, fraction, this.from, this.to));
  }

  zoomSmoothly(factor: number, fraction: number): void {
    this.glide(zoomAt(this.target, factor, fraction, this.from, this.to));
  }

  panBy(fraction: number): void {
    this.jump(pan(this.target, fraction * (this.target.x1 - this.target.x0), this.from, this.to));
  }

  showAll(): void {
    this.glide({ x0: this.from, x1: this.to });
  }

  show(x0: number, x1: number, glide = true): void {
    const view = clampView({ x0, x1 }, this.from, this.to);
    if (glide) this.glide(view);
    else this.jump(view);
  }

  private jump(view: View): void {
    this.animation = null;
    this.view = view;
    this.changed();
  }

  private glide(view: View): void {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return this.jump(view);
    this.animation = { from: this.view, to: view, begun: performance.now() };
    this.changed();
  }

  /** Moves on to a moment; true while there is more to come. */
  advance(now: number): boolean {
    if (!this.animation) return false;
    const t = Math.max(0, (now - this.animation.begun) / ZOOM_MS);
    this.view = between(this.animation.from, this.animation.to, ease(Math.min(1, t)));
    if (t >= 1) this.animation = null;
    return this.animation !== null;
  }
}
