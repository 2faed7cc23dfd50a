"""What the graph of steps draws between calls: which answers went into which prompts."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, get_args

from tokprof.analysis.flow import flows
from tokprof.analysis.turns import Via
from tokprof.table import Table

VIAS: tuple[str, ...] = get_args(Via)
"""What `flow_via` points into."""

_A_NODE = 4  # flows for each node of the tree
_LEAST = 4000  # flows that any block may hold
_CHARACTERS = 20_000_000  # of prompts and answers that are read unasked: some two seconds


def streams(table: Table, rows: list[int]) -> dict[str, tuple[str, Any, Any]]:
    """Columns of the flows between nodes: empty where no prompt was kept.

    Of very many, those with most tokens; none while the profile is still recorded, and none where prompts are so long
    that nobody wants to wait for them. What happened in steps that the tree leaves out is told of the steps around.

    Parameters
    ----------
    table : Table
    rows : list of int
        Row of each node; -1 for none.
    """
    if not len(table) or table.spans[0].closed is None:
        return {}
    size = sum(len(text) for span in table.spans if span.content for text in span.content.values())
    if not 0 < size <= _CHARACTERS:
        return {}
    node_of = {row: node for node, row in enumerate(rows) if row >= 0}
    parents = table.parents.tolist()

    def place(row: int) -> int:
        while row >= 0 and row not in node_of:
            row = parents[row]
        return node_of.get(row, -1)

    sums: defaultdict[tuple[int, int, str], float] = defaultdict(float)
    for each in flows(table)[0]:
        source, target = place(each.source), place(each.target)
        if -1 not in (source, target) and source != target:
            sums[source, target, each.via] += float("nan") if each.tokens is None else each.tokens
    if not sums:
        return {}
    heaviest = sorted(sums.items(), key=lambda item: -item[1] if item[1] == item[1] else 0.0)
    kept = sorted(heaviest[: max(_LEAST, _A_NODE * len(rows))], key=lambda item: item[0])
    return {
        "flow_from": ("i4", [source for (source, _, _), _ in kept], None),
        "flow_to": ("i4", [target for (_, target, _), _ in kept], None),
        "flow_via": ("u1", [VIAS.index(via) for (_, _, via), _ in kept], None),
        "flow_tokens": ("f8", [tokens for _, tokens in kept], None),
    }
