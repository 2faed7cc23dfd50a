"""The smallest budget that keeps a score: found in noise, with tokens as measured, and whatever goes wrong kept."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import random
import signal
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import altair
import pytest

import tokprof
from tokprof.testing import Reasoner, SimulatedProvider
from tokprof.views.searches import BudgetSearch

from .test_static import HOSTILE

PROMPT = "What is 6 times 7? Let's think step by step and use less than {} tokens:"


def thinking(model: Reasoner) -> Callable[[int], bool]:
    def answer(budget: int) -> bool:
        with tokprof.span("think", kind="llm") as step:
            thought = model.think(budget)
            step.record(model="gpt-4o-mini", provider="openai", input_tokens=60, output_tokens=thought.tokens)
        return thought.correct

    return answer


def right(result: Any) -> bool:
    return bool(result)


def fixed(budget: int, least: int = 100) -> bool:
    """Without noise: as many tokens as it may, and right from so many on."""
    with tokprof.span("think", kind="llm") as step:
        step.record(model="gpt-4o-mini", provider="openai", input_tokens=10, output_tokens=budget)
    return budget >= least


def test_the_best_budget_is_found_within_one_step_and_the_reduction_is_the_true_one() -> None:
    found = 0
    for seed in range(40):
        draw = random.Random(seed)
        model = Reasoner(
            draw.randint(900, 1500),
            draw.randint(40, 300),
            middle=draw.uniform(60, 300),
            slope=draw.uniform(3, 8),
            ceiling=draw.uniform(0.93, 1),
            noise=draw.uniform(0.1, 0.4),
            seed=seed,
        )
        search = tokprof.search_budget(thinking(model), right, 16, 1600, target=0.85)
        budgets = [one.budget for one in search._strategy.tried]
        best = model.optimum(budgets, 0.85)
        if search.budget is None or best is None:
            continue
        found += abs(budgets.index(search.budget) - budgets.index(best)) <= 1
        used = [[each.tokens for each in model.thoughts if each.budget == at] for at in (1600, search.budget)]
        before, after = (sum(each) / len(each) for each in used)
        assert search.reduction.percent == pytest.approx(100 * (1 - after / before))
    assert found >= 38


def test_over_http_tokens_are_those_of_the_provider() -> None:
    model = Reasoner(seed=4, middle=120, slope=8)
    with SimulatedProvider(respond=model.respond) as provider:
        client = provider.openai()

        def answer(budget: int) -> str:
            ask = [{"role": "user", "content": PROMPT.format(budget)}]
            reply = client.chat.completions.create(model="gpt-4o-mini", messages=ask)  # type: ignore[arg-type]
            return str(reply.choices[0].message.content)

        search = tokprof.search_budget(answer, lambda text: "42" in text, 50, 800, target=0.8, max_repeats=12)
        truth = [each["output_tokens"] for each in provider.truth]
    assert search.df["used"].tolist() == truth == search.df["output_tokens"].tolist()
    assert search.profile.totals.output_tokens == sum(truth)
    assert search.budget is not None and search.complete and search.reduction.percent > 30
    assert search.trials[0].result in ("The answer is 42.", "The answer is 41.")


async def test_async_functions_are_awaited() -> None:
    model = Reasoner(seed=4)

    async def answer(budget: int, more: int) -> bool:
        await asyncio.sleep(0)
        assert more == 7
        return thinking(model)(budget)

    search = await tokprof.search_budget(answer, right, 16, 1600, target=0.7, params={"more": 7})
    assert isinstance(search, BudgetSearch) and search.budget is not None


def test_an_async_function_where_no_loop_runs() -> None:
    async def answer(budget: int) -> bool:
        return fixed(budget)

    assert tokprof.search_budget(answer, right, 10, 200, target=1.0, step=10, max_repeats=3).budget == 100


def test_without_noise_the_smallest_budget_is_exact() -> None:
    search = tokprof.search_budget(fixed, right, 10, 1000, target=1.0, step=10, max_repeats=3)
    assert search.budget == 100
    assert search.reduction == pytest.approx((90, 90, 90))
    assert "next smaller budget misses" in search.reason
    frame = search.summary()
    assert frame.loc[100, "decision"] == "best" and frame.loc[90, "decision"] == "missed"
    assert frame.loc[1000, "decision"] == "kept" and frame.loc[1000, "tokens"] == 1000
    assert frame["trials"].max() == 3
    assert search.df["repeat"].tolist()[:3] == [1, 2, 3]


def test_a_budget_below_which_answers_get_longer_is_not_gone_below() -> None:
    def answer(budget: int) -> bool:
        with tokprof.span("think", kind="llm") as step:
            used = budget if budget >= 200 else 200 + 3 * (200 - budget)
            step.record(model="m", provider="openai", input_tokens=10, output_tokens=used)
        return budget >= 50

    search = tokprof.search_budget(answer, right, 10, 500, target=0.9, step=10, max_repeats=4)
    assert search.budget == 200 and "longer again" in search.reason
    assert "longer" in set(search.summary()["decision"])
    assert tokprof.search_budget(answer, right, 10, 500, target=0.9, step=10, max_repeats=4, elastic=False).budget == 50


def test_the_target_is_that_of_the_largest_budget_less_the_tolerance() -> None:
    def answer(budget: int) -> float:
        fixed(budget)
        return min(0.9, budget / 1000)

    search = tokprof.search_budget(answer, float, 100, 1000, tolerance=0.1, step=50)
    assert search.target == pytest.approx(0.8) and search.budget == 800


def test_less_may_be_better_and_scores_have_their_own_range() -> None:
    def loss(budget: int) -> float:
        fixed(budget)
        return 100_000 / budget

    search = tokprof.search_budget(
        loss, float, 100, 1000, target=250, step=50, direction="minimize", score_range=(0, 1000)
    )
    assert search.budget == 400
    row = search.summary().loc[400]
    assert row["score"] == pytest.approx(250)
    assert search.summary().loc[search.budget, "decision"] == "best"


def test_where_even_the_largest_budget_misses_there_is_no_answer() -> None:
    search = tokprof.search_budget(lambda budget: fixed(budget, 5000), right, 10, 100, target=0.9)
    assert search.budget is None and search.complete
    assert "even 100 tokens miss the target" in search.reason
    assert math.isnan(search.reduction.percent)
    assert "no budget found" in repr(search) and set(search.df["budget"]) == {100}
    search.elasticity()


def test_a_function_that_always_fails_ends_the_search_soon() -> None:
    def answer(budget: int) -> str:
        raise RuntimeError("a secret in a message")

    search = tokprof.search_budget(answer, right, 10, 100)
    assert search.budget is None and len(search.df) == 3
    assert search.reason == "every run at 100 failed (RuntimeError)"
    assert search.df["status"].tolist() == ["error"] * 3 and search.df["error"].tolist() == ["RuntimeError"] * 3
    assert "secret" not in repr(search) + search._repr_html_()


def test_a_run_that_fails_is_a_miss_unless_it_is_to_be_skipped() -> None:
    def answer(budget: int) -> bool:
        if budget < 60:
            raise ValueError("cut off")
        return fixed(budget, 20)

    search = tokprof.search_budget(answer, right, 10, 200, target=0.9, step=10)
    assert search.budget == 60
    assert search.summary().loc[50, "failed"] >= 3
    flaky = iter([ValueError()] + [None] * 1000)

    def sometimes(budget: int) -> bool:
        if (error := next(flaky)) is not None:
            raise error
        return fixed(budget)

    search = tokprof.search_budget(sometimes, right, 10, 200, target=0.99, step=10, errors="skip", max_repeats=5)
    assert search.budget == 100 and search.summary().loc[200, "score"] == 1


@pytest.mark.parametrize(
    ("score", "note"),
    [
        (lambda result: math.nan, "score is NaN"),
        (lambda result: 87.0, "score 87 is not within score_range, 0 to 1"),
        (lambda result: "good", "no number"),
        (lambda result: 1 / 0, "score raised ZeroDivisionError"),
    ],
)
def test_scores_that_are_none_are_rows_and_reasons(score: Callable[[Any], Any], note: str) -> None:
    search = tokprof.search_budget(fixed, score, 10, 100)
    assert search.budget is None and len(search.df) == 3 and search.df["score"].isna().all()
    assert note in search.reason and note in search.df["note"].iloc[0]
    assert search.df["output_tokens"].tolist() == [100] * 3


def test_runs_without_a_call_have_unknown_tokens() -> None:
    search = tokprof.search_budget(lambda budget: budget >= 40, right, 10, 100, target=0.9, step=10)
    assert search.budget == 40 and math.isnan(search.reduction.percent)
    assert search.df["used"].isna().all() and "no model call was seen" in repr(search)
    assert "unknown used" in repr(search.elasticity())


def test_an_interrupt_keeps_what_is_done() -> None:
    calls = iter(range(100))

    def answer(budget: int) -> bool:
        if next(calls) == 7:
            raise KeyboardInterrupt
        return fixed(budget)

    search = tokprof.search_budget(answer, right, 10, 1000, target=0.9)
    assert search.interrupted and not search.complete and len(search.df) == 8
    assert search.df["status"].iloc[-1] == "interrupted" and search.reason.startswith("interrupted; ")
    repr(search), search._repr_html_(), search.elasticity()


def test_an_allowance_ends_the_search_and_what_is_done_is_kept(provider: SimulatedProvider) -> None:
    client = provider.openai(max_retries=0)

    def answer(budget: int) -> bool:
        ask = [{"role": "user", "content": "hi"}]
        client.chat.completions.create(model="gpt-4o-mini", messages=ask, max_tokens=20)  # type: ignore[arg-type]
        return budget > 40

    search = tokprof.search_budget(answer, right, 10, 1000, target=0.9, budget={"calls": 12})
    assert search.stopped is not None and "budget" in search.stopped and not search.complete
    assert len(provider.requests) == 12 and search.df["status"].tolist().count("ok") == 12
    assert search.df["status"].iloc[-1] == "stopped"


def test_a_budget_of_the_users_own_goes_through(provider: SimulatedProvider) -> None:
    client = provider.openai(max_retries=0)

    def answer(budget: int) -> bool:
        ask = [{"role": "user", "content": "hi"}]
        client.chat.completions.create(model="gpt-4o-mini", messages=ask, max_tokens=20)  # type: ignore[arg-type]
        return True

    with pytest.raises(tokprof.BudgetExceeded):
        with tokprof.budget(calls=2):
            tokprof.search_budget(answer, right, 10, 1000, target=0.9)
    assert len(provider.requests) == 2
    search = tokprof.last_search()
    assert search is not None and search.df["status"].tolist() == ["ok", "ok", "stopped"]
    assert search.stopped == "budget of 2 calls, 2 spent, 1 asked for" and not search.complete
    assert "Stopped: budget of 2 calls" in repr(search)


async def test_an_async_search_begins_when_it_is_awaited() -> None:
    asked: list[int] = []

    async def answer(budget: int) -> bool:
        asked.append(budget)
        return budget >= 20

    pending = tokprof.search_budget(answer, right, 10, 100, target=0.9)
    assert "has not begun: fn is async, write `await tokprof.search_budget(...)`" in repr(pending) and not asked
    with pytest.raises(AttributeError, match="has no 'budget' before it is awaited"):
        _ = pending.budget
    found = await pending
    assert found.trials and asked
    with pytest.raises(RuntimeError, match="was awaited before"):
        await pending
    task = asyncio.create_task(tokprof.search_budget(answer, right, 10, 100, target=0.9))
    assert (await task).trials


async def test_a_cancelled_search_is_cancelled() -> None:
    async def answer(budget: int) -> bool:
        await asyncio.sleep(60)
        return True

    task = asyncio.ensure_future(tokprof.search_budget(answer, right, 10, 100))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    search = tokprof.last_search()
    assert search is not None and search.interrupted and search.df["status"].tolist() == ["interrupted"]


async def test_a_task_that_swallows_its_cancellation_is_cancelled_all_the_same() -> None:
    async def answer(budget: int) -> bool:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        return True

    task = asyncio.ensure_future(tokprof.search_budget(answer, right, 10, 100))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    search = tokprof.last_search()
    assert search is not None and len(search.trials) == 1


def test_an_interrupt_of_an_async_search_keeps_what_is_done() -> None:
    calls: list[int] = []

    async def answer(budget: int) -> bool:
        calls.append(budget)
        if len(calls) == 5:
            signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(0.001 if len(calls) < 5 else 60)
        return budget >= 100

    before = signal.getsignal(signal.SIGINT)
    search = tokprof.search_budget(answer, right, 10, 1000, target=0.9)
    assert search.interrupted and search.df["status"].tolist() == ["ok"] * 4 + ["interrupted"]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_lambda_has_no_name() -> None:
    search = tokprof.search_budget(lambda budget: budget, lambda n: n > 50, 10, 100, target=0.9)
    assert "lambda" not in repr(search) + search._repr_html_() + search.profile.title
    assert repr(search).startswith("tokprof search: ") and search.profile.title == "search"
    assert {trial.profile.title for trial in search.trials} >= {"within 100", "within 53"}


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"low": 0}, ValueError, "low must be more than 0"),
        ({"low": -5}, ValueError, "low must be more than 0"),
        ({"low": 200}, ValueError, "200 is not less than 100"),
        ({"low": 1.5}, TypeError, "low must be a whole number"),
        ({"high": True}, TypeError, "high must be a whole number"),
        ({"target": 1.5}, ValueError, "target 1.5 is not within score_range"),
        ({"target": "high"}, TypeError, "target must be a number"),
        ({"tolerance": -1}, ValueError, "tolerance must be from 0"),
        ({"score_range": (1, 0)}, ValueError, "score_range goes from less to more"),
        ({"score_range": 1}, TypeError, "score_range is a pair"),
        ({"step": "quarter"}, TypeError, "step is a share"),
        ({"step": "x%"}, ValueError, "'x%' is no step"),
        ({"step": 0}, ValueError, "step must be more than 0"),
        ({"step": 0.25}, ValueError, '"25%"'),
        ({"direction": "maximise"}, ValueError, "did you mean 'maximize'?"),
        ({"metric": "outputs"}, ValueError, "did you mean 'output'?"),
        ({"errors": "ignore"}, ValueError, "known: miss, skip"),
        ({"repeats": 0}, ValueError, "repeats must be at least 1"),
        ({"repeats": 50}, ValueError, "at most max_repeats"),
        ({"confidence": 95}, ValueError, "for instance 0.95"),
        ({"params": {"budget": 3}}, ValueError, "params cannot have 'budget'"),
        ({"params": {"more": 3}}, TypeError, "fn cannot be called with"),
        ({"fn": 3}, TypeError, "fn must be a function"),
        ({"score": None}, TypeError, "score must be a function"),
        ({"budget": "much"}, TypeError, "budget"),
        ({"tolerence": 0.1}, TypeError, "tolerence"),
    ],
)
def test_bad_input_is_told_before_anything_is_run(options: dict[str, Any], error: type[Exception], said: str) -> None:
    def answer(budget: int) -> bool:
        raise AssertionError("this must not be run")

    with pytest.raises(error, match=said):
        tokprof.search_budget(**({"fn": answer, "score": right, "low": 10, "high": 100} | options))


def test_how_it_shows_itself() -> None:
    search = tokprof.search_budget(fixed, right, 10, 1000, target=1.0, step=10, max_repeats=3, name="my answer")
    text = repr(search)
    assert text.splitlines()[0] == "tokprof search my answer: 100 tokens, score 1, target 1"
    assert "100 output tokens instead of 1,000 with 1,000: 90.0 % (90.0 to 90.0) fewer." in text
    page = search._repr_html_()
    ElementTree.fromstring(f"<div>{page.replace('<br>', '<br/>')}".replace('768px">', '768px"/>') + "</div>")
    assert "<script" not in page and "data:image/svg+xml;base64," in page


def test_the_elasticity_plot() -> None:
    search = tokprof.search_budget(thinking(Reasoner(seed=1)), right, 16, 1600, target=0.8)
    chart = search.elasticity()
    bundle = chart._repr_mimebundle_()
    spec = bundle["application/vnd.vegalite.v5+json"]
    rows = [row for data in spec["datasets"].values() for row in data] if "datasets" in spec else []
    rows = rows or [row for layer in spec["layer"] for row in layer.get("data", spec.get("data", {})).get("values", [])]
    shown = {row["budget"]: row["tokens"] for row in rows if "decision" in row}
    assert shown == pytest.approx(search.summary()["tokens"].to_dict(), rel=1e-5)
    assert f"best: {search.budget:,}" in json.dumps(spec) and f"best: {search.budget:,}" in chart.svg
    assert isinstance(chart.chart, altair.LayerChart)
    assert f"▸ {search.budget:,} asked for" in repr(chart)
    tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(chart.svg).iter()}
    assert tags <= {"svg", "title", "text", "path", "polyline", "circle"}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_names(text: str) -> None:
    search = tokprof.search_budget(fixed, right, 10, 200, target=1.0, step=50, max_repeats=3, name=text)
    ElementTree.fromstring(search.elasticity().svg)
    assert "<script" not in search._repr_html_().lower() and "<img src=x" not in search._repr_html_()


def test_within_a_profile_its_runs_are_part_of_it() -> None:
    with tokprof.profile() as prof:
        search = tokprof.search_budget(fixed, right, 10, 200, target=1.0, step=50, max_repeats=3)
    assert prof.totals.calls == len(search.df) == search.profile.totals.calls
