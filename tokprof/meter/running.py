"""How many tokens have come of a stream that goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from tokprof.meter.body import aws_frames, feed_of, load
from tokprof.meter.parts import Texts
from tokprof.meter.stream import framing
from tokprof.meter.texts import absorb, answer
from tokprof.meter.tokenizers import count_all

_GROWN = 1.125  # times as much text as at the last count makes another one worth its time


class Running:
    """Counts the text of a stream as its pieces go by.

    Counted is seldom, by a tokenizer, and in between in proportion to the characters: `exact` counts now.

    Parameters
    ----------
    model : str or None
    operation : str
        As in ``Reading``.
    content_type, encoding : str
        Headers of the answer.

    Attributes
    ----------
    tokens : int
        So far; 0 for an answer that is no stream.
    whole : bool
        Whether the answer is no stream.
    """

    def __init__(self, model: str | None, operation: str, content_type: str, encoding: str):
        self.tokens = 0
        self.whole = False
        self._model, self._operation, self._content_type = model, operation, content_type
        names = (part.strip().lower() for part in encoding.split(","))
        self._feeds = [feed_of(name) for name in names if name not in ("", "identity")][::-1]
        self._frame = ""
        self._rest = b""
        self._texts = Texts()
        self._counted = self._size = 0

    def feed(self, data: bytes) -> int:
        """Take in a piece as it came over the wire; gives `tokens`."""
        with contextlib.suppress(Exception):  # what cannot be read is not counted
            self._take(self._decoded(data))
        return self.tokens

    def exact(self) -> int:
        """Count all of it; gives `tokens`."""
        with contextlib.suppress(Exception):
            self._count()
        return self.tokens

    def _decoded(self, data: bytes) -> bytes:
        if self._feeds and not self._frame and data.lstrip()[:5] in (b"data:", b"event"):
            self._feeds = []  # the library has decoded it, and kept the header
        for feed in self._feeds:
            data = feed(data) if feed is not None else b""
        return data

    def _take(self, data: bytes) -> None:
        if not data:
            return
        self._rest += data
        if not self._frame:
            self._frame = framing(self._content_type, self._rest)
        if self._frame == "json":
            self._take_array()
            return
        for event in self._events():
            if isinstance(event, dict):
                absorb(event, self._texts)
        size = self._texts.size
        if size >= self._size * _GROWN:
            self._count()
        elif self._size:
            self.tokens = max(self.tokens, round(self._counted * size / self._size))

    def _take_array(self) -> None:
        """Take in a stream that is one JSON array, which is read anew each time; one object is no stream."""
        self.whole = self._rest[:64].lstrip()[:1] == b"{"
        if not self.whole and len(self._rest) >= self._size * _GROWN:
            self._size = len(self._rest)
            self._texts = answer(self._rest, self._frame, self._operation)
            self.tokens = self._counted = count_all(self._texts.of(), self._model).tokens

    def _events(self) -> Iterator[Any]:
        if self._frame == "eventstream":
            end = 0
            for frame in aws_frames(self._rest):
                end = frame.offset + int.from_bytes(self._rest[frame.offset : frame.offset + 4], "big")
                yield load(frame.payload)
            self._rest = self._rest[end:]
            return
        whole, newline, self._rest = self._rest.rpartition(b"\n")
        for line in (whole + newline).splitlines():
            if self._frame == "sse":
                if line.startswith(b"data:"):
                    yield load(line[5:])
            elif line:
                yield load(line)

    def _count(self) -> None:
        if self._frame != "json":
            self._size = self._texts.size
            self._counted = count_all(self._texts.of(), self._model).tokens
            self.tokens = self._counted
