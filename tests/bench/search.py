"""How well the smallest budget that keeps a score is found: 200 searches with reasoners whose elasticity is known.

Each reasoner is another one: how many tokens it uses, at which budget it starts to write more again, how steeply its
answers get better with the budget, and how noisy all of that is. The best budget is that with the fewest tokens, in the
mean, of those that truly reach the target. ``found`` is the share of searches that ended at most one step from it;
``exact`` those that hit it; ``equal`` those that reported the very reduction that the reasoner's own books have;
``inside`` those whose interval of the reduction holds the true one of the means. Seeded: the same figures each time.
``python tests/bench/search.py``
"""

from __future__ import annotations

import math
import random
from typing import NamedTuple

import tokprof
from tokprof.testing import Reasoner

LOW, HIGH, STEP = 16, 1_600, "25%"
SEEDS = 200
TARGET, TOLERANCE = 0.85, 0.05


class Found(NamedTuple):
    """One search.

    Attributes
    ----------
    off : int or None
        Steps from the best budget.
    runs : int
    reported, booked, true : float
        Reduction in %: as reported, by the books of the reasoner, and of its means.
    inside : bool
        Whether the interval holds the true one.
    """

    off: int | None
    runs: int
    reported: float
    booked: float
    true: float
    inside: bool


def reasoner(seed: int) -> Reasoner:
    draw = random.Random(seed)
    return Reasoner(
        unbounded=draw.randint(900, 1500),
        knee=draw.randint(40, 300),
        middle=draw.uniform(60, 300),
        slope=draw.uniform(3, 8),
        ceiling=draw.uniform(0.93, 1),
        noise=draw.uniform(0.1, 0.4),
        seed=seed,
    )


def search(seed: int, target: float | None, questions: int, **options: int) -> Found:
    """Search once; each run asks so many questions, and scores the share of right answers."""
    model = reasoner(seed)

    def answer(budget: int) -> float:
        right = 0
        for _ in range(questions):
            with tokprof.span("think", kind="llm") as step:
                thought = model.think(budget)
                step.record(model="gpt-4o-mini", provider="openai", input_tokens=60, output_tokens=thought.tokens)
            right += thought.correct
        return right / questions

    found = tokprof.search_budget(answer, lambda share: share, LOW, HIGH, target=target, step=STEP, **options)
    grid = [one.budget for one in found._strategy.tried]
    best = model.optimum(grid, model.accuracy(HIGH) - TOLERANCE if target is None else target)
    if found.budget is None or best is None:
        return Found(None if found.budget is not best else 0, len(found.df), math.nan, math.nan, math.nan, False)
    means = [
        [thought.tokens for thought in model.thoughts if thought.budget == budget] for budget in (HIGH, found.budget)
    ]
    before, after = (sum(each) / len(each) for each in means)
    true, reported = model.reduction(HIGH, found.budget), found.reduction
    return Found(
        grid.index(found.budget) - grid.index(best),
        len(found.df),
        reported.percent,
        100 * (1 - after / before),
        true,
        reported.low <= true <= reported.high,
    )


CASES = (
    ("pass or fail, target 0.85", TARGET, 1, {}),
    ("20 questions a run, target 0.85", TARGET, 20, {}),
    ("20 questions a run, score of the largest less 0.05", None, 20, {}),
    ("20 questions a run, at most 10 runs", TARGET, 20, {"max_repeats": 10}),
    ("pass or fail, score of the largest less 0.05", None, 1, {}),
)


def main() -> None:
    print(f"{'':<52}{'found':>7}{'exact':>7}{'runs':>6}{'equal':>7}{'inside':>8}{'saved':>7}{'truly':>7}")
    for what, target, questions, options in CASES:
        each = [search(seed, target, questions, **options) for seed in range(SEEDS)]
        known = [one for one in each if not math.isnan(one.reported)]
        found = sum(one.off is not None and abs(one.off) <= 1 for one in each) / len(each)
        exact = sum(one.off == 0 for one in each) / len(each)
        runs = sum(one.runs for one in each) / len(each)
        equal = sum(math.isclose(one.reported, one.booked, abs_tol=1e-9) for one in known) / len(known)
        inside = sum(one.inside for one in known) / len(known)
        saved, truly = (sum(one[at] for one in known) / len(known) for at in (2, 4))
        figures = f"{found:>7.1%}{exact:>7.0%}{runs:>6.0f}{equal:>7.0%}{inside:>8.1%}{saved:>6.1f}%{truly:>6.1f}%"
        print(f"{what:<52}{figures}")


if __name__ == "__main__":
    main()
