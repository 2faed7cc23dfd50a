"""Experiments: figures of a run, means of repeated runs with their intervals, and points that none is better than."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tokprof.analysis.books import COST, FIGURES, TOKEN_NAMES, TOKENS, Flags, Floats, books
from tokprof.analysis.bootstrap import LEAST, intervals
from tokprof.analysis.rollup import totals
from tokprof.analysis.sequential import interval
from tokprof.table import Table

if TYPE_CHECKING:
    import pandas as pd

TOKEN_COLUMNS = ("total_tokens", *TOKEN_NAMES)
SPENDING = (*TOKEN_COLUMNS, "cost", "calls", "seconds")
"""Figures of a run of which less is better."""

ALIASES = {
    "tokens": "total_tokens",
    "input": "input_tokens",
    "output": "output_tokens",
    "cached": "cache_read_tokens",
    "reasoning": "reasoning_tokens",
    "time": "seconds",
}
"""Metrics of profiles, as columns of runs."""


def figures(table: Table) -> dict[str, Any]:
    """Sum up a run.

    Parameters
    ----------
    table : Table

    Returns
    -------
    dict
        ``calls``, ``failed_calls``, the tokens by kind and ``cost`` (USD): None where no call told the figure, 0 where
        none was made; ``cost_coverage`` (see `tokprof.analysis.rollup.Totals`), ``unknown_calls`` (whose tokens are not
        all in the sums) and ``seconds``.
    """
    kept, sums = books(table), totals(table)
    weight = (kept.call * kept.weight)[:, None]
    told, untold = (kept.told * weight).sum(axis=0), (kept.untold * weight).sum(axis=0)
    unknown = (told == 0) & (untold > 0)
    found: dict[str, Any] = {"calls": sums.calls, "failed_calls": sums.errors}
    found["total_tokens"] = None if unknown[TOKENS] else sums.total_tokens
    for name in TOKEN_NAMES:
        found[name] = None if unknown[FIGURES.index(name.removesuffix("_tokens"))] else sums[name]
    found["cost"] = None if unknown[COST] else sums.cost
    found["cost_coverage"], found["unknown_calls"] = sums.cost_coverage, sums.unknown_calls
    found["seconds"] = max(0.0, sums.seconds)
    return found


def spending(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Sum up runs and their scores: ``runs``, ``tokens``, ``cost``, ``calls`` and ``seconds``, as far as known."""
    each = list(rows)
    tokens = sum((row.get("total_tokens") or 0) + (row.get("scoring_tokens") or 0) for row in each)
    cost = sum((row.get("cost") or 0.0) + (row.get("scoring_cost") or 0.0) for row in each)
    calls = sum(row.get("calls") or 0 for row in each)
    seconds = sum(row.get("seconds") or 0.0 for row in each)
    return {"runs": len(each), "tokens": tokens, "cost": cost, "calls": calls, "seconds": seconds}


def summary(
    runs: pd.DataFrame, by: Sequence[str], measures: Sequence[str], confidence: float, index: Sequence[str]
) -> pd.DataFrame:
    """Mean figures of the runs of each point, and how sure they are.

    Parameters
    ----------
    runs : pandas.DataFrame
        One row a run, with ``status``.
    by : sequence of str
        Columns to group by.
    measures : sequence of str
        Columns to average: over the runs that ended ``ok`` and have the figure.
    confidence : float
        Share of such intervals that hold the true mean, between 0 and 1.
    index : sequence of str
        Those of `by` that the result is indexed by.

    Returns
    -------
    pandas.DataFrame
        In the order in which the groups first stand in `runs`: ``runs``, ``ok``, ``failed``, and of each measure its
        mean, ``<measure>_low`` and ``<measure>_high`` (NaN below two runs; of what is spent, not below 0; of a score
        that is always 0 or 1 Wilson's interval, and of one that is always between them within 0 and 1), and of a score
        ``<measure>_runs``, the number of figures in the mean; ``cost_coverage``, the least of a run.
    """
    import pandas as pd

    groups: dict[tuple[Hashable, ...], list[int]] = {}
    keys = [[_key(value) for value in runs[name]] for name in by]
    for at, key in enumerate(zip(*keys, strict=True) if by else [()] * len(runs)):
        groups.setdefault(key, []).append(at)
    fine = (runs["status"] == "ok").to_numpy(bool)
    values = np.column_stack([_floats(runs[name]) for name in measures]) if measures else np.zeros((len(runs), 0))
    coverage = _floats(runs["cost_coverage"])
    rows = []
    for members in groups.values():
        good = [row for row in members if fine[row]]
        made: dict[str, Any] = {"runs": len(members), "ok": len(good), "failed": len(members) - len(good)}
        each = _means(values[good], confidence)
        for name, (mean, low, high, number) in zip(measures, each, strict=True):
            if name in SPENDING:
                low = 0.0 if low < 0 else low
            else:
                low, high = _of_scores(values[good, measures.index(name)], mean, low, high, confidence)
            made |= {name: mean, f"{name}_low": low, f"{name}_high": high, f"{name}_runs": number}
        covered = coverage[good][~np.isnan(coverage[good])]
        made["cost_coverage"] = float(covered.min()) if len(covered) else math.nan
        rows.append(made)
    ends = ("", "_low", "_high", "_runs")
    columns = [f"{name}{end}" for name in measures for end in (ends[:3] if name in SPENDING else ends)]
    frame = pd.DataFrame(rows, columns=["runs", "ok", "failed", *columns, "cost_coverage"])
    first = [members[0] for members in groups.values()]
    names = pd.DataFrame({name: as_given(runs[name].iloc[first].tolist()) for name in by}, index=range(len(groups)))
    if len(index) > 1:  # an index of several levels has NaN for None, and floats for the numbers beside it
        for name in index:
            names[name] = as_given(["None" if value is None else value for value in names[name]])
    whole = pd.concat([names, frame], axis=1)
    return whole.set_index(list(index)) if index else whole


def as_given(values: Sequence[Any]) -> pd.Series[Any]:
    """Make a column in which values of different kinds stay what they are: 100 beside None is no 100.0."""
    import pandas as pd

    kinds = {type(value) for value in values}
    return pd.Series(values, dtype=None if kinds in ({str}, {bool}, {int}, {float}) else object)


def front(costs: Floats) -> Flags:
    """Find the points that no other one dominates: none is as good in all and better in some.

    Parameters
    ----------
    costs : float64 array, shape (points, figures)
        Less is better. A point with an unknown figure (NaN) is neither on the front nor dominates.

    Returns
    -------
    bool array, shape (points,)
        Points that are equal are both on the front.
    """
    known = np.asarray(~np.isnan(costs).any(axis=1), np.bool_)
    on = known.copy()
    for at in np.flatnonzero(known).tolist():
        as_good = (costs <= costs[at]).all(axis=1) & known
        better = (costs < costs[at]).any(axis=1)
        on[at] = not (as_good & better).any()
    return on


def _means(values: Floats, confidence: float) -> list[tuple[float, float, float, int]]:
    """Of each column: mean, low, high, and how many figures there are."""
    known = ~np.isnan(values)
    number = known.sum(axis=0)
    found = []
    whole = intervals(values, confidence) if len(values) else []
    for at in range(values.shape[1]):
        if not number[at]:
            found.append((math.nan, math.nan, math.nan, 0))
            continue
        column = values[known[:, at], at]
        if column.min() == column.max():  # what rounding makes of it is no noise
            mean = float(column[0])
            low, high = (mean, mean) if len(column) >= LEAST else (math.nan, math.nan)
        else:
            mean = math.fsum(column) / len(column)  # the same in whatever order they came
            low, high = whole[at] if len(column) == len(values) else intervals(column[:, None], confidence)[0]
        found.append((mean, low, high, len(column)))
    return found


def _of_scores(scores: Floats, mean: float, low: float, high: float, confidence: float) -> tuple[float, float]:
    """Bounds of the mean of scores, as `tokprof.search_budget` has them where all are between 0 and 1."""
    known = scores[~np.isnan(scores)]
    if len(known) < LEAST or known.min() < 0 or known.max() > 1:
        return low, high
    if ((known == 0) | (known == 1)).all():  # all alike, they tell of no noise, but of few runs
        found = interval(known.tolist(), confidence)
        return min(found.low, mean), max(found.high, mean)
    return max(0.0, low), min(1.0, high)


def _floats(column: pd.Series[Any]) -> Floats:
    return np.asarray(column.astype("Float64").to_numpy(np.float64, na_value=np.nan))


def _key(value: Any) -> Hashable:
    """What equals itself, and nothing of another kind: 1 is neither 1.0 nor True."""
    return type(value), "nan" if value != value else value
