"""The flamegraph of the differences between two profiles: SVG without script, readable on light and dark.

A box is as wide as the larger of before and after, so that what is gone is still seen. Colour is the change by that
width; the signs ``▲`` and ``▼`` say the same without colour.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import numpy as np

from tokprof.analysis.compare import MEASURES, Merged
from tokprof.views.words import clean

_WIDTH = 960
_ROW = 20
_SMALLEST = 1.0  # px
_DEPTH = 24
MORE, LESS, _SAME = (213, 94, 0), (86, 180, 233), (201, 206, 214)  # of Okabe and Ito: told apart by everybody


def render(merged: Merged, measure: str, write: Callable[[float], str]) -> str:
    """Draw the merged tree.

    Parameters
    ----------
    merged : Merged
    measure : str
        Of `tokprof.analysis.compare.MEASURES`.
    write : callable
        Figure to words.

    Returns
    -------
    str
        An SVG document of 960 px.
    """
    at = MEASURES.index(measure)
    before = merged.total.before.mean(axis=0)[:, at]
    after = merged.total.after.mean(axis=0)[:, at]
    widest = np.maximum(np.nan_to_num(before), np.nan_to_num(after))
    n = len(merged.parent)
    weight = widest.copy()
    below = np.zeros(n)
    for node in range(n - 1, 0, -1):  # what changed places needs room on both
        weight[node] = max(weight[node], below[node])
        below[merged.parent[node]] += weight[node]
    weight[:1] = np.maximum(weight[:1], below[:1])
    scale = _WIDTH / (weight[0] if n and weight[0] > 0 else 1.0)
    left, offset = [0.0] * n, [0.0] * n
    boxes: list[str] = []
    deepest = 0
    for node in range(n):
        up, depth = merged.parent[node], merged.depth[node]
        if up >= 0:
            left[node] = left[up] + offset[up]
            offset[up] += weight[node] * scale
        if weight[node] * scale < _SMALLEST or depth >= _DEPTH:
            continue
        deepest = max(deepest, depth)
        name, where = merged.names[node], merged.keys[node][2]
        said, fill = _change(float(before[node]), float(after[node]), write)
        boxes.append(_box(left[node], depth * _ROW, weight[node] * scale, fill, f"{clean(name)} {where}".strip(), said))
    height = (deepest + 1) * _ROW
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        f'role="img" aria-label="Differences of {measure}" '
        'font-family="system-ui,Segoe UI,Helvetica,Arial,sans-serif" font-size="11.5" fill="#16202b">'
        + "".join(boxes)
        + "</svg>"
    )


def _change(before: float, after: float, write: Callable[[float], str]) -> tuple[str, str]:
    """The change in words, and its colour."""
    if np.isnan(before) or np.isnan(after):
        return "? not known on both sides", mixed(_SAME, _SAME, 0)
    delta = after - before
    if delta == 0:
        return f"= {write(after)}", mixed(_SAME, _SAME, 0)
    share = abs(delta) / max(before, after)
    sign, towards = ("▲ +", MORE) if delta > 0 else ("▼ -", LESS)
    return f"{sign}{write(abs(delta))} ({write(before)} → {write(after)})", mixed(_SAME, towards, 0.25 + 0.75 * share)


def mixed(base: tuple[int, int, int], towards: tuple[int, int, int], share: float) -> str:
    """Give a colour between two, as CSS writes it."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(base, towards, strict=True))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _box(x: float, y: int, width: float, fill: str, label: str, said: str) -> str:
    room = int((width - 8) / 6.3)
    text = ""
    if room >= 3:
        full = f"{said.split(' (')[0]}  {label}"
        shown = full if len(full) <= room else f"{said[0]} {label}"
        shown = shown if len(shown) <= room else shown[: room - 1] + "…"
        text = f'<text x="{x + 5:.1f}" y="{y + 14}">{escape(shown)}</text>'
    return (
        f'<g><title>{escape(f"{label}: {said}")}</title><rect x="{x:.1f}" y="{y}" width="{max(width - 1, 0.6):.1f}" '
        f'height="{_ROW - 1}" rx="2" fill="{fill}"/>{text}</g>'
    )
