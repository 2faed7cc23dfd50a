"""The books: what each span used itself, what of it was told, and which spans are calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
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
    hit : bool array, shape (n,)
        Calls that a cache answered: of the client, of a gateway, or tokprof's own. They have spent nothing.
    saved : float64 array, shape (n, 7)
        What a model would have used in their place, columns as in `METRICS`: NaN where not known, 0 for other rows.
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
    hit: Flags
    saved: Floats

    @property
    def counts(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Calls of each row, shape (n, 5): all, unknown, unpriced, failed, retried."""
        flags = np.column_stack((self.call, self.unknown, self.unpriced, self.failed, self.retried))
        counts: np.ndarray[Any, np.dtype[np.int64]] = flags * self.weight[:, None]
        return counts

    def counted(self) -> np.ndarray[Any, np.dtype[np.intp]]:
        """Rows that have a part in the sums."""
        return np.flatnonzero(self.call | self.used.any(axis=1))

    @property
    def saved_tokens(self) -> Floats:
        """Tokens that caches saved, shape (n,): NaN where not known."""
        tokens: Floats = self.saved[:, SPENT].sum(axis=1) if self.hit.any() else np.zeros(len(self.hit))
        return tokens


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
    alike = _Alike(table)
    figures = np.full((n, len(METRICS)), np.nan)
    for column, name in enumerate(TOKEN_NAMES):
        if column != EMBEDDING:
            figures[:, column] = table.told(name)
    figures[:, COST] = table.costs[:, 0]
    fitting = _embeddings_apart(figures, alike.flags(embeds))
    used = np.nan_to_num(figures)
    call = alike.flags(lambda span: span.source is not None)
    hit = alike.flags(lambda span: span.source == "cached")
    saved = _saved(spans, hit)
    billed = call & ~hit & ~alike.flags(refused)  # of those below too
    unpriced = billed & np.isnan(figures[:, COST])
    if call[table.parents[table.parents >= 0]].any():
        _share_out(table, figures, used, np.nan_to_num(saved), call, unpriced)
    part = call | used.any(axis=1)
    told = np.empty((n, len(FIGURES)), np.bool_)
    told[:, :-1] = ~np.isnan(figures) & part[:, None]
    told[:, TOKENS] = told[:, SPENT].any(axis=1)
    billed &= call
    unpriced &= call
    partial = alike.flags(lambda span: span.source == "partial")
    untold = (~told | partial[:, None]) & billed[:, None] & fitting
    unknown = call & alike.flags(may_have_spent)
    untold[:, TOKENS] = unknown
    failed = call & alike.flags(lambda span: span.status in ("error", "cancelled"))
    retried = call & alike.flags(lambda span: (span.attempt or 1) > 1)
    weight = np.maximum(table.whole("unkept"), 1)
    return Books(used, told, untold, call, unknown, unpriced, failed, retried, weight, call & hit, saved)


class _Alike:
    """Spans that are alike in all that a flag may depend on; they are of few kinds, and each is asked once."""

    _of = attrgetter("source", "status", "sent", "http_status", "kind", "operation", "attempt")

    def __init__(self, table: Table):
        numbers: dict[object, int] = {}
        kinds = [numbers.setdefault(kind, len(numbers)) for kind in map(self._of, table.spans)]
        told = [~np.isnan(table.told(name)) for name in ("input_tokens", "output_tokens")]
        _, first, self._place = np.unique(np.array(kinds, np.int64) * 4 + told[0] * 2 + told[1], True, True)
        self._one_of_each = [table.spans[row] for row in first.tolist()]

    def flags(self, question: Callable[[Span], bool]) -> Flags:
        """Answer for each row: it may depend on the fields in `_of`, and on which of input and output are known."""
        answers: Flags = np.array([question(span) for span in self._one_of_each], np.bool_)[self._place]
        return answers


def _saved(spans: Sequence[Span], hit: Flags) -> Floats:
    """What models would have used where caches answered, columns as in `METRICS`."""
    from tokprof.meter.prices import saved

    found = np.zeros((len(spans), len(METRICS)))
    for row in np.flatnonzero(hit).tolist():
        span = spans[row]
        figures = [getattr(span.saved, name, None) for name in TOKEN_NAMES]
        if embeds(span):
            figures = [0, 0, span.saved_tokens, 0, 0, 0]
        found[row] = np.array([*figures, saved(span)], np.float64)
        if not embeds(span):
            found[row, EMBEDDING] = 0
    return found


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


def _share_out(table: Table, figures: Floats, used: Floats, saved: Floats, call: Flags, unpriced: Flags) -> None:
    """Take from each span what is accounted for below it; `used` and `call` are changed in place.

    What a cache answered below is accounted for as well: whoever sums up does not know that nobody spent it.
    """
    below = np.zeros_like(used)
    calls_below = np.zeros(len(table), np.int64)
    unpriced_below = np.zeros(len(table), np.int64)
    for rows in innermost_first(table.depths()):
        mine = call[rows]
        sums = rows[mine & (calls_below[rows] > 0)]
        if sums.size:
            accounted = below[sums]
            embedding = used[sums, EMBEDDING] != 0
            accounted[embedding, EMBEDDING] = accounted[embedding][:, SPENT].sum(axis=1)
            accounted[~embedding, INPUT] += accounted[~embedding, EMBEDDING]
            own = np.maximum(used[sums] - accounted, 0)
            silent = np.isnan(figures[sums, SPENT]).all(axis=1)  # of tokens; it may have told its cost
            keeps = own[:, SPENT].any(axis=1)
            own[~(keeps | silent | (unpriced_below[sums] > 0)), COST] = 0
            used[sums] = own
            call[sums] = keeps | (silent & (own[:, COST] > 0))
        up = table.parents[rows]
        if (up >= 0).all():  # else they are roots
            np.add.at(below, up, used[rows] + saved[rows] + below[rows])
            np.add.at(calls_below, up, calls_below[rows] + mine)
            np.add.at(unpriced_below, up, unpriced_below[rows] + unpriced[rows])


def innermost_first(depths: np.ndarray[Any, np.dtype[np.int64]]) -> list[np.ndarray[Any, np.dtype[np.intp]]]:
    """Rows of each depth, the deepest first, and the last row of each first."""
    order = np.argsort(depths, kind="stable")
    return [rows[::-1] for rows in np.split(order, np.flatnonzero(np.diff(depths[order])) + 1)[::-1]]
