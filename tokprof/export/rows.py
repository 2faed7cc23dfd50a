"""The span table as plain values: what CSV, JSON lines and Parquet are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokprof.export.texts import valid
from tokprof.table import SCHEMA, Table

if TYPE_CHECKING:
    import pandas as pd

TEXTS = tuple(name for name, dtype in SCHEMA.items() if dtype == "object" and name not in ("stack", "tags"))
"""Columns whose values are texts or null."""


def plain_frame(table: Table) -> pd.DataFrame:
    """Give the DataFrame of a table with texts that can be encoded, stacks as lists of text and tags as plain dicts."""
    import pandas as pd

    frame = table.frame()
    for name in TEXTS:
        texts = [None if value is None else valid(str(value)) for value in frame[name]]
        frame[name] = pd.Series(texts, dtype=object)
    stacks: dict[int, list[str]] = {}
    for span in table.spans:
        if id(span.stack) not in stacks:
            stacks[id(span.stack)] = [valid(repr(frame)) for frame in span.stack]
    frame["stack"] = _objects([stacks[id(span.stack)] for span in table.spans])
    frame["tags"] = _objects([{valid(key): valid(value) for key, value in tags.items()} for tags in table.tags()])
    return frame


def plain_columns(table: Table) -> dict[str, list[Any]]:
    """Give the columns as lists of what JSON knows; times as ISO 8601 with nanoseconds, unknown as None."""
    frame = plain_frame(table)
    columns: dict[str, list[Any]] = {}
    for name, dtype in SCHEMA.items():
        column = frame[name]
        if dtype in ("Int64", "boolean"):
            columns[name] = column.array.to_numpy(dtype=object, na_value=None).tolist()
        elif dtype == "float64":
            columns[name] = [None if value != value else value for value in column.tolist()]
        elif name == "start":
            columns[name] = [_iso(span.start) for span in table.spans]
        else:
            columns[name] = column.tolist()
    return columns


def _iso(start: int) -> str:
    import numpy as np

    return f"{np.datetime64(start, 'ns')}Z"


def _objects(values: list[Any]) -> Any:
    """One object a row: pandas would take lists apart."""
    import numpy as np
    import pandas as pd

    column = np.empty(len(values), object)
    for row, value in enumerate(values):
        column[row] = value
    return pd.Series(column, dtype=object)
