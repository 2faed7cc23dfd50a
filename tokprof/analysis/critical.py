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

    Attributes
    ----------
    some : list of bool
        Whether there is anything inside each node.
    """

    def __init__(self, above: Sequence[int], by: Sequence[Floats] = ()):
        inside = np.array(above, np.intp)
        order = np.lexsort((*by[::-1], inside))
        self._order: list[int] = order.tolist()
        places = np.searchsorted(inside[order], np.arange(len(inside) + 1))
        self._places: list[int] = places.tolist()
        self.some: list[bool] = (places[1:] > places[:-1]).tolist()

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
    before: int


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
    nodes, start, end, after, before = _path(tree, _times(tree)).tolist()
    inside = ((None if node < 0 else int(node) for node in each) for each in (after, before))
    return [Stretch(int(node), *times) for node, *times in zip(nodes, start, end, *inside, strict=True)]


def _path(tree: Tree, times: _Times) -> Floats:
    """Give the stretches as columns, shape (5, stretches), with -1 for no node: there may be hundreds of thousands."""
    if not len(tree):
        return np.zeros((5, 0))
    start, end, began = times.start, times.end, times.began
    children, ended = Children(times.ended), tree.end.tolist()
    found: list[float] = []

    def visit(node: int, begin: float, until: float, before: int = -1) -> _Visit:
        inside = children.of(node)
        if len(inside) > 1:
            inside.sort(key=lambda child: (ended[child], -child))
        return _Visit(node, begin, until, inside, before)

    path = [visit(0, start[0], end[0])]
    while path:
        at = path[-1]
        node, begin, until, inside = at.node, at.begin, at.until, at.inside
        leave, child = begin, -1
        while inside:
            last = inside.pop()
            if start[last] < until and begin < end[last] <= until + TOLERANCE:
                leave, child = min(until, end[last]), last
                break
        if until > leave:
            found += (node, leave, until, child, at.before)
        if child < 0:
            path.pop()
        else:
            node, begin = child, min(leave, max(begin, start[child]))
            if children.some[node]:
                path.append(visit(node, begin, leave))
                continue
            if leave > begin:
                found += (node, begin, leave, -1, -1)
        if path:  # back to where it began
            around, up = path[-1], began[node]
            if up == around.node:
                around.until, around.before = begin, node
            else:
                path.append(visit(up, min(begin, max(around.begin, start[up])), begin, node))
    return np.array(found).reshape(-1, 5)[::-1].T


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
    return _slack(tree, _times(tree))


def _slack(tree: Tree, times: _Times) -> Floats:
    if not len(tree):
        return np.zeros(0)
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
    last = begin
    for child in reversed(inner):
        if start[child] < stop and end[child] > begin:
            last = end[child]
            break
    least, at = float("inf"), 0  # of those that begin late enough: when they would have to wait for it, and their slack
    place = len(inner) - 1  # of the last that had ended when they began
    for child in reversed(inner):
        began, ended = start[child], end[child]
        while at < len(begun):
            waits = begun[at]
            when = start[waits]
            if when < ended - TOLERANCE or when <= began or waits == child:  # the last: of no length, at the same time
                break
            while place >= 0 and ends[place] > when + TOLERANCE:
                place -= 1
            held = place
            while held >= 0 and start[inner[held]] >= when:
                held -= 1
            until = max(begin, ends[held]) if held >= 0 else begin  # with none, from the start of what is around it
            least = min(least, until + min(left[waits], later[waits]))
            at += 1
        if began < stop and ended > begin:
            found = left[child] = max(0.0, min(least - ended, last - ended + own))
            around = times.began[child]
            while around != parent and later[around] > found:
                later[around] = found
                around = times.began[around]


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
        path = _path(tree, _times(tree))
    else:
        weights = _weights(tree, metric)
        chain = np.array(heaviest(tree, metric), np.intp)
        chain = chain[weights[chain] > 0]
        chain = chain[np.lexsort((chain, tree.start[chain]))]
        none = np.full(len(chain), -1.0)
        path = np.array((chain, tree.start[chain], tree.end[chain], none, none))
    begin, until = path[1], path[2]
    at, after, before = path[[0, 3, 4]].astype(np.intp)
    rows = np.array(tree.first_rows(), np.intp)
    unknown = [tree.own_evidence.nothing(column)[at] for column in (TOKENS, COST)]
    tokens = np.where(unknown[0], 0, tree.own[at][:, SPENT].sum(axis=1)).round().astype(np.int64)
    cost = np.where(unknown[1], np.nan, tree.own[at, COST])
    first = np.empty(len(tree), np.intp)
    first[at[::-1]] = np.arange(len(at))[::-1]
    again = first[at] < np.arange(len(at))
    tokens[again], cost[again], unknown[0][again] = 0, 0.0, False
    ids = np.array([*table.frame(["span_id"])["span_id"], None], object)
    calls = np.array([*(span.source is not None for span in table.spans), False], np.bool_)
    what, note = np.where(calls[rows[at]], "call", "step").astype(object), np.full(len(at), "", object)
    gaps = _Gaps(table, tree, rows.tolist())
    for place in np.flatnonzero((after >= 0) | (before >= 0)).tolist():
        what[place], note[place] = gaps.between(int(after[place]), int(before[place]))
    nodes = at.tolist()
    frame = pd.DataFrame(
        {
            "start_s": begin,
            "end_s": until,
            "seconds": until - begin,
            "tokens": pd.arrays.IntegerArray(tokens, unknown[0]),
            "cost": cost,
            "share": np.nan,
            "span_id": ids[rows[at]].tolist(),
            "name": encodable(tree.name[node] for node in nodes),
            "kind": [tree.kind[node] for node in nodes],
            "where": encodable(tree.where[node] for node in nodes),
            "what": what.tolist(),
            "note": encodable(note.tolist()),
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

    times = _times(tree)
    left = _slack(tree, times)
    on = [False] * len(tree)
    for node in _path(tree, times)[0].astype(np.intp).tolist():
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
            "critical": np.array(on)[nodes],
        }
    )


class _Gaps:
    """What the stretches are that lie before, between and after what is inside a node."""

    def __init__(self, table: Table, tree: Tree, rows: list[int]):
        self._table, self._tree, self._rows = table, tree, rows
        self._children = Children(tree.parent)

    def between(self, after: int, before: int) -> tuple[str, str]:
        """Give ``gap`` or ``wait``, and between what it lies; either may be -1."""
        tree, rows, inside = self._tree, self._rows, self._children.of
        if after < 0 or before < 0:
            return "gap", f"before {tree.name[before]}" if after < 0 else f"after {tree.name[after]}"
        first, last = before, after
        while rows[first] < 0 and inside(first):  # functions have no outcome of their own
            first = min(inside(first), key=lambda child: (tree.start[child], child))
        while rows[last] < 0 and inside(last):
            last = max(inside(last), key=lambda child: (tree.end[child], child))
        attempt = self._table.spans[rows[first]].attempt or 1 if rows[first] >= 0 else 1
        if attempt > 1 and tree.failed[last]:
            return "wait", f"before attempt {attempt} of {tree.name[first]}"
        return "gap", f"between {tree.name[after]} and {tree.name[before]}"
