"""Budgets with real SDKs and HTTP libraries: what is refused is not sent, and calls side by side stay within."""

from __future__ import annotations

import asyncio
import inspect
import json
import pickle
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
import requests
import xai_sdk
from lm15.transports import StdlibTransport, TransportRequest
from xai_sdk.chat import user

import tokprof
from tokprof import BudgetExceeded
from tokprof.testing import SimulatedProvider

from .xai_server import MODEL, Xai, serving

MESSAGES: Any = [{"role": "user", "content": "Are heat pumps worth it?"}]
PROMPT = 13
"""Tokens of `MESSAGES`, as OpenAI counts them."""


def body(most: int | None = 20, **more: Any) -> dict[str, Any]:
    limit = {} if most is None else {"max_tokens": most}
    return {"model": "gpt-4o-mini", "messages": MESSAGES, **limit, **more}


@pytest.fixture
def exact(provider: SimulatedProvider) -> SimulatedProvider:
    """A provider that counts prompts as OpenAI does, and says all that it may."""
    provider.reply(text="word " * 400, input_tokens=PROMPT, output_tokens=400, times=None)
    return provider


# --- nothing was sent ----------------------------------------------------------------------------


def by_openai(provider: SimulatedProvider) -> None:
    provider.openai().chat.completions.create(**body())


def by_anthropic(provider: SimulatedProvider) -> None:
    provider.anthropic().messages.create(model="claude-haiku-4-5", max_tokens=20, messages=MESSAGES)


def by_async_openai(provider: SimulatedProvider) -> None:
    async def ask() -> None:
        async with provider.async_openai() as client:
            await client.chat.completions.create(**body())

    asyncio.run(ask())


def by_async_anthropic(provider: SimulatedProvider) -> None:
    async def ask() -> None:
        async with provider.async_anthropic() as client:
            await client.messages.create(model="claude-haiku-4-5", max_tokens=20, messages=MESSAGES)

    asyncio.run(ask())


def by_openai_stream(provider: SimulatedProvider) -> None:
    for _ in provider.openai().chat.completions.create(**body(stream=True)):
        pass


def by_httpx(provider: SimulatedProvider) -> None:
    httpx.post(f"{provider.openai_url}/chat/completions", json=body())


def by_requests(provider: SimulatedProvider) -> None:
    requests.post(f"{provider.openai_url}/chat/completions", json=body())


def by_aiohttp(provider: SimulatedProvider) -> None:
    async def ask() -> None:
        url = f"{provider.openai_url}/chat/completions"
        async with aiohttp.ClientSession() as session, session.post(url, json=body()) as response:
            await response.read()

    asyncio.run(ask())


def by_botocore(provider: SimulatedProvider) -> None:
    from botocore.awsrequest import AWSPreparedRequest
    from botocore.httpsession import URLLib3Session

    asked = b'{"messages": [{"role": "user", "content": [{"text": "hi"}]}], "inferenceConfig": {"maxTokens": 20}}'
    url = f"{provider.url}/model/amazon.nova-lite-v1:0/converse"
    URLLib3Session().send(AWSPreparedRequest("POST", url, {}, asked, False))


def by_lm15(provider: SimulatedProvider) -> None:
    url, headers = f"{provider.openai_url}/chat/completions", [("content-type", "application/json")]
    request = TransportRequest("POST", url, headers, json.dumps(body()).encode())
    StdlibTransport().stream(request).read()


WAYS = [
    by_openai,
    by_anthropic,
    by_async_openai,
    by_async_anthropic,
    by_openai_stream,
    by_httpx,
    by_requests,
    by_aiohttp,
    by_botocore,
    by_lm15,
]


@pytest.mark.parametrize("ask", WAYS)
def test_what_does_not_fit_is_not_sent_and_not_tried_again(
    ask: Callable[[SimulatedProvider], None], provider: SimulatedProvider
) -> None:
    with pytest.raises(BudgetExceeded) as caught, tokprof.budget(tokens=20) as b:
        ask(provider)
    assert provider.requests == []
    assert b.profile.calls[["status", "error"]].values.tolist() == [["error", "BudgetExceeded"]]
    assert f"in {ask.__name__}()" in caught.value.where or "in ask()" in caught.value.where
    assert b.profile.totals.unknown_calls == 0


@pytest.mark.parametrize("ask", [way for way in WAYS if way is not by_botocore])
def test_what_fits_is_settled(ask: Callable[[SimulatedProvider], None], provider: SimulatedProvider) -> None:
    with tokprof.budget(tokens=1000) as b:
        ask(provider)
    assert b.spent.tokens == b.profile.totals.total_tokens
    assert (b.spent.tokens or 0) > 0
    assert (b.reserved.tokens, b.spent.calls) == (0, 1)


def test_each_retry_is_a_call(provider: SimulatedProvider) -> None:
    for _ in range(3):
        provider.fail(500, retry_after=0.001)
    with pytest.raises(BudgetExceeded, match="budget of 2 calls"), tokprof.budget(calls=2):
        provider.openai(max_retries=5).chat.completions.create(**body())
    assert len(provider.requests) == 2


def test_a_recovered_program_goes_on(provider: SimulatedProvider) -> None:
    with tokprof.profile() as prof:
        try:
            with tokprof.budget(calls=1):
                by_openai(provider)
                by_openai(provider)
        except BudgetExceeded:
            by_openai(provider)
    assert len(provider.requests) == 2
    assert prof.totals.calls == 3
    assert len(prof.budget_notes) == 1
    assert prof.budget_notes[0] in str(prof)
    assert "stopped at test_budget.py" in prof.snapshot()


# --- side by side --------------------------------------------------------------------------------


def spent(provider: SimulatedProvider) -> int:
    return sum(truth["input_tokens"] + truth["output_tokens"] for truth in provider.truth)


@pytest.mark.parametrize("slack", [0, 17])
def test_fifty_tasks_that_reserve_exactly_never_overshoot(exact: SimulatedProvider, slack: int) -> None:
    exact.latency = 0.01
    limit = 12 * (PROMPT + 20) + slack

    async def main() -> list[Any]:
        async with exact.async_openai(max_retries=0) as client:
            asks = [client.chat.completions.create(**body()) for _ in range(50)]
            with tokprof.budget(tokens=limit) as made:
                budgets.append(made)
                return await asyncio.gather(*asks, return_exceptions=True)

    budgets: list[Any] = []
    answers = asyncio.run(main())
    (b,) = budgets
    assert spent(exact) == b.spent.tokens == b.profile.totals.total_tokens == limit - slack
    assert len(exact.requests) == 12
    assert sum(isinstance(answer, BudgetExceeded) for answer in answers) == 38
    assert b.profile.totals.calls == 50
    assert b.profile.budget_notes[0].endswith("(38 calls refused)")


def test_fifty_tasks_that_only_settle_overshoot_by_what_was_in_flight_at_most(exact: SimulatedProvider) -> None:
    exact.latency = 0.01
    one, limit, flying = PROMPT + 20, 12 * (PROMPT + 20) - 5, 4

    async def main() -> None:
        gate = asyncio.Semaphore(flying)

        async def ask(client: Any) -> None:
            async with gate:
                await client.chat.completions.create(**body())

        async with exact.async_openai(max_retries=0) as client:
            with tokprof.budget(tokens=limit, enforce="settle") as made:
                budgets.append(made)
                await asyncio.gather(*(ask(client) for _ in range(50)), return_exceptions=True)

    budgets: list[Any] = []
    asyncio.run(main())
    assert limit <= spent(exact) <= limit - 1 + flying * one
    assert budgets[0].spent.tokens == spent(exact)


def test_twenty_threads_that_reserve_exactly_never_overshoot(exact: SimulatedProvider) -> None:
    limit = 7 * (PROMPT + 20) + 5
    refused: list[BudgetExceeded] = []

    def ask(_: int) -> None:
        try:
            by_openai(exact)
        except BudgetExceeded as error:
            refused.append(error)

    with tokprof.budget(tokens=limit, cost=1) as b, ThreadPoolExecutor(20) as pool:
        list(pool.map(ask, range(20)))
    assert spent(exact) == b.spent.tokens == 7 * (PROMPT + 20)
    assert (len(refused), len(exact.requests)) == (13, 7)


def test_a_thread_that_does_not_catch_it_ends_and_its_future_tells(exact: SimulatedProvider) -> None:
    with tokprof.budget(calls=1), ThreadPoolExecutor(1) as pool:
        pool.submit(by_openai, exact).result()
        future = pool.submit(by_openai, exact)
        assert isinstance(future.exception(), BudgetExceeded)


def test_a_task_group_tells_of_it(exact: SimulatedProvider) -> None:
    async def main() -> None:
        async with exact.async_openai() as client, asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(client.chat.completions.create(**body()))

    with tokprof.budget(calls=2), pytest.raises(BaseExceptionGroup) as caught:
        asyncio.run(main())
    assert caught.value.subgroup(BudgetExceeded) is not None
    assert len(exact.requests) <= 2


def test_a_cancelled_call_is_settled(provider: SimulatedProvider) -> None:
    provider.latency = 5

    async def main() -> None:
        async with provider.async_openai() as client:
            task = asyncio.create_task(client.chat.completions.create(**body()))
            while not provider.requests:
                await asyncio.sleep(0.005)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    with tokprof.budget(tokens=1000) as b:
        asyncio.run(main())
        # nobody knows how much of the answer was generated
        assert (b.spent.tokens, b.reserved.tokens, b.reserved.calls) == (PROMPT, 20, 0)


# --- streams -------------------------------------------------------------------------------------


def stream_openai(provider: SimulatedProvider, seen: list[str]) -> None:
    events = provider.openai().chat.completions.create(**body(None, stream=True))
    seen.extend(event.choices[0].delta.content or "" for event in events)


def stream_anthropic(provider: SimulatedProvider, seen: list[str]) -> None:
    asked: Any = {"model": "claude-haiku-4-5", "max_tokens": 4000, "messages": MESSAGES}
    with provider.anthropic().messages.stream(**asked) as stream:
        seen.extend(stream.text_stream)


def stream_async_openai(provider: SimulatedProvider, seen: list[str]) -> None:
    async def ask() -> None:
        async with provider.async_openai() as client:
            async for event in await client.chat.completions.create(**body(None, stream=True)):
                seen.append(event.choices[0].delta.content or "")  # noqa: PERF401 (it may not come to the end)

    asyncio.run(ask())


def stream_httpx(module: Any) -> Callable[[SimulatedProvider, list[str]], None]:
    def read(provider: SimulatedProvider, seen: list[str]) -> None:
        url = f"{provider.openai_url}/chat/completions"
        with module.Client() as client, client.stream("POST", url, json=body(None, stream=True)) as answer:
            seen.extend(answer.iter_lines())

    return read


def stream_requests(provider: SimulatedProvider, seen: list[str]) -> None:
    url = f"{provider.openai_url}/chat/completions"
    answer = requests.post(url, json=body(None, stream=True), stream=True)
    seen.extend(line.decode() for line in answer.iter_lines())


def stream_aiohttp(provider: SimulatedProvider, seen: list[str]) -> None:
    async def ask() -> None:
        url = f"{provider.openai_url}/chat/completions"
        async with aiohttp.ClientSession() as session:
            answer = await session.post(url, json=body(None, stream=True))
            async for line in answer.content:
                seen.append(line.decode())  # noqa: PERF401
            answers.append(answer)

    answers: list[Any] = []
    asyncio.run(ask())


def stream_lm15(provider: SimulatedProvider, seen: list[str]) -> None:
    url, headers = f"{provider.openai_url}/chat/completions", [("content-type", "application/json")]
    request = TransportRequest("POST", url, headers, json.dumps(body(None, stream=True)).encode())
    seen.extend(chunk.decode() for chunk in StdlibTransport().stream(request))


STREAMS = [
    stream_openai,
    stream_anthropic,
    stream_async_openai,
    stream_httpx(httpx),
    stream_httpx(httpx2),
    stream_requests,
    stream_aiohttp,
    stream_lm15,
]


@pytest.mark.parametrize("read", STREAMS)
@pytest.mark.parametrize("enforce", ["reserve", "settle"])
def test_a_stream_is_stopped_where_it_passes_the_budget(
    read: Callable[[SimulatedProvider, list[str]], None], enforce: str, provider: SimulatedProvider
) -> None:
    if read is stream_anthropic and enforce == "reserve":
        return  # it must say how long an answer may be, so that it is refused before
    provider.tokens_per_second = 2000
    provider.reply(text="word " * 3000, chunks=3000, when="gpt-4o-mini")
    provider.reply(text="word " * 3000, chunks=3000, when="claude")
    seen: list[str] = []
    with pytest.raises(BudgetExceeded) as caught, tokprof.budget(tokens=200, enforce=enforce, stop_streams=True) as b:
        read(provider, seen)
    assert caught.value.sent
    assert "the stream was stopped" in str(caught.value)
    assert 0 < len(seen) < 2000
    row = b.profile.calls.iloc[0]
    assert (row.status, row.error, row.usage_source) == ("partial", "BudgetExceeded", "partial")
    assert 180 < (b.spent.tokens or 0) < 350  # the answer tells a prompt that is shorter than was estimated
    assert (b.reserved.tokens, b.spent.calls) == (0, 1)
    (note,) = b.profile.budget_notes
    assert note.startswith("stream stopped at test_budget.py:")


def test_a_stopped_stream_closes_its_connection(provider: SimulatedProvider) -> None:
    provider.tokens_per_second = 500
    provider.reply(text="word " * 2000, chunks=2000)
    client = httpx.Client()
    url = f"{provider.openai_url}/chat/completions"
    with pytest.raises(BudgetExceeded), tokprof.budget(tokens=60, stop_streams=True):
        answer = client.send(client.build_request("POST", url, json=body(None, stream=True)), stream=True)
        for _ in answer.iter_bytes():
            pass
    transport: Any = client._transport
    assert transport._pool.connections == []


def test_streams_side_by_side_share_what_is_left(provider: SimulatedProvider) -> None:
    provider.tokens_per_second = 2000
    provider.reply(text="word " * 3000, chunks=3000, times=None)

    async def main() -> list[Any]:
        async def read(client: Any) -> None:
            async for _ in await client.chat.completions.create(**body(None, stream=True)):
                pass

        async with provider.async_openai() as client:
            return await asyncio.gather(*(read(client) for _ in range(5)), return_exceptions=True)

    with tokprof.budget(tokens=600, stop_streams=True, assume_output=1) as b:
        answers = asyncio.run(main())
    assert any(isinstance(answer, BudgetExceeded) for answer in answers)
    assert 500 < (b.spent.tokens or 0) < 600 + 5 * 60


def test_a_stream_that_fits_is_left_alone(provider: SimulatedProvider) -> None:
    seen: list[str] = []
    with tokprof.budget(tokens=1000, stop_streams=True) as b:
        stream_openai(provider, seen)
    assert "".join(seen) == provider.text
    assert b.profile.calls.status.tolist() == ["ok"]


# --- gRPC ----------------------------------------------------------------------------------------


@pytest.fixture
def xai() -> Iterator[str]:
    with serving(Xai()) as address:
        yield address


def test_a_grpc_call_that_does_not_fit_is_not_sent(xai: str) -> None:
    with xai_sdk.Client(api_key="key", api_host=xai, use_insecure_channel=True) as client:
        chat = client.chat.create(model=MODEL, messages=[user("hello")], max_tokens=400)
        with tokprof.budget(tokens=700) as b:
            assert chat.sample().usage.total_tokens == 632
        assert (b.spent.tokens, b.reserved.tokens) == (632, 0)
        with pytest.raises(BudgetExceeded) as caught, tokprof.budget(tokens=400) as b:
            list(chat.stream())
    assert (caught.value.asked or 0) > 400
    assert b.profile.calls[["status", "error"]].values.tolist() == [["error", "BudgetExceeded"]]


async def test_a_grpc_call_of_asyncio_that_does_not_fit_is_not_sent(xai: str) -> None:
    async with xai_sdk.AsyncClient(api_key="key", api_host=xai, use_insecure_channel=True) as client:
        chat = client.chat.create(model=MODEL, messages=[user("hello")], max_tokens=400)
        with tokprof.budget(calls=1) as b:
            await chat.sample()
            with pytest.raises(BudgetExceeded):
                await chat.sample()
    assert (b.spent.tokens, b.spent.calls) == (632, 1)


# --- every way to use one ------------------------------------------------------------------------


def test_as_an_async_context_manager(provider: SimulatedProvider) -> None:
    async def main() -> Any:
        async with tokprof.budget(calls=1) as b, provider.async_openai() as client:
            await client.chat.completions.create(**body())
            with pytest.raises(BudgetExceeded):
                await client.chat.completions.create(**body())
            return b

    assert asyncio.run(main()).spent.calls == 1


def test_as_a_decorator_each_call_has_the_whole_allowance(provider: SimulatedProvider) -> None:
    @tokprof.budget(calls=1)
    def plain(times: int) -> int:
        """Ask."""
        for _ in range(times):
            by_openai(provider)
        return times

    assert (plain.__name__, plain.__doc__, plain(1), plain(1)) == ("plain", "Ask.", 1, 1)
    with pytest.raises(BudgetExceeded, match="plain' of 1 call"):
        plain(2)


def test_as_a_decorator_of_what_awaits_and_yields(provider: SimulatedProvider) -> None:
    @tokprof.budget(calls=1)
    async def wait(times: int) -> None:
        async with provider.async_openai() as client:
            for _ in range(times):
                await client.chat.completions.create(**body())

    @tokprof.budget(calls=2)
    def items() -> Iterator[int]:
        for number in range(3):
            by_openai(provider)
            yield number

    @tokprof.budget(calls=2)
    async def aitems() -> AsyncIterator[int]:
        async with provider.async_openai() as client:
            for number in range(3):
                await client.chat.completions.create(**body())
                yield number

    assert inspect.iscoroutinefunction(wait) and inspect.isgeneratorfunction(items.__wrapped__)  # type: ignore[attr-defined]
    asyncio.run(wait(1))
    with pytest.raises(BudgetExceeded):
        asyncio.run(wait(2))
    with tokprof.profile() as prof:
        found = []
        with pytest.raises(BudgetExceeded):
            for number in items():
                found.append(number)
                by_openai(provider)  # the reader's own, between two items
        assert found == [0, 1]
        assert prof.totals.calls == 5

    async def read() -> list[int]:
        found = []
        with pytest.raises(BudgetExceeded):
            async for number in aitems():
                found.append(number)  # noqa: PERF401
        return found

    assert asyncio.run(read()) == [0, 1]


def test_methods_and_classes() -> None:
    class Agent:
        @tokprof.budget(calls=1)
        def one(self) -> str:
            return "one"

        @tokprof.budget(calls=1)
        @staticmethod
        def two() -> str:
            return "two"

    assert (Agent().one(), Agent.two()) == ("one", "two")
    with pytest.raises(TypeError, match="decorate its methods"):
        tokprof.budget(calls=1)(Agent)


def test_an_answer_from_the_cache_spends_nothing(provider: SimulatedProvider) -> None:
    with tokprof.cache(), tokprof.budget(tokens=100, calls=1) as b:
        for _ in range(3):
            by_openai(provider)
        spent_once = b.spent.tokens
    assert len(provider.requests) == 1
    assert (spent_once, b.spent.calls, b.reserved.calls) == (b.profile.totals.total_tokens, 1, 0)
    assert b.profile.totals.calls == 3


def test_an_unprofiled_thread_belongs_to_the_newest_budget(provider: SimulatedProvider) -> None:
    with tokprof.budget(calls=5) as b:
        thread = threading.Thread(target=by_requests, args=(provider,))
        thread.start()
        thread.join()
    assert b.spent.calls == 1


def test_the_exception_survives_a_pickle() -> None:
    error = BudgetExceeded("tokens", 20_000, 19_120, 0, 1_900, "In[3]:4 in plan()")
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error)
    assert (copy.kind, copy.limit, copy.asked) == ("tokens", 20_000, 1_900)
    assert str(error) == (
        "budget of 20,000 tokens, 19,120 spent, 1,900 asked for: the call was not sent (In[3]:4 in plan())"
    )


def test_without_a_budget_nothing_is_estimated(provider: SimulatedProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("an unguarded call was measured")

    monkeypatch.setattr("tokprof.capture.wire.guarded.Guarded.__init__", never)
    with tokprof.profile() as prof:
        by_openai(provider)
    assert prof.totals.calls == 1
