"""The lock around the books of all budgets, and the line of what waits for it.

Garbage is collected at any time, and may end a call in the very thread that holds the lock. So calls that end wait in a
line, which whoever has the lock works off.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable

from tokprof.allowance.exceeded import BudgetEvent
from tokprof.allowance.telling import tell
from tokprof.recorder import warn_once

Alert = tuple[BudgetEvent, Callable[[BudgetEvent], object] | None]
"""An event, and the callback that it is for."""

_lock = threading.RLock()
_holder = 0
_waiting: deque[Callable[[], list[Alert]]] = deque()


class Held:
    """The lock, as a context manager; what waits in the line is done when it is taken, and before it is let go.

    Parameters
    ----------
    wait : bool
        Whether to wait for it.

    Attributes
    ----------
    got : bool
        Whether it was taken.
    alerts : list of Alert
        What is told when the lock has been let go: a callback may do anything.
    """

    __slots__ = ("_outer", "_wait", "alerts", "got")

    def __init__(self, wait: bool = True):
        self._wait = wait
        self.got = False
        self.alerts: list[Alert] = []

    def __enter__(self) -> Held:
        global _holder
        self.got = _lock.acquire(blocking=self._wait)
        if not self.got:
            return self
        self._outer, _holder = _holder, threading.get_ident()
        if not self._outer:
            try:
                self._work_off()
            except BaseException:  # an interrupt
                self.__exit__()
                raise
        return self

    def __exit__(self, *error: object) -> None:
        global _holder
        if not self.got:
            return
        try:
            if not self._outer:
                self._work_off()
        finally:
            _holder = self._outer
            _lock.release()
        for event, do in self.alerts:
            tell(event, do)
        if _waiting and not self._outer:
            _work_off_soon()

    def _work_off(self) -> None:
        while _waiting:
            try:
                self.alerts += _waiting.popleft()()
            except Exception as error:
                warn_once("keep the books of a budget", error)


def _alone() -> None:
    """In a forked process nobody else has the lock, and what waits is the parent's."""
    global _lock, _holder
    _lock, _holder = threading.RLock(), 0
    _waiting.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_alone)


def later(work: Callable[[], list[Alert]]) -> None:
    """Do some work under the lock: now, or by whoever has it."""
    _waiting.append(work)
    if _holder != threading.get_ident():
        _work_off_soon()


def _work_off_soon() -> None:
    while _waiting:
        with Held(wait=False) as held:
            pass
        if not held.got:
            return  # whoever has it looks again when it has let go
