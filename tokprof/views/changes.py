"""A heatmap of before and after: who changed, with which model; a table without script, readable without colour."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any, cast

from tokprof.analysis.compare import MEASURES, groups, whole
from tokprof.table import Table
from tokprof.views.diffgraph import LESS, MORE, mixed
from tokprof.views.markup import unmathed
from tokprof.views.words import clean, seconds, tokens, usd, usd_places

if TYPE_CHECKING:
    import pandas as pd

ROWS, COLUMNS = 12, 4
"""At most; what changed least is left out, and this is said."""

_SAME = (226, 229, 234)
_INK = "#16202b"
_ALL = ("all",)
_UNITS = {"cost": usd, "time": seconds}


def writer(measure: str) -> Any:
    """Give what puts figures of a measure into words."""
    return _UNITS.get(measure, tokens)


def shade(before: float, after: float) -> str:
    """Give the colour of a change: grey for none, towards red for more, blue for less, by its share of the larger."""
    largest = max(abs(before), abs(after))
    if not math.isfinite(largest) or before == after:
        return mixed(_SAME, _SAME, 0)
    return mixed(_SAME, MORE if after > before else LESS, 0.2 + 0.8 * abs(after - before) / largest)


def named(key: Any) -> str:
    """Give the name of a group as tables show it."""
    if key is None or key != key:
        return "(unknown)"
    text = clean(str(key).rpartition("<locals>.")[2])
    return "(not in a function)" if text == "<module>" else text or "(no name)"


class Heatmap:
    """Before and after of groups of calls, by two keys; it shows itself in notebooks.

    Attributes
    ----------
    df : pandas.DataFrame
        As of ``Comparison.by(rows, columns)``, of the measure alone.
    """

    def __init__(self, before: Sequence[Table], after: Sequence[Table], measure: str, rows: str, columns: str):
        if measure not in MEASURES:
            raise ValueError(f"{measure!r} is no measure of a comparison; known: {', '.join(MEASURES)}")
        if rows == columns:
            raise ValueError(f"rows and columns are both {rows!r}")
        self._measure, self._keys = measure, (rows, columns)
        self._repeated = min(len(before), len(after)) > 1
        self.df = _of(groups(before, after, (rows, columns)), measure)
        self._cells: dict[tuple[Hashable, Hashable], Any] = {}
        for key, row in zip(self.df.index, self.df.to_dict("records"), strict=True):
            self._cells[_plain(key[0]), _plain(key[1])] = row
        self._sides: list[tuple[list[Hashable], int]] = []
        for at, most in ((0, ROWS), (1, COLUMNS)):
            frame = _of(groups(before, after, (self._keys[at],)), measure)
            found = {_plain(key): row for key, row in zip(frame.index, frame.to_dict("records"), strict=True)}
            order = sorted(found, key=lambda key: -_weight(found[key]))[:most]
            self._sides.append((order, len(found) - len(order)))
            for key, row in found.items():
                self._cells[(key, _ALL) if at == 0 else (_ALL, key)] = row
        self._cells[_ALL, _ALL] = whole(before, after).loc[measure].to_dict()
        costs = [row[name] for row in self._cells.values() for name in ("before", "after")]
        places = usd_places([cost for cost in costs if math.isfinite(cost)])
        self._write = partial(usd, places=places) if measure == "cost" else writer(measure)

    def _repr_html_(self) -> str:
        (rows, _), (columns, _) = self._sides
        names = [_ALL, *columns]
        heads = "".join(f'<th style="text-align:center">{escape(self._name(name, 1))}</th>' for name in names)
        lines = [f'<tr><th style="text-align:left">{escape(self._keys[0])}</th>{heads}</tr>']
        for row in (_ALL, *rows):
            cells = "".join(self._cell(row, column) for column in names)
            lines.append(
                f'<tr><td style="text-align:left;white-space:nowrap">{escape(self._name(row, 0))}</td>{cells}</tr>'
            )
        legend = "Blue ▼ is less, red ▲ is more, the stronger the larger the share."
        if self._repeated:
            legend += " Bold: more than noise (95 %); ~: may be noise."
        said = "".join(f"<p>{escape(line)}</p>" for line in (legend, *self._left_out()))
        head, *body = lines
        table = f"<table><thead>{head}</thead><tbody>{''.join(body)}</tbody></table>"
        return unmathed(f'<div style="overflow-x:auto;max-width:100%">{table}</div>{said}')

    def __repr__(self) -> str:
        (rows, _), (columns, _) = self._sides
        names = [_ALL, *columns]
        lines = [[f"{self._measure} by {self._keys[0]}", *(self._name(name, 1) for name in names)]]
        for row in (_ALL, *rows):
            texts = (self._texts(self._cells.get((row, column))) for column in names)
            lines.append([self._name(row, 0), *(" ".join(text) for text in texts)])
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        made = []
        for name, *cells in lines:
            shown = [f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True)]
            made.append("  ".join([f"{name:<{widths[0]}}", *shown]).rstrip())
        return "\n".join([*made, *self._left_out()])

    def _name(self, key: Hashable, side: int) -> str:
        if key == _ALL:
            return "all" if ":" in self._keys[side] else f"all {self._keys[side]}s"
        return named(key)

    def _texts(self, row: Any) -> list[str]:
        """Figures and change of a cell, in words."""
        if row is None or (row["before"] == 0 and row["after"] == 0):
            return []
        shown = " → ".join("?" if math.isnan(row[side]) else self._write(row[side]) for side in ("before", "after"))
        delta = row["delta"]
        if math.isnan(delta):
            return [shown]
        if delta == 0:
            return [self._write(row["after"]), "="]
        share = abs(delta / row["before"]) if row["before"] else math.inf
        word = (
            "new" if not row["before"] else "gone" if not row["after"] else "<1%" if share < 0.005 else f"{share:.0%}"
        )
        return [shown, f"{'▲' if delta > 0 else '▼'} {word}{_doubt(row)}"]

    def _cell(self, row: Hashable, column: Hashable) -> str:
        found = self._cells.get((row, column))
        texts = self._texts(found)
        if found is None or not texts:
            return '<td style="text-align:center">·</td>'
        sure = " font-weight:600;" if str(found["significant"]) == "True" else ""
        fill = shade(found["before"], found["after"])
        style = f"text-align:center;white-space:nowrap;background:{fill};color:{_INK};{sure}"
        return f'<td style="{style}">{"<br>".join(map(escape, texts))}</td>'

    def _left_out(self) -> list[str]:
        said = [
            f"{hidden:,} more {key}{'' if hidden == 1 else 's'}"
            for key, (_, hidden) in zip(self._keys, self._sides, strict=True)
            if hidden
        ]
        return [f"Not shown: {' and '.join(said)}, with smaller changes."] if said else []


def _of(frame: pd.DataFrame, measure: str) -> pd.DataFrame:
    return cast("pd.DataFrame", frame[measure])


def _doubt(row: Any) -> str:
    return " ~" if str(row["significant"]) == "False" else ""


def _weight(row: Any) -> float:
    """By which groups are chosen: how much changed, then how large it is."""
    delta = 0.0 if math.isnan(row["delta"]) else abs(row["delta"])
    sides = [each for each in (row["before"], row["after"]) if not math.isnan(each)]
    return delta + max(sides, default=0.0) * 1e-6


def _plain(key: Any) -> Hashable:
    return None if key is None or key != key else key
