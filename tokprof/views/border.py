"""The border to the browser: a tree as one binary block.

Format: ASCII ``TPB1``; uint32 little-endian length H of a JSON header; the header, padded with spaces so that the data
begins at a multiple of 8; then the columns, little-endian, each at a multiple of 8. The header names the columns with
dtype, offset (bytes from the start of the data) and length (values), and holds the strings once. A column with nothing
but default values is left out. ``js/src/border.ts`` reads it.
"""

from __future__ import annotations

import json
import struct
from typing import Any, get_args

import numpy as np

from tokprof.analysis.books import COST, FIGURES, METRICS, Books, Floats, books
from tokprof.analysis.rollup import Totals
from tokprof.analysis.tree import Tree
from tokprof.span import KINDS, SOURCES, STATUSES, CostSource, Span
from tokprof.table import Table
from tokprof.views.portions import NAMES, portions
from tokprof.views.streams import streams
from tokprof.views.words import summary

NODE_KINDS = ("frame", *KINDS)
_NO_SOURCE = 255
_PRICED = {source: at for at, source in enumerate(get_args(CostSource), 1)}
_TAGS, _TAG = 20, 60  # tags of a span, and characters of each, that a view is given


class _Strings:
    def __init__(self) -> None:
        self.values: list[str] = []
        self._index: dict[str, int] = {}

    def index(self, text: str | None, limit: int = 500) -> int:
        if not text:
            return -1
        text = text[:limit]
        found = self._index.get(text)
        if found is None:
            found = self._index[text] = len(self.values)
            self.values.append(text)
        return found


def describe(title: str, totals: Totals, truncated: bool = False) -> dict[str, Any]:
    """Say what a block is of: the ``meta`` of its header."""
    return {"title": title, "summary": summary(totals), "duration_s": totals.seconds, "truncated": truncated}


def pack(table: Table, tree: Tree, meta: dict[str, Any], prompts: bool = False, flows: bool = False) -> bytes:
    """Pack a tree in call order, one span a node at most.

    Parameters
    ----------
    table : Table
    tree : Tree
    meta : dict
        Goes into the header as it is; see `describe`.
    prompts : bool
        Whether to add the parts of the prompts that were kept, unless the tree is truncated: columns ``segment_*``.
    flows : bool
        Whether to add which answers went into which prompts, where they were kept: columns ``flow_*``.
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
        "function": ("i4", [strings.index(s.stack[-1].function if s and s.stack else None) for s in spans], -1),
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
        "provider": ("i4", [strings.index(s.provider if s else None) for s in spans], -1),
        "tier": ("i4", [strings.index(s.service_tier if s else None) for s in spans], -1),
        "finish": ("i4", [strings.index(s.finish_reason if s else None) for s in spans], -1),
        "tags": ("i4", [strings.index(_tags(s), 2 * _TAGS * _TAG * 2) for s in spans], -1),
        "late": ("u1", [int(bool(s and s.late)) for s in spans], 0),
        "count": ("i4", _calls(known, tree), None),
        "priced": ("u1", [_PRICED.get(table.cost_sources[row] if row >= 0 else None, 0) for row in rows], 0),
    }
    columns["told"] = ("u1", _bits(tree.own_evidence.told), 0)
    columns["untold"] = ("u1", _bits(tree.own_evidence.untold), 0)
    parts = np.zeros((n, 4))
    shown = [node for node, row in enumerate(rows) if row >= 0 and known.call[row]]
    costs = np.nan_to_num(table.costs[[rows[node] for node in shown]])
    # of a step that sums up the calls below it, the share that they do not account for
    share = np.divide(tree.own[shown, COST], costs[:, 0], out=np.zeros(len(shown)), where=costs[:, 0] > 0)
    parts[shown] = costs[:, 1:] * share[:, None]
    for index, name in enumerate(("cost_input", "cost_output", "cost_cache_read", "cost_cache_write")):
        columns[name] = ("f8", parts[:, index], 0.0)
    for index, name in enumerate(METRICS):
        columns[name] = ("f8", tree.own[:, index], 0.0)
    costs = tree.own[:, COST].copy()
    costs[[row >= 0 and bool(known.unpriced[row]) for row in rows]] = np.nan
    columns["cost"] = ("f8", costs, 0.0)
    hits = [row >= 0 and bool(known.hit[row]) for row in rows]
    for name, values in (("saved", known.saved_tokens), ("saved_cost", known.saved[:, COST])):
        columns[name] = ("f8", [values[row] if hit else 0.0 for row, hit in zip(rows, hits, strict=True)], 0.0)
    if prompts and not meta.get("truncated"):
        columns |= portions(table, tree, rows, strings.index)
    if flows:
        columns |= streams(table, rows)
    return _assemble(n, columns, strings.values, meta)


def _calls(known: Books, tree: Tree) -> list[int]:
    """Calls that each node stands for itself; a leaf without a row is what `prune` left out, with all its calls."""
    inner = set(tree.parent)
    return [
        int(known.call[own[0]] * known.weight[own[0]]) if own else int(tree.calls[node]) * (node not in inner)
        for node, own in enumerate(tree.rows)
    ]


def _bits(calls: Floats) -> Any:
    """One bit a figure, in the order of `FIGURES`: whether any call has it."""
    return (calls > 0) @ (1 << np.arange(len(FIGURES)))


def _tags(span: Span | None) -> str | None:
    """Give a span's own tags as JSON; those of the spans around it are its parents' in the tree."""
    if span is None or not span.tags:
        return None
    short = {key[:_TAG]: value[:_TAG] for key, value in list(span.tags.items())[:_TAGS]}
    return json.dumps(short, ensure_ascii=False)


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
        described[name] = {"dtype": dtype, "offset": offset, "length": len(array)}
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
        "priced": ("", *get_args(CostSource)),
        **({"parts": NAMES} if "segment_part" in columns else {}),
        "meta": meta,
    }
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    text += b" " * (-(8 + len(text)) % 8)
    return b"TPB1" + struct.pack("<I", len(text)) + text + b"".join(parts)
