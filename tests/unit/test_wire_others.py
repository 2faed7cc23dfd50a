"""requests, aiohttp and botocore: read like httpx, and nothing changes for the program."""

from __future__ import annotations

import gc
import io
import json
import weakref
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
import requests
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

import tokprof
from tokprof.testing import SimulatedProvider

ASK = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}
STREAM = ASK | {"stream": True, "stream_options": {"include_usage": True}}
JSON = {"content-type": "application/json"}


@pytest.fixture
def provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider(compress=True) as running:
        running.reply(text="word " * 50, input_tokens=1000, output_tokens=60, cache_read_tokens=800, times=None)
        yield running


def url(provider: SimulatedProvider) -> str:
    return f"{provider.openai_url}/chat/completions"


def only(prof: tokprof.Profile) -> Any:
    assert len(prof.calls) == 1
    return prof.calls.iloc[0]


def assert_whole(row: Any, stream: bool) -> None:
    assert (row.input_tokens, row.output_tokens, row.cache_read_tokens) == (1000, 60, 800)
    assert (row.usage_source, row.status, row.http_status, row.stream) == ("reported", "ok", 200, stream)
    assert row.ttft_s > 0 if stream else row.ttft_s != row.ttft_s


@pytest.mark.parametrize("body", [ASK, STREAM])
def test_requests_reads_the_body_at_once(provider: SimulatedProvider, body: dict[str, Any]) -> None:
    session = requests.Session()
    bare = session.post(url(provider), json=body).content
    with tokprof.profile() as prof:
        seen = session.post(url(provider), json=body).content
    assert len(seen) == len(bare)
    row = only(prof)
    assert (row.input_tokens, row.output_tokens) == (1000, 60)
    assert row.function == test_requests_reads_the_body_at_once.__name__


@pytest.mark.parametrize("how", ["iter_lines", "iter_content", "content", "raw"])
def test_requests_reads_a_stream_in_every_way(provider: SimulatedProvider, how: str) -> None:
    with tokprof.profile() as prof, requests.post(url(provider), json=STREAM, stream=True) as response:
        match how:
            case "iter_lines":
                body = b"\n".join(response.iter_lines())
            case "iter_content":
                body = b"".join(response.iter_content(64))
            case "content":
                body = response.content
            case _:
                body = response.raw.read()
    assert body.rstrip().endswith(b"[DONE]")
    assert_whole(only(prof), stream=True)


def test_requests_left_early_is_a_lower_bound(provider: SimulatedProvider) -> None:
    with tokprof.profile() as prof, requests.post(url(provider), json=STREAM, stream=True) as response:
        next(response.iter_lines())
        response.close()
    row = only(prof)
    assert (row.status, row.usage_source) == ("partial", "partial")
    assert row.input_tokens > 0
    assert prof.totals.unknown_calls == 1


def test_requests_errors_are_rows_and_reach_the_program(provider: SimulatedProvider) -> None:
    provider.clear()
    provider.drop()
    with tokprof.profile() as prof:
        with pytest.raises(requests.ConnectionError):
            requests.post(url(provider), json=ASK)
        requests.get(f"{provider.openai_url}/models")
    row = only(prof)
    assert row.status == "error"
    assert row.error.startswith("ConnectionError")


async def test_aiohttp_reads_json_and_bytes(provider: SimulatedProvider) -> None:
    async with aiohttp.ClientSession() as session:
        async with tokprof.profile() as prof:
            async with session.post(url(provider), json=ASK) as response:
                answer = await response.json()
        assert answer["usage"]["prompt_tokens"] == 1000
        assert_whole(only(prof), stream=False)
        async with tokprof.profile() as again:
            async with session.post(url(provider), data=json.dumps(ASK), headers=JSON) as response:
                await response.read()
        assert only(again).request_model == "gpt-4o-mini"


@pytest.mark.parametrize("how", ["lines", "iter_any", "iter_chunked", "iter_chunks", "readuntil"])
async def test_aiohttp_reads_a_stream_in_every_way(provider: SimulatedProvider, how: str) -> None:
    async with tokprof.profile() as prof, aiohttp.ClientSession() as session:
        async with session.post(url(provider), json=STREAM) as response:
            content = response.content
            match how:
                case "lines":
                    parts = [line async for line in content]
                case "iter_any":
                    parts = [part async for part in content.iter_any()]
                case "iter_chunked":
                    parts = [part async for part in content.iter_chunked(50)]
                case "iter_chunks":
                    parts = [part async for part, _end in content.iter_chunks()]
                case _:
                    parts = []
                    while part := await content.readuntil(b"\n\n"):
                        parts.append(part)
    assert b"".join(parts).rstrip().endswith(b"[DONE]")
    assert_whole(only(prof), stream=True)


async def test_aiohttp_left_early_and_refused(provider: SimulatedProvider) -> None:
    async with tokprof.profile() as prof, aiohttp.ClientSession() as session:
        async with session.post(url(provider), json=STREAM) as response:
            await response.content.readline()
            response.close()
        provider.clear()
        provider.fail(429, retry_after=0)
        async with session.post(url(provider), json=ASK) as response:
            assert response.status == 429
            await response.read()
    assert prof.calls.status.tolist() == ["partial", "error"]
    assert prof.calls.http_status.tolist() == [200, 429]


@pytest.mark.parametrize("stream", [False, True])
def test_botocore(provider: SimulatedProvider, stream: bool) -> None:
    session = URLLib3Session()
    request = AWSRequest("POST", url(provider), JSON, json.dumps(STREAM if stream else ASK)).prepare()
    request.stream_output = stream
    with tokprof.profile() as prof:
        response = session.send(request)
        body = b"".join(response.raw.stream()) if stream else response.content
    assert body
    assert_whole(only(prof), stream=stream)


def test_the_originals_come_back(provider: SimulatedProvider) -> None:
    from tokprof.capture import wire

    with tokprof.profile():
        pass
    hooked = (requests.Session.send, aiohttp.ClientSession._request, URLLib3Session.send)
    assert all(hasattr(method, "_tokprof_original") for method in hooked)
    wire.uninstall()
    restored = (requests.Session.send, aiohttp.ClientSession._request, URLLib3Session.send)
    assert not any(hasattr(method, "_tokprof_original") for method in restored)
    with tokprof.profile() as prof:
        requests.post(url(provider), json=ASK)
    only(prof)


@pytest.fixture
def no_gc() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def test_aiohttp_content_is_still_a_stream_reader(provider: SimulatedProvider) -> None:
    async with tokprof.profile() as prof, aiohttp.ClientSession() as session:
        async with session.post(url(provider), json=STREAM) as response:
            content = response.content
            assert isinstance(content, aiohttp.StreamReader)
            assert (content.exception(), content.at_eof()) == (None, False)
            assert content.total_bytes >= 0
            await content.readexactly(10)
            body = await content.read()
            assert content.at_eof() and content.is_eof()
    assert body.rstrip().endswith(b"[DONE]")
    assert_whole(only(prof), stream=True)


async def test_aiohttp_released_without_reading(provider: SimulatedProvider) -> None:
    prof = tokprof.profile()
    async with prof, aiohttp.ClientSession() as session:
        async with session.post(url(provider), json=STREAM) as response:
            assert response.status == 200
        assert prof.calls.status.tolist() == ["partial"]


async def test_aiohttp_answers_are_freed_as_without_a_profile(provider: SimulatedProvider, no_gc: None) -> None:
    async def drop(session: aiohttp.ClientSession) -> weakref.ref[Any]:
        response = await session.post(url(provider), json=ASK)
        await response.read()
        return weakref.ref(response)

    async with aiohttp.ClientSession() as session, tokprof.profile() as prof:
        assert (await drop(session))() is None
    assert_whole(only(prof), stream=False)


async def test_aiohttp_serialises_as_the_session_does(provider: SimulatedProvider) -> None:
    odd = ASK | {"user": object()}
    async with aiohttp.ClientSession(json_serialize=lambda value: json.dumps(value, default=str)) as session:
        async with tokprof.profile() as prof, session.post(url(provider), json=odd) as response:
            await response.read()
    assert only(prof).request_model == "gpt-4o-mini"

    used: list[Any] = []

    def second_time_lucky(value: Any) -> str:
        used.append(value)
        if len(used) == 1:
            raise ValueError("not now")
        return json.dumps(value)

    async with aiohttp.ClientSession(json_serialize=second_time_lucky) as session:
        async with tokprof.profile() as prof, session.post(url(provider), json=ASK) as response:
            await response.read()
    assert only(prof).input_tokens == 1000


def test_requests_answers_are_freed_as_without_a_profile(provider: SimulatedProvider, no_gc: None) -> None:
    def drop(times: int) -> weakref.ref[Any]:
        response = requests.post(url(provider), json=STREAM, stream=True)
        for _ in range(times):
            next(response.iter_content(16))
        return weakref.ref(response.raw)

    with tokprof.profile() as prof:
        assert drop(0)() is None
        assert drop(1)() is None
        pieces = requests.post(url(provider), json=STREAM, stream=True).raw.stream(64)
        assert b"".join(pieces).rstrip().endswith(b"[DONE]")  # what nobody else holds is held by who reads it
    assert prof.calls.status.tolist() == ["partial", "partial", "ok"]


@pytest.mark.parametrize("name", ["release_conn", "drain_conn", "close"])
def test_requests_lets_go_in_every_way(provider: SimulatedProvider, name: str) -> None:
    prof = tokprof.profile()
    with prof:
        response = requests.post(url(provider), json=STREAM, stream=True)
        getattr(response.raw, name)()
        assert prof.calls.status.tolist() == ["partial"]


@pytest.mark.parametrize("how", ["-1", "length"])
def test_requests_reads_the_whole_by_number(provider: SimulatedProvider, how: str) -> None:
    provider.compress = False
    prof = tokprof.profile()
    with prof:
        response = requests.post(url(provider), json=ASK, stream=True)
        length = int(response.headers["content-length"])
        assert len(response.raw.read(-1 if how == "-1" else length)) == length
        assert prof.calls.status.tolist() == ["ok"]


@pytest.mark.parametrize("stream", [False, True])
def test_requests_follows_a_redirect_as_one_call(provider: SimulatedProvider, stream: bool) -> None:
    class Moved(requests.adapters.BaseAdapter):
        def send(self, request: requests.PreparedRequest, *_args: Any, **_kwargs: Any) -> requests.Response:
            response = requests.Response()
            response.status_code, response.url, response.request = 307, str(request.url), request
            response.headers["location"] = url(provider)
            response.raw = io.BytesIO()
            return response

    session = requests.Session()
    session.mount("http://old", Moved())
    with tokprof.profile() as prof:
        response = session.post("http://old/v1/moved/chat/completions", json=STREAM if stream else ASK, stream=stream)
        assert response.content and response.history
    assert_whole(only(prof), stream=stream)
