"""``tokprof.wrap``: the proxy is the object, and the rows are what its results tell."""

from __future__ import annotations

import asyncio
import collections
import collections.abc
import concurrent.futures
import contextlib
import copy
import datetime
import functools
import gc
import inspect
import pickle
import threading
import types
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tokprof
from tokprof.testing import SimulatedProvider

MODEL = "llama-3-8b"
USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
ANSWER = {
    "object": "chat.completion",
    "model": MODEL,
    "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
    "usage": USAGE,
}


def chunk(text: str | None, **more: Any) -> dict[str, Any]:
    choices = [] if text is None else [{"delta": {"content": text}, "finish_reason": None}]
    return {"object": "chat.completion.chunk", "model": MODEL, "choices": choices} | more


CHUNKS = [chunk("a"), chunk("b"), chunk(None, usage=USAGE)]


class Llama:
    """As llama-cpp-python's: everything at once, dictionaries, streams without usage."""

    def __init__(self, path: str = "model.gguf"):
        self.model_path = path
        self.closed = False

    def __call__(self, prompt: str, stream: bool = False) -> Any:
        return self.create_chat_completion([{"role": "user", "content": prompt}], stream)

    def create_chat_completion(self, messages: list[Any], stream: bool = False, model: str | None = None) -> Any:
        return iter(CHUNKS[:2]) if stream else ANSWER

    def create_embedding(self, input: str) -> Any:
        return {
            "object": "list",
            "model": "bge",
            "data": [{"object": "embedding", "embedding": [0.1]}],
            "usage": {"prompt_tokens": 4, "total_tokens": 4},
        }

    def tokenize(self, text: str) -> list[int]:
        return list(range(len(text)))

    def close(self) -> None:
        self.closed = True


class Completions:
    def create(self, **asked: Any) -> Any:
        if asked.get("fail"):
            raise ConnectionError("refused: sk-secret")
        return (item for item in CHUNKS) if asked.get("stream") else ANSWER

    async def acreate(self, **asked: Any) -> Any:
        await asyncio.sleep(0)
        return self.astream() if asked.get("stream") else self.create(**asked)

    async def astream(self) -> AsyncIterator[Any]:
        for item in CHUNKS:
            await asyncio.sleep(0)
            yield item

    @contextlib.contextmanager
    def stream(self, **asked: Any) -> Iterator[Any]:
        yield iter(CHUNKS)

    @contextlib.asynccontextmanager
    async def open(self, **asked: Any) -> AsyncIterator[Any]:
        yield self.astream()


class Client:
    """A client of some depth."""

    name = "client"
    Error = ConnectionError

    def __init__(self, timeout: float = 1.0):
        self.timeout = timeout
        self.headers = {"x": "y"}
        self.json = types
        self.parent = None
        self.chat = SimpleNamespace(completions=Completions())
        self._secret = Completions()

    def with_options(self, timeout: float) -> Client:
        return Client(timeout)

    def close(self) -> None:
        """Say goodbye."""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: Any) -> None:
        self.parent = "left"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Client) and other.timeout == self.timeout

    def __hash__(self) -> int:
        return hash(self.timeout)

    def __len__(self) -> int:
        return 3

    def __getitem__(self, at: int) -> int:
        return [1, 2, 3][at]

    def __add__(self, more: float) -> float:
        return self.timeout + more

    def __repr__(self) -> str:
        return f"Client({self.timeout})"


def rows(prof: tokprof.Profile) -> list[tuple[Any, ...]]:
    """Name, status, input, output and source of each call."""
    columns = prof.calls[["name", "status", "input_tokens", "output_tokens", "usage_source"]]
    return [tuple(None if pd.isna(value) else value for value in row) for row in columns.itertuples(index=False)]


FULL = (f"chat {MODEL}", "ok", 5, 3, "reported")


def ask(prompt: str) -> Any:
    return ANSWER


# what is called


async def coroutine(prompt: str) -> Any:
    await asyncio.sleep(0)
    return ANSWER


def generator(prompt: str) -> Iterator[Any]:
    yield from CHUNKS


async def agenerator(prompt: str) -> AsyncIterator[Any]:
    for item in CHUNKS:
        yield item


async def drain(stream: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in stream]


class Function:
    def __call__(self, prompt: str) -> Any:
        return ANSWER

    def method(self, prompt: str) -> Any:
        return ANSWER

    @classmethod
    def of_class(cls, prompt: str) -> Any:
        return ANSWER


@pytest.mark.parametrize(
    "call",
    [
        lambda: tokprof.wrap(ask)("hi"),
        lambda: asyncio.run(tokprof.wrap(coroutine)("hi")),
        lambda: list(tokprof.wrap(generator)("hi")),
        lambda: asyncio.run(drain(tokprof.wrap(agenerator)("hi"))),
        lambda: tokprof.wrap(Function())("hi"),
        lambda: tokprof.wrap(Function().method)("hi"),
        lambda: tokprof.wrap(Function()).method("hi"),
        lambda: tokprof.wrap(Function()).of_class("hi"),
        lambda: tokprof.wrap(functools.partial(ask, "hi"))(),
        lambda: tokprof.wrap(lambda: ANSWER)(),
        lambda: tokprof.wrap(Client()).chat.completions.create(messages=[]),
        lambda: list(tokprof.wrap(Client()).chat.completions.create(stream=True)),
        lambda: asyncio.run(tokprof.wrap(Client()).chat.completions.acreate()),
    ],
    ids=["function", "coroutine", "generator", "async generator", "callable", "method", "attribute", "classmethod",
         "partial", "lambda", "deep", "deep stream", "deep coroutine"],
)  # fmt: skip
def test_everything_that_can_be_called_is_seen(call: Callable[[], Any]) -> None:
    with tokprof.profile() as prof:
        result = call()
    assert rows(prof) == [FULL]
    assert result in (ANSWER, CHUNKS)


def test_a_row_tells_who_asked_for_what() -> None:
    client = tokprof.wrap(Client(), provider="mine")

    def my_step() -> None:
        client.chat.completions.create(model="alias", messages=[])

    with tokprof.profile() as prof:
        my_step()
    row = prof.calls.iloc[0]
    assert (row["name"], row.model, row.request_model, row.provider) == ("chat alias", MODEL, "alias", "mine")
    assert row.function.endswith("my_step")
    assert (row.kind, row.operation, row.finish_reason, bool(row.stream)) == ("llm", "chat", "stop", False)
    assert row.usage_raw == '{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8}'
    assert pd.isna(row.ttft_s)


def test_what_the_user_says_wins() -> None:
    llm = tokprof.wrap(Llama(), name="local", model="mine", provider="ollama", operation="completions")
    with tokprof.profile() as prof:
        llm("hi")
    row = prof.calls.iloc[0]
    assert (row["name"], row.model, row.provider, row.operation) == ("local", "mine", "ollama", "completions")


def test_a_positional_model_is_known() -> None:
    def generate(model: str, prompt: str) -> Any:
        return {"usage": USAGE}

    with tokprof.profile() as prof:
        tokprof.wrap(generate)("phi-3", "hi")
        tokprof.wrap(functools.partial(generate, "phi-4"))("hi")
    assert list(prof.calls["name"]) == ["chat phi-3", "chat phi-4"]
    assert list(prof.calls.model) == ["phi-3", "phi-4"]


def test_embeddings_are_told_by_their_answer_or_by_the_user() -> None:
    with tokprof.profile() as prof:
        tokprof.wrap(Llama()).create_embedding("text")
        tokprof.wrap(lambda texts: {"usage": {"total_tokens": 9}}, kind="embedding", model="e5")(["a"])
    assert list(prof.calls.kind) == ["embedding"] * 2
    assert [row[:5] for row in rows(prof)] == [
        ("embeddings bge", "ok", 4, 0, "reported"),
        ("embeddings e5", "ok", 9, 0, "reported"),
    ]


# what leaves no row


def test_a_call_that_tells_of_no_model_leaves_no_row() -> None:
    llm = tokprof.wrap(Llama())
    client = tokprof.wrap(Client())
    with tokprof.profile() as prof:
        assert llm.tokenize("abc") == [0, 1, 2]
        llm.close()
        client.with_options(timeout=2.0)
        with pytest.raises(TypeError):
            client.close(1)
        tokprof.wrap(generator)("never read")
    assert llm.closed
    assert len(prof.df) == 1


def test_what_is_called_by_a_call_without_a_row_stands_where_that_would() -> None:
    class Agent:
        def prepare(self) -> None:
            with tokprof.span("inside", kind="tool") as span:
                span.record(input_tokens=1, output_tokens=1)

    with tokprof.profile() as prof, tokprof.span("around"):
        tokprof.wrap(Agent()).prepare()
    assert list(prof.df["name"]) == ["profile", "around", "inside"]
    assert list(prof.df.depth) == [0, 1, 2]


def test_a_wrapped_model_that_does_not_tell_is_missing_not_zero() -> None:
    pipe = tokprof.wrap(lambda prompt: [{"generated_text": "hi"}], model="gpt2")
    with tokprof.profile() as prof:
        assert pipe("hi") == [{"generated_text": "hi"}]
    assert rows(prof) == [("chat gpt2", "ok", None, None, "missing")]
    assert prof.totals.unknown_calls == 1


def test_the_user_can_read_usage_himself() -> None:
    def usage(result: Any) -> Any:
        return {"input_tokens": 7, "output_tokens": len(result), "cost": 0.5, "model": "gpt2"} if result else None

    pipe = tokprof.wrap(lambda prompt: prompt.split(), usage=usage)
    with tokprof.profile() as prof:
        pipe("a b c")
    assert rows(prof) == [("chat gpt2", "ok", 7, 3, "reported")]
    assert (prof.totals.cost, prof.calls.iloc[0].cost_source) == (0.5, "reported")


def test_a_reading_that_fails_costs_a_row_and_a_warning_only() -> None:
    pipe = tokprof.wrap(lambda prompt: "hi", usage=lambda result: 1 / 0)
    with tokprof.profile() as prof, pytest.warns(RuntimeWarning, match="could not read the result"):
        assert pipe("hi") == "hi"
    assert rows(prof)[0][2:] == (None, None, "missing")


# streams


def test_a_stream_is_read_as_it_goes_by(clock: Any) -> None:
    def slow(prompt: str) -> Iterator[Any]:
        clock.advance(1)
        yield chunk("")
        clock.advance(1)
        yield chunk("a")
        clock.advance(1)
        yield chunk(None, usage=USAGE)

    with tokprof.profile() as prof:
        stream = tokprof.wrap(slow)("hi")
        seen = []
        for item in stream:
            seen.append(item)
            assert len(prof.calls) == 0
    row = prof.calls.iloc[0]
    assert len(seen) == 3
    assert (bool(row.stream), row.ttft_s, row.duration_s) == (True, 2.0, 3.0)
    assert rows(prof) == [FULL]


def test_running_counts_are_not_added_up() -> None:
    def counts() -> Iterator[Any]:
        for n in (1, 2, 3):
            yield SimpleNamespace(
                text="a", usage_metadata=SimpleNamespace(prompt_token_count=9, candidates_token_count=n)
            )

    with tokprof.profile() as prof:
        list(tokprof.wrap(counts)())
    assert rows(prof)[0][1:] == ("ok", 9, 3, "reported")


@pytest.mark.parametrize("how", ["break", "close", "error"])
def test_a_stream_cut_short_is_never_zero(how: str) -> None:
    stream = tokprof.wrap(Llama()).create_chat_completion
    with tokprof.profile() as prof:
        items = stream([], stream=True)
        if how == "close":
            items = tokprof.wrap(Client()).chat.completions.create(stream=True)
        next(items)
        if how == "close":
            items.close()
        with contextlib.suppress(ValueError):
            if how == "error":
                raise ValueError
        del items
        gc.collect()
    assert rows(prof) == [(f"chat {MODEL}", "partial", None, None, "missing")]
    assert prof.totals.unknown_calls == 1


def test_counts_of_a_stream_cut_short_are_a_lower_bound() -> None:
    def anthropic() -> Iterator[Any]:
        usage = {"input_tokens": 10, "output_tokens": 1, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 0}
        yield {"type": "message_start", "message": {"model": "claude-haiku-4-5", "usage": usage}}
        yield {"type": "content_block_delta", "delta": {"text": "hi"}}
        yield {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 50}}

    ask = tokprof.wrap(anthropic)
    with tokprof.profile() as prof:
        next(ask())
        list(ask())
    assert [row[1:] for row in rows(prof)] == [("partial", 14, 1, "partial"), ("ok", 14, 50, "reported")]
    assert list(prof.calls.cache_read_tokens) == [4, 4]


def test_generators_keep_their_protocol() -> None:
    def talk() -> Any:
        got = yield "first"
        try:
            yield got
        except KeyError:
            yield "caught"
        return "end"

    with tokprof.profile() as prof:
        talking = tokprof.wrap(talk)()
        assert inspect.isgenerator(talking)
        assert (next(talking), talking.send("sent"), talking.throw(KeyError())) == ("first", "sent", "caught")
        with pytest.raises(StopIteration) as stop:
            next(talking)
        assert stop.value.value == "end"

        def outer() -> Any:
            return (yield from tokprof.wrap(talk)())

        assert list(outer()) == ["first", None]
    assert [row[1] for row in rows(prof)] == ["ok", "ok"]


async def test_async_streams_of_coroutines() -> None:
    completions = tokprof.wrap(Client()).chat.completions
    with tokprof.profile() as prof:
        assert await drain(await completions.acreate(stream=True)) == CHUNKS
        async for _ in completions.astream():
            break
        gc.collect()
    assert [row[1] for row in rows(prof)] == ["ok", "partial"]
    assert rows(prof)[0] == FULL


async def test_async_generators_keep_their_protocol() -> None:
    async def talk() -> Any:
        got = yield "first"
        yield got

    with tokprof.profile() as prof:
        talking = tokprof.wrap(talk)()
        assert inspect.isasyncgen(talking)
        assert await talking.asend(None) == "first"
        assert await talking.asend("sent") == "sent"
        await talking.aclose()
    assert [row[1] for row in rows(prof)] == ["partial"]


async def test_context_managers_give_streams() -> None:
    completions = tokprof.wrap(Client()).chat.completions
    with tokprof.profile() as prof:
        with completions.stream(model="m") as stream:
            assert list(stream) == CHUNKS
        async with completions.open(model="m") as astream:
            assert await drain(astream) == CHUNKS
        with pytest.raises(KeyError), completions.stream(model="m") as stream:
            next(stream)
            raise KeyError
    assert rows(prof)[:2] == [("chat m", "ok", 5, 3, "reported")] * 2
    assert rows(prof)[2][1:] == ("error", None, None, "missing")
    assert prof.calls.iloc[2].error == "KeyError"


def test_a_stream_that_outlives_its_recording_is_late_not_lost() -> None:
    ask = tokprof.wrap(generator)
    with tokprof.profile() as prof:
        stream = ask("hi")
        next(stream)
    assert rows(prof) == [(f"chat {MODEL}", "open", None, None, "missing")]
    list(stream)
    assert rows(prof) == [FULL]
    assert bool(prof.calls.iloc[0].late)


def test_calls_below_a_generator_are_below_it() -> None:
    def agent() -> Iterator[Any]:
        with tokprof.span("inside", kind="tool"):
            yield CHUNKS[0]
        yield CHUNKS[2]

    with tokprof.profile() as prof:
        for _ in tokprof.wrap(agent)():
            with tokprof.span("reader"):
                pass
    depth = prof.df.set_index("name").depth
    assert depth["inside"] == 2
    assert depth["reader"].tolist() == [1, 1]


# errors


def test_errors_pass_untouched() -> None:
    client = tokprof.wrap(Client())
    with tokprof.profile() as prof:
        with pytest.raises(ConnectionError, match="refused") as caught:
            client.chat.completions.create(model="m", fail=True)
        with pytest.raises(client.Error):
            asyncio.run(client.chat.completions.acreate(model="m", fail=True))
    assert type(caught.value) is ConnectionError
    assert [(row.status, row.error, row.usage_source) for row in prof.calls.itertuples()] == [
        ("error", "ConnectionError", "missing")
    ] * 2
    assert "secret" not in prof.df.to_string()


async def test_cancellation_works() -> None:
    async def forever(prompt: str) -> Any:
        await asyncio.sleep(60)

    with tokprof.profile() as prof:
        task = asyncio.create_task(tokprof.wrap(forever)("hi"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert rows(prof)[0][1] == "cancelled"


def test_futures_and_other_awaitables() -> None:
    class Later:
        def __await__(self) -> Any:
            yield from asyncio.sleep(0).__await__()
            return ANSWER

    async def main() -> None:
        future = asyncio.get_running_loop().create_future()
        assert tokprof.wrap(lambda: future)() is future
        future.set_result(ANSWER)
        assert await future == ANSWER
        later = tokprof.wrap(lambda: Later())()
        assert inspect.isawaitable(later)
        assert await later == ANSWER

    with tokprof.profile() as prof, concurrent.futures.ThreadPoolExecutor() as pool:
        asyncio.run(main())
        assert tokprof.wrap(lambda: pool.submit(ask, "hi"))().result() == ANSWER
    assert rows(prof) == [FULL] * 3


# the proxy is the object


def test_the_proxy_passes_for_the_object() -> None:
    bare = Client()
    client = tokprof.wrap(bare)
    assert isinstance(client, Client)
    assert client.__class__ is Client
    assert (client == bare, bare == client, client == tokprof.wrap(bare), client != Client(2.0)) == (True,) * 4
    assert hash(client) == hash(bare)
    assert {bare: 1}[client] == 1
    assert (repr(client), str(client), f"{client}") == ("Client(1.0)",) * 3
    assert dir(client) == dir(bare)
    assert (len(client), client[1], client + 1, list(client)) == (3, 2, 2.0, [1, 2, 3])
    assert client.__doc__ == bare.__doc__
    assert not callable(client)
    assert not isinstance(client, collections.abc.AsyncIterator | collections.abc.Awaitable | collections.abc.Iterator)


def test_attributes_are_set_and_deleted_on_the_object() -> None:
    bare = Client()
    client: Any = tokprof.wrap(bare)
    client.timeout = 5.0
    client.extra = "x"
    assert (bare.timeout, bare.extra) == (5.0, "x")  # type: ignore[attr-defined]
    del client.extra
    assert not hasattr(bare, "extra")
    assert not hasattr(client, "extra")
    with pytest.raises(AttributeError, match="'Client' object has no attribute 'nothing'"):
        client.nothing  # noqa: B018


def test_plain_data_comes_back_as_it_is() -> None:
    bare = Client()
    client: Any = tokprof.wrap(bare)
    for name in ("name", "timeout", "headers", "json", "parent", "Error", "_secret"):
        assert type(getattr(client, name)) is type(getattr(bare, name))
        assert getattr(client, name) is getattr(bare, name)


def test_objects_that_are_not_written_in_python_come_back_as_they_are() -> None:
    bare = SimpleNamespace(
        array=np.arange(3), lock=threading.Lock(), at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    )
    client = tokprof.wrap(bare)
    assert client.array is bare.array
    assert client.lock is bare.lock
    assert client.at is bare.at


def test_methods_are_methods() -> None:
    client = tokprof.wrap(Client())
    assert inspect.signature(client.with_options) == inspect.signature(Client().with_options)
    assert inspect.ismethod(client.with_options)
    assert client.with_options.__name__ == "with_options"
    assert client.with_options.__self__ is client.__wrapped__  # type: ignore[attr-defined]
    assert client.close.__doc__ == "Say goodbye."
    assert inspect.iscoroutinefunction(client.chat.completions.acreate)
    assert inspect.isasyncgenfunction(client.chat.completions.astream)
    assert inspect.isgeneratorfunction(tokprof.wrap(generator))
    assert asyncio.iscoroutinefunction(tokprof.wrap(coroutine))
    assert inspect.signature(tokprof.wrap(ask)) == inspect.signature(ask)
    assert tokprof.wrap(ask).__name__ == "ask"
    pending = tokprof.wrap(coroutine)("hi")
    assert inspect.iscoroutine(pending)
    pending.close()


def test_a_wrapped_function_in_a_class_is_a_method() -> None:
    class Agent:
        size = 3

        @tokprof.wrap
        def ask(self, prompt: str) -> Any:
            return {"usage": {"input_tokens": self.size, "output_tokens": len(prompt)}}

    with tokprof.profile() as prof:
        Agent().ask("hi")
    assert rows(prof)[0][2:4] == (3, 2)


def test_a_context_manager_gives_the_proxy() -> None:
    bare = Client()
    with tokprof.profile() as prof, tokprof.wrap(bare) as client:
        client.chat.completions.create()
    assert bare.parent == "left"  # type: ignore[comparison-overlap]
    assert rows(prof) == [FULL]


def test_copies_are_wrapped_and_pickles_are_not() -> None:
    bare = Llama()
    llm = tokprof.wrap(bare)
    loaded = pickle.loads(pickle.dumps(llm))
    assert type(loaded) is Llama
    assert loaded.model_path == "model.gguf"
    assert pickle.loads(pickle.dumps(tokprof.wrap(ask))) is ask
    with tokprof.profile() as prof:
        for twin in (copy.copy(llm), copy.deepcopy(llm)):
            assert twin is not llm
            assert twin.__wrapped__ is not bare  # type: ignore[attr-defined]
            twin("hi")
    assert rows(prof) == [FULL] * 2


def test_clients_made_by_a_client_are_watched_too() -> None:
    client = tokprof.wrap(Client())
    other = client.with_options(timeout=2.0)  # before the recording
    with tokprof.profile() as prof:
        other.chat.completions.create()
        client.with_options(timeout=3.0).chat.completions.create()
    assert other.timeout == 2.0
    assert rows(prof) == [FULL] * 2


def test_results_come_back_as_they_are() -> None:
    llm = tokprof.wrap(Llama())
    assert llm("hi") is ANSWER
    with tokprof.profile():
        assert llm("hi") is ANSWER


def test_without_a_recording_nothing_happens() -> None:
    stream = iter(CHUNKS)
    assert tokprof.wrap(lambda: stream)() is stream
    pending = coroutine("hi")
    assert tokprof.wrap(lambda: pending)() is pending
    pending.close()
    with warnings.catch_warnings(action="error"):
        assert list(tokprof.wrap(generator)("hi")) == CHUNKS


def test_wrapping_twice_counts_once() -> None:
    inner = tokprof.wrap(Llama(), model="a")
    outer = tokprof.wrap(inner, model="b")
    with tokprof.profile() as prof:
        outer("hi")
    assert [row[0] for row in rows(prof)] == ["chat b"]


@pytest.mark.parametrize("wrong", [None, "text", 3, [ask], {"a": 1}, ValueError()], ids=repr)
def test_data_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="takes a client, a model or a function, not"):
        tokprof.wrap(wrong)


def test_other_mistakes_are_refused() -> None:
    with pytest.raises(TypeError, match=r"Client is a class: wrap an instance of it, tokprof.wrap\(Client"):
        tokprof.wrap(Client)
    with pytest.raises(TypeError, match="is a result: wrap the function that makes it"):
        tokprof.wrap(generator("hi"))
    with pytest.raises(ValueError, match="no kind of span"):
        tokprof.wrap(ask, kind="model")
    with pytest.raises(TypeError, match="usage is a function"):
        tokprof.wrap(ask, usage={})  # type: ignore[arg-type]


def test_functions_of_a_module() -> None:
    module = types.ModuleType("sdk")
    module.ask, module.Client = ask, Client  # type: ignore[attr-defined]
    sdk: Any = tokprof.wrap(module)
    assert sdk.Client is Client
    with tokprof.profile() as prof:
        sdk.ask("hi")
    assert rows(prof) == [FULL]


# clients that the wire shows, too


def say(text: str = "hi") -> Any:
    return [{"role": "user", "content": text}]


def test_an_openai_client_is_counted_once(provider: SimulatedProvider) -> None:
    bare = provider.openai()
    client = tokprof.wrap(bare)

    def program(client: Any) -> None:
        answer = client.chat.completions.create(model="gpt-4o-mini", messages=say())
        assert answer.usage.prompt_tokens > 0
        options = {"include_usage": True}
        for _ in client.chat.completions.create(
            model="gpt-4o-mini", messages=say(), stream=True, stream_options=options
        ):
            pass
        with client.chat.completions.create(
            model="gpt-4o-mini", messages=say(), stream=True, stream_options=options
        ) as chunks:
            assert len(list(chunks)) > 2
        client.embeddings.create(model="text-embedding-3-small", input=["a", "bc"])
        client.with_options(timeout=3).responses.create(model="gpt-4o", input="hello")
        client.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=say()).parse()
        with client.responses.stream(model="gpt-4o", input="hello") as events:
            for _ in events:
                pass
            assert events.get_final_response().usage.input_tokens > 0

    with tokprof.profile() as seen:
        program(bare)
    with tokprof.profile() as wrapped:
        program(client)
    assert seen.totals.calls == wrapped.totals.calls == 7
    for name in ("input_tokens", "output_tokens", "total_tokens", "cost", "unknown_calls"):
        assert getattr(wrapped.totals, name) == pytest.approx(getattr(seen.totals, name)), name


async def test_async_clients_are_counted_once(provider: SimulatedProvider) -> None:
    openai, claude = tokprof.wrap(provider.async_openai()), tokprof.wrap(provider.async_anthropic())
    with tokprof.profile() as prof:
        await openai.chat.completions.create(model="gpt-4o-mini", messages=say())
        stream = await openai.chat.completions.create(
            model="gpt-4o-mini", messages=say(), stream=True, stream_options={"include_usage": True}
        )
        async for _ in stream:
            pass
        await claude.messages.create(model="claude-haiku-4-5", messages=say(), max_tokens=9)
        async with claude.messages.stream(model="claude-haiku-4-5", messages=say(), max_tokens=9) as events:
            text = "".join([text async for text in events.text_stream])
            final = await events.get_final_message()
    assert final.content[0].text == text
    wire = prof.df[prof.df.host.notna()]
    assert prof.totals.total_tokens == wire.total_tokens.sum()
    assert prof.totals.calls == len(wire) == 4


def test_a_refused_request_is_one_error(provider: SimulatedProvider) -> None:
    provider.fail(400)
    client = tokprof.wrap(provider.openai())
    with tokprof.profile() as prof:
        with pytest.raises(Exception, match="400"):
            client.chat.completions.create(model="gpt-4o-mini", messages=say())
    assert (prof.totals.calls, prof.totals.errors, prof.totals.unknown_calls) == (1, 1, 0)


def test_anthropic_streams_in_a_context(provider: SimulatedProvider) -> None:
    client = tokprof.wrap(provider.anthropic())
    with tokprof.profile() as prof:
        with client.messages.stream(model="claude-haiku-4-5", messages=say(), max_tokens=9) as stream:
            for _ in stream:
                pass
    outer, wire = prof.df.iloc[1], prof.df.iloc[2]
    assert (outer.input_tokens, outer.output_tokens) == (wire.input_tokens, wire.output_tokens)
    assert prof.totals.total_tokens == wire.total_tokens
    assert prof.totals.calls == 1


def test_an_object_that_answers_to_any_name() -> None:
    class Anything:
        def __getattr__(self, name: str) -> Anything:
            return self

        def __call__(self, *_args: Any, **_kwargs: Any) -> dict[str, Any]:
            return {"model": "m", "usage": {"prompt_tokens": 3, "completion_tokens": 2}}

    client = tokprof.wrap(Anything())
    with tokprof.profile() as prof:
        assert client.chat.create("x")["model"] == "m"
    assert prof.calls.total_tokens.tolist() == [5]


def test_an_object_that_fails_to_tell_its_name_is_called_all_the_same() -> None:
    class Odd:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

        def __call__(self, _text: str) -> str:
            return "said"

    odd = tokprof.wrap(Odd())
    with pytest.warns(RuntimeWarning, match="could not watch a call"), tokprof.profile():
        assert odd("x") == "said"


def test_a_coroutine_that_is_never_begun_is_closed_quietly(recwarn: pytest.WarningsRecorder) -> None:
    async def never_begun() -> None:
        raise AssertionError

    with tokprof.profile() as prof:
        running = tokprof.wrap(never_begun)()
        running.close()  # as a task that is cancelled before its first step
        del running
    gc.collect()
    assert not [told for told in recwarn.list if "never_begun" in str(told.message)]
    assert prof.totals.calls == 0
