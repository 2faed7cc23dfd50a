"""Charts as still pictures: SVG without script, readable on light and dark; and as a line of blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from tokprof.analysis.books import Floats
from tokprof.views.words import seconds

INK = "#70777f"  # 4.5 : 1 on white, 4.1 : 1 on the black of dark hosts
HEAT = "#D55E00"  # vermillion of Okabe and Ito

_BLOCKS = "▁▂▃▄▅▆▇█"
_TEXT_WIDTH = 60
_LEFT, _RIGHT, _TOP, _LINE = 84, 44, 34, 18
_NICE = (1, 2, 5)


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """Stacked areas.

    Attributes
    ----------
    title : str
    notes : list of str
        What the figures leave out.
    ends : float64 array, shape (n,)
        Seconds.
    names, colours : list of str, length m
    amounts : float64 array, shape (m, n)
    unit : str
    write : callable
        An amount in words.
    """

    title: str
    notes: list[str]
    ends: Floats
    names: list[str]
    amounts: Floats
    colours: list[str]
    unit: str
    write: Callable[[float], str]


@dataclass(frozen=True, slots=True, eq=False)
class Heat:
    """Rows of heat; attributes as in `Area`, and the seconds that a column stands for."""

    title: str
    notes: list[str]
    ends: Floats
    length: float
    names: list[str]
    amounts: Floats
    unit: str
    write: Callable[[float], str]


def area(picture: Area, line: tuple[Floats, Floats] | None, width: int, height: int) -> str:
    """Draw stacked areas, and a dashed line on a scale of its own."""
    top = _TOP + _LINE * len(picture.notes)
    last = _last(picture.ends)
    sums = picture.amounts.sum(axis=0) if picture.names else np.zeros(len(picture.ends))
    ticks = _ticks(float(sums.max(initial=0)))
    most = ticks[-1]
    drawn = _grid(width, height, top, ticks, picture.write)
    floor = np.zeros(len(picture.ends))
    across = _LEFT + picture.ends / last * width
    for colour, amounts in zip(picture.colours, picture.amounts, strict=True):
        roof = floor + amounts
        over = zip(across, top + height * (1 - roof / most), strict=True)
        under = zip(across[::-1], top + height * (1 - floor[::-1] / most), strict=True)
        points = " ".join(f"{x:.1f},{y:.1f}" for part in (over, under) for x, y in part)
        drawn.append(f'<polygon points="{points}" fill="{colour}"/>')
        floor = roof
    if line is not None:
        times, values = line
        marks = _ticks(float(values.max(initial=0)))
        whole = marks[-1]
        places = zip(_LEFT + times / last * width, top + height * (1 - values / whole), strict=True)
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        drawn.append(
            f'<polyline points="{points}" fill="none" stroke="{INK}" stroke-width="1.5" stroke-dasharray="4 3"/>'
        )
        drawn += [_text(_LEFT + width + 6, top + height * (1 - at / whole) + 4, f"{at:.4g}") for at in marks]
    bottom = top + height
    drawn += _time_axis(bottom, width, last)
    entries = list(zip(picture.names, picture.colours, strict=True))
    if line is not None:
        entries.append(("calls in flight (right)", ""))
    legend, below = _legend(entries, bottom + 44, width)
    return _document(picture.title, picture.notes, [*drawn, *legend], width, below)


def heat(picture: Heat, width: int, row: int) -> str:
    """Draw a row of heat for each name."""
    top = _TOP + _LINE * len(picture.notes)
    last = _last(picture.ends)
    most = float(picture.amounts.max(initial=0)) or 1.0
    left = _LEFT + 100
    inside = width + _LEFT - left
    drawn: list[str] = []
    for at, (name, amounts) in enumerate(zip(picture.names, picture.amounts, strict=True)):
        y = top + at * row
        short = name if len(name) <= 25 else f"{name[:24]}…"
        drawn.append(_text(left - 6, y + row * 0.7, short, "end"))
        for end, amount in zip(picture.ends.tolist(), amounts.tolist(), strict=True):
            if amount <= 0:
                continue
            begin = left + (end - picture.length) / last * inside
            label = escape(f"{name}, {seconds(end - picture.length)} to {seconds(end)}: {picture.write(amount)}")
            drawn.append(
                f'<rect x="{begin:.1f}" y="{y}" width="{picture.length / last * inside:.1f}" height="{row - 1}" '
                f'fill="{HEAT}" fill-opacity="{0.1 + 0.9 * amount / most:.2f}"><title>{label}</title></rect>'
            )
    bottom = top + max(len(picture.names), 1) * row
    drawn += _time_axis(bottom, inside, last, left)
    drawn.append(_text(left, bottom + 48, f"strongest: {picture.write(most)} {picture.unit}" if picture.names else ""))
    return _document(picture.title, picture.notes, drawn, width, bottom + 60)


def blocks(amounts: Floats) -> str:
    """A line of blocks, each as high as the greatest of the amounts it stands for."""
    if not len(amounts):
        return ""
    parts = [part.max() for part in np.array_split(amounts, min(_TEXT_WIDTH, len(amounts)))]
    most = max(parts) or 1.0
    return "".join(" " if part <= 0 else _BLOCKS[min(int(part / most * 8), 7)] for part in parts)


def _last(ends: Floats) -> float:
    return float(ends.max(initial=0)) or 1.0


def _ticks(most: float) -> list[float]:
    """Up to five round steps from 0 to the greatest amount or above it."""
    step = round_up((most or 1.0) / 4)
    return [step * at for at in range(int(np.ceil((most or 1.0) / step * (1 - 1e-9))) + 1)]


def round_up(amount: float) -> float:
    """The next number above that is 1, 2 or 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(amount))
    return float(next(power * nice for nice in (*_NICE, 10) if power * nice >= amount * (1 - 1e-9)))


def _grid(width: int, height: int, top: int, ticks: list[float], write: Callable[[float], str]) -> list[str]:
    drawn = []
    for tick in ticks:
        y = top + height * (1 - tick / ticks[-1])
        drawn.append(f'<path d="M{_LEFT} {y:.1f}h{width}" stroke="{INK}" stroke-opacity="{0.25 if tick else 1}"/>')
        drawn.append(_text(_LEFT - 6, y + 4, write(tick), "end"))
    return drawn


def _time_axis(y: float, width: int, last: float, left: int = _LEFT) -> list[str]:
    said = [
        _text(left + width * share, y + 16, seconds(last * share), anchor)
        for share, anchor in ((0, "start"), (0.5, "middle"), (1, "end"))
    ]
    return [f'<path d="M{left} {y}h{width}" stroke="{INK}"/>', *said]


def _legend(entries: Sequence[tuple[str, str]], y: float, width: int) -> tuple[list[str], float]:
    """Names with their colours, in as many rows as they need; without a colour, a dash."""
    drawn: list[str] = []
    x = float(_LEFT)
    for name, colour in entries:
        wide = 22 + 6.6 * len(name)
        if x > _LEFT and x + wide > _LEFT + width:
            x, y = float(_LEFT), y + _LINE
        mark = f'<rect x="{x:.0f}" y="{y - 9:.0f}" width="10" height="10" fill="{colour}"/>'
        if not colour:
            mark = f'<path d="M{x:.0f} {y - 4:.0f}h12" stroke="{INK}" stroke-width="1.5" stroke-dasharray="4 3"/>'
        drawn += [mark, _text(x + 15, y, name)]
        x += wide + 8
    return drawn, y + 12


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _document(title: str, notes: Sequence[str], drawn: Sequence[str], width: int, height: float) -> str:
    whole = _LEFT + width + _RIGHT
    head = [f'<text x="8" y="16" font-size="13" font-weight="bold">{escape(title)}</text>']
    head += [_text(8, 16 + _LINE * (at + 1), note) for at, note in enumerate(notes)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="{height:.0f}" '
        f'viewBox="0 0 {whole} {height:.0f}" style="max-width:100%;height:auto" role="img" '
        f'aria-label="{escape(title, quote=True)}" font-family="system-ui,Segoe UI,Helvetica,Arial,sans-serif" '
        f'font-size="11.5" fill="{INK}">{"".join(head)}{"".join(drawn)}</svg>'
    )
