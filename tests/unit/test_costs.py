"""The cost table: what its widget takes, and that the browser's sums are those of Python.

``tests/fixtures/costs.json`` holds a block and what `Profile.by` says of it; ``js/src/table/sums.test.ts`` reads it
and must come to the same. ``UPDATE_FIXTURES=1`` writes it anew.
"""

from __future__ import annotations

import base64
import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import tokprof
from tokprof import prices
from tokprof.analysis.books import FIGURES, books
from tokprof.analysis.rollup import grouped
from tokprof.analysis.tree import build
from tokprof.span import Frame, Usage
from tokprof.views.border import describe, pack

from .scenes import agent, call

FIXTURE = Path(__file__).parents[1] / "fixtures" / "costs.json"
KEYS = {
    "model": ["model"],
    "provider": ["provider"],
    "kind": ["kind"],
    "function": ["function"],
    "cell:line": ["cell", "file", "line"],
    "tag:user": ["tag:user"],
}


@pytest.fixture(autouse=True)
def own_prices() -> Iterator[None]:
    """No list of prices that changes with its package."""
    prices.clear()
    prices.add("gpt-one", input=2, output=8, cache_read=0.5)
    prices.add("claude-one", input=3, output=15, cache_read=0.3, cache_write=3.75)
    prices.add("embed-one", input=0.02)
    yield
    prices.clear()


def scene(clock: Any, frames: Callable[..., None]) -> tokprof.Profile:
    """Two agents, tools, tags inside tags, a retry, and every way in which a figure may not be known."""
    frames()

    def ask(model: str | None, seconds: float, kind: str = "llm", **more: Any) -> None:
        figures = {name: more.pop(name) for name in list(more) if name.endswith("_tokens") or name == "cost"}
        operation = {"embedding": "embeddings", "reranker": "rerank"}.get(kind, "chat")
        tags = more.pop("tags", {})
        with tokprof.span(f"chat {model}", kind=kind, **tags) as step:  # type: ignore[arg-type]
            provider = None if model is None else model.partition("-")[0]
            step.record(model=model, provider=provider, operation=operation, **figures)
            clock.advance(seconds)
        for name, value in more.items():
            setattr(step.span, name, value)

    with tokprof.profile("In[3]", team="a") as prof:
        frames("In[3]:2 <module>", "In[2]:5 plan")
        ask("gpt-one", 1.5, input_tokens=1000, output_tokens=100, cache_read_tokens=400)
        ask("gpt-one", 0.2, status="error", http_status=429, error="slow down")
        ask("gpt-one", 2.5, input_tokens=900, output_tokens=80, reasoning_tokens=30, attempt=2)
        frames("In[3]:3 <module>")
        with tokprof.span("researcher", kind="agent", user="u1"):
            for i in range(5):
                frames("In[3]:3 <module>", "/home/me/agent.py:12 act", "/home/me/tools.py:7 make.<locals>.search")
                with tokprof.span("search", kind="tool"):
                    ask("embed-one", 0.25 + i / 10, "embedding", input_tokens=500 * i + 7)
                    ask(
                        "claude-one", 1 + i**2, input_tokens=2000 + i, output_tokens=90, cache_read_tokens=512 * (i % 2)
                    )
            frames("In[3]:3 <module>", "/home/me/agent.py:20 act")
            ask("mystery", 62, tags={"user": "u2"})
            ask("mystery", 6, input_tokens=50, output_tokens=5, tags={"user": "u2"})
            with tokprof.span("writer", kind="agent"):
                ask("claude-one", 3, input_tokens=700, output_tokens=300, cache_write_tokens=650, source="estimated")
                ask("gpt-one", 3, input_tokens=40, output_tokens=7, source="partial")
                ask("router-x", 2, input_tokens=10, output_tokens=10, cost=0.0125)
        frames("In[3]:4 <module>")
        with tokprof.span("sum", kind="chain") as step:  # a framework sums up what the call below it told, and more
            step.record(model="gpt-one", provider="gpt", input_tokens=300, output_tokens=30)
            ask("gpt-one", 1, input_tokens=200, output_tokens=20)
        with tokprof.span("same", kind="llm") as step:  # and here no more: it is no call
            step.record(model="gpt-one", provider="gpt", input_tokens=60, output_tokens=6)
            ask("gpt-one", 1, input_tokens=60, output_tokens=6)
        hit: dict[str, Any] = {"cost": 0.0, "cost_source": "cached", "source": "cached"}
        spent = {"input_tokens": 0, "output_tokens": 0}
        ask("gpt-one", 0.01, **spent, **hit, saved=Usage(1000, 100))
        ask("claude-one", 0.01, **spent, **hit, saved=Usage(input_tokens=300))  # nobody told all that it saved
        ask("embed-one", 0.01, "embedding", input_tokens=0, **hit, saved=Usage(input_tokens=500))
        ask("ranker", 0.5, "reranker")
        ask(None, 0.1, input_tokens=3, output_tokens=1)
        ask("gpt-one", 0.1, status="cancelled", source="missing")
        frames("In[3]:3 <module>")
    return prof


def label(key: str, value: Any) -> str:
    """A group by the name that the block has for it; "" for none."""
    if key == "cell:line":
        cell, file, line = value
        return "" if pd.isna(line) else Frame("", str(file), int(line), None if pd.isna(cell) else int(cell)).where
    return "" if value is None or value != value else str(value)


def plain(value: Any) -> Any:
    return None if value is pd.NA or (isinstance(value, float) and math.isnan(value)) else float(value)


def expected(prof: tokprof.Profile) -> dict[str, Any]:
    groups: dict[str, Any] = {}
    seconds = prof.calls.assign(model=prof.calls.model.fillna(prof.calls.request_model))
    seconds["tag:user"] = [tags.get("user") for tags in seconds.tags]
    for key, columns in KEYS.items():
        found = grouped(prof.table, columns)
        times = seconds.groupby(columns, dropna=False)["duration_s"].quantile([0.5, 0.95, 0.99]).unstack()
        times = {label(key, at): row.tolist() for at, row in times.iterrows()}
        groups[key] = {
            label(key, at): {
                **{name: plain(value) for name, value in row.items()},
                "bounds": {figure: found.evidence.bound(place, i) for i, figure in enumerate(FIGURES)},
                "quantiles": times.get(label(key, at)),
            }
            for place, (at, row) in enumerate(found.frame.iterrows())
        }
    for kind in ("agent", "tool"):
        groups[kind] = by_step(prof, kind)
    parts = ("cost_input", "cost_output", "cost_cache_read", "cost_cache_write")
    return {"groups": groups, "totals": prof.totals.to_dict(), "parts": {name: prof.df[name].sum() for name in parts}}


def by_step(prof: tokprof.Profile, kind: str) -> dict[str, Any]:
    table = prof.table
    known, found = books(table), {}
    for row in known.counted().tolist():
        up = int(table.parents[row])
        while up >= 0 and table.spans[up].kind != kind:
            up = int(table.parents[up])
        one = found.setdefault(table.spans[up].name if up >= 0 else "", {"calls": 0, "total_tokens": 0})
        one["calls"] += int(known.counts[row, 0])
        one["total_tokens"] += float(known.used[row, :3].sum())
    return found


def test_the_browsers_fixture_is_what_python_says(clock: Any, frames: Callable[..., None]) -> None:
    prof = scene(clock, frames)
    table = prof.table
    block = pack(table, build(table), describe(prof.title, prof.totals))
    made = {"block": base64.b64encode(block).decode(), **expected(prof)}
    text = json.dumps(made, indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_FIXTURES"):
        FIXTURE.parent.mkdir(exist_ok=True)
        FIXTURE.write_text(text, encoding="utf-8")
    assert json.loads(text) == json.loads(FIXTURE.read_text(encoding="utf-8")), "run it with UPDATE_FIXTURES=1"


def test_groups_add_up_to_the_totals(clock: Any, frames: Callable[..., None]) -> None:
    prof = scene(clock, frames)
    made = expected(prof)
    for key, groups in made["groups"].items():
        assert sum(group["calls"] for group in groups.values()) == prof.totals.calls, key
        assert sum(group["total_tokens"] or 0 for group in groups.values()) == prof.totals.total_tokens, key


def test_the_widget_takes_one_key_or_two(clock: Any, frames: Callable[..., None]) -> None:
    prof = agent(clock, frames)
    assert prof.costs().by == ["model"]
    assert prof.costs("tag:user").by == ["tag:user"]
    assert prof.costs(["agent", "model"]).by == ["agent", "model"]
    for by, message in (("cost", "nothing to group by"), ("tag:", "nothing to group by"), ([], "not 0")):
        with pytest.raises(ValueError, match=message):
            prof.costs(by)
    with pytest.raises(ValueError, match="not 3"):
        prof.costs(["agent", "model", "tool"])


def test_a_selection_is_the_flamegraphs_too(clock: Any, frames: Callable[..., None]) -> None:
    prof = agent(clock, frames)
    table, flame = prof.costs(), prof.flamegraph()
    table.select([3, 4])
    assert flame.selection["function"].tolist() == ["search", "search"] == table.selection["function"].tolist()
    assert prof.selected.index.tolist() == [3, 4]


def test_a_bounded_block_still_adds_up(clock: Any, frames: Callable[..., None]) -> None:
    from tokprof.views.prune import prune

    from .test_border import decode

    frames()
    with tokprof.profile() as prof:
        for i in range(300):
            frames(f"a.py:{i} f{i % 5}")
            with tokprof.span(f"step {i % 40}"):
                call(clock, 0.5, model="gpt-one", input_tokens=i, output_tokens=1)
    for tree in (prof.call_tree, prune(prof.call_tree, 50)):
        _, columns = decode(pack(prof.table, tree, {}))
        assert columns["count"].sum() == 300
        assert columns["input"].sum() == prof.totals.input_tokens
        parts = sum(columns[f"cost_{name}"].sum() for name in ("input", "output"))
        assert parts == pytest.approx(prof.totals.cost) or tree is not prof.call_tree
