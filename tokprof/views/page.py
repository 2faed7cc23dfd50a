"""Views without a kernel: the same front ends over a read-only model, in one piece of HTML that needs no network.

All views, their code and the blocks they show travel in one attribute: JSON, compressed, as base64. Sanitizers drop
the attribute and the script; what stands inside the element stays, and is shown wherever the script does not run.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from tokprof.views import STATIC
from tokprof.views.markup import unmathed
from tokprof.views.words import clean

if TYPE_CHECKING:
    from tokprof.profile import Profile

SNAPSHOT_NODES = 20_000
"""Nodes of the call tree that an interactive snapshot holds at most, some 20 bytes each; the lightest are summed up."""

PAGE_NODES = 200_000
"""Nodes of the call tree that a page of its own holds at most."""

# What a front end asks of its model. A view is mounted when it comes near the window, or the page is printed: a
# snapshot is hidden while the widget lives, and an element that is not shown has no size to draw in. Who sends learns
# that nobody listens.
_SHIM = """
const plain = async (text) => {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")));
};
const load = (source) => import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
const wake = async (root) => {
  const page = await (await plain(root.dataset.tokprof)).json();
  const view = async (text) => new DataView(await (await plain(text)).arrayBuffer());
  const blocks = await Promise.all(page.blocks.map(view));
  const style = document.createElement("style");
  style.textContent = page.css.join("");
  root.append(style);
  const made = [];
  for (const { front, block, state } of page.views) {
    const code = await (page.fronts[front].code ??= load(page.fronts[front].source));
    const values = { ...state, _block: blocks[block] };
    const model = {
      get: (name) => values[name],
      set: (name, value) => { values[name] = value; },
      on() {}, off() {}, save_changes() {}, send() { throw new Error("no kernel"); },
    };
    const el = document.createElement("div");
    el.className = "tokprof-view";
    root.append(el);
    made.push(code.default.render({ model, el, signal: new AbortController().signal }));
  }
  await Promise.all(made);
  for (const still of root.querySelectorAll(":scope > .tokprof-still")) still.hidden = true;
};
for (const root of document.querySelectorAll("[data-tokprof]:not([data-tokprof-seen])")) {
  root.dataset.tokprofSeen = "";
  const seen = () => {
    observer.disconnect();
    removeEventListener("beforeprint", printed);
    wake(root).catch((error) => {
      for (const view of root.querySelectorAll(":scope > .tokprof-view")) view.remove();
      console.warn("tokprof:", error);
    });
  };
  const printed = () => { if (root.getClientRects().length > 0) seen(); };
  const near = (entries) => { if (entries.some((entry) => entry.isIntersecting)) seen(); };
  const observer = new IntersectionObserver(near, { rootMargin: "4000px 0px" });
  observer.observe(root);
  addEventListener("beforeprint", printed);
}
"""


def snapshot(profile: Profile) -> str:
    """Give the interactive snapshot of a profile: the static one, which the views take the place of."""
    from tokprof.views.static import HIDE

    still = profile.snapshot().replace(HIDE, "", 1)
    return HIDE + unmathed(alive(profile, SNAPSHOT_NODES, still), "tokprof-static")


def render(profile: Profile) -> str:
    """Give a whole page with all views of a profile, and its tables below them."""
    from tokprof.views.static import tables

    body = alive(profile, PAGE_NODES, "") + tables(profile.table, profile.totals)
    return document(f"tokprof {profile.title}", body)


def alive(profile: Profile, nodes: int, still: str) -> str:
    """Give an element with all views of a profile.

    Parameters
    ----------
    profile : Profile
    nodes : int
        Of the call tree at most.
    still : str
        HTML that is shown where scripts do not run.
    """
    from tokprof.analysis.tree import build
    from tokprof.views.border import describe, pack
    from tokprof.views.prune import prune
    from tokprof.views.summary import final_state

    table, whole = profile.table, build(profile.table)
    shown = prune(whole, nodes)
    block = pack(
        table, shown, describe(profile.title, profile.totals, len(shown) < len(whole)), prompts=True, flows=True
    )
    common: dict[str, Any] = {"_profile": profile.id, "_selected": {}}
    views = [
        _view("summary", None, {"_state": final_state(profile), **common}),
        _view("flamegraph", 0, {"metric": profile._metric, "height": 420, **common}),
        _view("dag", 0, {"metric": profile._metric, "height": 420, **common}),
        _view("costs", 0, {"by": ["model"], "height": 420, **common}),
    ]
    if not profile.totals.calls:
        views = views[1:2]
    return element(views, [block], still)


def _view(front: str, block: int | None, state: dict[str, Any]) -> dict[str, Any]:
    return {"front": front, "block": block, "state": state}


def element(views: Sequence[dict[str, Any]], blocks: Sequence[bytes], still: str) -> str:
    """Give the element that shows some views.

    Parameters
    ----------
    views : sequence of dict
        ``front``, the stem of a bundle; ``block``, an index into `blocks` or None; ``state``, values of the traits.
    blocks : sequence of bytes
        As `tokprof.views.border.pack` makes them.
    still : str
        HTML that is shown where scripts do not run.
    """
    fronts = dict.fromkeys(view["front"] for view in views)
    page = {
        "views": views,
        "blocks": [_packed(block) for block in blocks],
        "fronts": {front: {"source": (STATIC / f"{front}.js").read_text("utf-8")} for front in fronts},
        "css": [(STATIC / f"{front}.css").read_text("utf-8") for front in fronts],
    }
    data = _packed(json.dumps(page, separators=(",", ":")).encode())
    inside = f'<div class="tokprof-still">{still}</div>' if still else ""
    return f'<div class="tokprof-alive" data-tokprof="{data}">{inside}</div><script type="module">{_SHIM}</script>'


def _packed(data: bytes) -> str:
    """Compressed; without a time, so that the same profile is the same text."""
    return base64.b64encode(gzip.compress(data, mtime=0)).decode()


def document(title: str, body: str) -> str:
    """A whole page around `body`."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(clean(title))}</title>"
        "<style>body{font:14px/1.5 system-ui,sans-serif;max-width:1100px;margin:2rem auto;padding:0 1rem;"
        "background:Canvas;color:CanvasText}body>table{border-collapse:collapse;margin:1rem 0;"
        "display:block;max-width:100%;overflow-x:auto}"
        "body>table th{text-align:right}body>table th:first-child{text-align:left}"
        "body>table th,body>table td{padding:.2rem .7rem;"
        "border-bottom:1px solid color-mix(in srgb,CanvasText 15%,Canvas)}"
        "@media (scripting:enabled){.tokprof-alive:empty{min-height:90vh}}"
        ".tokprof-view{margin:0 0 1rem}@media print{.tokprof-view{break-inside:avoid}}</style>"
        f"</head><body>{body}</body></html>"
    )
