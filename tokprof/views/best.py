"""The best point of an experiment: how to call the function, and what is known of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

from tokprof.views.experiment_charts import aligned, title_of, writer
from tokprof.views.markup import unmathed
from tokprof.views.words import bounded, clean, count, usd, usd_places

if TYPE_CHECKING:
    import pandas as pd


class Best(Mapping[str, Any]):
    """A point of an experiment, with what its runs told.

    It shows its parameters, score, cost, tokens and time. Everything else that ``Experiment.summary`` knows is at hand
    by name: ``best["score_low"]``, ``best.score_low``, ``dict(best)``.

    Attributes
    ----------
    point : int
        Its number.
    params : dict of str to object
        What the function was called with: ``fn(**best.params)``.
    row : pandas.Series
        Of ``summary()``, with the parameters.
    """

    def __init__(self, row: pd.Series[Any], params: Mapping[str, Any], words: str, measures: list[str]):
        self.row = row
        self.point = int(str(row.name))
        self.params = dict(params)
        self._words, self._measures = words, measures

    def __getitem__(self, name: str) -> Any:
        return self.row[name]

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self.row.index:
            return self.row[name]
        raise AttributeError(f"the best point has no {name!r}; known: {', '.join(map(str, self.row.index))}")

    def __iter__(self) -> Iterator[str]:
        return iter(self.row.index)

    def __len__(self) -> int:
        return len(self.row)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in self.row.index if name.isidentifier())]

    def __repr__(self) -> str:
        return "\n".join([self._headline(), *aligned([["  " + name, *cells] for name, *cells in self._lines()], 3)])

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><td style="text-align:left">{escape(name)}</td><td style="text-align:right">{escape(figure)}</td>'
            f'<td style="text-align:left"><small style="opacity:.75">{escape(between)}</small></td></tr>'
            for name, figure, between in self._lines()
        )
        return unmathed(f"<p><b>{escape(self._headline())}</b></p><table><tbody>{rows}</tbody></table>")

    def _headline(self) -> str:
        fine = "" if self.row["ok"] == self.row["runs"] else f" of {self.row['runs']}"
        runs = f"{self.row['ok']}{fine} runs" if fine else count(int(self.row["runs"]), "run")
        return f"point {self.point}: {clean(self._words, 200) or 'no parameters'} · {runs}"

    def _lines(self) -> list[tuple[str, str, str]]:
        """Name, mean and interval of each figure."""
        lines = []
        for name in self._measures:
            mean, low, high = (float(self.row[f"{name}{end}"]) for end in ("", "_low", "_high"))
            write = partial(usd, places=usd_places([mean])) if name == "cost" else writer(name)
            figure = "?" if math.isnan(mean) else write(mean)
            if name == "cost" and float(self.row["cost_coverage"]) < 1:
                figure = bounded(figure, "≥", " ")
            ends = ["", ""] if math.isnan(low) else [write(low), write(high)]
            between = "" if ends[0] == ends[1] else f"({ends[0]} – {ends[1]})"
            lines.append(("time" if name == "seconds" else title_of(name), figure, between))
        return lines
