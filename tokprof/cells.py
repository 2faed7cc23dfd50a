"""A recording per cell: from IPython's events to what a profiled cell shows."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokprof import stack
from tokprof.allowance.guard import Guard
from tokprof.allowance.terms import Terms
from tokprof.cache import CacheTerms
from tokprof.profile import Profile, remember
from tokprof.recorder import Recording, forget_scope, own, warn_once
from tokprof.views.live import Live

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


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
    request_usage : bool
        Whether chat streams are asked for their usage.
    budget : Terms or None
        What the cell may spend.
    cache : CacheTerms or None
        How requests are answered from a cache.
    live, quiet : bool
        Whether a summary is shown while the cell runs; whether nothing at all is shown.
    asked : bool
        Whether this very cell has the magic; of the others (``%tokprof on``) only those with calls show a profile.
    """

    name: str | None = None
    view: str = "auto"
    metric: str = "tokens"
    capture: str = "none"
    tags: tuple[tuple[str, str], ...] = ()
    request_usage: bool = False
    budget: Terms | None = None
    cache: CacheTerms | None = None
    live: bool = True
    quiet: bool = False
    asked: bool = True

    def recording(self, name: str, kind: str) -> Recording:
        """Make the recording that the plan asks for."""
        recording = Recording(name, kind, self.capture, dict(self.tags), self.request_usage)
        if self.budget is not None:
            recording.guard = Guard(self.budget)
        if self.cache is not None:
            try:
                recording.cache = self.cache.opened()
            except (ValueError, OSError) as error:  # the cell runs anyway, and is to keep its budget
                warnings.warn(f"tokprof: this cell runs without a replay cache: {error}", RuntimeWarning, stacklevel=2)
        return recording


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
        self._running: list[tuple[Any, Plan, Profile, Live | None]] = []

    def register(self) -> None:
        """Listen to the shell."""
        self._shell.events.register("pre_run_cell", self._pre_run_cell)
        self._shell.events.register("post_run_cell", self._post_run_cell)
        stack.cell_of = self._cell_of
        stack.renumber()

    def unregister(self) -> None:
        """Stop listening; recordings under way end here."""
        for name, callback in (("pre_run_cell", self._pre_run_cell), ("post_run_cell", self._post_run_cell)):
            if callback in self._shell.events.callbacks[name]:
                self._shell.events.unregister(name, callback)
        while self._running:
            self._end(*self._running.pop()[1:])
        stack.cell_of = stack.no_cell
        stack.renumber()

    def _cell_of(self, file: str) -> int | None:
        names = getattr(self._shell.compile, "_filename_map", {})
        return names.get(file)

    def _pre_run_cell(self, info: Any) -> None:
        stack.renumber()
        # A cell must not inherit the scope of an earlier one; within a profiled cell (`%%capture` and the like run
        # cells of their own) the scope of the outer cell stays.
        around = own()
        inside = around is not None and around[0].is_open
        if not inside:
            forget_scope()
        plan = self._plan_of(info.raw_cell)
        if plan is None or (inside and self._is_body(info.raw_cell)):
            return
        # pre_run_cell comes after the shell has counted the cell, except where it is not stored in the history
        number = self._shell.execution_count - (1 if info.store_history else 0)
        recording = plan.recording(f"In[{number}]", "cell")
        profile = Profile(recording, plan.metric)
        if recording.guard is not None:
            recording.guard.profile = profile
        recording.open()
        if plan.name:
            self._shell.user_ns[plan.name] = profile
        live = Live(profile) if plan.live and not plan.quiet and hasattr(self._shell, "kernel") else None
        if live:
            live.start()
        self._running.append((info, plan, profile, live))

    def _is_body(self, raw_cell: str) -> bool:
        """Whether a cell is the rest of one that is being profiled, below another magic's line."""
        return any(info.raw_cell.rstrip().endswith(raw_cell.rstrip()) for info, *_ in self._running)

    def _post_run_cell(self, result: Any) -> None:
        info = getattr(result, "info", None)
        # without a result (the kernel was interrupted in an awaiting cell) it is the innermost cell that ended
        ended = next((at for at, entry in enumerate(self._running) if entry[0] is info), None)
        if ended is None and info is None and self._running:
            ended = len(self._running) - 1
        if ended is not None:
            error = getattr(result, "error_in_exec", None) or getattr(result, "error_before_exec", None)
            self._end(*self._running.pop(ended)[1:], error)

    def _end(self, plan: Plan, profile: Profile, live: Live | None, error: BaseException | None = None) -> None:
        profile._recording.close(error)
        remember(profile)
        stays = live is not None and live.stop(plan.view not in ("text", "none") and bool(profile.totals.calls))
        if not plan.quiet and (plan.asked or profile.totals.calls):
            show_safely(profile, plan.view, plan.metric, stays)


def show_safely(profile: Profile, view: str, metric: str, summed_up: bool = False) -> None:
    """Show a profile, below its summary if that is there; where it fails, warn: the cell has done its work."""
    try:
        from tokprof.views.display import show

        show(profile, view, metric, summed_up)
    except Exception as error:
        warn_once("show the profile", error)
