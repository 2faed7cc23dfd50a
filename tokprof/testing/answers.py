"""
What the simulated provider answers: scripted replies, the rule that counts tokens, and matching.

The token rule, unless a reply gives the counts: a text of ``n`` characters is ``ceil(n / 4)`` tokens; a request
is the sum over its messages (system text and instructions are messages) plus 3 tokens for each message, plus the
tokens of its tool definitions as compact JSON. A tool call is the tokens of its name and its arguments as JSON.
Embedding inputs have no surcharge of 3 tokens.

Usage is canonical everywhere in this module: input includes cache reads and writes, output includes reasoning.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from tokprof.testing.prefixes import PrefixCache

CHARACTERS_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 3

_FINISH_REASONS = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "end_turn": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def compact(value: Any) -> str:
    """Return a value as JSON without blanks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def count_tokens(text: str) -> int:
    """Return the tokens of a text by the rule of the simulated provider: four characters each, rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def text_of(value: Any) -> str:
    """Return all text the model would read in a message, in any of the dialects; images and audio have none."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(text_of(item) for item in value)
    if not isinstance(value, dict):
        return ""
    texts = [text_of(value.get(key)) for key in ("text", "content", "output", "tool_calls", "function")]
    if "arguments" in value or isinstance(value.get("input"), dict):
        texts += [text_of(value.get("name")), text_of(value.get("arguments"))]
        texts.append(compact(value["input"]) if isinstance(value.get("input"), dict) else "")
    return "".join(texts)


def in_pieces(text: str, pieces: int | None) -> list[str]:
    """
    Cut a text into pieces of about the same length.

    Parameters
    ----------
    text : str
        The text; an empty one has no pieces.
    pieces : int or None
        How many; no more than the text has characters. None means one piece per token.
    """
    count = count_tokens(text) if pieces is None else min(pieces, len(text))
    if pieces is None:
        return [text[at : at + CHARACTERS_PER_TOKEN] for at in range(0, len(text), CHARACTERS_PER_TOKEN)]
    return [text[len(text) * at // count : len(text) * (at + 1) // count] for at in range(count)]


@dataclass(frozen=True)
class Usage:
    """Canonical token counts of one answer."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0

    def truth(self, model: str) -> dict[str, Any]:
        """Return the counts as the entry of ``SimulatedProvider.truth``."""
        return {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cache_read_tokens": self.cache_read_tokens,
            "cache_write_tokens": self.cache_write_tokens,
            "reasoning_tokens": self.reasoning_tokens,
            "model": model,
        }


@dataclass
class RecordedRequest:
    """
    One request the simulated provider received.

    Attributes
    ----------
    method, path : str
        The method and the path without its query.
    headers : dict of str to str
        The headers with names in lower case, without those that carry a key.
    body : dict
        The body as JSON; empty if there was none or if it was no JSON object.
    model, prompt : str
        The model asked for, and the text of all messages together.
    stream : bool
        Whether a stream was asked for.
    status : int or None
        The HTTP status of the answer; None while there is none, and for ever if the connection was dropped before.
    usage : dict or None
        The entry of ``truth`` that belongs to this request, if it has one.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any] = field(default_factory=dict)
    model: str = ""
    prompt: str = ""
    stream: bool = False
    status: int | None = None
    usage: dict[str, Any] | None = None

    @property
    def has_tools(self) -> bool:
        """Whether the request declares tools."""
        return bool(self.body.get("tools"))


@dataclass(frozen=True)
class Reply:
    """
    A scripted answer; see `SimulatedProvider.reply` for how one is queued.

    Parameters
    ----------
    text : str, optional
        The text of the answer; without it the provider's own text, or none if there are tool calls.
    input_tokens, output_tokens : int, optional
        Canonical tokens (cache and reasoning included); without them the rule of this module counts.
    cache_read_tokens, cache_write_tokens : int
        The part of the input tokens read from and written to the provider's cache.
    cache_write_1h_tokens : int
        The part of ``cache_write_tokens`` that lives for an hour.
    reasoning_tokens : int
        The part of the output tokens spent on reasoning.
    tool_calls : sequence of (str, dict)
        Names and arguments of tool calls. Such a reply waits for a request that declares tools.
    finish_reason : str, optional
        One of stop, length, tool_calls, content_filter, or Anthropic's names of these.
    latency : float, optional
        Seconds before the first byte; without it the provider's own.
    chunks : int, optional
        The number of pieces the text is streamed in; without it one per token.
    status : int
        The HTTP status; 400 and above answers with the error body of the API that was asked.
    retry_after : float, optional
        Seconds the client is told to wait before it tries again.
    drop : {"before", "mid"}, optional
        Close the connection instead of answering, or in the middle of the answer.
    when : str or callable, optional
        Only for requests whose model or prompt contains the text, or for which the callable, given the
        `RecordedRequest`, returns true.
    times : int or None
        How many requests are answered so; None means for ever.
    body : bytes, optional
        The body as it is sent, in place of any made from the other parameters.
    content_type, content_encoding : str, optional
        Headers of ``body``.
    """

    text: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    tool_calls: Sequence[tuple[str, dict[str, Any]]] = ()
    finish_reason: str | None = None
    latency: float | None = None
    chunks: int | None = None
    status: int = 200
    retry_after: float | None = None
    drop: Literal["before", "mid"] | None = None
    when: str | Callable[[RecordedRequest], object] | None = None
    times: int | None = 1
    body: bytes | None = None
    content_type: str = "application/json"
    content_encoding: str | None = None

    def __post_init__(self) -> None:
        for name in (*Usage.__dataclass_fields__, "latency", "retry_after"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} is {value}: give a number of zero or more")
        for name in ("chunks", "times"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}: give a number of one or more, or None")
        if self.drop not in (None, "before", "mid"):
            raise ValueError(f"drop is {self.drop!r}: give 'before' (no answer), 'mid' (half an answer) or None")
        if not 200 <= self.status <= 599:
            raise ValueError(f"status is {self.status}: give an HTTP status from 200 to 599")
        if self.finish_reason is not None and self.finish_reason not in _FINISH_REASONS:
            raise ValueError(f"finish_reason is {self.finish_reason!r}: give one of {', '.join(_FINISH_REASONS)}")
        cached = self.cache_read_tokens + self.cache_write_tokens
        if self.input_tokens is not None and cached > self.input_tokens:
            raise ValueError(
                f"input_tokens is {self.input_tokens} with {cached} cached: give all input, cache included"
            )
        if self.cache_write_1h_tokens > self.cache_write_tokens:
            raise ValueError("cache_write_1h_tokens is a part of cache_write_tokens: give at least as many of these")
        if self.output_tokens is not None and self.reasoning_tokens > self.output_tokens:
            raise ValueError("reasoning_tokens is a part of output_tokens: give at least as many of these")

    def fits(self, request: RecordedRequest) -> bool:
        """Tell whether this reply is for a request."""
        if self.body is None and self.status < 400 and self.drop != "before":
            if self.tool_calls and not request.has_tools:
                return False
            if self.text is not None and request.path.endswith("/embeddings"):
                return False
        if self.when is None:
            return True
        if isinstance(self.when, str):
            return self.when in request.model or self.when in request.prompt
        return bool(self.when(request))


@dataclass(frozen=True)
class Answer:
    """A reply made definite for one request: what the dialects turn into JSON or events."""

    request: RecordedRequest
    number: int
    text: str
    tool_calls: tuple[tuple[str, dict[str, Any]], ...]
    finish_reason: str
    usage: Usage
    chunks: int | None

    @property
    def model(self) -> str:
        """The model the request asked for."""
        return self.request.model

    @property
    def created(self) -> int:
        """A time stamp in seconds that is the same in every run."""
        return 1_735_689_600 + self.number

    def identity(self, prefix: str, part: int | None = None) -> str:
        """Return an id that no other answer of this provider has."""
        return f"{prefix}sim{self.number:08d}" + ("" if part is None else f"_{part}")

    def text_pieces(self) -> list[str]:
        """Return the text in the pieces it is streamed in."""
        return in_pieces(self.text, self.chunks)


class Event(NamedTuple):
    """One server-sent event; ``paced`` ones carry generated tokens, and take time."""

    data: dict[str, Any] | str
    name: str | None = None
    paced: bool = False


@dataclass(frozen=True)
class Dialect:
    """One endpoint: how its requests are read and how its answers are written."""

    path: str
    required: tuple[str, ...]
    messages: Callable[[dict[str, Any]], list[str]]
    caps: tuple[str, ...]
    render: Callable[[Answer], dict[str, Any]]
    events: Callable[[Answer], Iterator[Event]] | None
    error: Callable[[int, str], dict[str, Any]]
    request_id_header: str
    tokens_per_message: int = TOKENS_PER_MESSAGE
    caches: bool = False

    def prompt(self, body: dict[str, Any]) -> str:
        """Return all of a prompt as one text, tools first: what a cache of prefixes knows it by."""
        tools = compact(body["tools"]) if body.get("tools") else ""
        return "\0".join([tools, *self.messages(body)])

    def input_tokens(self, body: dict[str, Any]) -> int:
        """Return the input tokens of a request by the rule of this module."""
        texts = self.messages(body)
        tools = count_tokens(compact(body["tools"])) if body.get("tools") else 0
        return sum(map(count_tokens, texts)) + self.tokens_per_message * len(texts) + tools

    def cap(self, body: dict[str, Any]) -> int | None:
        """Return the most output tokens a request allows, if it says."""
        caps = [body[name] for name in self.caps if isinstance(body.get(name), int)]
        return min(caps) if caps else None


def answer(
    reply: Reply,
    default_text: str,
    dialect: Dialect,
    request: RecordedRequest,
    number: int,
    cache: PrefixCache | None = None,
) -> Answer:
    """Make a reply definite: fill in text and tokens, and keep to the request's cap on output tokens."""
    calls = tuple((name, dict(arguments)) for name, arguments in reply.tool_calls)
    text = reply.text if reply.text is not None else "" if calls else default_text
    finish = _FINISH_REASONS[reply.finish_reason] if reply.finish_reason else "tool_calls" if calls else "stop"
    reasoning = reply.reasoning_tokens
    output = reply.output_tokens
    if output is None:
        called = sum(count_tokens(name + compact(arguments)) for name, arguments in calls)
        output = count_tokens(text) + called + reasoning
    cap = dialect.cap(request.body)
    if cap is not None and output > cap:
        reasoning = min(reasoning, cap)
        visible, allowed = output - reply.reasoning_tokens, cap - reasoning
        given = len(text) * allowed // visible if visible else len(text)
        text = text[: given if reply.output_tokens is not None else allowed * CHARACTERS_PER_TOKEN]
        output, calls, finish = cap, (), "length"
    counted = max(dialect.input_tokens(request.body), reply.cache_read_tokens + reply.cache_write_tokens)
    read = reply.cache_read_tokens
    if cache is not None and dialect.caches and reply.input_tokens is None and not read:
        read = cache.read(request.model, dialect.prompt(request.body), counted)
    usage = Usage(
        input_tokens=reply.input_tokens if reply.input_tokens is not None else counted,
        output_tokens=output if dialect.events else 0,
        cache_read_tokens=read,
        cache_write_tokens=reply.cache_write_tokens,
        cache_write_1h_tokens=reply.cache_write_1h_tokens,
        reasoning_tokens=reasoning if dialect.events else 0,
    )
    return Answer(request, number, text, calls, finish, usage, reply.chunks)
