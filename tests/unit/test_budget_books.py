"""The books of a budget where a program, a processor or tokprof itself does not make it easy."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import aiohttp
import httpx2
import pytest

import tokprof
from tokprof import BudgetExceeded, BudgetWarning
from tokprof.cache import CacheTerms
from tokprof.cells import Plan
from tokprof.testing import SimulatedProvider

from .test_budget_scopes import ANSWER, BODY, CHAT, chat


@pytest.fixture
def client() -> Iterator[httpx2.Client]:
    with httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, json=ANSWER))) as made:
        yield made


def test_what_a_callback_asks_for_and_does_not_get_costs_no_answer(client: httpx2.Client) -> None:
    with pytest.warns(BudgetWarning, match="callback of a budget failed .BudgetExceeded"):
        with tokprof.budget(calls=1, at=0.5, do=lambda _: chat(client)) as b:
            assert chat(client) == 200
    assert (b.spent.calls, b.reserved.calls) == (1, 0)


def test_what_an_alert_asks_for_and_does_not_get_costs_no_answer(client: httpx2.Client) -> None:
    with pytest.warns(RuntimeWarning, match="BudgetExceeded"), tokprof.budget(calls=1):
        with tokprof.alert(lambda _: True, do=lambda _: chat(client)):
            assert chat(client) == 200


def test_what_a_processor_asks_for_and_does_not_get_costs_no_answer(client: httpx2.Client) -> None:
    def judge(span: Any) -> Any:
        if span.source is not None and span.sent:
            chat(client)
        return span

    with pytest.warns(RuntimeWarning, match="BudgetExceeded"), tokprof.use(judge), tokprof.budget(calls=1) as b:
        assert chat(client) == 200
    assert (b.spent.calls, b.reserved.calls) == (1, 0)


def test_a_processor_that_hides_the_model_hides_no_money(client: httpx2.Client) -> None:
    with tokprof.budget(cost=1) as plain:
        chat(client)
    with tokprof.use(tokprof.processors.mask("gpt-4o-mini")), tokprof.budget(cost=1) as masked:
        chat(client)
    with tokprof.use(tokprof.processors.cost(lambda _: 0.25)), tokprof.budget(cost=1) as told:
        chat(client)
    with tokprof.use(tokprof.processors.sample(0)), tokprof.budget(cost=1) as sampled:
        chat(client)
    assert plain.spent.cost
    assert (masked.spent.cost, told.spent.cost, sampled.spent.cost) == (plain.spent.cost, 0.25, plain.spent.cost)
    assert masked.profile.totals.unpriced_calls == 1


def test_an_answer_that_cannot_be_read_stays_reserved(client: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ValueError("mine")

    with tokprof.budget(tokens=1000) as b:
        with monkeypatch.context() as patch, pytest.warns(RuntimeWarning, match="read the answer of a model"):
            patch.setattr("tokprof.capture.wire.call.read", broken)
            assert client.post(CHAT, json=BODY | {"max_tokens": 50}).status_code == 200
        assert (b.spent.tokens, b.reserved.tokens, b.reserved.calls) == (0, 58, 1)


def test_an_estimate_that_fails_costs_no_books(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ValueError("mine")

    silent = {key: value for key, value in ANSWER.items() if key != "usage"}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json=silent))
    with httpx2.Client(transport=transport) as client, tokprof.budget(tokens=1000) as b:
        with monkeypatch.context() as patch, pytest.warns(RuntimeWarning, match="keep the books of a budget"):
            patch.setattr("tokprof.capture.wire.guarded.drafts.settle", broken)
            client.post(CHAT, json=BODY | {"max_tokens": 50})
        assert (b.spent.calls, b.reserved.tokens, b.reserved.calls) == (1, 58, 0)


def test_an_interrupt_before_a_call_is_sent_leaves_no_call(
    client: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any) -> Any:
        raise KeyboardInterrupt

    with tokprof.budget(tokens=1000, calls=5) as b:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("tokprof.capture.wire.guarded.Need", stopped)
            chat(client)
    assert (b.spent.tokens, b.spent.calls, b.reserved.calls) == (0, 0, 0)
    assert b.profile.totals.total_tokens == 0
    assert b.profile.calls["status"].tolist() == ["cancelled"]


def test_a_refusal_that_aiohttp_raises_gives_all_back(provider: SimulatedProvider) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession(raise_for_status=True) as session:
            with pytest.raises(aiohttp.ClientResponseError):
                await session.post(f"{provider.openai_url}/chat/completions", json=BODY | {"max_tokens": 50})

    provider.fail(429)
    with tokprof.budget(tokens=1000) as b:
        asyncio.run(main())
        assert (b.spent.tokens, b.reserved.tokens) == (0, 0)
    (row,) = b.profile.calls.itertuples()
    assert (row.status, row.http_status) == ("error", 429)


def test_a_stored_answer_that_cannot_be_given_is_a_call_like_any(
    client: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise ValueError("mine")

    tokprof.cache.clear()
    with tokprof.cache(), tokprof.budget(calls=1):
        chat(client)
        monkeypatch.setattr("tokprof.capture.wire.httpx._replay", broken)
        with pytest.warns(RuntimeWarning, match="answer from the replay cache"), pytest.raises(BudgetExceeded):
            chat(client)
    tokprof.cache.clear()


def test_a_cell_keeps_its_budget_where_its_cache_cannot_be_opened(client: httpx2.Client, tmp_path: Any) -> None:
    from tokprof.allowance.terms import terms

    plan = Plan(budget=terms({"calls": 1}), cache=CacheTerms(tmp_path / "gone" / "answers.sqlite"))
    with pytest.warns(RuntimeWarning, match="without a replay cache"):
        recording = plan.recording("In[1]", "cell")
    recording.open()
    try:
        chat(client)
        with pytest.raises(BudgetExceeded):
            chat(client)
    finally:
        recording.close()


def test_time_is_told_after_the_end(client: httpx2.Client, clock: Any) -> None:
    with tokprof.budget(calls=1) as b:
        clock.advance(7)
    clock.advance(5)
    assert b.spent.seconds == 7
