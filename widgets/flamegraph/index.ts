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

const render: Render<Traits> = ({ model, el, signal: hostSignal }) => {
  const own = new AbortController();
  const { signal } = own;
  hostSignal?.addEventListener("abort", () => own.abort());
  const root = h("div", { class: "tokprof tokprof-live", "data-testid": "tokprof-root" });
  el.append(root);
  let flame: Flame | null = null;

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
      if (flame) {
        flame.setBlock(block);
        return block;
      }
      flame = new Flame(block, {
        metric: initialMetric(model.get("metric"), block.meta.metric),
        height: model.get("height") || HEIGHT,
        selected: (node) => send(model, { type: "select", node }),
        signal,
      });
      root.replaceChildren(flame.element);
      flame.start();
      flame.select(model.get("_selected") ?? -1);
      return block;
    } catch (error) {
      say(`This profile cannot be shown: ${error instanceof Error ? error.message : String(error)}`);
      return null;
    }
  };

  const onBlock = () => show(model.get("_block"));
  const onSelected = () => flame?.select(model.get("_selected") ?? -1);
  const onMessage = (message: unknown, buffers: DataView[]) => {
    const isBlock = typeof message === "object" && message !== null && (message as { type?: unknown }).type === "block";
    if (isBlock && buffers[0]) show(buffers[0]);
  };
  model.on("change:_block", onBlock);
  model.on("change:_selected", onSelected);
  model.on("msg:custom", onMessage);
  signal.addEventListener("abort", () => {
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
