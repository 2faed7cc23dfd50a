// Between the traits of a Python class and a view: what all front ends have in common.
import type { AnyModel, RenderProps } from "@anywidget/types";
import { decode, type Block } from "./border.ts";
import { asSelection, join, NOTHING, sameSelection, type Selection } from "./bus.ts";
import { h } from "./dom.ts";

/** Traits of `tokprof.views.widget.ProfileView`. */
export interface Traits {
  _block: DataView | null;
  _profile: string;
  _selected: unknown;
  height: number;
}

/** A view that is in the page. */
export interface View {
  readonly element: HTMLElement;
  /** Called once the element is in the page. */
  start(): void;
  /** Shows another state of the profile; the reader's place in it stays. */
  setBlock(block: Block): void;
  /** Shows what is selected, here or elsewhere, without telling anybody. */
  showSelection(selection: Selection): void;
}

/** What a view may ask of its surroundings. */
export interface Host {
  readonly height: number;
  /** Tells the other views and the kernel what the reader has selected. */
  readonly select: (selection: Selection) => void;
  /** Asks the kernel for everything known of a row; null where there is no kernel, or it does not answer. */
  readonly detail: (row: number) => Promise<Detail | null>;
  readonly signal: AbortSignal;
}

/** What `tokprof.views.detail.detail` gives. */
export interface Detail {
  readonly usage: string | null;
  readonly parameters: string | null;
  readonly costs: readonly (readonly [string, number])[];
  readonly cost_source: string | null;
  readonly tokenizer: string | null;
  readonly service_tier: string | null;
  /** Function, place, and library frames folded below it; outermost first. */
  readonly stack: readonly (readonly [string, string, number])[];
  readonly prompt: string | null;
  readonly answer: string | null;
  readonly length: readonly [number, number];
  readonly tags: Readonly<Record<string, string>>;
}

const HEIGHT = 420;
/** A running cell sends a new bounded block many times a second; the full one is asked for once they come to rest. */
const REST_MS = 600;
/** A busy kernel answers when its cell has ended; a view does not wait for that. */
const PATIENCE_MS = 4000;

export function mount<T extends Traits>(
  { model, el, signal: outer }: RenderProps<T>,
  make: (block: Block, host: Host) => View,
): () => void {
  const traits = model as unknown as AnyModel<Traits>;
  const own = new AbortController();
  const { signal } = own;
  outer?.addEventListener("abort", () => own.abort());
  const root = h("div", { class: "tokprof tokprof-live", "data-testid": "tokprof-root" });
  el.append(root);
  const waiting = new Map<number, (detail: Detail | null) => void>();
  let view: View | null = null;
  let shown: Selection = NOTHING;

  const showSelection = (selection: Selection) => {
    shown = selection;
    view?.showSelection(selection);
  };
  const member = join(traits.get("_profile") || crypto.randomUUID(), showSelection, signal);

  const host: Host = {
    height: traits.get("height") || HEIGHT,
    signal,
    select(selection) {
      if (sameSelection(selection, shown) && selection.label === shown.label) return;
      shown = selection;
      member.tell(selection);
      send(traits, { type: "select", rows: selection.rows, label: selection.label });
    },
    detail: (row) =>
      new Promise((resolve) => {
        waiting.get(row)?.(null);
        waiting.set(row, resolve);
        setTimeout(() => waiting.get(row) === resolve && (waiting.delete(row), resolve(null)), PATIENCE_MS);
        if (!send(traits, { type: "detail", row })) {
          waiting.delete(row);
          resolve(null);
        }
      }),
  };

  const say = (text: string) => {
    view?.element.remove();
    view = null;
    root.replaceChildren(h("p", { class: "tp-message", role: "status", "data-testid": "tokprof-message" }, text));
  };

  const show = (bytes: DataView | null | undefined): Block | null => {
    if (!bytes || bytes.byteLength === 0) {
      say("Nothing recorded yet.");
      return null;
    }
    try {
      const block = decode(bytes);
      if (view) {
        view.setBlock(block);
      } else {
        view = make(block, host);
        root.replaceChildren(view.element);
        view.start();
      }
      view.showSelection(shown);
      return block;
    } catch (error) {
      say(`This profile cannot be shown: ${error instanceof Error ? error.message : String(error)}`);
      return null;
    }
  };

  let rest: ReturnType<typeof setTimeout> | undefined;
  const onBlock = () => {
    clearTimeout(rest);
    if (show(traits.get("_block"))?.meta.truncated) rest = setTimeout(() => send(traits, { type: "block" }), REST_MS);
  };
  const onSelected = () => {
    const selection = asSelection(traits.get("_selected"));
    showSelection(selection);
    member.tell(selection);
  };
  const onMessage = (message: unknown, buffers: DataView[]) => {
    if (typeof message !== "object" || message === null) return;
    const { type, row, detail } = message as { type?: unknown; row?: unknown; detail?: unknown };
    if (type === "block" && buffers[0]) show(buffers[0]);
    if (type === "detail" && typeof row === "number") {
      waiting.get(row)?.((detail as Detail | undefined) ?? null);
      waiting.delete(row);
    }
  };
  traits.on("change:_block", onBlock);
  traits.on("change:_selected", onSelected);
  traits.on("msg:custom", onMessage);
  signal.addEventListener("abort", () => {
    clearTimeout(rest);
    traits.off("change:_block", onBlock);
    traits.off("change:_selected", onSelected);
    traits.off("msg:custom", onMessage);
    root.remove();
  });

  // The other views may have been there first; what the kernel says counts where they say nothing.
  const said = asSelection(traits.get("_selected"));
  shown = member.now().rows.length > 0 ? member.now() : said;
  member.tell(shown);
  // A saved notebook keeps a bounded part; the kernel, if there is one, has the rest.
  if (show(traits.get("_block"))?.meta.truncated) send(traits, { type: "block" });
  return () => own.abort();
}

type Message = { type: "select"; rows: readonly number[]; label: string } | { type: "block" } | { type: "detail"; row: number };

/** Without a kernel nobody listens, and everything but Python's share of it still works. */
function send(model: AnyModel<Traits>, message: Message): boolean {
  try {
    model.send(message);
    return true;
  } catch {
    return false;
  }
}
