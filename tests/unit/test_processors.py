"""Middleware: what processors see, change and let go, and that the books still balance."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

import tokprof
from tokprof import processors
from tokprof.meter import drafts
from tokprof.span import Span
from tokprof.testing import SimulatedProvider


@pytest.fixture(autouse=True)
def no_processors() -> Iterator[None]:
    yield
    processors.chain.clear()


def call(name: str = "work", tokens: int = 100, model: str = "gpt-5-mini", **tags: str) -> None:
    with tokprof.span(name, **tags) as step:
        step.record(model=model, provider="openai", input_tokens=tokens, output_tokens=10)


def test_they_run_in_order_as_spans_end() -> None:
    seen: list[str] = []

    def first(span: Span) -> Span:
        seen.append(f"first {span.name}")
        return span

    def second(span: Span) -> Span:
        seen.append(f"second {span.name} {span.status}")
        return span

    tokprof.use(first)
    tokprof.use(second)
    with tokprof.profile(), tokprof.span("outer"):
        call("inner")
    assert seen == ["first inner", "second inner ok", "first outer", "second outer ok"]


def test_calls_on_the_wire_too(provider: SimulatedProvider) -> None:
    client = provider.openai()
    seen: list[tuple[Any, ...]] = []

    def look(span: Span) -> Span:
        seen.append((span.operation, span.usage is not None, span.http_status))
        return span

    with tokprof.use(look), tokprof.profile() as prof:
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
    assert seen == [("chat", True, 200)]
    assert prof.totals.calls == 1


def test_one_can_be_taken_out() -> None:
    seen: list[str] = []

    def look(span: Span) -> Span:
        seen.append(span.name)
        return span

    registration = tokprof.use(look)
    with tokprof.profile():
        call("a")
        registration.remove()
        registration.remove()
        call("b")
    assert seen == ["a"]


def test_another_span_may_be_given_back() -> None:
    tokprof.use(lambda span: dataclasses.replace(span, name=span.name.upper(), tags={"seen": "yes"}))
    with tokprof.profile() as prof, tokprof.span("outer"):
        call("inner")
    rows = prof.df.set_index("name")
    assert rows.loc["INNER", "parent_id"] == rows.loc["OUTER", "span_id"]
    assert rows.loc["INNER", "tags"] == {"seen": "yes"}


def test_one_that_raises_is_reported_once_and_skipped() -> None:
    def broken(span: Span) -> Span:
        raise RuntimeError("no")

    tokprof.use(broken)
    tokprof.use(processors.tag(after="yes"))
    with pytest.warns(RuntimeWarning, match="run the processor broken") as heard, tokprof.profile() as prof:
        call()
        call()
    assert len(heard) == 1
    assert prof.df["tags"].tolist()[1:] == [{"after": "yes"}] * 2


def test_what_is_no_span_is_reported_and_ignored() -> None:
    tokprof.use(lambda span: True)  # type: ignore[arg-type, return-value]
    with pytest.warns(RuntimeWarning, match="a Span or None is wanted, not bool"), tokprof.profile() as prof:
        call()
    assert prof.totals.calls == 1


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="a processor is a function of a span"):
        tokprof.use("mask")  # type: ignore[arg-type]


def test_masks(provider: SimulatedProvider) -> None:
    tokprof.use(processors.mask(r"sk-\w+", "<key>"))
    tokprof.use(processors.mask(str.upper))
    client = provider.openai()
    with tokprof.profile(capture="full") as prof:
        with tokprof.span("call sk-123", key="sk-abc"):
            pass
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "my key is sk-secret"}])
    assert prof.df.name.tolist()[1] == "CALL <KEY>"
    assert prof.df["tags"].tolist()[1] == {"key": "<KEY>"}
    content = prof.content(prof.calls.span_id.item())
    assert "MY KEY IS <KEY>" in content["prompt"]
    assert "sk-secret" not in str(content).lower().replace("<key>", "")


def test_a_mask_that_is_no_expression_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'\(' is no regular expression"):
        processors.mask("(")


def test_tags_by_a_function() -> None:
    tokprof.use(processors.tag(lambda span: {"big": "yes"} if span.usage and span.usage.input_tokens > 50 else None))
    with tokprof.profile() as prof:
        call(tokens=10)
        call(tokens=100)
    assert prof.calls["tags"].tolist() == [{}, {"big": "yes"}]


def test_costs_by_a_function() -> None:
    tokprof.use(processors.cost(lambda span: 0.25 if span.model == "mine" else None))
    with tokprof.profile() as prof:
        call(model="mine")
        call(model="gpt-5-mini")
    assert prof.calls.cost_source.tolist() == ["custom", "priced"]
    assert prof.calls.cost.iloc[0] == 0.25


def test_a_cost_that_is_none_is_reported() -> None:
    tokprof.use(processors.cost(lambda span: -1.0))
    with pytest.warns(RuntimeWarning, match="a cost is 0 or more"), tokprof.profile() as prof:
        call()
    assert prof.calls.cost_source.tolist() == ["priced"]


@pytest.mark.parametrize("rate", [0.0, 0.2, 1.0])
def test_samples_keep_totals_exact(rate: float) -> None:
    def work() -> tokprof.Profile:
        with tokprof.profile() as prof:
            for at in range(60):
                with tokprof.span("agent"):
                    call(tokens=1000 + at)
        return prof

    whole = work()
    tokprof.use(processors.sample(rate, seed=1))
    prof = work()
    assert prof.totals.calls == 60
    for figure in ("input_tokens", "output_tokens", "total_tokens", "provenance", "cost_sources", "unknown_calls"):
        assert prof.totals[figure] == whole.totals[figure]
    assert prof.totals.cost == pytest.approx(whole.totals.cost)
    kept = int((prof.df.name == "work").sum())
    assert prof.totals.unkept_calls == 60 - kept
    assert kept == {0.0: 0, 1.0: 60}.get(rate, kept)
    assert prof.by("model").calls.tolist() == [60]
    tree = prof.tree()
    assert tree.self_tokens.sum() == tree.total_tokens.iloc[0] == prof.totals.total_tokens
    assert tree.calls.iloc[0] == 60


def test_samples_keep_errors() -> None:
    tokprof.use(processors.sample(0))
    with tokprof.profile() as prof:
        call()
        with pytest.raises(ValueError), tokprof.span("failed") as step:
            step.record(model="gpt-5-mini", provider="openai", input_tokens=5, output_tokens=0)
            raise ValueError
    assert prof.df.name.tolist()[1:] == ["work (not kept)", "failed"]
    assert (prof.totals.calls, prof.totals.errors, prof.totals.unkept_calls) == (2, 1, 1)


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="from 0 to 1, not 5"):
        processors.sample(5)


def test_a_step_that_is_let_go_leaves_its_calls_where_it_was() -> None:
    tokprof.use(lambda span: None if span.name == "noise" else span)
    with tokprof.profile() as prof, tokprof.span("agent"), tokprof.span("noise"):
        call()
    rows = prof.df.set_index("name")
    assert "noise" not in rows.index
    assert rows.loc["work", "parent_id"] == rows.loc["agent", "span_id"]


def test_calls_let_go_are_summed_up_as_they_come() -> None:
    tokprof.use(processors.sample(0))
    with tokprof.profile() as prof:
        for _ in range(3000):
            call()
    assert len(prof.df) == 2
    assert prof.totals.calls == 3000


def test_open_spans_are_never_let_go(provider: SimulatedProvider) -> None:
    tokprof.use(lambda span: None)
    client = provider.openai()
    with tokprof.profile() as prof:
        stream = client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "hi"}], stream=True
        )
    assert prof.calls.status.tolist() == ["open"]
    stream.close()
    assert prof.totals.calls == 1


def test_calls_let_go_keep_their_tags() -> None:
    users = iter("abab")
    with tokprof.use(processors.tag(lambda _span: {"user": next(users)})):
        with tokprof.use(processors.sample(0)), tokprof.profile() as prof:
            for _ in range(4):
                call()
    assert prof.by("tag:user").calls.to_dict() == {"a": 2, "b": 2}


def test_a_sum_of_calls_let_go_does_not_make_known_what_one_did_not_tell() -> None:
    with tokprof.use(processors.sample(0)), tokprof.profile() as prof:
        for tokens in ({"input_tokens": 5}, {"input_tokens": 5, "output_tokens": 3}):
            with tokprof.span("work") as step:
                step.record(model="gpt-5-mini", provider="openai", **tokens)
    assert (prof.totals.calls, prof.totals.unknown_calls, prof.totals.unpriced_calls) == (2, 1, 1)


def test_requests_that_were_never_sent_are_summed_up_by_themselves() -> None:
    errors = iter([httpx2.ConnectError("no luck"), httpx2.ReadTimeout("late"), httpx2.ReadTimeout("late")])

    def refuse(_request: httpx2.Request) -> httpx2.Response:
        raise next(errors)

    with tokprof.use(processors.sample(0, keep_errors=False)), tokprof.profile() as prof:
        with httpx2.Client(transport=httpx2.MockTransport(refuse)) as client:
            for _ in range(3):
                with pytest.raises(httpx2.TransportError):
                    client.post("https://api.openai.com/v1/images/generations", json={"model": "dall-e-3"})
    assert (prof.totals.calls, prof.totals.unknown_calls) == (3, 2)


def test_what_a_processor_spoiled_is_reported_and_costs_no_other_call() -> None:
    def spoil(span: Span) -> Span:
        if span.name == "spoiled":
            span.usage = {"input_tokens": 3}  # type: ignore[assignment]
        return span

    with tokprof.use(spoil), tokprof.use(processors.sample(0)), pytest.warns(RuntimeWarning, match="processor spoil"):
        with tokprof.profile() as prof:
            call()
            call("spoiled")
            call()
    assert prof.totals.calls == 3


def test_texts_of_calls_let_go_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "LIMIT", 10_000)
    transport = httpx2.MockTransport(lambda _request: httpx2.Response(200, json={"choices": []}))
    waiting = []
    with httpx2.Client(transport=transport) as client, tokprof.use(processors.sample(0)), tokprof.profile() as prof:
        for _ in range(20):
            ask = {"model": "gpt-4o", "messages": [{"role": "user", "content": "word " * 500}]}
            client.post("https://api.openai.com/v1/chat/completions", json=ask)
            waiting.append(sum(map(drafts.weight, prof._recording._unkept)))
    assert max(waiting) <= 10_000
    assert prof.totals.calls == 20


def test_runs_that_were_billed_beside_are_processed_too() -> None:
    usage = {"input_tokens": 10, "output_tokens": 5}
    beside = {"type": "compaction", "input_tokens": 1000, "output_tokens": 50}
    answer = {"type": "message", "role": "assistant", "model": "claude-opus-4-6", "stop_reason": "end_turn"}
    body = answer | {"content": [], "usage": usage | {"iterations": [beside, {"type": "message"} | usage]}}
    transport = httpx2.MockTransport(lambda _request: httpx2.Response(200, json=body))
    with httpx2.Client(transport=transport) as client, tokprof.profile() as prof:
        with tokprof.use(processors.mask("opus")), tokprof.use(processors.tag(team="a")):
            client.post("https://api.anthropic.com/v1/messages", json={"model": "claude-opus-4-6", "messages": []})
    assert prof.calls.name.tolist() == ["messages claude-***-4-6", "compaction claude-***-4-6"]
    assert prof.by("tag:team").calls.to_dict() == {"a": 2}


def test_no_prompt_is_printed_with_a_span() -> None:
    seen: list[str] = []

    def look(span: Span) -> Span:
        seen.append(repr(span))
        return span

    transport = httpx2.MockTransport(lambda _request: httpx2.Response(200, json={"choices": []}))
    with httpx2.Client(transport=transport) as client, tokprof.use(look), tokprof.profile():
        ask = {"model": "gpt-4o", "messages": [{"role": "user", "content": "secret"}]}
        client.post("https://api.openai.com/v1/chat/completions", json=ask)
    assert len(seen) == 1
    assert "secret" not in seen[0]


def test_without_processors_nobody_is_warned() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with tokprof.profile() as prof:
            call()
    assert prof.totals.unkept_calls == 0


@pytest.mark.parametrize("field", [{"cost": "free"}, {"usage": {}}, {"name": None}, {"tags": "x"}])
def test_what_a_processor_spoils_is_put_right_and_reported(field: dict[str, Any]) -> None:
    def spoil(span: Span) -> Span:
        for name, value in field.items():
            setattr(span, name, value)
        return span

    tokprof.use(spoil)
    with pytest.warns(RuntimeWarning, match="run the processor spoil"), tokprof.profile() as prof:
        call(tokens=100)
    assert (prof.totals.calls, prof.totals.input_tokens) == (1, 100)
    assert prof.df.name.tolist()[1] == "work"


def test_what_an_inner_profile_lets_go_is_in_the_outer_at_once() -> None:
    tokprof.use(processors.sample(0))
    with tokprof.profile() as outer, tokprof.profile() as inner:
        call(tokens=100)
        assert outer.totals.input_tokens == inner.totals.input_tokens == 100
