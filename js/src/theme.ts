// The host's theme, as a canvas can use it, and when it changes.
import { mix, swatches, type Rgb, type Swatch } from "./color.ts";

export interface Theme {
  readonly background: Rgb;
  readonly foreground: Rgb;
  readonly accent: string;
  readonly danger: string;
  readonly quiet: string;
  readonly line: string;
  readonly font: string;
  readonly swatches: readonly Swatch[];
}

/** Any CSS colour as numbers: the canvas resolves what getComputedStyle leaves as color-mix(), lab() or a system colour. */
function toRgb(color: string, context: CanvasRenderingContext2D, fallback: Rgb): Rgb {
  if (!color) return fallback; // of an element that is not in the page
  context.clearRect(0, 0, 1, 1);
  context.fillStyle = "#000";
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  const [r = 0, g = 0, b = 0, a = 0] = context.getImageData(0, 0, 1, 1).data;
  return a < 128 ? fallback : [r, g, b];
}

export function readTheme(root: HTMLElement): Theme {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  const style = getComputedStyle(root);
  const background = toRgb(style.backgroundColor, context, [255, 255, 255]);
  const foreground = toRgb(style.color, context, [32, 33, 36]);
  const css = (color: Rgb) => `rgb(${color.join(" ")})`;
  return {
    background,
    foreground,
    accent: style.outlineColor,
    danger: css(mix(foreground, [220, 30, 30], 0.6)),
    quiet: css(mix(foreground, background, 0.38)),
    line: css(mix(foreground, background, 0.86)),
    font: `11.5px ${style.fontFamily || "system-ui, sans-serif"}`,
    swatches: swatches(background, foreground),
  };
}

/** Calls back whenever the page may have another theme. */
export function watchTheme(changed: () => void, signal: AbortSignal): void {
  const observer = new MutationObserver(changed);
  const attributeFilter = ["data-jp-theme-light", "data-jp-theme-name", "class", "style", "data-vscode-theme-kind", "data-theme"];
  observer.observe(document.body, { attributes: true, attributeFilter });
  observer.observe(document.documentElement, { attributes: true, attributeFilter });
  signal.addEventListener("abort", () => observer.disconnect());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed, { signal });
  matchMedia("(forced-colors: active)").addEventListener("change", changed, { signal });
}
