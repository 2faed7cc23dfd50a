"""Rows of runs of a model that were billed beside the one that answers."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TypeVar

from tokprof.recorder import new_id
from tokprof.span import Reading, Span

_Text = TypeVar("_Text", str, str | None)


def beside(span: Span, run: Reading) -> Span:
    """Make the row of a run that was billed beside the one that answered; when it ran is not told."""
    ended = span.closed or span.opened
    return replace(
        span,
        id=new_id(),
        name=one(f"{run.operation} {run.model or ''}".rstrip()),
        operation=run.operation,
        model=one(run.model),
        request_model=one(run.request_model),
        start=span.start + ended - span.opened,
        opened=ended,
        first_token=None,
        attempt=None,
        finish_reason=None,
        usage=run.usage,
        source=run.source,
        usage_raw=run.usage_raw,
        cost=run.cost,
        cost_source=None if run.cost is None else run.cost_source,
        saved=run.saved,
        saved_cost=run.saved_cost,
        draft=None,
        content=None,
    )


def one(text: _Text) -> _Text:
    """Keep equal strings of many calls once: a third of what a call leaves in memory."""
    return sys.intern(text) if type(text) is str else text
