"""Conditions of alerts: ready ones by name, and the small language ``"cost > 0.5 and calls >= 10"``."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from tokprof.alerts.watching import FIGURES, LEAST, MINUTE, RECENT, Snapshot
from tokprof.money import usd

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
_CLAUSE = re.compile(
    r"\s*([A-Za-z_][\w ]*?)\s*(>=|<=|==|>|<)\s*\$?\s*([\d_,]*\.?\d+(?:e[+-]?\d+)?)\s*(%|k|s)?\s*", re.I
)
_SPIKES = ("tokens", "cost", "seconds")
_SHARES = ("error_rate", "retry_rate", "cache_hit_rate")
_TIMES = ("seconds", "latency")


@dataclass(frozen=True, slots=True)
class Condition:
    """Something to be true of a `Snapshot`.

    Attributes
    ----------
    text : str
        As it is shown.
    """

    text: str
    _value: Callable[[Snapshot], float]
    _is_met: Callable[[float], bool]
    _write: Callable[[float], str]

    def __call__(self, now: Snapshot) -> bool:
        """Whether it is true; what is not known is not."""
        value = self._value(now)
        return not math.isnan(value) and self._is_met(value)

    def said(self, now: Snapshot) -> str:
        """The figure, in words."""
        return self._write(self._value(now))

    def __str__(self) -> str:
        return self.text


def cost_rate(usd_per_minute: float, *, seconds: float = MINUTE) -> Condition:
    """More USD a minute than so many, over the calls that ended within the last `seconds` (60 at most)."""
    limit, span = _positive("usd_per_minute", usd_per_minute), _window(seconds)
    return Condition(
        f"more than {usd(limit)} a minute",
        lambda now: now.within(span)[1] * MINUTE / span,
        lambda value: value > limit,
        lambda value: f"{usd(value)} a minute",
    )


def token_rate(per_minute: float, *, seconds: float = MINUTE) -> Condition:
    """More tokens a minute than so many, over the calls that ended within the last `seconds` (60 at most)."""
    limit, span = _positive("per_minute", per_minute), _window(seconds)
    return Condition(
        f"more than {limit:,.0f} tokens a minute",
        lambda now: now.within(span)[0] * MINUTE / span,
        lambda value: value > limit,
        lambda value: f"{value:,.0f} tokens a minute",
    )


def spike(factor: float = 3.0, of: str = "tokens", *, calls: int = LEAST) -> Condition:
    """A call with more than `factor` times what is usual for its function and model.

    Parameters
    ----------
    factor : float
        Of the median of the earlier calls.
    of : {"tokens", "cost", "seconds"}
    calls : int
        Earlier calls that there must be. Those of the recordings before count, since the alert was made.

    Notes
    -----
    It must also be more than 3.5 deviations from the median, on a logarithmic scale: calls that always vary by as much
    are no spikes (see `tokprof.analysis.anomalies`).
    """
    if of not in _SPIKES:
        raise ValueError(f"of cannot be {of!r}; known: {', '.join(_SPIKES)}")
    limit = _positive("factor", factor)
    if limit <= 1:
        raise ValueError(f"factor must be more than 1, not {factor}")
    least = _whole("calls", calls)
    return Condition(
        f"more than {limit:g} times the usual {of}",
        lambda now: now.spike(of, least),
        lambda value: value > limit,
        lambda value: f"{value:.3g} times the usual {of}",
    )


def error_rate(share: float, *, calls: int = 10) -> Condition:
    """More than a share of the last calls failed; not before there were so many."""
    return _share_of("failed", "failed", share, calls)


def retry_rate(share: float, *, calls: int = 10) -> Condition:
    """More than a share of the last calls were a second or later attempt; not before there were so many."""
    return _share_of("retried", "were retries", share, calls)


def cache_hit_rate(below: float, *, calls: int = 10) -> Condition:
    """A cache had less than a share of the input tokens of the last calls that told; not before there were so many."""
    limit, least = _share("below", below), _whole("calls", calls)
    return Condition(
        f"less than {limit:.0%} of the input from the cache",
        lambda now: now.cached(least, least),
        lambda value: value < limit,
        lambda value: f"{value:.0%} of the input of the last {least} calls from the cache",
    )


def latency(seconds: float, *, percentile: float = 95, calls: int = RECENT) -> Condition:
    """A percentile of the last calls' times is above so many seconds; not before there were 5 calls."""
    limit, most = _positive("seconds", seconds), _whole("calls", calls)
    if not 0 <= percentile <= 100:
        raise ValueError(f"percentile is from 0 to 100, not {percentile}")
    return Condition(
        f"p{percentile:g} of the latency above {limit:g} s",
        lambda now: now.percentile(percentile, most, min(LEAST, most)),
        lambda value: value > limit,
        lambda value: f"p{percentile:g} of the latency is {value:.3g} s",
    )


def parse(text: str) -> Condition:
    """Read a condition: figures, comparisons and numbers, joined by ``and``.

    Parameters
    ----------
    text : str
        ``"cost > 0.5"``, ``"error_rate > 20% and calls >= 10"``, ``"tokens > 50k"``.

    Raises
    ------
    ValueError
        For what is none, with the nearest name.
    """
    clauses = [_clause(part, text) for part in re.split(r"\s+and\s+", text.strip(), flags=re.I)]
    names = list(dict.fromkeys(name for name, _, _ in clauses))

    def value(now: Snapshot) -> float:
        return float(all(_OPERATORS[sign](getattr(now, name), number) for name, sign, number in clauses))

    def said(now: Snapshot) -> str:
        return ", ".join(f"{name} {written(name, getattr(now, name))}" for name in names)

    return _Text(text.strip(), value, bool, str, said)


@dataclass(frozen=True, slots=True)
class _Text(Condition):
    _said: Callable[[Snapshot], str]

    def said(self, now: Snapshot) -> str:
        return self._said(now)


def written(name: str, value: float) -> str:
    """A figure in words."""
    if math.isnan(value):
        return "unknown"
    if name.startswith("cost"):
        return usd(value)
    if name in _SHARES:
        return f"{value:.0%}"
    return f"{value:.3g} s" if name in _TIMES else f"{value:,.0f}"


def _clause(part: str, text: str) -> tuple[str, str, float]:
    found = _CLAUSE.fullmatch(part)
    if found is None:
        signs = ", ".join(_OPERATORS)
        raise ValueError(
            f"{text!r} is no condition: write a figure, one of {signs}, and a number, as in 'cost > 0.5'; "
            f"figures: {', '.join(FIGURES)}"
        )
    name, sign, number, unit = found.groups()
    name = name.strip().replace(" ", "_").lower()
    if name not in FIGURES:
        near = get_close_matches(name, FIGURES, 1, 0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"{name!r} is no figure of a recording; {hint}known: {', '.join(FIGURES)}")
    unit = (unit or "").lower()
    if (unit == "%" and name not in _SHARES) or (unit == "s" and name not in _TIMES):
        raise ValueError(f"{text!r}: {name} is not told in {unit}")
    limit = float(number.replace(",", "").replace("_", "")) * {"%": 0.01, "k": 1000.0}.get(unit, 1.0)
    if name in _SHARES and limit > 1:
        raise ValueError(f"{text!r}: {name} is a share, 100% at most; write for instance '{name} > 20%'")
    return name, sign, limit


def _share_of(of: str, words: str, share: float, calls: int) -> Condition:
    limit, least = _share("share", share), _whole("calls", calls)
    return Condition(
        f"more than {limit:.0%} of the last {least} calls {words}",
        lambda now: now.share(of, least, least),
        lambda value: value > limit,
        lambda value: f"{value:.0%} of the last {least} calls {words}",
    )


def _positive(what: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{what} must be a number, not {value!r}")
    if not 0 < value < math.inf:
        raise ValueError(f"{what} must be more than 0, not {value}")
    return float(value)


def _share(what: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{what} must be a number, not {value!r}")
    if not 0 <= value <= 1:
        raise ValueError(f"{what} is a share, from 0 to 1, not {value}")
    return float(value)


def _whole(what: str, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(type(value), "__index__") or value < 1:
        raise ValueError(f"{what} must be a whole number from 1 on, not {value!r}")
    return min(int(value), 200)


def _window(seconds: Any) -> float:
    span = _positive("seconds", seconds)
    if span > MINUTE:
        raise ValueError(f"seconds can be {MINUTE:.0f} at most, not {seconds}")
    return span
