"""Estimates, made late: when a profile is looked at, or when its recording ends.

A tokenizer takes longer to load than a call may take to record, and a call that tells its usage needs none.
"""

from __future__ import annotations

from collections.abc import Iterable

from tokprof.meter.estimate import estimate
from tokprof.span import Span

LIMIT = 16 * 1024 * 1024
"""Bytes of prompts and answers that a recording keeps for its estimates; beyond it they are made at once."""


def weight(span: Span) -> int:
    """Bytes that a span keeps for its estimate."""
    draft = span.draft
    return 0 if draft is None else len(draft.body) + len(draft.request or b"")


def settle(spans: Iterable[Span]) -> None:
    """Put estimates where usage was not told, and let go of the texts they were made from."""
    for span in spans:
        draft = span.draft
        if draft is None:
            continue
        found = estimate(draft)
        if span.draft is not draft:  # a call that goes on has told more meanwhile
            continue
        span.draft = None
        if found is not None and span.source == "cached":
            span.saved = found.usage
        elif found is not None:
            span.usage, span.source, span.tokenizer = found.usage, found.source, found.tokenizer
