"""What two texts have in common, to the letter, in time that is linear in their size.

Winnowing: of every `WINDOW` neighbouring hashes of `GRAM` characters the least one is a fingerprint, so that each
stretch of `LEAST` characters or more which two texts share has a fingerprint in both. Where fingerprints are equal, the
texts are compared to both sides, so that what is reported is equal text, and never a collision.

Schleimer, Wilkerson, Aiken: Winnowing: Local Algorithms for Document Fingerprinting. SIGMOD 2003,
https://doi.org/10.1145/872757.872770.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

GRAM = 16
"""Characters of what is hashed; shorter stretches are never looked at."""
WINDOW = 17
"""Neighbouring hashes of which one is kept."""
LEAST = GRAM + WINDOW - 1
"""Characters from which on a common stretch is always found, and below which none is reported."""

Codes = np.ndarray[Any, np.dtype[np.uint32]]
Hashes = np.ndarray[Any, np.dtype[np.uint64]]
Places = np.ndarray[Any, np.dtype[np.int64]]

_BLOCK = 1 << 16  # grams at a time: what is at work fits into a cache
_LOW = np.uint64((1 << 20) - 1)  # bits of a key that tell the place in a block
_MOST = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_BASE = 0x9E37_79B9_7F4A_7C15
_MIX = np.uint64(0xD6E8_FEB8_6659_FD93)
_NEAR = 16  # characters by which a match is extended one by one
_FARTHEST = 8192  # at most at once, farther on
_PAIR = r"\\+u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\+u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})"
_ESCAPE = re.compile(_PAIR + r"|\\+(?:u(?P<unit>[0-9a-fA-F]{4})|(?P<letter>[\"/bfnrt])|)")
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_SLASH = ord("\\")
_ESCAPED = np.array(sorted(map(ord, '"/bfnrt')), np.uint32)
_MEANT = np.array([ord(_LETTERS.get(chr(each), chr(each))) for each in _ESCAPED], np.uint32)


class Plain(NamedTuple):
    """A text without the escapes of JSON.

    Attributes
    ----------
    codes : uint32 array, shape (n,)
        Code points.
    places : int64 array, shape (n + 1,), or None
        Where each code point begins in the text, and where the text ends; None where that is its own index.
    """

    codes: Codes
    places: Places | None

    def place(self, at: int) -> int:
        """Index in the text of a code point, or of the end."""
        return at if self.places is None else int(self.places[at])

    def at(self, places: Places) -> list[int]:
        """Indices in the text of code points, or of the end."""
        found: list[int] = (places if self.places is None else self.places[places]).tolist()
        return found


def plain(text: str) -> Plain:
    r"""Undo the escapes of JSON, however often the text went into JSON.

    A run of backslashes, as long as it may be, and what it escapes are one character: ``\n``, ``\\n`` and ``\\\n`` are
    a newline, ``\"`` is a quotation mark. A run that escapes nothing is one backslash. The same text becomes the same
    wherever it stands; that a path such as ``C:\new`` is read as if it had a newline harms no comparison.
    """
    if "\\" not in text:
        return Plain(_codes(text), None)
    if "\\u" not in text:
        return _unescaped(_codes(text))
    pieces: list[str] = []
    escapes: list[int] = []  # index of each one in what is made, and how much shorter it is than what it stands for
    saved: list[int] = []
    at = length = 0
    for found in _ESCAPE.finditer(text):
        begin, end = found.span()
        pieces += (text[at:begin], _meant(found))
        length += begin - at + 1
        escapes.append(length)
        saved.append(end - begin - 1)
        at = end
    pieces.append(text[at:])
    codes = _codes("".join(pieces))
    places = np.arange(len(codes) + 1, dtype=np.int64)
    shifts = np.zeros(len(codes) + 2, np.int64)
    shifts[escapes] = saved
    return Plain(codes, places + np.cumsum(shifts)[:-1])


def _unescaped(codes: Codes) -> Plain:
    """Undo runs of backslashes, none of which is before four digits."""
    slash = codes == _SLASH
    begins = np.flatnonzero(slash & ~np.append(False, slash[:-1]))
    ends = np.flatnonzero(slash & ~np.append(slash[1:], False)) + 1
    after = np.append(codes, np.uint32(0))[ends]
    found = np.minimum(np.searchsorted(_ESCAPED, after), len(_ESCAPED) - 1)
    escapes = _ESCAPED[found] == after
    made, places = codes.copy(), np.arange(len(codes) + 1, dtype=np.int64)
    made[ends[escapes]] = _MEANT[found[escapes]]
    places[ends[escapes]] = begins[escapes]
    kept = np.append(~slash, True)
    kept[begins[~escapes]] = True
    return Plain(made[kept[:-1]], places[kept])


def _meant(found: re.Match[str]) -> str:
    if high := found["high"]:
        return chr(0x10000 + ((int(high, 16) & 0x3FF) << 10) + (int(found["low"], 16) & 0x3FF))
    if unit := found["unit"]:
        return chr(int(unit, 16))
    letter = found["letter"]
    return _LETTERS.get(letter, letter) if letter else "\\"


def _codes(text: str) -> Codes:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


class Prints(NamedTuple):
    """Fingerprints: hashes of the grams that were chosen, and where these begin, in ascending order."""

    hashes: Hashes
    places: Places


@dataclass(frozen=True)
class Shelf:
    """Texts one after the other.

    Attributes
    ----------
    codes : uint32 array
        Of all texts.
    begins : int64 array, shape (texts + 1,)
        Where each text begins, and where the last one ends.
    """

    codes: Codes
    begins: Places

    @classmethod
    def of(cls, texts: Sequence[Codes]) -> Shelf:
        """Put texts one after the other."""
        begins = np.array([0, *accumulate(map(len, texts))], np.int64)
        return cls(np.concatenate(texts) if texts else np.zeros(0, np.uint32), begins)

    def texts_at(self, places: Places) -> Places:
        """Which text holds each place."""
        return np.searchsorted(self.begins, places, side="right") - 1

    @cached_property
    def prints(self) -> Prints:
        """Fingerprints of all texts; no gram reaches from one text into the next."""
        grams = len(self.codes) - GRAM + 1
        found = [_winnowed(self, begin, grams) for begin in range(0, grams, _BLOCK)]
        if not found:
            return Prints(np.zeros(0, np.uint64), np.zeros(0, np.int64))
        places = np.concatenate([each.places for each in found])
        new = np.diff(places, prepend=-1) > 0  # blocks overlap
        return Prints(np.concatenate([each.hashes for each in found])[new], places[new])


def _winnowed(shelf: Shelf, begin: int, grams: int) -> Prints:
    """Fingerprints of the windows that begin in a block."""
    end = min(grams, begin + _BLOCK + WINDOW - 1)
    hashes = _hashed(shelf.codes[begin : end + GRAM - 1])
    mixed = (hashes ^ (hashes >> np.uint64(32))) * _MIX
    keys = (mixed & ~_LOW) | (_LOW - np.arange(len(hashes), dtype=np.uint64))  # of equal ones, the rightmost
    first, last = np.searchsorted(shelf.begins, (begin, end + GRAM))
    for back in range(1, GRAM):
        over = shelf.begins[first:last] - back - begin
        keys[over[(over >= 0) & (over < len(keys))]] = _MOST
    if end == grams:
        keys = np.concatenate([keys, np.full(WINDOW - 1, _MOST)])
    width = 1
    while width < WINDOW:
        step = min(width, WINDOW - width)
        keys = np.minimum(keys[:-step], keys[step:])
        width += step
    keys = keys[keys != _MOST]
    keys = keys[np.diff(keys, prepend=_MOST) != 0]
    places = (_LOW - (keys & _LOW)).astype(np.int64)
    return Prints(hashes[places], places + begin)


def _hashed(codes: Codes) -> Hashes:
    """Polynomial of each gram modulo 2**64, by doubling its length."""
    hashes = codes.astype(np.uint64)
    width, power = 1, _BASE
    while width < GRAM:
        hashes = hashes[:-width] * np.uint64(power) + hashes[width:]
        width, power = 2 * width, power * power & int(_MOST)
    return hashes


class Holders:
    """Who holds a fingerprint, and since when.

    Parameters
    ----------
    prints : Prints
    since : int64 array
        Time of each fingerprint, a whole number from 0 to 2**31.
    """

    def __init__(self, prints: Prints, since: Places):
        order = np.lexsort((since, prints.hashes))
        self._places = prints.places[order]
        hashes = prints.hashes[order]
        new = np.diff(hashes, prepend=~hashes[:1]) != 0
        self._hashes = hashes[new]
        self._first = np.append(np.flatnonzero(new), len(hashes))
        self._times = (np.cumsum(new) - 1 << 32) + since[order]

    def known(self, hashes: Hashes) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Whether anybody ever holds each fingerprint."""
        return self._hashes[self._group(hashes)] == hashes if len(self._hashes) else np.zeros(len(hashes), np.bool_)

    def _group(self, hashes: Hashes) -> Places:
        return np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)

    def newest(self, prints: Prints, until: Places, most: int) -> tuple[Places, Places]:
        """Pair fingerprints with the newest holders.

        Parameters
        ----------
        prints : Prints
        until : int64 array
            Time of each: later holders are left out.
        most : int
            Holders of each at most.

        Returns
        -------
        two int64 arrays
            Places of `prints`, and of what holds the same.
        """
        here = np.flatnonzero(self.known(prints.hashes))
        group = self._group(prints.hashes[here]) if len(here) else here
        last = np.searchsorted(self._times, (group << 32) + until[here], side="right") - 1
        found: list[tuple[Places, Places]] = []
        for back in range(most):
            there = last - back >= self._first[group]
            here, group, last = here[there], group[there], last[there]
            if not len(here):
                break
            found.append((prints.places[here], self._places[last - back]))
        none = np.zeros(0, np.int64)
        return tuple(np.concatenate(side) for side in zip((none, none), *found, strict=True))  # type: ignore[return-value]


class Matches(NamedTuple):
    """Equal stretches, as long as they can be: where they begin, there and here, and how long they are."""

    ours: Places
    theirs: Places
    lengths: Places


def matches(shelf: Shelf, ours: Places, theirs: Places, within: tuple[Places, Places] | None = None) -> Matches:
    """Find the equal stretches around pairs of grams.

    Parameters
    ----------
    shelf : Shelf
        The texts that both are in.
    ours, theirs : int64 arrays
        Where the grams of each pair begin; pairs whose grams differ are let go.
    within : two int64 arrays, optional
        Of each pair, between which places of ours it is looked for.

    Returns
    -------
    Matches
        Of `LEAST` characters or more, each once. None reaches beyond its text.
    """
    same = _equal(shelf.codes, ours, theirs)
    ours, theirs = ours[same], theirs[same]
    if not len(ours):
        return Matches(ours, theirs, ours)
    order = np.lexsort((ours, ours - theirs))
    ours, theirs = ours[order], theirs[order]
    low, high = (shelf.begins[:1], shelf.begins[-1:]) if within is None else (side[same][order] for side in within)
    mine, other = shelf.texts_at(ours), shelf.texts_at(theirs)
    along = (np.diff(ours - theirs) == 0) & (np.diff(mine) == 0) & (np.diff(other) == 0)
    joined = along & (np.diff(ours) <= GRAM)
    first = np.flatnonzero(np.append(True, ~joined))
    last = np.append(first[1:] - 1, len(ours) - 1)
    begin, end, mine, other = ours[first], ours[last] + GRAM, mine[first], other[first]
    apart = begin - theirs[first]
    neighbours = along[first[1:] - 1]
    # No further than the next pair with as much between the two texts: each character is compared once.
    gap = begin[1:] - end[:-1]
    right = np.minimum(shelf.begins[mine + 1] - end, shelf.begins[other + 1] - (end - apart))
    right = np.minimum(right, np.maximum((high if within is None else high[last]) - end, 0))
    right[:-1][neighbours] = np.minimum(right[:-1], gap)[neighbours]
    reached = _reach(shelf.codes, end, end - apart, right, 1)
    whole = np.append(False, neighbours & (reached[:-1] >= gap))
    left = np.minimum(begin - shelf.begins[mine], begin - apart - shelf.begins[other])
    left = np.minimum(left, np.maximum(begin - (low if within is None else low[first]), 0))
    left[whole] = 0
    begin = begin - _reach(shelf.codes, begin - 1, begin - apart - 1, left, -1)
    head = np.flatnonzero(~whole)
    tail = np.append(head[1:] - 1, len(begin) - 1)
    begin, end, apart = begin[head], (end + reached)[tail], apart[head]
    long = end - begin >= LEAST
    each = np.stack([begin, begin - apart, end - begin])[:, long]
    each = each[:, np.lexsort((each[1], each[0]))]
    return Matches(*each)


def _equal(codes: Codes, ours: Places, theirs: Places) -> np.ndarray[Any, np.dtype[np.bool_]]:
    same = np.ones(len(ours), np.bool_)
    for at in range(GRAM):
        same &= codes[ours + at] == codes[theirs + at]
    return same


def _reach(codes: Codes, ours: Places, theirs: Places, limits: Places, way: int) -> Places:
    """How many characters are equal from each pair of places on, at most `limits`; backwards where `way` is -1."""
    reached = np.zeros(len(ours), np.int64)
    active = np.flatnonzero(limits > 0)
    for at in range(_NEAR):  # most end soon
        if not len(active):
            return reached
        active = active[codes[ours[active] + way * at] == codes[theirs[active] + way * at]]
        reached[active] += 1
        active = active[limits[active] > at + 1]
    step = _NEAR
    while len(active):
        step = min(_FARTHEST, 4 * step)
        going = [_on(codes, part, ours, theirs, limits, way, reached, step) for part in _parts(active, step)]
        active = np.concatenate(going)
    return reached


def _parts(active: Places, step: int) -> list[Places]:
    size = max(1, (1 << 18) // step)
    return [active[at : at + size] for at in range(0, len(active), size)]


def _on(
    codes: Codes, active: Places, ours: Places, theirs: Places, limits: Places, way: int, reached: Places, step: int
) -> Places:
    """Go on by a step; returns those that were equal all along."""
    ahead = reached[active, None] + np.arange(step)
    inside = ahead < limits[active, None]
    ahead *= way
    a, b = ours[active, None] + ahead, theirs[active, None] + ahead
    differs = ~inside | (codes[np.where(inside, a, 0)] != codes[np.where(inside, b, 0)])
    stops = differs.any(axis=1)
    reached[active] += np.where(stops, differs.argmax(axis=1), step)
    going: Places = active[~stops]
    return going


def common(ours: str, theirs: str) -> list[tuple[int, int, int]]:
    """Find what two texts have in common, but for the escapes of JSON.

    Parameters
    ----------
    ours, theirs : str

    Returns
    -------
    list of (int, int, int)
        Begin in `ours`, begin in `theirs` and length in `ours` of each longest equal stretch of at least `LEAST`
        characters, in order.
    """
    mine, other = plain(ours), plain(theirs)
    shelf = Shelf.of([mine.codes, other.codes])
    cut = np.searchsorted(shelf.prints.places, shelf.begins[1])
    here, there = (Prints(shelf.prints.hashes[part], shelf.prints.places[part]) for part in _halves(int(cut)))
    never = np.zeros(len(there.places), np.int64)
    pairs = Holders(there, never).newest(here, np.zeros(len(here.places), np.int64), max(1, len(there.places)))
    found = matches(shelf, *pairs)
    theirs_at = found.theirs - shelf.begins[1]
    return [
        (mine.place(a), other.place(b), mine.place(a + n) - mine.place(a))
        for a, b, n in zip(found.ours.tolist(), theirs_at.tolist(), found.lengths.tolist(), strict=True)
    ]


def _halves(cut: int) -> tuple[slice, slice]:
    return slice(None, cut), slice(cut, None)
