"""A recording per cell: from IPython's events to what a profiled cell shows."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokprof import stack
from tokprof.profile import Profile, remember
from tokprof.recorder import Recording, clock, forget_scope, warn_once

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_TICK = 0.25  # seconds between two updates of the status line
_SHARE = 30  # times as long as a tick takes passes before the next
_PATIENCE = 1.0  # seconds a cell may run before a status line is worth its place


@dataclass(frozen=True)
class Plan:
    """How a cell is to be profiled.

    Attributes
    ----------
    name : str or None
        Variable that the profile is bound to.
    view, metric, capture : str
        As the options of the magic.
    tags : dict of str to str
    live, quiet : bool
        Whether a status line is shown while the cell runs; whether nothing at all is shown.
    """

    name: str | None = None
    view: str = "auto"
    metric: str = "tokens"
    capture: str = "none"
    tags: tuple[tuple[str, str], ...] = ()
    live: bool = True
    quiet: bool = False


class CellProfiler:
    """Begins and ends a recording with each profiled cell of a shell.

    Parameters
    ----------
    shell : InteractiveShell
    plan_of : callable
        Raw source of a cell -> its plan, or None for a cell that is not profiled.
    """

    def __init__(self, shell: InteractiveShell, plan_of: Callable[[str], Plan | None]):
        self._shell = shell
        self._plan_of = plan_of
        self._running: list[tuple[str, Plan | None, Profile | None, _Status | None]] = []

    def register(self) -> None:
        """Listen to the shell."""
        self._shell.events.register("pre_run_cell", self._pre_run_cell)
        self._shell.events.register("post_run_cell", self._post_run_cell)
        stack.cell_of = self._cell_of

    def unregister(self) -> None:
        """Stop listening; recordings under way end here."""
        for name, callback in (("pre_run_cell", self._pre_run_cell), ("post_run_cell", self._post_run_cell)):
            if callback in self._shell.events.callbacks[name]:
                self._shell.events.unregister(name, callback)
        while self._running:
            self._end(*self._running.pop())
        stack.cell_of = lambda _file: None

    def _cell_of(self, file: str) -> int | None:
        names = getattr(self._shell.compile, "_filename_map", {})
        return names.get(file)

    def _pre_run_cell(self, info: Any) -> None:
        # A cell that is not profiled must not inherit the scope of an earlier one; within a profiled cell
        # (`%%capture` and the like run cells of their own) the scope of the outer cell stays.
        if not any(profile for _, _, profile, _ in self._running):
            forget_scope()
        plan = self._plan_of(info.raw_cell)
        if plan is None:
            self._running.append((info.raw_cell, None, None, None))
            return
        # pre_run_cell comes after the shell has counted the cell, except where it is not stored in the history
        number = self._shell.execution_count - (1 if info.store_history else 0)
        recording = Recording(f"In[{number}]", "cell", plan.capture, dict(plan.tags))
        profile = Profile(recording, plan.metric)
        recording.open()
        if plan.name:
            self._shell.user_ns[plan.name] = profile
        status = _Status(profile) if plan.live and not plan.quiet and hasattr(self._shell, "kernel") else None
        if status:
            status.start()
        self._running.append((info.raw_cell, plan, profile, status))

    def _post_run_cell(self, result: Any) -> None:
        if not self._running:
            return
        raw = getattr(getattr(result, "info", None), "raw_cell", None)
        # without a result (the kernel was interrupted in an awaiting cell) it is the innermost cell that ended
        while self._running:
            entry = self._running.pop()
            self._end(*entry)
            if raw is None or entry[0] == raw:
                break

    def _end(self, _raw: str, plan: Plan | None, profile: Profile | None, status: _Status | None) -> None:
        if plan is None or profile is None:
            return
        profile._recording.close()
        if status:
            status.stop()
        remember(profile)
        if plan.quiet:
            return
        try:
            from tokprof.views.display import show

            show(profile, plan.view, plan.metric)
        except Exception as error:
            warn_once("show the profile", error)


class _Status(threading.Thread):
    """One line below a cell that runs long: tokens, money and calls so far. It goes when the cell ends."""

    def __init__(self, profile: Profile):
        super().__init__(name="tokprof-status", daemon=True)
        self._profile = profile
        self._ended = threading.Event()
        self._context = contextvars.copy_context()  # display finds the cell it belongs to by its context
        self._handle: Any = None

    def run(self) -> None:
        self._context.run(self._watch)

    def stop(self) -> None:
        self._ended.set()
        self.join(timeout=2)
        if self._handle is not None:
            self._handle.update({"text/html": ""}, raw=True)

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
        from tokprof.views.words import count, seconds, summary

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
        if self._handle is None:
            self._handle = display({"text/html": html}, raw=True, display_id=True)
        else:
            self._handle.update({"text/html": html}, raw=True)
