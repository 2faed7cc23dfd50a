// Between the traits of the summary and its card: one paint a frame, however often the kernel sends.
import type { AnyModel, RenderProps } from "@anywidget/types";
import { asSelection, join, NOTHING, sameSelection, type Selection } from "../bus.ts";
import { h } from "../dom.ts";
import { SummaryCard } from "./card.ts";
import { asState } from "./summary.ts";

/** Traits of `tokprof.views.summary.Summary`. */
export interface SummaryTraits {
  _state: unknown;
  _profile: string;
  _selected: unknown;
}

export function mountSummary({ model: given, el, signal: outer }: RenderProps<SummaryTraits>): () => void {
  const model = given as unknown as AnyModel<SummaryTraits>;
  const own = new AbortController();
  outer?.addEventListener("abort", () => own.abort());
  let shown: Selection = NOTHING;
  const showSelection = (selection: Selection) => {
    shown = selection;
    card.showSelection(selection);
  };
  const member = join(model.get("_profile") || crypto.randomUUID(), showSelection, own.signal);
  const card = new SummaryCard(asState(model.get("_state")), (selection) => {
    if (sameSelection(selection, shown)) return;
    showSelection(selection);
    member.tell(selection);
    try {
      model.send({ type: "select", rows: selection.rows, label: selection.label });
    } catch {
      // without a kernel nobody listens
    }
  });
  const root = h("div", { class: "tokprof tokprof-live", "data-testid": "tokprof-root-summary" }, card.element);
  el.append(root);

  let frame = 0;
  const paint = () => {
    frame = 0;
    card.show(asState(model.get("_state")));
    card.showSelection(shown);
  };
  const changed = () => {
    // A page that is not looked at gets no frames; what it shows last must be right all the same.
    if (document.hidden) paint();
    else frame ||= requestAnimationFrame(paint);
  };
  const onSelected = () => {
    const selection = asSelection(model.get("_selected"));
    showSelection(selection);
    member.tell(selection);
  };
  model.on("change:_state", changed);
  model.on("change:_selected", onSelected);
  own.signal.addEventListener("abort", () => {
    cancelAnimationFrame(frame);
    model.off("change:_state", changed);
    model.off("change:_selected", onSelected);
    root.remove();
  });
  showSelection(member.now());
  return () => own.abort();
}
