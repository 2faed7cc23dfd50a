"""Sums of what calls used, and what of a step's own figures the calls below it do not account for."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tokprof.meter.prices import price
from tokprof.span import Span

Sums = tuple[int, int, int, int, int, int]
"""Input, output, embedding (tokens), cost (USD / 10**12), calls, and calls without a known cost."""

NOTHING: Sums = (0, 0, 0, 0, 0, 0)
CALL: Sums = (0, 0, 0, 0, 1, 0)
_INPUT, _OUTPUT, _EMBEDDING, _COST, _CALLS, _UNPRICED = range(6)
_MANY = 1_000  # steps that are kept track of, before those that ended are let go


def added(a: Sums, b: Sums) -> Sums:
    """Add."""
    return a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3], a[4] + b[4], a[5] + b[5]


def less(a: Sums, b: Sums) -> Sums:
    """Take away."""
    return a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3], a[4] - b[4], a[5] - b[5]


def most(a: Sums, b: Sums) -> Sums:
    """Whichever is more, one by one."""
    return max(a[0], b[0]), max(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]), max(a[4], b[4]), max(a[5], b[5])


def least(a: Sums, b: Sums) -> Sums:
    """Whichever is less, one by one."""
    return min(a[0], b[0]), min(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]), min(a[4], b[4]), min(a[5], b[5])


def value(sums: Sums, what: str) -> int:
    """What a limit counts, by its name."""
    if what == "tokens":
        return sums[_INPUT] + sums[_OUTPUT] + sums[_EMBEDDING]
    return sums[_PLACES[what]]


_PLACES = {"input_tokens": _INPUT, "output_tokens": _OUTPUT, "cost": _COST, "calls": _CALLS}


def used(span: Span) -> Sums:
    """What a span says that it used; nothing, if it was never sent or a cache answered."""
    if span.source is None or not span.sent or span.cost_source == "cached":
        return NOTHING
    usage = span.usage
    tokens_in = (usage.input_tokens if usage else None) or 0
    tokens_out = (usage.output_tokens if usage else None) or 0
    paid = price(span).parts[0]
    cost, unpriced = (0, 1) if math.isnan(paid) else (round(paid * 10**12), 0)
    if span.kind in ("embedding", "reranker") or span.operation in ("embeddings", "rerank"):
        return 0, 0, tokens_in + tokens_out, cost, 1, unpriced
    return tokens_in, tokens_out, 0, cost, 1, unpriced


class _Entry:
    __slots__ = ("below", "own", "told")

    def __init__(self) -> None:
        self.told: Sums | None = None
        self.own = NOTHING
        self.below = NOTHING


class Entries:
    """Figures of steps that are not to count twice: what a step told, what was below it, and what is left of its own.

    The rule is that of `tokprof.analysis.books`, kept up while calls come in.
    """

    def __init__(self) -> None:
        self._entries: dict[int, tuple[Span, _Entry]] = {}

    def post(self, span: Span, told: Sums, leaf: bool, root: Span) -> Iterator[tuple[Span, Sums]]:
        """Take in what a span used; told again, it replaces what was told before.

        Parameters
        ----------
        span : Span
        told : tuple
        leaf : bool
            Whether nothing is or will be below it, and this is its last word.
        root : Span
            Where to stop on the way up.

        Yields
        ------
        Span, tuple
            By how much the own figures of a span have changed.
        """
        if leaf:
            change = told
        else:
            entry = self._of(span)
            entry.told = told
            change = self._changed(entry)
        yield span, change
        up = span.parent
        while up is not None and up is not root:
            entry = self._of(up)
            entry.below = added(entry.below, change)
            if entry.told is not None:
                more = self._changed(entry)
                if more != NOTHING:
                    yield up, more
                    change = added(change, more)
            up = up.parent

    def _of(self, span: Span) -> _Entry:
        found = self._entries.get(span.id)
        if found is None:
            if len(self._entries) >= _MANY:
                ended = [key for key, (step, _) in self._entries.items() if step.closed is not None]
                for key in ended:
                    del self._entries[key]
            found = self._entries[span.id] = span, _Entry()
        return found[1]

    def _changed(self, entry: _Entry) -> Sums:
        own = _own(entry.told or NOTHING, entry.below)
        change = less(own, entry.own)
        entry.own = own
        return change


def _own(told: Sums, below: Sums) -> Sums:
    """What of a span's figures is its own."""
    if not below[_CALLS]:
        return told
    accounted = list(below)
    if told[_EMBEDDING]:
        accounted[_EMBEDDING] = below[_INPUT] + below[_OUTPUT] + below[_EMBEDDING]
    else:
        accounted[_INPUT] += below[_EMBEDDING]
    tokens_in, tokens_out, embedding, cost = (max(0, told[i] - accounted[i]) for i in range(4))
    keeps = bool(tokens_in or tokens_out or embedding)
    silent = not (told[_INPUT] or told[_OUTPUT] or told[_EMBEDDING])
    if not (keeps or silent or below[_UNPRICED]):
        cost = 0
    call = int(keeps or (silent and cost > 0))
    return tokens_in, tokens_out, embedding, cost, call, told[_UNPRICED] * call
