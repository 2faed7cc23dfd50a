"""Each shape of answer, hand-written, with the exact tokens; and answers that nobody should believe."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from typing import Any

import pytest

from tokprof.meter.body import decode
from tokprof.meter.providers import provider
from tokprof.meter.reader import may_be_call, read
from tokprof.span import TOKEN_FIELDS, Exchange, Reading

Json = dict[str, Any]
CHAT = ("api.openai.com", "/v1/chat/completions")
RESPONSES = ("api.openai.com", "/v1/responses")
MESSAGES = ("api.anthropic.com", "/v1/messages")
GEMINI = ("generativelanguage.googleapis.com", "/v1beta/models/gemini-2.5-pro:generateContent")
BEDROCK = "bedrock-runtime.us-east-1.amazonaws.com"


def exchange(place: tuple[str, str], body: bytes | Json | list[bytes], **more: Any) -> Exchange:
    chunks = body if isinstance(body, list) else [body if isinstance(body, bytes) else json.dumps(body).encode()]
    values: Json = {"request": b'{"model": "asked"}', "http_status": 200, "content_type": "application/json"}
    return Exchange("POST", *place, chunks=chunks, **{**values, **more})


def reading(place: tuple[str, str], body: bytes | Json | list[bytes], **more: Any) -> Reading:
    found = read(exchange(place, body, **more))
    assert found is not None
    return found


def tokens(found: Reading) -> Json:
    names = (*TOKEN_FIELDS, "cache_write_1h_tokens")
    told = {name.removesuffix("_tokens"): getattr(found.usage, name) for name in names if name != "total_tokens"}
    return {name: number for name, number in told.items() if number}


def sse(*events: Json | str, end: str = "\n") -> bytes:
    lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
    return "".join(f"data: {line}{end}{end}" for line in lines).encode()


def frame(event: str, payload: Json, kind: str = "event") -> bytes:
    header = b""
    for name, value in ((":message-type", kind), (":event-type" if kind == "event" else ":exception-type", event)):
        header += bytes([len(name)]) + name.encode() + b"\x07" + len(value).to_bytes(2, "big") + value.encode()
    data = json.dumps(payload).encode()
    prelude = (16 + len(header) + len(data)).to_bytes(4, "big") + len(header).to_bytes(4, "big")
    message = prelude + zlib.crc32(prelude).to_bytes(4, "big") + header + data
    return message + zlib.crc32(message).to_bytes(4, "big")


def chunk(payload: Json) -> bytes:
    return frame("chunk", {"bytes": base64.b64encode(json.dumps(payload).encode()).decode()})


ANSWERS: list[tuple[str, tuple[str, str], Json, Json]] = [
    (
        "plain chat",
        CHAT,
        {"prompt_tokens": 13, "completion_tokens": 24, "total_tokens": 37},
        {"input": 13, "output": 24},
    ),
    (
        "chat details",
        CHAT,
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30, "audio_tokens": 5},
            "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 7},
        },
        {
            "input": 100,
            "output": 50,
            "cache_read": 60,
            "cache_write": 30,
            "reasoning": 20,
            "input_audio": 5,
            "output_audio": 7,
        },
    ),
    (
        "parts beyond the whole are clamped",
        ("openrouter.ai", "/api/v1/chat/completions"),
        {
            "prompt_tokens": 2168,
            "completion_tokens": 10,
            "prompt_tokens_details": {"cached_tokens": 2161, "cache_write_tokens": 2161},
            "completion_tokens_details": {"reasoning_tokens": 11},
        },
        {"input": 2168, "output": 10, "cache_read": 2161, "cache_write": 7, "reasoning": 10},
    ),
    (
        "DeepSeek",
        ("api.deepseek.com", "/chat/completions"),
        {"prompt_tokens": 32, "completion_tokens": 4, "prompt_cache_hit_tokens": 20, "prompt_cache_miss_tokens": 12},
        {"input": 32, "output": 4, "cache_read": 20},
    ),
    (
        "Mistral",
        ("api.mistral.ai", "/v1/chat/completions"),
        {"prompt_tokens": 32, "completion_tokens": 4, "num_cached_tokens": 16},
        {"input": 32, "output": 4, "cache_read": 16},
    ),
    (
        "xAI: reasoning on top",
        ("api.x.ai", "/v1/chat/completions"),
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 115,
            "completion_tokens_details": {"reasoning_tokens": 100},
        },
        {"input": 10, "output": 105, "reasoning": 100},
    ),
    ("completions", ("localhost:8000", "/v1/completions"), {"prompt_tokens": 11, "total_tokens": 11}, {"input": 11}),
    ("embeddings", ("api.openai.com", "/v1/embeddings"), {"prompt_tokens": 7, "total_tokens": 7}, {"input": 7}),
    ("Voyage", ("api.voyageai.com", "/v1/rerank"), {"total_tokens": 57}, {"input": 57}),
    (
        "responses",
        RESPONSES,
        {
            "input_tokens": 1220,
            "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 1217},
            "output_tokens": 100,
            "output_tokens_details": {"reasoning_tokens": 54},
        },
        {"input": 1220, "output": 100, "cache_read": 3, "cache_write": 1217, "reasoning": 54},
    ),
    (
        "Anthropic: cache on top",
        MESSAGES,
        {
            "input_tokens": 10,
            "cache_creation_input_tokens": 5,
            "cache_read_input_tokens": 1,
            "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3},
            "output_tokens": 21,
            "output_tokens_details": {"thinking_tokens": 8},
        },
        {"input": 16, "output": 21, "cache_read": 1, "cache_write": 5, "cache_write_1h": 3, "reasoning": 8},
    ),
    (
        "converse",
        (BEDROCK, "/model/amazon.nova-lite-v1%3A0/converse"),
        {"inputTokens": 11, "outputTokens": 236, "cacheReadInputTokens": 4, "cacheWriteInputTokens": 1028},
        {"input": 1043, "output": 236, "cache_read": 4, "cache_write": 1028},
    ),
    (
        "Cohere: tokens, not what is billed",
        ("api.cohere.com", "/v2/chat"),
        {
            "billed_units": {"input_tokens": 12, "output_tokens": 47},
            "tokens": {"input_tokens": 212, "output_tokens": 48},
            "cached_tokens": 208,
        },
        {"input": 212, "output": 48, "cache_read": 208},
    ),
]


@pytest.mark.parametrize(("place", "usage", "expected"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS])
def test_usage_object(place: tuple[str, str], usage: Json, expected: Json) -> None:
    found = reading(place, {"id": "x", "model": "m-1", "usage": usage})
    assert (found.source, tokens(found)) == ("reported", expected)
    assert json.loads(found.usage_raw or "") == usage


FLAT: list[tuple[str, tuple[str, str], Json, Json]] = [
    (
        "Ollama",
        ("localhost:11434", "/api/chat"),
        {"prompt_eval_count": 19, "eval_count": 4},
        {"input": 19, "output": 4},
    ),
    ("Ollama, prompt cached", ("localhost:11434", "/api/generate"), {"eval_count": 38}, {"output": 38}),
    (
        "Gemini",
        GEMINI,
        {
            "usageMetadata": {
                "promptTokenCount": 32,
                "toolUsePromptTokenCount": 619,
                "candidatesTokenCount": 575,
                "thoughtsTokenCount": 199,
                "totalTokenCount": 1425,
                "promptTokensDetails": [{"modality": 2, "tokenCount": 30}, {"modality": "TEXT", "tokenCount": 2}],
            }
        },
        {"input": 651, "output": 774, "reasoning": 199, "input_image": 30},
    ),
    (
        "Cohere v1",
        ("api.cohere.com", "/v1/chat"),
        {"meta": {"tokens": {"input_tokens": 5, "output_tokens": 6}}},
        {"input": 5, "output": 6},
    ),
    (
        "Llama",
        (BEDROCK, "/model/meta.llama3/invoke"),
        {"prompt_token_count": 5, "generation_token_count": 10},
        {"input": 5, "output": 10},
    ),
    (
        "Titan",
        (BEDROCK, "/model/amazon.titan/invoke"),
        {"inputTextTokenCount": 18, "results": [{"tokenCount": 50}]},
        {"input": 18, "output": 50},
    ),
    (
        "watsonx",
        ("us-south.ml.cloud.ibm.com", "/ml/v1/text/generation"),
        {"results": [{"input_token_count": 7, "generated_token_count": 2}]},
        {"input": 7, "output": 2},
    ),
    (
        "Aleph Alpha",
        ("api.aleph-alpha.com", "/complete"),
        {"num_tokens_prompt_total": 9, "num_tokens_generated": 1000},
        {"input": 9, "output": 1000},
    ),
]


@pytest.mark.parametrize(("place", "answer", "expected"), [row[1:] for row in FLAT], ids=[row[0] for row in FLAT])
def test_counts_in_the_answer(place: tuple[str, str], answer: Json, expected: Json) -> None:
    found = reading(place, answer)
    assert (found.source, tokens(found)) == ("reported", expected)


def delta(text: str, **more: Any) -> Json:
    return {"model": "m-1", "choices": [{"delta": {"content": text}, "finish_reason": None}], "usage": None, **more}


STOP: Json = {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": None}
CHAT_USAGE: Json = {"choices": [], "usage": {"prompt_tokens": 13, "completion_tokens": 2}}
CHAT_STREAM = sse(delta(""), delta("Hi"), delta("!"), STOP, CHAT_USAGE, "[DONE]")
START: Json = {
    "type": "message_start",
    "message": {"model": "claude", "usage": {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 1}},
}
BLOCK: Json = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": '"usage": {'}}
END: Json = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 50}}
MESSAGE_STREAM = sse(START, BLOCK, BLOCK, END, {"type": "message_stop"})
COMPLETED: Json = {
    "type": "response.completed",
    "response": {"model": "gpt-5", "status": "completed", "usage": {"input_tokens": 22, "output_tokens": 6}},
}
RESPONSE_STREAM = sse(
    {"type": "response.created", "response": {"model": "gpt-5", "usage": None}},
    {"type": "response.output_text.delta", "delta": "Hi"},
    COMPLETED,
)
GEMINI_EVENTS = [
    {"candidates": [{"content": {"parts": [{"text": "a"}]}}], "usageMetadata": {"promptTokenCount": 8}},
    {"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 9}},
]
STREAMS = {
    "chat": (CHAT, CHAT_STREAM, {"input": 13, "output": 2}),
    "messages": (MESSAGES, MESSAGE_STREAM, {"input": 7, "output": 50, "cache_read": 2}),
    "responses": (RESPONSES, RESPONSE_STREAM, {"input": 22, "output": 6}),
    "gemini": ((GEMINI[0], GEMINI[1].replace("gen", "streamGen")), sse(*GEMINI_EVENTS), {"input": 8, "output": 9}),
    "groq": (
        ("api.groq.com", "/openai/v1/chat/completions"),
        sse(delta("a"), {**STOP, "x_groq": {"usage": {"prompt_tokens": 18, "completion_tokens": 3}}}),
        {"input": 18, "output": 3},
    ),
    "cohere": (
        ("api.cohere.com", "/v2/chat"),
        sse({"type": "message-end", "delta": {"usage": {"tokens": {"input_tokens": 3, "output_tokens": 4}}}}),
        {"input": 3, "output": 4},
    ),
    "watsonx": (
        ("us-south.ml.cloud.ibm.com", "/ml/v1/text/generation_stream"),
        sse(
            {"results": [{"input_token_count": 8, "generated_token_count": 0, "stop_reason": "not_finished"}]},
            {"results": [{"input_token_count": 0, "generated_token_count": 11, "stop_reason": "eos_token"}]},
        ),
        {"input": 8, "output": 11},
    ),
}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_stream(name: str, end: str) -> None:
    place, body, expected = STREAMS[name]
    found = reading(place, body.replace(b"\n", end.encode()), content_type="text/event-stream")
    assert (found.source, tokens(found), found.stream) == ("reported", expected, True)


@pytest.mark.parametrize("name", STREAMS)
def test_stream_cut_anywhere_claims_nothing_false(name: str) -> None:
    place, body, expected = STREAMS[name]
    for at in range(len(body)):
        found = reading(place, body[:at], content_type="text/event-stream")
        if found.source in ("reported", "derived"):
            assert tokens(found) == expected, at


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_json_cut_anywhere_claims_nothing_false(encoding: str) -> None:
    usage = {"prompt_tokens": 13, "completion_tokens": 24, "total_tokens": 37}
    body = json.dumps({"model": "m", "choices": [{"message": {"content": "x"}}], "usage": usage, "n": 1}).encode()
    body = gzip.compress(body) if encoding else body
    for at in range(len(body)):
        found = reading(CHAT, body[:at], content_encoding=encoding)
        assert found.source == "missing" or tokens(found) == {"input": 13, "output": 24}, at


def test_what_a_stream_tells_beside_tokens() -> None:
    chunks = [part + b"\n\n" for part in CHAT_STREAM.split(b"\n\n")[:-1]]
    found = reading(CHAT, chunks, content_type="text/event-stream; charset=utf-8")
    assert (found.model, found.request_model, found.finish_reason) == ("m-1", "asked", "stop")
    assert (found.provider, found.operation, found.kind, found.first_token_at) == ("openai", "chat", "llm", 1)
    chunks = [part + b"\n\n" for part in MESSAGE_STREAM.split(b"\n\n")[:-1]]
    assert reading(MESSAGES, chunks).first_token_at == 1


def test_stream_without_usage_is_missing() -> None:
    found = reading(CHAT, sse(delta("a"), delta("b"), STOP, "[DONE]"), content_type="text/event-stream")
    assert (found.source, tokens(found), found.model) == ("missing", {}, "m-1")


def test_anthropic_stream_cut_after_its_start_is_a_lower_bound() -> None:
    found = reading(MESSAGES, sse(START, BLOCK), content_type="text/event-stream")
    assert (found.source, found.usage.input_tokens, found.usage.output_tokens) == ("partial", 7, 1)


def test_sse_by_the_book() -> None:
    body = b'\xef\xbb\xbf: hello\r\n\r\nevent: x\r\ndata: {"choices": [],\r\ndata: "usage": {"prompt_tokens": 3,\r\n'
    body += b'data:  "completion_tokens": 4}}\r\n\r\ndata: [DONE]\r\n\r\n'
    found = reading(CHAT, body, content_type="text/event-stream")
    assert (found.source, tokens(found)) == ("reported", {"input": 3, "output": 4})


def test_running_counts_are_partial_until_the_stream_has_ended() -> None:
    events = [delta("x", usage={"prompt_tokens": 5, "completion_tokens": n}) for n in range(1, 100)]
    assert reading(CHAT, sse(*events)).source == "partial"
    found = reading(CHAT, sse(*events, "[DONE]"))
    assert (found.source, tokens(found)) == ("reported", {"input": 5, "output": 99})


def test_json_lines_and_json_array() -> None:
    lines = [{"model": "llama3", "message": {"content": "Why"}, "done": False}] * 3
    lines.append({"model": "llama3", "done": True, "done_reason": "stop", "prompt_eval_count": 17, "eval_count": 50})
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    found = reading(("gpu.lan:11434", "/api/chat"), body, content_type="application/x-ndjson")
    assert (found.source, tokens(found), found.stream) == ("reported", {"input": 17, "output": 50}, True)
    place = (GEMINI[0], GEMINI[1].replace("gen", "streamGen"))
    found = reading(place, json.dumps(GEMINI_EVENTS, indent=2).encode())
    assert (found.source, tokens(found), found.stream) == ("reported", {"input": 8, "output": 9}, True)
    assert reading(place, json.dumps(GEMINI_EVENTS).encode()[:-90]).source == "partial"


def test_aws_event_stream() -> None:
    place = (BEDROCK, "/model/us.amazon.nova-lite-v1%3A0/converse-stream")
    delta_frame = frame("contentBlockDelta", {"delta": {"text": "a"}})
    tail = frame("metadata", {"usage": {"inputTokens": 8, "outputTokens": 10}})
    body = [
        frame("messageStart", {"role": "assistant"}),
        delta_frame,
        frame("messageStop", {"stopReason": "end_turn"}),
        tail,
    ]
    found = reading(place, body, content_type="application/vnd.amazon.eventstream")
    assert (found.source, tokens(found), found.stream) == ("reported", {"input": 8, "output": 10}, True)
    assert (found.model, found.first_token_at, found.finish_reason) == ("us.amazon.nova-lite-v1:0", 1, "end_turn")
    whole = b"".join(body)
    for at in range(len(whole)):
        assert reading(place, whole[:at], content_type="application/vnd.amazon.eventstream").source == "missing"


def test_bedrock_invoke() -> None:
    place = (BEDROCK, "/model/anthropic.claude-v2/invoke-with-response-stream")
    body = [chunk(START), chunk(BLOCK), chunk(END)]
    found = reading(place, body, content_type="application/vnd.amazon.eventstream")
    assert (found.source, tokens(found)) == ("reported", {"input": 7, "output": 50, "cache_read": 2})
    metrics = chunk({"text": "x", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 4, "outputTokenCount": 2}})
    assert tokens(reading(place, metrics, content_type="application/vnd.amazon.eventstream")) == {
        "input": 4,
        "output": 2,
    }
    headers = {"x-amzn-bedrock-input-token-count": "26", "x-amzn-bedrock-output-token-count": "42"}
    found = reading((BEDROCK, "/model/ai21.j2/invoke"), {"completions": []}, headers=headers)
    assert (found.source, tokens(found)) == ("reported", {"input": 26, "output": 42})
    failed = frame("throttlingException", {"message": "slow down"}, "exception")
    assert reading(place, failed, content_type="application/vnd.amazon.eventstream").error == "throttlingException"


@pytest.mark.parametrize(
    "value", [True, -1, "13", 1.5, float("nan"), float("inf"), 2**53 + 1, 10**400, [], {}], ids=lambda v: repr(v)[:12]
)
@pytest.mark.parametrize("key", ["prompt_tokens", "completion_tokens", "total_tokens"])
def test_nonsense_is_not_claimed(key: str, value: object) -> None:
    usage = {"prompt_tokens": 13, "completion_tokens": 24, "total_tokens": 37, key: value}
    found = reading(CHAT, {"model": "m", "usage": usage})
    assert (found.source, tokens(found)) == ("missing", {})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"usage"',
        b'{"usage": 7}',
        b'{"usage": null}',
        b'{"usage": {"prompt_tokens": 0, "completion_tokens": 0}}',
        b'{"choices": [{"usage": {"prompt_tokens": 1, "completion_tokens": 2}}]}',
        b'{"choices": [{"message": {"content": "{\\"usage\\": {\\"prompt_tokens\\": 1}}"}}]}',
        b"[" * 100_000,
        b"\xff\xfe\x00",
        b"data: \xff\n\ndata: {\n\n",
        b"\0" * 100,
    ],
)
def test_hostile_bodies(body: bytes) -> None:
    for content_type in ("", "application/json", "text/event-stream", "application/vnd.amazon.eventstream", "x-ndjson"):
        for encoding in ("", "gzip", "deflate", "br", "zstd", "nonsense", "gzip, br"):
            found = reading(CHAT, body, content_type=content_type, content_encoding=encoding, request=body)
            assert (found.source, tokens(found)) == ("missing", {})


def test_encodings() -> None:
    text = CHAT_STREAM * 50
    raw = zlib.compressobj(wbits=-15)
    packed = {
        "gzip": gzip.compress(text),
        "deflate": zlib.compress(text),
        "Deflate": raw.compress(text) + raw.flush(),
        "identity": text,
    }
    if brotli := pytest.importorskip("brotli", exc_type=ImportError):
        packed["br"] = brotli.compress(text)
    if zstandard := pytest.importorskip("zstandard", exc_type=ImportError):
        packed["zstd"] = zstandard.compress(text)
    for encoding, body in packed.items():
        chunks = [body[at : at + 7] for at in range(0, len(body), 7)]
        assert decode(chunks, encoding) == text, encoding
        cut = decode(chunks[: len(chunks) // 2], encoding)
        assert cut is not None and text.startswith(cut)
        assert decode([text], encoding) == text  # decoded by the client, header left in place
    assert decode([text], "nonsense") is None
    assert decode([gzip.compress(b"a") + gzip.compress(b"b")], "gzip") == b"ab"


def test_big_answers_are_read_from_their_end() -> None:
    vectors = [{"object": "embedding", "embedding": [0.125] * 1000}] * 400
    answer: Json = {"object": "list", "data": vectors, "model": "e-3", "usage": {"prompt_tokens": 7, "total_tokens": 7}}
    found = reading(("api.openai.com", "/v1/embeddings"), answer)
    assert (found.source, found.model, tokens(found)) == ("reported", "e-3", {"input": 7})
    pad, usage = "x" * 3_000_000, {"prompt_tokens": 1, "completion_tokens": 2}
    nested = {"usage": {"prompt_tokens": 3, "completion_tokens": 4}, "choices": [{"pad": pad, "usage": usage}]}
    assert tokens(reading(CHAT, nested)) == {"input": 3, "output": 4}
    assert reading(CHAT, {**nested, "pad": pad * 2}).source == "missing"


def test_errors() -> None:
    found = reading(CHAT, {"error": {"message": "sk-secret is no key", "type": "x", "code": None}}, http_status=429)
    assert (found.source, found.error, found.request_model) == ("missing", "HTTP 429: x", "asked")
    secrets = {"error": {"message": "a", "code": "my prompt, quoted", "type": "the whole " * 9}}
    assert reading(CHAT, secrets, http_status=400).error == "HTTP 400"
    assert reading(CHAT, {"detail": [{"input": "MY PROMPT"}]}, http_status=422).error == "HTTP 422"
    assert reading(CHAT, b"sk-secret is no key", http_status=401).error == "HTTP 401"
    assert reading(CHAT, b"<html>", http_status=502, content_type="text/html").error == "HTTP 502"
    assert reading((BEDROCK, "/model/x/converse"), {"message": "invalid"}, http_status=400).error == "HTTP 400"
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    found = reading(MESSAGES, sse(START, overloaded), content_type="text/event-stream")
    assert (found.error, found.source) == ("overloaded_error", "partial")
    assert reading(CHAT, b"", http_status=None).source == "missing"


def test_cost() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "cost": 0.25}
    assert reading(CHAT, {"usage": usage}).cost == 0.25
    byok = {**usage, "cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.5}}
    assert reading(CHAT, {"usage": byok}).cost == 0.5
    assert reading(CHAT, {"usage": {**usage, "cost": None, "cost_in_usd_ticks": 5_000_000_000}}).cost == 0.5
    assert reading(CHAT, {"usage": {**usage, "cost": "free"}}).cost is None


def test_shape_counts_more_than_host() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4}
    found = reading(("gateway.corp", "/llm/invoke"), {"object": "chat.completion", "usage": usage})
    assert (found.operation, found.provider, tokens(found)) == ("chat", None, {"input": 3, "output": 4})
    assert read(exchange(("app.corp", "/chat"), {"reply": "hi"}, request=b'{"text": "hi"}')) is None
    assert read(exchange(("app.corp", "/llm/invoke"), {"usage": {"credits": 3}})) is None


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("api.openai.com", "/v1/files"),
        ("api.openai.com", "/v1/threads/t_1/messages"),
        ("api.openai.com", "/v1/responses/input_tokens"),
        ("api.openai.com", "/v1/responses/resp_1/cancel"),
        ("api.openai.com", "/v1/traces/ingest"),
        ("api.openai.com", "/v1/vector_stores"),
        ("api.anthropic.com", "/v1/messages/count_tokens"),
        ("api.anthropic.com", "/v1/messages/batches"),
        ("generativelanguage.googleapis.com", "/v1beta/models/gemini-2.5-pro:countTokens"),
        ("telemetry.crewai.com:4319", "/v1/traces"),
        ("eu.i.posthog.com", "/batch/"),
    ],
)
def test_no_calls(host: str, path: str) -> None:
    usage = {"input_tokens": 3, "output_tokens": 4}
    assert read(exchange((host, path), {"object": "response", "usage": usage})) is None
    assert not may_be_call("POST", host, path, "application/json")


def test_may_be_call() -> None:
    assert may_be_call("POST", *CHAT, "application/json")
    assert may_be_call("POST", "gateway.corp", "/llm/invoke", "application/json")
    assert may_be_call("POST", "api.openai.com", "/v1/audio/transcriptions", "multipart/form-data; boundary=x")
    assert not may_be_call("GET", *CHAT)
    assert not may_be_call("POST", "app.corp", "/upload", "multipart/form-data")


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("api.openai.com", "openai"),
        ("api.anthropic.com:443", "anthropic"),
        ("res.openai.azure.com", "azure.ai.openai"),
        (BEDROCK, "aws.bedrock"),
        ("us-central1-aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("generativelanguage.googleapis.com", "gcp.gemini"),
        ("api.x.ai", "x_ai"),
        ("api.mistral.ai", "mistral_ai"),
        ("notopenai.com", None),
        ("s3.amazonaws.com", None),
        ("localhost:8000", None),
    ],
)
def test_provider(host: str, name: str | None) -> None:
    assert provider(host) == name
