"""A prompt turn by turn, and an answer piece by piece: who says what, and which tool it is about.

Only where prompts and answers were kept whole (``capture="full"``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from tokprof.meter.body import load
from tokprof.meter.parts import Part, Texts, dump, take, take_call, take_item, take_message
from tokprof.meter.stream import framing
from tokprof.meter.texts import answer
from tokprof.span import Span

Via = Literal["history", "tool", "text"]

_SYSTEM = ("system", "systemInstruction", "system_instruction", "instructions", "preamble")
_TURNS = (
    "messages",
    "chat_history",
    "contents",
    "input",
    "message",
    "prompt",
    "inputText",
    "inputs",
    "texts",
    "suffix",
)
_TOOLS = ("tools", "functions", "toolConfig", "response_format")
_ROLES: dict[str, Via] = {
    "assistant": "history",
    "model": "history",
    "chatbot": "history",
    "ai": "history",
    "tool": "tool",
    "function": "tool",
}
_ORDERS = ("system", "developer")
_CALLS = (
    "tool_use",
    "server_tool_use",
    "mcp_tool_use",
    "function_call",
    "custom_tool_call",
    "mcp_call",
    "function.call",
)
_RESULTS = ("function_call_output", "custom_tool_call_output", "function.result")
_NAMED_CALLS = ("toolUse", "functionCall", "function_call")
_NAMED_RESULTS = ("toolResult", "functionResponse", "function_response")
_IDS = ("call_id", "tool_call_id", "tool_use_id", "toolUseId", "id")
_ID = re.compile(r'"(?:call_id|tool_call_id|toolUseId|id)"\s*:\s*"([^"\\]{1,200})"')


class Piece(NamedTuple):
    """A text of a prompt or an answer.

    Attributes
    ----------
    via : str
        ``history`` (an assistant's turn), ``tool`` (the result of a tool) or ``text`` (anything else).
    kind : str
        ``content``, ``reasoning``, or ``name`` and ``arguments`` of a tool call.
    text : str
    start : int
        Characters of the prompt or answer before it.
    call : str or None
        Id of the tool call that it is part of or the result of.
    tool : str or None
        Name of that tool, where it is told.
    """

    via: Via
    kind: str
    text: str
    start: int
    call: str | None = None
    tool: str | None = None


class Turn(NamedTuple):
    """A message.

    Attributes
    ----------
    pieces : list of Piece
    before : int
        Stands for all the turns before it, without the system prompt.
    """

    pieces: list[Piece]
    before: int


@dataclass(slots=True)
class Dialogue:
    """A prompt that was kept whole.

    Attributes
    ----------
    turns : list of Turn
    size : int
        Characters of all texts, and of the tools on offer.
    whole : int
        Stands for all turns, as `Turn.before` does.
    """

    turns: list[Turn] = field(default_factory=list)
    size: int = 0
    whole: int = 0


@dataclass(slots=True)
class Answered:
    """What a call answered.

    Attributes
    ----------
    pieces : list of Piece
    size : int
        Characters of all pieces.
    ids : dict of str to None
        What may be ids of tool calls, in order.
    """

    pieces: list[Piece] = field(default_factory=list)
    size: int = 0
    ids: dict[str, None] = field(default_factory=dict)


def dialogue(span: Span) -> Dialogue | None:
    """Read the prompt of a call; None where it was not kept whole."""
    raw = (span.content or {}).get("prompt")
    if not raw or raw.lstrip()[:1] != "{":
        return None
    body = load(raw.encode("utf-8", "replace"))
    if not isinstance(body, dict):
        return None
    reader = _Reader()
    with suppress(Exception):  # of a body of no known form, what was read until there
        reader.read(body)
    made = reader.made
    made.size += sum(len(dump(body[name])) for name in _TOOLS if body.get(name))
    return made if made.size else None


def answered(span: Span) -> Answered:
    """Read the answer of a call; empty where it was not kept whole, or is none."""
    made = Answered()
    raw = (span.content or {}).get("answer")
    if not raw or "prompt" not in (span.content or {}) or (span.http_status or 0) >= 400:
        return made
    body = raw.encode("utf-8", "replace")
    found = answer(body, framing("", body), span.operation or "")
    for key, texts in found.pieces.items():
        text = "".join(texts)
        made.pieces.append(Piece("history", str(key[0]), text, made.size))
        made.size += len(text)
    if any(piece.kind == "name" for piece in made.pieces):
        made.ids = dict.fromkeys(_ID.findall(raw))
    return made


class _Reader:
    def __init__(self) -> None:
        self.made = Dialogue()
        self.pieces: list[Piece] = []

    def read(self, body: Part) -> None:
        for key in _SYSTEM:
            if value := body.get(key):
                self._say("text", value.get("parts") if isinstance(value, dict) and "parts" in value else value)
                self._end(order=True)
        for key in _TURNS:
            value = body.get(key)
            for turn in value if isinstance(value, list) else [value] if value else ():
                self._turn(turn)
        if documents := body.get("documents"):
            self._say("text", dump(documents))
            self._end()
        for holder in body.get("requests") or ():
            self._say("text", (holder.get("content") or {}).get("parts"))
            self._end()

    def _end(self, order: bool = False) -> None:
        made = self.made
        if self.pieces:
            made.turns.append(Turn(self.pieces, made.whole))
            if not order:
                made.whole = hash((made.whole, *((each.via, each.kind, each.text) for each in self.pieces)))
        self.pieces = []

    def _add(self, texts: Texts, via: Via, call: str | None = None, tool: str | None = None) -> None:
        for key, pieces in texts.pieces.items():
            text = "".join(pieces)
            self.pieces.append(Piece(via, str(key[0]), text, self.made.size, call, tool))
            self.made.size += len(text)

    def _turn(self, turn: Any) -> None:
        if not isinstance(turn, dict):
            self._say("text", turn)
            self._end()
            return
        role = str(turn.get("role") or "").lower()
        kind = turn.get("type")
        via = _ROLES.get(role, "text")
        if isinstance(kind, str) and not role:
            self._item(turn, kind)
            self._end()
            return
        rest = {
            key: value for key, value in turn.items() if key not in ("content", "parts", "tool_calls", "function_call")
        }
        for key in ("content", "parts"):
            self._say(via, turn.get(key), _id(turn) if via == "tool" else None, turn.get("name"))
        calls = turn.get("tool_calls")
        for call in [*(calls if isinstance(calls, list) else ()), turn.get("function_call")]:
            if isinstance(call, dict):
                self._call(call)
        texts = Texts()
        take_message(rest, texts)
        texts.add("content", turn.get("message"))
        self._add(texts, via)
        self._end(order=role in _ORDERS)

    def _say(self, via: Via, value: Any, call: str | None = None, tool: object = None) -> None:
        """Take in a content: text, a part, or a list of parts."""
        named = tool if isinstance(tool, str) else None
        for part in value if isinstance(value, list) else (value,):
            if isinstance(part, dict) and self._special(part):
                continue
            texts = Texts()
            take(part, texts)
            self._add(texts, via, call, named)

    def _special(self, part: Part) -> bool:
        """Take in a part that is a tool call or the result of one."""
        kind = part.get("type")
        if kind in _CALLS:
            self._call(part)
            return True
        if isinstance(kind, str) and kind.endswith("tool_result"):
            self._say("tool", part.get("content"), _id(part))
            return True
        for key in _NAMED_CALLS:
            if isinstance(call := part.get(key), dict):
                self._call(call)
                return True
        for key in _NAMED_RESULTS:
            if isinstance(result := part.get(key), dict):
                response = result.get("response")
                self._say("tool", result.get("content"), _id(result), result.get("name"))
                self._say("tool", None if response is None else dump(response), _id(result), result.get("name"))
                return True
        return False

    def _call(self, call: Part) -> None:
        texts = Texts()
        take_call(call, texts)
        name = next(iter(texts.of("name")), None)
        self._add(texts, "history", _id(call), name)

    def _item(self, item: Part, kind: str) -> None:
        """Take in an item of OpenAI's Responses API."""
        if kind in _CALLS:
            self._call(item)
        elif kind in _RESULTS:
            self._say("tool", item.get("output", item.get("result")), _id(item))
        else:
            texts = Texts()
            take_item(item, texts)
            self._add(texts, "history" if kind == "reasoning" or kind.endswith("_call") else "text")


def _id(part: Part) -> str | None:
    return next((part[key] for key in _IDS if isinstance(part.get(key), str) and part[key]), None)


def pieces_of(prompt: Dialogue) -> Iterator[Piece]:
    """All texts of a prompt, in order."""
    for turn in prompt.turns:
        yield from turn.pieces
