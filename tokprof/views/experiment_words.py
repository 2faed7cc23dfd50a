"""An experiment in words and as HTML without script."""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from tokprof.analysis.experiments import spending
from tokprof.recorder import warn_once
from tokprof.views.charts import Chart
from tokprof.views.experiment_charts import aligned, title_of, writer
from tokprof.views.markup import unmathed
from tokprof.views.words import clean, count, seconds, tokens, usd, usd_places

if TYPE_CHECKING:
    import pandas as pd

    from tokprof.views.experiments import Experiment

_ROWS = 20
_SCORES = 3


def headline(experiment: Experiment) -> list[str]:
    """``12 points × 3 runs``, what came of them, and what they spent."""
    rows = experiment._rows.values()
    spent = spending(rows)
    parts = [f"{count(len(experiment._points), 'point')} × {count(experiment._repeats, 'run')}"]
    if (made := len(rows)) < len(experiment._planned):
        parts.append(f"{made:,} of {count(len(experiment._planned), 'run')} made")
    if experiment.path is not None and (read := sum(bool(row.get("read")) for row in rows)):
        parts.append(f"{read:,} of {count(made, 'run')} read from {clean(experiment.path.name, 60)}")
    parts += _ends(row["status"] for row in rows)
    unknown = any(row.get("unknown_calls") for row in rows)
    parts.append(f"{'≥ ' if unknown else ''}{tokens(spent['tokens'])} tokens")
    costs = [row.get("cost") for row in rows]
    if any(cost is not None for cost in costs):
        parts.append(f"{'≥ ' if _bounds(experiment) else ''}{usd(spent['cost'])}")
    elif rows:
        parts.append("cost unknown")
    parts.append(seconds(experiment._seconds))
    if other := _others(experiment):
        parts.append(other)
    return parts


def _ends(statuses: Iterable[str]) -> list[str]:
    """``1 failed``, ``2 stopped``: how the runs ended that did not end well."""
    number = Counter(statuses)
    words = {"error": "failed", "stopped": "stopped", "interrupted": "interrupted"}
    return [f"{number[status]:,} {word}" for status, word in words.items() if number[status]]


def _others(experiment: Experiment) -> str:
    """What runs came to that stand in the file, but are not shown: of other grids, or made again since."""
    rows = experiment._before
    if not rows:
        return ""
    spent, calling = spending(rows), [row for row in rows if row.get("calls")]
    known = any(row.get("cost") is not None for row in rows)
    lacks = any((row.get("cost_coverage") or 0.0) < 1 for row in calling)
    if known and (spent["cost"] or not lacks):
        told = f"{'≥ ' if lacks else ''}{usd(spent['cost'])}"
    else:
        told = f"{'≥ ' if any(row.get('unknown_calls') for row in rows) else ''}{tokens(spent['tokens'])} tokens"
    return f"and {told} of {count(len(rows), 'other run')} in the file"


def notes(experiment: Experiment) -> list[str]:
    """What the figures leave out, and how to go on."""
    said = []
    left = len(experiment._planned) - len(experiment._rows)
    if experiment.interrupted:
        said.append(f"Interrupted, {count(left, 'run')} left. {resume(experiment)}")
    elif experiment.stopped:
        said.append(f"Stopped by the {experiment.stopped}, {count(left, 'run')} left. {resume(experiment)}")
    rows = sorted(experiment._rows.items())
    failures = Counter(str(row["error"]) for _, row in rows if row["status"] != "ok" and row["error"])
    if failures:
        listed = ", ".join(f"{clean(name, 60)} ({number:,})" for name, number in failures.most_common(4))
        first = next((run for run, row in rows if row["status"] != "ok" and run in experiment._errors), None)
        hint = f": see .exception({first})" if first is not None else ""
        ends = _ends(row["status"] for _, row in rows if row["status"] != "ok" and row["error"])
        top, *more = ends
        number, word = top.split()
        what = ", ".join([f"{number} {'run' if number == '1' else 'runs'} {word}", *more])
        said.append(f"{what}, and no part of the means: {listed}{hint}.")
    if remarks := Counter(row["note"] for _, row in rows if row["status"] == "ok" and row["note"]):
        listed = ", ".join(f"{clean(text, 80)} ({number:,})" for text, number in remarks.most_common(3))
        said.append(f"Not all runs have a score: {listed}.")
    if _bounds(experiment):
        said.append("Costs with ≥ are lower bounds: not every call has a known price.")
    if experiment._repeats == 1 and experiment._rows:
        said.append("One run a point does not tell a difference from noise: ask for more repeats for intervals.")
    return said


def resume(experiment: Experiment) -> str:
    """How to make the runs that are left."""
    if experiment.path is None:
        return "Give path= next time, and the same call goes on where it stopped."
    more = " with a larger budget" if experiment.stopped else ""
    return f"The same call{more} goes on from {experiment.path.name}."


def text(experiment: Experiment) -> str:
    """Title, notes and a table of the points."""
    head = f"tokprof {clean(experiment.title, 80)}: {' · '.join(headline(experiment))}"
    lines = [head, *notes(experiment)]
    if experiment._rows:
        titles, rows, left, hidden = _table(experiment)
        lines += ["", *aligned([titles, *([" ".join(filter(None, cell)) for cell in row] for row in rows)], left)]
        if hidden:
            lines.append(f"… {hidden:,} more in .summary()")
        if any(row[0][0] for row in rows):
            lines.append(f"● {_legend(experiment)}")
    return "\n".join(lines)


def html(experiment: Experiment, picture: bool = True) -> str:
    """The same as HTML without script, with the chart as a still picture."""
    name = escape(clean(experiment.title, 80))
    head = f"<p><b>{name}</b> {escape(' · '.join(headline(experiment)))}</p>"
    parts = [head, *(f"<p>{escape(sentence)}</p>" for sentence in notes(experiment))]
    if experiment._rows:
        titles, rows, left, hidden = _table(experiment)
        cells = "".join(f"<th{_side(at, left)}>{escape(title)}</th>" for at, title in enumerate(titles))
        body = "".join(
            "<tr>" + "".join(f"<td{_side(at, left)}>{_cell(cell)}</td>" for at, cell in enumerate(row)) + "</tr>"
            for row in rows
        )
        parts.append(f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>")
        if hidden:
            parts.append(f"<p>… {hidden:,} more in <code>.summary()</code></p>")
        if any(row[0][0] for row in rows):
            parts.append(f"<p>● {escape(_legend(experiment))}</p>")
        if picture and (drawn := _chart(experiment)) is not None:
            data = base64.b64encode(drawn.svg.encode()).decode()
            parts.append(
                f'<img alt="Chart of the points; the table holds its figures" src="data:image/svg+xml;base64,{data}" '
                'style="width:100%;max-width:768px">'
            )
    return unmathed("".join(parts))


def show(experiment: Experiment) -> None:
    """Display table and chart; in a terminal the table as text."""
    from IPython.core.getipython import get_ipython
    from IPython.display import display

    words = {"text/plain": repr(experiment)}
    if not hasattr(get_ipython(), "kernel"):
        display(words, raw=True)
        return
    if experiment._line is not None:  # the same figures again, in the same cell
        experiment._line.update({"text/plain": ""}, raw=True)
    display({"text/html": html(experiment, picture=False), **words}, raw=True)
    if (chart := _chart(experiment)) is not None:
        display(chart)


def _chart(experiment: Experiment) -> Chart | None:
    """Cost against score, or tokens where no cost is known; None where it would show nothing."""
    if not experiment.scores or len(experiment._points) < 2:
        return None
    try:
        x = experiment._price
        return experiment.chart(x) if experiment.pareto(x)["dominated"].notna().any() else None
    except Exception as error:
        warn_once("draw the chart of an experiment", error)
        return None


def _legend(experiment: Experiment) -> str:
    score = title_of(experiment._measure(None))
    less = "as much money" if experiment._price == "cost" else "as many tokens"
    return f"no other point has at least as much {score} for at most {less}"


def _table(experiment: Experiment) -> tuple[list[str], list[list[tuple[str, str]]], int, int]:
    """Titles, rows of figures with their intervals, the number of columns flush left, and of rows left out."""
    names = experiment._varying() or experiment.params[:1]
    scores = experiment.scores[:_SCORES]
    frame = experiment._by_point()
    order = [*scores[:1], experiment._price]
    frame = frame.sort_values(order, ascending=[name not in scores for name in order], kind="stable")
    front: set[int] = set()
    if scores:
        best = experiment.pareto(experiment._price)
        front = {int(point) for point in best["point"][(~best["dominated"]).fillna(False)]}
    measures = [*scores, "total_tokens", "cost", "seconds"]
    shown = frame.head(_ROWS)
    places = usd_places(shown["cost"])
    writers = {name: _even(shown[name]) if name in scores else writer(name) for name in measures}
    rows = []
    for row in shown.to_dict("records"):
        fine = "" if row["ok"] == row["runs"] else f" of {row['runs']}"
        cells = [("●" if row["point"] in front else "", ""), (str(row["point"]), "")]
        given = experiment._point(row["point"]).shown
        cells += [(clean(str(given.get(name, "–")), 50), "") for name in names]
        cells += [(f"{row['ok']}{fine}", "")]
        figures = [_figure(row, name, places, writers[name]) for name in measures]
        cells += [
            each if name in scores or name == "cost" else (each[0], "")
            for name, each in zip(measures, figures, strict=True)
        ]
        rows.append(cells)
    titles = ["", "point", *(clean(name, 40) for name in names), "runs", *map(title_of, measures[:-1]), "time"]
    return titles, rows, 2 + len(names), len(frame) - len(shown)


def _even(column: pd.Series[Any]) -> Callable[[float], str]:
    """Scores of a column with as many places as one another."""
    known = column[column.notna()].to_numpy(np.float64)
    if not len(known) or (np.abs(known) >= 100).any() or (np.abs(known[known != 0]) < 0.01).any():
        return "{:.3g}".format
    return "{:.3f}".format


def _figure(row: Mapping[Any, Any], name: str, places: int, write: Callable[[float], str]) -> tuple[str, str]:
    """A mean and its interval."""
    each = [float(row[f"{name}{end}"]) for end in ("", "_low", "_high")]
    if math.isnan(each[0]):
        return "?" if row["ok"] else "–", ""
    if name == "cost":
        bounds = [usd(bound, places) for bound in each[1:] if not math.isnan(bound)]
        # one dollar sign is enough for a cell
        said = [usd(each[0], places), *(bound.replace("$", "") for bound in bounds)]
    else:
        said = [write(value) for value in each if not math.isnan(value)]
    if name == "cost" and float(row["cost_coverage"]) < 1:
        said[0] = f"≥ {said[0]}"
    return said[0], "" if len(said) < 3 or said[1] == said[2] else f"({said[1]} – {said[2]})"


def _bounds(experiment: Experiment) -> bool:
    """Whether a cost that is shown lacks something."""
    return any((row.get("cost_coverage") or 0.0) < 1 for row in experiment._rows.values() if row.get("calls"))


def _side(at: int, left: int) -> str:
    return f' style="text-align:{"left" if at < left else "right"};padding:3px 12px 3px 0;white-space:nowrap"'


def _cell(cell: Sequence[str]) -> str:
    figure, interval = map(escape, cell)
    return f'{figure} <small style="opacity:.75">{interval}</small>' if interval else figure
