"""Anthropic's messages, as JSON and as server-sent events."""

from collections.abc import Iterator
from typing import Any

from tokprof.testing.answers import Answer, Dialect, Event, compact, in_pieces, text_of

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def error(status: int, message: str) -> dict[str, Any]:
    """Return the body of an error."""
    kind = _ERRORS.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_simulated"}


def _messages(body: dict[str, Any]) -> list[str]:
    system = [text_of(body["system"])] if body.get("system") else []
    return system + [text_of(message) for message in body["messages"]]


def _usage(answer: Answer) -> dict[str, Any]:
    usage = answer.usage
    counts: dict[str, Any] = {
        "input_tokens": usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": usage.output_tokens,
    }
    if usage.reasoning_tokens:
        counts["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return counts


def _cache_creation(answer: Answer) -> dict[str, Any]:
    usage = answer.usage
    creation = {
        "ephemeral_5m_input_tokens": usage.cache_write_tokens - usage.cache_write_1h_tokens,
        "ephemeral_1h_input_tokens": usage.cache_write_1h_tokens,
    }
    return {"cache_creation": creation, "service_tier": "standard"}


def _content(answer: Answer) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = [{"type": "text", "text": answer.text}] if answer.text else []
    for index, (name, arguments) in enumerate(answer.tool_calls):
        content.append({"type": "tool_use", "id": answer.identity("toolu_", index), "name": name, "input": arguments})
    return content


def _message(answer: Answer, content: list[dict[str, Any]], stop_reason: str | None) -> dict[str, Any]:
    return {
        "id": answer.identity("msg_"),
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {**_usage(answer), **_cache_creation(answer)},
    }


def _render(answer: Answer) -> dict[str, Any]:
    return _message(answer, _content(answer), _STOP_REASONS[answer.finish_reason])


def _block_deltas(answer: Answer, block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if block["type"] == "text":
        for piece in answer.text_pieces():
            yield {"type": "text_delta", "text": piece}
    else:
        yield {"type": "input_json_delta", "partial_json": ""}
        for piece in in_pieces(compact(block["input"]), answer.chunks):
            yield {"type": "input_json_delta", "partial_json": piece}


def _steps(answer: Answer) -> Iterator[dict[str, Any]]:
    begun = _message(answer, [], None)
    begun["usage"]["output_tokens"] = min(1, answer.usage.output_tokens)
    begun["usage"].pop("output_tokens_details", None)
    yield {"type": "message_start", "message": begun}
    for index, block in enumerate(_content(answer)):
        empty: dict[str, Any] = {"text": ""} if block["type"] == "text" else {"input": {}}
        yield {"type": "content_block_start", "index": index, "content_block": {**block, **empty}}
        if index == 0:
            yield {"type": "ping"}
        for delta in _block_deltas(answer, block):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ended = {"stop_reason": _STOP_REASONS[answer.finish_reason], "stop_sequence": None}
    yield {"type": "message_delta", "delta": ended, "usage": _usage(answer)}
    yield {"type": "message_stop"}


def _events(answer: Answer) -> Iterator[Event]:
    for data in _steps(answer):
        yield Event(data, data["type"], paced=data["type"] == "content_block_delta")


MESSAGES = Dialect(
    path="/v1/messages",
    required=("model", "messages", "max_tokens"),
    messages=_messages,
    caps=("max_tokens",),
    render=_render,
    events=_events,
    error=error,
    request_id_header="request-id",
)
