"""TALE: the model itself estimates how many tokens an answer needs, and is told to keep within them.

Han et al., "Token-Budget-Aware LLM Reasoning" (2024), https://arxiv.org/abs/2412.18547: TALE-EP asks for a budget, then
for the answer within it. With `search`, the budget is then halved as long as the answer stays right and gets shorter,
as in their search for the optimal budget, or doubled where the estimate was too small.
"""

from __future__ import annotations

import contextlib
import inspect
import math
import re
from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from tokprof.analysis import sequential
from tokprof.analysis.experiments import figures
from tokprof.profile import profile
from tokprof.recorder import describe
from tokprof.trials.interrupts import Interrupts
from tokprof.trials.pending import awaited
from tokprof.trials.trial import Trial, is_async, is_budget, run, run_async
from tokprof.views.experiment_charts import aligned
from tokprof.views.markup import unmathed
from tokprof.views.searches import METRICS, Reduction
from tokprof.views.words import clean, count, doubts, summary, tokens

if TYPE_CHECKING:
    import pandas as pd

    from tokprof.profile import Profile

PLAIN = "{question}\nLet's think step by step:"
"""The question without a budget."""
ESTIMATE = (
    "Task: Analyze the given question and estimate the minimum number of tokens required to generate a complete and "
    "accurate response. Please Give the response by strictly following this format: [[budget]], for example, "
    'Budget: [[12]].\n\nBelow is the question:\n\nQuestion: "{question}"'
)
"""The question for a budget, with the words of the paper."""
BUDGETED = "{question}\nLet's think step by step and use less than {budget} tokens:"
"""The question with a budget."""

_BRACKETS = re.compile(r"\[\[\s*([\d,]+)\s*\]\]")
_NUMBER = re.compile(r"\d[\d,]*")
_LARGEST = 1_000_000
_ROUNDS = 8  # halvings and doublings of one budget
_ROWS = 20
_TEXT = 60


@dataclass(slots=True)
class Asked:
    """One question.

    Attributes
    ----------
    question : str
    expected : object
        What the grader is given beside the answer.
    estimate, budget : int or None
        The budget that the model estimated, and the one that was used in the end.
    plain_tokens, estimate_tokens, tokens, search_tokens : float
        Of the answer without a budget, of the estimate, of the answer within the budget, and of the other answers of
        the search; NaN where they are not known.
    plain_score, score : float
        Of the answers without and with a budget; NaN without a grader.
    answer : object
        With a budget.
    note : str
        What went wrong.
    """

    question: str
    expected: Any
    estimate: int | None = None
    budget: int | None = None
    plain_tokens: float = math.nan
    estimate_tokens: float = math.nan
    search_tokens: float = 0.0
    tokens: float = math.nan
    plain_score: float = math.nan
    score: float = math.nan
    answer: Any = None
    note: str = ""


@dataclass(slots=True)
class _Plan:
    """What to ask, in which words."""

    grade: Callable[..., Any] | None
    pairs: bool  # whether it takes what is expected, too
    search: bool
    plain: str
    estimate: str
    budgeted: str
    metric: str
    trials: list[Trial] = field(default_factory=list)

    def steps(self, asked: Asked) -> Generator[tuple[str, str], Trial, None]:
        """Ask for one question: yields the name of a step and its prompt, and is sent what came of it."""
        before = yield "without a budget", _filled(self.plain, asked.question)
        asked.plain_tokens, asked.plain_score = self.used(before), self.graded(before, asked)
        guess = yield "estimate", _filled(self.estimate, asked.question)
        asked.estimate_tokens = self.used(guess)
        asked.estimate = asked.budget = parse(guess.result)
        if asked.budget is None:
            asked.note = asked.note or "the estimate holds no number: answered without a budget"
            asked.tokens, asked.score, asked.answer = asked.plain_tokens, asked.plain_score, before.result
            return
        first = yield f"within {asked.budget:,}", _filled(self.budgeted, asked.question, asked.budget)
        self.keep(asked, first)
        if self.search:
            yield from self.searched(asked)

    def searched(self, asked: Asked) -> Generator[tuple[str, str], Trial, None]:
        """Halve the budget while the answer is right and gets shorter; double it first, until it is right."""
        assert asked.budget is not None
        grows = not asked.score >= 1
        budget = asked.budget
        for _ in range(_ROUNDS):
            budget = budget * 2 if grows else budget // 2
            if budget < 1 or (grows and budget > max(asked.plain_tokens, 1)):
                return
            trial = yield f"within {budget:,}", _filled(self.budgeted, asked.question, budget)
            used, score = self.used(trial), self.graded(trial, asked)
            right = score >= 1
            if right and (grows or used < asked.tokens):
                asked.search_tokens += asked.tokens
                asked.budget = budget
                self.keep(asked, trial, score)
                if grows:
                    return
            else:
                asked.search_tokens += used
                if not grows:
                    return

    def keep(self, asked: Asked, trial: Trial, score: float | None = None) -> None:
        """Make what came of a step the answer."""
        asked.tokens = self.used(trial)
        asked.score = self.graded(trial, asked) if score is None else score
        asked.answer = trial.result

    def used(self, trial: Trial) -> float:
        """Tokens of a step."""
        self.trials.append(trial)
        spent = figures(trial.profile.table)
        known = trial.status == "ok" and spent["calls"] and not spent["unknown_calls"]
        used = spent[METRICS[self.metric]]
        return float(used) if known and used is not None else math.nan

    def graded(self, trial: Trial, asked: Asked) -> float:
        """Score of the answer of a step."""
        if trial.error:
            asked.note = asked.note or f"ask raised {trial.error}"
        if self.grade is None or trial.status != "ok":
            return math.nan
        try:
            given = (trial.result, asked.expected) if self.pairs else (trial.result,)
            return float(self.grade(*given))
        except Exception as error:
            asked.note = asked.note or f"grade raised {describe(error)}"
            return math.nan


def tale(
    ask: Callable[..., str] | Callable[..., Awaitable[str]],
    questions: Iterable[str | tuple[str, Any]],
    *,
    grade: Callable[..., Any] | None = None,
    search: bool = False,
    plain: str = PLAIN,
    estimate: str = ESTIMATE,
    budgeted: str = BUDGETED,
    metric: str = "output",
    **options: Any,
) -> Any:
    """Answer questions within budgets that the model has estimated itself, beside answers without.

    Parameters
    ----------
    ask : callable
        ``ask(prompt, **options)`` gives the text of the answer, with whatever SDK. Where it is async, this gives
        something to ``await``.
    questions : iterable of str, or of (str, object)
        With the second, what the grader is given beside the answer.
    grade : callable, optional
        ``grade(answer, expected)`` or ``grade(answer)``: True or False, or a number of which 1 is right. ``expected``
        is the question, where nothing was given with it.
    search : bool
        Whether to go on from the estimate to the smallest budget with which the answer is right; needs `grade`.
    plain, estimate, budgeted : str
        Prompts, with ``{question}`` and, in the last one, ``{budget}``.
    metric : {"output", "tokens", "reasoning"}
        Which tokens are compared.
    **options
        For `ask`.

    Returns
    -------
    Tale

    Raises
    ------
    TypeError, ValueError
        Before anything is asked: for an `ask` or `grade` that cannot be called so, questions that are none, a prompt
        without its place for the question or the budget, or `search` without `grade`.

    Examples
    --------
    >>> def ask(prompt):
    ...     answer = client.responses.create(model="gpt-5-mini", input=prompt)
    ...     return answer.output_text
    >>> found = tokprof.recipes.tale(ask, [("What is 6 x 7?", "42")], grade=lambda text, right: right in text)
    >>> found.reduction, found.accuracy
    """
    if not callable(ask):
        raise TypeError(f"ask must be a function of a prompt, not {type(ask).__name__}")
    if grade is not None and not callable(grade):
        raise TypeError(f"grade must be a function of an answer, not {type(grade).__name__}")
    _check_ask(ask, options)
    pairs = grade is None or _takes_expected(grade)
    if search and grade is None:
        raise ValueError("search needs grade=, to know which answers are right")
    if metric not in METRICS:
        raise ValueError(f"metric cannot be {metric!r}; known: {', '.join(METRICS)}")
    for name, text, places in (
        ("plain", plain, ("{question}",)),
        ("estimate", estimate, ("{question}",)),
        ("budgeted", budgeted, ("{question}", "{budget}")),
    ):
        for place in places:
            if place not in text:
                raise ValueError(f"the prompt {name!r} has no place for the {place[1:-1]}: put {place} into it")
    plan = _Plan(grade, pairs, search, plain, estimate, budgeted, metric)
    found = Tale([_asked(each) for each in _each(questions)], plan)
    _last[:] = [found]
    if not is_async(ask):
        return found._run(ask, options)
    return awaited(lambda: found._run_async(ask, options), "tale", "tokprof.recipes.tale", "ask")


def last_tale() -> Tale | None:
    """Give what the newest `tale` has asked so far, also where a budget or a cancelled task ended it."""
    return _last[-1] if _last else None


def parse(text: Any) -> int | None:
    """Read an estimate: what stands in double brackets, else the first number; None where there is none above 0."""
    found = _BRACKETS.search(str(text or "")) or _NUMBER.search(str(text or ""))
    if found is None:
        return None
    number = int((found.group(1) if found.re is _BRACKETS else found.group()).replace(",", "") or 0)
    return number if 0 < number <= _LARGEST else None


_last: list[Tale] = []


class Tale:
    """What came of `tale`. It shows itself as text, and as HTML without script.

    Attributes
    ----------
    asked : list of Asked
        Each question with its budget, tokens, scores and answer.
    interrupted : bool
        Whether it ended before all questions were asked: by the user, or by a budget or a cancelled task around it.
    """

    def __init__(self, asked: list[Asked], plan: _Plan):
        self.asked = asked
        self.interrupted = False
        self._plan = plan
        self._whole = profile("tale")

    @property
    def profile(self) -> Profile:
        """Everything that was asked."""
        return self._whole

    @property
    def df(self) -> pd.DataFrame:
        """One row a question.

        Returns
        -------
        pandas.DataFrame
            ``question``, ``estimate``, ``budget``, ``plain_tokens``, ``tokens`` (with the budget), ``estimate_tokens``,
            ``search_tokens``, ``reduction`` (%, of the answers alone), ``plain_score``, ``score`` and ``note``. Tokens
            are NaN where they are not known, budgets null where there is none.
        """
        import pandas as pd

        names = ["question", "estimate", "budget", "plain_tokens", "tokens", "estimate_tokens", "search_tokens"]
        frame = pd.DataFrame([[getattr(one, name) for name in names] for one in self.asked], columns=names)
        frame = frame.astype({"estimate": "Int64", "budget": "Int64"} | dict.fromkeys(names[3:], "float64"))
        frame["reduction"] = 100 * (1 - frame["tokens"] / frame["plain_tokens"])
        for name in ("plain_score", "score", "note"):
            frame[name] = [getattr(one, name) for one in self.asked]
        return frame

    @property
    def reduction(self) -> Reduction:
        """Tokens that the answers within budgets save, in % of those without, with its bootstrap interval.

        The estimates are not part of it; see `overhead`.
        """
        both = self._both
        found, between = sequential.reduction([one.plain_tokens for one in both], [one.tokens for one in both])
        return Reduction(found, between.low, between.high)

    @property
    def overhead(self) -> float:
        """Tokens of the estimates, in % of the answers without budgets; NaN where nothing is known."""
        both = [one for one in self._both if not math.isnan(one.estimate_tokens)]
        plain = math.fsum(one.plain_tokens for one in both)
        return 100 * math.fsum(one.estimate_tokens for one in both) / plain if plain else math.nan

    @property
    def accuracy(self) -> tuple[float, float]:
        """Mean score without and with budgets, of the questions that have both; NaN without a grader."""
        both = [one for one in self.asked if not (math.isnan(one.plain_score) or math.isnan(one.score))]
        return _mean(one.plain_score for one in both), _mean(one.score for one in both)

    def __repr__(self) -> str:
        return "\n".join([f"tokprof {self._headline()}", *self._notes(), "", *aligned(self._cells(), 1)])

    def _repr_html_(self) -> str:
        head = "".join(f"<br>{escape(each)}" for each in self._notes())
        titles, *rows = self._cells()
        side = [' style="text-align:left"', *[' style="text-align:right"'] * (len(titles) - 1)]
        cells = "".join(f"<th{each}>{escape(title)}</th>" for each, title in zip(side, titles, strict=True))
        body = ("".join(f"<td{each}>{escape(cell)}</td>" for each, cell in zip(side, row, strict=True)) for row in rows)
        return unmathed(
            f"<p><b>{escape(self._headline())}</b>{head}</p><table><thead><tr>{cells}</tr></thead>"
            f"<tbody>{''.join(f'<tr>{row}</tr>' for row in body)}</tbody></table>"
        )

    # inside

    def _run(self, ask: Callable[..., Any], options: dict[str, Any]) -> Tale:
        interrupts = Interrupts()
        call = interrupts.letting_in(ask)
        with interrupts, self._whole:
            for asked in self.asked:
                steps = self._plan.steps(asked)
                trial: Trial | None = None
                while (step := _next(steps, trial)) is not None:
                    trial = run(_calling(call, step[1], options), {}, name=step[0])
                    if self._ended(trial, bool(interrupts.asked)):
                        return self
        return self

    async def _run_async(self, ask: Callable[..., Any], options: dict[str, Any]) -> Tale:
        interrupts = Interrupts()
        with interrupts, self._whole:
            for asked in self.asked:
                steps = self._plan.steps(asked)
                trial: Trial | None = None
                while (step := _next(steps, trial)) is not None:
                    work = run_async(_calling(ask, step[1], options), {}, name=step[0])
                    trial = await interrupts.stopping(work)
                    if self._ended(trial, bool(interrupts.asked)):
                        return self
        return self

    def _ended(self, trial: Trial, asked: bool) -> bool:
        halt = trial.halt
        self.interrupted = self.interrupted or asked or halt is not None
        if halt is not None and (is_budget(halt) or not (asked or isinstance(halt, KeyboardInterrupt))):
            raise halt
        return self.interrupted

    @property
    def _both(self) -> list[Asked]:
        return [one for one in self.asked if not math.isnan(one.plain_tokens) and not math.isnan(one.tokens)]

    def _headline(self) -> str:
        saved = self.reduction
        if math.isnan(saved.percent):
            return f"TALE: {count(len(self.asked), 'question')}, reduction unknown"
        less = f"{saved} fewer" if saved.percent >= 0 else f"{Reduction(-saved[0], -saved[2], -saved[1])} more"
        return f"TALE: {count(len(self.asked), 'question')}, {less} tokens within budgets"

    def _notes(self) -> list[str]:
        said = []
        before, after = self.accuracy
        if not math.isnan(after):
            said.append(f"Score {before:.3g} without budgets, {after:.3g} with.")
        if not math.isnan(self.overhead):
            said.append(f"The estimates took another {self.overhead:.1f} % of the tokens without budgets.")
        if self.interrupted:
            said.append("Interrupted: not all questions were asked.")
        notes = dict.fromkeys(one.note for one in self.asked if one.note)
        said += [f"{count(sum(one.note == note for one in self.asked), 'question')}: {clean(note)}." for note in notes]
        totals = self._whole.totals
        return [*said, f"In all {', '.join(summary(totals))}.", *doubts(totals)]

    def _cells(self) -> list[list[str]]:
        rows = [["question", "budget", "without", "with", "saved", "score"]]
        for one in self.asked[:_ROWS]:
            saved = 100 * (1 - one.tokens / one.plain_tokens) if one.plain_tokens else math.nan
            scores = "" if math.isnan(one.score) else f"{_score(one.plain_score)} → {_score(one.score)}"
            budget = "–" if one.budget is None else f"{one.budget:,}"
            each = [_count(one.plain_tokens), _count(one.tokens), "" if math.isnan(saved) else f"{saved:.0f} %"]
            rows.append([clean(" ".join(one.question[:400].split()), _TEXT), budget, *each, scores])
        if len(self.asked) > _ROWS:
            rows.append([f"… {len(self.asked) - _ROWS:,} more in .df", *[""] * 5])
        return rows


def _check_ask(ask: Callable[..., Any], options: dict[str, Any]) -> None:
    try:
        signature = inspect.signature(ask)
    except (TypeError, ValueError):  # a builtin: the first question will tell
        return
    try:
        signature.bind("", **options)
    except TypeError as error:
        given = ", ".join(["prompt", *options])
        raise TypeError(f"ask cannot be called with ({given}): {error}; it takes {signature}") from None


def _takes_expected(grade: Callable[..., Any]) -> bool:
    """Whether a grader takes an answer and what is expected, or the answer alone."""
    if is_async(grade):
        raise TypeError("grade must be a plain function; this one is async")
    try:
        signature = inspect.signature(grade)
    except (TypeError, ValueError):
        return True
    for given in (("", ""), ("",)):
        with contextlib.suppress(TypeError):
            signature.bind(*given)
            return len(given) == 2
    raise TypeError(f"grade must take the answer, or the answer and what is expected; it takes {signature}")


def _next(steps: Generator[tuple[str, str], Trial, None], trial: Trial | None) -> tuple[str, str] | None:
    try:
        return next(steps) if trial is None else steps.send(trial)
    except StopIteration:
        return None


def _calling(ask: Callable[..., Any], prompt: str, options: dict[str, Any]) -> Callable[[], Any]:
    return lambda: ask(prompt, **options)


def _filled(prompt: str, question: str, budget: int | None = None) -> str:
    """Put question and budget in; not by `str.format`, because prompts hold braces of their own."""
    return prompt.replace("{budget}", str(budget)).replace("{question}", question)


def _each(questions: Any) -> Sequence[Any]:
    if isinstance(questions, str) or not isinstance(questions, Iterable):
        raise TypeError(f"questions is a list of questions, not {type(questions).__name__}")
    found = list(questions)
    if not found:
        raise ValueError("there is no question")
    return found


def _asked(given: Any) -> Asked:
    if isinstance(given, str):
        return Asked(given, given)
    if isinstance(given, tuple | list) and len(given) == 2 and isinstance(given[0], str):
        return Asked(given[0], given[1])
    raise TypeError(f"a question is a text, or a pair of it and what is expected, not {type(given).__name__}")


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan


def _count(value: float) -> str:
    return "?" if math.isnan(value) else tokens(value)


def _score(value: float) -> str:
    return "?" if math.isnan(value) else f"{value:.3g}"
