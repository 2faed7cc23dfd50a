"""The flamegraph as a still picture: SVG without script, readable on light and dark."""

from __future__ import annotations

from html import escape

from tokprof.analysis.books import EMBEDDING, TOKENS
from tokprof.analysis.tree import Tree
from tokprof.table import Table
from tokprof.views.colors import FRAME, STEP, assign
from tokprof.views.words import clean, seconds, spent

_WIDTH = 960
_ROW = 20
_SMALLEST = 1.0  # px
_DEPTH = 24  # rows; what is deeper is in the live view


def render(table: Table, tree: Tree) -> str:
    """Draw the merged tree, width by tokens (by time where no tokens are known).

    Returns
    -------
    str
        An SVG document of 960 px; at most a few hundred boxes, whatever the profile's size.
    """
    weight = tree.tokens
    by_time = not weight[0]
    if by_time:
        weight = tree.busy
    models = _models(table, tree)
    heavy: dict[str, float] = {}
    for model, heaviness in zip(models, weight.tolist(), strict=True):
        if model:
            heavy[model] = heavy.get(model, 0.0) + heaviness
    colours = assign(sorted(heavy, key=lambda model: -heavy[model]))
    used = tree.tokens
    boxes: list[str] = []
    left = [0.0] * len(tree)
    offset = [0.0] * len(tree)
    depth = tree.depths()
    scale = _WIDTH / (weight[0] or 1.0)
    deepest = 0
    for node in range(len(tree)):
        parent = tree.parent[node]
        if parent >= 0:
            left[node] = left[parent] + offset[parent]
            offset[parent] += weight[node] * scale
        width = weight[node] * scale
        if width < _SMALLEST or depth[node] >= _DEPTH:
            continue
        deepest = max(deepest, depth[node])
        model = models[node]
        fill = colours[model] if model else FRAME if tree.kind[node] == "frame" else STEP
        figure = spent(used[node], tree.total[node, EMBEDDING], tree.evidence.bound(node, TOKENS))
        if by_time:
            figure = f"{seconds(weight[node])}, {figure}"
        boxes.append(_box(left[node], depth[node] * _ROW, width, fill, tree.name[node], tree.where[node], figure))
    height = (deepest + 1) * _ROW
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="system-ui,Segoe UI,Helvetica,Arial,sans-serif" font-size="11.5" fill="#16202b">'
        + "".join(boxes)
        + "</svg>"
    )


def _box(x: float, y: int, width: float, fill: str, name: str, where: str, figure: str) -> str:
    label, where = clean(name), clean(where)
    title = escape(f"{label} {where}: {figure}" if where and where != label else f"{label}: {figure}")
    room = int((width - 8) / 6.3)
    text = ""
    if room >= 3:
        full = f"{label}  {figure}"
        shown = full if len(full) <= room else label if len(label) <= room else label[: room - 1] + "…"
        text = f'<text x="{x + 5:.1f}" y="{y + 14}">{escape(shown)}</text>'
    return (
        f'<g><title>{title}</title><rect x="{x:.1f}" y="{y}" width="{max(width - 1, 0.6):.1f}" height="{_ROW - 1}" '
        f'rx="2" fill="{fill}"/>{text}</g>'
    )


def _models(table: Table, tree: Tree) -> list[str | None]:
    found: list[str | None] = []
    for rows in tree.rows:
        span = table.spans[rows[0]] if rows else None
        found.append((span.model or span.request_model) if span and span.source is not None else None)
    return found
