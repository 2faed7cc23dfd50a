"""Names in files: whatever a program called its steps, the file stays valid."""

from __future__ import annotations

import re
from pathlib import Path

from tokprof.views.words import clean

LABEL = 200
"""Characters of a name where it is a label, not data."""

_INVALID = re.compile("[\x00\ud800-\udfff]")


def valid(text: str) -> str:
    """Give a text that every encoder takes: NUL and lone surrogates become U+FFFD, the rest stays."""
    if text.isascii() and "\0" not in text:  # as nearly all are, and an export asks millions of times
        return text
    return _INVALID.sub("\N{REPLACEMENT CHARACTER}", text)


def label(text: str, limit: int = LABEL) -> str:
    """Give a name in one line, without control and direction marks; never empty."""
    return clean(text.strip(), limit).strip() or "(no name)"


def written(content: str, path: str | Path | None) -> str:
    """Give the text, and write it where a path is given."""
    if path is not None:
        Path(path).write_bytes(content.encode("utf-8"))
    return content


def written_bytes(content: bytes, path: str | Path | None) -> bytes:
    """Give the bytes, and write them where a path is given."""
    if path is not None:
        Path(path).write_bytes(content)
    return content
