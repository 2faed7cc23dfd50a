// Profiles to look at without a kernel: an agent that plans, uses tools in parallel and summarises; and a big random one.
import { encode, FLOW_VIAS } from "@tokprof/border.ts";

const KINDS = ["cell", "profile", "frame", "agent", "workflow", "task", "tool", "retriever", "embedding", "reranker", "chain", "llm"];
const SOURCES = ["reported", "derived", "estimated", "partial", "missing"];
const STATUSES = ["ok", "error", "cancelled", "partial", "open"];

export interface Step {
  name: string;
  kind: string;
  start: number;
  duration: number;
  where?: string;
  model?: string;
  source?: string;
  status?: string;
  error?: string;
  input?: number;
  output?: number;
  embedding?: number;
  cache_read?: number;
  cache_write?: number;
  reasoning?: number;
  cost?: number;
  ttft?: number;
  attempt?: number;
  http_status?: number;
  stream?: boolean;
  tags?: Record<string, string>;
  /** Names of steps whose answers came back in its prompt: way and tokens. */
  heard?: Record<string, readonly [via: "history" | "tool" | "text", tokens: number]>;
  children?: Step[];
}

export function blockOf(root: Step, title: string, unpriced = false): Uint8Array {
  const steps: Step[] = [];
  const parent: number[] = [];
  const visit = (step: Step, up: number) => {
    const node = steps.push(step) - 1;
    parent.push(up);
    step.children?.forEach((child) => visit(child, node));
  };
  visit(root, -1);
  const strings: string[] = [];
  const seen = new Map<string, number>();
  const intern = (text: string | undefined) => {
    if (text === undefined) return -1;
    if (!seen.has(text)) seen.set(text, strings.push(text) - 1);
    return seen.get(text)!;
  };
  const numbers = (key: "input" | "output" | "embedding" | "cache_read" | "cache_write" | "reasoning") => steps.map((s) => s[key] ?? 0);
  return encode({
    nodes: steps.length,
    columns: {
      parent,
      name: steps.map((s) => intern(s.name)),
      kind: steps.map((s) => KINDS.indexOf(s.kind)),
      where: steps.map((s) => intern(s.where)),
      model: steps.map((s) => intern(s.model)),
      status: steps.map((s) => STATUSES.indexOf(s.status ?? "ok")),
      source: steps.map((s) => (s.source ? SOURCES.indexOf(s.source) : 255)),
      row: steps.map((s, i) => (s.kind === "frame" ? -1 : i)),
      start: steps.map((s) => s.start),
      duration: steps.map((s) => s.duration),
      ttft: steps.map((s) => s.ttft ?? NaN),
      input: numbers("input"),
      output: numbers("output"),
      embedding: numbers("embedding"),
      cache_read: numbers("cache_read"),
      cache_write: numbers("cache_write"),
      reasoning: numbers("reasoning"),
      cost: steps.map((s) => (unpriced ? NaN : (s.cost ?? NaN))),
      attempt: steps.map((s) => s.attempt ?? 0),
      http_status: steps.map((s) => s.http_status ?? 0),
      stream: steps.map((s) => (s.stream ? 1 : 0)),
      error: steps.map((s) => intern(s.error)),
      tags: steps.map((s) => intern(s.tags && JSON.stringify(s.tags))),
      provider: steps.map((s) => intern(s.model && (s.model.startsWith("claude") ? "anthropic" : s.model.startsWith("llama") ? "ollama" : "openai"))),
      function: steps.map((s, i) => intern(isCall(s) ? functionOf(steps, parent, i) : undefined)),
      count: steps.map((s) => (isCall(s) ? 1 : 0)),
      priced: steps.map((s) => (!isCall(s) ? 0 : s.cost === undefined || unpriced ? 5 : 2)),
      ...evidence(steps, unpriced),
      ...costParts(steps, unpriced),
    },
    strings,
    kinds: KINDS,
    ...flowsOf(steps),
    meta: { title, duration_s: root.duration, metric: "tokens" },
  });
}

/** Data from the newest step of a name before it. */
function flowsOf(steps: Step[]) {
  const found = steps.flatMap((step, to) =>
    Object.entries(step.heard ?? {}).map(([name, [via, tokens]]) => {
      const from = steps.slice(0, to).map((other) => other.name).lastIndexOf(name);
      const call = steps.findIndex((other, at) => at >= from && isCall(other));
      return { from: kindIs(steps[from]!, "tool") ? from : call, to, via: FLOW_VIAS.indexOf(via), tokens };
    }),
  );
  const column = (key: "from" | "to" | "via" | "tokens") => found.map((each) => each[key]);
  return found.length > 0 ? { flows: { from: column("from"), to: column("to"), via: column("via"), tokens: column("tokens") } } : {};
}

const kindIs = (step: Step, kind: string) => step.kind === kind;
const isCall = (s: Step) => s.source !== undefined || ["llm", "embedding", "reranker"].includes(s.kind);

/** Name of the innermost function around a step. */
function functionOf(steps: Step[], parent: number[], at: number): string {
  let up = parent[at]!;
  while (up > 0 && !["frame", "task", "tool", "agent"].includes(steps[up]!.kind)) up = parent[up]!;
  return steps[up]!.name;
}

/** Which figures the calls told, as the kernel writes it. */
function evidence(steps: Step[], unpriced: boolean): { told: number[]; untold: number[] } {
  const known = (s: Step) => [s.input, s.output, s.embedding, s.cache_read, s.cache_write, s.reasoning, unpriced ? undefined : s.cost];
  const bits = (flags: boolean[]) => flags.reduce((sum, flag, at) => sum + (flag ? 1 << at : 0), 0);
  const billed = (s: Step) => isCall(s) && s.status !== "error";
  const fits = (s: Step, at: number) => at === 6 || (s.kind === "embedding") === (at === 2);
  return {
    told: steps.map((s) => (billed(s) ? bits([...known(s).map((v) => v !== undefined), s.source !== "missing"]) : 0)),
    untold: steps.map((s) =>
      billed(s) ? bits([...known(s).map((v, at) => fits(s, at) && (at < 2 || at === 6) && v === undefined), s.source === "missing"]) : 0,
    ),
  };
}

/** Parts of the cost: output five times as dear as input, cache reads a tenth. */
function costParts(steps: Step[], unpriced: boolean): Record<"cost_input" | "cost_output" | "cost_cache_read" | "cost_cache_write", number[]> {
  const part = (weigh: (s: Step) => number) =>
    steps.map((s) => {
      const cached = s.cache_read ?? 0;
      const written = s.cache_write ?? 0;
      const all = (s.input ?? 0) + (s.embedding ?? 0) - 0.9 * cached + 0.25 * written + 5 * (s.output ?? 0);
      return unpriced || !s.cost || all <= 0 ? 0 : (s.cost * weigh(s)) / all;
    });
  return {
    cost_input: part((s) => (s.input ?? 0) + (s.embedding ?? 0) - (s.cache_read ?? 0) - (s.cache_write ?? 0)),
    cost_output: part((s) => 5 * (s.output ?? 0)),
    cost_cache_read: part((s) => 0.1 * (s.cache_read ?? 0)),
    cost_cache_write: part((s) => 1.25 * (s.cache_write ?? 0)),
  };
}

/** What a kernel would say of any call. */
export const DETAIL = {
  usage: JSON.stringify({ prompt_tokens: 1840, completion_tokens: 412, prompt_tokens_details: { cached_tokens: 1024 } }, null, 2),
  parameters: JSON.stringify({ temperature: 0.2, max_completion_tokens: 800 }, null, 2),
  costs: [], cost_source: "priced", tokenizer: null, service_tier: null, length: [96, 300_000], tags: { user: "u1" },
  stack: [["main", "In[2]:12", 0], ["research", "agent.py:18", 2], ["make_plan", "agent.py:44", 6]],
  prompt: "[user] Compare <b>three</b> vector stores for a notebook, and say which of them needs no server.",
  answer: "A vector store that runs in the process: …",
};

/** Calls of one level, each with a request of its own: as long a table as one likes. */
export function calls(n: number): Uint8Array {
  const models = ["gpt-5.2", "gpt-5-mini", "claude-sonnet-4-5", "claude-haiku-4-5", "gemini-3-pro"];
  let seed = 11;
  const next = () => ((seed = (seed * 1664525 + 1013904223) >>> 0) / 2 ** 32);
  const children = Array.from({ length: n }, (_, i): Step => {
    const input = Math.floor(200 + next() * 6000);
    const output = Math.floor(next() * 900);
    const model = models[Math.floor(next() ** 2 * models.length)]!;
    const more = { input, output, cache_read: Math.floor(input * next() * 0.5), cost: input * 1.25e-6 + output * 1e-5 };
    return call(`chat ${model}`, model, i * 0.01, 0.2 + next() ** 3 * 9, { ...more, where: `eval.py:${10 + (i % 30)}`, tags: { request: `r-${i}` } });
  });
  return blockOf({ name: "In[5]", kind: "cell", start: 0, duration: n * 0.01 + 10, children }, "In[5]");
}

function call(name: string, model: string, start: number, duration: number, more: Partial<Step>): Step {
  const kind = name.startsWith("embed") ? "embedding" : "llm";
  return { name, kind, model, start, duration, source: "reported", http_status: 200, attempt: 1, ...more };
}

const EMBED = { where: "tools.py:31" };

export const AGENT: Step = {
  name: "In[2]", kind: "cell", start: 0, duration: 8.2, where: "In[2]:1",
  children: [{
    name: "main", kind: "frame", start: 0.02, duration: 8.15, where: "In[2]:12",
    children: [{
      name: "research_agent", kind: "agent", start: 0.03, duration: 8.1, where: "agent.py:18",
      children: [
        { name: "plan", kind: "task", start: 0.05, duration: 2.3, where: "agent.py:27", children: [
          { name: "make_plan", kind: "frame", start: 0.05, duration: 2.28, where: "agent.py:44", children: [
            call("chat gpt-5.2", "gpt-5.2", 0.08, 0.34, { status: "error", http_status: 429, error: "Rate limit reached for requests", input: 0, output: 0, cost: 0, where: "agent.py:51" }),
            call("chat gpt-5.2", "gpt-5.2", 0.92, 1.38, { attempt: 2, input: 1840, output: 412, reasoning: 256, cache_read: 1024, cost: 0.00714, stream: true, ttft: 0.41, where: "agent.py:51" }),
          ] },
        ] },
        { name: "gather_sources", kind: "task", start: 2.4, duration: 2.6, where: "agent.py:63", children: [
          { name: "search_docs", kind: "tool", start: 2.42, duration: 1.1, where: "tools.py:12", children: [
            { name: "embed_chunks", kind: "frame", start: 2.43, duration: 1.05, where: "tools.py:22", children: [
              call("embeddings", "text-embedding-3-small", 2.45, 0.52, { ...EMBED, embedding: 1210, cost: 0.0000242 }),
              call("embeddings", "text-embedding-3-small", 2.46, 0.71, { ...EMBED, embedding: 980, cost: 0.0000196 }),
              call("embeddings", "text-embedding-3-small", 2.47, 0.43, { ...EMBED, embedding: 1105, cost: 0.0000221 }),
              call("embeddings", "text-embedding-3-small", 2.95, 0.5, { ...EMBED, embedding: 640, cost: 0.0000128 }),
            ] },
          ] },
          { name: "read_page", kind: "tool", start: 2.44, duration: 2.1, where: "tools.py:58", children: [
            call("chat local-llama", "llama-3.3-70b", 2.6, 1.9, { source: "missing", where: "tools.py:66" }),
          ] },
          { name: "rank", kind: "tool", start: 4.1, duration: 0.88, where: "tools.py:80", children: [
            call("messages claude-haiku", "claude-haiku-4-5", 4.14, 0.8, { source: "estimated", input: 2210, output: 96, cost: 0.00269, where: "tools.py:88" }),
          ] },
        ] },
        { name: "summarise", kind: "task", start: 5.1, duration: 3.0, where: "agent.py:90", children: [
          { name: "draft", kind: "frame", start: 5.12, duration: 2.9, where: "agent.py:97", children: [
            call("messages claude-sonnet", "claude-sonnet-4-5", 5.15, 2.8, { input: 4310, output: 1224, cache_read: 2048, cache_write: 1100, cost: 0.02281, stream: true, ttft: 0.62, where: "agent.py:104" }),
          ] },
        ] },
      ],
    }],
  }],
};

/** A seeded tree of about n nodes, 24 deep. */
export function random(n: number): Uint8Array {
  let seed = 7;
  const next = () => ((seed = (seed * 1664525 + 1013904223) >>> 0) / 2 ** 32);
  const parent = new Int32Array(n);
  const depth = new Int32Array(n);
  const start = new Float64Array(n);
  const duration = new Float64Array(n);
  const kind = new Uint8Array(n);
  const model = new Int32Array(n).fill(-1);
  const source = new Uint8Array(n).fill(255);
  const input = new Float64Array(n);
  const cost = new Float64Array(n).fill(NaN);
  parent[0] = -1;
  duration[0] = n / 100;
  const open = [0];
  const reached = [0];
  for (let node = 1; node < n; node++) {
    while (open.length > 1 && next() < 0.48) {
      const done = open.pop()!;
      duration[done] = Math.max(reached.pop()!, start[done]! + 0.004) - start[done]!;
      reached[reached.length - 1] = start[done]! + duration[done]!;
    }
    if (open.length > 23) continueFrom(open, reached);
    const up = open.at(-1)!;
    parent[node] = up;
    depth[node] = depth[up]! + 1;
    start[node] = reached.at(-1)! + next() * 0.001;
    kind[node] = 2;
    if (next() < 0.4) {
      kind[node] = 11;
      model[node] = 1 + Math.floor(next() * 5);
      source[node] = 0;
      input[node] = Math.floor(next() * 3000);
      cost[node] = input[node]! * 2e-6;
    }
    open.push(node);
    reached.push(start[node]!);
  }
  while (open.length > 0) {
    const done = open.pop()!;
    duration[done] = Math.max(reached.pop()!, start[done]! + 0.004) - start[done]!;
    if (reached.length > 0) reached[reached.length - 1] = start[done]! + duration[done]!;
  }
  function continueFrom(stack: number[], ends: number[]): void {
    const done = stack.pop()!;
    duration[done] = Math.max(ends.pop()!, start[done]! + 0.004) - start[done]!;
    ends[ends.length - 1] = start[done]! + duration[done]!;
  }
  return encode({
    nodes: n,
    columns: { parent, start, duration, kind, model, source, input, cost, name: kind.map((k) => (k === 2 ? 0 : 6)) },
    strings: ["step", "model-a", "model-b", "model-c", "model-d", "model-e", "chat"],
    kinds: KINDS,
    meta: { title: `${n} nodes`, duration_s: duration[0]! },
  });
}
