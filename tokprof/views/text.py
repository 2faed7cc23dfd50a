"""The token tree as plain text, for terminals and as the fallback of every view."""

from __future__ import annotations

from collections.abc import Sequence

from tokprof.analysis.books import COST, TOKENS, Floats
from tokprof.analysis.rollup import Totals
from tokprof.analysis.tree import Tree
from tokprof.views.words import bounded, clean, doubts, seconds, summary, tokens, usd, usd_places

_NODES = 60  # lines of a tree that a reader still takes in
_WIDTHS = (10, 4, 10, 5, 8)  # of the columns of figures, at least


def render(title: str, tree: Tree, totals: Totals, limit: int = _NODES, marks: Sequence[str] = ()) -> str:
    """Draw the tree, largest branch first, figures on the left so that they line up at any depth.

    Parameters
    ----------
    title : str
    tree : Tree
        Merged.
    totals : Totals
    limit : int
        Lines of the tree; what is left out is counted.
    marks : sequence of str
        Where budgets were reached.
    """
    head = f"tokprof {clean(title)}: {' · '.join(summary(totals))}"
    said = [f"■ {clean(mark, 300)}" for mark in marks]
    if not totals.calls:
        return "\n".join([head, *said])
    order, hidden = _walk(tree, limit)
    places = usd_places(tree.total[node, COST] for node, _ in order)
    spent = tree.tokens
    rows = [("tokens", "%", "cost", "calls", "time")] + [_figures(tree, spent, node, places) for node, _ in order]
    widths = [max(least, *map(len, column)) for least, column in zip(_WIDTHS, zip(*rows, strict=True), strict=True)]
    figures = [" ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines = [head, *said, *doubts(totals)]
    if any(tree.side_by_side(node) for node, _ in order):
        lines.append("Σ: time added up over calls or steps that ran side by side.")
    lines += ["", figures[0]]
    lines += [f"{row}  {prefix}{_label(tree, node)}" for row, (node, prefix) in zip(figures[1:], order, strict=True)]
    if hidden:
        lines.append(f"{'':>{len(figures[0])}}  … {hidden:,} more")
    return "\n".join(lines)


def _figures(tree: Tree, spent: Floats, node: int, places: int) -> tuple[str, ...]:
    used = spent[node]
    whole = max(1.0, spent[0])
    cost = bounded(usd(tree.total[node, COST], places), tree.evidence.bound(node, COST))
    return (
        bounded(tokens(used), tree.evidence.bound(node, TOKENS)),
        f"{used / whole:.0%}",
        "-" if tree.evidence.none(node, COST) else cost,
        f"{tree.calls[node]:,}",
        f"{'Σ ' if tree.side_by_side(node) else ''}{seconds(tree.busy[node])}",
    )


def _label(tree: Tree, node: int) -> str:
    kind, name = tree.kind[node], tree.name[node]
    label = clean(name)
    if len(tree.rows[node]) > 1:
        label += f" ×{len(tree.rows[node])}"
    if tree.failed[node]:
        label += f" ✕{tree.failed[node]}"
    if tree.retried[node]:
        label += f" ↻{tree.retried[node]}"
    if tree.where[node] and kind == "frame" and tree.where[node] != name:
        label += f"  {clean(tree.where[node])}"
    if kind not in ("frame", "llm", "cell", "profile"):
        label += f"  [{kind}]"
    models = [model for model in tree.models[node] if model not in name]
    if models:
        label += f"  {clean(', '.join(models), 60)}"
    return label


def _walk(tree: Tree, limit: int) -> tuple[list[tuple[int, str]], int]:
    """Nodes with the lines that lead to them, heaviest first; the lightest are left out beyond `limit`."""
    children: list[list[int]] = [[] for _ in range(len(tree))]
    for node in range(1, len(tree)):
        children[tree.parent[node]].append(node)
    weight = tree.tokens

    def rank(node: int) -> tuple[float, int]:
        return -weight[node], -int(tree.calls[node])

    shown = set(sorted(range(len(tree)), key=lambda node: (node != 0, *rank(node), node))[:limit])
    for node in sorted(shown):  # a node is drawn below its parents only
        while node > 0 and tree.parent[node] not in shown:
            node = tree.parent[node]
            shown.add(node)
    order: list[tuple[int, str]] = []
    todo: list[tuple[int, str, str]] = [(0, "", "")]
    while todo:
        node, prefix, below = todo.pop()
        order.append((node, prefix))
        kids = sorted((kid for kid in children[node] if kid in shown), key=rank)
        for index, kid in enumerate(reversed(kids)):
            last = index == 0
            todo.append((kid, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  ")))
    return order, len(tree) - len(order)
