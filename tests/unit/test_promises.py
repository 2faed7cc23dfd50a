"""The promises of the design: books balance, no silent zero, credit where it is due, prompts stay in the kernel."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import pickle
import threading
from typing import Any

import httpx2
import openai
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tokprof
from tokprof.analysis.books import METRICS
from tokprof.testing import SimulatedProvider

MINI = "gpt-4o-mini"
TOKENS = ("input", "output", "cache_read", "cache_write", "reasoning")


def say(text: str = "hi") -> Any:
    return [{"role": "user", "content": text}]


def ask(client: Any, text: str = "hi", **more: Any) -> Any:
    return client.chat.completions.create(model=MINI, messages=say(text), **more)


def draw() -> None:
    """A call whose tokens nobody tells, and no text shows: a picture."""
    client = httpx2.Client(transport=httpx2.MockTransport(lambda _request: httpx2.Response(200, json={"data": []})))
    client.post("https://api.openai.com/v1/images/generations", json={"model": "dall-e-3", "prompt": "a cat"})


def book(prof: tokprof.Profile) -> dict[str, float]:
    """Totals of a profile, after a check that every way to sum up says the same."""
    tree, totals, by = prof.tree(), prof.totals, prof.by("kind", "model")
    found = {}
    for metric in METRICS:
        name = metric if metric == "cost" else f"{metric}_tokens"
        found[metric] = totals[name]
        assert tree[f"self_{metric}"].sum() == pytest.approx(totals[name])
        root = tree[f"total_{metric}"].iloc[0]
        assert (0 if pd.isna(root) else root) == pytest.approx(totals[name])
        assert by[name].sum() == pytest.approx(totals[name])
        assert (tree[f"self_{metric}"].dropna() >= 0).all()
        assert prof.call_tree.own[:, METRICS.index(metric)].sum() == pytest.approx(totals[name])
    assert totals.total_tokens == totals.input_tokens + totals.output_tokens + totals.embedding_tokens
    assert totals.total_tokens == tree.self_tokens.sum() == by.total_tokens.sum()
    assert tree.calls.iloc[0] == by.calls.sum() == totals.calls == len(prof.calls)
    return found


# 1. the books balance


def test_a_mixed_program_comes_to_what_the_provider_counted(provider: SimulatedProvider) -> None:
    gpt, anthropic = provider.openai(), provider.async_anthropic()
    tool: Any = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}
    claude = {"model": "claude-haiku-4-5", "max_tokens": 99}
    provider.reply("cached", when="read it", input_tokens=5000, cache_read_tokens=4000, cache_write_tokens=500,
                   cache_write_1h_tokens=200, output_tokens=70)  # fmt: skip
    provider.reply("thought", when="think", reasoning_tokens=40, output_tokens=50)
    provider.reply(tool_calls=[("find", {"q": "x"})])

    async def claudes() -> None:
        await asyncio.gather(
            anthropic.messages.create(messages=say("read it"), **claude),
            anthropic.messages.create(messages=say("two"), **claude),
        )
        async with anthropic.messages.stream(messages=say("three"), **claude) as stream:
            async for _ in stream:
                pass

    with tokprof.profile() as prof:
        with tokprof.span("agent", kind="agent"):
            ask(gpt, "think")
            ask(gpt, "tools", tools=[tool])
            gpt.embeddings.create(model="text-embedding-3-small", input=["a", "bc"])
        for _ in ask(gpt, stream=True, stream_options={"include_usage": True}):
            pass
        gpt.responses.create(model="gpt-4o", input="hello")
        with gpt.responses.stream(model="gpt-4o", input="hello") as events:
            for _ in events:
                pass
        asyncio.run(claudes())

    truth = provider.truth
    assert len(truth) == prof.totals.calls == 9
    found = book(prof)
    embedded = [told for told in truth if told["model"] == "text-embedding-3-small"]
    for metric in TOKENS:
        assert found[metric] == sum(told[f"{metric}_tokens"] for told in truth if told not in embedded), metric
    assert found["embedding"] == sum(told["input_tokens"] for told in embedded) > 0
    assert found["cache_read"] == 4000 and found["cache_write"] == 500 and found["reasoning"] == 40
    assert prof.totals.exact


CHAT = {"object": "chat.completion", "choices": []}
VECTORS = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}]}


class Wire:
    """A client whose every answer has the usage that was set."""

    def __init__(self) -> None:
        self.answer: dict[str, Any] = {}
        transport = httpx2.MockTransport(lambda _request: httpx2.Response(200, json=self.answer))
        self.client = httpx2.Client(transport=transport)

    def call(self, tokens_in: int, tokens_out: int) -> None:
        self.answer = CHAT | {"usage": {"prompt_tokens": tokens_in, "completion_tokens": tokens_out}}
        self.client.post("https://api.openai.com/v1/chat/completions", json={"model": "m", "messages": []})

    def embed(self, tokens: int) -> None:
        self.answer = VECTORS | {"usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
        self.client.post("https://api.openai.com/v1/embeddings", json={"model": "m", "input": "x"})


count = st.integers(0, 1000)
calls = st.tuples(st.just("call"), st.integers(1, 1000), count) | st.tuples(st.just("embed"), st.integers(1, 1000))
records = st.none() | st.tuples(count, count, st.none() | st.integers(0, 9))
programs = st.recursive(
    calls, lambda inner: st.tuples(st.just("span"), records, st.lists(inner, max_size=4)), max_leaves=12
)


def play(wire: Wire, step: Any) -> list[float]:
    """Run a program; gives what it must come to: input, output, embedding, USD; then the calls, and the unpriced."""
    if step[0] == "call":
        wire.call(step[1], step[2])
        return [step[1], step[2], 0, 0, 1, 1]
    if step[0] == "embed":
        wire.embed(step[1])
        return [0, 0, step[1], 0, 1, 1]
    _, record, inner = step
    with tokprof.span("step", kind="llm") as span:
        below = [sum(each) for each in zip(*(play(wire, child) for child in inner), strict=True)] or [0] * 6
        if record:
            span.record(input_tokens=record[0], output_tokens=record[1], cost=record[2], model="m")
    if not record:
        return below
    used = [max(record[0] - below[2], below[0]), max(record[1], below[1])]  # whoever sums up counts embeddings as input
    accounted = below[4] and not below[5] and used == below[:2]  # then so is the cost
    cost = below[3] if accounted else max(record[2] or 0, below[3])
    return [*used, below[2], cost, below[4] + 1, below[5] + (record[2] is None)]


@settings(max_examples=60, deadline=None)
@given(st.lists(programs, max_size=4))
def test_a_token_counts_once_whoever_reports_it(steps: list[Any]) -> None:
    wire = Wire()
    with tokprof.profile() as prof:
        expected = [sum(figures) for figures in zip(*(play(wire, step) for step in steps), strict=True)] or [0] * 6
    found = book(prof)
    assert [found[name] for name in ("input", "output", "embedding", "cost")] == pytest.approx(expected[:4])


def test_a_framework_that_sums_up_what_the_wire_saw_is_not_counted_again() -> None:
    wire = Wire()
    with tokprof.profile() as prof, tokprof.span("framework", kind="agent") as outer:
        wire.call(100, 10)
        wire.call(200, 20)
        outer.record(input_tokens=350, output_tokens=30)
    assert (book(prof)["input"], book(prof)["output"]) == (350, 30)
    tree = prof.tree().set_index("name")
    assert tree.loc["framework", ["self_input", "self_output"]].tolist() == [50, 0]


def test_an_embedding_that_a_step_sums_up_counts_once() -> None:
    wire = Wire()
    with tokprof.profile() as prof:
        with tokprof.span("framework", kind="agent") as step:
            wire.call(100, 10)
            wire.embed(12)
            step.record(input_tokens=112, output_tokens=10)
        with tokprof.span("store", kind="embedding") as step:
            wire.embed(5)
            step.record(operation="embeddings", input_tokens=8)
    assert [book(prof)[name] for name in ("input", "output", "embedding")] == [100, 10, 20]
    assert prof.totals.calls == 4
    tree = prof.tree().set_index("name")
    assert tree.loc[["framework", "store"], "self_tokens"].tolist() == [0, 3]


def test_a_step_that_records_what_the_wire_saw_is_no_second_call() -> None:
    wire = Wire()
    with tokprof.profile() as prof:
        with tokprof.span("step", kind="agent") as step:
            wire.call(100, 10)
            step.record(model=MINI, input_tokens=100, output_tokens=10, cost=3)
        with tokprof.span("more", kind="agent") as step:
            wire.call(100, 10)
            step.record(model=MINI, input_tokens=150, output_tokens=10)
    book(prof)
    assert prof.totals.calls == prof.by("kind").calls.sum() == 3
    assert prof.totals.provenance == {"reported": 3}
    tree = prof.tree().set_index("name")
    assert tree.loc[["step", "more"], "calls"].tolist() == [1, 2]
    assert tree.loc["step", "self_tokens"] == 0
    assert tree.loc["step", "self_cost"] == 3  # the wire's price is not known: nothing else tells what it cost


def test_cost_is_accounted_for_where_the_tokens_are() -> None:
    with tokprof.profile() as prof, tokprof.span("step", kind="agent") as step:
        with tokprof.span("call", kind="llm") as call:
            call.record(model=MINI, input_tokens=100, output_tokens=10, cost=0.5)
        step.record(model=MINI, input_tokens=100, output_tokens=10, cost=0.6)
    assert book(prof)["cost"] == 0.5
    assert prof.totals.calls == 1
    assert prof.tree().set_index("name").loc["step", ["self_tokens", "self_cost"]].tolist() == [0, 0]


# 2. no silent zero


def test_a_refused_request_is_known_to_be_free(provider: SimulatedProvider) -> None:
    provider.fail(400)
    with tokprof.profile() as prof, contextlib.suppress(Exception):
        ask(provider.openai(max_retries=0))
    groups, tree = prof.by("model"), prof.tree()
    assert groups[["total_tokens", "cost", "unknown_calls", "unpriced_calls"]].iloc[0].tolist() == [0, 0, 0, 0]
    assert tree[["total_tokens", "total_cost", "unpriced_calls"]].iloc[0].tolist() == [0, 0, 0]
    assert "price unknown" not in str(prof) and "✕1" in str(prof) and "?" not in str(prof)


def test_a_refused_request_tells_nothing_of_others(provider: SimulatedProvider) -> None:
    provider.fail(429)
    provider.fail(429)
    with tokprof.profile() as prof:
        with pytest.raises(openai.RateLimitError):
            ask(provider.openai(max_retries=1))
        draw()
    row = prof.by("kind").iloc[0]
    assert (row.calls, row.unknown_calls, row.unpriced_calls) == (3, 1, 1)
    assert pd.isna(row.total_tokens) and pd.isna(row.cost)
    assert "✕2 ↻1" in str(prof)
    assert "tokens unknown" in str(prof)


def test_the_lines_of_the_function_that_opened_a_profile_are_kept() -> None:
    wire = Wire()

    def helper() -> None:
        wire.call(1, 1)

    with tokprof.profile() as prof:
        helper()
        helper()
        with tokprof.span("named"):
            helper()
    tree = prof.tree()
    lines = tree[tree.depth == 1]["name"].tolist()
    first = int(lines[0].removeprefix("test_promises.py:"))
    assert lines == [f"test_promises.py:{first + n}" for n in range(3)]
    assert tree[tree.depth == 2]["name"].tolist() == ["helper", "helper", "named"]
    assert tree[tree.depth == 3]["name"].tolist()[2:] == ["helper"]


def test_what_was_not_told_is_null_and_said() -> None:
    with tokprof.profile() as prof:
        draw()
    row = prof.calls.iloc[0]
    assert row.usage_source == "missing"
    for name in ("input_tokens", "output_tokens", "total_tokens", "cache_read_tokens", "cost"):
        assert pd.isna(row[name])
    assert row.cost_source == "missing"
    assert not prof.totals.exact
    for shown in (str(prof), prof.snapshot()):
        assert "?" in shown
        assert "did not tell all of its tokens" in shown
    line = next(line for line in str(prof).splitlines() if line.endswith("images dall-e-3"))
    assert line.split()[0] == "?"


def test_a_sum_with_a_miss_in_it_is_a_lower_bound(provider: SimulatedProvider) -> None:
    with tokprof.profile() as prof:
        ask(provider.openai())
        draw()
    known = provider.truth[0]["input_tokens"] + provider.truth[0]["output_tokens"]
    assert f"≥ {known} tokens" in str(prof)
    assert f"≥ {known} tokens" in prof.snapshot()
    assert any(line.split()[0] == f"≥{known}" for line in str(prof).splitlines() if line)
    assert prof.by("model").unknown_calls.sum() == 1


def test_a_stream_that_does_not_tell_is_estimated_and_said(provider: SimulatedProvider) -> None:
    text = "Heat pumps move heat instead of making it, so one unit of power gives three of warmth."
    provider.reply(text, output_tokens=19)
    with tokprof.profile() as prof:
        for _ in ask(provider.openai(), text="Are heat pumps worth it?", stream=True):
            pass
    row = prof.calls.iloc[0]
    assert (row.status, row.usage_source, row.tokenizer) == ("ok", "estimated", "o200k_base")
    assert (row.input_tokens, row.output_tokens) == (6 + 4 + 3, 19)
    assert row.cost_source == "priced"
    assert not prof.totals.exact
    assert prof.totals.unknown_calls == 0
    for shown in (str(prof), prof.snapshot()):
        assert "~ 32 tokens" in shown
        assert "1 call estimated by a tokenizer." in shown


def test_a_call_that_was_cancelled_is_not_free(provider: SimulatedProvider) -> None:
    provider.reply("Heat pumps " * 100, output_tokens=200)
    with tokprof.profile() as prof:
        stream = ask(provider.openai(), text="Are heat pumps worth it?", stream=True)
        for _ in range(20):
            next(stream)
        stream.close()
    row = prof.calls.iloc[0]
    assert (row.status, row.usage_source) == ("partial", "partial")
    assert row.input_tokens == 13
    assert 0 < row.output_tokens < 200
    assert row.cost > 0
    assert "≥" in str(prof)


@pytest.mark.parametrize("kind", ["llm", "task"])
@pytest.mark.parametrize("known", ["input_tokens", "output_tokens"])
def test_half_of_the_tokens_is_a_lower_bound(known: str, kind: str) -> None:
    with tokprof.profile() as prof, tokprof.span("local", kind=kind) as span:
        span.record(**{known: 7}, model=MINI)
    assert pd.isna(prof.calls.iloc[0].total_tokens)
    assert pd.isna(prof.calls.iloc[0].cost)
    assert "≥ 7 tokens" in str(prof)
    assert not prof.totals.exact


def test_an_unknown_price_is_said(provider: SimulatedProvider) -> None:
    with tokprof.profile() as prof:
        provider.openai().chat.completions.create(model="home-made-7b", messages=say())
    assert prof.calls.cost_source.tolist() == ["missing"]
    assert "price unknown" in str(prof) and "$" not in str(prof)
    assert "without a known price" in prof.snapshot()


# 4. credit goes to who spawned the work


async def test_a_late_call_lands_where_it_was_begun(provider: SimulatedProvider) -> None:
    go = asyncio.Event()
    client = provider.async_openai()

    async def later() -> None:
        await go.wait()
        with tokprof.span("later"):
            await ask(client)

    with tokprof.profile() as first:
        task = asyncio.create_task(later(), name="background")
    assert first.totals.calls == 0
    with tokprof.profile() as second:
        go.set()
        await task
    assert first.df.late.tolist() == [False, True, True]
    assert first.calls.task.tolist() == ["background"]
    assert second.totals.calls == 0
    assert book(first)["input"] == provider.truth[0]["input_tokens"]


def test_a_profile_within_a_profile_counts_for_both(provider: SimulatedProvider) -> None:
    client = provider.openai()
    with tokprof.profile("outer", team="a") as outer:
        ask(client)
        with tokprof.profile("inner", run="1") as inner:
            ask(client)
        ask(client)
    assert (outer.totals.calls, inner.totals.calls) == (3, 1)
    assert outer.calls.depth.tolist() == [1, 2, 1]
    assert inner.calls.tags.tolist() == [{"team": "a", "run": "1"}]
    assert book(outer)["input"] == 3 * book(inner)["input"]


def test_threads_with_a_profile_each_do_not_mix(provider: SimulatedProvider) -> None:
    barrier = threading.Barrier(2, timeout=10)
    found: dict[str, tokprof.Profile] = {}

    def work(name: str, times: int) -> None:
        client = provider.openai()
        with tokprof.profile(name) as prof:
            barrier.wait()
            for _ in range(times):
                ask(client, name)
            barrier.wait()
        found[name] = prof

    threads = [threading.Thread(target=work, args=job, name=job[0]) for job in (("a", 2), ("b", 3))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found["a"].totals.calls, found["b"].totals.calls) == (2, 3)
    assert set(found["b"].calls.thread) == {"b"}


def test_a_thread_without_a_context_belongs_to_the_open_profile(provider: SimulatedProvider) -> None:
    client = provider.openai()
    with tokprof.profile() as prof:
        thread = threading.Thread(target=ask, args=(client,), name="worker")
        thread.start()
        thread.join()
    assert prof.calls.thread.tolist() == ["worker"]


def test_a_profile_records_once() -> None:
    with tokprof.profile() as prof:
        assert prof.recording
    assert not prof.recording
    with pytest.raises(RuntimeError, match="make a new one"), prof:
        pass
    assert tokprof.last() is prof


def test_a_profile_ends_when_its_block_raises(provider: SimulatedProvider) -> None:
    with pytest.raises(ZeroDivisionError), tokprof.profile() as prof:
        ask(provider.openai())
        _ = 1 / 0
    assert (prof.recording, prof.totals.calls) == (False, 1)
    ask(provider.openai())
    assert prof.totals.calls == 1


# 5. prompts stay in the kernel


@pytest.mark.parametrize("capture", ["none", "preview", "full"])
@pytest.mark.parametrize("stream", [False, True])
def test_no_view_and_no_column_holds_a_prompt_or_an_answer(
    provider: SimulatedProvider, capture: str, stream: bool
) -> None:
    provider.text = "ANSWER-SECRET"
    client = provider.openai(api_key="sk-KEY-SECRET", default_headers={"x-tenant": "HEADER-SECRET"})
    with tokprof.profile(capture=capture) as prof:
        reply = ask(client, "PROMPT-SECRET", stream=stream)
        for _ in reply if stream else ():
            pass
    span_id = prof.calls.span_id.iloc[0]
    kept = prof.content(span_id)
    if capture == "none":
        assert kept == {}
        assert b"SECRET" not in pickle.dumps(prof.table.spans)
    else:
        assert "PROMPT-SECRET" in kept["prompt"]
        if capture == "preview":
            assert (kept["prompt"], kept["answer"]) == ("PROMPT-SECRET", "ANSWER-SECRET")
    shown = [prof.df.to_csv(), str(prof), repr(prof), prof.snapshot(), prof.to_html(), prof.tree().to_csv()]
    for text in (*shown, prof.flamegraph()._block.decode("latin-1")):
        assert "SECRET" not in text
    for secret in (b"KEY-SECRET", b"HEADER-SECRET"):
        assert secret not in pickle.dumps(prof.table.spans)
    with pytest.raises(KeyError, match="no span"):
        prof.content("0")


def test_a_preview_is_short(provider: SimulatedProvider) -> None:
    provider.text = "y" * 2000
    with tokprof.profile(capture="preview") as prof:
        ask(provider.openai(), "x" * 2000)
    kept = prof.content(prof.calls.span_id.iloc[0])
    assert kept == {"prompt": "x" * 500, "answer": "y" * 500}


@pytest.mark.parametrize(("option", "value"), [("capture", "all"), ("metric", "words")])
def test_wrong_options_are_told(option: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"'{value}' is no .*known: "):
        tokprof.profile(**{option: value})


# what a recording leaves behind


def test_a_profile_leaves_no_scope_behind() -> None:
    from tokprof.recorder import current

    context = contextvars.copy_context()

    def work() -> None:
        with tokprof.profile():
            assert current() is not None
        assert current() is None

    context.run(work)
    assert current() is None
