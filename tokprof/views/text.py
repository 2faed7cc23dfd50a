"""The token tree as plain text, for terminals and as the fallback of every view."""

from __future__ import annotations

from tokprof.analysis.rollup import Totals
from tokprof.analysis.tree import Tree
from tokprof.views.words import clean, doubts, seconds, summary, tokens, usd

_NODES = 60  # lines of a tree that a reader still takes in


def render(title: str, tree: Tree, totals: Totals, limit: int = _NODES) -> str:
    """Draw the tree, largest branch first, figures on the left so that they line up at any depth.

    Parameters
    ----------
    title : str
    tree : Tree
        Merged.
    totals : Totals
    limit : int
        Lines of the tree; what is left out is counted.
    """
    head = f"tokprof {clean(title)}: {' · '.join(summary(totals))}"
    if not totals.calls:
        return head
    lines = [head, *doubts(totals), "", f"{'tokens':>10} {'%':>4} {'cost':>10} {'calls':>5} {'time':>8}"]
    order, hidden = _walk(tree, limit)
    whole = max(1.0, tree.total[0, 0] + tree.total[0, 1])
    for node, prefix in order:
        used = tree.total[node, 0] + tree.total[node, 1]
        mark = "≥" if tree.unknown[node] else ""
        known = "?" if tree.unknown[node] and not used else f"{mark}{tokens(used)}"
        cost = usd(tree.total[node, -1]) if tree.total[node, -1] else "-"
        name = clean(tree.name[node])
        if len(tree.rows[node]) > 1:
            name += f" ×{len(tree.rows[node])}"
        if tree.where[node] and tree.kind[node] == "frame" and tree.where[node] != tree.name[node]:
            name += f"  {tree.where[node]}"
        if tree.kind[node] not in ("frame", "llm", "cell", "profile"):
            name += f"  [{tree.kind[node]}]"
        lines.append(
            f"{known:>10} {used / whole:>4.0%} {cost:>10} {tree.calls[node]:>5} "
            f"{seconds(tree.busy[node]):>8}  {prefix}{name}"
        )
    if hidden:
        lines.append(f"{'':>42} … {hidden} smaller")
    return "\n".join(lines)


def _walk(tree: Tree, limit: int) -> tuple[list[tuple[int, str]], int]:
    """Nodes with the lines that lead to them, heaviest first; the lightest are left out beyond `limit`."""
    children: list[list[int]] = [[] for _ in range(len(tree))]
    for node in range(1, len(tree)):
        children[tree.parent[node]].append(node)
    weight = tree.total[:, 0] + tree.total[:, 1]

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
