"""What was used: by each span itself, in total, and by group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tokprof.table import SCHEMA, Table

if TYPE_CHECKING:
    import pandas as pd

METRICS = ("input", "output", "cache_read", "cache_write", "reasoning", "cost")
"""Columns of `self_usage`. Tokens, the last in USD; cache reads and writes are part of input, reasoning of output."""

_FIELDS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")

# what is known least well first: a sum is as good as its worst part
WORST_FIRST = ("missing", "partial", "estimated", "derived", "reported")


def self_usage(table: Table) -> np.ndarray[Any, np.dtype[np.float64]]:
    """What each span used itself.

    A span that reported usage and has children that did too (a framework sums up what the wire also saw) keeps what
    the children do not account for, never less than zero: so each token counts once.

    Returns
    -------
    float64 array, shape (n, 6)
        Columns as in `METRICS`. What is not known counts 0 here; provenance is kept beside it.
    """
    n = len(table)
    used = np.zeros((n, len(METRICS)))
    for column, name in enumerate(_FIELDS):
        used[:, column] = [0 if s.usage is None else getattr(s.usage, name) or 0 for s in table.spans]
    used[:, -1] = np.nan_to_num(table.costs[:, 0])
    parents = table.parents.tolist()
    if any(parent >= 0 and table.spans[parent].source is not None for parent in parents):
        below = np.zeros_like(used)
        for row in range(n - 1, -1, -1):
            total = np.maximum(used[row], below[row])
            used[row] = total - below[row]
            if parents[row] >= 0:
                below[parents[row]] += total
    return used


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the calls of a profile.

    Attributes
    ----------
    calls, errors, retries : int
        Model calls; those that failed or were cancelled; those that were a second or later attempt.
    input_tokens, output_tokens, total_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens : int
        Sums of what is known. Cache is part of the input, reasoning of the output.
    cost : float
        USD, of the calls whose price is known.
    unpriced_calls : int
        Answered calls without a known cost.
    seconds : float
        From the start of the profile to its end.
    provenance : dict of str to int
        Number of calls by where their usage comes from: ``reported``, ``derived``, ``estimated``, ``partial``,
        ``missing``.
    unknown_calls : int
        Calls that may have spent tokens nobody told of: ``missing`` or ``partial``, without those that were refused.
    """

    calls: int = 0
    errors: int = 0
    retries: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost: float = 0.0
    unpriced_calls: int = 0
    seconds: float = 0.0
    provenance: dict[str, int] = field(default_factory=dict)
    unknown_calls: int = 0

    @property
    def exact(self) -> bool:
        """Whether every answered call's tokens were told by its provider."""
        return not self.unknown_calls and not self.provenance.get("estimated")

    def to_dict(self) -> dict[str, Any]:
        """Give the figures as a plain dict."""
        return asdict(self)

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)


def may_have_spent(table: Table, row: int) -> bool:
    """Whether a call without full usage may still have been billed: a refused request was not."""
    span = table.spans[row]
    if span.source is None or (span.status == "error" and (span.http_status or 0) >= 400):
        return False
    return span.source in ("missing", "partial") or span.usage is None or span.usage.total_tokens is None


def totals(table: Table) -> Totals:
    """Sum up a profile."""
    calls = [row for row in range(len(table)) if table.is_call(row)]
    used = self_usage(table).sum(axis=0)
    tokens = {name: round(float(used[index])) for index, name in enumerate(_FIELDS)}
    spans = [table.spans[row] for row in calls]
    root = table.spans[0] if len(table) else None
    return Totals(
        calls=len(calls),
        errors=sum(span.status in ("error", "cancelled") for span in spans),
        retries=sum((span.attempt or 1) > 1 for span in spans),
        **tokens,
        total_tokens=tokens["input_tokens"] + tokens["output_tokens"],
        cost=float(used[-1]),
        unpriced_calls=sum(
            table.cost_sources[row] == "missing" and (table.spans[row].http_status or 200) < 400 for row in calls
        ),
        seconds=table.duration(root) if root else 0.0,
        provenance=dict(Counter(span.source or "missing" for span in spans)),
        unknown_calls=sum(may_have_spent(table, row) for row in calls),
    )


def by(table: Table, keys: Sequence[str]) -> pd.DataFrame:
    """Group the calls.

    Parameters
    ----------
    table : Table
    keys : sequence of str
        Columns of the span table, or ``tag:NAME``. By ``model``, a call that got no answer counts to the model it asked
        for.

    Returns
    -------
    pandas.DataFrame
        Indexed by the keys, most tokens first: ``calls``, ``errors``, ``retries``, tokens by kind, ``cost`` (USD),
        ``duration_s`` (sum of the calls' seconds) and ``unknown_calls`` (their tokens are not all in the sums).

    Raises
    ------
    ValueError
        For a key that is no column, with the names there are.
    """
    import pandas as pd

    if not keys:
        raise ValueError('by() needs at least one column, for instance by("model") or by("cell", "line")')
    for key in keys:
        if key not in SCHEMA and not key.startswith("tag:"):
            raise ValueError(f"{key!r} is no column to group by; known: {', '.join(SCHEMA)}, tag:NAME")
    used = self_usage(table)
    rows = [row for row in range(len(table)) if table.is_call(row)]
    frame = table.frame().iloc[rows]
    data: dict[str, Any] = {}
    for key in keys:
        tag = key.removeprefix("tag:")
        data[key] = [tags.get(tag) for tags in frame["tags"]] if key.startswith("tag:") else frame[key].array
        if key == "model":
            data[key] = [table.spans[row].model or table.spans[row].request_model for row in rows]
    spans = [table.spans[row] for row in rows]
    data["calls"] = 1
    data["errors"] = [int(span.status in ("error", "cancelled")) for span in spans]
    data["retries"] = [int((span.attempt or 1) > 1) for span in spans]
    picked = used[rows] if rows else used[:0]
    for index, name in enumerate(_FIELDS):
        data[name] = picked[:, index].astype(np.int64)
    data["total_tokens"] = data["input_tokens"] + data["output_tokens"]
    data["cost"] = picked[:, -1]
    data["duration_s"] = [table.duration(span) for span in spans]
    data["unknown_calls"] = [int(may_have_spent(table, row)) for row in rows]
    result = pd.DataFrame(data).groupby(list(keys), dropna=False).sum()
    return result.sort_values(["total_tokens", "calls"], ascending=False, kind="stable")[_ORDER]


_ORDER = [
    "calls",
    "total_tokens",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost",
    "duration_s",
    "errors",
    "retries",
    "unknown_calls",
]


def worst(sources: Iterable[str]) -> str | None:
    """Give the provenance of a sum."""
    found = set(sources)
    return next((source for source in WORST_FIRST if source in found), None)
