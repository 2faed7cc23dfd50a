"""What each line spent, and its source beside it."""

from __future__ import annotations

import linecache
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import tokprof

from .scenes import agent, call
from .test_static import HOSTILE, Elements

TEXT = """\
tokprof In[3]: ≥ 401,100 tokens · ≥ $0.0602 · 4 calls · 1 min 04 s
1 call did not tell all of its tokens: the sums are lower bounds.
1 call without a known cost: not all of its tokens are known.
self: calls that the line makes; total: with those made further in.

In[3] · ≥401,100 tokens · ≥$0.0602 · 4 calls · none of them made here
    tokens              cost             calls
   self    total    self     total    self total
                    $0.00018                   1  2  answer = plan("a way")
       ≥400,000    ≥$0.06000                   3  3  act(answer)

agent.py · ≥400,000 tokens · ≥$0.0600 · 3 calls · 1 of them made here"""


def code(file: str, text: str) -> None:
    """Leave the source of a cell behind, as a shell does when it compiles one."""
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)


@pytest.fixture(autouse=True)
def sources() -> Iterator[None]:
    code("In[3]", "# the call\nanswer = plan('a way')\nact(answer)\n")
    code("In[2]", "def plan(way):\n    # thinks\n\n    # hard\n    return think(way)\n")
    yield
    for file in ("In[3]", "In[2]"):
        linecache.cache.pop(file, None)


@pytest.fixture
def prof(clock: Any, frames: Callable[..., None]) -> tokprof.Profile:
    return agent(clock, frames)


def line(text: str, ending: str) -> list[str]:
    """Figures before a line of source."""
    return next(each for each in text.splitlines() if each.endswith(ending)).removesuffix(ending).split()


def test_self_is_the_innermost_line_and_total_any_line_of_the_stack(prof: tokprof.Profile) -> None:
    found = prof.source().df
    assert found.index.names == ["cell", "file", "line"]
    by_line = {(file, line): row for (_, file, line), row in found.iterrows()}
    figures = {
        place: (row.self_calls, row.total_calls, row.self_tokens, row.total_tokens) for place, row in by_line.items()
    }
    assert figures == {
        ("In[3]", 2): (0, 1, 0, 1100),
        ("In[2]", 5): (1, 1, 1100, 1100),
        ("In[3]", 3): (0, 3, 0, 400_000),
        ("agent.py", 12): (0, 2, 0, 400_000),
        ("tools.py", 7): (2, 2, 400_000, 400_000),
        ("agent.py", 20): (1, 1, pd.NA, pd.NA),
    }
    assert by_line["tools.py", 7].self_cost == pytest.approx(0.06)
    assert by_line["tools.py", 7].self_duration_s == 0.5
    assert by_line["In[3]", 3].total_unknown_calls == 1


@pytest.mark.parametrize("place", ["cell", "file"])
def test_self_is_what_by_tells(prof: tokprof.Profile, place: str) -> None:
    found = prof.source().df.reset_index()
    mine = found[found.self_calls > 0].groupby([place, "line"], dropna=False).sum()
    theirs = prof.by(place, "line")
    for name, other in (
        ("calls", "calls"),
        ("tokens", "total_tokens"),
        ("input", "input_tokens"),
        ("cost", "cost"),
        ("duration_s", "duration_s"),
        ("unknown_calls", "unknown_calls"),
    ):
        told = {key: value or 0 for key, value in mine[f"self_{name}"].items()}
        asked = {key: 0 if pd.isna(value) else value for key, value in theirs[other].items()}
        assert {str(key): value for key, value in told.items()} == pytest.approx(
            {str(key): value for key, value in asked.items()}
        )


def test_a_line_counts_a_call_once_under_recursion(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as prof:
        frames("In[3]:3 <module>", *["In[2]:5 plan"] * 4)
        call(clock, 1, input_tokens=10, output_tokens=1)
        frames("In[3]:3 <module>", "In[2]:5 plan")
        call(clock, 1, input_tokens=100, output_tokens=1)
    found = prof.source().df.droplevel(["cell", "file"])
    assert found.total_tokens.to_dict() == {3: 112, 5: 112}
    assert found.self_tokens.to_dict() == {3: 0, 5: 112}
    assert found.total_calls.to_dict() == {3: 2, 5: 2}


def test_the_gutter_as_text(prof: tokprof.Profile) -> None:
    told = repr(prof.source())
    assert told.splitlines()[:4] == TEXT.splitlines()[:4]
    assert line(told, "2  answer = plan('a way')") == ["1,100", "$0.00018", "1"]
    assert line(told, "3  act(answer)") == ["≥400,000", "≥$0.06000", "3"]
    assert line(told, "5      return think(way)") == ["1,100", "1,100", "$0.00018", "$0.00018", "1", "1"]
    assert "1  # the call" in told and "3\n" in told  # lines without spending, as context
    assert "agent.py · ≥400,000 tokens · ≥$0.0600 · 3 calls · 1 of them made here" in told
    assert "(the source is not to be had)" in told


def test_the_most_expensive_cell_or_file_stands_first_by_the_metric_that_was_asked_for(prof: tokprof.Profile) -> None:
    heads = [
        each.split(" · ")[0] for each in repr(prof.source("time")).splitlines() if re.search(r" · .* calls?\b", each)
    ]
    assert heads[1:] == ["In[3]", "agent.py", "In[2]", "tools.py"]
    assert "time" in repr(prof.source("time"))
    with pytest.raises(ValueError, match="'money' is no metric; known: tokens, input, "):
        prof.source("money")


def test_calls_without_code_of_the_users_are_told(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as prof:
        call(clock, 1, input_tokens=10, output_tokens=1)
    assert "1 call without code of yours on the stack." in repr(prof.source())
    assert "1 call without code of yours on the stack." in prof.source()._repr_html_()
    assert len(prof.source().df) == 0


def test_a_long_file_is_folded_around_the_lines_that_spent(
    tmp_path: Path, clock: Any, frames: Callable[..., None]
) -> None:
    file = tmp_path / "long.py"
    file.write_text("".join(f"step({n})\n" for n in range(1, 101)))
    frames()
    with tokprof.profile() as prof:
        for at in (1, 50):
            frames(f"{file}:{at} <module>")
            call(clock, 1, input_tokens=10, output_tokens=1)
    told = repr(prof.source())
    shown = [int(number) for number in re.findall(r"step\((\d+)\)", told)]
    assert shown == [1, 2, 3, 4, *range(47, 54)]
    assert re.findall(r"… (\d+) lines", told) == ["42", "47"]
    assert prof.source()._repr_html_().count("<pre") == len(shown)


def test_a_file_that_changed_after_it_ran_says_so(tmp_path: Path, clock: Any, frames: Callable[..., None]) -> None:
    file = tmp_path / "changed.py"
    file.write_text("one()\n")
    os.utime(file, (0, 0))
    frames()
    with tokprof.profile() as prof:
        frames(f"{file}:1 <module>")
        call(clock, 1, input_tokens=10, output_tokens=1)
    before = prof.source()
    assert "changed" not in repr(before).replace("changed.py", "")
    file.write_text("two()\n")
    os.utime(file, (4e9, 4e9))
    assert "the file was changed after it ran" in repr(prof.source())
    assert "one()" in repr(before) and "two()" not in repr(before)


def test_two_files_of_the_same_name_are_told_apart(tmp_path: Path, clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as prof:
        for folder in ("first", "second"):
            frames(f"{tmp_path}/{folder}/agent.py:1 <module>")
            call(clock, 1, input_tokens=10, output_tokens=1)
    assert "first/agent.py · " in repr(prof.source()) and "second/agent.py · " in repr(prof.source())
    assert str(tmp_path) not in repr(prof.source()) + prof.source()._repr_html_()


def test_html_needs_no_script_no_style_sheet_and_no_network(prof: tokprof.Profile, tmp_path: Path) -> None:
    page = prof.source()._repr_html_()
    tags = {tag for tag, _ in Elements(page).found}
    assert tags == {"div", "p", "b", "i", "table", "thead", "tbody", "tr", "th", "td", "pre"}
    assert "http" not in page
    text = " ".join(Elements(page).text)
    for shown in ("In[3]", "tools.py", "≥400,000", "≥$0.06000", "return think(way)"):
        assert shown in text
    prof.source().to_html(tmp_path / "source.html")
    assert page in (tmp_path / "source.html").read_text()


def test_heat_goes_with_the_metric(prof: tokprof.Profile) -> None:
    def hottest(metric: str) -> list[str]:
        rows = re.findall(r"<tr.*?</tr>", prof.source(metric)._repr_html_())
        return [
            re.sub(r"<[^>]*>", " ", row).split()[-2] for row in rows if "background-color:rgba(213,94,0,0.45)" in row
        ]

    assert "act(answer)" in " ".join(re.findall(r"<pre[^>]*>([^<]*)", prof.source()._repr_html_()))
    assert prof.source("tokens")._repr_html_() != prof.source("time")._repr_html_()
    assert hottest("tokens") and hottest("time")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_source(text: str, clock: Any, frames: Callable[..., None]) -> None:
    source = f"x = {text!r}\n{text}\n".encode("utf-8", "replace").decode() + text
    code("<evil>", source)
    frames()
    with tokprof.profile(text or "p") as prof:
        frames("<evil>:1 <module>")
        call(clock, 1, input_tokens=10, output_tokens=1)
    view = prof.source()
    page = view._repr_html_()
    linecache.cache.pop("<evil>")
    assert {tag for tag, _ in Elements(page).found} <= {
        *("div", "p", "b", "i", "table", "thead", "tbody", "tr", "th", "td", "pre")
    }
    for told in (page, repr(view)):
        assert len(told) < 100_000
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e\u2066\ud800]", told)


def test_a_large_profile_makes_a_bounded_page(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as prof:
        for at in range(3000):
            frames(f"file{at % 30}.py:{at} f")
            call(clock, 1, input_tokens=10, output_tokens=1)
    view = prof.source()
    assert len(view.df) == 3000
    assert len(view._repr_html_()) < 500_000
    assert "… 10 more cells or files" in repr(view)


def test_no_calls(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile("empty") as prof:
        pass
    assert repr(prof.source()) == "tokprof empty: no model calls · 0 ms"
    assert "<table" not in prof.source()._repr_html_()
    assert len(prof.source().df) == 0
