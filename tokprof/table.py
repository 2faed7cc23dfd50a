"""The span table: one fixed schema, one row a span, as columns of numbers and strings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from tokprof.span import TOKEN_FIELDS, Span, Usage

if TYPE_CHECKING:
    import pandas as pd

_INT = "Int64"
_TEXT = "object"
_SECONDS = "float64"
_USD = "float64"
_FLAG = "boolean"

SCHEMA: dict[str, str] = {
    # identity
    "span_id": _TEXT,
    "parent_id": _TEXT,
    "depth": _INT,
    "name": _TEXT,
    "kind": _TEXT,
    "status": _TEXT,
    "error": _TEXT,
    # time
    "start": "datetime64[ns, UTC]",
    "duration_s": _SECONDS,
    "ttft_s": _SECONDS,
    "late": _FLAG,
    # model
    "provider": _TEXT,
    "operation": _TEXT,
    "model": _TEXT,
    "request_model": _TEXT,
    "host": _TEXT,
    "http_status": _INT,
    "attempt": _INT,
    "stream": _FLAG,
    "finish_reason": _TEXT,
    "service_tier": _TEXT,
    # tokens
    **dict.fromkeys(TOKEN_FIELDS, _INT),
    "usage_source": _TEXT,
    "tokenizer": _TEXT,
    "usage_raw": _TEXT,
    # cost, USD
    "cost": _USD,
    "cost_source": _TEXT,
    "cost_input": _USD,
    "cost_output": _USD,
    "cost_cache_read": _USD,
    "cost_cache_write": _USD,
    # code
    "cell": _INT,
    "function": _TEXT,
    "file": _TEXT,
    "line": _INT,
    "stack": _TEXT,
    "thread": _TEXT,
    "task": _TEXT,
    # yours
    "tags": _TEXT,
}
"""Columns of ``Profile.df`` in their order, with their pandas dtypes."""

_NO_USAGE = Usage()
_COST_PARTS = ("cost", "cost_input", "cost_output", "cost_cache_read", "cost_cache_write")


@dataclass(frozen=True, eq=False)
class Table:
    """The spans of one recording, in order of their start; parents stand before their children.

    Attributes
    ----------
    spans : tuple of Span
        The rows.
    parents : int32 array, shape (n,)
        Row of each span's parent, -1 for a root.
    costs : float64 array, shape (n, 5)
        USD: total, input (fresh), output, cache reads, cache writes; NaN where the price is not known.
    cost_sources : list of str or None, length n
        ``reported``, ``priced``, ``custom`` or ``missing`` for a call, None for a step.
    now : int
        Monotonic nanoseconds when the table was made: the end so far of what is still open.
    """

    spans: tuple[Span, ...]
    parents: np.ndarray[Any, np.dtype[np.int32]]
    costs: np.ndarray[Any, np.dtype[np.float64]]
    cost_sources: list[str | None]
    now: int

    def __len__(self) -> int:
        return len(self.spans)

    @classmethod
    def of(cls, spans: Sequence[Span], now: int) -> Table:
        """Sort, link and price the spans of a recording."""
        from tokprof.meter.drafts import settle
        from tokprof.meter.prices import price

        settle(spans)
        order = sorted(range(len(spans)), key=lambda i: spans[i].opened)
        # A parent may have been amended or opened in the same tick as its child: a stable sort keeps it first.
        rows = tuple(spans[i] for i in order)
        row_of = {id(span): row for row, span in enumerate(rows)}
        parents = np.fromiter(
            (row_of.get(id(span.parent), -1) if span.parent is not None else -1 for span in rows), np.int32, len(rows)
        )
        costs = np.full((len(rows), len(_COST_PARTS)), np.nan)
        sources: list[str | None] = [None] * len(rows)
        for row, span in enumerate(rows):
            if span.source is not None:
                priced = price(span)
                costs[row] = priced.parts
                sources[row] = priced.source
        return cls(rows, parents, costs, sources, now)

    def duration(self, span: Span) -> float:
        """Seconds from the opening of a span to its end, or until now."""
        return ((self.now if span.closed is None else span.closed) - span.opened) / 1e9

    def is_call(self, row: int) -> bool:
        """Whether a row is a model call: something with usage of its own, known or missing."""
        return self.spans[row].source is not None

    def depths(self) -> list[int]:
        """Depth of each row; 0 for a root."""
        depths: list[int] = []
        for parent in self.parents.tolist():
            depths.append(depths[parent] + 1 if parent >= 0 else 0)
        return depths

    def tags(self) -> list[dict[str, str]]:
        """Tags of each row with those of the spans around it; the inner one wins."""
        found: list[dict[str, str]] = []
        for span, parent in zip(self.spans, self.parents.tolist(), strict=True):
            around = found[parent] if parent >= 0 else {}
            found.append(around | span.tags if span.tags else around)
        return found

    def frame(self) -> pd.DataFrame:
        """Build the DataFrame, one row a span, columns as in `SCHEMA`."""
        import pandas as pd

        spans, now = self.spans, self.now
        inner = [span.stack[-1] if span.stack else None for span in spans]
        parents = self.parents.tolist()
        ids = [f"{span.id & 0xFFFFFFFFFFFFFFFF:016x}" for span in spans]
        usages = [span.usage or _NO_USAGE for span in spans]
        values: dict[str, list[Any]] = {
            "span_id": ids,
            "parent_id": [ids[parent] if parent >= 0 else None for parent in parents],
            "depth": self.depths(),
            "duration_s": [((now if span.closed is None else span.closed) - span.opened) / 1e9 for span in spans],
            "ttft_s": [
                np.nan if span.first_token is None else (span.first_token - span.opened) / 1e9 for span in spans
            ],
            "usage_source": [span.source for span in spans],
            "cost_source": self.cost_sources,
            "cell": [frame.cell if frame else None for frame in inner],
            "function": [frame.function if frame else None for frame in inner],
            "file": [frame.file if frame else None for frame in inner],
            "line": [frame.line if frame else None for frame in inner],
            "tags": self.tags(),
        }
        for name in TOKEN_FIELDS:
            values[name] = list(map(attrgetter(name), usages))
        for index, name in enumerate(_COST_PARTS):
            values[name] = self.costs[:, index]  # type: ignore[assignment]
        columns: dict[str, Any] = {}
        for name, dtype in SCHEMA.items():
            if name == "start":
                starts = np.fromiter((s.start for s in spans), np.int64, len(spans))
                columns[name] = pd.to_datetime(starts, utc=True).as_unit("ns")
            else:
                column = values[name] if name in values else list(map(attrgetter(name), spans))
                columns[name] = _column(column, dtype)
        return pd.DataFrame(columns, copy=False)


def _column(values: Any, dtype: str) -> Any:
    """Nullable columns are built from a value and a mask array: by far the quickest way into pandas."""
    import pandas as pd

    empty = isinstance(values, list) and values.count(None) == len(values)
    if dtype == _INT and empty:
        return pd.arrays.IntegerArray(np.zeros(len(values), np.int64), np.ones(len(values), np.bool_))
    if dtype == _INT:
        known = np.array(values, np.float64)  # None becomes NaN, without a step of Python for each value
        mask = np.isnan(known)
        known[mask] = 0
        if known.size and np.abs(known).max() < 2**53:
            return pd.arrays.IntegerArray(known.astype(np.int64), mask)
        filled = np.fromiter((0 if value is None else value for value in values), np.int64, len(values))
        return pd.arrays.IntegerArray(filled, mask)
    if dtype == _FLAG:
        mask = np.fromiter((value is None for value in values), np.bool_, len(values))
        return pd.arrays.BooleanArray(np.fromiter((bool(value) for value in values), np.bool_, len(values)), mask)
    if dtype == _TEXT:
        column = np.empty(len(values), object)
        column[:] = values
        return pd.Series(column, dtype=object)
    return np.asarray(values, dtype=np.float64)
