"""The smallest budget that keeps a score: which one to try next, and which is the answer.

That more budget means a better score holds only nearly, and each score is noise; so nothing is decided for good. After
each trial all that was measured is pooled under the one assumption that a larger budget does not score worse (isotonic
regression: Ayer et al., 1955, https://doi.org/10.1214/aoms/1177728423), and the search looks between the largest budget
that misses the threshold there and the smallest that keeps it. An unlucky score leads it astray for a while, not for
good: the two budgets that it ends between are tried until a test is sure of them, or `most` times.

Then the elasticity (Han et al., 2024, https://arxiv.org/abs/2412.18547): asked for too little, a model writes more, not
less. Where the smallest budget that keeps the score uses more tokens than the one above it, the search climbs to the
budget at which tokens are fewest; they are taken to fall and then to rise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from tokprof.analysis.sequential import ALIKE, differ, interval, telling, verdict


def grid(low: int, high: int, step: float, relative: bool) -> list[int]:
    """Lay out budgets from `low` to `high`, both included.

    Parameters
    ----------
    low, high : int
    step : float
        From each budget to the next: tokens, or where `relative`, a share of it (steps are then made equal, and no
        longer than that).
    relative : bool
    """
    if relative:
        steps = max(1, math.ceil(math.log(high / low) / math.log1p(step) - ALIKE))
        return sorted({round(low * (high / low) ** (at / steps)) for at in range(steps + 1)})
    steps = math.ceil((high - low) / step - ALIKE)
    return sorted({*(round(low + at * step) for at in range(steps)), high})


@dataclass(slots=True)
class Tried:
    """What was measured at one budget.

    Attributes
    ----------
    budget : int
    trials : int
    failed : int
        Trials whose function raised.
    scores : list of float
        From 0 to 1, of the trials that have one.
    tokens : list of float
        Of the trials that told.
    """

    budget: int
    trials: int = 0
    failed: int = 0
    scores: list[float] = field(default_factory=list)
    tokens: list[float] = field(default_factory=list)

    @property
    def score(self) -> float:
        """Mean score; NaN where no trial has one."""
        return math.fsum(self.scores) / len(self.scores) if self.scores else math.nan

    @property
    def used(self) -> float:
        """Mean tokens; NaN where no trial told."""
        return math.fsum(self.tokens) / len(self.tokens) if self.tokens else math.nan


class Search:
    """A search under way.

    Parameters
    ----------
    budgets : sequence of int
        Rising.
    target : float or None
        The score to keep, from 0 to 1; None for that at the largest budget, less `tolerance`.
    tolerance : float
    error : float
        Probability of a wrong verdict of one test.
    least, most : int
        Trials of a budget before it is judged, and at most.
    elastic : bool
        Whether budgets are left out below which answers get longer again.

    Attributes
    ----------
    tried : list of Tried
        One for each budget.
    threshold : float or None
        The score to keep, as soon as it is known.
    answer : int or None
        Place of the budget that was found.
    reason : str
        Why there is none: ``missed``, ``failed`` or ``unscored``; empty while there may be one.
    """

    def __init__(
        self,
        budgets: Sequence[int],
        target: float | None = None,
        tolerance: float = 0.05,
        error: float = 0.05,
        least: int = 3,
        most: int = 40,
        elastic: bool = True,
    ):
        self.tried = [Tried(budget) for budget in budgets]
        self.threshold = target
        self.answer: int | None = None
        self.reason = ""
        self._tolerance, self._error = tolerance, error
        self._least, self._most = least, most
        self._elastic = elastic

    def add(self, at: int, score: float, tokens: float, failed: bool = False) -> None:
        """Take in a trial of the budget at a place; NaN is what is not known."""
        one = self.tried[at]
        one.trials += 1
        one.failed += failed
        if not math.isnan(score):
            one.scores.append(score)
        if not math.isnan(tokens):
            one.tokens.append(tokens)

    def following(self) -> int | None:
        """Give the place of the budget to try next; None when the search has ended."""
        top = len(self.tried) - 1
        if not self.settled(top):
            return top
        highest = self.tried[top]
        if highest.failed == highest.trials or not highest.scores:
            self.reason = "failed" if highest.failed else "unscored"
            return None
        if self.threshold is None:
            self.threshold = highest.score - self._tolerance
        for at, one in enumerate(self.tried):
            if 0 < one.trials < self._least:
                return at
        low, high = self._bracket()
        if high is None:
            self.answer, self.reason = None, "missed"
            return None
        if high - low > 1:
            return (low + high) // 2
        for at in (high, low):
            if at >= 0 and not self.settled(at):
                return at
        self.answer = high
        return self._climb(high, top) if self._elastic and highest.tokens else None

    def settled(self, at: int) -> bool:
        """Whether no more trials of a budget are needed to judge it."""
        one = self.tried[at]
        if one.trials >= self._most or (one.trials >= self._least and (not one.scores or one.failed == one.trials)):
            return True
        if self.threshold is not None:
            return self.sure(at) is not None
        if one.trials < self._least:
            return False
        low, high = interval(one.scores, 1 - self._error)
        return (high - low) / 2 <= self._tolerance / 2 and telling(one.scores, self._error)

    def sure(self, at: int) -> bool | None:
        """What the test says of a budget; None while it is open."""
        if self.threshold is None:
            return None
        return verdict(self.tried[at].scores, self.threshold, self._error, self._least)

    def keeps(self) -> list[bool | None]:
        """Whether each budget keeps the threshold, by all that was measured; None of those not tried."""
        known = [at for at, one in enumerate(self.tried) if one.trials]
        # a budget whose trials have no score keeps nothing
        means = [0.0 if not self.tried[at].scores else self.tried[at].score for at in known]
        fit = isotonic(means, [max(1, len(self.tried[at].scores)) for at in known])
        found: list[bool | None] = [None] * len(self.tried)
        for at, value in zip(known, fit, strict=True):
            found[at] = None if self.threshold is None else value >= self.threshold - ALIKE
        return found

    def _bracket(self) -> tuple[int, int | None]:
        """The largest budget that misses, -1 for none, and the smallest above it that keeps."""
        found = self.keeps()
        kept = [at for at, each in enumerate(found) if each]
        if not kept:
            return -1, None
        return max((at for at in range(kept[0]) if found[at] is not None), default=-1), kept[0]

    def _climb(self, low: int, top: int) -> int | None:
        """Look for the fewest tokens from a budget upwards."""
        first, last = low, top
        at = low  # first the one above: tokens seldom rise again where a score is kept
        while first < last:
            again = self._undecided(at, at + 1)
            if again is not None:
                return again
            if self.tried[at].used <= self.tried[at + 1].used or not self.tried[at + 1].tokens:
                last = at
            else:
                first = at + 1
            at = (first + last) // 2
        self.answer = first
        return None

    def _undecided(self, one: int, other: int) -> int | None:
        """Which of two budgets is to be tried again to tell whose answers are longer; None where it is known."""
        few, more = sorted((one, other), key=lambda at: self.tried[at].trials)
        if self.tried[few].trials < self._least:
            return few
        if self.tried[few].trials >= self._most or not self.tried[few].tokens:
            return None
        return None if differ(self.tried[few].tokens, self.tried[more].tokens) else few


def isotonic(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Fit rising values by least squares: pool adjacent violators.

    Parameters
    ----------
    values, weights : sequence of float
        In order.
    """
    blocks: list[tuple[float, float, int]] = []  # sum, weight, values
    for value, weight in zip(values, weights, strict=True):
        block = (value * weight, weight, 1)
        while blocks and blocks[-1][0] / blocks[-1][1] > block[0] / block[1]:
            last = blocks.pop()
            block = (last[0] + block[0], last[1] + block[1], last[2] + block[2])
        blocks.append(block)
    return [total / weight for total, weight, count in blocks for _ in range(count)]
