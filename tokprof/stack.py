"""Who called: the user's own frames on the Python stack, at the moment of asking.

Tasks and threads begin with an empty stack. What began them is their origin: the stack at that moment, which goes on
top of what they do.
"""

from __future__ import annotations

import asyncio
import re
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
_SCRIPTS = ("bin", "Scripts")
_LAUNCHER = 2_000  # bytes; a script that an installer makes for a command is shorter, and ends so:
_LAUNCHED = re.compile(r"sys\.argv\[0\] = [^\n]+\n\s*sys\.exit\([\w.]+\(\)\)\s*\Z")
_HIDDEN = ("<frozen", "<attrs", "<__array_function__")
_LIMIT = 50_000  # call sites kept interned, so that a session of weeks cannot grow without bound
_ORIGIN = "_tokprof_origin"

_ours = str(Path(__file__).parent)
_library = tuple({path for key in ("stdlib", "platstdlib", "purelib", "platlib") if (path := sysconfig.get_path(key))})
_OURS, _LIBRARY, _USER = 1, 2, 3
_kinds: dict[str, int] = {}
_library_files: set[str] = set()
_frames: dict[tuple[str, str, int, int | None], Frame] = {}
_sites: dict[tuple[int, int], tuple[Frame, CodeType]] = {}
_stacks: dict[tuple[int, ...], tuple[Stack, list[Frame]]] = {}
_here = threading.local()
_run_handle = events.Handle._run.__code__


def no_cell(_file: str) -> int | None:
    """Where there is no notebook."""
    return None


cell_of: Callable[[str], int | None] = no_cell
"""Maps a file name to the execution count of the cell with that source; the magic sets it."""


def _cell_of_shell(file: str) -> int | None:
    shell = sys.modules["IPython"].get_ipython()
    cell: int | None = getattr(getattr(shell, "compile", None), "_filename_map", {}).get(file)
    return cell


def find_cells() -> None:
    """Ask the shell for its cells, where there is one and the extension is not loaded."""
    global cell_of
    if cell_of in (no_cell, _cell_of_shell) and "IPython" in sys.modules:
        cell_of = _cell_of_shell
        renumber()


def is_user_file(file: str) -> bool:
    """Whether code of `file` was written by the user.

    Not the standard library, an installed package, the script that an installer made to start one, or tokprof.
    """
    if file.startswith(_HIDDEN):
        return False
    if file.startswith("<"):
        return True
    if file.startswith((_ours, *_library)):
        return False
    path = Path(file)
    return not any(part in _PACKAGES for part in path.parts) and not _launches(path)


def _launches(path: Path) -> bool:
    """Whether a file is a command such as ``bin/ipython``; a script of the user's may stand beside it."""
    if path.name == "__main__.py" and path.parent.suffix.lower() == ".exe":
        return True
    if path.suffix == ".py" or path.parent.name not in _SCRIPTS:
        return False
    try:
        if path.stat().st_size > _LAUNCHER:
            return False
        text = path.read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return False
    return _LAUNCHED.search(text) is not None


def _kind_of(file: str) -> int:
    kind = _kinds[file] = _USER if is_user_file(file) else _OURS if file.startswith(_ours) else _LIBRARY
    if kind == _LIBRARY:
        _library_files.add(file)
    return kind


def _site(frame: FrameType) -> Frame:
    """Give the frame of a place in the code that has not been met since the cells were numbered."""
    code = frame.f_code
    file, line = code.co_filename, frame.f_lineno or code.co_firstlineno
    key = (file, code.co_qualname, line, cell_of(file))
    kept = _frames.get(key)
    if kept is None:
        kept = _frames[key] = Frame(code.co_qualname, file, line, key[3])
    _sites[id(code), frame.f_lasti] = kept, code  # the code is kept, so that its id stays its own
    return kept


def renumber() -> None:
    """Ask for the numbers of cells again: one is about to run."""
    _sites.clear()


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
    if task is None:
        task = current_task()
    origin: Stack | None = None if task is None else getattr(task, _ORIGIN, None)
    first = None if origin is None else getattr(task.get_coro(), "cr_frame", None)
    found: list[Frame] = []
    folded: list[int] = []
    skipped = 0
    frame: FrameType | None = sys._getframe(depth)
    library, sites = _library_files, _sites
    while frame is not None:
        code = frame.f_code
        if code.co_filename in library:
            skipped += 1
        elif (kind := _kinds.get(code.co_filename) or _kind_of(code.co_filename)) == _USER:
            site = sites.get((id(code), frame.f_lasti))
            found.append(_site(frame) if site is None else site[0])
            folded.append(skipped)
            skipped = 0
        elif kind == _LIBRARY:  # met for the first time
            skipped += 1
        elif code is _began:
            if origin is None:
                origin = getattr(_here, "origin", NO_FRAMES)
            break
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
        if len(_frames) > _LIMIT or len(_stacks) > _LIMIT or len(_sites) > _LIMIT:
            _frames.clear()
            _stacks.clear()
            _sites.clear()
        known_stack = _stacks[place] = Stack(found), found  # the frames are kept, so that their ids stay theirs
        known_stack[0].folded = tuple(folded)
    return known_stack[0]
