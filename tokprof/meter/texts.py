"""What passed between program and model: the text of an answer, whole or cut, and the text of a prompt."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from tokprof.meter.body import aws_frames, elements, load, sse_payloads
from tokprof.meter.parts import Part, Texts, take, take_call, take_item, take_message

_FINAL = ("response.completed", "response.incomplete", "response.failed", "response.done")
# deltas of OpenAI's Responses API by their type
_DELTAS = {
    "response.output_text.delta": "content",
    "response.refusal.delta": "content",
    "response.audio_transcript.delta": "content",
    "response.output_audio_transcript.delta": "content",
    "response.reasoning_text.delta": "reasoning",
    "response.reasoning_summary_text.delta": "reasoning",
    "response.function_call_arguments.delta": "arguments",
    "response.mcp_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "arguments",
    "response.code_interpreter_call_code.delta": "arguments",
}
_FLAT = ("text", "content", "response", "completion", "generation", "generated_text", "outputText")
_LISTS = ("results", "generations", "completions", "outputs", "predictions")


# --- answers -------------------------------------------------------------------------------------


def said(body: bytes, frame: str, operation: str = "") -> str:
    """Text that a model generated.

    Parameters
    ----------
    body : bytes
        Of the answer, content encoding undone, whole or cut anywhere.
    frame : str
        ``json``, ``sse``, ``ndjson`` or ``eventstream``.
    operation : str
        As in ``Reading``.

    Returns
    -------
    str
        Content, reasoning, refusal, names and arguments of tool calls, of all choices. Nothing twice, where a stream
        repeats it.
    """
    return "".join(answer(body, frame, operation).of())


def answer(body: bytes, frame: str, operation: str = "", enough: int | None = None) -> Texts:
    """Texts of an answer, by kind and place.

    Parameters
    ----------
    body, frame, operation
        As in `said`.
    enough : int, optional
        Characters after which the rest of a stream is left alone.

    Returns
    -------
    Texts
        ``hidden`` where the answer has tokens that text does not show. Never raises.
    """
    texts = Texts()
    if operation in ("embeddings", "rerank"):
        return texts
    try:
        for event in _events(body, frame):
            absorb(event, texts)
            if enough is not None and texts.size > enough:
                break
    except Exception:
        texts.hidden = True
    return texts


def _events(body: bytes, frame: str) -> Iterator[dict[str, Any]]:
    found: Iterator[Any]
    if frame == "sse":
        found = map(load, sse_payloads(body))
    elif frame == "ndjson":
        found = map(load, body.splitlines())
    elif frame == "eventstream":
        found = (load(part.payload) for part in aws_frames(body) if not part.failed)
    else:
        found = _whole(body)
    return (event for event in found if isinstance(event, dict))


def _whole(body: bytes) -> Iterator[Any]:
    body = body.removeprefix(b"\xef\xbb\xbf")
    value = load(body)
    if value is None and b"}\n{" in body:
        return map(load, body.splitlines())
    if value is None and body[:64].lstrip()[:1] == b"[":
        value = elements(body)
    elif value is None:
        value = mend(body)
    return iter(value if isinstance(value, list) else [value])


_MARKS = re.compile(r'"(?:[^"\\]++|\\.)*+(?:(?P<closed>")|\\?\Z)|[\[\]{},]', re.DOTALL)
_DEPTH = 500  # no answer is that deep, and parsing it fails anyway
_HALF_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\(?:u[0-9a-fA-F]{0,3})?\Z")


def mend(body: bytes) -> Any:
    """Parse the beginning of a JSON object: what was open is closed, what was half a member is let go.

    Parameters
    ----------
    body : bytes

    Returns
    -------
    object
        None where there is no such beginning.
    """
    text = body.decode("utf-8", "ignore")
    closing = closing_there = ""
    there = 0  # where the last whole member ended
    for found in _MARKS.finditer(text):
        mark = found[0]
        if mark in "[{":
            closing = ("]" if mark == "[" else "}") + closing
            there, closing_there = found.end(), closing
            if len(closing) > _DEPTH:
                return None
        elif mark in "]}":
            closing = closing[1:]
        elif mark == ",":
            there, closing_there = found.start(), closing
        elif found["closed"] is None:
            text = _HALF_ESCAPE.sub(r"\1", text) + '"'
    for tried in (text + closing, text[:there] + closing_there):
        if (value := load(tried)) is not None:
            return value
    return None


def absorb(event: Part, texts: Texts) -> None:
    """Take in one event of a stream, or the one answer."""
    kind = event.get("type") or event.get("event_type")
    if isinstance(choices := event.get("choices"), list):
        for i, choice in enumerate(choices):
            if isinstance(choice, dict):
                _absorb_choice(choice, texts, i)
    elif isinstance(candidates := event.get("candidates"), list):
        for i, candidate in enumerate(candidates):
            take(_part(_part(candidate).get("content")).get("parts"), texts, _part(candidate).get("index", i))
    elif isinstance(kind, str) and kind.startswith("response."):
        _absorb_response(event, kind, texts)
    elif "contentBlockIndex" in event:
        _absorb_block(event, texts)
    elif isinstance(kind, str) and kind in _BY_TYPE:
        _BY_TYPE[kind](event, texts)
    elif isinstance(output := event.get("output"), list):
        for i, item in enumerate(output):
            take_item(_part(item), texts, i)
    else:
        _absorb_flat(event, texts)


def _absorb_choice(choice: Part, texts: Texts, i: int) -> None:
    place = choice.get("index", i)
    texts.add("content", choice.get("text"), place)
    # some send the message up to now beside each delta
    take_message(_part(choice.get("delta" if "delta" in choice else "message")), texts, place)


def _absorb_response(event: Part, kind: str, texts: Texts) -> None:
    place = event.get("output_index")
    if kind in _DELTAS:
        inner = event.get("content_index", event.get("summary_index"))
        texts.add(_DELTAS[kind], event.get("delta"), place, inner)
        texts.hidden = texts.hidden or "audio" in kind or "summary" in kind
    elif kind == "response.output_item.added":
        item = _part(event.get("item"))
        texts.add("name", item.get("name"), place)
    elif kind == "response.output_item.done":
        texts.drop(place)
        take_item(_part(event.get("item")), texts, place)
    elif kind in _FINAL and (output := _part(event.get("response")).get("output")):
        texts.drop()
        for i, item in enumerate(output):
            take_item(_part(item), texts, i)


def _absorb_block(event: Part, texts: Texts) -> None:
    """Take in an event of Bedrock's ConverseStream."""
    place = event["contentBlockIndex"]
    for key in ("start", "delta"):
        if isinstance(part := event.get(key), dict) and part:
            take(part, texts, place)


def _block_start(event: Part, texts: Texts) -> None:
    block = _part(event.get("content_block"))
    for key in ("name", "text"):
        texts.add("name" if key == "name" else "content", block.get(key), event.get("index"))
    texts.hidden = texts.hidden or block.get("type") == "redacted_thinking"


def _block_delta(event: Part, texts: Texts) -> None:
    delta, place = _part(event.get("delta")), event.get("index")
    texts.add("content", delta.get("text"), place)
    texts.add("reasoning", delta.get("thinking"), place)
    texts.add("arguments", delta.get("partial_json"), place)


def _cohere_delta(event: Part, texts: Texts) -> None:
    message, place = _part(_part(event.get("delta")).get("message")), event.get("index")
    take(message.get("content"), texts, place)
    texts.add("content", message.get("tool_plan"), "plan")
    if isinstance(call := message.get("tool_calls"), dict):
        take_call(call, texts, place)


def _cohere_text(event: Part, texts: Texts) -> None:
    texts.add("content", event.get("text"))


def _cohere_call(event: Part, texts: Texts) -> None:
    call = _part(event.get("tool_call_delta"))
    texts.add_call(call.get("name"), call.get("parameters"), call.get("index"))
    texts.add("content", event.get("text"))


def _cohere_end(event: Part, texts: Texts) -> None:
    if not texts.pieces:  # else it says all of it again
        _absorb_flat(_part(event.get("response")), texts)


def _mistral_delta(event: Part, texts: Texts) -> None:
    place = event.get("output_index")
    take(event.get("content"), texts, place)
    if "arguments" in event:
        take_call(event, texts, place)


def _google_delta(event: Part, texts: Texts) -> None:
    take(event.get("delta"), texts, event.get("index"))


def _nothing(event: Part, texts: Texts) -> None:
    pass


_BY_TYPE: dict[str, Callable[[Part, Texts], None]] = {
    "message_start": _nothing,
    "message_delta": _nothing,
    "content_block_start": _block_start,
    "content_block_delta": _block_delta,
    "content-start": _cohere_delta,
    "content-delta": _cohere_delta,
    "tool-plan-delta": _cohere_delta,
    "tool-call-start": _cohere_delta,
    "tool-call-delta": _cohere_delta,
    "message-start": _nothing,
    "message-end": _nothing,
    "text-generation": _cohere_text,
    "tool-calls-chunk": _cohere_call,
    "tool-calls-generation": _nothing,
    "stream-end": _cohere_end,
    "message.output.delta": _mistral_delta,
    "function.call.delta": _mistral_delta,
    "content.delta": _google_delta,
    "interaction.complete": _nothing,
}


def _absorb_flat(event: Part, texts: Texts, *place: object) -> None:
    """Take in an answer without choices: Anthropic, Bedrock's vendors, Cohere, Ollama, TGI, watsonx, xAI."""
    for name in ("contentBlockStart", "contentBlockDelta"):  # Nova, invoked
        if isinstance(block := event.get(name), dict):
            _absorb_block({"contentBlockIndex": None, **block}, texts)
            return
    if event.get("is_finished") is True or event.get("error"):
        return
    if isinstance(token := event.get("token"), dict):  # TGI; its last event repeats the text
        texts.add("content", token.get("text"), *place)
        return
    output = event.get("output")
    for holder in (event.get("message"), event.get("delta"), output, _part(output).get("message")):
        if isinstance(holder, dict):
            take_message(holder, texts, *place)
    if isinstance(event.get("content"), list):
        take_message(event, texts, *place)
    elif any(isinstance(event.get(key), str) for key in _FLAT):
        texts.add("content", next(event[key] for key in _FLAT if isinstance(event.get(key), str)), *place)
        take_message({key: event[key] for key in ("thinking", "tool_calls") if key in event}, texts, *place)
    for name in _LISTS:
        items = event.get(name)
        for i, item in enumerate(items if isinstance(items, list) else ()):
            if isinstance(item, dict):
                told = item.get("index")
                _absorb_flat(_part(item.get("data")) or item, texts, *place, told if isinstance(told, int) else i)


def _part(value: Any) -> Part:
    return value if isinstance(value, dict) else {}
