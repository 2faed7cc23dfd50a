"""Calls that are unlike the earlier ones: found with the reason, and no others; faults are those of the bench."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import tokprof

from .scenes import PRICED, call


@pytest.fixture
def run(clock: Any, frames: Callable[..., None]) -> Callable[..., tokprof.Profile]:
    """A profile of calls of `ask`, each of (input tokens, seconds)."""

    def made(*calls: tuple[int, float], model: str = PRICED, times: int = 1) -> tokprof.Profile:
        frames()
        with tokprof.profile("In[3]") as prof:
            for _ in range(times):
                with tokprof.span("step", kind="agent"):
                    frames("In[3]:2 <module>", "agent.py:5 ask")
                    for tokens, seconds in calls:
                        call(clock, seconds, model, input_tokens=tokens, output_tokens=50)
                    frames()
        return prof

    return made


USUAL = ((1000, 2.0), (1100, 2.2), (900, 1.8), (1050, 2.1), (950, 1.9))


def test_a_prompt_that_grew(run: Callable[..., tokprof.Profile]) -> None:
    prof = run((1000, 2.0), (5000, 2.0))
    found = prof.anomalies(run(*USUAL))
    assert found.span_id.tolist() == [prof.calls.span_id.iloc[1]]
    row = found.iloc[0]
    assert (row.function, row["model"], row.what, row.value) == ("ask", PRICED, "input", 5000)
    assert row.usual == pytest.approx(1000)
    assert row.reason.startswith(
        "5,000 input tokens: 5.0 times more than the 1,000 input tokens usual for ask with gpt-4o-mini; "
    )
    assert "usual for ask" in row.reason and "$" in row.reason  # its cost is, too


def test_a_slow_call_and_a_short_prompt(run: Callable[..., tokprof.Profile]) -> None:
    found = run((1000, 20.0), (100, 2.0)).anomalies([run(*USUAL), run(*USUAL)])
    reasons = found.set_index("what")["reason"]
    assert reasons["time"] == "20 seconds: 10.0 times more than the 2 seconds usual for ask with gpt-4o-mini"
    assert reasons["input"].startswith("100 input tokens: 10.0 times less than")


def test_earlier_calls_that_were_all_alike_do_not_make_a_tenth_unusual(run: Callable[..., tokprof.Profile]) -> None:
    assert run((1100, 1.1)).anomalies(run(*[(1000, 1.0)] * 5)).empty


def test_a_loop_names_the_calls_beyond_the_usual(run: Callable[..., tokprof.Profile]) -> None:
    found = run(*[(1000, 2.0)] * 12).anomalies(run((1000, 2.0), (1000, 2.0), times=4))
    assert found.what.tolist() == ["loop"] * 8  # the 5th to the 12th
    assert "call 12 of ask in one run, where there were 2 at most in 4 earlier runs" in found.reason.iloc[0]


def test_another_model(run: Callable[..., tokprof.Profile]) -> None:
    found = run((1000, 9.0), model="gpt-4o").anomalies(run(*USUAL))
    assert found.reason.tolist() == ["model gpt-4o, where 5 earlier calls of ask used gpt-4o-mini"]


def test_attempts_beyond_those_of_earlier_calls(clock: Any, run: Callable[..., tokprof.Profile]) -> None:
    prof = run(*[(1000, 2.0)] * 3)
    for attempt, span in enumerate((span for span in prof.table.spans if span.source), 1):
        span.attempt = attempt
    found = prof.anomalies(run(*USUAL))
    assert found.reason.tolist() == ["attempt 3, where earlier calls of ask needed 1 at most"]


def test_few_earlier_calls_of_a_function_are_judged_by_those_of_the_model(
    clock: Any, frames: Callable[..., None], run: Callable[..., tokprof.Profile]
) -> None:
    frames()
    with tokprof.profile("In[4]") as prof:
        frames("In[4]:2 <module>", "agent.py:9 other")
        call(clock, 2, input_tokens=50_000, output_tokens=50)
    assert "usual for gpt-4o-mini" in prof.anomalies(run(*USUAL)).reason.iloc[0]
    assert prof.anomalies(run((1000, 2.0))).empty


def test_without_earlier_profiles_the_calls_of_this_one(run: Callable[..., tokprof.Profile]) -> None:
    found = run(*USUAL, (30_000, 2.0)).anomalies()
    assert found.what.tolist() == ["input"]
    assert run(*USUAL).anomalies().empty


def test_what_is_not_known_is_not_judged(clock: Any, run: Callable[..., tokprof.Profile]) -> None:
    with tokprof.profile("quiet") as quiet:
        with tokprof.span("chat", kind="llm") as step:
            step.record(model="mystery")
    assert quiet.anomalies(run(*USUAL)).empty
    with tokprof.profile("none") as none:
        pass
    assert none.anomalies(run(*USUAL)).empty and run(*USUAL).anomalies(none).empty


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    path = Path(__file__).parents[1] / "bench" / "anomalies.py"
    spec = importlib.util.spec_from_file_location("bench_anomalies", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


# least recall of each kind and size that the bench tells: what hardly stands out of the noise may stay unseen
RECALL = {
    "loop": (0.1, 0.6, 0.95),
    "prompt growth": (0.4, 0.9, 0.95),
    "retry storm": (0.95, 0.95, 0.95),
    "model swap": (0.95, 0.95),
    "slow answer": (0.0, 0.5, 0.9),
}


@pytest.mark.parametrize(
    ("fault", "size"), [(fault, size) for fault, each in RECALL.items() for size in range(len(each))]
)
def test_faults_are_found_and_little_else(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch, fault: str, size: int
) -> None:
    monkeypatch.setattr(bench, "ROUNDS", 20)
    assert len(bench.FAULTS[fault]) == len(RECALL[fault])
    faults, found, flagged, right, calls = bench.judge(fault, lambda text: None, size)
    assert found >= RECALL[fault][size] * faults
    assert flagged - right <= 0.01 * calls
    if RECALL[fault][size] >= 0.9:
        assert right >= 0.8 * flagged


def test_where_there_is_no_fault_hardly_anything_is_found(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "ROUNDS", 20)
    faults, _, flagged, _, calls = bench.judge(None, lambda text: None)
    assert faults == 0 and flagged <= 0.01 * calls
