"""The nodes of a call tree: which frames and spans of a table are one.

Each row of the table is a chain of elements: the functions between its span and the span above it, outermost first, and
the span itself. Elements become nodes level by level from the root, all of a level at once.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from tokprof.analysis.books import innermost_first
from tokprof.span import Frame, Span, Stack
from tokprof.table import Table, depths

Places = np.ndarray[Any, np.dtype[np.intp]]

_stack = attrgetter("stack")
_lane = attrgetter("thread", "task")
_title = attrgetter("name", "kind")


@dataclass(slots=True)
class Nodes:
    """Nodes in pre-order: a parent stands before its children, node 0 is the root.

    Attributes
    ----------
    parent : integer array, shape (nodes,)
        Node of the parent; -1 for the root.
    name, kind, where : list of str
        As in `tokprof.analysis.tree.Tree`.
    of : integer array, shape (rows,)
        Node of each row of the table.
    """

    parent: Places
    name: list[str]
    kind: list[str]
    where: list[str]
    of: Places


@dataclass(slots=True)
class _Chains:
    """Elements of all rows, row by row.

    Attributes
    ----------
    row, frame : integer arrays, shape (elements,)
        Row of each element, and number of its frame; -1 for a span.
    above : integer array, shape (elements,)
        The element around each; -1 for that of a root.
    last : integer array, shape (rows,)
        The span of each row.
    frames : list of Frame
    """

    row: Places
    frame: Places
    above: Places
    last: Places
    frames: list[Frame]


def nodes(table: Table, merge: bool) -> Nodes:
    """Find the nodes of a table; see `tokprof.analysis.tree.build`."""
    chains = _chains(table)
    top = 0 if (table.parents < 0).sum() > 1 else -1  # late or foreign roots hang under one that is marked
    framed = chains.frame >= 0
    keys = np.empty(len(framed), np.intp)
    known = _numbers(map(_key, chains.frames))
    keys[framed] = known[chains.frame[framed]]
    # in call order, no two spans are one
    keys[chains.last] = len(known) + (_numbers(map(_title, table.spans)) if merge else np.arange(len(table)))
    lanes = None if merge else _numbers(map(_lane, table.spans))[chains.row]
    of = np.empty(len(framed), np.intp)
    firsts, parents, made = [np.full(top + 1, -1)], [np.full(top + 1, -1)], top + 1
    for level in innermost_first(depths(chains.above))[::-1]:
        here = level[::-1]
        up = np.where(chains.above[here] < 0, top, of[chains.above[here]])
        first, group = _same(up, keys[here]) if lanes is None else _in_a_row(up, lanes[here], keys[here])
        met = np.argsort(first)  # nodes are numbered in the order in which they were met
        number = np.empty(len(met), np.intp)
        number[met] = np.arange(made, made + len(met))
        of[here] = number[group]
        firsts.append(here[first[met]])
        parents.append(up[first[met]])
        made += len(met)
    order, parent = pre_order(np.concatenate(parents))
    place = np.empty(made, np.intp)
    place[order] = np.arange(made)
    return Nodes(parent, *_labels(table, chains, np.concatenate(firsts)[order]), place[of[chains.last]])


def _same(up: Places, keys: Places) -> tuple[Places, Places]:
    """First element of each group with the same parent and key, and the group of each element."""
    _, first, group = np.unique(up * (keys.max(initial=0) + 1) + keys, return_index=True, return_inverse=True)
    return first, group


def _in_a_row(up: Places, lanes: Places, keys: Places) -> tuple[Places, Places]:
    """The same of elements that follow on each other in a lane of their parent: a thread, or a task in it."""
    order = np.lexsort((lanes, up))
    up, lanes, keys = up[order], lanes[order], keys[order]
    begins = np.ones(len(order), np.bool_)
    begins[1:] = (np.diff(up) != 0) | (np.diff(lanes) != 0) | (np.diff(keys) != 0)
    group = np.empty(len(order), np.intp)
    group[order] = np.cumsum(begins) - 1
    return order[begins], group


def _chains(table: Table) -> _Chains:
    spans, n = table.spans, len(table)
    stacks = np.unique(np.fromiter(map(id, map(_stack, spans)), np.int64, n), return_inverse=True)[1]
    profiles = np.array([span.kind == "profile" for span in spans], np.bool_)
    inner = np.flatnonzero(table.parents >= 0)
    above = table.parents[inner]
    # what stands between two spans depends on their stacks, which repeat themselves
    pairs = (stacks[inner] * n + stacks[above]) * 2 + profiles[above]
    _, first, pairs = np.unique(pairs, return_index=True, return_inverse=True)
    frames: list[Frame] = []
    numbers: dict[int, int] = {}  # by identity: frames are interned, and there are few
    flat: list[int] = []
    lengths, openers = [], []
    for at in first.tolist():
        found, opener = _between(spans[inner[at]].stack, spans[above[at]])
        for frame in found:
            number = numbers.setdefault(id(frame), len(frames))
            if number == len(frames):
                frames.append(frame)
            flat.append(number)
        lengths.append(len(found))
        openers.append(opener)
    of_pair = np.array(flat, np.intp)
    count = np.array(lengths, np.intp)
    begin = np.cumsum(count) - count
    outermost = np.where(count > 0, np.append(of_pair, 0)[begin], -1)
    outermost[openers] = -1
    functions = [frame.function for frame in frames] + [None]
    heads = zip(outermost[pairs].tolist(), above.tolist(), strict=True)
    # under the span that bears its name, a decorated function says nothing new
    decorated = np.array([functions[frame] == spans[up].name for frame, up in heads], np.bool_)
    return _expanded(table, inner, begin[pairs] + decorated, count[pairs] - decorated, of_pair, frames)


def _expanded(
    table: Table, inner: Places, begin: Places, count: Places, of_pair: Places, frames: list[Frame]
) -> _Chains:
    """Make elements of the frames that each inner row has, `count` from `begin` on, and of its span."""
    n = len(table)
    begins, counts = np.zeros(n, np.intp), np.zeros(n, np.intp)
    begins[inner], counts[inner] = begin, count
    last = np.cumsum(counts + 1) - 1
    heads = last - counts
    row = np.repeat(np.arange(n), counts + 1)
    place = np.arange(len(row)) - heads[row]
    framed = place < counts[row]
    frame = np.full(len(row), -1, np.intp)
    frame[framed] = of_pair[(begins[row] + place)[framed]]
    around = np.arange(-1, len(row) - 1)
    around[heads] = np.where(table.parents < 0, -1, last[table.parents])
    return _Chains(row, frame, around, last, frames)


def _between(stack: Stack, above: Span) -> tuple[tuple[Frame, ...], bool]:
    """Frames between a span and the span above it, and whether the outermost is that of the function of a profile.

    The function that opened a profile is known by its lines, as a cell or a module is: its frame is given as
    ``<module>``, so that each line gets a node of its own.
    """
    outer = above.stack
    same = len(outer)
    if stack[:same] != outer:
        pairs = enumerate(zip(stack, outer, strict=False))
        same = next((at for at, (mine, other) in pairs if mine != other), len(stack))
    if above.kind == "profile" and outer and same >= len(outer) - 1 and len(stack) >= len(outer):
        opener, inner = stack[len(outer) - 1], stack[len(outer) :]
        if _function(opener) == _function(outer[-1]):
            return (opener._replace(function="<module>"), *inner), True
    # the frame that opened the span above has gone on to another line
    if same == len(outer) - 1 and same < len(stack) and _function(stack[same]) == _function(outer[same]):
        same += 1
    return stack[same:], False


def _function(frame: Frame) -> tuple[str, str]:
    return frame.function, frame.file


def _key(frame: Frame) -> Hashable:
    """What frames have in common that are one: a line of a cell or module, or a function."""
    return frame.where if frame.function == "<module>" else (frame.function, frame.file, frame.cell)


def _numbers(values: Iterable[Hashable]) -> Places:
    """Equal values have the same number, the first one 0."""
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(value, len(known)) for value in values], np.intp)


def _labels(table: Table, chains: _Chains, firsts: Places) -> tuple[list[str], list[str], list[str]]:
    """Name, kind and place of nodes, of the element that each was met as; of none, the root is marked."""
    frames = np.where(firsts < 0, -1, chains.frame[firsts])
    framed, spans = np.flatnonzero(frames >= 0), np.flatnonzero((frames < 0) & (firsts >= 0))
    rows = chains.row[firsts[spans]]
    known = {id(frame): frame.where for frame in chains.frames}
    wheres = [known[id(frame)] for frame in chains.frames]
    names = [
        where if frame.function == "<module>" else frame.function.rpartition("<locals>.")[2]
        for frame, where in zip(chains.frames, wheres, strict=True)
    ]
    places: dict[int, str] = {}
    for stack in map(_stack, table.spans):
        if id(stack) not in places:
            places[id(stack)] = (known.get(id(stack[-1])) or stack[-1].where) if stack else ""

    def column(marked: str, of_frames: list[str], of_spans: Iterable[str]) -> list[str]:
        made = np.full(len(firsts), marked, object)
        made[framed] = np.fromiter(of_frames, object, len(of_frames))[frames[framed]]
        made[spans] = np.fromiter(of_spans, object, len(table))[rows]
        return made.tolist()

    return (
        column("profile", names, map(attrgetter("name"), table.spans)),
        column("profile", ["frame"] * len(names), map(attrgetter("kind"), table.spans)),
        column("", wheres, map(places.__getitem__, map(id, map(_stack, table.spans)))),
    )


def pre_order(parent: Sequence[int] | Places) -> tuple[Places, Places]:
    """Order nodes so that each is followed by what is below it; siblings stay in their order.

    Parameters
    ----------
    parent : sequence of int
        Node of the parent; -1 for the root, of which there is one.

    Returns
    -------
    order : integer array
        Old node for each new place.
    parent : integer array
        Parents in the new order.
    """
    above = np.asarray(parent, np.intp)
    size, place = np.ones(len(above), np.intp), np.zeros(len(above), np.intp)
    levels = innermost_first(depths(above))
    for level in levels[:-1]:
        np.add.at(size, above[level], size[level])
    for level in levels[-2::-1]:
        inside = place[above[level[::-1]]]
        by_parent = np.argsort(inside, kind="stable")
        nodes, inside = level[::-1][by_parent], inside[by_parent]
        before = np.cumsum(size[nodes]) - size[nodes]
        eldest = np.diff(inside, prepend=-1) != 0
        place[nodes] = inside + 1 + before - before[eldest][np.cumsum(eldest) - 1]
    order = np.empty(len(above), np.intp)
    order[place] = np.arange(len(above))
    return order, np.where(above < 0, -1, place[above])[order]
