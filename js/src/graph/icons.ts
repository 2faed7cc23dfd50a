// A small picture of each kind of step, 14 by 14, drawn with lines.
import type { GraphNode } from "./graph.ts";

const ICONS: Readonly<Record<string, string>> = {
  // a cell: brackets; a function: ƒ; a line of a cell or a file
  cell: "M5 2.5H2.5v9H5M9 2.5h2.5v9H9",
  frame: "M10.5 2.6C8 1.9 7.6 3.6 7.2 6.2L6.6 9.6C6.2 11.8 5.2 12.2 3.6 11.6M4.4 6.2H10",
  line: "M2.5 3.5h5M4.5 7h7M2.5 10.5h6",
  // an agent: a head with two eyes and an aerial
  agent: "M2.5 5.2h9v6.3h-9zM7 5.2V2.4M5.2 7.6v1.4M8.8 7.6v1.4",
  tool: "M8.4 5.6L3 11a1 1 0 0 1-1.4-1.4L7 4.2M7 4.2a2.9 2.9 0 0 1 4-2.3L9.2 3.7l1.2 1.2 1.8-1.8a2.9 2.9 0 0 1-3.8 2.5",
  model: "M7 1.8L8.4 5.6 12.2 7 8.4 8.4 7 12.2 5.6 8.4 1.8 7 5.6 5.6z",
  retriever: "M6.2 2.2a4 4 0 1 1 0 8 4 4 0 0 1 0-8M9.2 9.2L12 12",
  guardrail: "M7 1.8L11.5 3.4V7c0 2.6-2 4.2-4.5 5.2C4.5 11.2 2.5 9.6 2.5 7V3.4z",
};
const STEP = "M2.5 4h9M2.5 7h9M2.5 10h6";

export function iconOf({ kind, model, name, where }: GraphNode): string {
  if (model) return ICONS["model"]!;
  if (kind === "frame" && name === where) return ICONS["line"]!;
  if (kind === "profile") return ICONS["cell"]!;
  return Object.hasOwn(ICONS, kind) ? ICONS[kind]! : STEP;
}
