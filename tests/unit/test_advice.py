"""What to change: each finding by hand, with its number and evidence; and none where there is nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

import tokprof
from tokprof.analysis import thresholds
from tokprof.meter import prices
from tokprof.testing import SimulatedProvider
from tokprof.views.words import usd

from .scenes import PRICED, agent, call
from .talks import TOOLS, called, send, talk, turn

COLUMNS = ["finding", "what", "calls", "tokens", "usd", "seconds", "evidence", "change"]


def kept(
    clock: Any, messages: list[str], tokens: int = 1000, answer: Any = None, seconds: float = 0.1, **body: Any
) -> None:
    """A call whose prompt and answer are kept, as capture="full" keeps them."""
    with tokprof.span("chat", kind="llm") as step:
        clock.advance(seconds)
        step.record(model=PRICED, provider="openai", input_tokens=tokens, output_tokens=100)
        assert step.span is not None
        turns = [{"role": "user", "content": text} for text in messages]
        sent = {"model": PRICED, "messages": turns, **body}
        step.span.content = {"prompt": json.dumps(sent), "answer": json.dumps(answer or {})}


def change(prof: tokprof.Profile, **fields: Any) -> None:
    """Set fields on the calls of a profile."""
    for span in prof.table.spans:
        if span.source:
            for name, value in fields.items():
                setattr(span, name, value)


def the(frame: pd.DataFrame, finding: str) -> Any:
    rows = frame[frame.finding == finding]
    assert len(rows) == 1, frame.finding.tolist()
    return rows.iloc[0]


def test_nothing_to_say(clock: Any, frames: Callable[..., None]) -> None:
    with tokprof.profile("In[1]") as prof:
        call(clock, 1, input_tokens=1000, output_tokens=100)
    found = prof.advice()
    assert found.empty and found.columns.tolist() == COLUMNS
    assert found.attrs["unread_calls"] == 1
    with tokprof.profile("quiet") as quiet:
        pass
    assert quiet.advice().empty
    assert set(agent(clock, frames).advice().columns) == set(COLUMNS)


def test_identical_calls(clock: Any) -> None:
    with tokprof.profile("In[1]") as prof:
        for text in ("a", "b", "a", "a"):
            kept(clock, [text])
    row = the(prof.advice(), "identical calls")
    assert (row.calls, row.tokens, row.seconds) == (2, 2200, pytest.approx(0.2))
    assert row.usd == pytest.approx(2 * (1000 * 0.15e-6 + 100 * 0.6e-6))
    assert row.evidence == tuple(prof.calls.span_id.iloc[2:])
    assert row.what == "one request sent again, to the letter: 2 calls too many"
    assert prof.advice().attrs["unread_calls"] == 0


def test_a_request_tried_again_after_a_failure_is_not_identical(clock: Any) -> None:
    with tokprof.profile("In[1]") as prof:
        kept(clock, ["a"])
        kept(clock, ["a"])
    first = next(span for span in prof.table.spans if span.source)
    first.status, first.http_status, first.usage, first.source = "error", 500, None, "missing"
    assert "identical calls" not in prof.advice().finding.tolist()


def test_a_prefix_that_no_cache_gave(clock: Any) -> None:
    long = "".join(f"{at:04}" for at in range(1600))
    with tokprof.profile("In[1]") as prof:
        for question in ("first", "second", "third"):
            kept(clock, [long, question], tokens=10_000)
    row = the(prof.advice(), "a prefix that could be cached")
    assert row.calls == 2
    assert 19_000 < row.tokens < 20_000
    assert row.usd == pytest.approx(row.tokens * 0.075e-6, rel=1e-3)
    assert row.what.endswith("most depart in messages[1]: what the user says, from its beginning")
    cached = prof.reprice(cache=True)
    assert row.usd == pytest.approx(-cached.delta.iloc[1])  # the saving shown is the one that the what-if predicts


def test_where_a_prefix_breaks_is_said_in_words_and_never_with_content(clock: Any) -> None:
    def broken(first: Any, second: Any) -> str:
        with tokprof.profile("In[1]") as prof:
            for body in (first, second):
                send(clock, {"model": PRICED, **body}, input_tokens=40_000, output_tokens=1)
        return str(the(prof.advice(), "a prefix that could be cached").what).partition("most depart in ")[2]

    long = "".join(f"{at:04}" for at in range(1600))
    question = [turn("user", "what now?")]
    tools = [{**TOOLS[0], "function": {**TOOLS[0]["function"], "description": long}}]
    said = broken({"system": f"{long} on Monday", "messages": question}, {"system": f"{long} on Sunday"})
    assert said == "system: the system prompt, at character 6,405"
    agent = [turn("user", long), called("search", 0)]
    results = [turn("tool", f"{text} {long}", tool_call_id="call_0") for text in ("secret one", "secret two")]
    said = broken({"messages": [*agent, results[0]]}, {"messages": [*agent, results[1]]})
    assert said == "messages[2]: the result of search, at character 8"
    other = {**TOOLS[1], "function": {**TOOLS[1]["function"], "name": "read_pages"}}
    said = broken({"tools": [*tools, TOOLS[1]], "messages": question}, {"tools": [*tools, other], "messages": question})
    assert said.startswith("tools: the tool read_pages, at character ")


def test_history_sent_again(clock: Any) -> None:
    prof = talk(clock)
    row = the(prof.advice(), "history sent again")
    parts = prof.segments().query("part in ('history', 'tool result')")
    assert (row.calls, row.tokens) == (4, parts.replayed_tokens.sum())  # the first two have none
    assert row.usd == pytest.approx((parts.cost * parts.replayed_tokens / parts.tokens).sum())
    assert row.evidence == tuple(prof.calls.span_id.iloc[2:])
    assert row.what.startswith("45% of the input of gpt-4o-mini in send is earlier turns and results of tools")
    assert "history sent again" not in talk(clock, 2).advice().finding.tolist()


def test_a_tool_never_called(clock: Any) -> None:
    def tool(name: str) -> dict[str, Any]:
        return {"type": "function", "function": {"name": name, "description": "d" * 900, "parameters": {}}}

    used = {"choices": [{"message": {"tool_calls": [{"function": {"name": "search", "arguments": "{}"}}]}}]}
    with tokprof.profile("In[1]") as prof:
        kept(clock, ["one"], tools=[tool("search"), tool("delete")], answer=used)
        kept(clock, ["two"], tools=[tool("search"), tool("delete")])
    row = the(prof.advice(), "a tool never called")
    assert row.what.startswith("delete is offered in 2 calls and never called; its description is about ")
    assert 800 < row.tokens < 1000  # about half of 2 x 1,000 tokens of input
    assert row.usd == pytest.approx(row.tokens * 0.15e-6, rel=0.01)


def test_failures_paid_for_and_waited_for(clock: Any) -> None:
    with tokprof.profile("In[1]") as prof:
        with pytest.raises(TimeoutError), tokprof.span("chat", kind="llm") as step:
            clock.advance(30)
            step.record(model=PRICED, input_tokens=1_000_000, output_tokens=0)
            raise TimeoutError
        with pytest.raises(ValueError), tokprof.span("chat", kind="llm") as step:
            clock.advance(2)
            step.record(model=PRICED)
            assert step.span is not None
            step.span.http_status = 429
            raise ValueError
    found = prof.advice()
    paid, free = the(found, "failures paid for"), the(found, "failures waited for")
    assert (paid.calls, paid.tokens, paid.usd, paid.seconds) == (1, 1_000_000, pytest.approx(0.15), 30)
    assert (free.calls, free.tokens, free.usd, free.seconds) == (1, 0, 0, 2)
    assert found.finding.tolist() == ["failures paid for", "failures waited for"]  # most money first


@pytest.mark.parametrize("reason", ["length", "max_tokens", "MAX_TOKENS"])
def test_answers_cut_short(clock: Any, reason: str) -> None:
    with tokprof.profile("In[1]") as prof:
        call(clock, 1, input_tokens=1000, output_tokens=100)
        call(clock, 1, input_tokens=1000, output_tokens=200)
    change(prof, finish_reason="stop")
    assert prof.advice().empty
    next(span for span in prof.table.spans if span.source).finish_reason = reason
    row = the(prof.advice(), "answers cut short")
    assert (row.what, row.tokens) == ("1 answer reached the limit of tokens", 1100)


def test_mostly_reasoning(clock: Any) -> None:
    with tokprof.profile("In[1]") as prof:
        call(clock, 1, input_tokens=1000, output_tokens=1000, reasoning_tokens=900)
    row = the(prof.advice(), "mostly reasoning")
    assert (row.tokens, row.usd) == (900, pytest.approx(900 * 0.6e-6))
    assert "90% of the output of gpt-4o-mini in call is reasoning: 900 tokens" in row.what


def test_calls_that_could_run_side_by_side(clock: Any, frames: Callable[..., None]) -> None:
    def made(*tokens: int) -> pd.DataFrame:
        frames()
        with tokprof.profile("In[1]") as prof:
            frames("In[1]:2 <module>", "agent.py:5 ask")
            for each in tokens:
                call(clock, 2, input_tokens=each, output_tokens=100)
        return prof.advice()

    row = the(made(1000, 900, 1000), "one after the other")
    assert (row.calls, row.tokens, row.usd, row.seconds) == (3, 0, 0, 4)
    assert "may not need each other's answers" in row.what
    assert made(1000, 1200, 1400).empty  # a conversation
    assert made(1000, 900).empty


def test_a_smaller_model_for_short_answers(clock: Any) -> None:
    with tokprof.profile("In[1]") as prof:
        for _ in range(3):
            call(clock, 0.1, "gpt-4o", input_tokens=100_000, output_tokens=3)
    row = the(prof.advice(), "a smaller model might do")
    assert row.change.startswith("try gpt-4o-mini: ")
    assert row.usd == pytest.approx(-prof.reprice("gpt-4o-mini").delta.iloc[1])
    assert row.change.endswith(f"would cost {usd(row.usd)} less")
    with tokprof.profile("In[1]") as prof:
        for _ in range(3):
            call(clock, 0.1, "gpt-4o", input_tokens=10, output_tokens=1)
    assert the(prof.advice(), "a smaller model might do").change.endswith("would cost $0.000099 less")
    with tokprof.profile("In[1]") as prof:
        call(clock, 0.1, "gpt-4o", input_tokens=100_000, output_tokens=3)
        call(clock, 0.1, "gpt-4o", input_tokens=100_000, output_tokens=300)
        call(clock, 0.1, "gpt-4o", input_tokens=100_000, output_tokens=3)
    assert prof.advice().empty
    assert all(prices.tariff(model, None, None, None) for _, model in thresholds.CHEAPER)  # each has a price


def test_streams_without_usage(clock: Any) -> None:
    with tokprof.profile("In[1]") as prof:
        call(clock, 1, input_tokens=1000, output_tokens=100)
        call(clock, 1)
    change(prof, stream=True)
    row = the(prof.advice(), "streams without usage")
    assert row.calls == 1 and pd.isna(row.tokens) and pd.isna(row.usd)  # not known is not nothing


def test_evidence_is_bounded(clock: Any) -> None:
    with tokprof.profile("In[1]") as prof:
        for _ in range(80):
            kept(clock, ["a"])
    row = the(prof.advice(), "identical calls")
    assert row.calls == 79 and len(row.evidence) == thresholds.EVIDENCE


def test_a_real_client_is_advised_changed_and_compared(provider: SimulatedProvider) -> None:
    client = provider.openai(max_retries=2)
    system = "You are a careful assistant. " * 400

    def ask(question: str) -> None:
        turns: Any = [{"role": "system", "content": system}, {"role": "user", "content": question}]
        client.chat.completions.create(model="gpt-4o", messages=turns)

    with tokprof.profile("before", capture="full") as before:
        for question in ("a", "b", "a", "c"):
            ask(question)
        provider.fail(500, retry_after=0)
        ask("d")
    found = before.advice()
    assert {"identical calls", "a prefix that could be cached", "failures waited for"} <= set(found.finding)
    assert found.attrs["unread_calls"] == 0
    saving = the(found, "identical calls")
    with tokprof.profile("after") as after:
        for question in ("a", "b", "c", "d"):
            ask(question)
    made = tokprof.compare(before, after)
    assert -made.totals.loc["tokens", "delta"] == saving.tokens  # what was promised is what was saved
    assert -made.totals.loc["cost", "delta"] == pytest.approx(saving.usd)
    assert after.advice().attrs["unread_calls"] == 4
