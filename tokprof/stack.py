"""Who called: the user's own frames on the Python stack, at the moment of asking."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from tokprof.span import Frame

_PACKAGES = ("site-packages", "dist-packages")
_HIDDEN = ("<frozen", "<attrs", "<__array_function__")
_LIMIT = 50_000  # call sites kept interned, so that a session of weeks cannot grow without bound

_ours = str(Path(__file__).parent)
_library = tuple({path for key in ("stdlib", "platstdlib", "purelib", "platlib") if (path := sysconfig.get_path(key))})
_is_user: dict[str, bool] = {}
_frames: dict[tuple[str, str, int, int | None], Frame] = {}
_stacks: dict[tuple[Frame, ...], tuple[Frame, ...]] = {}

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


def snapshot(depth: int = 1) -> tuple[Frame, ...]:
    """User frames of the calling thread, outermost first.

    Parameters
    ----------
    depth : int
        How many callers to leave out before the walk begins; a frame of tokprof is never kept anyway.

    Returns
    -------
    tuple of Frame
        Interned: equal stacks are one object.
    """
    if len(_frames) > _LIMIT or len(_stacks) > _LIMIT:
        _frames.clear()
        _stacks.clear()
    found: list[Frame] = []
    frame: FrameType | None = sys._getframe(depth)
    resolve, known, frames = cell_of, _is_user, _frames
    while frame is not None:
        code = frame.f_code
        file = code.co_filename
        user = known.get(file)
        if user is None:
            user = known[file] = is_user_file(file)
        if user:
            line = frame.f_lineno or code.co_firstlineno
            key = (file, code.co_qualname, line, resolve(file))
            kept = frames.get(key)
            if kept is None:
                kept = frames[key] = Frame(code.co_qualname, file, line, key[3])
            found.append(kept)
        frame = frame.f_back
    found.reverse()
    stack = tuple(found)
    return _stacks.setdefault(stack, stack)
