"""Percentiles of the calls' times."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from tokprof.analysis.latency import latency

from .scenes import agent
from .test_windows import stream, table


def test_percentiles_of_duration_and_first_token() -> None:
    spans = [stream(0, 0.1 * n, 1 + n, output=50 * n) for n in range(1, 6)]
    row = latency(table(*spans), ["model"]).iloc[0]
    assert row.calls == 5
    assert (row.duration_s_p50, row.duration_s_p95, row.duration_s_p99) == pytest.approx((4, 5.8, 5.96))
    assert (row.ttft_s_p50, row.ttft_s_p95) == pytest.approx((0.3, 0.48))
    assert row.tokens_per_s == pytest.approx(150 / 3.7)
    assert row.cache_hit_rate == pytest.approx(0.4)


def test_what_nobody_told_is_not_known() -> None:
    row = latency(table(stream(0, None, 2, output=None)), ["model"]).iloc[0]
    assert row.duration_s_p50 == 2
    assert all(math.isnan(row[name]) for name in ("ttft_s_p50", "tokens_per_s", "cache_hit_rate"))


def test_calls_under_way_are_left_out_and_failures_are_not() -> None:
    spans = [stream(0, None, 2, None, status="error", http_status=500), stream(0, None, None), stream(0, 1, 4)]
    row = latency(table(*spans), ["model"]).iloc[0]
    assert (row.calls, row.errors, row.duration_s_p50) == (2, 1, 3)


def test_rows_that_stand_for_many_calls_have_no_time_of_one() -> None:
    row = latency(table(stream(0, 1, 4), stream(0, None, 400, unkept=90)), ["model"]).iloc[0]
    assert (row.calls, row.duration_s_p99) == (1, 4)


def test_groups_of_a_profile(clock: Any, frames: Callable[..., None]) -> None:
    prof = agent(clock, frames)
    found = prof.latency()
    assert found.index.tolist() == ["gpt-4o-mini", "mystery"]
    assert found.calls.tolist() == [3, 1]
    assert found.duration_s_p50.tolist() == [0.25, 62]
    # the calls of `search` did not tell what came from a cache: they are neither hit nor miss
    assert found.cache_hit_rate.tolist()[0] == pytest.approx(0.4)
    assert prof.latency(by=["cell", "line"]).index.names == ["cell", "line"]
    assert prof.latency("tag:user").calls.sum() == 4
    with pytest.raises(ValueError, match="'modle' is no column to group by"):
        prof.latency("modle")
