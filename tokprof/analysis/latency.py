"""How long calls took: percentiles of their duration and of the wait for the first token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tokprof.analysis.books import METRICS, Floats, books
from tokprof.analysis.rollup import keyed
from tokprof.table import Table

if TYPE_CHECKING:
    import pandas as pd

SHARES = (50, 95, 99)
"""Percentiles that are told."""

_INPUT, _OUTPUT, _CACHED = (METRICS.index(name) for name in ("input", "output", "cache_read"))


def latency(table: Table, keys: Sequence[str | Sequence[str]]) -> pd.DataFrame:
    """Percentiles of the calls' times, in groups.

    Parameters
    ----------
    table : Table
    keys : sequence of str
        As in `tokprof.analysis.rollup.by`.

    Returns
    -------
    pandas.DataFrame
        Indexed by the keys, most calls first. ``calls``: those that have ended and have a row of their own, failures
        and retries included, answers from a cache left out; all else is of them. ``errors``: those that failed or were
        cancelled. ``duration_s_p50``, ``_p95``, ``_p99``; ``ttft_s_p50``, ...: seconds until the first token, of the
        streams that told; both by linear interpolation between calls. ``tokens_per_s``: output tokens by the seconds
        from the first token to the end, the median of the streams. ``cache_hit_rate``: input tokens that came from a
        cache by all input tokens, of the calls that told both, from 0 to 1. NaN where nothing is known.

    Raises
    ------
    ValueError
        As in `tokprof.analysis.rollup.by`.
    """
    import pandas as pd

    kept = books(table)
    ended = np.array([span.closed is not None for span in table.spans], np.bool_)
    rows = np.flatnonzero(kept.call & ~kept.hit & (kept.weight == 1) & ended)
    values = keyed(table, keys, rows)
    frame = pd.DataFrame(values)
    names = list(values)
    numbers = frame.groupby(names, dropna=False, sort=False).ngroup().to_numpy(np.intp)
    groups = [np.flatnonzero(numbers == number) for number in range(numbers.max(initial=-1) + 1)]
    first = _first_tokens(table)[rows]
    whole = table.durations()[rows]
    told, used = kept.told[rows], kept.used[rows]
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = np.where(told[:, _OUTPUT] & (whole > first), used[:, _OUTPUT] / (whole - first), np.nan)
    both = told[:, _INPUT] & told[:, _CACHED]
    columns: dict[str, Any] = {
        "calls": [len(at) for at in groups],
        "errors": [int(kept.failed[rows][at].sum()) for at in groups],
    }
    for name, times in (("duration_s", whole), ("ttft_s", first)):
        for share in SHARES:
            columns[f"{name}_p{share}"] = [_percentile(times[at], share) for at in groups]
    columns["tokens_per_s"] = [_percentile(rates[at], 50) for at in groups]
    columns["cache_hit_rate"] = [_share(used[at[both[at]]]) for at in groups]
    heads = frame.iloc[[at[0] for at in groups]].reset_index(drop=True)
    found = pd.concat([heads, pd.DataFrame(columns)], axis=1).set_index(names)
    return found.sort_values(["calls"], ascending=False, kind="stable")


def _first_tokens(table: Table) -> Floats:
    """Seconds from the start of each span to its first token; NaN where it was not seen."""
    return np.array(
        [np.nan if span.first_token is None else (span.first_token - span.opened) / 1e9 for span in table.spans],
        np.float64,
    )


def _percentile(values: Floats, share: float) -> float:
    known = values[~np.isnan(values)]
    return float(np.percentile(known, share)) if len(known) else float("nan")


def _share(used: Floats) -> float:
    whole = float(used[:, _INPUT].sum())
    return float(used[:, _CACHED].sum()) / whole if whole else float("nan")
