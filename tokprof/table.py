"""The span table: one fixed schema, one row a span, as columns of numbers and strings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from tokprof.span import TOKEN_FIELDS, Frame, Span, Usage

if TYPE_CHECKING:
    import pandas as pd

Floats = np.ndarray[Any, np.dtype[np.float64]]
Wholes = np.ndarray[Any, np.dtype[np.int64]]

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
_LONE = re.compile("[\ud800-\udfff]")
_CODE = ("cell", "function", "file", "line")
_STEP = ((np.nan,) * 5, None)  # what is no call has no price
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
        kept = [span for span in spans if span.kept]
        rows = _in_order(kept)
        parents = _parents(rows)
        if (parents >= np.arange(len(rows))).any():  # the clock of another machine was behind
            rows = _parents_first(rows, parents)
            parents = _parents(rows)
        costs: list[float] = []
        sources: list[str | None] = []
        for span in rows:
            parts, source = _STEP if span.source is None else price(span)
            costs += parts
            sources.append(source)
        return cls(rows, parents, np.array(costs).reshape(len(rows), len(_COST_PARTS)), sources, now)

    def duration(self, span: Span) -> float:
        """Seconds from the opening of a span to its end, or until now."""
        return ((self.now if span.closed is None else span.closed) - span.opened) / 1e9

    def depths(self) -> Wholes:
        """Depth of each row; 0 for a root."""
        above = self.parents.astype(np.int64)
        depths = (above >= 0).astype(np.int64)
        while (inner := np.flatnonzero(above >= 0)).size:  # each round looks twice as far up as the one before
            depths[inner] += depths[above[inner]]
            above[inner] = above[above[inner]]
        return depths

    def durations(self) -> Floats:
        """Seconds from the opening of each span to its end, or until now."""
        now = self.now
        ends = [now if span.closed is None else span.closed for span in self.spans]
        taken: Floats = (np.array(ends, np.int64) - self.whole("opened")) / 1e9
        return taken

    def tags(self) -> list[dict[str, str]]:
        """Tags of each row with those of the spans around it; the inner one wins."""
        found: list[dict[str, str]] = []
        none: dict[str, str] = {}
        for mine, parent in zip([span.tags for span in self.spans], self.parents.tolist(), strict=True):
            around = found[parent] if parent >= 0 else none
            found.append(around | mine if mine else around)
        return found

    def whole(self, name: str) -> Wholes:
        """A field of the spans that is a whole number, and known of each."""
        return np.fromiter(map(attrgetter(name), self.spans), np.int64, len(self))

    def frame(self, columns: Iterable[str] = SCHEMA) -> pd.DataFrame:
        """Build the DataFrame, one row a span.

        Parameters
        ----------
        columns : iterable of str
            Names of `SCHEMA`; all of them unless told.
        """
        import pandas as pd

        made = _Columns(self)
        return pd.DataFrame({name: made.column(name) for name in columns}, index=range(len(self)), copy=False)


def _in_order(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Spans by their start, parents first: one may be added after what is below it, and have begun in the same tick."""
    opened = np.fromiter(map(attrgetter("opened"), spans), np.int64, len(spans))
    order = np.argsort(opened, kind="stable")
    if not np.diff(opened[order]).all():
        return tuple(sorted(spans, key=lambda span: (span.opened, _depth(span))))
    return tuple([spans[at] for at in order.tolist()])


def _parents(rows: Sequence[Span]) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Row of each span's parent; what is around a span may have no row yet, or never."""
    row_of = {id(span): row for row, span in enumerate(rows)}
    above = [up if (up := span.parent) is None or up.kept else _above(span) for span in rows]
    return np.array([row_of.get(id(span), -1) for span in above], np.int32)  # of None too: it is no row


def _parents_first(rows: Sequence[Span], parents: np.ndarray[Any, np.dtype[np.int32]]) -> tuple[Span, ...]:
    """Spans by their start, where none starts before what is around it."""
    began = np.fromiter(map(attrgetter("opened"), rows), np.int64, len(rows))
    inner = parents >= 0
    while (before := inner & (began < began[parents])).any():
        began[before] = began[parents[before]]
    order = np.lexsort((np.array([_depth(span) for span in rows]), began))
    return tuple([rows[at] for at in order.tolist()])


def _depth(span: Span) -> int:
    depth = 0
    while span.parent is not None:
        span, depth = span.parent, depth + 1
    return depth


class _Columns:
    """Columns of a table as pandas takes them, made when they are asked for."""

    def __init__(self, table: Table):
        self.table = table
        self.made: dict[str, Any] = {}
        self.makers: dict[str, Callable[[], Any]] = {
            "span_id": lambda: _text(self.ids),
            "parent_id": lambda: _text([self.ids[up] if up >= 0 else None for up in table.parents.tolist()]),
            "depth": lambda: _integers(table.depths()),
            "start": self.start,
            "duration_s": table.durations,
            "ttft_s": self.first_token,
            "total_tokens": lambda: self.column("input_tokens") + self.column("output_tokens"),
            "usage_source": lambda: self.field("source", _TEXT),
            "cost_source": lambda: _text(table.cost_sources),
            "tags": lambda: _text(table.tags()),
            **{name: partial(self.tokens, name) for name in TOKEN_FIELDS if name != "total_tokens"},
            **{name: partial(self.code, name) for name in _CODE},
            **{name: partial(self.cost, part) for part, name in enumerate(_COST_PARTS)},
        }

    def column(self, name: str) -> Any:
        if name not in self.made:
            self.made[name] = self.makers[name]() if name in self.makers else self.field(name, SCHEMA[name])
        return self.made[name]

    def field(self, name: str, dtype: str) -> Any:
        return _column(list(map(attrgetter(name), self.table.spans)), dtype)

    def tokens(self, name: str) -> Any:
        return _column(list(map(attrgetter(name), self.usages)), _INT)

    def cost(self, part: int) -> Any:
        return self.table.costs[:, part].copy()

    def code(self, name: str) -> Any:
        places, frames = self.callers
        values = [None if frame is None else getattr(frame, name) for frame in frames]
        return _column(values, SCHEMA[name], places)

    def start(self) -> Any:
        import pandas as pd

        return pd.DatetimeIndex(self.table.whole("start").view("datetime64[ns]")).tz_localize("UTC")

    def first_token(self) -> Any:
        seconds = np.full(len(self.table), np.nan)
        for row, first in enumerate([span.first_token for span in self.table.spans]):
            if first is not None:
                seconds[row] = (first - self.table.spans[row].opened) / 1e9
        return seconds

    @cached_property
    def usages(self) -> list[Usage]:
        return [span.usage or _NO_USAGE for span in self.table.spans]

    @cached_property
    def ids(self) -> list[str]:
        digits = self.table.whole("id").astype(">u8").tobytes().hex()
        return [digits[at : at + 16] for at in range(0, len(digits), 16)]

    @cached_property
    def callers(self) -> tuple[Any, list[Frame | None]]:
        """Which innermost frame each row has, and those frames: stacks are interned, and there are few."""
        import pandas as pd

        stacks = [span.stack for span in self.table.spans]
        numbers = np.fromiter(map(id, stacks), np.int64, len(stacks))
        places, _ = pd.factorize(numbers)
        first = np.unique(places, return_index=True)[1].tolist()
        return places, [stacks[row][-1] if stacks[row] else None for row in first]


def encodable(values: Iterable[Any]) -> list[Any]:
    """Give texts for an index: with pyarrow installed, pandas puts one into Arrow, which takes no lone surrogate."""
    return [_LONE.sub("\N{REPLACEMENT CHARACTER}", value) if isinstance(value, str) else value for value in values]


def _above(span: Span) -> Span | None:
    """Give the innermost span around another that has a row."""
    above = span.parent
    while above is not None and not above.kept:
        above = above.parent
    return above


def _column(values: list[Any], dtype: str, places: Any = slice(None)) -> Any:
    """Nullable columns are built from a value and a mask array: by far the quickest way into pandas.

    With `places`, each row has the value at its place.
    """
    import pandas as pd

    if dtype == _TEXT:
        return _text(values, places)
    if values.count(None) == len(values):
        known, mask = np.zeros(len(values)), np.ones(len(values), np.bool_)
    else:
        known = np.array(values, np.float64)  # None becomes NaN, without a step of Python for each value
        mask = np.isnan(known)
        known[mask] = 0
    if dtype == _FLAG:
        return pd.arrays.BooleanArray(known[places].astype(np.bool_), mask[places])
    if known.size and np.abs(known).max() >= 2**53:
        whole = np.array([value or 0 for value in values], np.int64)
    else:
        whole = known.astype(np.int64)
    return pd.arrays.IntegerArray(whole[places], mask[places])


def _integers(values: Wholes) -> Any:
    import pandas as pd

    return pd.arrays.IntegerArray(values, np.zeros(len(values), np.bool_))


def _text(values: list[Any], places: Any = slice(None)) -> Any:
    """Objects, told as such: pandas would make them its own strings, and None a NaN."""
    import pandas as pd

    return pd.Series(np.fromiter(values, object, len(values))[places], dtype=object)
