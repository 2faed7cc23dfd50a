"""Points with their intervals and the front they make, and a grid of figures: as still pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import numpy as np

from tokprof.analysis.books import Flags, Floats
from tokprof.views.plot import INK, _document, _legend, _text, round_up

PALE, STRONG = "#fbe3d6", "#d55e00"  # dark text reads on both, and they need nothing of what is behind them
CELL_INK = "#1a1a1a"  # 4.8 : 1 on the strong one

_LEFT, _TOP, _LINE = 84, 34, 18
_DECADES = 20  # times the least, from which a scale is logarithmic
_ROW, _CELL = 30, 92


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """One axis.

    Attributes
    ----------
    title : str
    means, lows, highs : float64 array, shape (n,)
        `lows` and `highs` are NaN where no interval is known.
    write : callable
        A figure in words.
    zero : bool
        Whether it begins at 0.
    """

    title: str
    means: Floats
    lows: Floats
    highs: Floats
    write: Callable[[float], str]
    zero: bool

    @property
    def logarithmic(self) -> bool:
        """Whether points would crowd at one end of an even scale."""
        most = float(self.means.max(initial=0))
        least = float(self.means.min(initial=np.inf))
        return self.zero and least > 0 and most / least > _DECADES

    @property
    def extent(self) -> tuple[float, float]:
        """From where to where it goes: all means and all intervals, with room at the ends."""
        if self.logarithmic:
            return float(self.means.min()) / 1.6, float(self.means.max()) * 2.2
        each = np.concatenate([self.means, self.lows, self.highs])
        each = each[~np.isnan(each)]
        if not len(each):
            return 0.0, 1.0
        least, most = float(each.min()), float(each.max())
        if self.zero and least >= 0:
            return 0.0, (most or 1.0) * 1.06
        room = (most - least) * 0.1 or abs(most) * 0.1 or 1.0
        return least - room, most + room

    def place(self, value: float, length: float) -> float:
        """Where a figure is, from 0 to `length`; not beyond."""
        low, high = self.extent
        if self.logarithmic:
            low, high, value = np.log10(low), np.log10(high), np.log10(max(value, low))
        return float(np.clip((value - low) / (high - low), 0, 1) * length)

    def said(self, at: int) -> str:
        """A figure with its interval, in words."""
        figure = self.write(float(self.means[at]))
        if np.isnan(self.lows[at]):
            return figure
        return f"{figure} ({self.write(float(self.lows[at]))} to {self.write(float(self.highs[at]))})"

    def ticks(self) -> list[float]:
        """Round figures on it."""
        low, high = self.extent
        if self.logarithmic:
            first, last = int(np.ceil(np.log10(low))), int(np.floor(np.log10(high)))
            marks = [10.0**power for power in range(first, last + 1)]
            return marks if len(marks) > 1 else [low * 1.6, high / 2.2]
        step = round_up((high - low) / 7)
        return [step * at for at in range(int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9)) + 1)]


@dataclass(frozen=True, slots=True, eq=False)
class Dots:
    """A point for each combination of parameters.

    Attributes
    ----------
    title : str
    notes : list of str
    x, y : Scale
    front : bool array, shape (n,)
        Points that none is better than.
    names : list of str, length n
        What makes each point what it is.
    numbers : list of int, length n
        Of the points.
    groups : list of str, length n
    group_title : str
    colours : dict of str to str
        Of the groups.
    up : bool
        Whether more is better on `y`.
    """

    title: str
    notes: list[str]
    x: Scale
    y: Scale
    front: Flags
    names: list[str]
    numbers: list[int]
    groups: list[str]
    group_title: str
    colours: dict[str, str]
    up: bool

    @property
    def line(self) -> list[int]:
        """Points of the front, by `x`."""
        return sorted(np.flatnonzero(self.front).tolist(), key=lambda at: float(self.x.means[at]))


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """A figure for each pair of values of two parameters.

    Attributes
    ----------
    title : str
    notes : list of str
    x_title, y_title : str
    columns, rows : list of str
    values : float64 array, shape (rows, columns)
        NaN where there is none.
    write : callable
    """

    title: str
    notes: list[str]
    x_title: str
    y_title: str
    columns: list[str]
    rows: list[str]
    values: Floats
    write: Callable[[float], str]

    def shade(self, value: float) -> float:
        """How strong a figure is beside the others, from 0 to 1."""
        known = self.values[~np.isnan(self.values)]
        low, high = float(known.min()), float(known.max())
        return 0.5 if high <= low else (value - low) / (high - low)


def dots(picture: Dots, width: int, height: int) -> str:
    """Draw points, intervals, and the front as a staircase."""
    top = _TOP + _LINE * len(picture.notes) + 8
    bottom = top + height
    drawn = _axes(picture, width, height, top)

    def across(value: float) -> float:
        return _LEFT + picture.x.place(value, width)

    def down(value: float) -> float:
        return bottom - picture.y.place(value, height)

    line = picture.line
    if line:
        path = f"M{across(picture.x.means[line[0]]):.1f} {down(picture.y.means[line[0]]):.1f}"
        for at in line[1:]:
            path += f"H{across(picture.x.means[at]):.1f}V{down(picture.y.means[at]):.1f}"
        drawn.append(f'<path d="{path}" fill="none" stroke="{INK}" stroke-width="1.5" stroke-dasharray="5 3"/>')
    for at in np.argsort(picture.front, kind="stable").tolist():
        x, y = float(picture.x.means[at]), float(picture.y.means[at])
        if np.isnan(x) or np.isnan(y):
            continue
        colour = picture.colours[picture.groups[at]]
        strength = 1 if picture.front[at] else 0.55
        parts = []
        if not np.isnan(picture.x.lows[at]):
            ends = across(picture.x.lows[at]), across(picture.x.highs[at])
            parts.append(f'<path d="M{ends[0]:.1f} {down(y):.1f}H{ends[1]:.1f}" stroke="{colour}" stroke-width="1.5"/>')
        if not np.isnan(picture.y.lows[at]):
            ends = down(picture.y.lows[at]), down(picture.y.highs[at])
            parts.append(
                f'<path d="M{across(x):.1f} {ends[0]:.1f}V{ends[1]:.1f}" stroke="{colour}" stroke-width="1.5"/>'
            )
        said = f"{picture.names[at]}: {picture.y.title} {picture.y.said(at)}, {picture.x.title} {picture.x.said(at)}"
        filled = f'fill="{colour}"' if picture.front[at] else f'fill="{colour}" fill-opacity="0.35"'
        parts.append(
            f'<circle cx="{across(x):.1f}" cy="{down(y):.1f}" r="{6 if picture.front[at] else 4.5}" {filled} '
            f'stroke="{colour}" stroke-width="1.5"><title>{escape(said)}</title></circle>'
        )
        drawn.append(f'<g opacity="{strength}">{"".join(parts)}</g>')
    for at, (right, off) in placed(picture, width, height).items():
        x, y = across(float(picture.x.means[at])), down(float(picture.y.means[at]))
        drawn.append(_text(x + (10 if right else -10), y + off + 4, label(picture, at), "start" if right else "end"))
    legend: list[str] = []
    below = bottom + 44.0
    if len(picture.colours) > 1:
        legend, below = _legend([(name, colour) for name, colour in picture.colours.items()], bottom + 60, width)
    return _document(picture.title, picture.notes, [*drawn, *legend], width, below)


def matrix(picture: Matrix) -> str:
    """Draw a cell with its figure for each pair of values."""
    left = 24 + 6.4 * max((len(name) for name in picture.rows), default=0)
    cell = max(_CELL, 14 + round(6.2 * max((len(name) for name in picture.columns), default=0)))
    top = _TOP + _LINE * len(picture.notes) + 26
    drawn = [_text(8, top - 8, f"{picture.y_title} ↓   {picture.x_title} →")]
    for at, name in enumerate(picture.columns):
        drawn.append(_text(left + (at + 0.5) * cell, top + 12, name, "middle"))
    for row, name in enumerate(picture.rows):
        y = top + 20 + row * _ROW
        drawn.append(_text(left - 8, y + _ROW / 2 + 4, name, "end"))
        for column in range(len(picture.columns)):
            value = float(picture.values[row, column])
            x = left + column * cell
            if np.isnan(value):
                drawn.append(_text(x + cell / 2, y + _ROW / 2 + 4, "–", "middle"))
                continue
            drawn.append(
                f'<rect x="{x:.1f}" y="{y}" width="{cell - 2}" height="{_ROW - 2}" rx="3" '
                f'fill="{mix(picture.shade(value))}"/>'
                f'<text x="{x + cell / 2 - 1:.1f}" y="{y + _ROW / 2 + 3:.1f}" text-anchor="middle" '
                f'fill="{CELL_INK}">{escape(picture.write(value))}</text>'
            )
    width = round(left + cell * len(picture.columns)) - _LEFT
    return _document(picture.title, picture.notes, drawn, max(width, 480), top + 36 + _ROW * len(picture.rows))


def mix(share: float) -> str:
    """A colour between `PALE` and `STRONG`."""
    ends = [[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in (PALE, STRONG)]
    return "#" + "".join(f"{round(low + (high - low) * share):02x}" for low, high in zip(*ends, strict=True))


def _axes(picture: Dots, width: int, height: int, top: int) -> list[str]:
    bottom = top + height
    drawn = [f'<path d="M{_LEFT} {bottom}h{width}M{_LEFT} {top}v{height}" stroke="{INK}" fill="none"/>']
    for tick in picture.y.ticks():
        y = bottom - picture.y.place(tick, height)
        drawn.append(f'<path d="M{_LEFT} {y:.1f}h{width}" stroke="{INK}" stroke-opacity="0.25"/>')
        drawn.append(_text(_LEFT - 6, y + 4, picture.y.write(tick), "end"))
    for tick in picture.x.ticks():
        x = _LEFT + picture.x.place(tick, width)
        drawn.append(f'<path d="M{x:.1f} {bottom}v4" stroke="{INK}"/>')
        drawn.append(_text(x, bottom + 17, picture.x.write(tick), "middle"))
    drawn.append(_text(_LEFT + width / 2, bottom + 36, picture.x.title, "middle"))
    drawn.append(_text(8, top - 8, picture.y.title))
    return drawn


def placed(picture: Dots, width: int, height: int) -> dict[int, tuple[bool, float]]:
    """Where the names of the points of the front go, so that none runs into another.

    Returns
    -------
    dict of int to (bool, float)
        For each that has a place: whether it stands on the right of its point, and how far below its middle.
    """
    found: dict[int, tuple[bool, float]] = {}
    taken: list[tuple[float, float, float]] = []
    for mean_x, mean_y in zip(picture.x.means.tolist(), picture.y.means.tolist(), strict=True):
        if not (np.isnan(mean_x) or np.isnan(mean_y)):
            x = picture.x.place(mean_x, width)
            taken.append((x - 6, x + 6, height - picture.y.place(mean_y, height)))
    below = 12.0 if picture.up else -12.0
    for at in picture.line:
        x = picture.x.place(float(picture.x.means[at]), width)
        y = height - picture.y.place(float(picture.y.means[at]), height)
        wide = 6.4 * len(label(picture, at))
        for right, off in ((True, below), (False, -below), (False, below), (True, -below)):
            low, high = (x + 10, x + 10 + wide) if right else (x - 10 - wide, x - 10)
            free = all(low >= end or high <= start or abs(y + off - other) >= 14 for start, end, other in taken)
            if free and low >= 0 and high <= width:
                taken.append((low, high, y + off))
                found[at] = right, off
                break
    return found


def label(picture: Dots, at: int) -> str:
    """Name of a point, short enough for a chart."""
    name = picture.names[at]
    return name if len(name) <= 40 else f"{name[:39]}…"
