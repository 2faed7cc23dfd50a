"""The steps as a small graph: what Mermaid and Graphviz draw."""

from __future__ import annotations

from dataclasses import dataclass

from tokprof.analysis.books import COST, TOKENS
from tokprof.analysis.tree import Tree
from tokprof.export.texts import label
from tokprof.views.words import bounded, count, tokens, usd

NODES = 40
"""Nodes of a graph that a reader still takes in."""

_NAME = 60
_MODELS = ("llm", "embedding", "reranker")


@dataclass(slots=True)
class Node:
    """Steps of one name and kind, or one model.

    Attributes
    ----------
    kind : str
        ``model``, ``frame`` or the kind of the spans.
    lines : list of str
        Of its label: the name, then what it came to.
    """

    kind: str
    lines: list[str]


@dataclass(slots=True)
class Graph:
    """Who called whom, and what it carried.

    Attributes
    ----------
    nodes : list of Node
        The root first.
    edges : list of (int, int, str, float)
        From, to, label, and the share of all tokens from 0 to 1.
    left_out : str
        What is not shown, as a sentence; "" where all is.
    """

    nodes: list[Node]
    edges: list[tuple[int, int, str, float]]
    left_out: str


def graph(tree: Tree, limit: int = NODES) -> Graph:
    """Give the graph of a merged tree: a step is one node by name and kind, a model is one, whoever calls them.

    Parameters
    ----------
    tree : Tree
    limit : int
        Nodes at most; the heaviest stay, and callers of what is left out lead on to what it called.

    Raises
    ------
    ValueError
        For a `limit` below 2.
    """
    if limit < 2:
        raise ValueError(f"a graph of {limit} nodes shows nothing; limit must be 2 or more")
    if not len(tree):
        return Graph([], [], "")
    keys = [_key(tree, node) for node in range(len(tree))]
    members: dict[tuple[str, str], list[int]] = {}
    for node, key in enumerate(keys):
        found = members.setdefault(key, [])
        if not any(keys[above] == key for above in _above(tree, node)):  # what is in itself counts once
            found.append(node)
    spent = {key: float(tree.tokens[nodes].sum()) for key, nodes in members.items()}
    calls = {key: int(tree.calls[nodes].sum()) for key, nodes in members.items()}
    order = sorted(members, key=lambda key: (key != keys[0], -spent[key], -calls[key]))
    number = {key: at for at, key in enumerate(order[:limit])}
    nodes = [Node(key[0], [label(key[1], _NAME), *_figures(tree, members[key])]) for key in number]
    return Graph(nodes, _edges(tree, keys, number), _left_out(tree, keys, order[limit:]))


def _key(tree: Tree, node: int) -> tuple[str, str]:
    models = tree.models[node]
    if tree.kind[node] in _MODELS and models:
        return "model", ", ".join(models)
    return tree.kind[node], tree.name[node]


def _above(tree: Tree, node: int) -> list[int]:
    found = []
    while (node := tree.parent[node]) >= 0:
        found.append(node)
    return found


def _figures(tree: Tree, nodes: list[int]) -> list[str]:
    """Tokens, cost and calls, as far as there are any."""
    calls = int(tree.calls[nodes].sum())
    if not calls:
        return []
    spent = bounded(tokens(float(tree.tokens[nodes].sum())), _bound(tree, nodes, TOKENS))
    figures = [f"{spent} tokens"]
    if tree.evidence.told[nodes, COST].any():
        figures.append(bounded(usd(float(tree.total[nodes, COST].sum())), _bound(tree, nodes, COST)))
    return [" · ".join([*figures, count(calls, "call")])]


def _bound(tree: Tree, nodes: list[int], column: int) -> str:
    if not tree.evidence.untold[nodes, column].any():
        return ""
    return "≥" if tree.evidence.told[nodes, column].any() else "?"


def _edges(
    tree: Tree, keys: list[tuple[str, str]], number: dict[tuple[str, str], int]
) -> list[tuple[int, int, str, float]]:
    ends: list[tuple[int, int] | None] = [None]
    members: dict[tuple[int, int], list[int]] = {}
    for node in range(1, len(tree)):
        above = _above(tree, node)
        to = number.get(keys[node])
        caller = next((up for up in above if keys[up] in number), None)
        if to is None or caller is None:
            ends.append(None)
            continue
        edge = number[keys[caller]], to
        if edge[0] == to and tree.parent[node] != caller:  # only what is left out lies between
            ends.append(None)
            continue
        ends.append(edge)
        found = members.setdefault(edge, [])
        if not any(ends[up] == edge for up in above):
            found.append(node)
    whole = max(1.0, float(tree.tokens[0]))
    edges = []
    for (begin, end), nodes in members.items():
        spent = float(tree.tokens[nodes].sum())
        text = bounded(tokens(spent), _bound(tree, nodes, TOKENS)) if int(tree.calls[nodes].sum()) else ""
        edges.append((begin, end, text, min(1.0, spent / whole)))
    return edges


def _left_out(tree: Tree, keys: list[tuple[str, str]], left: list[tuple[str, str]]) -> str:
    if not left:
        return ""
    gone = set(left)
    own = sum(float(tree.own[node, :3].sum()) for node, key in enumerate(keys) if key in gone)
    return f"{count(len(left), 'smaller step')} left out, with {tokens(own)} tokens of their own"
