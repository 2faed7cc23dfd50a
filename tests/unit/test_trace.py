"""Traces through several processes, joined again."""

from __future__ import annotations

import os
import threading

import pytest

import tokprof
from tokprof.trace import parse

HEADER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def work(header: str | None, name: str = "remote", tokens: int = 10) -> tokprof.Profile:
    """What another process would do; a thread of its own has no scope either."""
    made: list[tokprof.Profile] = []

    def run() -> None:
        with tokprof.profile(name, traceparent=header) as prof, tokprof.span("answer") as step:
            step.record(model="gpt-5-mini", provider="openai", input_tokens=tokens, output_tokens=1)
        made.append(prof)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return made[0]


def test_the_header_of_the_current_span() -> None:
    assert tokprof.traceparent() is None
    with tokprof.profile() as prof, tokprof.span("ask"):
        header = tokprof.traceparent()
        with tokprof.profile("inner"):
            inner = tokprof.traceparent()
    assert header is not None and inner is not None
    assert f"{parse(header).span_id:016x}" == prof.df.set_index("name").span_id["ask"]
    assert parse(header).trace_id == parse(inner).trace_id


def test_a_remote_part_hangs_below_the_span_that_asked_for_it() -> None:
    with tokprof.profile("local") as local, tokprof.span("ask"):
        header = tokprof.traceparent()
    remote = work(header)
    joined = tokprof.join(remote, local)
    rows = joined.df.set_index("name")
    assert rows.loc["remote", "parent_id"] == rows.loc["ask", "span_id"]
    assert rows.loc["answer", "depth"] == rows.loc["ask", "depth"] + 2
    assert joined.totals.total_tokens == 11
    assert len(local.df) == 2
    assert local.totals.calls == 0
    assert parse(header or "").trace_id == remote._recording.trace_id


def test_a_parent_that_was_never_seen_is_marked() -> None:
    joined = tokprof.join(work(HEADER), work(HEADER, "other"), work(None, "own"))
    rows = joined.df.set_index("name")
    never = rows.loc["(parent never seen)"]
    assert rows.loc[["remote", "other"], "parent_id"].tolist() == [never.span_id] * 2
    assert never.parent_id == rows.loc["own", "parent_id"] == rows.loc["joined", "span_id"]
    assert joined.totals.calls == 3


def test_spans_of_no_length_are_kept(clock: object) -> None:
    joined = tokprof.join(work(HEADER))
    assert (joined.df.duration_s == 0).all()
    assert len(joined.df) == 4


def test_a_profile_below_itself_is_refused() -> None:
    a, b = work(HEADER, "a"), work(HEADER, "b")
    mask = 0xFFFF_FFFF_FFFF_FFFF
    a._recording.remote = (1, b._recording.spans[1].id & mask)
    b._recording.remote = (1, a._recording.spans[1].id & mask)
    with pytest.raises(ValueError, match="it would be below itself"):
        tokprof.join(a, b)
    with pytest.raises(ValueError, match="a is given twice"):
        tokprof.join(a, a)


def test_the_clock_of_another_machine_may_be_behind() -> None:
    with tokprof.profile("here") as here:
        header = tokprof.traceparent()
    remote = work(header, "there")
    for span in remote._recording.spans:
        span.opened -= 10**12
        span.closed = (span.closed or 0) - 10**12
    joined = tokprof.join(here, remote)
    assert joined.df.name.tolist() == ["joined", "here", "there", "answer"]
    assert joined.df.depth.tolist() == [0, 1, 2, 3]
    assert joined.totals.calls == joined.tree().calls.iloc[0] == 1


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        HEADER.upper(),
        "ff" + HEADER[2:],
        HEADER + "-more",
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
        None,
    ],
)
def test_what_is_no_header_is_refused(header: str) -> None:
    with pytest.raises(ValueError, match="is no traceparent; one looks like 00-"):
        parse(header)


def test_later_versions_may_say_more() -> None:
    assert parse("01" + HEADER[2:] + "-more") == parse(HEADER)


def test_forked_processes_have_ids_of_their_own() -> None:
    with tokprof.profile():
        pass
    reader, writer = os.pipe()
    for _ in range(2):
        child = os.fork()
        if child == 0:
            with tokprof.profile() as prof:
                pass
            os.write(writer, f"{prof.id}\n".encode())
            os._exit(0)
        os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as ids:
        first, second = ids.read().split()
    assert first != second
