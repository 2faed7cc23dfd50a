"""Alerts: raised as soon as something is true, once, in the right recording, and never at the program's cost."""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tokprof
from tokprof import alerts, recorder
from tokprof.alerts import AlertEvent, AlertWarning, Snapshot
from tokprof.testing import SimulatedProvider


@pytest.fixture(autouse=True)
def none_is_left() -> Iterator[None]:
    yield
    left = list(recorder.watchers)
    recorder.watchers.clear()
    assert left == []


@pytest.fixture
def ask(provider: SimulatedProvider) -> Callable[..., Any]:
    client = provider.openai(max_retries=0)

    def asking(text: str = "hi", **more: Any) -> Any:
        message: Any = [{"role": "user", "content": text}]
        return client.chat.completions.create(model="gpt-4o-mini", messages=message, **more)

    return asking


def spend(tokens: int = 100, clock: Any = None, seconds: float = 0.0, cached: int | None = None) -> None:
    """One call that tokprof is told of."""
    with tokprof.span("model", kind="llm") as step:
        if clock is not None:
            clock.advance(seconds)
        step.record(
            model="gpt-4o-mini", provider="openai", input_tokens=tokens, output_tokens=0, cache_read_tokens=cached
        )


def test_it_is_raised_by_the_very_call_that_did_it_and_once(
    provider: SimulatedProvider, ask: Callable[..., Any]
) -> None:
    events: list[AlertEvent] = []
    provider.reply(text="ok", input_tokens=400, output_tokens=100, times=None)
    with tokprof.profile() as prof, tokprof.alert("tokens > 1000", events.append) as alert:
        seen = []
        for _ in range(5):
            ask()
            seen.append(len(events))
    assert seen == [0, 0, 1, 1, 1] and alert.events == events
    assert events[0].figures["tokens"] == 1500 and events[0].figures["calls"] == 3
    assert events[0].call is not None and events[0].call.model == "gpt-4o-mini"
    assert str(events[0]).startswith("tokens > 1000: tokens 1,500 at test_alerts.py:")
    assert events[0].where.endswith(" in asking()")
    frame = prof.alerts
    assert frame["alert"].tolist() == ["tokens > 1000"] and frame["tokens"].tolist() == [1500]
    assert frame["span_id"].tolist() == [prof.calls["span_id"].iloc[2]]


def test_an_alert_for_all_recordings_has_figures_for_each(ask: Callable[..., Any]) -> None:
    events: list[AlertEvent] = []
    alert = tokprof.alert("calls >= 2", events.append)
    try:
        for _ in range(2):
            with tokprof.profile() as prof:
                ask(), ask(), ask()
            assert len(prof.alerts) == 1
        with tokprof.profile() as outer:
            ask()
            with tokprof.profile() as inner:
                ask()
        assert len(events) == 3 and len(outer.alerts) == len(inner.alerts) == 1
        ask()  # nothing records
        assert len(events) == 3
    finally:
        alert.remove()
    with tokprof.profile():
        ask(), ask()
    assert len(events) == 3


def test_a_block_needs_no_profile_and_counts_its_own_calls_alone(ask: Callable[..., Any]) -> None:
    events: list[AlertEvent] = []
    with tokprof.profile():
        ask(), ask()
        with tokprof.alert("calls >= 2", events.append):
            ask()
        assert not events
    with tokprof.alert("calls >= 2", events.append):
        ask(), ask()
    assert len(events) == 1


def test_a_decorated_function_has_figures_for_each_call(ask: Callable[..., Any]) -> None:
    events: list[AlertEvent] = []

    @tokprof.alert("calls >= 2", events.append)
    def work(times: int) -> int:
        for _ in range(times):
            ask()
        return times

    assert work(1) == 1 and work(1) == 1 and not events
    assert work(2) == 2 and work(3) == 3 and len(events) == 2
    assert work.__name__ == "work"


async def test_tasks_have_blocks_of_their_own(provider: SimulatedProvider) -> None:
    client = provider.async_openai()

    @tokprof.alert("calls >= 3", lambda event: events.append(event))
    async def work(times: int) -> None:
        for _ in range(times):
            message: Any = [{"role": "user", "content": "hi"}]
            await client.chat.completions.create(model="gpt-4o-mini", messages=message)

    events: list[AlertEvent] = []
    await asyncio.gather(work(2), work(2), work(2))
    assert not events
    await asyncio.gather(work(3), work(1))
    assert len(events) == 1


def test_threads_of_a_block_count(ask: Callable[..., Any]) -> None:
    with tokprof.alert("calls >= 4", lambda event: None) as alert:
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(alert.events) == 1


def test_without_do_there_is_one_warning_at_the_users_line(ask: Callable[..., Any]) -> None:
    with pytest.warns(AlertWarning, match="tokprof alert: calls >= 1: calls 1 at") as told:
        with tokprof.profile(), tokprof.alert("calls >= 1"):
            ask(), ask()
    assert [each.filename for each in told if each.category is AlertWarning] == [__file__]


def test_warnings_that_are_errors_do_not_break_the_program(
    ask: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with tokprof.alert("calls >= 1"):
            ask()
    assert "tokprof alert: calls >= 1" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["do", "when"])
def test_what_do_and_when_raise_is_told_once(ask: Callable[..., Any], what: str) -> None:
    def broken(given: Any) -> bool:
        raise ZeroDivisionError

    given = (lambda now: now.calls % 2 == 1, broken) if what == "do" else (broken, None)
    with pytest.warns(RuntimeWarning, match="ZeroDivisionError") as told:
        with tokprof.profile() as prof, tokprof.alert(*given, cooldown=0, name="mine"):
            for _ in range(4):
                assert ask().choices[0].message.content
    # of these alone: garbage of other tests, collected now, may warn of its own
    ours = [each for each in told if "ZeroDivisionError" in str(each.message)]
    assert len(ours) == 1 and prof.totals.calls == 4


def test_it_is_raised_again_only_when_it_was_false_in_between(clock: Any) -> None:
    events: list[AlertEvent] = []
    with tokprof.profile(), tokprof.alert("tokens_per_minute > 1000", events.append, cooldown=0):
        spend(2000)
        spend(2000)
        assert len(events) == 1
        clock.advance(61)
        spend(10)
        spend(3000)
        assert len(events) == 2


def test_the_cooldown_is_waited_for(clock: Any) -> None:
    events: list[AlertEvent] = []
    with tokprof.profile(), tokprof.alert(lambda now: now.call.usage.input_tokens > 100, events.append, cooldown=30):
        for seconds in (0, 1, 10, 25):
            clock.advance(seconds)
            spend(500)
            spend(5)
    assert [round(event.seconds) for event in events] == [0, 36]


def test_what_has_become_true_while_it_cooled_down_is_raised_after_that(clock: Any) -> None:
    events: list[AlertEvent] = []
    with tokprof.profile(), tokprof.alert(lambda now: now.call.usage.input_tokens > 100, events.append, cooldown=30):
        for tokens in (500, 5, 500, 500, 500, 500):  # from 20 s on it stays true
            spend(tokens)
            clock.advance(10)
    assert [round(event.seconds) for event in events] == [0, 30]


def test_a_condition_that_asks_a_model_is_not_asked_about_its_own_call(ask: Callable[..., Any]) -> None:
    def judge(now: alerts.Snapshot) -> bool:
        return ask("is that much?").choices[0].message.content is not None

    with tokprof.profile() as prof, tokprof.alert(judge, lambda event: None) as alert:
        ask()
    assert prof.totals.calls == 2 and len(alert.events) == 1


async def awaited(event: AlertEvent) -> None:
    """What nobody would await."""


def test_rates_are_of_the_last_minute(clock: Any) -> None:
    rate = tokprof.alert(alerts.token_rate(600, seconds=10), lambda event: None, cooldown=0)
    money = tokprof.alert(alerts.cost_rate(0.001), lambda event: None, cooldown=0)
    try:
        with tokprof.profile():
            spend(99)
            assert not rate.events
            clock.advance(11)
            spend(101)
            assert len(rate.events) == 1 and rate.events[0].said == "606 tokens a minute"
            assert not money.events
            spend(7000)
            assert len(money.events) == 1 and money.events[0].said.endswith("a minute")
    finally:
        rate.remove(), money.remove()


def test_spikes_against_earlier_calls_of_the_same_function_also_of_other_recordings(clock: Any) -> None:
    events: list[AlertEvent] = []
    with tokprof.alert(alerts.spike(3), events.append, cooldown=0) as alert:
        alert.remove()
        alert._register()
        for tokens in (100, 110, 95, 105, 100, 102):
            spend(tokens)
        spend(250)
        assert not events  # 2.5 times
        spend(1000)
        assert [event.said for event in events] == ["9.8 times the usual tokens"]
        spend(101)
        assert len(events) == 1
    events.clear()
    forever = tokprof.alert(alerts.spike(3, of="seconds"), events.append)
    try:
        for seconds in (1, 1.1, 0.9, 1.0, 1.05):
            with tokprof.profile():
                spend(10, clock, seconds)
        assert not events
        with tokprof.profile():
            spend(10, clock, 8)
        assert [event.name for event in events] == ["more than 3 times the usual seconds"]
    finally:
        forever.remove()


def test_calls_that_always_vary_are_no_spikes(clock: Any) -> None:
    with tokprof.alert(alerts.spike(3), lambda event: None, cooldown=0) as alert:
        for tokens in (10, 1000, 50, 5000, 100, 2000, 20, 6000):
            spend(tokens)
    assert alert.events == []


def test_errors_and_retries(provider: SimulatedProvider) -> None:
    client = provider.openai(max_retries=1)
    message: Any = [{"role": "user", "content": "hi"}]
    with (
        tokprof.profile(),
        tokprof.alert(alerts.error_rate(0.3, calls=5), lambda event: None) as failing,
        tokprof.alert(alerts.retry_rate(0.3, calls=5), lambda event: None) as trying,
    ):
        for _ in range(2):
            provider.fail(500, retry_after=0.001)
            client.chat.completions.create(model="gpt-4o-mini", messages=message)
        assert not failing.events and not trying.events  # four calls are too few
        client.chat.completions.create(model="gpt-4o-mini", messages=message)
    assert trying.events[0].said == "40% of the last 5 calls were retries"
    assert failing.events[0].said == "40% of the last 5 calls failed" and failing.events[0].figures["errors"] == 2


def test_a_cache_that_is_not_hit_any_more(clock: Any) -> None:
    with tokprof.alert(alerts.cache_hit_rate(0.5, calls=4), lambda event: None) as alert:
        for _ in range(6):
            spend(1000, cached=900)
        assert not alert.events
        for _ in range(3):
            spend(1000, cached=0)
        assert len(alert.events) == 1
        assert alert.events[0].said == "45% of the input of the last 4 calls from the cache"
        spend(1000)  # which does not tell


def test_latency(clock: Any) -> None:
    with tokprof.alert(alerts.latency(2, percentile=50), lambda event: None) as alert:
        for seconds in (1, 1, 1, 9, 9):
            spend(10, clock, seconds)
        assert not alert.events
        spend(10, clock, 9)
        assert alert.events[0].said == "p50 of the latency is 5 s"


def test_figures_that_are_not_known_make_nothing_true(clock: Any) -> None:
    seen: list[Snapshot] = []
    with tokprof.alert("error_rate < 1", lambda event: None) as alert, tokprof.alert(lambda now: seen.append(now)):
        for _ in range(4):
            spend()
        assert not alert.events
        spend()
        assert len(alert.events) == 1
    assert seen[-1].cache_hit_rate != seen[-1].cache_hit_rate and seen[-1].calls == 5


def test_a_framework_that_sums_up_does_not_count_twice(ask: Callable[..., Any], provider: SimulatedProvider) -> None:
    provider.reply(text="ok", input_tokens=400, output_tokens=100, times=None)
    figures: list[tuple[int, int]] = []
    with tokprof.profile() as prof, tokprof.alert(lambda now: figures.append((now.calls, now.tokens))):
        with tokprof.span("agent", kind="agent") as step:
            ask(), ask()
            step.record(model="gpt-4o-mini", provider="openai", input_tokens=800, output_tokens=200)
    assert figures[-1] == (prof.totals.calls, prof.totals.total_tokens) == (2, 1000)


def test_streams_and_estimates_are_seen_when_they_end(provider: SimulatedProvider, ask: Callable[..., Any]) -> None:
    provider.reply(text="one two three four five six", times=None)
    with tokprof.alert("output_tokens > 3", lambda event: None) as alert:
        stream = ask(stream=True)
        assert not alert.events
        for _ in stream:
            pass
        stream.close()
    assert len(alert.events) == 1


def test_do_may_ask_a_model_itself(ask: Callable[..., Any]) -> None:
    with tokprof.profile() as prof, tokprof.alert("calls >= 1", lambda event: ask(), cooldown=0) as alert:
        ask()
    assert prof.totals.calls == 2 and len(alert.events) == 1


def test_what_processors_let_go_counts(ask: Callable[..., Any]) -> None:
    with tokprof.use(tokprof.processors.sample(0.0)):
        with tokprof.profile() as prof, tokprof.alert("calls >= 3", lambda event: None) as alert:
            ask(), ask(), ask()
    assert len(alert.events) == 1 and prof.totals.calls == 3


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("tokens > 1,000", True),
        ("tokens > 1k and calls < 1", False),
        ("Tokens >= 1_500", True),
        ("input tokens<=2000", True),
        ("cost > $0.00001", True),
        ("calls == 1 AND errors == 0", True),
        ("seconds < 10 s", True),
        ("tokens > 1.5e3", False),
    ],
)
def test_conditions_that_are_text(text: str, met: bool, clock: Any) -> None:
    with tokprof.alert(text, lambda event: None) as alert:
        spend(1500)
    assert bool(alert.events) is met


@pytest.mark.parametrize(
    ("when", "error", "said"),
    [
        ("costs > 1", ValueError, "did you mean 'cost'"),
        ("eror_rate > 1", ValueError, "did you mean 'error_rate'"),
        ("cost 1", ValueError, "is no condition: write a figure"),
        ("cost > much", ValueError, "is no condition"),
        ("cost > 50%", ValueError, "cost is not told in %"),
        ("cost > 2 s", ValueError, "cost is not told in s"),
        ("error_rate > 20", ValueError, "error_rate is a share, 100% at most; write for instance 'error_rate > 20%'"),
        ("cost > 1 or calls > 2", ValueError, "is no condition"),
        ("__class__ > 1", ValueError, "is no figure"),
        ("", ValueError, "is no condition"),
        (3, TypeError, "when is a text"),
    ],
)
def test_conditions_that_are_none(when: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        tokprof.alert(when)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: tokprof.alert("cost > 1", 3), TypeError),  # type: ignore[arg-type]
        (lambda: tokprof.alert("cost > 1", awaited), TypeError),
        (lambda: tokprof.alert("cost > 1", cooldown=-1), ValueError),
        (lambda: alerts.error_rate(20), ValueError),
        (lambda: alerts.error_rate(0.2, calls=0), ValueError),
        (lambda: alerts.spike(0.5), ValueError),
        (lambda: alerts.spike(of="money"), ValueError),
        (lambda: alerts.cost_rate(0), ValueError),
        (lambda: alerts.cost_rate("1"), TypeError),  # type: ignore[arg-type]
        (lambda: alerts.token_rate(10, seconds=600), ValueError),
        (lambda: alerts.latency(1, percentile=950), ValueError),
        (lambda: alerts.cache_hit_rate(-1), ValueError),
    ],
)
def test_bad_input(make: Callable[[], Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        make()


def test_without_alerts_calls_are_still_put_off(ask: Callable[..., Any]) -> None:
    with tokprof.profile() as prof:
        ask()
        assert len(prof._recording.spans) == 1
        with tokprof.alert("calls > 100"):
            ask()
            assert len(prof._recording.spans) == 2
    assert prof.totals.calls == 2


def test_how_it_shows_itself(clock: Any) -> None:
    with tokprof.alert("calls >= 1", lambda event: None, name="too many") as alert:
        assert repr(alert) == "<Alert too many: raised 0 times>"
        spend()
    assert repr(alert) == "<Alert too many: raised 1 time>"
    assert str(alerts.latency(2)) == "p95 of the latency above 2 s"
    with tokprof.profile() as prof:
        pass
    assert list(prof.alerts) == ["alert", "said", "seconds", "where", "span_id", "calls", "errors", "tokens", "cost"]
