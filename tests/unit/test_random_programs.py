"""Random programs of nested steps, tasks, threads and failures: the books balance, and every call has its parent."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx2
from hypothesis import given, settings
from hypothesis import strategies as st

import tokprof

URL = "https://api.openai.com/v1/chat/completions"


@dataclass
class Step:
    """What a program does: by itself, and what is inside."""

    how: str
    inside: list[Step] = field(default_factory=list)


HOWS = ("span", "decorated", "generator", "gather", "create_task", "thread", "pool", "to_thread", "fail")
LEAVES = st.sampled_from(["call", "call", "refused"]).map(Step)
PROGRAMS = st.recursive(
    LEAVES,
    lambda inner: st.builds(Step, st.sampled_from(HOWS), st.lists(inner, max_size=3)),
    max_leaves=12,
)


def answer(request: httpx2.Request) -> httpx2.Response:
    asked = json.loads(request.content)
    if asked.get("refuse"):
        return httpx2.Response(429, json={"error": {"code": "rate_limit"}})
    tokens = asked["tokens"]
    return httpx2.Response(
        200,
        json={
            "object": "chat.completion",
            "model": asked["model"],
            "choices": [],
            "usage": {"prompt_tokens": tokens, "completion_tokens": 1, "total_tokens": tokens + 1},
        },
    )


class BoomError(Exception):
    """The failure of a program."""


class Run:
    """Runs a program, and knows which call belongs where."""

    def __init__(self) -> None:
        self.numbers = itertools.count(1)
        self.expected: dict[str, tuple[str, int | None]] = {}  # model of a call -> name of its parent, tokens
        self.client = httpx2.Client(transport=httpx2.MockTransport(answer))
        self.async_client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))

    def request(self, step: Step, parent: str) -> dict[str, Any]:
        number = next(self.numbers)
        refused = step.how == "refused"
        self.expected[f"m{number}"] = (parent, None if refused else number)
        return {"model": f"m{number}", "tokens": number, "messages": [], "refuse": refused}

    async def go(self, step: Step, parent: str) -> None:
        name = f"{step.how}{next(self.numbers)}"
        if step.how in ("call", "refused"):
            await self.async_client.post(URL, json=self.request(step, parent))
        elif step.how == "span":
            async with tokprof.span(name):
                await self.each(step, name)
        elif step.how == "decorated":
            await tokprof.span(name)(self.each)(step, name)
        elif step.how == "generator":

            async def parts() -> Any:
                for inner in step.inside:
                    await self.go(inner, name)
                    yield inner

            async for _ in tokprof.span(name)(parts)():
                await self.async_client.post(URL, json=self.request(Step("call"), parent))
        elif step.how == "gather":
            await asyncio.gather(*(self.go(inner, parent) for inner in step.inside))
        elif step.how == "create_task":
            with tokprof.span(name):
                tasks = [asyncio.create_task(self.go(inner, name)) for inner in step.inside]
            for task in tasks:  # they outlive the span that they belong to
                await task
        elif step.how == "to_thread":
            await asyncio.to_thread(self.all, step, parent)
        elif step.how == "fail":
            with contextlib.suppress(BoomError), tokprof.span(name):
                await self.each(step, name)
                raise BoomError
        else:
            self.sync(step, parent)

    async def each(self, step: Step, parent: str) -> None:
        for inner in step.inside:
            await self.go(inner, parent)

    def all(self, step: Step, parent: str) -> None:
        for inner in step.inside:
            self.sync(inner, parent)

    def sync(self, step: Step, parent: str) -> None:
        name = f"{step.how}{next(self.numbers)}"
        if step.how in ("call", "refused"):
            self.client.post(URL, json=self.request(step, parent))
        elif step.how in ("span", "create_task"):
            with tokprof.span(name):
                self.all(step, name)
        elif step.how == "decorated":
            tokprof.span(name)(self.all)(step, name)
        elif step.how == "generator":

            def parts() -> Iterator[Step]:
                for inner in step.inside:
                    self.sync(inner, name)
                    yield inner

            for _ in tokprof.span(name)(parts)():
                self.client.post(URL, json=self.request(Step("call"), parent))
        elif step.how == "thread":
            threads = [threading.Thread(target=self.sync, args=(inner, parent)) for inner in step.inside]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        elif step.how == "pool":
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(self.sync, step.inside, [parent] * len(step.inside)))
        elif step.how == "fail":
            with contextlib.suppress(BoomError), tokprof.span(name):
                self.all(step, name)
                raise BoomError
        elif step.inside:  # gather, to_thread: a loop of its own
            asyncio.run(Run.go(self, Step("gather", step.inside), parent))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(PROGRAMS)
def test_every_call_has_its_parent_and_the_books_balance(program: Step) -> None:
    run = Run()
    with tokprof.profile("top") as prof:
        asyncio.run(run.go(program, "top"))
    frame = prof.df.set_index("span_id", drop=False)
    found = {}
    for row in prof.calls.itertuples():
        assert row.request_model not in found, "counted twice"
        tokens = None if row.status == "error" else int(row.input_tokens)
        found[row.request_model] = (frame.loc[row.parent_id, "name"], tokens)
    assert found == run.expected
    told = [tokens for _, tokens in run.expected.values() if tokens is not None]
    totals, tree = prof.totals, prof.tree()
    assert totals.input_tokens == sum(told) == tree.self_input.sum() == tree.total_input.fillna(0).iloc[0]
    assert totals.output_tokens == len(told) == tree.self_output.sum()
    assert totals.calls == len(run.expected) == tree.calls.iloc[0]
    assert totals.errors == len(run.expected) - len(told)
    assert not prof.df.status.eq("open").any()
    assert prof.df.set_index("name").filter(like="fail", axis=0).status.eq("error").all()
