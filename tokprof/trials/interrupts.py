"""Ctrl+C, and the stop button of a notebook, while a long run of runs goes on."""

from __future__ import annotations

import asyncio
import functools
import signal
import threading
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokprof.trials.trial import Trial


class Interrupts:
    """Holds back an interrupt except where the user's own function runs, so that no result is lost half written.

    Parameters
    ----------
    patience : int
        Interrupts that are only counted; the next one does what it did before.

    Attributes
    ----------
    asked : int
        How often there was one.
    wake : callable
        Called at each one that is held back, from the signal handler.
    """

    def __init__(self, patience: int = 1):
        self.asked = 0
        self.patience = patience
        self.wake: Callable[[], None] = lambda: None
        self._open = False
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            before = signal.getsignal(signal.SIGINT)
            if callable(before):  # not where it is ignored, or handled by others than Python
                self._before = before
                signal.signal(signal.SIGINT, self._on)
        return self

    def __exit__(self, *error: object) -> None:
        if self._before is not None and signal.getsignal(signal.SIGINT) == self._on:
            signal.signal(signal.SIGINT, self._before)

    def letting_in(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Give the function with interrupts let through while it runs."""

        @functools.wraps(function)
        def interruptible(*args: Any, **kwargs: Any) -> Any:
            self._open = True
            try:
                return function(*args, **kwargs)
            finally:
                self._open = False

        return interruptible

    async def stopping(self, work: Coroutine[Any, Any, Trial]) -> Trial:
        """Await a trial, which an interrupt cancels; so does a cancellation, which is then the trial's ``halt``."""
        loop = asyncio.get_running_loop()
        task = loop.create_task(work)
        self.wake = lambda: loop.call_soon_threadsafe(task.cancel)  # type: ignore[assignment]
        cancelled: asyncio.CancelledError | None = None
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as error:
                cancelled = error
                task.cancel()
        if task.cancelled():  # it had not begun
            raise cancelled or asyncio.CancelledError
        trial = task.result()
        trial.halt = trial.halt or cancelled
        return trial

    def _on(self, number: int, frame: FrameType | None) -> None:
        self.asked += 1
        if self._open or self.asked > self.patience:
            self._before(number, frame)
        else:
            self.wake()
