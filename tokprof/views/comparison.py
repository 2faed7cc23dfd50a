"""Two profiles side by side: tables of before and after, and a flamegraph of the differences.

Blue is less and red is more, and a sign says so too: ``▼`` and ``▲``.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tokprof.analysis.compare import MEASURES, Merged, groups, merge, tree_frame, whole
from tokprof.analysis.rollup import Totals
from tokprof.views.changes import Heatmap, named, writer
from tokprof.views.diffgraph import render
from tokprof.views.markup import unmathed
from tokprof.views.static import page
from tokprof.views.words import clean, count, doubts, usd, usd_places

if TYPE_CHECKING:
    import pandas as pd

    from tokprof.profile import Profile

_ROWS = 12
_BAR = 20


class DiffGraph:
    """The flamegraph of the differences; it shows itself in notebooks.

    Attributes
    ----------
    svg, text : str
        As a picture, and in words.
    """

    def __init__(self, svg: str, text: str):
        self.svg, self.text = svg, text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "text/plain": self.text}

    def __repr__(self) -> str:
        return self.text


class Comparison:
    """What changed between two profiles, or between the means of repeated runs.

    It shows itself as text and as HTML without script; `tokprof.compare` makes it.

    Attributes
    ----------
    before, after : list of Profile
    names : tuple of (str, str) or None
        Of the two sides, where the titles of the profiles do not say what they are.
    """

    def __init__(self, before: Sequence[Profile], after: Sequence[Profile]):
        self.before, self.after = [*before], [*after]
        self.names: tuple[str, str] | None = None
        self._tables = [each.table for each in self.before], [each.table for each in self.after]
        self._merged: Merged | None = None

    @property
    def repeated(self) -> bool:
        """Whether there are enough runs on both sides to tell a change from noise."""
        return min(len(self.before), len(self.after)) > 1

    @property
    def totals(self) -> pd.DataFrame:
        """The sums: a row each for ``tokens``, ``input``, ``output``, ``cost`` (USD), ``time`` (seconds) and ``calls``.

        Returns
        -------
        pandas.DataFrame
            ``before``, ``after``, ``delta``, ``ratio`` (after by before), ``low`` and ``high`` (of the 95 % interval
            of the delta, NaN without repeated runs) and ``significant`` (whether that leaves out 0; null without).
        """
        return whole(*self._tables)

    @property
    def df(self) -> pd.DataFrame:
        """The same as `tree`."""
        return self.tree()

    def by(self, *keys: str | Sequence[str]) -> pd.DataFrame:
        """Compare groups of calls.

        Parameters
        ----------
        *keys : str
            As in ``Profile.by``: ``"model"``, ``"function"``, ``"tag:user"``, ...

        Returns
        -------
        pandas.DataFrame
            Indexed by the keys, largest change of tokens first; columns in two levels: ``tokens``, ``input``,
            ``output``, ``cost``, ``time``, ``calls``, and in each the columns of `totals`. 0 where a side has no such
            group, NaN where a figure is not known.

        Raises
        ------
        ValueError
            As ``Profile.by`` does.
        """
        return groups(*self._tables, keys)

    def tree(self) -> pd.DataFrame:
        """Compare functions, steps and calls by the path that leads to them.

        Returns
        -------
        pandas.DataFrame
            One row a node of both trees merged, in pre-order, with the columns of `by` for the node and all below it,
            and ``("self", measure)``; see `tokprof.analysis.compare.tree_frame`.
        """
        return tree_frame(self._tree())

    def flamegraph(self, metric: str = "tokens") -> DiffGraph:
        """Draw both trees as one: as wide as the larger of before and after, red where it is more, blue where less.

        Parameters
        ----------
        metric : {"tokens", "input", "output", "cost", "time", "calls"}

        Raises
        ------
        ValueError
            For an unknown metric.
        """
        if metric not in MEASURES:
            raise ValueError(f"{metric!r} is no measure of a comparison; known: {', '.join(MEASURES)}")
        return DiffGraph(render(self._tree(), metric, writer(metric)), repr(self))

    def heatmap(self, metric: str = "tokens", rows: str = "function", columns: str = "model") -> Heatmap:
        """Show before and after of groups of calls by two keys, red where it is more, blue where less.

        Parameters
        ----------
        metric : {"tokens", "input", "output", "cost", "time", "calls"}
        rows, columns : str
            As in `by`: ``"function"``, ``"model"``, ``"agent"``, ``"tag:user"``, ...

        Returns
        -------
        Heatmap
            It shows itself in notebooks; ``.df`` has its figures.

        Raises
        ------
        ValueError
            For an unknown metric, or as `by` does.
        """
        return Heatmap(*self._tables, metric, rows, columns)

    def to_html(self, path: str | Path | None = None) -> str:
        """One page without script; no prompt or answer inside.

        Parameters
        ----------
        path : str or Path, optional
            Where to write it too.

        Returns
        -------
        str
            The page.
        """
        whole = page(self._title(), self._repr_html_())
        if path is not None:
            Path(path).write_text(whole, encoding="utf-8")
        return whole

    def __repr__(self) -> str:
        rows = [["", "before", "after", "change"], *self._lines(self.totals)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [f"tokprof {self._title()}", *self._notes(), ""]
        for name, *figures in rows:
            cells = [f"{cell:>{width}}" for cell, width in zip(figures, widths[1:], strict=True)]
            lines.append("  ".join([f"{name:<{widths[0]}}", *cells]).rstrip())
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = [f"<b>{escape(self._title())}</b>", *map(escape, self._notes())]
        parts = [f"<p>{'<br>'.join(head)}</p>"]
        parts.append(_html("", self.totals))
        picture = base64.b64encode(self.flamegraph().svg.encode()).decode()
        parts.append(
            f'<div{_SCROLLS}><img alt="Flamegraph of the differences of tokens; the tables hold its figures" '
            f'src="data:image/svg+xml;base64,{picture}" style="width:100%;min-width:640px;max-width:960px"></div>'
        )
        rows = self._who()
        parts += [_grouped(self.by(key), key) for key in (rows, "model")]
        if any(each.totals.calls for each in (*self.before, *self.after)):
            parts += ["<p><b>tokens, before → after</b></p>", self.heatmap(rows=rows)._repr_html_()]
        return unmathed("".join(parts))

    def _who(self) -> str:
        """By what to group: functions, or named steps where all calls go through one function."""
        return next((key for key in ("function", "span") if len(self.by(key)) > 1), "function")

    def _tree(self) -> Merged:
        if self._merged is None:
            self._merged = merge([each.merged_tree for each in self.before], [each.merged_tree for each in self.after])
        return self._merged

    def _title(self) -> str:
        def side(profiles: list[Profile], at: int) -> str:
            name = clean(self.names[at] if self.names else profiles[0].title, 40)
            return name if len(profiles) == 1 else f"{name} ({count(len(profiles), 'run')})"

        return f"{side(self.before, 0)} → {side(self.after, 1)}"

    def _notes(self) -> list[str]:
        notes = []
        for name, profiles in (("before", self.before), ("after", self.after)):
            said = dict.fromkeys(doubt for each in profiles for doubt in doubts(each.totals))
            notes += [f"{name}: {doubt}" for doubt in said]
        if not self.repeated:
            notes.append("One run a side does not tell a change from noise: give lists of runs for that.")
        return notes

    def _lines(self, frame: pd.DataFrame) -> list[list[str]]:
        return [[str(name), *_figures(str(name), row)] for name, row in frame.iterrows()]


def compare(before: Profile | Sequence[Profile], after: Profile | Sequence[Profile]) -> Comparison:
    """Make a comparison; see `tokprof.compare`."""
    sides = []
    for name, given in (("before", before), ("after", after)):
        side = [*given] if isinstance(given, Sequence) else [given]
        if not side:
            raise ValueError(f"there is no profile in `{name}`")
        for each in side:
            if not isinstance(getattr(each, "totals", None), Totals):
                raise TypeError(f"`{name}` must be a profile or a list of profiles, not {type(each).__name__}")
        sides.append(side)
    return Comparison(*sides)


def _figures(measure: str, row: Any) -> list[str]:
    """Before, after and change in words."""
    before, after, delta = float(row["before"]), float(row["after"]), float(row["delta"])
    write = writer(measure)
    if measure == "cost":
        write = partial(usd, places=usd_places((before, after, abs(delta))))
    shown = ["?" if math.isnan(value) else write(value) for value in (before, after)]
    if math.isnan(delta):
        return [*shown, "?"]
    if delta == 0:
        return [*shown, "="]
    sign, arrow = ("+", "▲") if delta > 0 else ("-", "▼")
    share = "" if not before else f" ({sign}{abs(delta / before):.0%})"
    noise = " (may be noise)" if str(row["significant"]) == "False" else ""  # else True, or NA where nobody knows
    return [*shown, f"{arrow} {sign}{write(abs(delta))}{share}{noise}"]


def _html(title: str, frame: pd.DataFrame) -> str:
    """Table of the totals."""
    rows = []
    for name, row in frame.iterrows():
        largest = float(np.nanmax([row["before"], row["after"], 0.0]))
        rows.append(_row(str(name), str(name), row, largest))
    return _table([title, "before", "after", "change", ""], rows)


def _grouped(frame: pd.DataFrame, key: str) -> str:
    """Table of the tokens and cost of groups."""
    rows = []
    largest = float(np.nanmax([frame["tokens"][["before", "after"]].to_numpy(float).max(initial=0), 0.0]))
    for name, row in frame.head(_ROWS).iterrows():
        cost = _figures("cost", row["cost"])
        rows.append(_row(named(name), "tokens", row["tokens"], largest, cost[2]))
    hidden = len(frame) - _ROWS
    more = f"<p>… {hidden:,} more</p>" if hidden > 0 else ""
    return _table([f"by {key}", "before", "after", "change of tokens", "of cost", ""], rows) + more


def _row(label: str, measure: str, row: Any, largest: float, *more: str) -> str:
    cells = [f"<td{_LEFT}>{escape(label)}</td>"]
    cells += [f"<td{_RIGHT}>{escape(text)}</td>" for text in (*_figures(measure, row), *more)]
    return "".join(cells) + f"<td{_LEFT}>{_bar(float(row['delta']), largest)}</td>"


def _bar(delta: float, largest: float) -> str:
    """A bar as long as the change, of characters: sanitizers may drop styles, and with them its colour."""
    if math.isnan(delta) or not delta or largest <= 0:
        return ""
    sign, colour = ("+", _MORE) if delta > 0 else ("−", _LESS)
    length = max(round(abs(delta) / largest * _BAR), 1)
    return f'<span style="color:{colour}">{sign}{"█" * length}</span>'


_MORE, _LESS = "#d55e00", "#2f86c0"  # 3 : 1 at least on white and on black
_RIGHT = ' style="text-align:right;white-space:nowrap"'
_LEFT = ' style="text-align:left;white-space:nowrap"'
_SCROLLS = ' style="overflow-x:auto;max-width:100%"'


def _table(head: Sequence[str], rows: Sequence[str]) -> str:
    first, *others = map(escape, head)
    titles = f"<th{_LEFT}>{first}</th>" + "".join(f"<th{_RIGHT}>{title}</th>" for title in others)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<div{_SCROLLS}><table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>"
