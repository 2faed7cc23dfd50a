"""The corpus: every hostile answer."""

from __future__ import annotations

from . import documents, packed, streams
from .case import Case

CASES: tuple[Case, ...] = (
    *documents.numbers(),
    *documents.places(),
    *documents.documents(),
    *documents.big(),
    *streams.streams(),
    *packed.encodings(),
    *packed.frames(),
)
