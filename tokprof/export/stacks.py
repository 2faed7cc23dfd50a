"""Stacks with what was spent at their end: what collapsed stacks, speedscope and pprof are made of."""

from __future__ import annotations

import numpy as np

from tokprof.analysis.books import METRICS as COLUMNS
from tokprof.analysis.books import SPENT, Floats
from tokprof.analysis.tree import Tree
from tokprof.span import METRICS

UNITS = {"cost": "nanodollars", "time": "nanoseconds"}
"""Units of the metrics that are no tokens: small enough for whole numbers."""

_COLUMN = {"input": "input", "output": "output", "cached": "cache_read", "reasoning": "reasoning", "cost": "cost"}


def own(tree: Tree, metric: str) -> Floats:
    """Give what each node used itself.

    Parameters
    ----------
    tree : Tree
    metric : {"tokens", "input", "output", "cached", "reasoning", "cost", "time"}
        Tokens are counts, cost USD, time seconds: those that nothing below a node accounts for. Where parts ran side
        by side, the sum of their seconds is more than passed.

    Returns
    -------
    float64 array, shape (nodes,)

    Raises
    ------
    ValueError
        For an unknown `metric`.
    """
    if metric not in METRICS:
        raise ValueError(f"{metric!r} is no metric; known: {', '.join(METRICS)}")
    figures: Floats
    if metric == "tokens":
        figures = tree.own[:, SPENT].sum(axis=1)
    elif metric == "time":
        below = np.zeros(len(tree))
        up = np.array(tree.parent, np.intp)[1:]
        np.add.at(below, up, tree.busy[1:])
        figures = np.maximum(tree.busy - below, 0.0)
    else:
        figures = tree.own[:, COLUMNS.index(_COLUMN[metric])]
    return figures


def whole(figures: Floats, metric: str) -> list[int]:
    """Give figures as whole numbers: tokens, billionths of a dollar, nanoseconds."""
    scaled = figures * 1e9 if metric in UNITS else figures
    return [round(value) for value in scaled.tolist()]


def paths(tree: Tree) -> list[tuple[int, ...]]:
    """Nodes from the root to each node."""
    found: list[tuple[int, ...]] = []
    for node, up in enumerate(tree.parent):
        found.append((*found[up], node) if up >= 0 else (node,))
    return found
