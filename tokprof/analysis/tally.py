"""Running sums of a recording that goes on.

The table of a large recording takes long to make. A tally looks at each span once, when it has ended, and at those that
have not; what was amended later is put right when the recording has ended and the table is made.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from tokprof.analysis.books import may_have_spent, refused
from tokprof.analysis.pulse import Pulse
from tokprof.analysis.spenders import Spenders
from tokprof.meter.prices import price, saved
from tokprof.recorder import Recording, clock
from tokprof.span import Span

NEW = 1_000
"""Spans that one update takes in at most; the next one goes on there."""
MOVING = 500
"""Spans that have not ended, of which one update looks at so many at most."""


@dataclass(slots=True)
class Figures:
    """Sums over calls.

    Attributes
    ----------
    calls, errors, retries, unknown, unpriced, estimated : int
        As in `tokprof.analysis.rollup.Totals`; `estimated` by a tokenizer.
    input, output : float
        Tokens, as far as known.
    cost : float
        USD, as far as known.
    hits : int
        Calls that a cache answered.
    saved_input, saved_output, saved_cost : float
        What they would have used, as far as known.
    """

    calls: int = 0
    errors: int = 0
    retries: int = 0
    unknown: int = 0
    unpriced: int = 0
    estimated: int = 0
    input: float = 0.0
    output: float = 0.0
    cost: float = 0.0
    hits: int = 0
    saved_input: float = 0.0
    saved_output: float = 0.0
    saved_cost: float = 0.0

    @property
    def tokens(self) -> float:
        """Input and output together."""
        return self.input + self.output

    def add(self, other: Figures, sign: int = 1) -> None:
        """Add the figures of others, or with -1 take them away."""
        for name in Figures.__slots__:
            setattr(self, name, getattr(self, name) + sign * getattr(other, name))


class Tally:
    """Sums of a recording, kept up to date with work that does not grow with it.

    Parameters
    ----------
    recording : Recording

    Attributes
    ----------
    sums : Figures
    spenders : Spenders
    pulse : Pulse
    last : Span or None
        The call that ended last.
    """

    def __init__(self, recording: Recording):
        self._recording = recording
        self._seen = 0
        self._moving: deque[tuple[Span, Figures | None]] = deque()
        self._below: dict[int, Figures] = {}  # of steps that have not ended, what the calls below them used
        self.sums = Figures()
        self.spenders = Spenders()
        self.pulse = Pulse()
        self.last: Span | None = None

    @property
    def behind(self) -> bool:
        """Whether there are spans that no update has looked at."""
        self._recording.settle()
        return self._seen < len(self._recording.spans)

    def update(self) -> None:
        """Take in what is new."""
        self._recording.settle()
        again = len(self._moving)
        new = self._recording.spans[self._seen : self._seen + NEW]
        self._seen += len(new)
        # by falling ids: what is below a step comes before it
        for span in sorted(new, key=lambda span: -span.id):
            self._look(span, None)
        for _ in range(min(again, MOVING)):
            self._look(*self._moving.popleft())

    @property
    def seconds(self) -> float:
        """Since the recording began."""
        return (clock() - self._recording.root.opened) / 1e9

    def _look(self, span: Span, before: Figures | None) -> None:
        moves = span.status == "open" or span.unkept > 0  # a row that stands for many grows
        ended = span.kept and span.source is not None and (span.status != "open" or span.closed is not None)
        now = self._used(span) if ended else None
        if now is not None and now != before:
            self._put(span, now, before)
        if moves:
            self._moving.append((span, now or before))
        else:
            self._below.pop(span.id, None)

    def _put(self, span: Span, now: Figures, before: Figures | None) -> None:
        change = Figures()
        change.add(now)
        if before is not None:
            change.add(before, -1)
        self.sums.add(change)
        ended = clock() if span.closed is None else span.closed
        taken = (ended - span.opened) / 1e9 if before is None else 0.0
        cost = math.nan if now.unpriced else change.cost
        self.spenders.add(span, change.tokens, cost, taken, change.calls)
        self.pulse.add((ended - self._recording.root.opened) / 1e9, change.tokens)
        self.last = span
        up = span.parent
        while up is not None and up is not self._recording.root:
            below = self._below.get(up.id)
            if below is None:
                below = self._below[up.id] = Figures()
            below.add(change)
            up = up.parent

    def _used(self, span: Span) -> Figures:
        """What a call used itself, as `tokprof.analysis.books` has it."""
        usage, count = span.usage, span.count
        paid = price(span).parts[0]
        unknown = may_have_spent(span)
        found = Figures(
            calls=count,
            errors=count * (span.status in ("error", "cancelled")),
            retries=count * ((span.attempt or 1) > 1),
            unknown=count * unknown,
            unpriced=count * (math.isnan(paid) and not refused(span)),
            estimated=count * (span.source == "estimated"),
            input=float((usage and usage.input_tokens) or 0),
            output=float((usage and usage.output_tokens) or 0),
            cost=0.0 if math.isnan(paid) else paid,
        )
        if span.source == "cached":
            spared, whole = span.saved, saved(span)
            found.hits = count
            found.saved_input = float((spared and spared.input_tokens) or 0)
            found.saved_output = float((spared and spared.output_tokens) or 0)
            found.saved_cost = 0.0 if math.isnan(whole) else whole
        below = self._below.get(span.id)
        if below is None or not below.calls:
            return found
        mine = Figures(
            input=max(0.0, found.input - below.input - below.saved_input),
            output=max(0.0, found.output - below.output - below.saved_output),
        )
        if not mine.tokens:
            return Figures()
        found.input, found.output = mine.input, mine.output
        found.cost = max(0.0, found.cost - below.cost - below.saved_cost)
        return found
