"""Prices of your own: which calls they hold for, what they come to, and what is said of bad ones."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import pytest

import tokprof
from tokprof.meter import prices
from tokprof.span import Span, Usage
from tokprof.testing import SimulatedProvider


@pytest.fixture(autouse=True)
def no_prices() -> Iterator[None]:
    prices.clear()
    yield
    prices.clear()


def call(model: str | None = "my-model", usage: Usage | None = None, **more: Any) -> Span:
    values: dict[str, Any] = {"kind": "llm", "start": 1_767_225_600 * 10**9, "source": "reported"} | more
    made = Span(id=1, parent=None, name="x", opened=0, model=model, **values)
    made.usage = Usage(1_000_000, 1_000_000) if usage is None else usage
    return made


def usd(span: Span) -> str:
    found = prices.price(span)
    assert sum(found.parts[1:]) == pytest.approx(found.parts[0], abs=1e-15) or math.isnan(found.parts[0])
    return f"{found.source} {found.parts[0]:.6f}"


def test_a_price_of_your_own() -> None:
    assert usd(call()) == "missing nan"
    prices.add("my-model", input=0.5, output=1.5)
    assert usd(call()) == "custom 2.000000"


ALL = {"cache_read": 0.1, "cache_write": 2, "cache_write_1h": 4, "reasoning": 9, "input_audio": 10,
       "output_audio": 20, "input_image": 5, "output_image": 30, "request": 0.01, "web_search": 0.02}  # fmt: skip
SPENT = Usage(1_000_000, 100_000, 400_000, 200_000, 10_000, cache_write_1h_tokens=50_000)
CASES: list[tuple[str, dict[str, float], Usage, str]] = [
    ("cache as input unless told", {}, SPENT, "custom 1.200000"),
    ("cache reads", {"cache_read": 0.1}, SPENT, "custom 0.840000"),
    ("cache writes of both kinds", {"cache_write": 2}, SPENT, "custom 1.400000"),
    ("1 h writes", {"cache_write": 2, "cache_write_1h": 4}, SPENT, "custom 1.500000"),
    ("reasoning", {"reasoning": 12}, SPENT, "custom 1.300000"),
    ("reasoning that is not told", {"reasoning": 12}, Usage(1000, 1000), "missing nan"),
    ("a fee", {"request": 0.01}, SPENT, "custom 1.210000"),
    ("searches", {"web_search": 0.02}, Usage(1000, 0, web_searches=3), "custom 0.061000"),
    ("searches without a price", {}, Usage(1000, 0, web_searches=3), "missing nan"),
    ("sound", {"input_audio": 10, "output_audio": 20},
     Usage(1000, 1000, input_audio_tokens=100, output_audio_tokens=500), "custom 0.012900"),
    ("pictures", {"input_image": 5, "output_image": 30},
     Usage(1000, 1000, input_image_tokens=100, output_image_tokens=500), "custom 0.017400"),
    ("all of them", ALL, Usage(1_000_000, 100_000, 400_000, 200_000, 10_000, None, None, 0, 0, 50_000, 2),
     "custom 1.260000"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "usage", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_each_kind_of_price(given: dict[str, float], usage: Usage, expected: str) -> None:
    prices.add("my-model", input=1, output=2, **given)  # type: ignore[arg-type]
    assert usd(call(usage=usage)) == expected


def test_thresholds_hold_for_the_whole_call() -> None:
    above = {200_000: {"input": 6, "output": 22.5}, 500_000: {"input": 10}}
    prices.add("my-model", input=3, output=15, cache_read=0.3, thresholds=above)
    assert usd(call(usage=Usage(200_000, 1000))) == "custom 0.615000"
    assert usd(call(usage=Usage(200_001, 1000))) == "custom 1.222506"
    assert usd(call(usage=Usage(300_000, 1000, cache_read_tokens=100_000))) == "custom 1.252500"
    assert usd(call(usage=Usage(500_001, 1000))) == "custom 5.022510"


def test_embeddings_and_rerankers() -> None:
    prices.add("embed", input=0.02)
    prices.add("rerank", request=0.002)
    assert usd(call("embed", Usage(1_000_000), kind="embedding")) == "custom 0.020000"
    assert usd(call("rerank", Usage(), kind="reranker", source="missing")) == "custom 0.002000"
    assert usd(call("embed")) == "missing nan"  # it has output, and output has no price


@pytest.mark.parametrize(
    ("pattern", "model", "held"),
    [
        ("gpt-4o", "gpt-4o", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4o.*", "gpt-4o-mini", True),
        ("GPT-4o", "gpt-4o", True),
        (re.compile("gpt-4o"), "GPT-4o", False),
        (re.compile("gpt-4o(-mini)?"), "gpt-4o-mini", True),
        ("llama3:8b", "llama3:8b", True),
        ("qwen+lora", "qwen+lora", True),
        ("a|b", "b", True),
    ],
)
def test_the_pattern_matches_the_whole_name(pattern: Any, model: str, held: bool) -> None:
    prices.add(pattern, input=7, output=0)
    assert (usd(call(model)) == "custom 7.000000") is held


def test_the_name_that_was_asked_for_counts_too() -> None:
    prices.add("my-deployment", input=7, output=0)
    assert usd(call("gpt-4o", request_model="my-deployment")) == "custom 7.000000"


def test_the_last_price_holds_and_goes() -> None:
    first = prices.add("my-.*", input=1, output=0)
    second = prices.add("my-model", input=2, output=0)
    third = prices.add("other", input=3, output=0)
    assert prices.list() == [first, second, third]
    assert usd(call()) == "custom 2.000000"
    prices.remove(second)
    assert usd(call()) == "custom 1.000000"
    prices.remove("my-.*")
    assert usd(call()) == "missing nan"
    prices.clear()
    assert prices.list() == []


def test_a_price_of_your_own_wins_over_the_list_and_not_over_the_provider() -> None:
    prices.add("gpt-4o-mini", input=1, output=1)
    assert usd(call("gpt-4o-mini", provider="openai")) == "custom 2.000000"
    assert usd(call("gpt-4o-mini", provider="openai", cost=0.25, cost_source="reported")) == "reported 0.250000"


def test_limits() -> None:
    prices.add("my-model", input=1, output=0, provider="azure.ai.openai")
    prices.add("my-model", input=2, output=0, host="gpu.example")
    prices.add("my-model", input=3, output=0, service_tier="flex")
    assert usd(call()) == "missing nan"
    assert usd(call(provider="azure.ai.openai")) == "custom 1.000000"
    assert usd(call(host="gpu.example:8000")) == "custom 2.000000"
    assert usd(call(host="gpu.example.org")) == "missing nan"
    assert usd(call(service_tier="Flex", host="gpu.example")) == "custom 3.000000"


@pytest.mark.parametrize(
    ("given", "host", "free"),
    [
        ("localhost", "localhost", True),
        ("localhost", "localhost:11434", True),
        ("localhost:11434", "localhost:11434", True),
        ("localhost:11434", "localhost:8000", False),
        ("localhost", "localhost.example", False),
        ("localhost", "my-localhost", False),
        ("localhost", "127.0.0.1:11434", False),
        (r"localhost|127\.0\.0\.1", "127.0.0.1:11434", True),
        ("[::1]", "[::1]:8000", True),
        (re.compile(r".*\.lan"), "gpu.lan:80", True),
        ("localhost", None, False),
    ],
)
def test_a_host_is_free_only_if_you_say_so(given: Any, host: str | None, free: bool) -> None:
    assert usd(call(host=host)) == "missing nan"
    prices.free(given)
    assert usd(call(host=host)) == ("custom 0.000000" if free else "missing nan")


def test_at_a_free_host_nothing_need_be_known() -> None:
    mine = prices.free("localhost")
    unknown = call(None, Usage(), host="localhost:8000", source="missing")
    assert usd(unknown) == "custom 0.000000"
    assert usd(call(host="localhost", usage=Usage(5, 5, web_searches=2), service_tier="priority")) == "custom 0.000000"
    prices.add("my-model", input=1, output=0)
    assert usd(call(host="localhost")) == "custom 1.000000"
    prices.remove(mine)
    assert usd(unknown) == "missing nan"
    prices.free("localhost")
    prices.remove("localhost")
    assert usd(unknown) == "missing nan"


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"pattern": ""}, ValueError, "pattern must not be empty; '.*' stands for every name"),
    ({"pattern": "  "}, ValueError, "must not be empty"),
    ({"pattern": "a("}, ValueError, r"is no regular expression .* as plain text it is 'a\\\\\('"),
    ({"pattern": 4}, TypeError, "pattern must be a name or a regular expression, for instance 'gpt-4o-mini': 4"),
    ({"pattern": None}, TypeError, "pattern must be a name"),
    ({"pattern": re.compile(b"x")}, TypeError, "pattern must be a name"),
    ({"input": -1}, ValueError, "input must be a finite number of dollars, 0 or more: -1"),
    ({"output": math.nan}, ValueError, "output must be a finite number"),
    ({"cache_read": math.inf}, ValueError, "cache_read must be a finite number"),
    ({"request": "1"}, TypeError, "request must be a number of dollars, for instance request=0.5"),
    ({"web_search": True}, TypeError, "web_search must be a number"),
    ({"input": None, "output": None}, ValueError, "give at least one price, for instance input=0.5 and output=1.5"),
    ({"thresholds": [200_000]}, TypeError, "thresholds must map numbers of input tokens to prices"),
    ({"thresholds": {200_000: 6}}, TypeError, "thresholds must map"),
    ({"thresholds": {"200k": {"input": 6}}}, TypeError, "a threshold must be a whole number of input tokens"),
    ({"thresholds": {-1: {"input": 6}}}, ValueError, "a threshold must be 0 or more input tokens"),
    ({"thresholds": {1: {"imput": 6}}}, ValueError, "'imput' is no price; known: input, output, cache_read"),
    ({"thresholds": {1: {"input": -6}}}, ValueError, "input must be a finite number"),
    ({"provider": 3}, TypeError, "provider must be a name such as 'openai': 3"),
    ({"service_tier": ""}, TypeError, "service_tier must be a name such as 'flex'"),
    ({"host": ""}, ValueError, "host must not be empty"),
    ({"host": 80}, TypeError, "host must be a name or a regular expression, for instance 'localhost': 80"),
]


@pytest.mark.parametrize(("given", "error", "message"), BAD)
def test_bad_prices_say_what_to_do_and_change_nothing(
    given: dict[str, Any], error: type[Exception], message: str
) -> None:
    values = {"pattern": "my-model", "input": 1, "output": 2} | given
    before = prices.version
    with pytest.raises(error, match=message):
        prices.add(values.pop("pattern"), **values)
    assert (prices.list(), prices.version) == ([], before)


def test_bad_hosts_and_prices_that_are_not_there() -> None:
    with pytest.raises(ValueError, match="host must not be empty"):
        prices.free("")
    with pytest.raises(ValueError, match="there is no price 'x'; none was added"):
        prices.remove("x")
    gone = prices.add("my-model", input=1)
    prices.free("localhost")
    with pytest.raises(ValueError, match="there is no price 'x'; there are 'my-model', 'localhost'"):
        prices.remove("x")
    prices.remove(gone)
    with pytest.raises(ValueError, match="there is no price"):
        prices.remove(gone)


def test_numbers_of_every_kind() -> None:
    from decimal import Decimal

    import numpy as np

    prices.add("my-model", input=Decimal("0.5"), output=np.float32(1.5))  # type: ignore[arg-type]
    assert usd(call()) == "custom 2.000000"


def test_a_price_shows_what_it_is() -> None:
    made = prices.add("my-.*", input=1, output=2, host="gpu.example", thresholds={1000: {"input": 2}})
    assert (made.pattern, made.prices, made.host) == ("my-.*", {"input": 1.0, "output": 2.0}, "gpu.example")
    assert made.thresholds == {1000: {"input": 2.0}}
    assert repr(made).startswith("CustomPrice(pattern='my-.*', prices={'input': 1.0, 'output': 2.0}")
    assert "re.compile" not in repr(made)


def test_profiles_are_priced_anew() -> None:
    with tokprof.profile() as prof, tokprof.span("x", kind="llm") as step:
        step.record(model="my-model", input_tokens=1_000_000, output_tokens=1_000_000)
    assert (prof.totals.cost, prof.totals.cost_coverage, prof.totals.cost_sources) == (0.0, 0.0, {"missing": 1})
    mine = prices.add("my-model", input=1, output=2)
    assert (prof.totals.cost, prof.totals.cost_coverage, prof.totals.cost_sources) == (3.0, 1.0, {"custom": 1})
    assert prof.calls.cost_output.tolist() == [2.0]
    prices.remove(mine)
    assert prof.totals.unpriced_calls == 1


def test_a_server_of_your_own(provider: SimulatedProvider) -> None:
    with tokprof.profile() as prof:
        client = provider.openai()
        client.chat.completions.create(model="my-model", messages=[{"role": "user", "content": "Hi"}])
    assert prof.calls.cost_source.tolist() == ["missing"]
    prices.free(r"localhost|127\.0\.0\.1")
    assert (prof.calls.cost.tolist(), prof.calls.cost_source.tolist()) == ([0.0], ["custom"])
    assert prof.totals.cost_coverage == 1.0


def test_how_much_of_the_cost_is_known() -> None:
    assert tokprof.profile().totals.cost_coverage == 1.0
    with tokprof.profile() as prof:
        for model, output in (("gpt-4o-mini", 5), ("my-model", 5), ("gpt-4o-mini", None), ("gpt-4o-mini", 5)):
            with tokprof.span("x", kind="llm") as step:
                step.record(model=model, input_tokens=5, output_tokens=output)
    assert prof.totals.cost_sources == {"priced": 2, "missing": 2}
    assert (prof.totals.cost_coverage, prof.totals.unpriced_calls) == (0.5, 2)
