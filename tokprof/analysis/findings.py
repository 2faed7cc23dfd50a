"""What can be found wasteful in the figures of a profile alone."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np

from tokprof.analysis import thresholds as limit
from tokprof.analysis.anomalies import Who
from tokprof.analysis.books import COST, SPENT, Books, books, embeds, refused
from tokprof.analysis.repeats import Prompt, prompt_of
from tokprof.analysis.reprice import repriced
from tokprof.money import usd
from tokprof.span import Frame, Span
from tokprof.table import Table


@dataclass(slots=True)
class Finding:
    """What is wasteful, by how much, and what to do.

    Attributes
    ----------
    finding : str
        Its kind.
    what, change : str
        In plain language.
    rows : list of int
        Rows of the table that show it.
    tokens : float or None
    usd, seconds : float
        At stake; None or NaN where not known, 0 where it is not about that.
    """

    finding: str
    what: str
    change: str
    rows: list[int] = field(default_factory=list)
    tokens: float | None = 0.0
    usd: float = 0.0
    seconds: float = 0.0


class Calls:
    """The calls of a table that have a row of their own, for those who look for waste.

    Attributes
    ----------
    table : Table
    kept : Books
    rows : list of int
        Of the calls.
    """

    def __init__(self, table: Table):
        self.table = table
        self.kept: Books = books(table)
        self.rows = np.flatnonzero(self.kept.call & (self.kept.weight == 1)).tolist()
        self.seconds = table.durations()

    def span(self, row: int) -> Span:
        """Give the span of a row."""
        return self.table.spans[row]

    def model(self, row: int) -> str:
        """Model that answered, or was asked for."""
        return self.span(row).model or self.span(row).request_model or "a model"

    def who(self, row: int) -> str:
        """Innermost function, after its caller where several call it, or the step around the call."""
        stack = self.span(row).stack
        if stack:
            name = _name(stack[-1])
            return f"{_name(stack[-2])} → {name}" if len(self._callers[stack[-1].file, name]) > 1 else name
        up = int(self.table.parents[row])
        return self.table.spans[up].name if up >= 0 else self.span(row).name

    @cached_property
    def _callers(self) -> dict[tuple[str, str], set[str]]:
        """Functions that call the innermost ones: of one that all calls go through, its own name tells little."""
        found: dict[tuple[str, str], set[str]] = defaultdict(set)
        for row in self.rows:
            if len(stack := self.span(row).stack) > 1:
                found[stack[-1].file, _name(stack[-1])].add(_name(stack[-2]))
        return found

    def tokens(self, rows: list[int]) -> float | None:
        """Sum of the tokens; None where no call told any."""
        known = [row for row in rows if not (self.kept.untold[row, -1] and not self.kept.told[row, -1])]
        return float(self.kept.used[known][:, SPENT].sum()) if known or not rows else None

    def usd(self, rows: list[int]) -> float:
        """Sum of the costs; NaN where one is not known."""
        return math.nan if self.kept.unpriced[rows].any() else float(self.kept.used[rows, COST].sum())

    @cached_property
    def prompts(self) -> dict[int, Prompt]:
        """Prompts that were kept whole, of language models, by row."""
        read = ((row, prompt_of(self.span(row))) for row in self.rows if not embeds(self.span(row)))
        return {row: prompt for row, prompt in read if prompt is not None}


def failures(calls: Calls) -> Iterator[Finding]:
    """Retries and failures that were paid for, or waited for."""
    lost = [row for row in calls.rows if calls.kept.failed[row]]
    paid = [row for row in lost if calls.kept.used[row, SPENT].any() or calls.kept.used[row, COST] > 0]
    if paid:
        usd = calls.usd(paid)
        yield Finding(
            "failures paid for",
            f"{_count(paid, 'call')} failed or were cancelled, and are billed all the same",
            "give calls enough time and do not cancel what is nearly done; raise timeouts, or ask for less at once",
            paid,
            calls.tokens(paid),
            usd,
            float(calls.seconds[paid].sum()),
        )
    free = [row for row in lost if row not in set(paid)]
    if free:
        seconds = float(calls.seconds[free].sum())
        again = sum((calls.span(row).attempt or 1) > 1 for row in calls.rows)
        yield Finding(
            "failures waited for",
            f"{_count(free, 'call')} failed after {seconds:.3g} s in all; {again} were further attempts",
            "send fewer requests at once, or wait as long as the provider's retry-after says",
            free,
            0.0,
            0.0 if all(refused(calls.span(row)) for row in free) else math.nan,
            seconds,
        )


def cut(calls: Calls) -> Iterator[Finding]:
    """Answers that were cut short by a limit."""
    rows = [row for row in calls.rows if (calls.span(row).finish_reason or "").lower() in limit.CUT]
    if rows:
        yield Finding(
            "answers cut short",
            f"{_count(rows, 'answer')} reached the limit of tokens",
            "raise max_tokens, or ask for a shorter answer: what is cut is often asked for again",
            rows,
            calls.tokens(rows),
            calls.usd(rows),
        )


def reasoning(calls: Calls) -> Iterator[Finding]:
    """Output that is mostly reasoning."""
    for (who, model), rows in _grouped(calls).items():
        told = [row for row in rows if calls.span(row).usage and calls.span(row).usage.reasoning_tokens]  # type: ignore[union-attr]
        thought = sum((usage.reasoning_tokens or 0) for row in told if (usage := calls.span(row).usage))
        whole = sum((usage.output_tokens or 0) for row in rows if (usage := calls.span(row).usage))
        if thought < limit.REASONING_TOKENS or thought < limit.REASONING_SHARE * whole:
            continue
        parts = [
            float(calls.table.costs[row, 2]) * (usage.reasoning_tokens or 0) / (usage.output_tokens or 1)
            for row in told
            if (usage := calls.span(row).usage)
        ]
        yield Finding(
            "mostly reasoning",
            f"{thought / max(whole, 1):.0%} of the output of {model} in {who} is reasoning: {thought:,} tokens",
            "lower the reasoning effort or budget where the task is simple",
            told,
            float(thought),
            sum(parts),
        )


def sequential(calls: Calls) -> Iterator[Finding]:
    """Calls of one place, one after the other, that may not need each other."""
    places: dict[tuple[int, str, int], list[int]] = defaultdict(list)
    for row in calls.rows:
        span = calls.span(row)
        if span.stack and not calls.kept.failed[row] and not embeds(span) and span.closed is not None:
            places[int(calls.table.parents[row]), span.stack[-1].file, span.stack[-1].line].append(row)
    for rows in places.values():
        if len(rows) < limit.SEQUENCE:
            continue
        spans = [calls.span(row) for row in rows]
        apart = all((a.closed or 0) <= b.opened for a, b in pairwise(spans))
        inputs = [span.usage.input_tokens if span.usage else None for span in spans]
        known = [each for each in inputs if each is not None]
        grows = len(known) == len(inputs) and all(a < b for a, b in pairwise(known))
        saved = float(calls.seconds[rows].sum() - calls.seconds[rows].max())
        if not apart or grows or saved < limit.SEQUENCE_SECONDS:
            continue  # of a conversation each prompt is longer than the last
        yield Finding(
            "one after the other",
            f"{len(rows)} calls of {calls.who(rows[0])} ran one after the other, and may not need each other's answers",
            f"if so, run them side by side (asyncio.gather, a thread pool): up to {saved:.3g} s less",
            rows,
            seconds=saved,
        )


def cheaper(calls: Calls) -> Iterator[Finding]:
    """Models that are too good for answers of a few tokens."""
    costs: dict[str, dict[int, float]] = {}
    for (who, model), rows in _grouped(calls).items():
        answered = [row for row in rows if not calls.kept.failed[row]]
        outputs = [usage.output_tokens for row in answered if (usage := calls.span(row).usage) is not None]
        short = all(each is not None and each <= limit.SHORT_OUTPUT for each in outputs)
        other = next((to for pattern, to in limit.CHEAPER if re.fullmatch(pattern, model, re.IGNORECASE)), None)
        if other is None or len(answered) < limit.SHORT_CALLS or len(outputs) < len(answered) or not short:
            continue
        if other not in costs:
            made = repriced(calls.table, other)
            costs[other] = dict(zip(made.rows, made.costs, strict=True))
        saved = calls.usd(answered) - sum(costs[other][row] for row in answered)
        if saved > 0:  # not for what is not known
            yield Finding(
                "a smaller model might do",
                f"{len(answered)} answers of {model} in {who} have {limit.SHORT_OUTPUT} tokens or fewer",
                f"try {other}: the same tokens would cost {usd(saved)} less",
                answered,
                calls.tokens(answered),
                saved,
            )


def untold(calls: Calls) -> Iterator[Finding]:
    """Streams that do not tell their usage."""
    rows = [
        row
        for row in calls.rows
        if calls.span(row).stream and calls.span(row).source in ("estimated", "missing") and not calls.kept.failed[row]
    ]
    if rows:
        yield Finding(
            "streams without usage",
            f"{_count(rows, 'stream')} did not tell the usage: these figures are estimates, or missing",
            'send stream_options={"include_usage": True}, or profile with request_usage=True',
            rows,
            calls.tokens(rows),
            calls.usd(rows),
        )


def _name(frame: Frame) -> str:
    name = frame.function.rpartition("<locals>.")[2]
    return frame.where if name == "<module>" else name


def _grouped(calls: Calls) -> dict[Who, list[int]]:
    groups: dict[Who, list[int]] = defaultdict(list)
    for row in calls.rows:
        if not embeds(calls.span(row)):
            groups[calls.who(row), calls.model(row)].append(row)
    return groups


def _count(rows: list[int], thing: str) -> str:
    return f"{len(rows):,} {thing}" if len(rows) == 1 else f"{len(rows):,} {thing}s"
