"""The critical path: the chain of steps that determines when a profile ends, and how much time all others have left.

From the end backwards: of the steps inside a step, the one that ended last; before its start, the one that had ended
last by then, and so on. A step that still ran when a later one began did not hold it up, and is not on the path. It is
the definition of the views in the browser.

The time that is left is that of the critical path method (Kelley and Walker, 1959), where a step waits for all those
beside it that had ended when it began, and a step ends after all those inside it that had ended by then. What passed
between the last of them and its own start stays as it was.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tokprof.analysis.books import COST, SPENT, TOKENS, Floats
from tokprof.analysis.tree import Tree
from tokprof.table import Table

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE = 1e-9
"""Seconds by which clocks may differ."""

WEIGHTS = ("time", "tokens", "cost")


class Children:
    """Nodes inside each node, in order."""

    def __init__(self, parents: list[int]):
        above = np.array(parents, np.intp)
        order = np.argsort(above, kind="stable")
        self._order: list[int] = order.tolist()
        self._places: list[int] = np.searchsorted(above[order], np.arange(len(parents) + 1)).tolist()

    def of(self, node: int) -> list[int]:
        """Nodes inside a node, not those further in."""
        return self._order[self._places[node] : self._places[node + 1]]


class Stretch(NamedTuple):
    """A stretch of time that a node spent on the path itself, not in a step inside it; seconds since the start.

    Attributes
    ----------
    node : int
        Of the tree.
    start, end : float
    after, before : int or None
        Node inside it that ended where the stretch begins, and node inside it that began where the stretch ends.
    """

    node: int
    start: float
    end: float
    after: int | None = None
    before: int | None = None


def critical_path(tree: Tree) -> list[Stretch]:
    """Find the critical path by time.

    Parameters
    ----------
    tree : Tree
        In call order.

    Returns
    -------
    list of Stretch
        In order of time, without gaps: together they last as long as the root.
    """
    if not len(tree):
        return []
    start, end = _times(tree)
    children = Children(tree.parent)
    found: list[Stretch] = []
    # node, where the path enters it, how far back the path has come, children by their end, what follows
    stack: list[tuple[int, float, list[float], list[int], list[int | None]]] = []

    def visit(node: int, until: float) -> None:
        inner = sorted(children.of(node), key=lambda child: (end[child], -child))
        stack.append((node, start[node], [until], inner, [None]))

    visit(0, end[0])
    while stack:
        node, begin, back, inner, follows = stack[-1]
        until = back[0]
        root = node == 0 and until >= end[0]
        child = None
        while inner and child is None:
            last = inner.pop()
            if start[last] < until and end[last] > begin and (end[last] <= until + TOLERANCE or root):
                child = last
        leave = begin if child is None else min(until, end[child])
        if until > leave:
            found.append(Stretch(node, leave, until, child, follows[0]))
        if child is None:
            stack.pop()
            continue
        back[0] = max(begin, start[child])
        follows[0] = child
        enter = back[0]
        visit(child, leave)
        if enter != start[child]:  # it began before what is around it
            stack[-1] = (child, enter, *stack[-1][2:])
    return found[::-1]


def slack(tree: Tree) -> Floats:
    """Find by how much longer each node could have taken without a later end of the profile.

    Parameters
    ----------
    tree : Tree
        In call order.

    Returns
    -------
    float64 array, shape (nodes,)
        Seconds; 0 on the critical path, infinite where nothing waited for a node.
    """
    n = len(tree)
    left = np.full(n, np.inf)
    if not n:
        return left
    start, end = _times(tree)
    for node in range(1, n):
        if tree.parent[node] == 0:  # for the profile, what goes on after it ends with it
            end[node] = min(end[node], end[0])
    found = [float("inf")] * n
    found[0] = 0.0
    children = Children(tree.parent)
    for node in range(n):  # parents first
        if inner := children.of(node):
            _share_out(node, inner, start, end, found)
    left[:] = found
    return left


def _share_out(parent: int, inner: list[int], start: list[float], end: list[float], found: list[float]) -> None:
    """Find the slack of what is inside a node, from its own; `found` is changed in place."""
    begin, stop, own = start[parent], end[parent], found[parent]
    waits = {child for child in inner if start[child] < stop and end[child] > begin}
    joined = [child for child in waits if end[child] <= stop + TOLERANCE]
    last = max((end[child] for child in joined), default=begin)
    bound = {child: last - end[child] + own for child in joined}
    by_end = sorted(inner, key=lambda child: (end[child], start[child]))
    ends = [end[child] for child in by_end]
    by_start = sorted(inner, key=lambda child: start[child], reverse=True)
    least, at = float("inf"), 0  # of those that begin late enough: when they would have to wait for it, and their slack
    for child in reversed(by_end):
        while at < len(by_start) and start[by_start[at]] >= end[child] - TOLERANCE:
            later = by_start[at]
            if later != child and start[later] > start[child]:
                held = _held_until(later, begin, by_end, ends, start)
                least = min(least, held + found[later])
                at += 1
            else:  # of no length, at the same time
                break
        if child in waits:
            found[child] = max(0.0, min(least - end[child], bound.get(child, float("inf"))))


def _held_until(node: int, begin: float, by_end: list[int], ends: list[float], start: list[float]) -> float:
    """When the last step ended that had ended when a node began; the start of what is around them, if there is none."""
    place = bisect_right(ends, start[node] + TOLERANCE) - 1
    while place >= 0 and start[by_end[place]] >= start[node]:
        place -= 1
    return max(begin, ends[place]) if place >= 0 else begin


def heaviest(tree: Tree, metric: str) -> list[int]:
    """Find the chain of steps, one after the other, that used most: of what ran side by side only one counts.

    Parameters
    ----------
    tree : Tree
        In call order.
    metric : {"tokens", "cost"}
        What is not known counts 0.

    Returns
    -------
    list of int
        Nodes of the chain, parents before what is inside them.

    Notes
    -----
    Inside each step this is weighted interval scheduling: the heaviest set of steps no two of which overlap.
    """
    n = len(tree)
    if not n:
        return []
    start, end = _times(tree)
    own = (tree.own[:, COST] if metric == "cost" else tree.own[:, SPENT].sum(axis=1)).tolist()
    best: list[float] = list(own)
    chosen: dict[int, list[int]] = {}
    children = Children(tree.parent)
    for node in range(n - 1, -1, -1):
        if inner := children.of(node):
            weight, chosen[node] = _schedule(inner, start, end, best)
            best[node] += weight
    found: list[int] = []
    todo = [0]
    while todo:
        node = todo.pop()
        found.append(node)
        todo += reversed(chosen.get(node, ()))
    return found


def _schedule(inner: list[int], start: list[float], end: list[float], weight: list[float]) -> tuple[float, list[int]]:
    if len(inner) == 1:
        return weight[inner[0]], inner
    order = sorted(inner, key=lambda child: (end[child], start[child]))
    ends = [end[child] for child in order]
    sums = [0.0]
    before: list[int] = []
    for place, child in enumerate(order):
        before.append(min(place, bisect_right(ends, start[child] + TOLERANCE)))
        sums.append(max(sums[place], weight[child] + sums[before[place]]))
    taken: list[int] = []
    place = len(order)
    while place:
        child = order[place - 1]
        if weight[child] > 0 and sums[place] > sums[place - 1]:
            taken.append(child)
            place = before[place - 1]
        else:
            place -= 1
    return sums[-1], taken[::-1]


def _times(tree: Tree) -> tuple[list[float], list[float]]:
    return tree.start.tolist(), tree.end.tolist()


def path_frame(table: Table, tree: Tree, metric: str = "time") -> pd.DataFrame:
    """Build the critical path as a DataFrame, in order of time.

    Parameters
    ----------
    table : Table
    tree : Tree
        Of the table, in call order.
    metric : {"time", "tokens", "cost"}
        ``time``: one row a stretch of time, without gaps. Else: one row a call or step of the heaviest chain.

    Returns
    -------
    pandas.DataFrame
        ``start_s``, ``end_s`` (since the start of the profile), ``seconds``; ``tokens`` and ``cost`` (USD) of the call
        or step itself, null where not known, 0 where its first row told them already; ``share`` of the path in the
        metric; ``span_id`` (None for a function), ``name``, ``kind``, ``where``; ``what``: ``call``, ``step`` (one
        without anything inside), ``gap`` (own time of a step or function between what is inside it) or ``wait``
        (before a retry); ``note``: between what a gap is. ``attrs["seconds"]``, ``["tokens"]`` and ``["cost"]`` are the
        sums.

    Raises
    ------
    ValueError
        For an unknown metric.
    """
    import pandas as pd

    if metric not in WEIGHTS:
        raise ValueError(f"{metric!r} is no metric of the critical path; known: {', '.join(WEIGHTS)}")
    stretches = critical_path(tree) if metric == "time" else []
    if metric != "time":
        tokens, costs = tree.own[:, SPENT].sum(axis=1), tree.own[:, COST]
        weights = costs if metric == "cost" else tokens
        chain = [node for node in heaviest(tree, metric) if weights[node] > 0]
        stretches = [Stretch(node, float(tree.start[node]), float(tree.end[node])) for node in chain]
        stretches.sort(key=lambda stretch: (stretch.start, stretch.node))
    children = Children(tree.parent)
    known = tree.own_evidence
    nodes = np.array([stretch.node for stretch in stretches], np.intp)
    unknown = [known.nothing(column)[nodes].tolist() for column in (TOKENS, COST)]
    spent = tree.own[nodes][:, SPENT].sum(axis=1).tolist(), tree.own[nodes, COST].tolist()
    rows = []
    for at, stretch in enumerate(stretches):
        tokens = None if unknown[0][at] else round(spent[0][at])
        cost = float("nan") if unknown[1][at] else spent[1][at]
        rows.append(_row(table, tree, stretch, tokens, cost, children))
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    again = np.setdiff1d(np.arange(len(nodes)), np.unique(nodes, return_index=True)[1])
    frame.loc[again, ["tokens", "cost"]] = 0
    sums = {name: float(frame[name].sum()) for name in ("seconds", "tokens", "cost")}
    whole = sums["seconds" if metric == "time" else metric]
    parts = frame["seconds" if metric == "time" else metric].astype(float)
    frame["share"] = parts / whole if whole else np.nan
    frame["tokens"] = frame["tokens"].astype("Int64")
    frame.attrs.update(sums)
    return frame


def slack_frame(table: Table, tree: Tree) -> pd.DataFrame:
    """Build the slack of each span as a DataFrame, least first.

    Returns
    -------
    pandas.DataFrame
        ``span_id``, ``name``, ``kind``, ``where``, ``start_s``, ``duration_s``, ``slack_s`` (by how much longer it
        could have taken without a later end of the profile; infinite where nothing waited for it) and ``critical``
        (whether it is on the critical path).
    """
    import pandas as pd

    left = slack(tree)
    on = np.zeros(len(tree), np.bool_)
    for stretch in critical_path(tree):
        on[stretch.node] = True
    for node in range(len(tree) - 1, 0, -1):
        on[tree.parent[node]] |= on[node]
    nodes = np.array([node for node, rows in enumerate(tree.rows) if rows], np.intp)
    rows = [tree.rows[node][0] for node in nodes.tolist()]
    frame = pd.DataFrame(
        {
            "span_id": table.frame(["span_id"])["span_id"].to_numpy()[rows],
            "name": [tree.name[node] for node in nodes.tolist()],
            "kind": [tree.kind[node] for node in nodes.tolist()],
            "where": [tree.where[node] for node in nodes.tolist()],
            "start_s": tree.start[nodes],
            "duration_s": (tree.end - tree.start)[nodes],
            "slack_s": left[nodes],
            "critical": on[nodes],
        }
    )
    return frame.sort_values(["slack_s", "start_s"], kind="stable", ignore_index=True)


_COLUMNS = [
    "start_s",
    "end_s",
    "seconds",
    "tokens",
    "cost",
    "share",
    "span_id",
    "name",
    "kind",
    "where",
    "what",
    "note",
]


def _row(
    table: Table, tree: Tree, stretch: Stretch, tokens: int | None, cost: float, children: Children
) -> list[object]:
    node = stretch.node
    span = table.spans[tree.rows[node][0]] if tree.rows[node] else None
    what, note = _named(table, tree, stretch, children)
    return [
        stretch.start,
        stretch.end,
        stretch.end - stretch.start,
        tokens,
        cost,
        None,
        None if span is None else f"{span.id & 0xFFFFFFFFFFFFFFFF:016x}",
        tree.name[node],
        tree.kind[node],
        tree.where[node],
        what,
        note,
    ]


def _named(table: Table, tree: Tree, stretch: Stretch, children: Children) -> tuple[str, str]:
    """What a stretch is, and between what it lies."""
    node, after, before = stretch.node, stretch.after, stretch.before
    rows = tree.rows[node]
    if after is None and before is None:
        return ("call" if rows and table.spans[rows[0]].source is not None else "step"), ""
    if after is None or before is None:
        return "gap", f"before {tree.name[before]}" if before is not None else f"after {tree.name[after or 0]}"
    first, last = before, after
    while not tree.rows[first] and children.of(first):  # functions have no outcome of their own
        first = min(children.of(first), key=lambda child: (tree.start[child], child))
    while not tree.rows[last] and children.of(last):
        last = max(children.of(last), key=lambda child: (tree.end[child], child))
    attempts = [table.spans[row].attempt or 1 for row in tree.rows[first]]
    if max(attempts, default=1) > 1 and tree.failed[last]:
        return "wait", f"before attempt {max(attempts)} of {tree.name[first]}"
    return "gap", f"between {tree.name[after]} and {tree.name[before]}"
