"""The replay cache in each HTTP library: what comes from it is what would come from a server."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import aiohttp
import boto3
import httpx
import httpx2
import lm15
import pytest
import requests
from botocore.config import Config
from lm15.providers.async_base import AsyncOpenAIChatLM

import tokprof
from tokprof.testing import SimulatedProvider

from .caching import ASK, STREAM, twice, url
from .frames import frame

MODULES = pytest.mark.parametrize("module", [httpx, httpx2], ids=lambda module: module.__name__)
BODIES = pytest.mark.parametrize("body", [ASK, STREAM], ids=["whole", "stream"])


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    tokprof.cache.clear()
    yield
    tokprof.cache.clear()


@pytest.fixture(params=[False, True], ids=["plain", "gzip"])
def provider(request: pytest.FixtureRequest) -> Iterator[SimulatedProvider]:
    with SimulatedProvider(compress=request.param) as running:
        running.reply(text="word " * 20, input_tokens=1000, output_tokens=60, cache_read_tokens=800, times=None)
        yield running


@MODULES
@BODIES
def test_httpx(provider: SimulatedProvider, module: Any, body: dict[str, Any]) -> None:
    with module.Client() as client:

        def ask() -> Any:
            with client.stream("POST", url(provider), json=body) as response:
                pieces = list(response.iter_bytes())
            assert response.elapsed.total_seconds() >= 0
            assert response.request.url == url(provider)
            response.raise_for_status()
            return response.status_code, response.headers["content-type"], response.http_version, pieces

        first, second = twice(provider, ask)
        assert first == second
        assert len(first[-1]) > 10 or body is ASK


@MODULES
@BODIES
def test_httpx_async(provider: SimulatedProvider, module: Any, body: dict[str, Any]) -> None:
    async def ask() -> Any:
        async with module.AsyncClient() as client, client.stream("POST", url(provider), json=body) as response:
            return [line async for line in response.aiter_lines()]

    first, second = twice(provider, lambda: asyncio.run(ask()))
    assert first == second


@MODULES
def test_the_hooks_of_a_client_see_the_answer(provider: SimulatedProvider, module: Any) -> None:
    seen: list[Any] = []
    hooks = {"request": [lambda request: seen.append(request.method)], "response": [lambda got: seen.append(got)]}
    with module.Client(event_hooks=hooks) as client:
        first, second = twice(provider, lambda: client.post(url(provider), json=ASK))
    assert seen == ["POST", first, "POST", second]
    assert first.json() == second.json()


@pytest.mark.parametrize("how", ["iter_lines", "iter_content", "pieces", "raw", "at once"])
def test_requests(provider: SimulatedProvider, how: str) -> None:
    with requests.Session() as session:

        def ask() -> Any:
            response = session.post(url(provider), json=STREAM, stream=how != "at once")
            response.raise_for_status()
            assert response.elapsed.total_seconds() >= 0
            assert (response.url, response.request.method) == (url(provider), "POST")
            with response:
                match how:
                    case "iter_lines":
                        return list(response.iter_lines())
                    case "iter_content":
                        return b"".join(response.iter_content(64))
                    case "pieces":
                        return list(response.iter_content(None))
                    case "raw":
                        return response.raw.read(decode_content=True)
                    case _:
                        return response.text, response.ok, response.reason, response.encoding

        first, second = twice(provider, ask)
    assert first == second


def test_requests_gives_json(provider: SimulatedProvider) -> None:
    first, second = twice(provider, lambda: requests.post(url(provider), json=ASK).json())
    assert first == second


@pytest.mark.parametrize("how", ["read", "json", "text", "iter_any", "iter_chunked", "lines"])
def test_aiohttp(provider: SimulatedProvider, how: str) -> None:
    body = ASK if how == "json" else STREAM

    async def ask() -> Any:
        async with aiohttp.ClientSession() as session, session.post(url(provider), json=body) as response:
            response.raise_for_status()
            assert (str(response.url), response.method, response.status) == (url(provider), "POST", 200)
            match how:
                case "json":
                    return await response.json()
                case "text":
                    return await response.text()
                case "iter_any":
                    return b"".join([piece async for piece in response.content.iter_any()])
                case "iter_chunked":
                    return b"".join([piece async for piece in response.content.iter_chunked(100)])
                case "lines":
                    return [line async for line in response.content]
                case _:
                    return await response.read()

    first, second = twice(provider, lambda: asyncio.run(ask()))
    assert first == second


def test_aiohttp_gives_a_stream_piece_by_piece_and_lets_go_of_it(provider: SimulatedProvider) -> None:
    async def ask() -> Any:
        async with aiohttp.ClientSession() as session:
            response = await session.post(url(provider), json=STREAM)
            first = await response.content.readany()
            response.release()
            return first

    with tokprof.cache():
        requests.post(url(provider), json=STREAM)
    whole = requests.post(url(provider), json=STREAM).content
    with tokprof.profile() as prof, tokprof.cache():
        asyncio.run(ask())  # of another library: the same request
        first = asyncio.run(ask())
    assert 0 < len(first) <= len(whole)
    assert prof.totals.calls == 2


def test_large_answers_of_aiohttp_wait_for_their_reader(provider: SimulatedProvider) -> None:
    provider.clear()
    provider.reply(text="word " * 200_000, input_tokens=1000, output_tokens=60, cache_read_tokens=800, times=None)

    async def ask() -> int:
        async with aiohttp.ClientSession() as session, session.post(url(provider), json=ASK) as response:
            await asyncio.sleep(0.05)
            return len(await response.read())

    first, second = twice(provider, lambda: asyncio.run(ask()))
    assert first == second > 1_000_000


@BODIES
def test_openai(provider: SimulatedProvider, body: dict[str, Any]) -> None:
    with provider.openai() as client:

        def ask() -> Any:
            answer: Any = client.chat.completions.create(**body)  # type: ignore[call-overload]
            return [event.to_dict() for event in answer] if body is STREAM else answer.to_dict()

        first, second = twice(provider, ask)
    assert first == second


def test_async_openai(provider: SimulatedProvider) -> None:
    async def ask() -> Any:
        async with provider.async_openai() as client:
            return [event.to_dict() async for event in await client.chat.completions.create(**STREAM)]  # type: ignore[call-overload]

    first, second = twice(provider, lambda: asyncio.run(ask()))
    assert first == second


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
@pytest.mark.parametrize("stream", [False, True])
def test_anthropic(provider: SimulatedProvider, stream: bool) -> None:
    messages: Any = [{"role": "user", "content": "hello"}]
    settings: dict[str, Any] = {"model": "claude-sonnet-4-5", "max_tokens": 99, "messages": messages}
    with provider.anthropic() as client:

        def ask() -> Any:
            if not stream:
                return client.messages.create(**settings).to_dict()
            with client.messages.stream(**settings) as events:
                return [type(event).__name__ for event in events], events.get_final_message().to_dict()

        first, second = twice(provider, ask)
    assert first == second


@pytest.mark.parametrize("stream", [False, True])
def test_lm15(stream: bool) -> None:
    with SimulatedProvider() as provider:
        provider.reply(text="word " * 20, input_tokens=1000, output_tokens=60, cache_read_tokens=800, times=None)
        lm = lm15.OpenAIChatLM(api_key="key", base_url=provider.openai_url)
        request = lm15.Request(model="gpt-4o-mini", messages=(lm15.Message.user("hello"),))

        def ask() -> Any:
            if stream:
                return [repr(event) for event in lm.stream(request)]
            return lm.complete(request).text

        with tokprof.profile() as prof, tokprof.cache():
            first, second = ask(), ask()
        assert len(provider.requests) == 1
    assert first == second
    assert (prof.totals.calls, prof.totals.cache_hits) == (2, 1)


def test_async_lm15() -> None:
    with SimulatedProvider() as provider:
        provider.reply(text="word " * 20, input_tokens=1000, output_tokens=60, times=None)

        async def ask() -> Any:
            lm = AsyncOpenAIChatLM(api_key="key", base_url=provider.openai_url)
            request = lm15.Request(model="gpt-4o-mini", messages=(lm15.Message.user("hello"),))
            return (await lm.complete(request)).text

        with tokprof.profile() as prof, tokprof.cache():
            assert asyncio.run(ask()) == asyncio.run(ask())
        assert len(provider.requests) == 1
    assert prof.totals.cache_hits == 1


CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Grüezi"}}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("messageStop", {"stopReason": "end_turn"}),
    ("metadata", {"usage": {"inputTokens": 412, "outputTokens": 66, "totalTokens": 478}, "metrics": {"latencyMs": 9}}),
]
CONVERSE = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Grüezi"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 412, "outputTokens": 66, "totalTokens": 478},
    "metrics": {"latencyMs": 9},
}


class Bedrock(BaseHTTPRequestHandler):
    """Answers as bedrock-runtime does, streams in chunks."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.asked.append(self.path)
        stream = self.path.endswith("stream")
        self.send_response(200)
        self.send_header("content-type", "application/vnd.amazon.eventstream" if stream else "application/json")
        self.send_header("x-amzn-requestid", "r-1")
        whole = json.dumps(CONVERSE).encode()
        self.send_header(*(("transfer-encoding", "chunked") if stream else ("content-length", str(len(whole)))))
        self.end_headers()
        if not stream:
            self.wfile.write(whole)
            return
        for event in (*(frame(*event) for event in EVENTS), b""):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def bedrock() -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bedrock)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    keys: dict[str, Any] = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
    client = boto3.client(
        "bedrock-runtime",
        endpoint_url=f"http://127.0.0.1:{server.server_port}",
        region_name="eu-central-1",
        config=Config(retries={"max_attempts": 1}),
        **keys,
    )
    Bedrock.asked.clear()
    yield client
    client.close()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("how", ["converse", "converse_stream", "invoke", "invoke_stream"])
def test_bedrock_by_boto3(bedrock: Any, how: str) -> None:
    asked: dict[str, Any] = {"modelId": CLAUDE, "messages": [{"role": "user", "content": [{"text": "Hi"}]}]}
    body: dict[str, Any] = {"modelId": CLAUDE, "body": json.dumps({"messages": []})}

    def ask() -> Any:
        match how:
            case "converse":
                answer = bedrock.converse(**asked)
                told = answer["ResponseMetadata"]
                return answer["output"], answer["usage"], told["HTTPStatusCode"], told["RequestId"]
            case "converse_stream":
                return list(bedrock.converse_stream(**asked)["stream"])
            case "invoke":
                return bedrock.invoke_model(**body)["body"].read()
            case _:
                return bedrock.invoke_model_with_response_stream(**body)["body"]._raw_stream.read()

    with tokprof.profile() as prof, tokprof.cache():
        first, second = ask(), ask()
    assert len(Bedrock.asked) == 1
    assert first == second
    assert (prof.totals.cache_hits, prof.totals.saved_tokens, prof.totals.total_tokens) == (1, 478, 478)
