"""What a program asked, in every dialect, and what of it text does not show."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tokprof.meter.prompts import asked, last_message

PICTURE = base64.b64encode(bytes(range(256)) * 40).decode()
CALL = {"type": "function_call", "call_id": "c", "name": "find", "arguments": '{"x":1}'}


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


TOOL = {"name": "find", "description": "Finds", "parameters": {"type": "object", "properties": {}}}
TOOL_CALL = {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}

# name -> operation, request, texts, messages, complete
PROMPTS: dict[str, tuple[str, dict[str, Any], list[str], int, bool]] = {
    "openai chat": (
        "chat",
        {
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": [{"type": "text", "text": "hello"}, {"type": "text", "text": " you"}]},
                {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]},
                {"role": "tool", "tool_call_id": "call_1", "content": "nothing"},
            ]
        },
        ["be brief", "hello you", "find", "{}", "nothing"],
        4,
        True,
    ),
    "a picture": (
        "chat",
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "what is it"}, IMAGE]}]},
        ["what is it"],
        1,
        False,
    ),
    "completions": ("completions", {"prompt": ["once", "upon"]}, ["once", "upon"], 0, True),
    "responses": (
        "responses",
        {
            "instructions": "be brief",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "hello"}]},
                CALL,
                {"type": "function_call_output", "call_id": "c", "output": "nothing"},
            ],
        },
        ["be brief", "hello", "find", '{"x":1}', "nothing"],
        4,
        True,
    ),
    "responses, text": ("responses", {"input": "hello"}, ["hello"], 1, True),
    "what the provider keeps": ("responses", {"input": "hello", "previous_response_id": "r"}, ["hello"], 1, False),
    "a stored prompt": ("responses", {"prompt": {"id": "pmpt_1"}, "input": "hello"}, ["hello"], 1, False),
    "a file": (
        "responses",
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_data": PICTURE}]}]},
        [],
        1,
        False,
    ),
    "messages": (
        "messages",
        {
            "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": "hello"},
                {"role": "assistant", "content": [{"type": "tool_use", "name": "find", "input": {}}]},
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "no"}]}
                    ],
                },
            ],
        },
        ["be brief", "hello", "find", "{}", "no"],
        4,
        True,
    ),
    "a screenshot as result": (
        "messages",
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "content": [{"type": "image", "source": {"type": "base64", "data": PICTURE}}],
                        }
                    ],
                }
            ]
        },
        [],
        1,
        False,
    ),
    "a document": (
        "messages",
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "document", "source": {"type": "text", "data": "a b", "media_type": "text/plain"}}
                    ],
                }
            ]
        },
        ["a b"],
        1,
        True,
    ),
    "gemini": (
        "generate_content",
        {
            "systemInstruction": {"parts": [{"text": "be brief"}]},
            "contents": [
                {"role": "user", "parts": [{"text": "hello"}]},
                {"role": "model", "parts": [{"functionCall": {"name": "find", "args": {}}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "find", "response": {"r": 1}}}]},
            ],
        },
        ["be brief", "hello", "find", "{}", "find", '{"r": 1}'],
        4,
        True,
    ),
    "gemini, a picture": (
        "generate_content",
        {"contents": [{"parts": [{"text": "what"}, {"inline_data": {"mime_type": "image/png", "data": PICTURE}}]}]},
        ["what"],
        1,
        False,
    ),
    "converse": (
        "converse",
        {
            "system": [{"text": "be brief"}, {"cachePoint": {"type": "default"}}],
            "messages": [
                {"role": "user", "content": [{"text": "hello"}]},
                {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "find", "input": {}}}]},
                {"role": "user", "content": [{"toolResult": {"toolUseId": "t", "content": [{"json": {"r": 1}}]}}]},
            ],
        },
        ["be brief", "hello", "find", "{}", '{"r": 1}'],
        4,
        True,
    ),
    "converse, a document": (
        "converse",
        {"messages": [{"role": "user", "content": [{"document": {"name": "d", "source": {"bytes": PICTURE}}}]}]},
        [],
        1,
        False,
    ),
    "cohere 1": (
        "chat",
        {"preamble": "be brief", "chat_history": [{"role": "USER", "message": "hi"}], "message": "hello"},
        ["be brief", "hi", "hello"],
        3,
        True,
    ),
    "ollama": ("completions", {"model": "llama3", "prompt": "hello", "images": [], "context": []}, ["hello"], 0, True),
    "ollama, a picture": ("completions", {"prompt": "what", "images": [PICTURE]}, ["what"], 0, False),
    "watsonx": ("completions", {"model_id": "google/flan-ul2", "input": "hello"}, ["hello"], 0, True),
    "titan": ("invoke", {"inputText": "hello"}, ["hello"], 0, True),
    "tgi": ("completions", {"inputs": "hello", "parameters": {}}, ["hello"], 0, True),
    "embeddings": ("embeddings", {"input": ["a", "b"]}, ["a", "b"], 0, True),
    "cohere embed": ("embeddings", {"texts": ["a", "b"], "input_type": "search_query"}, ["a", "b"], 0, True),
    "gemini embed": (
        "embeddings",
        {"requests": [{"content": {"parts": [{"text": "a"}]}}, {"content": {"parts": [{"text": "b"}]}}]},
        ["a", "b"],
        0,
        True,
    ),
    "vertex embed": ("embeddings", {"instances": [{"content": "a"}]}, ["a"], 0, True),
    "pictures, embedded": ("embeddings", {"images": [f"data:image/png;base64,{PICTURE}"]}, [], 0, False),
    "nothing": ("chat", {}, [], 0, False),
}


@pytest.mark.parametrize("name", PROMPTS)
def test_what_a_program_asked(name: str) -> None:
    operation, request, texts, messages, complete = PROMPTS[name]
    found = asked(as_json(request), operation)
    assert (found.texts, found.messages, found.complete) == (texts, messages, complete)
    assert found.text == "".join(texts)


@pytest.mark.parametrize(
    ("body", "tokens"),
    [({"input": [1, 2, 3]}, 3), ({"input": [[1, 2], [3]]}, 3), ({"prompt": [1, 2]}, 2)],
)
def test_token_ids_count_as_they_are(body: Any, tokens: int) -> None:
    found = asked(as_json(body), "embeddings" if "input" in body else "completions")
    assert (found.tokens, found.texts, found.complete) == (tokens, [], True)


@pytest.mark.parametrize(
    "body",
    [
        {"tools": [{"type": "function", "function": TOOL}]},
        {"tools": [{"type": "function", **TOOL}]},
        {"functions": [TOOL]},
        {"tools": [{"name": "find", "description": "Finds", "input_schema": TOOL["parameters"]}]},
        {"tools": [{"functionDeclarations": [TOOL]}]},
        {"toolConfig": {"tools": [{"toolSpec": {**TOOL, "inputSchema": {"json": TOOL["parameters"]}}}]}},
    ],
)
def test_tools(body: Any) -> None:
    body = json.loads(json.dumps(body))
    for spec in body.get("toolConfig", {}).get("tools", ()):
        del spec["toolSpec"]["parameters"]
    found = asked(as_json({"messages": [{"role": "user", "content": "hello"}], **body}), "chat")
    assert found.complete and [tuple(tool) for tool in found.tools] == [("find", "Finds", TOOL["parameters"])]
    assert '"find"' in found.text


@pytest.mark.parametrize(
    "tool", [{"type": "web_search_preview"}, {"googleSearch": {}}, {"type": "bash_1", "name": "bash"}]
)
def test_a_tool_of_the_provider_has_tokens_of_its_own(tool: Any) -> None:
    found = asked(as_json({"messages": [{"role": "user", "content": "hello"}], "tools": [tool]}), "chat")
    assert not found.complete and not found.tools


@pytest.mark.parametrize(
    "request_body",
    [None, b"", b"{", b"[]", b"--boundary\r\n", b'{"messages": 7}', b'{"tools": 7}', b'{"input": {"a": 1}}'],
)
def test_a_request_that_cannot_be_read_is_not_complete(request_body: bytes | None) -> None:
    found = asked(request_body, "chat")
    assert not found.complete and not found.texts


def test_the_last_message_of_each_dialect() -> None:
    assert last_message(as_json({"contents": [{"parts": [{"text": "a"}]}, {"parts": [{"text": "b"}]}]})) == "b"
    assert last_message(as_json({"input": "a"})) == last_message(as_json({"prompt": "a"})) == "a"
    assert last_message(as_json({"input": [1, 2, 3]})) == last_message(b"") == last_message(None) == ""
