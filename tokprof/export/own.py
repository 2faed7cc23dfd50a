"""The format that `tokprof.load` reads back: JSON lines, or Parquet.

Both hold the columns of ``Profile.df`` and one more, ``_tokprof``: what those do not tell of a span, as JSON in ASCII.
Texts that a strict reader would refuse (lone surrogates, NUL) are replaced in the columns and exact in there.

The header tells format, number of spans, root and trace. In JSON lines it is the value of ``tokprof`` in the first
line, in Parquet the entry ``tokprof`` of the schema's metadata. The first line has all columns, the others leave out
what is null. A stack is written in full where it is first met.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any

from tokprof.export.arrow import arrow, needed
from tokprof.export.rows import TEXTS, plain_columns
from tokprof.export.texts import valid
from tokprof.span import TOKEN_FIELDS, Span
from tokprof.table import SCHEMA, Table

if TYPE_CHECKING:
    from tokprof.profile import Profile

FORMAT = 1
"""Version of the format."""

MORE_USAGE = ("cache_write_1h_tokens", "web_searches")
"""Figures of `Usage` without a column of their own."""

COSTS = ("cost", "cost_input", "cost_output", "cost_cache_read", "cost_cache_write")
FIELDS = {"usage_source": "source"}
"""Columns whose field in `Span` has another name."""

EXACT = tuple(name for name in TEXTS if name not in ("span_id", "parent_id", "function", "file", "cost_source"))
"""Columns of texts that are fields of a span."""

_MASK = 0xFFFF_FFFF_FFFF_FFFF
_BREAKS = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}  # ends of lines for some readers


def header(profile: Profile, table: Table) -> dict[str, Any]:
    """Say what a file holds."""
    from tokprof import __version__

    recording = profile._recording
    remote = recording.remote
    return {
        "format": FORMAT,
        "written_by": f"tokprof {__version__}",
        "title": valid(profile.title),
        "spans": len(table),
        "root": f"{recording.root.id & _MASK:016x}",
        "trace_id": f"{recording.trace_id:032x}",
        "remote": None if remote is None else [f"{remote[0]:032x}", f"{remote[1] & _MASK:016x}"],
        "capture": recording.capture,
        "metric": profile._metric,
    }


def to_jsonl(profile: Profile, content: bool = False) -> str:
    """Give the profile as JSON lines, one span a line."""
    table = profile.table
    columns = plain_columns(table)
    lines: list[str] = []
    rows = zip(_rests(profile, table, content), *(columns[name] for name in SCHEMA), strict=True)
    for rest, *values in rows:
        row: dict[str, Any] = {}
        if not lines:
            row["tokprof"] = header(profile, table)
        row |= zip(SCHEMA, values, strict=True)
        if lines:
            row = {name: value for name, value in row.items() if value is not None and value != [] and value != {}}
        row["_tokprof"] = rest
        lines.append(_line(row))
    if not lines:
        lines.append(_line({"tokprof": header(profile, table)}))
    return "".join(lines)


def to_parquet(profile: Profile, content: bool = False) -> bytes:
    """Give the profile as Parquet.

    Raises
    ------
    ImportError
        Without pyarrow.
    """
    parquet = parquet_of("to_parquet")
    table = profile.table
    made = arrow(table, _tokprof=list(_rests(profile, table, content)))
    told = json.dumps(header(profile, table)).encode()
    made = made.replace_schema_metadata({**(made.schema.metadata or {}), b"tokprof": told})
    out = BytesIO()
    parquet.write_table(made, out, compression="zstd")
    return out.getvalue()


def parquet_of(what: str) -> Any:
    """Import ``pyarrow.parquet``.

    Raises
    ------
    ImportError
        Where it is not installed, with what to do.
    """
    return needed("pyarrow.parquet", what, " (or use JSON lines, which need nothing)")


def _line(row: dict[str, Any]) -> str:
    text = json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for mark, escaped in _BREAKS.items():
        if mark in text:
            text = text.replace(mark, escaped)
    return text + "\n"


def _rests(profile: Profile, table: Table, content: bool) -> Iterator[str]:
    """What the columns do not tell of each span, as JSON; times are nanoseconds since the root opened."""
    zero = profile._recording.root.opened
    stacks: dict[int, int] = {}
    for span in table.spans:
        rest: dict[str, Any] = {
            "start": span.start,
            "opened": span.opened - zero,
            "closed": (table.now if span.closed is None else span.closed) - zero,
        }
        if span.first_token is not None:
            rest["first_token"] = span.first_token - zero
        if span.stack:
            number = stacks.get(id(span.stack))
            rest["stack"] = len(stacks) if number is None else number
            if number is None:
                stacks[id(span.stack)] = len(stacks)
                rest["frames"] = [list(frame) for frame in span.stack]
                rest["folded"] = list(getattr(span.stack, "folded", ()))
        rest |= _seldom(span)
        if content and span.content:
            rest["content"] = span.content
        yield json.dumps(rest, allow_nan=False, separators=(",", ":"))


def _seldom(span: Span) -> dict[str, Any]:
    rest: dict[str, Any] = {}
    if span.usage is None:
        rest["usage"] = None
    elif more := {name: value for name in MORE_USAGE if (value := getattr(span.usage, name)) is not None}:
        rest["usage"] = more
    if span.cost is not None:
        rest["told"] = [span.cost, span.cost_source]
    if span.saved is not None:
        told = ((name, getattr(span.saved, name)) for name in (*TOKEN_FIELDS, *MORE_USAGE) if name != "total_tokens")
        rest["saved"] = {name: value for name, value in told if value is not None}
    if not span.sent:
        rest["sent"] = False
    if span.unkept:
        rest["unkept"] = span.unkept
    if span.tags:
        rest["tags"] = span.tags
    if span.origin is not None:
        rest["origin"] = [f"{span.origin.trace_id:032x}", span.origin.session]
    fields = ((name, getattr(span, FIELDS.get(name, name))) for name in EXACT)
    if exact := {name: text for name, text in fields if text is not None and valid(text) != text}:
        rest["exact"] = exact
    return rest
