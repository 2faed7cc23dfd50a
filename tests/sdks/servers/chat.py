"""OpenAI's chat completions with what those who took them over have changed in the usage.

Groq tells times, and the usage of a stream under ``x_groq``; Mistral tells its cache in two places; Hugging Face's
router and Azure answer as OpenAI does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sdks.servers.loopback import Answer, Asked, sse, whole

TEXT = "Grüezi from the loopback"
Usage = dict[str, Any]

GROQ: Usage = {
    "prompt_tokens": 821,
    "completion_tokens": 63,
    "total_tokens": 884,
    "prompt_tokens_details": {"cached_tokens": 512},
    "completion_tokens_details": {"reasoning_tokens": 41},
    "queue_time": 0.031,
    "prompt_time": 0.004,
    "completion_time": 0.11,
    "total_time": 0.114,
}
MISTRAL: Usage = {
    "prompt_tokens": 733,
    "completion_tokens": 39,
    "total_tokens": 772,
    "num_cached_tokens": 640,
    "prompt_tokens_details": {"cached_tokens": 640},
}
HUGGING_FACE: Usage = {"prompt_tokens": 611, "completion_tokens": 33, "total_tokens": 644, "cached_tokens": 384}
AZURE: Usage = {
    "prompt_tokens": 927,
    "completion_tokens": 81,
    "total_tokens": 1008,
    "prompt_tokens_details": {"cached_tokens": 768, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 57, "audio_tokens": 0},
}


def chat(usage: Usage, model: str | None = None, *, always: bool = False) -> Callable[[Asked], Answer]:
    """Make the dialect of one provider.

    Parameters
    ----------
    usage : dict
        As the provider tells it; the number in the prompt's last word, if there is one, is added to its input.
    model : str, optional
        Which answers; without it the one that was asked for.
    always : bool
        Whether a stream ends with its usage though nobody asked for it.
    """

    def answer(asked: Asked) -> Answer:
        assert asked.path.endswith("/chat/completions"), asked.path
        counted = _counted(usage, asked)
        head = {"id": "chatcmpl-1", "created": 1_790_000_000, "model": model or asked.body["model"]}
        if not asked.body.get("stream"):
            message = {"role": "assistant", "content": TEXT}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            return whole({**head, "object": "chat.completion", "choices": [choice], "usage": counted})
        told = always or (asked.body.get("stream_options") or {}).get("include_usage")
        return sse(_chunks({**head, "object": "chat.completion.chunk"}, counted if told else None), done=True)

    return answer


def groq(asked: Asked) -> Answer:
    """Answer as Groq does: the usage of a stream comes in its last chunk, under a name of its own."""
    if not asked.body.get("stream"):
        return chat(GROQ)(asked)
    head = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": asked.body["model"],
    }
    first, *middle, last = _chunks(head, None)
    return sse(
        [first | {"x_groq": {"id": "req_1"}}, *middle, last | {"x_groq": {"id": "req_1", "usage": GROQ}}], done=True
    )


def mistral(asked: Asked) -> Answer:
    """Answer as Mistral does: embeddings, and chats whose streams end with usage and reason in one chunk."""
    if asked.path.endswith("/embeddings"):
        data = [{"object": "embedding", "index": 0, "embedding": [0.25, 0.5]}]
        usage = {"prompt_tokens": 19, "total_tokens": 19, "completion_tokens": 0}
        return whole({"id": "e1", "object": "list", "data": data, "model": asked.body["model"], "usage": usage})
    if not asked.body.get("stream"):
        return chat(MISTRAL)(asked)
    head = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": asked.body["model"],
    }
    *chunks, last = _chunks(head, None)
    return sse([*chunks, last | {"usage": MISTRAL}], done=True)


def _chunks(head: dict[str, Any], usage: Usage | None) -> list[dict[str, Any]]:
    deltas = [{"role": "assistant", "content": ""}, *({"content": word} for word in TEXT.partition(" from "))]
    chunks = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if usage is not None:
        chunks.append({**head, "choices": [], "usage": usage})
    return chunks


def _counted(usage: Usage, asked: Asked) -> Usage:
    last = str(asked.body["messages"][-1]["content"]).rpartition(" ")[2]
    more = int(last) if last.isdecimal() else 0
    if not more:
        return usage
    return usage | {key: usage[key] + more for key in ("prompt_tokens", "total_tokens")}
