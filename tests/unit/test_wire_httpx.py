"""httpx and httpx2: every way to send and to read, one row each, and not a byte changed for the program."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import gzip
import json
import sys
import threading
import warnings
import weakref
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pandas as pd
import pytest
import wrapt

import tokprof
import tokprof.capture.wire.call as wire_call
from tokprof.capture import wire
from tokprof.testing import SimulatedProvider

MODULES = pytest.mark.parametrize("module", [httpx2, httpx], ids=lambda module: module.__name__)
URL = "https://api.openai.com/v1/chat/completions"
ASK = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
USAGE = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
ANSWER: dict[str, Any] = {
    "object": "chat.completion",
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": USAGE,
}
BODY = json.dumps(ANSWER).encode()


def delta(text: str) -> bytes:
    event = {"object": "chat.completion.chunk", "model": "gpt-4o-mini", "choices": [{"delta": {"content": text}}]}
    return b"data: " + json.dumps(event).encode() + b"\n\n"


LAST = b"data: " + json.dumps({"object": "chat.completion.chunk", "choices": [], "usage": USAGE}).encode() + b"\n\n"
EVENTS = [delta("hel"), delta("lo"), LAST, b"data: [DONE]\n\n"]


class Pieces:
    """A body in pieces that notes how many were asked for; one kind of stream for sync and async, of either module."""

    def __init__(self, module: ModuleType, pieces: list[bytes], error: BaseException | None = None):
        self.taken = 0
        outer = self

        class Stream(module.SyncByteStream, module.AsyncByteStream):  # type: ignore[misc, name-defined]
            def __iter__(self) -> Iterator[bytes]:
                for piece in pieces:
                    outer.taken += 1
                    yield piece
                if error:
                    raise error

            async def __aiter__(self) -> AsyncIterator[bytes]:
                for piece in self:
                    await asyncio.sleep(0)
                    yield piece

        self.stream = Stream()


def serving(module: ModuleType, body: bytes = BODY, headers: dict[str, str] | None = None, status: int = 200) -> Any:
    """A transport that gives one body, as bytes that were on the wire."""
    told = {"content-type": "application/json"} | (headers or {})
    return module.MockTransport(
        lambda _request: module.Response(status, headers=told, stream=Pieces(module, [body]).stream)
    )


def streaming(module: ModuleType, pieces: Pieces) -> Any:
    told = {"content-type": "text/event-stream"}
    return module.MockTransport(lambda _request: module.Response(200, headers=told, stream=pieces.stream))


def only(prof: tokprof.Profile) -> pd.Series[Any]:
    assert len(prof.calls) == 1, prof.calls[["name", "status"]]
    return prof.calls.iloc[0]


def sees(row: pd.Series[Any], tokens: tuple[int, int] | None = (12, 5), status: str = "ok") -> None:
    assert row.status == status
    if tokens is None:
        assert row.usage_source == "missing"
        assert pd.isna(row.input_tokens) and pd.isna(row.output_tokens) and pd.isna(row.total_tokens)
    else:
        assert (row.input_tokens, row.output_tokens, row.usage_source) == (*tokens, "reported")


def at_least(row: pd.Series[Any], status: str, output: int | None = None) -> None:
    """What passed was counted: the prompt (a word, 4 for the message, 3 for the answer), and the answer so far."""
    assert (row.status, row.usage_source, row.tokenizer) == (status, "partial", "o200k_base")
    assert row.input_tokens == 8
    assert (None if pd.isna(row.output_tokens) else row.output_tokens) == output


# one row for each way to send and to read


@MODULES
def test_json_in_a_sync_client(module: ModuleType) -> None:
    with module.Client(transport=serving(module)) as client, tokprof.profile() as prof:
        assert client.post(URL, json=ASK).json() == ANSWER
    row = only(prof)
    sees(row)
    assert (row.kind, row.operation, row.provider, row.host) == ("llm", "chat", "openai", "api.openai.com")
    assert (row.request_model, row.model) == ("gpt-4o-mini", "gpt-4o-mini-2024-07-18")
    assert (row.http_status, row.attempt, row.stream, row.finish_reason) == (200, 1, False, "stop")
    assert row.function == "test_json_in_a_sync_client"
    assert json.loads(row.usage_raw) == USAGE


@MODULES
async def test_json_in_an_async_client(module: ModuleType) -> None:
    async with module.AsyncClient(transport=serving(module)) as client, tokprof.profile() as prof:
        assert (await client.post(URL, json=ASK)).json() == ANSWER
    sees(only(prof))


@MODULES
def test_events_in_a_sync_client(module: ModuleType) -> None:
    with module.Client(transport=streaming(module, Pieces(module, EVENTS))) as client, tokprof.profile() as prof:
        with client.stream("POST", URL, json=ASK | {"stream": True}) as response:
            assert list(response.iter_bytes()) == EVENTS
    row = only(prof)
    sees(row)
    assert row.stream
    assert row.ttft_s >= 0


@MODULES
async def test_events_in_an_async_client(module: ModuleType) -> None:
    async with module.AsyncClient(transport=streaming(module, Pieces(module, EVENTS))) as client:
        with tokprof.profile() as prof:
            async with client.stream("POST", URL, json=ASK | {"stream": True}) as response:
                assert [piece async for piece in response.aiter_bytes()] == EVENTS
    sees(only(prof))


@MODULES
@pytest.mark.parametrize("raw", [False, True])
def test_compressed_bodies(module: ModuleType, raw: bool) -> None:
    packed = gzip.compress(BODY)
    with (
        module.Client(transport=serving(module, packed, {"content-encoding": "gzip"})) as client,
        tokprof.profile() as prof,
        client.stream("POST", URL, json=ASK) as response,
    ):
        read = b"".join(response.iter_raw() if raw else response.iter_bytes())
    assert read == (packed if raw else BODY)
    sees(only(prof))


@MODULES
def test_a_mock_that_comes_with_its_body(module: ModuleType) -> None:
    transport = module.MockTransport(lambda _request: module.Response(200, json=ANSWER))
    with module.Client(transport=transport) as client, tokprof.profile() as prof:
        assert client.post(URL, json=ASK).json() == ANSWER
    sees(only(prof))


@MODULES
def test_mounted_transports(module: ModuleType) -> None:
    mounts = {"https://api.openai.com": serving(module)}
    with module.Client(mounts=mounts) as client, tokprof.profile() as prof:
        client.post(URL, json=ASK)
    sees(only(prof))


@MODULES
def test_a_client_made_before_tokprof_had_any_hook(module: ModuleType) -> None:
    wire.uninstall()
    with module.Client(transport=serving(module)) as client:
        client.post(URL, json=ASK)
        with tokprof.profile() as prof:
            client.post(URL, json=ASK)
    sees(only(prof))


@MODULES
def test_requests_that_are_no_model_calls(module: ModuleType) -> None:
    with module.Client(transport=serving(module, b'{"ok": true}')) as client, tokprof.profile() as prof:
        client.get("https://api.openai.com/v1/models")
        client.post("https://example.com/api/orders", json={"n": 1})
        client.post("https://api.openai.com/v1/files", json={})
    assert len(prof.df) == 1
    assert "no model calls" in str(prof)


@MODULES
def test_nothing_is_recorded_outside_of_a_profile(module: ModuleType) -> None:
    with module.Client(transport=serving(module)) as client:
        with tokprof.profile() as prof:
            pass
        client.post(URL, json=ASK)
    assert prof.calls.empty


# streams


@MODULES
def test_a_stream_is_not_read_ahead(module: ModuleType) -> None:
    pieces = Pieces(module, EVENTS)
    with (
        module.Client(transport=streaming(module, pieces)) as client,
        tokprof.profile(),
        client.stream("POST", URL, json=ASK) as response,
    ):
        assert pieces.taken == 0
        for at, piece in enumerate(response.iter_raw()):
            assert (pieces.taken, piece) == (at + 1, EVENTS[at])


@MODULES
async def test_an_async_stream_is_not_read_ahead(module: ModuleType) -> None:
    pieces = Pieces(module, EVENTS)
    async with module.AsyncClient(transport=streaming(module, pieces)) as client:
        with tokprof.profile():
            async with client.stream("POST", URL, json=ASK) as response:
                assert pieces.taken == 0
                at = 0
                async for piece in response.aiter_raw():
                    assert (pieces.taken, piece) == (at + 1, EVENTS[at])
                    at += 1


@MODULES
def test_a_stream_never_read_is_an_open_row_that_may_be_completed(module: ModuleType) -> None:
    with module.Client(transport=streaming(module, Pieces(module, EVENTS))) as client:
        with tokprof.profile() as prof:
            response = client.send(client.build_request("POST", URL, json=ASK), stream=True)
        at_least(only(prof), "open")
        assert "≥" in str(prof) or "?" in str(prof)
        response.read()
    row = only(prof)
    sees(row)
    assert row.late


@MODULES
def test_a_stream_left_early_is_partial(module: ModuleType) -> None:
    with (
        module.Client(transport=streaming(module, Pieces(module, EVENTS))) as client,
        tokprof.profile() as prof,
        client.stream("POST", URL, json=ASK) as response,
    ):
        for _piece in response.iter_raw():
            break
    at_least(only(prof), "partial", 1)
    assert prof.totals.unknown_calls == 1


@MODULES
async def test_an_async_stream_left_early_is_partial(module: ModuleType) -> None:
    async with module.AsyncClient(transport=streaming(module, Pieces(module, EVENTS))) as client:
        with tokprof.profile() as prof:
            async with client.stream("POST", URL, json=ASK) as response:
                async for _piece in response.aiter_raw():
                    break
    at_least(only(prof), "partial", 1)


@MODULES
def test_a_stream_that_breaks_off_raises_as_without_tokprof(module: ModuleType) -> None:
    error = module.ReadError("cable cut")
    with module.Client(transport=streaming(module, Pieces(module, EVENTS[:1], error))) as client:
        with tokprof.profile() as prof:
            with pytest.raises(module.ReadError, match="cable cut") as caught:
                client.post(URL, json=ASK)
    assert caught.value is error
    row = only(prof)
    at_least(row, "error", 1)
    assert row.error == "ReadError"


# failures


@MODULES
@pytest.mark.parametrize("name", ["ConnectError", "ReadTimeout", "ConnectTimeout", "RemoteProtocolError"])
def test_errors_of_the_transport_are_rows(module: ModuleType, name: str) -> None:
    error = getattr(module, name)("no luck")

    def refuse(_request: Any) -> Any:
        raise error

    with module.Client(transport=module.MockTransport(refuse)) as client, tokprof.profile() as prof:
        with pytest.raises(type(error)) as caught:
            client.post(URL, json=ASK)
    assert caught.value is error
    row = only(prof)
    if name.startswith("Connect"):  # nothing was sent
        sees(row, None, "error")
    else:
        at_least(row, "error")
    assert (row.error, row.request_model) == (name, "gpt-4o-mini")
    assert pd.isna(row.http_status)


@MODULES
async def test_a_cancelled_call_is_a_row_and_stays_cancelled(module: ModuleType) -> None:
    sent = asyncio.Event()

    async def hang(_request: Any) -> Any:
        sent.set()
        await asyncio.Event().wait()

    async with module.AsyncClient(transport=module.MockTransport(hang)) as client:
        with tokprof.profile() as prof:
            task = asyncio.create_task(client.post(URL, json=ASK))
            await sent.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    at_least(only(prof), "cancelled")
    assert prof.totals.errors == 1


@MODULES
async def test_a_cancelled_stream_is_a_row(module: ModuleType) -> None:
    class Hanging(module.AsyncByteStream):  # type: ignore[misc, name-defined]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield EVENTS[0]
            await asyncio.Event().wait()

    got = asyncio.Event()
    transport = module.MockTransport(
        lambda _request: module.Response(200, headers={"content-type": "text/event-stream"}, stream=Hanging())
    )

    async def read(client: Any) -> None:
        async with client.stream("POST", URL, json=ASK) as response:
            async for _piece in response.aiter_raw():
                got.set()

    async with module.AsyncClient(transport=transport) as client:
        with tokprof.profile() as prof:
            task = asyncio.create_task(read(client))
            await got.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    at_least(only(prof), "cancelled", 1)


@MODULES
def test_a_refusal_is_an_error_that_cost_nothing(module: ModuleType) -> None:
    body = json.dumps({"error": {"message": "slow down", "type": "rate_limit"}}).encode()
    with module.Client(transport=serving(module, body, status=429)) as client, tokprof.profile() as prof:
        client.post(URL, json=ASK)
    row = only(prof)
    sees(row, None, "error")
    assert (row.http_status, row.error) == (429, "HTTP 429: rate_limit")
    assert prof.totals.exact


# what the program sees

HOSTILE: dict[str, tuple[bytes, dict[str, str]]] = {
    "no json": (b"<html>502</html>", {}),
    "empty": (b"", {}),
    "truncated": (BODY[: len(BODY) // 2], {}),
    "wrong encoding": (BODY, {"content-type": "application/json; charset=utf-32"}),
    "binary": (bytes(range(256)) * 4, {}),
    "text for a count": (json.dumps(ANSWER | {"usage": {"prompt_tokens": "12", "completion_tokens": []}}).encode(), {}),
    "usage is a list": (json.dumps(ANSWER | {"usage": [1, 2]}).encode(), {}),
    "negative": (json.dumps(ANSWER | {"usage": {"prompt_tokens": -3, "completion_tokens": 5}}).encode(), {}),
    "nested": (b'{"usage": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", {}),
    "big": (b'{"object": "chat.completion", "text": "' + b"x" * 50_000_000 + b'"}', {}),
    "half an event": (b'data: {"choices": [{"del', {"content-type": "text/event-stream"}),
}
READABLE = {"wrong encoding"}  # its bytes are plain JSON, whatever the header says


@MODULES
@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_bodies_claim_nothing_and_reach_the_program(module: ModuleType, case: str) -> None:
    body, headers = HOSTILE[case]
    with module.Client(transport=serving(module, body, headers)) as client, warnings.catch_warnings():
        warnings.simplefilter("error")
        with tokprof.profile() as prof:
            assert client.post(URL, json=ASK).content == body
    assert len(prof.calls) == 1
    row = prof.calls.iloc[0]
    if case in READABLE:
        sees(row)
    else:
        assert row.usage_source in ("missing", "partial", "estimated")
        assert not prof.totals.exact


@MODULES
def test_a_body_that_is_not_what_its_encoding_says_fails_as_without_tokprof(module: ModuleType) -> None:
    with module.Client(transport=serving(module, BODY, {"content-encoding": "gzip"})) as client:
        with pytest.raises(module.DecodingError) as bare:
            client.post(URL, json=ASK)
        with tokprof.profile() as prof, pytest.raises(module.DecodingError) as profiled:
            client.post(URL, json=ASK)
    assert str(profiled.value) == str(bare.value)
    assert len(prof.calls) == 1


@MODULES
@pytest.mark.parametrize("size", [1, 7, 4096])
def test_chunks_are_the_same_with_and_without_a_profile(module: ModuleType, size: int) -> None:
    whole = b"".join(EVENTS)
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]

    def read() -> list[bytes]:
        with (
            module.Client(transport=streaming(module, Pieces(module, pieces))) as client,
            client.stream("POST", URL, json=ASK) as response,
        ):
            return list(response.iter_raw())

    bare = read()
    with tokprof.profile() as prof:
        profiled = read()
    assert profiled == bare == pieces
    sees(only(prof))


@MODULES
def test_the_request_is_not_touched(module: ModuleType) -> None:
    seen: list[tuple[bytes, Any]] = []

    def echo(request: Any) -> Any:
        seen.append((request.content, sorted(request.headers.multi_items())))
        return module.Response(200, json=ANSWER)

    with module.Client(transport=module.MockTransport(echo)) as client:
        client.post(URL, json=ASK)
        with tokprof.profile(capture="full"):
            client.post(URL, json=ASK)
    assert seen[0] == seen[1]


@MODULES
def test_a_request_body_that_is_a_stream_is_left_to_the_transport(module: ModuleType) -> None:
    taken: list[bytes] = []

    def body() -> Iterator[bytes]:
        for part in (b'{"model": "gpt-4o-mini", ', b'"messages": []}'):
            taken.append(part)
            yield part

    class Transport(module.BaseTransport):  # type: ignore[misc, name-defined]
        def handle_request(self, request: Any) -> Any:
            assert taken == []
            request.read()
            return module.Response(200, json=ANSWER)

    with module.Client(transport=Transport()) as client, tokprof.profile() as prof:
        client.post(URL, content=body(), headers={"content-type": "application/json"})
    sees(only(prof))


@MODULES
def test_elapsed_is_set_when_the_body_is_read(module: ModuleType) -> None:
    with module.Client(transport=serving(module)) as client, tokprof.profile():
        assert client.post(URL, json=ASK).elapsed.total_seconds() >= 0


# tokprof's own failure


@MODULES
def test_a_failure_inside_a_hook_is_one_warning_and_the_call_goes_on(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire_call, "read", lambda _exchange: 1 / 0)
    with module.Client(transport=serving(module)) as client:
        with pytest.warns(RuntimeWarning, match="your program goes on") as caught, tokprof.profile() as prof:
            for _ in range(3):
                assert client.post(URL, json=ASK).json() == ANSWER
    assert len(caught) == 1
    assert prof.calls.empty


@MODULES
@pytest.mark.parametrize("broken", ["read", "may_be_call", "new_span", "describe"])
def test_a_failure_inside_a_hook_is_no_error_where_warnings_are(
    module: ModuleType, broken: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def boom(*_args: Any) -> Any:
        raise ZeroDivisionError("bug in tokprof")

    def refuse(_request: Any) -> Any:
        raise module.ConnectError("no luck")

    monkeypatch.setattr(wire_call, broken, boom)
    transport = module.MockTransport(refuse) if broken == "describe" else serving(module)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with module.Client(transport=transport) as client, tokprof.profile():
            if broken == "describe":
                with pytest.raises(module.ConnectError):
                    client.post(URL, json=ASK)
            else:
                assert client.post(URL, json=ASK).json() == ANSWER
    assert capsys.readouterr().err.count("your program goes on") == 1


# the hooks themselves

HOOKED = [(httpx2, "Client"), (httpx2, "AsyncClient"), (httpx, "Client"), (httpx, "AsyncClient")]


def methods() -> list[Any]:
    return [getattr(module, name).__dict__["_send_single_request"] for module, name in HOOKED]


def test_install_twice_and_uninstall_restores_the_originals() -> None:
    wire.uninstall()
    originals = methods()
    wire.install()
    hooks = methods()
    assert all(hook is not original for hook, original in zip(hooks, originals, strict=True))
    wire.install()
    assert methods() == hooks
    wire.uninstall()
    assert methods() == originals
    wire.uninstall()
    assert methods() == originals


def test_a_patch_on_top_of_ours_survives_and_our_hook_is_found_again() -> None:
    wire.uninstall()
    wire.install()
    ours = httpx2.Client._send_single_request
    seen = []

    def theirs(self: Any, request: Any) -> Any:
        seen.append(request)
        return ours(self, request)

    httpx2.Client._send_single_request = theirs  # type: ignore[method-assign]
    try:
        wire.uninstall()
        assert httpx2.Client._send_single_request is theirs
        with httpx2.Client(transport=serving(httpx2)) as client, tokprof.profile() as prof:
            client.post(URL, json=ASK)
        sees(only(prof))
        assert len(seen) == 1
    finally:
        httpx2.Client._send_single_request = ours  # type: ignore[method-assign]
        wire.uninstall()


@pytest.mark.parametrize("kind", ["functools", "wrapt"])
def test_a_wrapper_that_shows_our_attributes_survives_and_counts_once(kind: str) -> None:
    wire.uninstall()
    original = httpx2.Client._send_single_request
    wire.install()
    ours = httpx2.Client._send_single_request
    seen = []

    @functools.wraps(ours)
    def copy(self: Any, request: Any) -> Any:
        seen.append(request)
        return ours(self, request)

    @wrapt.decorator
    def through(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        seen.append(args[0])
        return wrapped(*args, **kwargs)

    theirs = copy if kind == "functools" else through(ours)
    httpx2.Client._send_single_request = theirs
    try:
        wire.uninstall()
        assert httpx2.Client.__dict__["_send_single_request"] is theirs
        with httpx2.Client(transport=serving(httpx2)) as client:
            client.post(URL, json=ASK)
            assert len(seen) == 1
            with tokprof.profile() as prof:
                client.post(URL, json=ASK)
        sees(only(prof))
        assert len(seen) == 2
        wire.uninstall()
        assert httpx2.Client.__dict__["_send_single_request"] is theirs
    finally:
        httpx2.Client._send_single_request = original  # type: ignore[method-assign]
        wire.uninstall()
    assert httpx2.Client._send_single_request is original


def test_httpx_as_an_alias_of_httpx2_counts_once(tmp_path: Any) -> None:
    import subprocess

    code = """
import httpx2
httpx2.alias_httpx()
import httpx, json, tokprof
assert httpx.Client is httpx2.Client
answer = {"object": "chat.completion", "usage": {"prompt_tokens": 12, "completion_tokens": 5}}
client = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200, json=answer)))
with tokprof.profile() as prof:
    client.post("https://api.openai.com/v1/chat/completions", json={"model": "m", "messages": []})
print(prof.totals.calls, prof.totals.total_tokens)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stdout.split() == ["1", "17"], run.stderr


def test_many_threads_at_once_lose_nothing() -> None:
    with httpx2.Client(transport=serving(httpx2)) as client, tokprof.profile() as prof:
        threads = [threading.Thread(target=lambda: client.post(URL, json=ASK)) for _ in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (prof.totals.calls, prof.totals.total_tokens) == (24, 24 * 17)


# the real SDKs


def ask(client: Any) -> Any:
    return client.chat.completions.create(**ASK)


def test_retries_of_an_sdk_are_attempts(provider: SimulatedProvider) -> None:
    provider.fail(429, retry_after=0.01)
    with tokprof.profile() as prof:
        ask(provider.openai())
    assert prof.calls.attempt.tolist() == [1, 2]
    assert prof.calls.status.tolist() == ["error", "ok"]
    assert prof.calls.http_status.tolist() == [429, 200]
    assert (prof.totals.calls, prof.totals.errors, prof.totals.retries) == (2, 1, 1)
    assert prof.totals.total_tokens == provider.truth[0]["input_tokens"] + provider.truth[0]["output_tokens"]


def test_two_refusals_then_an_answer(provider: SimulatedProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    provider.fail(500, retry_after=0.01, times=2)
    with tokprof.profile() as prof:
        ask(provider.openai())
    assert prof.calls.attempt.tolist() == [1, 2, 3]
    assert prof.calls.http_status.tolist() == [500, 500, 200]


def test_a_dropped_connection_is_tried_again(provider: SimulatedProvider) -> None:
    provider.drop()
    with tokprof.profile() as prof:
        ask(provider.openai())
    assert prof.calls.attempt.tolist() == [1, 2]
    assert prof.calls.status.tolist() == ["error", "ok"]
    assert prof.totals.unknown_calls == 1  # nobody knows whether the first one was billed


def test_retries_without_an_sdk_are_told_by_the_same_request(provider: SimulatedProvider) -> None:
    provider.fail(429)
    with httpx2.Client(base_url=provider.url) as client, tokprof.profile() as prof:
        for _ in range(2):
            client.post("/v1/chat/completions", json=ASK)
        client.post("/v1/chat/completions", json=ASK)
    assert prof.calls.attempt.tolist() == [1, 2, 1]


def test_a_legacy_httpx_client_inside_the_openai_sdk_counts_once(provider: SimulatedProvider) -> None:
    with httpx.Client() as legacy, tokprof.profile() as prof:
        ask(provider.openai(http_client=legacy))
    sees(only(prof), (provider.truth[0]["input_tokens"], provider.truth[0]["output_tokens"]))


@pytest.mark.parametrize("compress", [False, True])
async def test_anthropic_async_with_and_without_compression(provider: SimulatedProvider, compress: bool) -> None:
    provider.compress = compress
    client = provider.async_anthropic()
    with tokprof.profile() as prof:
        await asyncio.gather(
            *(client.messages.create(model="claude-haiku-4-5", max_tokens=9, messages=ASK["messages"]) for _ in "abc")  # type: ignore[arg-type]
        )
    assert prof.totals.calls == 3
    assert prof.totals.input_tokens == sum(told["input_tokens"] for told in provider.truth)


def test_a_call_inside_of_a_hooked_transport_counts_once() -> None:
    """A transport that hands on to another client, as adapters do."""
    with httpx2.Client(transport=serving(httpx2)) as inner:

        class Adapter(httpx2.BaseTransport):
            def handle_request(self, request: httpx2.Request) -> httpx2.Response:
                return httpx2.Response(200, json=inner.post(str(request.url), content=request.content).json())

        with httpx2.Client(transport=Adapter()) as outer, tokprof.profile() as prof:
            outer.post(URL, json=ASK)
    sees(only(prof))


@MODULES
async def test_a_model_asked_by_an_app_in_this_process_is_counted(module: ModuleType) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        async with module.AsyncClient(transport=serving(module)) as inner:
            await inner.post(URL, json=ASK)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'{"answer": "hello"}'})

    async with module.AsyncClient(transport=module.ASGITransport(app), base_url="http://app") as client:
        async with tokprof.profile() as prof:
            await client.post("/ask", json={"q": "?"})
    sees(only(prof))


def test_a_model_asked_by_a_mock_is_counted_and_another_spelling_of_a_request_is_not() -> None:
    def hand_on(request: httpx.Request) -> httpx.Response:
        with httpx2.Client(transport=serving(httpx2)) as inner:
            to = URL if request.url.path == "/ask" else "https://API.openai.com:443/v1/chat%2Fcompletions"
            return httpx.Response(200, json=inner.post(to, json=ASK).json() | {"object": "x"})

    with httpx.Client(transport=httpx.MockTransport(hand_on)) as client:
        with tokprof.profile() as prof:
            client.post("https://app/ask", json={"q": "?"})
        assert prof.calls.host.tolist().count("api.openai.com") == 1
        with tokprof.profile() as prof:
            client.post(URL, json=ASK)
        assert len(prof.calls) == 1


@MODULES
@pytest.mark.parametrize("ends", ["flush", "finish"])
def test_a_stream_freed_while_its_call_settles_does_not_lock_up(
    module: ModuleType, ends: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = wire_call.read
    held: list[Any] = []

    def read(exchange: Any) -> Any:
        while held:
            held.pop().close()  # as the garbage collector may, at any allocation
        return real(exchange)

    monkeypatch.setattr(wire_call, "read", read)
    profiles = []

    def job() -> None:
        client = module.Client(transport=streaming(module, Pieces(module, EVENTS)))
        with tokprof.profile() as prof:
            response = client.send(client.build_request("POST", URL, json=ASK), stream=True)
            held.append(response)
            pieces = response.iter_raw()
            if ends == "flush":
                for _ in range(3):
                    next(pieces)
            else:
                list(pieces)
        profiles.append(prof)

    thread = threading.Thread(target=job, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    sees(only(profiles[0]))


@MODULES
def test_a_failed_send_does_not_keep_the_frames_of_the_program(module: ModuleType) -> None:
    class Local:
        pass

    def refuse(_request: Any) -> Any:
        raise module.ConnectError("no luck")

    def job(client: Any) -> weakref.ref[Local]:
        local = Local()
        with contextlib.suppress(module.ConnectError):
            client.post(URL, json=ASK)
        return weakref.ref(local)

    gc.collect()
    gc.disable()
    try:
        with module.Client(transport=module.MockTransport(refuse)) as client, tokprof.profile() as prof:
            assert job(client)() is None
    finally:
        gc.enable()
    sees(only(prof), None, "error")


@MODULES
def test_requests_with_streamed_bodies_are_no_retries_of_each_other(module: ModuleType) -> None:
    with module.Client(transport=serving(module, b"{}", status=400)) as client, tokprof.profile() as prof:
        for at in range(3):
            body = json.dumps(ASK | {"messages": [str(at)]}).encode()
            client.post(URL, content=iter([body]), headers={"content-type": "application/json"})
    assert prof.calls.attempt.tolist() == [1, 1, 1]


@MODULES
def test_an_attempt_is_numbered_once(module: ModuleType) -> None:
    answers = iter([module.Response(429, json={}), module.Response(200, stream=Pieces(module, [BODY]).stream)])
    with module.Client(transport=module.MockTransport(lambda _request: next(answers))) as client:
        with tokprof.profile() as prof:
            client.post(URL, json=ASK)
            response = client.send(client.build_request("POST", URL, json=ASK), stream=True)
        assert prof.calls.attempt.tolist() == [1, 2]
        response.read()
        assert prof.calls.attempt.tolist() == [1, 2]
