"""What an experiment tells: means, intervals, the front, the best point, charts."""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
import re
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tokprof
from tokprof.analysis.experiments import front
from tokprof.views.charts import VEGA_LITE

from .test_charts import values
from .test_static import HOSTILE

# tokens and score of each run of each point
RUNS = {
    "small": [(100, 0.5), (110, 0.6), (90, 0.4)],
    "large": [(1000, 0.9), (1100, 0.9), (900, 0.9)],
    "wasteful": [(2000, 0.7), (2000, 0.7), (2000, 0.7)],
    "middle": [(400, 0.8), (600, 0.8), (500, 0.8)],
}


def fn(model: str, seed: int, at: dict[str, int]) -> float:
    used, score = RUNS[model][at.setdefault(model, 0)]
    at[model] += 1
    with tokprof.span("call") as step:
        step.record(model=model, input_tokens=used - 10, output_tokens=10, cost=used / 1e6)
    return score


@pytest.fixture
def result() -> Any:
    grid = {"model": list(RUNS), "at": {"": {}}}
    return tokprof.experiment(fn, grid, score=float, progress=False)


def test_means_and_intervals_by_hand(result: Any) -> None:
    small = result.summary(by="model").loc["small"]
    assert (small["runs"], small["ok"], small["failed"]) == (3, 3, 0)
    assert (
        small["total_tokens"] == 100 and small["cost"] == pytest.approx(1e-4) and small["score"] == pytest.approx(0.5)
    )
    # three runs: at least Student's t with 2 degrees of freedom, 4.3027 * 0.1 / sqrt(3)
    assert small["score_high"] - 0.5 == pytest.approx(4.30265 * 0.1 / math.sqrt(3), rel=1e-4)
    assert small["total_tokens_low"] == pytest.approx(100 - 4.30265 * 10 / math.sqrt(3), rel=1e-4)
    narrow = result.summary(by="model", confidence=0.5).loc["small"]
    assert narrow["score_high"] - narrow["score"] == pytest.approx(0.81650 * 0.1 / math.sqrt(3), rel=1e-4)
    flat = result.summary(by="model").loc["wasteful"]
    assert [flat["score_low"], flat["score"], flat["score_high"]] == pytest.approx([0.7] * 3)
    whole = result.summary(by=[])
    assert len(whole) == 1 and whole["runs"].iloc[0] == 12 and whole["total_tokens"].iloc[0] == pytest.approx(900)


def test_scores_that_are_all_right_or_wrong_have_the_interval_of_a_search() -> None:
    given = {"all": [1, 1, 1], "two": [1, 0, 1], "graded": [0.95, 1.0, 0.5], "wide": [3.0, 0.1, 0.2]}

    def score(given: float) -> float:
        return given

    left = {name: list(values) for name, values in given.items()}
    result = tokprof.experiment(lambda k: left[k].pop(), {"k": list(given)}, score=score, progress=False)
    frame = result.summary("k")[["score_low", "score_high"]]
    assert frame.loc["all"].tolist() == pytest.approx([0.43850, 1], abs=1e-4)  # Wilson: n / (n + 1.96²)
    assert frame.loc["two"].tolist() == pytest.approx([0.20766, 0.93851], abs=1e-4)
    assert 0 <= frame.loc["graded", "score_low"] < 0.5 and frame.loc["graded", "score_high"] == 1
    assert frame.loc["wide", "score_low"] < 0  # is no share


def test_the_front_by_hand(result: Any) -> None:
    frame = result.pareto()
    assert frame["model"].tolist() == ["small", "middle", "large", "wasteful"]
    assert frame["dominated"].tolist() == [False, False, False, True]
    assert result.pareto("tokens", "score")["dominated"].tolist() == [False, False, False, True]
    loss = result.pareto("tokens", "score", maximize=[])
    assert loss.loc[~loss["dominated"], "model"].tolist() == ["small"]
    with pytest.raises(ValueError, match="'money' is no figure of a run; known: score, total_tokens"):
        result.pareto("money")


def test_the_best_point(result: Any) -> None:
    assert result.best(target=0.75)["model"] == "middle"
    assert result.best()["model"] == "large"
    assert result.best(target=0.3, sure=True)["model"] == "middle"  # the interval of "small" reaches below
    assert result.given(point=result.best(0.9).point)["model"] == "large"
    with pytest.raises(ValueError, match=r"no point reaches score 0.95; the highest mean is 0.9 \(model=large"):
        result.best(target=0.95)


def test_the_best_point_shows_what_one_wants_to_know_first(result: Any) -> None:
    best = result.best(target=0.75)
    lines = repr(best).splitlines()
    assert lines[0] == f"point {best.point}: model=middle · 3 runs"
    assert [line.split()[0] for line in lines[1:]] == ["score", "cost", "tokens", "time"]
    row = result.summary(by="model").loc["middle"]
    assert best["score_low"] == best.score_low == best.row["score_low"] == row["score_low"]
    assert best.params == result.given(point=best.point) and dict(best)["model"] == "middle"
    assert "mathjax_ignore" in best._repr_html_()
    with pytest.raises(AttributeError, match="no 'scroe'"):
        _ = best.scroe


def test_values_of_several_kinds_stay_what_they_are(tmp_path: Path) -> None:
    """Pandas makes floats of numbers beside None, and 1 of True beside 1."""
    grid = {"budget": [100, 200, None], "flag": [True, None], "k": [1, True, 1.0, 2.5, "x"]}

    def fn(budget: Any, flag: Any, k: Any) -> float:
        return budget or 300

    def kinds(values: Any) -> list[tuple[type, Any]]:
        return list(dict.fromkeys((type(value), value) for value in values))

    for _ in range(2):  # the second time from the file
        result = tokprof.experiment(
            fn, grid, score=lambda x: x / 300, progress=False, repeats=2, path=tmp_path / "runs.jsonl"
        )
        for name, wanted in grid.items():
            assert set(kinds(result.df[name])) == set(kinds(wanted))
            assert kinds(result.summary(name).index) == kinds(wanted)
            assert set(kinds(result.pareto("tokens")[name])) == set(kinds(wanted))
        best = result.best(x="tokens")
        assert best["budget"] is None and (best["k"], type(best["k"])) == (1, int)
        assert repr(best).startswith("point 21: budget=None, flag=True, k=1 ·")
        assert result.summary().index.get_level_values("budget").unique().tolist() == [100, 200, "None"]
        assert len(result.summary("k")) == 5
        assert "100.0" not in repr(result) + result._repr_html_() + str(result.summary())
        text = result.heatmap("budget", "k").text
        assert all(name in text for name in ("100", "200", "None", "2.5"))
        result.chart("tokens", color="budget")
    rest = tokprof.experiment(lambda k=1, n=0: 1, [{"k": 1}, {"n": None}], progress=False)
    assert "–" in repr(rest)


class Effort(enum.IntEnum):
    LOW, HIGH = 1, 2


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([np.zeros(3), np.ones(3)], ["ndarray", "ndarray (2)"]),
        ([np.int64(1), np.float32(0.5)], ["1", "0.5"]),
        ([dt.date(2026, 1, 2), Decimal("0.10")], ["2026-01-02", "0.10"]),
        ([Effort.LOW, Effort.HIGH], ["1", "2"]),
        (["1", 1], ["1", "1"]),
    ],
)
def test_values_that_are_no_plain_numbers(values: Any, shown: list[str]) -> None:
    result = tokprof.experiment(lambda a, b: 1, {"a": values, "b": [1, 2]}, score=float, progress=False)
    assert list(map(str, result.summary("a").index)) == shown
    table = result.heatmap("a", "b").text
    heads = " ".join(shown).split()
    assert table.splitlines()[1].split()[-len(heads) :] == heads and "–" not in table
    assert result.compare({"a": values[0]}, {"a": values[1]}).names is not None
    assert result._profiles({"a": values[0], "b": 1}) == result._profiles(1)


def test_names_that_summaries_have_themselves() -> None:
    """A score "f1_low" beside "f1", and parameters that are called as figures are."""
    result = tokprof.experiment(
        lambda score_low: 1, {"score_low": [1, 2]}, score=lambda one: {"f1": 1, "f1_low": 0, "score": 2}, progress=False
    )
    assert result.scores == ["f1", "score_f1_low", "score_score"]
    assert result.summary().columns.is_unique and result.df.columns.is_unique
    assert "score_f1_low" in repr(result) and result.chart("tokens")
    with pytest.raises(ValueError, match="cannot be called 'cost_high'"):
        tokprof.experiment(lambda cost_high: 1, {"cost_high": [1]})


def test_the_best_point_where_less_is_better_or_no_cost_is_known() -> None:
    def spend(tokens: int) -> int:
        with tokprof.span("call") as step:
            step.record(model="of-my-own", input_tokens=tokens, output_tokens=1)
        return tokens

    plain = tokprof.experiment(spend, {"tokens": [300, 100, 200]}, progress=False)
    assert plain.best()["tokens"] == 100  # and not the one that spends most
    assert plain.best(210, y="total_tokens", x="calls")["tokens"] == 100
    with pytest.raises(ValueError, match=r"no point reaches total_tokens 50; the least mean is 101 \(tokens=100\)"):
        plain.best(50)
    scored = tokprof.experiment(spend, {"tokens": [300, 100, 200]}, score=lambda n: n / 300, progress=False)
    assert scored.best(0.6)["tokens"] == 200  # the fewest tokens of those that are good enough
    assert scored.pareto()["dominated"].tolist() == [False] * 3 and "300" in scored.chart().text
    with pytest.raises(ValueError, match="no run ended well"):
        tokprof.experiment(lambda: 1 / 0, score=float, progress=False).best()


def test_scores_that_are_all_alike_are_known_exactly() -> None:
    """What rounding makes of a mean is neither noise nor a miss."""
    result = tokprof.experiment(lambda k: 0.1, {"k": [1, 2]}, repeats=6, score=float, progress=False)
    assert result.best(target=0.1)["k"] == result.best(target=0.1, sure=True)["k"] == 1
    frame = result.summary()
    assert (frame["score"] == 0.1).all() and (frame["score_low"] == 0.1).all() and (frame["score_high"] == 0.1).all()
    given = {1: iter([0.1, 0.2, 0.3]), 2: iter([0.3, 0.2, 0.1])}
    result = tokprof.experiment(lambda k: next(given[k]), {"k": [1, 2]}, score=float, progress=False, seed=None)
    assert not result.pareto("tokens")["dominated"].any()


def test_numbers_stay_what_they_are() -> None:
    result = tokprof.experiment(lambda k: k, {"k": [1, 2]}, score=float, progress=False)
    assert result.best()["k"] == 2 and isinstance(result.best()["k"], int)
    assert "1.0" not in repr(result).splitlines()[-1]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=40), st.sampled_from([0, 3]))
def test_no_point_of_the_front_is_beaten_and_all_others_are(points: list[tuple[int, int]], unknown: int) -> None:
    each = np.array(points, np.float64).reshape(-1, 2)
    each[:unknown, 1] = np.nan
    found = front(each)
    for at, one in enumerate(each):
        beaten = any((other <= one).all() and (other < one).any() for other in each if not np.isnan(other).any())
        assert found[at] == (not np.isnan(one).any() and not beaten)


def test_points_are_compared_by_their_runs(result: Any) -> None:
    made = result.compare({"model": "small"}, {"model": "large"})
    assert made.totals.loc["tokens", ["before", "after"]].tolist() == [100, 1000]
    assert bool(made.totals.loc["tokens", "significant"])
    assert repr(made).startswith("tokprof model=small (3 runs) → model=large (3 runs)")
    assert result.compare(1, 4).totals.loc["tokens", "after"] == 500
    with pytest.raises(LookupError, match="there is no run of"):
        result.compare(1, {"model": "huge"})
    with pytest.raises(KeyError, match="there is no point 9"):
        result.compare(1, 9)


def test_the_chart_of_the_points(result: Any) -> None:
    chart = result.chart()
    bundle = chart._repr_mimebundle_()
    assert bundle.keys() == {VEGA_LITE, "image/svg+xml", "text/plain"}
    dots = values(bundle[VEGA_LITE], 0)
    assert {dot["what"]: dot["front"] for dot in dots} == {
        "small": True,
        "middle": True,
        "large": True,
        "wasteful": False,
    }
    small = next(dot for dot in dots if dot["what"] == "small")
    assert small["y_said"] == "0.5 (0.252 to 0.748)" and small["x"] == pytest.approx(1e-4)
    drawn = ElementTree.fromstring(bundle["image/svg+xml"])
    assert len(drawn.findall(".//{*}circle")) == 4
    assert "● middle: 0.8" in bundle["text/plain"] and "○ 1 point that another one beats" in bundle["text/plain"]
    for x in ("tokens", "time", "calls"):
        ElementTree.fromstring(result.chart(x)._repr_mimebundle_()["image/svg+xml"])
    with pytest.raises(ValueError, match="'modle' is no parameter; known: model, at"):
        result.chart(color="modle")


def test_a_grid_of_figures() -> None:
    made = tokprof.experiment(
        lambda a, b, c: a * b + c, {"a": [1, 2], "b": [10, 20, 30], "c": [0, 1]}, score=float, repeats=1, progress=False
    )
    chart = made.heatmap("b", "a")
    cells = values(chart._repr_mimebundle_()[VEGA_LITE], 0)
    assert {(cell["row"], cell["column"]): cell["value"] for cell in cells} == {
        (str(a), str(b)): a * b + 0.5 for a in (1, 2) for b in (10, 20, 30)
    }
    assert "Means over c." in repr(chart)
    assert made.heatmap()._repr_mimebundle_()["text/plain"].startswith("tokprof score by a and b")
    ElementTree.fromstring(chart.svg)
    with pytest.raises(ValueError, match="a heatmap needs two parameters"):
        tokprof.experiment(lambda a: a, {"a": [1, 2]}, score=float, progress=False).heatmap()


def test_what_it_shows(result: Any) -> None:
    text = repr(result)
    assert text.startswith("tokprof experiment fn: 4 points × 3 runs · 10,800 tokens · $0.0108 · ")
    table = [line.split() for line in text.splitlines()[2:]]
    assert [row[2] for row in table[1:4]] == ["large", "middle", "wasteful"] or table[1][0] == "●"
    html = result._repr_html_()
    assert html.count("<tr>") == 5 and "<img" in html and "<script" not in html
    assert result.to_html().startswith("<!doctype html>")


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_names_from_elsewhere_do_no_harm(name: str) -> None:
    grid = {"prompt": {f"{name}{at}": at for at in range(2)}, "k": [1, 2]}
    result = tokprof.experiment(
        lambda prompt, k: prompt + k, grid, score=lambda n: {name: n, "other": n}, progress=False, name=name
    )
    page = result.to_html()
    tags = set(re.findall(r"<(/?[a-z!]+)", page))
    assert not tags & {"script", "/script", "/style", "!--"} and page.count("<img ") == 1
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", page + repr(result).replace("\n", ""))
    for chart in (result.chart(), result.heatmap()):
        bundle = chart._repr_mimebundle_()
        ElementTree.fromstring(bundle["image/svg+xml"])
        json.dumps(bundle[VEGA_LITE])


def test_without_a_score_and_without_calls() -> None:
    result = tokprof.experiment(lambda k: k, {"k": [1, 2]}, progress=False, repeats=1)
    assert result.summary()["runs"].tolist() == [1, 1]
    assert "One run a point does not tell a difference from noise" in repr(result)
    assert "<img" not in result._repr_html_()
    assert result.chart("tokens", "time").text.startswith("tokprof seconds by tokens")
    empty = tokprof.experiment(lambda: None, progress=False)
    assert len(empty.summary()) == 1 and empty.params == []
