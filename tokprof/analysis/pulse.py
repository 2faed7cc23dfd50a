"""How tokens came in over the time of a recording: a few numbers, however long it takes."""

from __future__ import annotations

from tokprof.analysis.books import SPENT, books
from tokprof.table import Table

BUCKETS = 60
STEP = 0.001
"""Seconds of a bucket at first; each time they are full, two become one."""


class Pulse:
    """Tokens by the time at which their calls ended."""

    def __init__(self) -> None:
        self.step = STEP
        self._counts: list[float] = []

    def add(self, seconds: float, tokens: float) -> None:
        """Add the tokens of a call that ended after some seconds."""
        at = max(0, int(seconds / self.step))
        while at >= BUCKETS:
            counts = [*self._counts, 0.0]
            self._counts = [a + b for a, b in zip(counts[::2], counts[1::2], strict=False)]
            self.step *= 2
            at = int(seconds / self.step)
        self._counts += [0.0] * (at + 1 - len(self._counts))
        self._counts[at] += tokens

    def counts(self, seconds: float) -> list[int]:
        """Give the tokens of each bucket so far; at most `BUCKETS`."""
        self.add(seconds, 0)
        return [max(0, round(count)) for count in self._counts]


def pulse(table: Table) -> Pulse:
    """Take the pulse of a table."""
    made = Pulse()
    if not len(table):
        return made
    kept = books(table)
    began = table.spans[0].opened
    tokens = kept.used[:, SPENT].sum(axis=1)
    for row in kept.counted().tolist():
        span = table.spans[row]
        made.add(((table.now if span.closed is None else span.closed) - began) / 1e9, float(tokens[row]))
    return made
