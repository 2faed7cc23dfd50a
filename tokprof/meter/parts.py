"""The parts of messages, in prompts and answers alike: what in them is text, and what text does not show."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Part = Mapping[str, Any]

_dump = json.JSONEncoder(ensure_ascii=False).encode

_CALLS = ("tool_use", "server_tool_use", "mcp_tool_use")
_THOUGHTS = ("summary_text", "reasoning_text", "reasoning", "thinking")
# parts without tokens, and what a provider's own tool found: input of the next step
_NOTHING = ("cachePoint", "cache_point", "ping", "thoughtSignature", "codeExecutionResult", "citation")
_IDS = ("call_id", "toolUseId", "tool_use_id", "tool_call_id", "id")


class Mark(NamedTuple):
    """What stands at a place.

    Attributes
    ----------
    part : str
        Of a message its role; else ``tools``, ``tool result``, ``image``, ``audio``, ``file``, ``format``, ``history``.
    label : str or None
        Its name, where it has one: that of a tool.
    thing : object
        What has tokens that text does not show; None where there is no such thing.
    """

    part: str
    label: str | None = None
    thing: object = None


@dataclass(slots=True)
class Texts:
    """Texts as they come in, piece by piece, each at its place.

    Attributes
    ----------
    pieces : dict
        By kind (``content``, ``reasoning``, ``name`` and ``arguments`` of a tool call) and place: which choice,
        message, block.
    ids : dict
        By place, texts that came as token ids.
    marks : dict
        By place, what stands there and below, but for what is marked below.
    called : dict of str to str
        Names of tools by the ids of their calls.
    hidden : bool
        Whether there is something with tokens that text does not show: pictures, sound, files, reasoning kept back.
    size : int
        Characters.
    """

    pieces: dict[tuple[Any, ...], list[str]] = field(default_factory=dict)
    ids: dict[tuple[Any, ...], list[int]] = field(default_factory=dict)
    marks: dict[tuple[Any, ...], Mark] = field(default_factory=dict)
    called: dict[str, str] = field(default_factory=dict)
    hidden: bool = False
    size: int = 0

    @property
    def tokens(self) -> int:
        """Length of the texts that came as token ids."""
        return sum(map(len, self.ids.values()))

    def mark(self, part: str, label: object, *place: object) -> None:
        """Say what stands at a place."""
        self.marks[place] = Mark(part, label if isinstance(label, str) and label else None)

    def hide(self, part: str, thing: object, *place: object, label: object = None) -> None:
        """Say that there is something with tokens that text does not show."""
        self.hidden = True
        self.marks[place] = Mark(part, label if isinstance(label, str) and label else None, thing)

    def add(self, kind: str, text: object, *place: object) -> None:
        """Append to what is at the place; anything but text is let go."""
        if isinstance(text, str) and text:
            self.pieces.setdefault((kind, *place), []).append(text)
            self.size += len(text)

    def add_call(self, name: object, arguments: object, *place: object) -> None:
        """Append a tool call, or a part of one; arguments are text or the object that the text stands for."""
        self.add("name", name, *place)
        self.add("arguments", arguments if isinstance(arguments, str) or arguments is None else dump(arguments), *place)

    def drop(self, *place: object) -> None:
        """Forget what is at the place and below; all there is, without a place."""
        for key in [key for key in self.pieces if key[1 : 1 + len(place)] == place]:
            self.size -= sum(map(len, self.pieces.pop(key)))

    def of(self, *kinds: str) -> list[str]:
        """Texts of the kinds, all without one, in the order in which they began."""
        return ["".join(pieces) for key, pieces in self.pieces.items() if not kinds or key[0] in kinds]


def dump(value: object) -> str:
    """JSON as a model reads it: characters as they are."""
    try:
        return _dump(value)
    except (TypeError, ValueError, RecursionError):
        return ""


def take_message(message: Part, texts: Texts, *place: object) -> None:
    """Take in a message, or a delta of one: OpenAI, Anthropic, Mistral, Cohere, Ollama, Bedrock converse."""
    for key in ("content", "parts", "refusal", "tool_plan"):
        take(message.get(key), texts, *place)
    for key in ("reasoning_content", "reasoning", "thinking"):
        if isinstance(thought := message.get(key), str) and thought:
            texts.add("reasoning", thought, *place)
            break  # gateways tell it by two names
    calls = message.get("tool_calls")
    for i, call in enumerate(calls if isinstance(calls, list) else ()):
        if isinstance(call, dict):
            told = call.get("index")
            take_call(call, texts, *place, told if isinstance(told, int) else i)
    if isinstance(call := message.get("function_call"), dict):
        take_call(call, texts, *place, "function_call")
    if isinstance(audio := message.get("audio"), dict):
        texts.hide("audio", audio, *place, "audio")
        texts.add("content", audio.get("transcript"), *place)
    if images := message.get("images"):
        texts.hide("image", images, *place, "images")


def take_call(call: Part, texts: Texts, *place: object) -> None:
    """Take in a tool call, or a delta of one: ``function`` of OpenAI, flat elsewhere."""
    function = call.get("function")
    holder = function if isinstance(function, dict) else call
    arguments = next((holder[key] for key in ("arguments", "parameters", "input", "args") if key in holder), None)
    name = holder.get("name")
    if isinstance(name, str) and name and (told := _id(call)) is not None:
        texts.called[told] = name
    texts.add_call(name, arguments, *place)


def _id(holder: Part) -> str | None:
    """Id of a tool call, as the call and its result tell it."""
    return next((told for key in _IDS if isinstance(told := holder.get(key), str)), None)


def mark_result(holder: Part, texts: Texts, *place: object) -> None:
    """Say that the result of a tool stands at a place; its name is its own or that of the call."""
    name = holder.get("name") or holder.get("tool_name")
    texts.mark("tool result", name or texts.called.get(_id(holder) or ""), *place)


def take(value: object, texts: Texts, *place: object) -> None:
    """Take in the content of a message: text, a part, or a list of parts."""
    if isinstance(value, str):
        texts.add("content", value, *place)
    elif isinstance(value, list):
        for i, part in enumerate(value):
            if isinstance(part, dict):
                _take_part(part, texts, i, *place)
            else:
                take(part, texts, *place)
    elif isinstance(value, dict):
        _take_part(value, texts, 0, *place)


def _take_part(part: Part, texts: Texts, i: int, *place: object) -> None:
    kind = part.get("type")
    if isinstance(text := part.get("text"), str):
        thought = part.get("thought") is True or kind in _THOUGHTS
        texts.add("reasoning" if thought else "content", text, *place)
    elif (thinking := part.get("thinking")) is not None:
        for piece in thinking if isinstance(thinking, list) else (thinking,):
            texts.add("reasoning", piece.get("text") if isinstance(piece, dict) else piece, *place)
    elif kind in _CALLS:
        take_call(part, texts, *place, i)
    elif kind == "document" and isinstance(source := part.get("source"), dict):
        texts.mark("file", None, *place, "part", i)
        _take_document(source, texts, *place, "part", i)
    elif kind == "refusal":
        texts.add("content", part.get("refusal"), *place)
    elif not (
        _take_named(part, texts, i, *place)
        or _take_result(part, texts, i, *place)
        or any(key in part or kind == key for key in _NOTHING)
    ):
        texts.hide(_sort(part), part, *place, "part", i)


def _sort(part: Part) -> str:
    """Tell picture, sound and file apart, by their types or members."""
    kind = part.get("type")
    said = [kind, *part]
    for key in ("inlineData", "inline_data", "fileData", "file_data", "source"):
        if isinstance(data := part.get(key), dict):
            said += [data.get("mimeType"), data.get("mime_type"), data.get("media_type")]
    words = " ".join(word for word in said if isinstance(word, str))
    if "thinking" in words or "reasoning" in words:
        return "history"
    return next((sort for sort in ("image", "audio") if sort in words), "file")


def _take_named(part: Part, texts: Texts, i: int, *place: object) -> bool:
    """Take in a part that is named by its one member: Gemini and Bedrock converse."""
    for key in ("toolUse", "functionCall", "function_call"):
        if isinstance(call := part.get(key), dict):
            take_call(call, texts, *place, i)
            return True
    for key in ("toolResult", "functionResponse", "function_response"):
        if isinstance(result := part.get(key), dict):
            place = (*place, "part", i)
            mark_result(result, texts, *place)
            texts.add("name", result.get("name"), *place)
            take(result.get("content"), texts, *place)
            if (response := result.get("response")) is not None:
                texts.add("content", dump(response), *place)
            return True
    if isinstance(thought := part.get("reasoningContent"), dict):
        told = thought.get("reasoningText")
        texts.add("reasoning", (told if isinstance(told, dict) else thought).get("text"), *place)
        if "redactedContent" in thought:
            texts.hide("history", thought, *place, "part", i)
        return True
    if isinstance(code := part.get("executableCode"), dict):
        texts.add("arguments", code.get("code"), *place, i)
        return True
    if isinstance(guarded := part.get("guardContent"), dict):
        take(guarded.get("text"), texts, *place)
        return True
    if "json" in part:  # of a tool result
        texts.add("content", dump(part["json"]), *place)
        return True
    return False


def _take_result(part: Part, texts: Texts, i: int, *place: object) -> bool:
    """Take in the result of a tool, a search result, or a part whose text is under another name."""
    kind = part.get("type")
    if isinstance(kind, str) and (kind.endswith("tool_result") or kind == "search_result"):
        place = (*place, "part", i)
        if kind == "search_result":
            texts.mark("file", None, *place)
        else:
            mark_result(part, texts, *place)
        for key in ("title", "content"):
            take(part.get(key), texts, *place)
        return True
    if kind == "text" and isinstance(part.get("data"), str):  # Aleph Alpha
        texts.add("content", part["data"], *place)
        return True
    if kind == "document" and isinstance(document := part.get("document"), dict):  # Cohere
        data = document.get("data")
        texts.add("content", data if isinstance(data, str) else dump(data), *place)
        return True
    return False


def _take_document(source: Part, texts: Texts, *place: object) -> None:
    """Take in a document of Anthropic's; only text is in a prompt as it stands."""
    kind = source.get("type")
    if kind == "text":
        texts.add("content", source.get("data"), *place)
    elif kind == "content":
        take(source.get("content"), texts, *place)
    else:
        texts.hide("file", source, *place)


def take_item(item: Part, texts: Texts, *place: object) -> None:
    """Take in an item of OpenAI's Responses API, of the input or of the output."""
    kind = item.get("type")
    if kind in (None, "message", "message.output", "message.input") and ("role" in item or "content" in item):
        take_message(item, texts, *place)
    elif kind in ("function_call", "custom_tool_call", "mcp_call", "function.call"):
        take_call(item, texts, *place)
    elif kind in ("function_call_output", "custom_tool_call_output", "function.result"):
        mark_result(item, texts, *place)
        take(item.get("output", item.get("result")), texts, *place)
    elif kind == "reasoning":
        for key in ("summary", "content"):
            take(item.get(key), texts, *place)
        if not item.get("content"):  # a summary stands for more than it says
            texts.hide("assistant", item, *place)
    elif kind == "code_interpreter_call":
        texts.add("arguments", item.get("code"), *place)
    elif isinstance(kind, str) and kind.endswith("_call") and kind != "image_generation_call":
        action = item.get("action") or item.get("queries") or item.get("operation")
        texts.add("arguments", dump(action) if action else None, *place)
    elif kind in ("text", "output_text", "input_text"):
        take(item, texts, *place)
    else:
        media = isinstance(kind, str) and kind.startswith(("input_", "image"))
        texts.hide(_sort(item) if media else "history", item, *place)
