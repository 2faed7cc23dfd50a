// Mounts the widget without a kernel. index.html?theme=dark&metric=time&case=agent|unpriced|bad|empty&n=100000
import widget from "../../widgets/flamegraph/index.ts";
import { AGENT, blockOf, random } from "./profile.ts";

const options = new URLSearchParams(location.search);
const dark = options.get("theme") === "dark";
document.body.dataset["jpThemeLight"] = String(!dark);

function data(): Uint8Array {
  const n = Number(options.get("n"));
  if (n > 0) return random(n);
  switch (options.get("case")) {
    case "bad":
      return new Uint8Array([1, 2, 3]);
    case "empty":
      return new Uint8Array();
    default:
      return blockOf(AGENT, "In[2]", options.get("case") === "unpriced");
  }
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const traits: Record<string, unknown> = {
  _block: viewOf(data()),
  _selected: -1,
  metric: options.get("metric") ?? "tokens",
  height: Number(options.get("height") ?? 420),
};
const listeners = new Map<string, Set<(...values: unknown[]) => void>>();
const sent: unknown[] = [];
const model = {
  get: (name: string) => traits[name],
  set(name: string, value: unknown) {
    traits[name] = value;
    listeners.get(`change:${name}`)?.forEach((listener) => listener());
  },
  on(name: string, listener: (...values: unknown[]) => void) {
    if (!listeners.has(name)) listeners.set(name, new Set());
    listeners.get(name)!.add(listener);
  },
  off: (name: string, listener: (...values: unknown[]) => void) => listeners.get(name)?.delete(listener),
  send: (message: unknown) => sent.push(message),
  message: (content: unknown, buffers: DataView[]) => listeners.get("msg:custom")?.forEach((f) => f(content, buffers)),
};

const el = document.getElementById("widget")!;
const begun = performance.now();
const cleanup = widget.render({ model, el, signal: new AbortController().signal } as never);
const mounted = performance.now() - begun;
Object.assign(window, { demo: { model, sent, mounted, cleanup, blockOf, AGENT, random, viewOf } });
