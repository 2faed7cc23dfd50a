"""Streams: ends of lines, what stands between events, counts that contradict each other, lines and arrays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from . import flavours
from .case import (
    COUNTS,
    DELTA,
    FAKE,
    JSON,
    LAST,
    LINES,
    OTHER_TRUTH,
    SSE,
    TRUTH,
    USAGE,
    Case,
    dumps,
    events,
    of,
    right,
)
from .flavours import Json


def streams() -> Iterator[Case]:
    whole = (DELTA, LAST, "[DONE]")
    names = {b"\n": "LF", b"\r\n": "CRLF", b"\r": "CR"}
    for end, name in names.items():
        body = events(*whole, end=end)
        for kind in (SSE, "text/event-stream;charset=utf-8", JSON, "text/plain", "", LINES):
            yield right(f"{name} as {kind}", body, content_type=kind)
        yield right(f"{name} with a mark", b"\xef\xbb\xbf" + body, content_type=SSE)
        yield right(f"{name} without blanks", body.replace(b"data: ", b"data:"), content_type=SSE)
        yield right(
            f"{name} with comments",
            (b": ping" + end) * 3 + body.replace(b"data: {", b":x" + end + b"data: {"),
            content_type=SSE,
        )
        yield right(
            f"{name} with names",
            body.replace(b"data: ", b"event: x" + end + b"id: 1" + end + b"data: "),
            content_type=SSE,
        )
        yield right(f"{name} with fields behind", body.replace(end + end, end + b"id: 1" + end + end), content_type=SSE)
        yield right(f"{name} on many lines", body.replace(b", ", b"," + end + b"data: "), content_type=SSE)
        yield right(f"{name} with one end", body.replace(end + end, end), content_type=SSE)
        for other in names:
            mixed = events(DELTA, end=end) + events(LAST, end=other) + events("[DONE]", end=end)
            yield right(f"{name} and {names[other]} mixed", mixed, content_type=SSE)
            torn = b"data: " + dumps(DELTA) + end + other + b"data: " + dumps(LAST) + other + end
            yield Case(f"{name} and {names[other]} in one", torn, (TRUTH,), content_type=SSE)
    first = events(DELTA)
    pretty = b'data: {"a": [\ndata: ' + dumps({"usage": FAKE}) + b"\ndata: ]}\n\n"
    for name, body, may in (
        ("no end", events(DELTA, LAST), (TRUTH,)),
        ("no last newline", events(DELTA, LAST)[:-2], (TRUTH,)),
        ("two ends", events(*whole, "[DONE]"), (TRUTH,)),
        ("an end first", events("[DONE]", *whole), (TRUTH,)),
        ("usage first", events(LAST, DELTA, "[DONE]"), (TRUTH,)),
        ("events behind the end", events(*whole, *[DELTA] * 9), (TRUTH,)),
        ("garbage between", first + b"<html>\n\x00\n" + events(LAST, "[DONE]"), (TRUTH,)),
        ("garbage behind", events(*whole) + b"<html>", (TRUTH,)),
        ("half an event between", first + b'data: {"choices"\n\n' + events(LAST, "[DONE]"), (TRUTH,)),
        ("an error behind", events(DELTA, LAST, {"error": {"message": "x", "code": 500}}), (TRUTH,)),
        ("usage in capitals", events(DELTA, LAST | {"usage": None, "Usage": FAKE}, "[DONE]"), ()),
        ("DATA", events(*whole).replace(b"data: ", b"DATA: "), ()),
        ("a blank before data", events(*whole).replace(b"data: ", b" data: "), ()),
        ("usage of wrong types", events(DELTA, LAST | {"usage": [USAGE]}, "[DONE]"), ()),
        ("usage in a comment", first + b": " + dumps(LAST | {"usage": FAKE}) + b"\n\n" + events("[DONE]"), ()),
        ("usage in an id", first + b"id: " + dumps(LAST | {"usage": FAKE}) + b"\n\n" + events("[DONE]"), ()),
        ("nothing but data", b"data:\n" * 1000, ()),
        ("nothing but ends", b"\n\r\r\n" * 1000, ()),
        ("an array", b"data: [" + dumps(LAST) + b"]\n\ndata: [DONE]\n\n", ()),
        ("a string", b"data: " + dumps(json.dumps(LAST)) + b"\n\ndata: [DONE]\n\n", ()),
        ("usage inside an event on lines", first + pretty + first * 5, ()),
        ("the same between fields", first + pretty.replace(b"\ndata", b"\nid: 1\ndata") + first * 5, ()),
    ):  # fmt: skip
        yield Case(f"stream: {name}", body, may, content_type=SSE)

    def count(tokens_out: int | None, **more: Any) -> Json:
        usage = {"prompt_tokens": 9, "completion_tokens": tokens_out} | more
        return DELTA | {"usage": usage}

    shrunk = events(count(90, total_tokens=99), count(50), LAST, "[DONE]")
    yield right("stream: counts that shrink", shrunk, content_type=SSE)
    less = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}
    yield right("stream: less, and no total", events(LAST, less, "[DONE]"), OTHER_TRUTH, content_type=SSE)
    yield Case("stream: less, cut", events(LAST, less), (TRUTH, OTHER_TRUTH), content_type=SSE)
    null = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": None}}
    yield Case("stream: null in the end", events(count(2), count(5), null, "[DONE]"), ({"input": 9},), content_type=SSE)
    yield Case("stream: counts, cut", events(count(2), count(5)), content_type=SSE)
    nonsense = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": "many"}}
    yield Case("stream: nonsense in the end", events(count(2), nonsense, "[DONE]"), content_type=SSE)
    messages = flavours.messages_sse(COUNTS, ["a"])
    start, end = messages.parts[0], messages.parts[-2]
    place = (messages.host, messages.path)
    half = ({"output": COUNTS.output},)
    yield Case("messages: the end without a start", end, half, place=place, content_type=SSE)
    yield of(messages, "messages: twice", messages.body * 2)
    yield Case("messages: a start alone", start, place=place, content_type=SSE)
    yield Case("messages: two starts", start * 2, place=place, content_type=SSE)
    null = {"type": "message_delta", "delta": {"stop_reason": "x"}, "usage": {"output_tokens": None}}
    body = start + events(null, {"type": "message_stop"})
    yield Case("messages: an end that tells null", body, place=place, content_type=SSE)
    lines = flavours.ollama_lines(COUNTS, ["a", "b"])
    for name, body, must in (
        ("blank lines", b"\n\n".join(lines.parts), True),
        ("CRLF", lines.body.replace(b"\n", b"\r\n"), True),
        ("a mark", b"\xef\xbb\xbf" + lines.body, True),
        ("no last newline", lines.body.rstrip(), True),
        ("the end twice", lines.body + lines.parts[-1], True),
        ("garbage before", b"garbage\n" + lines.body, False),
        ("garbage behind", lines.body + b"garbage", False),
        ("as an array", b"[" + b",".join(lines.parts) + b"]", False),
        ("in one line", lines.body.replace(b"\n", b""), False),
        ("with NULs", lines.body.replace(b"\n", b"\0\n"), False),
    ):
        for kind in (LINES, "application/jsonl", JSON, ""):
            yield of(lines, f"lines: {name}, as {kind}", body, must and kind not in (JSON, ""), content_type=kind)
    array = flavours.gemini_array(COUNTS, ["a", "b"])
    yield of(array, "array: garbage behind", array.body + b"garbage")
    yield of(array, "array: twice", array.body * 2)
    yield of(array, "array: nested", b"[" + array.body + b"]")
    yield of(array, "array: with nulls", b"[null,1,[]," + array.body[1:], True)
    yield of(array, "array: a mark", b"\xef\xbb\xbf" + array.body, True)
    yield of(array, "array: as events", array.body, content_type=SSE)
