"""What each source line spent: itself, and with all that was called from it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from tokprof.analysis.books import COST, FIGURES, METRICS, SPENT, TOKENS, Evidence, Floats, books
from tokprof.span import Frame, Stack
from tokprof.table import Table

if TYPE_CHECKING:
    import pandas as pd

Counts = np.ndarray[Any, np.dtype[np.int64]]

FIGURE_OF = {"cached": "cache_read"}
"""Columns of `METRICS` and `FIGURES` whose name as a metric is another."""

_COUNTS = 5  # columns of `Books.counts`
_Link = TypeVar("_Link", bound=Hashable)


class Unit(NamedTuple):
    """A cell or a file: where lines stand.

    Attributes
    ----------
    file : str
        As the interpreter knows it; of a cell, the name that the kernel gave to its source.
    cell : int or None
        Execution count; None for a file.
    """

    file: str
    cell: int | None


class Place(NamedTuple):
    """A line of a unit, from 1."""

    unit: Unit
    line: int


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over calls.

    Attributes
    ----------
    used : float64 array, shape (n, 7)
        Columns as in `tokprof.analysis.books.METRICS`.
    evidence : Evidence
        How well `used` is known.
    calls, unknown, unpriced : int64 arrays, shape (n,)
        Calls; those that may have spent more than they told; those without a known cost.
    seconds : float64 array, shape (n,)
        Spent in calls, also where they ran side by side.
    """

    used: Floats
    evidence: Evidence
    calls: Counts
    unknown: Counts
    unpriced: Counts
    seconds: Floats

    @property
    def tokens(self) -> Floats:
        """All tokens: input, output and embedding."""
        spent: Floats = self.used[:, SPENT].sum(axis=1)
        return spent

    def amounts(self, metric: str) -> Floats:
        """What was spent of a metric of `tokprof.span.METRICS`; what is not known counts 0 here."""
        if metric == "time":
            return self.seconds
        return self.tokens if metric == "tokens" else self.used[:, METRICS.index(FIGURE_OF.get(metric, metric))]


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines that spent something.

    Attributes
    ----------
    places : list of Place
        In order of first use.
    own : Sums
        Of the calls whose innermost frame is at each place.
    total : Sums
        Of the calls with each place anywhere on their stack; a call counts once, however often the line recurs.
    units : list of Unit
        In order of first use.
    unit_own, unit_total : Sums
        The same for units as wholes.
    nowhere : Sums
        Of the calls without any code of the user's on their stack; one row.
    """

    places: list[Place]
    own: Sums
    total: Sums
    units: list[Unit]
    unit_own: Sums
    unit_total: Sums
    nowhere: Sums


def lines(table: Table) -> Lines:
    """Blame the calls of a table on lines.

    `own` is what ``by("cell", "line")`` and ``by("file", "line")`` tell.
    """
    stacks, sums = _by_stack(table)
    places = [[Place(Unit(frame.file, frame.cell), frame.line) for frame in stack] for stack in stacks]
    units = [[place.unit for place in each] for each in places]
    known, own, total = _blame(places, sums)
    known_units, unit_own, unit_total = _blame(units, sums)
    empty = np.array([not stack for stack in stacks], np.bool_)
    nowhere = _sums(sums[empty].sum(axis=0, keepdims=True))
    return Lines(known, own, total, known_units, unit_own, unit_total, nowhere)


def _by_stack(table: Table) -> tuple[list[Stack | tuple[Frame, ...]], Floats]:
    """Distinct stacks, and the ledger of the calls that each made: there are far fewer of them than of calls."""
    kept = books(table)
    rows = kept.counted()
    seconds = table.durations() * kept.call
    ledger = np.column_stack((kept.used, kept.told, kept.untold, kept.counts, seconds))[rows].astype(np.float64)
    known: dict[int, int] = {}
    equal: dict[tuple[Frame, ...], int] = {}
    numbers = []
    for row in rows.tolist():
        stack = table.spans[row].stack
        number = known.get(id(stack))
        if number is None:
            number = known[id(stack)] = equal.setdefault(stack, len(equal))
        numbers.append(number)
    sums = np.zeros((len(equal), ledger.shape[1]))
    np.add.at(sums, np.array(numbers, np.intp), ledger)
    return list(equal), sums


def _blame(chains: Sequence[Sequence[_Link]], sums: Floats) -> tuple[list[_Link], Sums, Sums]:
    """Sum up by the last link of each chain, and by every link, once a chain."""
    known: dict[_Link, int] = {}
    inside: list[tuple[int, int]] = []
    last: list[tuple[int, int]] = []
    for number, chain in enumerate(chains):
        inside += [(known.setdefault(link, len(known)), number) for link in dict.fromkeys(chain)]
        last += [(known[chain[-1]], number)] if chain else []
    return list(known), _gathered(len(known), last, sums), _gathered(len(known), inside, sums)


def _gathered(n: int, pairs: Iterable[tuple[int, int]], sums: Floats) -> Sums:
    into, taken = np.array(list(pairs), np.intp).reshape(-1, 2).T
    gathered = np.zeros((n, sums.shape[1]))
    np.add.at(gathered, into, sums[taken])
    return _sums(gathered)


def _sums(ledger: Floats) -> Sums:
    used, told, untold, counts, seconds = np.split(ledger, np.cumsum([len(METRICS), *[len(FIGURES)] * 2, _COUNTS]), 1)
    calls, unknown, unpriced = counts[:, :3].astype(np.int64).T
    return Sums(used, Evidence(told, untold), calls, unknown, unpriced, seconds[:, 0])


def frame(found: Lines) -> pd.DataFrame:
    """Build the lines as a DataFrame.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``cell``, ``file`` and ``line``, in order of first use. ``self_*`` and ``total_*`` for ``calls``,
        ``tokens`` (input, output and embedding together), ``input``, ``output``, ``embedding``, ``cache_read``,
        ``cache_write``, ``reasoning``, ``cost`` (USD), ``duration_s`` (seconds of the calls, summed),
        ``unknown_calls`` (their tokens are not all in the sums) and ``unpriced_calls`` (their cost is not). The sum of
        ``self_*`` over all lines is the profile's, less calls without code of yours on their stack; ``total_*`` of two
        lines may count the same call. Null and NaN as in `tokprof.analysis.tree.frame`.
    """
    import pandas as pd

    columns: dict[str, Any] = {}
    for prefix, sums in (("self", found.own), ("total", found.total)):
        columns[f"{prefix}_calls"] = sums.calls
        columns[f"{prefix}_tokens"] = _whole(sums.tokens, sums.evidence.nothing(TOKENS))
        for index, metric in enumerate(METRICS):
            nothing = sums.evidence.nothing(COST if metric == "cost" else index)
            values = sums.used[:, index]
            columns[f"{prefix}_{metric}"] = (
                np.where(nothing, np.nan, values) if metric == "cost" else _whole(values, nothing)
            )
        columns[f"{prefix}_duration_s"] = sums.seconds
        columns[f"{prefix}_unknown_calls"] = sums.unknown
        columns[f"{prefix}_unpriced_calls"] = sums.unpriced
    cells = pd.array([place.unit.cell for place in found.places], dtype="Int64")
    files = pd.Series([place.unit.file for place in found.places], dtype=object)
    numbers = pd.array([place.line for place in found.places], dtype="Int64")
    return pd.DataFrame(
        columns, index=pd.MultiIndex.from_arrays([cells, files, numbers], names=["cell", "file", "line"])
    )


def _whole(values: Floats, nothing: np.ndarray[Any, np.dtype[np.bool_]]) -> Any:
    import pandas as pd

    return pd.arrays.IntegerArray(values.astype(np.int64), nothing)
