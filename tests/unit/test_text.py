"""The text tree, to the character."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import tokprof
from tokprof.views.words import clean, seconds, spent, usd

from .scenes import agent, call, retrieval

TREE = """\
tokprof In[3]: ≥ 401,100 tokens · ≥ $0.0602 · 4 calls · 1 min 04 s
1 call did not tell all of its tokens: the sums are lower bounds.
1 call without a known cost: not all of its tokens are known.

    tokens    %       cost calls       time
  ≥401,100 100%  ≥$0.06018     4 1 min 04 s  In[3]
  ≥400,000 100%  ≥$0.06000     3 1 min 02 s  ├─ In[3]:3
  ≥400,000 100%  ≥$0.06000     3 1 min 02 s  │  └─ agent  [agent]
  ≥400,000 100%  ≥$0.06000     3 1 min 02 s  │     └─ act  agent.py:12
   400,000 100%   $0.06000     2     500 ms  │        ├─ search  tools.py:7
   400,000 100%   $0.06000     2     500 ms  │        │  └─ chat gpt-4o-mini ×2
         ?   0%          ?     1 1 min 02 s  │        └─ chat mystery
     1,100   0%   $0.00018     1      1.5 s  └─ In[3]:2
     1,100   0%   $0.00018     1      1.5 s     └─ plan  In[2]:5
     1,100   0%   $0.00018     1      1.5 s        └─ chat gpt-4o-mini"""


def test_the_tree_as_text(clock: Any, frames: Callable[..., None]) -> None:
    prof = agent(clock, frames)
    assert str(prof) == TREE
    assert repr(prof) == "<Profile In[3]: ≥ 401,100 tokens, ≥ $0.0602, 4 calls, 1 min 04 s>"


def test_embeddings_are_named_in_the_headline(clock: Any, frames: Callable[..., None]) -> None:
    prof = retrieval(clock, frames)
    lines = str(prof).splitlines()
    assert lines[0].startswith("tokprof In[4]: ≥ 6,100 tokens (5,000 embedding) · ")
    assert "≥ 6,100 tokens (5,000 embedding), " in repr(prof)
    line = next(line for line in lines if "└─ embeddings" in line)
    assert line.split()[:2] == ["5,000", "82%"] and line.endswith("embeddings  [embedding]  text-embedding-3-small")


@pytest.mark.parametrize(
    ("figures", "text"),
    [
        ((27_002, 0), "27,002 tokens"),
        ((27_002, 12), "27,002 tokens (12 embedding)"),
        ((12, 12), "12 embedding tokens"),
        ((0, 0), "0 tokens"),
        ((12, 12, "~"), "~ 12 embedding tokens"),
    ],
)
def test_tokens_in_words(figures: tuple[Any, ...], text: str) -> None:
    assert spent(*figures) == text


def test_no_calls(clock: Any, frames: Callable[..., None]) -> None:
    with tokprof.profile("In[1]") as prof:
        clock.advance(0.25)
        assert repr(prof) == "<Profile In[1]: recording, no model calls, 250 ms>"
    assert str(prof) == "tokprof In[1]: no model calls · 250 ms"


def test_steps_side_by_side_and_their_models(clock: Any, frames: Callable[..., None]) -> None:
    frames()

    async def work(start: asyncio.Event, last: bool) -> None:
        async with tokprof.span("work", kind="agent") as step:
            if last:
                clock.advance(1)
                start.set()
            await start.wait()
            step.record(model="llama-3", input_tokens=1, output_tokens=1)

    async def both() -> None:
        start = asyncio.Event()
        await asyncio.gather(work(start, False), work(start, True))

    with tokprof.profile("p") as prof:
        asyncio.run(both())
    lines = str(prof).splitlines()
    assert lines[-1].endswith("Σ 2.0 s  └─ work ×2  [agent]  llama-3")
    assert lines[-2].endswith("    1.0 s  p")
    assert "Σ: time added up over calls or steps that ran side by side." in lines


def test_a_wide_tree_is_cut_and_says_so(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as prof:
        for i in range(200):
            call(clock, 0.001, name=f"step {i}", input_tokens=i + 1, output_tokens=0)
    lines = str(prof).splitlines()
    assert lines[-1].strip() == "… 141 more"
    assert "step 199" in lines[4]
    assert lines[-1].index("…") == lines[3].index("profile")
    assert len(lines) == 3 + 60 + 1


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 ms"), (0.34, "340 ms"), (0.9996, "1.0 s"), (8.24, "8.2 s"), (59.96, "1 min 00 s"), (185, "3 min 05 s")],
)
def test_seconds(value: float, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "$0.0000"), (0.000012, "$0.000012"), (0.0123, "$0.0123"), (0.5, "$0.5000"), (1234.5, "$1,234.50")],
)
def test_usd(value: float, text: str) -> None:
    assert usd(value) == text


@pytest.mark.parametrize(
    "mark", ["\n", "\x1b[31m", "\x00", "\u202e", "\u2066", "\u200b", "\ufeff", "\x9b", "\u2028", "\u061c"]
)
def test_marks_that_cannot_be_seen_are_replaced(mark: str) -> None:
    shown = clean(f"a{mark}b")
    assert mark[0] not in shown
    assert shown.startswith("a\N{REPLACEMENT CHARACTER}")


def test_long_names_are_cut() -> None:
    assert clean("x" * 1_000_000) == "x" * 119 + "…"


def test_a_refused_call_lacks_neither_price_nor_tokens(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile("In[1]") as prof:
        call(clock, 1, input_tokens=1000, output_tokens=0)
        for _ in range(2):
            with pytest.raises(ValueError), tokprof.span("chat", kind="llm") as step:
                step.record(model="home-made-7b")
                assert step.span is not None
                step.span.http_status = 429
                raise ValueError
    totals = prof.totals
    assert (totals.unpriced_calls, totals.unknown_calls) == (0, 0)
    assert totals.cost_sources == {"priced": 1, "refused": 2}
    assert totals.provenance == {"reported": 1, "refused": 2}
    for view in (str(prof), prof.snapshot(), prof.to_markdown()):
        assert "missing" not in view and "without a known" not in view
    assert "| Cost refused | 2 calls |" in prof.to_markdown()


def test_a_price_that_is_known_is_not_said_to_be_unknown(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile("In[1]") as prof:
        call(clock, 1, input_tokens=1000)
    assert "cost unknown" in str(prof) and "price" not in str(prof)
    assert "1 call without a known cost: not all of its tokens are known." in str(prof)
    with tokprof.profile("In[2]") as prof:
        call(clock, 1, input_tokens=1000)
        call(clock, 1, "home-made-7b", input_tokens=1000, output_tokens=1)
    assert (prof.totals.unpriced_calls, prof.totals.uncounted_calls) == (2, 1)
    assert "1 call without a known price." in str(prof)
