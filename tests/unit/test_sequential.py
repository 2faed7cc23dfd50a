"""When to stop repeating: errors of the test are as rare as it says, and intervals hold what they are of."""

from __future__ import annotations

import math
import random

import pytest

from tokprof.analysis.search import Search, grid, isotonic
from tokprof.analysis.sequential import differ, interval, reduction, verdict


@pytest.mark.parametrize(("share", "wrong"), [(0.7, True), (0.6, True), (0.8, False), (0.9, False)])
def test_wrong_verdicts_are_rare_however_often_one_looks(share: float, wrong: bool) -> None:
    threshold, errors = (0.7, 0) if share <= 0.7 else (0.8, 0)
    for seed in range(200):
        draw, scores = random.Random(f"{share} {seed}"), []
        for _ in range(60):
            scores.append(float(draw.random() < share))
            if (said := verdict(scores, threshold)) is not None:
                errors += said is wrong
                break
    assert errors <= 200 * 0.05 + 3 * math.sqrt(200 * 0.05 * 0.95)


def test_few_scores_are_enough_where_it_is_clear() -> None:
    assert verdict([0.0, 0.0, 0.0], 0.9) is False
    assert verdict([1.0] * 40, 0.5) is True
    assert verdict([1.0] * 3, 0.95) is None
    assert verdict([0.9, 0.91, 0.9, 0.89, 0.9], 0.5) is True
    assert verdict([0.4, 0.41, 0.4, 0.39, 0.4], 0.5) is False
    assert verdict([0.4, 0.6, 0.5], 0.5) is None
    assert verdict([0.8] * 9, 0.8) is True and verdict([0.8] * 9, 0.9) is False  # no noise at all
    assert verdict([], 0.5, least=0) is None


def test_a_grade_that_comes_thrice_by_chance_decides_nothing() -> None:
    """Of five grades, one comes most of the time; the mean is below the threshold."""
    wrong = 0
    for seed in range(200):
        draw, scores = random.Random(seed), []
        for _ in range(40):
            scores.append(draw.choices([0.75, 0.25], [0.6, 0.4])[0])  # of mean 0.55
            if (said := verdict(scores, 0.7)) is not None:
                wrong += said
                break
    assert wrong <= 200 * 0.05
    search = Search([10, 20, 30], None, 0.05, least=3, most=40)
    for _ in range(3):
        search.add(2, 0.75, 100)
    assert not search.settled(2)


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.1, 1.1])
def test_thresholds_at_the_ends(threshold: float) -> None:
    assert verdict([1.0] * 100, threshold) is (None if threshold == 1.0 else threshold < 1)
    assert verdict([0.0] * 100, threshold) is (threshold <= 0)


def test_intervals_of_scores() -> None:
    assert interval([1.0] * 8 + [0.0] * 2) == pytest.approx((0.4902, 0.9433), abs=1e-4)  # Wilson's
    low, high = interval([0.5, 0.6, 0.55, 0.52, 0.58])
    assert 0.5 <= low < 0.55 < high <= 0.6
    assert math.isnan(interval([1.0]).low)


def test_a_reduction_and_how_well_it_is_known() -> None:
    percent, between = reduction([1000, 1100, 900, 1000, 950], [500, 480, 520, 510, 490])
    assert percent == pytest.approx(100 * (1 - 500 / 990))
    assert between.low < percent < between.high
    assert math.isnan(reduction([], [1.0])[0])
    percent, between = reduction([1000], [500])
    assert percent == 50 and math.isnan(between.low)


def test_differences_beyond_the_noise() -> None:
    assert differ([100, 101, 99], [200, 205, 195]) is True
    assert differ([100, 150, 60], [110, 70, 140]) is False
    assert differ([100], [200]) is None
    assert differ([100, 100], [100, 100]) is False


def test_pooling() -> None:
    assert isotonic([0.1, 0.5, 0.3, 0.9], [1, 1, 1, 1]) == pytest.approx([0.1, 0.4, 0.4, 0.9])
    assert isotonic([0.9, 0.1], [3, 1]) == pytest.approx([0.7, 0.7])
    assert isotonic([], []) == []


def test_grids_hold_both_ends() -> None:
    assert grid(16, 1600, 0.25, True)[0] == 16 and grid(16, 1600, 0.25, True)[-1] == 1600
    steps = [b / a for a, b in zip(grid(100, 9999, 0.25, True), grid(100, 9999, 0.25, True)[1:], strict=False)]
    assert max(steps) <= 1.26
    assert grid(10, 100, 40, False) == [10, 50, 90, 100]
    assert grid(1, 3, 0.01, True) == [1, 2, 3]


def test_a_search_without_noise_halves() -> None:
    search = Search(list(range(1, 65)), 0.5, most=3, elastic=False)
    tried = []
    while (at := search.following()) is not None:
        tried.append(at)
        search.add(at, float(search.tried[at].budget >= 23), 1.0)
    assert search.answer is not None and search.tried[search.answer].budget == 23
    assert len(set(tried)) <= 8


def test_one_unlucky_budget_does_not_lead_astray() -> None:
    search = Search(list(range(1, 65)), 0.5, most=20, elastic=False)
    draw = random.Random(5)
    while (at := search.following()) is not None:
        budget = search.tried[at].budget
        share = 0.35 if budget == 40 else 0.95 if budget >= 23 else 0.05
        search.add(at, float(draw.random() < share), 1.0)
    assert search.answer is not None and abs(search.tried[search.answer].budget - 23) <= 1
