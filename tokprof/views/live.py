"""A summary that stands below a cell while it runs."""

from __future__ import annotations

import contextlib
import contextvars
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from tokprof.analysis.tally import Tally
from tokprof.recorder import clock, warn_once

if TYPE_CHECKING:
    from tokprof.profile import Profile
    from tokprof.views.summary import Summary

TICK = 0.15
"""Seconds between two updates; of many more, a server drops some, that a cell has ended among them."""
QUIET = 1.0
"""Seconds between two updates in which nothing but the clock has moved."""
PATIENCE = 0.4
"""Seconds a cell may run before a summary is worth its place: in a quick one it would flicker."""
_SHARE = 20  # times as long as a tick computes passes before the next, up to `QUIET`


class Live:
    """Shows how far a recording has got, from a thread: the cell may await or compute.

    Nothing is loaded or shown before the first call has begun, so that no call has to wait for it.

    Parameters
    ----------
    profile : Profile
    """

    def __init__(self, profile: Profile):
        self._profile = profile
        self._recording = profile._recording
        self._tally = Tally(profile._recording)
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._cleared = False
        self._output: Any = None
        self._publisher: Any = None
        self.widget: Summary | None = None
        context = contextvars.copy_context()  # display finds the cell it belongs to by its context
        self._thread = threading.Thread(target=context.run, args=(self._watch,), name="tokprof-live", daemon=True)

    def start(self) -> None:
        """Watch until `stop`, or until the recording has ended."""
        self._notice_clearing()
        self._thread.start()

    def stop(self, keep: bool) -> bool:
        """End, after the recording has.

        Parameters
        ----------
        keep : bool
            Whether the summary stays, with the final figures.

        Returns
        -------
        bool
            Whether there is one that stays.
        """
        self._ended.set()
        self._thread.join(timeout=2)
        if self._publisher is not None:
            self._publisher.unregister_hook(self._on_publish)
        with self._lock:  # a thread that is still at it sends nothing any more
            if self.widget is None:
                return False
            try:
                if keep and not self._cleared:
                    from tokprof.views.summary import final_state

                    self.widget._state = final_state(self._profile)
                    return True
                self.widget.close()
                if not self._cleared:
                    self._output.update({"text/plain": ""}, raw=True)
            except Exception as error:
                warn_once("show the summary", error)
            return False

    def _notice_clearing(self) -> None:
        """A cell that clears its output takes the summary along; shown again, it would clear what came after."""
        shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
        publisher = getattr(shell, "display_pub", None)
        if publisher is not None and hasattr(publisher, "register_hook"):
            publisher.register_hook(self._on_publish)
            self._publisher = publisher

    def _on_publish(self, message: Any) -> Any:
        with contextlib.suppress(Exception):
            if message["header"]["msg_type"] == "clear_output":
                self._cleared = True
        return message

    def _captured(self) -> bool:
        """Whether what is displayed now goes to where the program collects its output."""
        shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
        return getattr(shell, "display_pub", None) is not self._publisher

    def _watch(self) -> None:
        pause, sent, shown = PATIENCE, 0, ""
        while not self._ended.wait(pause) and self._recording.is_open:
            now, began = clock(), time.thread_time()  # not by the clock: it goes on while the cell computes
            try:
                self._tally.update()
                pause = min(QUIET, max(TICK, _SHARE * (time.thread_time() - began)))
                look = self._look()
                if look != shown or now - sent >= QUIET * 1e9:
                    self._show()
                    shown, sent = look, now
            except Exception as error:
                warn_once("show the summary", error)
                return

    def _look(self) -> str:
        """What a reader would see a change of, the clock apart."""
        tally = self._tally
        return f"{tally.sums} {len(self._recording.pending)}"

    def _show(self) -> None:
        if self._cleared or not (self._tally.sums.calls or self._recording.pending):
            return
        if self.widget is None and self._captured():
            return
        from tokprof.views.display import show_summary
        from tokprof.views.summary import live_state

        state = live_state(self._tally, self._recording)
        with self._lock:
            if self._ended.is_set():
                return
            if self.widget is not None:
                self.widget._state = state
                return
            self.widget, self._output = show_summary(self._profile, state, update=True)
