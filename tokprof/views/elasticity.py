"""Tokens used against the budget asked for: where answers keep to it, where they stop to, and which budget is best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from tokprof.views.charts import Chart
from tokprof.views.plot import INK, _document, _text, round_up
from tokprof.views.words import clean, count, tokens

if TYPE_CHECKING:
    from tokprof.views.searches import BudgetSearch

BELOW, MIDDLE, ABOVE = "#D55E00", "#999999", "#0072B2"
"""Colours of a score below the target, at it, and above: of Okabe and Ito."""

_WIDTH, _HEIGHT = 640, 320
_LEFT, _TOP, _LINE = 84, 34, 18
_MARKS = {"best": "circle", "kept": "circle", "longer": "triangle-up", "missed": "cross", "open": "square"}
_SAID = {
    "best": "best",
    "kept": "keeps the score",
    "longer": "keeps it, but is longer",
    "missed": "misses the score",
    "open": "not decided",
}
_NICE = ((1, 2, 5), (1, 1.5, 2, 3, 5, 7), (1,))


@dataclass(frozen=True, slots=True)
class Axis:
    """A scale of tokens.

    Attributes
    ----------
    low, high : float
    logarithmic : bool
    """

    low: float
    high: float
    logarithmic: bool

    def place(self, value: float) -> float:
        """Where a figure is, from 0 to 1; not beyond."""
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(max(value, self.low))
        return min(1.0, max(0.0, (value - low) / (high - low)))

    def ticks(self) -> list[float]:
        """Round figures."""
        if not self.logarithmic:
            step = round_up((self.high - self.low) / 5)
            first = math.ceil(self.low / step - 1e-9)
            return [step * at for at in range(first, math.floor(self.high / step + 1e-9) + 1)]
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        found: list[float] = []
        for nices in _NICE:
            each = [nice * 10.0**power for power in powers for nice in nices]
            found = [mark for mark in each if self.low <= mark <= self.high]
            if 3 <= len(found) <= 9:
                break
        return found


@dataclass(frozen=True, slots=True)
class Point:
    """One budget.

    Attributes
    ----------
    budget : int
    tokens, low, high : float
        Mean, and its interval; NaN where too few runs tell.
    score : float
    share : float
        How far the score is from the target: from -1, the worst there can be, to 1, the best.
    runs : int
    decision : str
    said : str
        In words.
    """

    budget: int
    tokens: float
    low: float
    high: float
    score: float
    share: float
    runs: int
    decision: str
    said: str


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn."""

    title: str
    notes: list[str]
    points: list[Point]
    across: Axis
    up: Axis
    unit: str
    target: float | None


def elasticity(search: BudgetSearch) -> Chart:
    """Draw a search; see ``BudgetSearch.elasticity``."""
    points = _points(search)
    unit = search._unit
    head = f"{clean(search.name, 60)}: {unit} used by budget asked for"
    picture = Picture(head, search._sentences()[:2], points, *_axes(points, search._relative), unit, search.target)

    def make() -> Any:
        from tokprof.views.vega_elasticity import elasticity

        return elasticity(picture, _WIDTH, _HEIGHT)

    said = [f"tokprof {head}", *picture.notes]
    said += [f"{'▸' if point.decision == 'best' else ' '} {point.said}" for point in points]
    return Chart("\n".join(said), draw(picture, _WIDTH, _HEIGHT), make)


def draw(picture: Picture, width: int, height: int) -> str:
    """Draw it as a still picture."""
    top = _TOP + _LINE * len(picture.notes) + 8
    bottom = top + height

    def x(value: float) -> float:
        return _LEFT + picture.across.place(value) * width

    def y(value: float) -> float:
        return bottom - picture.up.place(value) * height

    drawn = []
    for tick in picture.up.ticks():
        drawn.append(f'<path d="M{_LEFT} {y(tick):.1f}h{width}" stroke="{INK}" stroke-opacity="0.2"/>')
        drawn.append(_text(_LEFT - 6, y(tick) + 4, tokens(tick), "end"))
    for tick in picture.across.ticks():
        drawn.append(f'<path d="M{x(tick):.1f} {bottom}v4" stroke="{INK}"/>')
        drawn.append(_text(x(tick), bottom + 17, tokens(tick), "middle"))
    drawn.append(f'<path d="M{_LEFT} {bottom}h{width}" stroke="{INK}" fill="none"/>')
    drawn.append(_text(_LEFT + width / 2, bottom + 36, "budget asked for (tokens)", "middle"))
    drawn += _diagonal(picture, x, y)
    known = [point for point in picture.points if not math.isnan(point.tokens)]
    line = " ".join(f"{x(point.budget):.1f},{y(point.tokens):.1f}" for point in known)
    drawn.append(f'<polyline points="{line}" fill="none" stroke="{INK}" stroke-width="1.5" stroke-opacity="0.6"/>')
    for point in known:
        if not math.isnan(point.low):
            ends = f"M{x(point.budget):.1f} {y(point.low):.1f}V{y(point.high):.1f}"
            drawn.append(f'<path d="{ends}" stroke="{colour(point.share)}" stroke-width="2" stroke-opacity="0.7"/>')
    for point in sorted(known, key=lambda point: point.decision == "best"):
        drawn.append(_mark(point, x(point.budget), y(point.tokens)))
        if point.decision == "best":
            drawn += _label(point, x(point.budget), y(point.tokens), width)
    legend = [*_legend(picture, bottom + 62), *_shades(picture, bottom + 86)]
    return _document(picture.title, picture.notes, [*drawn, *legend], width, bottom + 100)


def colour(share: float) -> str:
    """The colour of a score: see `Point.share`."""
    if math.isnan(share):
        return MIDDLE
    share = max(-1.0, min(1.0, share))
    ends = [[int(each[at : at + 2], 16) for at in (1, 3, 5)] for each in (MIDDLE, ABOVE if share > 0 else BELOW)]
    strength = 0.35 + 0.65 * math.sqrt(abs(share))  # on which side of the target it is must be seen
    return "#" + "".join(f"{round(a + (b - a) * strength):02x}" for a, b in zip(*ends, strict=True))


def _points(search: BudgetSearch) -> list[Point]:
    target = search.target
    found = []
    for budget, row in search.summary().iterrows():
        score, spent = float(row["score"]), float(row["tokens"])
        low, high = float(row["tokens_low"]), float(row["tokens_high"])
        share = math.nan
        if target is not None and not math.isnan(score):
            goal = search._goal
            mean, wanted = goal.norm(score), goal.norm(target)
            room = (1 - wanted) if mean > wanted else wanted
            share = (mean - wanted) / room if room > 0 else float(mean >= wanted)
        between = "" if math.isnan(low) else f" ({tokens(low)} to {tokens(high)})"
        used = "unknown" if math.isnan(spent) else f"{tokens(spent)}{between}"
        runs, decision = int(row["trials"]), str(row["decision"])
        scored = "no score" if math.isnan(score) else f"score {score:.3g}"
        said = f"{budget:,} asked for, {used} used, {scored}, {count(runs, 'run')}: {_SAID[decision]}"
        found.append(Point(int(str(budget)), spent, low, high, score, share, runs, decision, said))
    return found


def _axes(points: Sequence[Point], logarithmic: bool) -> tuple[Axis, Axis]:
    budgets = [float(point.budget) for point in points] or [1.0, 10.0]
    used = [point.tokens for point in points if point.tokens > 0] or budgets
    # few runs have wide intervals: they are cut, so that the means can be told apart
    least, most = min(used), max(used)
    if not logarithmic:
        return Axis(0, max(budgets) * 1.04, False), Axis(0, most * 1.15, False)
    return Axis(min(budgets) / 1.15, max(budgets) * 1.15, True), Axis(least / 1.5, max(most, 2 * least) * 1.4, True)


def _diagonal(picture: Picture, x: Any, y: Any) -> list[str]:
    """Where as much is used as was asked for, as far as it is within the picture."""
    low = max(picture.across.low, picture.up.low)
    high = min(picture.across.high, picture.up.high)
    if low >= high:
        return []
    ends = f"M{x(low):.1f} {y(low):.1f}L{x(high):.1f} {y(high):.1f}"
    line = f'<path d="{ends}" stroke="{INK}" stroke-width="1.5" stroke-dasharray="5 4" fill="none"/>'
    return [line]


def _mark(point: Point, x: float, y: float) -> str:
    shade = colour(point.share)
    title = f"<title>{escape(point.said)}</title>"
    if point.decision == "missed":
        d = f"M{x - 5:.1f} {y - 5:.1f}l10 10m0 -10l-10 10"
        return f'<path d="{d}" stroke="{shade}" stroke-width="3" fill="none">{title}</path>'
    if point.decision == "longer":
        return f'<path d="M{x:.1f} {y - 7:.1f}l7 12h-14z" fill="{shade}">{title}</path>'
    if point.decision == "open":
        return f'<path d="M{x - 5:.1f} {y - 5:.1f}h10v10h-10z" fill="{shade}">{title}</path>'
    dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="{shade}">{title}</circle>'
    if point.decision == "best":
        dot += f'<circle cx="{x:.1f}" cy="{y:.1f}" r="10.5" fill="none" stroke="{INK}" stroke-width="2"/>'
    return dot


def _label(point: Point, x: float, y: float, width: int) -> list[str]:
    said = f"best: {point.budget:,}"
    right = x + 16 + 7 * len(said) <= _LEFT + width
    anchor = "start" if right else "end"
    place = f'x="{x + (15 if right else -15):.1f}" y="{y + 27:.1f}" text-anchor="{anchor}"'
    return [f'<text {place} font-size="13" font-weight="bold">{escape(said)}</text>']


def _legend(picture: Picture, y: float) -> list[str]:
    """Marks that are drawn, what their colour says, and the dashed line."""
    drawn: list[str] = []
    x = float(_LEFT)
    decisions = dict.fromkeys(point.decision for point in picture.points if not math.isnan(point.tokens))
    for decision in (each for each in _SAID if each in decisions):
        shades = [point.share for point in picture.points if point.decision == decision]
        point = Point(0, 0, 0, 0, 0, shades[-1], 0, decision, _SAID[decision])
        drawn += [_mark(point, x + 6, y - 4), _text(x + 20, y, _SAID[decision])]
        x += 36 + 6.4 * len(_SAID[decision])
    drawn.append(f'<path d="M{x:.0f} {y - 4:.0f}h16" stroke="{INK}" stroke-width="1.5" stroke-dasharray="5 4"/>')
    drawn.append(_text(x + 22, y, "used = asked for"))
    return drawn


def _shades(picture: Picture, y: float) -> list[str]:
    """What the colours say."""
    if picture.target is None:
        return []
    drawn = [_text(_LEFT, y, "score")]
    for at in range(21):
        share = at / 10 - 1
        drawn.append(f'<path d="M{_LEFT + 40 + 6 * at} {y - 4:.0f}h6" stroke="{colour(share)}" stroke-width="9"/>')
    drawn.append(_text(_LEFT + 176, y, f"below and above the target, {picture.target:.3g}"))
    return drawn
