"""What was spent when: rolling windows over the time of a profile.

How the tokens of a call are spread over its time
    Input (with cache reads and writes, and all of an embedding) goes out when the call starts. Output comes in evenly
    between the first token and the end; from the start on where the first token was not seen. Cost is spread in the
    same way, by its parts; a cost without parts goes evenly over the whole call.

Sums over windows that follow on each other are those of the profile.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tokprof.analysis.books import COST, FIGURES, METRICS, SPENT, TOKENS, Books, Flags, Floats, books
from tokprof.analysis.rollup import keyed
from tokprof.table import Table

if TYPE_CHECKING:
    import pandas as pd

POINTS = 600
"""Windows at most, so that a long profile does not make a large table."""

_SMOOTH = 10  # steps to a window, where there are few windows
_UNITS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}
_LENGTH = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(ms|s|min|m|h)\s*")
_LATE = ("output", "reasoning")  # figures that come in at the end of a call


@dataclass(frozen=True, slots=True)
class Grid:
    """Windows of the same length.

    Attributes
    ----------
    starts, ends : float64 arrays, shape (n,)
        Seconds since the start of the profile; a window holds what is at or after its start and before its end.
    length : float
        Seconds.
    """

    starts: Floats
    ends: Floats
    length: float


def parse(window: str | float) -> float:
    """Seconds of ``"1s"``, ``"500ms"``, ``"2min"``, ``"1h"`` or a number of seconds.

    Raises
    ------
    ValueError
        For anything else, and for no time at all.
    """
    seconds = -1.0
    if isinstance(window, str):
        found = _LENGTH.fullmatch(window)
        seconds = float(found[1]) * _UNITS[found[2]] if found else -1.0
    elif isinstance(window, int | float) and not isinstance(window, bool):
        seconds = float(window)
    if not 0 < seconds < float("inf"):
        raise ValueError(f'{window!r} is no window; give a length above zero as "500ms", "1s", "2min" or seconds')
    return seconds


def extent(table: Table) -> float:
    """Seconds from the start of a profile to the end of its last span."""
    if not len(table):
        return 0.0
    return float(_starts(table)[1].max(initial=0.0))


def rolling(table: Table, length: float, points: int = POINTS) -> Grid:
    """Windows that overlap, up to ten steps to each; longer than asked where `points` would not do."""
    whole = extent(table)
    if whole / length >= points:
        length = whole / points * (1 + 1e-9)
    count = int(whole / length) + 1
    count += count * length <= whole
    steps = max(1, min(_SMOOTH, points // count))
    return _grid(count * steps, steps, length)


def bins(table: Table, count: int) -> Grid:
    """Windows that follow on each other, `count` of them, and cover a profile."""
    length = (extent(table) or 1.0) / count * (1 + 1e-9)
    return _grid(count, 1, length)


def _grid(count: int, steps: int, length: float) -> Grid:
    # the end of one window is to the bit the start of another, or what is at the edge would be in both, or in neither
    edges = np.arange(1 - steps, count + 1, dtype=np.float64) * np.float64(length / steps)
    return Grid(edges[:count], edges[steps:], length)


def windows(
    table: Table, window: str | float = "1s", keys: Sequence[str | Sequence[str]] = (), points: int = POINTS
) -> pd.DataFrame:
    """Sum up what was spent in rolling windows.

    Parameters
    ----------
    table : Table
    window : str or float
        Length of a window: ``"500ms"``, ``"1s"``, ``"2min"``, or seconds. Where more than `points` of them would stand
        side by side, they are longer; ``frame.attrs["window_s"]`` is what they came to.
    keys : sequence of str
        As in `tokprof.analysis.rollup.by`: one row for each window and group.
    points : int
        Windows at most.

    Returns
    -------
    pandas.DataFrame
        Indexed by the keys and ``end_s``, seconds since the start of the profile at which a window ends; there are up
        to ten windows to the length of one. ``input_tokens``, ``output_tokens``, ``embedding_tokens``,
        ``cache_read_tokens``, ``cache_write_tokens``, ``reasoning_tokens``, ``total_tokens`` (counts; fractions, as
        output is spread over time), ``cost`` (USD): sums over a window, NaN where calls were under way and none told.
        ``calls_started``; ``in_flight``: calls under way, on average over the window; ``unknown_calls``: calls begun
        that did not tell all of their tokens. Divide by ``frame.attrs["window_s"]`` for rates. How a call is spread
        over time is told in `tokprof.analysis.windows`.

    Raises
    ------
    ValueError
        For a `window` that is none, and for keys as in `tokprof.analysis.rollup.by`.
    """
    return summed(table, rolling(table, parse(window), points), keys)


def summed(table: Table, grid: Grid, keys: Sequence[str | Sequence[str]] = ()) -> pd.DataFrame:
    """Sum up what was spent in given windows; see `windows`."""
    import pandas as pd

    kept = books(table)
    rows = kept.counted()
    values = keyed(table, keys, rows) if keys else {}
    group: np.ndarray[Any, Any] = np.zeros(len(rows), np.intp)
    if values:
        group = pd.DataFrame(values).groupby(list(values), dropna=False, sort=False).ngroup().to_numpy(np.intp)
    firsts = np.sort(np.unique(group, return_index=True)[1]).tolist() if values else [None]
    parts = []
    for first in firsts or [None]:
        at = rows if first is None else rows[group == group[first]]
        part = pd.DataFrame(_columns(table, kept, at, grid))
        for name, each in values.items():
            part[name] = pd.Series([None if first is None else each[first]] * len(part), dtype=object)
        part["end_s"] = grid.ends
        parts.append(part)
    frame = pd.concat(parts, ignore_index=True)[: None if firsts else 0].set_index([*values, "end_s"])
    frame.attrs["window_s"] = grid.length
    return frame


def _starts(table: Table) -> tuple[Floats, Floats]:
    """Seconds since the start of the profile at which each row starts and ends."""
    opened = table.whole("opened")
    start = (opened - opened[:1]) / 1e9
    return start, start + table.durations()


def _columns(table: Table, kept: Books, rows: np.ndarray[Any, Any], grid: Grid) -> dict[str, Floats]:
    starts, ends = (times[rows] for times in _starts(table))
    firsts = starts.copy()
    for at, row in enumerate(rows.tolist()):
        span = table.spans[row]
        if span.first_token is not None:
            firsts[at] = min(starts[at] + (span.first_token - span.opened) / 1e9, ends[at])
    used, call, weight = kept.used[rows], kept.call[rows], kept.weight[rows]
    made: dict[str, Floats] = {}
    for column, metric in enumerate(METRICS[:COST]):
        begin, stop = (firsts, ends) if metric in _LATE else (starts, starts)
        made[f"{metric}_tokens"] = _within(grid, begin, stop, used[:, column])
    made["total_tokens"] = np.sum([made[f"{metric}_tokens"] for metric in METRICS[SPENT]], axis=0)
    early, late = _parts(table.costs[rows])
    cost = used[:, COST]
    made["cost"] = (
        _within(grid, starts, starts, cost * early)
        + _within(grid, firsts, ends, cost * late)
        + _within(grid, starts, ends, cost * (1 - early - late))
    )
    for column, figure in enumerate(FIGURES):
        name = "cost" if figure == "cost" else "total_tokens" if column == TOKENS else f"{figure}_tokens"
        told = _under_way(grid, starts, ends, kept.told[rows, column])
        untold = _under_way(grid, starts, ends, kept.untold[rows, column])
        made[name][~told & untold] = np.nan
    made["calls_started"] = _within(grid, starts, starts, (call * weight).astype(np.float64))
    made["in_flight"] = _within(grid, starts, ends, (ends - starts) * call) / grid.length
    made["unknown_calls"] = _within(grid, starts, starts, (kept.unknown[rows] * weight).astype(np.float64))
    for name in ("calls_started", "unknown_calls"):
        made[name] = made[name].round().astype(np.int64)
    return made


def _parts(costs: Floats) -> tuple[Floats, Floats]:
    """Shares of a call's cost that fall to its start and to its answer; the rest is not told apart."""
    whole = costs[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        late = np.nan_to_num(costs[:, 2] / whole, posinf=0, neginf=0)
        early = np.nan_to_num(np.nansum(costs[:, [1, 3, 4]], axis=1) / whole, posinf=0, neginf=0)
    over = np.maximum(early + late, 1)  # parts may be more than the whole by a rounding
    return early / over, late / over


def _within(grid: Grid, begins: Floats, ends: Floats, amounts: Floats) -> Floats:
    """Amounts that fall into each window, each spread evenly between its begin and its end."""
    edges = np.concatenate((grid.starts, grid.ends))
    before = np.zeros(len(edges))
    at_once = ends <= begins
    order = np.argsort(begins[at_once], kind="stable")
    sums = np.concatenate(([0.0], np.cumsum(amounts[at_once][order])))
    before += sums[np.searchsorted(begins[at_once][order], edges, "left")]
    rates = amounts[~at_once] / (ends - begins)[~at_once]
    for times, sign in ((begins[~at_once], 1), (ends[~at_once], -1)):
        order = np.argsort(times, kind="stable")
        rate = np.concatenate(([0.0], np.cumsum(rates[order])))
        offset = np.concatenate(([0.0], np.cumsum((rates * times)[order])))
        place = np.searchsorted(times[order], edges, "left")
        before += sign * (rate[place] * edges - offset[place])
    first, last = np.split(before, 2)
    # what is left of sums that cancel each other is no spending
    small = 1e-9 * float(np.abs(amounts).sum())
    inside = last - first
    return np.where(inside > small, inside, 0.0)


def _under_way(grid: Grid, starts: Floats, ends: Floats, which: Flags) -> Flags:
    """In which windows any of the calls was under way."""
    begun = np.searchsorted(np.sort(starts[which]), grid.ends, "left")
    last = np.maximum(starts, ends - 1e-9)[which]  # the last moment of a call is before its end
    over = np.searchsorted(np.sort(last), grid.starts, "left")
    under: Flags = begun > over
    return under
