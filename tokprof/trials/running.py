"""The runs of an experiment: one after the other, in threads, or as tasks; what is done is kept, whatever happens."""

from __future__ import annotations

import asyncio
import contextvars
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tokprof.analysis.experiments import figures, spending
from tokprof.analysis.tally import Tally
from tokprof.profile import profile
from tokprof.recorder import wall_clock
from tokprof.trials.interrupts import Interrupts
from tokprof.trials.trial import Scorer, Trial, is_budget, limit, run, run_async
from tokprof.views.experiments import RESERVED, Experiment, Planned
from tokprof.views.progress import Look
from tokprof.views.words import clean

if TYPE_CHECKING:
    from tokprof.allowance.terms import Terms
    from tokprof.budget import Budget
    from tokprof.export.runs import RunFile
    from tokprof.profile import Profile

_TURN = 0.5  # seconds between two looks for an interrupt, where a wait cannot be interrupted
_ENDS = ("_low", "_high", "_runs")  # of columns of the summary, behind the name of a score
_BILLED = ("tokens", "input_tokens", "output_tokens", "cost", "calls")


@dataclass
class Session:
    """One go at the runs of an experiment that are left.

    Attributes
    ----------
    result : Experiment
    fn : callable
    scorer : Scorer
    todo : deque of Planned
    parallel : int
    file : RunFile or None
    total, each : Terms or None
        What all runs, and each of them, may spend.
    capture : str
    keep : bool
        Whether profiles and what the function returned are kept.
    seeded : bool
        Whether the function takes a seed.
    halt : BaseException or None
        What is to be raised when all is kept.
    """

    result: Experiment
    fn: Callable[..., Any]
    scorer: Scorer
    todo: deque[Planned]
    parallel: int = 1
    file: RunFile | None = None
    total: Terms | None = None
    each: Terms | None = None
    capture: str = "none"
    keep: bool = True
    seeded: bool = False
    interrupts: Interrupts = field(default_factory=Interrupts)
    halt: BaseException | None = None
    fresh: int = 0

    def __post_init__(self) -> None:
        self._flying: dict[int, Planned] = {}
        self._budget: Budget | None = None
        self._tally: Tally | None = None
        self._over = False
        self._started = spending(self.result._rows.values())
        self._bounds = _bounds(self.result._rows.values())
        if self.keep or self.total is not None:
            self._whole: Profile | None = profile(self.result.title, live=False, capture=self.capture)
        else:
            self._whole = None

    # the three ways

    def serial(self) -> None:
        """Run one after the other, here."""
        with self._begin():
            self._open_to(self.interrupts)
            while (plan := self._next()) is not None:
                self._take(plan, contextvars.copy_context().run(self._run, plan))

    def threaded(self) -> None:
        """Run several at once, in threads."""
        ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.interrupts.wake = lambda: ended.put(None)
        self.interrupts.patience = 2
        with self._begin():
            context, turn = contextvars.copy_context(), threading.Lock()

            def work() -> None:
                try:
                    while True:
                        with turn:
                            plan = self._next()
                        if plan is None:
                            return
                        ended.put((plan, context.copy().run(self._run, plan)))
                except BaseException as error:
                    ended.put(error)
                finally:
                    ended.put(threading.current_thread())

            workers = [
                threading.Thread(target=work, name=f"tokprof-run-{at}", daemon=True)
                for at in range(min(self.parallel, len(self.todo)))
            ]
            for worker in workers:
                worker.start()
            left = set(workers)
            while left and self.interrupts.asked < 2:
                try:
                    got = ended.get(timeout=_TURN)
                except queue.Empty:
                    continue
                except KeyboardInterrupt:
                    self.interrupts.asked += 1
                    continue
                if isinstance(got, threading.Thread):
                    left.discard(got)
                elif isinstance(got, BaseException):
                    self._over, self.halt = True, self.halt or got
                elif got is not None:
                    self._take(*got)
            self._leave()

    async def tasks(self) -> None:
        """Run as tasks of the running loop, several at once or one."""
        loop = asyncio.get_running_loop()
        running: dict[asyncio.Task[Trial], Planned] = {}

        def cancel() -> None:
            for task in running:
                task.cancel()

        self.interrupts.wake = lambda: loop.call_soon_threadsafe(cancel)  # type: ignore[assignment]
        with self._begin():
            while True:
                while len(running) < self.parallel and (plan := self._next()) is not None:
                    running[asyncio.create_task(self._run_async(plan))] = plan
                if not running:
                    return
                try:
                    done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                except asyncio.CancelledError as error:
                    self._over, self.halt = True, error
                    cancel()
                    done, _ = await asyncio.wait(running)
                for task in done:
                    plan = running.pop(task)
                    self._flying.pop(plan.number, None)
                    if not task.cancelled():  # else it had not begun
                        self._take(plan, self._of_its_own(task.result()))

    # one run

    def _run(self, plan: Planned) -> Trial:
        return run(self.fn, self._params(plan), self.scorer, **self._options(plan))

    async def _run_async(self, plan: Planned) -> Trial:
        return await run_async(self.fn, self._params(plan), self.scorer, **self._options(plan))

    def _params(self, plan: Planned) -> dict[str, Any]:
        return {**plan.point.params, **({"seed": plan.seed} if self.seeded else {})}

    def _options(self, plan: Planned) -> dict[str, Any]:
        what = plan.point.words(self.result._varying())
        tags = {name: str(value) for name, value in plan.point.shown.items()}
        name = f"run {plan.number}: {what}" if what else f"run {plan.number}"
        return {"name": name[:120], "budget": self.each, "capture": self.capture, "tags": tags}

    def _of_its_own(self, trial: Trial) -> Trial:
        """A run that was cancelled, but not by whoever stops the experiment, has failed."""
        if isinstance(trial.halt, asyncio.CancelledError) and self.halt is None and not self.interrupts.asked:
            trial.status, trial.halt = "error", None
        return trial

    # the books

    def _begin(self) -> Any:
        """What all runs run in: the profile of the whole, with the budget."""
        if self._whole is None:
            import contextlib

            return contextlib.nullcontext()
        if self.total is not None:
            agreed = self._left(self.total)
            if agreed is None:
                self._over = True
            else:
                self._budget = limit(self._whole, agreed)
        if self.keep:
            self.result._whole = self._whole
        self._tally = Tally(self._whole._recording)
        return self._whole

    def _left(self, agreed: Terms) -> Terms | None:
        """The budget without what earlier runs have spent; None where nothing is left."""
        from dataclasses import replace

        before = [*self.result._before, *self.result._rows.values()]
        spent = {what: sum(_spent(row, what) for row in before) for what in _BILLED}
        left = tuple((what, number - spent.get(what, 0)) for what, number in agreed.limits)
        for what, number in left:
            if number <= 0:
                self._stopped(what)
                return None
        return replace(agreed, limits=left)

    def _next(self) -> Planned | None:
        """The next run to make; None when there is none, or it is time to stop."""
        if self.interrupts.asked:
            self._over = self.result.interrupted = True
        elif self.todo and self._budget is not None and self._budget._terms.on_exceed == "raise" and not self._over:
            left = self._budget.left
            out = [what for what in self._budget.limits if (getattr(left, what) or 0) <= 0]
            if out or self._budget.exceeded:
                self._over = True
                self._stopped(*(out[:1] or list(self._budget.limits)[:1]))
        if self._over or not self.todo:
            return None
        plan = self.todo.popleft()
        self._flying[plan.number] = plan
        return plan

    def _take(self, plan: Planned, trial: Trial) -> None:
        """Keep a run, in memory and in the file; hear what stops the others."""
        self._flying.pop(plan.number, None)
        if self.interrupts.asked and trial.status == "ok" and trial.halt is None:
            self.result.interrupted = True
        halt = trial.halt
        if halt is not None:
            self._over = True
            if is_budget(halt) and self._budget is not None and getattr(halt, "profile", None) is self._whole:
                self._stopped(getattr(halt, "kind", ""))
            elif isinstance(halt, KeyboardInterrupt) or self.interrupts.asked:
                self.result.interrupted = True
            else:
                self.halt = self.halt or halt
                self.result.stopped = _around(halt) or self.result.stopped
        row = self._row(plan, trial)
        self._keep(plan, row)
        if trial.exception is not None:
            self.result._errors[plan.number] = trial.exception if self.keep else trial.exception.with_traceback(None)
        if self.keep:
            self.result._trials[plan.number] = trial

    def _row(self, plan: Planned, trial: Trial) -> dict[str, Any]:
        named = {clean(name, 60): value for name, value in trial.scores.items()}
        taken = {*RESERVED, *self.result.params, *(f"{name}{end}" for name in named for end in _ENDS)}
        taken |= {name for name in named if any(f"{name}{end}" in self.result.params for end in _ENDS)}
        scores = {(f"score_{name}" if name in taken else name): value for name, value in named.items()}
        judged = figures(trial.scoring.table) if trial.scoring is not None else {}
        started = trial.profile.table.spans[0].start if len(trial.profile.table) else wall_clock()
        return {
            "status": trial.status,
            "halted": trial.halt is not None,
            "scores": scores,
            **figures(trial.profile.table),
            "scoring_tokens": judged.get("total_tokens", 0),
            "scoring_cost": judged.get("cost", 0.0),
            "error": trial.error,
            "note": clean("; ".join(trial.notes), 200) or None,
            "seed": plan.seed,
            "started": started / 1e9,
        }

    def _keep(self, plan: Planned, row: dict[str, Any]) -> None:
        self.result._rows[plan.number] = row
        self.fresh += 1
        if self.file is not None:
            self.file.append({"params": plan.point.saved, "repeat": plan.repeat, **row})

    def _leave(self) -> None:
        """Give up what is still under way in threads: its rows say so."""
        for plan in list(self._flying.values()):
            self.result.interrupted = True
            row = {"status": "interrupted", "halted": True, "scores": {}, "error": "KeyboardInterrupt"}
            self._keep(plan, {**row, "note": "left under way", "seed": plan.seed, "started": time.time()})

    def _stopped(self, kind: str = "") -> None:
        from tokprof.allowance.exceeded import budget_of

        limits = dict(self.total.limits) if self.total is not None else {}
        if kind in limits:
            self.result.stopped = budget_of(kind, limits[kind], None, None)

    def _open_to(self, interrupts: Interrupts) -> None:
        self.fn = interrupts.letting_in(self.fn)
        if self.scorer.function is not None:
            self.scorer.function = interrupts.letting_in(self.scorer.function)

    # what is seen of it

    def look(self) -> Look:
        """Where it stands, for the progress."""
        rows = list(self.result._rows.values())
        failed = sum(row["status"] != "ok" for row in rows)
        bound, cost_bound = self._bounds
        if self._tally is not None:
            self._tally.update()
            sums = self._tally.sums
            tokens, cost = self._started["tokens"] + sums.tokens, self._started["cost"] + sums.cost
            bound = bound or ("≥" if sums.unknown else "~" if sums.estimated else "")
            cost_bound = cost_bound or ("≥" if sums.unpriced else "")
        else:
            spent = spending(rows)
            tokens, cost = spent["tokens"], spent["cost"]
            bound, cost_bound = _bounds(rows)
        note = ""
        if self.interrupts.asked and self._flying and self.parallel > 1:
            note = f"waiting for {len(self._flying)} under way; interrupt again to leave them"
        known = cost or not cost_bound
        return Look(
            len(rows),
            failed,
            len(self.result._planned),
            self.fresh,
            tokens,
            cost if known else None,
            bound,
            cost_bound,
            note,
        )


def _around(halt: BaseException) -> str | None:
    """The budget of the user's own that stopped a run, in words."""
    from tokprof.allowance.exceeded import BudgetExceeded, budget_of

    return budget_of(halt.kind, halt.limit, halt.budget, halt.account) if isinstance(halt, BudgetExceeded) else None


def _bounds(rows: Iterable[dict[str, Any]]) -> tuple[str, str]:
    each = list(rows)
    lacks = any((row.get("cost_coverage") or 0.0) < 1 for row in each if row.get("calls"))
    return "≥" if any(row.get("unknown_calls") for row in each) else "", "≥" if lacks else ""


def _spent(row: Any, what: str) -> float:
    """What a run has spent of a budget, its score included."""
    name = "total_tokens" if what == "tokens" else what
    judged = {"tokens": "scoring_tokens", "cost": "scoring_cost"}.get(what)
    found = (row.get(name) or 0) + ((row.get(judged) or 0) if judged else 0)
    return found if math.isfinite(found) else 0
