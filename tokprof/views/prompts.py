"""The prompts of the calls, one stacked bar each: what they consist of, and what of it was sent before."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from tokprof.analysis.books import Floats
from tokprof.analysis.segments import PARTS, take_apart
from tokprof.table import Table
from tokprof.views import plot
from tokprof.views.charts import Chart
from tokprof.views.plot import INK, _document, _grid, _legend, _text, _ticks
from tokprof.views.words import clean, count, tokens, usd

METRICS = ("tokens", "cost")
FADED = 0.4
"""Opacity of what was sent before."""

_BARS = 200
_WIDTH, _HEIGHT = 640, 240
_LEFT, _TOP, _LINE = 84, 34, 18
_COLOURS = {
    "tools": "#CC79A7",
    "format": "#D55E00",
    "system": "#009E73",
    "history": "#E69F00",
    "file": "#117733",
    "tool result": "#F0E442",
    "image": "#0072B2",
    "audio": "#882255",
    "user": "#56B4E9",
    "frame": "#999999",
}
_SHORT: dict[str, Callable[[float], str]] = {"tokens": tokens, "cost": usd}


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Stacked bars.

    Attributes
    ----------
    title : str
    notes : list of str
    calls : list of str
        Number of the call, or of the first and last one, of each bar.
    where : list of str
        Whose call it is.
    parts, colours : list of str, length m
    amounts : float64 array, shape (m, 2, n)
        What was sent for the first time, and before.
    others : float64 array, shape (m, 2, n)
        The same in USD, or in tokens where USD are drawn; NaN where not known.
    unit : str
    write, other : callable
        An amount of either in words.
    """

    title: str
    notes: list[str]
    calls: list[str]
    where: list[str]
    parts: list[str]
    colours: list[str]
    amounts: Floats
    others: Floats
    unit: str
    write: Callable[[float], str]
    other: Callable[[float], str]


def prompts(title: str, table: Table, metric: str = "tokens") -> Chart:
    """Draw a bar for each call, or for each run of calls where there are very many.

    Parameters
    ----------
    title : str
    table : Table
    metric : {"tokens", "cost"}
    """
    if metric not in METRICS:
        raise ValueError(f"{metric!r} is nothing that prompts are made of; known: {', '.join(METRICS)}")
    picture = _bars(clean(title), table, metric)

    def make() -> Any:
        from tokprof.views.vega_prompts import bars

        return bars(picture, _WIDTH, _HEIGHT)

    said = [f"tokprof {picture.title}", *picture.notes]
    if picture.calls:
        width = max(map(len, picture.parts))
        for part, amounts in zip(picture.parts, picture.amounts, strict=True):
            whole, before = float(amounts.sum()), float(amounts[1].sum())
            again = f", {before / whole:.0%} sent before" if before else ""
            said.append(f"{part:<{width}}  {plot.blocks(amounts.sum(axis=0))}  {whole / amounts.sum():.0%}{again}")
    return Chart("\n".join(said), _drawn(picture), make)


def _bars(title: str, table: Table, metric: str) -> Bars:
    taken = take_apart(table)
    rows = [row for row, parts in taken.calls.items() if parts[0].tokens is not None]
    if metric == "cost":
        rows = [row for row in rows if not math.isnan(taken.calls[row][0].cost)]
    notes = []
    if silent := len(taken.calls) - len(rows):
        notes.append(f"{count(silent, 'call')} without a known {'cost' if metric == 'cost' else 'input'}.")
    if taken.unread and taken.calls:
        notes.append(f"{count(taken.unread, 'call')} without a prompt: it was not kept, or cannot be read.")
    parts = [part for part in PARTS if any(each.part == part for row in rows for each in taken.calls[row])]
    each = np.zeros((2, len(parts), 2, len(rows)))
    for at, row in enumerate(rows):
        for segment in taken.calls[row]:
            whole, place = segment.tokens or 0, parts.index(segment.part)
            before = (segment.replayed or 0) / whole if whole else 0.0
            each[0, place, :, at] += whole * (1 - before), whole * before
            each[1, place, :, at] += segment.cost * (1 - before), segment.cost * before
    size = max(1, math.ceil(len(rows) / _BARS))
    edges = list(range(0, len(rows), size))
    groups = [rows[edge : edge + size] for edge in edges]
    if edges:
        each = np.add.reduceat(each, edges, axis=3) / [len(group) for group in groups]
    head = f"{title}: {'USD' if metric == 'cost' else 'tokens'} of each prompt"
    if size > 1:
        head += f", means of {size} calls"
    if not taken.calls:
        head = f'{title}: no prompts were kept; profile with capture="full" to see what they consist of'
    first, second = (each[1], each[0]) if metric == "cost" else (each[0], each[1])
    return Bars(
        head,
        notes,
        [
            f"{edge + 1}–{edge + len(group)}" if len(group) > 1 else str(edge + 1)
            for edge, group in zip(edges, groups, strict=True)
        ],
        [_whose(table, group[0]) for group in groups],
        parts,
        [_COLOURS[part] for part in parts],
        first,
        second,
        "USD" if metric == "cost" else "input tokens",
        _SHORT[metric],
        _SHORT["tokens" if metric == "cost" else "cost"],
    )


def _whose(table: Table, row: int) -> str:
    span = table.spans[row]
    if not span.stack:
        return clean(span.name)
    frame = span.stack[-1]
    name = frame.function.rpartition("<locals>.")[2]
    return clean(frame.where if name == "<module>" else f"{name} ({frame.where})")


def _drawn(picture: Bars) -> str:
    """As a still picture."""
    top = _TOP + _LINE * len(picture.notes)
    if not picture.calls:
        return _document(picture.title, picture.notes, [], _WIDTH, top + 8)
    ticks = _ticks(float(picture.amounts.sum(axis=(0, 1)).max(initial=0)))
    drawn = _grid(_WIDTH, _HEIGHT, top, ticks, picture.write)
    wide = _WIDTH / len(picture.calls)
    gap = min(wide * 0.15, 6.0)
    for at, call in enumerate(picture.calls):
        y = float(top + _HEIGHT)
        for part, colour, amounts in zip(picture.parts, picture.colours, picture.amounts[:, :, at], strict=True):
            for state, amount in ((1, float(amounts[1])), (0, float(amounts[0]))):
                tall = amount / ticks[-1] * _HEIGHT
                if tall < 0.05:
                    continue
                y -= tall
                label = escape(f"call {call}, {part}{', sent before' if state else ''}: {picture.write(amount)}")
                drawn.append(
                    f'<rect x="{_LEFT + at * wide + gap / 2:.1f}" y="{y:.1f}" width="{max(wide - gap, 0.5):.1f}" '
                    f'height="{tall:.1f}" fill="{colour}" fill-opacity="{FADED if state else 1}">'
                    f"<title>{label}</title></rect>"
                )
    bottom = top + _HEIGHT
    drawn.append(f'<path d="M{_LEFT} {bottom}h{_WIDTH}" stroke="{INK}"/>')
    last = len(picture.calls) - 1
    for at in sorted({0, last // 2, last}):
        drawn.append(_text(_LEFT + (at + 0.5) * wide, bottom + 16, picture.calls[at], "middle"))
    drawn.append(_text(_LEFT, bottom + 34, "calls in order of time; paler: sent before"))
    legend, below = _legend(list(zip(picture.parts, picture.colours, strict=True)), bottom + 56, _WIDTH)
    return _document(picture.title, picture.notes, [*drawn, *legend], _WIDTH, below)
