"""Groups that are no columns: the step, profile, trace and session that calls belong to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import tokprof
from tokprof import recorder
from tokprof.trace import traceparent

from .scenes import call


def groups(prof: tokprof.Profile, *keys: str) -> dict[Any, int]:
    """Tokens by group, None for calls that are in none."""
    found = prof.by(*keys).total_tokens
    return {None if key != key else key: int(value) for key, value in found.items()}


def spend(clock: Any, tokens: int) -> None:
    call(clock, 1, input_tokens=tokens, output_tokens=0)


def test_by_span_is_the_innermost_named_step(clock: Any) -> None:
    with tokprof.profile("run") as prof:
        spend(clock, 1)
        with tokprof.span("plan", kind="task"):
            spend(clock, 2)
            with tokprof.span("look", kind="tool"):
                spend(clock, 4)
            spend(clock, 8)
        with tokprof.span("look", kind="tool"):
            spend(clock, 16)
    assert groups(prof, "span") == {None: 1, "plan": 10, "look": 20}
    assert prof.by("span", "tool").total_tokens.sum() == 31
    assert prof.latency("span").calls.sum() == 5


def test_by_profile_of_what_was_joined_and_of_what_is_inside(clock: Any) -> None:
    parts = []
    for number in (3, 4):
        with tokprof.profile(f"In[{number}]") as prof:
            spend(clock, number)
            with tokprof.span("step"), tokprof.profile("eval"):
                spend(clock, 10 * number)
        parts.append(prof)
    assert groups(parts[0], "profile") == {"In[3]": 3, "eval": 30}
    joined = tokprof.join(*parts)
    assert groups(joined, "profile") == {"In[3]": 3, "In[4]": 4, "eval": 70}
    assert groups(joined, "span") == {None: 77}  # of each profile, not of those around it


def test_by_trace_parts_in_several_processes_are_one(clock: Any, tmp_path: Path) -> None:
    with tokprof.profile("here") as here, tokprof.span("ask"):
        header = traceparent()
        spend(clock, 1)
    with tokprof.profile("there", traceparent=header) as there:
        spend(clock, 2)
    with tokprof.profile("other") as other:
        spend(clock, 4)
    joined = tokprof.join(here, there, other)
    assert header is not None
    assert groups(here, "trace") == {header[3:35]: 1}
    assert groups(joined, "trace") == {header[3:35]: 3, f"{other._recording.trace_id:032x}": 4}
    joined.to_jsonl(tmp_path / "joined.jsonl")
    assert groups(tokprof.load(tmp_path / "joined.jsonl"), "trace") == groups(joined, "trace")


def test_a_profile_inside_another_is_of_its_trace(clock: Any) -> None:
    with tokprof.profile("outer") as outer, tokprof.profile("inner") as inner:
        spend(clock, 1)
    assert list(groups(outer, "trace")) == list(groups(inner, "trace"))


ELSEWHERE = """
import sys, tokprof
with tokprof.profile("elsewhere") as prof, tokprof.span("chat", kind="llm") as span:
    span.record(model="gpt-4o-mini", input_tokens=100, output_tokens=0)
prof.to_jsonl(sys.argv[1])
"""


def test_by_session_is_the_tag_or_else_the_process(clock: Any, tmp_path: Path) -> None:
    with tokprof.profile("a") as prof:
        spend(clock, 1)
        with tokprof.span("turn", session="s1"):
            spend(clock, 2)
        with tokprof.span("turn", **{"session.id": "s2"}):
            spend(clock, 4)
    with tokprof.profile("b") as later:
        spend(clock, 8)
    here = recorder._session
    assert groups(prof, "session") == {here: 1, "s1": 2, "s2": 4}
    subprocess.run([sys.executable, "-c", ELSEWHERE, str(tmp_path / "elsewhere.jsonl")], check=True)
    elsewhere = tokprof.load(tmp_path / "elsewhere.jsonl")
    (there,) = groups(elsewhere, "session")
    assert there not in (None, here)
    assert groups(tokprof.join(prof, later, elsewhere), "session") == {here: 9, "s1": 2, "s2": 4, there: 100}


def test_a_file_that_tells_no_session_has_none(clock: Any, tmp_path: Path) -> None:
    with tokprof.profile("old") as prof:
        spend(clock, 1)
    file, session = tmp_path / "old.jsonl", recorder._session
    origin = f',\\"origin\\":[\\"{prof._recording.trace_id:032x}\\",\\"{session}\\"]'
    file.write_text(prof.to_jsonl().replace(origin, ""))
    assert session not in file.read_text()
    old = tokprof.load(file)
    assert groups(old, "session") == {None: 1}
    assert groups(old, "trace") == groups(prof, "trace")
