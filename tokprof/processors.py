"""Middleware: functions that see each span as it ends, and may change it or let it go.

What a processor lets go is summed up in one row for each parent and model, so that totals stay exact.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable
from typing import Any

from tokprof.allowance.exceeded import BudgetExceeded
from tokprof.recorder import Recording, warn_once
from tokprof.span import Span, Usage

__all__ = ["cost", "mask", "sample", "tag", "use"]

Processor = Callable[[Span], Span | None]

chain: list[Processor] = []
"""What `use` has registered, in order."""

_lock = threading.Lock()


class Registration:
    """A processor in use; `remove` takes it out, and so does the end of a ``with`` block.

    Attributes
    ----------
    processor : callable
    """

    __slots__ = ("processor",)

    def __init__(self, processor: Processor):
        self.processor = processor

    def remove(self) -> None:
        """Take the processor out; once it is out, nothing happens."""
        with _lock:
            for at, known in enumerate(chain):
                if known is self.processor:
                    del chain[at]
                    return

    def __enter__(self) -> Registration:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()

    def __repr__(self) -> str:
        return f"<Registration {getattr(self.processor, '__name__', self.processor)!s}>"


def use(processor: Processor) -> Registration:
    """Register a processor: a function that is given every span as it ends.

    Parameters
    ----------
    processor : callable
        Takes a `Span` and gives it back, changed or not, or another one in its place; None lets the row go, and its
        figures are summed up in a row of what was not kept. Processors run in the order in which they were registered,
        in the thread in which the span ends. One that raises is reported once and skipped.

    Returns
    -------
    Registration
        Its ``remove()`` takes the processor out; it is a context manager, too.

    Raises
    ------
    TypeError
        If it cannot be called.

    See Also
    --------
    mask, tag, sample, cost

    Examples
    --------
    >>> tokprof.use(tokprof.processors.mask(r"sk-[A-Za-z0-9]+"))
    >>> with tokprof.use(tokprof.processors.sample(0.1)):
    ...     serve()
    """
    if not callable(processor):
        raise TypeError(f"a processor is a function of a span, not {processor!r}")
    with _lock:
        chain.append(processor)
    return Registration(processor)


def process(recording: Recording, span: Span, final: bool = True) -> bool:
    """Run the processors on a span that ended.

    Parameters
    ----------
    recording : Recording
    span : Span
        Changed in place.
    final : bool
        Whether the span has ended; one that is still open is never let go.

    Returns
    -------
    bool
        Whether its row is kept.
    """
    for processor in tuple(chain):
        before = {name: getattr(span, name) for name in _CHECKED}
        try:
            result: Any = processor(span)
            _check(result)
        except (Exception, BudgetExceeded) as error:
            warn_once(f"run the processor {getattr(processor, '__name__', processor)}", error)
            for name, value in before.items():
                setattr(span, name, value)
            continue
        if result is None:
            if final:
                recording.let_go(span)
                return False
        elif result is not span:
            for name in Span.__slots__:
                if name not in ("id", "parent"):
                    setattr(span, name, getattr(result, name))
    return True


_CHECKED: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "cost": (int, float, type(None)),
    "cost_source": (str, type(None)),
    "usage": (Usage, type(None)),
    "tags": (dict, type(None)),
    "content": (dict, type(None)),
    "model": (str, type(None)),
    "request_model": (str, type(None)),
}
"""Fields that a processor may spoil, and the types that they can have."""


def _check(span: Any) -> None:
    if span is None:
        return
    if not isinstance(span, Span):
        raise TypeError(f"a Span or None is wanted, not {type(span).__name__}")
    for name, kinds in _CHECKED.items():
        if not isinstance(value := getattr(span, name), kinds):
            raise TypeError(f"{name} cannot be {type(value).__name__}")


def mask(pattern: str | re.Pattern[str] | Callable[[str], str], replacement: str = "***") -> Processor:
    """Make a processor that replaces text in names, tags, errors, usage objects and what was kept of prompts.

    Parameters
    ----------
    pattern : str, compiled pattern or callable
        Regular expression of what is replaced, or a function of a text that gives the masked text.
    replacement : str
        As for `re.sub`.

    Raises
    ------
    ValueError
        For an expression that is none.
    """
    if callable(pattern):
        masked = pattern
    else:
        try:
            expression = re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from None

        def masked(text: str) -> str:
            return expression.sub(replacement, text)

    def mask(span: Span) -> Span:
        for name in ("name", "host", "error", "request_model", "model", "usage_raw"):
            if (text := getattr(span, name)) is not None:
                setattr(span, name, masked(text))
        if span.tags:
            span.tags = {key: masked(value) for key, value in span.tags.items()}
        if span.content:
            span.content = {key: masked(value) for key, value in span.content.items()}
        return span

    return mask


def tag(function: Callable[[Span], dict[str, Any] | None] | None = None, /, **tags: str) -> Processor:
    """Make a processor that tags spans.

    Parameters
    ----------
    function : callable, optional
        Of a span; gives more tags for it, or None.
    **tags : str
        Put on every span.
    """
    fixed = {key: str(value) for key, value in tags.items()}

    def tag(span: Span) -> Span:
        more = function(span) if function is not None else None
        found = fixed | {key: str(value) for key, value in (more or {}).items()}
        if found:
            span.tags = (span.tags or {}) | found
        return span

    return tag


def sample(rate: float, *, keep_errors: bool = True, seed: int | None = None) -> Processor:
    """Make a processor that keeps a share of the calls. Totals stay exact.

    Parameters
    ----------
    rate : float
        Share of the calls that keep a row of their own, from 0 to 1. Steps around calls are kept.
    keep_errors : bool
        Whether every call that did not end well is kept.
    seed : int, optional
        For the same choice in every run.

    Raises
    ------
    ValueError
        For a rate that is no share.
    """
    if not isinstance(rate, int | float) or not 0 <= rate <= 1:
        raise ValueError(f"rate is the share of calls to keep, from 0 to 1, not {rate!r}")
    draw = random.Random(seed)

    def sample(span: Span) -> Span | None:
        if span.source is None or (keep_errors and span.status != "ok"):
            return span
        return span if draw.random() < rate else None

    return sample


def cost(function: Callable[[Span], float | None]) -> Processor:
    """Make a processor that prices calls.

    Parameters
    ----------
    function : callable
        Of a call; gives USD, or None to leave the price to the list.
    """

    def cost(span: Span) -> Span:
        if span.source not in (None, "cached") and (usd := function(span)) is not None:
            usd = float(usd)
            if not 0 <= usd < float("inf"):
                raise ValueError(f"a cost is 0 or more (USD), not {usd}")
            span.cost, span.cost_source = usd, "custom"
        return span

    return cost


def __dir__() -> list[str]:
    return __all__
