"""Who called: the user's own frames on the Python stack, at the moment of asking.

Tasks and threads begin with an empty stack. What began them is their origin: the stack at that moment, which goes on
top of what they do.
"""

from __future__ import annotations

import asyncio
import sys
import sysconfig
import threading
from asyncio import events
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from tokprof.span import NO_FRAMES, Frame, Stack

_PACKAGES = ("site-packages", "dist-packages")
_HIDDEN = ("<frozen", "<attrs", "<__array_function__")
_LIMIT = 50_000  # call sites kept interned, so that a session of weeks cannot grow without bound
_ORIGIN = "_tokprof_origin"

_ours = str(Path(__file__).parent)
_library = tuple({path for key in ("stdlib", "platstdlib", "purelib", "platlib") if (path := sysconfig.get_path(key))})
_OURS, _LIBRARY, _USER = 0, 1, 2
_kinds: dict[str, int] = {}
_frames: dict[tuple[str, str, int, int | None], Frame] = {}
_stacks: dict[tuple[int, ...], tuple[Stack, list[Frame]]] = {}
_here = threading.local()
_run_handle = events.Handle._run.__code__

cell_of: Callable[[str], int | None] = lambda _file: None  # noqa: E731
"""Maps a file name to the execution count of the cell with that source; the magic sets it."""


def is_user_file(file: str) -> bool:
    """Whether code of `file` was written by the user: not the standard library, no installed package, not tokprof."""
    if file.startswith(_HIDDEN):
        return False
    if file.startswith("<"):
        return True
    if file.startswith((_ours, *_library)):
        return False
    return not any(part in _PACKAGES for part in Path(file).parts)


class Began:
    """Runs a function that was begun elsewhere, with the stack of that place as its origin.

    Parameters
    ----------
    function : callable
    origin : Stack, optional
        Where it was begun; here and now, if not given.
    """

    __slots__ = ("__wrapped__", "_origin")

    def __init__(self, function: Callable[..., Any], origin: Stack | None = None):
        self.__wrapped__ = function
        self._origin = snapshot(2) if origin is None else origin

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function."""
        before = getattr(_here, "origin", NO_FRAMES)
        _here.origin = self._origin
        try:
            return self.__wrapped__(*args, **kwargs)
        finally:
            _here.origin = before


_began: CodeType = Began.__call__.__code__


def current_task() -> asyncio.Task[Any] | None:
    """Give the task that is running in this thread, if one is."""
    return None if asyncio._get_running_loop() is None else asyncio.current_task()


def begin_task(task: Any, origin: Stack) -> None:
    """Note where a task was created."""
    if origin:
        setattr(task, _ORIGIN, origin)


def snapshot(depth: int = 1, task: Any = None) -> Stack:
    """User frames of the calling thread, outermost first, below those of what began its task or thread.

    Parameters
    ----------
    depth : int
        How many callers to leave out before the walk begins; a frame of tokprof is never kept anyway.
    task : asyncio.Task, optional
        The one that is running, where the caller knows it already.

    Returns
    -------
    Stack
        Interned: equal stacks are one object.
    """
    if len(_frames) > _LIMIT or len(_stacks) > _LIMIT:
        _frames.clear()
        _stacks.clear()
    if task is None:
        task = current_task()
    origin: Stack | None = getattr(task, _ORIGIN, None)
    first = getattr(task.get_coro(), "cr_frame", None) if task is not None and origin is not None else None
    found: list[Frame] = []
    folded: list[int] = []
    skipped = 0
    frame: FrameType | None = sys._getframe(depth)
    resolve, kinds, frames = cell_of, _kinds, _frames
    while frame is not None:
        code = frame.f_code
        file = code.co_filename
        kind = kinds.get(file)
        if kind is None:
            kind = kinds[file] = _USER if is_user_file(file) else _OURS if file.startswith(_ours) else _LIBRARY
        if kind == _USER:
            line = frame.f_lineno or code.co_firstlineno
            key = (file, code.co_qualname, line, resolve(file))
            kept = frames.get(key)
            if kept is None:
                kept = frames[key] = Frame(code.co_qualname, file, line, key[3])
            found.append(kept)
            folded.append(skipped)
            skipped = 0
        elif code is _began:
            if origin is None:
                origin = getattr(_here, "origin", NO_FRAMES)
            break
        else:
            skipped += kind
        if origin is not None and (frame is first or code is _run_handle):
            break
        frame = frame.f_back
    else:
        origin = None
    found.reverse()
    folded.reverse()
    if origin:
        found[:0], folded[:0] = origin, (*origin.folded[:-1], origin.folded[-1] + skipped)
    place = (*map(id, found), *folded)
    known_stack = _stacks.get(place)
    if known_stack is None:
        known_stack = _stacks[place] = Stack(found), found  # the frames are kept, so that their ids stay theirs
        known_stack[0].folded = tuple(folded)
    return known_stack[0]
