"""A saved profile is loaded as it was; what cannot be loaded says what to do."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet
import pytest

import tokprof
from tests.unit.export_scenes import agent, hostile, parallel
from tests.unit.scenes import call, retrieval
from tokprof.testing import SimulatedProvider

SUFFIXES = (".jsonl", ".parquet")
SCENES: dict[str, Callable[..., tokprof.Profile]] = {
    "agent": agent,
    "retrieval": retrieval,
    "hostile": hostile,
    "parallel": lambda clock, frames: parallel(clock),
}


def same(back: tokprof.Profile, prof: tokprof.Profile) -> None:
    pd.testing.assert_frame_equal(back.df, prof.df, check_exact=True)
    pd.testing.assert_frame_equal(back.tree(), prof.tree(), check_exact=True)
    pd.testing.assert_frame_equal(back.by("model"), prof.by("model"), check_exact=True)
    assert back.totals == prof.totals
    assert (str(back), back.title, back.id) == (str(prof), prof.title, prof.id)
    assert [span.stack for span in back.table.spans] == [span.stack for span in prof.table.spans]
    assert [getattr(span.stack, "folded", ()) for span in back.table.spans] == [
        getattr(span.stack, "folded", ()) for span in prof.table.spans
    ]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("scene", SCENES)
def test_what_was_saved_is_loaded(clock: Any, frames: Any, tmp_path: Path, scene: str, suffix: str) -> None:
    prof = SCENES[scene](clock, frames)
    clock.advance(1000)
    back = tokprof.load(prof.save(tmp_path / f"run{suffix}"))
    same(back, prof)
    again = tokprof.load(back.save(tmp_path / f"again{suffix}"))
    same(again, prof)
    assert back.to_html() and back.snapshot()
    assert not back.recording


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_calls_over_http_with_real_stacks(provider: SimulatedProvider, tmp_path: Path, suffix: str) -> None:
    import httpx

    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "a secret question"}]}
    with tokprof.profile("run", capture="full", session="s1") as prof:
        for stream in (False, True):
            url = f"{provider.url}/v1/chat/completions"
            httpx.post(url, json=body | {"stream": stream}, headers={"authorization": "Bearer sk-hush"})
        httpx.post(f"{provider.url}/v1/nowhere", json=body)
    path = prof.save(tmp_path / f"run{suffix}")
    back = tokprof.load(path)
    same(back, prof)
    first = prof.calls.span_id.iloc[0]
    assert "a secret question" in prof.content(first)["prompt"]
    assert back.content(first) == {}
    assert b"secret" not in path.read_bytes()
    full = tokprof.load(prof.save(path, content=True))
    assert full.content(first) == prof.content(first)
    assert b"sk-hush" not in path.read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_profiles_without_spans(tmp_path: Path, suffix: str) -> None:
    never = tokprof.profile("never")
    back = tokprof.load(never.save(tmp_path / f"never{suffix}"))
    assert (len(back.df), back.title) == (0, "never")
    with tokprof.profile("none") as none:
        pass
    same(tokprof.load(none.save(tmp_path / f"none{suffix}")), none)


def test_a_profile_that_still_runs_is_loaded_as_far_as_it_got(clock: Any, frames: Any, tmp_path: Path) -> None:
    frames()
    with tokprof.profile("run") as prof, tokprof.span("open"):
        call(clock, 2, input_tokens=1, output_tokens=1)
        prof.save(tmp_path / "run.jsonl")
        seen = prof.df
        clock.advance(60)
        back = tokprof.load(tmp_path / "run.jsonl")
        pd.testing.assert_frame_equal(back.df, seen)
    assert back.df.status.tolist() == ["open", "open", "ok"]


def test_costs_stay_as_they_were_saved_and_own_prices_win(clock: Any, frames: Any, tmp_path: Path) -> None:
    frames()
    price = tokprof.prices.add("mine", input=1, output=1)
    try:
        with tokprof.profile("run") as prof:
            call(clock, 1, "mine", input_tokens=1_000_000, output_tokens=0)
        path = prof.save(tmp_path / "run.jsonl")
    finally:
        tokprof.prices.remove(price)
    back = tokprof.load(path)
    assert (back.totals.cost, back.totals.cost_sources) == (1.0, {"custom": 1})
    assert prof.totals.cost_sources == {"missing": 1}
    price = tokprof.prices.add("mine", input=3, output=1)
    try:
        assert back.totals.cost == 3.0
    finally:
        tokprof.prices.remove(price)


REMOTE = """
import sys, tokprof
with tokprof.profile("remote", traceparent=sys.argv[1]) as prof, tokprof.span("answer") as step:
    step.record(model="gpt-4o-mini", input_tokens=30, output_tokens=3)
prof.save(sys.argv[2])
"""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_parts_of_a_trace_from_several_processes_are_joined(tmp_path: Path, suffix: str) -> None:
    there = tmp_path / f"there{suffix}"
    with tokprof.profile("local") as local, tokprof.span("ask") as ask:
        header = tokprof.traceparent()
        assert header is not None
        subprocess.run([sys.executable, "-c", REMOTE, header, str(there)], check=True)
        ask.record(model="gpt-4o-mini", input_tokens=30, output_tokens=3)
    here = tokprof.load(local.save(tmp_path / f"here{suffix}"))
    for parts in ((local, tokprof.load(there)), (tokprof.load(there), here)):
        rows = tokprof.join(*parts).df.set_index("name")
        assert rows.loc["remote", "parent_id"] == rows.loc["ask", "span_id"]
        spans = {span.name: span for span in tokprof.join(*parts).table.spans}
        assert spans["ask"].opened <= spans["remote"].opened <= spans["ask"].closed
        assert spans["remote"].closed <= spans["ask"].closed
        assert tokprof.join(*parts).totals.total_tokens == 33
        assert rows.duration_s["joined"] < 600
    assert here.to_otlp().count(header[3:35]) == 2


@pytest.fixture
def lines(clock: Any, frames: Any) -> list[str]:
    return agent(clock, frames).to_jsonl().splitlines(keepends=True)


def load_text(tmp_path: Path, text: str | bytes) -> tokprof.Profile:
    path = tmp_path / "run.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return tokprof.load(path)


def test_lines_that_end_too_early_are_loaded_up_to_the_cut(tmp_path: Path, lines: list[str]) -> None:
    with pytest.warns(
        UserWarning, match=r"'run.jsonl' is cut short: 3 of 6 spans are loaded; the totals lack the rest"
    ):
        back = load_text(tmp_path, "".join(lines[:3]))
    assert len(back.df) == 3
    with pytest.warns(UserWarning, match="cut short: 4 of 6"):
        back = load_text(tmp_path, "".join(lines)[: -len(lines[-1]) - 40 :])
    assert len(back.df) == 4
    with pytest.raises(ValueError, match="line 2 is not whole"):
        load_text(tmp_path, lines[0] + lines[1][:50] + "\n" + lines[2])
    with pytest.raises(ValueError, match="line 1 is not whole"):
        load_text(tmp_path, lines[0][:300])


def change(line: str, **values: Any) -> str:
    row = json.loads(line)
    rest = json.loads(row["_tokprof"])
    for name, value in values.items():
        (rest if name.startswith("rest_") else row)[name.removeprefix("rest_")] = value
    return json.dumps(row | {"_tokprof": json.dumps(rest)}) + "\n"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"input_tokens": 10**30}, "span 2 has '1000000000000000000000000000000' as input_tokens"),
        ({"input_tokens": -1}, "as input_tokens"),
        ({"input_tokens": True}, "as input_tokens"),
        ({"rest_opened": 10**19}, "as opened"),
        ({"rest_opened": 10**18}, "span 2 ends before it begins"),
        ({"rest_closed": -(10**18)}, "span 2 ends before it begins"),
        ({"cost": "1"}, "as cost"),
        ({"kind": "nothing"}, "span 2 has 'nothing' as kind"),
        ({"status": None}, "as status"),
        ({"usage_source": []}, "as usage_source"),
        ({"name": {"a": 1}}, "as name"),
        ({"span_id": "0" * 15}, "is no id"),
        ({"span_id": 7}, "is no id"),
        ({"parent_id": "0" * 15 + "1"}, "span 2 has a parent that does not stand before it"),
        ({"rest_frames": [["f", "a.py", "x", None]]}, "span 2 has a stack that is none"),
        ({"rest_stack": "0"}, "span 2 has '0' as stack"),
        ({"rest_tags": {"a": 1}}, "as tags"),
        ({"rest_usage": 5}, "as usage"),
        ({"rest_told": [1]}, "as cost"),
    ],
)
def test_damaged_rows_are_named(tmp_path: Path, lines: list[str], values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        load_text(tmp_path, lines[0] + change(lines[1], **values) + "".join(lines[2:]))
    assert "'run.jsonl' is damaged" in str(caught.value)
    assert "save a profile with prof.save(" in str(caught.value)


def test_rows_twice_and_rows_too_many(tmp_path: Path, lines: list[str]) -> None:
    with pytest.raises(ValueError, match="span 3 stands in it twice"):
        load_text(tmp_path, lines[0] + lines[1] + lines[1] + "".join(lines[2:]))
    other = change(lines[5], span_id="0" * 15 + "1")
    with pytest.raises(ValueError, match="it has 7 rows, and says 6"):
        load_text(tmp_path, "".join(lines) + other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'run.jsonl' is empty; save a profile with prof.save"),
        (" \n\n", "is empty"),
        ('{"traceEvents": []}', "is a Chrome trace, and cannot be loaded"),
        ("<!doctype html>", "is a page of HTML"),
        ('{"a": 1}\n{"a": 2}\n', "is no profile of tokprof"),
        ("[1, 2]", "is no profile of tokprof"),
        ("hello", "is no profile of tokprof"),
        (b"\x00\xff\xfe\x01", "is no profile of tokprof"),
        ("[" * 100_000, "is no profile of tokprof"),
        (
            '{"tokprof":{"format":2,"written_by":"tokprof 9.0"}}',
            "has format 2, by tokprof 9.0; .* pip install --upgrade",
        ),
        ('{"tokprof":{"format":"1"}}', "its header is not as tokprof writes it"),
        ('{"tokprof":{"format":1,"spans":0,"trace_id":"x","root":"y"}}', "damaged"),
        ('{"tokprof":7}', "is no profile of tokprof"),
        (b"PAR1" + bytes(50), "not whole Parquet"),
        ('{"tokprof":{"format":1,"spans":' + "9" * 5000 + "}}", "line 1 is not whole"),
    ],
)
def test_files_that_are_no_profiles(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_text(tmp_path, text)


@pytest.mark.parametrize(
    "method",
    ["to_csv", "to_chrome_trace", "to_speedscope", "to_collapsed", "to_pprof", "to_mermaid", "to_dot", "to_otlp"],
)
def test_our_own_other_files_are_told_apart(clock: Any, frames: Any, tmp_path: Path, method: str) -> None:
    prof = agent(clock, frames)
    getattr(prof, method)(tmp_path / "other")
    with pytest.raises(ValueError, match=r"save a profile with prof.save\("):
        tokprof.load(tmp_path / "other")


def test_parquet_of_others_and_cut_parquet(clock: Any, frames: Any, tmp_path: Path) -> None:
    prof = agent(clock, frames)
    path = tmp_path / "other.parquet"
    prof.df.drop(columns=["stack", "tags"]).to_parquet(path)
    with pytest.raises(ValueError, match="is Parquet, but no profile of tokprof"):
        tokprof.load(path)
    path.write_bytes(prof.to_parquet()[:-100])
    with pytest.raises(ValueError, match="is not whole Parquet"):
        tokprof.load(path)
    with pytest.raises(FileNotFoundError):
        tokprof.load(tmp_path / "nowhere.jsonl")


def test_parquet_that_somebody_changed(clock: Any, frames: Any, tmp_path: Path) -> None:
    table = pyarrow.parquet.read_table(io.BytesIO(agent(clock, frames).to_parquet()))
    path = tmp_path / "run.parquet"
    changes = {
        "it has 3 rows, and says 6": table.slice(0, 3),
        "span 1 has a parent that does not stand before it": table.slice(1, 5),
        "span 1 lacks what only tokprof writes": table.drop_columns(["_tokprof"]),
        "span 2 has '1.5' as input_tokens": table.set_column(
            table.schema.get_field_index("input_tokens"), "input_tokens", pyarrow.array([1.5] * 6)
        ),
        "does not stand before it": table.take([5, 4, 3, 2, 1, 0]),
    }
    for message, changed in changes.items():
        pyarrow.parquet.write_table(changed, path)
        with pytest.raises(ValueError, match=message):
            tokprof.load(path)


@pytest.mark.filterwarnings("ignore:'run.jsonl' is cut short")
def test_whatever_is_wrong_with_a_file_it_is_loaded_or_refused(tmp_path: Path, lines: list[str]) -> None:
    whole = "".join(lines).encode()
    chance = random.Random(7)
    outcomes = []
    for turn in range(600):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len(data))
            data[at : at + chance.randrange(3)] = bytes(
                chance.choices(b'0919-"{}[],:\\\xff\x00tnu\n', k=chance.randrange(3))
            )
        if turn % 3 == 0:
            data = data[: chance.randrange(len(data))]
        try:
            prof = load_text(tmp_path, bytes(data))
        except ValueError as error:
            assert "'run.jsonl'" in str(error)
            outcomes.append(False)
        else:
            assert str(prof) and len(prof.df) <= len(lines) and prof.snapshot()
            outcomes.append(True)
    assert {*outcomes} == {True, False}


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path) -> None:
    script = """
import sys
sys.modules["pyarrow"] = None
import tokprof
with tokprof.profile() as prof:
    pass
try:
    prof.save(sys.argv[1])
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.parquet")], capture_output=True, text=True)
    assert done.stdout.startswith("to_parquet needs pyarrow: pip install pyarrow"), done.stderr
