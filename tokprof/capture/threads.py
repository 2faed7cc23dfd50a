"""Threads work for whoever started them: a scope goes along with a thread and with work given to a thread pool.

Tasks need nothing: asyncio copies the context of their creator.
"""

from __future__ import annotations

import concurrent.futures.thread
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tokprof.capture import patch
from tokprof.recorder import Recording, carry, own
from tokprof.span import Span

# What a worker of a pool runs. It outlives the work that it was started for, and must neither keep nor use its scope.
_WORKER = getattr(concurrent.futures.thread, "_worker", object())
_INHERITS = bool(getattr(sys.flags, "thread_inherit_context", False))  # 3.14: threads may copy the context themselves


def install() -> None:
    """Hook ``Thread.start`` and ``ThreadPoolExecutor.submit``."""
    patch.wrap(threading.Thread, "start", _start_hook)
    patch.wrap(ThreadPoolExecutor, "submit", _submit_hook)


def uninstall() -> None:
    """Put the originals back."""
    patch.unwrap(threading.Thread, "start")
    patch.unwrap(ThreadPoolExecutor, "submit")


def _start_hook(original: Any) -> Any:
    def start(thread: threading.Thread) -> Any:
        scope = own()
        if scope is None or thread.ident is not None or isinstance(thread.run, _Run) or _is_worker(thread):
            return original(thread)
        run = _Run(thread, scope)
        try:
            return original(thread)
        except BaseException:
            run.undo()
            raise

    return start


def _submit_hook(original: Any) -> Any:
    def submit(pool: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        scope = own()
        if scope is not None or _INHERITS:
            fn = carry(scope, fn)
        return original(pool, fn, *args, **kwargs)

    return submit


def _is_worker(thread: threading.Thread) -> bool:
    return getattr(thread, "_target", None) is _WORKER


class _Run:
    """``thread.run`` in a scope, which is let go of when the run has ended."""

    __slots__ = ("_carried", "_own", "_thread")

    def __init__(self, thread: threading.Thread, scope: tuple[Recording, Span]):
        self._thread: threading.Thread | None = thread
        self._own = thread.__dict__.get("run")
        self._carried: Callable[[], Any] | None = carry(scope, thread.run)
        thread.run = self  # type: ignore[method-assign]

    def __call__(self) -> Any:
        carried, self._carried = self._carried, None
        try:
            return carried() if carried else None
        finally:
            self.undo()

    def undo(self) -> None:
        """Give the thread its own method back."""
        thread, self._thread, self._carried = self._thread, None, None
        if thread is None or thread.__dict__.get("run") is not self:
            return
        if self._own is None:
            del thread.__dict__["run"]
        else:
            thread.run = self._own  # type: ignore[method-assign]
