"""Methods of other people's classes, replaced and put back."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def wrap(owner: type, name: str, make: Callable[[Any], Any]) -> None:
    """Replace a method by ``make(original)``; one that is replaced already is left as it is."""
    original = owner.__dict__[name]
    if not hasattr(original, "_tokprof_original"):
        hook: Any = functools.wraps(original)(make(original))
        hook._tokprof_original = original
        setattr(owner, name, hook)


def unwrap(owner: type, name: str) -> None:
    """Put the original back; a hook that somebody has wrapped since stays, and is idle."""
    original = getattr(owner.__dict__[name], "_tokprof_original", None)
    if original is not None:
        setattr(owner, name, original)
