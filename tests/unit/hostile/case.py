"""Answers that are broken, lie or only look strange, each with what may be claimed of it at most.

What an honest reader may say does not come from the reader: it is the number that was told at its proper place, or
nothing. `must` marks bodies that are strange and right.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .flavours import DECOY, Answer, Counts, Json

JSON = "application/json"
SSE = "text/event-stream"
LINES = "application/x-ndjson"
FRAMES = "application/vnd.amazon.eventstream"
CHAT = ("api.openai.com", "/v1/chat/completions")
BIG = 1024 * 1024

COUNTS = Counts()
USAGE: Json = {
    "prompt_tokens": 13,
    "completion_tokens": 24,
    "total_tokens": 37,
    "prompt_tokens_details": {"cached_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 7},
}
TRUTH = {"input": 13, "output": 24, "cache_read": 5, "reasoning": 7}
OTHER: Json = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
OTHER_TRUTH = {"input": 3, "output": 4}
ANSWER: Json = {
    "object": "chat.completion",
    "model": "m-1",
    "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}],
    "usage": USAGE,
}
BODY = json.dumps(ANSWER).encode()
FAKE: Json = {"prompt_tokens": DECOY, "completion_tokens": DECOY}
DELTA: Json = {"object": "chat.completion.chunk", "model": "m-1", "choices": [{"index": 0, "delta": {"content": "a"}}]}
LAST: Json = {"object": "chat.completion.chunk", "choices": [], "usage": USAGE}


@dataclass(frozen=True)
class Case:
    """An answer and what it may be read as.

    Attributes
    ----------
    may : tuple of dict
        Tokens that may be claimed, each dict as a whole; nothing where there is none.
    must : bool
        Whether one of them has to be claimed.
    """

    name: str
    body: bytes
    may: tuple[Json, ...] = ()
    must: bool = False
    content_type: str = JSON
    encoding: str = ""
    place: tuple[str, str] = CHAT
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


def right(name: str, body: bytes, truth: Json = TRUTH, **more: Any) -> Case:
    return Case(name, body, (truth,), True, **more)


def dumps(value: Any) -> bytes:
    return json.dumps(value).encode()


def events(*told: Json | str | bytes, end: bytes = b"\n") -> bytes:
    lines = [
        event if isinstance(event, bytes) else event.encode() if isinstance(event, str) else dumps(event)
        for event in told
    ]
    return b"".join(b"data: " + line + end + end for line in lines)


def of(answer: Answer, name: str, body: bytes, must: bool = False, **more: Any) -> Case:
    told = {"content_type": answer.content_type} | more
    return Case(name, body, (answer.truth,), must, place=(answer.host, answer.path), **told)
