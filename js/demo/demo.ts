// Mounts a widget without a kernel. index.html?view=flamegraph|dag|costs&theme=dark&metric=time&case=agent|team|crowd|unpriced|bad|empty&n=100000
import costs from "../../widgets/costs/index.ts";
import dag from "../../widgets/dag/index.ts";
import flamegraph from "../../widgets/flamegraph/index.ts";
import { AGENT, blockOf, calls, DETAIL, random } from "./profile.ts";
import { crowd, team } from "./team.ts";

const options = new URLSearchParams(location.search);
const views = { flamegraph, dag, costs };
const view = (options.get("view") ?? "flamegraph") as keyof typeof views;
document.querySelector<HTMLLinkElement>("link[rel=stylesheet]")!.href = `../../tokprof/static/${view}.css`;
const dark = options.get("theme") === "dark";
document.body.dataset["jpThemeLight"] = String(!dark);

function data(): Uint8Array {
  const n = Number(options.get("n"));
  if (n > 0) return random(n);
  switch (options.get("case")) {
    case "team":
      return blockOf(team(), "In[7]");
    case "calls":
      return calls(Number(options.get("calls") ?? 100_000));
    case "crowd":
      return blockOf(crowd(1200), "In[9]");
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
  _profile: "demo",
  _selected: {},
  metric: options.get("metric") ?? "tokens",
  by: (options.get("by") ?? "model").split(","),
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
  send(message: { type: string; row?: number }) {
    sent.push(message);
    if (options.get("kernel") && message.type === "detail") setTimeout(() => model.message({ type: "detail", row: message.row, detail: DETAIL }, []), 50);
  },
  message: (content: unknown, buffers: DataView[]) => listeners.get("msg:custom")?.forEach((f) => f(content, buffers)),
};

const el = document.getElementById("widget")!;
const begun = performance.now();
const cleanup = views[view].render({ model, el, signal: new AbortController().signal } as never);
const mounted = performance.now() - begun;
Object.assign(window, { demo: { model, sent, mounted, cleanup, blockOf, AGENT, random, viewOf } });
