"""Prices by hand, and in agreement with the library whose list they come from."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest

import tokprof
from tokprof.meter.prices import price
from tokprof.span import Span, Usage

NEW_YEAR = 1_767_225_600 * 10**9


def span(model: str | None, usage: Usage | None, provider: str | None = None, **more: Any) -> Span:
    values: dict[str, Any] = {"kind": "llm", "start": NEW_YEAR} | more
    made = Span(id=1, parent=None, name="x", opened=0, **values)
    made.model, made.usage, made.provider, made.source = model, usage, provider, "reported"
    return made


# USD a million tokens: (fresh input, output, cache reads, cache writes)
BY_HAND = [
    ("plain", "openai", "gpt-4o-mini", Usage(1000, 500), (150e-6, 300e-6, 0, 0)),
    ("cached", "openai", "gpt-4o", Usage(10_000, 100, cache_read_tokens=8000), (5000e-6, 1000e-6, 10_000e-6, 0)),
    ("reasoning is output", "openai", "gpt-4o", Usage(0, 100, reasoning_tokens=90), (0, 1000e-6, 0, 0)),
    ("5 min writes", "anthropic", "claude-haiku-4-5", Usage(3000, 10, cache_write_tokens=2000),
     (1000e-6, 50e-6, 0, 2500e-6)),
    ("1 h writes", "anthropic", "claude-haiku-4-5",
     Usage(9000, 10, cache_read_tokens=1000, cache_write_tokens=5000, cache_write_1h_tokens=2000),
     (3000e-6, 50e-6, 100e-6, 3000 * 1.25e-6 + 2000 * 2e-6)),
    ("at the edge of a tier", "google", "gemini-2.5-pro", Usage(200_000, 1000), (0.25, 0.01, 0, 0)),
    ("beyond it", "google", "gemini-2.5-pro", Usage(200_001, 1000), (200_001 * 2.5e-6, 0.015, 0, 0)),
    ("tier with cache", "anthropic", "claude-sonnet-4-5",
     Usage(300_000, 1000, cache_read_tokens=100_000, cache_write_tokens=50_000), (0.9, 0.0225, 0.06, 0.375)),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "model", "usage", "parts"), [case[1:] for case in BY_HAND],
                         ids=[case[0] for case in BY_HAND])  # fmt: skip
def test_by_hand(provider: str, model: str, usage: Usage, parts: tuple[float, ...]) -> None:
    found = price(span(model, usage, provider))
    assert found.source == "priced"
    assert found.parts[1:] == pytest.approx(parts)
    assert found.parts[0] == pytest.approx(sum(parts))


def test_an_embedding_has_no_output() -> None:
    found = price(span("text-embedding-3-small", Usage(1_000_000), "openai", kind="embedding"))
    assert found.parts[:3] == pytest.approx((0.02, 0.02, 0))


@pytest.mark.parametrize("provider", [None, "openai"])
@pytest.mark.parametrize("model", ["home-made-7b", "", None])
def test_an_unknown_model_is_missing(model: str | None, provider: str | None) -> None:
    found = price(span(model, Usage(10, 10), provider))
    assert found.source == "missing"
    assert all(math.isnan(part) for part in found.parts)


@pytest.mark.parametrize("usage", [None, Usage(), Usage(input_tokens=5), Usage(output_tokens=5)])
def test_a_part_of_a_price_is_no_price(usage: Usage | None) -> None:
    found = price(span("gpt-4o", usage, "openai"))
    assert (found.source, math.isnan(found.parts[0])) == ("missing", True)


def test_the_model_asked_for_is_the_second_choice() -> None:
    asked = span("an-alias-of-the-gateway", Usage(1_000_000, 0), "openai")
    asked.request_model = "gpt-4o-mini"
    assert price(asked).parts[0] == pytest.approx(0.15)


@pytest.mark.parametrize("cost", [0.0, 1.25])
def test_a_reported_cost_wins(cost: float) -> None:
    told = span("gpt-4o-mini", Usage(1000, 500), "openai")
    told.cost, told.cost_source = cost, "reported"
    assert (price(told).parts[0], price(told).source) == (cost, "reported")
    with tokprof.profile() as prof, tokprof.span("x", kind="llm") as step:
        step.record(model="gpt-4o-mini", input_tokens=1000, output_tokens=500, cost=cost)
    assert (prof.totals.cost, prof.calls.cost_source.tolist()) == (cost, ["reported"])


def test_parts_sum_to_the_cost_in_the_table() -> None:
    with tokprof.profile() as prof:
        for model in ("gpt-4o", "claude-haiku-4-5", "gemini-2.5-pro"):
            with tokprof.span("x", kind="llm") as step:
                step.record(model=model, input_tokens=900, output_tokens=70, cache_read_tokens=300)
    parts = prof.calls[["cost_input", "cost_output", "cost_cache_read", "cost_cache_write"]]
    assert parts.sum(axis=1).tolist() == pytest.approx(prof.calls.cost.tolist())
    assert prof.totals.cost == pytest.approx(parts.sum().sum())


USAGES = [
    Usage(1000, 200),
    Usage(250_000, 2000, cache_read_tokens=200_000, cache_write_tokens=10_000, cache_write_1h_tokens=4000),
    Usage(5000, 800, cache_read_tokens=0, reasoning_tokens=500),
    Usage(300_000, 800, web_searches=1),
    Usage(5000, 800, input_audio_tokens=400, output_audio_tokens=100, input_image_tokens=40),
]


def test_agreement_with_genai_prices() -> None:
    from datetime import UTC, datetime

    from genai_prices import Usage as Listed
    from genai_prices.data_snapshot import get_snapshot

    names = {"x-ai": "x_ai", "mistral": "mistral_ai", "google": "gcp.gemini", "aws": "aws.bedrock"}
    makers = ("openai", "anthropic", "google", "mistral", "deepseek", "x-ai", "groq", "aws")
    at = datetime(2026, 11, 2, 15, tzinfo=UTC)
    agreed = dict.fromkeys(range(len(USAGES)), 0)
    tiers = set()
    for maker in get_snapshot().providers:
        for model in maker.models[::3] if maker.id in makers else ():
            for context in (None, *(variant.when for variant in model.price_variants or ())):
                tier = next(iter(context.values())) if context else None
                for number, usage in enumerate(USAGES):
                    known = {name: value for name in Usage.__slots__ if (value := getattr(usage, name)) is not None}
                    known.pop("reasoning_tokens", None)
                    made = span(model.id, usage, names.get(maker.id, maker.id), start=int(at.timestamp()) * 10**9)
                    made.service_tier = tier
                    found = price(made)
                    if found.source == "missing" or maker.find_model(model.id) is not model:
                        continue
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        expected = model.calc_price(
                            Listed(**known), maker, genai_request_timestamp=at, price_context=context
                        )
                    assert found.parts[0] == pytest.approx(float(expected.total_price)), (
                        maker.id,
                        model.id,
                        tier,
                        usage,
                    )
                    assert sum(found.parts[1:]) == pytest.approx(found.parts[0]), (maker.id, model.id, tier, usage)
                    agreed[number] += 1
                    tiers.add(tier)
    assert min(agreed.values()) >= 20
    assert agreed[0] >= 150
    assert tiers == {None, "default", "flex", "priority", "fast", "batch"}


@pytest.mark.parametrize("model", ["gpt-oss-20b", "mistral-small-latest", "llama-3.3-70b", "qwen3-32b", "gemma-3-4b"])
def test_a_model_that_anybody_may_serve_has_no_price_at_an_unknown_host(model: str) -> None:
    with tokprof.profile() as prof, tokprof.span("local") as step:
        step.record(model=model, input_tokens=1000, output_tokens=1000)
    assert prof.calls.cost_source.tolist() == ["missing"]
    assert prof.totals.unpriced_calls == 1
