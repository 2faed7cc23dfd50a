"""What a model said, in every dialect, whole and cut anywhere."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any

import pytest

from tokprof.capture.content import keep
from tokprof.meter.texts import answer, mend, said
from tokprof.span import Exchange

Events = list[dict[str, Any]]
PICTURE = base64.b64encode(bytes(range(256)) * 40).decode()


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def as_sse(events: Events) -> bytes:
    return b"".join(b"data: " + as_json(event) + b"\n\n" for event in events) + b"data: [DONE]\n\n"


def as_lines(events: Events) -> bytes:
    return b"".join(as_json(event) + b"\n" for event in events)


def as_frames(events: list[tuple[str, dict[str, Any]]]) -> bytes:
    """An AWS event stream."""
    body = b""
    for kind, payload in events:
        data = as_json({"bytes": base64.b64encode(as_json(payload)).decode()} if kind == "chunk" else payload)
        headers = b""
        for name, value in ((":event-type", kind), (":message-type", "event")):
            headers += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        head = struct.pack(">II", 16 + len(headers) + len(data), len(headers))
        frame = head + struct.pack(">I", zlib.crc32(head)) + headers + data
        body += frame + struct.pack(">I", zlib.crc32(frame))
    return body


def chunk(delta: dict[str, Any], index: int = 0, **more: Any) -> dict[str, Any]:
    return {"object": "chat.completion.chunk", "choices": [{"index": index, "delta": delta, **more}]}


def call(arguments: str, name: str | None = None, index: int = 0) -> dict[str, Any]:
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    return {"tool_calls": [{"index": index, "id": "call_1", "type": "function", "function": function}]}


def response(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", "output_index": 0, "content_index": 0, **more}


MESSAGE = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "so long"}]}
CALL = {"type": "function_call", "call_id": "c", "name": "find", "arguments": '{"x":1}'}

# --- answers: name -> operation, frame, body, texts ---------------------------------------------

ANSWERS: dict[str, tuple[str, str, bytes, list[str]]] = {
    "openai chat": (
        "chat",
        "json",
        as_json(
            {
                "id": "chatcmpl-1",
                "choices": [
                    {"index": 0, "message": {"role": "assistant", "content": "so long", "refusal": None}},
                    {
                        "index": 1,
                        "message": {"content": None, "refusal": "no", "reasoning_content": "hm", **call("{}", "f")},
                    },
                ],
            }
        ),
        ["so long", "no", "hm", "f", "{}"],
    ),
    "openai chat stream": (
        "chat",
        "sse",
        as_sse(
            [
                chunk({"role": "assistant", "content": ""}),
                chunk({"content": "so "}),
                chunk({"content": "so "}, index=1),
                chunk({"content": "long"}),
                chunk({"content": "what"}, index=1, finish_reason="stop"),
                chunk(call("", "find")),
                chunk(call('{"x"')),
                chunk(call(":1}")),
                {"choices": [], "usage": None},
            ]
        ),
        ["so long", "so what", "find", '{"x":1}'],
    ),
    "message up to now beside each delta": (
        "chat",
        "sse",
        as_sse(
            [
                chunk({"content": "so "}, message={"content": "so "}),
                chunk({"content": "long"}, message={"content": "so long"}),
                chunk({}, message={"content": "so long"}),
            ]
        ),
        ["so long"],
    ),
    "reasoning by two names": (
        "chat",
        "sse",
        as_sse([chunk({"reasoning_content": "hm", "reasoning": "hm"}), chunk({"content": "yes"})]),
        ["hm", "yes"],
    ),
    "mistral thinks in parts": (
        "chat",
        "sse",
        as_sse(
            [
                chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}),
                chunk({"content": "yes"}),
            ]
        ),
        ["hm", "yes"],
    ),
    "completions": ("completions", "json", as_json({"choices": [{"text": "a"}, {"text": "b"}]}), ["a", "b"]),
    "responses": (
        "responses",
        "json",
        as_json({"object": "response", "output": [{"type": "reasoning", "summary": []}, MESSAGE, CALL]}),
        ["so long", "find", '{"x":1}'],
    ),
    "responses stream, all of it said thrice": (
        "responses",
        "sse",
        as_sse(
            [
                response("output_item.added", item={"type": "message", "content": []}),
                response("output_text.delta", delta="so "),
                response("output_text.delta", delta="long"),
                response("output_text.done", text="so long"),
                response("content_part.done", part={"type": "output_text", "text": "so long"}),
                response("output_item.done", item=MESSAGE),
                {"type": "response.completed", "response": {"object": "response", "output": [MESSAGE]}},
            ]
        ),
        ["so long"],
    ),
    "responses stream whose end is empty": (
        "responses",
        "sse",
        as_sse(
            [
                response("output_item.added", item={"type": "function_call", "name": "find", "arguments": ""}),
                response("function_call_arguments.delta", delta='{"x":1}'),
                response("function_call_arguments.done", arguments='{"x":1}'),
                {"type": "response.completed", "response": {"output": []}},
            ]
        ),
        ["find", '{"x":1}'],
    ),
    "messages": (
        "messages",
        "json",
        as_json(
            {
                "type": "message",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "EqoBCkgIARAB"},
                    {"type": "text", "text": "so long"},
                    {"type": "tool_use", "id": "toolu_1", "name": "find", "input": {"x": 1}},
                ],
            }
        ),
        ["hm", "so long", "find", '{"x": 1}'],
    ),
    "messages stream": (
        "messages",
        "sse",
        as_sse(
            [
                {"type": "message_start", "message": {"content": [], "usage": {"output_tokens": 1}}},
                {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
                {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
                {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "Eq"}},
                {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
                {"type": "ping"},
                {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "so "}},
                {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "long"}},
                {
                    "type": "content_block_start",
                    "index": 2,
                    "content_block": {"type": "tool_use", "id": "toolu_1", "name": "find", "input": {}},
                },
                {
                    "type": "content_block_delta",
                    "index": 2,
                    "delta": {"type": "input_json_delta", "partial_json": "{}"},
                },
                {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
                {"type": "message_stop"},
            ]
        ),
        ["hm", "so long", "find", "{}"],
    ),
    "gemini": (
        "generate_content",
        "json",
        as_json(
            {
                "candidates": [
                    {
                        "content": {
                            "role": "model",
                            "parts": [
                                {"text": "hm", "thought": True},
                                {"text": "so long", "thoughtSignature": "Eq"},
                                {"functionCall": {"name": "find", "args": {"x": 1}}},
                            ],
                        }
                    }
                ]
            }
        ),
        ["hm", "so long", "find", '{"x": 1}'],
    ),
    "gemini, one array": (
        "generate_content",
        "json",
        as_json([{"candidates": [{"content": {"parts": [{"text": text}]}}]} for text in ("so ", "long")]),
        ["so long"],
    ),
    "converse": (
        "converse",
        "json",
        as_json(
            {
                "output": {
                    "message": {
                        "role": "assistant",
                        "content": [
                            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "Eq"}}},
                            {"text": "so long"},
                            {"toolUse": {"toolUseId": "t", "name": "find", "input": {"x": 1}}},
                        ],
                    }
                }
            }
        ),
        ["hm", "so long", "find", '{"x": 1}'],
    ),
    "converse stream": (
        "converse",
        "eventstream",
        as_frames(
            [
                ("messageStart", {"role": "assistant"}),
                ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "hm"}}}),
                ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "so "}, "p": "abc"}),
                ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "long"}, "p": "abcdef"}),
                ("contentBlockStop", {"contentBlockIndex": 1}),
                (
                    "contentBlockStart",
                    {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "t", "name": "find"}}},
                ),
                ("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": '{"x":'}}}),
                ("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": "1}"}}}),
                ("messageStop", {"stopReason": "tool_use"}),
            ]
        ),
        ["hm", "so long", "find", '{"x":1}'],
    ),
    "nova, invoked": (
        "invoke",
        "eventstream",
        as_frames(
            [
                ("chunk", {"contentBlockDelta": {"delta": {"text": "so "}, "contentBlockIndex": 0}}),
                ("chunk", {"contentBlockDelta": {"delta": {"text": "long"}, "contentBlockIndex": 0}}),
                ("chunk", {"metadata": {"usage": {}}}),
            ]
        ),
        ["so long"],
    ),
    "llama, invoked": (
        "invoke",
        "eventstream",
        as_frames([("chunk", {"generation": "so "}), ("chunk", {"generation": "long", "stop_reason": "stop"})]),
        ["so long"],
    ),
    "titan": ("invoke", "json", as_json({"results": [{"outputText": "so long", "tokenCount": 2}]}), ["so long"]),
    "jurassic": (
        "invoke",
        "json",
        as_json({"prompt": {"text": "hi"}, "completions": [{"data": {"text": "so long", "tokens": []}}]}),
        ["so long"],
    ),
    "cohere 2": (
        "chat",
        "json",
        as_json({"message": {"tool_plan": "I look", "tool_calls": call("{}", "find")["tool_calls"]}}),
        ["I look", "find", "{}"],
    ),
    "cohere 2 stream": (
        "chat",
        "sse",
        as_sse(
            [
                {"type": "message-start", "delta": {"message": {"role": "assistant", "content": []}}},
                {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I look"}}},
                {
                    "type": "tool-call-start",
                    "index": 0,
                    "delta": {"message": {"tool_calls": {"function": {"name": "find", "arguments": ""}}}},
                },
                {
                    "type": "tool-call-delta",
                    "index": 0,
                    "delta": {"message": {"tool_calls": {"function": {"arguments": "{}"}}}},
                },
                {"type": "content-start", "index": 1, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
                {"type": "content-delta", "index": 1, "delta": {"message": {"content": {"text": "so "}}}},
                {"type": "content-delta", "index": 1, "delta": {"message": {"content": {"text": "long"}}}},
                {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}},
            ]
        ),
        ["I look", "find", "{}", "so long"],
    ),
    "cohere 1 stream, said again at its end": (
        "chat",
        "ndjson",
        as_lines(
            [
                {"event_type": "stream-start", "is_finished": False},
                {"event_type": "text-generation", "text": "so ", "is_finished": False},
                {"event_type": "text-generation", "text": "long", "is_finished": False},
                {"event_type": "stream-end", "is_finished": True, "response": {"text": "so long", "chat_history": []}},
            ]
        ),
        ["so long"],
    ),
    "cohere 1": (
        "chat",
        "json",
        as_json({"text": "so long", "chat_history": [{"role": "USER", "message": "hi"}], "meta": {}}),
        ["so long"],
    ),
    "ollama": (
        "chat",
        "ndjson",
        as_lines(
            [
                {"message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": False},
                {"message": {"role": "assistant", "content": "so "}, "done": False},
                {"message": {"role": "assistant", "content": "long"}, "done": False},
                {"message": {"role": "assistant", "content": ""}, "done": True},
            ]
        ),
        ["hm", "so long"],
    ),
    "ollama generate": (
        "completions",
        "ndjson",
        as_lines([{"response": "so "}, {"response": "long"}, {"response": "", "done": True, "context": [1, 2]}]),
        ["so long"],
    ),
    "tgi": (
        "completions",
        "sse",
        as_sse(
            [
                {"token": {"id": 1, "text": "so "}, "generated_text": None},
                {"token": {"id": 2, "text": "long"}, "generated_text": "so long"},
            ]
        ),
        ["so long"],
    ),
    "watsonx": (
        "completions",
        "sse",
        as_sse([{"results": [{"generated_text": "so "}]}, {"results": [{"generated_text": "long"}]}]),
        ["so long"],
    ),
    "xai": (
        "chat",
        "ndjson",
        as_lines([{"outputs": [{"index": 0, "delta": {"content": text}}]} for text in ("so ", "long")]),
        ["so long"],
    ),
    "interactions": (
        "interactions",
        "sse",
        as_sse(
            [
                {"event_type": "content.delta", "index": 0, "delta": {"type": "text", "text": "so "}},
                {"event_type": "content.delta", "index": 0, "delta": {"type": "text", "text": "long"}},
                {
                    "event_type": "interaction.complete",
                    "interaction": {"outputs": [{"type": "text", "text": "so long"}]},
                },
            ]
        ),
        ["so long"],
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_a_model_said(name: str) -> None:
    operation, frame, body, texts = ANSWERS[name]
    assert answer(body, frame, operation).of() == texts
    assert said(body, frame, operation) == "".join(texts)


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_cut_anywhere_says_the_beginning(name: str) -> None:
    operation, frame, body, texts = ANSWERS[name]
    last = 0
    for end in range(len(body) + 1):
        found = answer(body[:end], frame, operation)
        for cut in found.of():
            assert any(text.startswith(cut.rstrip("}")) for text in texts)
        assert found.size >= last
        last = found.size
    assert last == sum(map(len, texts))


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[", b"null", b"7", b'"text"', b"<html>", b"\x00\x01\xff", b'{"choices": 7}',
     b'{"choices": [null, 7]}', b'{"output": [null, 7]}', b'{"content": [null, 7, [[]]]}',
     b'{"candidates": [null, {"content": 7}]}',
     b'{"choices": [{"delta": {"tool_calls": [null, {"function": 7}]}}]}', b"[" * 100_000],
)  # fmt: skip
@pytest.mark.parametrize("frame", ["json", "sse", "ndjson", "eventstream", ""])
def test_nonsense_says_nothing(body: bytes, frame: str) -> None:
    assert said(b"data: " + body + b"\n\n" if frame == "sse" else body, frame) == ""


def test_embeddings_say_nothing() -> None:
    assert said(as_json({"data": [{"embedding": [0.1, 0.2]}], "text": "x"}), "json", "embeddings") == ""


@pytest.mark.parametrize(
    ("frame", "body"),
    [
        ("json", {"choices": [{"message": {"content": None, "audio": {"data": PICTURE, "transcript": "so long"}}}]}),
        ("json", {"choices": [{"message": {"content": "so long", "images": [{"image_url": {"url": PICTURE}}]}}]}),
        ("json", {"output": [MESSAGE, {"type": "image_generation_call", "result": PICTURE}]}),
        ("json", {"output": [{"type": "reasoning", "summary": [], "encrypted_content": PICTURE}, MESSAGE]}),
        ("json", {"content": [{"type": "redacted_thinking", "data": PICTURE}, {"type": "text", "text": "so long"}]}),
        ("json", {"candidates": [{"content": {"parts": [{"text": "so long"}, {"inlineData": {"data": PICTURE}}]}}]}),
    ],
)
def test_what_text_does_not_show_is_known_to_be_there(frame: str, body: Any) -> None:
    found = answer(as_json(body), frame)
    assert found.hidden and found.of() == ["so long"]


def test_json_is_mended() -> None:
    whole = {"a": 'x\\ "y" \u00e9\n{,', "b": [1, {"c": "d,e"}, None], "f": True}
    body = json.dumps(whole).encode()
    for end in range(2, len(body)):
        found = mend(body[:end])
        assert found.keys() <= whole.keys()
        assert whole["a"].startswith(found.get("a", ""))
    assert mend(body) == whole
    assert mend(b"") is None
    assert mend(b'{"a":' * 1_000_000) is None


# --- previews ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["openai chat stream", "messages stream", "converse stream", "ollama"])
def test_a_preview_is_what_was_said(name: str) -> None:
    _, frame, body, texts = ANSWERS[name]
    kinds = {"sse": "text/event-stream", "eventstream": "application/vnd.amazon.eventstream"}
    request = as_json({"messages": [{"role": "user", "content": "hi"}, {"role": "user", "content": "hello"}]})
    exchange = Exchange("POST", "h", "/", request, content_type=kinds.get(frame, "application/x-ndjson"), chunks=[body])
    assert keep(exchange, "preview") == {"prompt": "hello", "answer": "".join(texts)}
