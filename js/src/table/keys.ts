// What a key means in a table of rows.

export type TableCommand =
  | "up" | "down" | "left" | "right" | "home" | "end" | "pageup" | "pagedown"
  | "open" | "pick" | "all" | "copy" | "clear" | "search";

const KEYS: Readonly<Record<string, TableCommand>> = {
  ArrowUp: "up", ArrowDown: "down", ArrowLeft: "left", ArrowRight: "right", Home: "home", End: "end", PageUp: "pageup", PageDown: "pagedown",
  Enter: "open", " ": "pick", Escape: "clear", "/": "search",
};
const WITH_CTRL: Readonly<Record<string, TableCommand>> = { a: "all", c: "copy", Home: "home", End: "end" };

export function tableKey({ key, ctrlKey, metaKey, altKey }: Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey">): TableCommand | undefined {
  if (altKey) return undefined;
  const keys = ctrlKey || metaKey ? WITH_CTRL : KEYS;
  return Object.hasOwn(keys, key) ? keys[key] : undefined;
}
