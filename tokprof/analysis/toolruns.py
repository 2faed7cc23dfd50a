"""Steps of kind ``tool``, and which call of a tool each of them ran."""

from __future__ import annotations

from collections import defaultdict

from tokprof.table import Table


class ToolRuns:
    """The tools that ran between an answer that called them and a prompt that told what they gave.

    Parameters
    ----------
    table : Table

    Attributes
    ----------
    order : dict of int to int
        Of the row of a step, how many runs of its tool there were for the same answer before.
    """

    def __init__(self, table: Table):
        self.table = table
        self.order: dict[int, int] = {}
        self._by_name: defaultdict[str, list[int]] = defaultdict(list)
        for row, span in enumerate(table.spans):
            if span.kind == "tool":
                self._by_name[span.name.rpartition(".")[2]].append(row)
        self._found: dict[tuple[int, str, object], int | None] = {}
        self._taken: set[int] = set()
        self._place: defaultdict[tuple[int, int, str], int] = defaultdict(int)
        self._counts: defaultdict[tuple[int, str], int] = defaultdict(int)

    def ran(self, source: int, target: int, call: str | None, name: str | None) -> int | None:
        """Find the step that ran a tool.

        Parameters
        ----------
        source, target : int
            Rows of the call that called the tool, and of the one that was told the result.
        call : str or None
            Id of the tool call.
        name : str or None
            Of the tool.

        Returns
        -------
        int or None
            Its row; None where there is none.
        """
        if not name:
            return None
        mark: object = call
        if mark is None:
            mark = self._place[target, source, name]
            self._place[target, source, name] += 1
        key = (source, name, mark)
        if key not in self._found:
            self._found[key] = row = self._free(source, target, name)
            if row is not None:
                self._taken.add(row)
                self.order[row] = self._counts[source, name]
                self._counts[source, name] += 1
        return self._found[key]

    def _free(self, source: int, target: int, name: str) -> int | None:
        spans, parents = self.table.spans, self.table.parents
        best: int | None = None
        for row in self._by_name.get(name.rpartition(".")[2], ()):
            span = spans[row]
            if row in self._taken or span.opened < spans[source].opened:
                continue
            if span.opened > spans[target].opened:
                break
            if span.closed is None or span.closed > spans[target].opened:
                continue
            if parents[row] == parents[source]:
                return row
            best = row if best is None else best
        return best
