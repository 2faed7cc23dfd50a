"""The most frequent answer, read at a glance: a chat completion in which everything is in its usual place.

It tells nothing but what the long way tells; whatever is unusual goes that way.
"""

from __future__ import annotations

from typing import Any

from tokprof.meter.usage import MAX
from tokprof.span import Usage

_ANSWER = frozenset(
    [
        "id",
        "object",
        "created",
        "model",
        "choices",
        "usage",
        "service_tier",
        "system_fingerprint",
        "prompt_filter_results",
    ],
)
_USAGE = frozenset(
    ["prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details"],
)
_INPUT = frozenset(["cached_tokens", "audio_tokens"])
_OUTPUT = frozenset(["reasoning_tokens", "audio_tokens", "accepted_prediction_tokens", "rejected_prediction_tokens"])


def chat(answer: Any) -> tuple[Usage, str] | None:
    """Read usage and reason to finish of a chat completion; None where anything about it is unusual."""
    if type(answer) is not dict or answer.get("object") != "chat.completion" or not _ANSWER.issuperset(answer):
        return None
    raw, choices = answer.get("usage"), answer.get("choices")
    if type(raw) is not dict or not _USAGE.issuperset(raw) or type(choices) is not list or not choices:
        return None
    first = choices[0]
    finish = first.get("finish_reason") if type(first) is dict else None
    inside, outside = raw.get("prompt_tokens"), raw.get("completion_tokens")
    inner, outer = raw.get("prompt_tokens_details") or {}, raw.get("completion_tokens_details") or {}
    if (
        type(finish) is not str
        or type(answer.get("model")) is not str
        or type(inside) is not int
        or type(outside) is not int
        or not 0 < inside <= MAX
        or not 0 < outside <= MAX
        or raw.get("total_tokens") != inside + outside
        or type(inner) is not dict
        or type(outer) is not dict
        or not _INPUT.issuperset(inner)
        or not _OUTPUT.issuperset(outer)
    ):
        return None
    read, heard = inner.get("cached_tokens"), inner.get("audio_tokens")
    reasoning, said = outer.get("reasoning_tokens"), outer.get("audio_tokens")
    for part, whole in ((read, inside), (heard, inside), (reasoning, outside), (said, outside)):
        if part is not None and (type(part) is not int or not 0 <= part <= whole):
            return None
    usage = Usage(inside, outside, read, None, reasoning, heard, None, said)
    return usage, finish
