"""What a reading makes of the row of its call."""

from __future__ import annotations

from collections.abc import Sequence

from tokprof.capture.wire.beside import one
from tokprof.span import Exchange, Reading, Span


def fill(span: Span, exchange: Exchange, reading: Reading, arrivals: Sequence[int]) -> None:
    """Put into a row what a reading tells of its call.

    Parameters
    ----------
    span : Span
    exchange : Exchange
    reading : Reading
    arrivals : sequence of int
        When the parts of the answer came, nanoseconds.
    """
    span.kind = reading.kind
    span.operation = reading.operation
    span.provider = reading.provider
    span.model = one(reading.model)
    span.request_model = one(reading.request_model)
    span.name = one(f"{reading.operation} {reading.request_model or reading.model or ''}".rstrip())
    span.host = one(exchange.host)
    span.http_status = exchange.http_status
    span.stream = reading.stream
    span.finish_reason = one(reading.finish_reason)
    span.service_tier = one(reading.service_tier)
    span.usage = reading.usage
    span.source = reading.source
    span.usage_raw = reading.usage_raw
    span.draft = reading.draft if span.sent else None
    if reading.cost is not None:
        span.cost, span.cost_source = reading.cost, reading.cost_source
    span.saved, span.saved_cost = reading.saved, reading.saved_cost
    if reading.stream and arrivals and reading.first_token_at is not None:
        span.first_token = arrivals[min(reading.first_token_at, len(arrivals) - 1)]


def outcome(exchange: Exchange, reading: Reading, failed: tuple[str, str] | None, done: bool) -> tuple[str, str | None]:
    """Give status and error of a call.

    Parameters
    ----------
    exchange : Exchange
    reading : Reading
    failed : tuple of str, or None
        Status and text of what ended the call from this side.
    done : bool
        Whether it has ended.
    """
    if done and failed is not None:
        return failed
    if reading.error is not None:
        return "error", reading.error
    if (exchange.http_status or 0) >= 400:
        return "error", f"HTTP {exchange.http_status}"
    if not done:
        return "open", None
    cut = not exchange.complete and reading.source in ("missing", "partial") and reading.finish_reason is None
    return ("partial" if cut else "ok"), None
