"""The replay cache: what was answered once is not sent again, is given as it came, and is never billed."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import pytest
import requests

import tokprof
from tokprof.testing import SimulatedProvider

from .caching import ASK, STREAM, assert_hit, twice, url


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    tokprof.cache.clear()
    yield
    tokprof.cache.clear()


@pytest.fixture
def provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider(compress=True) as running:
        running.reply(text="word " * 20, input_tokens=1000, output_tokens=60, cache_read_tokens=800, times=None)
        yield running


# --- what is the same, and what is kept ------------------------------------------------------------------------------


def send(provider: SimulatedProvider, body: Any = ASK, query: str = "", **settings: Any) -> httpx2.Response:
    with httpx2.Client() as client:
        return client.post(url(provider) + query, json=body, **settings)


def sent(provider: SimulatedProvider, *asks: Callable[[], Any]) -> int:
    """Requests that reach the provider."""
    before = len(provider.requests)
    with tokprof.cache():
        for ask in asks:
            ask()
    return len(provider.requests) - before


def test_the_order_of_outer_members_and_white_space_do_not_count(provider: SimulatedProvider) -> None:
    turned = json.dumps(dict(reversed(ASK.items())), indent=2)
    assert sent(provider, lambda: send(provider), lambda: requests.post(url(provider), data=turned)) == 2
    headers = {"content-type": "application/json", "accept": "*/*"}
    assert sent(provider, lambda: requests.post(url(provider), data=turned, headers=headers)) == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda provider: send(provider, ASK | {"temperature": 0.5}),
        lambda provider: send(provider, ASK | {"messages": [{"role": "user", "content": "hello!"}]}),
        lambda provider: send(provider, STREAM),
        lambda provider: send(provider, query="?api-version=2"),
        lambda provider: send(provider, headers={"anthropic-beta": "more"}),
    ],
    ids=["parameter", "prompt", "stream", "version", "header"],
)
def test_another_request_is_sent(provider: SimulatedProvider, change: Callable[[SimulatedProvider], Any]) -> None:
    assert sent(provider, lambda: send(provider), lambda: change(provider)) == 2


def test_who_asks_does_not_count(provider: SimulatedProvider) -> None:
    asks = [
        lambda: send(provider, headers={"authorization": "Bearer one"}),
        lambda: send(provider, headers={"authorization": "Bearer two", "x-api-key": "three", "cookie": "four"}),
        lambda: send(provider, query="?key=five"),
        lambda: send(provider, query="?api_key=six&access_token=seven"),
    ]
    assert sent(provider, *asks) == 1


def test_nothing_but_answers_of_models_is_kept() -> None:
    with SimulatedProvider() as provider:
        provider.raw(b'{"id": 7, "created": true}', times=None)

        def ask() -> Any:
            return httpx2.post(f"{provider.url}/api/orders", json={"what": "tea"})

        assert sent(provider, ask, ask) == 2
    assert tokprof.cache.info().answers == 0


def test_errors_are_not_kept(provider: SimulatedProvider) -> None:
    provider.clear()
    provider.fail(429)
    assert sent(provider, lambda: send(provider), lambda: send(provider), lambda: send(provider)) == 2


def test_an_error_inside_a_stream_is_not_kept() -> None:
    events = b'data: {"error": {"message": "overloaded", "type": "server_error"}}\n\ndata: [DONE]\n\n'
    with SimulatedProvider() as provider:
        provider.raw(events, "text/event-stream", chunks=2, times=None)
        assert sent(provider, lambda: send(provider, STREAM), lambda: send(provider, STREAM)) == 2


def test_streams_that_were_cut_are_not_kept(provider: SimulatedProvider) -> None:
    def leave() -> None:
        with httpx2.Client() as client, client.stream("POST", url(provider), json=STREAM) as response:
            next(response.iter_bytes())

    assert sent(provider, leave, leave) == 2
    provider.clear()
    provider.drop(mid=True, times=2)
    for _ in range(2):
        with pytest.raises(httpx2.HTTPError):
            sent(provider, lambda: send(provider, STREAM))
    assert len(provider.requests) == 2
    assert tokprof.cache.info().answers == 0


def test_an_answer_that_is_no_whole_json_is_not_kept() -> None:
    with SimulatedProvider() as provider:
        provider.raw(b'{"object": "chat.completion", "usage": {"prompt_tokens": 3, "completion', times=None)
        assert sent(provider, lambda: send(provider), lambda: send(provider)) == 2


def test_a_stream_that_was_left_at_its_last_word_is_kept(provider: SimulatedProvider) -> None:
    def ask() -> list[str]:
        lines = []
        with httpx2.Client() as client, client.stream("POST", url(provider), json=STREAM) as response:
            for line in response.iter_lines():
                lines.append(line)
                if line == "data: [DONE]":
                    break
        return lines

    first, second = twice(provider, ask)
    assert first == second


def test_requests_with_streamed_bodies_or_files_are_sent(provider: SimulatedProvider) -> None:
    def streamed() -> Any:
        body = json.dumps(ASK).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        return httpx2.post(url(provider), content=iter([body]), headers=headers)

    def parts() -> Any:
        return httpx2.post(f"{provider.openai_url}/audio/transcriptions", files={"file": b"..."})

    assert sent(provider, streamed, streamed, parts, parts) == 4


def test_two_that_are_in_flight_at_once_are_both_sent(provider: SimulatedProvider) -> None:
    provider.clear()
    provider.reply(text="slow", latency=0.3, times=None)

    async def ask() -> Any:
        async with httpx2.AsyncClient() as client:
            answers = [client.post(url(provider), json=ASK) for _ in range(2)]
            return [answer.json()["usage"] for answer in await asyncio.gather(*answers)]

    assert sent(provider, lambda: asyncio.run(ask()), lambda: asyncio.run(ask())) == 2


def test_an_estimate_is_what_a_stream_without_usage_saved() -> None:
    silent = {name: value for name, value in STREAM.items() if name != "stream_options"}
    with SimulatedProvider() as provider:
        provider.reply(text="word " * 20, times=None)
        with tokprof.profile() as prof, tokprof.cache():
            send(provider, silent)
            send(provider, silent)
    assert prof.totals.provenance == {"estimated": 1, "cached": 1}
    assert prof.totals.saved_tokens == prof.totals.total_tokens > 20


def test_usage_that_was_asked_for_stays_hidden(provider: SimulatedProvider) -> None:
    silent = {name: value for name, value in STREAM.items() if name != "stream_options"}
    with tokprof.profile(request_usage=True) as prof, tokprof.cache():
        first, second = send(provider, silent).text, send(provider, silent).text
    assert first == second
    assert '"usage":{' not in second
    assert_hit(prof)
    with tokprof.cache():
        assert "prompt_tokens" in send(provider, STREAM).text  # who asks for it sees it
        assert '"choices":[]' not in send(provider, silent).text.replace(" ", "")


def test_an_answer_goes_from_one_library_to_another_decoded() -> None:
    body = json.dumps(
        {"object": "chat.completion", "model": "gpt-4o-mini", "choices": [{"index": 0, "finish_reason": "stop"}]}
        | {"usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}}
    ).encode()
    headers = {"accept": "*/*"}
    with SimulatedProvider() as provider:
        provider.raw(gzip.compress(body), content_encoding="gzip", times=None)
        with tokprof.cache() as cache:
            assert httpx2.post(url(provider), json=ASK, headers=headers).content == body
            assert requests.post(url(provider), json=ASK, headers=headers).content == body

            async def ask() -> bytes:
                async with aiohttp.ClientSession(headers=headers) as session:
                    return await (await session.post(url(provider), json=ASK)).read()

            assert asyncio.run(ask()) == body
        assert (cache.hits, cache.misses, len(provider.requests)) == (2, 1, 1)


# --- age, size, refresh, places --------------------------------------------------------------------------------------


def test_answers_age(provider: SimulatedProvider, clock: Any) -> None:
    def asked(ttl: float | None) -> int:
        before = len(provider.requests)
        with tokprof.cache(ttl=ttl):
            send(provider)
        return len(provider.requests) - before

    assert asked(60) == 1
    clock.advance(59)
    assert asked(60) == 0
    clock.advance(2)
    assert asked(60) == 1
    clock.advance(1_000_000)
    assert asked(None) == 0
    clock.advance(-1_000_010)  # somebody set the clock
    assert asked(60) == 0
    clock.advance(-100)
    assert asked(60) == 1
    assert asked(0) == 0


def test_what_was_used_longest_ago_goes_first(provider: SimulatedProvider, tmp_path: Path) -> None:
    def ask(n: int) -> Any:
        return send(provider, ASK | {"seed": n})

    for path in (None, tmp_path / "answers.sqlite"):
        with tokprof.cache(path):
            ask(0)
        size = tokprof.cache.info(path).bytes
        assert size > 300
        with tokprof.cache(path, max_bytes=int(3.5 * size)) as cache:
            for n in (1, 2, 0, 3):
                ask(n)
            assert cache.hits == 1
            held = tokprof.cache.info(path)
            assert (held.answers, held.bytes <= 3.5 * size) == (3, True)
            ask(0)
            assert cache.hits == 2
            ask(1)
            assert cache.hits == 2
        with tokprof.cache(path, max_bytes=10) as cache:
            ask(99)
            ask(99)
        assert (cache.hits, tokprof.cache.info(path).answers) == (0, 3)
        tokprof.cache.clear(path)
        assert tokprof.cache.info(path)[:2] == (0, 0)


def test_refresh_sends_and_keeps_the_new_answer(provider: SimulatedProvider) -> None:
    with tokprof.cache():
        old = send(provider).content
    provider.clear()
    provider.reply(text="new", times=None)
    with tokprof.cache(refresh=True) as cache:
        send(provider)
        new = send(provider).content
    assert (cache.hits, cache.misses) == (0, 2)
    with tokprof.cache():
        assert send(provider).content == new != old


def test_it_is_off_by_default(provider: SimulatedProvider) -> None:
    with tokprof.profile():
        send(provider)
        send(provider)
    assert len(provider.requests) == 2
    assert tokprof.cache.info() == (0, 0, None)


def test_without_a_recording_it_works_and_leaves_nothing(provider: SimulatedProvider) -> None:
    before = tokprof.last()
    with tokprof.cache() as cache:
        send(provider)
        assert send(provider).json()["usage"]["prompt_tokens"] == 1000
        assert tokprof.traceparent() is None
    assert (cache.hits, cache.misses, len(provider.requests)) == (1, 1, 1)
    assert tokprof.last() is before
    send(provider)
    assert len(provider.requests) == 2


def test_it_adds_no_row_and_what_outlives_it_is_not_late(provider: SimulatedProvider) -> None:
    async def work() -> tokprof.Profile:
        async with tokprof.profile("work") as prof, httpx2.AsyncClient() as client:
            with tokprof.span("step", kind="agent"):
                async with tokprof.cache():
                    task = asyncio.create_task(client.post(url(provider), json=ASK))
                    await asyncio.sleep(0)
            await task
        return prof

    prof = asyncio.run(work())
    assert prof.df["name"].tolist() == ["work", "step", "chat gpt-4o-mini"]
    call = prof.calls.iloc[0]
    assert (call.parent_id, bool(call.late), call.status) == (prof.df.span_id[1], False, "ok")
    assert tokprof.cache.info().answers == 1


def test_a_profile_inside_has_its_own_rows(provider: SimulatedProvider) -> None:
    with tokprof.cache(), tokprof.profile("inner") as prof:
        send(provider)
        send(provider)
    assert_hit(prof)
    assert prof.df["name"].tolist()[0] == "inner"
    assert prof.df.parent_id.isna().sum() == 1


def test_the_innermost_cache_holds(provider: SimulatedProvider, tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    with tokprof.cache() as outer:
        send(provider)
        with tokprof.cache(path) as inner:
            send(provider)
            with tokprof.profile() as prof:
                send(provider)
        send(provider)
    assert (outer.hits, outer.misses, inner.hits, inner.misses) == (1, 1, 1, 1)
    assert prof.totals.cache_hits == 1
    assert (tokprof.cache.info().answers, tokprof.cache.info(path).answers) == (1, 1)


def test_a_nested_profile_takes_part(provider: SimulatedProvider) -> None:
    with tokprof.profile() as outer, tokprof.cache():
        send(provider)
        with tokprof.profile() as inner:
            send(provider)
    assert_hit(outer)
    assert (inner.totals.cache_hits, inner.totals.total_tokens) == (1, 0)


def test_threads_that_libraries_start_take_part(provider: SimulatedProvider) -> None:
    with tokprof.cache() as cache:
        for _ in range(2):
            thread = threading.Thread(target=send, args=(provider,))
            thread.start()
            thread.join()
    assert (cache.hits, len(provider.requests)) == (1, 1)


def test_tasks_may_share_one_scope(provider: SimulatedProvider) -> None:
    shared = tokprof.cache()

    async def ask(client: httpx2.AsyncClient, n: int) -> None:
        async with shared:
            for _ in range(2):
                await client.post(url(provider), json=ASK | {"seed": n})
        await client.post(url(provider), json=ASK | {"seed": n})

    async def work() -> None:
        async with httpx2.AsyncClient() as client:
            await asyncio.gather(*(ask(client, n) for n in range(5)))

    asyncio.run(work())
    assert (shared.hits, shared.misses, len(provider.requests)) == (5, 5, 10)


def test_functions_of_every_kind(provider: SimulatedProvider) -> None:
    @tokprof.cache()
    def plain() -> Any:
        return send(provider).json()

    @tokprof.cache()
    async def coroutine() -> Any:
        async with httpx2.AsyncClient() as client:
            return (await client.post(url(provider), json=ASK)).json()

    @tokprof.cache()
    def generator() -> Iterator[Any]:
        yield send(provider).json()

    @tokprof.cache()
    async def async_generator() -> Any:
        yield send(provider).json()

    async def collect() -> Any:
        return [each async for each in async_generator()]

    first = plain()
    assert [first] * 3 == [plain(), asyncio.run(coroutine()), *generator()]
    assert asyncio.run(collect()) == [first]
    steps = generator()
    next(steps)
    send(provider)  # between the items of a generator: outside
    assert len(provider.requests) == 2
    assert plain.__name__ == "plain"
    with pytest.raises(TypeError, match="class"):
        tokprof.cache()(type("Some", (), {}))
    with pytest.raises(TypeError, match="brackets"):
        tokprof.cache(plain)


@pytest.mark.parametrize("settings", [{"ttl": -1}, {"ttl": float("nan")}, {"ttl": "1"}, {"max_bytes": -1}])
def test_terms_that_are_none_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        tokprof.cache(**settings)


# --- budgets, books, files -------------------------------------------------------------------------------------------


def test_a_budget_does_not_count_hits(provider: SimulatedProvider) -> None:
    with tokprof.cache():
        send(provider)
        with tokprof.budget(calls=1, tokens=1) as budget:
            for _ in range(3):
                send(provider)
        assert (budget.spent.calls, budget.spent.tokens, budget.profile.totals.cache_hits) == (0, 0, 3)


def test_processors_and_sums_of_what_was_not_kept(provider: SimulatedProvider) -> None:
    with tokprof.use(tokprof.processors.cost(lambda span: 1.0)), tokprof.profile() as prof, tokprof.cache():
        send(provider)
        send(provider)
    assert (prof.totals.cost, prof.totals.cache_hits) == (1, 1)
    with tokprof.use(lambda span: None if span.source else span), tokprof.profile() as prof, tokprof.cache():
        for _ in range(4):
            send(provider)
    assert (prof.totals.calls, prof.totals.cache_hits, prof.totals.saved_tokens) == (4, 4, 4 * 1060)
    assert prof.totals.saved_cost > 0


def test_it_is_told_wherever_a_profile_is(provider: SimulatedProvider) -> None:
    from tokprof.views.summary import final_state

    with tokprof.profile() as prof, tokprof.cache():
        for _ in range(3):
            send(provider)
    told = "2 of 3 calls answered from a cache: 2,120 tokens and $0.00"
    assert told in str(prof)
    assert told in final_state(prof)["notes"][0]
    assert told in prof.snapshot()
    assert "| Tokens saved | 2,120 |" in prof.to_markdown()
    groups = prof.by("model")
    assert (groups.cache_hits.item(), groups.saved_tokens.item()) == (2, 2120)
    assert groups.saved_cost.item() == pytest.approx(prof.totals.saved_cost)


def test_what_is_shown_while_it_runs_is_what_is_shown_at_its_end(provider: SimulatedProvider) -> None:
    from tokprof.analysis.tally import Tally
    from tokprof.views.summary import live_state

    with tokprof.profile() as prof, tokprof.cache():
        tally = Tally(prof._recording)
        with tokprof.span("framework", kind="llm") as step:
            for _ in range(3):
                send(provider)
            step.record(model="gpt-4o-mini", provider="openai", input_tokens=3000, output_tokens=180)
        tally.update()
        state = live_state(tally, prof._recording)
    assert (prof.totals.calls, prof.totals.total_tokens, prof.totals.cache_hits) == (3, 1060, 2)
    assert (state["calls"], state["tokens"]) == (3, 1060)
    assert state["cost"] == pytest.approx(prof.totals.cost)
    assert "2 of 3 calls answered from a cache: 2,120 tokens" in state["notes"][-1]


def test_advice_and_times_are_of_what_was_sent(provider: SimulatedProvider) -> None:
    with tokprof.profile(capture="full") as prof, tokprof.cache():
        for _ in range(4):
            send(provider)
    with tokprof.profile(capture="full") as plain:
        for _ in range(4):
            send(provider)
    assert "identical calls" in repr(plain.advice())
    assert "identical calls" not in repr(prof.advice())
    assert prof.latency().calls.tolist() == [1]


def test_it_is_saved_and_loaded(provider: SimulatedProvider, tmp_path: Path) -> None:
    with tokprof.profile() as prof, tokprof.cache():
        send(provider)
        send(provider)
    for name in ("run.jsonl", "run.parquet"):
        again = tokprof.load(prof.save(tmp_path / name))
        assert_hit(again)
        assert again.totals.to_dict() == prof.totals.to_dict()
    assert '"tokprof.saved_tokens"' in prof.to_otlp()
    assert "saved_tokens" in prof.to_chrome_trace()


def test_prompts_and_answers_of_a_hit_are_kept_as_those_of_a_call(provider: SimulatedProvider) -> None:
    with tokprof.profile(capture="full") as prof, tokprof.cache():
        send(provider)
        send(provider)
    first, second = (prof.content(span) for span in prof.calls.span_id)
    assert first == second
    assert "word word" in second["answer"]


def test_the_sdk_of_openai_does_not_try_again_what_the_cache_answered(provider: SimulatedProvider) -> None:
    provider.clear()
    provider.fail(500)
    provider.reply(text="fine", times=None)
    with tokprof.profile() as prof, tokprof.cache(), provider.openai(max_retries=1) as client:
        asked: Any = ASK
        client.chat.completions.create(**asked)
        client.chat.completions.create(**asked)
    assert prof.calls.status.tolist() == ["error", "ok", "ok"]
    assert prof.totals.cache_hits == 1
