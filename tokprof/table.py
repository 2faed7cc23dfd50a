"""The span table: one fixed schema, one row a span, as columns of numbers and strings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain
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
    "saved_tokens": _INT,
    "saved_cost": _USD,
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
_FIELDS = Usage.__slots__
_told = attrgetter(*_FIELDS)
_LONE = re.compile("[\ud800-\udfff]")
_EXACT = 2**53  # from here on, not every whole number is a float
_NAMES = {"usage_source": "source", "ttft_s": "first_token"}  # of fields, where they differ from those of columns
_BLOCK = 1000
_CODE = ("cell", "function", "file", "line")
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
    usage : float64 array, shape (n, fields of Usage)
        What each span told, NaN where it told nothing.
    costs : float64 array, shape (n, 5)
        USD: total, input (fresh), output, cache reads, cache writes; NaN where the price is not known.
    cost_sources : list of str or None, length n
        ``reported``, ``priced``, ``custom``, ``cached`` or ``missing`` for a call, None for a step.
    now : int
        Monotonic nanoseconds when the table was made: the end so far of what is still open.
    """

    spans: tuple[Span, ...]
    parents: np.ndarray[Any, np.dtype[np.int32]]
    usage: Floats
    costs: Floats
    cost_sources: list[str | None]
    now: int
    _wholes: dict[str, Wholes] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.spans)

    @classmethod
    def of(cls, spans: Sequence[Span], now: int) -> Table:
        """Sort, link and price the spans of a recording."""
        from tokprof.meter.drafts import settle
        from tokprof.meter.many import prices

        settle(spans)
        kept = [span for span in spans if span.kept]
        rows = _in_order(kept)
        parents = _parents(rows)
        if (parents >= np.arange(len(rows))).any():  # the clock of another machine was behind
            rows = _parents_first(rows, parents)
            parents = _parents(rows)
        usage = _usage(rows)
        return cls(rows, parents, usage, *prices(rows, usage), now)

    def duration(self, span: Span) -> float:
        """Seconds from the opening of a span to its end, or until now."""
        return ((self.now if span.closed is None else span.closed) - span.opened) / 1e9

    def depths(self) -> Wholes:
        """Depth of each row; 0 for a root."""
        return depths(self.parents)

    def durations(self) -> Floats:
        """Seconds from the opening of each span to its end, or until now."""
        try:
            ends = self.whole("closed")
        except TypeError:  # something is still open
            ends = np.array([self.now if span.closed is None else span.closed for span in self.spans], np.int64)
        taken: Floats = (ends - self.whole("opened")) / 1e9
        return taken

    def told(self, name: str) -> Floats:
        """A field of `Usage`, as each span told it; NaN where it did not."""
        return self.usage[:, _FIELDS.index(name)]

    def tags(self) -> list[dict[str, str]]:
        """Tags of each row with those of the spans around it; the inner one wins."""
        found: list[dict[str, str]] = []
        none: dict[str, str] = {}
        for mine, parent in zip([span.tags for span in self.spans], self.parents.tolist(), strict=True):
            around = found[parent] if parent >= 0 else none
            found.append(around | mine if mine else around)
        return found

    def whole(self, name: str) -> Wholes:
        """A field of the spans that is a whole number, and known of each; kept, and not to be written to."""
        if name not in self._wholes:
            values = np.fromiter(map(attrgetter(name), self.spans), np.int64, len(self))
            values.flags.writeable = False
            self._wholes[name] = values
        return self._wholes[name]

    def frame(self, columns: Iterable[str] = SCHEMA) -> pd.DataFrame:
        """Build the DataFrame, one row a span.

        Parameters
        ----------
        columns : iterable of str
            Names of `SCHEMA`; all of them unless told.
        """
        import pandas as pd

        columns = [*columns]
        made = _Columns(self, columns)
        frame = pd.DataFrame({name: made.column(name) for name in columns}, index=range(len(self)), copy=False)
        made.makers.clear()  # they refer to it: all of it would wait for the garbage collector
        return frame


def depths(parents: np.ndarray[Any, np.dtype[Any]]) -> Wholes:
    """Depth of each row or node by that of its parent; 0 where there is none (-1)."""
    above = parents.astype(np.int64)
    found = (above >= 0).astype(np.int64)
    while (inner := np.flatnonzero(above >= 0)).size:  # each round looks twice as far up as the one before
        found[inner] += found[above[inner]]
        above[inner] = above[above[inner]]
    return found


def _usage(spans: Sequence[Span]) -> Floats:
    """All fields of a few spans at a time: it is by far quicker than field by field."""
    told = np.empty((len(spans), len(_FIELDS)))
    for begin in range(0, len(spans), _BLOCK):
        usages = [span.usage or _NO_USAGE for span in spans[begin : begin + _BLOCK]]
        values = np.fromiter(chain.from_iterable(map(_told, usages)), object, len(usages) * len(_FIELDS))
        told[begin : begin + _BLOCK] = values.reshape(len(usages), len(_FIELDS))  # None becomes NaN
    return told


def _in_order(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Spans by their start, parents first: one may be added after what is below it, and have begun in the same tick."""
    opened = np.fromiter(map(attrgetter("opened"), spans), np.int64, len(spans))
    order = np.argsort(opened, kind="stable")
    if (ties := np.flatnonzero(np.diff(opened[order]) == 0)).size:
        depth = np.zeros(len(spans), np.int64)
        for at in order[np.union1d(ties, ties + 1)].tolist():
            depth[at] = _depth(spans[at])
        order = np.lexsort((depth, opened))
    return tuple([spans[at] for at in order.tolist()])


def _parents(rows: Sequence[Span]) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Row of each span's parent; what is around a span may have no row yet, or never."""
    ids = np.fromiter(map(id, rows), np.int64, len(rows))
    order = np.argsort(ids)

    def row_of(spans: Iterable[Span | None], count: int) -> np.ndarray[Any, np.dtype[np.int32]]:
        wanted = np.fromiter(map(id, spans), np.int64, count)  # of None too: it is no row
        found = order[np.searchsorted(ids, wanted, sorter=order).clip(max=len(ids) - 1)]
        return np.where(ids[found] == wanted, found, -1).astype(np.int32)

    parents = row_of(map(attrgetter("parent"), rows), len(rows))
    lost = [row for row in np.flatnonzero(parents < 0).tolist() if (up := rows[row].parent) and not up.kept]
    parents[lost] = row_of((_above(rows[row]) for row in lost), len(lost))
    return parents


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

    def __init__(self, table: Table, wanted: Sequence[str]):
        self.table = table
        self.made: dict[str, Any] = {}
        self.makers: dict[str, Callable[[], Any]] = {
            "span_id": lambda: _text(self.ids[:-1]),
            "parent_id": lambda: _text(self.ids[table.parents]),
            "depth": lambda: _integers(table.depths()),
            "start": self.start,
            "duration_s": table.durations,
            "ttft_s": self.first_token,
            "total_tokens": lambda: self.column("input_tokens") + self.column("output_tokens"),
            "cost_source": lambda: _text(_objects(table.cost_sources, len(table))),
            "saved_tokens": self.saved_tokens,
            "saved_cost": self.saved_cost,
            "tags": lambda: _text(_objects(table.tags(), len(table))),
            **{name: partial(self.tokens, name) for name in TOKEN_FIELDS if name in _FIELDS},
            **{name: partial(self.code, name) for name in _CODE},
            **{name: partial(self.cost, part) for part, name in enumerate(_COST_PARTS)},
        }
        names = [_NAMES.get(name, name) for name in wanted if name in _NAMES or name not in self.makers]
        self.fields = _fields(table.spans, names)

    def column(self, name: str) -> Any:
        if name not in self.made:
            make = self.makers.get(name)
            self.made[name] = make() if make else _column(self.field(_NAMES.get(name, name)), SCHEMA[name])
        return self.made[name]

    def field(self, name: str) -> Any:
        if name not in self.fields:
            self.fields |= _fields(self.table.spans, [name])
        return self.fields[name]

    def tokens(self, name: str) -> Any:
        told = self.table.told(name)
        if told.size and np.nanmax(np.abs(told), initial=0) >= _EXACT:
            return _column(_objects([getattr(span.usage, name, None) for span in self.table.spans], len(told)), _INT)
        return _nullable(told.copy(), _INT)

    def cost(self, part: int) -> Any:
        return self.table.costs[:, part].copy()

    @cached_property
    def hits(self) -> list[int]:
        return np.flatnonzero(self.field("source") == "cached").tolist()

    def saved_tokens(self) -> Any:
        saved = np.full(len(self.table), None, object)
        for row in self.hits:
            saved[row] = self.table.spans[row].saved_tokens
        return _column(saved, _INT)

    def saved_cost(self) -> Any:
        from tokprof.meter.prices import saved

        costs = np.full(len(self.table), np.nan)
        for row in self.hits:
            costs[row] = saved(self.table.spans[row])
        return costs

    def code(self, name: str) -> Any:
        places, frames = self.callers
        values = [None if frame is None else getattr(frame, name) for frame in frames]
        return _column(_objects(values, len(values)), SCHEMA[name], places)

    def start(self) -> Any:
        import pandas as pd

        return pd.DatetimeIndex(self.table.whole("start").copy().view("datetime64[ns]")).tz_localize("UTC")

    def first_token(self) -> Any:
        seconds, firsts = np.full(len(self.table), np.nan), self.field("first_token")
        known = np.array([first is not None for first in firsts], np.bool_)
        seconds[known] = (firsts[known].astype(np.int64) - self.table.whole("opened")[known]) / 1e9
        return seconds

    @cached_property
    def ids(self) -> Any:
        """Ids as text, and None behind the last one: the parent of a root is row -1."""
        texts = self.table.whole("id").astype(">u8").tobytes().hex(" ", 8).split()
        return _objects([*texts, None], len(self.table) + 1)

    @cached_property
    def callers(self) -> tuple[Any, list[Frame | None]]:
        """Which innermost frame each row has, and those frames: stacks are interned, and there are few."""
        import pandas as pd

        stacks = self.field("stack")
        numbers = np.fromiter(map(id, stacks), np.int64, len(stacks))
        places, _ = pd.factorize(numbers)
        first = np.unique(places, return_index=True)[1].tolist()
        return places, [stacks[row][-1] if stacks[row] else None for row in first]


def encodable(values: Iterable[Any]) -> list[Any]:
    """Give texts for an index: with pyarrow installed, pandas puts one into Arrow, which takes no lone surrogate."""
    texts = [*values]
    try:
        if "".join(texts).isascii():  # by far the quickest way to see that there is nothing to do
            return texts
    except TypeError:  # not all of them are texts
        pass
    return [_LONE.sub("\N{REPLACEMENT CHARACTER}", text) if isinstance(text, str) else text for text in texts]


def _above(span: Span) -> Span | None:
    """Give the innermost span around another that has a row."""
    above = span.parent
    while above is not None and not above.kept:
        above = above.parent
    return above


def _fields(spans: Sequence[Span], names: Sequence[str]) -> dict[str, Any]:
    """Fields of spans, an array of objects each: all fields of a few spans at a time, while they are in the cache."""
    if not names:
        return {}
    read = attrgetter("id", *dict.fromkeys(names))  # of one name alone, it would give no tuple
    columns = np.empty((len({*names}) + 1, len(spans)), object)
    for begin in range(0, len(spans), _BLOCK):
        block = spans[begin : begin + _BLOCK]
        values = np.fromiter(chain.from_iterable(map(read, block)), object, len(block) * len(columns))
        columns[:, begin : begin + len(block)] = values.reshape(len(block), len(columns)).T
    return dict(zip(dict.fromkeys(names), columns[1:], strict=True))


def _objects(values: Iterable[Any], count: int) -> Any:
    return np.fromiter(values, object, count)


def _column(values: Any, dtype: str, places: Any = slice(None)) -> Any:
    """Make a column of objects; with `places`, each row has the value at its place."""
    if dtype == _TEXT:
        return _text(values[places])
    known = values.astype(np.float64)  # None becomes NaN, without a step of Python for each value
    if dtype == _INT and np.nanmax(np.abs(known), initial=0) >= _EXACT:
        whole = np.array([value or 0 for value in values.tolist()], np.int64)
        return _nullable(known[places], dtype, whole[places])
    return _nullable(known[places], dtype)


def _nullable(known: Floats, dtype: str, whole: Wholes | None = None) -> Any:
    """Nullable columns are built from a value and a mask array: by far the quickest way into pandas."""
    import pandas as pd

    mask = np.isnan(known)
    known[mask] = 0
    if dtype == _FLAG:
        return pd.arrays.BooleanArray(known.astype(np.bool_), mask)
    return pd.arrays.IntegerArray(known.astype(np.int64) if whole is None else whole, mask)


def _integers(values: Wholes) -> Any:
    import pandas as pd

    return pd.arrays.IntegerArray(values, np.zeros(len(values), np.bool_))


def _text(values: Any) -> Any:
    """Objects, told as such: pandas would make them its own strings, and None a NaN."""
    import pandas as pd

    return pd.Series(values, dtype=object, copy=False)
