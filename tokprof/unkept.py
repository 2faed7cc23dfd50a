"""Rows that stand for many: the calls that a processor let go, summed up by parent, model, tags and how they ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tokprof.meter.drafts import settle
from tokprof.meter.prices import price, saved
from tokprof.recorder import warn_once
from tokprof.span import NO_FRAMES, Span, Usage

if TYPE_CHECKING:
    from tokprof.recorder import Recording

_SAME = (
    *("kind", "provider", "operation", "model", "request_model", "host", "http_status", "status", "sent", "source"),
    *("stream", "service_tier"),
)
_WHOLE = ("input_tokens", "output_tokens")  # a sum must not make known what a part of it did not tell
_MANY = 1000  # rows beyond which tags are not told apart


def fold(recording: Recording, spans: Iterable[Span], sums: dict[tuple[Any, ...], Span]) -> None:
    """Add calls to the rows that stand for them.

    Prices are found call by call, because some depend on the length of the prompt.

    Parameters
    ----------
    recording : Recording
        New rows are added to it.
    spans : iterable of Span
    sums : dict
        The rows made before, by what their calls have in common; changed in place.
    """
    for span in spans:
        try:
            _add(recording, span, sums)
        except Exception as error:  # a processor may have put anything into it
            warn_once("sum up a call that a processor let go", error)
    recording.changed()


def _add(recording: Recording, span: Span, sums: dict[tuple[Any, ...], Span]) -> None:
    settle((span,))
    priced = price(span)
    cost = None if priced.parts[0] != priced.parts[0] else priced.parts[0]
    spared = saved(span)
    retried = (span.attempt or 1) > 1
    tags = span.tags if len(sums) < _MANY else None  # a name for each request would be a row for each
    key = (
        id(span.parent),
        *(getattr(span, name) for name in _SAME),
        retried,
        priced.source,
        *sorted((tags or {}).items()),
        *(span.usage is None or getattr(span.usage, name) is None for name in _WHOLE),
    )
    known = sums.get(key)
    if known is None:
        known = sums[key] = replace(
            span,
            name=f"{span.name} (not kept)",
            usage=span.usage and replace(span.usage),
            cost=cost,
            cost_source=None if cost is None else priced.source,
            saved=span.saved and replace(span.saved),
            saved_cost=None if spared != spared else spared,
            error=None,
            first_token=None,
            finish_reason=None,
            usage_raw=None,
            content=None,
            tags=tags,
            stack=NO_FRAMES,
            thread="",
            task=None,
            tokenizer=None,
            kept=True,
            unkept=1,
        )
        recording.add(known)
        return
    known.unkept += 1
    known.usage = Usage.sum(known.usage, span.usage)
    known.saved = Usage.sum(known.saved, span.saved)
    if spared == spared:
        known.saved_cost = (known.saved_cost or 0) + spared
    if known.cost is not None and cost is not None:
        known.cost += cost
    known.closed = (known.closed or known.opened) + (span.closed or span.opened) - span.opened
