"""``tokprof.search_budget``: the smallest budget that keeps a score."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from tokprof.analysis.search import Search, grid
from tokprof.profile import profile
from tokprof.span import CAPTURES
from tokprof.trials.allowances import agreed
from tokprof.trials.interrupts import Interrupts
from tokprof.trials.pending import awaited
from tokprof.trials.trial import Scorer, Trial, is_async, is_budget, limit, name_of, run, run_async
from tokprof.views.searches import METRICS, BudgetSearch, Goal

if TYPE_CHECKING:
    from tokprof.trials.allowances import Allowance

_DIRECTIONS = ("maximize", "minimize")
_ERRORS = ("miss", "skip")
_MOST = 10_000  # budgets of a grid

_last: list[BudgetSearch] = []


def search_budget(
    fn: Callable[..., Any],
    score: Callable[..., Any],
    low: int,
    high: int,
    *,
    target: float | None = None,
    tolerance: float = 0.05,
    step: str | float = "25%",
    direction: str = "maximize",
    score_range: tuple[float, float] = (0.0, 1.0),
    repeats: int = 3,
    max_repeats: int = 40,
    confidence: float = 0.95,
    elastic: bool = True,
    metric: str = "output",
    errors: str = "miss",
    params: Mapping[str, Any] | None = None,
    budget: Allowance = None,
    capture: str = "none",
    name: str | None = None,
) -> Any:
    """Find the smallest budget that keeps the score, with noisy scores and as few runs as that takes.

    Every run is profiled: the tokens that count are those that tokprof has measured.

    Parameters
    ----------
    fn : callable
        ``fn(budget)``, or ``fn(budget, **params)``: asks a model to keep within so many tokens, and returns what came
        of it. Of an async function (or score) this gives something to ``await`` where an event loop runs, as in every
        notebook.
    score : callable
        ``score(result)`` or ``score(result, params)``: True or False, or a number within `score_range`. What it spends
        itself does not count as the run's.
    low, high : int
        Smallest and largest budget.
    target : float, optional
        Mean score to keep. Without it, that of `high` less `tolerance`.
    tolerance : float
        Loss of score that is accepted where there is no `target`.
    step : str or float
        From one budget to the next: a share (``"25%"``) or tokens (``50``). It says how exact the answer can be.
    direction : {"maximize", "minimize"}
        ``minimize`` for a score of which less is better: an error, a loss.
    score_range : tuple of float
        Least and greatest score that there can be.
    repeats, max_repeats : int
        Runs of a budget before it is judged, and at most.
    confidence : float
        Of the test of each budget, and of the intervals that are shown.
    elastic : bool
        Whether budgets are left out below which answers get longer again, or just the smallest one is wanted.
    metric : {"output", "tokens", "reasoning"}
        What a budget is to save: output (reasoning included), all tokens, or reasoning alone.
    errors : {"miss", "skip"}
        What a run that raises counts as: the worst score, or nothing.
    params : mapping, optional
        More keyword arguments for `fn`.
    budget : int, mapping or Budget, optional
        What the whole search may spend, scores included: tokens, or the options of `tokprof.budget`
        (``dict(cost=0.50)``), or one that it made. Where that ends it, what was found until then is kept.
    capture : {"none", "preview", "full"}
        As for `tokprof.profile`.
    name : str, optional
        Of the search, instead of that of `fn`.

    Returns
    -------
    BudgetSearch
        ``.budget`` is the answer, None where even `high` misses the target; ``.reason`` says why. A keyboard interrupt
        ends the search, too, and keeps what was found. Whatever else ends it early (a budget around it, a cancelled
        task) is raised, and `tokprof.last_search` has what was found.

    Raises
    ------
    ValueError, TypeError
        For an option that is none, before anything is run.

    Notes
    -----
    A budget is run again until a sequential test is sure that its mean score keeps or misses the target (pass and fail:
    a mixture SPRT, graded scores: Student's interval; see `tokprof.analysis.sequential.verdict`), and at most
    `max_repeats` times: then the mean decides. The next budget is halfway between the largest that misses and the
    smallest that keeps it, by an isotonic fit of all that was measured, so that neither an unlucky score nor a budget
    that is worse than a smaller one leads astray. At last the search climbs to the budget with the fewest tokens, if
    answers below it get longer again (the "token elasticity" of Han et al., 2024, https://arxiv.org/abs/2412.18547);
    see `tokprof.analysis.search`. Two budgets whose true scores lie as close to the target as the noise of
    `max_repeats` runs cannot be told apart: repeat more often, or score many questions in each run.

    Examples
    --------
    >>> def answer(budget):
    ...     return ask(f"{question} Let's think step by step and use less than {budget} tokens:")
    >>> found = tokprof.search_budget(answer, lambda text: "42" in text, 32, 2048, target=0.9)
    >>> found.budget, found.reduction
    >>> found.elasticity()
    """
    if not callable(fn):
        raise TypeError(f"fn must be a function of a budget, not {type(fn).__name__}")
    scorer = Scorer(score)
    if not scorer:
        raise TypeError("score must be a function of the result, not None")
    options = dict(params or {})
    if "budget" in options:
        raise ValueError("params cannot have 'budget': that is what is searched for")
    _check_call(fn, options)
    relative, width = _step(step)
    _check_range(low, high)
    for what, given, known in (
        ("direction", direction, _DIRECTIONS),
        ("metric", metric, tuple(METRICS)),
        ("errors", errors, _ERRORS),
        ("capture", capture, CAPTURES),
    ):
        _check_word(what, given, known)
    _check_repeats(repeats, max_repeats)
    if not 0.5 <= confidence < 1:
        raise ValueError(f"confidence is a share of 0.5 or more and less than 1, for instance 0.95, not {confidence!r}")
    title = name or name_of(fn)
    goal = Goal(target, tolerance, score_range, direction == "maximize", confidence)
    if (high - low if not relative else math.log(high / low)) / (width if not relative else math.log1p(width)) > _MOST:
        raise ValueError(f"step={step!r} makes more than {_MOST:,} budgets")
    budgets = grid(low, high, width, relative)
    strategy = Search(budgets, goal.norm_target, goal.norm_tolerance, 1 - confidence, repeats, max_repeats, elastic)
    result = BudgetSearch(title, strategy, goal, metric, errors == "miss", relative)
    plan = _Plan(fn, scorer, options, strategy, result, budget, capture)
    _last[:] = [result]
    if not (is_async(fn) or scorer.is_async):
        return plan.run()
    return awaited(plan.run_async, result.title, "tokprof.search_budget", "fn" if is_async(fn) else "score")


def last_search() -> BudgetSearch | None:
    """Give the newest search, with the runs that it has made so far; None before the first."""
    return _last[-1] if _last else None


class _Plan:
    """A search that is yet to be run."""

    def __init__(
        self,
        fn: Callable[..., Any],
        scorer: Scorer,
        params: dict[str, Any],
        strategy: Search,
        result: BudgetSearch,
        allowance: Allowance,
        capture: str,
    ):
        self._fn, self._scorer, self._params = fn, scorer, params
        self._strategy, self._result = strategy, result
        self._options = {"capture": capture}
        self._whole = profile(result.title, capture=capture)
        if (terms := agreed(allowance)) is not None:
            limit(self._whole, terms)
        result._whole = self._whole
        self._interrupts = Interrupts()

    def run(self) -> BudgetSearch:
        interrupts = self._interrupts
        call = interrupts.letting_in(self._call)
        with interrupts, self._whole:
            while not self._result.interrupted and (at := self._strategy.following()) is not None:
                if self._ends(at, run(call, self._given(at), self._scorer, **self._named(at))):
                    break
                self._result.interrupted = interrupts.asked > 0
        return self._result

    async def run_async(self) -> BudgetSearch:
        interrupts = self._interrupts
        with interrupts, self._whole:
            while not self._result.interrupted and (at := self._strategy.following()) is not None:
                work = run_async(self._call, self._given(at), self._scorer, **self._named(at))
                if self._ends(at, await interrupts.stopping(work)):
                    break
                self._result.interrupted = interrupts.asked > 0
        return self._result

    def _call(self, budget: int, **params: Any) -> Any:
        return self._fn(budget, **params)

    def _given(self, at: int) -> dict[str, Any]:
        return {"budget": self._strategy.tried[at].budget, **self._params}

    def _named(self, at: int) -> dict[str, Any]:
        name = f"{self._result.name} within {self._strategy.tried[at].budget:,}".lstrip()
        return {"name": name, **self._options}

    def _ends(self, at: int, trial: Trial) -> bool:
        """Take a trial in; gives whether the search ends with it."""
        halt = trial.halt
        self._result._take(at, trial)
        if halt is None:
            return False
        if is_budget(halt):
            self._result.stopped = str(getattr(halt, "told", halt))
            if getattr(halt, "profile", None) is self._whole:
                return True
        else:
            self._result.interrupted = True
            if isinstance(halt, KeyboardInterrupt) or self._interrupts.asked:
                return True
        raise halt  # a budget of the user's, a cancelled task: not this search's to stop


def _check_range(low: Any, high: Any) -> None:
    for what, value in (("low", low), ("high", high)):
        if isinstance(value, bool) or not hasattr(type(value), "__index__"):
            raise TypeError(f"{what} must be a whole number of tokens, not {value!r}")
        if value <= 0:
            raise ValueError(f"{what} must be more than 0, not {value}")
    if low >= high:
        raise ValueError(f"low must be less than high: {low:,} is not less than {high:,}")


def _check_repeats(repeats: Any, most: Any) -> None:
    for what, value in (("repeats", repeats), ("max_repeats", most)):
        if isinstance(value, bool) or not hasattr(type(value), "__index__"):
            raise TypeError(f"{what} must be a whole number, not {value!r}")
    if not 1 <= repeats <= most:
        raise ValueError(f"repeats must be at least 1 and at most max_repeats ({most}), not {repeats}")


def _check_word(what: str, given: Any, known: tuple[str, ...]) -> None:
    if given not in known:
        near = get_close_matches(str(given), known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{what} cannot be {given!r}; known: {', '.join(known)}{hint}")


def _check_call(fn: Callable[..., Any], params: Mapping[str, Any]) -> None:
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError):  # a builtin: the first run will tell
        return
    try:
        signature.bind(0, **params)
    except TypeError as error:
        given = ", ".join(["budget", *params])
        raise TypeError(f"fn cannot be called with ({given}): {error}; it takes {signature}") from None


def _step(given: Any) -> tuple[bool, float]:
    """Whether a step is a share of the budget, and how large it is."""
    share = isinstance(given, str) and given.strip().endswith("%")
    if isinstance(given, bool) or not (share or isinstance(given, int | float)):
        raise TypeError(f'step is a share ("25%") or a number of tokens (50), not {given!r}')
    try:
        width = float(given.strip()[:-1]) / 100 if share else float(given)
    except ValueError:
        raise ValueError(f"{given!r} is no step; a share is written '25%'") from None
    if not 0 < width < math.inf:
        raise ValueError(f"step must be more than 0, not {given!r}")
    if not share and width < 1:
        raise ValueError(f'step is in tokens: {given} is less than one; a share is written "{given:.0%}"')
    return share, width
