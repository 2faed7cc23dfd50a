"""What is measured: calls of the openai SDK over a transport in this process, answered as a provider answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx2
from openai import AsyncOpenAI, OpenAI

MODEL = "gpt-5-mini"
SHORT: Any = [{"role": "user", "content": "word " * 200}]
LONG: Any = [
    {"role": ("user", "assistant")[turn % 2], "content": f"turn {turn}: " + "what was said before " * 48}
    for turn in range(40)
]
CHUNKS, TOGETHER = 200, 100

Batch = Callable[[int], None]


def _answer() -> bytes:
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "gpt-5-mini-2025-08-07",
        "service_tier": "default",
        "system_fingerprint": None,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "fine " * 100, "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 210,
            "completion_tokens": 100,
            "total_tokens": 310,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
    }
    return json.dumps(body).encode()


def _events() -> list[bytes]:
    head: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": "gpt-5-mini-2025-08-07",
        "service_tier": "default",
        "system_fingerprint": None,
    }
    bodies = [
        head
        | {
            "choices": [{"index": 0, "delta": {"content": f"word{i} "}, "logprobs": None, "finish_reason": None}],
            "usage": None,
        }
        for i in range(CHUNKS)
    ]
    stop = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    bodies.append(head | {"choices": [stop], "usage": None})
    usage = {"prompt_tokens": 210, "completion_tokens": CHUNKS, "total_tokens": 210 + CHUNKS}
    bodies.append(head | {"choices": [], "usage": usage})
    return [b"data: " + json.dumps(body).encode() + b"\n\n" for body in bodies] + [b"data: [DONE]\n\n"]


class _Body(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body that is read from a stream, as one from a socket is."""

    def __init__(self, chunks: list[bytes]):
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


_COMMON = {
    "date": "Mon, 02 Nov 2026 10:00:00 GMT",
    "server": "cloudflare",
    "x-request-id": "req_1",
    "openai-processing-ms": "420",
    "openai-version": "2020-10-01",
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-remaining-requests": "9999",
}
_JSON = {"content-type": "application/json", **_COMMON}
_SSE = {"content-type": "text/event-stream; charset=utf-8", **_COMMON}
_ANSWER = [_answer()]
_STREAM = _events()


def _model(request: httpx2.Request) -> httpx2.Response:
    if b'"stream":true' in request.content:
        return httpx2.Response(200, headers=_SSE, stream=_Body(_STREAM))
    return httpx2.Response(200, headers=_JSON, stream=_Body(_ANSWER))


async def _model_async(request: httpx2.Request) -> httpx2.Response:
    return _model(request)


def nothing() -> None: ...


def make(decorate: Callable[[Callable[[], None]], Callable[[], None]]) -> dict[str, Batch]:
    """Make the workloads by name; each takes how many times it is to run."""
    options: Any = {"api_key": "none", "base_url": "https://api.openai.com/v1", "max_retries": 0}
    client = OpenAI(**options, http_client=httpx2.Client(transport=httpx2.MockTransport(_model)))
    waiting = AsyncOpenAI(**options, http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(_model_async)))
    loop = asyncio.new_event_loop()
    decorated = decorate(nothing)

    def chat(messages: Any) -> Batch:
        def run(times: int) -> None:
            for _ in range(times):
                client.chat.completions.create(model=MODEL, messages=messages)

        return run

    def stream(times: int) -> None:
        for _ in range(times):
            for _ in client.chat.completions.create(
                model=MODEL, messages=SHORT, stream=True, stream_options={"include_usage": True}
            ):
                pass

    async def one() -> None:
        await waiting.chat.completions.create(model=MODEL, messages=SHORT)

    async def together() -> None:
        await asyncio.gather(*(one() for _ in range(TOGETHER)))

    def gather(times: int) -> None:
        for _ in range(times):
            loop.run_until_complete(together())

    def function(times: int) -> None:
        for _ in range(times):
            decorated()

    return {"short": chat(SHORT), "long": chat(LONG), "stream": stream, "gather": gather, "function": function}
