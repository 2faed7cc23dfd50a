"""Calls that wait to be read: whoever asks sees them all, whatever interrupts, and no lock is waited for in vain."""

from __future__ import annotations

import contextvars
import gc
import json
import threading
import tracemalloc
from collections.abc import Callable, Generator, Iterator
from typing import Any

import httpx2
import pytest

import tokprof
import tokprof.capture.wire.call as wire_call
import tokprof.recorder
from tokprof.capture import patch
from tokprof.meter import drafts

URL = "https://api.openai.com/v1/chat/completions"
ASK: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
ANSWER: dict[str, Any] = {
    "object": "chat.completion",
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17},
}


def event(**more: Any) -> bytes:
    return b"data: " + json.dumps({"object": "chat.completion.chunk", "model": "gpt-4o-mini"} | more).encode() + b"\n\n"


PIECES = [
    event(choices=[{"index": 0, "delta": {"content": "hello"}}]),
    event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]),
    event(choices=[], usage=ANSWER["usage"]),
    b"data: [DONE]\n\n",
]


def answering() -> httpx2.Client:
    return httpx2.Client(transport=httpx2.MockTransport(lambda _request: httpx2.Response(200, json=ANSWER)))


def streaming(wait: Callable[[], Any] = lambda: None) -> httpx2.Client:
    class Stream(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield PIECES[0]
            wait()
            yield from PIECES[1:]

    told = {"content-type": "text/event-stream"}
    return httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, headers=told, stream=Stream())))


def test_an_interrupt_while_calls_are_read_costs_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    real, reads = wire_call.read, iter(range(1000))

    def read(exchange: Any) -> Any:
        if next(reads) == 3:
            raise KeyboardInterrupt
        return real(exchange)

    monkeypatch.setattr(wire_call, "read", read)
    interrupts = 0
    with answering() as client, tokprof.profile() as prof:
        for _ in range(40):
            try:
                client.post(URL, json=ASK)
            except KeyboardInterrupt:
                interrupts += 1
    assert interrupts == 1
    assert prof.totals.calls == 40
    assert prof.calls.attempt.tolist() == [1] * 40


@pytest.mark.parametrize("look", ["open", "ended"])
def test_calls_that_another_thread_is_reading_are_seen(look: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real, me = wire_call.read, threading.get_ident()
    inside, go = threading.Event(), threading.Event()

    def read(exchange: Any) -> Any:
        if threading.get_ident() != me and not inside.is_set():
            inside.set()
            go.wait(5)
        return real(exchange)

    monkeypatch.setattr(wire_call, "read", read)
    with answering() as client:
        with tokprof.profile() as prof:
            for _ in range(31):
                client.post(URL, json=ASK)
            last = threading.Thread(target=lambda: client.post(URL, json=ASK))
            last.start()
            assert inside.wait(5)
            threading.Timer(0.05, go.set).start()
            if look == "open":
                assert prof.totals.calls == 32
        assert prof.totals.calls == 32
        last.join()
    assert not prof.calls.late.any()


def test_garbage_may_be_collected_at_any_step_of_the_recorder(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lock:
        """As if the collector ran whenever a lock is held, which it may."""

        def __init__(self, inner: Any):
            self.inner = inner

        def __enter__(self) -> None:
            self.inner.acquire()
            gc.collect()

        def __exit__(self, *_error: object) -> None:
            self.inner.release()

    monkeypatch.setattr(tokprof.recorder, "_lock", Lock(tokprof.recorder._lock))
    profiles = []

    def job() -> None:
        with answering() as client, streaming() as streams, tokprof.profile() as prof:
            for _ in range(3):
                response = streams.send(streams.build_request("POST", URL, json=ASK | {"stream": True}), stream=True)
                pieces = response.iter_raw()
                next(pieces)
                cycle: list[Any] = [response, pieces]
                cycle.append(cycle)
                del response, pieces, cycle
                client.post(URL, json=ASK)
        gc.collect()
        profiles.append(prof)

    thread = threading.Thread(target=job, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert profiles[0].totals.calls == 6


def test_an_estimate_does_not_replace_what_is_told_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    real = drafts.estimate
    first, more = threading.Event(), threading.Event()

    def read() -> None:
        with client.stream("POST", URL, json=ASK | {"stream": True}) as response:
            for _ in response.iter_raw():
                first.set()

    def estimate(draft: Any) -> Any:
        found = real(draft)
        more.set()
        thread.join(5)
        return found

    monkeypatch.setattr(drafts, "estimate", estimate)
    thread = threading.Thread(target=read)
    with streaming(lambda: more.wait(5)) as client, tokprof.profile() as prof:
        thread.start()
        assert first.wait(5)
    row = prof.calls.iloc[0]
    assert (row.usage_source, row.input_tokens, row.output_tokens) == ("reported", 12, 5)


def test_a_coroutine_may_go_on_in_another_context() -> None:
    class Once:
        def __await__(self) -> Generator[None, None, None]:
            yield

    async def handle(_request: httpx2.Request) -> httpx2.Response:
        await Once()
        return httpx2.Response(200, json=ANSWER)

    async def ask() -> int:
        client = httpx2.AsyncClient(transport=httpx2.MockTransport(handle))
        return int((await client.post(URL, json=ASK)).status_code)

    with tokprof.profile() as prof:
        running = ask()
        contextvars.copy_context().run(running.send, None)
        with pytest.raises(StopIteration) as ended:
            contextvars.copy_context().run(running.send, None)
    assert ended.value.value == 200
    assert prof.totals.calls == 1


def test_a_body_that_is_no_models_is_not_kept_with_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Any] = []

    def read(exchange: Any) -> None:
        kept.append(exchange)

    monkeypatch.setattr(wire_call, "read", read)
    with answering() as client, tokprof.profile() as prof:
        response = client.post("https://example.com/export", json={"query": "x"})
    assert response.json() == ANSWER
    assert prof.totals.calls == 0
    assert [(exchange.request, exchange.chunks) for exchange in kept] == [(None, [])]


def test_a_download_is_not_held_in_memory() -> None:
    class Download(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for _ in range(64):
                yield bytes(1024 * 1024)

    told = {"content-type": "application/zip"}
    transport = httpx2.MockTransport(lambda _request: httpx2.Response(200, headers=told, stream=Download()))
    with httpx2.Client(transport=transport) as client, tokprof.profile() as prof:
        tracemalloc.start()
        with client.stream("POST", "https://example.com/export", json={"query": "x"}) as response:
            size = sum(len(data) for data in response.iter_raw())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert size == 64 * 1024 * 1024
    assert peak < 16 * 1024 * 1024
    assert prof.totals.calls == 0


def test_recordings_that_open_at_the_same_time_hook_once() -> None:
    class Owner:
        def method(self) -> int:
            return 1

    entered, both = threading.Event(), threading.Barrier(2, timeout=5)
    made: list[Any] = []

    def make(original: Any) -> Any:
        made.append(original)
        entered.wait(0.05)
        return lambda self: original(self) + 1

    def hook() -> None:
        both.wait()
        patch.wrap(Owner, "method", make)

    threads = [threading.Thread(target=hook) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Owner().method() == 2
    assert len(made) == 1
