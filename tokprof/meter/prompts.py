"""What a program asked of a model: the text of the prompt, read from the request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tokprof.meter.body import load
from tokprof.meter.parts import Part, Texts, dump, take, take_item, take_message
from tokprof.meter.schemas import Tool, as_format, as_json

# members of a request that bring tokens in which it does not show
_HIDDEN = (
    "previous_response_id",
    "conversation",
    "conversation_id",
    "cachedContent",
    "container",
    "mcp_servers",
    "data_sources",
    "plugins",
    "web_search_options",
    "connectors",
    "images",
)
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
    """

    texts: list[str]
    messages: int
    complete: bool
    tokens: int = 0
    calls: int = 0
    names: int = 0
    tools: Sequence[Tool] = ()

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
    body = load(request) if request else None
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
            tools = [tool for told in _tools(body) if (tool := _tool(told, texts)) is not None]
    except Exception:
        texts.hidden = True
    found = texts.of()
    complete = not texts.hidden and bool(found or texts.tokens)
    return Asked(found, messages, complete, texts.tokens, len(texts.of("name")), len(texts.of("author")), tools)


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
    texts.hidden = any(body.get(key) for key in _HIDDEN)
    for key in _SYSTEM:
        if value := body.get(key):
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
    _take_ids(body.get("context"), texts)  # Ollama: the turns before
    if documents := body.get("documents"):
        texts.add("content", dump(documents), "documents")
    messages += "chat_history" in body or ("message" in body and not messages)
    texts.add("content", _format(body), "format")
    return messages


def _take_turn(turn: Any, texts: Texts, *place: object) -> None:
    if not isinstance(turn, dict):
        take(turn, texts, *place)
    elif "type" in turn and "role" not in turn:
        take_item(turn, texts, *place)
    else:
        take_message(turn, texts, *place)
        texts.add("content", turn.get("message"), *place)  # Cohere
        texts.add("author", turn.get("name"), *place)


def _take_plain(value: Any, texts: Texts, *place: object) -> None:
    """Take in text, texts, token ids, or lists of them."""
    if isinstance(value, str):
        texts.add("content", value, *place)
    elif isinstance(value, dict):
        texts.hidden = True  # a stored template
    elif isinstance(value, list) and not _take_ids(value, texts):
        for i, item in enumerate(value):
            if isinstance(item, dict):
                take(item.get("content", item.get("parts", item)), texts, *place, i)
            else:
                _take_plain(item, texts, *place, i)


def _take_ids(value: Any, texts: Texts) -> bool:
    if not isinstance(value, list) or not value or type(value[0]) is not int:
        return False
    texts.tokens += len(value)
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


def _tool(told: Part, texts: Texts) -> Tool | None:
    for key in ("function", "toolSpec"):
        if isinstance(inner := told.get(key), dict):
            told = inner
    if "cachePoint" in told:
        return None
    schema = next((told[key] for key in _SCHEMAS if told.get(key) is not None), None)
    if not isinstance(told.get("name"), str) or (schema is None and "description" not in told):
        texts.hidden = True  # a tool of the provider's own
        return None
    if isinstance(schema, dict) and isinstance(inner := schema.get("json"), dict):
        schema = inner
    description = told.get("description")
    return Tool(told["name"], description if isinstance(description, str) else None, schema)


def _format(body: Part) -> str | None:
    """Read the JSON schema that the answer is to have, where it is part of the prompt: OpenAI."""
    wanted = body.get("response_format")
    if wanted is None and isinstance(text := body.get("text"), dict):
        wanted = text.get("format")
    if isinstance(wanted, dict) and isinstance(inner := wanted.get("json_schema"), dict):
        wanted = inner
    if not isinstance(wanted, dict) or not isinstance(wanted.get("schema"), dict):
        return None
    return as_format(wanted.get("name"), wanted.get("description"), wanted["schema"])
