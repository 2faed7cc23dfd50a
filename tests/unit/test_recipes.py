"""TALE over real HTTP, against a model whose elasticity is known."""

from __future__ import annotations

import asyncio
import math
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tokprof
from tokprof.recipes.tale import parse
from tokprof.testing import Reasoner, SimulatedProvider

QUESTIONS = [(f"What is 6 times 7, said {number} times?", "42") for number in range(4)]


def right(answer: str, expected: str) -> bool:
    return expected in answer


@pytest.fixture
def model() -> Reasoner:
    return Reasoner(seed=1, middle=50, knee=40, ceiling=1.0, slope=8)


@pytest.fixture
def ask(model: Reasoner) -> Iterator[Callable[..., str]]:
    with SimulatedProvider(respond=model.respond) as provider:
        client = provider.openai()

        def asking(prompt: str, **more: Any) -> str:
            message: Any = [{"role": "user", "content": prompt}]
            reply = client.chat.completions.create(model="gpt-4o-mini", messages=message, **more)
            return str(reply.choices[0].message.content)

        yield asking


def test_answers_within_the_budgets_that_the_model_estimates(ask: Callable[..., str], model: Reasoner) -> None:
    found = tokprof.recipes.tale(ask, QUESTIONS, grade=right)
    frame = found.df
    assert frame["estimate"].tolist() == frame["budget"].tolist() == [100] * 4
    plain = [thought.tokens for thought in model.thoughts if thought.budget is None]
    within = [thought.tokens for thought in model.thoughts if thought.budget == 100]
    assert frame["plain_tokens"].tolist() == plain and frame["tokens"].tolist() == within
    assert frame["estimate_tokens"].tolist() == [8] * 4
    assert found.reduction.percent == pytest.approx(100 * (1 - sum(within) / sum(plain)))
    assert found.reduction.low < found.reduction.percent < found.reduction.high
    assert found.overhead == pytest.approx(100 * 32 / sum(plain))
    assert found.accuracy == (1.0, pytest.approx(1.0, abs=0.26))
    assert found.profile.totals.calls == 12
    assert "fewer tokens within budgets" in repr(found) and "<table>" in found._repr_html_()


def test_the_search_halves_while_answers_are_right_and_shorter(ask: Callable[..., str], model: Reasoner) -> None:
    found = tokprof.recipes.tale(ask, QUESTIONS, grade=right, search=True)
    for one in found.asked:
        assert one.estimate == 100 and one.budget in (25, 50, 100, 200)
        assert one.score == 1.0
    used = sum(thought.tokens for thought in model.thoughts)
    told = found.df[["plain_tokens", "tokens", "search_tokens"]].sum().sum()
    assert told == used


def test_prompts_are_those_of_the_paper_and_can_be_changed(ask: Callable[..., str]) -> None:
    seen: list[str] = []

    def asking(prompt: str) -> str:
        seen.append(prompt)
        return ask(prompt)

    tokprof.recipes.tale(asking, ["How many {braces} are there?"])
    assert seen[0] == "How many {braces} are there?\nLet's think step by step:"
    assert seen[1].startswith("Task: Analyze the given question and estimate the minimum number of tokens required")
    assert seen[2] == "How many {braces} are there?\nLet's think step by step and use less than 100 tokens:"
    seen.clear()
    tokprof.recipes.tale(asking, ["Why?"], budgeted="{question} At most {budget} tokens.", plain="{question}")
    assert seen[0] == "Why?" and seen[2] == "Why? At most 100 tokens."


def test_a_grader_of_the_answer_alone(ask: Callable[..., str]) -> None:
    found = tokprof.recipes.tale(ask, QUESTIONS[:1], grade=lambda answer: "42" in answer)
    assert found.asked[0].plain_score == 1 and not found.asked[0].note


def test_options_are_given_to_ask(ask: Callable[..., str]) -> None:
    found = tokprof.recipes.tale(ask, ["Why?"], max_tokens=7)
    assert found.df["tokens"].tolist() == [7.0]


async def test_an_async_ask_is_awaited(model: Reasoner) -> None:
    with SimulatedProvider(respond=model.respond) as provider:
        client = provider.async_openai()

        async def asking(prompt: str) -> str:
            message: Any = [{"role": "user", "content": prompt}]
            reply = await client.chat.completions.create(model="gpt-4o-mini", messages=message)
            return str(reply.choices[0].message.content)

        pending = tokprof.recipes.tale(asking, QUESTIONS, grade=right)
        assert repr(pending) == "<tale, which has not begun: ask is async, write `await tokprof.recipes.tale(...)`>"
        found = await pending
    assert found.df["budget"].tolist() == [100] * 4


def test_what_goes_wrong_is_noted_and_the_others_are_asked() -> None:
    def asking(prompt: str) -> str:
        if "bad" in prompt:
            raise RuntimeError
        with tokprof.span("m", kind="llm") as step:
            step.record(model="gpt-4o-mini", provider="openai", input_tokens=5, output_tokens=50)
        return "I cannot say" if "[[budget]]" in prompt else "yes"

    found = tokprof.recipes.tale(asking, ["bad", "good"], grade=lambda answer, question: answer == "yes")
    assert found.asked[0].note == "ask raised RuntimeError" and math.isnan(found.asked[0].tokens)
    assert found.asked[1].budget is None and "no number" in found.asked[1].note
    assert found.asked[1].answer == "yes" and found.asked[1].score == 1
    assert "ask raised RuntimeError" in repr(found)
    assert found.df["budget"].isna().all()


def test_an_interrupt_keeps_what_was_asked(ask: Callable[..., str]) -> None:
    calls = iter(range(100))

    def asking(prompt: str) -> str:
        if next(calls) == 4:
            raise KeyboardInterrupt
        return ask(prompt)

    found = tokprof.recipes.tale(asking, QUESTIONS)
    assert found.interrupted and not math.isnan(found.asked[0].tokens) and math.isnan(found.asked[3].tokens)
    assert "Interrupted" in repr(found)


def test_what_a_budget_around_it_ends_is_at_hand(ask: Callable[..., str]) -> None:
    with pytest.raises(tokprof.BudgetExceeded):
        with tokprof.budget(calls=5):
            tokprof.recipes.tale(ask, QUESTIONS, grade=right)
    found = tokprof.recipes.last_tale()
    assert found is not None and found.interrupted and not math.isnan(found.asked[0].tokens)
    assert not math.isnan(found.asked[1].plain_score) and math.isnan(found.asked[1].score)
    assert found.accuracy == (found.asked[0].plain_score, found.asked[0].score)  # of questions that have both


def test_an_interrupt_of_an_async_function_keeps_what_was_asked() -> None:
    calls = iter(range(100))

    async def asking(prompt: str) -> str:
        if next(calls) == 4:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(60)
        return "[[7]]"

    found = tokprof.recipes.tale(asking, QUESTIONS)
    assert found.interrupted and found.asked[0].budget == 7 and found.asked[3].budget is None


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("Budget: [[120]]", 120),
        ("[[ 1,200 ]]", 1200),
        ("About 80 tokens.", 80),
        ("[[0]]", None),
        ("none", None),
        (None, None),
        ("[[99999999999]]", None),
    ],
)
def test_reading_an_estimate(text: Any, budget: int | None) -> None:
    assert parse(text) == budget


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"questions": "Why?"}, TypeError, "a list of questions"),
        ({"questions": []}, ValueError, "no question"),
        ({"questions": [3]}, TypeError, "a question is a text"),
        ({"ask": None}, TypeError, "ask must be a function"),
        ({"grade": 3}, TypeError, "grade must be a function"),
        ({"grade": lambda a, b, c: True}, TypeError, "grade must take the answer, or"),
        ({"grade": lambda: True}, TypeError, "grade must take the answer, or"),
        ({"ask": lambda: ""}, TypeError, r"ask cannot be called with \(prompt\)"),
        ({"ask": lambda prompt: "", "model": "m"}, TypeError, r"ask cannot be called with \(prompt, model\)"),
        ({"search": True}, ValueError, "search needs grade="),
        ({"metric": "words"}, ValueError, "known: output"),
        ({"budgeted": "{question}"}, ValueError, "has no place for the budget"),
    ],
)
def test_bad_input(options: dict[str, Any], error: type[Exception], said: str) -> None:
    given: dict[str, Any] = {"ask": str, "questions": ["Why?"]} | options
    with pytest.raises(error, match=said):
        tokprof.recipes.tale(given.pop("ask"), given.pop("questions"), **given)
