"""CSV (RFC 4180): the columns of ``Profile.df``; stacks and tags are JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tokprof.export.rows import plain_columns
from tokprof.table import SCHEMA

if TYPE_CHECKING:
    from tokprof.profile import Profile


def render(profile: Profile, content: bool = False) -> str:
    """Give the table as CSV, with columns ``prompt`` and ``answer`` where the content is asked for."""
    import pandas as pd

    from tokprof.export.texts import valid

    table = profile.table
    columns = plain_columns(table)
    for name in ("stack", "tags"):
        columns[name] = [json.dumps(value, ensure_ascii=False) if value else None for value in columns[name]]
    for name in ("prompt", "answer") if content else ():
        texts = [(span.content or {}).get(name) for span in table.spans]
        columns[name] = [None if text is None else valid(text) for text in texts]
    frame = pd.DataFrame(columns, dtype=object, columns=[*SCHEMA, *list(columns)[len(SCHEMA) :]])
    # with this end of line both \r and \n within a value are quoted
    return frame.to_csv(index=False, lineterminator="\r\n")
