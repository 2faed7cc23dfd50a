"""How deep a profile goes, and how much ran side by side at each depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tokprof.analysis.books import COST, SPENT, TOKENS, Floats, books
from tokprof.table import Table

if TYPE_CHECKING:
    import pandas as pd


class Concurrency(NamedTuple):
    """How many of some stretches of time ran at once.

    Attributes
    ----------
    peak : int
        Most at once.
    busy : float
        Seconds in which at least one ran.
    summed : float
        Seconds of all, added up.
    """

    peak: int
    busy: float
    summed: float

    @property
    def mean(self) -> float:
        """How many ran at once on average, while any did; NaN where none ever did."""
        return self.summed / self.busy if self.busy > 0 else float("nan")


def concurrency(start: Floats, end: Floats) -> Concurrency:
    """Find how many stretches of time ran at once; one that ends where another begins is not beside it.

    Parameters
    ----------
    start, end : float64 array, shape (n,)
        Seconds.
    """
    lasting = end > start
    start, end = start[lasting], end[lasting]
    if not len(start):
        return Concurrency(0, 0.0, 0.0)
    times = np.concatenate((end, start))  # of one time, ends come first
    steps = np.repeat(np.array([-1, 1]), len(start))
    order = np.argsort(times, kind="stable")
    running = np.cumsum(steps[order])
    spent = np.diff(times[order])
    return Concurrency(int(running.max()), float(spent[running[:-1] > 0].sum()), float((end - start).sum()))


def levels(table: Table) -> pd.DataFrame:
    """Find what each depth used, and how much ran side by side there.

    Parameters
    ----------
    table : Table

    Returns
    -------
    pandas.DataFrame
        Indexed by ``depth``, 0 for the root. ``spans``, ``calls``; ``tokens`` and ``cost`` (USD) that the spans of this
        depth used themselves, null where none of its calls told; ``duration_s`` (summed up), ``busy_s`` (in which at
        least one of them ran), ``parallelism`` (the first by the second: 1 where everything is in sequence) and
        ``peak`` (most at once). ``attrs`` has ``peak_calls``, ``mean_calls`` (while any call ran) and ``busy_s`` of
        model calls at any depth; rows that stand for many calls have no times of their own and are left out of these.
    """
    import pandas as pd

    kept = books(table)
    depths = table.depths()
    start = table.whole("opened") / 1e9
    start = start - start.min(initial=np.inf) if len(start) else start
    end = start + table.durations()
    single = kept.weight == 1
    rows = []
    for depth in range(int(depths.max(initial=-1)) + 1):
        at = depths == depth
        ran = concurrency(start[at & single], end[at & single])
        told, untold = kept.told[at & kept.call], kept.untold[at & kept.call]
        unknown = (told.sum(axis=0) == 0) & (untold.sum(axis=0) > 0)
        rows.append(
            {
                "depth": depth,
                "spans": int(at.sum()),
                "calls": int(kept.weight[at & kept.call].sum()),
                "tokens": None if unknown[TOKENS] else round(float(kept.used[at][:, SPENT].sum())),
                "cost": float("nan") if unknown[COST] else float(kept.used[at, COST].sum()),
                "duration_s": ran.summed,
                "busy_s": ran.busy,
                "parallelism": ran.mean,
                "peak": ran.peak,
            }
        )
    names = ["depth", "spans", "calls", "tokens", "cost", "duration_s", "busy_s", "parallelism", "peak"]
    frame = pd.DataFrame(rows, columns=names).astype({"tokens": "Int64"}).set_index("depth")
    calls = kept.call & single
    ran = concurrency(start[calls], end[calls])
    frame.attrs.update(peak_calls=ran.peak, mean_calls=ran.mean, busy_s=ran.busy)
    return frame
