"""The file of an experiment: written at once, gone on from, and never taken for another one."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

import tokprof
from tokprof.testing import SimulatedProvider

made: list[int] = []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made.clear()
    return tmp_path / "deep" / "runs.jsonl"


def run(fn: Any, grid: Any, path: Path, **options: Any) -> Any:
    return tokprof.experiment(fn, grid, path=path, **{"progress": False, "seed": None, "repeats": 1, **options})


def double(x: int) -> int:
    made.append(x)
    if x == 13:
        raise ValueError(x)
    return 2 * x


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_runs_that_are_done_are_not_made_again(path: Path) -> None:
    first = run(double, {"x": [1, 2]}, path, score=float)
    again = run(double, {"x": [2, 1, 3]}, path, score=float, repeats=2)
    assert sorted(made) == [1, 1, 2, 2, 3, 3]
    assert len(again) == 6 and sorted(again.df["score"]) == [2, 2, 4, 4, 6, 6]
    same = ["x", "repeat", "status", "score", "calls", "total_tokens", "cost", "seconds", "started"]
    both = [frame[frame["repeat"] == 1].set_index("x")[same[1:]].loc[[1, 2]] for frame in (first.df, again.df)]
    assert both[0].equals(both[1])
    number = int(again.df.loc[(again.df["x"] == 1) & (again.df["repeat"] == 1), "run"].iloc[0])
    with pytest.raises(LookupError, match="read from the file"):
        again.profile(number)
    whole = run(double, {"x": [1, 2, 3]}, path, score=float, repeats=2)
    assert len(made) == 6 and len(whole) == 6
    assert "6 of 6 runs read from runs.jsonl" in repr(whole) and "6 of 6 runs read" in whole._repr_html_()


def test_what_is_shown_is_told_apart_from_other_runs_in_the_file(path: Path) -> None:
    def ask(x: int) -> int:
        with tokprof.span("call", kind="llm") as step:
            if x < 9:
                step.record(model="m", input_tokens=90 * x, output_tokens=10 * x, cost=0.01 * x)
            else:
                step.record(model="m", output_tokens=5)
        return x

    run(ask, {"x": [1]}, path, repeats=2)
    alone = repr(run(ask, {"x": [3]}, path)).splitlines()[0]
    assert "1 point × 1 run · 300 tokens · $0.03" in alone and "read from" not in alone
    assert alone.endswith(" · and $0.0200 of 2 other runs in the file")
    both = run(ask, {"x": [1, 3]}, path)
    assert "2 points × 1 run · 2 of 2 runs read from runs.jsonl · 400 tokens · $0.04" in repr(both)
    assert both.spent["tokens"] == 500
    first = repr(run(ask, {"x": [1, 9]}, path))
    again = repr(run(ask, {"x": [1, 9]}, path))
    assert "· ≥ 105 tokens · ≥ $0.01" in first and "· ≥ 105 tokens · ≥ $0.01" in again


def test_each_run_is_there_as_soon_as_it_has_ended(path: Path) -> None:
    def watching(x: int) -> int:
        return len(lines(path))

    assert run(watching, {"x": [1, 2, 3]}, path, score=float).df["score"].tolist() == [1, 2, 3]


def test_failures_are_made_again_when_asked(path: Path) -> None:
    run(double, {"x": [1, 13]}, path)
    assert run(double, {"x": [1, 13]}, path).df["status"].tolist() == ["ok", "error"]
    assert made == [1, 13]
    again = run(double, {"x": [1, 13]}, path, retry_failed=True)
    assert made == [1, 13, 13] and again.spent["runs"] == 3 and len(again) == 2


def test_a_line_that_was_cut_off_is_made_again(path: Path) -> None:
    run(double, {"x": [1, 2, 3]}, path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    assert len(run(double, {"x": [1, 2, 3]}, path)) == 3
    assert made == [1, 2, 3, 3] and len(lines(path)) == 4
    path.write_bytes(whole[:-1])  # all but its end of line
    run(double, {"x": [1, 2, 3, 4]}, path)
    assert made == [1, 2, 3, 3, 4] and len(lines(path)) == 5


def test_a_line_that_cannot_be_read_is_told_of(path: Path) -> None:
    run(double, {"x": [1, 2, 3]}, path)
    damaged = path.read_text().splitlines()
    damaged[2] = damaged[2][:30]
    path.write_text("\n".join(damaged) + "\n")
    with pytest.warns(UserWarning, match=r"runs.jsonl, line 3, cannot be read: left out"):
        assert len(run(double, {"x": [1, 2, 3]}, path)) == 3
    assert made == [1, 2, 3, 2]


@pytest.mark.parametrize(
    "change",
    [
        {"scores": {"score": "good"}},
        {"scores": [1.0]},
        {"scores": {"x": 1.0}},
        {"scores": {"cost": 1.0}},
        {"total_tokens": "many"},
        {"total_tokens": 1.5},
        {"calls": 10**30},
        {"cost": "x"},
        {"started": "yesterday"},
        {"note": ["a"]},
        {"seed": "abc"},
        {"repeat": True},
    ],
)
def test_a_line_that_a_hand_has_changed_is_left_out(path: Path, change: dict[str, Any]) -> None:
    run(double, {"x": [1, 2]}, path)
    head, first, second = lines(path)
    path.write_text("".join(f"{json.dumps(line)}\n" for line in (head, {**first, **change}, second)))
    with pytest.warns(UserWarning, match=r"line 2, cannot be read: left out"):
        result = run(double, {"x": [1, 2]}, path)
    assert made == [1, 2, 1] and len(result.df) == 2 and result.spent["runs"] == 2
    assert "2 points" in repr(result) and "2 points" in result._repr_html_()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "is no file of an experiment"),
        ('{"model": "gpt"}\n', "is no file of an experiment"),
        ('{"format": "tokprof experiment", "version": 99}\n', "another version of tokprof"),
    ],
)
def test_other_files_are_left_alone(path: Path, text: str, said: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        run(double, {"x": [1]}, path)
    assert path.read_text() == text and not made


def test_the_file_of_another_experiment_is_refused(path: Path) -> None:
    run(double, {"x": [1]}, path)
    with pytest.raises(ValueError, match=r"is of another experiment: of the parameters x, not the parameters y"):
        run(lambda y: y, {"y": [1]}, path, name="double")
    with pytest.raises(ValueError, match=r"of the function 'double', not the function 'other'"):
        run(double, {"x": [1]}, path, name="other")


def test_nothing_but_parameters_and_figures_is_written(path: Path) -> None:
    class Tool:
        pass

    def fn(prompt: str, tool: Any, k: float) -> str:
        if k == 1:
            raise ValueError("secret message")
        return "secret answer"

    long = "You are helpful. " * 20
    grid = {"prompt": [long], "tool": [Tool(), double], "k": [0.5, 1]}
    result = run(fn, grid, path, score=lambda text: float("nan"))
    text = path.read_text()
    assert "secret" not in text and long in text and "0x" not in text
    rows = lines(path)[1:]
    assert [row["params"]["tool"] for row in rows] == [{"$label": "Tool"}] * 2 + [{"$label": "double"}] * 2
    assert {row["scores"].get("score") for row in rows} == {None}
    again = run(fn, grid, path, score=lambda text: float("nan"))
    assert again.df.drop(columns="run").equals(result.df.drop(columns="run"))


def test_numbers_that_json_does_not_know(path: Path) -> None:
    grid = {"x": [math.inf, 1.5, True, None]}
    assert len(run(lambda x: x, grid, path, name="f")) == 4
    with pytest.warns(UserWarning, match="fn changed since the runs in it were made"):
        assert run(lambda x: made.append(x), grid, path, name="f").df["status"].tolist() == ["ok"] * 4
    assert not made


def test_a_budget_holds_for_all_calls_together(path: Path, provider: SimulatedProvider) -> None:
    client = provider.openai()

    def ask(x: int) -> str:
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "12345678"}])
        return "fine"

    grid = {"x": [1, 2, 3, 4, 5]}
    first = run(ask, grid, path, budget={"calls": 2})
    assert len(first) == 2 and len(provider.requests) == 2
    spent = run(ask, grid, path, budget={"calls": 2})
    assert len(provider.requests) == 2 and spent.stopped == "budget of 2 calls"
    assert "The same call with a larger budget goes on from runs.jsonl." in repr(spent)
    last = run(ask, grid, path, budget={"calls": 5})
    assert len(provider.requests) == 5 and len(last) == 5 and last.spent["calls"] == 5
    assert last.stopped is None
