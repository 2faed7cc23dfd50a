"""What the tests ask of a profile: one row a call, with the values of that call, at the line that made it."""

from __future__ import annotations

import linecache
from typing import Any

import pandas as pd

import tokprof

THE_CALL = "# the call"
"""Marks the line of a test that makes a call."""


def calls(prof: tokprof.Profile) -> list[dict[str, Any]]:
    """Rows of the model calls, as dicts with None for what is not known."""
    rows = prof.df[prof.df["usage_source"].notna()].to_dict("records")
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def only(prof: tokprof.Profile) -> dict[str, Any]:
    """The one call."""
    rows = calls(prof)
    assert len(rows) == 1, [row["name"] for row in rows]
    return rows[0]


def check(row: dict[str, Any], **expected: Any) -> None:
    """Compare a call that ended well with what is expected, and with the line that made it."""
    expected = {"status": "ok", "error": None, "http_status": 200, "usage_source": "reported", "late": False} | expected
    wrong = {name: (row[name], value) for name, value in expected.items() if row[name] != value}
    assert not wrong, f"(is, should be): {wrong}"
    if row["input_tokens"] is not None and row["output_tokens"] is not None:
        assert row["total_tokens"] == row["input_tokens"] + row["output_tokens"]
    at_the_call(row)


def check_estimated(row: dict[str, Any], **expected: Any) -> None:
    """Compare a call whose provider told no usage."""
    check(row, **{"usage_source": "estimated", **expected})
    assert row["tokenizer"]
    assert min(row["input_tokens"], row["output_tokens"]) >= 1


def check_left_early(row: dict[str, Any], **expected: Any) -> None:
    """Compare a stream that the program did not read to its end: what is known is a lower bound."""
    left = {"status": "partial", "stream": True, "finish_reason": None, "usage_source": "partial"}
    check(row, **left | expected)
    assert min(row["input_tokens"], row["output_tokens"]) >= 1


def at_the_call(row: dict[str, Any]) -> None:
    """The innermost of the user's own frames is the line that is marked, and is on the row's stack."""
    line = linecache.getline(row["file"], row["line"])
    assert THE_CALL in line, f"{row['file']}:{row['line']} {line!r}"
    assert row["stack"][-1] == (row["function"], row["file"], row["line"], None)


def _plain(value: Any) -> Any:
    return None if pd.api.types.is_scalar(value) and pd.isna(value) else value
