"""What is kept of prompts and answers, if the user asks for it. It stays in this process's memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tokprof.meter.body import decode, sse_payloads
from tokprof.span import Exchange

PREVIEW = 500
"""Characters of the last message, and of the answer, that a preview keeps."""

# Where the texts of the known dialects stand; ids, types, roles and signatures are not text.
_TEXT_KEYS = ("content", "text", "delta", "output_text", "partial_json", "arguments", "thinking", "reasoning_content")
_NEST_KEYS = (
    "choices",
    "message",
    "messages",
    "output",
    "parts",
    "candidates",
    "content_block",
    "function",
    "tool_calls",
)


def keep(exchange: Exchange, capture: str) -> dict[str, str]:
    """Take prompt and answer out of an exchange.

    Parameters
    ----------
    exchange : Exchange
    capture : {"preview", "full"}
        ``preview``: the text of the last message and of the answer, 500 characters each. ``full``: both bodies as sent.

    Returns
    -------
    dict of str to str
        ``prompt`` and ``answer``.
    """
    request = (exchange.request or b"").decode("utf-8", "replace")
    answer = (decode(exchange.chunks, exchange.content_encoding) or b"").decode("utf-8", "replace")
    if capture == "full":
        return {"prompt": request, "answer": answer}
    return {"prompt": _last_message(request)[:PREVIEW], "answer": _answer_text(answer)[:PREVIEW]}


def _last_message(request: str) -> str:
    asked = _load(request)
    if not isinstance(asked, dict):
        return ""
    for key in ("messages", "input", "contents", "prompt"):
        said = asked.get(key)
        if isinstance(said, list) and said:
            return "".join(_texts(said[-1]))
        if isinstance(said, str):
            return said
    return ""


def _answer_text(answer: str) -> str:
    whole = _load(answer)
    if whole is not None:
        return "".join(_texts(whole))
    said: list[str] = []
    length = 0
    for payload in sse_payloads(answer.encode()):
        event = _load(payload.decode("utf-8", "replace"))
        if isinstance(event, dict) and not str(event.get("type", "")).endswith((".done", ".completed")):
            for text in _texts(event):
                said.append(text)
                length += len(text)
        if length > PREVIEW:
            break
    return "".join(said)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in _TEXT_KEYS or (key in _NEST_KEYS and not isinstance(item, str)):
                yield from _texts(item)


def _load(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
