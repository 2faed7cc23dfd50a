"""The span table: its columns, what is null, and its sums by hand."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tokprof
from tokprof.table import SCHEMA

from .scenes import agent, call, retrieval

# section 5 of the design, in its order
COLUMNS = {
    "object": "span_id parent_id name kind status error provider operation model request_model host finish_reason "
    "service_tier usage_source tokenizer usage_raw cost_source function file stack thread task tags",
    "Int64": "depth http_status attempt input_tokens output_tokens total_tokens cache_read_tokens cache_write_tokens "
    "reasoning_tokens input_audio_tokens input_image_tokens output_audio_tokens output_image_tokens saved_tokens "
    "cell line",
    "float64": "duration_s ttft_s cost cost_input cost_output cost_cache_read cost_cache_write saved_cost",
    "boolean": "late stream",
    "datetime64[ns, UTC]": "start",
}
ORDER = (
    "span_id parent_id depth name kind status error start duration_s ttft_s late provider operation model "
    "request_model host http_status attempt stream finish_reason service_tier input_tokens output_tokens total_tokens "
    "cache_read_tokens cache_write_tokens reasoning_tokens input_audio_tokens input_image_tokens "
    "output_audio_tokens output_image_tokens usage_source tokenizer usage_raw cost cost_source cost_input "
    "cost_output cost_cache_read cost_cache_write saved_tokens saved_cost cell function file line "
    "stack thread task tags"
)


@pytest.fixture
def prof(clock: Any, frames: Callable[..., None]) -> tokprof.Profile:
    return agent(clock, frames)


def empty() -> tokprof.Profile:
    with tokprof.profile() as made:
        pass
    return made


def unopened() -> tokprof.Profile:
    return tokprof.profile()


@pytest.mark.parametrize("make", [empty, unopened, None], ids=["empty", "unopened", "full"])
def test_columns_and_dtypes(make: Callable[[], tokprof.Profile] | None, prof: tokprof.Profile) -> None:
    frame = (make() if make else prof).df
    assert " ".join(frame.columns) == ORDER
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
        name: dtype for dtype, names in COLUMNS.items() for name in names.split()
    }
    assert list(SCHEMA) == ORDER.split()
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == SCHEMA


def test_a_profile_without_calls() -> None:
    made = empty()
    assert len(made.df) == 1
    assert made.calls.empty
    assert made.by("model").empty
    assert (made.totals.calls, made.totals.total_tokens, made.totals.cost) == (0, 0, 0)
    assert made.tree().total_tokens.tolist() == [0]
    assert "no model calls" in str(made) and "no model calls" in made.snapshot()


def test_a_profile_that_was_never_opened_shows_too() -> None:
    made = unopened()
    assert made.df.empty and made.tree().empty
    assert "no model calls" in str(made) and "no model calls" in made.snapshot()
    assert made.flamegraph().selection.empty


def test_rows_by_hand(prof: tokprof.Profile) -> None:
    frame = prof.df
    assert frame["name"].tolist() == ["In[3]", "chat gpt-4o-mini", "agent", *["chat gpt-4o-mini"] * 2, "chat mystery"]
    assert frame.kind.tolist() == ["profile", "llm", "agent", "llm", "llm", "llm"]
    assert frame.depth.tolist() == [0, 1, 1, 2, 2, 2]
    assert frame.duration_s.tolist() == [64.5, 1.5, 62.5, 0.25, 0.25, 62.0]
    assert (frame.start - frame.start[0]).dt.total_seconds().tolist() == [0, 0, 2, 2, 2.25, 2.5]
    assert str(frame.start[0]) == "2026-01-01 00:00:00+00:00"
    assert frame.parent_id.isna().tolist() == [True, *[False] * 5]
    assert frame.parent_id.tolist()[3:] == [frame.span_id[2]] * 3
    assert frame.span_id.is_unique
    assert frame["cell"].tolist()[1:3] == [2, 3]
    assert frame["cell"][3:].isna().all()
    assert frame.function.tolist() == [None, "plan", "<module>", "search", "search", "act"]
    assert frame.file.tolist()[1:4] == ["In[2]", "In[3]", "tools.py"]
    assert frame.line.tolist()[1:] == [5, 3, 7, 7, 20]
    assert [str(f) for f in frame["stack"][3]] == ["<module> (In[3]:3)", "act (agent.py:12)", "search (tools.py:7)"]


def test_unknown_is_null_and_never_zero(prof: tokprof.Profile) -> None:
    first, told_nothing = prof.df.iloc[1], prof.df.iloc[5]
    assert (first.input_tokens, first.output_tokens, first.total_tokens, first.cache_read_tokens) == (
        1000,
        100,
        1100,
        400,
    )
    assert first.cache_write_tokens is pd.NA and first.reasoning_tokens is pd.NA
    assert first.input_audio_tokens is pd.NA and np.isnan(first.ttft_s)
    assert told_nothing.usage_source == told_nothing.cost_source == "missing"
    assert told_nothing.input_tokens is pd.NA and told_nothing.total_tokens is pd.NA and np.isnan(told_nothing.cost)
    steps = prof.df.iloc[[0, 2]]
    for name in ("usage_source", "cost_source", "model", "input_tokens", "cost", "attempt", "http_status", "stream"):
        assert steps[name].isna().all(), name
    assert not prof.df.late.any()


def test_totals_by_hand(prof: tokprof.Profile) -> None:
    totals = prof.totals
    assert (totals.calls, totals.errors, totals.retries) == (4, 0, 0)
    assert (totals.input_tokens, totals.output_tokens, totals.total_tokens) == (401_000, 100, 401_100)
    assert (totals.cache_read_tokens, totals.cache_write_tokens, totals.reasoning_tokens) == (400, 0, 0)
    # 600 fresh, 400 cached, 100 out; 400,000 in
    assert totals.cost == pytest.approx((600 * 0.15 + 400 * 0.075 + 100 * 0.6 + 400_000 * 0.15) / 1e6)
    assert (totals.seconds, totals.unpriced_calls, totals.unknown_calls, totals.exact) == (64.5, 1, 1, False)
    assert totals.provenance == {"reported": 3, "missing": 1}
    assert totals.to_dict()["calls"] == totals["calls"] == 4


def test_groups_by_hand(prof: tokprof.Profile) -> None:
    groups = prof.by("function")
    assert groups.index.tolist() == ["search", "plan", "act"]
    assert groups.calls.tolist() == [2, 1, 1]
    assert groups.total_tokens.tolist() == [400_000, 1100, pd.NA]
    assert groups.cache_read_tokens.tolist() == [pd.NA, 400, pd.NA]
    assert groups.cost.tolist() == pytest.approx([0.06, 0.00018, math.nan], nan_ok=True)
    assert groups.duration_s.tolist() == [0.5, 1.5, 62]
    assert groups.unknown_calls.tolist() == groups.unpriced_calls.tolist() == [0, 0, 1]


def test_embeddings_are_kept_apart(clock: Any, frames: Callable[..., None]) -> None:
    prof = retrieval(clock, frames)
    totals = prof.totals
    assert (totals.input_tokens, totals.output_tokens, totals.embedding_tokens) == (1000, 100, 5000)
    assert (totals.total_tokens, totals.cache_read_tokens, totals.unknown_calls) == (6100, 400, 1)
    groups = prof.by("kind")
    names = ["total_tokens", "input_tokens", "output_tokens", "embedding_tokens", "cache_read_tokens"]
    assert groups.index.tolist() == ["embedding", "llm", "reranker"]
    assert groups[names[0]].tolist() == [5000, 1100, pd.NA]
    assert groups[names[1]].tolist() == [0, 1000, 0]
    assert groups[names[2]].tolist() == [0, 100, 0]
    assert groups[names[3]].tolist() == [5000, 0, pd.NA]
    assert groups[names[4]].tolist() == [0, 400, 0]
    assert groups.columns.tolist()[:5] == ["calls", *names[:-1]]
    tree = prof.tree().set_index("name")
    names = ["total_tokens", "total_input", "total_output", "total_embedding", "self_embedding"]
    assert tree.loc["In[4]", names].tolist() == [6100, 1000, 100, 5000, 0]
    assert tree.loc["embeddings", names].tolist() == [5000, 0, 0, 5000, 5000]
    assert tree.loc["rerank", names].tolist() == [pd.NA, 0, 0, pd.NA, pd.NA]
    rows = prof.df.set_index("name")
    assert rows.loc["embeddings", ["input_tokens", "output_tokens", "total_tokens"]].tolist() == [5000, 0, 5000]
    assert rows.usage_source.tolist()[1:] == ["reported", "missing", "reported"]


def test_an_embedding_needs_no_output_to_be_known(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as prof, tokprof.span("rank", kind="reranker") as span:
        span.record(model="ranker", input_tokens=7)
    assert (prof.totals.embedding_tokens, prof.totals.total_tokens, prof.totals.unknown_calls) == (7, 7, 0)
    assert prof.by("kind").total_tokens.tolist() == prof.by("kind").embedding_tokens.tolist() == [7]


def test_groups_by_two_keys_and_with_nulls(prof: tokprof.Profile) -> None:
    groups = prof.by("cell", "line")
    assert groups.index.names == ["cell", "line"]
    assert groups.calls.sum() == 4
    assert groups.loc[(2, 5)].total_tokens == 1100


def test_groups_by_tag_take_the_tags_of_the_spans_around(prof: tokprof.Profile) -> None:
    groups = prof.by("tag:user")
    assert [key if isinstance(key, str) else None for key in groups.index] == ["u1", None]
    assert groups.total_tokens.tolist() == [400_000, 1100]
    assert prof.by("tag:team").index.tolist() == ["a"]


def test_a_wrong_key_names_those_there_are(prof: tokprof.Profile) -> None:
    with pytest.raises(
        ValueError,
        match=r"'modle' is no column to group by; known: agent, tool, span, .*span_id, .*model.*, tag:NAME",
    ):
        prof.by("modle")
    with pytest.raises(ValueError, match="at least one column"):
        prof.by()


def test_figures_are_no_groups(prof: tokprof.Profile) -> None:
    for name in ("total_tokens", "cost", "cost_input", "duration_s", "calls"):
        with pytest.raises(
            ValueError,
            match=f"'{name}' is a figure, not something to group by; known: agent, tool, span, .*span_id, ",
        ):
            prof.by(name)
    for wrong in ("tags", 3, None):
        with pytest.raises(ValueError, match="is no column to group by"):
            prof.by(wrong)  # type: ignore[arg-type]


def test_a_list_of_keys_is_as_good_as_keys(prof: tokprof.Profile) -> None:
    keys: Any
    for keys in (["cell", "line"], ("cell", "line")):
        pd.testing.assert_frame_equal(prof.by(keys), prof.by("cell", "line"))
    pd.testing.assert_frame_equal(prof.by("model", "model"), prof.by("model"))


def test_a_wrong_tag_names_those_there_are(prof: tokprof.Profile) -> None:
    with pytest.raises(ValueError, match="no call has a tag 'nope'; there are team, user"):
        prof.by("tag:nope")


def test_a_sum_is_null_only_where_nothing_was_told(prof: tokprof.Profile) -> None:
    groups, tree = prof.by("model"), prof.tree().set_index("name")
    assert groups.cache_read_tokens.tolist() == [400, pd.NA]
    assert groups.cost.tolist() == pytest.approx([0.06018, math.nan], nan_ok=True)
    assert {str(groups[name].dtype) for name in groups if "tokens" in name} == {"Int64"}
    assert tree.loc["chat mystery", "total_tokens"] is pd.NA and math.isnan(tree.loc["chat mystery", "total_cost"])
    assert tree.loc["agent", "total_cache_read"] is pd.NA and tree.loc["agent", "self_tokens"] == 0
    assert tree.unpriced_calls.tolist() == tree.unknown_calls.tolist()


def test_the_tree_by_hand(prof: tokprof.Profile) -> None:
    tree = prof.tree()
    assert list(zip(tree.depth, tree["name"], tree.calls, tree.total_tokens, tree.self_tokens, strict=True)) == [
        (0, "In[3]", 4, 401_100, 0),
        (1, "In[3]:2", 1, 1100, 0),
        (2, "plan", 1, 1100, 0),
        (3, "chat gpt-4o-mini", 1, 1100, 1100),
        (1, "In[3]:3", 3, 400_000, 0),
        (2, "agent", 3, 400_000, 0),
        (3, "act", 3, 400_000, 0),
        (4, "search", 2, 400_000, 0),
        (5, "chat gpt-4o-mini", 2, 400_000, 400_000),
        (4, "chat mystery", 1, pd.NA, pd.NA),
    ]
    assert tree.duration_s.tolist() == [64.5, 1.5, 1.5, 1.5, 62.5, 62.5, 62.5, 0.5, 0.5, 62]
    assert tree.unknown_calls.tolist() == [1, 0, 0, 0, 1, 1, 1, 0, 0, 1]
    assert tree.parent.tolist()[1:] == [0, 1, 2, 0, 4, 5, 6, 7, 6]


def test_a_profile_that_still_runs_is_up_to_date(clock: Any, frames: Callable[..., None]) -> None:
    with tokprof.profile() as running:
        assert running.totals.calls == 0
        call(clock, 1, input_tokens=3, output_tokens=4)
        assert (running.totals.calls, running.totals.total_tokens) == (1, 7)
        assert running.df.status.tolist() == ["open", "ok"]
        clock.advance(2)
        assert running.df.duration_s.tolist() == [3, 1]
    assert running.df.status.tolist() == ["ok", "ok"]


def test_df_is_a_copy(prof: tokprof.Profile) -> None:
    frame = prof.df
    frame["input_tokens"] = 0
    frame.loc[0, "name"] = "mine"
    frame["cost"] *= 0
    frame.loc[:, "duration_s"] = -1.0
    assert prof.totals.input_tokens == 401_000
    assert prof.df["name"][0] == "In[3]"
    assert prof.df["cost"].sum() == prof.totals.cost > 0
    assert prof.df.duration_s.min() >= 0


def test_some_columns_are_as_in_all(prof: tokprof.Profile) -> None:
    names = ["total_tokens", "function", "parent_id", "cost_source", "tags"]
    pd.testing.assert_frame_equal(prof.table.frame(names), prof.df[names])
    for name in SCHEMA:
        pd.testing.assert_series_equal(prof.table.frame([name])[name], prof.df[name])


def test_spans_within_spans_within_spans(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as deep, contextlib.ExitStack() as stack:
        for i in range(100):
            stack.enter_context(tokprof.span(f"step {i}"))
            with tokprof.span("beside"):
                clock.advance(1)
    frame = deep.df
    parents = dict(zip(frame.span_id, frame.parent_id, strict=True))
    depth = {None: -1}
    for span_id, parent in parents.items():
        depth[span_id] = depth[parent] + 1
    assert frame.depth.tolist() == [depth[span_id] for span_id in parents]
    assert frame.depth.max() == 101


def test_figures_are_exact_whatever_their_size(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as prof:
        call(clock, 1, input_tokens=2**53 + 1, output_tokens=2**53 + 1)
        call(clock, 1, input_tokens=1)
    assert prof.df.input_tokens.tolist()[1:] == [2**53 + 1, 1]
    assert prof.df.total_tokens.tolist() == [pd.NA, 2**54 + 2, pd.NA]


def test_a_big_profile_keeps_its_books(clock: Any, frames: Callable[..., None]) -> None:
    with tokprof.profile() as big:
        for i in range(3000):
            frames(f"In[1]:{i % 7 + 1} <module>", f"a.py:{i % 3} f{i % 3}")
            call(clock, 0.001, input_tokens=i, output_tokens=1)
    assert big.tree().self_tokens.sum() == big.by("line").total_tokens.sum() == sum(range(3000)) + 3000
    assert math.isclose(big.totals.seconds, 3.0)


def test_groups_by_where_calls_stand(clock: Any, frames: Callable[..., None]) -> None:
    frames("In[2]:5 plan", "In[2]:9 ask")
    with tokprof.profile() as made:
        with (
            tokprof.span("outer", kind="agent"),
            tokprof.span("inner", kind="agent"),
            tokprof.span("find", kind="tool"),
        ):
            call(clock, 1, input_tokens=10, output_tokens=0)
        call(clock, 1, input_tokens=3, output_tokens=0)
    by_agent = made.by("agent")
    assert by_agent.index[0] == "inner"
    assert by_agent.input_tokens.tolist() == [10, 3]
    assert made.by("tool").index[0] == "find"
    assert made.by("cell:line").index.tolist() == ["In[2]:9"]
