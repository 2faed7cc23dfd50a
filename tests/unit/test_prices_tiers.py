"""Service tiers, searches, sound and pictures, off-peak hours: exact dollars by hand from the published prices."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from tokprof.meter.prices import price
from tokprof.span import Span, Usage

SECOND = 10**9
AFTERNOON = 1_793_631_600 * SECOND  # 2026-11-02T15:00:00Z
PEAK = 1_793_584_800 * SECOND  # 2026-11-02T02:00:00Z
BEFORE = 1_767_225_600 * SECOND  # 2026-01-01T00:00:00Z, when the list does not tell the prices of tiers yet


def call(provider: str | None, model: str, usage: Usage, tier: str | None = None, **more: Any) -> Span:
    values: dict[str, Any] = {"kind": "llm", "start": AFTERNOON, "source": "reported"} | more
    made = Span(id=1, parent=None, name="x", opened=0, **values)
    made.provider, made.model, made.usage, made.service_tier = provider, model, usage, tier
    return made


def usd(span: Span) -> str:
    """Cost of a call to the billionth of a dollar, its parts checked."""
    found = price(span)
    assert sum(found.parts[1:]) == pytest.approx(found.parts[0], abs=1e-15) or math.isnan(found.parts[0])
    assert math.isnan(found.parts[0]) == (found.source == "missing")
    return "missing" if found.source == "missing" else f"{found.parts[0]:.9f}"


MIXED = Usage(10_000, 2000, cache_read_tokens=4000)

TIERS = [
    # gpt-5: 1.25 in, 10 out, 0.125 cached; flex and batch half, priority double
    ("openai", "gpt-5", None, "0.028000000"),
    ("openai", "gpt-5", "default", "0.028000000"),
    ("openai", "gpt-5", "auto", "0.028000000"),
    ("openai", "gpt-5", "flex", "0.014000000"),
    ("openai", "gpt-5", "batch", "0.014000000"),
    ("openai", "gpt-5", "priority", "0.056000000"),
    ("openai", "gpt-5", "fast", "0.056000000"),
    ("openai", "gpt-5", "Priority", "0.056000000"),
    ("openai", "gpt-5", "scale", "missing"),
    ("openai", "gpt-5", "ultrafast", "missing"),
    # gpt-4o has no flex tier
    ("openai", "gpt-4o", "flex", "missing"),
    # no discount on cached input in batches: 6000 x 1.25 + 4000 x 1.25 + 2000 x 5
    ("openai", "gpt-4o", "batch", "0.022500000"),
    # claude-opus-4-8: 5 in, 25 out, 0.5 cached; fast mode 10, 50, 1
    ("anthropic", "claude-opus-4-8", "standard", "0.082000000"),
    ("anthropic", "claude-opus-4-8", "fast", "0.164000000"),
    ("anthropic", "claude-opus-4-8", "batch", "0.041000000"),
    ("anthropic", "claude-opus-4-8", "priority", "missing"),
    ("anthropic", "claude-haiku-4-5", "fast", "missing"),
    # gemini-2.5-pro: 1.25 in, 10 out, 0.125 cached
    ("gcp.vertex_ai", "gemini-2.5-pro", "on_demand", "0.028000000"),
    ("gcp.vertex_ai", "gemini-2.5-pro", "traffic_type_unspecified", "0.028000000"),
    ("gcp.vertex_ai", "gemini-2.5-pro", "provisioned_throughput", "missing"),
    ("gcp.vertex_ai", "gemini-2.5-pro", "on_demand_priority", "missing"),
    # llama-3.3-70b-versatile: 0.59 in, 0.79 out; Groq takes the same for flex
    ("groq", "llama-3.3-70b-versatile", "on_demand", "0.007480000"),
    ("groq", "llama-3.3-70b-versatile", "flex", "0.007480000"),
    ("groq", "llama-3.3-70b-versatile", "performance", "missing"),
    # Azure has OpenAI's standard prices, and tiers of its own
    ("azure.ai.openai", "gpt-4o", "default", "0.040000000"),
    ("azure.ai.openai", "gpt-4o", "priority", "missing"),
    ("aws.bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", "default", "0.054120000"),
    ("aws.bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", "reserved", "missing"),
    ("aws.bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", "optimized", "missing"),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "model", "tier", "expected"), TIERS)
def test_a_tier_has_its_price_or_none(provider: str, model: str, tier: str | None, expected: str) -> None:
    assert usd(call(provider, model, MIXED, tier)) == expected


def test_a_tier_has_no_price_before_it_was_published() -> None:
    assert usd(call("openai", "gpt-5", MIXED, "priority", start=BEFORE)) == "missing"
    assert usd(call("openai", "gpt-5", MIXED, "default", start=BEFORE)) == "0.028000000"


def test_long_prompts_in_a_tier() -> None:
    long = Usage(300_000, 1000)  # gpt-5.4 above 272,000: 5 in, 22.5 out; flex half
    assert usd(call("openai", "gpt-5.4", long)) == "1.522500000"
    assert usd(call("openai", "gpt-5.4", long, "flex")) == "0.761250000"
    assert usd(call("openai", "gpt-5.4", Usage(272_000, 1000), "flex")) == "0.347500000"


def test_peak_hours() -> None:
    # deepseek-flash: 0.15 in, 0.6 out, 0.003 cached; twice that from 01:00 to 04:00 and from 06:00 to 10:00 UTC
    assert usd(call("deepseek", "deepseek-flash", MIXED)) == "0.002112000"
    assert usd(call("deepseek", "deepseek-flash", MIXED, start=PEAK)) == "0.004224000"
    four = PEAK + 2 * 3600 * SECOND
    assert usd(call("deepseek", "deepseek-flash", MIXED, start=four - 1)) == "0.004224000"
    assert usd(call("deepseek", "deepseek-flash", MIXED, start=four)) == "0.002112000"


SEARCHES = [
    # 10 a thousand
    ("anthropic", "claude-haiku-4-5", 3, "0.036000000"),
    ("openai", "gpt-5", 2, "0.031250000"),
    # 35 a thousand grounded prompts before Gemini 3, however many queries each made
    ("gcp.gemini", "gemini-2.5-pro", 1, "0.046250000"),
    ("gcp.gemini", "gemini-2.5-pro", 4, "0.046250000"),
    # 14 a thousand queries since: 0.5 in, 3 out
    ("gcp.gemini", "gemini-3-flash-preview", 4, "0.059500000"),
    # the fee of 12 a thousand requests covers them
    ("perplexity", "sonar", 5, "0.014000000"),
    # billed, and the price is not in the list, or one of two
    ("anthropic", "claude-3-haiku-20240307", 1, "missing"),
    ("openai", "gpt-4o", 1, "missing"),
    # a model that always searches and does not tell
    ("openai", "gpt-4o-search-preview", None, "missing"),
    ("openai", "gpt-5-search-api", None, "missing"),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "model", "searches", "expected"), SEARCHES)
def test_searches(provider: str, model: str, searches: int | None, expected: str) -> None:
    assert usd(call(provider, model, Usage(1000, 1000, web_searches=searches))) == expected


def test_no_search_is_no_fee() -> None:
    assert usd(call("anthropic", "claude-3-haiku-20240307", Usage(1000, 1000, web_searches=0))) == "0.001500000"


def test_a_search_counts_as_input() -> None:
    assert price(call("anthropic", "claude-haiku-4-5", Usage(1000, 0, web_searches=1))).parts[1] == pytest.approx(0.011)


# gemini-2.5-flash: text 0.3 in, 0.03 cached; sound 1 in, 0.1 cached; 2.5 out
def gemini(usage: Usage, **told: Any) -> str:
    return usd(call("gcp.gemini", "gemini-2.5-flash", usage, usage_raw=json.dumps({"promptTokenCount": 1, **told})))


def test_sound_in() -> None:
    assert gemini(Usage(10_000, 0, input_audio_tokens=4000)) == "0.005800000"


def test_sound_in_the_cache() -> None:
    usage = Usage(10_000, 0, cache_read_tokens=5000, input_audio_tokens=4000)
    cached = [{"modality": "AUDIO", "tokenCount": 3000}, {"modality": "TEXT", "tokenCount": 2000}]
    # 1000 x 1 + 4000 x 0.3 + 3000 x 0.1 + 2000 x 0.03
    assert gemini(usage, cacheTokensDetails=cached) == "0.002560000"
    text = [{"modality": "TEXT", "tokenCount": 5000}]
    assert gemini(usage, cacheTokensDetails=text) == "0.004450000"  # 4000 x 1 + 1000 x 0.3 + 5000 x 0.03
    assert gemini(usage) == "missing"


def test_pictures_cost_what_text_does_where_no_price_says_else() -> None:
    assert gemini(Usage(10_000, 0, cache_read_tokens=5000, input_image_tokens=9000)) == "0.001650000"


def test_a_model_that_draws() -> None:
    # gemini-2.5-flash-image: 0.3 in, text 2.5 and pictures 30 out
    def drawn(usage: Usage, raw: str | None = None) -> str:
        return usd(call("gcp.gemini", "gemini-2.5-flash-image", usage, usage_raw=raw))

    assert drawn(Usage(1000, 1300, output_image_tokens=1290)) == "0.039025000"
    assert drawn(Usage(1000, 1300)) == "missing"
    text = '{"promptTokenCount":1000,"candidatesTokensDetails":[{"modality":"TEXT","tokenCount":1300}]}'
    assert drawn(Usage(1000, 1300), text) == "0.003550000"
    assert drawn(Usage(1000, 0)) == "0.000300000"


def test_a_model_that_speaks() -> None:
    # gpt-realtime: text 4 in, 16 out, 0.4 cached; sound 32 in, 64 out, 0.4 cached
    usage = Usage(3000, 1000, cache_read_tokens=2000, input_audio_tokens=1500, output_audio_tokens=800)
    split = {"text_tokens": 1000, "audio_tokens": 1000}
    raw = {"input_tokens": 3000, "input_token_details": {"audio_tokens": 1500, "cached_tokens_details": split}}
    # 500 x 32 + 500 x 4 + 2000 x 0.4 + 800 x 64 + 200 x 16
    spoken = call("openai", "gpt-realtime", usage, usage_raw=json.dumps(raw))
    assert usd(spoken) == "0.073200000"
    assert price(spoken).parts[1:] == pytest.approx((0.018, 0.0544, 0.0008, 0.0))


def test_reasoning_with_a_price_of_its_own() -> None:
    deep = ("openrouter", "perplexity/sonar-deep-research")  # 2 in, 8 out, reasoning 3
    assert usd(call(*deep, Usage(1000, 1000, reasoning_tokens=600))) == "0.007000000"
    assert usd(call(*deep, Usage(1000, 1000))) == "missing"


def test_inference_in_one_country_costs_more() -> None:
    def at(geo: str) -> str:
        raw = json.dumps({"input_tokens": 1000, "inference_geo": geo}, separators=(",", ":"))
        usage = Usage(1000, 1000, web_searches=1)
        return usd(call("anthropic", "claude-opus-4-8", usage, usage_raw=raw))

    assert at("global") == at("not_available") == "0.040000000"
    assert at("us") == "0.043000000"  # tokens a tenth more, the search as ever
    assert at("mars") == "missing"


def test_cohere_bills_fewer_tokens_than_it_counts() -> None:
    raw = {
        "tokens": {"input_tokens": 500, "output_tokens": 12},
        "billed_units": {"input_tokens": 5, "output_tokens": 12},
    }
    spent = call("cohere", "command-a", Usage(500, 12), usage_raw=json.dumps(raw))
    assert usd(spent) == "0.000132500"  # 5 x 2.5 + 12 x 10


def test_long_cache_writes_at_bedrock() -> None:
    from tokprof.meter.usage import tally

    lives = [{"ttl": "1h", "inputTokens": 1000}, {"ttl": "5m", "inputTokens": 2000}]
    told = {"inputTokens": 10, "outputTokens": 0, "cacheWriteInputTokens": 3000, "cacheDetails": lives}
    counted = tally(told)
    assert counted is not None
    spent = call("aws.bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", counted[0])
    assert usd(spent) == "0.014883000"  # 10 x 3.3 + 2000 x 4.125 + 1000 x 6.6


def test_a_cost_that_was_told_is_shared_out_among_its_parts() -> None:
    told = call("openai", "gpt-5", Usage(1000, 1000), cost=0.1, cost_source="reported")
    found = price(told)
    assert found.parts == pytest.approx((0.1, 0.1 / 9, 0.8 / 9, 0.0, 0.0))
    assert found.source == "reported"


@pytest.mark.parametrize("source", ["reported", "cached"])
def test_nothing_paid_is_nothing_in_every_part(source: str) -> None:
    found = price(call("openai", "gpt-5", Usage(1000, 1000), cost=0.0, cost_source=source))
    assert found == ((0.0, 0.0, 0.0, 0.0, 0.0), source)


@pytest.mark.parametrize("name", ["voyage-3-large", "glm-4.6"])
def test_names_of_providers_that_the_list_writes_otherwise(name: str) -> None:
    provider = "voyage" if name.startswith("voyage") else "z_ai"
    assert usd(call(provider, name, Usage(1_000_000, 0))) == {"voyage": "0.180000000", "z_ai": "0.600000000"}[provider]
