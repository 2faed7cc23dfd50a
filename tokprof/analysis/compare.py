"""Before and after: what changed between profiles, matched by group or by the way that led to a call."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tokprof.analysis.books import COST, FIGURES, SPENT, TOKENS, Evidence, Floats
from tokprof.analysis.bootstrap import differences
from tokprof.analysis.nodes import pre_order
from tokprof.analysis.rollup import grouped, totals
from tokprof.analysis.tree import Tree
from tokprof.table import Table

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("tokens", "input", "output", "cost", "time", "calls")
"""What is compared; tokens, USD, seconds (of calls, summed up), calls."""

FIELDS = ("before", "after", "delta", "ratio", "low", "high", "significant")

_COLUMNS = {
    "tokens": "total_tokens",
    "input": "input_tokens",
    "output": "output_tokens",
    "cost": "cost",
    "time": "duration_s",
    "calls": "calls",
}
_AT = {"tokens": TOKENS, "input": FIGURES.index("input"), "output": FIGURES.index("output"), "cost": COST}

Key = tuple[str, str, str]
"""Name, kind and file of a node."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Figures of the same things before and after.

    Attributes
    ----------
    keys : list
        What is compared.
    before, after : float64 array, shape (runs, keys, measures)
        NaN where a figure is not known, 0 where there was nothing.
    """

    keys: list[Any]
    before: Floats
    after: Floats

    def frame(self, index: pd.Index) -> pd.DataFrame:
        """Build the DataFrame: for each of `MEASURES` the `FIELDS`."""
        import pandas as pd

        shape = (len(self.keys), len(MEASURES))
        before, after = self.before.mean(axis=0), self.after.mean(axis=0)
        flat = differences(self.before.reshape(len(self.before), -1), self.after.reshape(len(self.after), -1))
        columns: dict[tuple[str, str], Any] = {}
        for at, measure in enumerate(MEASURES):
            found = [flat[key * shape[1] + at] for key in range(shape[0])]
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = np.where(before[:, at] != 0, after[:, at] / before[:, at], np.nan)
            values = (
                before[:, at],
                after[:, at],
                after[:, at] - before[:, at],
                ratio,
                [each.low for each in found],
                [each.high for each in found],
                pd.array([each.significant for each in found], dtype="boolean"),
            )
            columns |= {(measure, name): value for name, value in zip(FIELDS, values, strict=True)}
        frame = pd.DataFrame(columns, index=index)
        frame.columns = pd.MultiIndex.from_tuples(list(columns), names=["measure", "field"])
        return frame


def whole(before: Sequence[Table], after: Sequence[Table]) -> pd.DataFrame:
    """Compare the totals of profiles: one row for each of `MEASURES`, with the `FIELDS`."""
    import pandas as pd

    def figures(table: Table) -> list[list[float]]:
        sums = totals(table)
        nothing = bool(sums.unknown_calls) and not sums.total_tokens
        cost = np.nan if sums.unpriced_calls and not sums.cost else sums.cost
        told = [
            np.nan if nothing else float(each) for each in (sums.total_tokens, sums.input_tokens, sums.output_tokens)
        ]
        return [[*told, cost, sums.seconds, float(sums.calls)]]

    found = Difference([0], np.array([figures(each) for each in before]), np.array([figures(each) for each in after]))
    wide = found.frame(pd.RangeIndex(1)).iloc[0]
    rows = [[wide[measure, name] for name in FIELDS] for measure in MEASURES]
    frame = pd.DataFrame(rows, columns=list(FIELDS), index=pd.Index(MEASURES, name="measure"))
    return frame.astype({**dict.fromkeys(FIELDS[:-1], "float64"), "significant": "boolean"})


def groups(before: Sequence[Table], after: Sequence[Table], keys: Sequence[str | Sequence[str]]) -> pd.DataFrame:
    """Compare groups of calls; keys as in `tokprof.analysis.rollup.by`. Largest change of tokens first."""
    import pandas as pd

    sides = []
    names: list[Hashable] = []
    places: dict[Any, int] = {}
    for tables in (before, after):
        runs = []
        for table in tables:
            frame = grouped(table, keys).frame
            names = list(frame.index.names)
            values = np.column_stack([frame[_COLUMNS[each]].to_numpy(np.float64, na_value=np.nan) for each in MEASURES])
            run = {}
            for key, row in zip(map(_plain, frame.index), values, strict=True):
                places.setdefault(key, len(places))
                run[key] = row
            runs.append(run)
        sides.append(runs)
    found = Difference(list(places), *(_filled(runs, places) for runs in sides))
    index = pd.MultiIndex.from_tuples(places, names=names) if len(names) > 1 else pd.Index(list(places), name=names[0])
    return _sorted(found.frame(index))


@dataclass(frozen=True, slots=True)
class Merged:
    """Two trees as one, nodes in pre-order.

    Attributes
    ----------
    parent, depth : list of int
    keys : list of Key
    names : list of str
        As the profiles have them; where each side has another, both: ``In[2]:3 → In[4]:3``.
    total, own : Difference
        At or below a node, and of the node itself.
    """

    parent: list[int]
    depth: list[int]
    keys: list[Key]
    names: list[str]
    total: Difference
    own: Difference


def merge(before: Sequence[Tree], after: Sequence[Tree]) -> Merged:
    """Merge trees of profiles, node by node, by the path that leads to them.

    Roots are one, whatever their names. The lines of cells and files from which everything was called are told apart
    where both sides have the same ones, whatever the number of the cell; else all of them are one, because an edit
    moves lines.
    """
    sides = (before, after)
    lines = [{_line(tree, node) for tree in side for node in range(len(tree)) if _line(tree, node)} for side in sides]
    exact = lines[0] == lines[1]
    places: dict[tuple[int, Key], int] = {}  # by the place of the parent
    called: tuple[dict[int, str], dict[int, str]] = ({}, {})  # by place, as each side says it
    found: list[list[tuple[Floats, Floats, list[int]]]] = []
    for side, said in zip(sides, called, strict=True):
        runs = []
        for tree in side:
            mine: list[int] = []
            for node, up in enumerate(tree.parent):
                slot = (-1, _ROOT) if up < 0 else (mine[up], _key(tree, node, exact))
                mine.append(places.setdefault(slot, len(places)))
                said.setdefault(mine[-1], _said(tree, node, exact))
            total, own = _values(tree, tree.total, tree.evidence), _values(tree, tree.own, tree.own_evidence)
            runs.append((total, own, mine))
        found.append(runs)
    slots = list(places)
    order, parents = (each.tolist() for each in pre_order([up for up, _ in slots]))
    new = np.empty(len(order), np.intp)
    new[order] = np.arange(len(order))
    depth: list[int] = []
    for parent in parents:
        depth.append(0 if parent < 0 else depth[parent] + 1)
    keys = [slots[old][1] for old in order]
    sums = np.zeros((2, 2, max(len(before), len(after)), len(order), len(MEASURES)))
    for side_at, runs in enumerate(found):
        for run_at, (total, own, mine) in enumerate(runs):
            np.add.at(sums[0, side_at, run_at], new[mine], total)
            np.add.at(sums[1, side_at, run_at], new[mine], own)
    made = [Difference(keys, each[0, : len(before)], each[1, : len(after)]) for each in sums]
    names = [" → ".join(dict.fromkeys(said[old] for said in called if old in said)) for old in order]
    return Merged(parents, depth, keys, names, made[0], made[1])


def tree_frame(merged: Merged) -> pd.DataFrame:
    """Build the merged tree as a DataFrame, in pre-order.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``node``, ``parent`` (-1 for the root), ``depth``, ``name``, ``kind``, ``where`` and ``change``
        (``both``, ``added``, ``removed``); columns as of `Difference.frame`, of the node with everything below, and
        (``self``, *measure*): how much more the node itself used after than before.
    """
    import pandas as pd

    there = [np.nan_to_num(side, nan=1.0).any(axis=(0, 2)) for side in (merged.total.before, merged.total.after)]
    change = np.where(there[0] == there[1], "both", np.where(there[1], "added", "removed"))
    index = pd.MultiIndex.from_arrays(
        [
            range(len(merged.keys)),
            merged.parent,
            merged.depth,
            *zip(*merged.keys, strict=True),
            change,
        ],
        names=["node", "parent", "depth", "name", "kind", "where", "change"],
    )
    frame = merged.total.frame(index)
    own = merged.own.after.mean(axis=0) - merged.own.before.mean(axis=0)
    for at, measure in enumerate(MEASURES):
        frame["self", measure] = own[:, at]
    return frame


def _plain(key: Any) -> Any:
    """A key without the several ways of saying that there is none."""
    if isinstance(key, tuple):
        return tuple(map(_plain, key))
    return None if key is None or key != key or type(key).__name__ == "NAType" else key


def _filled(runs: Sequence[dict[Any, Floats]], places: dict[Any, int]) -> Floats:
    values = np.zeros((len(runs), len(places), len(MEASURES)))
    for at, run in enumerate(runs):
        for key, row in run.items():
            values[at, places[key]] = row
    return values


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    change = np.abs(frame["tokens", "delta"].to_numpy(np.float64))
    return frame.iloc[np.argsort(-np.nan_to_num(change), kind="stable")]


def _values(tree: Tree, figures: Floats, evidence: Evidence) -> Floats:
    own = figures is tree.own
    calls = tree.calls.astype(np.float64)
    if own:
        calls = calls.copy()
        for node in range(len(tree) - 1, 0, -1):
            calls[tree.parent[node]] -= tree.calls[node]
    columns = []
    for measure in MEASURES[:4]:
        at = _AT[measure]
        values = figures[:, SPENT].sum(axis=1) if measure == "tokens" else figures[:, at]
        columns.append(np.where(evidence.nothing(at), np.nan, values))
    return np.column_stack([*columns, tree.busy, calls])


def _line(tree: Tree, node: int) -> str | None:
    """Line of a frame at the top level of a cell or file, without the number of the cell."""
    if tree.kind[node] != "frame" or tree.name[node] != tree.where[node]:
        return None
    file, _, line = tree.where[node].rpartition(":")
    return f"{'cell' if file.startswith('In[') else file}:{line}"


def _said(tree: Tree, node: int, exact: bool) -> str:
    """Name of a node as the views of one profile have it; without the line where several are one."""
    name = tree.name[node]
    return name if exact or _line(tree, node) is None else name.rpartition(":")[0]


_ROOT: Key = ("(all)", "profile", "")


def _key(tree: Tree, node: int, exact: bool) -> Key:
    line = _line(tree, node)
    if line is not None:
        return (line if exact else line.rpartition(":")[0], "frame", "")
    file = tree.where[node].rpartition(":")[0] if tree.kind[node] == "frame" else ""
    return tree.name[node], tree.kind[node], "" if file.startswith("In[") else file
