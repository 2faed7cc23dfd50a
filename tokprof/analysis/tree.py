"""The call tree: root -> frames -> named spans -> calls, in call order or merged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tokprof.analysis.rollup import METRICS, may_have_spent, self_usage
from tokprof.span import Frame, Span
from tokprof.table import Table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(slots=True)
class Tree:
    """Nodes in pre-order: a parent stands before its children, node 0 is the root.

    Attributes
    ----------
    parent : list of int
        Node of the parent; -1 for the root.
    name, kind, where : list of str
        Label; ``frame`` or the kind of the spans; ``In[7]:12`` or "".
    rows : list of list of int
        Rows of the span table that a node stands for itself: none for a frame, one or (merged) more for a span.
    own : float64 array, shape (nodes, 6)
        What a node used itself, columns as in `tokprof.analysis.rollup.METRICS`.
    total : float64 array, shape (nodes, 6)
        The same with everything below.
    calls, unknown : int64 arrays, shape (nodes,)
        Calls at or below a node, and those of them that may have spent more than is known.
    start, end : float64 arrays, shape (nodes,)
        Seconds since the start of the root; of a frame, the extent of what is below it.
    busy : float64 array, shape (nodes,)
        Seconds spent in a node: of a merged node the sum over its parts.
    """

    parent: list[int]
    name: list[str]
    kind: list[str]
    where: list[str]
    rows: list[list[int]]
    own: np.ndarray[Any, np.dtype[np.float64]]
    total: np.ndarray[Any, np.dtype[np.float64]]
    calls: np.ndarray[Any, np.dtype[np.int64]]
    unknown: np.ndarray[Any, np.dtype[np.int64]]
    start: np.ndarray[Any, np.dtype[np.float64]]
    end: np.ndarray[Any, np.dtype[np.float64]]
    busy: np.ndarray[Any, np.dtype[np.float64]]

    def __len__(self) -> int:
        return len(self.parent)

    def depths(self) -> list[int]:
        """Depth of each node, 0 for the root."""
        depths: list[int] = []
        for parent in self.parent:
            depths.append(depths[parent] + 1 if parent >= 0 else 0)
        return depths

    def rows_below(self, node: int) -> list[int]:
        """Rows of the span table at or below a node, in order."""
        inside = [False] * len(self)
        inside[node] = True
        found = list(self.rows[node])
        for child in range(node + 1, len(self)):
            if inside[self.parent[child]]:
                inside[child] = True
                found += self.rows[child]
        return sorted(found)


@dataclass(slots=True)
class _Builder:
    parent: list[int] = field(default_factory=list)
    name: list[str] = field(default_factory=list)
    kind: list[str] = field(default_factory=list)
    where: list[str] = field(default_factory=list)
    rows: list[list[int]] = field(default_factory=list)
    known: dict[Any, int] = field(default_factory=dict)

    def node(self, parent: int, name: str, kind: str, where: str, row: int | None) -> int:
        self.parent.append(parent)
        self.name.append(name)
        self.kind.append(kind)
        self.where.append(where)
        self.rows.append([] if row is None else [row])
        return len(self.parent) - 1


def build(table: Table, merge: bool = False) -> Tree:
    """Build the tree of a table.

    Parameters
    ----------
    table : Table
    merge : bool
        False: in call order, a frame is one node as long as its thread or task goes on in it. True: nodes with the
        same path are one.
    """
    b = _Builder()
    node_of: list[int] = []
    parents = table.parents.tolist()
    if len(table) and parents.count(-1) > 1:  # late or foreign roots hang under one that is marked
        b.node(-1, "profile", "profile", "", None)
    for row, span in enumerate(table.spans):
        up = parents[row]
        above = table.spans[up] if up >= 0 else None
        node = node_of[up] if up >= 0 else (0 if len(b.parent) else -1)
        lane = None if merge else (span.thread, span.task)
        for frame in own_frames(span, above):
            node = _frame_node(b, node, frame, lane)
        node_of.append(_span_node(b, node, span, row, merge))
    return _measured(table, _pre_order(b))


def own_frames(span: Span, above: Span | None) -> tuple[Frame, ...]:
    """Frames between a span and the span above it."""
    stack = span.stack
    if above is None:
        return ()
    outer = above.stack
    same = 0
    while same < len(outer) and same < len(stack) and outer[same] == stack[same]:
        same += 1
    # the frame that opened the span above has gone on to another line
    if same == len(outer) - 1 and same < len(stack) and _function(stack[same]) == _function(outer[same]):
        same += 1
    frames = stack[same:]
    if frames and frames[0].function == above.name:  # a decorated function under the span that bears its name
        frames = frames[1:]
    return frames


def _function(frame: Frame) -> tuple[str, str]:
    return frame.function, frame.file


def _frame_node(b: _Builder, parent: int, frame: Frame, lane: Any) -> int:
    top = frame.function == "<module>"
    key: Any = (frame.where,) if top else (frame.function, frame.file, frame.cell)
    if lane is None:
        slot: Any = (parent, key)
        if (node := b.known.get(slot)) is not None:
            return node
    else:
        slot = (parent, lane)
        last = b.known.get(slot)
        if last is not None and b.known.get((last, "key")) == key:
            return last
    node = b.node(parent, frame.where if top else frame.function.rpartition("<locals>.")[2], "frame", frame.where, None)
    b.known[slot] = node
    if lane is not None:
        b.known[node, "key"] = key
    return node


def _span_node(b: _Builder, parent: int, span: Span, row: int, merge: bool) -> int:
    where = span.stack[-1].where if span.stack else ""
    if not merge:
        node = b.node(parent, span.name, span.kind, where, row)
        b.known[parent, (span.thread, span.task)] = node
        return node
    slot = (parent, span.name, span.kind)
    if (found := b.known.get(slot)) is not None:
        b.rows[found].append(row)
        return found
    node = b.known[slot] = b.node(parent, span.name, span.kind, where, row)
    return node


def pre_order(parent: list[int]) -> tuple[list[int], list[int]]:
    """Order nodes so that each is followed by what is below it; siblings stay in their order.

    Returns
    -------
    order : list of int
        Old node for each new place.
    parent : list of int
        Parents in the new order.
    """
    children: list[list[int]] = [[] for _ in parent]
    for node, up in enumerate(parent):
        if up >= 0:
            children[up].append(node)
    order: list[int] = []
    todo = [0] if parent else []
    while todo:
        node = todo.pop()
        order.append(node)
        todo.extend(reversed(children[node]))
    place = [0] * len(parent)
    for new, old in enumerate(order):
        place[old] = new
    return order, [place[parent[old]] if parent[old] >= 0 else -1 for old in order]


def _pre_order(b: _Builder) -> _Builder:
    """Nodes are made in order of time, where a later child of an early node stands behind strangers."""
    order, parent = pre_order(b.parent)
    return _Builder(
        parent=parent,
        name=[b.name[old] for old in order],
        kind=[b.kind[old] for old in order],
        where=[b.where[old] for old in order],
        rows=[b.rows[old] for old in order],
    )


def _measured(table: Table, b: _Builder) -> Tree:
    n = len(b.parent)
    used = self_usage(table)
    own = np.zeros((n, len(METRICS)))
    calls = np.zeros(n, np.int64)
    unknown = np.zeros(n, np.int64)
    start = np.full(n, np.inf)
    end = np.full(n, -np.inf)
    busy = np.zeros(n)
    origin = table.spans[0].opened if len(table) else 0
    for node, rows in enumerate(b.rows):
        for row in rows:
            span = table.spans[row]
            own[node] += used[row]
            calls[node] += table.is_call(row)
            unknown[node] += may_have_spent(table, row)
            opened = (span.opened - origin) / 1e9
            seconds = table.duration(span)
            start[node] = min(start[node], opened)
            end[node] = max(end[node], opened + seconds)
            busy[node] += seconds
    total = own.copy()
    below = np.zeros(n)
    for node in range(n - 1, 0, -1):
        up = b.parent[node]
        total[up] += total[node]
        calls[up] += calls[node]
        unknown[up] += unknown[node]
        if not b.rows[up]:
            start[up] = min(start[up], start[node])
            end[up] = max(end[up], end[node])
        if not b.rows[node]:
            busy[node] = min(below[node], end[node] - start[node])
        below[up] += busy[node]
    return Tree(b.parent, b.name, b.kind, b.where, b.rows, own, total, calls, unknown, start, end, busy)


def frame(tree: Tree) -> pd.DataFrame:
    """Build the tree as a DataFrame, one row a node, in pre-order.

    Returns
    -------
    pandas.DataFrame
        ``node``, ``parent``, ``depth``, ``name``, ``kind``, ``where``, ``calls``, ``unknown_calls``, ``duration_s``,
        then for each metric ``self_*`` and ``total_*`` (tokens; ``cost`` in USD).
    """
    import pandas as pd

    columns: dict[str, Any] = {
        "parent": pd.array([None if p < 0 else p for p in tree.parent], dtype="Int64"),
        "depth": tree.depths(),
        "name": tree.name,
        "kind": tree.kind,
        "where": tree.where,
        "calls": tree.calls,
        "unknown_calls": tree.unknown,
        "duration_s": tree.busy,
    }
    for prefix, figures in (("self", tree.own), ("total", tree.total)):
        columns[f"{prefix}_tokens"] = (figures[:, 0] + figures[:, 1]).astype(np.int64)
        for index, metric in enumerate(METRICS):
            name = f"{prefix}_{metric}"
            columns[name] = figures[:, index] if metric == "cost" else figures[:, index].astype(np.int64)
    return pd.DataFrame(columns).rename_axis("node")
