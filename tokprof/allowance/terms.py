"""The terms of a budget: limits and options, checked."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tokprof.allowance.exceeded import BudgetEvent
from tokprof.span import KINDS, OPERATIONS

LIMITS = ("tokens", "input_tokens", "output_tokens", "cost", "calls", "seconds")
"""What a budget can limit. Tokens are input, output and embeddings together; cost is USD."""
ON_EXCEED = ("raise", "warn")
ENFORCE = ("reserve", "settle")


@dataclass(frozen=True)
class Terms:
    """What a budget was asked to do; see `tokprof.budget`.

    Attributes
    ----------
    limits : tuple of (str, float)
        By the names of `LIMITS`.
    on_exceed, enforce : str
    at : tuple of float
        Rising.
    do : callable or None
    within, per, name : str or None
    stop_streams : bool
    assume_output : int or None
    """

    limits: tuple[tuple[str, float], ...]
    on_exceed: str = "raise"
    enforce: str = "reserve"
    at: tuple[float, ...] = ()
    do: Callable[[BudgetEvent], object] | None = None
    within: str | None = None
    per: str | None = None
    stop_streams: bool = False
    assume_output: int | None = None
    name: str | None = None


def terms(
    limits: dict[str, Any],
    *,
    on_exceed: str = "raise",
    enforce: str = "reserve",
    at: float | Iterable[float] = (),
    do: Callable[[BudgetEvent], object] | None = None,
    within: str | None = None,
    per: str | None = None,
    stop_streams: bool = False,
    assume_output: int | None = None,
    name: str | None = None,
) -> Terms:
    """Check what a budget was asked to do.

    Raises
    ------
    ValueError, TypeError
        See `tokprof.budget`.
    """
    known = tuple((what, _limit(what, limits[what])) for what in LIMITS if limits.get(what) is not None)
    if not known:
        raise ValueError(f"a budget limits something: give one of {', '.join(LIMITS)}")
    _one_of("on_exceed", on_exceed, ON_EXCEED)
    _one_of("enforce", enforce, ENFORCE)
    if do is not None and not callable(do):
        raise TypeError(f"do is a function of an event, not {do!r}")
    for key, value in (("within", within), ("per", per), ("name", name)):
        if value is not None and not (isinstance(value, str) and value):
            raise TypeError(f"{key} is a name, not {value!r}")
    if per is not None:
        per = OPERATIONS.get(per, per.lower())
        if per not in KINDS:
            raise ValueError(f"per={per!r} is no kind of span; known: {', '.join(KINDS)}")
    if stop_streams and on_exceed == "warn":
        raise ValueError('stop_streams stops a stream by an exception: it goes with on_exceed="raise"')
    if assume_output is not None:
        assume_output = int(_limit("assume_output", assume_output))
    return Terms(known, on_exceed, enforce, _shares(at), do, within, per, bool(stop_streams), assume_output, name)


def _limit(what: str, value: Any) -> float:
    if what in ("cost", "seconds"):
        if isinstance(value, bool) or not hasattr(value, "__float__") or isinstance(value, str):
            raise TypeError(f"{what} is a number{' (USD)' if what == 'cost' else ''}, not {value!r}")
        number = float(value)
    else:
        if isinstance(value, bool):
            raise TypeError(f"{what} is a whole number, not {value!r}")
        try:
            number = int(value) if isinstance(value, float) and value.is_integer() else operator.index(value)
        except TypeError:
            raise TypeError(f"{what} is a whole number, not {value!r}") from None
    if not 0 < number < math.inf:
        raise ValueError(f"{what} is {value}: a budget is more than 0, and not endless; leave it out for no limit")
    return number


def _shares(at: Any) -> tuple[float, ...]:
    shares = (at,) if isinstance(at, int | float) else tuple(at)
    for share in shares:
        if isinstance(share, bool) or not isinstance(share, int | float):
            raise TypeError(f"at holds shares of the budget, for instance 0.8, not {share!r}")
        if not 0 < share <= 1:
            raise ValueError(f"at holds shares of the budget above 0 and up to 1, for instance 0.8, not {share}")
    return tuple(sorted(set(map(float, shares))))


def _one_of(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name}={value!r} is not known; it is {' or '.join(map(repr, known))}")
