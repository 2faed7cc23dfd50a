"""A bounded tree for what is saved with a notebook: the heaviest nodes, the rest summed up."""

from __future__ import annotations

from typing import Any

import numpy as np

from tokprof.analysis.books import Evidence
from tokprof.analysis.nodes import pre_order
from tokprof.analysis.tree import Tree


def prune(tree: Tree, limit: int) -> Tree:
    """Keep about `limit` nodes with their parents; what is left out becomes one node below each parent that is kept.

    The books still balance: totals of every kept node are as before.
    """
    n = len(tree)
    if n <= limit:
        return tree
    keep = np.zeros(n, bool)
    keep[np.argsort(-(tree.tokens + tree.calls), kind="stable")[:limit]] = True
    keep[0] = True
    for node in range(n - 1, 0, -1):
        if keep[node]:
            keep[tree.parent[node]] = True
    parent: list[int] = []
    parts: list[list[int]] = []  # nodes of the full tree that a node stands for
    place = [-1] * n
    left_out: dict[int, list[int]] = {}
    for node in range(n):
        if keep[node]:
            place[node] = len(parent)
            parent.append(place[tree.parent[node]] if node else -1)
            parts.append([node])
        elif keep[tree.parent[node]]:
            left_out.setdefault(tree.parent[node], []).append(node)
    parent += [place[up] for up in left_out]
    parts += left_out.values()
    order, parents = pre_order(parent)
    return _joined(tree, parents.tolist(), [parts[old] for old in order.tolist()], keep)


def _joined(tree: Tree, parent: list[int], parts: list[list[int]], keep: np.ndarray[Any, np.dtype[np.bool_]]) -> Tree:
    """A tree whose nodes each stand for one node that is kept, or for some that are not, with all below them."""
    nodes = np.concatenate([np.array(part, np.intp) for part in parts])
    begin = np.cumsum([0] + [len(part) for part in parts[:-1]])
    first = nodes[begin].tolist()
    whole = keep[first]

    def joined(values: np.ndarray[Any, Any], join: np.ufunc = np.add) -> np.ndarray[Any, Any]:
        made: np.ndarray[Any, Any] = join.reduceat(values[nodes], begin, axis=0)
        return made

    def own(values: np.ndarray[Any, Any], with_below: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.where(whole[:, None], joined(values), joined(with_below))

    kept = list(zip(whole.tolist(), first, strict=True))
    alone, total = tree.own_evidence, tree.evidence
    return Tree(
        parent=parent,
        name=[
            tree.name[node] if one else f"… {len(part)} smaller" for part, (one, node) in zip(parts, kept, strict=True)
        ],
        kind=[tree.kind[node] if one else "frame" for one, node in kept],
        where=[tree.where[node] if one else "" for one, node in kept],
        rows=[tree.rows[node] if one else [] for one, node in kept],
        own=own(tree.own, tree.total),
        total=joined(tree.total),
        calls=joined(tree.calls),
        unknown=joined(tree.unknown),
        start=joined(tree.start, np.minimum),
        end=joined(tree.end, np.maximum),
        busy=joined(tree.busy),
        unpriced=joined(tree.unpriced),
        failed=joined(tree.failed) * whole,
        retried=joined(tree.retried) * whole,
        models=[tree.models[node] if one else () for one, node in kept],
        own_evidence=Evidence(own(alone.told, total.told), own(alone.untold, total.untold)),
        evidence=Evidence(joined(total.told), joined(total.untold)),
    )
