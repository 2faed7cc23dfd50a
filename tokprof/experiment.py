"""``tokprof.experiment``: a function over a grid of parameters, each run profiled and scored."""

from __future__ import annotations

import hashlib
import inspect
import random
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

from tokprof.recorder import clock, own
from tokprof.span import CAPTURES
from tokprof.trials.allowances import agreed
from tokprof.trials.grids import Grid, check_call, key_of, points, takes_seed
from tokprof.trials.pending import awaited
from tokprof.trials.trial import Scorer, is_async, name_of
from tokprof.views.words import count

if TYPE_CHECKING:
    from tokprof.export.runs import RunFile
    from tokprof.trials.allowances import Allowance
    from tokprof.trials.running import Session
    from tokprof.views.experiments import Experiment, Planned
    from tokprof.views.progress import Progress

MAX_RUNS = 1_000
"""Runs beyond which a grid is taken for a slip of the pen."""

_last: list[Experiment] = []


def experiment(
    fn: Callable[..., Any],
    grid: Grid = None,
    *,
    repeats: int = 3,
    score: Callable[..., Any] | None = None,
    budget: Allowance = None,
    run_budget: Allowance = None,
    parallel: int = 1,
    seed: int | None = 0,
    path: str | Path | None = None,
    retry_failed: bool = False,
    max_runs: int = MAX_RUNS,
    capture: str | None = None,
    keep_profiles: bool = True,
    progress: bool = True,
    name: str | None = None,
) -> Any:
    """Run a function over a grid of parameters, each run under a profile of its own, and score what it returns.

    Parameters
    ----------
    fn : callable
        Called with the parameters of a point as keyword arguments. What it returns is scored; what it raises makes the
        run a failed one. Of an async function, this gives something to ``await`` where an event loop runs (as in every
        notebook), and the result where none does.
    grid : mapping or list of mappings
        ``{"model": ["a", "b"], "k": [1, 3]}``, for all combinations, or a list of the combinations. Values are
        anything: texts, numbers, functions, objects; a dict instead of the list gives them labels:
        ``{"prompt": {"short": "...", "long": "..."}}``.
    repeats : int
        Runs of each point. Below two there are no intervals.
    score : callable, optional
        ``score(result)`` or ``score(result, params)``: a number, or a dict of numbers by name; more is better. What it
        spends itself is told apart, in ``scoring_tokens`` and ``scoring_cost``. What it raises, and NaN, leaves the
        run without a score and is noted in its row.
    budget : int, mapping or Budget, optional
        Of the whole experiment, scores included: tokens, or the options of `tokprof.budget` (``dict(cost=2.0)``), or
        one that it made. When it is spent the runs that are done are kept, those under way end at their next call, as
        ``stopped``, and the others are not made.
    run_budget : int, mapping or Budget, optional
        Of each run alone. A run that exceeds it is ``stopped``; the others go on.
    parallel : int
        Runs at once: in threads, or as tasks of the event loop where `fn` is async.
    seed : int or None
        Of the order of the runs. Each repeat runs all points once, in an order of its own, so that a provider that
        slows down, or a cache that warms up, is not mistaken for an effect of a parameter. None keeps the order of the
        grid. A function with a parameter ``seed`` is given one of its own for each repeat, the same for all points;
        nothing else is seeded.
    path : str or Path, optional
        Where each run is written as soon as it has ended, a line of JSON with its parameters, figures and scores. The
        same call with the same path goes on from there: what is done is not run again. What was interrupted or stopped
        by the budget of the whole is. Parameters that are text stand there in full; of other values the label.
    retry_failed : bool
        Whether runs that failed are made again, too.
    max_runs : int
        A larger grid is refused.
    capture : {"none", "preview", "full"}, optional
        As in `tokprof.profile`; by default as the profile around has it.
    keep_profiles : bool
        Whether the profile of each run, and what the function returned, are kept in memory.
    progress : bool
        Whether a line tells how far it is, in a notebook or terminal.
    name : str, optional
        Of the experiment; by default that of the function.

    Returns
    -------
    Experiment
        ``.df`` has one row a run, ``.summary()`` the means with their intervals, ``.pareto()`` the points that none
        beats, ``.best(target=0.9)`` the cheapest one that is good enough; ``.chart()`` and ``.heatmap("model", "k")``
        draw, ``.profile(run)`` is the profile of a run, ``.profile()`` that of the whole.

    Raises
    ------
    TypeError, ValueError
        Before anything is run: for a grid that is none, has more runs than `max_runs`, or names what `fn` does not
        take; for options that do not fit; for a file of another experiment.

    Notes
    -----
    An interrupt (Ctrl+C, the notebook's stop button) ends the run under way and gives the result so far, with
    ``interrupted`` set: it is not raised, or the result would be lost. With ``parallel`` threads the first one waits
    for the runs under way and the second one leaves them. Whatever else ends it early (a budget around it, a cancelled
    task) is raised, and `tokprof.last_experiment` has what was done.

    Within ``%%tokprof`` and ``tokprof.profile()`` the whole experiment is part of that profile. Every span has the
    parameters as tags: ``result.profile().by("tag:model")``.

    Examples
    --------
    >>> result = tokprof.experiment(
    ...     answer, grid={"model": ["gpt-4o-mini", "gpt-4o"], "k": [1, 3, 5]}, score=is_right, budget=dict(cost=1.0)
    ... )
    >>> result.best(target=0.9)
    """
    from tokprof.trials.running import Session
    from tokprof.views.experiments import RESERVED, Experiment

    if not callable(fn):
        raise TypeError(f"fn must be a function, not {type(fn).__name__}")
    for kind in (inspect.isgeneratorfunction, inspect.isasyncgenfunction):
        if kind(fn):
            raise TypeError("fn must return its result; this one is a generator")
    for what, number in (("repeats", repeats), ("parallel", parallel), ("max_runs", max_runs)):
        if isinstance(number, bool) or not isinstance(number, int):
            raise TypeError(f"{what} must be a whole number, not {number!r}")
        if number < 1:
            raise ValueError(f"{what} must be 1 or more, not {number}")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise TypeError(f"seed must be a whole number or None, not {seed!r}")
    if capture is not None and capture not in CAPTURES:
        raise ValueError(f"{capture!r} is no way to capture; known: {', '.join(CAPTURES)}")
    scorer = Scorer(score)
    if scorer.is_async and not is_async(fn):
        raise TypeError("an async score needs an async fn: define fn with `async def`, or score without")
    found = points(grid, repeats, max_runs)
    names = list(dict.fromkeys(name for point in found for name in point.params))
    if taken := [name for name in names if name in RESERVED]:
        raise ValueError(
            f"a parameter cannot be called {taken[0]!r}: the table of runs has such a column; call it otherwise in fn"
        )
    seeded = seed is not None and takes_seed(fn) and "seed" not in names
    check_call(fn, found, seeded)
    planned = _plan(found, repeats, seed)
    result = Experiment(str(name or name_of(fn)), found, planned, repeats, None if path is None else Path(path))
    total, each = agreed(budget), agreed(run_budget)
    file = None
    if path is not None:
        from tokprof.export.runs import RunFile

        file = RunFile(path, result.name or "<lambda>", names, {"fn": _code(fn), "score": _code(score)})
        file.open()
        _recall(result, file, retry_failed)
    around = own()
    session = Session(
        result,
        fn,
        scorer,
        deque(plan for plan in planned if plan.number not in result._rows),
        parallel,
        file,
        total,
        each,
        capture or (around[0].capture if around else "none"),
        keep_profiles,
        seeded,
    )
    _last[:] = [result]
    if not is_async(fn):
        return _run(session, progress)
    return awaited(lambda: _run_async(session, progress), result.title, "tokprof.experiment")


def last_experiment() -> Experiment | None:
    """Give the newest experiment, with the runs that it has made so far; None before the first."""
    return _last[-1] if _last else None


def _run(session: Session, progress: bool) -> Experiment:
    began, shown = clock(), _shown(session, progress)
    with session.interrupts:
        try:
            with shown:
                if session.parallel > 1:
                    session.threaded()
                else:
                    session.serial()
        finally:
            _end(session, shown, began)
    if session.halt is not None:
        raise session.halt
    return session.result


async def _run_async(session: Session, progress: bool) -> Experiment:
    began, shown = clock(), _shown(session, progress)
    with session.interrupts:
        try:
            with shown:
                await session.tasks()
        finally:
            _end(session, shown, began)
    if session.halt is not None:
        raise session.halt
    return session.result


def _shown(session: Session, progress: bool) -> Progress:
    from tokprof.views.progress import Progress

    return Progress(_title(session), session.look, progress and bool(session.todo))


def _title(session: Session) -> str:
    return session.result.title


def _end(session: Session, shown: Progress, began: int) -> None:
    """Say what came of it."""
    from tokprof.views.experiment_words import headline, resume

    result = session.result
    result._seconds = max(0.0, (clock() - began) / 1e9)
    said = f"{_title(session)}: {' · '.join(headline(result))}"
    early = result.interrupted or result.stopped
    if early:
        why = "interrupted" if result.interrupted else f"stopped by the {result.stopped}"
        left = len(result._planned) - len(result._rows)
        said += f". {why.capitalize()}, {count(left, 'run')} left. {resume(result)}"
    result._line = shown.end(said)
    if early and not shown.kind:
        print(said, file=sys.stderr)


def _plan(found: list[Any], repeats: int, seed: int | None) -> list[Planned]:
    """All points once, in random order, and again for each repeat."""
    from tokprof.views.experiments import Planned

    planned: list[Planned] = []
    for repeat in range(1, repeats + 1):
        draw = random.Random(f"{seed}:{repeat}")
        given = None if seed is None else draw.getrandbits(31)
        block = list(found)
        if seed is not None:
            draw.shuffle(block)
        planned += [Planned(len(planned) + at, point, repeat, given) for at, point in enumerate(block, 1)]
    return planned


def _recall(result: Experiment, file: RunFile, retry_failed: bool) -> None:
    """Take over what is done from the file; the rest has spent all the same."""
    from tokprof.views.experiments import STATUSES

    plans = {(plan.point.key, plan.repeat): plan for plan in result._planned.values()}
    for row in file.rows:
        plan = plans.get((key_of(row["params"]), row["repeat"]))
        status = row.get("status")
        done = status == "ok" or (status in STATUSES and not row.get("halted") and not retry_failed)
        if plan is None or not done or plan.number in result._rows:
            result._before.append(row)
            continue
        scores = row.get("scores") or {}
        known = {"error": None, "note": None, "seed": None, "started": None, "cost": None, **row}
        known["scores"] = {str(key): float("nan") if value is None else float(value) for key, value in scores.items()}
        result._rows[plan.number] = {**known, "read": True}


def _code(function: Callable[..., Any] | None) -> str | None:
    """A fingerprint of what a function does, as this Python compiled it; None where nobody knows it."""
    try:
        code = inspect.unwrap(function).__code__  # type: ignore[arg-type]
    except (AttributeError, ValueError):
        return None
    told = repr(_parts(code)).encode("utf-8", "surrogatepass")
    return f"{sys.implementation.cache_tag}:{hashlib.sha256(told).hexdigest()[:16]}"


def _parts(code: CodeType) -> tuple[Any, ...]:
    """Code without the lines it stands on."""
    return code.co_code, code.co_names, code.co_varnames, tuple(map(_constant, code.co_consts))


def _constant(value: Any) -> Any:
    if isinstance(value, CodeType):
        return _parts(value)
    return sorted(map(repr, value)) if isinstance(value, frozenset) else repr(value)
