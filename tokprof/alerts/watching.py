"""Running figures of the calls that alerts look at: sums, what came within the last minute, and the latest calls."""

from __future__ import annotations

import math
from collections import deque
from statistics import median

from tokprof import recorder
from tokprof.allowance.ledger import Entries, used
from tokprof.recorder import Recording
from tokprof.span import Span

MINUTE = 60.0
RECENT = 20
"""Calls that a share or a percentile is told of, unless a condition says otherwise."""
LEAST = 5
"""Calls, below which such a figure is not known."""
KEPT = 200
"""Latest calls that are remembered."""
LIMIT = 3.5
"""Deviations from the median beyond which a call is unusual, on a logarithmic scale (Iglewicz and Hoaglin, 1993)."""
NARROWEST = 0.05
"""Least deviation: earlier calls that were all alike do not make a twentieth unusual."""

_SCALE = 1.4826  # of the median absolute deviation, to that of a normal distribution
_PICO = 10**12
_MOST = 10_000  # calls of the last minute
_INPUT, _OUTPUT, _EMBEDDING, _COST, _CALLS = range(5)


class Past:
    """Earlier calls of each function and model, to tell what is usual."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], deque[dict[str, float]]] = {}

    def times(self, span: Span, figures: dict[str, float], of: str, least: int) -> float:
        """How many times the usual a call is, if that is unusual; NaN where too few calls are known.

        Parameters
        ----------
        span : Span
        figures : dict of str to float
            Of the call.
        of : {"tokens", "cost", "seconds"}
        least : int
            Earlier calls that there must be.

        Returns
        -------
        float
            1 for a call within `LIMIT` deviations.
        """
        earlier = [each[of] for each in self._known.get(_who(span), ()) if each.get(of, 0) > 0]
        value = figures.get(of, math.nan)
        if len(earlier) < least or not value > 0:
            return math.nan
        logs = [math.log(each) for each in earlier]
        middle = median(logs)
        spread = max(_SCALE * median(abs(each - middle) for each in logs), NARROWEST)
        beyond = (math.log(value) - middle) / spread
        return math.exp(math.log(value) - middle) if abs(beyond) > LIMIT else 1.0

    def add(self, span: Span, figures: dict[str, float]) -> None:
        """Remember a call."""
        self._known.setdefault(_who(span), deque(maxlen=KEPT)).append(figures)


class Snapshot:
    """Where a recording stands, when a call has ended: what the condition of an alert looks at.

    Attributes
    ----------
    calls, errors, retries : int
        Model calls; those that failed or were cancelled; those that were a second or later attempt.
    input_tokens, output_tokens, cached_tokens : int
        As far as known; embeddings are input, `cached_tokens` are input that was read from a cache.
    cost : float
        USD, as far as known.
    call : Span or None
        The call that has just ended.
    """

    def __init__(self, recording: Recording, past: Past):
        self._recording, self._past = recording, past
        self._entries = Entries()
        self._began = recorder.clock()
        self._minute: deque[tuple[int, float, float]] = deque(maxlen=_MOST)
        self._latest: deque[dict[str, float]] = deque(maxlen=KEPT)
        self._figures: dict[str, float] = {}
        self.calls = self.errors = self.retries = 0
        self.input_tokens = self.output_tokens = self.cached_tokens = 0
        self.cost = 0.0
        self.call: Span | None = None

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    @property
    def seconds(self) -> float:
        """Since the recording, or the block of the alert, began."""
        return (recorder.clock() - self._began) / 1e9

    @property
    def tokens_per_minute(self) -> float:
        """Tokens of the calls that ended within the last minute."""
        return self.within(MINUTE)[0]

    @property
    def cost_per_minute(self) -> float:
        """USD of the calls that ended within the last minute."""
        return self.within(MINUTE)[1]

    @property
    def error_rate(self) -> float:
        """Share of the latest 20 calls that failed; NaN below 5."""
        return self.share("failed")

    @property
    def retry_rate(self) -> float:
        """Share of the latest 20 calls that were a second or later attempt; NaN below 5."""
        return self.share("retried")

    @property
    def cache_hit_rate(self) -> float:
        """Share of the input tokens of the latest 20 calls that a cache had; NaN below 5 calls that told."""
        return self.cached()

    @property
    def latency(self) -> float:
        """95th percentile of the seconds of the latest 20 calls; NaN below 5."""
        return self.percentile(95)

    def within(self, seconds: float) -> tuple[float, float]:
        """Tokens and USD of the calls that ended within the last seconds, at most a minute."""
        since = recorder.clock() - round(seconds * 1e9)
        kept = [each for each in self._minute if each[0] >= since]
        return math.fsum(each[1] for each in kept), math.fsum(each[2] for each in kept)

    def share(self, of: str, calls: int = RECENT, least: int = LEAST) -> float:
        """Share of the latest calls that ``failed`` or were ``retried``."""
        latest = list(self._latest)[-calls:]
        return sum(each[of] for each in latest) / len(latest) if len(latest) >= least else math.nan

    def cached(self, calls: int = RECENT, least: int = LEAST) -> float:
        """Share of the input tokens of the latest calls that a cache had."""
        latest = [each for each in list(self._latest)[-calls:] if "cached" in each]
        whole = sum(each["input"] for each in latest)
        return sum(each["cached"] for each in latest) / whole if len(latest) >= least and whole else math.nan

    def percentile(self, percent: float, calls: int = RECENT, least: int = LEAST) -> float:
        """Percentile of the seconds of the latest calls."""
        latest = sorted(each["seconds"] for each in list(self._latest)[-calls:])
        if len(latest) < least:
            return math.nan
        place = (len(latest) - 1) * percent / 100
        low = latest[math.floor(place)]
        return low + (latest[math.ceil(place)] - low) * (place - math.floor(place))

    def spike(self, of: str = "tokens", least: int = LEAST) -> float:
        """How many times the usual of its function and model the last call is; 1 where that is not unusual."""
        return math.nan if self.call is None else self._past.times(self.call, self._figures, of, least)

    def to_dict(self) -> dict[str, float]:
        """Give the figures as they are now."""
        return {name: getattr(self, name) for name in FIGURES}

    def take(self, span: Span, leaf: bool) -> None:
        """Take in a call that has ended."""
        now = recorder.clock()
        tokens, paid, counts = 0, 0.0, True
        for row, change in self._entries.post(span, used(span), leaf, self._recording.root):
            self.input_tokens += change[_INPUT] + change[_EMBEDDING]
            self.output_tokens += change[_OUTPUT]
            self.cost += change[_COST] / _PICO
            tokens += change[_INPUT] + change[_OUTPUT] + change[_EMBEDDING]
            paid += change[_COST] / _PICO
            if row is span and not change[_CALLS] and span.sent and span.cost_source != "cached":
                counts = False  # it sums up the calls below, which have counted already
        if counts:
            self._count(span)
        self._minute.append((now, tokens, paid))
        while self._minute and self._minute[0][0] < now - MINUTE * 1e9:
            self._minute.popleft()
        self.call = span

    def _count(self, span: Span) -> None:
        usage, attempt = span.usage, span.attempt or 1
        failed, retried = span.status in ("error", "cancelled"), attempt > 1
        self.calls += 1
        self.errors += failed
        self.retries += retried
        seconds = ((span.closed or span.opened) - span.opened) / 1e9
        each: dict[str, float] = {"seconds": seconds, "failed": failed, "retried": retried}
        figures = {"seconds": seconds}
        if usage is not None:
            if usage.input_tokens is not None and usage.cache_read_tokens is not None:
                each |= {"input": usage.input_tokens, "cached": usage.cache_read_tokens}
            self.cached_tokens += usage.cache_read_tokens or 0
            if usage.total_tokens is not None:
                figures["tokens"] = usage.total_tokens
        if (paid := used(span)[_COST]) > 0:
            figures["cost"] = paid / _PICO
        self._latest.append(each)
        self._figures = {} if failed else figures

    @property
    def figures(self) -> dict[str, float]:
        """Tokens, USD and seconds of the last call; empty where it failed."""
        return self._figures


FIGURES = (
    "calls",
    "errors",
    "retries",
    "tokens",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cost",
    "seconds",
    "tokens_per_minute",
    "cost_per_minute",
    "error_rate",
    "retry_rate",
    "cache_hit_rate",
    "latency",
)
"""What a condition that is text can ask for."""


def _who(span: Span) -> tuple[str, str]:
    function = span.stack[-1].function if span.stack else ""
    return function, str(span.model or span.request_model or "")
