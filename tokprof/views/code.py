"""The text of cells and files: what stood on a line when it ran."""

from __future__ import annotations

import linecache
import sys
import tokenize
from dataclasses import dataclass
from pathlib import Path

_MAGIC = frozenset("%!?")


@dataclass(frozen=True, slots=True)
class Code:
    """Lines of a cell or a file.

    Attributes
    ----------
    lines : list of str
        Without their ends; empty where the text is not to be had.
    note : str
        What a reader should know of them, or "".
    """

    lines: list[str]
    note: str = ""


def read(file: str, cell: int | None, ended: float | None) -> Code:
    """Read the text of a cell or a file.

    A cell's is what ran under that name: the kernel makes a new name for each edit. A file's is what the disk holds.

    Parameters
    ----------
    file : str
        As the interpreter knows it.
    cell : int or None
        Execution count, where it is a cell.
    ended : float or None
        Seconds since the Unix epoch at which the profile ended; None while it runs.
    """
    compiled = _compiled(file)
    if compiled is not None:
        return Code(compiled if cell is None else _typed(cell, compiled))
    try:
        changed = Path(file).stat().st_mtime
        with tokenize.open(file) as source:
            text = source.read().splitlines()
    except (OSError, SyntaxError, UnicodeDecodeError, ValueError):
        text = [line.rstrip("\n") for line in linecache.getlines(file)]
        return Code(text, "" if text else "the source is not to be had")
    if ended is not None and changed > ended:
        return Code(text, "the file was changed after it ran: its lines may have moved")
    return Code(text)


def _compiled(file: str) -> list[str] | None:
    """Lines that the interpreter's shell left behind when it compiled them: those have no time of change."""
    entry = linecache.cache.get(file)
    if entry is None or len(entry) != 4 or entry[1] is not None:
        return None
    return [line.rstrip("\n") for line in entry[2]]


def _typed(cell: int, compiled: list[str]) -> list[str]:
    """Lines as the user typed them, with magics; as they were compiled where that does not fit line by line."""
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    history = getattr(getattr(shell, "history_manager", None), "input_hist_raw", [])
    typed = history[cell].splitlines() if 0 < cell < len(history) else []
    while typed and not typed[0].strip():  # as IPython does
        del typed[0]
    fits = len(typed) == len(compiled) and all(
        a.strip() == b.strip() or not _MAGIC.isdisjoint(a) for a, b in zip(typed, compiled, strict=True)
    )
    return typed if fits else compiled
