"""One function run once, under a profile of its own, and scored: what experiments and searches are made of."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, SupportsFloat

from tokprof.profile import Profile, profile
from tokprof.recorder import Recording, describe

if TYPE_CHECKING:
    from tokprof.allowance.terms import Terms
    from tokprof.budget import Budget

Outcome = Literal["ok", "error", "stopped", "interrupted"]


@dataclass(slots=True, eq=False)
class Trial:
    """One run of a function.

    Attributes
    ----------
    params : dict of str to object
        What the function was called with.
    profile : Profile
        Of the function alone; what its score spent is not part of it.
    status : {"ok", "error", "stopped", "interrupted"}
        ``error``: it raised; ``stopped``: by a budget; ``interrupted``: by the user, or because its task was cancelled.
    result : object
        What the function returned; None unless `status` is ``ok``.
    exception : BaseException or None
        What ended the function before it returned.
    scores : dict of str to float
        By name, ``score`` where the score gave one number; NaN where it gave none.
    notes : list of str
        What is wrong with the scores, in plain words.
    scoring : Profile or None
        Of the score, where there is one and the function returned.
    halt : BaseException or None
        What stopped more than this run: an interrupt, a cancellation, or a budget. Whoever runs trials is to heed it.
    """

    params: dict[str, Any]
    profile: Profile
    status: Outcome = "ok"
    result: Any = None
    exception: BaseException | None = None
    scores: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    scoring: Profile | None = None
    halt: BaseException | None = None

    @property
    def error(self) -> str | None:
        """Type of what ended the function; its message may hold a prompt, and stays in `exception`."""
        return None if self.exception is None else describe(self.exception)

    @property
    def score(self) -> float:
        """The first of `scores`; NaN where there is none."""
        return next(iter(self.scores.values()), math.nan)

    def _ended(self, error: BaseException, cancellable: bool) -> None:
        self.exception = error
        if is_budget(error):
            self.status = "stopped"
            if self._of_those_around(error):
                self.halt = error
        elif isinstance(error, Exception) or (isinstance(error, asyncio.CancelledError) and not cancellable):
            self.status = "error"
        else:
            self.status, self.halt = "interrupted", error

    def _of_those_around(self, error: BaseException) -> bool:
        """Whether a budget holds for more than this run."""
        asked = getattr(error, "profile", None)
        around: Recording | None = self.profile._recording.outer
        while around is not None:
            if asked is not None and asked._recording is around:
                return True
            around = around.outer
        return False


class Scorer:
    """A function that says how good a result is.

    Parameters
    ----------
    score : callable or None
        ``score(result)`` or ``score(result, params)``, which gives a number, or a dict of numbers by name.

    Raises
    ------
    TypeError
        For what cannot be called with one or two arguments.
    """

    def __init__(self, score: Callable[..., Any] | None):
        if score is not None and not callable(score):
            raise TypeError(f"score must be a function of the result, not {type(score).__name__}")
        self.function = score
        self.is_async = score is not None and is_async(score)
        self._takes_params = score is not None and _takes_params(score)

    def __bool__(self) -> bool:
        return self.function is not None

    def ask(self, trial: Trial) -> Any:
        """Call the function; an async one gives a coroutine."""
        assert self.function is not None
        more = (trial.params,) if self._takes_params else ()
        return self.function(trial.result, *more)

    def take(self, trial: Trial, value: Any) -> None:
        """Put what the function gave into a trial."""
        for name, each in value.items() if isinstance(value, Mapping) else [("score", value)]:
            figure, note = _number(each)
            trial.scores[str(name)] = figure
            if note:
                trial.notes.append(f"{name} {note}" if str(name) == "score" else f"score {str(name)!r} {note}")

    def fail(self, trial: Trial, error: BaseException) -> None:
        """Take note that the function raised."""
        trial.scores["score"] = math.nan
        trial.notes.append(f"score raised {describe(error)}")
        if not isinstance(error, Exception):  # the run is to be made again: without a score it is worth nothing
            trial._ended(error, cancellable=True)


def run(
    fn: Callable[..., Any],
    params: Mapping[str, Any],
    score: Scorer | Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    budget: Terms | None = None,
    capture: str = "none",
    tags: Mapping[str, str] | None = None,
) -> Trial:
    """Run a function once under a profile, and score what it returned.

    Parameters
    ----------
    fn : callable
        Called with `params` as keyword arguments.
    params : mapping
    score : Scorer or callable, optional
        See `Scorer`. It is called after the profile has ended: what it spends is not what the run spent.
    name : str, optional
        Of the profile.
    budget : Terms, optional
        What `fn` may spend.
    capture : {"none", "preview", "full"}
        As `tokprof.profile` takes it.
    tags : mapping of str to str, optional
        Put on every span of the profile.

    Returns
    -------
    Trial
        Whatever happened: also what `fn` raised is in it, and what is to stop more than this run, in ``halt``.

    Raises
    ------
    TypeError
        For a function that gives a coroutine: use `run_async`.
    """
    scorer = score if isinstance(score, Scorer) else Scorer(score)
    trial = _begun(fn, params, name, budget, capture, tags)
    try:
        with trial.profile:
            trial.result = fn(**trial.params)
    except BaseException as error:
        trial._ended(error, cancellable=False)
        return trial
    _refuse_coroutine(trial.result, "fn")
    if scorer:
        trial.scoring = profile(f"score of {trial.profile.title}", live=False)
        try:
            with trial.scoring:
                value = scorer.ask(trial)
            _refuse_coroutine(value, "score")
            scorer.take(trial, value)
        except BaseException as error:
            scorer.fail(trial, error)
    return trial


async def run_async(
    fn: Callable[..., Any],
    params: Mapping[str, Any],
    score: Scorer | Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    budget: Terms | None = None,
    capture: str = "none",
    tags: Mapping[str, str] | None = None,
) -> Trial:
    """Await a function once under a profile, and score what it returned; as `run`, for a function that is async.

    A score may be async, too, or not.
    """
    scorer = score if isinstance(score, Scorer) else Scorer(score)
    trial = _begun(fn, params, name, budget, capture, tags)
    try:
        with trial.profile:
            trial.result = await _awaited(fn(**trial.params))
    except BaseException as error:
        trial._ended(error, cancellable=True)
        return trial
    if scorer:
        trial.scoring = profile(f"score of {trial.profile.title}", live=False)
        try:
            with trial.scoring:
                value = await _awaited(scorer.ask(trial))
            scorer.take(trial, value)
        except BaseException as error:
            scorer.fail(trial, error)
    return trial


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether a function gives a coroutine."""
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004


def is_budget(error: BaseException) -> bool:
    """Whether it was a budget that stopped a function."""
    from tokprof.allowance.exceeded import BudgetExceeded

    return isinstance(error, BudgetExceeded)


def limit(prof: Profile, agreed: Terms) -> Budget:
    """Put a budget on a profile that has not begun, without a recording of its own."""
    from tokprof.budget import Budget

    made = Budget(agreed)
    prof._recording.guard = made._guard
    made._profile = made._guard.profile = prof
    return made


def _begun(
    fn: Callable[..., Any],
    params: Mapping[str, Any],
    name: str | None,
    budget: Terms | None,
    capture: str,
    tags: Mapping[str, str] | None,
) -> Trial:
    trial = Trial(dict(params), profile(name or name_of(fn) or "run", live=False, capture=capture))
    trial.profile._recording.tags.update(tags or {})
    if budget is not None:
        limit(trial.profile, budget)
    return trial


async def _awaited(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def _refuse_coroutine(value: Any, what: str) -> None:
    if inspect.iscoroutine(value):
        value.close()
        raise TypeError(f"{what} gave a coroutine that nobody awaits: define {what} with `async def`")


def _takes_params(score: Callable[..., Any]) -> bool:
    """Whether a score is to be given the parameters, too; of one without a signature, nobody knows."""
    try:
        signature = inspect.signature(score)
    except (TypeError, ValueError):
        return False
    places = [each for each in signature.parameters.values() if each.kind in (each.POSITIONAL_ONLY, _EITHER)]
    asked = [each for each in places if each.default is each.empty]
    for given in ((1,), (1, 2)):
        with contextlib.suppress(TypeError):
            signature.bind(*given)
            return len(given) == 2 or (len(places) > 1 and places[1].name == "params" and len(asked) < 2)
    raise TypeError(f"score must take the result, or the result and the parameters; it takes {signature}")


_EITHER = inspect.Parameter.POSITIONAL_OR_KEYWORD


def _number(value: Any) -> tuple[float, str]:
    """A score as a number, and what is wrong with it."""
    if isinstance(value, SupportsFloat) and not isinstance(value, str | bytes):
        try:
            figure = float(value)
        except Exception:
            return math.nan, f"is {type(value).__name__}, no number"
        if math.isnan(figure):
            return figure, "is NaN"
        return (math.nan, "is infinite") if math.isinf(figure) else (figure, "")
    return math.nan, f"is {type(value).__name__}, no number"


def name_of(fn: Callable[..., Any]) -> str:
    """Name of a function, without the functions that it was made in; empty of a lambda, which has none."""
    inner = fn
    while isinstance(inner, functools.partial):
        inner = inner.func
    name = str(getattr(inner, "__qualname__", type(inner).__name__)).rpartition("<locals>.")[2]
    return "" if name.endswith("<lambda>") else name
