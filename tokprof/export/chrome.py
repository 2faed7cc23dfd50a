"""Chrome trace (Perfetto, chrome://tracing): JSON object format of the Trace Event Format.

https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from tokprof.analysis.books import COST, SPENT, books
from tokprof.export.facts import facts
from tokprof.export.texts import label
from tokprof.export.tracks import tracks
from tokprof.table import Table

if TYPE_CHECKING:
    from tokprof.profile import Profile

_PID = 1
_LAST_BACKSLASH = re.compile(r'(?<!\\)((?:\\\\)*)\\\\"')


def render(profile: Profile, content: bool = False) -> str:
    """Give the spans as slices, a track for each thread and task, with arrows to what runs on another track.

    Times are microseconds since the profile began. Two counters tell tokens and USD spent so far.
    """
    table = profile.table
    zero = min((span.opened for span in table.spans), default=0)
    made, of = tracks(table)
    events = _names(profile.title, [track.name for track in made])
    parents = table.parents.tolist()
    ends = [table.now if span.closed is None else span.closed for span in table.spans]
    for row, span in enumerate(table.spans):
        at = (span.opened - zero) / 1000
        events.append(
            {
                "ph": "X",
                "pid": _PID,
                "tid": of[row] + 1,
                "ts": at,
                "dur": (ends[row] - span.opened) / 1000,
                "name": label(span.name),
                "cat": span.kind,
                "args": facts(table, row, content),
            }
        )
        up = parents[row]
        if up >= 0 and of[up] != of[row] and span.opened <= ends[up]:
            arrow = {"pid": _PID, "ts": at, "id": row, "name": "began", "cat": "flow"}
            events.append({"ph": "s", "tid": of[up] + 1, **arrow})
            events.append({"ph": "f", "bp": "e", "tid": of[row] + 1, **arrow})
    events += _counters(table, ends, zero)
    began = table.spans[0].start if len(table) else 0
    about = {"title": label(profile.title), "exporter": "tokprof", "start_unix_ns": str(began)}
    text = json.dumps(
        {"traceEvents": events, "displayTimeUnit": "ms", "otherData": about},
        ensure_ascii=False,
        allow_nan=False,
        separators=(",", ":"),
    )
    # Perfetto takes a text that ends in an escaped backslash for one that goes on
    return _LAST_BACKSLASH.sub(r'\1\\u005c"', text) if r'\\"' in text else text


def _names(title: str, names: list[str]) -> list[dict[str, Any]]:
    def meta(what: str, tid: int, **args: Any) -> dict[str, Any]:
        return {"ph": "M", "pid": _PID, "tid": tid, "ts": 0, "name": what, "args": args}

    events = [meta("process_name", 0, name=f"tokprof {label(title)}")]
    for number, name in enumerate(names, 1):
        events += [meta("thread_name", number, name=name), meta("thread_sort_index", number, sort_index=number)]
    return events


def _counters(table: Table, ends: list[int], zero: int) -> list[dict[str, Any]]:
    kept = books(table)
    rows = sorted(kept.counted().tolist(), key=ends.__getitem__)
    if not rows:
        return []
    tokens = np.cumsum(kept.used[rows][:, SPENT].sum(axis=1)).tolist()
    usd = np.cumsum(kept.used[rows][:, COST]).tolist()
    at = [0.0, *((ends[row] - zero) / 1000 for row in rows)]
    events = []
    for when, spent, paid in zip(at, [0.0, *tokens], [0.0, *usd], strict=True):  # viewers name it "tokens so far"
        moment = {"ph": "C", "pid": _PID, "tid": 0, "ts": when}
        events.append({**moment, "name": "tokens", "args": {"so far": spent}})
        events.append({**moment, "name": "USD", "args": {"so far": paid}})
    return events
