"""OpenAI's chat completions and embeddings, as JSON and as server-sent events."""

import base64
import hashlib
import math
import random
import struct
from collections.abc import Iterator
from typing import Any

from tokprof.testing.answers import Answer, Dialect, Event, compact, in_pieces, text_of

_DIMENSIONS = {"text-embedding-3-large": 3072}
_ERRORS = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "not_found"),
    429: ("requests", "rate_limit_exceeded"),
}


def error(status: int, message: str) -> dict[str, Any]:
    """Return the body of an error."""
    kind, code = _ERRORS.get(status, ("server_error" if status >= 500 else "invalid_request_error", None))
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _messages(body: dict[str, Any]) -> list[str]:
    return [text_of(message) for message in body["messages"]]


def _usage(answer: Answer) -> dict[str, Any]:
    usage = answer.usage
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _head(answer: Answer, kind: str) -> dict[str, Any]:
    return {
        "id": answer.identity("chatcmpl-"),
        "object": kind,
        "created": answer.created,
        "model": answer.model,
        "service_tier": "default",
        "system_fingerprint": "fp_simulated",
    }


def _call(answer: Answer, index: int, name: str, arguments: str) -> dict[str, Any]:
    identity = answer.identity("call_", index)
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


def _render(answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": None, "annotations": []}
    if answer.tool_calls:
        message["content"] = answer.text or None
        calls = enumerate(answer.tool_calls)
        message["tool_calls"] = [_call(answer, at, name, compact(arguments)) for at, (name, arguments) in calls]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish_reason}
    return {**_head(answer, "chat.completion"), "choices": [choice], "usage": _usage(answer)}


def _deltas(answer: Answer) -> Iterator[tuple[dict[str, Any], str | None, bool]]:
    first = None if answer.tool_calls and not answer.text else ""
    yield {"role": "assistant", "content": first, "refusal": None}, None, False
    for piece in answer.text_pieces():
        yield {"content": piece}, None, True
    for index, (name, arguments) in enumerate(answer.tool_calls):
        yield {"tool_calls": [{"index": index, **_call(answer, index, name, "")}]}, None, False
        for piece in in_pieces(compact(arguments), answer.chunks):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}, None, True
    yield {}, answer.finish_reason, False


def _events(answer: Answer) -> Iterator[Event]:
    options = answer.request.body.get("stream_options")
    include_usage = isinstance(options, dict) and bool(options.get("include_usage"))
    head = _head(answer, "chat.completion.chunk")
    no_usage = {"usage": None} if include_usage else {}
    for delta, finish, paced in _deltas(answer):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        yield Event({**head, "choices": [choice], **no_usage}, paced=paced)
    if include_usage:
        yield Event({**head, "choices": [], "usage": _usage(answer)})
    yield Event("[DONE]")


def _inputs(body: dict[str, Any]) -> list[str | list[int]]:
    given = body["input"]
    if isinstance(given, str) or (isinstance(given, list) and given and isinstance(given[0], int)):
        return [given]
    return list(given)


def _input_texts(body: dict[str, Any]) -> list[str]:
    # an input of token ids is given back as a text which counts as many tokens
    return [given if isinstance(given, str) else "    " * len(given) for given in _inputs(body)]


def _vector(model: str, given: str | list[int], dimensions: int) -> list[float]:
    seed = hashlib.sha256(compact([model, given]).encode(errors="replace")).digest()
    generator = random.Random(seed)
    values = [generator.gauss(0.0, 1.0) for _ in range(dimensions)]
    norm = math.sqrt(sum(value * value for value in values))
    # through 32 bits, so that both encodings carry the same numbers
    return list(struct.unpack(f"<{dimensions}f", struct.pack(f"<{dimensions}f", *(value / norm for value in values))))


def _render_embeddings(answer: Answer) -> dict[str, Any]:
    body = answer.request.body
    dimensions = body.get("dimensions") or _DIMENSIONS.get(answer.model, 1536)
    data = []
    for index, given in enumerate(_inputs(body)):
        vector: list[float] | str = _vector(answer.model, given, dimensions)
        if body.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": vector})
    tokens = answer.usage.input_tokens
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": answer.model, "usage": usage}


CHAT = Dialect(
    path="/v1/chat/completions",
    required=("model", "messages"),
    messages=_messages,
    caps=("max_completion_tokens", "max_tokens"),
    render=_render,
    events=_events,
    error=error,
    request_id_header="x-request-id",
    caches=True,
)

EMBEDDINGS = Dialect(
    path="/v1/embeddings",
    required=("model", "input"),
    messages=_input_texts,
    caps=(),
    render=_render_embeddings,
    events=None,
    error=error,
    request_id_header="x-request-id",
    tokens_per_message=0,
)
