"""How far a long run of runs has got: a line in the terminal, a bar in the notebook."""

from __future__ import annotations

import contextvars
import shutil
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

from tokprof.recorder import clock, warn_once
from tokprof.views.markup import unmathed
from tokprof.views.words import bounded, clean, seconds, spent, usd

TICK = 0.25
"""Seconds between two updates."""
QUIET = 1.0
"""Seconds between two updates in which nothing but the clock has moved."""
_BLOCKS = 20


@dataclass(frozen=True, slots=True)
class Look:
    """Where it stands.

    Attributes
    ----------
    done, failed, total : int
        Runs; those that failed are done, too.
    fresh : int
        Those of `done` that were made since it began: what the time left is told from.
    tokens : float
    cost : float or None
        USD; None where no cost is known.
    bound, cost_bound : str
        ``≥`` where a sum lacks something, ``~`` where it is estimated.
    note : str
        What else there is to say.
    """

    done: int = 0
    failed: int = 0
    total: int = 0
    fresh: int = 0
    tokens: float = 0.0
    cost: float | None = None
    bound: str = ""
    cost_bound: str = ""
    note: str = ""


class Progress:
    """Shows how far something has got, from a thread, until it is left.

    Parameters
    ----------
    title : str
    look : callable
        Gives where it stands; called in a thread of its own.
    shown : bool
        Whether anything is shown at all.
    """

    def __init__(self, title: str, look: Callable[[], Look], shown: bool = True):
        self._title, self._look = clean(title, 60), look
        self._began = clock()
        self._ended = threading.Event()
        self._handle: Any = None
        self._wide = 0
        self.kind = _kind() if shown else ""
        context = contextvars.copy_context()  # display finds the cell it belongs to by its context
        self._thread = threading.Thread(target=context.run, args=(self._watch,), name="tokprof-progress", daemon=True)

    def __enter__(self) -> Progress:
        self._began = clock()
        if self.kind:
            self._put()
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=2)

    def end(self, sentence: str) -> Any:
        """Leave one line in place of the bar; gives the handle of the output it stands in, if any."""
        try:
            if self.kind == "terminal":
                self._line(sentence)
                sys.stderr.write("\n")
            elif self.kind == "notebook" and self._handle is not None:
                self._handle.update({"text/plain": sentence, "text/html": _said(sentence)}, raw=True)
        except Exception as error:
            warn_once("show the progress", error)
        return self._handle

    def _watch(self) -> None:
        shown, at = None, clock()
        while not self._ended.wait(TICK):
            try:
                now, look = clock(), self._look()
                if look != shown or now - at >= QUIET * 1e9 or now < at:
                    self._put(look)
                    shown, at = look, now
            except Exception as error:
                warn_once("show the progress", error)
                return

    def _put(self, look: Look | None = None) -> None:
        look = look or self._look()
        taken = max(0.0, (clock() - self._began) / 1e9)
        if self.kind == "terminal":
            self._line(line(self._title, look, taken))
            return
        from IPython.display import display

        bundle = {"text/plain": " · ".join(parts(look, taken)), "text/html": bar(self._title, look, taken)}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)

    def _line(self, text: str) -> None:
        room = shutil.get_terminal_size().columns - 1
        text = text[:room]
        sys.stderr.write(f"\r{text:<{min(self._wide, room)}}")
        sys.stderr.flush()
        self._wide = len(text)


def parts(look: Look, taken: float) -> list[str]:
    """``12 of 30 runs``, what failed, what was spent, and the time left."""
    said = [f"{look.done:,} of {look.total:,} runs"]
    if look.failed:
        said.append(f"{look.failed:,} failed")
    said.append(spent(look.tokens, 0, look.bound))
    if look.cost is not None:
        said.append(bounded(usd(look.cost), look.cost_bound, " "))
    if look.fresh and look.done < look.total:
        left = max(1, round(taken / look.fresh * (look.total - look.done)))
        said.append(f"about {f'{left} s' if left < 60 else seconds(left)} left")
    else:
        said.append(seconds(taken))
    if look.note:
        said.append(look.note)
    return said


def line(title: str, look: Look, taken: float) -> str:
    """One line with a bar of blocks."""
    full = round(_BLOCKS * look.done / look.total) if look.total else _BLOCKS
    return f"{title} {'█' * full}{'░' * (_BLOCKS - full)} {' · '.join(parts(look, taken))}"


def bar(title: str, look: Look, taken: float) -> str:
    """HTML without script, in the colours of the notebook."""
    share = look.done / look.total if look.total else 1.0
    failed = look.failed / look.total if look.total else 0.0
    whole = "display:inline-block;width:220px;max-width:40%;height:8px;border-radius:4px;overflow:hidden;"
    track = "background:color-mix(in srgb, currentColor 15%, transparent);vertical-align:middle;margin:0 8px"
    piece = "display:block;float:left;height:100%;width:{:.2%};background:{}"
    done = piece.format(max(0.0, share - failed), "var(--jp-brand-color1, #2f86c0)")
    lost = piece.format(failed, "#d55e00")
    shown = (
        f"<b>{escape(title)}</b>"
        f'<span role="progressbar" aria-label="{escape(title, quote=True)}" aria-valuemin="0" '
        f'aria-valuemax="{look.total}" aria-valuenow="{look.done}" style="{whole}{track}">'
        f'<span style="{done}"></span><span style="{lost}"></span></span>'
        f"{escape(' · '.join(parts(look, taken)))}"
    )
    return unmathed(shown, "tokprof-progress", "line-height:1.6;font-variant-numeric:tabular-nums")


def _said(sentence: str) -> str:
    return unmathed(escape(sentence), "tokprof-progress")


def _kind() -> str:
    """Where it is shown: ``notebook``, ``terminal``, or nowhere, as in a log."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if hasattr(shell, "kernel"):
        return "notebook"
    stream = sys.stderr
    return "terminal" if stream is not None and hasattr(stream, "isatty") and stream.isatty() else ""
