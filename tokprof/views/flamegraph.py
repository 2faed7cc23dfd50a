"""The flamegraph widget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from tokprof.analysis.rollup import totals
from tokprof.analysis.tree import build
from tokprof.span import METRICS
from tokprof.views import STATIC

if TYPE_CHECKING:
    import pandas as pd

    from tokprof.profile import Profile

SNAPSHOT_NODES = 2_000
"""Nodes of the block that is part of the widget's state, and so of a saved notebook (some 100 bytes each)."""


class Flamegraph(anywidget.AnyWidget):
    """Interactive flamegraph of a profile.

    Parameters
    ----------
    profile : Profile
    metric : {"tokens", "input", "output", "cost", "time"}
        What the width of a node stands for at first; the reader may switch.

    Attributes
    ----------
    selection : pandas.DataFrame
        Rows of ``prof.df`` at or below the node that was clicked; empty while none is chosen.
    """

    _esm = STATIC / "flamegraph.js"
    _css = STATIC / "flamegraph.css"
    _block = traitlets.Bytes().tag(sync=True)
    _selected = traitlets.Int(-1).tag(sync=True)
    metric = traitlets.Enum(METRICS, "tokens").tag(sync=True)
    height = traitlets.Int(420).tag(sync=True)

    def __init__(self, profile: Profile, metric: str = "tokens", **kwargs: Any):
        if metric not in METRICS:
            raise ValueError(f"{metric!r} is no metric; known: {', '.join(METRICS)}")
        self.profile = profile
        self._keep()
        super().__init__(metric=metric, _block=self._pack(SNAPSHOT_NODES), **kwargs)
        self.on_msg(self._on_message)

    def refresh(self) -> None:
        """Show the profile as it is now."""
        self._keep()
        self._block = self._pack(SNAPSHOT_NODES)

    @property
    def selected_span(self) -> str | None:
        """Name of the node that was clicked; None while none is chosen."""
        node = self._selected_node
        return self._tree.name[node] if 0 <= node < len(self._tree) else None

    @property
    def selection(self) -> pd.DataFrame:
        """Rows of ``prof.df`` at or below the node that was clicked."""
        tree = self._tree
        rows = tree.rows_below(self._selected_node) if 0 <= self._selected_node < len(tree) else []
        return self._table.frame().iloc[rows]

    def select(self, node: int | str) -> None:
        """Choose a node from Python.

        Parameters
        ----------
        node : int or str
            A node of ``prof.call_tree``, or a name: the first node that bears it. -1 chooses none.

        Raises
        ------
        ValueError
            If there is no such node.
        """
        names = self._tree.name
        if isinstance(node, str):
            if node not in names:
                raise ValueError(f"no node is called {node!r}; there are {', '.join(dict.fromkeys(names))}")
            node = names.index(node)
        if not -1 <= node < len(names):
            raise ValueError(f"no node {node}: the tree has {len(names)}, from 0")
        self._selected_node = node
        if node == self._selected:  # the reader may have chosen another since, and an equal value would not be sent
            self._selected = -2
        self._selected = node

    def _keep(self) -> None:
        """Keep the table and tree that are shown: the profile may go on, and its nodes change their places."""
        self._table = self.profile.table
        self._tree = build(self._table)
        self._selected_node = -1

    def _ipython_display_(self) -> None:
        from tokprof.views.display import show_widget

        show_widget(self.profile, self)

    def _pack(self, limit: int | None) -> bytes:
        from tokprof.views.border import describe, pack
        from tokprof.views.prune import prune

        shown = self._tree if limit is None else prune(self._tree, limit)
        truncated = len(shown) < len(self._tree)
        return pack(self._table, shown, describe(self.profile.title, totals(self._table), truncated))

    def _on_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """Take a message of the front end; it may come in another thread, and from anybody, so it is checked."""
        if not isinstance(content, dict):
            return
        if content.get("type") == "select" and isinstance(content.get("node"), int):
            node = content["node"]
            # not by the trait: it would come back to a front end that may have moved on
            self._selected_node = node if 0 <= node < len(self._tree) else -1
        elif content.get("type") == "block":
            self.send({"type": "block"}, [self._pack(None)])
