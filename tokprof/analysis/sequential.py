"""When to stop repeating: whether the mean of noisy scores keeps a threshold, and how well means are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from tokprof.analysis.books import Floats
from tokprof.analysis.bootstrap import FEW, LEAST, RESAMPLES, SEED, Interval, intervals, t_quantile, tail_share

ALIKE = 1e-9
"""Differences below which figures are the same."""

_USUAL = 0.7  # share of one and the same grade, from which on it is taken for the only one
_PLACES = 200  # at which the share under the alternative is integrated over


def verdict(scores: Sequence[float], threshold: float, error: float = 0.05, least: int = 3) -> bool | None:
    """Decide whether the mean of scores is at or above a threshold, after as few scores as possible.

    Parameters
    ----------
    scores : sequence of float
        From 0 to 1, in the order in which they came.
    threshold : float
    error : float
        Probability of a wrong verdict that is accepted on either side, over all the times one looks.
    least : int
        Scores before which there is no verdict.

    Returns
    -------
    bool or None
        None while it is open.

    Notes
    -----
    Of pass and fail (every score is 0 or 1) the mixture sequential probability ratio test: with q uniform on the far
    side of the threshold m, ``E = mean over q of the product of (q / m)**x * ((1 - q) / (1 - m))**(1 - x)`` is a
    nonnegative supermartingale wherever the mean is on this side of m, so that it exceeds ``1 / error`` with a
    probability of `error` at most, however often one looks (Ville's inequality; Robbins, 1970,
    https://doi.org/10.1214/aoms/1177696786). That holds of any scores between 0 and 1, but graded ones, which vary
    less, would need many more looks than they are worth. As soon as one is neither 0 nor 1, Student's interval decides;
    look n has the part ``error / (n * (n - 1))`` of the error, and all parts add up to it. That is as sure as the
    scores are normal. Graded scores that are all the same tell nothing of their noise: a rubric of five grades gives
    one of them thrice by chance. They decide when even a grade that comes in 7 of 10 runs would hardly have come alone.
    """
    values = np.asarray(scores, np.float64)
    n = len(values)
    if n < least or not n:
        return None
    if ((values == 0) | (values == 1)).all():
        passed = int(values.sum())
        for above in (True, False):
            if _evidence(passed, n, threshold, above) >= math.log(1 / error):
                return above
        return None
    if n < 2:
        return None
    middle, deviation = float(values.mean()), float(values.std(ddof=1))
    if deviation < ALIKE:
        return middle >= threshold - ALIKE if telling(scores, error) else None
    reach = t_quantile(1 - error / (n * (n - 1)), n - 1) * deviation / math.sqrt(n)
    return None if abs(middle - threshold) <= reach else middle > threshold


def telling(scores: Sequence[float], error: float = 0.05) -> bool:
    """Whether scores tell of their noise: graded ones that are all the same do only where there are many."""
    alike = scores[0] not in (0, 1) and max(scores) - min(scores) < ALIKE
    return not alike or _USUAL ** len(scores) <= error


def _evidence(passed: int, n: int, threshold: float, above: bool) -> float:
    """Logarithm of E for a mean above, or below, the threshold."""
    if threshold <= 0 or threshold > 1:  # no share is below 0 or above 1
        return math.inf if above == (threshold <= 0) else -math.inf
    low, high = (threshold, 1.0) if above else (0.0, threshold)
    if high - low < ALIKE:
        return -math.inf
    places = low + (np.arange(_PLACES) + 0.5) / _PLACES * (high - low)
    logs = passed * np.log(places / threshold)
    if n > passed:
        if threshold >= 1:  # one failure is enough
            return math.inf
        logs = logs + (n - passed) * np.log((1 - places) / (1 - threshold))
    top = float(logs.max())
    return top + math.log(float(np.exp(logs - top).mean()))


def interval(scores: Sequence[float], level: float = 0.95) -> Interval:
    """Find the interval of a mean of scores.

    Parameters
    ----------
    scores : sequence of float
        From 0 to 1.
    level : float

    Returns
    -------
    Interval
        Of pass and fail Wilson's (1927, https://doi.org/10.1080/01621459.1927.10502953), else that of the bootstrap;
        NaN of fewer than two.
    """
    n = len(scores)
    if n < LEAST:
        return Interval(math.nan, math.nan)
    values = np.asarray(scores, np.float64)
    middle = float(values.mean())
    if ((values == 0) | (values == 1)).all():
        z = NormalDist().inv_cdf((1 + level) / 2)
        centre = (middle + z * z / (2 * n)) / (1 + z * z / n)
        reach = z / (1 + z * z / n) * math.sqrt(middle * (1 - middle) / n + z * z / (4 * n * n))
        return Interval(max(0.0, centre - reach), min(1.0, centre + reach))
    found = intervals(values[:, None], level)[0]
    return Interval(max(0.0, found.low), min(1.0, found.high))


def differ(one: Sequence[float], other: Sequence[float], errors: float = 3.0) -> bool | None:
    """Whether the geometric means of positive figures differ by more than some standard errors; None of too few."""
    if min(len(one), len(other)) < LEAST:
        return None
    a, b = (np.log(np.maximum(np.asarray(each, np.float64), ALIKE)) for each in (one, other))
    error = math.sqrt(float(a.var(ddof=1)) / len(a) + float(b.var(ddof=1)) / len(b))
    return abs(float(a.mean() - b.mean())) > max(errors * error, ALIKE)


def reduction(before: Sequence[float], after: Sequence[float]) -> tuple[float, Interval]:
    """Find by how much the mean of positive figures went down.

    Parameters
    ----------
    before, after : sequence of float

    Returns
    -------
    tuple of float and Interval
        In %, and its interval at 95 %: the expanded percentile interval of `tokprof.analysis.bootstrap.differences`, of
        the logarithm of the ratio of the means. NaN where it is not known.
    """
    a, b = np.asarray(before, np.float64), np.asarray(after, np.float64)
    unknown = Interval(math.nan, math.nan)
    if not len(a) or not len(b) or a.mean() <= 0:
        return math.nan, unknown
    found = 100 * (1 - float(b.mean() / a.mean()))
    few = min(len(a), len(b))
    if few < LEAST or b.mean() <= 0:
        return found, unknown
    low, high = _ratio_interval(a, b, few)
    return found, Interval(100 * (1 - math.exp(high)), 100 * (1 - math.exp(low)))


def _ratio_interval(a: Floats, b: Floats, few: int) -> tuple[float, float]:
    draw = np.random.default_rng(SEED)
    means = [each[draw.integers(0, len(each), (RESAMPLES, len(each)))].mean(axis=1) for each in (a, b)]
    ratios = np.log(np.maximum(means[1], ALIKE) / np.maximum(means[0], ALIKE))
    share = tail_share(few)
    low, high = (float(each) for each in np.quantile(ratios, [share, 1 - share], method="nearest"))
    if few < FEW:
        error = math.sqrt(sum(float(each.var(ddof=1)) / len(each) / float(each.mean()) ** 2 for each in (a, b)))
        middle = math.log(float(b.mean() / a.mean()))
        reach = t_quantile(0.975, few - 1) * error
        low, high = min(low, middle - reach), max(high, middle + reach)
    return low, high
