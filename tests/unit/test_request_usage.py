"""`request_usage`: streams tell their usage, and the program sees the stream that it asked for."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any

import httpx
import httpx2
import openai
import pytest

import tokprof
from tokprof.capture.wire.include_usage import Hide, ask
from tokprof.testing import SimulatedProvider

MODULES = pytest.mark.parametrize("module", [httpx2, httpx], ids=lambda module: module.__name__)
URL = "https://api.openai.com/v1/chat/completions"
ASK: dict[str, Any] = {"model": "gpt-4o-mini", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
USAGE = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}


def event(data: dict[str, Any], end: str = "\n\n") -> bytes:
    return f"data: {json.dumps(data)}{end}".encode()


def delta(text: str, **more: Any) -> dict[str, Any]:
    return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}}], **more}


EXTRA = {"object": "chat.completion.chunk", "model": "gpt-4o-mini", "choices": [], "usage": USAGE}
PLAIN = [delta("hel"), delta("lo", usage=None)]


class Server:
    """Answers as OpenAI does: the event with the usage for those who ask, and for them alone."""

    def __init__(self, module: ModuleType, size: int = 7):
        self.module, self.size, self.seen = module, size, []  # type: ignore[var-annotated]

    def __call__(self, request: Any) -> Any:
        self.seen.append(json.loads(request.content))
        options = self.seen[-1].get("stream_options") or {}
        body = b"".join(event(one) for one in PLAIN)
        if options.get("include_usage"):
            body += event(EXTRA)
        body += b"data: [DONE]\n\n"
        pieces = [body[at : at + self.size] for at in range(0, len(body), self.size)]

        class Stream(self.module.SyncByteStream, self.module.AsyncByteStream):  # type: ignore[misc, name-defined]
            def __iter__(self) -> Iterator[bytes]:
                yield from pieces

            async def __aiter__(self) -> AsyncIterator[bytes]:
                for piece in pieces:
                    yield piece

        return self.module.Response(200, headers={"content-type": "text/event-stream"}, stream=Stream())


BARE = b"".join(event(one) for one in PLAIN) + b"data: [DONE]\n\n"


@MODULES
@pytest.mark.parametrize("size", [1, 7, 50, 10_000])
def test_the_stream_tells_its_usage_and_the_program_does_not_see_it(module: ModuleType, size: int) -> None:
    server = Server(module, size)
    client = module.Client(transport=module.MockTransport(server))
    with tokprof.profile(request_usage=True) as prof, client.stream("POST", URL, json=ASK) as response:
        assert b"".join(response.iter_bytes()) == BARE
        assert json.loads(response.request.content) == ASK
    assert server.seen == [ASK | {"stream_options": {"include_usage": True}}]
    row = prof.calls.iloc[0]
    assert (row.input_tokens, row.output_tokens, row.usage_source, row.status) == (12, 5, "reported", "ok")


@MODULES
async def test_async_too(module: ModuleType) -> None:
    server = Server(module)
    client = module.AsyncClient(transport=module.MockTransport(server))
    async with tokprof.profile(request_usage=True) as prof:
        async with client.stream("POST", URL, json=ASK) as response:
            assert b"".join([piece async for piece in response.aiter_bytes()]) == BARE
    assert prof.calls.total_tokens.tolist() == [17]


@pytest.mark.parametrize("inner", [True, False])
def test_a_profile_inside_does_as_the_one_around_it(inner: bool) -> None:
    server = Server(httpx2)
    client = httpx2.Client(transport=httpx2.MockTransport(server))
    with tokprof.profile(request_usage=True), tokprof.profile(request_usage=inner) as prof:
        assert client.post(URL, json=ASK).content == BARE
    assert prof.calls.total_tokens.tolist() == [17]


def test_without_the_option_nothing_is_asked() -> None:
    server = Server(httpx2)
    client = httpx2.Client(transport=httpx2.MockTransport(server))
    with tokprof.profile():
        assert client.post(URL, json=ASK).content == BARE
    assert server.seen == [ASK]


def test_a_program_that_asks_gets_what_it_asked_for() -> None:
    server = Server(httpx2)
    client = httpx2.Client(transport=httpx2.MockTransport(server))
    asking = ASK | {"stream_options": {"include_usage": True}}
    with tokprof.profile(request_usage=True):
        assert event(EXTRA) in client.post(URL, json=asking).content
    assert server.seen == [asking]


def test_answers_that_came_with_their_body() -> None:
    def handle(_request: httpx2.Request) -> httpx2.Response:
        body = BARE.replace(b"data: [DONE]", event(EXTRA) + b"data: [DONE]")
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    client = httpx2.Client(transport=httpx2.MockTransport(handle))
    with tokprof.profile(request_usage=True) as prof:
        assert client.post(URL, json=ASK).content == BARE
    assert prof.calls.total_tokens.tolist() == [17]


def test_the_real_sdk_against_a_server(provider: SimulatedProvider) -> None:
    client = openai.OpenAI(api_key="none", base_url=provider.openai_url)

    def chunks() -> list[Any]:
        asked = client.chat.completions.create(
            model="gpt-5-mini", messages=[{"role": "user", "content": "hello there"}], stream=True
        )
        return [chunk.model_dump(exclude={"id", "created"}) for chunk in asked]

    bare = chunks()
    with tokprof.profile(request_usage=True) as prof:
        seen = chunks()
    assert [one["choices"] for one in seen] == [one["choices"] for one in bare]
    assert all(one["choices"] for one in seen)
    row = prof.calls.iloc[0]
    assert row.usage_source == "reported"
    assert row.output_tokens > 0


@pytest.mark.parametrize(
    ("host", "path", "headers", "body"),
    [
        ("api.openai.com", "/v1/chat/completions", {}, ASK | {"stream": False}),
        ("api.openai.com", "/v1/responses", {}, ASK),
        ("api.openai.com", "/v1/chat/completions", {}, ASK | {"stream_options": {"include_usage": False}}),
        ("api.openai.com", "/v1/chat/completions", {"authorization": "AWS4-HMAC-SHA256 ..."}, ASK),
        ("api.openai.com", "/v1/chat/completions", {"content-encoding": "gzip"}, ASK),
        ("x.oci.oraclecloud.com", "/v1/chat/completions", {"authorization": "Signature version=1"}, ASK),
        ("api.openai.com", "/v1/chat/completions", {"content-digest": "sha-256=:x:"}, ASK),
        ("api.mistral.ai", "/v1/chat/completions", {}, ASK),
        ("openrouter.ai", "/api/v1/chat/completions", {}, ASK),  # its program gets that event anyway
        ("api.openai.com", "/v1/chat/completions", {}, ["stream"]),
    ],
)
def test_requests_that_are_left_alone(host: str, path: str, headers: dict[str, str], body: Any) -> None:
    assert ask(host, path, headers, json.dumps(body).encode()) is None


def test_half_of_a_character_is_sent_as_it_was(recwarn: pytest.WarningsRecorder) -> None:
    server = Server(httpx2)
    client = httpx2.Client(transport=httpx2.MockTransport(server))
    body = json.dumps(ASK | {"messages": [{"role": "user", "content": "secret \ud83d"}]}).encode()
    with tokprof.profile(request_usage=True):
        client.post(URL, content=body, headers={"content-type": "application/json"})
    assert server.seen == [json.loads(body) | {"stream_options": {"include_usage": True}}]
    assert not recwarn.list


def test_other_options_stay() -> None:
    body = ask("x", "/chat/completions", {}, json.dumps(ASK | {"stream_options": {"other": 1}}).encode())
    assert body is not None
    assert json.loads(body)["stream_options"] == {"other": 1, "include_usage": True}


@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n", "\r\r"])
def test_events_of_any_line_end_go_by_whole(end: str) -> None:
    hide = Hide()
    first, extra = event(PLAIN[0], end), event(EXTRA, end)
    assert hide.feed(first + extra[:10]) == first
    assert hide.feed(extra[10:]) == b""
    assert hide.feed(b"data: [DO") == b""
    assert hide.flush() == b"data: [DO"


def test_only_the_extra_event_is_hidden() -> None:
    filtered = event({"choices": [], "prompt_filter_results": [], "usage": None})  # Azure's first
    quoting = event(delta('"choices": [], "usage": {}'))
    hide = Hide()
    assert hide.feed(filtered + quoting) + hide.flush() == filtered + quoting
