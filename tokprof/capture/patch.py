"""Methods and functions of other people, replaced and put back."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from types import FunctionType
from typing import Any

_lock = threading.RLock()  # the first recordings of a server may open at the same time


def wrap(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Replace a method of a class or a function of a module by ``make(original)``, once.

    An inherited method is replaced in `owner` alone.
    """
    with _lock:
        _wrap(owner, name, make)


def _wrap(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    original = owner.__dict__.get(name)
    inherited = original is None
    if inherited:
        original = getattr(owner, name)
    if not _is_hook(original):
        method = original.__func__ if isinstance(original, classmethod) else original
        hook: Any = functools.wraps(method)(make(_callable(owner, method)))
        if method is not original:
            hook = classmethod(hook)
        hook._tokprof_hook, hook._tokprof_original, hook._tokprof_inherited = hook, original, inherited
        setattr(owner, name, hook)


def unwrap(owner: Any, name: str) -> None:
    """Put the original back; a hook that somebody has wrapped since stays, and is idle."""
    method = owner.__dict__.get(name)
    if not _is_hook(method):
        return
    if method._tokprof_inherited:
        delattr(owner, name)
    else:
        setattr(owner, name, method._tokprof_original)


def _callable(owner: Any, method: Any) -> Any:
    """Give what calls `method` as the program does: somebody's wrapper may want to be told its object."""
    if type(method) is FunctionType or not isinstance(owner, type):
        return method

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        bound = method.__get__(self, type(self)) if hasattr(method, "__get__") else method
        return bound(*args, **kwargs)

    return call


def _is_hook(method: Any) -> bool:
    """Tell a hook from a wrapper around it, which shows the attributes of the hook as its own."""
    return getattr(method, "_tokprof_hook", None) is method
