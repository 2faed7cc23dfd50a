"""Work that is async, where an event loop runs: it begins when it is awaited, and says so until then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any


class Pending(Coroutine[Any, Any, Any]):
    """Something to ``await``, or to make a task of; nothing is lost or warned of where that is forgotten.

    Parameters
    ----------
    begin : callable
        Gives the coroutine.
    title : str
        What it is, in words.
    call : str
        Of the function that made it: ``tokprof.experiment``.
    given : str
        Argument of it that is async.
    """

    def __init__(self, begin: Callable[[], Coroutine[Any, Any, Any]], title: str, call: str, given: str):
        self._begin, self._title, self._call, self._given = begin, title, call, given
        self._work: Coroutine[Any, Any, Any] | None = None

    def __await__(self) -> Generator[Any, None, Any]:
        if self._work is not None:
            raise RuntimeError(f"this {self._title} was awaited before; keep what `await` gives")
        return self._begun().__await__()

    def send(self, value: Any) -> Any:
        """Go on, as a task does."""
        return self._begun().send(value)

    def throw(self, *error: Any) -> Any:
        """Raise something in it, as a task does."""
        return self._begun().throw(*error)

    def close(self) -> None:
        """End it; nothing is run of what has not begun."""
        if self._work is not None:
            self._work.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # displays and debuggers look for these
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        raise AttributeError(
            f"this {self._title} is async and has no {name!r} before it is awaited: write `await {self._call}(...)`"
        )

    def __repr__(self) -> str:
        state = "has not begun" if self._work is None else "was awaited"
        return f"<{self._title}, which {state}: {self._given} is async, write `await {self._call}(...)`>"

    def _begun(self) -> Coroutine[Any, Any, Any]:
        if self._work is None:
            self._work = self._begin()
        return self._work


def awaited(begin: Callable[[], Coroutine[Any, Any, Any]], title: str, call: str, given: str = "fn") -> Any:
    """Give something to await where an event loop runs, and what comes of it where none does; see `Pending`."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(begin())
    return Pending(begin, title, call, given)
