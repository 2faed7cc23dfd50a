"""Prices of many calls at once are, to the bit, those of each call by itself."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokprof import prices
from tokprof.meter import many
from tokprof.meter.listed import tariff
from tokprof.span import Pinned, Span, Usage
from tokprof.table import Table

NAN = math.nan
MODELS = (
    ("openai", "gpt-4o"),
    ("gcp.gemini", "gemini-2.5-flash"),  # sound has prices of its own
    ("gcp.gemini", "gemini-2.5-flash-image"),  # and so have pictures that come out
    ("openai", "gpt-5-mini"),
    ("openai", "text-embedding-3-small"),
    ("anthropic", "claude-sonnet-4-5"),
    ("gcp.gemini", "gemini-2.5-pro"),  # long prompts cost more
    ("deepseek", "deepseek-chat"),  # prices by the time of day
    ("cohere", "command-r"),
    ("perplexity", "sonar"),  # a fee by the request
    ("mine", "flat"),
    ("mine", "long"),
    (None, "gpt-4o"),
    (None, "nobody-knows"),
    ("openai", None),
)
RAW = (
    None,
    "{}",
    '{"inference_geo":"us"}',
    '{"inference_geo":"global"}',
    '{"inference_geo":"moon"}',
    '{"billed_units":{"input_tokens":7,"output_tokens":3}}',
)
TOKENS = st.one_of(st.none(), st.integers(0, 400_000), st.sampled_from([0, 200_000, 200_001, 2**53 + 1]))
USAGES = st.one_of(
    st.none(),
    st.builds(Usage, input_tokens=TOKENS, output_tokens=TOKENS, cache_read_tokens=TOKENS, cache_write_tokens=TOKENS),
    st.builds(
        Usage,
        input_tokens=TOKENS,
        output_tokens=TOKENS,
        cache_write_tokens=TOKENS,
        cache_write_1h_tokens=TOKENS,
        input_audio_tokens=TOKENS,
        output_audio_tokens=TOKENS,
        web_searches=st.one_of(st.none(), st.integers(0, 3)),
    ),
)


@pytest.fixture(autouse=True, scope="module")
def own_prices() -> Iterator[None]:
    few, many.FEW = many.FEW, 1  # else the columns would be for large profiles alone
    prices.free("free.example")
    prices.add("flat", provider="mine", request=0.01)
    prices.add("long", provider="mine", input=1, output=3, cache_read=0.1, thresholds={1000: {"input": 2, "output": 7}})
    yield
    prices.clear()
    many.FEW = few


@st.composite
def calls(draw: st.DrawFn) -> Span:
    provider, model = draw(st.sampled_from(MODELS))
    span = Span(1, None, "chat", draw(st.sampled_from(["llm", "llm", "embedding", "task"])), 0, draw(st.integers(0, 9)))
    span.start = draw(st.integers(1_700_000_000, 1_790_000_000)) * 10**9
    span.closed, span.status = span.opened, "ok"
    span.provider, span.model, span.request_model = provider, draw(st.sampled_from([model, None])), model
    span.source = draw(st.sampled_from(["reported", "reported", "partial", "missing", None]))
    span.host = draw(st.sampled_from(["api.example.com", "free.example", None]))
    span.service_tier = draw(st.sampled_from([None, None, "default", "batch", "flex", "no such tier"]))
    span.usage, span.usage_raw = draw(USAGES), draw(st.sampled_from(RAW))
    if draw(st.integers(0, 9)) == 0:
        span.cost, span.cost_source = draw(st.sampled_from([(0.0, "cached"), (0.25, "reported"), (0.5, "custom")]))
    if draw(st.integers(0, 9)) == 0:
        span.pinned = Pinned.of(span, (1.5, 1.0, 0.5, 0.0, 0.0), "priced")
    if draw(st.integers(0, 9)) == 0:
        span.unkept = 3
    return span


def bits(parts: object) -> bytes:
    values = [float(part) for part in parts]  # type: ignore[attr-defined]
    return struct.pack("5d", *(NAN if value != value else value for value in values))


@settings(max_examples=300, deadline=None)
@given(st.lists(calls(), max_size=30))
def test_each_call_has_the_price_that_it_has_alone(spans: list[Span]) -> None:
    table = Table.of(spans, 10)
    for span, parts, source in zip(table.spans, table.costs, table.cost_sources, strict=True):
        alone = prices.price(span) if span.source is not None else prices.Price((NAN,) * 5, None)  # type: ignore[arg-type]
        assert (bits(parts), source) == (bits(alone.parts), alone.source)


def test_the_models_above_are_what_they_are_said_to_be() -> None:
    def listed(provider: str, model: str) -> object:
        found = tariff(model, model, provider, None)
        assert found is not None, model
        return found

    assert listed("deepseek", "deepseek-chat").timed  # type: ignore[attr-defined]
    assert len(listed("gcp.gemini", "gemini-2.5-pro").at(0)) > 1  # type: ignore[attr-defined]
    assert listed("gcp.gemini", "gemini-2.5-flash").at(0)[0][1].kinds  # type: ignore[attr-defined]
    assert listed("gcp.gemini", "gemini-2.5-flash-image").at(0)[0][1].odd  # type: ignore[attr-defined]
    assert listed("perplexity", "sonar").at(0)[0][1].fee  # type: ignore[attr-defined]
