"""A line that says how far a recording has got, while its cell runs."""

from __future__ import annotations

import contextvars
import threading
from typing import TYPE_CHECKING, Any

from tokprof.recorder import clock, warn_once
from tokprof.views.words import count, seconds, summary

if TYPE_CHECKING:
    from tokprof.profile import Profile

_TICK = 0.25  # seconds between two updates
_SHARE = 30  # times as long as a tick takes passes before the next
_PATIENCE = 1.0  # seconds a cell may run before a status line is worth its place


class Status:
    """One line below a cell that runs long: tokens, money and calls so far. It goes when the cell ends.

    Parameters
    ----------
    profile : Profile
    """

    def __init__(self, profile: Profile):
        self._profile = profile
        self._ended = threading.Event()
        self._output: Any = None
        context = contextvars.copy_context()  # display finds the cell it belongs to by its context
        self._thread = threading.Thread(target=context.run, args=(self._watch,), name="tokprof-status", daemon=True)

    def start(self) -> None:
        """Watch until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Take the line away."""
        self._ended.set()
        self._thread.join(timeout=2)
        if self._output is not None:
            self._output.update({"text/html": ""}, raw=True)

    def _watch(self) -> None:
        shown = ""
        if self._ended.wait(_PATIENCE):
            return
        while True:
            began = clock()
            try:
                line = self._line()
                if line and line != shown:
                    self._show(line)
                    shown = line
            except Exception as error:
                warn_once("show the status line", error)
                return
            # of a profile so large that summing it up takes long, the sums come less often
            if self._ended.wait(max(_TICK, _SHARE * (clock() - began) / 1e9)):
                return

    def _line(self) -> str:
        totals = self._profile.totals
        flying = len(self._profile._recording.pending)
        if not totals.calls and not flying:
            return ""
        said = [part for part in summary(totals)[:-1] if totals.calls]
        if flying:
            said.append(f"{count(flying, 'call')} in flight")
        said.append(seconds(round(totals.seconds)))
        return " · ".join(said)

    def _show(self, line: str) -> None:
        from html import escape

        from IPython.display import display

        html = f'<div class="tokprof-status" role="status" style="opacity:.75">● tokprof&ensp;{escape(line)}</div>'
        if self._output is None:
            self._output = display({"text/html": html}, raw=True, display_id=True)
        else:
            self._output.update({"text/html": html}, raw=True)
