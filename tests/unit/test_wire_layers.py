"""Mocks, recorders and transports under transports, in any order: each call counts once, and is the program's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import anthropic
import httpx
import httpx2
import httpx_aiohttp
import openai
import pytest
import requests
import requests_mock
import respx
import vcr
import wrapt
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

import tokprof
from tokprof.capture import wire
from tokprof.testing import SimulatedProvider

ASK = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}
STREAM = ASK | {"stream": True, "stream_options": {"include_usage": True}}
ANSWER: dict[str, Any] = {
    "object": "chat.completion",
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 60, "total_tokens": 1060},
}
URL = "https://api.openai.com/v1/chat/completions"
FIRST = pytest.mark.parametrize("first", ["tokprof", "mock"])
MODULES = pytest.mark.parametrize("module", [httpx, httpx2], ids=lambda module: module.__name__)


@pytest.fixture
def provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider(compress=True) as running:
        running.reply(text="word " * 20, input_tokens=1000, output_tokens=60, times=None)
        yield running


@pytest.fixture
def unhooked() -> Iterator[None]:
    """As in a process where nothing was recorded yet."""
    wire.uninstall()
    yield
    wire.install()


def assert_once(prof: tokprof.Profile, stream: bool = False, times: int = 1) -> None:
    assert prof.calls.status.tolist() == ["ok"] * times, prof.calls[["name", "status", "error"]]
    assert prof.calls.total_tokens.tolist() == [1060] * times
    assert prof.calls.usage_source.tolist() == ["reported"] * times
    assert prof.calls.stream.tolist() == [stream] * times


def in_order(first: str, mock: AbstractContextManager[Any], prof: tokprof.Profile) -> ExitStack:
    """Both entered, `first` first, to be left in the opposite order."""
    stack = ExitStack()
    for manager in (prof, mock) if first == "tokprof" else (mock, prof):
        stack.enter_context(manager)  # type: ignore[arg-type]
    return stack


# vcrpy records, and replays when nobody is there


def by_requests(url: str, body: dict[str, Any]) -> bytes:
    return bytes(requests.post(url, json=body).content)


def by_httpx(url: str, body: dict[str, Any]) -> bytes:
    return bytes(httpx.post(url, json=body).content)


def by_httpx2(url: str, body: dict[str, Any]) -> bytes:
    return bytes(httpx2.post(url, json=body).content)


def by_async_httpx2(url: str, body: dict[str, Any]) -> bytes:
    async def ask() -> bytes:
        async with httpx2.AsyncClient() as client:
            return bytes((await client.post(url, json=body)).content)

    return asyncio.run(ask())


def by_aiohttp(url: str, body: dict[str, Any]) -> bytes:
    async def ask() -> bytes:
        async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
            return await response.read()

    return asyncio.run(ask())


def by_botocore(url: str, body: dict[str, Any]) -> bytes:
    request = AWSRequest("POST", url, headers={"content-type": "application/json"}, data=json.dumps(body).encode())
    return bytes(URLLib3Session().send(request.prepare()).content)


EVERY = [by_requests, by_httpx, by_httpx2, by_async_httpx2, by_botocore]
ORDERS = [(ask, first) for ask in EVERY for first in ("tokprof", "mock")]
ORDERS.append((by_aiohttp, "mock"))  # vcrpy takes the place of `ClientSession._request`, whatever it finds there


@pytest.mark.parametrize(("ask", "first"), ORDERS, ids=lambda value: getattr(value, "__name__", value))
@pytest.mark.parametrize("body", [ASK, STREAM], ids=["json", "stream"])
def test_vcrpy_records_and_replays(
    ask: Callable[[str, dict[str, Any]], bytes], first: str, body: dict[str, Any], tmp_path: Path, unhooked: None
) -> None:
    cassette = str(tmp_path / "cassette.yaml")
    with SimulatedProvider() as provider:
        provider.reply(text="word " * 20, input_tokens=1000, output_tokens=60, times=None)
        url = f"{provider.openai_url}/chat/completions"
        recorded = tokprof.profile()
        with in_order(first, vcr.use_cassette(cassette), recorded):
            answer = ask(url, body)
        assert len(provider.requests) == 1
    assert_once(recorded, stream=body is STREAM)

    replayed = tokprof.profile()
    with in_order(first, vcr.use_cassette(cassette, record_mode="none"), replayed):
        assert ask(url, body) == answer
    assert_once(replayed, stream=body is STREAM)


# mocks


@FIRST
def test_respx(first: str, unhooked: None) -> None:
    prof = tokprof.profile()
    router = respx.mock()
    with in_order(first, router, prof):
        router.post(URL).respond(200, json=ANSWER)
        with httpx.Client() as client:
            assert client.post(URL, json=ASK).json() == ANSWER
    assert_once(prof)


@FIRST
async def test_respx_async(first: str, unhooked: None) -> None:
    prof = tokprof.profile()
    router = respx.mock()
    with in_order(first, router, prof):
        router.post(URL).respond(200, json=ANSWER)
        async with httpx.AsyncClient() as client:
            assert (await client.post(URL, json=ASK)).json() == ANSWER
    assert_once(prof)


@MODULES
@FIRST
def test_a_patched_transport(module: ModuleType, first: str, unhooked: None) -> None:
    """What pytest-httpx does: ``handle_request`` of the transport class is replaced."""

    def answer(_transport: Any, request: Any) -> Any:
        return module.Response(200, json=ANSWER, request=request)

    with pytest.MonkeyPatch.context() as patch:
        prof = tokprof.profile()
        if first == "mock":
            patch.setattr(module.HTTPTransport, "handle_request", answer)
        with prof:
            patch.setattr(module.HTTPTransport, "handle_request", answer)
            assert module.post(URL, json=ASK).json() == ANSWER
    assert_once(prof)


def test_requests_mock(unhooked: None) -> None:
    with requests_mock.Mocker() as mock, tokprof.profile() as prof:
        mock.post(URL, json=ANSWER)
        assert requests.post(URL, json=ASK).json() == ANSWER
        with requests.post(URL, json=ASK, stream=True) as response:
            assert json.loads(b"".join(response.iter_content(16))) == ANSWER
    assert_once(prof, times=2)


def test_a_mock_in_place_of_the_hook_has_its_way_and_the_hook_is_back_after_it(provider: SimulatedProvider) -> None:
    with tokprof.profile() as prof:
        with requests_mock.Mocker() as mock:  # takes the place of `Session.send`: nobody is asked
            mock.post(URL, json=ANSWER)
            assert requests.post(URL, json=ASK).json() == ANSWER
        by_requests(f"{provider.openai_url}/chat/completions", ASK)
    assert_once(prof)


def test_a_hook_that_a_mock_took_out_is_back_in_the_next_profile(provider: SimulatedProvider, unhooked: None) -> None:
    with requests_mock.Mocker(), tokprof.profile():
        pass  # the mock puts back what it found, which is no hook
    with tokprof.profile() as prof:
        by_requests(f"{provider.openai_url}/chat/completions", ASK)
    assert_once(prof)


# transports under transports


@pytest.mark.parametrize("stream", [False, True])
async def test_openai_over_aiohttp(provider: SimulatedProvider, stream: bool) -> None:
    client = openai.AsyncOpenAI(
        base_url=provider.openai_url, api_key="key", http_client=openai.DefaultAioHttpClient(), max_retries=0
    )
    async with client, tokprof.profile() as prof:
        if stream:
            parts = await client.chat.completions.create(**STREAM)
            assert [part async for part in parts][-1].usage.total_tokens == 1060
        else:
            assert (await client.chat.completions.create(**ASK)).usage.total_tokens == 1060
    assert_once(prof, stream)


async def test_anthropic_over_aiohttp(provider: SimulatedProvider) -> None:
    client = anthropic.AsyncAnthropic(
        base_url=provider.anthropic_url, api_key="key", http_client=anthropic.DefaultAioHttpClient(), max_retries=0
    )
    async with client, tokprof.profile() as prof:
        answer = await client.messages.create(model="claude-sonnet-4-5", max_tokens=99, messages=ASK["messages"])
    assert answer.usage.output_tokens == 60
    assert_once(prof)


async def test_httpx_over_aiohttp(provider: SimulatedProvider) -> None:
    async with httpx_aiohttp.HttpxAiohttpClient() as client, tokprof.profile() as prof:
        response = await client.post(f"{provider.openai_url}/chat/completions", json=ASK)
        assert response.json()["usage"]["total_tokens"] == 1060
        async with client.stream("POST", f"{provider.openai_url}/chat/completions", json=STREAM) as streamed:
            assert (await streamed.aread()).rstrip().endswith(b"[DONE]")
    assert prof.calls.status.tolist() == ["ok", "ok"] and prof.calls.total_tokens.tolist() == [1060, 1060]
    assert prof.calls.stream.tolist() == [False, True]


def test_botocore_and_requests_over_urllib3(provider: SimulatedProvider) -> None:
    url = f"{provider.openai_url}/chat/completions"
    with tokprof.profile() as prof:
        for ask in (by_botocore, by_requests):
            assert json.loads(ask(url, ASK))["usage"]["total_tokens"] == 1060
    assert_once(prof, times=2)


def test_one_call_counts_in_two_profiles(provider: SimulatedProvider) -> None:
    with tokprof.profile() as outer, tokprof.profile() as inner:
        by_requests(f"{provider.openai_url}/chat/completions", ASK)
    assert_once(outer)
    assert_once(inner)


# wrappers of other tools


@MODULES
@FIRST
def test_a_wrapper_of_another_tool_learns_of_its_client(module: ModuleType, first: str, unhooked: None) -> None:
    seen: list[Any] = []

    def note(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        seen.append(instance)
        return wrapped(*args, **kwargs)

    def wrap() -> None:
        patch.setattr(module.Client, name, wrapt.FunctionWrapper(module.Client.__dict__[name], note))

    name = "_send_single_request"
    transport = module.MockTransport(lambda _request: module.Response(200, json=ANSWER))
    with pytest.MonkeyPatch.context() as patch, module.Client(transport=transport) as client:
        if first == "mock":
            wrap()
        with tokprof.profile() as prof:
            if first == "tokprof":
                wrap()
            assert client.post(URL, json=ASK).json() == ANSWER
        wire.uninstall()
    assert seen == [client]
    assert_once(prof)
