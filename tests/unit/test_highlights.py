"""What stands out in a profile: spenders and sentences, with the figures of the table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tokprof
from tokprof.analysis.highlights import highlights
from tokprof.views.summary import final_state

from .scenes import agent, call


def remarks(prof: tokprof.Profile) -> tuple[str, ...]:
    return highlights(prof.table).remarks


def test_named_steps_are_the_spenders_where_there_are_several(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as prof:
        for name, kind, tokens in (
            ("plan", "task", 100),
            ("read", "tool", 700),
            ("rank", "tool", 150),
            ("x", "tool", 50),
        ):
            with tokprof.span(name, kind=kind):
                call(clock, 1, input_tokens=tokens, output_tokens=0)
    found = highlights(prof.table).spenders
    assert [(each.who.what, each.who.name, each.tokens, each.share) for each in found] == [
        ("tool", "read", 700, 0.7),
        ("tool", "rank", 150, 0.15),
        ("task", "plan", 100, 0.1),
    ]
    rows = prof.df.iloc[found[0].rows]
    assert rows.input_tokens.sum() == 700
    assert remarks(prof)[0] == "70% of the tokens are read's."


def test_functions_are_where_no_steps_are_named(clock: Any, frames: Callable[..., None]) -> None:
    with tokprof.profile() as prof:
        for place, tokens in (
            ("a.py:3 ask", 300),
            ("a.py:3 ask", 300),
            ("In[2]:5 plan", 400),
            ("In[3]:1 <module>", 100),
        ):
            frames(place)
            call(clock, 1, input_tokens=tokens, output_tokens=0)
    found = highlights(prof.table).spenders
    assert [(each.who, each.calls) for each in found] == [
        (("function", "ask", "a.py:3"), 2),
        (("function", "plan", "In[2]:5"), 1),
        (("line", "In[3]:1", ""), 1),
    ]


def test_models_are_where_all_is_done_in_one_place(clock: Any, frames: Callable[..., None]) -> None:
    frames("a.py:3 ask")
    with tokprof.profile() as prof:
        call(clock, 1, input_tokens=900, output_tokens=0)
        call(clock, 1, "gpt-4o", input_tokens=100, output_tokens=0)
    assert [each.who.name for each in highlights(prof.table).spenders] == ["gpt-4o-mini", "gpt-4o"]


def test_a_cost_that_is_not_known_is_no_zero(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as prof:
        call(clock, 1, "mystery", input_tokens=900, output_tokens=100)
        call(clock, 1, input_tokens=100, output_tokens=0)
    spenders = final_state(prof)["spenders"]
    assert [(each["name"], each["cost"]) for each in spenders] == [("mystery", None), ("gpt-4o-mini", 0.000015)]


def test_where_no_tokens_are_known_time_is_what_was_spent(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as prof:
        call(clock, 3, "slow")
        call(clock, 1, "quick")
    found = highlights(prof.table).spenders
    assert [(each.who.name, each.seconds, each.share) for each in found] == [("slow", 3, 0.75), ("quick", 1, 0.25)]
    assert remarks(prof)[0] == "75% of the time of the calls is slow's."


def test_a_model_without_a_price_comes_with_the_line_that_helps(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as prof:
        call(clock, 1, "o'model", input_tokens=1, output_tokens=1)
    assert remarks(prof) == ("No price for o'model (1 call): tokprof.prices.add(\"o'model\", input=…, output=…)",)


def test_retries_and_failures(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as prof:
        for _ in range(3):
            call(clock, 1, input_tokens=1000, output_tokens=0)
    first, *again = prof.table.spans[1:]
    first.status, first.http_status = "error", 429
    again[0].attempt, again[1].attempt = 2, 3
    first.usage = None
    prof._recording.changed()
    assert remarks(prof) == ("2 requests were sent again after a failure.", "1 call of 3 failed and got no answer.")


def test_streams_that_told_nothing(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as prof:
        for _ in range(4):
            call(clock, 1)
    for span in prof.table.spans[1:]:
        span.stream = True
    prof._recording.changed()
    assert remarks(prof) == ("4 streams told no usage: ask for it with --request-usage.",)


def test_input_that_no_cache_helped_with(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as prof:
        for _ in range(2):
            call(clock, 1, input_tokens=20_000, output_tokens=10, cache_read_tokens=0)
    assert remarks(prof) == ("None of the 40,000 input tokens came from a cache.",)


def test_reasoning_that_is_most_of_the_output(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as prof:
        call(clock, 1, input_tokens=10, output_tokens=1000, reasoning_tokens=800)
    assert remarks(prof) == ("80% of the 1,000 output tokens are reasoning.",)


def test_nothing_stands_out_of_nothing(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as prof:
        pass
    assert highlights(prof.table).spenders == () and remarks(prof) == ()
    state = final_state(prof)
    assert (state["calls"], state["cost"], state["spenders"], state["notes"]) == (0, None, [], [])


def test_the_summary_says_where_its_figures_come_from(clock: Any, frames: Callable[..., None]) -> None:
    state = final_state(agent(clock, frames))
    assert state["notes"][-1] == "Tokens: 3 reported, 1 missing. Cost: 3 by price list, 1 unknown."
    assert (state["tokens"], state["bound"], state["cost_bound"]) == (401_100, "≥", "≥")


def test_a_refused_call_lacks_no_figure(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as prof:
        for _ in range(3):
            call(clock, 1, input_tokens=10, output_tokens=1)
    last = prof.table.spans[-1]
    last.status, last.http_status, last.source, last.usage = "error", 429, "missing", None
    prof._recording.changed()
    assert final_state(prof)["notes"][-1] == "Tokens: 2 reported, 1 refused. Cost: 2 by price list, 1 refused."


@pytest.mark.parametrize("limits", [None, {}, {"tokens": 500_000, "cost": 1.0, "seconds": None}])
def test_a_budget_stands_beside_what_was_used(limits: Any, clock: Any, frames: Callable[..., None]) -> None:
    prof = agent(clock, frames)
    prof._recording.budget = limits
    budget = [(each["what"], each["used"], each["limit"]) for each in final_state(prof)["budget"]]
    assert budget == ([("tokens", 401_100, 500_000), ("cost", pytest.approx(0.06018), 1.0)] if limits else [])


def test_the_state_is_small_whatever_the_profile(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as prof:
        for turn in range(10_000):
            call(clock, 0.001, "gpt-4o" if turn % 2 else "gpt-4o-mini", input_tokens=1, output_tokens=1)
    assert len(str(final_state(prof))) < 5_000
