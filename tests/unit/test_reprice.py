"""The recorded run at other prices, by hand; and what is not known is said."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

import tokprof
from tokprof.analysis.repeats import BLOCK, LIFE, prompt_of, repeats
from tokprof.meter import prices
from tokprof.meter.siblings import siblings
from tokprof.span import Span

from .scenes import PRICED, agent, call, retrieval

# USD a million tokens in, out, from the cache: gpt-4o-mini 0.15, 0.60, 0.075; gpt-4o 2.50, 10, 1.25


@pytest.fixture(autouse=True)
def no_own_prices() -> Any:
    yield
    prices.clear()


def chat(clock: Any, messages: list[str], seconds: float = 1, tokens: int = 10_000, **figures: Any) -> None:
    """A call whose prompt is kept, as capture="full" keeps it."""
    with tokprof.span("chat", kind="llm") as step:
        clock.advance(seconds)
        step.record(model=PRICED, provider="openai", input_tokens=tokens, output_tokens=100, **figures)
        assert step.span is not None
        body = {"model": PRICED, "messages": [{"role": "user", "content": text} for text in messages]}
        step.span.content = {"prompt": json.dumps(body), "answer": "{}"}


def test_another_model_by_hand(clock: Any) -> None:
    with tokprof.profile("In[1]") as prof:
        call(clock, 1, input_tokens=1_000_000, output_tokens=100_000, cache_read_tokens=400_000)
    found = prof.reprice("gpt-4o")
    assert found.index.tolist() == ["as recorded", "gpt-4o"]
    assert found.cost.tolist() == pytest.approx([0.09 + 0.03 + 0.06, 1.5 + 0.5 + 1.0])
    assert found.delta.tolist() == pytest.approx([0, 2.82])
    assert found.ratio.tolist() == pytest.approx([1, 3 / 0.18])
    assert found.notes.tolist() == ["", "tokens as the recorded models counted and wrote them"]
    assert prof.reprice("gpt-4o", cache=False).cost.tolist()[1] == pytest.approx(2.5 + 1.0)


def test_a_table_of_alternatives_and_the_same_model(clock: Any) -> None:
    with tokprof.profile("In[1]") as prof:
        call(clock, 1, input_tokens=1_000_000, output_tokens=0)
    found = prof.reprice([PRICED, "gpt-4o", "claude-haiku-4-5", None])
    assert found.index.tolist() == ["as recorded", PRICED, "gpt-4o", "claude-haiku-4-5", "the same models"]
    assert found.cost.tolist() == pytest.approx([0.15, 0.15, 2.5, 1.0, 0.15])


def test_with_nothing_told_there_are_alternatives_of_the_same_maker_cheapest_first(clock: Any) -> None:
    with tokprof.profile("In[1]") as prof:
        call(clock, 1, "gpt-4o", input_tokens=100_000, output_tokens=1000)
        call(clock, 1, "gpt-4o", input_tokens=1000, output_tokens=1000)
    found = prof.reprice()
    assert found.index[0] == "as recorded" and found.index.is_unique
    assert {"the same models, cached", "the same models, as a batch", "gpt-4o-mini"} <= set(found.index)
    assert "gpt-4o" not in found.index
    assert found.loc["gpt-4o-mini", "cost"] == prof.reprice("gpt-4o-mini").cost.iloc[1]
    known = found.cost[1:].dropna().tolist()
    assert known == sorted(known) and known[0] < found.cost.iloc[0] and len(known) > 3
    assert not [name for name in found.index if "audio" in name or "embedding" in name or name.startswith("claude")]


def test_alternatives_have_room_for_the_largest_prompt(clock: Any) -> None:
    with tokprof.profile("In[1]") as prof:
        call(clock, 1, "gpt-4.1", input_tokens=600_000, output_tokens=10)
    found = prof.reprice()
    assert "gpt-4.1-mini" in found.index  # a million tokens
    assert "gpt-5.4-mini" not in found.index  # 400,000


def test_alternatives_of_several_makers_and_of_none(clock: Any) -> None:
    with tokprof.profile("In[1]") as prof:
        call(clock, 1, "gpt-4o-mini", input_tokens=1000, output_tokens=10)
        call(clock, 1, "claude-haiku-4-5", input_tokens=1000, output_tokens=10)
    makers = {name.partition("-")[0] for name in prof.reprice().index[1:] if not name.startswith("the same")}
    assert makers == {"gpt", "claude"}
    with tokprof.profile("In[2]") as unlisted:
        call(clock, 1, "home-made-7b", input_tokens=1000, output_tokens=10)
    assert len(unlisted.reprice()) == 3 and unlisted.reprice().cost.isna().all()
    with tokprof.profile("In[3]") as none:
        pass
    assert none.reprice().cost.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("model", "among", "never"),
    [
        ("gpt-4o", {"gpt-4o-mini"}, {"gpt-4o", "gpt-3.5-turbo", "gpt-4o-audio-preview", "gpt-4o-2024-05-13"}),
        ("gpt-4.1-2025-04-14", {"gpt-4.1-mini", "gpt-4.1-nano"}, {"gpt-4.1", "gpt-4"}),
        ("claude-opus-4-5", {"claude-haiku-4-5", "claude-sonnet-4-5"}, {"claude-2", "claude-3-haiku"}),
        ("gemini-2.5-pro", {"gemini-2.5-flash", "gemini-2.5-flash-lite"}, {"gemini-2.5-flash-image", "gemini-pro"}),
        ("text-embedding-3-small", set(), {"text-embedding-3-large"}),
        ("home-made-7b", set(), set()),
    ],
)
def test_siblings_of_a_model(model: str, among: set[str], never: set[str]) -> None:
    found = set(siblings(model, None))
    assert among <= found and not found & never


def test_an_unknown_price_is_not_a_number_and_said(clock: Any, frames: Callable[..., None]) -> None:
    with tokprof.profile("In[1]") as prof:
        call(clock, 1, input_tokens=1000, output_tokens=10)
    row = prof.reprice("home-made-7b").loc["home-made-7b"]
    assert math.isnan(row.cost) and math.isnan(row.delta) and row.known_cost == 0
    assert row.unpriced_calls == 1
    assert "1 of 1 calls without a known price of home-made-7b" in row.notes
    prices.add("home-made-7b", input=1, output=2)
    assert prof.reprice("home-made-7b").cost.iloc[1] == pytest.approx(1020e-6)

    partly = agent(clock, frames).reprice("gpt-4o")  # one of its calls told no usage
    assert partly.cost.isna().all()
    assert partly.unpriced_calls.tolist() == [1, 1]
    assert partly.known_cost.tolist() == pytest.approx([0.06018, 1.003])
    assert "1 calls without a known cost" in partly.notes.iloc[0]


def test_batch_is_the_listed_tier_or_not_known(clock: Any) -> None:
    with tokprof.profile("In[1]") as prof:
        with tokprof.span("chat", kind="llm") as step:
            step.record(model="gpt-4o", provider="openai", input_tokens=1_000_000, output_tokens=0)
    early = prof.reprice(batch=True).iloc[1]  # the list tells this tier from October 2026 on
    assert math.isnan(early.cost) and "without a known price of their models in the tier batch" in early.notes
    for span in prof.table.spans:
        span.start += 320 * 86_400 * 10**9
    assert prof.reprice(batch=True).cost.tolist() == pytest.approx([2.5, 1.25])
    unknown = prof.reprice("mistral-large-latest", provider="mistral_ai", batch=True).iloc[1]
    assert math.isnan(unknown.cost) and "in the tier batch" in unknown.notes


def test_embeddings_stay_what_they_are(clock: Any, frames: Callable[..., None]) -> None:
    prof = retrieval(clock, frames)
    found = prof.reprice("gpt-4o")
    assert "2 calls of embedding models and rerankers as recorded" in found.notes.iloc[1]
    assert found.known_cost.iloc[1] == pytest.approx(5000 * 0.02e-6 + 600 * 2.5e-6 + 400 * 1.25e-6 + 100 * 10e-6)


def test_a_cost_that_was_told_gives_way_to_the_list_and_this_is_said(clock: Any) -> None:
    with tokprof.profile("In[1]") as prof:
        call(clock, 1, input_tokens=1_000_000, output_tokens=0, cost=9.0, cache_read_tokens=1_000_000)
    assert prof.reprice([None]).cost.tolist() == [9, 9]  # nothing is different
    found = prof.reprice(cache=False)
    assert found.cost.tolist() == pytest.approx([9, 0.15])
    assert "1 calls told their cost; here they have the price of the list" in found.notes.iloc[1]


def test_a_refused_call_costs_nothing_anywhere(clock: Any) -> None:
    with tokprof.profile("In[1]") as prof:
        call(clock, 1, input_tokens=1000, output_tokens=0)
        with pytest.raises(ValueError), tokprof.span("chat", kind="llm") as step:
            step.record(model=PRICED)
            assert step.span is not None
            step.span.http_status = 429
            raise ValueError
    assert prof.reprice("gpt-4o").cost.tolist() == pytest.approx([0.00015, 0.0025])


def test_a_step_that_sums_up_is_priced_once(clock: Any) -> None:
    with tokprof.profile("In[1]") as prof:
        with tokprof.span("agent", kind="agent") as step:
            call(clock, 1, input_tokens=1000, output_tokens=0)
            step.record(model=PRICED, input_tokens=1000, output_tokens=0)
    assert prof.reprice("gpt-4o").cost.tolist() == pytest.approx([0.00015, 0.0025])


# --- the cache ----------------------------------------------------------------------------------

LONG = "".join(f"{at:04}" for at in range(1600))  # 6,400 characters


def test_a_repeated_prefix_is_read_from_the_cache(clock: Any) -> None:
    with tokprof.profile("In[1]") as prof:
        chat(clock, [LONG, "first"])
        chat(clock, [LONG, "second"])
    found = prof.reprice(cache=True)
    sizes = [prompt.size for span in prof.table.spans if (prompt := prompt_of(span)) is not None]
    shared = int(10_000 * (len('{"role":"user","content":""}') + 6400) // BLOCK * BLOCK / sizes[1])
    read = found.cache_read_tokens.iloc[1]
    assert 0.97 * shared < read < 10_000
    assert found.cost.tolist() == pytest.approx(
        [2 * (0.0015 + 0.00006), 2 * (0.0015 + 0.00006) - read * (0.15 - 0.075) * 1e-6]
    )
    assert found.notes.iloc[1] == "cache simulated for 2 of 2 calls"
    assert prof.reprice("claude-haiku-4-5", cache=True).cache_write_tokens.iloc[1] > 0.97 * shared


def test_what_is_not_read_from_the_cache(clock: Any) -> None:
    with tokprof.profile("short") as prof:
        chat(clock, ["a" * 400], tokens=1000)
        chat(clock, ["a" * 400], tokens=1000)
    assert prof.reprice(cache=True).cache_read_tokens.iloc[1] == 0
    with tokprof.profile("too late") as prof:
        chat(clock, [LONG])
        clock.advance(LIFE + 1)
        chat(clock, [LONG])
    assert prof.reprice(cache=True).cache_read_tokens.iloc[1] == 0
    with tokprof.profile("changed at the top") as prof:
        chat(clock, ["monday" + LONG])
        chat(clock, ["tuesday" + LONG])
    assert prof.reprice(cache=True).cache_read_tokens.iloc[1] == 0


def test_prompts_side_by_side_do_not_share_a_cache() -> None:
    span = Span(1, None, "chat", "llm", 0, 0, content={"prompt": json.dumps({"messages": [{"content": LONG}]})})
    prompt = prompt_of(span)
    assert prompt is not None
    found = repeats([(0, 2, "m", prompt), (1, 3, "m", prompt), (2, 4, "m", prompt), (5, 6, "other", prompt)])
    assert [round(each.read, 1) for each in found] == [0, 0, 1, 0]
    assert [round(each.write, 1) for each in found] == [1, 0, 0, 0]
    marked = {"messages": [{"content": LONG, "cache_control": {"type": "ephemeral"}}]}
    moved = prompt_of(Span(1, None, "chat", "llm", 0, 0, content={"prompt": json.dumps(marked)}))
    assert moved is not None and moved.parts == prompt.parts


def test_without_prompts_the_told_cache_stays_and_this_is_said(clock: Any) -> None:
    with tokprof.profile("In[1]") as prof:
        call(clock, 1, input_tokens=4000, output_tokens=0, cache_read_tokens=2000)
    found = prof.reprice(cache=True)
    assert found.cache_read_tokens.tolist() == [2000, 2000]
    assert found.notes.iloc[1] == (
        "all calls have the cache figures that they told: their prompts were not kept (capture='full')"
    )
    with tokprof.profile("In[2]") as prof:
        chat(clock, [LONG])
        call(clock, 1, input_tokens=4000, output_tokens=0)
    assert "cache simulated for 1 of 2 calls; 1 have the cache figures" in prof.reprice(cache=True).notes.iloc[1]


@pytest.mark.parametrize("model", ["", [], ["gpt-4o", 7]])
def test_what_is_no_model(clock: Any, model: Any) -> None:
    with tokprof.profile("In[1]") as prof:
        call(clock, 1, input_tokens=1, output_tokens=1)
    with pytest.raises(ValueError, match="model must be a name"):
        prof.reprice(model)


def test_a_model_that_is_not_listed_gets_names_that_are(clock: Any) -> None:
    with tokprof.profile("In[1]") as prof:
        call(clock, 1, input_tokens=1000, output_tokens=10)
    notes = prof.reprice(["gpt-4o-minni", "gpt-4o", "zzzzzz"]).notes
    assert "no price for gpt-4o-minni: did you mean gpt-4o-mini" in notes.iloc[1]
    assert "did you mean" not in notes.iloc[2] and notes.iloc[3].endswith("no price for zzzzzz")
