"""The books: what each span used itself, what of it was told, and which spans are calls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from tokprof.span import Span
from tokprof.table import Table

METRICS = ("input", "output", "embedding", "cache_read", "cache_write", "reasoning", "cost")
"""Columns of `Books.used`. Tokens, the last in USD; cache reads and writes are part of input, reasoning of output.

Embedding is all that calls of embedding models and rerankers used; the other tokens are those of language models.
"""

FIGURES = (*METRICS, "tokens")
"""Columns of `Evidence`: those of `METRICS`, and input, output and embedding together."""

TOKEN_NAMES = tuple(f"{metric}_tokens" for metric in METRICS if metric != "cost")

SPENT = slice(0, 3)
"""Columns of `METRICS` that add up to all tokens."""

INPUT, EMBEDDING = METRICS.index("input"), METRICS.index("embedding")
COST, TOKENS = FIGURES.index("cost"), FIGURES.index("tokens")

Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(slots=True)
class Evidence:
    """How well sums are known.

    A refused request (status ``error``, HTTP status 400 or more) was not billed: it lacks nothing, and adds nothing to
    what is known of the calls beside it.

    Attributes
    ----------
    told : float64 array, shape (n, 8)
        Calls in a sum that told the figure, columns as in `FIGURES`.
    untold : float64 array, shape (n, 8)
        Calls in a sum that did not, or that told a lower bound.
    """

    told: Floats
    untold: Floats

    def nothing(self, column: int) -> Flags:
        """Of which sums nothing is known: they are null, not 0."""
        unknown: Flags = (self.told[:, column] == 0) & (self.untold[:, column] > 0)
        return unknown

    def tells(self, column: int) -> bool:
        """Whether any call had something to tell of a figure, though it may have kept it to itself."""
        return bool(self.told[:, column].any() or self.untold[:, column].any())

    def bound(self, at: int, column: int) -> str:
        """``""`` for a full sum, ``≥`` for one that lacks something, ``?`` where nothing of it is known."""
        if not self.untold[at, column]:
            return ""
        return "≥" if self.told[at, column] else "?"

    def none(self, at: int, column: int) -> bool:
        """Whether there was nothing to tell: no call, or refused ones only."""
        return not self.told[at, column] and not self.untold[at, column]


@dataclass(slots=True)
class Books:
    """Figures of each row of the span table.

    Attributes
    ----------
    used : float64 array, shape (n, 7)
        What a span used itself, columns as in `METRICS`; what is not known counts 0 here.
    told, untold : bool arrays, shape (n, 8)
        See `Evidence`.
    call : bool array, shape (n,)
        Whether a span counts as a call: it has usage of its own, known or missing, and no call is below it or some of
        the usage is not theirs.
    unknown : bool array, shape (n,)
        Calls that may have spent more than they told.
    unpriced : bool array, shape (n,)
        Calls without a known cost that were not refused.
    failed, retried : bool arrays, shape (n,)
        Calls that failed or were cancelled, and calls that were a second or later attempt.
    weight : int64 array, shape (n,)
        How many calls a row stands for: more than one where rows were not kept.
    """

    used: Floats
    told: Flags
    untold: Flags
    call: Flags
    unknown: Flags
    unpriced: Flags
    failed: Flags
    retried: Flags
    weight: np.ndarray[Any, np.dtype[np.int64]]

    @property
    def counts(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Calls of each row, shape (n, 5): all, unknown, unpriced, failed, retried."""
        flags = np.column_stack((self.call, self.unknown, self.unpriced, self.failed, self.retried))
        counts: np.ndarray[Any, np.dtype[np.int64]] = flags * self.weight[:, None]
        return counts

    def counted(self) -> np.ndarray[Any, np.dtype[np.intp]]:
        """Rows that have a part in the sums."""
        return np.flatnonzero(self.call | self.used.any(axis=1))


def embeds(span: Span) -> bool:
    """Whether a span is a call of an embedding model or a reranker, whose tokens are cheap, many, and all input."""
    return span.kind in ("embedding", "reranker") or span.operation in ("embeddings", "rerank")


def refused(span: Span) -> bool:
    """Whether a request was refused or never sent, and so not billed."""
    return span.status == "error" and (not span.sent or (span.http_status or 0) >= 400)


def may_have_spent(span: Span) -> bool:
    """Whether a call without full usage may still have been billed: a refused request was not."""
    if span.source is None or refused(span):
        return False
    if span.source in ("missing", "partial") or span.usage is None:
        return True
    return (span.usage.input_tokens if embeds(span) else span.usage.total_tokens) is None


_kept: WeakKeyDictionary[Table, Books] = WeakKeyDictionary()


def books(table: Table) -> Books:
    """Give the books of a table; they are kept once, for all that is shown of it.

    A span that reported usage and has calls below it (a framework sums up what the wire also saw) keeps what they do
    not account for, never less than zero: so each token counts once. The same holds for its cost, which is 0 where all
    of its tokens are accounted for by calls with a known cost. What it reported as input accounts for embeddings below
    it too: whoever sums up seldom keeps them apart.
    """
    kept = _kept.get(table)
    if kept is None:
        kept = _kept[table] = _keep(table)
    return kept


def _keep(table: Table) -> Books:
    spans, n = table.spans, len(table)
    figures = np.full((n, len(METRICS)), np.nan)
    for column, name in enumerate(TOKEN_NAMES):
        if column != EMBEDDING:
            figures[:, column] = np.array([getattr(span.usage, name, None) for span in spans], np.float64)
    figures[:, COST] = table.costs[:, 0]
    fitting = _embeddings_apart(figures, _flags(embeds(span) for span in spans))
    used = np.nan_to_num(figures)
    call = _flags(span.source is not None for span in spans)
    billed = call & ~_flags(refused(span) for span in spans)  # of those below too
    unpriced = billed & np.isnan(figures[:, COST])
    parents = table.parents.tolist()
    if call[table.parents[table.parents >= 0]].any():
        _share_out(parents, figures, used, call, unpriced)
    part = call | used.any(axis=1)
    told = np.empty((n, len(FIGURES)), np.bool_)
    told[:, :-1] = ~np.isnan(figures) & part[:, None]
    told[:, TOKENS] = told[:, SPENT].any(axis=1)
    billed &= call
    unpriced &= call
    partial = _flags(span.source == "partial" for span in spans)
    untold = (~told | partial[:, None]) & billed[:, None] & fitting
    unknown = call & _flags(may_have_spent(span) for span in spans)
    untold[:, TOKENS] = unknown
    failed = call & _flags(span.status in ("error", "cancelled") for span in spans)
    retried = call & _flags((span.attempt or 1) > 1 for span in spans)
    return Books(used, told, untold, call, unknown, unpriced, failed, retried, table.whole("count"))


def _flags(each: Iterable[bool]) -> Flags:
    return np.fromiter(each, np.bool_)


def _embeddings_apart(figures: Floats, embeds: Flags) -> Flags:
    """Move the tokens of some rows to the column of embeddings, in place; gives which figures each row can tell."""
    used = figures[embeds][:, SPENT]
    figures[embeds, :COST] = np.nan
    total = np.nansum(used, axis=1)  # no output is no news: there never is any
    figures[embeds, EMBEDDING] = np.where(np.isnan(used[:, INPUT]) & (total == 0), np.nan, total)
    fitting = np.ones((len(figures), len(FIGURES)), np.bool_)
    fitting[embeds, :COST] = False
    fitting[:, EMBEDDING] = embeds
    return fitting


def _share_out(parents: list[int], figures: Floats, used: Floats, call: Flags, unpriced: Flags) -> None:
    """Take from each span what is accounted for below it; `used` and `call` are changed in place."""
    n = len(parents)
    below = np.zeros_like(used)
    calls_below = np.zeros(n, np.int64)
    unpriced_below = np.zeros(n, np.int64)
    for row in range(n - 1, -1, -1):
        mine = bool(call[row])
        if mine and calls_below[row]:
            accounted = below[row].copy()
            if used[row, EMBEDDING]:
                accounted[EMBEDDING] = accounted[SPENT].sum()
            else:
                accounted[INPUT] += accounted[EMBEDDING]
            own = np.maximum(used[row] - accounted, 0)
            silent = bool(np.isnan(figures[row, SPENT]).all())  # of tokens; it may have told its cost
            keeps = bool(own[SPENT].any())
            if not (keeps or silent or unpriced_below[row]):
                own[COST] = 0
            used[row] = own
            call[row] = keeps or (silent and own[COST] > 0)
        up = parents[row]
        if up >= 0:
            below[up] += used[row] + below[row]
            calls_below[up] += calls_below[row] + mine
            unpriced_below[up] += unpriced_below[row] + unpriced[row]
