"""Charts over time: Vega-Lite where a notebook draws it, a still picture in a saved file, a line of blocks in text.

JupyterLab and Notebook 7 bring Vega-Lite along, up to version 5, and need no network for it. A chart is shown by that
MIME type alone, whatever renderer is set for Altair's own charts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tokprof.analysis.books import Floats
from tokprof.analysis.rollup import Totals
from tokprof.analysis.windows import bins, extent, parse, rolling, summed
from tokprof.recorder import warn_once
from tokprof.span import METRICS
from tokprof.table import Table
from tokprof.views import plot
from tokprof.views.colors import PALETTE, assign
from tokprof.views.words import clean, doubts, seconds, summary, tokens, usd

VEGA_LITE = "application/vnd.vegalite.v5+json"

_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"  # a name, which nothing fetches
_POINTS = 200  # windows of a timeline: enough for its width, and each is there for every model
_SERIES = 8
_ROWS = 24
_BINS = 60
_WIDTH, _HEIGHT, _ROW = 640, 220, 20
_UNKNOWN = "(unknown)"
_OTHERS = "(others)"
_COLUMNS = {
    "tokens": "total_tokens",
    "input": "input_tokens",
    "output": "output_tokens",
    "cached": "cache_read_tokens",
    "reasoning": "reasoning_tokens",
    "cost": "cost",
    "time": "in_flight",
}
_UNITS = {
    "tokens": "tokens",
    "input": "input tokens",
    "output": "output tokens",
    "cached": "cached input tokens",
    "reasoning": "reasoning tokens",
    "cost": "USD",
    "time": "seconds of calls",
}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Chart:
    """A chart that shows itself in notebooks and terminals.

    Attributes
    ----------
    text, svg : str
        The chart in words and as a still picture.
    """

    text: str
    svg: str
    _make: Callable[[], Any]

    @property
    def chart(self) -> Any:
        """The chart of Altair, to change, combine and save."""
        return self._make()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        bundle: dict[str, Any] = {"image/svg+xml": self.svg, "text/plain": self.text}
        try:
            bundle[VEGA_LITE] = {**self.chart.to_dict(), "$schema": _SCHEMA}
        except Exception as error:
            warn_once("make the chart with Altair", error)
        return bundle

    def __repr__(self) -> str:
        return self.text


def timeline(title: str, table: Table, totals: Totals, window: str | float | None, metric: str) -> Chart:
    """Rates over time, stacked by model, with the calls in flight as a line.

    Parameters
    ----------
    title : str
    table : Table
    totals : Totals
    window : str, float or None
        As in `tokprof.analysis.windows.windows`; None for a sixtieth of the profile, rounded.
    metric : {"tokens", "input", "output", "cached", "reasoning", "cost", "time"}
    """
    _check(metric)
    length = _sixtieth(extent(table)) if window is None else parse(window)
    grid = rolling(table, length, _POINTS)
    by_model = summed(table, grid, ["model"])
    names, amounts = _series(by_model, _COLUMNS[metric], _SERIES, grid.ends)
    rates = amounts if metric == "time" else amounts / grid.length
    flight = summed(table, grid)["in_flight"].to_numpy(float)
    unit = "calls in flight" if metric == "time" else f"{_UNITS[metric]}/s"
    head = f"{clean(title)}: {unit}, over {seconds(grid.length)}"
    notes = doubts(totals)
    colours = assign(
        _series(by_model, "total_tokens", _SERIES, grid.ends)[0]
    )  # one for all metrics, as in the flamegraph
    write = _bare if metric == "time" else _short(metric)
    shades = [colours.get(name, PALETTE[-1]) for name in names]
    picture = plot.Area(head, notes, grid.ends, names, rates, shades, unit, write)
    line = None if metric == "time" else (grid.ends, flight)

    def make() -> Any:
        from tokprof.views import vega

        return vega.timeline(picture, line, _WIDTH, _HEIGHT)

    said = [f"tokprof {head}", *notes]
    if names:
        peak = float(rates.sum(axis=0).max(initial=0))
        said.append(f"{plot.blocks(rates.sum(axis=0))}  at most {write(peak)} {unit}")
        if line:
            said.append(f"{plot.blocks(flight)}  at most {flight.max(initial=0):.1f} calls in flight")
    return Chart("\n".join(said), plot.area(picture, line, _WIDTH, _HEIGHT), make)


def heatmap(title: str, table: Table, totals: Totals, rows: str | Sequence[str], metric: str) -> Chart:
    """What was spent by whom and when: a row for each group of calls, sixty columns of time.

    Parameters
    ----------
    title : str
    table : Table
    totals : Totals
    rows : str or sequence of str
        As in `tokprof.analysis.rollup.by`.
    metric : {"tokens", "input", "output", "cached", "reasoning", "cost", "time"}
    """
    _check(metric)
    grid = bins(table, _BINS)
    found = summed(table, grid, [rows])
    names, amounts = _series(found, _COLUMNS[metric], _ROWS, grid.ends)
    if metric == "time":
        amounts = amounts * grid.length
    keys = ", ".join(str(name) for name in found.index.names[:-1])
    head = f"{clean(title)}: {_UNITS[metric]} by {clean(keys)}, in {seconds(grid.length)} each"
    if not totals.calls:
        head = f"{clean(title)}: no model calls"
    picture = plot.Heat(head, doubts(totals), grid.ends, grid.length, names, amounts, _UNITS[metric], _short(metric))

    def make() -> Any:
        from tokprof.views import vega

        return vega.heatmap(picture, _WIDTH, _ROW)

    said = [f"tokprof {head}", *picture.notes]
    if names:
        width = max(map(len, names))
        said += [
            f"{name:<{width}}  {plot.blocks(each)}  {_short(metric)(float(each.sum()))}"
            for name, each in zip(names, amounts, strict=True)
        ]
    else:
        said.append(" · ".join(summary(totals)) if totals.calls else seconds(totals.seconds))
    return Chart("\n".join(said), plot.heat(picture, _WIDTH, _ROW), make)


def _check(metric: str) -> None:
    if metric not in METRICS:
        raise ValueError(f"{metric!r} is no metric; known: {', '.join(METRICS)}")


def _series(frame: Any, column: str, most: int, ends: Floats) -> tuple[list[str], Floats]:
    """Groups, heaviest first and the lightest as one, and what each spent in each window."""
    values = np.nan_to_num(frame[column].to_numpy(float)).reshape(-1, len(ends))
    labels = [_label(key) for key in frame.index.droplevel("end_s")[:: len(ends)]]
    by_name: dict[str, Floats] = {}
    for at in np.argsort(-values.sum(axis=1), kind="stable").tolist():
        name = labels[at] if labels[at] in by_name or len(by_name) < most - 1 or len(labels) <= most else _OTHERS
        by_name[name] = by_name.get(name, np.zeros(len(ends))) + values[at]
    return list(by_name), np.array(list(by_name.values())).reshape(len(by_name), len(ends))


def _label(key: Any) -> str:
    parts = key if isinstance(key, tuple) else (key,)
    known = [_UNKNOWN if part is None or part != part or str(part) == "<NA>" else str(part) for part in parts]
    return clean(" · ".join(part.rpartition("<locals>.")[2] for part in known), 40)


def _short(metric: str) -> Callable[[float], str]:
    return usd if metric == "cost" else seconds if metric == "time" else tokens


def _bare(amount: float) -> str:
    return f"{amount:.3g}"


def _sixtieth(whole: float) -> float:
    """A round length of which about sixty make the whole."""
    return plot.round_up(max(whole / 60, 1e-3))
