"""Intervals of differences: noise is seldom called a change, and a change is found."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tokprof.analysis.bootstrap import differences, t_quantile


def test_quantiles_of_student() -> None:
    table = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 9: 2.262, 29: 2.045}  # the usual table
    assert {each: t_quantile(0.975, each) for each in table} == pytest.approx(table, rel=5e-3)


def test_one_run_tells_nothing_of_the_noise() -> None:
    found = differences(np.array([[1.0]]), np.array([[2.0], [2.0]]))[0]
    assert math.isnan(found.low) and found.significant is None


def test_what_never_varies_and_what_a_run_did_not_tell() -> None:
    same, changed, unknown = differences(
        np.array([[5.0, 1000.0, 1.0]] * 3), np.array([[5.0, 800.0, 1.0], [5.0, 800.0, np.nan], [5.0, 800.0, 1.0]])
    )
    assert (same.low, same.high, same.significant) == (0, 0, False)
    assert (changed.low, changed.high, changed.significant) == (-200, -200, True)
    assert unknown.significant is None


@pytest.mark.parametrize(("runs", "most"), [(2, 0.06), (3, 0.06), (4, 0.06), (5, 0.06), (10, 0.06), (30, 0.06)])
def test_noise_is_seldom_called_a_change(runs: int, most: float) -> None:
    draw = np.random.default_rng(1)
    called = [
        each.significant
        for each in differences(draw.lognormal(7, 0.3, (runs, 1000)), draw.lognormal(7, 0.3, (runs, 1000)))
    ]
    assert np.mean(called) <= most


def test_a_change_by_half_is_found() -> None:
    draw = np.random.default_rng(2)
    before, after = draw.lognormal(7, 0.15, (5, 200)), draw.lognormal(7, 0.15, (5, 200)) / 2
    assert np.mean([each.significant for each in differences(before, after)]) > 0.95


def test_the_same_runs_give_the_same_interval() -> None:
    draw = np.random.default_rng(3)
    before, after = draw.normal(9, 1, (6, 3)), draw.normal(8, 1, (6, 3))
    assert differences(before, after) == differences(before, after)
