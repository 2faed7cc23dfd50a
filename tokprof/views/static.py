"""The snapshot that stays in a saved notebook: tables and a picture, no script.

The picture is an ``<img>`` data URI and the figures are plain tables, because sanitizers drop inline SVG and styles.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from tokprof.analysis.rollup import Totals, by
from tokprof.analysis.tree import Tree
from tokprof.table import Table
from tokprof.views import svg
from tokprof.views.words import clean, count, doubts, seconds, summary, tokens, usd

_ROWS = 8

# Class names of JupyterLab and Notebook 7. While the widget lives, the snapshot's row is hidden; where the widget is
# dead ("Error displaying widget") its row is.
HIDE = (
    "<style>"
    ".jp-OutputArea:has(.tokprof-live) .jp-OutputArea-child:has(.tokprof-static){display:none}"
    ".jp-OutputArea:has(.tokprof-static):not(:has(.tokprof-live)) .jp-OutputArea-child:has(>.jupyter-widgets)"
    "{display:none}"
    "</style>"
)


def render(title: str, table: Table, tree: Tree, totals: Totals) -> str:
    """Build the snapshot.

    Parameters
    ----------
    title : str
    table : Table
    tree : Tree
        Merged.
    totals : Totals
    """
    parts = [HIDE, '<div class="tokprof-static">', f"<p><b>{escape(clean(title))}</b> {_line(totals)}</p>"]
    if totals.calls:
        picture = base64.b64encode(svg.render(table, tree).encode()).decode()
        parts.append(
            f'<img alt="Flamegraph of the tokens of {escape(clean(title), quote=True)}; the tables below hold its '
            f'figures" src="data:image/svg+xml;base64,{picture}" style="width:100%;max-width:960px">'
        )
        parts.append(tables(table, totals))
    parts.append("</div>")
    return "".join(parts)


def tables(table: Table, totals: Totals) -> str:
    """The figures by function and by model, and what they leave out."""
    parts = [_grouped(table, "function", ["function", "cell", "line"]), _grouped(table, "model", ["model"])]
    return "".join(parts + [f"<p>{escape(sentence)}</p>" for sentence in doubts(totals)])


def _line(totals: Totals) -> str:
    return escape(" · ".join(summary(totals)))


def _grouped(table: Table, title: str, keys: Sequence[str]) -> str:
    groups = by(table, keys)
    rows = []
    for key, row in groups.head(_ROWS).iterrows():
        values = key if isinstance(key, tuple) else (key,)
        rows.append(
            [
                _name(values),
                *(
                    _known(row[name], row.unknown_calls)
                    for name in ("total_tokens", "input_tokens", "cache_read_tokens", "output_tokens")
                ),
                usd(row.cost) if row.cost else "",
                tokens(row.calls),
                seconds(row.duration_s),
            ]
        )
    head = [f"by {title}", "tokens", "input", "of it cached", "output", "cost", "calls", "time"]
    more = f"<p>… {count(len(groups) - _ROWS, 'more')}</p>".replace("mores", "more") if len(groups) > _ROWS else ""
    return _table(head, rows) + more


def _known(count: float, unknown_calls: int) -> str:
    """A sum, marked where calls are in it that did not tell theirs."""
    if not unknown_calls:
        return tokens(count)
    return f"≥ {tokens(count)}" if count else "?"


def _name(values: Sequence[object]) -> str:
    known = [value for value in values if not _nothing(value)]
    if len(values) == 1:
        return clean(str(known[0])) if known else "(unknown)"
    function, cell, line = values
    where = f"In[{cell}]:{line}" if not _nothing(cell) else "" if _nothing(line) else f"line {line}"
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
