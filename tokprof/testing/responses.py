"""OpenAI's responses, as JSON and as server-sent events."""

from collections.abc import Iterator
from typing import Any

from tokprof.testing.answers import Answer, Dialect, Event, compact, in_pieces, text_of
from tokprof.testing.openai import error

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
_ECHOED = (
    "instructions",
    "max_output_tokens",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "reasoning",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_p",
    "truncation",
)
_DEFAULTS: dict[str, Any] = {
    "metadata": {},
    "parallel_tool_calls": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
}


def _messages(body: dict[str, Any]) -> list[str]:
    given = body["input"]
    instructions = [body["instructions"]] if isinstance(body.get("instructions"), str) else []
    return instructions + ([given] if isinstance(given, str) else [text_of(item) for item in given])


def _usage(answer: Answer) -> dict[str, Any]:
    usage = answer.usage
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def _response(answer: Answer, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    body = answer.request.body
    settings = {name: body[name] if body.get(name) is not None else _DEFAULTS.get(name) for name in _ECHOED}
    reason = {"reason": _INCOMPLETE[answer.finish_reason]} if status == "incomplete" else None
    return {
        "id": answer.identity("resp_"),
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": reason,
        "model": answer.model,
        "output": output,
        **settings,
        "service_tier": "default",
        "store": body.get("store", True),
        "usage": None if status == "in_progress" else _usage(answer),
        "user": body.get("user"),
    }


def _final_status(answer: Answer) -> str:
    return "incomplete" if answer.finish_reason in _INCOMPLETE else "completed"


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _message(answer: Answer, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    identity = answer.identity("msg_")
    return {"id": identity, "type": "message", "status": status, "role": "assistant", "content": content}


def _reasoning(answer: Answer) -> dict[str, Any]:
    return {"id": answer.identity("rs_"), "type": "reasoning", "summary": []}


def _call(answer: Answer, index: int, status: str, name: str, arguments: str) -> dict[str, Any]:
    return {
        "id": answer.identity("fc_", index),
        "type": "function_call",
        "status": status,
        "call_id": answer.identity("call_", index),
        "name": name,
        "arguments": arguments,
    }


def _output(answer: Answer) -> list[dict[str, Any]]:
    output = [_reasoning(answer)] if answer.usage.reasoning_tokens else []
    if answer.text or not answer.tool_calls:
        output.append(_message(answer, _final_status(answer), [_part(answer.text)]))
    for index, (name, arguments) in enumerate(answer.tool_calls):
        output.append(_call(answer, index, "completed", name, compact(arguments)))
    return output


def _render(answer: Answer) -> dict[str, Any]:
    return _response(answer, _final_status(answer), _output(answer))


def _message_events(answer: Answer, at: int, done: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    where = {"item_id": done["id"], "output_index": at, "content_index": 0}
    yield "response.output_item.added", {"output_index": at, "item": _message(answer, "in_progress", [])}
    yield "response.content_part.added", {**where, "part": _part("")}
    for piece in answer.text_pieces():
        yield "response.output_text.delta", {**where, "delta": piece, "logprobs": []}
    yield "response.output_text.done", {**where, "text": answer.text, "logprobs": []}
    yield "response.content_part.done", {**where, "part": _part(answer.text)}
    yield "response.output_item.done", {"output_index": at, "item": done}


def _call_events(answer: Answer, at: int, done: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    where = {"item_id": done["id"], "output_index": at}
    begun = {**done, "status": "in_progress", "arguments": ""}
    yield "response.output_item.added", {"output_index": at, "item": begun}
    for piece in in_pieces(done["arguments"], answer.chunks):
        yield "response.function_call_arguments.delta", {**where, "delta": piece}
    finished = {"name": done["name"], "arguments": done["arguments"]}
    yield "response.function_call_arguments.done", {**where, **finished}
    yield "response.output_item.done", {"output_index": at, "item": done}


def _steps(answer: Answer) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "response.created", {"response": _response(answer, "in_progress", [])}
    yield "response.in_progress", {"response": _response(answer, "in_progress", [])}
    for at, item in enumerate(_output(answer)):
        if item["type"] == "message":
            yield from _message_events(answer, at, item)
        elif item["type"] == "function_call":
            yield from _call_events(answer, at, item)
        else:
            yield "response.output_item.added", {"output_index": at, "item": item}
            yield "response.output_item.done", {"output_index": at, "item": item}
    status = _final_status(answer)
    yield f"response.{status}", {"response": _render(answer)}


def _events(answer: Answer) -> Iterator[Event]:
    for number, (name, data) in enumerate(_steps(answer)):
        yield Event({"type": name, "sequence_number": number, **data}, name, paced=name.endswith(".delta"))


RESPONSES = Dialect(
    path="/v1/responses",
    required=("model", "input"),
    messages=_messages,
    caps=("max_output_tokens",),
    render=_render,
    events=_events,
    error=error,
    request_id_header="x-request-id",
    caches=True,
)
