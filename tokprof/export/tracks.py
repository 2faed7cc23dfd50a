"""Spans on tracks: within a track they nest, as trace viewers demand, whatever ran side by side."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from tokprof.export.texts import label
from tokprof.table import Table

LANES = 100
"""Lanes beyond which the tasks of a thread share its tracks."""


@dataclass(slots=True, eq=False)
class Track:
    """A line of a timeline.

    Attributes
    ----------
    name : str
    rows : list of int
        Rows of the span table, by their start; each begins and ends within the one it stands in, or after it.
    """

    name: str
    rows: list[int] = field(default_factory=list)
    open: list[int] = field(default_factory=list)


def tracks(table: Table) -> tuple[list[Track], list[int]]:
    """Put each span on a track of its thread and task.

    Spans of a lane that overlap without being one in the other get a track each.

    Returns
    -------
    tracks : list of Track
        By the start of their first span.
    of : list of int
        Track of each row.
    """
    ends = [table.now if span.closed is None else span.closed for span in table.spans]
    parents = table.parents.tolist()
    many = len({(span.thread, span.task) for span in table.spans}) > LANES
    lanes: defaultdict[tuple[str, str | None], list[int]] = defaultdict(list)
    made: list[Track] = []
    of: list[int] = []
    for row, span in enumerate(table.spans):
        lane = lanes[span.thread, None if many else span.task]
        for number in lane:
            if _fits(made[number].open, row, span.opened, ends, parents):
                break
        else:
            number = len(made)
            lane.append(number)
            made.append(Track(_name(span.thread, None if many else span.task, len(lane))))
        made[number].rows.append(row)
        made[number].open.append(row)
        of.append(number)
    return made, of


def _fits(around: list[int], row: int, opened: int, ends: list[int], parents: list[int]) -> bool:
    """Whether a span may stand here: all that has not ended holds it, and is above it in the tree."""
    while around and ends[around[-1]] <= opened:
        around.pop()
    if not around:
        return True
    if ends[around[-1]] < ends[row]:
        return False
    above = parents[row]
    while above > around[-1]:
        above = parents[above]
    return above == around[-1]


def _name(thread: str, task: str | None, number: int) -> str:
    name = label(thread or "thread") + (f" / {label(task)}" if task else "")
    return name if number == 1 else f"{name} ({number})"
