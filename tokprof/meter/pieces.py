"""A prompt taken apart: what each piece of it is, as the one walk of the request has found it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tokprof.meter.parts import Mark
from tokprof.meter.prompts import Asked
from tokprof.meter.schemas import as_json

Place = tuple[Any, ...]

PARTS = ("tools", "format", "system", "history", "file", "tool result", "image", "audio", "user", "frame")
"""What a piece of a prompt can be; the frame is what the provider adds to the texts."""

# providers put what stays the same first: tools, then the format of the answer, system prompts, what they keep, turns
_FIRST = ("tools", "format", "system", "systemInstruction", "system_instruction", "instructions", "preamble")
_BEFORE = ("previous_response_id", "conversation", "conversation_id", "cachedContent", "context", "documents")
_TURNS = ("chat_history", "messages", "contents", "input")
_ORDER = {name: at for at, name in enumerate((*_FIRST, *_BEFORE, *_TURNS))}
_SAID = frozenset({"system", "developer", "user", "assistant"})
_CALL = frozenset({"name", "arguments"})
_MEDIA = frozenset({"image", "audio", "file"})
_YOU = Mark("user")


class Piece(NamedTuple):
    """A piece of a prompt.

    Attributes
    ----------
    part : str
        One of `PARTS`; of what was said before the last turn of the user, ``history``.
    label : str
        Name of a tool, else its place in the request: ``system``, ``messages[3]``.
    role : str
        Who speaks: ``system``, ``developer``, ``user``, ``assistant``, ``tool`` (a result), ``tool call``, or a role of
        the program's own; "" for what nobody says.
    texts : tuple of str
        Each counted for itself.
    ids : sequence of int
        What came as token ids.
    thing : object
        What has tokens that the text does not show; None where there is no such thing.
    """

    part: str
    label: str
    role: str
    texts: tuple[str, ...] = ()
    ids: Sequence[int] = ()
    thing: object = None

    @property
    def text(self) -> str:
        """The texts as one."""
        return self.texts[0] if len(self.texts) == 1 else "".join(self.texts)


def pieces(prompt: Asked) -> list[Piece]:
    """Take a prompt apart.

    Parameters
    ----------
    prompt : Asked

    Returns
    -------
    list of Piece
        In the order in which providers read them: tools, format of the answer, system prompts, what is kept of earlier
        turns, and the turns. A turn of the user ends where another speaks.
    """
    read = prompt.read
    texts: dict[Place, list[str]] = {}
    for (kind, *rest), found in read.pieces.items():
        place = _marked(tuple(rest), read.marks)
        if kind in _CALL and _speaker(place, read.marks) != "tool result":
            place = (*rest, "call")
        texts.setdefault(place, []).append("".join(found))
    hidden = (place for place, mark in read.marks.items() if mark.thing is not None)
    places = sorted(dict.fromkeys((*texts, *read.ids, *hidden)), key=_rank)
    asking = _last_turn(places, {_turn(place) for place in places if _speaker(place, read.marks) == "user"})
    offered = [Piece("tools", tool.name, "", (as_json([tool]),)) for tool in prompt.tools]
    said = [_piece(place, read.marks, texts.get(place, ()), read.ids.get(place, ()), asking) for place in places]
    return [*offered, *said]


def _turn(place: Place) -> Place:
    """The message that a place is in, or the member of the request."""
    return place[:2] if place[0] in _TURNS else place[:1]


def _rank(place: Place) -> tuple[int, int]:
    at = place[1] if place[0] in _TURNS and len(place) > 1 else 0
    return _ORDER.get(place[0], len(_ORDER)), at


def _last_turn(places: list[Place], users: set[Place]) -> set[Place]:
    """The last turn of the user: all that the user says without another in between."""
    last: set[Place] = set()
    for turn in reversed(dict.fromkeys(map(_turn, places))):
        if turn in users:
            last.add(turn)
        elif last:
            break
    return last


def _marked(place: Place, marks: dict[Place, Mark]) -> Place:
    """The innermost place around one that is marked."""
    while place not in marks and len(place) > 1:
        place = place[:-1]
    return place


def _speaker(place: Place, marks: dict[Place, Mark]) -> str:
    """Who speaks at a place: of a picture or a file, whoever sent it."""
    while place := _marked(place, marks):
        part = marks.get(place, _YOU).part
        if part not in _MEDIA:
            return part
        place = place[:-1]
    return _YOU.part


def _piece(
    place: Place, marks: dict[Place, Mark], texts: Sequence[str], ids: Sequence[int], asking: set[Place]
) -> Piece:
    turn, speaker = _turn(place), _speaker(place, marks)
    where = f"{turn[0]}[{turn[1]}]" if len(turn) > 1 else str(turn[0])
    if place[-1] == "call":
        return Piece("history", texts[0] if len(texts) > 1 else where, "tool call", tuple(texts))
    part, label, thing = marks.get(_marked(place, marks), _YOU)
    role = "tool" if speaker == "tool result" else "" if speaker in PARTS and speaker not in _SAID else speaker
    if part in ("system", "developer"):
        part = "system"
    elif part == "user":
        part = "user" if turn in asking else "history"
    elif part not in PARTS:
        part = "history"
    return Piece(part, label or where, role, tuple(texts), ids, thing)
