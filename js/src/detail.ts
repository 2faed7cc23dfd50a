// Everything about one call: its figures and the arithmetic of its cost from the block, the rest from the kernel.
import { copyText } from "./clipboard.ts";
import { h } from "./dom.ts";
import { facts, label } from "./facts.ts";
import { dollars, integer, plain } from "./format.ts";
import type { Detail, Host } from "./mount.ts";
import { kindOf, nameOf, stringOf, type Tree } from "./tree.ts";

const PAUSE_MS = 120;
const SAID_MS = 1500;
// Control characters but tabs and line ends, and marks that turn the direction of what follows.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

const NO_KERNEL = "No kernel answers. Prompts and answers stay in its memory; they are in no notebook and no file.";
const NOT_CAPTURED = "Not captured: run the cell with --capture full.";

export class DetailPanel {
  readonly element = h("aside", { class: "tp-detail", "aria-label": "Chosen call", "data-testid": "tokprof-detail" });
  private readonly content = h("div", { class: "tp-detail-body", tabindex: 0 });
  private readonly name = h("strong", {});
  /** Row and status of the call that the kernel was asked for, and what of it is in the page. */
  private asked = "";
  private drawn = "";
  private call: { tree: Tree; node: number } | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private answer: Detail | null | undefined;

  constructor(private readonly ask: Host["detail"], closed: () => void, signal: AbortSignal) {
    const close = h("button", { type: "button", class: "tp-close", "aria-label": "Close", "data-testid": "tokprof-detail-close", click: closed }, "×");
    this.element.append(h("header", {}, this.name, close), this.content);
    this.element.hidden = true;
    signal.addEventListener("abort", () => clearTimeout(this.timer));
  }

  /** Shows a call; the kernel is asked once it has stayed for a moment. */
  show(tree: Tree, node: number): void {
    const { block } = tree;
    const row = block.row[node]!;
    const asked = `${row} ${block.status[node]}`;
    this.call = { tree, node };
    this.element.hidden = false;
    if (asked !== this.asked) {
      if (row !== Number.parseInt(this.asked)) this.content.scrollTop = 0;
      this.asked = asked;
      this.answer = undefined;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => void this.fetch(row, asked), PAUSE_MS);
    }
    // A running cell sends a block many times a second; a reader may have marked a text.
    const drawn = JSON.stringify([asked, facts(tree, "tokens", node), block.cost[node], this.answer === undefined]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.render(tree, node);
  }

  hide(): void {
    clearTimeout(this.timer);
    this.asked = this.drawn = "";
    this.call = null;
    this.element.hidden = true;
  }

  private async fetch(row: number, asked: string): Promise<void> {
    const answer = await this.ask(row);
    if (this.asked !== asked || !this.call) return;
    this.answer = answer;
    this.show(this.call.tree, this.call.node);
  }

  private render(tree: Tree, node: number): void {
    const { answer } = this;
    this.name.textContent = label(tree, node);
    this.element.setAttribute("aria-busy", String(answer === undefined));
    const kept = (text: string | null | undefined, length: number | undefined) => {
      if (answer === undefined) return h("p", { class: "tp-quiet" }, "Asking the kernel …");
      if (answer === null) return h("p", { class: "tp-quiet" }, NO_KERNEL);
      if (text === null || text === undefined) return h("p", { class: "tp-quiet" }, NOT_CAPTURED);
      const cut = (length ?? 0) > text.length ? [h("p", { class: "tp-quiet" }, `The first ${integer(text.length)} of ${integer(length!)} characters.`)] : [];
      return h("div", {}, ...cut, pre(text));
    };
    const sections = [
      factsOf(tree, node),
      section("cost", "Cost", costOf(tree, node)),
      section("prompt", "Prompt", kept(answer?.prompt, answer?.length[0]), answer?.prompt),
      section("answer", "Answer", kept(answer?.answer, answer?.length[1]), answer?.answer),
    ];
    if (answer?.parameters) sections.push(section("parameters", "Parameters", pre(answer.parameters), answer.parameters));
    if (answer) {
      const told = answer.usage ? pre(answer.usage) : h("p", { class: "tp-quiet" }, "The provider told no usage.");
      sections.push(section("usage", "Usage, as the provider gave it", told, answer.usage));
    }
    const stack = answer ? answer.stack : stackOf(tree, node);
    if (stack.length > 0) sections.push(section("stack", "Stack", listOf(stack), stack.map(([f, where]) => `${f} (${where})`).join("\n")));
    const tags = Object.entries(answer?.tags ?? {});
    if (tags.length > 0) sections.push(section("tags", "Tags", pairs(tags.map(([key, value]) => [plain(key, 60), plain(value)]))));
    const top = this.content.scrollTop;
    this.content.replaceChildren(...sections);
    this.content.scrollTop = top;
  }
}

function factsOf(tree: Tree, node: number): HTMLElement {
  const { block } = tree;
  const more: [string, string][] = [
    ["Provider", stringOf(block, block.provider[node])],
    ["Tier", stringOf(block, block.tier[node])],
    ["Ended by", stringOf(block, block.finish[node])],
  ];
  const known = facts(tree, "tokens", node).filter(({ label: name }) => name !== "Share");
  const at = known.findIndex(({ label: name }) => name === "Model") + 1;
  known.splice(at, 0, ...more.filter(([, value]) => value).map(([name, value]) => ({ label: name, value: plain(value, 120) })));
  return h(
    "dl",
    { class: "tp-facts" },
    ...known.map((fact) => h("div", { class: `tp-fact${fact.tone ? ` tp-${fact.tone}` : ""}` }, h("dt", {}, fact.label), h("dd", {}, fact.value))),
  );
}

function pairs(list: readonly (readonly [string, string])[]): HTMLElement {
  return h("dl", { class: "tp-facts" }, ...list.map(([name, value]) => h("div", { class: "tp-fact" }, h("dt", {}, name), h("dd", {}, value))));
}

const PRICED: Readonly<Record<string, string>> = {
  reported: "Told by the provider.",
  priced: "By the list of prices that comes with tokprof.",
  custom: "By a price of yours.",
  cached: "Answered from a cache: nothing was billed.",
};

export interface CostLine {
  readonly name: string;
  readonly tokens: number;
  readonly usd: number;
}

/** What was paid for; null where the price is not known. */
export function arithmetic({ block }: Tree, node: number): CostLine[] | null {
  const cost = block.cost[node]!;
  if (Number.isNaN(cost)) return null;
  const cached = block.cache_read[node]!;
  const written = block.cache_write[node]!;
  const lines = [
    { name: cached || written ? "fresh input" : "input", tokens: block.input[node]! + block.embedding[node]! - cached - written, usd: block.cost_input[node]! },
    { name: "cache reads", tokens: cached, usd: block.cost_cache_read[node]! },
    { name: "cache writes", tokens: written, usd: block.cost_cache_write[node]! },
    { name: "output", tokens: block.output[node]!, usd: block.cost_output[node]! },
  ];
  const rest = cost - lines.reduce((sum, { usd }) => sum + usd, 0);
  const known = lines.filter(({ tokens, usd }) => usd > 0 || (tokens > 0 && Math.abs(rest) < 1e-9));
  if (rest > 1e-9) known.push({ name: known.length > 0 ? "not split" : "told as a whole", tokens: 0, usd: rest });
  return known;
}

function costOf(tree: Tree, node: number): HTMLElement {
  const { block } = tree;
  const lines = arithmetic(tree, node);
  const source = PRICED[block.pricings[block.priced[node]!] ?? ""] ?? "";
  if (!lines) {
    const model = plain(stringOf(block, block.model[node]), 80) || kindOf(block, node);
    return h("p", { class: "tp-quiet" }, `No price is known for ${model}; tokprof.prices.add(...) sets one.`);
  }
  const rate = ({ tokens, usd }: CostLine) => (tokens > 0 ? `${dollars((usd / tokens) * 1e6)} / M` : "");
  const cell = (text: string) => h("td", {}, text);
  const rows = lines.map((line) =>
    h("tr", {}, h("th", { scope: "row" }, line.name), cell(line.tokens > 0 ? integer(line.tokens) : ""), cell(rate(line)), cell(dollars(line.usd))),
  );
  const total = h("tr", { class: "tp-sum" }, h("th", { scope: "row" }, "total"), cell(""), cell(""), cell(dollars(block.cost[node]!)));
  const heads = ["", "Tokens", "× price", "= USD"].map((text) => h("th", { scope: "col" }, text));
  const table = h("table", { class: "tp-arithmetic" }, h("thead", {}, h("tr", {}, ...heads)), h("tbody", {}, ...rows, total));
  return h("div", {}, table, ...(source ? [h("p", { class: "tp-quiet" }, source)] : []));
}

function stackOf({ block }: Tree, node: number): [string, string, number][] {
  const frames: [string, string, number][] = [];
  for (let at = block.parent[node]!; at > 0; at = block.parent[at]!) {
    frames.unshift([nameOf(block, at), stringOf(block, block.where[at]), 0]);
  }
  return frames;
}

function listOf(stack: readonly (readonly [string, string, number])[]): HTMLElement {
  return h("ol", { class: "tp-stack" }, ...stack.map(([name, where, folded]) =>
    h("li", {}, plain(name, 120), h("span", { class: "tp-note" }, plain(where, 120)),
      ...(folded > 0 ? [h("span", { class: "tp-note" }, `· ${integer(folded)} of libraries`)] : [])),
  ));
}

function pre(text: string): HTMLElement {
  return h("pre", { tabindex: 0 }, readable(text).replace(UNSEEN, "\ufffd"));
}

/** JSON with a line for each of its parts; other text as it is. */
function readable(text: string): string {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text; // cut short, or no JSON
  }
}

function section(id: string, title: string, content: HTMLElement, copied?: string | null): HTMLElement {
  const head = h("h4", {}, title);
  const parts: HTMLElement[] = [head];
  if (copied) {
    const button = h("button", { type: "button", class: "tp-copy", "aria-label": `Copy: ${title}`, "data-testid": `tokprof-copy-${id}` }, "Copy");
    button.addEventListener("click", () => {
      void copyText(copied).then((done) => say(button, done ? "Copied" : "Not allowed here", "Copy"));
    });
    parts.push(button);
  }
  return h("section", { "data-testid": `tokprof-detail-${id}` }, h("div", { class: "tp-section-head" }, ...parts), content);
}

/** Answers on a button for a moment. */
export function say(button: HTMLElement, text: string, then: string): void {
  button.textContent = text;
  setTimeout(() => (button.textContent = then), SAID_MS);
}
