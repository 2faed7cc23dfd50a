"""A report in Markdown (GitHub's): what was spent, by whom, and the tree."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tokprof.export.texts import label
from tokprof.views.words import count, doubts, seconds, summary, tokens, usd

if TYPE_CHECKING:
    import pandas as pd

    from tokprof.profile import Profile

ROWS = 20
"""Rows of a table."""

_MEANS = re.compile(r"([\\`*_{}\[\]()#+\-.!|~$:@])")
_TITLES = {"model": "Models", "function": "Functions", "kind": "Kinds of calls"}


def render(profile: Profile) -> str:
    """Give the report; figures that are not known are ``?``, lower bounds bear ``≥``."""
    totals = profile.totals
    parts = [f"# tokprof: {escaped(profile.title)}", " · ".join(map(escaped, summary(totals)))]
    said = doubts(totals)
    if said:
        parts.append("\n".join(f"- {escaped(each)}" for each in said))
    if totals.calls:
        parts.append("## Totals\n\n" + _table(("Figure", "Value"), _totals(profile)))
        for key, title in _TITLES.items():
            frame = profile.by(key)
            if key != "kind" or len(frame) > 1:
                parts.append(f"## {title}\n\n{_groups(frame, key)}")
    text = str(profile)
    parts.append("## Tree\n\n" + fenced(text.replace("\r", "\n")))
    return "\n\n".join(parts) + "\n"


def _totals(profile: Profile) -> list[tuple[str, str]]:
    totals = profile.totals
    least = "≥ " if totals.unknown_calls else ""
    paid = "?" if totals.unpriced_calls and not totals.cost else usd(totals.cost)
    rows = [
        ("Input tokens", least + tokens(totals.input_tokens)),
        ("of it read from cache", tokens(totals.cache_read_tokens)),
        ("of it written to cache", tokens(totals.cache_write_tokens)),
        ("Output tokens", least + tokens(totals.output_tokens)),
        ("of it reasoning", tokens(totals.reasoning_tokens)),
        ("Embedding tokens", tokens(totals.embedding_tokens)),
        ("Cost", f"≥ {paid}" if totals.unpriced_calls and totals.cost else paid),
        ("Calls", f"{totals.calls:,}"),
        ("Errors", f"{totals.errors:,}"),
        ("Retries", f"{totals.retries:,}"),
        ("Time", seconds(totals.seconds)),
    ]
    if totals.cache_hits:
        rows += [
            ("Calls answered from a cache", f"{totals.cache_hits:,}"),
            ("Tokens saved", tokens(totals.saved_tokens)),
            ("Cost saved", usd(totals.saved_cost)),
        ]
    rows += [(f"Usage {source}", count(number, "call")) for source, number in totals.provenance.items()]
    rows += [(f"Cost {source}", count(number, "call")) for source, number in totals.cost_sources.items()]
    return rows


def _groups(frame: pd.DataFrame, key: str) -> str:
    names = (key.capitalize(), "Calls", "Tokens", "Input", "Output", "Cost", "Time", "Errors")
    rows = []
    for value, row in zip(frame.index[:ROWS], frame.head(ROWS).to_dict("records"), strict=True):
        unknown, unpriced = row["unknown_calls"], row["unpriced_calls"]
        rows.append(
            (
                "(none)" if value is None or value != value else escaped(str(value)),
                f"{row['calls']:,}",
                *(_figure(row[f"{name}_tokens"], unknown) for name in ("total", "input", "output")),
                "?" if math.isnan(row["cost"]) else ("≥ " if unpriced else "") + usd(row["cost"]),
                seconds(row["duration_s"]),
                f"{row['errors']:,}",
            )
        )
    more = len(frame) - len(rows)
    return _table(names, rows) + (f"\n\nand {more:,} more." if more > 0 else "")


def _figure(value: Any, unknown: int) -> str:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return "?"
    return "?" if math.isnan(number) else ("≥ " if unknown else "") + tokens(number)


def _table(names: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [names, ("---", *("---:" for _ in names[1:])), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(text: str) -> str:
    """Give a text that means nothing to Markdown or HTML."""
    plain = label(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MEANS.sub(r"\\\1", plain)


def fenced(text: str) -> str:
    """Put a text into a fence that nothing in it can close."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"
