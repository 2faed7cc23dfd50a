"""The span table as an Arrow table: what Parquet, polars, DuckDB and their kin read."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tokprof.export.rows import plain_frame
from tokprof.table import SCHEMA, Table

if TYPE_CHECKING:
    import pyarrow


def arrow(table: Table, **more: list[str]) -> pyarrow.Table:
    """Give a table as Arrow.

    Parameters
    ----------
    table : Table
    **more : list of str
        Further columns of texts.

    Returns
    -------
    pyarrow.Table
        The columns of `tokprof.table.SCHEMA`: whole numbers ``int64``, tokens null where unknown; times ``timestamp[ns,
        UTC]``; stacks lists of ``function (place)``, outermost first; tags a map.
    """
    import pandas as pd
    import pyarrow as pa

    types = {"Int64": pa.int64(), "boolean": pa.bool_(), "float64": pa.float64(), "object": pa.string()}
    special = {
        "start": pa.timestamp("ns", "UTC"),
        "stack": pa.list_(pa.string()),
        "tags": pa.map_(pa.string(), pa.string()),
    }
    fields = [pa.field(name, special.get(name) or types[dtype]) for name, dtype in SCHEMA.items()]
    frame = plain_frame(table)
    frame["tags"] = pd.Series([list(tags.items()) for tags in frame["tags"]], dtype=object)
    for name, texts in more.items():
        frame[name] = pd.Series(texts, dtype=object)
        fields.append(pa.field(name, pa.string()))
    return pa.Table.from_pandas(frame, pa.schema(fields), preserve_index=False)


def needed(module: str, what: str, instead: str = "") -> Any:
    """Import what tokprof does without.

    Raises
    ------
    ImportError
        Where it is not installed, with what to do.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(f"{what} needs {package}: pip install {package}{instead}") from error
