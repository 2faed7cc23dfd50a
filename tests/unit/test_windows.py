"""What was spent when: by hand on a clock that stands still, and that nothing is lost whatever the windows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tokprof
from tokprof.analysis.windows import parse, windows
from tokprof.span import Span, Usage
from tokprof.table import Table

from .scenes import PRICED, agent, retrieval

SECOND = 1_000_000_000


def stream(start: float, first: float | None, end: float | None, output: int | None = 60, **more: Any) -> Span:
    usage = None if output is None else Usage(input_tokens=1000, output_tokens=output, cache_read_tokens=400)
    opened = round(start * SECOND)
    return Span(
        **{
            "id": opened + 7,
            "parent": None,
            "name": "chat",
            "kind": "llm",
            "start": opened,
            "opened": opened,
            "closed": None if end is None else round(end * SECOND),
            "first_token": None if first is None else round(first * SECOND),
            "status": "ok" if end else "open",
            "model": PRICED,
            "provider": "openai",
            "usage": usage,
            "source": "reported" if usage else "missing",
        }
        | more
    )


def table(*spans: Span, seconds: float = 10) -> Table:
    root = Span(1, None, "cell", "cell", 0, 0, closed=round(seconds * SECOND), status="ok")
    for span in spans:
        span.parent = span.parent or root
    return Table.of((root, *spans), round(seconds * SECOND))


def steps(frame: pd.DataFrame, every: int = 10) -> pd.DataFrame:
    """Windows that follow on each other."""
    return frame.iloc[every - 1 :: every]


def test_input_goes_out_at_the_start_and_output_comes_evenly_after_the_first_token() -> None:
    found = steps(windows(table(stream(1.5, 2, 5)), "1s"))
    assert found.index.tolist() == pytest.approx([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    assert found.input_tokens.tolist() == [0, 1000, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    assert found.cache_read_tokens.tolist()[:3] == [0, 400, 0]
    assert found.output_tokens.tolist()[:6] == pytest.approx([0, 0, 20, 20, 20, 0])
    assert found.total_tokens.tolist()[:3] == pytest.approx([0, 1000, 20])
    assert found.calls_started.tolist()[:4] == [0, 1, 0, 0]
    assert found.in_flight.tolist()[:6] == pytest.approx([0, 0.5, 1, 1, 1, 0])
    # USD 0.15 and 0.075 (cached) a million in, 0.60 out
    assert found.cost.tolist()[:4] == pytest.approx([0, 600 * 0.15e-6 + 400 * 0.075e-6, 12e-6, 12e-6])


def test_windows_roll_in_steps_of_a_tenth() -> None:
    found = windows(table(stream(0, 0, 10, 100), seconds=10), "2s")
    assert found.attrs["window_s"] == 2
    assert found.index.tolist()[:3] == pytest.approx([0.2, 0.4, 0.6])
    assert found.output_tokens.iloc[:3].tolist() == pytest.approx([2, 4, 6])
    assert found.output_tokens.loc[2:10].tolist() == pytest.approx([20] * len(found.loc[2:10]))


def test_without_a_first_token_output_is_spread_over_the_whole_call() -> None:
    found = steps(windows(table(stream(0, None, 3)), "1s"))
    assert found.output_tokens.tolist()[:4] == pytest.approx([20, 20, 20, 0])


def test_a_cost_without_parts_is_spread_over_the_whole_call() -> None:
    found = steps(windows(table(stream(0, 2, 4, cost=0.08, cost_source="reported", model="mystery")), "1s"))
    assert found.cost.tolist()[:5] == pytest.approx([0.02, 0.02, 0.02, 0.02, 0])


def test_a_call_still_under_way_lasts_until_now() -> None:
    found = steps(windows(table(stream(4, None, None, None)), "1s"))
    assert found.in_flight.tolist() == pytest.approx([0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0])


def test_what_no_call_under_way_told_is_not_zero() -> None:
    found = steps(windows(table(stream(0, 0, 2), stream(1, None, 4, None)), "1s"))
    assert found.total_tokens.tolist()[:6] == pytest.approx([1030, 30, math.nan, math.nan, 0, 0], nan_ok=True)
    assert found.unknown_calls.tolist()[:4] == [0, 1, 0, 0]
    assert math.isnan(found.cost.iloc[3]) and found.cost.iloc[7] == 0


def test_groups(clock: Any, frames: Callable[..., None]) -> None:
    prof = agent(clock, frames)
    found = prof.windows("1s", by="model")
    assert found.index.names == ["model", "end_s"]
    every = round(1 / found.index[0][1])
    assert {model: steps(part, every).calls_started.sum() for model, part in found.groupby("model")} == {
        PRICED: 3,
        "mystery": 1,
    }
    assert prof.windows("1s", by=["cell", "line"]).index.names == ["cell", "line", "end_s"]
    with pytest.raises(ValueError, match="'modle' is no column to group by"):
        prof.windows("1s", by="modle")


@pytest.mark.parametrize("scene", [agent, retrieval])
@pytest.mark.parametrize("window", ["1s", "250ms", "10s", "1min", 0.3, 1000])
def test_windows_that_follow_on_each_other_sum_up_to_the_totals(
    clock: Any, frames: Callable[..., None], scene: Any, window: str | float
) -> None:
    prof = scene(clock, frames)
    frame = prof.windows(window)
    length = frame.attrs["window_s"]
    found = steps(frame, round(length / frame.index[0])).sum()
    totals = prof.totals
    for name in ("input_tokens", "output_tokens", "embedding_tokens", "cache_read_tokens", "total_tokens", "cost"):
        assert found[name] == pytest.approx(totals[name], rel=1e-6), name
    assert found.calls_started == totals.calls
    assert found.unknown_calls == totals.unknown_calls
    assert found.in_flight * length == pytest.approx(prof.calls.duration_s.sum())


CALLS = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(0, 3000), st.floats(0, 1), st.integers(0, 10**6)), max_size=20
)


@settings(max_examples=60, deadline=None)
@given(calls=CALLS, window=st.sampled_from([0.01, 0.1, 0.37, 1.0, 60.0]))
def test_no_token_is_lost_or_made_up(calls: list[tuple[int, int, float, int]], window: float) -> None:
    spans = [
        stream(begin / 1000, (begin + wait * length) / 1000, (begin + length) / 1000, output)
        for begin, length, wait, output in calls
    ]
    frame = windows(table(*spans, seconds=8), window)
    length = frame.attrs["window_s"]
    assert len(frame) <= 600
    found = steps(frame, round(length / frame.index[0]))
    assert found.output_tokens.sum() == pytest.approx(sum(output for *_, output in calls), rel=1e-6, abs=1e-3)
    assert found.input_tokens.sum() == 1000 * len(calls)
    assert (frame.output_tokens >= 0).all() and (frame.in_flight >= 0).all()


def test_a_long_profile_has_longer_windows_rather_than_more() -> None:
    found = windows(table(stream(0, 1, 3600), seconds=36_000), "1s")
    assert len(found) == 600
    assert found.attrs["window_s"] == pytest.approx(60)


def test_an_empty_profile(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as prof:
        pass
    assert prof.windows("1s").total_tokens.tolist() == [0] * 10
    assert prof.windows("1s", by="model").shape == (0, len(prof.windows().columns))


@pytest.mark.parametrize(
    ("window", "seconds"),
    [("1s", 1), ("500ms", 0.5), ("2 min", 120), ("2m", 120), (" .5h ", 1800), (3, 3), (0.25, 0.25)],
)
def test_lengths(window: str | float, seconds: float) -> None:
    assert parse(window) == seconds


@pytest.mark.parametrize(
    "window", ["0s", 0, -1, "-1s", "soon", "", "1 fortnight", None, True, float("nan"), math.inf, "1e3s"]
)
def test_a_window_that_is_none_says_what_to_give(window: Any, clock: Any, frames: Callable[..., None]) -> None:
    prof = agent(clock, frames)
    with pytest.raises(ValueError, match='is no window; give a length above zero as "500ms", "1s", "2min" or seconds'):
        prof.windows(window)
    if window is not None:
        with pytest.raises(ValueError, match="is no window"):
            prof.timeline(window)
