// The flame graph in a cell: between the traits of the Python class and the view.
import type { AnyModel, Render } from "@anywidget/types";
import { decode, type Block } from "@tokprof/border.ts";
import { h } from "@tokprof/dom.ts";
import { Flame, initialMetric } from "@tokprof/flame.ts";

interface Traits {
  _block: DataView | null;
  _selected: number;
  metric: string;
  height: number;
}

const HEIGHT = 420;
/** A running cell sends a new bounded block many times a second; the full one is asked for once they come to rest. */
const REST_MS = 600;

const render: Render<Traits> = ({ model, el, signal: hostSignal }) => {
  const own = new AbortController();
  const { signal } = own;
  hostSignal?.addEventListener("abort", () => own.abort());
  const root = h("div", { class: "tokprof tokprof-live", "data-testid": "tokprof-root" });
  el.append(root);
  let flame: Flame | null = null;
  /** Only the whole tree has the kernel's numbers of the nodes. */
  let whole = false;

  const onSelected = () => whole && flame?.select(model.get("_selected") ?? -1);

  const say = (text: string) => {
    flame?.element.remove();
    flame = null;
    root.replaceChildren(h("p", { class: "tp-message", role: "status", "data-testid": "tokprof-message" }, text));
  };

  const show = (view: DataView | null | undefined): Block | null => {
    if (!view || view.byteLength === 0) {
      say("Nothing recorded yet.");
      return null;
    }
    try {
      const block = decode(view);
      const first = block.meta.truncated !== true && !whole;
      whole = block.meta.truncated !== true;
      if (flame) {
        flame.setBlock(block);
        if (first) onSelected();
        return block;
      }
      flame = new Flame(block, {
        metric: initialMetric(model.get("metric"), block.meta.metric),
        height: model.get("height") || HEIGHT,
        selected: (node) => whole && send(model, { type: "select", node }),
        signal,
      });
      root.replaceChildren(flame.element);
      flame.start();
      onSelected();
      return block;
    } catch (error) {
      say(`This profile cannot be shown: ${error instanceof Error ? error.message : String(error)}`);
      return null;
    }
  };

  let rest: ReturnType<typeof setTimeout> | undefined;
  const onBlock = () => {
    clearTimeout(rest);
    if (show(model.get("_block"))?.meta.truncated) rest = setTimeout(() => send(model, { type: "block" }), REST_MS);
  };
  const onMessage = (message: unknown, buffers: DataView[]) => {
    const isBlock = typeof message === "object" && message !== null && (message as { type?: unknown }).type === "block";
    if (isBlock && buffers[0]) show(buffers[0]);
  };
  model.on("change:_block", onBlock);
  model.on("change:_selected", onSelected);
  model.on("msg:custom", onMessage);
  signal.addEventListener("abort", () => {
    clearTimeout(rest);
    model.off("change:_block", onBlock);
    model.off("change:_selected", onSelected);
    model.off("msg:custom", onMessage);
    root.remove();
  });

  // A saved notebook keeps a bounded part; the kernel, if there is one, has the rest.
  if (show(model.get("_block"))?.meta.truncated) send(model, { type: "block" });
  return () => own.abort();
};

/** Without a kernel nobody listens, and everything but the selection in Python still works. */
function send(model: AnyModel<Traits>, message: { type: "select"; node: number } | { type: "block" }): void {
  try {
    model.send(message);
  } catch {
    // As above.
  }
}

export default { render };
