"""Experiments: every run is a row, whatever happens to it, and nothing that was done is lost."""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tokprof
from tokprof.testing import SimulatedProvider


def asks(provider: SimulatedProvider) -> Any:
    """A function that asks a model `k` times; 3 tokens a message, 4 characters a token, and 7 of the answer."""
    client = provider.openai()

    def answer(model: str = "gpt-4o-mini", k: int = 1) -> str:
        for _ in range(k):
            client.chat.completions.create(model=model, messages=[{"role": "user", "content": "12345678"}])
        return f"{model} {k}"

    return answer


@pytest.fixture
def answer(provider: SimulatedProvider) -> Iterator[Any]:
    yield asks(provider)


def run(fn: Any, grid: Any = None, **options: Any) -> Any:
    return tokprof.experiment(fn, grid, **{"progress": False, **options})


GRID = {"model": ["gpt-4o-mini", "gpt-4o"], "k": [1, 3]}


def test_a_row_for_each_run(answer: Any) -> None:
    result = run(answer, GRID, repeats=2, score=lambda text: len(text) / 100)
    frame = result.df
    assert len(result) == len(frame) == 8 and frame["run"].tolist() == list(range(1, 9))
    assert sorted(frame["point"]) == [1, 1, 2, 2, 3, 3, 4, 4]
    assert set(frame["status"]) == {"ok"}
    assert frame["calls"].equals(frame["k"].astype("Int64").rename("calls"))
    assert (frame["total_tokens"] == 12 * frame["k"]).all() and (frame["input_tokens"] == 5 * frame["k"]).all()
    cost = (
        frame["k"]
        * (
            5 * frame["model"].map({"gpt-4o-mini": 0.15, "gpt-4o": 2.5})
            + 7 * frame["model"].map({"gpt-4o-mini": 0.6, "gpt-4o": 10})
        )
        / 1e6
    )
    assert frame["cost"].tolist() == pytest.approx(cost.tolist())
    assert frame["score"].tolist() == [len(f"{row.model} {row.k}") / 100 for row in frame.itertuples()]
    assert (frame["seconds"] > 0).all() and (frame["cost_coverage"] == 1).all()
    for row in result:
        prof = result.profile(row["run"])
        assert prof.totals.total_tokens == row["total_tokens"]
        assert prof.title == f"run {row['run']}: model={row['model']}, k={row['k']}"
        assert result.returned(row["run"]) == f"{row['model']} {row['k']}"
        assert result.given(row["run"]) == {"model": row["model"], "k": row["k"]}
    assert result.profile().totals.total_tokens == result.spent["tokens"] == frame["total_tokens"].sum()
    assert result.profile().by("tag:model")["calls"].to_dict() == {"gpt-4o-mini": 8, "gpt-4o": 8}


def test_each_repeat_is_a_block_in_an_order_of_its_own() -> None:
    def order(seed: Any) -> list[int]:
        return list(run(lambda x: x, {"x": list(range(8))}, seed=seed).df["point"])

    first = order(1)
    assert first == order(1) != order(2)
    assert all(sorted(first[at : at + 8]) == list(range(1, 9)) for at in (0, 8, 16))
    assert first[:8] != first[8:16] and first[:8] != sorted(first[:8])
    assert order(None) == [*range(1, 9)] * 3


def test_a_seed_for_each_repeat_and_the_same_for_all_points() -> None:
    frame = run(lambda x, seed: seed, {"x": [1, 2]}, score=float).df
    assert (frame["score"] == frame["seed"]).all()
    assert frame.groupby("repeat")["score"].nunique().tolist() == [1, 1, 1] and frame["score"].nunique() == 3
    own = run(lambda seed: seed, {"seed": [5, 6]}, score=float, repeats=1).df
    assert own["seed"].tolist() == own["score"].tolist() and set(own["seed"]) == {5, 6}


def test_runs_that_fail_are_rows() -> None:
    def flaky(x: int) -> int:
        if x == 2:
            raise ValueError("with a secret")
        return x

    result = run(flaky, {"x": [1, 2]}, score=float, repeats=2)
    failed = result.df[result.df["x"] == 2]
    assert set(failed["status"]) == {"error"} and set(failed["error"]) == {"ValueError"}
    assert failed["score"].isna().all()
    number = int(failed["run"].iloc[0])
    assert str(result.exception(number)) == "with a secret" and result.returned(number) is None
    assert result.profile(number).df["status"].iloc[0] == "error"
    summary = result.summary()
    assert summary["failed"].tolist() == [0, 2] and math.isnan(summary["score"].iloc[1])
    assert "secret" not in repr(result) + result._repr_html_()
    assert "2 runs failed, and no part of the means: ValueError (2): see .exception(" in repr(result)


@pytest.mark.parametrize(
    ("given", "note"),
    [
        (float("nan"), "score is NaN"),
        (float("inf"), "score is infinite"),
        (None, "score is NoneType, no number"),
        ("good", "score is str, no number"),
        ({"f1": 0.5, "em": float("nan")}, "score 'em' is NaN"),
    ],
)
def test_scores_that_are_none_are_noted(given: Any, note: str) -> None:
    result = run(lambda: 1, repeats=2, score=lambda one: given)
    frame = result.df
    assert set(frame["note"]) == {note} and set(frame["status"]) == {"ok"}
    assert frame[result.scores].isna().any().any()
    assert note in repr(result)
    if isinstance(given, dict):
        assert result.scores == ["f1", "em"] and frame["f1"].tolist() == [0.5, 0.5]


def test_a_score_that_raises_is_noted_and_what_it_spends_is_told_apart(answer: Any) -> None:
    def judge(text: str, params: dict[str, Any]) -> float:
        answer(k=2)
        return 1 / (params["k"] - 1)

    frame = run(answer, {"k": [1, 3]}, repeats=1, score=judge).df.set_index("k")
    assert frame["note"].fillna("").to_dict() == {1: "score raised ZeroDivisionError", 3: ""}
    assert math.isnan(frame["score"][1]) and frame["score"][3] == 0.5
    assert frame["total_tokens"].to_dict() == {1: 12, 3: 36}
    assert frame["scoring_tokens"].to_dict() == {1: 24, 3: 24}


def test_values_of_any_kind_and_their_labels() -> None:
    def plain(text: str) -> str:
        return text

    long = "You are a helpful assistant. " * 20
    seen: list[Any] = []

    def fn(how: Any, prompt: str, options: Any) -> int:
        seen.append((how, prompt, options))
        return len(prompt)

    grid = {"how": [plain, lambda text: text], "prompt": [long, f"{long}!"], "options": {"none": {}, "hot": object()}}
    result = run(fn, grid, repeats=1, score=float)
    frame = result.df
    assert set(frame["how"]) == {"plain", "<lambda>"}
    assert set(frame["options"]) == {"none", "hot"}
    prompts = sorted(set(frame["prompt"]))
    assert len(prompts) == 2 and all(len(text) < 60 for text in prompts)
    assert {prompt for _, prompt, _ in seen} == {long, f"{long}!"} and {how for how, _, _ in seen} == set(grid["how"])
    assert len(result.summary()) == 8


def test_a_list_of_points(answer: Any) -> None:
    result = run(answer, [{"model": "gpt-4o"}, {"model": "gpt-4o", "k": 2}], repeats=1)
    frame = result.df.sort_values("point")
    assert frame["calls"].tolist() == [1, 2] and frame["k"].isna().tolist() == [True, False]


def test_large_grids_are_refused_before_anything_is_made() -> None:
    grid = {name: list(range(10)) for name in "abcd"}
    with pytest.raises(
        ValueError, match=re.escape("10,000 combinations, which with repeats=3 are 30,000 runs; give max_")
    ):
        run(lambda **given: 1, grid)
    assert len(run(lambda **given: 1, {"a": list(range(1001))}, repeats=1, max_runs=1001)) == 1001


@pytest.mark.parametrize(
    ("fn", "grid", "options", "error", "said"),
    [
        (lambda x: x, {"y": [1]}, {}, TypeError, r"parameters of the grid \(y\).*it takes \(x\)"),
        (lambda x: x, {"x": []}, {}, ValueError, "no value for 'x'"),
        (lambda x: x, {"x": [1, 1]}, {}, ValueError, "1 is twice among the values of 'x'; ask for more repeats"),
        (lambda x: x, {"x": {1, 2}}, {}, TypeError, "must be a list.*a set has no order"),
        (lambda x: x, [{"x": 1}, {"x": 1}], {}, ValueError, "points 1 and 2 of the grid are the same"),
        (lambda x: x, [], {}, ValueError, "the grid is empty"),
        (lambda x: x, 7, {}, TypeError, "grid must be a dict of names to lists"),
        (lambda cost: 1, {"cost": [1]}, {}, ValueError, "cannot be called 'cost'"),
        (lambda: 1, None, {"repeats": 0}, ValueError, "repeats must be 1 or more"),
        (lambda: 1, None, {"parallel": 1.5}, TypeError, "parallel must be a whole number"),
        (lambda: 1, None, {"score": 3}, TypeError, "score must be a function"),
        (lambda: 1, None, {"score": lambda: 3}, TypeError, "score must take the result"),
        (lambda: 1, None, {"budget": "much"}, TypeError, "a budget is a number of tokens"),
        (lambda: 1, None, {"budget": {"token": 3}}, TypeError, "token"),
        (lambda: 1, None, {"capture": "all"}, ValueError, "'all' is no way to capture"),
        (lambda: 1, None, {"repeat": 3}, TypeError, "repeat"),
        (lambda: (yield), None, {}, TypeError, "generator"),
        ("fn", None, {}, TypeError, "fn must be a function, not str"),
        (lambda: asyncio.sleep(0), None, {}, TypeError, "define fn with `async def`"),
    ],
)
def test_what_does_not_fit_is_refused(fn: Any, grid: Any, options: Any, error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        run(fn, grid, **options)


def test_threads_give_what_one_after_the_other_gives(provider: SimulatedProvider) -> None:
    provider.latency = 0.05
    answer, lock, most = asks(provider), threading.Lock(), [0, 0]

    def counted(model: str, k: int) -> str:
        with lock:
            most[0] += 1
            most[1] = max(most)
        try:
            return answer(model, k)
        finally:
            with lock:
                most[0] -= 1

    with tokprof.profile("around") as around:
        many = run(counted, GRID, parallel=4, score=len)
    one = run(answer, GRID, score=len)
    same = ["run", "point", "repeat", "model", "k", "status", "score", "calls", "total_tokens", "cost", "seed"]
    assert many.df[same].equals(one.df[same])
    assert most[1] == 4
    assert around.totals.total_tokens == many.df["total_tokens"].sum()
    runs = around.df[around.df["name"].str.startswith("run ")]
    assert len(runs) == 12 and set(runs["kind"]) == {"profile"}


async def test_an_async_function_is_awaited_where_a_loop_runs(provider: SimulatedProvider) -> None:
    client = provider.async_openai()
    provider.latency = 0.05
    flying, most = [0], [0]

    async def answer(k: int) -> int:
        flying[0] += 1
        most[0] = max(most[0], flying[0])
        messages = [{"role": "user", "content": "12345678"}]
        await asyncio.gather(*(client.chat.completions.create(model="gpt-4o", messages=messages) for _ in range(k)))
        flying[0] -= 1
        return k

    async def score(k: int) -> float:
        await asyncio.sleep(0)
        return k / 10

    pending = tokprof.experiment(answer, {"k": [1, 2]}, parallel=3, score=score, progress=False)
    assert "await tokprof.experiment" in repr(pending) and not provider.requests
    with pytest.raises(
        AttributeError, match=r"has no 'df' before it is awaited: write `await tokprof.experiment\(...\)`"
    ):
        _ = pending.df
    frame = (await pending).df
    assert (frame["total_tokens"] == 12 * frame["k"]).all() and (frame["score"] == frame["k"] / 10).all()
    assert most[0] == 3


def test_an_async_function_without_a_loop() -> None:
    async def double(x: int) -> int:
        await asyncio.sleep(0)
        if x == 3:
            raise asyncio.CancelledError
        return 2 * x

    frame = run(double, {"x": [1, 2, 3]}, repeats=1, score=float).df.set_index("x")
    assert frame["score"].to_dict() == pytest.approx({1: 2, 2: 4, 3: float("nan")}, nan_ok=True)
    assert frame["status"][3] == "error"


async def test_a_cancelled_experiment_is_cancelled_and_keeps_what_is_done() -> None:
    async def fn(x: int) -> int:
        await asyncio.sleep(0 if x < 3 else 30)
        return x

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(tokprof.experiment(fn, {"x": [1, 2, 3, 4]}, repeats=1, seed=None, progress=False), 0.5)
    result = tokprof.last_experiment()
    assert result is not None and result.df["status"].tolist() == ["ok", "ok", "interrupted"]
    assert result.remaining["x"].tolist() == [4]


@pytest.mark.parametrize(("calls", "statuses"), [(7, ["ok"] * 5), (5, ["ok", "ok", "ok", "stopped"])])
def test_a_budget_for_the_whole(answer: Any, calls: int, statuses: list[str]) -> None:
    result = run(answer, {"k": [1, 2]}, repeats=4, budget={"calls": calls}, seed=None, score=len)
    frame = result.df
    assert frame["status"].tolist() == statuses
    assert frame["total_tokens"].sum() == 12 * calls == result.spent["tokens"]
    assert result.stopped == f"budget of {calls} calls" and not result.interrupted
    left = 8 - len(statuses)
    assert len(result.remaining) == left
    assert f"Stopped by the budget of {calls} calls, {left} runs left. Give path= next time" in repr(result)


def test_tokens_as_a_budget_and_a_program_that_swallows_it(answer: Any) -> None:
    def stubborn(k: int) -> str:
        try:
            return str(answer(k=k))
        except BaseException:
            return "went on"

    result = run(stubborn, {"k": [1, 2]}, repeats=2, budget=30, seed=None, score=len)
    assert result.df["status"].tolist() == ["ok", "ok"] and result.stopped == "budget of 30 tokens"
    given = tokprof.budget(tokens=30)
    assert run(answer, {"k": [1]}, repeats=4, budget=given).stopped == "budget of 30 tokens"


def test_a_budget_for_each_run(answer: Any) -> None:
    frame = run(answer, {"k": [1, 2, 3]}, repeats=1, run_budget={"calls": 2}, score=len).df.set_index("k")
    assert frame["status"].to_dict() == {1: "ok", 2: "ok", 3: "stopped"}
    assert frame["error"][3] == "BudgetExceeded" and frame["total_tokens"][3] == 24


def test_a_budget_around_it_is_not_swallowed(answer: Any) -> None:
    with pytest.raises(tokprof.BudgetExceeded):
        with tokprof.budget(calls=3):
            run(answer, {"k": [2]}, repeats=3)
    result = tokprof.last_experiment()
    assert result is not None and result.df["status"].tolist() == ["ok", "stopped"]
    assert result.stopped == "budget of 3 calls" and "Stopped by the budget of 3 calls, 1 run left." in repr(result)
    assert "· 1 stopped ·" in repr(result) and "1 run stopped, and no part of the means" in repr(result)
    assert "failed" not in repr(result)


def test_an_interrupt_gives_what_is_done(tmp_path: Path) -> None:
    def fn(x: int) -> int:
        if x == 3:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        return x

    before = signal.getsignal(signal.SIGINT)
    path = tmp_path / "runs.jsonl"
    result = run(fn, {"x": [1, 2, 3, 4]}, repeats=1, seed=None, path=path, score=float)
    assert signal.getsignal(signal.SIGINT) is before
    assert result.interrupted and result.df["status"].tolist() == ["ok", "ok", "interrupted"]
    assert "Interrupted, 1 run left. The same call goes on from runs.jsonl." in repr(result)
    assert "· 1 interrupted ·" in repr(result) and "failed" not in repr(result)

    with pytest.warns(UserWarning, match="fn changed since the runs in it were made"):
        whole = run(lambda x: x, {"x": [1, 2, 3, 4]}, repeats=1, seed=None, path=path, score=float, name="fn")
    assert whole.df["status"].tolist() == ["ok"] * 4 and not whole.interrupted
    assert whole.df["score"].tolist() == [1, 2, 3, 4]


def test_an_interrupt_between_runs_loses_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tokprof.trials.running import Session

    kept = Session._keep

    def keep(session: Any, plan: Any, row: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        kept(session, plan, row)

    monkeypatch.setattr(Session, "_keep", keep)
    result = run(lambda x: x, {"x": [1, 2]}, repeats=1, path=tmp_path / "runs.jsonl")
    assert result.interrupted and len(result) == 1
    assert len((tmp_path / "runs.jsonl").read_text().splitlines()) == 2


def test_an_interrupt_of_threads_waits_for_the_runs_under_way() -> None:
    began = threading.Barrier(3)

    def fn(x: int) -> int:
        began.wait(10)
        time.sleep(0.3)
        return x

    def stop() -> None:
        began.wait(10)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=stop).start()
    result = run(fn, {"x": [1, 2, 3, 4]}, repeats=1, parallel=2, score=float)
    assert result.interrupted and result.df["status"].tolist() == ["ok", "ok"]
    assert len(result.remaining) == 2


def test_a_second_interrupt_leaves_them(tmp_path: Path) -> None:
    began, ended = threading.Barrier(3), threading.Event()

    def fn(x: int) -> int:
        if not ended.is_set():
            began.wait(10)
        ended.wait(30)
        return x

    def stop() -> None:
        began.wait(10)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)

    threading.Thread(target=stop).start()
    result = run(fn, {"x": [1, 2]}, repeats=1, parallel=2, path=tmp_path / "runs.jsonl")
    ended.set()
    assert result.df["status"].tolist() == ["interrupted", "interrupted"] and result.df["total_tokens"].isna().all()
    assert set(result.df["note"]) == {"left under way"}
    again = run(fn, {"x": [1, 2]}, repeats=1, path=tmp_path / "runs.jsonl")
    assert again.df["status"].tolist() == ["ok", "ok"]


def test_an_interrupt_of_tasks() -> None:
    async def fn(x: int) -> int:
        if x == 2:
            os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(0 if x == 1 else 30)
        return x

    result = run(fn, {"x": [1, 2, 3]}, repeats=1, seed=None, score=float)
    assert result.interrupted and result.df["status"].tolist() == ["ok", "interrupted"]


def test_an_exit_is_an_exit(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    with pytest.raises(SystemExit):
        run(lambda x: sys.exit(3) if x == 2 else x, {"x": [1, 2, 3]}, repeats=1, seed=None, path=path)
    assert [json.loads(line)["status"] for line in path.read_text().splitlines()[1:]] == ["ok", "interrupted"]


def test_a_clock_that_goes_back_is_no_harm(answer: Any, clock: Any) -> None:
    def fn(k: int) -> str:
        clock.advance(-5)
        return str(answer(k=k))

    result = run(fn, {"k": [1, 2]}, score=len)
    assert (result.df["seconds"] == 0).all() and set(result.df["status"]) == {"ok"}
    assert "0 ms" in repr(result)


def test_what_is_not_known_is_not_nothing(provider: SimulatedProvider) -> None:
    result = run(asks(provider), {"model": ["mystery-1", "gpt-4o"]}, score=len)
    frame = result.df.set_index("model")
    assert frame["cost"]["mystery-1"].isna().all() and (frame["cost"]["gpt-4o"] > 0).all()
    assert result.pareto()["dominated"].isna().sum() == 1
    assert "1 point without a known cost (USD) or score." in repr(result.chart())
    assert "?" in repr(result)


def test_within_a_profile_it_is_one_part_of_it(answer: Any) -> None:
    with tokprof.profile("day", capture="full") as day:
        result = run(answer, {"k": [1, 2]}, repeats=1)
    assert day.totals.total_tokens == result.profile().totals.total_tokens == 36
    call = result.profile(1).calls["span_id"].iloc[0]
    assert "12345678" in result.profile(1).content(call)["prompt"]
    assert tokprof.last() is day


def test_profiles_need_not_be_kept(answer: Any) -> None:
    result = run(answer, {"k": [1, 2]}, repeats=1, keep_profiles=False)
    assert result.df["total_tokens"].sum() == 36
    with pytest.raises(LookupError, match="keep_profiles=False"):
        result.profile(1)
    with pytest.raises(KeyError, match="there is no run 9"):
        result.profile(9)


def test_the_line_of_a_terminal(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import time, tokprof\n"
        "tokprof.experiment(lambda x: time.sleep(0.3) if x < 2 else 1 / 0, {'x': [0, 1, 2]}, repeats=1, seed=None)\n"
    )
    leader, follower = os.openpty()
    ran = subprocess.Popen([sys.executable, str(script)], stderr=follower, stdout=subprocess.PIPE)
    os.close(follower)
    told = b""
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:
            break
        if not part:
            break
        told += part
    assert ran.wait(30) == 0 and not ran.stdout.read()  # type: ignore[union-attr]
    text = told.decode()
    assert "░░░░ 0 of 3 runs · 0 tokens" in text and "1 of 3 runs" in text
    last = text.rstrip().rpartition("\r")[2]
    assert last.startswith("experiment: 3 points × 1 run · 1 failed · 0 tokens · $0.0000 · ")
