"""What trace formats tell of a span beside its name and time."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from tokprof.export.texts import valid
from tokprof.meter.prices import saved
from tokprof.span import TOKEN_FIELDS, Stack
from tokprof.table import Table

_FIELDS = (
    *("kind", "status", "error", "provider", "operation", "model", "request_model", "host", "http_status", "attempt"),
    *("finish_reason", "service_tier", "tokenizer"),
)


@lru_cache(4096)
def _written(stack: Stack) -> str:
    return " > ".join(map(repr, stack))


def facts(table: Table, row: int, content: bool = False) -> dict[str, Any]:
    """Give what is known of a span as plain values; what is not known is left out."""
    span = table.spans[row]
    told: dict[str, Any] = {name: getattr(span, name) for name in _FIELDS}
    if span.usage is not None:
        told |= {name: getattr(span.usage, name) for name in TOKEN_FIELDS}
    told["usage_source"] = span.source
    cost = float(table.costs[row, 0])
    told["cost_usd"] = None if math.isnan(cost) else cost
    told["cost_source"] = table.cost_sources[row]
    if span.source == "cached":
        paid = saved(span)
        told["saved_tokens"], told["saved_cost_usd"] = span.saved_tokens, None if math.isnan(paid) else paid
    if span.first_token is not None:
        told["ttft_s"] = (span.first_token - span.opened) / 1e9
    if span.late:
        told["late"] = True
    if span.unkept:
        told["calls"] = span.unkept
    if span.stack:
        told["stack"] = _written(span.stack)
    told |= {f"tag.{key}": value for key, value in (span.tags or {}).items()}
    if content:
        told |= span.content or {}
    return {
        valid(name): valid(value) if isinstance(value, str) else value
        for name, value in told.items()
        if value is not None
    }
