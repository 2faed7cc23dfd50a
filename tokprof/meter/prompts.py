"""What a program asked of a model: the text of the prompt, read from the request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tokprof.meter.body import load
from tokprof.meter.parts import Part, Texts, dump, mark_result, take, take_item, take_message
from tokprof.meter.schemas import Tool, as_format, as_json

# members of a request that bring tokens in which it does not show, and what they stand for
_HIDDEN = {
    "previous_response_id": "history",
    "conversation": "history",
    "conversation_id": "history",
    "cachedContent": "history",
    "container": "file",
    "mcp_servers": "tools",
    "data_sources": "file",
    "plugins": "tools",
    "web_search_options": "tools",
    "connectors": "tools",
    "images": "image",
}
# roles by the names that they have elsewhere
_ROLES = {"model": "assistant", "chatbot": "assistant", "ai": "assistant", "human": "user", "function": "tool"}
_SYSTEM = ("system", "systemInstruction", "system_instruction", "instructions", "preamble")
_PLAIN = ("prompt", "inputText", "inputs", "texts", "suffix", "message")
_SCHEMAS = ("parameters", "parametersJsonSchema", "input_schema", "inputSchema", "parameter_definitions", "format")


class Asked(NamedTuple):
    """A prompt, as far as the request shows it.

    Attributes
    ----------
    texts : list of str
        Of system prompts, messages, tool calls and results, each for itself.
    messages : int
        Messages, each of which has a frame of a few tokens; 0 where a text is completed or embedded as it stands.
    complete : bool
        False where something in it has tokens that text does not show: pictures, sound, files, what the provider
        keeps of earlier turns, tools of the provider's own.
    tokens : int
        Length of what was sent as token ids.
    calls : int
        Tool calls among the messages.
    names : int
        Authors that are named among the messages.
    tools : sequence of Tool
        Tools on offer; how they stand in the prompt is up to the provider.
    read : Texts
        What was read, each piece at its place in the request: what `tokprof.meter.pieces` takes apart.
    """

    texts: list[str]
    messages: int
    complete: bool
    tokens: int = 0
    calls: int = 0
    names: int = 0
    tools: Sequence[Tool] = ()
    read: Texts = Texts()  # nothing, which nobody adds to

    @property
    def text(self) -> str:
        """The texts as one, the tools as JSON."""
        return "".join([*self.texts, as_json(self.tools)])


def asked(request: bytes | None, operation: str = "") -> Asked:
    """Read the prompt from a request.

    Parameters
    ----------
    request : bytes or None
        Body as sent; None where it could not be read.
    operation : str
        As in ``Reading``.

    Returns
    -------
    Asked
        Never raises; what cannot be read is not complete.
    """
    return asked_by(load(request) if request else None, operation)


def asked_by(body: Any, operation: str = "") -> Asked:
    """Read the prompt from the body of a request, as `asked` does."""
    if not isinstance(body, dict):
        return Asked([], 0, False)
    texts = Texts()
    tools: list[Tool] = []
    messages = 0
    try:
        if operation == "embeddings":
            _embedded(body, texts)
        else:
            messages = _prompted(body, texts)
            tools = [tool for i, told in enumerate(_tools(body)) if (tool := _tool(told, texts, i)) is not None]
    except Exception:
        texts.hidden = True
    found = texts.of()
    complete = not texts.hidden and bool(found or texts.tokens)
    calls, names = len(texts.of("name")), len(texts.of("author"))
    return Asked(found, messages, complete, texts.tokens, calls, names, tools, texts)


def last_message(request: bytes | None) -> str:
    """Text of the last message of a request, or of its prompt."""
    body = load(request) if request else None
    texts = Texts()
    if isinstance(body, dict):
        for key in ("messages", "input", "contents", *_PLAIN):
            if value := body.get(key):
                last = value[-1] if isinstance(value, list) else value
                _take_turn(last, texts, 0)
                break
    return "".join(texts.of())


def _prompted(body: Part, texts: Texts) -> int:
    messages = 0
    for key, part in _HIDDEN.items():
        if value := body.get(key):
            texts.hide(part, value, key, label=key)
    for key in _SYSTEM:
        if value := body.get(key):
            texts.mark("system", None, key)
            take(value.get("parts") if isinstance(value, dict) and "parts" in value else value, texts, key)
            messages += 1
    for key in ("messages", "chat_history", "contents", "input"):
        value = body.get(key)
        for i, turn in enumerate(value if isinstance(value, list) else [value] if value else ()):
            _take_turn(turn, texts, key, i)
            messages += key != "input" or "model_id" not in body  # watsonx completes it
    for key in _PLAIN:
        if value := body.get(key):
            _take_plain(value, texts, key)
    if _take_ids(body.get("context"), texts, "context"):  # Ollama: the turns before
        texts.mark("history", "context", "context")
    if documents := body.get("documents"):
        texts.mark("file", "documents", "documents")
        texts.add("content", dump(documents), "documents")
    messages += "chat_history" in body or ("message" in body and not messages)
    _take_format(body, texts)
    return messages


def _take_turn(turn: Any, texts: Texts, *place: object) -> None:
    if not isinstance(turn, dict):
        texts.mark("user", None, *place)
        take(turn, texts, *place)
    elif "type" in turn and "role" not in turn:
        texts.mark("user" if str(turn["type"]).endswith(("text", ".input")) else "assistant", None, *place)
        take_item(turn, texts, *place)
    else:
        told = turn.get("role")
        role = told.lower() if isinstance(told, str) else "user"
        role = _ROLES.get(role, role)
        if role == "tool":
            mark_result(turn, texts, *place)
        else:
            texts.mark(role, None, *place)
        take_message(turn, texts, *place)
        texts.add("content", turn.get("message"), *place)  # Cohere
        texts.add("author", turn.get("name"), *place)


def _take_plain(value: Any, texts: Texts, *place: object) -> None:
    """Take in text, texts, token ids, or lists of them."""
    texts.mark("user", None, *place)
    if isinstance(value, str):
        texts.add("content", value, *place)
    elif isinstance(value, dict):
        texts.hide("system", value, *place)  # a stored template
    elif isinstance(value, list) and not _take_ids(value, texts, *place):
        for i, item in enumerate(value):
            if isinstance(item, dict):
                take(item.get("content", item.get("parts", item)), texts, *place, i)
            else:
                _take_plain(item, texts, *place, i)


def _take_ids(value: Any, texts: Texts, *place: object) -> bool:
    if not isinstance(value, list) or not value or type(value[0]) is not int:
        return False
    texts.ids[place] = value
    return True


def _embedded(body: Part, texts: Texts) -> None:
    texts.hidden = bool(body.get("images") or body.get("inputImage"))
    for key in ("input", "inputs", "texts", "prompt", "inputText"):
        if value := body.get(key):
            _take_plain(value, texts, key)
    for i, holder in enumerate([body, *(body.get("requests") or ()), *(body.get("instances") or ())]):
        if content := holder.get("content"):
            take(content.get("parts") if isinstance(content, dict) else content, texts, "content", i)


# --- tools ---------------------------------------------------------------------------------------


def _tools(body: Part) -> Iterator[Any]:
    config = body.get("toolConfig")
    for tools in (body.get("tools"), body.get("functions"), config.get("tools") if isinstance(config, dict) else None):
        for tool in tools or ():
            declared = tool.get("functionDeclarations") or tool.get("function_declarations")
            yield from declared or (tool,)


def _tool(told: Part, texts: Texts, at: int) -> Tool | None:
    for key in ("function", "toolSpec"):
        if isinstance(inner := told.get(key), dict):
            told = inner
    if "cachePoint" in told:
        return None
    schema = next((told[key] for key in _SCHEMAS if told.get(key) is not None), None)
    if not isinstance(told.get("name"), str) or (schema is None and "description" not in told):
        name = told.get("name") or told.get("type") or next(iter(told), None)
        texts.hide("tools", told, "tools", at, label=name)  # a tool of the provider's own
        return None
    if isinstance(schema, dict) and isinstance(inner := schema.get("json"), dict):
        schema = inner
    description = told.get("description")
    return Tool(told["name"], description if isinstance(description, str) else None, schema)


def _take_format(body: Part, texts: Texts) -> None:
    """Take in the JSON schema that the answer is to have, where it is part of the prompt: OpenAI."""
    wanted = body.get("response_format")
    if wanted is None and isinstance(text := body.get("text"), dict):
        wanted = text.get("format")
    if isinstance(wanted, dict) and isinstance(inner := wanted.get("json_schema"), dict):
        wanted = inner
    if isinstance(wanted, dict) and isinstance(wanted.get("schema"), dict):
        texts.mark("format", wanted.get("name"), "format")
        texts.add("content", as_format(wanted.get("name"), wanted.get("description"), wanted["schema"]), "format")
