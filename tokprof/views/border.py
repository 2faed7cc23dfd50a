"""The border to the browser: a tree as one binary block.

Format: ASCII ``TPB1``; uint32 little-endian length H of a JSON header; the header, padded with spaces so that the data
begins at a multiple of 8; then the columns, little-endian, each at a multiple of 8. The header names the columns with
dtype, offset (bytes from the start of the data) and length (values), and holds the strings once. A column with nothing
but default values is left out. ``js/src/border.ts`` reads it.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

from tokprof.analysis.books import COST, METRICS, Books, books
from tokprof.analysis.rollup import Totals
from tokprof.analysis.tree import Tree
from tokprof.span import KINDS, SOURCES, STATUSES
from tokprof.table import Table
from tokprof.views.words import summary

NODE_KINDS = ("frame", *KINDS)
_NO_SOURCE = 255


class _Strings:
    def __init__(self) -> None:
        self.values: list[str] = []
        self._index: dict[str, int] = {}

    def index(self, text: str | None) -> int:
        if not text:
            return -1
        text = text[:500]
        found = self._index.get(text)
        if found is None:
            found = self._index[text] = len(self.values)
            self.values.append(text)
        return found


def describe(title: str, totals: Totals, truncated: bool = False) -> dict[str, Any]:
    """Say what a block is of: the ``meta`` of its header."""
    return {"title": title, "summary": summary(totals), "duration_s": totals.seconds, "truncated": truncated}


def pack(table: Table, tree: Tree, meta: dict[str, Any]) -> bytes:
    """Pack a tree in call order, one span a node at most.

    Parameters
    ----------
    table : Table
    tree : Tree
    meta : dict
        Goes into the header as it is; see `describe`.
    """
    strings = _Strings()
    n = len(tree)
    spans = [table.spans[rows[0]] if rows else None for rows in tree.rows]
    rows = [rows[0] if rows else -1 for rows in tree.rows]
    known = books(table)
    columns: dict[str, tuple[str, Any, Any]] = {
        "parent": ("i4", tree.parent, None),
        "name": ("i4", [strings.index(name or " ") for name in tree.name], None),
        "kind": ("u1", [NODE_KINDS.index(kind) for kind in tree.kind], None),
        "where": ("i4", [strings.index(where) for where in tree.where], -1),
        "model": ("i4", [strings.index((s.model or s.request_model) if s else None) for s in spans], -1),
        "status": ("u1", [STATUSES.index(s.status) if s else 0 for s in spans], 0),
        "source": ("u1", [_source(table, known, row) for row in rows], _NO_SOURCE),
        "row": ("i4", rows, -1),
        "start": ("f8", tree.start, 0.0),
        "duration": ("f8", tree.end - tree.start, 0.0),
        "ttft": ("f8", [(s.first_token - s.opened) / 1e9 if s and s.first_token else np.nan for s in spans], np.nan),
        "attempt": ("u1", [min(255, s.attempt or 0) if s else 0 for s in spans], 0),
        "http_status": ("u2", [s.http_status or 0 if s else 0 for s in spans], 0),
        "stream": ("u1", [int(bool(s and s.stream)) for s in spans], 0),
        "error": ("i4", [strings.index(s.error if s else None) for s in spans], -1),
    }
    for index, name in enumerate(METRICS):
        columns[name] = ("f8", tree.own[:, index], 0.0)
    costs = tree.own[:, COST].copy()
    costs[[row >= 0 and bool(known.unpriced[row]) for row in rows]] = np.nan
    columns["cost"] = ("f8", costs, 0.0)
    return _assemble(n, columns, strings.values, meta)


def _source(table: Table, known: Books, row: int) -> int:
    """Provenance of what a node adds to the sums: a refused request adds nothing, and leaves no doubt."""
    source = table.spans[row].source if row >= 0 and known.call[row] else None
    refused = source == "missing" and not known.unknown[row]
    return _NO_SOURCE if source is None or refused else SOURCES.index(source)


def _assemble(n: int, columns: dict[str, tuple[str, Any, Any]], strings: list[str], meta: dict[str, Any]) -> bytes:
    described: dict[str, dict[str, Any]] = {}
    parts: list[bytes] = []
    offset = 0
    for name, (dtype, values, default) in columns.items():
        array = np.asarray(values, dtype=f"<{dtype}")
        if default is not None and (np.isnan(array).all() if default != default else (array == default).all()):
            continue
        data = array.tobytes()
        described[name] = {"dtype": dtype, "offset": offset, "length": n}
        padding = -len(data) % 8
        parts.append(data + bytes(padding))
        offset += len(data) + padding
    header = {
        "version": 1,
        "nodes": n,
        "columns": described,
        "strings": strings,
        "kinds": NODE_KINDS,
        "statuses": STATUSES,
        "sources": SOURCES,
        "meta": meta,
    }
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    text += b" " * (-(8 + len(text)) % 8)
    return b"TPB1" + struct.pack("<I", len(text)) + text + b"".join(parts)
