"""Before and after, by hand on a clock that stands still, and in what a reader sees."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import tokprof
from tokprof.insight import compare

from .scenes import agent, call
from .test_static import HOSTILE, Elements

TEXT = """\
tokprof In[3] → In[4]
One run a side does not tell a change from noise: give lists of runs for that.

           before     after             change
tokens      2,000     1,500      ▼ -500 (-25%)
input       2,000     1,500      ▼ -500 (-25%)
output          0         0                  =
cost    $0.000300 $0.000225  ▼ -$0.000075 (-25%)"""


@pytest.fixture
def run(clock: Any, frames: Callable[..., None]) -> Callable[..., tokprof.Profile]:
    """A profile in which functions make calls: run("In[3]", plan=1000, ask=500)."""

    def made(title: str, model: str = "gpt-4o-mini", line: int = 2, **functions: int) -> tokprof.Profile:
        frames()
        with tokprof.profile(title) as prof:
            for name, tokens in functions.items():
                frames(f"{title}:{line} <module>", f"agent.py:{5 + tokens} {name}")
                call(clock, 1, model, input_tokens=tokens, output_tokens=0)
        return prof

    return made


def test_totals(run: Callable[..., tokprof.Profile]) -> None:
    found = compare(run("In[3]", plan=1000, ask=1000), run("In[4]", plan=1000, ask=500)).totals
    assert found.loc["tokens", ["before", "after", "delta", "ratio"]].tolist() == [2000, 1500, -500, 0.75]
    assert found.loc["cost", "delta"] == pytest.approx(-500 * 0.15e-6)
    assert found.loc["time", "ratio"] == found.loc["calls", "ratio"] == 1
    assert found.significant.isna().all()


def test_functions_are_matched_whatever_the_cell_and_line(run: Callable[..., tokprof.Profile]) -> None:
    made = compare(run("In[3]", plan=1000, ask=1000), run("In[8]", line=7, plan=1000, ask=500, check=200))
    found = made.tree()
    by_name = {row.Index[3]: row for row in found["tokens"].itertuples()}
    assert by_name["ask"].delta == -500
    assert by_name["plan"].delta == 0
    assert (by_name["check"].before, by_name["check"].after) == (0, 200)
    assert math.isnan(by_name["check"].ratio)
    changes = dict(zip(found.index.get_level_values("name"), found.index.get_level_values("change"), strict=True))
    assert (changes["check"], changes["ask"], changes["(all)"]) == ("added", "both", "both")
    assert found["self", "tokens"].sum() == found["tokens", "delta"].iloc[0] == -300
    assert made.by("function")["tokens"]["delta"].to_dict() == {"ask": -500, "check": 200, "plan": 0}


def test_lines_are_matched_where_both_runs_have_the_same(run: Callable[..., tokprof.Profile]) -> None:
    same = compare(run("In[3]", plan=10), run("In[8]", plan=20)).tree()
    assert "cell:2" in same.index.get_level_values("name")
    moved = compare(run("In[3]", plan=10), run("In[8]", line=9, plan=20)).tree()
    assert "cell" in moved.index.get_level_values("name")


def test_models_that_came_and_went(run: Callable[..., tokprof.Profile]) -> None:
    found = compare(run("In[3]", plan=1000), run("In[3]", model="gpt-4o", plan=1000)).by("model")
    assert found["tokens"]["delta"].to_dict() == {"gpt-4o-mini": -1000, "gpt-4o": 1000}
    assert found["cost"].loc["gpt-4o", "after"] == pytest.approx(0.0025)
    both = compare(run("In[3]", plan=1), run("In[3]", plan=2)).by("model", "function")
    assert both.index.tolist() == [("gpt-4o-mini", "plan")]
    with pytest.raises(ValueError, match="'modle' is no column to group by"):
        compare(run("In[3]", plan=1), run("In[3]", plan=2)).by("modle")


def test_noise_is_no_improvement_and_a_change_is(run: Callable[..., tokprof.Profile]) -> None:
    before = [run("In[3]", plan=1000, ask=tokens) for tokens in (900, 1000, 1100, 1050, 950)]
    noisy = [run("In[3]", plan=500, ask=tokens) for tokens in (880, 1010, 1090, 1030, 970)]
    found = compare(before, noisy).by("function")["tokens"]
    assert found["significant"].to_dict() == {"plan": True, "ask": False}
    assert found.loc["plan", ["before", "after", "low", "high"]].tolist() == [1000, 500, -500, -500]
    assert found.loc["ask", "low"] < 0 < found.loc["ask", "high"]
    text = repr(compare(before, noisy))
    assert text.startswith("tokprof In[3] (5 runs) → In[3] (5 runs)\n\n")
    quiet = repr(compare(before, before))
    assert "tokens    2,000    2,000       =" in quiet
    assert "(may be noise)" in compare(before, noisy)._repr_html_()


def test_what_is_not_known_is_no_zero(clock: Any, frames: Callable[..., None]) -> None:
    made = compare(agent(clock, frames), agent(clock, frames))
    models = made.by("model")
    assert math.isnan(models["tokens"].loc["mystery", "delta"])
    assert math.isnan(models["cost"].loc["mystery", "before"])
    assert models["calls"].loc["mystery", "before"] == 1
    assert "before: 1 call did not tell all of its tokens: the sums are lower bounds." in repr(made)
    assert ">?<" in made._repr_html_()


def test_text(run: Callable[..., tokprof.Profile]) -> None:
    text = repr(compare(run("In[3]", plan=1000, ask=1000), run("In[4]", plan=1000, ask=500)))
    squeezed = [re.sub(r" +", " ", line) for line in text.splitlines()]
    assert squeezed[: len(TEXT.splitlines())] == [re.sub(r" +", " ", line) for line in TEXT.splitlines()]


def test_the_flamegraph_says_more_and_less_without_colour(run: Callable[..., tokprof.Profile]) -> None:
    made = compare(run("In[3]", plan=1000, ask=1000, gone=300), run("In[4]", plan=1600, ask=500))
    for metric in ("tokens", "cost", "time", "calls"):
        ElementTree.fromstring(made.flamegraph(metric).svg)
    svg = made.flamegraph().svg
    assert "plan agent.py: ▲ +600 (1,000 → 1,600)" in svg
    assert "ask agent.py: ▼ -500 (1,000 → 500)" in svg
    assert "gone agent.py: ▼ -300 (300 → 0)" in svg
    assert made.flamegraph()._repr_mimebundle_()["text/plain"] == repr(made)
    widths = [float(each) for each in re.findall(r'<rect x="[\d.]+" y="40" width="([\d.]+)"', svg)]
    assert sum(widths) <= 960
    with pytest.raises(ValueError, match="'tokns' is no measure"):
        made.flamegraph("tokns")


def test_html_has_bars_and_no_script_and_takes_any_name(
    clock: Any, frames: Callable[..., None], tmp_path: Path
) -> None:
    profiles = []
    for tokens in (100, 200):
        frames()
        with tokprof.profile(HOSTILE) as prof:
            frames(f"In[3]:2 {HOSTILE}")
            call(clock, 1, input_tokens=tokens, output_tokens=0, name=HOSTILE)
        profiles.append(prof)
    page = compare(*profiles).to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page
    assert not {tag for tag, _ in Elements(page).found} & {"script", "iframe"}
    assert "<script" not in page
    assert f">+{'█' * 10}<" in page and "█" * 11 not in page  # the change, half of the larger side
    assert "▲ +100 (+100%)" in page


def test_what_did_not_change_has_no_bar(run: Callable[..., tokprof.Profile]) -> None:
    page = compare(run("In[3]", plan=10), run("In[3]", plan=10))._repr_html_()
    assert "█" not in page
    less = compare(run("In[3]", plan=100), run("In[3]", plan=50))._repr_html_()
    assert f">−{'█' * 10}<" in less


def test_the_picture_names_cells_as_the_other_views_do(run: Callable[..., tokprof.Profile]) -> None:
    svg = compare(run("In[3]", plan=1000), run("In[3]", plan=1600)).flamegraph().svg
    assert "<title>In[3]: " in svg and "<title>In[3]:2: " in svg
    apart = compare(run("In[3]", plan=1000), run("In[8]", line=9, plan=1600)).flamegraph().svg
    assert "<title>In[3] → In[8]: " in apart
    assert "(all)" not in svg + apart and "cell" not in svg + apart


def test_an_empty_side_and_no_profile(run: Callable[..., tokprof.Profile]) -> None:
    prof = run("In[3]", plan=1)
    with pytest.raises(ValueError, match="no profile in `after`"):
        compare(prof, [])
    with pytest.raises(TypeError, match="`before` must be a profile or a list of profiles, not str"):
        compare(["x"], prof)  # type: ignore[list-item]


def test_a_profile_without_calls(clock: Any, run: Callable[..., tokprof.Profile]) -> None:
    with tokprof.profile("quiet") as quiet:
        clock.advance(1)
    for made in (compare(quiet, quiet), compare(quiet, run("In[3]", plan=10))):
        assert made.heatmap()._repr_html_() and "all functions" in repr(made.heatmap("cost"))
        assert made.to_html() and repr(made)
        ElementTree.fromstring(made.flamegraph().svg)


# --- the heatmap ----------------------------------------------------------------------------------


def cells(page: str) -> dict[str, list[str]]:
    """Rows of a heatmap: the name, and the text of each cell."""
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.S)
    texts = [
        [unescape(re.sub(r"<[^>]+>", " ", each)).strip() for each in re.findall(r"<t[dh].*?</t[dh]>", row)]
        for row in rows
    ]
    return {first: others for first, *others in texts}


def test_the_heatmap_has_before_and_after_of_functions_and_models(run: Callable[..., tokprof.Profile]) -> None:
    before, after = run("In[3]", plan=1000, ask=1000), run("In[4]", model="gpt-4o", plan=1000, ask=500, new=50)
    found = cells(compare(before, after).heatmap()._repr_html_())
    assert found["function"] == ["all models", "gpt-4o-mini", "gpt-4o"]
    assert found["all functions"] == ["2,000 → 1,550 ▼ 22%", "2,000 → 0 ▼ gone", "0 → 1,550 ▲ new"]
    assert found["ask"] == ["1,000 → 500 ▼ 50%", "1,000 → 0 ▼ gone", "0 → 500 ▲ new"]
    assert found["plan"][0] == "1,000 =" and found["new"][1] == "·"
    text = repr(compare(before, after).heatmap())
    assert text.splitlines()[0].split("  ")[0] == "tokens by function"
    assert "1,000 → 500 ▼ 50%" in text and "<" not in text


def test_the_heatmap_marks_what_is_more_than_noise(run: Callable[..., tokprof.Profile]) -> None:
    before = [run("In[3]", plan=1000, ask=tokens) for tokens in (900, 1000, 1100, 1050, 950)]
    after = [run("In[3]", plan=500, ask=tokens) for tokens in (880, 1010, 1090, 1030, 970)]
    made = compare(before, after).heatmap()
    page = made._repr_html_()
    found = cells(page)
    assert found["plan"] == ["1,000 → 500 ▼ 50%"] * 2
    assert found["ask"] == ["1,000 → 996 ▼ <1% ~"] * 2
    bold = re.findall(r'<td style="[^"]*font-weight:600[^"]*">(.*?)</td>', page)
    assert {re.sub("<br>", " ", text) for text in bold} >= {"1,000 → 500 ▼ 50%"} and not any("~" in t for t in bold)
    assert "may be noise" in page
    assert made.df["significant"].to_dict() == {("plan", "gpt-4o-mini"): True, ("ask", "gpt-4o-mini"): False}
    once = compare(before[0], after[0]).heatmap()._repr_html_()
    assert "noise" not in once and "font-weight" not in once


def test_the_heatmap_of_other_metrics_and_keys(clock: Any, run: Callable[..., tokprof.Profile]) -> None:
    before, after = run("In[3]", plan=1000), run("In[3]", plan=2000)
    assert cells(compare(before, after).heatmap("cost")._repr_html_())["plan"][0] == "$0.00015 → $0.00030 ▲ 100%"
    assert cells(compare(before, after).heatmap("calls", "model", "function")._repr_html_())["gpt-4o-mini"][0] == "1 ="
    with pytest.raises(ValueError, match="'tokns' is no measure"):
        compare(before, after).heatmap("tokns")
    with pytest.raises(ValueError, match="rows and columns are both 'model'"):
        compare(before, after).heatmap(rows="model")
    with pytest.raises(ValueError, match="'modle' is no column"):
        compare(before, after).heatmap(columns="modle")


def test_the_heatmap_says_what_is_left_out_and_what_is_not_known(
    clock: Any, frames: Callable[..., None], run: Callable[..., tokprof.Profile]
) -> None:
    many = {f"f{number}": 100 + number for number in range(20)}
    text = repr(compare(run("In[3]", **many), run("In[3]", **dict.fromkeys(many, 100))).heatmap())
    assert text.endswith("Not shown: 8 more functions, with smaller changes.")
    assert "f19 " in text and "\nf1 " not in text
    unknown = cells(compare(agent(clock, frames), agent(clock, frames)).heatmap()._repr_html_())
    assert unknown["act"][unknown["function"].index("mystery")] == "? → ?"


def test_the_heatmap_stands_in_the_page(run: Callable[..., tokprof.Profile]) -> None:
    page = compare(run("In[3]", plan=1000), run("In[4]", plan=500)).to_html()
    assert cells(page)["all functions"] == ["1,000 → 500 ▼ 50%"] * 2


def test_where_all_calls_go_through_one_function_steps_are_compared(clock: Any, frames: Callable[..., None]) -> None:
    def made(title: str, tokens: int) -> tokprof.Profile:
        with tokprof.profile(title) as prof:
            for agent in ("planner", "writer"):
                frames("agent.py:5 ask")
                with tokprof.span(agent, kind="agent"):
                    call(clock, 1, input_tokens=tokens, output_tokens=0)
        return prof

    shown = compare(made("a", 100), made("b", 50))._repr_html_()
    assert "by span" in shown and "planner" in shown and "by function" not in shown
