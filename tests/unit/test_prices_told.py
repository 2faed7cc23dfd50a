"""What answers tell of money beside their tokens: service tiers, searches, costs, and runs of other models."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tokprof.meter import headers
from tokprof.meter.reader import read
from tokprof.meter.shapes import Told
from tokprof.meter.usage import hidden
from tokprof.span import Exchange, Reading, Usage

Json = dict[str, Any]
CHAT = ("api.openai.com", "/v1/chat/completions")
RESPONSES = ("api.openai.com", "/v1/responses")
MESSAGES = ("api.anthropic.com", "/v1/messages")
GEMINI = ("generativelanguage.googleapis.com", "/v1beta/models/gemini-2.5-pro:generateContent")
CONVERSE = ("bedrock-runtime.us-east-1.amazonaws.com", "/model/amazon.nova-pro-v1:0/converse")

SPENT = {"prompt_tokens": 10, "completion_tokens": 5}
USED = {"input_tokens": 10, "output_tokens": 5}
PRIORITY = {"service_tier": "priority"}


def reading(place: tuple[str, str], *events: Json) -> Reading:
    """Read an answer, or a stream of several events."""
    stream = len(events) > 1
    lines = [json.dumps(event) for event in events]
    body = "".join(f"data: {line}\n\n" for line in lines) if stream else lines[0]
    content_type = "text/event-stream" if stream else "application/json"
    found = read(Exchange("POST", *place, b'{"model": "asked"}', http_status=200, content_type=content_type,
                          chunks=[body.encode()], complete=True))  # fmt: skip
    assert found is not None
    return found


def chat(**more: Any) -> Json:
    return {
        "object": "chat.completion",
        "model": "gpt-5",
        "choices": [{"finish_reason": "stop"}],
        "usage": SPENT,
    } | more


def response(**more: Any) -> Json:
    return {"object": "response", "model": "gpt-5", "status": "completed", "usage": USED} | more


def message(**more: Any) -> Json:
    spent = USED | {"cache_read_input_tokens": 0} | more
    return {"type": "message", "content": [], "model": "claude-opus-4-8", "stop_reason": "end_turn", "usage": spent}


def gemini(candidate: Json | None = None, **more: Any) -> Json:
    used = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15} | more
    return {"candidates": [{"finishReason": "STOP"} | (candidate or {})], "usageMetadata": used}


def converse(**more: Any) -> Json:
    return {"stopReason": "end_turn", "usage": {"inputTokens": 10, "outputTokens": 5}, **more}


TIERS: list[tuple[str, tuple[str, str], list[Json], str | None]] = [
    ("chat", CHAT, [chat(service_tier="flex")], "flex"),
    ("not told", CHAT, [chat()], None),
    ("null", CHAT, [chat(service_tier=None)], None),
    ("capitals", CHAT, [chat(service_tier="Priority")], "priority"),
    ("chat stream", CHAT, [{"object": "chat.completion.chunk", "choices": [{"delta": {}}], "service_tier": "flex"},
                           {"choices": [], "usage": SPENT, "service_tier": "flex"}], "flex"),
    ("responses", RESPONSES, [response(service_tier="priority")], "priority"),
    ("responses stream: asked auto, got flex", RESPONSES,
     [{"type": "response.created", "response": {"object": "response", "service_tier": "auto"}},
      {"type": "response.completed", "response": response(service_tier="flex")}], "flex"),
    ("Groq", ("api.groq.com", "/openai/v1/chat/completions"), [chat(service_tier="on_demand")], "on_demand"),
    ("messages", MESSAGES, [message(service_tier="batch")], "batch"),
    ("fast mode", MESSAGES, [message(service_tier="standard", speed="fast")], "fast"),
    ("no fast mode", MESSAGES, [message(service_tier="standard", speed="standard")], "standard"),
    ("a tier that was paid for is not fast mode's", MESSAGES, [message(service_tier="priority", speed="fast")],
     "priority"),
    ("messages stream", MESSAGES, [
        {"type": "message_start", "message": {"model": "claude-opus-4-8", "usage": USED | PRIORITY}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}}], "priority"),
    ("Vertex", GEMINI, [gemini(trafficType="PROVISIONED_THROUGHPUT")], "provisioned_throughput"),
    ("Vertex, by number", GEMINI, [gemini(trafficType=1)], "on_demand"),
    ("Gemini", GEMINI, [gemini(serviceTier="priority")], "priority"),
    ("Bedrock", CONVERSE, [converse(serviceTier={"type": "flex"})], "flex"),
    ("Bedrock's quick lane", CONVERSE,
     [converse(performanceConfig={"latency": "optimized"}, serviceTier={"type": "default"})], "optimized"),
    ("Bedrock's usual lane", CONVERSE, [converse(performanceConfig={"latency": "standard"})], None),
    ("nonsense", CHAT, [chat(service_tier=["flex"])], None),
    ("more nonsense", CONVERSE, [converse(serviceTier="flex", performanceConfig=[1])], None),
]  # fmt: skip


@pytest.mark.parametrize(("place", "events", "tier"), [case[1:] for case in TIERS], ids=[case[0] for case in TIERS])
def test_service_tiers(place: tuple[str, str], events: list[Json], tier: str | None) -> None:
    found = reading(place, *events)
    assert found.service_tier == tier
    assert found.usage.input_tokens == 10


def search(action: str | None = "search", **more: Any) -> Json:
    return {"type": "web_search_call", "status": "completed", "action": action and {"type": action}} | more


SEARCHES: list[tuple[str, tuple[str, str], list[Json], int | None]] = [
    ("Anthropic", MESSAGES, [message(server_tool_use={"web_search_requests": 3, "web_fetch_requests": 1})], 3),
    ("Anthropic, none", MESSAGES, [message(server_tool_use={"web_search_requests": 0})], 0),
    ("not told", MESSAGES, [message()], None),
    ("Anthropic stream", MESSAGES, [
        {"type": "message_start", "message": {"model": "claude-opus-4-8", "usage": USED}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"},
         "usage": {"output_tokens": 5, "server_tool_use": {"web_search_requests": 2}}}], 2),
    ("nonsense does not spoil the tokens", MESSAGES, [message(server_tool_use={"web_search_requests": "many"})], None),
    ("OpenAI's own count", RESPONSES,
     [response(tool_usage={"web_search": {"num_requests": 1}}, output=[search(), search()])], 1),
    ("OpenAI's own none", RESPONSES, [response(tool_usage={"web_search": {"num_requests": 0}}, output=[search()])], 0),
    ("calls in the output; reading pages is free", RESPONSES,
     [response(output=[search(), search("open_page"), search("find_in_page"), search(None), {"type": "message"},
                       search(status="failed")])], 2),
    ("in a stream", RESPONSES, [
        {"type": "response.created", "response": {"object": "response"}},
        {"type": "response.output_item.done", "item": search()},
        {"type": "response.completed", "response": response(output=[search()])}], 1),
    ("Perplexity", ("api.perplexity.ai", "/chat/completions"), [chat(usage=SPENT | {"num_search_queries": 4})], 4),
    ("Gemini: distinct queries", GEMINI,
     [gemini({"groundingMetadata": {"webSearchQueries": ["a", "", "b", "a"]}})], 2),
    ("Gemini stream: cumulative", GEMINI, [
        gemini({"groundingMetadata": {"webSearchQueries": ["a"]}}),
        gemini({"groundingMetadata": {"webSearchQueries": ["a", "b"]}})], 2),
    ("Gemini without grounding", GEMINI, [gemini()], None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("place", "events", "count"), [case[1:] for case in SEARCHES], ids=[case[0] for case in SEARCHES]
)
def test_searches(place: tuple[str, str], events: list[Json], count: int | None) -> None:
    found = reading(place, *events)
    assert found.usage.web_searches == count
    assert (found.usage.input_tokens, found.usage.output_tokens) == (10, 5)


COSTS: list[tuple[str, str, Json, float | None]] = [
    ("OpenRouter", "openrouter.ai", {"cost": 0.00123}, 0.00123),
    ("OpenRouter with a key of yours", "openrouter.ai",
     {"cost": 0.001, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.02}}, 0.021),
    ("xAI: ten thousand million ticks a dollar", "api.x.ai", {"cost_in_usd_ticks": 37_756_000}, 0.0037756),
    ("Perplexity", "api.perplexity.ai",
     {"cost": {"input_tokens_cost": 0.001, "output_tokens_cost": 0.002, "request_cost": 0.005, "total_cost": 0.008}},
     0.008),
    ("none", "api.openai.com", {}, None),
]  # fmt: skip


@pytest.mark.parametrize(("host", "told", "cost"), [case[1:] for case in COSTS], ids=[case[0] for case in COSTS])
def test_costs_that_providers_tell(host: str, told: Json, cost: float | None) -> None:
    assert reading((host, "/v1/chat/completions"), chat(usage=SPENT | told)).cost == cost


ITERATIONS = [
    {"type": "compaction", "input_tokens": 55_000, "output_tokens": 700, "cache_read_input_tokens": 196,
     "cache_creation_input_tokens": 0},
    {"type": "message", "input_tokens": 220, "output_tokens": 30, "cache_read_input_tokens": 0,
     "cache_creation_input_tokens": 0},
    {"type": "advisor_message", "model": "claude-opus-4-8", "input_tokens": 900, "output_tokens": 80,
     "cache_read_input_tokens": 0, "cache_creation_input_tokens": 100,
     "cache_creation": {"ephemeral_5m_input_tokens": 40, "ephemeral_1h_input_tokens": 60}},
    {"type": "fallback_message", "model": "claude-haiku-4-5", "input_tokens": 5, "output_tokens": 5,
     "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0},
]  # fmt: skip


def test_runs_that_anthropic_leaves_out_of_its_sums() -> None:
    compaction, advisor = hidden({"input_tokens": 220, "output_tokens": 30, "iterations": ITERATIONS})
    assert (compaction.kind, compaction.model) == ("compaction", None)
    assert compaction.usage == Usage(55_196, 700, cache_read_tokens=196, cache_write_tokens=0)
    assert (advisor.kind, advisor.model, advisor.raw) == ("advisor_message", "claude-opus-4-8", ITERATIONS[2])
    assert advisor.usage == Usage(1000, 80, cache_read_tokens=0, cache_write_tokens=100, cache_write_1h_tokens=60)


def test_the_answer_keeps_its_own_tokens() -> None:
    found = reading(MESSAGES, message(iterations=ITERATIONS))
    assert (found.usage.input_tokens, found.usage.output_tokens, found.source) == (10, 5, "reported")


@pytest.mark.parametrize(
    "iterations",
    [None, {}, "x", [None, 4], [{"type": "compaction"}], [{"type": "compaction", "input_tokens": -4}],
     [{"type": "compaction", "input_tokens": 0, "output_tokens": 0}], [{"type": "compaction", "input_tokens": "9"}]],
)  # fmt: skip
def test_nothing_hidden(iterations: Any) -> None:
    assert hidden({"input_tokens": 1, "output_tokens": 1, "iterations": iterations}) == []


def test_pictures_of_a_tool_are_another_models() -> None:
    told = Told()
    pictures = {
        "input_tokens": 40,
        "output_tokens": 272,
        "input_tokens_details": {"image_tokens": 30, "text_tokens": 10},
    }
    tools = [{"type": "web_search"}, {"type": "image_generation", "model": "gpt-image-1"}]
    told.absorb(response(tools=tools, tool_usage={"image_gen": pictures, "web_search": {"num_requests": 0}}), False)
    (drawn,) = told.beside
    assert (drawn.kind, drawn.model, drawn.raw) == ("image_gen", "gpt-image-1", pictures)
    assert drawn.usage == Usage(40, 272, input_image_tokens=30)
    idle = Told()
    nothing = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    idle.absorb(response(tool_usage={"image_gen": nothing}), False)
    assert (idle.beside, idle.searches) == ([], None)


def test_headers_of_gateways() -> None:
    assert headers.cost({"x-litellm-response-cost": "0.00012"}) == 0.00012
    for bad in ("", "None", "nan", "inf", "-1"):
        assert headers.cost({"x-litellm-response-cost": bad}) is None
    assert headers.cost({}) is None


def test_headers_of_tiers() -> None:
    assert headers.tier({"x-gemini-service-tier": "Priority"}) == "priority"
    assert headers.tier({"x-amzn-bedrock-service-tier": "flex"}) == "flex"
    quick = {"x-amzn-bedrock-service-tier": "default", "x-amzn-bedrock-performanceconfig-latency": "optimized"}
    assert headers.tier(quick) == "optimized"
    assert headers.tier({}) is None


@pytest.mark.parametrize(
    ("name", "value", "hit"),
    [
        ("cf-aig-cache-status", "HIT", True),
        ("cf-aig-cache-status", "MISS", False),
        ("helicone-cache", "HIT", True),
        ("x-portkey-cache-status", "SEMANTIC HIT", True),
        ("x-portkey-cache-status", "SEMANTIC MISS", False),
        ("x-portkey-cache-status", "DISABLED", False),
        ("x-litellm-cache-hit", "True", True),
        ("x-litellm-cache-hit", "False", False),
        ("x-openrouter-cache-status", "HIT", True),
        ("x-cache", "HIT", False),
        ("cf-cache-status", "HIT", False),
    ],
)
def test_headers_of_caches(name: str, value: str, hit: bool) -> None:
    assert headers.cached({name: value}) is hit
    assert not headers.cached({})
