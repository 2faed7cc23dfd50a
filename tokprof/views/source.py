"""Source with what each line spent in its gutter: tables without script for a notebook, text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from tokprof.analysis.books import COST, FIGURES, Floats
from tokprof.analysis.rollup import Totals
from tokprof.analysis.source import FIGURE_OF, Sums, Unit, frame, lines
from tokprof.span import METRICS
from tokprof.table import Table
from tokprof.views.code import Code, read
from tokprof.views.markup import unmathed
from tokprof.views.static import page
from tokprof.views.words import bounded, clean, count, doubts, seconds, summary, tokens, usd, usd_places

if TYPE_CHECKING:
    import pandas as pd

_UNITS = 20  # cells and files shown; the others are named by their number
_LINES = 400  # of all that is shown
_LONG = 200  # characters of a line
_CONTEXT = 3
_HEAT = "213,94,0"  # vermillion of Okabe and Ito: over any background, in front of which any text can be read
_FAINT, _FULL = 0.06, 0.45  # opacity of the least and of the most

_FIXED = "\N{NO-BREAK SPACE}"
_LEGEND = "self: calls that the line makes; total: with those made further in."

_TABLE = "border-collapse:collapse;table-layout:auto;margin:0;font-size:12px"
_CELL = "padding:1px 8px;text-align:right"
_FONT = "font-family:var(--jp-code-font-family,monospace)"  # nbconvert gives `pre` the font of its text
_CODE = f"margin:0;padding:0;background:none;text-align:left;white-space:pre;{_FONT}"


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of source; `place` is its row in `Lines`, if it spent something, and `folded` counts lines left out."""

    line: int
    text: str
    place: int | None = None
    folded: int = 0


@dataclass(frozen=True, slots=True)
class _Block:
    unit: Unit
    at: int
    name: str
    note: str
    rows: list[_Row]
    left_out: int


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    own: list[str]
    total: list[str]
    hot: bool


class Source:
    """Each cell and file that spent something, with tokens, cost and calls for each line.

    ``self`` is of the calls that a line makes without going through other code of yours; ``total`` is of all calls
    under way while the line was, each counted once. The text is that of the moment at which this was made.

    Parameters
    ----------
    title : str
    table : Table
    totals : Totals
    metric : {"tokens", "input", "output", "cached", "reasoning", "cost", "time"}
        What the heat of a line stands for.
    """

    def __init__(self, title: str, table: Table, totals: Totals, metric: str = "tokens"):
        if metric not in METRICS:
            raise ValueError(f"{metric!r} is no metric; known: {', '.join(METRICS)}")
        self._title, self._totals, self._metric = title, totals, metric
        self._lines = lines(table)
        self._order = np.argsort(-self._lines.unit_total.amounts(metric), kind="stable").tolist()
        self._blocks = self._read(_ended(table))
        self._columns = self._figures(self._lines.own, self._lines.total)

    @property
    def df(self) -> pd.DataFrame:
        """The figures: one row a line; see `tokprof.analysis.source.frame`."""
        return frame(self._lines)

    def to_html(self, path: str | Path | None = None) -> str:
        """One page without script.

        Parameters
        ----------
        path : str or Path, optional
            Where to write it too.

        Returns
        -------
        str
            The page; it holds the source that it shows.
        """
        whole = page(clean(self._title), self._repr_html_())
        if path is not None:
            Path(path).write_text(whole, encoding="utf-8")
        return whole

    # reading

    def _read(self, ended: float | None) -> list[_Block]:
        found, blocks, room = self._lines, [], _LINES
        for at in self._order[:_UNITS]:
            unit = found.units[at]
            spent = {place.line: row for row, place in enumerate(found.places) if place.unit == unit}
            code = read(unit.file, unit.cell, ended)
            rows = _folded(code, spent)
            shown = rows[: max(room, 0)]
            left_out = sum(row.place is not None for row in rows[len(shown) :])
            room -= len(shown)
            blocks.append(_Block(unit, at, _name(unit, found.units), code.note, shown, left_out))
        return blocks

    def _figures(self, own: Sums, total: Sums) -> list[_Column]:
        """Columns of the gutter, in words."""
        names = [name for name in (self._metric, "tokens", "cost") if name != "time"]
        columns = [
            _Column(name, _amounts(own, name), _amounts(total, name), name == self._metric)
            for name in dict.fromkeys(names)
        ]
        columns.append(_Column("calls", [f"{n:,}" for n in own.calls], [f"{n:,}" for n in total.calls], False))
        if self._metric == "time":
            columns.append(_Column("time", _seconds(own), _seconds(total), True))
        for column in columns:
            column.own[:] = [text if own.tokens[at] or own.calls[at] else "" for at, text in enumerate(column.own)]
        return columns

    def _headline(self) -> str:
        return f"tokprof {clean(self._title)}: {' · '.join(summary(self._totals))}"

    def _notes(self) -> list[str]:
        """What the figures leave out."""
        said = list(doubts(self._totals))
        if (nowhere := int(self._lines.nowhere.calls[0])) > 0:
            said.append(f"{count(nowhere, 'call')} without code of yours on the stack.")
        return said

    def _about(self, block: _Block) -> list[str]:
        """What a cell or file spent, as a whole."""
        at = slice(block.at, block.at + 1)
        own, total = _at(self._lines.unit_own, at), _at(self._lines.unit_total, at)
        spent, cost = _amounts(total, "tokens")[0], _amounts(total, "cost")[0]
        said = [*([] if spent == "-" else [f"{spent} tokens"]), *([] if cost == "-" else [cost])]
        said.append(count(int(total.calls[0]), "call"))
        made = int(own.calls[0])
        if made != total.calls[0]:
            said.append(f"{made:,} of them made here" if made else "none of them made here")
        return said

    def _more(self) -> str:
        hidden = len(self._order) - len(self._blocks)
        return f"… {hidden:,} more cells or files" if hidden > 0 else ""

    # text

    def __repr__(self) -> str:
        said = [self._headline(), *self._notes()]
        if not self._blocks:
            return "\n".join(said)
        said.append(_LEGEND)
        widths = [
            (_width([column.own[at] for at in self._shown()]), _width([column.total[at] for at in self._shown()], 5))
            for column in self._columns
        ]
        number = max(len(str(row.line)) for block in self._blocks for row in block.rows or [_Row(0, "")])
        head = " ".join(f"{c.name:^{a + 1 + b}}" for c, (a, b) in zip(self._columns, widths, strict=True))
        below = " ".join(f"{'self':>{a}} {'total':>{b}}" for a, b in widths)
        blank = " " * len(below)
        for block in self._blocks:
            said += ["", " · ".join([block.name, *self._about(block)])]
            said += [f"({block.note})"] if block.note else []
            said += [head.rstrip(), below]
            for row in block.rows:
                if row.folded:
                    said.append(f"{blank}  {'':>{number}}  … {count(row.folded, 'line')}")
                    continue
                figures = blank
                if row.place is not None:
                    figures = " ".join(
                        f"{c.own[row.place]:>{a}} {c.total[row.place]:>{b}}"
                        for c, (a, b) in zip(self._columns, widths, strict=True)
                    )
                said.append(f"{figures}  {row.line:>{number}}  {row.text}".rstrip())
            said += [f"{blank}  … {count(block.left_out, 'more line')} that spent"] if block.left_out else []
        return "\n".join([*said, *filter(None, [self._more()])])

    def _shown(self) -> list[int]:
        return [row.place for block in self._blocks for row in block.rows if row.place is not None]

    # HTML

    def _repr_html_(self) -> str:
        parts = [f"<p><b>{escape(self._headline())}</b></p>", *(f"<p>{escape(note)}</p>" for note in self._notes())]
        own, total = (
            _shares(sums.amounts(self._metric), self._lines.total.amounts(self._metric))
            for sums in (self._lines.own, self._lines.total)
        )
        if self._blocks:
            parts.append(f"<p>{_LEGEND}</p>")
        parts.extend(self._table(block, own, total) for block in self._blocks)
        if more := self._more():
            parts.append(f"<p>{escape(more)}</p>")
        return unmathed("".join(parts), "tokprof-source")

    def _table(self, block: _Block, own: Floats, total: Floats) -> str:
        note = f" <i>({escape(block.note)})</i>" if block.note else ""
        about = escape(" · ".join(self._about(block)))
        rows = [self._line(row, own, total) for row in block.rows]
        if block.left_out:
            rows.append(self._gap(f"… {count(block.left_out, 'more line')} that spent"))
        return (
            f'<p style="margin:1em 0 .3em"><b>{escape(block.name)}</b> {about}{note}</p>'
            f'<div style="overflow-x:auto"><table style="{_TABLE}">'
            f"{self._head()}<tbody>{''.join(rows)}</tbody></table></div>"
        )

    def _head(self) -> str:
        groups = "".join(
            f'<th colspan="2" style="{_CELL};text-align:center">{column.name}</th>' for column in self._columns
        )
        each = f'<th style="{_CELL};font-weight:normal">self</th><th style="{_CELL};font-weight:normal">total</th>'
        return (
            f'<thead><tr style="background:none">{groups}<th colspan="2"></th></tr>'
            f'<tr style="background:none">{each * len(self._columns)}<th style="{_CELL};font-weight:normal">line</th>'
            f'<th style="{_CELL};font-weight:normal;text-align:left">source</th></tr></thead>'
        )

    def _line(self, row: _Row, own: Floats, total: Floats) -> str:
        if row.folded:
            return self._gap(f"… {count(row.folded, 'line')}")
        at = row.place
        gutter = f'<td colspan="{2 * len(self._columns)}"></td>'
        edge = "border-left:4px solid transparent;padding:1px 8px;text-align:left"
        if at is not None:
            gutter = "".join(
                _figure(column.own[at], own[at] if column.hot else 0)
                + _figure(column.total[at], total[at] if column.hot else 0)
                for column in self._columns
            )
            edge = f"border-left:4px solid {_heat(total[at], 1)};padding:1px 8px;text-align:left"
        return (
            f'<tr style="background:none">{gutter}<td align="right" style="{_CELL};opacity:.6">{row.line}</td>'
            f'<td style="{edge}"><pre style="{_CODE}">{escape(row.text) or " "}</pre></td></tr>'
        )

    def _gap(self, text: str) -> str:
        return (
            f'<tr style="background:none"><td colspan="{2 * len(self._columns) + 1}"></td>'
            f'<td style="padding:1px 12px;text-align:left;opacity:.6">{escape(text)}</td></tr>'
        )


def _figure(text: str, share: float) -> str:
    heat = f";background-color:{_heat(share, _FULL)}" if share > 0 else ""
    return f'<td align="right" style="{_CELL}{heat}">{escape(text.replace(" ", _FIXED))}</td>'


def _heat(share: float, full: float) -> str:
    return f"rgba({_HEAT},{_FAINT + share * (full - _FAINT):.2f})" if share > 0 else "transparent"


def _shares(amounts: Floats, all_amounts: Floats) -> Floats:
    """Parts of the greatest amount, from 0 to 1."""
    greatest = float(all_amounts.max(initial=0))
    shares: Floats = amounts / greatest if greatest > 0 else np.zeros_like(amounts)
    return shares


def _amounts(sums: Sums, name: str) -> list[str]:
    """Amounts of tokens or money in words: ``≥1,234``, ``?``, ``-`` where there was nothing to tell."""
    column = FIGURES.index(FIGURE_OF.get(name, name))
    places = usd_places(sums.used[:, COST]) if name == "cost" else None
    said = []
    for at, amount in enumerate(sums.amounts(name).tolist()):
        figure = usd(amount, places) if name == "cost" else tokens(amount)
        nothing = sums.evidence.none(at, column)
        said.append("-" if nothing else bounded(figure, sums.evidence.bound(at, column)))
    return said


def _seconds(sums: Sums) -> list[str]:
    return [seconds(value) for value in sums.seconds]


def _at(sums: Sums, at: slice) -> Sums:
    evidence = type(sums.evidence)(sums.evidence.told[at], sums.evidence.untold[at])
    return Sums(sums.used[at], evidence, sums.calls[at], sums.unknown[at], sums.unpriced[at], sums.seconds[at])


def _width(texts: Sequence[str], least: int = 6) -> int:
    return max([least, *map(len, texts)])


def _folded(code: Code, spent: dict[int, int]) -> list[_Row]:
    """Lines that spent something with those around them; what is between is counted, where it is longer than a line."""
    last = max(len(code.lines), *spent) if code.lines else 0
    if not code.lines:
        return [_Row(line, "", spent[line]) for line in sorted(spent)]
    near = {at for line in spent for at in range(max(1, line - _CONTEXT), min(last, line + _CONTEXT) + 1)}
    rows: list[_Row] = []
    before = 0
    for line in [*sorted(near), last + 1]:
        gap = line - before - 1
        if gap > _CONTEXT:
            rows.append(_Row(before + 1, "", None, gap))
        else:
            rows += [_Row(at, _text(code, at)) for at in range(before + 1, line)]
        if line <= last:
            rows.append(_Row(line, _text(code, line), spent.get(line)))
        before = line
    return rows


def _text(code: Code, line: int) -> str:
    return clean(code.lines[line - 1].expandtabs(4).rstrip(), _LONG) if line <= len(code.lines) else ""


def _name(unit: Unit, units: Sequence[Unit]) -> str:
    """``In[7]``; a file by its name, with the folder where two files have the same one."""
    if unit.cell is not None:
        return f"In[{unit.cell}]"
    path = _path(unit)
    alike = {other.file for other in units if other.cell is None and _path(other).name == path.name}
    return clean("/".join(path.parts[-2:]) if len(alike) > 1 else path.name or unit.file)


def _path(unit: Unit) -> PurePosixPath:
    return PurePosixPath(unit.file.replace("\\", "/"))


def _ended(table: Table) -> float | None:
    """Seconds since the epoch at which a profile ended; None while it runs."""
    if not len(table) or table.spans[0].closed is None:
        return None
    root = table.spans[0]
    return root.start / 1e9 + table.duration(root)
