"""How sure a difference between repeated runs is: bootstrap intervals, wide enough for few runs."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from tokprof.analysis.books import Floats

LEVEL = 0.95
"""Of an interval: the share of such intervals that hold the true difference."""
RESAMPLES = 4_000
SEED = 20_260_101
LEAST = 2
"""Runs on either side, below which nothing is known of the noise."""
FEW = 5
"""Runs on either side, below which no resampling shows all of the noise."""


class Interval(NamedTuple):
    """Bounds of a difference; NaN where too few runs tell."""

    low: float
    high: float

    @property
    def significant(self) -> bool | None:
        """Whether the interval leaves out 0; None where it is not known."""
        if math.isnan(self.low) or math.isnan(self.high):
            return None
        return self.low > 0 or self.high < 0


def differences(before: Floats, after: Floats) -> list[Interval]:
    """Find intervals of the differences of means.

    Parameters
    ----------
    before : float64 array, shape (runs, figures)
    after : float64 array, shape (other runs, figures)
        Runs are drawn whole, so that the intervals of one run's figures belong together.

    Returns
    -------
    list of Interval
        Of each figure: NaN where there are fewer than `LEAST` runs on a side, or a run did not tell the figure.

    Notes
    -----
    The expanded percentile interval of Hesterberg (2015), https://doi.org/10.1080/00031305.2015.1089789, section 6.3:
    the percentiles are as far out as the t quantile, and the narrowness of the bootstrap of few runs, demand. Of fewer
    than `FEW` runs the extremes are still too near: there the interval is at least that of Student's t, with the
    degrees of freedom of the side with fewer runs.
    """
    runs, others = len(before), len(after)
    if min(runs, others) < LEAST:
        return [Interval(math.nan, math.nan)] * before.shape[1]
    draw = np.random.default_rng(SEED)
    means = [
        side[draw.integers(0, len(side), (RESAMPLES, len(side)))].mean(axis=1)
        for side in (np.asarray(before, np.float64), np.asarray(after, np.float64))
    ]
    few = min(runs, others)
    tail = tail_share(few)
    low, high = np.quantile(means[1] - means[0], [tail, 1 - tail], axis=0, method="nearest")
    if few < FEW:
        middle = np.mean(after, axis=0) - np.mean(before, axis=0)
        error = np.sqrt(np.var(before, axis=0, ddof=1) / runs + np.var(after, axis=0, ddof=1) / others)
        reach = t_quantile(1 - (1 - LEVEL) / 2, few - 1) * error
        low, high = np.minimum(low, middle - reach), np.maximum(high, middle + reach)
    return [Interval(float(least), float(most)) for least, most in zip(low, high, strict=True)]


def intervals(values: Floats, level: float = LEVEL) -> list[Interval]:
    """Find intervals of the means themselves.

    Parameters
    ----------
    values : float64 array, shape (runs, figures)
    level : float
        Of the intervals, between 0 and 1.

    Returns
    -------
    list of Interval
        Of each figure: NaN where there are fewer than `LEAST` runs, or a run did not tell the figure. Made as in
        `differences`.
    """
    runs = len(values)
    if runs < LEAST:
        return [Interval(math.nan, math.nan)] * values.shape[1]
    drawn = np.random.default_rng(SEED).integers(0, runs, (RESAMPLES, runs))
    tail = tail_share(runs, level)
    low, high = np.quantile(values[drawn].mean(axis=1), [tail, 1 - tail], axis=0, method="nearest")
    if runs < FEW:
        reach = t_quantile(1 - (1 - level) / 2, runs - 1) * np.std(values, axis=0, ddof=1) / math.sqrt(runs)
        low, high = np.minimum(low, values.mean(axis=0) - reach), np.maximum(high, values.mean(axis=0) + reach)
    return [Interval(float(least), float(most)) for least, most in zip(low, high, strict=True)]


def tail_share(runs: int, level: float = LEVEL) -> float:
    """Share of resamples beyond each end of the interval."""
    reach = t_quantile(1 - (1 - level) / 2, runs - 1) * math.sqrt(runs / (runs - 1))
    return NormalDist().cdf(-reach)


def t_quantile(share: float, freedom: int) -> float:
    """Quantile of Student's t: exact for 1 and 2 degrees of freedom, else Hill's expansion (1970) to 4 places."""
    if freedom == 1:
        return math.tan(math.pi * (share - 0.5))
    if freedom == 2:
        return (2 * share - 1) * math.sqrt(2 / (4 * share * (1 - share)))
    z = NormalDist().inv_cdf(share)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    fourth = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160
    return z + first / freedom + second / freedom**2 + third / freedom**3 + fourth / freedom**4
