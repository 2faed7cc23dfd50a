"""What is kept of prompts and answers, if the user asks for it. It stays in this process's memory."""

from __future__ import annotations

import json
from typing import Any

from tokprof.meter.body import decode, load
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
        ``preview``: the text of the last message and of the answer, 500 characters each. ``full``: both bodies as sent.

    Returns
    -------
    dict of str to str
        ``prompt`` and ``answer``; ``parameters``, as JSON, where there are any.
    """
    request = exchange.request or b""
    body = decode(exchange.chunks, exchange.content_encoding) or b""
    if capture == "full":
        kept = {"prompt": request.decode("utf-8", "replace"), "answer": body.decode("utf-8", "replace")}
    else:
        said = answer(body, framing(exchange.content_type, body), enough=PREVIEW)
        kept = {"prompt": last_message(request)[:PREVIEW], "answer": "".join(said.of())[:PREVIEW]}
    if asked := parameters(load(request)):
        kept["parameters"] = json.dumps(asked)
    return kept


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
