"""Tasks remember who created them, and work given to another thread's event loop who gave it.

asyncio copies the context of a task's creator, so the scope needs nothing; but a task's stack begins with itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any

from tokprof.capture import patch
from tokprof.capture.imports import Imports
from tokprof.recorder import carry, own, warn_once
from tokprof.span import Stack
from tokprof.stack import begin_task, snapshot

_given: weakref.WeakKeyDictionary[Any, Stack] = weakref.WeakKeyDictionary()
"""Coroutines on their way to the loop of another thread, and who gave them."""


def install() -> None:
    """Hook the creation of tasks, in asyncio and uvloop, and anyio's worker threads."""
    patch.wrap(asyncio.BaseEventLoop, "create_task", _create_task_hook)
    for module in (asyncio, asyncio.tasks):
        patch.wrap(module, "run_coroutine_threadsafe", _threadsafe_hook)
    _imports.install()


def uninstall() -> None:
    """Put the originals back."""
    patch.unwrap(asyncio.BaseEventLoop, "create_task")
    for module in (asyncio, asyncio.tasks):
        patch.unwrap(module, "run_coroutine_threadsafe")
    for module_name, imported in _imports.uninstall():
        owner, name, _ = _LATER[module_name]
        patch.unwrap(getattr(imported, owner), name)


def _create_task_hook(original: Any) -> Any:
    def create_task(loop: Any, coro: Any, **kwargs: Any) -> Any:
        task = original(loop, coro, **kwargs)
        if own() is not None:
            try:
                begin_task(task, _given.pop(coro) if coro in _given else snapshot(2))
            except Exception as error:
                warn_once("note who created a task", error)
        return task

    return create_task


def _threadsafe_hook(original: Any) -> Any:
    def run_coroutine_threadsafe(coro: Any, loop: Any) -> Any:
        if own() is not None:
            with contextlib.suppress(TypeError):  # no coroutine: asyncio says so
                _given[coro] = snapshot(2)
        return original(coro, loop)

    return run_coroutine_threadsafe


def _hook(name: str, module: ModuleType) -> None:
    owner, method, hook = _LATER[name]
    patch.wrap(getattr(module, owner), method, hook)


def _worker_hook(original: Any) -> Any:
    def run_sync_in_worker_thread(backend: type, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        scope = own()
        return original(backend, func if scope is None else carry(scope, func), *args, **kwargs)

    return run_sync_in_worker_thread


_LATER: dict[str, tuple[str, str, Callable[[Any], Any]]] = {
    "uvloop": ("Loop", "create_task", _create_task_hook),
    "anyio._backends._asyncio": ("AsyncIOBackend", "run_sync_in_worker_thread", _worker_hook),
}
"""Module -> the class in it, its method, and the hook."""

_imports = Imports(_LATER, _hook, "hook into")
