"""Estimates: figures where a provider told none, and how far they can be trusted."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

import tokprof
from tokprof.meter.estimate import estimate
from tokprof.meter.schemas import Tool, as_format, as_json, as_typescript
from tokprof.span import Draft, Usage
from tokprof.testing import SimulatedProvider

HELLO = {"messages": [{"role": "user", "content": "hello world"}]}  # 2 + 4 + 3
WORLD = b'{"choices": [{"message": {"content": "hello world"}}]}'
SO_FAR = b'data: {"choices": [{"index": 0, "delta": {"content": "hello world"}}]}\n\n'
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "iVBORw0KGgo" * 1000}}


def draft(
    request: Any = HELLO,
    body: bytes = WORLD,
    frame: str = "json",
    operation: str = "chat",
    model: str | None = "gpt-4o",
    kind: str = "llm",
    complete: bool = True,
    **told: int,
) -> Draft:
    sent = request if request is None or isinstance(request, bytes) else json.dumps(request).encode()
    return Draft(operation, kind, model, sent, body, frame, complete, Usage(**told))


def figures(made: Draft) -> tuple[int | None, int | None, str, str]:
    found = estimate(made)
    assert found is not None
    return found.usage.input_tokens, found.usage.output_tokens, found.source, found.tokenizer


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        pytest.fail("an estimate went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


# what OpenAI's cookbook, "How to count tokens with tiktoken", says that the API counts
JARGON = [
    {
        "role": "system",
        "content": "You are a helpful, pattern-following assistant that translates corporate jargon"
        " into plain English.",
    },
    {"role": "system", "name": "example_user", "content": "New synergies will help drive top-line growth."},
    {"role": "system", "name": "example_assistant", "content": "Things working well together will increase revenue."},
    {
        "role": "system",
        "name": "example_user",
        "content": "Let's circle back when we have more bandwidth to touch base on opportunities"
        " for increased leverage.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Let's talk later when we're less busy about how to do better.",
    },
    {
        "role": "user",
        "content": "This late pivot means we don't have time to boil the ocean for the client deliverable.",
    },
]
WEATHER = {
    "messages": [
        {"role": "system", "content": "You are a helpful assistant that can answer to questions about the weather."},
        {"role": "user", "content": "What's the weather like in San Francisco?"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "get_current_weather",
                "description": "Get the current weather in a given location",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "location": {
                            "type": "string",
                            "description": "The city and state, e.g. San Francisco, CA",
                        },
                        "unit": {
                            "type": "string",
                            "description": "The unit of temperature to return",
                            "enum": ["celsius", "fahrenheit"],
                        },
                    },
                    "required": ["location"],
                },
            },
        }
    ],
}


@pytest.mark.parametrize(("model", "jargon", "weather"), [("gpt-4", 129, 105), ("gpt-4o", 124, 101)])
def test_a_prompt_counts_as_openai_counts_it(model: str, jargon: int, weather: int, no_network: None) -> None:
    assert figures(draft({"messages": JARGON}, model=model))[0] == jargon
    assert figures(draft(WEATHER, model=model))[0] == pytest.approx(weather, abs=1)


def test_an_answer_that_came_whole_is_estimated(no_network: None) -> None:
    assert figures(draft()) == (9, 2, "estimated", "o200k_base")
    assert figures(draft(body=SO_FAR, frame="sse")) == (9, 2, "estimated", "o200k_base")
    assert figures(draft(model="gpt-4")) == (9, 2, "estimated", "cl100k_base")
    assert figures(draft(model="llama3")) == (9, 2, "estimated", "~o200k_base")
    assert figures(draft(model=None)) == (9, 2, "estimated", "~o200k_base")


def test_an_answer_cut_short_is_a_lower_bound() -> None:
    assert figures(draft(body=SO_FAR, frame="sse", complete=False)) == (9, 2, "partial", "o200k_base")
    assert figures(draft(body=WORLD[:-9], complete=False)) == (9, 2, "partial", "o200k_base")


def test_without_an_answer_the_prompt_is_known() -> None:
    assert figures(draft(body=b"", frame="", complete=False)) == (9, None, "partial", "o200k_base")
    assert figures(draft(body=b"", frame="", complete=True)) == (9, None, "partial", "o200k_base")


def test_an_answer_that_says_nothing_is_not_zero() -> None:
    assert figures(draft(body=b'{"choices": [{"finish_reason": "content_filter"}]}'))[1:3] == (None, "partial")
    assert figures(draft(body=b"<html>"))[1:3] == (None, "partial")


def test_without_a_prompt_the_answer_is_known() -> None:
    assert figures(draft(None)) == (None, 2, "partial", "o200k_base")


def test_nothing_at_all_is_no_estimate() -> None:
    assert estimate(draft(None, b"", "")) is None
    assert estimate(draft(b"\x00\xff", b"\x00\xff")) is None


@pytest.mark.parametrize("operation", ["images", "transcription", "speech", "rerank"])
def test_text_does_not_tell_everything(operation: str) -> None:
    assert estimate(draft({"prompt": "a cat"}, operation=operation)) is None
    assert estimate(draft({"query": "a", "documents": ["b"]}, operation="invoke", kind="reranker")) is None


def test_what_was_told_stays() -> None:
    told = draft(body=SO_FAR, frame="sse", complete=False, input_tokens=600, output_tokens=1, cache_read_tokens=500)
    found = estimate(told)
    assert found is not None and found.source == "partial"
    assert (found.usage.input_tokens, found.usage.output_tokens, found.usage.cache_read_tokens) == (600, 2, 500)
    assert told.usage.output_tokens == 1
    assert figures(draft(output_tokens=70))[:2] == (9, 70)
    assert figures(draft(None, input_tokens=600))[:3] == (600, 2, "estimated")


def test_a_picture_makes_a_prompt_a_lower_bound() -> None:
    seen = {"messages": [{"role": "user", "content": [{"type": "text", "text": "hello world"}, PICTURE]}]}
    assert figures(draft(seen)) == (9, 2, "partial", "o200k_base")
    assert figures(draft(seen, input_tokens=800)) == (800, 2, "estimated", "o200k_base")


def test_embeddings_have_no_output() -> None:
    made = draft({"input": ["hello world", "2 + 2 = 4"]}, b'{"data": []}', operation="embeddings", kind="embedding",
                 model="text-embedding-3-small")  # fmt: skip
    assert figures(made) == (9, 0, "estimated", "cl100k_base")
    made.request = b'{"input": [[1, 2, 3], [4]]}'
    assert figures(made)[:3] == (4, 0, "estimated")
    made.operation, made.request = "invoke", b'{"inputText": "hello world"}'
    assert figures(made)[:3] == (2, 0, "estimated")
    made.body = b""
    assert figures(made)[:3] == (2, 0, "partial")


def test_a_text_completed_has_no_frame() -> None:
    made = draft({"prompt": "hello world"}, b'{"choices": [{"text": "2 + 2 = 4"}]}', operation="completions")
    assert figures(made) == (2, 7, "estimated", "o200k_base")


def test_reasoning_that_was_seen_is_a_part_of_the_output() -> None:
    found = estimate(
        draft(body=b'{"choices": [{"message": {"content": "hello world", "reasoning_content": "2 + 2 = 4"}}]}')
    )
    assert found is not None and found.source == "estimated"
    assert (found.usage.output_tokens, found.usage.reasoning_tokens) == (9, 7)
    unseen = estimate(draft())
    assert unseen is not None and unseen.usage.reasoning_tokens is None


@pytest.mark.parametrize(
    ("model", "source"),
    [
        ("o3-mini", "partial"),
        ("gpt-5-nano", "partial"),
        ("openai/gpt-5.2", "partial"),
        ("gemini-2.5-flash", "partial"),
        ("grok-4", "partial"),
        ("gpt-5-chat-latest", "estimated"),
        ("gpt-4.1", "estimated"),
        ("gemini-1.5-pro", "estimated"),
        ("claude-haiku-4-5", "estimated"),
    ],
)
def test_a_model_that_keeps_its_reasoning_to_itself(model: str, source: str) -> None:
    assert figures(draft(model=model))[2] == source


def test_tool_calls_have_frames() -> None:
    def calling(*cities: str) -> bytes:
        calls = [{"function": {"name": "get_weather", "arguments": json.dumps({"location": city})}} for city in cities]
        return json.dumps({"choices": [{"message": {"content": None, "tool_calls": calls}}]}).encode()

    # name 2, arguments 6; what was billed beside them in recorded answers: 7, and 28 of two at once
    assert figures(draft(body=calling("Paris")))[1] == 2 + 6 + 7
    assert figures(draft(body=calling("Paris", "Paris")))[1] == 2 * (2 + 6) + 28
    assert figures(draft(body=calling("Paris"), complete=False))[1] == 2 + 6


def test_gemini_counts_the_text_alone() -> None:
    asked = {"contents": [{"parts": [{"text": "hello world"}]}]}
    assert figures(draft(asked, operation="generate_content", model="gemini-1.5-pro"))[0] == 2


@pytest.mark.parametrize(
    "schema", [{"$ref": "#/$defs/Tree"}, {"type": ["object", 7], "properties": 7}, {"$ref": "#/no"}]
)
def test_odd_schemas_are_no_trouble(schema: Any) -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#/$defs/Tree"}, "right": {"$ref": "#/$defs/Tree"}}}
    tool = Tool("grow", None, {"type": "object", "properties": {"tree": schema}, "$defs": {"Tree": tree}})
    assert "type grow = (_: {\ntree?: " in as_typescript([tool])
    assert (
        figures(draft({**HELLO, "tools": [{"function": {**tool._asdict(), "parameters": tool.schema}}]}))[0] is not None
    )


def test_tools_as_typescript() -> None:
    # the shape of harmony's documentation
    schema = {
        "type": "object",
        "properties": {
            "location": {"type": "string", "description": "The city"},
            "format": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
            "days": {"title": "Days", "type": "array", "items": {"type": "integer"}},
        },
        "required": ["location"],
    }
    tools = [Tool("get_location", "Gets the location", {}), Tool("get_weather", None, schema)]
    assert as_typescript(tools) == "\n".join(
        [
            "# Tools",
            "",
            "## functions",
            "",
            "namespace functions {",
            "",
            "// Gets the location",
            "type get_location = () => any;",
            "",
            "type get_weather = (_: {",
            "// The city",
            "location: string,",
            'format?: "celsius" | "fahrenheit", // default: "celsius"',
            "// Days",
            "//",
            "days?: number[],",
            "}) => any;",
            "",
            "} // namespace functions",
        ]
    )
    assert as_json(tools[:1]) == '{"name":"get_location","description":"Gets the location","schema":{}}'
    assert (
        as_format("Joke", None, {"title": "Joke", "type": "object"})
        == '# Response Formats\n\n## Joke\n\n{"type":"object"}'
    )


def test_a_stream_without_usage_is_estimated_in_the_table(provider: SimulatedProvider) -> None:
    client = provider.openai()
    with tokprof.profile() as prof:
        stream = client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "hello world"}], stream=True
        )
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    row = prof.calls.iloc[0]
    assert text and row.output_tokens == figures(draft({"prompt": text}, b"", "", "completions", complete=False))[0]
    assert (row.input_tokens, row.usage_source, row.tokenizer) == (9, "estimated", "o200k_base")
