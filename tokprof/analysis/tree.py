"""The call tree: root -> frames -> named spans -> calls, in call order or merged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from tokprof.analysis.books import COST, FIGURES, METRICS, SPENT, TOKENS, Evidence, Floats, books, innermost_first
from tokprof.analysis.nodes import Nodes, Places, nodes
from tokprof.table import Table, depths, encodable

if TYPE_CHECKING:
    import pandas as pd

Counts = np.ndarray[Any, np.dtype[np.int64]]


class Rows(Sequence[list[int]]):
    """Rows of the span table by node, of which there may be hundreds of thousands: a list is made when it is asked for.

    Parameters
    ----------
    of : integer array, shape (rows,)
        Node of each row.
    nodes : int
        How many there are.
    """

    def __init__(self, of: Places, nodes: int):
        self._rows: list[int] = np.argsort(of, kind="stable").tolist()
        self._ends: list[int] = [0, *np.cumsum(np.bincount(of, minlength=nodes)).tolist()]

    def first(self) -> list[int]:
        """First row of each node, -1 where it has none."""
        begin, end = np.array(self._ends[:-1], np.intp), np.array(self._ends[1:], np.intp)
        first: list[int] = np.where(begin < end, np.array([*self._rows, -1])[begin], -1).tolist()
        return first

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __iter__(self) -> Iterator[list[int]]:
        return (self._rows[begin:end] for begin, end in pairwise(self._ends))

    @overload
    def __getitem__(self, node: int) -> list[int]: ...
    @overload
    def __getitem__(self, node: slice) -> list[list[int]]: ...
    def __getitem__(self, node: int | slice) -> list[int] | list[list[int]]:
        if isinstance(node, slice):
            return [self[each] for each in range(*node.indices(len(self)))]
        return self._rows[self._ends[node] : self._ends[node + 1]]


@dataclass(slots=True)
class Tree:
    """Nodes in pre-order: a parent stands before its children, node 0 is the root.

    Attributes
    ----------
    parent : list of int
        Node of the parent; -1 for the root.
    name, kind, where : list of str
        Label; ``frame`` or the kind of the spans; ``In[7]:12`` or "".
    rows : sequence of list of int
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
    rows: Sequence[list[int]]
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
        found: list[int] = depths(np.array(self.parent, np.intp)).tolist()
        return found

    @property
    def tokens(self) -> Floats:
        """All tokens at or below each node: input, output and embedding."""
        spent: Floats = self.total[:, SPENT].sum(axis=1)
        return spent

    def side_by_side(self, node: int) -> bool:
        """Whether the time of a merged node is more than passed while it ran: some of its parts ran in parallel."""
        return len(self.rows[node]) > 1 and bool(self.busy[node] > (self.end[node] - self.start[node]) * 1.001)

    def first_rows(self) -> list[int]:
        """Row of the span table that each node stands for, the first of several; -1 for a frame."""
        return self.rows.first() if isinstance(self.rows, Rows) else [rows[0] if rows else -1 for rows in self.rows]

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


def build(table: Table, merge: bool = False) -> Tree:
    """Build the tree of a table.

    Parameters
    ----------
    table : Table
    merge : bool
        False: in call order, a frame is one node as long as its thread or task goes on in it. True: nodes with the
        same path are one.
    """
    made = nodes(table, merge)
    n = len(made.parent)
    kept = books(table)
    levels = innermost_first(depths(made.parent))
    parts = (kept.used, kept.told, kept.untold, kept.counts)
    ledger = np.concatenate([part.T for part in parts], dtype=np.float64)
    own, total = np.zeros((len(ledger), n)), np.zeros((len(ledger), n))
    for column in np.flatnonzero(ledger.any(axis=1)).tolist():  # most figures are 0 in all of a profile
        np.add.at(own[column], made.of, ledger[column])
        sums = own[column].copy()
        for level in levels[:-1]:
            np.add.at(sums, made.parent[level[::-1]], sums[level[::-1]])
        total[column] = sums
    start, end, busy = _times(table, made, levels)
    at = np.cumsum([len(METRICS), len(FIGURES), len(FIGURES)]).tolist()
    own_used, own_told, own_untold, own_counts = (part.T for part in np.split(own, at))
    used, told, untold, counts = (part.T for part in np.split(total, at))
    calls, unknown, unpriced = counts[:, :3].astype(np.int64).T
    failed, retried = own_counts[:, 3:].astype(np.int64).T
    return Tree(
        made.parent.tolist(),
        made.name,
        made.kind,
        made.where,
        Rows(made.of, n),
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
        _models(table, made),
        Evidence(own_told, own_untold),
        Evidence(told, untold),
    )


def _times(table: Table, made: Nodes, levels: list[Places]) -> tuple[Floats, Floats, Floats]:
    """Start, end and busy seconds of each node; of a frame by what is below it."""
    n, of, parent = len(made.parent), made.of, made.parent
    opened, seconds = table.whole("opened"), table.durations()
    began = (opened - opened[:1]) / 1e9
    start, end, busy, below = np.full(n, np.inf), np.full(n, -np.inf), np.zeros(n), np.zeros(n)
    np.minimum.at(start, of, began)
    np.maximum.at(end, of, began + seconds)
    np.add.at(busy, of, seconds)
    frames = np.ones(n, np.bool_)
    frames[of] = False
    for level in levels[:-1]:
        mine = level[frames[level]]
        busy[mine] = np.minimum(below[mine], end[mine] - start[mine])
        np.add.at(below, parent[level], busy[level])
        inside = level[frames[parent[level]]]
        np.minimum.at(start, parent[inside], start[inside])
        np.maximum.at(end, parent[inside], end[inside])
    return start, end, busy


def _models(table: Table, made: Nodes) -> list[tuple[str, ...]]:
    """Models of the calls of each node, each once."""
    found: list[tuple[str, ...]] = [()] * len(made.parent)
    alone: dict[str, tuple[str, ...]] = {}
    for node, span in zip(made.of.tolist(), table.spans, strict=True):
        if span.source is not None and (name := span.model or span.request_model) and name not in found[node]:
            found[node] = (*found[node], name) if found[node] else alone.setdefault(name, (name,))
    return found


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

    parent = np.array(tree.parent, np.int64)
    columns: dict[str, Any] = {
        "parent": pd.arrays.IntegerArray(np.maximum(parent, 0), parent < 0),
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
