"""The binary block that the browser reads: decoded here by its description, it says what the tree says."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tokprof
from tokprof.analysis.books import METRICS
from tokprof.views.border import describe, pack
from tokprof.views.prune import prune
from tokprof.views.widget import SNAPSHOT_NODES

from .scenes import agent, call, retrieval


def decode(block: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    assert block[:4] == b"TPB1"
    (length,) = struct.unpack("<I", block[4:8])
    header = json.loads(block[8 : 8 + length])
    data = 8 + length
    assert data % 8 == 0
    columns = {}
    for name, column in header["columns"].items():
        assert column["offset"] % 8 == 0
        columns[name] = np.frombuffer(block, f"<{column['dtype']}", column["length"], data + column["offset"])
    return header, columns


def test_the_block_says_what_the_tree_says(clock: Any, frames: Callable[..., None]) -> None:
    prof = agent(clock, frames)
    tree, table = prof.call_tree, prof.table
    header, columns = decode(pack(table, tree, {"title": "x"}))
    strings = header["strings"]
    assert (header["version"], header["nodes"], header["meta"]) == (1, len(tree), {"title": "x"})
    assert columns["parent"].tolist() == tree.parent
    assert [strings[i] for i in columns["name"]] == tree.name
    assert [strings[i] if i >= 0 else "" for i in columns["where"]] == tree.where
    assert [header["kinds"][i] for i in columns["kind"]] == tree.kind
    assert columns["start"].tolist() == tree.start.tolist()
    assert columns["duration"].tolist() == pytest.approx((tree.end - tree.start).tolist())
    for name in ("input", "output", "cache_read"):
        assert columns[name].tolist() == tree.own[:, METRICS.index(name)].tolist()
    assert columns["input"].sum() == prof.totals.input_tokens
    assert np.nansum(columns["cost"]) == pytest.approx(prof.totals.cost)
    missing = tree.name.index("chat mystery")
    assert np.isnan(columns["cost"][missing])
    sources = [header["sources"][i] if i != 255 else None for i in columns["source"]]
    assert sources[missing] == "missing" and sources[0] is None
    assert sources.count("reported") == 3
    rows = columns["row"].tolist()
    assert [table.spans[row].name for row in rows if row >= 0] == [
        n for n, r in zip(tree.name, rows, strict=True) if r >= 0
    ]
    assert len(strings) == len(set(strings))


def test_columns_with_nothing_to_say_are_left_out(clock: Any, frames: Callable[..., None]) -> None:
    prof = agent(clock, frames)
    _, columns = decode(pack(prof.table, prof.call_tree, {}))
    for name in ("embedding", "cache_write", "reasoning", "ttft", "stream", "http_status", "error", "attempt"):
        assert name not in columns
    assert "parent" in columns and "status" not in columns


def test_embeddings_have_a_column_of_their_own(clock: Any, frames: Callable[..., None]) -> None:
    prof = retrieval(clock, frames)
    header, columns = decode(pack(prof.table, prof.call_tree, describe("x", prof.totals)))
    assert columns["input"].sum() == 1000 and columns["embedding"].sum() == 5000
    assert columns["embedding"].tolist() == prof.call_tree.own[:, METRICS.index("embedding")].tolist()
    assert header["meta"]["summary"][0] == "≥ 6,100 tokens (5,000 embedding)"


@pytest.mark.parametrize("name", ["", "a\x00b", "</script>", "x" * 1_000_000, "half \ud800 pair", "😀"])
def test_any_name_makes_a_block(name: str, clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile(name) as prof:
        call(clock, 1, name=name, input_tokens=1, output_tokens=1)
    header, _ = decode(prof.flamegraph()._block)
    assert header["nodes"] == 2
    assert max(len(text) for text in header["strings"]) <= 500


def test_pruning_keeps_the_totals(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as prof:
        for i in range(300):
            frames(f"a.py:{i} f{i % 5}")
            with tokprof.span(f"step {i % 40}"):
                call(clock, 0.5, input_tokens=i, output_tokens=1)
    tree = prof.call_tree
    small = prune(tree, 50)
    assert 50 <= len(small) < 250 < len(tree)
    assert small.total[0] == pytest.approx(tree.total[0])
    assert small.own.sum(axis=0) == pytest.approx(tree.own.sum(axis=0))
    assert small.calls[0] == tree.calls[0] == 300
    assert small.evidence.told[0].tolist() == tree.evidence.told[0].tolist()
    assert small.own_evidence.told.sum(axis=0).tolist() == tree.own_evidence.told.sum(axis=0).tolist()
    named = [(prof.table.spans[rows[0]].name, name) for rows, name in zip(small.rows, small.name, strict=True) if rows]
    assert len(named) > 30 and all(one == other for one, other in named)
    for node in range(1, len(small)):
        assert small.parent[node] < node
    for node in range(len(small)):
        below = [kid for kid in range(len(small)) if small.parent[kid] == node]
        assert small.total[node] == pytest.approx(small.own[node] + small.total[below].sum(axis=0))
    assert prune(tree, len(tree)) is tree


def test_the_state_of_a_widget_is_bounded(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as prof:
        for i in range(SNAPSHOT_NODES + 500):
            call(clock, 0.001, input_tokens=i + 1, output_tokens=0)
    widget = prof.flamegraph()
    header, columns = decode(widget._block)
    assert header["nodes"] <= SNAPSHOT_NODES + 2
    assert header["meta"]["truncated"]
    assert columns["input"].sum() == prof.totals.input_tokens


def test_a_node_that_is_chosen_is_rows_of_the_table(clock: Any, frames: Callable[..., None]) -> None:
    prof = agent(clock, frames)
    widget = prof.flamegraph()
    assert widget.selection.empty and widget.selected is None
    widget.select(prof.call_tree.name.index("agent"))
    assert widget.selected == "agent"
    assert widget.selection["name"].tolist() == ["agent", "chat gpt-4o-mini", "chat gpt-4o-mini", "chat mystery"]
    widget.select(None)
    assert widget.selection.empty
    with pytest.raises(ValueError, match="is no metric"):
        prof.flamegraph("words")
