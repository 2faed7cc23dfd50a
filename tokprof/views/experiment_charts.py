"""Charts of an experiment: cost against score, and a figure by two parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tokprof.analysis.experiments import SPENDING, summary
from tokprof.views import scatter
from tokprof.views.charts import Chart
from tokprof.views.words import clean, count, seconds, tokens, usd

if TYPE_CHECKING:
    import pandas as pd

    from tokprof.views.experiments import Experiment

_WIDTH, _HEIGHT = 640, 300
_CELL, _ROW = 92, 30
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#B8A800", "#999999")
_TITLES = {
    "total_tokens": "tokens",
    "cost": "cost (USD)",
    "seconds": "seconds",
}


def title_of(measure: str) -> str:
    """Name of a column in words."""
    return _TITLES.get(measure, clean(measure.replace("_", " ") if measure in SPENDING else measure, 40))


def writer(measure: str) -> Callable[[float], str]:
    """How figures of a column are written."""
    if measure == "cost":
        return usd
    if measure == "seconds":
        return seconds
    return tokens if measure.endswith("_tokens") else _bare


def pareto(experiment: Experiment, x: str, y: str, color: str | None) -> Chart:
    """Points with their intervals, and the front; see ``Experiment.chart``."""
    names = experiment._varying() or experiment.params
    if color is not None and color not in experiment.params:
        raise ValueError(f"{color!r} is no parameter; known: {', '.join(experiment.params)}")
    found = experiment.pareto(x, y)
    frame = found[found["dominated"].notna()]
    group = color or (names[0] if names else None)
    labels = [str(value) for value in frame[group]] if group else [""] * len(frame)
    groups = [clean(label, 40) for label in labels]
    order = _in_order(experiment, group, groups)
    if color is None and len(order) > len(_COLOURS):
        group, groups, order = None, [""] * len(frame), [""]
    colours = {name: _COLOURS[min(at, len(_COLOURS) - 1)] for at, name in enumerate(order)}
    said = [_named(row, names) for row in frame.to_dict("records")]
    up = y in experiment.scores
    title = f"{_of(experiment)}{title_of(y)} by {title_of(x)}"
    notes = []
    if hidden := len(found) - len(frame):
        notes.append(f"{count(hidden, 'point')} without a known {title_of(x)} or {title_of(y)}.")
    if len(frame) and "cost" in (x, y) and float(experiment.summary()["cost_coverage"].min()) < 1:
        notes.append("Some costs are lower bounds: not every call has a known price.")
    picture = scatter.Dots(
        title,
        notes,
        _scale(frame, x),
        _scale(frame, y),
        ~frame["dominated"].to_numpy(bool),
        said,
        frame["point"].tolist(),
        groups,
        clean(group or "", 40),
        colours,
        up,
    )

    def make() -> Any:
        from tokprof.views import vega_experiments

        return vega_experiments.dots(picture, _WIDTH, _HEIGHT)

    words = [f"tokprof {title}", *notes]
    words += [f"● {said[at]}: {picture.y.said(at)} for {picture.x.said(at)}" for at in picture.line]
    others = int(frame["dominated"].sum())
    if others:
        words.append(f"○ {count(others, 'point')} that another one beats")
    return Chart("\n".join(words), scatter.dots(picture, _WIDTH, _HEIGHT), make)


def heatmap(experiment: Experiment, x: str | None, y: str | None, metric: str) -> Chart:
    """A figure for each pair of values; see ``Experiment.heatmap``."""
    names = [*experiment._varying(), *experiment.params]
    spare = [name for name in dict.fromkeys(names) if name not in (x, y)]
    if len(spare) + (x is not None) + (y is not None) < 2:
        raise ValueError("a heatmap needs two parameters; see chart() for points")
    x = x or spare.pop(0)
    y = y or spare.pop(0)
    for name in (x, y):
        if name not in experiment.params:
            raise ValueError(f"{name!r} is no parameter; known: {', '.join(experiment.params)}")
    if x == y:
        raise ValueError(f"x and y are both {x!r}")
    means = summary(experiment.df, [x, y], [metric], 0.95, [])
    columns, rows = _sorts(experiment, x), _sorts(experiment, y)
    values = np.full((len(rows), len(columns)), np.nan)
    for across, down, value in zip(means[x], means[y], means[metric], strict=True):
        values[rows.index(_sort(down)), columns.index(_sort(across))] = value
    title = f"{_of(experiment)}{title_of(metric)} by {clean(x, 40)} and {clean(y, 40)}"
    others = [name for name in experiment._varying() if name not in (x, y)]
    notes = [f"Means over {', '.join(clean(name, 40) for name in others)}."] if others else []
    heads, sides = ([clean(name, 28) for _, name in each] for each in (columns, rows))
    picture = scatter.Matrix(title, notes, clean(x, 40), clean(y, 40), heads, sides, values, writer(metric))

    def make() -> Any:
        from tokprof.views import vega_experiments

        cell = max(_CELL, 14 + round(6.2 * max(map(len, heads))))
        return vega_experiments.matrix(picture, cell, _ROW)

    lines = [[f"{clean(y, 20)} ↓ {clean(x, 20)} →", *heads]]
    for name, figures in zip(sides, values, strict=True):
        lines.append([name, *("–" if np.isnan(value) else picture.write(float(value)) for value in figures)])
    text = "\n".join([f"tokprof {title}", *notes, *aligned(lines)])
    return Chart(text, scatter.matrix(picture), make)


def aligned(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Lines of a table of text; the first `left` columns are flush left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            f"{cell:<{width}}" if at < left else f"{cell:>{width}}"
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _scale(frame: pd.DataFrame, measure: str) -> scatter.Scale:
    mean, low, high = (frame[f"{measure}{end}"].to_numpy(np.float64) for end in ("", "_low", "_high"))
    return scatter.Scale(title_of(measure), mean, low, high, writer(measure), measure in SPENDING)


def _values(experiment: Experiment, name: str) -> list[str]:
    return list(dict.fromkeys(text for _, text in _sorts(experiment, name)))


def _sorts(experiment: Experiment, name: str) -> list[tuple[str, str]]:
    return list(dict.fromkeys(_sort(point.shown.get(name)) for point in experiment._points))


def _sort(value: Any) -> tuple[str, str]:
    """What tells a value from all others: 1 is not "1"."""
    return type(value).__name__, str(value)


def _in_order(experiment: Experiment, group: str | None, groups: list[str]) -> list[str]:
    """Groups as they stand in the grid."""
    if group is None:
        return [""]
    return [name for name in dict.fromkeys(clean(value, 40) for value in _values(experiment, group)) if name in groups]


def _of(experiment: Experiment) -> str:
    return f"{clean(experiment.name, 60)}: " if experiment.name else ""


def _named(row: Any, names: Sequence[str]) -> str:
    return clean(" · ".join(_value(name, row[name]) for name in names), 80)


def _value(name: str, value: Any) -> str:
    """A value that says what it is of: a number needs its name."""
    return value if isinstance(value, str) else f"{name} {value}"


def _bare(amount: float) -> str:
    return f"{amount:.3g}"
