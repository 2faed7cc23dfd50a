"""The critical path, the slack of what is beside it, and the levels: by hand, and by brute force on random graphs."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tokprof
from tokprof.analysis.books import SPENT, books
from tokprof.analysis.critical import critical_path, heaviest, slack
from tokprof.analysis.levels import levels
from tokprof.analysis.tree import Tree, build
from tokprof.span import Span, Usage
from tokprof.table import Table

from .scenes import agent, call

SECOND = 1_000_000_000
Steps = list[tuple[int, float, float]]


def table(end: float, *steps: tuple[int, float, float], tokens: list[int] | None = None) -> Table:
    """A root, and steps of (parent, start, end); each a call with tokens, if told."""
    spans = [Span(1, None, "cell", "cell", 0, 0, closed=round(end * SECOND), status="ok")]
    for at, (up, start, stop) in enumerate(steps):
        opened, closed = round(start * SECOND), round(stop * SECOND)
        span = Span(at + 2, spans[up], f"s{at + 1}", "task", opened, opened, closed=closed, status="ok")
        if tokens:
            span.usage, span.source, span.model = Usage(tokens[at], 0), "reported", "gpt-4o-mini"
        spans.append(span)
    return Table.of(spans, round(end * SECOND))


def by_name(tree: Tree, values: Any) -> dict[str, Any]:
    return dict(zip(tree.name, values, strict=True))


# --- by hand: the same cases as in js/src/critical.test.ts ----------------------------------------

CASES: list[tuple[float, Steps, list[tuple[str, float, float]]]] = [
    (
        10,
        [(0, 1, 4), (0, 5, 9)],
        [("cell", 0, 1), ("s1", 1, 4), ("cell", 4, 5), ("s2", 5, 9), ("cell", 9, 10)],
    ),
    (8, [(0, 0, 3), (0, 0, 8), (0, 0, 5)], [("s2", 0, 8)]),
    (10, [(0, 0, 4), (0, 0, 6), (0, 5, 10)], [("s1", 0, 4), ("cell", 4, 5), ("s3", 5, 10)]),
    (10, [(0, 0, 10), (1, 1, 3), (1, 2, 9)], [("s1", 0, 2), ("s3", 2, 9), ("s1", 9, 10)]),
    (5, [(0, 1, 9)], [("cell", 0, 1), ("s1", 1, 5)]),
    # steps that go on after the one that began them: in the background, two steps further in, beyond the profile, and
    # one that only began when that one had ended
    (10, [(0, 0, 4), (1, 1, 9)], [("s1", 0, 1), ("s2", 1, 9), ("cell", 9, 10)]),
    (
        10,
        [(0, 0, 8), (1, 1, 4), (2, 2, 7)],
        [("s1", 0, 1), ("s2", 1, 2), ("s3", 2, 7), ("s1", 7, 8), ("cell", 8, 10)],
    ),
    (5, [(0, 1, 4), (1, 2, 9)], [("cell", 0, 1), ("s1", 1, 4), ("cell", 4, 5)]),
    (10, [(0, 0, 3), (1, 5, 9)], [("s1", 0, 3), ("cell", 3, 5), ("s2", 5, 9), ("cell", 9, 10)]),
]


@pytest.mark.parametrize(("end", "steps", "path"), CASES)
def test_the_path_of_the_browser(end: float, steps: Steps, path: list[tuple[str, float, float]]) -> None:
    tree = build(table(end, *steps))
    assert [(tree.name[one.node], one.start, one.end) for one in critical_path(tree)] == path


def test_slack_of_a_fan_out_by_hand() -> None:
    # s1 and s2 side by side; s3 waits for both; s4 goes on beside all of them, and so does what s1 began
    tree = build(table(12, (0, 0, 4), (0, 0, 6), (0, 7, 11), (0, 1, 10), (1, 1, 9)))
    left = by_name(tree, slack(tree))
    assert left == {"cell": 0, "s1": 2, "s2": 0, "s3": 0, "s4": 1, "s5": 2}


def test_slack_of_a_task_in_the_background_by_hand() -> None:
    # s1 begins s2, which ends last, and s3, which goes on after the profile: nobody waits for that one
    tree = build(table(10, (0, 0, 4), (1, 1, 9), (1, 2, 12), (0, 5, 8)))
    left = by_name(tree, slack(tree))
    assert left == {"cell": 0, "s1": 0, "s2": 0, "s3": float("inf"), "s4": 1}


def test_thousands_of_steps_inside_each_other_and_none_at_all() -> None:
    deep = build(table(1, *((at, 0.0, 1.0) for at in range(5000))))
    assert len(critical_path(deep)) == 1
    assert not slack(deep).any()
    assert len(heaviest(deep, "tokens")) == 5001
    none = build(Table.of((), 0))
    assert critical_path(none) == [] and slack(none).size == 0 and heaviest(none, "cost") == []


# --- against brute force ------------------------------------------------------------------------


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, Steps]:
    """Random steps on whole seconds: beside each other, in sequence, of no length, and longer than what began them."""
    whole = draw(st.integers(4, 40))
    steps: Steps = []
    extents = [(0, whole)]
    for _ in range(draw(st.integers(0, 12))):
        up = draw(st.integers(0, len(steps)))
        begin, stop = extents[up]
        start = draw(st.integers(begin, max(begin, stop - 1)))
        end = draw(st.integers(start, max(start, stop)))
        if up and draw(st.integers(0, 3)) == 0:
            later = draw(st.sampled_from([0, 0, 0, stop - start + 2]))  # some begin when what began them has ended
            start, end = start + later, end + later + draw(st.integers(0, 12))
        extents.append((start, end))
        steps.append((up, start, end))
    return whole, steps


def replay(tree: Tree, longer: int | None = None, seconds: float = 0.0) -> float:
    """When the profile ends if a node takes longer, at its start: everything forward in time, by the definition."""
    nodes = range(len(tree))
    start, end = tree.start, np.minimum(tree.end, np.where(np.array(tree.parent) == 0, tree.end[0], np.inf))
    above: list[list[int]] = []
    for up in tree.parent:
        above.append([up, *above[up]] if up >= 0 else [])
    ended = [next((up for up in above[node] if end[up] >= end[node]), None) for node in nodes]
    began = [next((up for up in above[node] if end[up] > start[node] or up == ended[node]), None) for node in nodes]

    @cache
    def begins(node: int) -> float:
        begun = began[node]
        shift = seconds if node == longer else 0.0
        if begun is None:
            return shift
        before = [
            other
            for other in nodes
            if ended[other] == begun and start[other] < start[node] and end[other] <= start[node]
        ]
        was = max([start[begun], *(end[other] for other in before)])
        now = max([begins(begun), *(ends(other) for other in before)])
        return float(now + start[node] - was + shift)

    @cache
    def ends(node: int) -> float:
        inside = [
            other for other in nodes if ended[other] == node and start[other] < end[node] and start[node] < end[other]
        ]
        was = max([start[node], *(end[other] for other in inside)])
        now = max([begins(node), *(ends(other) for other in inside)])
        return float(now + end[node] - was)

    return ends(0)


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_slack_is_how_much_longer_a_step_could_take(graph: tuple[int, Steps]) -> None:
    whole, steps = graph
    tree = build(table(whole, *steps))
    left = slack(tree)
    assert replay(tree) == whole
    for node in range(len(tree)):
        if tree.end[node] <= tree.start[node]:
            continue
        if np.isinf(left[node]):
            assert replay(tree, node, 100) == whole
        else:
            assert replay(tree, node, left[node]) == pytest.approx(whole)
            assert replay(tree, node, left[node] + 0.5) == pytest.approx(whole + 0.5)


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_the_path_is_what_would_end_the_profile_sooner_and_nothing_else(graph: tuple[int, Steps]) -> None:
    whole, steps = graph
    tree = build(table(whole, *steps))
    stretches = critical_path(tree)
    reached = 0.0
    for one in stretches:
        assert one.start == pytest.approx(reached)
        reached = one.end
    assert reached == pytest.approx(whole)
    left = slack(tree)
    on = {one.node for one in stretches}
    assert all(left[node] == pytest.approx(0) for node in on)
    for node in range(len(tree)):
        leaf = node not in tree.parent and tree.end[node] - tree.start[node] >= 1
        if leaf and tree.end[node] <= whole and replay(tree, node, -0.5) < whole - 1e-9:
            assert node in on


def chains(tree: Tree, node: int, weight: list[float]) -> float:
    """Heaviest of all chains, by trying each set of steps."""
    inner = [child for child, up in enumerate(tree.parent) if up == node]
    best = 0.0
    each = {child: chains(tree, child, weight) for child in inner}
    for size in range(len(inner) + 1):
        for some in itertools.combinations(inner, size):
            apart = all(
                tree.end[a] <= tree.start[b] or tree.end[b] <= tree.start[a] for a, b in itertools.combinations(some, 2)
            )
            if apart:
                best = max(best, sum(each[child] for child in some))
    return weight[node] + best


@settings(max_examples=80, deadline=None)
@given(graphs(), st.data())
def test_the_heaviest_chain_is_the_best_of_all(graph: tuple[int, Steps], data: st.DataObject) -> None:
    whole, steps = graph
    tokens = [data.draw(st.integers(0, 9)) for _ in steps]
    tree = build(table(whole, *steps, tokens=tokens or None))
    weight = tree.own[:, SPENT].sum(axis=1).tolist()
    found = heaviest(tree, "tokens")
    assert sum(weight[node] for node in found) == pytest.approx(chains(tree, 0, weight))
    for a, b in itertools.combinations([node for node in found if weight[node]], 2):
        around = set()
        up = b
        while up >= 0:
            around.add(up)
            up = tree.parent[up]
        assert a in around or tree.end[a] <= tree.start[b] or tree.end[b] <= tree.start[a] or _inside(tree, a, b)


def _inside(tree: Tree, a: int, b: int) -> bool:
    """Whether steps of different branches are kept apart by what is around them: one may outlive its step."""
    above = []
    for node in (a, b):
        line = []
        while node >= 0:
            line.append(node)
            node = tree.parent[node]
        above.append(line[::-1])
    place = next(at for at, (x, y) in enumerate(zip(*above, strict=False)) if x != y)
    x, y = above[0][place], above[1][place]
    return bool(tree.end[x] <= tree.start[y] or tree.end[y] <= tree.start[x])


@settings(max_examples=100, deadline=None)
@given(graphs())
def test_levels_count_what_runs_in_every_second(graph: tuple[int, Steps]) -> None:
    whole, steps = graph
    made = table(whole, *steps, tokens=[1] * len(steps) or None)
    found = levels(made)
    depths = made.depths()
    spans = [(span.opened // SECOND, (span.closed or 0) // SECOND) for span in made.spans]
    seconds = range(max(end for _, end in spans) + 1)
    for depth, row in found.iterrows():
        mine = [times for times, each in zip(spans, depths.tolist(), strict=True) if each == depth]
        running = [sum(begin <= second < end for begin, end in mine) for second in seconds]
        assert row.spans == len(mine)
        assert row.peak == max(running)
        assert row.busy_s == pytest.approx(sum(count > 0 for count in running))
        assert row.duration_s == pytest.approx(sum(running))
    kept = books(made)  # a step that sums up what is below it is no call
    calls = [times for times, counts in zip(spans, kept.call.tolist(), strict=True) if counts]
    running = [sum(begin <= second < end for begin, end in calls) for second in seconds]
    assert found.attrs["peak_calls"] == max(running)
    assert found.calls.sum() == len(calls)
    assert found.tokens.sum() == kept.used[:, SPENT].sum()


# --- of a profile --------------------------------------------------------------------------------


def test_the_path_of_a_profile_names_calls_gaps_and_waits(clock: Any, frames: Callable[..., None]) -> None:
    prof = agent(clock, frames)
    found = prof.critical_path()
    assert found.seconds.sum() == pytest.approx(prof.totals.seconds)
    assert found.attrs["tokens"] == prof.totals.total_tokens
    first = found.iloc[0]
    assert (first["name"], first.what, first.seconds, first.tokens) == ("chat gpt-4o-mini", "call", 1.5, 1100)
    gap = found[found.what == "gap"].iloc[0]
    assert (gap.kind, gap.seconds, gap.note) == ("profile", 0.5, "between In[3]:2 and In[3]:3")
    assert found.share.sum() == pytest.approx(1)
    mystery = found[found["name"] == "chat mystery"].iloc[0]
    assert mystery.cost != mystery.cost and str(mystery.tokens) == "<NA>"  # not known is not nothing
    heavy = prof.critical_path("tokens")
    assert heavy.tokens.tolist() == [1100, 200_000, 200_000]
    assert prof.critical_path("cost").attrs["cost"] == pytest.approx(prof.totals.cost)
    with pytest.raises(ValueError, match="'tokns' is no metric of the critical path; known: time, tokens, cost"):
        prof.critical_path("tokns")


def test_the_pause_before_a_retry_is_a_wait(clock: Any) -> None:
    with tokprof.profile("In[1]") as prof:
        with pytest.raises(ValueError), tokprof.span("chat", kind="llm") as failed:
            clock.advance(1)
            failed.record(model="gpt-4o-mini")
            raise ValueError
        clock.advance(4)
        with tokprof.span("chat", kind="llm") as again:
            clock.advance(2)
            again.record(model="gpt-4o-mini", input_tokens=10, output_tokens=1)
            assert again.span is not None
            again.span.attempt = 2
    found = prof.critical_path()
    assert found[["what", "seconds", "note"]].values.tolist() == [
        ["call", 1, ""],
        ["wait", 4, "before attempt 2 of chat"],
        ["call", 2, ""],
    ]


def test_slack_and_levels_of_a_profile(clock: Any, frames: Callable[..., None]) -> None:
    prof = agent(clock, frames)
    left = prof.slack()
    assert left.slack_s.tolist() == [0] * len(prof.df)
    assert left.critical.all()
    assert set(left.span_id) == set(prof.df.span_id)
    found = prof.levels()
    assert found.calls.tolist() == [0, 1, 3]
    assert found.tokens.tolist() == [0, 1100, 400_000]
    assert found.tokens.sum() == prof.totals.total_tokens
    assert (found.attrs["peak_calls"], found.attrs["mean_calls"]) == (1, pytest.approx(1))


def test_a_profile_without_calls_has_a_path_of_its_own_time(clock: Any) -> None:
    with tokprof.profile("quiet") as prof:
        clock.advance(3)
    assert prof.critical_path()[["name", "what", "seconds"]].values.tolist() == [["quiet", "step", 3]]
    assert prof.critical_path("tokens").empty
    with tokprof.profile("one") as prof:
        call(clock, 1, input_tokens=5, output_tokens=1)
    assert prof.levels().peak.tolist() == [1, 1]
