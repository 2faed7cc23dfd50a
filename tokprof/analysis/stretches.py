"""Which answer each stretch of a prompt came from.

Of all stretches that a text of a prompt has in common with earlier answers, and with what earlier prompts said of their
own, the longest comes first; of equally long ones, that of the answer which ended last. What is left of the others
follows, as long as it is `LEAST` characters. So each character has one source at most:

- The nearest answer, where one quotes another and both hold all that came back; the longer one, where not.
- No answer, where an earlier prompt said a stretch that is longer by `MARGIN` or more: that is a template, or a
  document that the program shows to several calls, though an answer may quote some of it.
- No answer either, where an earlier prompt said it at about the same length, and the call that answered it was not
  asked with it: both have it from elsewhere. Where it was, the answer passes it on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tokprof.analysis.fingerprints import LEAST, Holders, Matches, Places, Prints, Shelf, matches, plain

MARGIN = 16
"""Characters by which what a prompt said must be longer than what an answer did: words around it may be alike."""
NEARLY = MARGIN // 2
"""Characters at either end that do not count where a stretch is said to be the same."""
NEWEST = 4
"""Answers with the same fingerprint that are looked at, the newest ones: boilerplate costs no more than text."""


class Said(NamedTuple):
    """A text, and when it was said.

    Attributes
    ----------
    text : str
    when : int
        Of a text of a prompt, when it was first sent; of an answer, when it had come. Answers are known to prompts of
        the same time.
    """

    text: str
    when: int


class Stretch(NamedTuple):
    """Equal text.

    Attributes
    ----------
    begin, end : int
        In the prompt's text.
    answer : int
        Which answer it came from.
    start : int
        In the answer's text.
    size : int
        Characters in the answer: other than in the prompt where escapes of JSON stand in only one of them.
    """

    begin: int
    end: int
    answer: int
    start: int
    size: int


class _Matches(NamedTuple):
    """What a text has in common with others, each column an array."""

    begin: Places
    end: Places
    other: Places
    start: Places
    when: Places

    def take(self, which: Any) -> _Matches:
        return _Matches(*(column[which] for column in self))


Flags = np.ndarray[Any, np.dtype[np.bool_]]

_NOBODY, _ANSWER = 1, 2  # whose each character is: the program's own, or an answer's; 0 as long as it is nobody's
_FREE_RUN = re.compile(rb"\0+")
_OWN_RUN = re.compile(rb"[\0\1]+")


def stretches(
    prompts: Sequence[Said], answers: Sequence[Said], asked: Callable[[int, str], bool]
) -> list[list[Stretch]]:
    """Find where each text of a prompt came from.

    Parameters
    ----------
    prompts : sequence of Said
        Each text once, in the order in which they were first sent.
    answers : sequence of Said
    asked : callable
        Whether the call that gave an answer had a text in its own prompt.

    Returns
    -------
    list of list of Stretch
        Of each text of a prompt, in order, none over another.
    """
    if not prompts or not answers:
        return [[] for _ in prompts]
    plains = [plain(each.text) for each in (*prompts, *answers)]
    shelf = Shelf.of([each.codes for each in plains])
    when = np.unique([each.when for each in (*prompts, *answers)], return_inverse=True)[1].astype(np.int64)
    cut = int(np.searchsorted(shelf.prints.places, shelf.begins[len(prompts)]))
    asked_for = Prints(shelf.prints.hashes[:cut], shelf.prints.places[:cut])
    given = Prints(shelf.prints.hashes[cut:], shelf.prints.places[cut:])
    until = when[shelf.texts_at(asked_for.places)]
    pairs = Holders(given, when[shelf.texts_at(given.places)]).newest(asked_for, until, NEWEST)
    from_answers = matches(shelf, *pairs)
    from_prompts = _own(shelf, asked_for, from_answers, len(prompts))
    candidates = _by_text(shelf, from_answers, when, len(prompts))
    own = _by_text(shelf, from_prompts, when, len(prompts))
    painted: dict[int, bytearray] = {}
    known: dict[tuple[int, str], bool] = {}
    found: list[list[Stretch]] = [[] for _ in prompts]
    for text, wanted in candidates.items():
        mine = own.get(text)
        here = plains[text]
        if mine is not None:
            mine = _unpainted(mine, painted)
            covered = _covered(wanted, mine)
            which = np.flatnonzero(covered)
            begins, ends = here.at(wanted.begin[which] + NEARLY), here.at(wanted.end[which] - NEARLY)
            for at, begin, end, other in zip(which.tolist(), begins, ends, wanted.other[which].tolist(), strict=True):
                key = (other - len(prompts), prompts[text].text[begin:end])
                if (passed := known.get(key)) is None:
                    known[key] = passed = asked(*key)
                covered[at] = not passed
            wanted = wanted.take(~covered)
        painted[text] = paint = bytearray(len(here.codes))
        wanted = _longest(wanted)
        others, starts, firsts = wanted.other.tolist(), wanted.start.tolist(), wanted.begin.tolist()
        for begin, end, at in _chosen(wanted, mine, paint):
            other, start = others[at], starts[at] + begin - firsts[at]
            there = plains[other]
            place, size = there.place(start), there.place(start + end - begin) - there.place(start)
            found[text].append(Stretch(here.place(begin), here.place(end), other - len(prompts), place, size))
    return found


def _own(shelf: Shelf, prints: Prints, found: Matches, prompts: int) -> Matches:
    """Stretches that stood in earlier prompts, where prompts have something in common with answers."""
    steps = np.zeros(len(shelf.codes) + 1, np.int32)
    np.add.at(steps, found.ours, 1)
    np.add.at(steps, found.ours + found.lengths, -1)
    shared = np.cumsum(steps, out=steps) > 0
    edges = np.flatnonzero(np.diff(shared, prepend=False))
    inside = shared[prints.places]
    query = Prints(prints.hashes[inside], prints.places[inside])
    known = np.unique(query.hashes)
    if not len(known):
        return found
    at = np.minimum(np.searchsorted(known, prints.hashes), len(known) - 1)
    alike = np.flatnonzero(known[at] == prints.hashes)
    first = np.full(len(known), len(shelf.codes), np.int64)
    np.minimum.at(first, at[alike], prints.places[alike])
    theirs = first[np.searchsorted(known, query.hashes)]
    earlier = shelf.texts_at(theirs) < shelf.texts_at(query.places)
    ours = query.places[earlier]
    # No further than it may matter: of a prompt that grows, each part stood in another one with all before it.
    around = np.searchsorted(edges, ours, side="right")
    return matches(shelf, ours, theirs[earlier], (edges[around - 1] - MARGIN, edges[around] + MARGIN))


def _by_text(shelf: Shelf, found: Matches, when: Places, prompts: int) -> dict[int, _Matches]:
    """Matches of each text of a prompt, in the order of the texts."""
    mine, other = shelf.texts_at(found.ours), shelf.texts_at(found.theirs)
    begin, start = found.ours - shelf.begins[mine], found.theirs - shelf.begins[other]
    whole = _Matches(begin, begin + found.lengths, other, start, when[other])
    order = np.argsort(mine, kind="stable")
    cuts = np.searchsorted(mine[order], np.arange(prompts + 1))
    return {text: whole.take(order[cuts[text] : cuts[text + 1]]) for text in np.flatnonzero(np.diff(cuts)).tolist()}


def _unpainted(own: _Matches, painted: dict[int, bytearray]) -> _Matches:
    """Those parts of what earlier prompts said that these had from no answer."""
    parts: list[tuple[int, int, int]] = []
    for at, (begin, end, other, start) in enumerate(zip(*(column.tolist() for column in own[:4]), strict=True)):
        paint = painted.get(other)
        if paint is None:
            parts.append((at, begin, end))
            continue
        away = begin - start
        runs = (run.span() for run in _OWN_RUN.finditer(paint, start, end - away))
        parts += [(at, a + away, b + away) for a, b in runs if b - a >= LEAST]
    which, begins, ends = np.array(parts, np.int64).reshape(-1, 3).T
    left = own.take(which)
    return left._replace(begin=begins, end=ends, start=left.start + begins - left.begin)


def _covered(wanted: _Matches, own: _Matches) -> Flags:
    """Whether each match lies inside of one of others, but for its ends."""
    order = np.argsort(own.begin, kind="stable")
    farthest = np.append(0, np.maximum.accumulate(own.end[order]))
    covered: Flags = (
        farthest[np.searchsorted(own.begin[order], wanted.begin + NEARLY, side="right")] >= wanted.end - NEARLY
    )
    return covered


def _longest(wanted: _Matches) -> _Matches:
    """Without those that lie inside of a longer one, or of one as long of a newer answer."""
    wanted = wanted.take(np.lexsort((-wanted.when, -wanted.end, wanted.begin)))
    before = np.append(-1, np.maximum.accumulate(wanted.end)[:-1]) if len(wanted.end) else wanted.end
    return wanted.take(wanted.end > before)


def _chosen(wanted: _Matches, own: _Matches | None, paint: bytearray) -> list[tuple[int, int, int]]:
    """Give each character its source; returns the parts that answers have, in order, with the match of each."""
    parts: list[tuple[int, int, int]] = []
    ranked = _ranked(wanted, MARGIN, False) + ([] if own is None else _ranked(own, 0, True))
    for weight, theirs, _, at, begin in sorted(ranked, reverse=True):
        end = begin + weight - (0 if theirs else MARGIN)
        for a, b in [run.span() for run in _FREE_RUN.finditer(paint, begin, end)]:
            if theirs:
                paint[a:b] = bytes([_NOBODY]) * (b - a)
            elif b - a >= LEAST:
                paint[a:b] = bytes([_ANSWER]) * (b - a)
                parts.append((a, b, at))
    return sorted(parts)


def _ranked(found: _Matches, bonus: int, own: bool) -> list[tuple[int, bool, int, int, int]]:
    weights = (found.end - found.begin + bonus).tolist()
    return [
        (weight, own, when, at, begin)
        for at, (weight, when, begin) in enumerate(zip(weights, found.when.tolist(), found.begin.tolist(), strict=True))
    ]
