"""What the interactive views have in common: the block they show, one selection for all, and details on demand."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from tokprof.analysis.rollup import totals
from tokprof.analysis.tree import build
from tokprof.views.words import count

if TYPE_CHECKING:
    import pandas as pd

    from tokprof.profile import Profile

SNAPSHOT_NODES = 2_000
"""Nodes of the block that is part of a widget's state, and so of a saved notebook (some 100 bytes each)."""


def ranges(rows: Sequence[int]) -> list[int]:
    """Pack rows in ascending order into begin, end, begin, end, ... with each end one past the last row."""
    if not rows:
        return []
    breaks = [at for at, (a, b) in enumerate(pairwise(rows), 1) if b != a + 1]
    edges = [0, *breaks, len(rows)]
    return [edge for a, b in pairwise(edges) for edge in (rows[a], rows[b - 1] + 1)]


def rows_in(packed: Any, limit: int) -> list[int]:
    """Unpack `ranges` that came from a browser: what is no range of rows below `limit` is left out."""
    if not isinstance(packed, list) or len(packed) % 2 or not all(type(edge) is int for edge in packed):
        return []
    found: list[int] = []
    for begin, end in zip(packed[::2], packed[1::2], strict=True):
        if 0 <= begin < end <= limit and (not found or begin > found[-1]):
            found.extend(range(begin, end))
    return found


class ProfileView(anywidget.AnyWidget):
    """Base of the interactive views of a profile.

    All views of one profile share one selection, also without a kernel: see ``js/src/bus.ts``.

    Parameters
    ----------
    profile : Profile
    **traits
        Of the view.
    """

    _block = traitlets.Bytes().tag(sync=True)
    _profile = traitlets.Unicode().tag(sync=True)
    _selected = traitlets.Dict().tag(sync=True)
    height = traitlets.Int(420).tag(sync=True)
    _prompts = False  # whether it shows the parts of prompts
    _flows = False  # whether it shows which answers went into which prompts

    def __init__(self, profile: Profile, **traits: Any):
        self.profile = profile
        self._keep()
        super().__init__(_block=self._pack(SNAPSHOT_NODES), _profile=profile.id, _selected=self._as_trait(), **traits)
        self.on_msg(self._on_message)

    def refresh(self) -> None:
        """Show the profile as it is now."""
        self._keep()
        self._block = self._pack(SNAPSHOT_NODES)

    @property
    def selection(self) -> pd.DataFrame:
        """Rows of ``prof.df`` that are selected, in this view or another one of the profile."""
        rows = [row for row in self.profile._selected[0] if row < len(self._table)]
        return self._table.frame().iloc[rows]

    @property
    def selected(self) -> str | None:
        """Name of what is selected; None while nothing is."""
        return self.profile._selected[1]

    def select(self, what: int | str | Sequence[int] | None) -> None:
        """Select from Python, in every view of the profile.

        Parameters
        ----------
        what : str, int, sequence of int or None
            A name (the first node that bears it, with everything below), a node of ``prof.call_tree``, rows of
            ``prof.df``, or None for nothing.

        Raises
        ------
        ValueError
            If there is no such name, node or row.
        """
        tree = self._tree
        if what is None:
            rows, label = [], None
        elif isinstance(what, str | int):
            if isinstance(what, str):
                if what not in tree.name:
                    raise ValueError(f"nothing is called {what!r}; there are {', '.join(dict.fromkeys(tree.name))}")
                what = tree.name.index(what)
            if not 0 <= what < len(tree):
                raise ValueError(f"no node {what}: the tree has {len(tree)}, from 0")
            rows, label = tree.rows_below(what), tree.name[what]
        else:
            rows = sorted({int(row) for row in what})
            label = count(len(rows), "row")
            if rows and not 0 <= rows[0] <= rows[-1] < len(self._table):
                raise ValueError(f"rows go from 0 to {len(self._table) - 1}")
        self.profile._selected = (rows, label)
        self._selected = {}  # an equal value would not be sent, and the reader may have chosen another since
        self._selected = self._as_trait()

    def _as_trait(self) -> dict[str, Any]:
        rows, label = self.profile._selected
        return {"rows": ranges(rows), "label": label or ""}

    def _keep(self) -> None:
        """Keep the table and tree that are shown: the profile may go on, and its rows change their places."""
        self._table = self.profile.table
        self._tree = build(self._table)

    def _ipython_display_(self) -> None:
        from tokprof.views.display import show_widget

        show_widget(self.profile, self)

    def _pack(self, limit: int | None) -> bytes:
        from tokprof.views.border import describe, pack
        from tokprof.views.prune import prune

        shown = self._tree if limit is None else prune(self._tree, limit)
        truncated = len(shown) < len(self._tree)
        about = describe(self.profile.title, totals(self._table), truncated)
        return pack(self._table, shown, about, self._prompts, self._flows)

    def _on_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """Take a message of the front end; it may come in another thread, and from anybody, so it is checked."""
        if not isinstance(content, dict):
            return
        kind = content.get("type")
        if kind == "select":
            # not by the trait: it would come back to a front end that may have moved on
            rows = rows_in(content.get("rows"), len(self._table))
            label = content.get("label")
            self.profile._selected = (rows, label if rows and isinstance(label, str) else None)
        elif kind == "block":
            self.send({"type": "block"}, [self._pack(None)])
        elif kind == "detail" and type(row := content.get("row")) is int and 0 <= row < len(self._table):
            from tokprof.views.detail import detail

            self.send({"type": "detail", "row": row, "detail": detail(self._table, row)})
