// Elements without a framework. Text goes in as text nodes only: every name in a profile is hostile.

type Value = string | number | boolean | undefined | ((event: never) => void);

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, Value> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value as unknown as EventListener);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children);
  return element;
}

/** Toggles between a few choices; arrows move inside, Tab goes past it. */
export function segmented<T extends string>(
  label: string,
  testid: string,
  choices: readonly (readonly [T, string])[],
  value: T,
  changed: (value: T) => void,
): { element: HTMLElement; set: (value: T) => void } {
  const buttons = choices.map(([key, text]) =>
    h("button", { type: "button", role: "radio", "data-value": key, "data-testid": `${testid}-${key}` }, text),
  );
  const set = (next: T) => {
    for (const button of buttons) {
      const on = button.dataset["value"] === next;
      button.setAttribute("aria-checked", String(on));
      button.tabIndex = on ? 0 : -1;
    }
  };
  const choose = (button: HTMLButtonElement) => {
    const next = button.dataset["value"] as T;
    set(next);
    changed(next);
  };
  buttons.forEach((button, i) => {
    button.addEventListener("click", () => choose(button));
    button.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const next = buttons[(i + step + buttons.length) % buttons.length]!;
      next.focus();
      choose(next);
    });
  });
  const element = h("div", { class: "tp-segmented", role: "radiogroup", "aria-label": label, "data-testid": testid }, ...buttons);
  set(value);
  return { element, set };
}
