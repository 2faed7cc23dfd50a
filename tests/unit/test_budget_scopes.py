"""Whom a budget holds for: generators that end in any order, tasks and threads beside it, and its own second half."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from multiprocessing.pool import ThreadPool

import httpx2
import pytest

import tokprof
from tokprof import BudgetExceeded

CHAT = "https://api.openai.com/v1/chat/completions"
BODY = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
USAGE = {"prompt_tokens": 8, "completion_tokens": 5, "total_tokens": 13}
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
ANSWER = {"object": "chat.completion", "model": "gpt-4o-mini", "choices": [CHOICE], "usage": USAGE}


@pytest.fixture
def client() -> Iterator[httpx2.Client]:
    with httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, json=ANSWER))) as made:
        yield made


def chat(client: httpx2.Client) -> int:
    return client.post(CHAT, json=BODY).status_code


def refused(client: httpx2.Client) -> bool:
    try:
        chat(client)
    except BudgetExceeded:
        return True
    return False


def test_generators_that_end_in_any_order_leave_nothing_behind(client: httpx2.Client) -> None:
    def agent() -> Iterator[tokprof.Budget]:
        with tokprof.budget(calls=2) as b:
            chat(client)
            yield b

    one, two = agent(), agent()
    budgets = next(one), next(two)
    one.close()
    two.close()
    assert [chat(client) for _ in range(3)] == [200] * 3
    assert [b.spent.calls for b in budgets] == [2, 1]


def test_a_generator_that_ends_later_leaves_the_block_around_its_reader_in_place(client: httpx2.Client) -> None:
    def agent() -> Iterator[None]:
        with tokprof.budget(calls=9), tokprof.span("inner"):
            yield

    items = agent()
    next(items)
    with tokprof.budget(calls=1) as b:
        items.close()
        assert chat(client) == 200
        assert refused(client)
    assert b.spent.calls == 1
    assert [chat(client) for _ in range(2)] == [200] * 2


def test_a_cache_that_ended_out_of_order_answers_nothing(client: httpx2.Client) -> None:
    def agent() -> Iterator[None]:
        with tokprof.cache():
            yield

    tokprof.cache.clear()
    one, two = agent(), agent()
    next(one), next(two)
    one.close()
    two.close()
    chat(client)
    assert tokprof.cache.info().answers == 0


def test_the_reader_of_a_decorated_generator_is_outside_of_its_budget(client: httpx2.Client) -> None:
    @tokprof.budget(calls=1)
    def agent() -> Iterator[int]:
        yield chat(client)
        yield chat(client)

    items = agent()
    assert next(items) == 200
    assert [chat(client) for _ in range(2)] == [200] * 2
    with pytest.raises(BudgetExceeded):
        next(items)


def test_a_budget_inside_a_decorated_generator_holds_for_all_of_it_and_not_for_its_reader(
    client: httpx2.Client,
) -> None:
    @tokprof.span
    def agent() -> Iterator[bool]:
        with tokprof.budget(calls=1):
            yield refused(client)
            yield refused(client)
        yield refused(client)

    @tokprof.span
    async def agent_async() -> AsyncIterator[bool]:
        with tokprof.budget(calls=1):
            yield refused(client)
            yield refused(client)
        yield refused(client)

    async def read() -> list[bool]:
        found = []
        async for item in agent_async():
            found.append(item)
            assert not refused(client)
        return found

    with tokprof.profile():
        found = []
        for item in agent():
            found.append(item)
            assert not refused(client)
        assert found == asyncio.run(read()) == [False, True, False]


def test_a_task_beside_the_budget_of_another_is_not_refused() -> None:
    async def limited(client: httpx2.AsyncClient, inside: asyncio.Event, over: asyncio.Event) -> int:
        with tokprof.budget(calls=1) as b:
            await client.post(CHAT, json=BODY)
            inside.set()
            await over.wait()
        return int(b.spent.calls or 0)

    async def free(client: httpx2.AsyncClient, inside: asyncio.Event, over: asyncio.Event) -> int:
        await inside.wait()
        try:
            return sum([(await client.post(CHAT, json=BODY)).is_success for _ in range(3)])
        finally:
            over.set()

    async def main() -> list[int]:
        transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json=ANSWER))
        async with httpx2.AsyncClient(transport=transport) as client:
            events = asyncio.Event(), asyncio.Event()
            return await asyncio.gather(limited(client, *events), free(client, *events))

    assert asyncio.run(main()) == [1, 3]


def test_a_thread_beside_the_budget_of_another_is_not_refused(client: httpx2.Client) -> None:
    inside, over = threading.Event(), threading.Event()
    found: list[bool] = []

    def limited() -> None:
        with tokprof.budget(calls=1):
            chat(client)
            inside.set()
            over.wait(5)

    def free() -> None:
        inside.wait(5)
        found.extend(refused(client) for _ in range(2))
        over.set()

    threads = [threading.Thread(target=work) for work in (limited, free)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [False, False]


def test_a_pool_that_was_there_before_belongs_to_the_block_of_the_main_thread(client: httpx2.Client) -> None:
    with ThreadPool(2) as pool:
        pool.map(refused, [client] * 2)
        with tokprof.budget(calls=2) as b:
            found = pool.map(refused, [client] * 5)
    assert (found.count(True), b.spent.calls) == (3, 2)
