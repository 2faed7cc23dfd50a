// A profile with hand-offs, loops and recursion: what the graph of steps is for. And one with more steps than fit.
import type { Step } from "./profile.ts";

const GPT = "gpt-5.2";
const MINI = "gpt-5-mini";
const SONNET = "claude-sonnet-4-5";

let now = 0;

/** One after the other. */
function step(kind: string, name: string, where: string, children: (() => Step)[], own = 0.02): Step {
  const start = now;
  now += own;
  const inner = children.map((child) => child());
  return { name, kind, where, start, duration: now - start, children: inner };
}

/** At the same time. */
function together(kind: string, name: string, where: string, children: (() => Step)[]): Step {
  const start = now;
  let end = now;
  const inner = children.map((child, at) => {
    now = start + 0.01 * (at + 1);
    const made = child();
    end = Math.max(end, now);
    return made;
  });
  now = end + 0.01;
  return { name, kind, where, start, duration: now - start, children: inner };
}

function ask(model: string, duration: number, input: number, output: number, more: Partial<Step> = {}): () => Step {
  return () => {
    const start = now;
    now += duration;
    const price = model === MINI ? 0.4e-6 : 2.5e-6;
    const cost = input * price + output * price * 5;
    const usual = { name: `chat ${model}`, kind: "llm", source: "reported", attempt: 1, http_status: 200 };
    return { ...usual, model, start, duration, input, output, cost, ...more };
  };
}

const page = (i: number) => () =>
  step("tool", "read_page", "tools.py:58", [ask(MINI, 0.6 + 0.25 * ((i * 7) % 5), 2200 + 410 * i, 160 + 22 * i)]);
const search = () =>
  step("tool", "search", "tools.py:12", [
    () => ({ name: "embeddings", kind: "embedding", model: "text-embedding-3-small", source: "reported", start: now, duration: 0.2, embedding: 640, cost: 0.0000128, attempt: 1 }),
  ], 0.24);
const subtopic = (depth: number): (() => Step) => () =>
  step("agent", "researcher", "research.py:30", [
    ask(GPT, 0.9, 1800, 240),
    search,
    () => together("task", "read_all", "research.py:52", [0, 1, 2, 3, 4].map(page)),
    ...(depth > 0 ? [subtopic(depth - 1)] : []),
    ask(GPT, 1.2, 5200, 640, { cache_read: 2048 }),
  ]);

/** Agents that pass text on: a plan, what a tool found, a draft that goes to and fro. */
export function newsroom(): Step {
  now = 0;
  const agent = (name: string, ...calls: (() => Step)[]) => () => step("agent", name, `${name}.py:3`, calls);
  return step("cell", "In[8]", "In[8]:1", [
    agent("planner", ask(GPT, 1, 300, 440)),
    agent(
      "researcher",
      () => step("frame", "ask", "tools.py:4", [ask(MINI, 0.5, 900, 60, { heard: { planner: ["text", 440] } })]),
      () => step("tool", "search", "tools.py:12", [], 0.3),
      () => step("frame", "ask", "tools.py:4", [
        ask(MINI, 0.5, 2000, 800, { heard: { planner: ["text", 440], search: ["tool", 700], researcher: ["history", 60] } }),
      ]),
    ),
    agent("writer", ask(SONNET, 2, 1000, 1200, { heard: { ask: ["text", 800] } })),
    agent("critic", ask(GPT, 1, 1500, 250, { heard: { writer: ["text", 1200], planner: ["text", 100] } })),
    agent("writer", ask(SONNET, 2, 1300, 1250, { heard: { critic: ["text", NaN] } })),
    agent("auditor", ask(GPT, 1, 100, 20)),
  ]);
}

export function team(): Step {
  now = 0;
  return step("cell", "In[7]", "In[7]:1", [
    () => step("frame", "In[7]:3", "In[7]:3", [
      () => step("frame", "main", "app.py:12", [
        () => step("frame", "run_team", "app.py:40", [
          () => step("agent", "supervisor", "team.py:18", [
            ask(SONNET, 0.3, 0, 0, { status: "error", http_status: 429, error: "rate limited", source: undefined, cost: 0 }),
            ask(SONNET, 1.6, 2100, 420, { attempt: 2 }),
            subtopic(2),
            () => step("agent", "writer", "writer.py:9", [
              () => step("frame", "outline", "writer.py:31", [ask(SONNET, 1.9, 6100, 820)]),
              () => together("frame", "sections", "writer.py:48", [1, 2, 3].map((i) => () =>
                step("task", "section", "writer.py:55", [ask(SONNET, 1.4 + i / 2, 4200 + 300 * i, 1100 + 90 * i)]))),
            ]),
            () => step("agent", "critic", "critic.py:7", [
              ask("llama-3.3-70b", 1.1, 7400, 380, { source: "estimated", cost: NaN }),
              () => step("tool", "check_links", "tools.py:90", [], 0.35),
              ask(GPT, 1.3, 6900, 510),
            ]),
          ]),
        ]),
      ]),
    ]),
  ]);
}

export function crowd(steps: number): Step {
  now = 0;
  const row = (at: number) => () =>
    step("tool", `tool_${at % 97}_${at}`, `tools.py:${at}`, [ask([GPT, MINI, SONNET][at % 3]!, 0.05, 100 + ((at * 7919) % 1300), 40)]);
  const agents = Math.ceil(steps / 12);
  return step("cell", "In[9]", "In[9]:1", Array.from({ length: agents }, (_, a) => () =>
    step("agent", `agent_${a}`, `agents.py:${a}`, Array.from({ length: 11 }, (_, i) => row(a * 11 + i)))));
}
