"""Ollama: a JSON object a line, the last of which counts."""

from __future__ import annotations

from typing import Any

from sdks.servers.loopback import Answer, Asked, lines, whole

TEXT = "Grüezi from Ollama"
_TIMES = {"total_duration": 5_043_500_667, "load_duration": 5_025_959, "prompt_eval_duration": 325_953_000}
CHAT = {"prompt_eval_count": 426, "eval_count": 29, "eval_duration": 4_709_213_000, **_TIMES}
GENERATE = {"prompt_eval_count": 326, "eval_count": 25, "eval_duration": 4_709_213_000, **_TIMES}


def answer(asked: Asked) -> Answer:
    """Answer as a local Ollama does; it streams unless it is told not to."""
    head = {"model": asked.body["model"], "created_at": "2026-11-23T10:00:00.1Z"}
    if asked.path == "/api/embed":
        return whole({**head, "embeddings": [[0.25, 0.5]], "prompt_eval_count": 8, "total_duration": 14_143_917})
    chat = asked.path == "/api/chat"
    assert chat or asked.path == "/api/generate", asked.path
    end = {"done_reason": "stop", "done": True, **(CHAT if chat else GENERATE)}
    if asked.body.get("stream") is False:
        return whole({**head, **_part(TEXT, chat), **end})
    pieces = [{**head, **_part(piece, chat), "done": False} for piece in TEXT.partition(" ")]
    return lines([*pieces, {**head, **_part("", chat), **end}])


def _part(text: str, chat: bool) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": text}} if chat else {"response": text}
