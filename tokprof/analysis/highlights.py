"""What stands out in a profile: who spent most, and what to look at next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tokprof.analysis.books import COST, FIGURES, SPENT, Books, books
from tokprof.analysis.spenders import Spender, Spenders
from tokprof.span import Span
from tokprof.table import Table

SPENDERS = 3
REMARKS = 2

_MUCH = 0.5  # a share that is worth a sentence
_LONG = 20_000  # input tokens from which a cache is worth a thought
_INPUT, _OUTPUT = FIGURES.index("input"), FIGURES.index("output")
_CACHED, _REASONING = FIGURES.index("cache_read"), FIGURES.index("reasoning")


@dataclass(frozen=True, slots=True)
class Highlights:
    """What a summary says beside the totals.

    Attributes
    ----------
    spenders : tuple of Spender
        The largest groups of calls, `SPENDERS` at most: named steps, functions or models, whichever tell most.
    remarks : tuple of str
        What to look at next, `REMARKS` sentences at most. Names in them are as they are in the profile.
    """

    spenders: tuple[Spender, ...]
    remarks: tuple[str, ...]


def highlights(table: Table) -> Highlights:
    """Find what stands out.

    Parameters
    ----------
    table : Table

    Returns
    -------
    Highlights
    """
    kept = books(table)
    found = Spenders()
    tokens = kept.used[:, SPENT].sum(axis=1)
    costs = np.where(kept.told[:, COST], kept.used[:, COST], np.nan)
    seconds = table.durations() * kept.call
    calls = kept.call * kept.weight
    for row in kept.counted().tolist():
        figures = float(tokens[row]), float(costs[row]), float(seconds[row]), int(calls[row])
        found.add(table.spans[row], *figures, row)
    top = found.top(SPENDERS)
    remarks = _remarks(table, kept, found, top)
    return Highlights(tuple(top), tuple(remark for remark, _ in zip(remarks, range(REMARKS), strict=False)))


def _remarks(table: Table, kept: Books, found: Spenders, top: list[Spender]) -> Iterator[str]:
    """Sentences, the one that matters most first."""
    several = len(list(found.groups())) > 1
    if several and top and top[0].share >= _MUCH:
        what = "tokens" if found.tokens else "time of the calls"
        yield (
            f"{top[0].share:.0%} of the {what} are {top[0].who.name}'s."
            if found.tokens
            else (f"{top[0].share:.0%} of the {what} is {top[0].who.name}'s.")
        )
    yield from _failures(kept)
    yield from _untold(table, kept)
    yield from _unpriced(table, kept)
    yield from _shape(kept)


def _failures(kept: Books) -> Iterator[str]:
    tokens = kept.used[:, SPENT].sum(axis=1)
    retried, failed = kept.call & kept.retried, kept.call & kept.failed
    if retried.any():
        number = int(kept.weight[retried].sum())
        yield f"{_count(number, 'request was', 'requests were')} sent again after a failure."
    if failed.any():
        number, spent = int(kept.weight[failed].sum()), round(float(tokens[failed].sum()))
        wasted = f"spent {spent:,} tokens" if spent else "got no answer"
        yield f"{_count(number, 'call')} of {int(kept.weight[kept.call].sum()):,} failed and {wasted}."


def _untold(table: Table, kept: Books) -> Iterator[str]:
    """Streams of the one API that tells their usage only when asked."""
    streams = sum(span.count for span in _spans(table, kept) if _silent(span))
    if streams:
        yield f"{_count(streams, 'stream')} told no usage: ask for it with --request-usage."


def _silent(span: Span) -> bool:
    told_nothing = span.source in ("missing", "estimated") and span.status in ("ok", "partial")
    return bool(span.stream) and span.operation == "chat" and span.usage_raw is None and told_nothing


def _unpriced(table: Table, kept: Books) -> Iterator[str]:
    calls: dict[str, int] = {}
    for span in _spans(table, kept, kept.unpriced):
        told = span.usage is not None and span.usage.total_tokens is not None
        name = span.model or span.request_model
        if told and name:
            calls[name] = calls.get(name, 0) + span.count
    if calls:
        name = max(calls, key=lambda model: calls[model])
        yield f"No price for {name} ({_count(calls[name], 'call')}): tokprof.prices.add({name!r}, input=…, output=…)"


def _shape(kept: Books) -> Iterator[str]:
    sums = kept.used.sum(axis=0)
    calls = int(kept.weight[kept.call].sum())
    told = bool(kept.told[kept.call, _CACHED].any())
    if told and calls > 1 and sums[_INPUT] >= _LONG and not sums[_CACHED]:
        yield f"None of the {round(sums[_INPUT]):,} input tokens came from a cache."
    if sums[_OUTPUT] and sums[_REASONING] / sums[_OUTPUT] >= _MUCH:
        yield f"{sums[_REASONING] / sums[_OUTPUT]:.0%} of the {round(sums[_OUTPUT]):,} output tokens are reasoning."
    if sums[_INPUT] >= _LONG and sums[_INPUT] >= 20 * sums[_OUTPUT] and sums[_CACHED] >= _MUCH * sums[_INPUT]:
        yield f"{sums[_CACHED] / sums[_INPUT]:.0%} of the {round(sums[_INPUT]):,} input tokens came from a cache."


def _spans(
    table: Table, kept: Books, among: np.ndarray[tuple[int], np.dtype[np.bool_]] | None = None
) -> Iterator[Span]:
    rows = np.flatnonzero(kept.call if among is None else kept.call & among)
    return (table.spans[row] for row in rows.tolist())


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
