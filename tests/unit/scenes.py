"""A small profile with round figures, on a clock that stands still: what the views are tested on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tokprof

PRICED = "gpt-4o-mini"  # USD 0.15 a million tokens in, 0.60 out, 0.075 from the cache


def call(clock: Any, seconds: float, model: str = PRICED, name: str = "", **figures: Any) -> None:
    with tokprof.span(name or f"chat {model}", kind="llm") as span:
        clock.advance(seconds)
        span.record(model=model, **figures)


def agent(clock: Any, frames: Callable[..., None]) -> tokprof.Profile:
    """In[3]: plan (1 call), then an agent with two calls of one tool and a call that told nothing."""
    frames()
    with tokprof.profile("In[3]", team="a") as prof:
        frames("In[3]:2 <module>", "In[2]:5 plan")
        call(clock, 1.5, input_tokens=1000, output_tokens=100, cache_read_tokens=400)
        clock.advance(0.5)
        frames("In[3]:3 <module>")
        with tokprof.span("agent", kind="agent", user="u1"):
            for _ in range(2):
                frames("In[3]:3 <module>", "agent.py:12 act", "tools.py:7 search")
                call(clock, 0.25, input_tokens=200_000, output_tokens=0)
            frames("In[3]:3 <module>", "agent.py:20 act")
            call(clock, 62, "mystery")
            frames("In[3]:3 <module>")
    return prof


def retrieval(clock: Any, frames: Callable[..., None]) -> tokprof.Profile:
    """In[4]: texts are embedded and ranked, where the ranking told nothing; then a model answers."""
    frames()
    with tokprof.profile("In[4]") as prof:
        frames("In[4]:1 <module>", "search.py:3 index")
        with tokprof.span("embeddings", kind="embedding") as span:
            clock.advance(0.5)
            span.record(model="text-embedding-3-small", operation="embeddings", input_tokens=5000)
        frames("In[4]:2 <module>", "search.py:9 best")
        with tokprof.span("rerank", kind="reranker") as span:
            clock.advance(0.5)
            span.record(model="ranker", operation="rerank")
        frames("In[4]:3 <module>")
        call(clock, 1, input_tokens=1000, output_tokens=100, cache_read_tokens=400)
    return prof
