"""The critical path: the chain of steps that determines when a profile ends, and how much time all others have left.

From the end backwards: of the steps inside a step, the one that ended last; before its start, the one that had ended
last by then, and so on. A step that still ran when a later one began did not hold it up, and is not on the path. It is
the definition of the views in the browser.

A step that goes on after the one that began it, as a task in the background does, did not hold up the end of that one.
It ended within the nearest step around it that ended no earlier, and counts among those inside that one. It began
within the nearest step around it that was still running then: from its start backwards, the path goes on there. What
ended after the profile did not hold it up, unless it is directly below the root.

The time that is left is that of the critical path method (Kelley and Walker, 1959), where a step waits for all those
beside it that had ended when it began, and a step ends after all those inside it that had ended by then. What passed
between the last of them and its own start stays as it was.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tokprof.analysis.books import COST, SPENT, TOKENS, Floats
from tokprof.analysis.tree import Tree
from tokprof.table import Table, encodable

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE = 1e-9
"""Seconds by which clocks may differ."""

WEIGHTS = ("time", "tokens", "cost")


class Children:
    """Nodes inside each node, in order.

    Parameters
    ----------
    above : sequence of int
        What each node is inside of; negative for nothing.
    by : sequence of arrays, shape (nodes,)
        What they are ordered by, of those inside one node; what comes first counts most.
    """

    def __init__(self, above: Sequence[int], by: Sequence[Floats] = ()):
        inside = np.array(above, np.intp)
        order = np.lexsort((*by[::-1], inside))
        self._order: list[int] = order.tolist()
        self._places: list[int] = np.searchsorted(inside[order], np.arange(len(inside) + 1)).tolist()

    def of(self, node: int) -> list[int]:
        """Nodes inside a node, not those further in."""
        return self._order[self._places[node] : self._places[node + 1]]


@dataclass(slots=True)
class _Times:
    """When nodes ran, and within what they began and ended.

    Attributes
    ----------
    start, end : list of float
        Seconds; what is directly below the root and goes on after it ends with it.
    ended : list of int
        Node around each within which it ended; -1 for none.
    began : list of int
        Node around each within which it began.
    """

    start: list[float]
    end: list[float]
    ended: list[int]
    began: list[int]


def _times(tree: Tree) -> _Times:
    parent = np.array(tree.parent, np.intp)
    end = np.where(parent == 0, np.minimum(tree.end, tree.end[:1]), tree.end)
    starts, ends, ended, began = tree.start.tolist(), end.tolist(), parent.tolist(), parent.tolist()
    apart = (end > end[parent] + TOLERANCE) | (end[parent] <= tree.start)
    for node in np.flatnonzero(apart & (parent >= 0)).tolist():  # parents first
        up = tree.parent[node]
        while up >= 0 and ends[node] > ends[up] + TOLERANCE:
            up = ended[up]  # all between the two ended earlier still
        ended[node] = up
        up = tree.parent[node]
        while up not in (ended[node], -1) and ends[up] <= starts[node]:
            up = ended[up]
        began[node] = up
    return _Times(starts, ends, ended, began)


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


@dataclass(slots=True)
class _Visit:
    """The path within a node: `inside` are those it may come from, by their end; `before` is where it came from."""

    node: int
    begin: float
    until: float
    inside: list[int]
    before: int | None


_Bare = tuple[int, float, float, int | None, int | None]
"""A `Stretch` as a plain tuple, which the garbage collector need not look at: there may be hundreds of thousands."""


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
    return [Stretch(*each) for each in _path(tree)]


def _path(tree: Tree) -> list[_Bare]:
    if not len(tree):
        return []
    times = _times(tree)
    start, end = times.start, times.end
    children, ended = Children(times.ended), tree.end.tolist()
    found: list[_Bare] = []

    def visit(node: int, begin: float, until: float, inside: list[int], before: int | None = None) -> _Visit:
        if len(inside) > 1:
            inside.sort(key=lambda child: (ended[child], -child))
        return _Visit(node, min(begin, until), until, inside, before)

    path = [visit(0, start[0], end[0], children.of(0))]
    while path:
        at = path[-1]
        child = None
        while at.inside and child is None:
            last = at.inside.pop()
            if start[last] < at.until and at.begin < end[last] <= at.until + TOLERANCE:
                child = last
        leave = at.begin if child is None else min(at.until, end[child])
        if at.until > leave:
            found.append((at.node, leave, at.until, child, at.before))
        if child is None:
            path.pop()
            child, begin = at.node, at.begin
        else:
            begin = max(at.begin, start[child])
            if inside := children.of(child):
                path.append(visit(child, begin, leave, inside))
                continue
            if leave > begin:
                found.append((child, begin, leave, None, None))
        if path:  # back to where it began
            around, began = path[-1], times.began[child]
            if began == around.node:
                around.until, around.before = min(begin, leave), child
            else:
                inside = children.of(began)
                path.append(visit(began, max(around.begin, start[began]), min(begin, leave), inside, child))
    return found[::-1]


def slack(tree: Tree) -> Floats:
    """Find by how much longer each node could have taken, from its start on, without a later end of the profile.

    Parameters
    ----------
    tree : Tree
        In call order.

    Returns
    -------
    float64 array, shape (nodes,)
        Seconds; 0 on the critical path, infinite where nothing waited for a node, or for what it began.
    """
    if not len(tree):
        return np.zeros(0)
    times = _times(tree)
    left = [0.0] + [float("inf")] * (len(tree) - 1)  # of the end of each node
    later = [float("inf")] * len(tree)  # of its start, for what it began and what went on after it
    ends = np.array(times.end)
    inside, begun = Children(times.ended, (ends, tree.start)), Children(times.began, (-tree.start,))
    for node in sorted({*times.ended} - {-1}):  # parents first
        inner, waiting = inside.of(node), begun.of(node)
        if len(inner) > 1 or waiting != inner:
            _share_out(node, inner, waiting, times, left, later)
        elif times.start[inner[0]] < times.end[node] and times.end[inner[0]] > times.start[node]:
            left[inner[0]] = left[node]
    return np.minimum(left, later)


def _share_out(
    parent: int, inner: list[int], begun: list[int], times: _Times, left: list[float], later: list[float]
) -> None:
    """Find the slack of what ended within a node, from its own; `left` and `later` are changed in place.

    `inner` is ordered by end, `begun` by start, the latest first.
    """
    start, end = times.start, times.end
    begin, stop, own = start[parent], end[parent], left[parent]
    ends = [end[child] for child in inner]
    last = next((end[child] for child in reversed(inner) if start[child] < stop and end[child] > begin), begin)
    least, at = float("inf"), 0  # of those that begin late enough: when they would have to wait for it, and their slack
    for child in reversed(inner):
        while at < len(begun) and start[begun[at]] >= end[child] - TOLERANCE:
            waits = begun[at]
            if waits == child or start[waits] <= start[child]:  # of no length, at the same time
                break
            held = _held_until(start[waits], begin, inner, ends, start)
            least = min(least, held + min(left[waits], later[waits]))
            at += 1
        if start[child] < stop and end[child] > begin:
            left[child] = max(0.0, min(least - end[child], last - end[child] + own))
            around = times.began[child]
            while around != parent and later[around] > left[child]:
                later[around] = left[child]
                around = times.began[around]


def _held_until(start: float, begin: float, by_end: list[int], ends: list[float], starts: list[float]) -> float:
    """When the last of some nodes ended that had ended at a start; the start of what is around, if there is none."""
    place = bisect_right(ends, start + TOLERANCE) - 1
    while place >= 0 and starts[by_end[place]] >= start:
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
    if not len(tree):
        return []
    start, end = tree.start.tolist(), tree.end.tolist()
    best: list[float] = _weights(tree, metric).tolist()
    chosen: dict[int, list[int]] = {}
    children = Children(tree.parent, (tree.end, tree.start))
    for node in sorted({*tree.parent[1:]}, reverse=True):
        inner = children.of(node)
        if len(inner) == 1:
            best[node] += best[inner[0]]
        else:
            weight, chosen[node] = _schedule(inner, start, end, best)
            best[node] += weight
    found: list[int] = []
    todo = [0]
    while todo:
        node = todo.pop()
        found.append(node)
        todo += reversed(chosen[node] if node in chosen else children.of(node))
    return found


def _weights(tree: Tree, metric: str) -> Floats:
    weights: Floats = tree.own[:, COST] if metric == "cost" else tree.own[:, SPENT].sum(axis=1)
    return weights


def _schedule(inner: list[int], start: list[float], end: list[float], weight: list[float]) -> tuple[float, list[int]]:
    """Weight and nodes of the heaviest set without overlaps, of nodes by their end."""
    ends = [end[child] for child in inner]
    sums = [0.0]
    before: list[int] = []
    for place, child in enumerate(inner):
        before.append(min(place, bisect_right(ends, start[child] + TOLERANCE)))
        sums.append(max(sums[place], weight[child] + sums[before[place]]))
    taken: list[int] = []
    place = len(inner)
    while place:
        child = inner[place - 1]
        if weight[child] > 0 and sums[place] > sums[place - 1]:
            taken.append(child)
            place = before[place - 1]
        else:
            place -= 1
    return sums[-1], taken[::-1]


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
    if metric == "time":
        path = _path(tree)
    else:
        weights, start, end = _weights(tree, metric).tolist(), tree.start.tolist(), tree.end.tolist()
        chain = [node for node in heaviest(tree, metric) if weights[node] > 0]
        path = [
            (node, start[node], end[node], None, None) for node in sorted(chain, key=lambda node: (start[node], node))
        ]
    nodes, rows = [node for node, *_ in path], tree.first_rows()
    at = np.array(nodes, np.intp)
    begin, until = (np.array([stretch[side] for stretch in path], np.float64) for side in (1, 2))
    unknown = [tree.own_evidence.nothing(column)[at] for column in (TOKENS, COST)]
    tokens = np.where(unknown[0], 0, tree.own[at][:, SPENT].sum(axis=1)).round().astype(np.int64)
    cost = np.where(unknown[1], np.nan, tree.own[at, COST])
    first = np.empty(len(tree), np.intp)
    first[at[::-1]] = np.arange(len(at))[::-1]
    again = first[at] < np.arange(len(at))
    tokens[again], cost[again], unknown[0][again] = 0, 0.0, False
    ids = table.frame(["span_id"])["span_id"].tolist()
    children = Children(tree.parent)
    named: list[tuple[str, str]] = []
    for node, _, _, after, before in path:
        if after is None and before is None:
            call = rows[node] >= 0 and table.spans[rows[node]].source is not None
            named.append(("call" if call else "step", ""))
        else:
            named.append(_gap(table, tree, rows, children, after, before))
    frame = pd.DataFrame(
        {
            "start_s": begin,
            "end_s": until,
            "seconds": until - begin,
            "tokens": pd.arrays.IntegerArray(tokens, unknown[0]),
            "cost": cost,
            "share": np.nan,
            "span_id": [ids[rows[node]] if rows[node] >= 0 else None for node in nodes],
            "name": encodable(tree.name[node] for node in nodes),
            "kind": [tree.kind[node] for node in nodes],
            "where": encodable(tree.where[node] for node in nodes),
            "what": [what for what, _ in named],
            "note": encodable(note for _, note in named),
        }
    )
    sums = {name: float(frame[name].sum()) for name in ("seconds", "tokens", "cost")}
    whole = sums["seconds" if metric == "time" else metric]
    if whole:
        frame["share"] = frame["seconds" if metric == "time" else metric].astype(float) / whole
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
    for node, *_ in _path(tree):
        while node >= 0 and not on[node]:
            on[node] = True
            node = tree.parent[node]
    rows = np.array(tree.first_rows(), np.intp)
    nodes = np.flatnonzero(rows >= 0)
    nodes = nodes[np.lexsort((tree.start[nodes], left[nodes]))]
    return pd.DataFrame(
        {
            "span_id": table.frame(["span_id"])["span_id"].to_numpy()[rows[nodes]],
            "name": encodable(tree.name[node] for node in nodes.tolist()),
            "kind": [tree.kind[node] for node in nodes.tolist()],
            "where": encodable(tree.where[node] for node in nodes.tolist()),
            "start_s": tree.start[nodes],
            "duration_s": (tree.end - tree.start)[nodes],
            "slack_s": left[nodes],
            "critical": on[nodes],
        }
    )


def _gap(
    table: Table, tree: Tree, rows: list[int], children: Children, after: int | None, before: int | None
) -> tuple[str, str]:
    """What a stretch between two nodes is, and between what it lies."""
    if after is None or before is None:
        return "gap", f"before {tree.name[before]}" if before is not None else f"after {tree.name[after or 0]}"
    first, last = before, after
    while rows[first] < 0 and children.of(first):  # functions have no outcome of their own
        first = min(children.of(first), key=lambda child: (tree.start[child], child))
    while rows[last] < 0 and children.of(last):
        last = max(children.of(last), key=lambda child: (tree.end[child], child))
    attempt = table.spans[rows[first]].attempt or 1 if rows[first] >= 0 else 1
    if attempt > 1 and tree.failed[last]:
        return "wait", f"before attempt {attempt} of {tree.name[first]}"
    return "gap", f"between {tree.name[after]} and {tree.name[before]}"
