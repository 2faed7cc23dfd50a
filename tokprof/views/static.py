"""The snapshot that stays in a saved notebook: tables and a picture, no script.

The picture is an ``<img>`` data URI and the figures are plain tables, because sanitizers drop inline SVG and styles.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from tokprof.analysis.books import COST, EMBEDDING, FIGURES, TOKENS
from tokprof.analysis.rollup import Totals, grouped
from tokprof.analysis.tree import Tree
from tokprof.span import Frame
from tokprof.table import Table
from tokprof.views import svg
from tokprof.views.markup import unmathed
from tokprof.views.words import bounded, clean, doubts, seconds, summary, tokens, usd, usd_places

_ROWS = 8

# Class names of JupyterLab and Notebook 7. While the widget lives, the snapshot's row is hidden; where the widget is
# dead ("Error displaying widget") its row is. The views inside an interactive snapshot are no widgets.
_LIVE = ":has(.tokprof-live:not(.tokprof-static *))"
HIDE = (
    "<style>"
    f".jp-OutputArea{_LIVE} .jp-OutputArea-child:has(.tokprof-static){{display:none}}"
    f".jp-OutputArea:has(.tokprof-static):not({_LIVE}) .jp-OutputArea-child:has(>.jupyter-widgets){{display:none}}"
    "</style>"
)


def render(title: str, table: Table, tree: Tree, totals: Totals, marks: Sequence[str] = ()) -> str:
    """Build the snapshot.

    Parameters
    ----------
    title : str
    table : Table
    tree : Tree
        Merged.
    totals : Totals
    marks : sequence of str
        Where budgets were reached.
    """
    parts = [
        f"<p><b>{escape(clean(title))}</b> {_line(totals)}</p>",
        *(f"<p><b>■ {escape(clean(mark, 300))}</b></p>" for mark in marks),
        notes(totals),
    ]
    if totals.calls:
        picture = base64.b64encode(svg.render(table, tree).encode()).decode()
        parts.append(
            f'<img alt="Flamegraph of the tokens of {escape(clean(title), quote=True)}; the tables below hold its '
            f'figures" src="data:image/svg+xml;base64,{picture}" style="width:100%;max-width:960px">'
        )
        parts.append(_tables(table))
    return HIDE + unmathed("".join(parts), "tokprof-static")


def tables(table: Table, totals: Totals) -> str:
    """What the sums leave out, and the figures by function and by model."""
    return notes(totals) + _tables(table)


def notes(totals: Totals) -> str:
    """What the sums leave out; it stands under the headline."""
    return "".join(f"<p>{escape(sentence)}</p>" for sentence in doubts(totals))


def _tables(table: Table) -> str:
    return _grouped(table, "function", ["function", "cell", "file", "line"]) + _grouped(table, "model", ["model"])


def _line(totals: Totals) -> str:
    return escape(" · ".join(summary(totals)))


def _grouped(table: Table, title: str, keys: Sequence[str]) -> str:
    groups = grouped(table, keys)
    known, shown = groups.evidence, groups.frame.head(_ROWS)
    places = usd_places(shown["cost"])
    columns = _COLUMNS if known.tells(EMBEDDING) else _COLUMNS[:-1]
    rows = []
    for at, (key, row) in enumerate(shown.iterrows()):
        cells = [_name(key if isinstance(key, tuple) else (key,))]
        for _, name, column in columns:
            bound = known.bound(at, column)
            cells.append("?" if bound == "?" else bounded(tokens(row[name]), bound, " "))  # null has no figure
        if known.none(at, COST):
            cells.append("-")
        else:
            bound = known.bound(at, COST)
            cells.append("?" if bound == "?" else bounded(usd(row.cost, places), bound, " "))
        rows.append([*cells, tokens(row.calls), seconds(row.duration_s)])
    head = [f"by {title}", *(heading for heading, _, _ in columns), "cost", "calls", "time, summed"]
    hidden = len(groups.frame) - _ROWS
    return _table(head, rows) + (f"<p>… {hidden:,} more</p>" if hidden > 0 else "")


_COLUMNS = (
    ("tokens", "total_tokens", TOKENS),
    ("input", "input_tokens", FIGURES.index("input")),
    ("of it cached", "cache_read_tokens", FIGURES.index("cache_read")),
    ("output", "output_tokens", FIGURES.index("output")),
    ("embedding", "embedding_tokens", EMBEDDING),  # only where there are such calls
)


def _name(values: Sequence[object]) -> str:
    known = [value for value in values if not _nothing(value)]
    if len(values) == 1:
        return clean(str(known[0])) if known else "(unknown)"
    function, cell, file, line = values
    where = ""
    if not _nothing(line):
        where = clean(Frame("", str(file), int(str(line)), None if _nothing(cell) else int(str(cell))).where)
    name = "" if _nothing(function) or function == "<module>" else clean(str(function).rpartition("<locals>.")[2])
    return f"{name} {where}".strip() or "(no code of yours on the stack)"


def _nothing(value: object) -> bool:
    return value is None or type(value).__name__ == "NAType" or (isinstance(value, float) and bool(np.isnan(value)))


def _table(head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    body = "".join(
        "<tr>" + "".join(f"<td{'' if at == 0 else _RIGHT}>{escape(cell)}</td>" for at, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"


_RIGHT = ' style="text-align:right"'


def page(title: str, body: str) -> str:
    """A whole page without script around `body`; `title` is text."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{escape(title)}</title></head>'
        '<body style="font:14px/1.5 system-ui,sans-serif;margin:2rem;background:Canvas;color:CanvasText">'
        f"{body}</body></html>"
    )
