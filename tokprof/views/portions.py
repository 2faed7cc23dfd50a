"""What the flamegraph shows below a call: the parts of its prompt, those that belong together as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tokprof.analysis.books import INPUT
from tokprof.analysis.segments import PARTS, Segment, readable, take_apart
from tokprof.analysis.tree import Tree
from tokprof.table import Table

NAMES = (*PARTS, "smaller parts")
"""What `portion_part` points into."""

_MOST = 12  # parts of a call
_A_NODE = 4  # parts for each node of the tree, over all calls
_LEAST = 4000  # parts that any block may hold
_CHARACTERS = 60_000_000  # of prompts that are read unasked: some four seconds
_NAMED = ("tools", "tool result")


def portions(table: Table, tree: Tree, rows: list[int], index: Callable[[str], int]) -> dict[str, tuple[str, Any, Any]]:
    """Columns of the parts of prompts, in the order of their calls: empty where no prompt was kept.

    Of very many, those of the heaviest calls; none while the profile is still recorded, and none where prompts are so
    long that nobody wants to wait for them, unless `Profile.segments` has read them already.

    Parameters
    ----------
    table : Table
    tree : Tree
    rows : list of int
        Row of each node; -1 for none.
    index : callable
        Gives a string its number.
    """
    if not len(table) or table.spans[0].closed is None or not readable(table, _CHARACTERS):
        return {}
    calls = take_apart(table).calls
    found: dict[int, list[Segment]] = {}
    for node, row in enumerate(rows):
        made = _together(calls.get(row, []))
        if made and sum(each.tokens or 0 for each in made) == tree.own[node, INPUT]:
            found[node] = made
    most = max(_LEAST, _A_NODE * len(tree))
    kept: list[int] = []
    for node in sorted(found, key=lambda node: -tree.own[node, INPUT]):
        most -= len(found[node])
        if most < 0:
            break
        kept.append(node)
    flat = [(node, each) for node in sorted(kept) for each in found[node]]
    if not flat:
        return {}
    parts = [each for _, each in flat]
    return {
        "segment_node": ("i4", [node for node, _ in flat], None),
        "segment_part": ("u1", [NAMES.index(each.part) for each in parts], None),
        "segment_label": ("i4", [index(each.label) for each in parts], None),
        "segment_tokens": ("i4", [each.tokens for each in parts], None),
        "segment_new": ("i4", [each.new for each in parts], None),
        "segment_cached": ("i4", [each.cached for each in parts], None),
        "segment_cost": ("f8", np.array([each.cost for each in parts]), None),
    }


def _together(segments: list[Segment]) -> list[Segment]:
    """Parts of a call as it shows them: turns of the history as one, tools and results by their names."""
    made: dict[tuple[str, str], Segment] = {}
    for each in segments:
        if not each.tokens:
            continue
        named = each.part in _NAMED and not each.label.endswith("]")
        key = each.part, each.label if named else ""
        into = made.get(key)
        if into is None:
            into = made[key] = Segment(*key, tokens=0, replayed=0, cached=0, cost=0.0)
        _add(into, each)
    found = list(made.values())
    if len(found) <= _MOST:
        return found
    heavy = sorted(found, key=lambda each: -(each.tokens or 0))[: _MOST - 1]
    rest = Segment(NAMES[-1], "", tokens=0, replayed=0, cached=0, cost=0.0)
    for each in found:
        if each not in heavy:
            _add(rest, each)
    return [*(each for each in found if each in heavy), rest]


def _add(into: Segment, other: Segment) -> None:
    into.tokens = (into.tokens or 0) + (other.tokens or 0)
    into.replayed = (into.replayed or 0) + (other.replayed or 0)
    into.cached = (into.cached or 0) + (other.cached or 0)
    into.cost += other.cost
