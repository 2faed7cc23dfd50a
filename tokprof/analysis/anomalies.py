"""Calls that are unlike the earlier ones of their function and model, and in what.

Robust statistics: how far a figure is from the median, in units of the median absolute deviation (Iglewicz and Hoaglin,
1993, whose limit of 3.5 this takes), on a logarithmic scale, because tokens and times vary by factors.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tokprof.analysis.books import COST, FIGURES, books
from tokprof.money import usd
from tokprof.span import Span
from tokprof.table import Table

if TYPE_CHECKING:
    import pandas as pd

LIMIT = 3.5
"""Deviations from the median, beyond which a figure is unusual."""
FACTOR = 1.5
"""By which it must also be more, or less: what is smaller matters to nobody, however steady the earlier calls were."""
NARROWEST = 0.05
"""Least deviation on the logarithmic scale: earlier calls that were all alike do not make a twentieth unusual."""
LEAST = 5
"""Earlier calls, below which those of the function with any model, then those of the model anywhere, are taken."""
ATTEMPTS = 3
"""Attempts of a request from which on they are unusual, where earlier calls did not need as many."""

_SCALE = 1.4826  # of the median absolute deviation, to that of a normal distribution
_INPUT, _OUTPUT = FIGURES.index("input"), FIGURES.index("output")
_WORDS: dict[str, Callable[[float], str]] = {
    "input": lambda value: f"{value:,.0f} input tokens",
    "output": lambda value: f"{value:,.0f} output tokens",
    "time": lambda value: f"{value:,.3g} seconds",
    "cost": usd,
}
_BOTH_WAYS = ("input", "output")

Who = tuple[str, str]


class Call(NamedTuple):
    """A call as it is compared.

    Attributes
    ----------
    row : int
    who : tuple of str
        Nearest named step and innermost function.
    model : str
    figures : dict of str to float
        ``input``, ``output``, ``time`` (seconds) and ``cost`` (USD), as far as known.
    attempt : int
    turn : int
        Which call of its function it is, within one run of the step around it; retries do not count.
    """

    row: int
    who: Who
    model: str
    figures: dict[str, float]
    attempt: int
    turn: int


class Usual(NamedTuple):
    """Median and deviation of a figure, both of its logarithm, of so many calls."""

    middle: float
    spread: float
    calls: int


@dataclass(slots=True)
class Baseline:
    """What is usual, of earlier calls.

    Attributes
    ----------
    usual : dict
        By group (function and model, function, model) and figure, of those with enough calls.
    models : dict
        Of each function, how often each model.
    attempts, turns : dict
        Of each function, the most attempts and the most calls within one run of its step, and how many such runs.
    """

    usual: dict[Any, Usual] = field(default_factory=dict)
    models: dict[Who, dict[str, int]] = field(default_factory=dict)
    attempts: dict[Who, int] = field(default_factory=dict)
    turns: dict[Who, tuple[int, int]] = field(default_factory=dict)


def anomalies(table: Table, baseline: Sequence[Table]) -> pd.DataFrame:
    """Find the calls that are unusual.

    Parameters
    ----------
    table : Table
    baseline : sequence of Table
        Earlier profiles; may be the table itself.

    Returns
    -------
    pandas.DataFrame
        One row a call, worst first: ``span_id``, ``function``, ``model``, ``what`` (``input``, ``output``, ``time``,
        ``cost``, ``attempts``, ``loop`` or ``model``: what is most unusual), ``value``, ``usual`` (of earlier calls:
        median, or the most), ``score`` (deviations; of attempts and loops the times by which they are more, of a model
        infinite) and ``reason``: all that is unusual, in plain language.
    """
    import pandas as pd

    known = learn(baseline)
    rows = []
    ids = table.frame(["span_id"])["span_id"].to_numpy()
    for call in calls_of(table):
        # what a call cost follows from all else
        found = sorted(_unusual(call, known), key=lambda each: (each[0] == "cost", -each[3]))
        if found:
            what, value, usual, score, _ = found[0]
            reason = "; ".join(each[4] for each in found)
            name = call.who[1] or call.who[0]
            rows.append([ids[call.row], name, call.model, what, value, usual, score, reason])
    columns = ["span_id", "function", "model", "what", "value", "usual", "score", "reason"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.sort_values("score", ascending=False, kind="stable", ignore_index=True)


def calls_of(table: Table) -> Iterable[Call]:
    """Give the calls of a table, in order of their start, each with a row of its own."""
    kept = books(table)
    seconds = table.durations()
    turns: dict[Any, int] = defaultdict(int)
    for row in np.flatnonzero(kept.call & (kept.weight == 1)).tolist():
        span = table.spans[row]
        who = _who(table, row)
        attempt = span.attempt or 1
        place = (int(table.parents[row]), who)
        if attempt == 1:
            turns[place] += 1
        figures: dict[str, float] = {}
        if not kept.failed[row]:
            if kept.told[row, _INPUT] and not kept.untold[row, _INPUT]:
                figures["input"] = float(kept.used[row, _INPUT])
            if kept.told[row, _OUTPUT] and not kept.untold[row, _OUTPUT]:
                figures["output"] = float(kept.used[row, _OUTPUT])
            if not kept.unpriced[row]:
                figures["cost"] = float(kept.used[row, COST])
            if span.closed is not None:
                figures["time"] = float(seconds[row])
        yield Call(row, who, span.model or span.request_model or "", figures, attempt, max(1, turns[place]))


def learn(baseline: Sequence[Table]) -> Baseline:
    """Learn what is usual."""
    known = Baseline()
    values: dict[Any, list[float]] = defaultdict(list)
    for table in baseline:
        most: dict[tuple[int, Who], int] = {}
        for call in calls_of(table):
            for group in _groups(call):
                for name, value in call.figures.items():
                    values[group, name].append(_scaled(name, value))
            models = known.models.setdefault(call.who, {})
            models[call.model] = models.get(call.model, 0) + 1
            known.attempts[call.who] = max(known.attempts.get(call.who, 1), call.attempt)
            most[int(table.parents[call.row]), call.who] = call.turn
        for (_, who), turn in most.items():
            times, runs = known.turns.get(who, (0, 0))
            known.turns[who] = (max(times, turn), runs + 1)
    for key, each in values.items():
        if len(each) < LEAST:
            continue
        middle = float(np.median(each))
        spread = _SCALE * float(np.median(np.abs(np.array(each) - middle)))
        known.usual[key] = Usual(middle, max(spread, NARROWEST), len(each))
    return known


def _unusual(call: Call, known: Baseline) -> Iterable[tuple[str, float, float, float, str]]:
    """What is unusual about a call: what, value, usual, score, reason."""
    name = call.who[1] or call.who[0] or "these calls"
    if (most := known.attempts.get(call.who)) is not None and call.attempt >= ATTEMPTS and call.attempt > most:
        reason = f"attempt {call.attempt}, where earlier calls of {name} needed {most} at most"
        yield "attempts", call.attempt, most, LIMIT * call.attempt / most, reason
    if call.who in known.turns:
        most, runs = known.turns[call.who]
        if call.turn > FACTOR * most and call.turn >= most + 3:
            reason = f"call {call.turn} of {name} in one run, where there were {most} at most in {runs} earlier runs"
            yield "loop", call.turn, most, LIMIT * call.turn / most, reason
    models = known.models.get(call.who, {})
    if call.model and call.model not in models and sum(models.values()) >= LEAST:
        usual = max(models, key=lambda each: models[each])
        reason = f"model {call.model}, where {models[usual]} earlier calls of {name} used {usual}"
        yield "model", math.nan, math.nan, math.inf, reason
    for figure, value in call.figures.items():
        found = _usual(call, figure, known)
        if found is None:
            continue
        of, usual_ = found
        middle = math.expm1(usual_.middle) if figure in _BOTH_WAYS else math.exp(usual_.middle)
        score = (_scaled(figure, value) - usual_.middle) / usual_.spread
        more = score > 0
        if abs(score) <= LIMIT or not (more or figure in _BOTH_WAYS):
            continue
        larger, smaller = max(value, middle), max(min(value, middle), 1e-12)
        if larger < FACTOR * smaller:
            continue
        times = f"{larger / smaller:.1f} times" if smaller >= 1e-9 and larger / smaller < 1e6 else "much"
        rather = "more" if more else "less"
        reason = f"{_WORDS[figure](value)}: {times} {rather} than the {_WORDS[figure](middle)} usual for {of}"
        yield figure, value, middle, abs(score), reason


def _usual(call: Call, figure: str, known: Baseline) -> tuple[str, Usual] | None:
    """The narrowest group with enough earlier calls, in words, and what is usual there."""
    name = call.who[1] or call.who[0] or "these calls"
    words = (f"{name} with {call.model}", name, call.model)
    swapped = call.model not in known.models.get(call.who, {})
    for of, group in zip(words, _groups(call), strict=True):
        if swapped and group[0] == "who" and figure in ("time", "cost"):
            continue  # another model is another price and pace: that it is another one is said
        found = known.usual.get((group, figure))
        if found is not None and of:
            return of, found
    return None


def _groups(call: Call) -> tuple[tuple[Any, ...], ...]:
    return ("both", call.who, call.model), ("who", call.who), ("model", call.model)


def _scaled(name: str, value: float) -> float:
    if name in _BOTH_WAYS:
        return math.log1p(max(value, 0.0))
    return math.log(max(value, 1e-9))


def _who(table: Table, row: int) -> Who:
    span: Span = table.spans[row]
    step = int(table.parents[row])
    named = table.spans[step] if step >= 0 else None
    around = "" if named is None or named.kind in ("cell", "profile") else named.name
    return around, span.stack[-1].function.rpartition("<locals>.")[2] if span.stack else ""
