"""Where information went: whose answers came back in whose prompts, and how many tokens they were there.

Only where prompts and answers were kept whole (``capture="full"``). What a message of a prompt came from is found in
this order:

1. An assistant's turn that was sent again is the answer of the call that was asked with all the turns before it; else
   of the call that gave the tool call its id; else of the last one that had answered just this by then.
2. The result of a tool belongs to the tool, by the id of its call or, where there is none, by its name and place.
3. Any stretch of text that an earlier answer has as well, in a tool's result too, came from that answer, as told in
   `tokprof.analysis.stretches`.

A message that is sent again, in the next prompt of a conversation, has the sources that it had at first. An answer can
have gone only into calls that began when it had ended.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from tokprof.analysis.books import embeds
from tokprof.analysis.findings import Calls
from tokprof.analysis.fingerprints import LEAST
from tokprof.analysis.stretches import Said, Stretch, stretches
from tokprof.analysis.toolruns import ToolRuns
from tokprof.analysis.turns import Answered, Dialogue, Piece, Turn, answered, dialogue, pieces_of
from tokprof.span import Span
from tokprof.table import Table

if TYPE_CHECKING:
    import pandas as pd


class Flow(NamedTuple):
    """What went from one span to another.

    Attributes
    ----------
    source, target : int
        Rows of the table.
    via : str
        ``history``, ``tool`` or ``text``.
    tool : str or None
        Name of the tool that it went through.
    characters : int
        In the prompt of the target; of a tool's arguments, in the answer of the source.
    tokens : int or None
        None where the target's input is not known.
    share : float
        Of the answer's characters, those that came back, each counted once; NaN for what is no text of an answer.
    positions : tuple of (int, int, int)
        Begin in the answer, begin in the prompt, and length in the prompt, of each stretch of the answer.
    """

    source: int
    target: int
    via: str
    tool: str | None
    characters: int
    tokens: int | None
    share: float
    positions: tuple[tuple[int, int, int], ...]


@dataclass(slots=True)
class _Call:
    row: int
    span: Span
    prompt: Dialogue | None
    said: Answered
    asked: int = 0  # places in the order in which prompts were sent and answers came to their end
    ended: int | None = None


@dataclass(slots=True)
class _Edge:
    parts: list[tuple[int, int, int, int]] = field(default_factory=list)  # start, place, length, length in the answer
    characters: int = 0


class _Key(NamedTuple):
    source: int
    target: int
    via: str
    tool: str | None
    quoted: bool  # whether it is text of the source's answer


_known: WeakKeyDictionary[Table, tuple[list[Flow], int]] = WeakKeyDictionary()


def flow(table: Table) -> pd.DataFrame:
    """Find which answers came back in which prompts.

    Parameters
    ----------
    table : Table

    Returns
    -------
    pandas.DataFrame
        One row for each source, target and way, in order of time. ``source`` and ``target`` (span ids), ``source_name``
        and ``target_name``; ``via``: ``history`` (an assistant's turn that was sent again), ``tool`` (the result of a
        tool, or a tool's call) or ``text`` (anywhere else); ``tool``: its name; ``characters``; ``tokens`` (null where
        not known); ``share`` of the answer, from 0 to 1, NaN for the result of a tool; ``positions``: tuples of (begin
        in the answer, begin in the prompt, length).

        Characters of the prompt, as a share of all of them, give the tokens of the target's reported input; all that
        came from one answer is never more than that answer's output tokens. The result of a tool goes from the tool,
        where a step of kind ``tool`` with its name ran in between, else from the call that asked for it.
        ``attrs["unread_calls"]``: calls of language models whose prompt was not kept.
    """
    import pandas as pd

    found, unread = flows(table)
    ids = table.frame(["span_id"])["span_id"].to_numpy()
    names = [span.name for span in table.spans]
    columns = {name: [getattr(each, name) for each in found] for name in Flow._fields}
    frame = pd.DataFrame(
        {
            "source": ids[columns["source"]] if found else np.array([], object),
            "target": ids[columns["target"]] if found else np.array([], object),
            "source_name": np.array([names[row] for row in columns["source"]], object),
            "target_name": np.array([names[row] for row in columns["target"]], object),
            "via": np.array(columns["via"], object),
            "tool": pd.Series(columns["tool"], dtype=object),
            "characters": np.array(columns["characters"], np.int64),
            "tokens": pd.array(columns["tokens"], dtype="Int64"),
            "share": np.array(columns["share"], np.float64),
            "positions": pd.Series(columns["positions"], dtype=object),
        }
    )
    frame.attrs["unread_calls"] = unread
    return frame


def flows(table: Table) -> tuple[list[Flow], int]:
    """Find flows, in order of their targets, and count the calls of language models whose prompt was not kept."""
    if (known := _known.get(table)) is not None:
        return known
    spans = [(row, table.spans[row]) for row in Calls(table).rows]
    calls = [_Call(row, span, dialogue(span), answered(span)) for row, span in spans]
    unread = sum(call.prompt is None and not embeds(call.span) for call in calls)
    if not any(call.prompt for call in calls):
        return [], unread
    _put_in_order(calls)
    _known[table] = found = _Finder(table, calls).find(), unread
    return found


def _put_in_order(calls: list[_Call]) -> None:
    """Number the prompts and answers as they came; of what came in the same tick, by the order of the rows."""
    events = [(call.span.opened, call.row, 0, call) for call in calls]
    events += [(call.span.closed, call.row, 1, call) for call in calls if call.span.closed is not None]
    events.sort(key=lambda event: event[:3])
    for at, (_, _, answer, call) in enumerate(events):
        if answer:
            call.ended = at
        else:
            call.asked = at


class _Finder:
    def __init__(self, table: Table, calls: list[_Call]):
        self.table = table
        self.calls = calls
        self.edges: defaultdict[_Key, _Edge] = defaultdict(_Edge)
        self.by_prompt: defaultdict[int, list[_Call]] = defaultdict(list)
        self.by_id: defaultdict[str, list[_Call]] = defaultdict(list)
        self.by_text: defaultdict[str, list[_Call]] = defaultdict(list)
        for call in sorted((call for call in calls if call.ended is not None and call.said.size), key=_end):
            if call.prompt:
                self.by_prompt[call.prompt.whole].append(call)
            for name in call.said.ids:
                self.by_id[name].append(call)
            for text in {each.text.strip() for each in call.said.pieces if each.kind != "name"}:
                self.by_text[text].append(call)
        self.own: set[str] = set()  # turns of an assistant that the program wrote itself
        self.texts: dict[tuple[str, str], int] = {}
        self.first: list[Said] = []
        self.there: list[tuple[_Call, Piece, int, str | None]] = []  # pieces, which text each is, and its tool
        self.results: list[tuple[_Call, _Call, Piece, int, str | None]] = []
        self.tools = ToolRuns(table)

    def find(self) -> list[Flow]:
        for call in self.calls:
            if call.prompt:
                self._read(call, call.prompt)
        givers = [(call, piece) for call in self.calls if call.ended is not None for piece in call.said.pieces]
        givers = [(call, piece) for call, piece in givers if len(piece.text) >= LEAST]

        def asked(answer: int, text: str) -> bool:
            prompt = givers[answer][0].prompt
            return prompt is not None and any(text in piece.text for piece in pieces_of(prompt))

        found = stretches(self.first, [Said(piece.text, _end(call)) for call, piece in givers], asked)
        for call, piece, text, tool in self.there:
            for part in found[text] if text >= 0 else ():
                self._quote(call, piece, part, givers[part.answer], tool)
        self._results(found)
        return self._flows()

    def _read(self, call: _Call, prompt: Dialogue) -> None:
        """Find the sources of turns; their other texts are looked at together."""
        asked: dict[str, _Call] = {}  # who answered a tool call of this prompt, by its id
        named: defaultdict[str, list[_Call]] = defaultdict(list)
        for turn in prompt.turns:
            source = self._source(call, turn) if turn.pieces[0].via == "history" else None
            for piece in turn.pieces:
                if piece.via == "tool":
                    self._result(call, piece, asked, named)
                elif piece.via == "history" and source is not None and self._again(call, piece, source):
                    pass
                else:
                    self._keep(call, piece)
                if piece.kind == "name" and source is not None:
                    named[piece.text].append(source)
                    if piece.call:
                        asked[piece.call] = source

    def _source(self, call: _Call, turn: Turn) -> _Call | None:
        """Who answered a turn of an assistant."""
        texts = {each.text.strip() for each in turn.pieces if each.kind != "name"}
        ids = {each.call for each in turn.pieces if each.call}

        def gave(other: _Call) -> bool:
            return not ids.isdisjoint(other.said.ids) or any(each.text.strip() in texts for each in other.said.pieces)

        same = [each for each in self._before(call, self.by_prompt.get(turn.before)) if each is not call]
        for each in reversed(same):
            if gave(each):
                return each
        for name in sorted(ids):
            if last := self._before(call, self.by_id.get(name)):
                return last[-1]
        longest = max(texts, key=len, default="")
        if not longest or longest in self.own:
            return None
        if last := self._before(call, self.by_text.get(longest)):
            return last[-1]
        self.own.add(longest)
        return None

    def _before(self, call: _Call, others: list[_Call] | None) -> list[_Call]:
        """Those that had ended when a call began, in the order of their ends."""
        return others[: bisect_right(others, call.asked, key=_end)] if others else []

    def _again(self, call: _Call, piece: Piece, source: _Call) -> bool:
        """Note a piece of an answer that was sent again as it was."""
        text = piece.text.strip()
        place = piece.start + piece.text.find(text)
        for given in source.said.pieces:
            if given.text.strip() == text and (given.kind == "name") == (piece.kind == "name"):
                start = given.start + given.text.find(text)
                self._note(_Key(source.row, call.row, "history", None, True), start, place, len(text), len(text))
                return True
        return False

    def _keep(self, call: _Call, piece: Piece, tool: str | None = None) -> int:
        """Keep a piece to be looked at; returns which text it is, -1 where it is too short."""
        if len(piece.text) < LEAST:
            return -1
        text = self.texts.setdefault((piece.via, piece.text), len(self.first))
        if text == len(self.first):
            self.first.append(Said(piece.text, call.asked))
        self.there.append((call, piece, text, tool))
        return text

    def _result(self, call: _Call, piece: Piece, asked: dict[str, _Call], named: dict[str, list[_Call]]) -> None:
        """Find the tool and the call that asked for its result."""
        name, source = piece.tool, None
        if piece.call:
            source = asked.get(piece.call)
            if source is None and (last := self._before(call, self.by_id.get(piece.call))):
                source = last[-1]
            if source is not None:
                name = _tool_of(source.said, piece.call) or self._named_in(call, piece.call) or name
        elif name and named.get(name):
            source = named[name].pop(0)
        text = self._keep(call, piece, name)
        if source is not None:
            self.results.append((source, call, piece, text, name))

    def _named_in(self, call: _Call, wanted: str) -> str | None:
        pieces = pieces_of(call.prompt) if call.prompt else ()
        return next((each.text for each in pieces if each.call == wanted and each.kind == "name"), None)

    def _quote(self, call: _Call, piece: Piece, part: Stretch, giver: tuple[_Call, Piece], tool: str | None) -> None:
        source, given = giver
        key = _Key(source.row, call.row, piece.via, tool if piece.via == "tool" else None, True)
        self._note(key, given.start + part.start, piece.start + part.begin, part.end - part.begin, part.size)

    def _note(self, key: _Key, start: int, place: int, length: int, size: int) -> None:
        if length:
            edge = self.edges[key]
            edge.parts.append((start, place, length, size))
            edge.characters += length

    def _results(self, found: list[list[Stretch]]) -> None:
        """Give what is left of the results to their tools."""
        calls = {call.row: call for call in self.calls}
        for source, call, piece, text, name in self.results:
            quoted = sum(part.end - part.begin for part in found[text]) if text >= 0 else 0
            ran = self.tools.ran(source.row, call.row, piece.call, name)
            left = len(piece.text) - quoted
            if left > 0:
                key = _Key(source.row if ran is None else ran, call.row, "tool", name, False)
                self.edges[key].characters += left
            if ran is not None:
                self._ask(calls[source.row], ran, piece, name)

    def _ask(self, source: _Call, ran: int, piece: Piece, name: str | None) -> None:
        """Note the call of a tool that has a span: its name and arguments."""
        key = _Key(source.row, ran, "tool", name, True)
        if key in self.edges:
            return
        given = source.said.pieces
        at = _call_at(source.said, name, self.tools.order.get(ran, 0))
        for each in given[at : at + 2] if at is not None else ():
            if each.kind in ("name", "arguments"):
                self._note(key, each.start, each.start, len(each.text), len(each.text))

    def _flows(self) -> list[Flow]:
        calls = {call.row: call for call in self.calls}
        made: list[tuple[_Key, _Edge, float | None]] = []
        for key, edge in self.edges.items():
            made.append((key, edge, _tokens(key, edge, calls)))
        carried: defaultdict[tuple[int, int], float] = defaultdict(float)
        for key, _, tokens in made:
            if key.quoted:
                carried[key.source, key.target] += tokens or 0.0
        shown: list[Flow] = []
        spent: defaultdict[tuple[int, int], int] = defaultdict(int)
        for key, edge, tokens in made:
            whole: int | None = None if tokens is None else round(tokens)
            usage = self.table.spans[key.source].usage
            most = usage.output_tokens if usage else None
            if whole is not None and key.quoted and most is not None:
                pair = (key.source, key.target)
                fair = round((tokens or 0.0) * min(1.0, most / carried[pair])) if carried[pair] else 0
                whole = min(fair, most - spent[pair])
                spent[pair] += whole
            size = calls[key.source].said.size if key.quoted else 0
            share = min(1.0, _covered(edge.parts) / size) if size else float("nan")
            positions = tuple(sorted(part[:3] for part in edge.parts)) if key.target in calls else ()
            shown.append(Flow(key.source, key.target, key.via, key.tool, edge.characters, whole, share, positions))
        return sorted(shown, key=lambda each: (each.target, each.source, each.via))


def _end(call: _Call) -> int:
    assert call.ended is not None
    return call.ended


def _tool_of(said: Answered, wanted: str) -> str | None:
    """Name of the tool that the call with an id is of, where an answer calls one tool alone."""
    if wanted not in said.ids:
        return None
    names = [each.text for each in said.pieces if each.kind == "name"]
    return names[0] if len(set(names)) == 1 else None


def _call_at(said: Answered, name: str | None, order: int) -> int | None:
    """Where the call of a tool is among the pieces of an answer."""
    places = [at for at, each in enumerate(said.pieces) if each.kind == "name" and each.text == name]
    return places[min(order, len(places) - 1)] if places else None


def _tokens(key: _Key, edge: _Edge, calls: dict[int, _Call]) -> float | None:
    if key.target in calls:
        call = calls[key.target]
        usage, size = call.span.usage, call.prompt.size if call.prompt else 0
        whole = usage.input_tokens if usage else None
    else:  # what a tool was called with
        call = calls[key.source]
        usage, size = call.span.usage, call.said.size
        whole = usage.output_tokens if usage else None
    return None if whole is None or not size else whole * min(1.0, edge.characters / size)


def _covered(parts: list[tuple[int, int, int, int]]) -> int:
    """Characters of an answer that are in any of the parts."""
    covered = reached = 0
    for start, _, _, size in sorted(parts):
        covered += max(0, start + size - max(start, reached))
        reached = max(reached, start + size)
    return covered
