"""Valid answers of each provider, made from the tokens that they spent: the way back is what the reader has to find.

Everything that a model or a tool could have said is full of decoys: usage that is none, with numbers from `DECOY` on.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

Json = dict[str, Any]

DECOY = 900_000_000
_FAKE: Json = {
    "prompt_tokens": DECOY + 1,
    "completion_tokens": DECOY + 2,
    "total_tokens": 2 * DECOY + 3,
    "input_tokens": DECOY + 4,
    "output_tokens": DECOY + 5,
}
_FAKE_GOOGLE: Json = {"promptTokenCount": DECOY + 6, "candidatesTokenCount": DECOY + 7}
TOOL: Json = {
    "type": "message_delta",
    "object": "chat.completion",
    "choices": [],
    "usage": _FAKE,
    "usageMetadata": _FAKE_GOOGLE,
    "meta": {"tokens": _FAKE},
    "x_groq": {"usage": _FAKE},
    "amazon-bedrock-invocationMetrics": {"inputTokenCount": DECOY + 8, "outputTokenCount": DECOY + 9},
    "prompt_eval_count": DECOY + 10,
    "eval_count": DECOY + 11,
    "done": True,
}
"""What a model may hand to a tool: no string, and yet not for us."""
TEXTS = (
    "Hello",
    f'"usage": {json.dumps(_FAKE)}',
    json.dumps({"choices": [], "usage": _FAKE}),
    f"\n\ndata: {json.dumps({'choices': [], 'usage': _FAKE})}\n\ndata: [DONE]\n\n",
    f"}}\n{{{json.dumps(TOOL)[1:]}\n",
    f'\r\revent: message_delta\rdata: {{"type": "message_delta", "usage": {json.dumps(_FAKE)}}}\r\r',
    'naïve "quotes" \\ \\" \u2028 \x85 \x00 😀 [DONE]',
    "",
)


@dataclass(frozen=True)
class Counts:
    """What a call spent: cache is part of the input, reasoning of the output."""

    input: int = 1300
    output: int = 240
    cache_read: int = 200
    cache_write: int = 50
    reasoning: int = 90

    def told(self, *names: str) -> Json:
        return {name: number for name in names if (number := getattr(self, name))}


@dataclass(frozen=True)
class Answer:
    """An answer, its events as the provider meant them, and what it told.

    Attributes
    ----------
    events : tuple
        Objects; a string is a literal, such as ``[DONE]``.
    names : tuple of str
        Of the events, for server-sent events and for AWS frames; empty where they have none.
    truth : dict
        Tokens that were told, by canonical name, without zeros.
    """

    flavour: str
    host: str
    path: str
    content_type: str
    framing: str
    events: tuple[Json | str, ...]
    truth: Json
    names: tuple[str, ...] = ()

    @property
    def parts(self) -> list[bytes]:
        """The body, event by event."""
        return self.render()

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)

    def render(self, end: str = "\n", plain: bool = False, indent: int | None = None) -> list[bytes]:
        """Frame the events; `plain` leaves all but ASCII unescaped, `end` ends the lines of a stream."""
        texts = [
            event if isinstance(event, str) else json.dumps(event, ensure_ascii=not plain, indent=indent)
            for event in self.events
        ]
        if self.framing == "frames":
            return [frame(name, event) for name, event in zip(self.names, self.events, strict=True)]
        if self.framing == "sse":
            lines = ["".join(f"data: {line}{end}" for line in text.split("\n")) for text in texts]
            if self.names:
                lines = [f"event: {name}{end}{line}" for name, line in zip(self.names, lines, strict=True)]
            return [(line + end).encode("utf-8", "surrogatepass") for line in lines]
        if self.framing == "ndjson":
            texts = [text + end for text in texts]
        elif self.framing == "array":
            texts = [("[" if i == 0 else ",\r\n") + text for i, text in enumerate(texts)] + ["]"]
        return [text.encode("utf-8", "surrogatepass") for text in texts]

    def but(self, events: Sequence[Json | str]) -> Answer:
        """Give the same answer with other events, as many."""
        return replace(self, events=tuple(events))


def frame(event: str, payload: Json | bytes | str, kind: str = "event") -> bytes:
    """Frame a message as ``application/vnd.amazon.eventstream``; ``chunk`` wraps what a vendor says."""
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    if event == "chunk" and not isinstance(payload, bytes):
        data = json.dumps({"bytes": base64.b64encode(data).decode()}).encode()
    header = b""
    for name, value in ((":message-type", kind), (":event-type" if kind == "event" else ":exception-type", event)):
        header += bytes([len(name)]) + name.encode() + b"\x07" + len(value).to_bytes(2, "big") + value.encode()
    return seal(header, data)


def seal(header: bytes, data: bytes) -> bytes:
    prelude = (16 + len(header) + len(data)).to_bytes(4, "big") + len(header).to_bytes(4, "big")
    message = prelude + zlib.crc32(prelude).to_bytes(4, "big") + header + data
    return message + zlib.crc32(message).to_bytes(4, "big")


# --- usage objects -------------------------------------------------------------------------------


def _chat_usage(counts: Counts) -> Json:
    return {
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output,
        "total_tokens": counts.input + counts.output,
        "prompt_tokens_details": {"cached_tokens": counts.cache_read, "cache_write_tokens": counts.cache_write},
        "completion_tokens_details": {"reasoning_tokens": counts.reasoning},
    }


def _responses_usage(counts: Counts) -> Json:
    return {
        "input_tokens": counts.input,
        "input_tokens_details": {"cached_tokens": counts.cache_read, "cache_write_tokens": counts.cache_write},
        "output_tokens": counts.output,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning},
        "total_tokens": counts.input + counts.output,
    }


def _messages_usage(counts: Counts, output: int) -> Json:
    return {
        "input_tokens": counts.input - counts.cache_read - counts.cache_write,
        "cache_read_input_tokens": counts.cache_read,
        "cache_creation_input_tokens": counts.cache_write,
        "output_tokens": output,
    }


def _gemini_usage(counts: Counts, running: bool = False) -> Json:
    if running:
        return {"promptTokenCount": counts.input, "totalTokenCount": counts.input}
    return {
        "promptTokenCount": counts.input,
        "cachedContentTokenCount": counts.cache_read,
        "candidatesTokenCount": counts.output - counts.reasoning,
        "thoughtsTokenCount": counts.reasoning,
        "totalTokenCount": counts.input + counts.output,
    }


def _converse_usage(counts: Counts) -> Json:
    return {
        "inputTokens": counts.input - counts.cache_read - counts.cache_write,
        "outputTokens": counts.output,
        "totalTokens": counts.input + counts.output,
        "cacheReadInputTokens": counts.cache_read,
        "cacheWriteInputTokens": counts.cache_write,
    }


def _ollama_usage(counts: Counts) -> Json:
    return {"done": True, "done_reason": "stop", "prompt_eval_count": counts.input, "eval_count": counts.output}


# --- answers -------------------------------------------------------------------------------------

Texts = Sequence[str]
Maker = Callable[[Counts, Texts], Answer]

ALL = ("input", "output", "cache_read", "cache_write", "reasoning")
CACHED = ("input", "output", "cache_read", "cache_write")
PLAIN = ("input", "output")
_JSON = "application/json"
_SSE = "text/event-stream; charset=utf-8"
_CHAT = ("api.openai.com", "/v1/chat/completions")
_GOOGLE = "generativelanguage.googleapis.com"
_BEDROCK = "bedrock-runtime.us-east-1.amazonaws.com"


def _whole(flavour: str, place: tuple[str, str], answer: Json, truth: Json) -> Answer:
    return Answer(flavour, *place, _JSON, "json", (answer,), truth)


def chat_json(counts: Counts, texts: Texts) -> Answer:
    choices = [{"index": i, "message": {"content": text}, "finish_reason": "stop"} for i, text in enumerate(texts)]
    answer = {"object": "chat.completion", "model": "m-1", "choices": choices, "usage": _chat_usage(counts), "x": TOOL}
    return _whole("chat_json", _CHAT, answer, counts.told(*ALL))


def _delta(text: str, usage: Json | None = None, finish: str | None = None, index: int = 0) -> Json:
    choice = {"index": index, "delta": {"content": text}, "finish_reason": finish}
    return {"object": "chat.completion.chunk", "model": "m-1", "choices": [choice], "usage": usage}


def chat_sse(counts: Counts, texts: Texts) -> Answer:
    last = {"object": "chat.completion.chunk", "model": "m-1", "choices": [], "usage": _chat_usage(counts)}
    events = [*map(_delta, texts), _delta("", finish="stop"), last, "[DONE]"]
    return Answer("chat_sse", *_CHAT, _SSE, "sse", tuple(events), counts.told(*ALL))


def _running(counts: Counts, number: int, of: int) -> Json:
    output = counts.output * number // of
    return {"prompt_tokens": counts.input, "completion_tokens": output, "total_tokens": counts.input + output}


def chat_running(counts: Counts, texts: Texts) -> Answer:
    """A count up to here on every event, as vLLM may do."""
    of = len(texts) + 1
    events: list[Json | str] = [_delta(text, _running(counts, i, of)) for i, text in enumerate(texts)]
    events += [_delta("", _chat_usage(counts), "stop"), "[DONE]"]
    return Answer("chat_running", "gpu.lan:8000", _CHAT[1], _SSE, "sse", tuple(events), counts.told(*ALL))


def chat_choices(counts: Counts, texts: Texts) -> Answer:
    """Count up to here, two choices: the first has ended long before the second."""
    of = len(texts) + 2
    events: list[Json | str] = [_delta(texts[0] if texts else "", _running(counts, 0, of), None, i) for i in (0, 1)]
    events.append(_delta("", _running(counts, 1, of), "stop", 0))
    events += [_delta(text, _running(counts, i + 2, of), None, 1) for i, text in enumerate(texts[1:])]
    events += [_delta("", _chat_usage(counts), "length", 1), "[DONE]"]
    return Answer("chat_choices", "gpu.lan:8000", _CHAT[1], _SSE, "sse", tuple(events), counts.told(*ALL))


def groq_sse(counts: Counts, texts: Texts) -> Answer:
    last = {**_delta("", None, "stop"), "x_groq": {"id": "r", "usage": _chat_usage(counts)}}
    events = (*map(_delta, texts), last, "[DONE]")
    return Answer("groq_sse", "api.groq.com", "/openai/v1/chat/completions", _SSE, "sse", events, counts.told(*ALL))


def completions_sse(counts: Counts, texts: Texts) -> Answer:
    events: list[Json | str] = [{"object": "text_completion", "choices": [{"text": text}]} for text in texts]
    usage = {key: value for key, value in _chat_usage(counts).items() if not key.endswith("details")}
    events += [{"object": "text_completion", "choices": [], "usage": usage}, "[DONE]"]
    return Answer("completions_sse", _CHAT[0], "/v1/completions", _SSE, "sse", tuple(events), counts.told(*PLAIN))


def responses_json(counts: Counts, texts: Texts) -> Answer:
    output = [{"type": "message", "content": [{"type": "output_text", "text": text}]} for text in texts]
    answer = {"object": "response", "model": "m-1", "status": "completed", "output": [*output, TOOL]}
    answer["usage"] = _responses_usage(counts)
    return _whole("responses_json", ("api.openai.com", "/v1/responses"), answer, counts.told(*ALL))


def responses_sse(counts: Counts, texts: Texts) -> Answer:
    response = {"object": "response", "model": "m-1", "status": "in_progress", "usage": None}
    events: list[Json | str] = [{"type": "response.created", "response": response}]
    events += [{"type": "response.output_text.delta", "delta": text, "logprobs": [TOOL]} for text in texts]
    done = response | {"status": "completed", "usage": _responses_usage(counts), "output": [TOOL]}
    events.append({"type": "response.completed", "response": done})
    names = tuple(str(event["type"]) for event in events if isinstance(event, dict))
    return Answer(
        "responses_sse", "api.openai.com", "/v1/responses", _SSE, "sse", tuple(events), counts.told(*ALL), names
    )


def embeddings_json(counts: Counts, texts: Texts) -> Answer:
    data = [{"object": "embedding", "index": i, "embedding": [0.5, -0.25]} for i, _text in enumerate(texts)]
    answer = {"object": "list", "data": data, "model": "e-1"}
    answer["usage"] = {"prompt_tokens": counts.input, "total_tokens": counts.input}
    return _whole("embeddings_json", ("api.openai.com", "/v1/embeddings"), answer, counts.told("input"))


def messages_json(counts: Counts, texts: Texts) -> Answer:
    content: list[Json] = [{"type": "text", "text": text} for text in texts]
    content.append({"type": "tool_use", "name": "t", "input": TOOL})
    answer = {"type": "message", "model": "claude", "content": content, "stop_reason": "end_turn"}
    answer["usage"] = _messages_usage(counts, counts.output)
    return _whole("messages_json", ("api.anthropic.com", "/v1/messages"), answer, counts.told(*CACHED))


def _messages_events(counts: Counts, texts: Texts) -> list[Json]:
    message = {"type": "message", "model": "claude", "content": [], "usage": _messages_usage(counts, 1)}
    events: list[Json] = [{"type": "message_start", "message": message}]
    events.append({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "input": TOOL}})
    events += [{"type": "content_block_delta", "index": 0, "delta": {"text": text}} for text in texts]
    events.append({"type": "message_delta", "delta": {"stop_reason": None}, "usage": {"output_tokens": 1}})
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    events.append({"type": "message_delta", "delta": end, "usage": {"output_tokens": counts.output}})
    return [*events, {"type": "message_stop"}]


def messages_sse(counts: Counts, texts: Texts) -> Answer:
    events = _messages_events(counts, texts)
    names = tuple(event["type"] for event in events)
    place = ("api.anthropic.com", "/v1/messages")
    return Answer("messages_sse", *place, _SSE, "sse", tuple(events), counts.told(*CACHED), names)


def _candidate(text: str, usage: Json, finish: str | None = None) -> Json:
    part = {"functionCall": {"args": TOOL}} if finish else {"text": text}
    told = {"content": {"parts": [part]}} | ({"finishReason": finish} if finish else {})
    return {"candidates": [told], "modelVersion": "gemini", "usageMetadata": usage}


def gemini_json(counts: Counts, texts: Texts) -> Answer:
    answer = _candidate("".join(texts), _gemini_usage(counts), "STOP")
    place = (_GOOGLE, "/v1beta/models/gemini-2.5-pro:generateContent")
    return _whole("gemini_json", place, answer, counts.told("input", "output", "cache_read", "reasoning"))


def gemini_sse(counts: Counts, texts: Texts) -> Answer:
    events = [_candidate(text, _gemini_usage(counts, True)) for text in texts]
    events.append(_candidate("", _gemini_usage(counts), "STOP"))
    truth = counts.told("input", "output", "cache_read", "reasoning")
    path = "/v1beta/models/gemini-2.5-pro:streamGenerateContent"
    return Answer("gemini_sse", _GOOGLE, path, _SSE, "sse", tuple(events), truth)


def gemini_array(counts: Counts, texts: Texts) -> Answer:
    return replace(gemini_sse(counts, texts), flavour="gemini_array", content_type=_JSON, framing="array")


def converse_json(counts: Counts, texts: Texts) -> Answer:
    content: list[Json] = [{"text": text} for text in texts]
    answer = {"output": {"message": {"content": [*content, {"toolUse": {"input": TOOL}}]}}, "stopReason": "end_turn"}
    answer["usage"] = _converse_usage(counts)
    return _whole("converse_json", (_BEDROCK, "/model/amazon.nova-v1%3A0/converse"), answer, counts.told(*CACHED))


_FRAMES = "application/vnd.amazon.eventstream"


def converse_frames(counts: Counts, texts: Texts) -> Answer:
    events: list[tuple[str, Json]] = [("messageStart", {"role": "assistant"})]
    events += [("contentBlockDelta", {"delta": {"text": text}, "contentBlockIndex": 0}) for text in texts]
    events += [("messageStop", {"stopReason": "end_turn"}), ("metadata", {"usage": _converse_usage(counts)})]
    names, payloads = zip(*events, strict=True)
    path = "/model/amazon.nova-v1%3A0/converse-stream"
    return Answer("converse_frames", _BEDROCK, path, _FRAMES, "frames", payloads, counts.told(*CACHED), names)


def invoke_frames(counts: Counts, texts: Texts) -> Answer:
    events = tuple(_messages_events(counts, texts))
    path = "/model/anthropic.claude-v3/invoke-with-response-stream"
    names = ("chunk",) * len(events)
    return Answer("invoke_frames", _BEDROCK, path, _FRAMES, "frames", events, counts.told(*CACHED), names)


def metrics_frames(counts: Counts, texts: Texts) -> Answer:
    """A vendor that tells nothing itself: Bedrock adds its own count to the last event."""
    events: list[Json] = [{"outputs": [{"text": text, "stop_reason": None}]} for text in texts]
    metrics = {"inputTokenCount": counts.input, "outputTokenCount": counts.output, "invocationLatency": 7}
    events.append({"outputs": [{"text": "", "stop_reason": "stop"}], "amazon-bedrock-invocationMetrics": metrics})
    path = "/model/mistral.mistral-7b/invoke-with-response-stream"
    names = ("chunk",) * len(events)
    return Answer("metrics_frames", _BEDROCK, path, _FRAMES, "frames", tuple(events), counts.told(*PLAIN), names)


def cohere_json(counts: Counts, texts: Texts) -> Answer:
    tokens = {"input_tokens": counts.input, "output_tokens": counts.output}
    answer: Json = {"message": {"content": [{"text": text} for text in texts], "tool_calls": [TOOL]}}
    answer["usage"] = {"billed_units": {"input_tokens": 1, "output_tokens": 1}, "tokens": tokens}
    return _whole("cohere_json", ("api.cohere.com", "/v2/chat"), answer, counts.told(*PLAIN))


def cohere_sse(counts: Counts, texts: Texts) -> Answer:
    events: list[Json] = [{"type": "message-start", "delta": {"message": {"content": []}}}]
    events += [{"type": "content-delta", "delta": {"message": {"content": {"text": text}}}} for text in texts]
    tokens = {"input_tokens": counts.input, "output_tokens": counts.output}
    events.append({"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": {"tokens": tokens}}})
    return Answer("cohere_sse", "api.cohere.com", "/v2/chat", _SSE, "sse", tuple(events), counts.told(*PLAIN))


def ollama_json(counts: Counts, texts: Texts) -> Answer:
    answer = {"model": "llama", "message": {"content": "".join(texts), "tool_calls": [TOOL]}, **_ollama_usage(counts)}
    return _whole("ollama_json", ("localhost:11434", "/api/chat"), answer, counts.told(*PLAIN))


def ollama_lines(counts: Counts, texts: Texts) -> Answer:
    lines: list[Json] = [{"model": "llama", "message": {"content": text}, "done": False} for text in texts]
    lines.append({"model": "llama", "message": {"content": "", "tool_calls": [TOOL]}, **_ollama_usage(counts)})
    place = ("localhost:11434", "/api/chat")
    return Answer("ollama_lines", *place, "application/x-ndjson", "ndjson", tuple(lines), counts.told(*PLAIN))


def watsonx_sse(counts: Counts, texts: Texts) -> Answer:
    """The input is told once; the output grows."""
    first = {"input_token_count": counts.input, "generated_token_count": 0, "stop_reason": "not_finished"}
    events = [{"results": [{"generated_text": text, **first}]} for text in texts[:1] or [""]]
    last = {"input_token_count": 0, "generated_token_count": counts.output, "stop_reason": "eos_token"}
    events.append({"results": [{"generated_text": "", **last}]})
    place = ("us-south.ml.cloud.ibm.com", "/ml/v1/text/generation_stream")
    return Answer("watsonx_sse", *place, _SSE, "sse", tuple(events), counts.told(*PLAIN))


MAKERS: tuple[Maker, ...] = (
    chat_json, chat_sse, chat_running, chat_choices, groq_sse, completions_sse, responses_json, responses_sse,
    embeddings_json, messages_json, messages_sse, gemini_json, gemini_sse, gemini_array, converse_json,
    converse_frames, invoke_frames, metrics_frames, cohere_json, cohere_sse, ollama_json, ollama_lines, watsonx_sse,
)  # fmt: skip
