"""Running sums: those of the table, from new spans alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tokprof
from tokprof.analysis import tally as module
from tokprof.analysis.pulse import BUCKETS, Pulse, pulse
from tokprof.analysis.tally import NEW, Figures, Tally

from .scenes import agent, call, retrieval


def settled(prof: tokprof.Profile) -> Tally:
    tally = Tally(prof._recording)
    while tally.behind:
        tally.update()
    tally.update()  # and of those that had not ended then
    return tally


def agrees(prof: tokprof.Profile) -> None:
    sums, totals = settled(prof).sums, prof.totals
    assert (sums.calls, sums.errors, sums.retries) == (totals.calls, totals.errors, totals.retries)
    assert (sums.unknown, sums.unpriced) == (totals.unknown_calls, totals.unpriced_calls)
    assert sums.tokens == totals.total_tokens
    assert sums.cost == pytest.approx(totals.cost)


@pytest.mark.parametrize("scene", [agent, retrieval])
def test_it_comes_to_the_totals(scene: Callable[..., tokprof.Profile], clock: Any, frames: Callable[..., None]) -> None:
    agrees(scene(clock, frames))


def test_a_step_that_sums_up_the_calls_below_it_counts_once(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as prof, tokprof.span("framework", kind="agent") as step:
        call(clock, 1, input_tokens=1000, output_tokens=100)
        step.record(model="gpt-4o-mini", input_tokens=1500, output_tokens=100)
    agrees(prof)
    assert settled(prof).sums.tokens == 1600


def test_it_is_the_same_in_many_steps_as_in_one(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as prof:
        tally = Tally(prof._recording)
        for _ in range(3):
            with tokprof.span("step", kind="tool"):
                tally.update()
                call(clock, 1, input_tokens=10, output_tokens=1)
                tally.update()
        assert tally.sums.tokens == 33
        assert [(each.who.name, each.tokens) for each in tally.spenders.top(3)] == [("step", 33)]
    agrees(prof)


def test_an_update_looks_at_new_spans_only(
    clock: Any, frames: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    frames()
    looked: list[Any] = []
    price = module.price
    monkeypatch.setattr(module, "price", lambda span: (looked.append(span), price(span))[1])
    with tokprof.profile() as prof:
        tally = Tally(prof._recording)
        for _ in range(3 * NEW):
            call(clock, 0.001, input_tokens=10, output_tokens=1)
        while tally.behind:
            before = len(looked)
            tally.update()
            assert len(looked) - before <= NEW
        assert len(looked) == 3 * NEW
        for _ in range(3):
            call(clock, 0.001, input_tokens=10, output_tokens=1)
        looked.clear()
        tally.update()
        assert len(looked) == 3
        looked.clear()
        tally.update()
        assert looked == []
        assert tally.sums == Figures(
            calls=3 * NEW + 3, input=10 * (3 * NEW + 3), output=3 * NEW + 3, cost=pytest.approx(tally.sums.cost)
        )


def test_calls_that_a_processor_lets_go_are_counted(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.use(lambda span: None), tokprof.profile() as prof:
        tally = Tally(prof._recording)
        for _ in range(5):
            call(clock, 1, input_tokens=10, output_tokens=1)
            tally.update()
        assert (tally.sums.calls, tally.sums.tokens) == (5, 55)
    agrees(prof)


def test_the_pulse_keeps_every_token_in_a_few_numbers() -> None:
    beat = Pulse()
    for second in range(10_000):
        beat.add(second / 10, 7)
    counts = beat.counts(1000)
    assert len(counts) <= BUCKETS
    assert sum(counts) == 70_000
    assert max(counts[:-1]) <= 2 * min(counts[:-1])


def test_the_pulse_of_a_table_is_that_of_its_tally(clock: Any, frames: Callable[..., None]) -> None:
    prof = agent(clock, frames)
    seconds = prof.totals.seconds
    assert pulse(prof.table).counts(seconds) == settled(prof).pulse.counts(seconds)
