"""Telling the user what a budget has to say: a callback, or a warning at the user's own line."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable

from tokprof.allowance.exceeded import BudgetEvent, BudgetExceeded, BudgetWarning
from tokprof.recorder import describe
from tokprof.stack import snapshot


def tell(said: BudgetEvent | str, do: Callable[[BudgetEvent], object] | None = None) -> None:
    """Hand an event to a callback, or show it as a warning; what the callback raises is shown, and goes no further."""
    if do is None or isinstance(said, str):
        _warn(f"tokprof: {said}", said)
        return
    try:
        do(said)
    except (Exception, BudgetExceeded) as error:  # the latter of a model that it asks itself
        _warn(f"tokprof: the callback of a budget failed ({describe(error)}: {error})", said)


def _warn(message: str, said: BudgetEvent | str) -> None:
    span = None if isinstance(said, str) else said.span
    stack = (span.stack if span is not None else None) or snapshot(2)
    file, line = (stack[-1].file, stack[-1].line) if stack else ("tokprof", 1)
    try:
        warnings.warn_explicit(message, BudgetWarning, file, line, registry={})
    except Warning:  # under `-W error` a warning is an exception, and the program must not see it
        print(message, file=sys.stderr)
