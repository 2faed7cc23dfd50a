"""``tokprof.span``: a context manager and a decorator for everything that can be called."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import tokprof


def call(name: str = "call") -> str:
    """A call on any wire that tokprof does not see."""
    with tokprof.span(name, kind="llm") as span:
        span.record(input_tokens=1, output_tokens=1)
    return name


def parents(prof: tokprof.Profile) -> dict[str, str]:
    """Name of each span -> name of the span around it."""
    frame = prof.df.set_index("span_id")
    return {row["name"]: frame.loc[row.parent_id, "name"] for _, row in frame.iterrows() if row.parent_id}


@tokprof.span
def plain(x: int) -> int:
    """Docs."""
    call()
    return x + 1


@tokprof.span("async step", kind="agent")
async def coroutine(x: int) -> int:
    await asyncio.sleep(0)
    call()
    return x + 1


@tokprof.span(kind="tool", user="u1")
def generator(n: int) -> Iterator[int]:
    for i in range(n):
        call()
        yield i


@tokprof.span()
async def agenerator(n: int) -> AsyncIterator[int]:
    for i in range(n):
        call()
        yield i


class Agent:
    @tokprof.span
    def method(self) -> str:
        return call()

    @tokprof.span
    @staticmethod
    def static() -> str:
        return call()

    @staticmethod
    @tokprof.span
    def static_inside() -> str:
        return call()

    @tokprof.span(kind="agent")
    @classmethod
    def of_class(cls) -> str:
        assert cls is Agent
        return call()


def run_all() -> list[Any]:
    async def both() -> list[Any]:
        return [await coroutine(1), [i async for i in agenerator(2)]]

    return [plain(1), list(generator(2)), Agent().method(), Agent.static(), Agent().static_inside(), Agent.of_class(),
            *asyncio.run(both())]  # fmt: skip


def test_decorated_functions_give_what_they_gave() -> None:
    bare = run_all()
    with tokprof.profile():
        profiled = run_all()
    assert profiled == bare == [2, [0, 1], "call", "call", "call", "call", 2, [0, 1]]
    assert (plain.__name__, plain.__doc__) == ("plain", "Docs.")
    assert asyncio.iscoroutinefunction(coroutine)


@pytest.mark.parametrize(
    ("step", "name", "kind"),
    [
        (lambda: plain(1), "plain", "task"),
        (lambda: asyncio.run(coroutine(1)), "async step", "agent"),
        (lambda: list(generator(1)), "generator", "tool"),
        (lambda: Agent().method(), "Agent.method", "task"),
        (Agent.static, "Agent.static", "task"),
        (Agent.static_inside, "Agent.static_inside", "task"),
        (Agent.of_class, "Agent.of_class", "agent"),
    ],
    ids=["function", "coroutine", "generator", "method", "static", "static inside", "class"],
)
def test_calls_stand_below_the_decorated_function(step: Any, name: str, kind: str) -> None:
    with tokprof.profile() as prof:
        step()
    row = prof.df.iloc[1]
    assert (row["name"], row.kind, row.status) == (name, kind, "ok")
    assert parents(prof)["call"] == name


async def test_calls_stand_below_an_async_generator() -> None:
    with tokprof.profile() as prof:
        assert [i async for i in agenerator(1)] == [0]
    assert parents(prof)["call"] == "agenerator"


async def test_async_with() -> None:
    with tokprof.profile() as prof:
        async with tokprof.span("outer", kind="workflow"):
            call()
    assert parents(prof) == {"outer": "profile", "call": "outer"}


async def test_tasks_at_the_same_time_keep_apart() -> None:
    async def work(name: str) -> None:
        async with tokprof.span(name):
            await asyncio.sleep(0)
            call(f"{name} call")

    with tokprof.profile() as prof, tokprof.span("around"):
        await asyncio.gather(*(work(name) for name in "abc"))
    found = parents(prof)
    assert [found[f"{name} call"] for name in "abc"] == ["a", "b", "c"]
    assert [found[name] for name in "abc"] == ["around"] * 3


# generators are interrupted at each yield: what their reader does is not theirs


def test_the_reader_of_a_generator_is_not_inside_of_it() -> None:
    with tokprof.profile() as prof:
        for _ in generator(2):
            call("reader")
    assert parents(prof) == {"generator": "profile", "call": "generator", "reader": "profile"}


async def test_the_reader_of_an_async_generator_is_not_inside_of_it() -> None:
    with tokprof.profile() as prof:
        async for _ in agenerator(2):
            call("reader")
    assert parents(prof) == {"agenerator": "profile", "call": "agenerator", "reader": "profile"}


def test_generators_that_take_turns_keep_apart() -> None:
    @tokprof.span("second")
    def second() -> Iterator[int]:
        call("of second")
        yield 1
        call("of second again")
        yield 2

    with tokprof.profile() as prof:
        for _ in zip(generator(1), second(), strict=False):
            pass
        call("after")
    found = parents(prof)
    assert found["after"] == "profile"
    assert found["second"] == found["generator"] == "profile"
    assert found["of second"] == "second"


def test_a_generator_takes_what_is_sent_and_thrown_and_returns() -> None:
    @tokprof.span
    def talk() -> Iterator[Any]:
        try:
            got = yield "first"
        except KeyError:
            got = yield "thrown"
        return got

    with tokprof.profile() as prof:
        steps: Any = talk()
        assert next(steps) == "first"
        assert steps.throw(KeyError()) == "thrown"
        with pytest.raises(StopIteration) as end:
            steps.send("sent")
    assert end.value.value == "sent"
    assert prof.df.status.tolist() == ["ok", "ok"]


async def test_an_async_generator_takes_what_is_sent_and_thrown() -> None:
    @tokprof.span
    async def talk() -> AsyncIterator[Any]:
        got: Any = yield "first"  # type: ignore[misc]
        try:
            yield got
        except KeyError:
            yield "thrown"

    with tokprof.profile() as prof:
        steps: Any = talk()
        assert await anext(steps) == "first"
        assert await steps.asend("sent") == "sent"
        assert await steps.athrow(KeyError()) == "thrown"
        await steps.aclose()
    assert prof.df.status.iloc[1] in ("ok", "cancelled")


def test_a_generator_left_early_ends_its_span() -> None:
    closed = []

    @tokprof.span
    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    with tokprof.profile() as prof:
        steps: Any = endless()
        next(steps)
        steps.close()
        call("after")
    assert closed == [True]
    assert prof.df.status.iloc[1] == "cancelled"
    assert parents(prof)["after"] == "profile"


# errors, tags, figures


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("no\nluck"), "error"), (KeyboardInterrupt(), "cancelled"), (asyncio.CancelledError(), "cancelled")],
)
def test_an_exception_passes_untouched_and_is_noted(error: BaseException, status: str) -> None:
    with tokprof.profile() as prof:
        with pytest.raises(type(error)) as caught, tokprof.span("step"):
            raise error
        call("after")
    assert caught.value is error
    row = prof.df.iloc[1]
    assert row.status == status
    assert row.error == type(error).__name__  # its message may hold a prompt
    assert parents(prof)["after"] == "profile"


def test_one_span_may_be_entered_again_and_within_itself() -> None:
    step = tokprof.span("step")
    with tokprof.profile() as prof:
        with step, step:
            call("deep")
        with step:
            call("again")
    assert prof.df[prof.df.name == "step"].depth.tolist() == [1, 2, 1]
    assert prof.df[prof.df.name.isin(["deep", "again"])].depth.tolist() == [3, 2]


def test_recursion() -> None:
    @tokprof.span
    def down(n: int) -> None:
        if n:
            down(n - 1)
        else:
            call()

    with tokprof.profile() as prof:
        down(3)
    assert prof.df.depth.tolist() == [0, 1, 2, 3, 4, 5]


def test_tags_of_a_span_are_those_of_what_is_below_the_inner_one_wins() -> None:
    with tokprof.profile(team="a", user="nobody") as prof, tokprof.span("agent", user="u1", n=3) as span:
        span.tag(round=2)
        call()
    assert prof.calls.tags.tolist() == [{"team": "a", "user": "u1", "n": "3", "round": "2"}]
    assert prof.df.tags.iloc[0] == {"team": "a", "user": "nobody"}


def test_recorded_figures_are_columns() -> None:
    with tokprof.profile() as prof, tokprof.span("local", kind="llm") as span:
        span.record(
            model="llama", provider="home", operation="chat", cost=0.5, input_tokens=10, output_tokens=4,
            cache_read_tokens=3, reasoning_tokens=2,
        )  # fmt: skip
    row = prof.calls.iloc[0]
    assert (row.model, row.provider, row.operation) == ("llama", "home", "chat")
    assert (row.input_tokens, row.output_tokens, row.total_tokens) == (10, 4, 14)
    assert (row.cache_read_tokens, row.reasoning_tokens) == (3, 2)
    assert (row.cost, row.cost_source, row.usage_source) == (0.5, "reported", "reported")


@pytest.mark.parametrize("recording", [True, False])
@pytest.mark.parametrize(
    ("figures", "told"),
    [
        ({"input_tokens": -1}, "input_tokens must be 0 or more, not -1"),
        ({"words": 3}, "'words' is no kind of token; known: input_tokens"),
        ({"cost": -0.1}, "cost must be 0 or more"),
        ({"cost": float("nan")}, "cost must be 0 or more"),
    ],
)
def test_wrong_figures_are_told_also_where_nothing_is_recorded(
    recording: bool, figures: dict[str, Any], told: str
) -> None:
    import contextlib

    with tokprof.profile() if recording else contextlib.nullcontext(), tokprof.span("x") as span:
        with pytest.raises(ValueError, match=told):
            span.record(**figures)


def test_a_kind_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match=r"'sorcerer' is no kind of span; known: .*agent"):
        tokprof.span("x", kind="sorcerer")


def test_without_a_recording_a_span_does_nothing() -> None:
    with tokprof.span("x") as span:
        span.record(input_tokens=1)
        span.tag(a="b")
    assert span.span is None


def test_an_embedding_has_no_output() -> None:
    with tokprof.profile() as prof, tokprof.span("embed", kind="embedding") as step:
        step.record(operation="embeddings", input_tokens=5)
    assert prof.totals.exact
    assert prof.calls.total_tokens.tolist() == [5]


def test_figures_recorded_again_add_up() -> None:
    with tokprof.profile() as prof, tokprof.span("loop") as step:
        for _ in range(3):
            step.record(model="gpt-5", input_tokens=100, output_tokens=10, cost=0.5)
        with pytest.raises(ValueError, match="open a span for each model"):
            step.record(model="gpt-4o", input_tokens=1)
    assert (prof.totals.input_tokens, prof.totals.output_tokens, prof.totals.cost) == (300, 30, 1.5)


@pytest.mark.parametrize(
    ("tokens", "error"),
    [
        ({"input_tokens": 1.5}, TypeError),
        ({"input_tokens": "12"}, TypeError),
        ({"input_tokens": float("nan")}, TypeError),
        ({"input_tokens": 5, "cache_read_tokens": 50}, ValueError),
        ({"output_tokens": 5, "reasoning_tokens": 50}, ValueError),
        ({"total_tokens": 5}, ValueError),
    ],
)
def test_figures_that_cannot_be_are_refused(tokens: dict[str, Any], error: type[Exception]) -> None:
    with tokprof.span("nobody records") as step, pytest.raises(error):
        step.record(**tokens)


def test_a_class_is_no_function() -> None:
    with pytest.raises(TypeError, match="decorate its methods"):

        @tokprof.span
        class Agent:
            pass


async def test_tasks_may_share_a_scope() -> None:
    shared = tokprof.span("shared")

    async def work(name: str, seconds: float) -> None:
        with shared:
            await asyncio.sleep(seconds)
            with tokprof.span(name):
                pass

    with tokprof.profile() as prof:
        await asyncio.gather(work("first", 0.03), work("second", 0.01))
    spans = {span.name: span for span in prof.table.spans if span.name != "shared"}
    first, second = spans["first"].parent, spans["second"].parent
    assert first is not None and second is not None and first is not second
    assert (first.closed or 0) > (second.closed or 0)
    assert tokprof.recorder.own() is None


def test_threads_may_share_a_scope() -> None:
    shared = tokprof.span("shared")
    before = sys.getswitchinterval()

    def work() -> None:
        for _ in range(300):
            with shared as step:
                step.tag(thread=threading.current_thread().name)

    with tokprof.profile() as prof:
        sys.setswitchinterval(1e-6)
        try:
            with ThreadPoolExecutor(4) as pool:
                for ended in [pool.submit(work) for _ in range(4)]:
                    ended.result()
        finally:
            sys.setswitchinterval(before)
    assert prof.df.status.tolist() == ["ok"] * 1201


def test_an_error_that_cannot_be_printed_is_still_that_error() -> None:
    class BrokenError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    with tokprof.profile() as prof, pytest.raises(BrokenError), tokprof.span("step"):
        raise BrokenError
    assert prof.df.error.tolist()[1] == "BrokenError"


@pytest.mark.parametrize(
    ("said", "kind"),
    [("AGENT", "agent"), ("invoke_agent", "agent"), ("execute_tool", "tool"), ("RETRIEVER", "retriever")],
)
def test_kinds_by_the_names_of_the_conventions(said: str, kind: str) -> None:
    with tokprof.profile() as prof, tokprof.span("step", kind=said):
        pass
    assert prof.df.kind.tolist()[1] == kind


def test_an_option_that_is_misspelt_is_said() -> None:
    with pytest.warns(UserWarning, match="'captur' is taken as a tag; did you mean capture="):
        tokprof.profile(captur="full")
