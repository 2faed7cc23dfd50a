"""What is kept of prompts and answers, if the user asks for it. It stays in this process's memory."""

from __future__ import annotations

import json
from typing import Any

from tokprof.meter.body import aws_frames, decode, load
from tokprof.meter.prompts import last_message
from tokprof.meter.stream import framing
from tokprof.meter.texts import answer
from tokprof.span import Exchange

_WORDS = frozenset(
    [
        "model",
        "type",
        "effort",
        "summary",
        "verbosity",
        "tool_choice",
        "service_tier",
        "reasoning_effort",
        "response_format",
        "truncation",
        "mode",
        "speed",
        "encoding_format",
        "size",
        "quality",
        "style",
        "voice",
        "format",
    ]
)
_NESTED = frozenset(
    [
        "reasoning",
        "thinking",
        "generationConfig",
        "generation_config",
        "inferenceConfig",
        "options",
        "stream_options",
        "response_format",
        "text",
        "format",
        "tool_choice",
        "thinkingConfig",
        "thinking_config",
    ]
)

PREVIEW = 500
"""Characters of the last message, and of the answer, that a preview keeps."""


def keep(exchange: Exchange, capture: str) -> dict[str, str]:
    """Take prompt and answer out of an exchange.

    Parameters
    ----------
    exchange : Exchange
    capture : {"preview", "full"}
        ``preview``: the text of the last message and of the answer, 500 characters each. ``full``: both bodies as sent,
        but of AWS event streams, which are binary, the events as lines of JSON.

    Returns
    -------
    dict of str to str
        ``prompt`` and ``answer``; ``parameters``, as JSON, where there are any.
    """
    request = exchange.request or b""
    body = decode(exchange.chunks, exchange.content_encoding) or b""
    frame = framing(exchange.content_type, body)
    if capture == "full":
        kept = {"prompt": request.decode("utf-8", "replace"), "answer": _written(body, frame)}
    else:
        said = answer(body, frame, enough=PREVIEW)
        kept = {"prompt": last_message(request)[:PREVIEW], "answer": "".join(said.of())[:PREVIEW]}
    if asked := parameters(load(request)):
        kept["parameters"] = json.dumps(asked)
    return kept


def _written(body: bytes, frame: str) -> str:
    """A body as text."""
    if frame != "eventstream":
        return body.decode("utf-8", "replace")
    lines = []
    for event in aws_frames(body):
        told = load(event.payload)
        if event.failed:
            told = {"error": {"type": event.event, **(told if isinstance(told, dict) else {})}}
        lines.append(json.dumps(told, ensure_ascii=False, separators=(",", ":")))
    return "\n".join(lines)


def parameters(request: Any) -> dict[str, Any]:
    """Take what is no prompt out of a request: numbers, switches, and the few words that choose something."""
    if not isinstance(request, dict):
        return {}
    found: dict[str, Any] = {}
    for key, value in request.items():
        if isinstance(value, bool | int | float) or (key in _WORDS and isinstance(value, str) and len(value) < 100):
            found[key] = value
        elif key in _NESTED and (inner := parameters(value)):
            found[key] = inner
        elif key == "tools" and isinstance(value, list):
            found[key] = "1 tool" if len(value) == 1 else f"{len(value)} tools"
    return found
