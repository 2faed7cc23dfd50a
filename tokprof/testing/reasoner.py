"""A simulated model that reasons within a budget of tokens, with an elasticity and an accuracy that are known.

What it does follows Han et al., "Token-Budget-Aware LLM Reasoning" (2024), https://arxiv.org/abs/2412.18547: asked to
use fewer tokens it uses fewer, down to a knee; asked for still fewer it gives the budget up and writes more again. How
often it is right is a logistic function of the logarithm of the budget.
"""

from __future__ import annotations

import math
import random
import re
import threading
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tokprof.testing.answers import RecordedRequest, Reply

_ASKED = re.compile(r"less than (\d+) tokens", re.IGNORECASE)
_ESTIMATE = re.compile(r"\[\[budget\]\]")
RIGHT, WRONG = "The answer is 42.", "The answer is 41."


class Thought(NamedTuple):
    """One answer of a `Reasoner`.

    Attributes
    ----------
    budget : int or None
        Tokens asked for; None where nothing was.
    tokens : int
        Tokens used.
    correct : bool
    """

    budget: int | None
    tokens: int
    correct: bool


class Reasoner:
    """A model with a known elasticity, in process or behind a `SimulatedProvider`.

    Parameters
    ----------
    unbounded : int
        Tokens of an answer without a budget, in the mean.
    knee : int
        Budget at which answers are shortest.
    rebound : float
        Exponent with which answers grow again below the knee: ``knee * (knee / budget) ** rebound``.
    middle : float
        Budget at which half of what it can do is right.
    slope : float
        Of the logistic function, per unit of the natural logarithm of the budget.
    ceiling : float
        Share of right answers with any number of tokens.
    noise : float
        Standard deviation of the logarithm of the tokens of one answer.
    seed : int
        The same seed, asked the same, gives the same answers.

    Attributes
    ----------
    thoughts : list of Thought
        All answers so far: the truth to hold measured figures against.

    Examples
    --------
    >>> reasoner = Reasoner(seed=1)
    >>> with SimulatedProvider(respond=reasoner.respond) as provider:
    ...     client = provider.openai()
    """

    def __init__(
        self,
        unbounded: int = 900,
        knee: int = 120,
        *,
        rebound: float = 0.8,
        middle: float = 150.0,
        slope: float = 5.0,
        ceiling: float = 0.97,
        noise: float = 0.2,
        seed: int = 0,
    ):
        for name, value in (("unbounded", unbounded), ("knee", knee), ("middle", middle), ("slope", slope)):
            if not value > 0:
                raise ValueError(f"{name} is {value}: give more than zero")
        if not 0 <= ceiling <= 1:
            raise ValueError(f"ceiling is {ceiling}: give a share from 0 to 1")
        if noise < 0 or rebound < 0:
            raise ValueError("noise and rebound are zero or more")
        self.unbounded, self.knee, self.rebound = unbounded, knee, rebound
        self.middle, self.slope, self.ceiling, self.noise = middle, slope, ceiling, noise
        self.thoughts: list[Thought] = []
        self._draw = random.Random(seed)
        self._lock = threading.Lock()

    def mean_tokens(self, budget: float | None) -> float:
        """Tokens of an answer within a budget, in the mean."""
        if budget is None:
            return float(self.unbounded)
        used = budget if budget >= self.knee else self.knee * (self.knee / budget) ** self.rebound
        return float(min(used, self.unbounded))

    def accuracy(self, budget: float | None) -> float:
        """Share of right answers within a budget."""
        if budget is None:
            return self.ceiling
        return self.ceiling / (1 + math.exp(-self.slope * math.log(budget / self.middle)))

    def optimum(self, budgets: Iterable[int], target: float) -> int | None:
        """The budget with the fewest tokens of those that reach a share of right answers; None where none does."""
        reaching = [budget for budget in budgets if self.accuracy(budget) >= target]
        return min(reaching, key=lambda budget: (self.mean_tokens(budget), budget), default=None)

    def reduction(self, before: int, after: int) -> float:
        """Tokens that `after` saves against `before`, in %, in the mean."""
        return 100 * (1 - self.mean_tokens(after) / self.mean_tokens(before))

    def think(self, budget: int | None = None) -> Thought:
        """Answer once."""
        with self._lock:
            drawn = math.exp(self._draw.gauss(-(self.noise**2) / 2, self.noise))  # of mean 1
            correct = self._draw.random() < self.accuracy(budget)
            thought = Thought(budget, max(1, round(self.mean_tokens(budget) * drawn)), correct)
            self.thoughts.append(thought)
            return thought

    def answer(self, prompt: str) -> tuple[str, int]:
        """Answer a prompt: the text, and the tokens it took.

        A prompt that asks for an estimate of the budget, ``[[budget]]``, gets twice the budget at the middle: enough to
        be right nearly always. Else ``less than N tokens`` in it is the budget.
        """
        if _ESTIMATE.search(prompt):
            return f"Budget: [[{max(1, round(2 * self.middle))}]]", 8
        asked: Sequence[str] = _ASKED.findall(prompt)
        thought = self.think(int(asked[-1]) if asked and int(asked[-1]) > 0 else None)
        return RIGHT if thought.correct else WRONG, thought.tokens

    def respond(self, request: RecordedRequest) -> Reply:
        """Answer a request: for the parameter ``respond`` of a `SimulatedProvider`."""
        text, used = self.answer(request.prompt)
        return Reply(text=text, output_tokens=used, chunks=1)
