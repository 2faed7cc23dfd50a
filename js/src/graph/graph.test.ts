import { describe, expect, it } from "vitest";
import { crowd, newsroom, team } from "../../demo/team.ts";
import { blockOf } from "../../demo/profile.ts";
import { decode } from "../border.ts";
import { graphFacts, itemText, lines, nameAt, notes, openingInWords } from "./facts.ts";
import { layout, NODE_HEIGHT, NODE_WIDTH } from "./layout.ts";
import { find, searchGraph, selectionFor } from "./pick.ts";
import { step } from "./walk.ts";
import { buildGraph, MOST_NODES, shareOf, type Graph, type GraphOptions } from "./graph.ts";
import { selectionAt } from "../rows.ts";
import { buildTree, nameOf, totalOf } from "../tree.ts";
import { fitted, kept, revealed, zoomed } from "./camera.ts";

const TEAM = buildTree(decode(blockOf(team(), "In[7]")));
const NEWS = buildTree(decode(blockOf(newsroom(), "In[8]")));
const CROWD = buildTree(decode(blockOf(crowd(1200), "In[9]")));

function graphOf(tree = TEAM, more: Partial<GraphOptions> = {}): Graph {
  const none = new Set<string>();
  return buildGraph(tree, { metric: "tokens", edges: "calls", threshold: 0, limit: MOST_NODES, split: none, folded: none, opened: none, ...more });
}

const names = (graph: Graph) => graph.nodes.map((_, at) => nameAt(graph, at));
const at = (graph: Graph, name: string) => names(graph).indexOf(name);
const node = (graph: Graph, name: string) => graph.nodes[at(graph, name)]!;
const edges = (graph: Graph) => graph.edges.map((_, i) => nameAt(graph, graph.nodes.length + i));

describe("the graph of steps", () => {
  it("has one node for the runs of a step and one for each model", () => {
    const graph = graphOf();
    expect(node(graph, "read_page").runs).toBe(15);
    expect(node(graph, "section").runs).toBe(3);
    expect(graph.nodes.filter(({ model }) => model).map(({ name }) => name)).toEqual([
      "gpt-5-mini", "gpt-5.2", "claude-sonnet-4-5", "llama-3.3-70b", "text-embedding-3-small",
    ]);
  });

  it("lets hand-offs meet in the model that they share", () => {
    const into = edges(graphOf()).filter((name) => name.endsWith("→ claude-sonnet-4-5"));
    expect(into.sort()).toEqual(["outline → claude-sonnet-4-5", "section → claude-sonnet-4-5", "supervisor → claude-sonnet-4-5"]);
  });

  it("leads recursion back to the step around it, and counts nothing twice", () => {
    const graph = graphOf();
    expect(names(graph).filter((name) => name === "researcher")).toHaveLength(1);
    const back = graph.edges.filter((edge) => edge.back);
    expect(back.map(({ from, to }) => [nameAt(graph, from), nameAt(graph, to)])).toEqual([["researcher", "researcher"]]);
    expect(totalOf(graph.sums, "tokens", at(graph, "researcher"))).toBeLessThan(totalOf(TEAM, "tokens", 0));
  });

  it("balances: the models, and the edges into them, sum up to the whole", () => {
    const graph = graphOf();
    for (const metric of ["tokens", "input", "output", "cost"] as const) {
      const whole = totalOf(TEAM, metric, 0);
      const sum = (indexes: number[]) => indexes.reduce((total, index) => total + totalOf(graph.sums, metric, index), 0);
      expect(sum(graph.nodes.flatMap(({ model }, i) => (model ? [i] : [])))).toBeCloseTo(whole, 9);
      expect(sum(graph.edges.flatMap(({ to }, i) => (graph.nodes[to]!.model ? [graph.nodes.length + i] : [])))).toBeCloseTo(whole, 9);
    }
    expect(graph.sums.totals.calls[0]).toBe(TEAM.totals.calls[0]);
  });

  it("still balances when small steps and those beyond the limit are folded into their callers", () => {
    for (const graph of [graphOf(TEAM, { threshold: 0.2 }), graphOf(CROWD), graphOf(CROWD, { limit: 10 })]) {
      const into = graph.edges.reduce(
        (sum, { to }, i) => sum + (graph.nodes[to]!.model ? totalOf(graph.sums, "tokens", graph.nodes.length + i) : 0), 0);
      expect(into).toBeCloseTo(totalOf(graph.sums, "tokens", 0), 6);
    }
  });

  it("folds chains of functions, and opens them", () => {
    const graph = graphOf();
    expect(names(graph).slice(0, 2)).toEqual(["In[7]", "run_team"]);
    const { chain, key } = node(graph, "run_team");
    expect(chain).toEqual(["In[7]:3", "main"]);
    const open = graphOf(TEAM, { opened: new Set([key]) });
    expect(names(open).slice(0, 4)).toEqual(["In[7]", "In[7]:3", "main", "run_team"]);
    expect(node(open, "main").chained).toBe(key);
    expect(openingInWords(node(open, "main"))).toBe("folds the functions before it");
  });

  it("takes runs apart, in order of time, and says which they are", () => {
    const { base } = node(graphOf(), "section");
    const graph = graphOf(TEAM, { split: new Set([base]) });
    expect(names(graph).filter((name) => name.startsWith("section "))).toEqual(["section #1", "section #2", "section #3"]);
    expect(node(graph, "section #2").runs).toBe(1);
  });

  it("takes apart runs inside of runs", () => {
    const all = node(graphOf(), "read_all").base;
    const once = graphOf(TEAM, { split: new Set([all]) });
    const inner = once.nodes.find(({ name, runs }) => name === "read_page" && runs === 5)!;
    const twice = graphOf(TEAM, { split: new Set([all, inner.base]) });
    expect(twice.nodes.filter(({ name, run }) => name === "read_page" && run > 0)).toHaveLength(5);
    expect(twice.nodes.filter(({ name, run }) => name === "read_page" && run === 0)).toHaveLength(2);
  });

  it("shows the largest of many calls one by one, the others together", () => {
    const model = graphOf(CROWD).nodes.find((n) => n.model)!;
    const graph = graphOf(CROWD, { split: new Set([model.base]), limit: 60 });
    const calls = graph.nodes.filter(({ base }) => base === model.base);
    expect(calls.filter(({ run }) => run > 0)).toHaveLength(19);
    expect(calls.find(({ run }) => run < 0)!.runs).toBe(model.runs - 19);
    expect(calls.reduce((sum, { runs }) => sum + runs, 0)).toBe(model.runs);
  });

  it("keeps to the limit, keeps what is largest, and says so", () => {
    const graph = graphOf(CROWD);
    expect(graph.nodes).toHaveLength(MOST_NODES);
    expect(notes(graph, 0)).toMatch(/^400 of 1,2\d\d nodes are shown/);
    const agent = graph.nodes.findIndex(({ hidden }) => hidden > 0);
    const opened = graphOf(CROWD, { opened: new Set([graph.nodes[agent]!.key]) });
    expect(opened.nodes).toHaveLength(MOST_NODES);
    expect(opened.nodes.find(({ key }) => key === graph.nodes[agent]!.key)!.hidden).toBe(0);
  });

  it("hides what is below a threshold, and says so", () => {
    const graph = graphOf(TEAM, { threshold: 0.02 });
    expect(names(graph)).not.toContain("search");
    expect(node(graph, "researcher").hidden).toBe(1);
    expect(notes(graph, 0.02)).toBe("2 steps below 2% are folded into the caller.");
    expect(notes(graphOf(), 0)).toBe("");
  });

  it("folds what is inside a node at the reader's wish", () => {
    const { key } = node(graphOf(), "writer");
    const graph = graphOf(TEAM, { folded: new Set([key]) });
    expect(names(graph)).not.toContain("sections");
    expect(edges(graph)).toContain("writer → claude-sonnet-4-5");
    expect(node(graph, "writer").hidden).toBe(3);
  });

  it("knows the critical path of nodes and edges", () => {
    const graph = graphOf();
    expect(graph.criticalSeconds[0]).toBeCloseTo(totalOf(TEAM, "time", 0), 6);
    expect(graph.criticalSeconds[at(graph, "writer")]).toBeGreaterThan(0);
    const section = graph.criticalSeconds[at(graph, "section")]!;
    expect(section).toBeLessThan(totalOf(graph.sums, "time", at(graph, "section")));
    expect(graph.criticalSeconds[graph.nodes.length + edges(graph).indexOf("sections → section")]).toBeCloseTo(section, 9);
    expect(graph.criticalSeconds[at(graph, "text-embedding-3-small")]).toBe(-1);
  });

  it("is empty without nodes", () => {
    const empty = buildTree(decode(blockOf({ name: "In[1]", kind: "cell", start: 0, duration: 0 }, "In[1]")));
    expect(graphOf(empty).nodes).toHaveLength(1);
    expect(shareOf(graphOf(empty), "tokens", 0)).toBe(0);
  });
});

describe("the graph of data", () => {
  const data = (more: Partial<GraphOptions> = {}) => graphOf(NEWS, { edges: "data", ...more });
  const streams = (graph: Graph) => Object.fromEntries(edges(graph).map((name, i) => [name, graph.edges[i]!.stream!]));

  it("has the steps that pass answers on, and no others", () => {
    const graph = data();
    expect(names(graph)).toEqual(["planner", "researcher", "search", "writer", "critic"]);
    // The cell, the function that asks for the researcher, the auditor, and three models.
    expect(notes(graph, 0)).toBe("6 steps and models that no answer came from or went into are not shown.");
  });

  it("adds up what went from one step to another, by the way it took", () => {
    const found = streams(data());
    expect(found["planner → researcher"]).toMatchObject({ tokens: 880, unknown: 0, via: "text", sources: 1, targets: 2 });
    expect(found["search → researcher"]).toMatchObject({ tokens: 700, via: "tool" });
    expect(found["researcher → researcher"]).toMatchObject({ tokens: 60, via: "history" });
    expect(found["critic → writer"]).toMatchObject({ tokens: 0, unknown: 1 });
    expect(Object.keys(found)).toHaveLength(7);
  });

  it("keeps to what is shown: of a folded step, what went in and out of it", () => {
    const { key } = node(graphOf(NEWS), "researcher");
    const graph = data({ folded: new Set([key]) });
    expect(names(graph)).toEqual(["planner", "researcher", "writer", "critic"]);
    expect(streams(graph)["researcher → researcher"]).toMatchObject({ tokens: 760 });
  });

  it("says what an edge carries and what a node receives", () => {
    const graph = data();
    const said = (index: number) => Object.fromEntries(graphFacts(graph, "tokens", index).map(({ label, value }) => [label, value]));
    const edge = (name: string) => graph.nodes.length + edges(graph).indexOf(name);
    expect(said(edge("planner → researcher"))).toEqual({ Carries: "880 tokens", Text: "quoted in prompts", Between: "1 call and 2 later" });
    expect(said(edge("critic → writer"))["Carries"]).toBe("? tokens");
    expect(said(at(graph, "researcher"))).toMatchObject({ Receives: "1,580 tokens from 2 steps", "Passes on": "800 tokens to 1 step" });
    expect(itemText(graph, "tokens", at(graph, "critic"))).toContain("receives answers of writer, planner; passes answers on to writer");
    expect(said(at(graph, "critic"))["Share"]).toBe("16% of all tokens");
  });

  it("is laid out in order of time, to and fro side by side, and can be walked", () => {
    for (const orientation of ["across", "down"] as const) {
      const graph = data();
      const placed = layout({ nodes: graph.nodes.length, edges: graph.edges, orientation, label: 66 });
      const flow = ({ x, y }: { x: number; y: number }) => (orientation === "across" ? x : y);
      const aside = ({ x, y }: { x: number; y: number }) => (orientation === "across" ? y : x);
      for (const { from, to, back } of graph.edges) {
        if (from !== to && !back) expect(flow(placed.nodes[to]!)).toBeGreaterThan(flow(placed.nodes[from]!));
      }
      const line = (name: string) => placed.edges[edges(graph).indexOf(name)]!;
      expect(Math.abs(aside(line("writer → critic")[0]!) - aside(line("critic → writer").at(-1)!))).toBe(30);
      const seen = new Set([0]);
      const queue = [0];
      for (const from of queue) {
        for (const way of ["up", "down", "left", "right"] as const) {
          const to = step(graph, placed, orientation, from, way, -1);
          if (!seen.has(to)) queue.push(to);
          seen.add(to);
        }
      }
      expect(seen.size).toBe(graph.nodes.length);
    }
  });

  it("selects the calls at both ends of an edge, and marks what is selected elsewhere", () => {
    const graph = data();
    const index = graph.nodes.length + edges(graph).indexOf("writer → critic");
    const selection = selectionFor(graph, NEWS, index);
    expect(selection.label).toBe("writer → critic");
    expect(find(graph, NEWS, selection, index).index).toBe(index);
    const all = find(graph, NEWS, selectionAt(NEWS, 0), -1);
    expect(all.within.size).toBe(graph.nodes.length);
    expect(names(graph).filter((_, i) => searchGraph(graph, NEWS, "gpt")?.mask[i])).toEqual(["planner", "researcher", "critic"]);
  });

  it("is empty where nothing was passed on", () => {
    expect(graphOf(TEAM, { edges: "data" })).toMatchObject({ nodes: [], edges: [] });
  });
});

describe("words of the graph", () => {
  it("mark what is estimated, unknown and failed", () => {
    const graph = graphOf();
    expect(lines(graph, at(graph, "llama-3.3-70b"))).toEqual(["~7.8k tokens · price ?", "1 call · 1.1 s"]);
    expect(lines(graph, at(graph, "check_links"))).toEqual(["no model calls", "350 ms"]);
    expect(lines(graph, at(graph, "section"))[1]).toBe("3 calls · median 2.42 s");
    const facts = Object.fromEntries(graphFacts(graph, "tokens", at(graph, "claude-sonnet-4-5")).map(({ label, value }) => [label, value]));
    expect(facts).toMatchObject({ Kind: "model, 6 calls", Failed: "1 call", Retries: "1", Callers: "3" });
    expect(itemText(graph, "tokens", at(graph, "critic"))).toContain("called by supervisor");
  });
});

describe("selections", () => {
  it("go to the rows of a node or an edge, and come back", () => {
    const graph = graphOf();
    for (let index = 0; index < graph.nodes.length + graph.edges.length; index++) {
      const selection = selectionFor(graph, TEAM, index);
      expect(selection.rows.length).toBeGreaterThan(0);
      expect(find(graph, TEAM, selection, index).index).toBe(index);
      if (index < graph.nodes.length) expect(nameAt(graph, find(graph, TEAM, selection, -1).index)).toBe(nameAt(graph, index));
    }
  });

  it("of one call, made in another view, mark the nodes that it is in", () => {
    const graph = graphOf();
    const call = Array.from({ length: TEAM.block.nodes }, (_, n) => n).find((n) => nameOf(TEAM.block, n) === "chat gpt-5-mini")!;
    const { index, within } = find(graph, TEAM, selectionAt(TEAM, call), -1);
    expect(index).toBe(-1);
    expect([...within].map((n) => nameAt(graph, n)).sort()).toEqual(["gpt-5-mini", "read_page"]);
  });

  it("are found by name, place and kind, also where a step is folded", () => {
    const found = (text: string, graph = graphOf()) => names(graph).filter((_, i) => searchGraph(graph, TEAM, text)?.mask[i]);
    expect(found("READ_")).toEqual(["read_all", "read_page"]);
    expect(found("critic.py")).toEqual(["critic"]);
    expect(found("main")).toEqual(["run_team"]);
    expect(found("check_links", graphOf(TEAM, { threshold: 0.02 }))).toEqual(["critic"]);
    expect(searchGraph(graphOf(), TEAM, "  ")).toBeNull();
  });
});

describe("the layout", () => {
  for (const orientation of ["across", "down"] as const) {
    it(`puts callees behind their callers, without overlap (${orientation})`, () => {
      const graph = graphOf();
      const placed = layout({ nodes: graph.nodes.length, edges: graph.edges, orientation });
      const flow = ({ x, y }: { x: number; y: number }) => (orientation === "across" ? x : y);
      for (const { from, to, back } of graph.edges) {
        if (!back) expect(flow(placed.nodes[to]!)).toBeGreaterThan(flow(placed.nodes[from]!));
      }
      placed.nodes.forEach((a, i) => placed.nodes.forEach((b, j) => {
        if (i < j) expect(Math.abs(a.x - b.x) >= NODE_WIDTH || Math.abs(a.y - b.y) >= NODE_HEIGHT).toBe(true);
      }));
      for (const { x, y } of placed.nodes) {
        expect(x).toBeGreaterThanOrEqual(0);
        expect(x + NODE_WIDTH).toBeLessThanOrEqual(placed.width);
        expect(y + NODE_HEIGHT).toBeLessThanOrEqual(placed.height);
      }
    });

    it(`lets arrows lead everywhere (${orientation})`, () => {
      const graph = graphOf();
      const placed = layout({ nodes: graph.nodes.length, edges: graph.edges, orientation });
      const seen = new Set([0]);
      const queue = [0];
      for (const from of queue) {
        for (const way of ["up", "down", "left", "right"] as const) {
          const to = step(graph, placed, orientation, from, way, -1);
          if (!seen.has(to)) queue.push(to);
          seen.add(to);
        }
      }
      expect(seen.size).toBe(graph.nodes.length);
    });
  }

  it("puts earlier steps first", () => {
    const graph = graphOf();
    const { nodes } = layout({ nodes: graph.nodes.length, edges: graph.edges, orientation: "across" });
    expect(nodes[at(graph, "researcher")]!.y).toBeLessThan(nodes[at(graph, "critic")]!.y);
  });

  it("goes back the way it came", () => {
    const graph = graphOf();
    const placed = layout({ nodes: graph.nodes.length, edges: graph.edges, orientation: "across" });
    const model = at(graph, "claude-sonnet-4-5");
    for (const caller of ["outline", "section", "supervisor"]) {
      expect(step(graph, placed, "across", model, "left", at(graph, caller))).toBe(at(graph, caller));
    }
  });
});

describe("the camera", () => {
  const drawing = { width: 2000, height: 400 };
  const room = { width: 1000, height: 500 };

  it("shows all of a drawing, never larger than life", () => {
    expect(fitted(drawing, room)).toEqual({ k: 0.5, x: 0, y: 150 });
    expect(fitted({ width: 100, height: 100 }, room).k).toBe(1);
  });

  it("keeps what is under the pointer", () => {
    const next = zoomed({ x: 10, y: 20, k: 1 }, 2, { x: 110, y: 220 });
    expect(next).toEqual({ k: 2, x: -90, y: -180 });
  });

  it("never loses the drawing out of sight", () => {
    const { x, y } = kept({ x: -9000, y: 9000, k: 1 }, drawing, room);
    expect(x + drawing.width).toBeGreaterThan(0);
    expect(y).toBeLessThan(room.height);
  });

  it("moves no more than it has to", () => {
    const sight = { x: 0, y: 0, k: 1 };
    expect(revealed(sight, { x: 100, y: 100, width: 200, height: 80 }, room)).toEqual(sight);
    expect(revealed(sight, { x: 1200, y: 100, width: 200, height: 80 }, room).x).toBe(1000 - 12 - 1400);
  });
});
