"""What was billed beside the run that answers, what a cache answered, and what a gateway tells in headers."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

import tokprof

CHAT: dict[str, Any] = {
    "object": "chat.completion",
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
}
CLAUDE: dict[str, Any] = {
    "type": "message",
    "model": "claude-sonnet-4-5",
    "content": [{"type": "text", "text": "done"}],
    "stop_reason": "end_turn",
    "usage": {
        "input_tokens": 220,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 30,
        "iterations": [
            {"type": "compaction", "input_tokens": 55196, "output_tokens": 900},
            {"type": "message", "input_tokens": 220, "output_tokens": 30},
            {"type": "advisor_message", "model": "claude-opus-4-5", "input_tokens": 500, "output_tokens": 40},
        ],
    },
}


def ask(answer: dict[str, Any], host: str = "api.openai.com", path: str = "/v1/chat/completions", **more: Any) -> Any:
    def handle(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json=answer, **more)

    with tokprof.profile() as prof, httpx2.Client(transport=httpx2.MockTransport(handle)) as client:
        client.post(f"https://{host}{path}", json={"model": answer["model"], "messages": []})
    return prof


def test_compactions_and_advisors_are_calls_of_their_own() -> None:
    prof = ask(CLAUDE, "api.anthropic.com", "/v1/messages")
    rows = prof.calls.set_index("name")
    assert rows.index.tolist() == [
        "messages claude-sonnet-4-5",
        "compaction claude-sonnet-4-5",
        "advisor_message claude-opus-4-5",
    ]
    assert rows.input_tokens.tolist() == [220, 55196, 500]
    assert rows.output_tokens.tolist() == [30, 900, 40]
    assert rows.usage_source.tolist() == ["reported"] * 3
    assert rows.parent_id.nunique() == 1
    assert rows.line.nunique() == 1
    assert rows.cost.tolist() == pytest.approx(
        [(220 * 3 + 30 * 15) / 1e6, (55196 * 3 + 900 * 15) / 1e6, (500 * 5 + 40 * 25) / 1e6]
    )
    assert prof.totals.input_tokens == 55916
    assert prof.totals.cost == pytest.approx(rows.cost.sum())


@pytest.mark.parametrize(
    "headers",
    [
        {"x-litellm-cache-hit": "True"},
        {"cf-aig-cache-status": "HIT"},
        {"helicone-cache": "HIT"},
        {"x-portkey-cache-status": "HIT"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_what_a_cache_answers_is_not_billed(headers: dict[str, str]) -> None:
    prof = ask(CHAT, headers=headers)
    row = prof.calls.iloc[0]
    assert (row.cost, row.cost_source, row.total_tokens, row.usage_source) == (0, "cached", 0, "cached")
    assert (row.saved_tokens, row.saved_cost) == (1100, pytest.approx((1000 * 0.15 + 100 * 0.6) / 1e6))
    assert prof.totals.cost_sources == prof.totals.provenance == {"cached": 1}
    assert (prof.totals.unpriced_calls, prof.totals.cost_coverage, prof.totals.unknown_calls) == (0, 1, 0)
    assert (prof.totals.cache_hits, prof.totals.saved_tokens) == (1, 1100)


def test_what_the_clients_own_cache_answers_is_not_billed() -> None:
    prof = ask(CHAT, extensions={"hishel_from_cache": True})
    assert prof.calls.cost_source.tolist() == ["cached"]
    assert (prof.totals.total_tokens, prof.totals.saved_tokens) == (0, 1100)


def test_what_was_billed_beside_an_answer_is_saved_too() -> None:
    prof = ask(CLAUDE, "api.anthropic.com", "/v1/messages", extensions={"hishel_from_cache": True})
    billed = ask(CLAUDE, "api.anthropic.com", "/v1/messages")
    assert (prof.totals.cache_hits, prof.totals.total_tokens, prof.totals.cost) == (3, 0, 0)
    assert prof.totals.saved_tokens == billed.totals.total_tokens
    assert prof.totals.saved_cost == pytest.approx(billed.totals.cost)


def test_what_a_provider_told_of_the_cost_is_what_was_saved() -> None:
    usage = CHAT["usage"] | {"cost": 0.0123}
    prof = ask(CHAT | {"usage": usage}, extensions={"hishel_from_cache": True})
    assert (prof.totals.cost, prof.totals.saved_cost) == (0, 0.0123)


def test_a_step_that_sums_up_cached_answers_has_spent_nothing() -> None:
    def handle(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json=CHAT, extensions={"hishel_from_cache": True})

    with tokprof.profile() as prof, httpx2.Client(transport=httpx2.MockTransport(handle)) as client:
        with tokprof.span("framework", kind="llm") as step:
            client.post("https://api.openai.com/v1/chat/completions", json={"model": "gpt-4o-mini", "messages": []})
            step.record(model="gpt-4o-mini", provider="openai", input_tokens=1000, output_tokens=100)
    assert (prof.totals.calls, prof.totals.total_tokens, prof.totals.cost) == (1, 0, 0)
    assert prof.totals.saved_tokens == 1100


@pytest.mark.parametrize("status", ["MISS", "", "none"])
def test_a_miss_is_billed(status: str) -> None:
    prof = ask(CHAT, headers={"cf-aig-cache-status": status})
    assert prof.calls.cost_source.tolist() == ["priced"]
    assert prof.totals.cost == pytest.approx((1000 * 0.15 + 100 * 0.6) / 1e6)


def test_a_gateways_cost_wins() -> None:
    prof = ask(CHAT, headers={"x-litellm-response-cost": "0.0123"})
    assert (prof.calls.cost.item(), prof.calls.cost_source.item()) == (0.0123, "reported")


@pytest.mark.parametrize("nonsense", ["-1", "nan", "free", ""])
def test_nonsense_of_a_gateway_does_not(nonsense: str) -> None:
    prof = ask(CHAT, headers={"x-litellm-response-cost": nonsense})
    assert prof.calls.cost_source.item() == "priced"


def test_a_tier_has_prices_of_its_own() -> None:
    standard, flex, unknown = (
        ask(CHAT | {"model": "gpt-5", "service_tier": tier}).calls.iloc[0] for tier in ("default", "flex", "mystery")
    )
    assert (standard.service_tier, flex.service_tier, unknown.service_tier) == ("default", "flex", "mystery")
    assert flex.cost == pytest.approx(standard.cost / 2)
    assert unknown.cost_source == "missing"
