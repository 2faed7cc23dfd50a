"""The books of budgets: limits, nesting, accounts and thresholds, whatever the order of calls."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tokprof
from tokprof import BudgetExceeded, BudgetWarning

CHAT = "https://api.openai.com/v1/chat/completions"
EMBED = "https://api.openai.com/v1/embeddings"


def answer(request: httpx2.Request) -> httpx2.Response:
    """Tell the usage that the request asks for."""
    told = request.headers["x-usage"]
    if told == "saved":
        return httpx2.Response(200, json={"saved": 1})
    if told == "none":
        raise httpx2.ReadTimeout("no answer")
    if told == "refused":
        return httpx2.Response(429, json={"error": {"type": "rate_limit"}})
    tokens_in, tokens_out = map(int, told.split())
    usage = {"prompt_tokens": tokens_in, "total_tokens": tokens_in + tokens_out, "completion_tokens": tokens_out}
    if request.url.path.endswith("/embeddings"):
        return httpx2.Response(200, json={"object": "list", "model": "text-embedding-3-small", "usage": usage})
    choice = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
    return httpx2.Response(
        200, json={"object": "chat.completion", "model": "gpt-4o-mini", "choices": [choice], "usage": usage}
    )


@pytest.fixture
def client() -> Iterator[httpx2.Client]:
    with httpx2.Client(transport=httpx2.MockTransport(answer)) as made:
        yield made


def chat(client: httpx2.Client, usage: str = "10 5", most: int | None = None, prompt: str = "hi") -> httpx2.Response:
    body: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": prompt}]}
    if most is not None:
        body["max_tokens"] = most
    return client.post(CHAT, json=body, headers={"x-usage": usage})


def embed(client: httpx2.Client, usage: str) -> httpx2.Response:
    return client.post(EMBED, json={"model": "text-embedding-3-small", "input": "hello"}, headers={"x-usage": usage})


HI = 8
"""Tokens of the prompt of `chat`, as OpenAI counts them."""


# --- what fits -----------------------------------------------------------------------------------


def test_a_call_that_fits_to_the_last_token_is_sent(client: httpx2.Client) -> None:
    with tokprof.budget(tokens=HI + 20) as b:
        chat(client, f"{HI} 20", most=20)
    assert (b.spent.tokens, b.left.tokens, b.exceeded) == (HI + 20, 0, False)


def test_a_call_that_is_one_token_too_much_is_not_sent() -> None:
    asked = []

    def count(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return answer(request)

    with httpx2.Client(transport=httpx2.MockTransport(count)) as client, tokprof.profile() as prof:
        with pytest.raises(BudgetExceeded) as caught, tokprof.budget(tokens=HI + 19) as b:
            chat(client, f"{HI} 20", most=20)
    assert asked == []
    error = caught.value
    assert (error.kind, error.limit, error.spent, error.asked, error.sent) == ("tokens", HI + 19, 0, HI + 20, False)
    assert error.profile is b.profile
    assert "test_guard.py" in error.where and "chat()" in error.where
    assert "nothing" not in str(error) and f"budget of {HI + 19} tokens, 0 spent, {HI + 20} asked for" in str(error)
    refused = prof.calls.iloc[0]
    assert (refused.status, refused.error, refused.model) == ("error", "BudgetExceeded", "gpt-4o-mini") or (
        refused.request_model == "gpt-4o-mini"
    )
    assert prof.totals.total_tokens == prof.totals.unknown_calls == prof.totals.unpriced_calls == 0


@pytest.mark.parametrize(
    ("limits", "spends", "kind"),
    [
        ({"input_tokens": 15}, ["10 50", "10 50"], "input_tokens"),
        ({"output_tokens": 15}, ["10 10", "10 10"], "output_tokens"),
        ({"calls": 1}, ["10 50", "10 50"], "calls"),
        ({"cost": 0.0001}, ["10 200", "10 200"], "cost"),
        ({"tokens": 1000, "calls": 1}, ["10 50", "10 50"], "calls"),
    ],
)
def test_each_limit(client: httpx2.Client, limits: dict[str, Any], spends: list[str], kind: str) -> None:
    with pytest.raises(BudgetExceeded) as caught, tokprof.budget(**limits):
        for usage in spends:
            chat(client, usage, most=int(usage.split()[1]))
    assert caught.value.kind == kind


def test_embeddings_count_as_tokens_and_are_no_prompt(client: httpx2.Client) -> None:
    with tokprof.budget(tokens=1000, input_tokens=5) as b:
        embed(client, "400 0")
    assert (b.spent.tokens, b.spent.input_tokens, b.spent.calls) == (400, 0, 1)
    with pytest.raises(BudgetExceeded), tokprof.budget(tokens=400):
        embed(client, "400 0")
        embed(client, "1 0")


def test_choices_are_reserved_each(client: httpx2.Client) -> None:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], "n": 3, "max_tokens": 10}
    with pytest.raises(BudgetExceeded) as caught, tokprof.budget(tokens=HI + 29):
        client.post(CHAT, json=body, headers={"x-usage": "8 30"})
    assert caught.value.asked == HI + 30


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("api.openai.com/v1/responses", {"model": "gpt-4o", "input": "hi", "max_output_tokens": 50}),
        ("api.anthropic.com/v1/messages", {"model": "claude-x", "messages": [], "max_tokens": 50}),
        ("api.mistral.ai/v1/chat/completions", {"model": "m", "messages": [], "max_completion_tokens": 50}),
        (
            "generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:generateContent",
            {"contents": [], "generationConfig": {"maxOutputTokens": 25, "candidateCount": 2}},
        ),
        (
            "bedrock-runtime.us-east-1.amazonaws.com/model/amazon.nova-lite-v1:0/converse",
            {"messages": [], "inferenceConfig": {"maxTokens": 50}},
        ),
        ("localhost:11434/api/chat", {"model": "llama3", "messages": [], "options": {"num_predict": 50}}),
        ("api.openai.com/v1/completions", {"model": "davinci-002", "prompt": ["", ""], "max_tokens": 25}),
    ],
)
def test_the_most_that_an_answer_may_have_by_all_its_names(
    client: httpx2.Client, path: str, body: dict[str, Any]
) -> None:
    with pytest.raises(BudgetExceeded) as caught, tokprof.budget(output_tokens=49):
        client.post(f"https://{path}", json=body, headers={"x-usage": "refused"})
    assert caught.value.asked == 50


def test_an_answer_without_a_limit_is_taken_to_be_the_largest_seen(client: httpx2.Client) -> None:
    with pytest.raises(BudgetExceeded) as caught, tokprof.budget(output_tokens=1000):
        chat(client, "8 600")
        chat(client, "8 100")
    assert caught.value.asked == 600
    with pytest.raises(BudgetExceeded) as caught, tokprof.budget(output_tokens=1000, assume_output=1001):
        chat(client, "8 100")
    assert caught.value.asked == 1001


def unlimited_at_once(limits: dict[str, Any]) -> tuple[int, Any, list[Any]]:
    """Make ten calls at once that do not limit their answers, of 9,000 tokens each; count those that were sent."""
    sent = []

    async def late(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        await asyncio.sleep(0.02)
        return answer(request)

    async def main() -> list[Any]:
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(late)) as client:
            calls = (client.post(CHAT, json=body, headers={"x-usage": "8 9000"}) for _ in range(10))
            return await asyncio.gather(*calls, return_exceptions=True)

    with tokprof.budget(**limits) as b:
        answers = asyncio.run(main())
    return len(sent), b, answers


@pytest.mark.parametrize("limits", [{"tokens": 2000}, {"output_tokens": 2000}, {"cost": 0.001}, {"tokens": 60}])
def test_calls_at_once_without_a_limit_go_alone_where_there_is_little(limits: dict[str, Any]) -> None:
    reserved = "all that is left of the budget is" if limits == {"tokens": 60} else "1,024 tokens are"
    with pytest.warns(BudgetWarning, match=f"does not limit its answer: {reserved} reserved for it") as told:
        sent, b, answers = unlimited_at_once(limits)
    assert (sent, b.spent.output_tokens, len(told)) == (1, 9000, 1)
    assert sum(isinstance(each, BudgetExceeded) for each in answers) == 9


def test_a_later_budget_knows_the_answers_that_an_earlier_one_saw(client: httpx2.Client) -> None:
    with pytest.warns(BudgetWarning, match="1,024 tokens"), tokprof.budget(tokens=20_000):
        chat(client, "8 9000")
    with pytest.warns(BudgetWarning, match="9,000 tokens"):
        sent, b, _ = unlimited_at_once({"tokens": 20_000})
    assert (sent, b.spent.tokens) == (2, 2 * 9008)
    with pytest.warns(BudgetWarning, match="all that is left"), tokprof.budget(tokens=100) as small:
        chat(client, "8 5")
    assert small.spent.tokens == 13


def test_each_choice_of_an_answer_without_a_limit_is_reserved(client: httpx2.Client) -> None:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], "n": 3}
    with pytest.warns(BudgetWarning, match="3,072 tokens are reserved"), tokprof.budget(tokens=5000):
        client.post(CHAT, json=body, headers={"x-usage": "8 300"})
    with pytest.warns(BudgetWarning, match="100 tokens are reserved"), tokprof.budget(tokens=5000):
        chat(client)


def test_nothing_is_said_of_answers_without_a_limit_where_it_was_told_what_to_do(client: httpx2.Client) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with tokprof.budget(tokens=2000, enforce="settle"), tokprof.budget(tokens=2000, assume_output=100):
            chat(client)
        with tokprof.budget(tokens=2000, on_exceed="warn"), tokprof.budget(calls=2):
            chat(client)
    assert told == []


def test_a_prompt_that_a_proxy_counts_too_low_is_reserved_as_it_turned_out(client: httpx2.Client) -> None:
    body = {"model": "claude-x", "max_tokens": 1, "messages": [{"role": "user", "content": "word " * 100}]}
    usage = {"input_tokens": 160, "output_tokens": 1}
    made = {"type": "message", "model": "claude-x", "content": [], "stop_reason": "end_turn", "usage": usage}
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, json=made))
    with (
        httpx2.Client(transport=transport) as other,
        pytest.raises(BudgetExceeded) as caught,
        tokprof.budget(tokens=161 + 160),
    ):
        for _ in range(3):
            other.post("https://api.anthropic.com/v1/messages", json=body)
    assert caught.value.asked == 161


def test_requests_that_are_no_calls_of_a_model_pass_an_empty_budget(client: httpx2.Client) -> None:
    with tokprof.budget(calls=1) as b:
        chat(client)
        other = client.post("https://example.org/save", json={"rows": [1]}, headers={"x-usage": "saved"})
    assert other.status_code == 200
    assert b.spent.calls == 1


def test_a_model_without_a_price_is_told_of_once_and_counts_when_it_has_one(client: httpx2.Client) -> None:
    body = {"model": "my-own", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1000}
    with pytest.warns(BudgetWarning, match="no price is known of my-own") as told, tokprof.budget(cost=0.01) as b:
        for _ in range(2):
            client.post(CHAT, json=body, headers={"x-usage": "8 1"})
    assert [each.category for each in told].count(BudgetWarning) == 1
    assert b.spent.calls == 2


def test_what_a_price_of_your_own_says_is_reserved(client: httpx2.Client) -> None:
    price = tokprof.prices.add("gpt-4o-mini", input=1e6, output=2e6)
    try:
        with pytest.raises(BudgetExceeded) as caught, tokprof.budget(cost=49):
            chat(client, "8 20", most=21)
    finally:
        tokprof.prices.remove(price)
    assert caught.value.asked == 8 + 42


# --- settled, whatever happens -------------------------------------------------------------------


def test_what_was_reserved_and_not_used_is_given_back(client: httpx2.Client) -> None:
    with tokprof.budget(tokens=1000) as b:
        for _ in range(20):
            chat(client, "8 2", most=500)
    assert (b.spent.tokens, b.reserved.tokens) == (200, 0)


def test_a_refused_request_gives_all_back(client: httpx2.Client) -> None:
    with tokprof.budget(tokens=100) as b:
        chat(client, "refused", most=50)
    assert (b.spent.tokens, b.reserved.tokens, b.spent.calls) == (0, 0, 1)


def test_a_request_that_was_never_sent_is_no_call(client: httpx2.Client) -> None:
    with tokprof.budget(calls=1) as b:
        for _ in range(3):
            with pytest.raises(httpx2.ConnectError):
                httpx2.post("http://127.0.0.1:9/v1/chat/completions", json={"model": "m", "messages": []})
    assert (b.spent.calls, b.reserved.calls) == (0, 0)


def test_an_answer_that_never_came_stays_reserved(client: httpx2.Client) -> None:
    with tokprof.budget(tokens=HI + 50 + 10) as b:
        with pytest.raises(httpx2.ReadTimeout):
            chat(client, "none", most=50)
        assert (b.spent.tokens, b.reserved.tokens) == (HI, 50)
        with pytest.raises(BudgetExceeded, match="50 reserved by other calls"):
            chat(client, "8 5", most=5)


def test_a_stream_that_nobody_reads_is_settled_when_it_is_collected() -> None:
    class Endless(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield b'data: {"choices": [{"index": 0, "delta": {"content": "word "}}]}\n\n'

    transport = httpx2.MockTransport(
        lambda _: httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Endless())
    )
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 50, "stream": True}
    with httpx2.Client(transport=transport) as client, tokprof.budget(tokens=1000) as b:
        response = client.send(client.build_request("POST", CHAT, json=body), stream=True)
        assert b.reserved.tokens == HI + 50
        pieces = response.iter_bytes()
        next(pieces)
        del response, pieces
        gc.collect()
        assert b.reserved.tokens == 0
        assert b.spent.tokens == HI + 2  # "word" and " "
        response = client.send(client.build_request("POST", CHAT, json=body), stream=True)
        del response
        gc.collect()
        assert b.reserved.calls == 0


def test_a_call_that_outlives_its_budget_is_settled_late() -> None:
    go, gone = threading.Event(), threading.Event()

    def slow(request: httpx2.Request) -> httpx2.Response:
        gone.set()
        go.wait(5)
        return answer(request)

    with httpx2.Client(transport=httpx2.MockTransport(slow)) as client:
        with tokprof.budget(tokens=100) as b:
            thread = threading.Thread(target=chat, args=(client, "8 5", 20))
            thread.start()
            assert gone.wait(5)
        assert (b.spent.tokens, b.reserved.tokens) == (0, HI + 20)
        go.set()
        thread.join()
    assert (b.spent.tokens, b.reserved.tokens) == (13, 0)


def test_what_cannot_be_told_in_advance_may_overshoot_once_and_is_marked(client: httpx2.Client) -> None:
    with tokprof.profile() as around, pytest.raises(BudgetExceeded), tokprof.budget(tokens=100) as b:
        chat(client, "10 500")
        assert b.exceeded
        chat(client, "10 5")
    assert b.spent.tokens == 510
    over, stopped = b.profile.budget_notes
    assert over.startswith("over the budget of 100 tokens: 510 spent; first passed at test_guard.py:")
    assert stopped.startswith("stopped at test_guard.py:") and "510 spent" in stopped
    assert around.budget_notes == b.profile.budget_notes


def test_a_note_tells_what_was_spent_in_the_end(client: httpx2.Client) -> None:
    with pytest.warns(BudgetWarning), tokprof.profile() as around, tokprof.budget(tokens=100, on_exceed="warn") as b:
        for _ in range(10):
            chat(client, "100 9000")
    (note,) = b.profile.budget_notes
    assert note.startswith("over the budget of 100 tokens: 91,000 spent; first passed at test_guard.py:")
    assert around.budget_notes == [note]


# --- settle, warn --------------------------------------------------------------------------------


def test_to_settle_is_to_refuse_when_the_limit_is_reached(client: httpx2.Client) -> None:
    with pytest.raises(BudgetExceeded) as caught, tokprof.budget(tokens=100, enforce="settle") as b:
        for _ in range(9):
            chat(client, "20 20", most=4000)
    assert (b.spent.tokens, caught.value.spent, caught.value.asked) == (120, 120, None)


def test_to_warn_is_one_alert_and_every_call_goes_on(client: httpx2.Client) -> None:
    with pytest.warns(BudgetWarning) as told, tokprof.budget(tokens=100, calls=2, on_exceed="warn") as b:
        for _ in range(5):
            chat(client, "30 10", most=4000)
    assert (b.spent.tokens, b.spent.calls, b.exceeded) == (200, 5, True)
    (one,) = (each for each in told if each.category is BudgetWarning)
    assert "over the budget of 100 tokens: 120 spent at test_guard.py:" in str(one.message)
    assert told[0].filename.endswith("test_guard.py")
    assert b.profile.totals.errors == 0


def test_time_that_is_up_is_told_of_when_the_block_ends(clock: Any) -> None:
    with pytest.warns(BudgetWarning, match="over the budget of 60 s: 61 spent"):
        with tokprof.budget(seconds=60, on_exceed="warn"):
            clock.advance(61)


def test_a_budget_that_is_used_up_to_the_last_token_warns_of_nothing(client: httpx2.Client) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with tokprof.budget(tokens=30, on_exceed="warn") as b:
            chat(client, "20 10")
    assert not b.exceeded


def test_an_alert_under_warnings_as_errors_breaks_nothing(
    client: httpx2.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with tokprof.budget(tokens=1, on_exceed="warn"):
            assert chat(client).status_code == 200
    assert "over the budget of 1 token" in capsys.readouterr().err


# --- thresholds ----------------------------------------------------------------------------------


def test_thresholds_are_told_once_each_with_the_call_that_reached_them(client: httpx2.Client) -> None:
    events: list[Any] = []
    with tokprof.budget(tokens=100, calls=10, at=(0.8, 0.5), do=events.append):
        for _ in range(5):
            chat(client, "10 10", most=10)
    assert [(event.what, event.share, event.spent, event.limit) for event in events] == [
        ("tokens", 0.5, 60, 100),
        ("tokens", 0.8, 80, 100),
        ("calls", 0.5, 5, 10),
    ]
    assert all(event.span.request_model == "gpt-4o-mini" and not event.over for event in events)
    assert "50% of the budget of 100 tokens reached: 60 spent at test_guard.py:" in str(events[0])
    assert str(events[0]).endswith(f" at {events[0].where}")
    assert events[0].where.startswith("test_guard.py:") and events[0].where.endswith(" in chat()")


def test_a_callback_runs_outside_of_the_books_and_may_ask_a_model_or_fail(client: httpx2.Client) -> None:
    seen: list[float | None] = []

    def fail(event: Any) -> None:
        done = threading.Thread(target=lambda: seen.append(b.spent.tokens))
        done.start()
        done.join(5)
        chat(client, "1 1")
        raise ValueError("mine")

    with pytest.warns(BudgetWarning, match="callback of a budget failed .ValueError: mine"):
        with tokprof.budget(tokens=100, at=0.1, do=fail) as b:
            chat(client, "10 10")
    assert (seen, b.spent.tokens) == ([20], 22)


def test_a_threshold_without_a_callback_is_a_warning(client: httpx2.Client) -> None:
    with pytest.warns(BudgetWarning, match="80% of the budget 'mine' of 100 tokens reached: 90 spent"):
        with tokprof.budget(tokens=100, at=0.8, name="mine"):
            chat(client, "80 10")


# --- nested, per agent, within a step ------------------------------------------------------------


def test_inner_calls_count_in_the_outer_budget_and_must_fit_there(client: httpx2.Client) -> None:
    with tokprof.budget(tokens=100) as outer:
        with pytest.raises(BudgetExceeded) as caught, tokprof.budget(tokens=40) as inner:
            chat(client, "20 10", most=10)
            chat(client, "20 10", most=10)
        assert caught.value.profile is inner.profile
        assert (outer.spent.tokens, inner.spent.tokens, outer.exceeded) == (30, 30, False)
        with pytest.raises(BudgetExceeded) as caught, tokprof.budget(tokens=1000) as wide:
            chat(client, "20 10", most=500)
        assert caught.value.profile is outer.profile
        assert wide.reserved.tokens == 0
    assert outer.reserved.tokens == 0


def test_a_refusal_of_one_budget_reserves_nothing_in_the_others(client: httpx2.Client) -> None:
    with tokprof.budget(tokens=1000) as a, tokprof.budget(calls=5) as b, tokprof.budget(tokens=10) as c:
        with pytest.raises(BudgetExceeded):
            chat(client, most=100)
        assert a.reserved.tokens == b.reserved.calls == c.reserved.tokens == 0


def test_each_agent_has_an_allowance_of_its_own(client: httpx2.Client) -> None:
    with tokprof.budget(tokens=50, per="agent") as b:
        for _ in range(2):
            with tokprof.span("planner", kind="agent"), tokprof.span("step"):
                chat(client, "10 10", most=10)
        with tokprof.span("writer", kind="agent"):
            chat(client, "10 30", most=30)
        chat(client, "10 1", most=1)
        with pytest.raises(BudgetExceeded, match="budget of 50 tokens for 'planner', 40 spent"):
            with tokprof.span("planner", kind="agent"):
                chat(client, most=10)
    assert {name: account.spent.tokens for name, account in b.accounts.items()} == {
        "planner": 40,
        "writer": 40,
        None: 11,
    }
    assert (b.spent.tokens, b.left.tokens) == (91, 10)


def test_only_what_is_below_a_step_of_a_name_counts(client: httpx2.Client) -> None:
    with tokprof.budget(tokens=30, within="plan") as b:
        chat(client, "500 500", most=500)
        with tokprof.span("plan"), tokprof.span("inner"):
            chat(client, "10 10", most=10)
            with pytest.raises(BudgetExceeded, match="for 'plan'"):
                chat(client, most=10)
        chat(client, "500 500", most=500)
    assert b.spent.tokens == 20
    assert b.profile.totals.total_tokens == 2020
    assert repr(b) == "<Budget 20 of 30 tokens spent within 'plan'>"


def test_a_name_that_no_step_had_is_told_of(client: httpx2.Client) -> None:
    with pytest.warns(BudgetWarning, match="no step named 'paln' was seen.*steps seen: 'plan', 'inner'$") as told:
        with tokprof.budget(tokens=30, within="paln"):
            for _ in range(2):
                with tokprof.span("plan"), tokprof.span("inner"):
                    chat(client, "500 500", most=500)
    assert [each.category for each in told].count(BudgetWarning) == 1
    with warnings.catch_warnings(record=True) as nothing, tokprof.budget(calls=3, within="paln"):
        warnings.simplefilter("always")
    with tokprof.budget(calls=3, within="plan"):
        chat(client)
        with tokprof.span("plan"):
            pass
    assert nothing == []


# --- time ----------------------------------------------------------------------------------------


def test_no_call_is_sent_when_time_is_up(client: httpx2.Client, clock: Any) -> None:
    with pytest.raises(BudgetExceeded, match=r"budget of 60 s, 61 spent"), tokprof.budget(seconds=60) as b:
        chat(client)
        clock.advance(59)
        chat(client)
        clock.advance(2)
        chat(client)
    assert b.spent.seconds == 61
    clock.advance(100)
    assert b.spent.seconds == 61


def test_a_clock_that_goes_back_gives_no_time_back(client: httpx2.Client, clock: Any) -> None:
    with pytest.raises(BudgetExceeded), tokprof.budget(seconds=60) as b:
        clock.advance(59)
        chat(client)
        clock.advance(-500)
        chat(client)
        assert (b.spent.seconds, b.left.seconds) == (59, 1)
        clock.advance(502)
        chat(client)
    assert b.profile.totals.calls == 3


# --- what is no call on the wire -----------------------------------------------------------------


def test_recorded_figures_count_once_and_close_the_budget(client: httpx2.Client) -> None:
    with tokprof.budget(tokens=100) as b:
        with tokprof.span("framework") as step:
            chat(client, "20 10", most=10)
            step.record(model="gpt-4o-mini", input_tokens=20, output_tokens=10)
            assert b.spent.tokens == 30
            step.record(model="gpt-4o-mini", input_tokens=30, output_tokens=10)
            assert b.spent.tokens == 70
            chat(client, "20 10", most=10)
            assert b.spent.tokens == 70
        with tokprof.span("local") as step:
            step.record(model="llama", input_tokens=40, output_tokens=0)
        assert b.spent.tokens == b.profile.totals.total_tokens == 110
        with pytest.raises(BudgetExceeded):
            chat(client)


def test_a_wrapped_call_is_refused_before_it_runs(client: httpx2.Client) -> None:
    ran = []

    def model(prompt: str) -> dict[str, Any]:
        ran.append(prompt)
        return {"usage": {"input_tokens": 10, "output_tokens": 5}}

    wrapped = tokprof.wrap(model, model="mine")
    with pytest.raises(BudgetExceeded, match="budget of 2 calls"), tokprof.budget(calls=2) as b:
        for prompt in "abc":
            wrapped(prompt)
    assert ran == ["a", "b"]
    assert (b.spent.tokens, b.spent.calls, b.reserved.calls) == (30, 2, 0)
    assert b.profile.calls.status.tolist() == ["ok", "ok", "error"]
    with pytest.raises(BudgetExceeded), tokprof.budget(tokens=15) as b:
        wrapped("d")
        wrapped("e")
    assert ran == ["a", "b", "d"]


def test_a_wrapped_client_over_http_counts_once(client: httpx2.Client) -> None:
    class Client:
        def create(self, prompt: str) -> Any:
            return chat(client, "10 5", most=5).json()

    with tokprof.budget(calls=2, tokens=30) as b:
        wrapped = tokprof.wrap(Client())
        wrapped.create(prompt="a")
        wrapped.create(prompt="b")
    assert (b.spent.calls, b.spent.tokens, b.reserved.calls) == (2, 30, 0)


# --- properties ----------------------------------------------------------------------------------

AMOUNT = st.integers(0, 60)
STEPS = st.recursive(
    st.one_of(
        st.tuples(st.just("chat"), AMOUNT, AMOUNT),
        st.tuples(st.just("embed"), AMOUNT, st.just(0)),
        st.tuples(st.just("refused"), st.just(0), st.just(0)),
        st.tuples(st.just("record"), AMOUNT, AMOUNT),
    ),
    lambda inner: st.tuples(st.sampled_from(["span", "agent", "budget"]), st.lists(inner, max_size=4), AMOUNT),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(program=st.lists(STEPS, max_size=5))
def test_what_a_budget_says_is_what_its_profile_says(client: httpx2.Client, program: list[Any]) -> None:
    def run(steps: list[Any], step: Any) -> None:
        for kind, one, two in steps:
            if kind == "chat":
                chat(client, f"{one} {two}", most=max(two, 1))
            elif kind == "embed":
                embed(client, f"{one} 0")
            elif kind == "refused":
                chat(client, "refused", most=5)
            elif kind == "record" and step is not None:
                step.record(model="gpt-4o-mini", input_tokens=one, output_tokens=two)
            elif kind in ("span", "agent"):
                with tokprof.span(kind, kind="agent" if kind == "agent" else "task") as inner:
                    run(one, inner)
            elif kind == "budget":
                with tokprof.budget(tokens=10**9) as nested:
                    run(one, None)
                same(nested)

    def same(b: Any) -> None:
        totals = b.profile.totals
        assert b.spent.tokens == totals.total_tokens
        assert (b.spent.input_tokens, b.spent.output_tokens) == (totals.input_tokens, totals.output_tokens)
        assert b.spent.cost == pytest.approx(totals.cost, abs=1e-11)
        assert b.reserved.tokens == b.reserved.cost == b.reserved.calls == 0

    with tokprof.budget(tokens=10**9, cost=1e6) as b, tokprof.budget(calls=10**6, per="agent") as split:
        run(program, None)
    same(b)
    same(split)
    assert sum(account.spent.tokens or 0 for account in split.accounts.values()) == b.spent.tokens


@pytest.mark.parametrize("seed", range(4))
def test_threads_at_random_never_overshoot_and_give_all_back(seed: int) -> None:
    """Every call may use up to what it reserved; whatever the order, the sum stays within the limit."""
    chance = random.Random(seed)
    at_once: list[float] = []

    def slow(request: httpx2.Request) -> httpx2.Response:
        at_once.append((b.spent.tokens or 0) + (b.reserved.tokens or 0))
        threading.Event().wait(chance.random() / 500)
        return answer(request)

    def work(number: int) -> int:
        local = random.Random(number)
        most = local.randint(1, 40)
        used = local.randint(0, most)
        try:
            with tokprof.budget(tokens=200):
                chat(client, f"{HI} {used}", most=most)
        except BudgetExceeded:
            return 0
        return HI + used

    with httpx2.Client(transport=httpx2.MockTransport(slow)) as client:
        with tokprof.budget(tokens=700) as b, ThreadPoolExecutor(16) as pool:
            spent = sum(pool.map(work, range(seed * 100, seed * 100 + 80)))
    assert b.spent.tokens == spent == b.profile.totals.total_tokens
    assert spent <= 700 and max(at_once) <= 700
    assert b.reserved.tokens == 0
    assert b.exceeded


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, ValueError, "give one of tokens, input_tokens"),
        ({"tokens": 0}, ValueError, "tokens is 0: a budget is more than 0"),
        ({"cost": -1}, ValueError, "cost is -1"),
        ({"cost": float("nan")}, ValueError, "cost is nan"),
        ({"seconds": float("inf")}, ValueError, "not endless"),
        ({"tokens": 1.5}, TypeError, "tokens is a whole number"),
        ({"tokens": "many"}, TypeError, "tokens is a whole number"),
        ({"tokens": True}, TypeError, "tokens is a whole number"),
        ({"cost": "0.5"}, TypeError, "cost is a number"),
        ({"tokens": 1, "on_exceed": "stop"}, ValueError, "on_exceed='stop' is not known; it is 'raise' or 'warn'"),
        ({"tokens": 1, "enforce": "never"}, ValueError, "enforce"),
        ({"tokens": 1, "at": 80}, ValueError, "for instance 0.8, not 80"),
        ({"tokens": 1, "at": ("x",)}, TypeError, "at holds shares"),
        ({"tokens": 1, "do": 7}, TypeError, "do is a function"),
        ({"tokens": 1, "per": "robot"}, ValueError, "no kind of span"),
        ({"tokens": 1, "within": 7}, TypeError, "within is a name"),
        ({"tokens": 1, "stop_streams": True, "on_exceed": "warn"}, ValueError, "stop_streams"),
        ({"tokens": 1, "assume_output": -1}, ValueError, "assume_output"),
        ({"token": 1}, TypeError, "token"),
    ],
)
def test_bad_input_is_told_at_once(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        tokprof.budget(**options)


def test_a_budget_is_used_once() -> None:
    b = tokprof.budget(tokens=5)
    with pytest.raises(RuntimeError, match="has not begun"):
        _ = b.profile
    with b:
        pass
    with pytest.raises(RuntimeError, match="make a new one"), b:
        pass


def test_a_failure_of_tokprofs_own_costs_no_call(client: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ValueError("mine")

    needs: Callable[..., Any] = broken
    monkeypatch.setattr("tokprof.capture.wire.guarded.Need", needs)
    with pytest.warns(RuntimeWarning, match="keep the books of a budget"), tokprof.budget(tokens=100) as b:
        assert chat(client, "10 5").status_code == 200
    assert b.spent.tokens == 15
