"""Self-contained HTML: the same front ends over a read-only model, without kernel, widget manager or network."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from html import escape
from typing import Any

from tokprof.views import STATIC
from tokprof.views.words import clean

# What a front end asks of its model, over plain JSON state; `_block` travels as base64.
_SHIM = """
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
function model(state) {
  const values = { ...state, _block: new DataView(bytes(state._block).buffer) };
  return {
    get: (name) => values[name],
    set: (name, value) => { values[name] = value; },
    on() {}, off() {}, save_changes() {}, send() {},
  };
}
const load = (source) => import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
const text = (id) => JSON.parse(document.getElementById(id).textContent);
const front = await load(text("tokprof-flamegraph-js"));
for (const [id, state] of Object.entries(text("tokprof-states"))) {
  for (const el of document.querySelectorAll(`[data-tokprof="${id}"]`)) {
    el.replaceChildren();
    await front.default.render({ model: model(state), el, signal: new AbortController().signal });
  }
}
"""


def state_of(block: bytes, metric: str) -> dict[str, Any]:
    """State of a flamegraph for `scripts`."""
    return {"_block": base64.b64encode(block).decode(), "metric": metric, "_selected": -1, "height": 420}


def scripts(states: Mapping[str, Mapping[str, Any]]) -> str:
    """Script and style elements that bring ``<div data-tokprof="ID">`` to life, for each ID of `states`."""
    css = (STATIC / "flamegraph.css").read_text()
    code = (STATIC / "flamegraph.js").read_text()
    return (
        f"<style>{css}</style>"
        f'<script type="application/json" id="tokprof-flamegraph-js">{_json(code)}</script>'
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
