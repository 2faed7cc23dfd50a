"""What of a prompt was sent before: by the same piece in the prompt of an earlier call, or its beginning and end."""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections import defaultdict
from hashlib import blake2b

from tokprof.meter.parts import dump
from tokprof.meter.pieces import Piece

LEAST = 64
"""Characters of the shortest beginning or end that counts as sent before: others agree by chance."""

_KEPT = "previous_response_id"
_ID = re.compile(r'"id"\s*:\s*"([^"\\]{1,200})"')

Key = tuple[str, str, tuple[int, ...], bytes]


class Earlier:
    """The pieces of the prompts of earlier calls.

    A piece is known by who says it and by its text, without blanks at the ends: what a user says in one call is in the
    history of the next. Tools, pictures and files are known by all that was sent of them. What a provider keeps
    (``previous_response_id``) was sent before where an earlier call has the answer of that name.
    """

    def __init__(self) -> None:
        self._whole: set[Key] = set()
        # in order, so that those with the longest common beginning stand side by side; and those with the longest end
        self._texts: dict[str, list[str]] = defaultdict(list)
        self._turned: dict[str, list[str]] = defaultdict(list)

    def add(self, pieces: list[Piece], answer: str) -> None:
        """Take in the prompt of a call that has ended, and the name of its answer."""
        for piece in pieces:
            key = key_of(piece)
            if key in self._whole:
                continue
            self._whole.add(key)
            if _grows(piece):
                text = _normal(piece.text)
                insort(self._texts[piece.role], text)
                insort(self._turned[piece.role], text[::-1])
        if named := _ID.search(answer):
            self._whole.add((_KEPT, named[1], (), b""))

    def share(self, piece: Piece) -> float:
        """How much of a piece was sent before, from 0 to 1: all of it, or beginning and end in an earlier one."""
        if key_of(piece) in self._whole:
            return 1.0
        if not _grows(piece):
            return 0.0
        text = _normal(piece.text)
        near = {*_beside(self._texts[piece.role], text)}
        near |= {other[::-1] for other in _beside(self._turned[piece.role], text[::-1])}
        return max((_same(text, other) for other in near), default=0) / max(len(text), 1)


def key_of(piece: Piece) -> Key:
    """What a piece is known by."""
    thing = piece.thing
    if piece.label == _KEPT and isinstance(thing, str):
        return _KEPT, thing, (), b""
    seen = b"" if thing is None else blake2b(dump(thing).encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return piece.role or piece.part, _normal(piece.text), tuple(piece.ids), seen


def common(a: str, b: str) -> int:
    """Length of the common beginning of two texts."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _beside(texts: list[str], text: str) -> list[str]:
    at = bisect_left(texts, text)
    return texts[max(at - 1, 0) : at + 1]


def _same(text: str, other: str) -> int:
    """Characters at the beginning and at the end that another text has, too; short ones do not count."""
    first = common(text, other)
    last = common(text[first:][::-1], other[first:][::-1])
    return sum(each for each in (first, last) if each >= LEAST)


def _grows(piece: Piece) -> bool:
    """Whether a piece is a text that may have begun like another."""
    return bool(piece.role and piece.texts) and piece.thing is None


def _normal(text: str) -> str:
    return text.replace("\r\n", "\n").strip()
