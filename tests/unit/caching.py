"""What the tests of the replay cache have in common: requests, and the books of two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tokprof
from tokprof.testing import SimulatedProvider

ASK = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}
STREAM = ASK | {"stream": True, "stream_options": {"include_usage": True}}


def url(provider: SimulatedProvider) -> str:
    return f"{provider.openai_url}/chat/completions"


def twice(provider: SimulatedProvider, ask: Callable[[], Any]) -> tuple[Any, Any]:
    """Ask two times, of which one is sent; the books say so."""
    with tokprof.profile() as prof, tokprof.cache():
        first = ask()
        sent = len(provider.requests)
        second = ask()
        assert len(provider.requests) == sent == 1
    assert_hit(prof)
    return first, second


def assert_hit(prof: tokprof.Profile) -> None:
    paid, hit = (prof.calls.iloc[at] for at in range(2))
    assert (paid.usage_source, paid.cost_source, paid.input_tokens) == ("reported", "priced", 1000)
    assert (hit.usage_source, hit.cost_source, hit.status, hit.http_status) == ("cached", "cached", "ok", 200)
    assert (hit.input_tokens, hit.output_tokens, hit.cost) == (0, 0, 0)
    assert (hit.model, hit.stream, hit.operation) == (paid.model, paid.stream, paid.operation)
    assert (hit.saved_tokens, hit.saved_cost) == (1060, pytest.approx(paid.cost))
    totals = prof.totals
    assert (totals.calls, totals.total_tokens, totals.cost) == (2, 1060, pytest.approx(paid.cost))
    assert (totals.cache_hits, totals.saved_tokens, totals.saved_cost) == (1, 1060, pytest.approx(paid.cost))
    assert (totals.unknown_calls, totals.unpriced_calls, totals.cost_coverage, totals.exact) == (0, 0, 1, True)
