"""Self-contained HTML: the same front ends over a read-only model, without kernel, widget manager or network."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from html import escape
from typing import Any

from tokprof.views import STATIC
from tokprof.views.words import clean

# What a front end asks of its model, over plain JSON state; `_block` travels as base64, or as the id of the state that
# has it. Who sends learns that nobody listens.
_SHIM = """
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
function model(state) {
  const block = (states[state._block] ?? state)._block;
  const values = { ...state, _block: new DataView(bytes(block).buffer) };
  return {
    get: (name) => values[name],
    set: (name, value) => { values[name] = value; },
    on() {}, off() {}, save_changes() {}, send() { throw new Error("no kernel"); },
  };
}
const load = (source) => import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
const text = (id) => JSON.parse(document.getElementById(id).textContent);
const states = text("tokprof-states");
const fronts = {};
for (const [id, state] of Object.entries(states)) {
  const view = state._view ?? "flamegraph";
  const front = await (fronts[view] ??= load(text(`tokprof-${view}-js`)));
  for (const el of document.querySelectorAll(`[data-tokprof="${id}"]`)) {
    el.replaceChildren();
    await front.default.render({ model: model(state), el, signal: new AbortController().signal });
  }
}
"""


def state_of(block: bytes | str, profile: str, view: str = "flamegraph", **traits: Any) -> dict[str, Any]:
    """State of a view for `scripts`; `block` is one, or the id of the state that has it too."""
    packed = block if isinstance(block, str) else base64.b64encode(block).decode()
    return {"_view": view, "_block": packed, "_selected": {}, "_profile": profile, "height": 420, **traits}


def scripts(states: Mapping[str, Mapping[str, Any]]) -> str:
    """Script and style elements that bring ``<div data-tokprof="ID">`` to life, for each ID of `states`."""
    views = sorted({state.get("_view", "flamegraph") for state in states.values()} or {"flamegraph"})
    css = "".join((STATIC / f"{view}.css").read_text() for view in views)
    code = "".join(
        f'<script type="application/json" id="tokprof-{view}-js">{_json((STATIC / f"{view}.js").read_text())}</script>'
        for view in views
    )
    return (
        f"<style>{css}</style>"
        f"{code}"
        f'<script type="application/json" id="tokprof-states">{_json(states)}</script>'
        f'<script type="module">{_SHIM}</script>'
    )


def document(title: str, body: str, states: Mapping[str, Mapping[str, Any]]) -> str:
    """A whole page around `body`."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(clean(title))}</title>"
        "<style>body{font:14px/1.5 system-ui,sans-serif;max-width:1100px;margin:2rem auto;padding:0 1rem;"
        "background:Canvas;color:CanvasText}table{border-collapse:collapse;margin:1rem 0;"
        "display:block;max-width:100%;overflow-x:auto}"
        "th{text-align:right}th:first-child{text-align:left}"
        "th,td{padding:.2rem .7rem;border-bottom:1px solid color-mix(in srgb,CanvasText 15%,Canvas)}</style>"
        f"</head><body>{body}{scripts(states)}</body></html>"
    )


def _json(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(value).replace("<", "\\u003c")
