// Text for other programs, and how it gets onto the clipboard.

/** Whether the text got there. Pages without https have no clipboard interface, and some hosts forbid it. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyByHand(text);
  }
}

function copyByHand(text: string): boolean {
  const before = document.activeElement;
  const box = document.createElement("textarea");
  box.value = text;
  box.setAttribute("aria-hidden", "true");
  box.style.cssText = "position:fixed;top:0;left:0;width:1px;height:1px;opacity:0";
  document.body.append(box);
  box.select();
  let done = false;
  try {
    done = document.execCommand("copy");
  } catch {
    // not allowed here
  }
  box.remove();
  if (before instanceof HTMLElement) before.focus({ preventScroll: true });
  return done;
}

export type Cell = string | number;

/** Tab-separated, numbers in full and unknown ones empty, as spreadsheets take it. */
export function tsv(rows: readonly (readonly Cell[])[]): string {
  return rows.map((row) => row.map(field).join("\t")).join("\n") + "\n";
}

function field(cell: Cell): string {
  if (typeof cell === "number") return Number.isFinite(cell) ? String(Number(cell.toPrecision(12))) : "";
  const text = cell.replace(/[\t\r\n]+/g, " ");
  return /^[=+\-@]/.test(text) ? `'${text}` : text; // a spreadsheet would run it
}

/** A table of GitHub's Markdown: the first column of words, the others of figures. */
export function markdown(rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const [head = [], ...body] = rows.map((row) => row.map(escaped));
  const rule = head.map((_, at) => (at === 0 ? ":--" : "--:"));
  return [head, rule, ...body].map(line).join("\n") + "\n";
}

function escaped(text: string): string {
  return text.replace(/[\r\n]+/g, " ").replace(/[\\|`*_<>[\]$~]/g, "\\$&");
}
