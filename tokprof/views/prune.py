"""A bounded tree for what is saved with a notebook: the heaviest nodes, the rest summed up."""

from __future__ import annotations

from typing import Any

import numpy as np

from tokprof.analysis.tree import Tree, pre_order


def prune(tree: Tree, limit: int) -> Tree:
    """Keep about `limit` nodes with their parents; what is left out becomes one node below each parent that is kept.

    The books still balance: totals of every kept node are as before.
    """
    n = len(tree)
    if n <= limit:
        return tree
    weight = tree.tokens + tree.calls
    keep = np.zeros(n, bool)
    keep[np.argsort(-weight, kind="stable")[:limit]] = True
    keep[0] = True
    for node in range(n - 1, 0, -1):
        if keep[node]:
            keep[tree.parent[node]] = True
    parent: list[int] = []
    source: list[int] = []  # node of the full tree; -1 for a sum
    left_out: dict[int, list[int]] = {}
    place = [-1] * n
    for node in range(n):
        if keep[node]:
            place[node] = len(parent)
            parent.append(place[tree.parent[node]] if node else -1)
            source.append(node)
        elif keep[tree.parent[node]]:
            left_out.setdefault(tree.parent[node], []).append(node)
    for up in left_out:
        parent.append(place[up])
        source.append(-1)
    sums = dict(zip(range(len(parent) - len(left_out), len(parent)), left_out.values(), strict=True))

    def column(values: np.ndarray[Any, Any], join: np.ufunc) -> np.ndarray[Any, Any]:
        kept = [values[s] if s >= 0 else join.reduce(values[sums[at]], axis=0) for at, s in enumerate(source)]
        return np.array(kept)

    pruned = Tree(
        parent=parent,
        name=[tree.name[s] if s >= 0 else f"… {len(sums[at])} smaller" for at, s in enumerate(source)],
        kind=[tree.kind[s] if s >= 0 else "frame" for s in source],
        where=[tree.where[s] if s >= 0 else "" for s in source],
        rows=[tree.rows[s] if s >= 0 else [] for s in source],
        own=np.array([tree.own[s] if s >= 0 else tree.total[sums[at]].sum(axis=0) for at, s in enumerate(source)]),
        total=column(tree.total, np.add),
        calls=column(tree.calls, np.add),
        unknown=column(tree.unknown, np.add),
        start=column(tree.start, np.minimum),
        end=column(tree.end, np.maximum),
        busy=column(tree.busy, np.add),
    )
    return _pre_ordered(pruned)


def _pre_ordered(tree: Tree) -> Tree:
    order, parent = pre_order(tree.parent)
    return Tree(
        parent=parent,
        name=[tree.name[old] for old in order],
        kind=[tree.kind[old] for old in order],
        where=[tree.where[old] for old in order],
        rows=[tree.rows[old] for old in order],
        own=tree.own[order],
        total=tree.total[order],
        calls=tree.calls[order],
        unknown=tree.unknown[order],
        start=tree.start[order],
        end=tree.end[order],
        busy=tree.busy[order],
    )
