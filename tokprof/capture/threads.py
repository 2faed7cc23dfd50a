"""Threads work for whoever started them: a scope goes along with a thread and with work given to a thread pool.

Tasks need nothing: asyncio copies the context of their creator.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tokprof.capture import patch
from tokprof.recorder import carry, own


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
        if scope is not None and not isinstance(thread.run, carry):
            thread.run = carry(scope, thread.run)  # type: ignore[method-assign]
        return original(thread)

    return start


def _submit_hook(original: Any) -> Any:
    # A worker outlives the work that it was started for: work without a scope must not find that of its worker.
    def submit(pool: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return original(pool, carry(own(), fn), *args, **kwargs)

    return submit
