"""The call tree: root -> frames -> named spans -> calls, in call order or merged."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tokprof.analysis.books import COST, FIGURES, METRICS, SPENT, TOKENS, Evidence, Floats, books
from tokprof.span import Frame, Span
from tokprof.table import Table, encodable

if TYPE_CHECKING:
    import pandas as pd

Counts = np.ndarray[Any, np.dtype[np.int64]]


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
    own : float64 array, shape (nodes, 7)
        What a node used itself, columns as in `tokprof.analysis.books.METRICS`.
    total : float64 array, shape (nodes, 7)
        The same with everything below.
    calls, unknown : int64 arrays, shape (nodes,)
        Calls at or below a node, and those of them that may have spent more than is known.
    start, end : float64 arrays, shape (nodes,)
        Seconds since the start of the root; of a frame, the extent of what is below it.
    busy : float64 array, shape (nodes,)
        Seconds spent in a node: of a merged node the sum over its parts, which may have run side by side.
    unpriced, failed, retried : int64 arrays, shape (nodes,)
        Calls at or below a node without a known cost; of the node itself, calls that failed or were cancelled, and
        calls that were a second or later attempt.
    models : list of tuple of str
        Models of a node's own calls and recorded steps.
    own_evidence, evidence : Evidence
        How well `own` and `total` are known.
    """

    parent: list[int]
    name: list[str]
    kind: list[str]
    where: list[str]
    rows: list[list[int]]
    own: Floats
    total: Floats
    calls: Counts
    unknown: Counts
    start: Floats
    end: Floats
    busy: Floats
    unpriced: Counts
    failed: Counts
    retried: Counts
    models: list[tuple[str, ...]]
    own_evidence: Evidence
    evidence: Evidence

    def __len__(self) -> int:
        return len(self.parent)

    def depths(self) -> list[int]:
        """Depth of each node, 0 for the root."""
        return _depths(self.parent)

    @property
    def tokens(self) -> Floats:
        """All tokens at or below each node: input, output and embedding."""
        spent: Floats = self.total[:, SPENT].sum(axis=1)
        return spent

    def side_by_side(self, node: int) -> bool:
        """Whether the time of a merged node is more than passed while it ran: some of its parts ran in parallel."""
        return len(self.rows[node]) > 1 and bool(self.busy[node] > (self.end[node] - self.start[node]) * 1.001)

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


def _depths(parents: list[int]) -> list[int]:
    depths: list[int] = []
    for parent in parents:
        depths.append(depths[parent] + 1 if parent >= 0 else 0)
    return depths


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
    """Frames between a span and the span above it.

    The function that opened a profile is known by its lines, as a cell or a module is: its frame is given as
    ``<module>``, so that each line gets a node of its own.
    """
    stack = span.stack
    if above is None:
        return ()
    outer = above.stack
    same = 0
    while same < len(outer) and same < len(stack) and outer[same] == stack[same]:
        same += 1
    if above.kind == "profile" and outer and same >= len(outer) - 1 and len(stack) >= len(outer):
        opener, inner = stack[len(outer) - 1], stack[len(outer) :]
        if _function(opener) == _function(outer[-1]):
            return (opener._replace(function="<module>"), *inner)
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
    if not merge:
        node = b.node(parent, span.name, span.kind, _where(span.stack), row)
        b.known[parent, (span.thread, span.task)] = node
        return node
    slot = (parent, span.name, span.kind)
    if (found := b.known.get(slot)) is not None:
        b.rows[found].append(row)
        return found
    node = b.known[slot] = b.node(parent, span.name, span.kind, _where(span.stack), row)
    return node


@lru_cache(4096)
def _where(stack: tuple[Frame, ...]) -> str:
    return stack[-1].where if stack else ""


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
    kept = books(table)
    # one matrix, so that nodes are added to their parents in one go, level by level
    parts = (kept.used, kept.told, kept.untold, kept.counts)
    ledger = np.column_stack(parts).astype(np.float64)
    own = np.zeros((n, ledger.shape[1]))
    nodes = np.fromiter((node for node, rows in enumerate(b.rows) for _ in rows), np.intp)
    rows_of = np.fromiter((row for rows in b.rows for row in rows), np.intp)
    np.add.at(own, nodes, ledger[rows_of])
    opened, seconds = table.whole("opened"), table.durations()
    began = ((opened - opened[:1]) / 1e9)[rows_of]
    start, end, busy = np.full(n, np.inf), np.full(n, -np.inf), np.zeros(n)
    np.minimum.at(start, nodes, began)
    np.maximum.at(end, nodes, began + seconds[rows_of])
    np.add.at(busy, nodes, seconds[rows_of])
    total = own.copy()
    up_of, depth = np.array(b.parent, np.intp), np.array(_depths(b.parent), np.intp)
    levels = np.argsort(depth, kind="stable")
    for level in reversed(np.split(levels, np.flatnonzero(np.diff(depth[levels])) + 1)[1:]):
        np.add.at(total, up_of[level], total[level])
    below = np.zeros(n)
    for node in range(n - 1, 0, -1):
        up = b.parent[node]
        if not b.rows[up]:
            start[up] = min(start[up], start[node])
            end[up] = max(end[up], end[node])
        if not b.rows[node]:
            busy[node] = min(below[node], end[node] - start[node])
        below[up] += busy[node]
    at = np.cumsum([len(METRICS), len(FIGURES), len(FIGURES)]).tolist()
    own_used, own_told, own_untold, own_counts = np.split(own, at, axis=1)
    used, told, untold, counts = np.split(total, at, axis=1)
    calls, unknown, unpriced = counts[:, :3].astype(np.int64).T
    failed, retried = own_counts[:, 3:].astype(np.int64).T
    return Tree(
        b.parent,
        b.name,
        b.kind,
        b.where,
        b.rows,
        own_used,
        used,
        calls,
        unknown,
        start,
        end,
        busy,
        unpriced,
        failed,
        retried,
        [_models(table, rows) for rows in b.rows],
        Evidence(own_told, own_untold),
        Evidence(told, untold),
    )


def _models(table: Table, rows: list[int]) -> tuple[str, ...]:
    """Models of calls, each once."""
    spans = (table.spans[row] for row in rows)
    named = (span.model or span.request_model for span in spans if span.source is not None)
    return tuple(dict.fromkeys(name for name in named if name))


def frame(tree: Tree) -> pd.DataFrame:
    """Build the tree as a DataFrame, one row a node, in pre-order.

    Returns
    -------
    pandas.DataFrame
        ``node``, ``parent``, ``depth``, ``name``, ``kind``, ``where``, ``calls``, ``unknown_calls`` (their tokens are
        not all in the sums), ``unpriced_calls`` (their cost is not in the sum), ``duration_s`` (of merged spans the sum
        over all, also where they ran side by side), then ``self_*`` and ``total_*`` for ``tokens`` (input, output and
        embedding together), ``input``, ``output``, ``embedding``, ``cache_read``, ``cache_write``, ``reasoning`` and
        ``cost``.

        Tokens are nullable integers: the sum of what was told, null where no call told that figure. Cost (USD) is NaN
        where no call has a known cost. A refused request (status ``error`` and HTTP status 400 or more) is known to
        have used 0 tokens and USD 0; beside other calls it makes nothing known and nothing unknown.
    """
    import pandas as pd

    columns: dict[str, Any] = {
        "parent": pd.array([None if p < 0 else p for p in tree.parent], dtype="Int64"),
        "depth": tree.depths(),
        "name": encodable(tree.name),
        "kind": tree.kind,
        "where": encodable(tree.where),
        "calls": tree.calls,
        "unknown_calls": tree.unknown,
        "unpriced_calls": tree.unpriced,
        "duration_s": tree.busy,
    }
    for prefix, figures, evidence in (
        ("self", tree.own, tree.own_evidence),
        ("total", tree.total, tree.evidence),
    ):

        def tokens(values: Floats, column: int, evidence: Evidence = evidence) -> Any:
            return pd.arrays.IntegerArray(values.astype(np.int64), evidence.nothing(column))

        columns[f"{prefix}_tokens"] = tokens(figures[:, SPENT].sum(axis=1), TOKENS)
        for index, metric in enumerate(METRICS):
            values = figures[:, index]
            cost = np.where(evidence.nothing(COST), np.nan, values)
            columns[f"{prefix}_{metric}"] = cost if metric == "cost" else tokens(values, index)
    return pd.DataFrame(columns).rename_axis("node")
