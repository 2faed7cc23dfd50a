"""lm15, on sockets of its own (dspy brings a copy along): read like the others, and nothing changes for the program."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import lm15
import pytest
from lm15.providers.async_base import AsyncOpenAIChatLM
from lm15.transports import ConnectError, StdlibAsyncTransport, StdlibTransport, TransportRequest

import tokprof
from tokprof.testing import SimulatedProvider

ASK = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}
STREAM = ASK | {"stream": True, "stream_options": {"include_usage": True}}
REQUEST = lm15.Request(model="gpt-4o-mini", messages=(lm15.Message.user("hello"),))


@pytest.fixture
def provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider() as running:
        running.reply(text="word " * 50, input_tokens=1000, output_tokens=60, cache_read_tokens=800, times=None)
        yield running


def request(provider: SimulatedProvider, body: dict[str, Any]) -> TransportRequest:
    headers = [("Content-Type", "application/json")]
    return TransportRequest("POST", f"{provider.openai_url}/chat/completions", headers, json.dumps(body).encode())


def only(prof: tokprof.Profile) -> Any:
    assert len(prof.calls) == 1, prof.calls[["name", "status", "error"]]
    return prof.calls.iloc[0]


def assert_whole(row: Any, stream: bool) -> None:
    assert (row.status, row.error, row.http_status, row.stream) == ("ok", None, 200, stream)
    assert (row.input_tokens, row.output_tokens, row.cache_read_tokens) == (1000, 60, 800)
    assert (row.operation, row.request_model, row.usage_source) == ("chat", "gpt-4o-mini", "reported")


def test_an_answer(provider: SimulatedProvider) -> None:
    lm = lm15.OpenAIChatLM(api_key="key", base_url=provider.openai_url)
    with tokprof.profile() as prof:
        answer = lm.complete(REQUEST)
    assert (answer.text, answer.usage.input_tokens) == ("word " * 50, 1000)
    assert_whole(only(prof), stream=False)
    assert only(prof).function == "test_an_answer"


def test_a_stream(provider: SimulatedProvider) -> None:
    lm = lm15.OpenAIChatLM(api_key="key", base_url=provider.openai_url)
    plain = [type(event) for event in lm.stream(REQUEST)]
    with tokprof.profile() as prof:
        assert [type(event) for event in lm.stream(REQUEST)] == plain
    assert_whole(only(prof), stream=True)
    assert 0 < only(prof).ttft_s <= only(prof).duration_s


async def test_an_async_answer_and_stream(provider: SimulatedProvider) -> None:
    lm = AsyncOpenAIChatLM(api_key="key", base_url=provider.openai_url)
    async with tokprof.profile() as prof:
        answer = await lm.complete(REQUEST)
        events = [event async for event in lm.stream(REQUEST)]
    assert answer.text == "word " * 50 and len(events) > 2
    assert prof.calls.stream.tolist() == [False, True]
    for _, row in prof.calls.iterrows():
        assert_whole(row, row.stream)


@pytest.mark.parametrize("how", ["iterate", "read", "lines"])
def test_every_way_to_read(provider: SimulatedProvider, how: str) -> None:
    def read(response: Any) -> bytes:
        if how == "read":
            return bytes(response.read())
        return b"".join(response.iter_lines() if how == "lines" else response)

    with StdlibTransport() as transport:
        with tokprof.profile() as prof, transport.stream(request(provider, STREAM)) as response:
            assert read(response).rstrip().endswith(b"[DONE]")
        assert transport.pool_stats()["idle"] == 1
    assert_whole(only(prof), stream=True)


async def test_every_way_to_read_async(provider: SimulatedProvider) -> None:
    async with StdlibAsyncTransport() as transport, tokprof.profile() as prof:
        async with transport.stream(request(provider, STREAM)) as response:
            assert (await response.read()).rstrip().endswith(b"[DONE]")
        response = await transport.stream(request(provider, STREAM))
        assert b"".join([line async for line in response.aiter_lines()]).rstrip().endswith(b"[DONE]")
        assert transport.pool_stats()["idle"] == 1
    assert len(prof.calls) == 2
    for _, row in prof.calls.iterrows():
        assert_whole(row, stream=True)


@pytest.mark.parametrize("how", ["closed", "unread", "dropped"])
def test_a_stream_left_early_is_partial(provider: SimulatedProvider, how: str) -> None:
    prof = tokprof.profile()
    with StdlibTransport() as transport, prof:
        response = transport.stream(request(provider, STREAM))
        if how != "unread":
            assert next(iter(response))
        if how == "dropped":
            del response
            gc.collect()
        else:
            response.close()
        assert prof.calls.status.tolist() == ["partial"]
        if how != "dropped":  # whose connection is lost without a profile too
            assert transport.pool_stats()["in_use"] == 0


async def test_an_async_stream_left_early_is_partial(provider: SimulatedProvider) -> None:
    prof = tokprof.profile()
    async with StdlibAsyncTransport() as transport, prof:
        async with transport.stream(request(provider, STREAM)) as response:
            async for _ in response:
                break
        assert prof.calls.status.tolist() == ["partial"]
        assert transport.pool_stats()["in_use"] == 0


@pytest.fixture
def bare() -> Iterator[SimulatedProvider]:
    with SimulatedProvider() as running:
        yield running


async def test_a_cancelled_call_is_a_row_and_stays_cancelled(bare: SimulatedProvider) -> None:
    bare.reply(text="late", latency=30)
    lm = AsyncOpenAIChatLM(api_key="key", base_url=bare.openai_url)
    async with tokprof.profile() as prof:
        task = asyncio.create_task(lm.complete(REQUEST))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert only(prof).status == "cancelled"


def test_a_refusal_and_nobody_there_are_errors(bare: SimulatedProvider) -> None:
    bare.fail(429)
    with StdlibTransport() as transport, tokprof.profile() as prof:
        with transport.stream(request(bare, ASK)) as response:
            assert response.status == 429 and response.read()
        with pytest.raises(ConnectError):
            transport.stream(TransportRequest("POST", "http://127.0.0.1:1/v1/chat/completions", body=b"{}"))
    assert prof.calls.status.tolist() == ["error", "error"]
    assert prof.calls.error.iloc[1] == "ConnectError"


def test_requests_that_are_no_model_calls(provider: SimulatedProvider) -> None:
    with StdlibTransport() as transport, tokprof.profile() as prof:
        with transport.stream(TransportRequest("GET", f"{provider.openai_url}/models")) as response:
            response.read()
    assert len(prof.calls) == 0


def test_a_copy_inside_of_another_package_is_hooked_when_it_is_imported(
    provider: SimulatedProvider, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    place = tmp_path / "dspy" / "_vendor" / "lm15"
    place.mkdir(parents=True)
    (tmp_path / "dspy" / "__init__.py").touch()
    (tmp_path / "dspy" / "_vendor" / "__init__.py").touch()
    (place / "__init__.py").touch()
    (place / "transports").symlink_to(str(lm15.transports.__path__[0]))
    monkeypatch.syspath_prepend(str(tmp_path))
    with tokprof.profile() as prof:
        import dspy._vendor.lm15.transports as copied

        with copied.StdlibTransport() as transport:
            with transport.stream(request(provider, STREAM)) as response:
                response.read()
    for name in [name for name in sys.modules if name.partition(".")[0] == "dspy"]:
        monkeypatch.delitem(sys.modules, name)
    assert isinstance(copied, ModuleType) and copied.StdlibTransport is not StdlibTransport
    assert_whole(only(prof), stream=True)
