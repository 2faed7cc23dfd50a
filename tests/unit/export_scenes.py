"""Profiles that files are made of: a plain one, one with hostile names, and the readers' view of both."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import tokprof
from tests.unit.scenes import agent, call

HOSTILE = (
    'quote " and \\ back\\',
    "new\nline\r\nand\ttab",
    "a;b;c 12",
    "<script>alert(1)</script>&amp;",
    "nul\x00inside",
    "lone \ud800 surrogate",
    "שלום \u202eRTL",
    "x" * 100_000,
    "",
    "   ",
    "end",
    "```\n# head | cell |",
    "-->|x| %%{init: {}}%%",
    "line\u2028separator\x85",
    "=1+1",
    "😀",
)


def hostile(clock: Any, frames: Callable[..., None]) -> tokprof.Profile:
    """Every hostile name as a step, a model, a tag and a function, and as the profile's own."""
    frames()
    with tokprof.profile("In[3]\n<b>;\ud800\x00", user=HOSTILE[3]) as prof:
        for number, name in enumerate(HOSTILE):
            frames(f"In[3]:{number + 1} <module>", f"a\udc80{number};.py:7 f{name[:50]}")
            with tokprof.span(name or "step", kind="agent", tag=name):
                told = {"model": name[:300] or "m", "provider": name[:20] or None}
                call(clock, 1, name=name, input_tokens=10, output_tokens=1, **told)
                clock.advance(0.5)
    return prof


def parallel(clock: Any) -> tokprof.Profile:
    """Two threads side by side under one step, and one that ends after the other began."""
    with tokprof.profile("fan") as prof, tokprof.span("out", kind="workflow"):
        begun = [tokprof.span(name, kind="task") for name in ("a", "b")]
        opened = []

        def run(span: Any, both: threading.Barrier, last: bool) -> None:
            with span as step:
                opened.append(step)
                both.wait()
                if last:
                    clock.advance(1)
                step.record(model="gpt-4o-mini", input_tokens=100, output_tokens=10)

        both = threading.Barrier(2)
        threads = [
            threading.Thread(target=run, args=(span, both, at == 0), name=f"worker-{at}")
            for at, span in enumerate(begun)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        clock.advance(1)
    return prof


__all__ = ["HOSTILE", "agent", "hostile", "parallel"]
