"""What two texts have in common: all of it, and nothing that is not equal."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tokprof.analysis.fingerprints import LEAST, WINDOW, Shelf, common, matches, plain

LETTERS = st.text("ab", max_size=80)
ANY = st.text(st.characters(codec="utf-8"), max_size=80)


def undone(text: str) -> str:
    return "".join(map(chr, plain(text).codes.tolist()))


def longest_common(ours: str, theirs: str) -> set[tuple[int, int, int]]:
    """Every longest common stretch of at least LEAST characters, by comparing everything with everything."""
    found = set()
    for i in range(len(ours)):
        for j in range(len(theirs)):
            if i and j and ours[i - 1] == theirs[j - 1]:
                continue
            n = 0
            while i + n < len(ours) and j + n < len(theirs) and ours[i + n] == theirs[j + n]:
                n += 1
            if n >= LEAST:
                found.add((i, j, n))
    return found


@settings(max_examples=150, deadline=None)
@given(LETTERS, st.text("abc", min_size=20, max_size=70), LETTERS, LETTERS, LETTERS)
def test_every_common_stretch_is_found_and_nothing_else(a: str, shared: str, b: str, c: str, d: str) -> None:
    ours, theirs = a + shared + b, c + shared + d
    found = common(ours, theirs)
    assert len(found) == len(set(found))
    assert set(found) == longest_common(ours, theirs)


@settings(max_examples=150, deadline=None)
@given(ANY, st.text(st.characters(codec="utf-8"), min_size=LEAST, max_size=120), ANY, st.integers(0, 3))
def test_what_json_has_escaped_is_found_however_often(before: str, shared: str, after: str, times: int) -> None:
    escaped = shared
    for _ in range(times):
        escaped = json.dumps(escaped)[1:-1]
    found = common(before + "|" + escaped + "|" + after, shared)
    if "\\" not in before + shared + after:
        assert any(begin <= len(before) + 1 and place == 0 for begin, place, _ in found)
    for begin, place, length in found:
        ours = (before + "|" + escaped + "|" + after)[begin : begin + length]
        assert undone(ours) == undone(shared)[place : place + len(undone(ours))] or "\\" in shared


def test_positions_are_those_of_the_text_as_it_stands() -> None:
    said = 'He said "no", and\nthen\tleft for Zürich 😀 at once, without a word.'
    nested = json.dumps({"arguments": json.dumps({"quote": said})})
    ((begin, place, length),) = common(nested, said)
    assert place == 0 and nested[begin : begin + length] == json.dumps(json.dumps(said)[1:-1])[1:-1]
    ((begin, place, length),) = common(said, nested)
    assert (begin, length) == (0, len(said)) and undone(nested[place:]).startswith(said)


def test_edits_split_a_stretch() -> None:
    left, right = "The first half is long enough to be found, ", "and so is the second half, which follows it."
    found = common(left + "CHANGED;" + right, left + right)
    assert (0, 0, len(left)) in found and (len(left) + len("CHANGED;"), len(left), len(right)) in found


def test_short_stretches_are_left_alone() -> None:
    shared = "x" + "".join(map(chr, range(97, 97 + 26)))
    assert common("1" + shared + "2", "3" + shared + "4") == []
    assert common("", "") == common("a", "") == []


def test_no_stretch_reaches_from_one_text_into_the_next() -> None:
    text = "".join(map(chr, range(200, 260)))
    codes = plain(text).codes
    shelf = Shelf.of([codes[:20], codes[20:], codes])
    found = matches(shelf, np.array([0, 20, 25]), np.array([60, 80, 85]))
    assert found.ours.tolist() == [20] and found.lengths.tolist() == [40]  # twenty characters are too few
    assert matches(shelf, np.array([0]), np.array([1])).ours.tolist() == []  # no equal text


def test_of_many_neighbours_one_is_kept() -> None:
    noise = np.random.default_rng(0).integers(32, 127, 200_000).astype(np.uint32)
    places = Shelf.of([noise]).prints.places
    assert np.diff(places).max() <= WINDOW and len(places) < 2.2 * len(noise) / (WINDOW + 1)
