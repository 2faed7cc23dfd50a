"""Methods of other people's classes, replaced and put back."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def wrap(owner: type, name: str, make: Callable[[Any], Any]) -> None:
    """Replace a method by ``make(original)``; one that is replaced already is left as it is."""
    original = owner.__dict__[name]
    if not _is_hook(original):
        hook: Any = functools.wraps(original)(make(original))
        hook._tokprof_hook, hook._tokprof_original = hook, original
        setattr(owner, name, hook)


def unwrap(owner: type, name: str) -> None:
    """Put the original back; a hook that somebody has wrapped since stays, and is idle."""
    method = owner.__dict__[name]
    if _is_hook(method):
        setattr(owner, name, method._tokprof_original)


def _is_hook(method: Any) -> bool:
    """Tell a hook from a wrapper around it, which shows the attributes of the hook as its own."""
    return getattr(method, "_tokprof_hook", None) is method
