"""The few events of a stream that tell something, found without parsing the others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from tokprof.meter.body import BOM, aws_frames, elements, load, sse_payloads

HEAD, TAIL = 2, 4  # events that are always read: who answers, and how it ended
EARLY = 256 * 1024  # bytes in which the first token is looked for
MANY = 32  # usage-bearing events; of a running count on every event the middle tells nothing new

_USAGE = re.compile(rb'"usage[A-Za-z_]*"\s*:\s*\{')
_TELLS = re.compile(
    rb'"usage[A-Za-z_]*"\s*:\s*\{|"error"\s*:\s*[{"]|invocationMetrics"|"(?:stop_reason|stopReason|completionReason)"\s*:\s*"'
)
_TOKEN = re.compile(
    rb'"(?:content|reasoning|reasoning_content|thinking|arguments|text|response|value|generation|outputText|completion'
    rb'|generated_text|partial_json)"\s*:\s*"[^"]|"functionCall"\s*:\s*\{'
)
_DELTA = re.compile(rb'"response\.[a-z_.]+\.delta"')


_NEAR = 8  # lines around a line of data in which its event begins and ends
_ENDS = (b"", b"}", BOM[-1:])  # what comes before a line of JSON that is a document of its own


class Events(NamedTuple):
    """Events that tell something, in their order, and whether the stream said that it is done."""

    told: list[dict[str, Any]]
    done: bool = False


def framing(content_type: str, body: bytes) -> str:
    """``json``, ``sse``, ``ndjson`` or ``eventstream``, by the content type and a look at the body."""
    if "amazon.eventstream" in content_type:
        return "json" if body[:1] in (b"{", b"[") else "eventstream"
    start = body[:64].removeprefix(BOM).lstrip()
    if start.startswith((b"data:", b"event:", b"id:", b"retry:", b":")):
        return "sse"
    if "ndjson" in content_type or "stream+json" in content_type or "jsonl" in content_type:
        return "ndjson"
    if start[:1] in (b"{", b"["):
        return "json"
    if "event-stream" in content_type:
        return "sse"
    if body[:1] == b"\0" and next(aws_frames(body), None) is not None:
        return "eventstream"
    return "json"


def read_lines(body: bytes, sse: bool) -> Events:
    """Telling events of server-sent events or of JSON lines."""
    prefix = b"data:" if sse else b""
    if sse and b"\r" in body and body.count(b"\r") != body.count(b"\r\n"):
        return _by_the_book(body)
    starts = dict.fromkeys(_head(body, prefix))
    hits = [match.start() for match in _USAGE.finditer(body)]
    if len(hits) > MANY:
        hits = hits[: MANY // 4] + hits[-MANY // 2 :]
    for at in hits:
        starts[body.rfind(b"\n", 0, at) + 1] = None
    done = False
    for at in _tail(body, prefix):
        if sse and body.startswith(b"[DONE]", at + 5 + (body[at + 5 : at + 6] == b" ")):
            done = True
        else:
            starts[at] = None
    told: list[dict[str, Any]] = []
    for at in sorted(starts):
        end = body.find(b"\n", at)
        line = body[at : end if end >= 0 else len(body)]
        if not line.startswith(prefix):
            if sse and not line.startswith(b":"):
                return _by_the_book(body)  # usage on a line that is no event of its own
            continue
        event = load(line[len(prefix) :])
        if isinstance(event, dict):
            told.append(event)
            alone = _is_event(body, at, end) if sse else body[max(0, at - 64) : at].rstrip()[-1:] in _ENDS
        else:
            alone = event is not None or end < 0 or not line.strip() or (sse and b"[DONE]" in line[:16])
        if not alone:
            return _by_the_book(body) if sse else Events([])
    return Events(told, done)


def _is_event(body: bytes, at: int, end: int) -> bool:
    """Whether the line of data from `at` to `end` is all the data of its event; False where that is not plain."""
    for _ in range(_NEAR):
        if at == 0:
            break
        at = body.rfind(b"\n", 0, at - 1) + 1
        if body.startswith((b"\n", b"\r\n"), at):
            break
        if body.startswith((b"data", BOM + b"data"), at):
            return False
    else:
        return False
    for _ in range(_NEAR):
        if end < 0 or body.startswith((b"\n", b"\r\n"), end + 1):
            return True
        if body.startswith(b"data", end + 1):
            return False
        end = body.find(b"\n", end + 1)
    return False


def _head(body: bytes, prefix: bytes) -> Iterator[int]:
    at = 3 if body.startswith(BOM) else 0
    found = 0
    for _ in range(8 * HEAD):
        if body.startswith(prefix, at) and not body.startswith((b"\n", b"\r"), at):
            yield at
            found += 1
            if found == HEAD:
                return
        at = body.find(b"\n", at) + 1
        if not 0 < at < len(body):
            return


def _tail(body: bytes, prefix: bytes) -> Iterator[int]:
    end = len(body)
    found = 0
    for _ in range(8 * TAIL):
        at = body.rfind(b"\n", 0, end) + 1
        if at < end and body.startswith(prefix, at) and not body.startswith(b"\r", at):
            yield at
            found += 1
            if found == TAIL:
                return
        end = at - 1
        if end < 0:
            return


def _by_the_book(body: bytes) -> Events:
    """Every event framed as the specification says, those that may tell something parsed."""
    payloads: list[bytes] = []
    for payload in sse_payloads(body):
        payloads += _lines(payload) if b"\n" in payload else (payload,)
    done = any(payload.strip() == b"[DONE]" for payload in payloads[-TAIL:])
    return Events(_parse(payloads), done)


def _lines(payload: bytes) -> list[bytes]:
    """Split data that is no JSON, but has some on every line, as of servers that end events with one newline."""
    lines = payload.split(b"\n")
    objects = all(line[:1] == b"{" and line.rstrip()[-1:] == b"}" for line in lines[:-1])
    return lines if objects and load(payload) is None else [payload]


def _parse(payloads: Sequence[bytes]) -> list[dict[str, Any]]:
    last = len(payloads) - TAIL
    told = []
    for i, payload in enumerate(payloads):
        if i < HEAD or i >= last or _TELLS.search(payload):
            event = load(payload)
            if isinstance(event, dict):
                told.append(event)
    return told


def read_frames(body: bytes) -> Events:
    """Telling events of an AWS event stream."""
    payloads: list[bytes] = []
    failures: list[dict[str, Any]] = []
    for frame in aws_frames(body):
        if frame.failed:
            failures.append({"error": {"type": frame.event}})
        elif frame.event != "contentBlockDelta":
            payloads.append(frame.payload)
    return Events(_parse(payloads) + failures)


def read_array(body: bytes) -> Events:
    """Events of a stream that is one JSON array."""
    return Events([item for item in elements(body) if isinstance(item, dict)])


def first_token(chunks: Sequence[bytes], body: bytes, frame: str) -> int | None:
    """Index of the chunk with the first generated token of a stream that crossed the wire unencoded."""
    at = _first_token_offset(body, frame)
    if at is None:
        return None
    for i, end in enumerate(accumulate(map(len, chunks))):
        if at < end:
            return i
    return None


def _first_token_offset(body: bytes, frame: str) -> int | None:
    if frame == "eventstream":
        for item in aws_frames(body):
            if item.event == "contentBlockDelta" or (item.event == "chunk" and _TOKEN.search(item.payload)):
                return item.offset
        return None
    head = body[:2048]
    if b'"message_start"' in head:
        at = body.find(b'"content_block_delta"')
        return at if at >= 0 else None
    if b'"response.created"' in head or b'"response.in_progress"' in head:
        found = _DELTA.search(body)
    else:
        found = _TOKEN.search(body, 0, EARLY)
    return found.end() - 1 if found else None
