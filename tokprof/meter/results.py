"""Reading of results: what the objects that a call returned in this process tell of the model behind it.

Dictionaries as JSON would have them, and the classes that SDKs make of them, hold their usage where the wire does; so
what is worth a look is brought into that form and read by `tokprof.meter.shapes`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tokprof.meter.agent import AgentRun, Totals
from tokprof.meter.plain import has, member, plain, some
from tokprof.meter.reader import _cost, _dump
from tokprof.meter.shapes import Told
from tokprof.meter.usage import InvalidCountError, count, shape_of, tally
from tokprof.span import Reading, Usage

Event = dict[str, Any]

_BARE = (str, bytes, bytearray, memoryview, int, float, complex, type(None))
_TELLING = frozenset(
    (
        "usage",
        "usage_metadata",
        "usageMetadata",
        "prompt_eval_count",
        "eval_count",
        "total_cost_usd",
        "prompt_token_ids",
    )
)
_LAST = ("response.completed", "response.incomplete", "response.failed", "response.done")
_TEXTS = ("model", "modelVersion", "model_version", "object", "type", "status", "stop_reason", "finish_reason")
_REASONS = ("stopReason", "done_reason", "done")
_HOLDERS = ("message", "response", "delta")
_HELD = ("id", "object", "model", "status", "stop_reason", "finish_reason", "incomplete_details", "error")
_FLAT = (
    "prompt_eval_count",
    "eval_count",
    "prompt_token_count",
    "generation_token_count",
    "input_token_count",
    "inputTextTokenCount",
    "results",
    "meta",
    "x_groq",
)
_LISTS = ("choices", "candidates", "data")
_ENDS = ("finish_reason", "finishReason", "stop_reason", "object")
# Google's SDKs -> the names on the wire
_GOOGLE = {
    "prompt_token_count": "promptTokenCount",
    "candidates_token_count": "candidatesTokenCount",
    "response_token_count": "responseTokenCount",
    "total_token_count": "totalTokenCount",
    "cached_content_token_count": "cachedContentTokenCount",
    "thoughts_token_count": "thoughtsTokenCount",
    "tool_use_prompt_token_count": "toolUsePromptTokenCount",
    "prompt_tokens_details": "promptTokensDetails",
    "candidates_tokens_details": "candidatesTokensDetails",
    "response_tokens_details": "responseTokensDetails",
    "token_count": "tokenCount",
}
_OWN = frozenset(Usage.__slots__)
_SINGLE = ("embedding", "reranker")
_OPERATIONS = {"embedding": "embeddings", "reranker": "rerank"}


class Results:
    """What the result of a call, or the items of its stream, told up to now.

    Parameters
    ----------
    kind : str
        Of the call; embeddings and rerankers spend input alone.
    usage : callable, optional
        The user's own reading of a result: gives a mapping, or None where the result tells nothing.
    totals : dict, optional
        Of the agent's connection, see `AgentRun`.
    """

    def __init__(self, kind: str = "llm", usage: Callable[[Any], Any] | None = None, totals: Totals | None = None):
        self._kind = kind
        self._ask = usage
        self._told = Told()
        self._agent = AgentRun(totals)
        self._tokens: _Tokens | None = None
        self._parts: list[Reading] = []
        self._own: Usage | None = None
        self._cost: float | None = None

    @property
    def told(self) -> bool:
        """Whether anything was said of a model, be it without its usage."""
        told = self._told
        found = told.usage or told.metrics or told.operation or self._tokens or self._parts or self._agent.told
        return bool(found) or self._own is not None or self._cost is not None

    @property
    def settled(self) -> bool:
        """Whether the usage of the whole answer was told, or the reason why it ended."""
        told = self._told
        if told.final or told.finish is not None or self._own is not None or self._agent.ended:
            return True
        return self._tokens is not None and self._tokens.ended

    @property
    def of_agent(self) -> bool:
        """Whether an agent spoke, which made many calls."""
        return self._agent.told

    @property
    def failure(self) -> str | None:
        """How an agent's run failed, in its own word."""
        return self._agent.error

    def absorb(self, item: Any, stream: bool = False) -> None:
        """Take in a result, or an item of a stream."""
        if self._ask is not None and self._asked(self._ask(item)):
            return
        if isinstance(item, _BARE):
            return
        if isinstance(item, list | tuple) and not hasattr(item, "_fields"):
            if stream:
                for part in item:  # xAI gives the answer so far beside each piece of it
                    self._absorb(part, True)
            else:
                self._batch(item)
            return
        self._absorb(item, stream)

    def _absorb(self, item: Any, stream: bool) -> None:
        if isinstance(item, _BARE) or self._agent.absorb(item):
            return
        if member(item, "prompt_token_ids") is not None:
            tokens = self._tokens or _Tokens()
            if tokens.absorb(item):
                self._tokens = tokens
                return
        cost = member(item, "total_cost_usd")
        if isinstance(cost, int | float) and not isinstance(cost, bool) and cost >= 0:
            self._cost = float(cost)
        event = _event(item)
        if stream and isinstance(added := event.get("usage_metadata"), dict):
            event["usage"] = _sum(self._told.usage, added)  # LangChain's chunks are added up
        elif "usage_metadata" in event:
            event["usage"] = event["usage_metadata"]
        if event:
            self._told.absorb(event, stream)

    def _batch(self, items: list[Any] | tuple[Any, ...]) -> None:
        """Take in the answers to many prompts; a list whose first item tells nothing is none."""
        for item in items:
            one = Results(self._kind)
            one._absorb(item, False)
            if not one.told and not self._parts:
                return
            self._parts += one.readings(True) or [Reading("chat", self._kind)]

    def _asked(self, answer: Any) -> bool:
        if answer is None:
            return False
        if isinstance(answer, Usage):
            self._own = answer
            return True
        found = plain(answer)
        if not isinstance(found, dict):
            raise TypeError(f"usage= must give a mapping or None, not {type(answer).__name__}")
        if isinstance(cost := found.pop("cost", None), int | float):
            self._cost = float(cost)
        if isinstance(model := found.pop("model", None), str):
            self._told.model = model
        if found.keys() <= _OWN:
            self._own = Usage(**{name: count(value) for name, value in found.items()})
        elif shape_of(found) is not None:
            self._told.absorb({"usage": found}, False)
        else:
            self._told.absorb(found, False)
        return True

    def readings(self, complete: bool) -> list[Reading]:
        """One for each model that spent something; none where nothing was said of a model.

        Parameters
        ----------
        complete : bool
            Whether the answer came to its end.
        """
        if self._agent.told:
            return self._agent.readings()
        if self._parts:
            return [_together(self._parts)]
        if not self.told:
            return []
        told = self._told
        kind = told.kind if told.kind and self._kind == "llm" else self._kind
        reading = Reading(told.operation or _OPERATIONS.get(kind, "chat"), kind, model=told.model)
        reading.finish_reason, reading.service_tier, reading.error = told.finish, told.tier, told.error
        if self._own is not None:
            reading.usage, reading.source = self._own, "reported"
            if kind in _SINGLE and reading.usage.output_tokens is None:
                reading.usage.output_tokens = 0
        elif self._tokens is not None:
            self._tokens.tell(reading, complete)
        else:
            self._meter(reading, kind, complete)
        reading.cost = self._cost if self._cost is not None else reading.cost
        return [reading]

    def _meter(self, reading: Reading, kind: str, complete: bool) -> None:
        told = self._told
        for raw in (told.usage, told.metrics):
            usage = _named(raw) or tally(raw, kind in _SINGLE)
            if raw and reading.usage_raw is None:
                reading.usage_raw = _dump(raw)
                reading.cost = _cost(raw)
            if usage is not None:
                final = told.final or (complete and reading.operation != "messages")
                reading.usage, reading.source = usage[0], usage[1] if final else "partial"
                return


class _Tokens:
    """The tokens themselves, as vLLM gives them: there is nothing to ask for, but they can be counted."""

    def __init__(self) -> None:
        self.ended = False
        self._prompt = 0
        self._cached: int | None = None
        self._finish: str | None = None
        self._generated: dict[Any, tuple[int, int, Any]] = {}  # of each output: before, in the last item, its last one
        self._pieces = False
        self._single = False

    def absorb(self, item: Any) -> bool:
        """Take in a result; False for one that gives no tokens."""
        prompt, outputs = member(item, "prompt_token_ids"), member(item, "outputs")
        if not isinstance(prompt, list) or outputs is None:
            return False
        if isinstance(outputs, list):
            for place, output in enumerate(outputs):
                if not hasattr(ids := member(output, "token_ids"), "__len__"):
                    return False
                index = member(output, "index")
                self._count(place if index is None else index, ids)
                if isinstance(reason := member(output, "finish_reason"), str):
                    self._finish = reason
        else:  # a vector, a score
            self._single = True
        self._prompt = max(self._prompt, len(prompt))
        if type(cached := member(item, "num_cached_tokens")) is int:
            self._cached = cached
        self.ended = member(item, "finished") is True
        return True

    def _count(self, index: Any, ids: Any) -> None:
        """Count an output: all of its tokens so far, or, in some streams, those that are new."""
        before, length, last = self._generated.get(index, (0, 0, None))
        if length and not (len(ids) > length and ids[length - 1] == last):
            self._pieces = True
        if self._pieces:
            before += length
        if len(ids):
            self._generated[index] = before, len(ids), ids[-1]

    def tell(self, reading: Reading, complete: bool) -> None:
        """Put the counts into a reading."""
        usage = reading.usage
        usage.input_tokens = self._prompt
        usage.output_tokens = sum(before + length for before, length, _ in self._generated.values())
        usage.cache_read_tokens = self._cached
        reading.source = "derived" if complete or self.ended else "partial"
        reading.finish_reason = self._finish
        if self._single and reading.kind == "llm":
            reading.kind, reading.operation = "embedding", "embeddings"


def _event(item: Any) -> Event:
    """Members of a result that may tell something, as JSON would have them."""
    found: Event = {}
    for key in _TEXTS:
        if isinstance(value := member(item, key), str):
            found[key] = value
    for key in _REASONS:
        if isinstance(value := member(item, key), str | bool):
            found[key] = value
    usage = plain(member(item, "usage"))
    if not isinstance(usage, dict) or "tool_uses" in usage:
        usage = plain(member(item, "usageMetadata"))
    if isinstance(usage, dict):
        found["usage"] = usage
    elif isinstance(google := plain(member(item, "usage_metadata")), dict):
        if "input_tokens" in google:
            found["usage_metadata"] = _langchain(google)
            response = member(item, "response_metadata")
            if isinstance(model := member(response, "model_name") or member(response, "model"), str):
                found["model"] = model
        else:
            found["usageMetadata"] = _google(google)
    for key in _FLAT:
        value = plain(member(item, key), 3)
        if value is not None:
            found[key] = value
    if isinstance(error := plain(member(item, "error"), 2), dict | str):
        found["error"] = error
    for key in _HOLDERS:
        if (held := member(item, key)) is not None and not isinstance(held, _BARE):
            found[key] = _held(held)
    for key in _LISTS:
        if isinstance(items := member(item, key), list):
            found[key] = [_texts(one, _ENDS) for one in items[:1]]
    return found


def _held(item: Any) -> Event:
    held = _texts(item, _HELD)
    usage, meta = plain(member(item, "usage")), plain(member(item, "meta"), 3)
    if isinstance(usage, dict):
        held["usage"] = usage
    if isinstance(meta, dict):
        held["meta"] = meta
    return held


def _texts(item: Any, names: tuple[str, ...]) -> Event:
    values = ((name, plain(member(item, name), 2)) for name in names)
    return {name: value for name, value in values if isinstance(value, str | dict)}


def _google(value: Any) -> Any:
    if isinstance(value, dict):
        return {_GOOGLE.get(key, key): _google(item) for key, item in value.items() if item is not None}
    return [_google(item) for item in value] if isinstance(value, list) else value


def _langchain(usage: Event) -> Event:
    """LangChain's ``UsageMetadata``: input includes the cache, output includes reasoning."""
    inputs, outputs = usage.get("input_token_details") or {}, usage.get("output_token_details") or {}
    found = {
        "input_tokens": usage.get("input_tokens"),
        "output_tokens": usage.get("output_tokens"),
        "cache_read_tokens": inputs.get("cache_read"),
        "cache_write_tokens": inputs.get("cache_creation"),
        "reasoning_tokens": outputs.get("reasoning"),
    }
    return {name: value for name, value in found.items() if value is not None}


def _named(raw: Event) -> tuple[Usage, str] | None:
    """Usage by the names of `Usage` itself, whose meaning is the same (pydantic-ai, LangChain as above)."""
    if "input_tokens" not in raw or not raw.keys() & {"cache_read_tokens", "cache_write_tokens", "reasoning_tokens"}:
        return None
    try:
        return Usage(**{name: count(raw[name]) for name in Usage.__slots__ if name in raw}), "reported"
    except InvalidCountError:
        return None


def _sum(into: Event, more: Event) -> Event:
    return into | {key: value + (into.get(key) or 0) for key, value in more.items() if type(value) is int}


def _together(parts: list[Reading]) -> Reading:
    """Sum of the answers to a batch; a lower bound where one of them told nothing."""
    whole = replace(parts[0])
    if len(parts) == 1:
        return whole
    usage = Usage()
    for name in Usage.__slots__:
        known = [value for part in parts if (value := getattr(part.usage, name)) is not None]
        setattr(usage, name, sum(known) if known else None)
    costs = [part.cost for part in parts]
    whole.usage, whole.usage_raw = usage, None
    whole.cost = sum(cost for cost in costs if cost is not None) if None not in costs else None
    sources = {part.source for part in parts}
    if sources & {"missing", "partial"}:
        whole.source = "missing" if sources == {"missing"} else "partial"
    elif "derived" in sources:
        whole.source = "derived"
    return whole


def tells(item: Any) -> bool:
    """Whether an item of a stream is worth a full look: a quick test, since most items hold but a word."""
    if isinstance(item, _BARE):
        return False
    if isinstance(item, tuple):
        return any(tells(part) for part in item)
    if some(item, _TELLING) or has(item, "parent_tool_use_id"):
        return True
    kind = member(item, "type")
    return isinstance(kind, str) and (kind.startswith("message") or kind in _LAST)


def speaks(item: Any) -> bool | None:
    """Whether an item of a stream carries generated text; None where its form is not known."""
    if isinstance(item, str | bytes):
        return bool(item)
    if isinstance(item, tuple) and item:
        return speaks(item[-1])
    if isinstance(kind := member(item, "type"), str):
        return kind.endswith(".delta") or kind in ("content_block_delta", "text")
    choices = member(item, "choices")
    if isinstance(choices, list):
        first = choices[0] if choices else None
        delta = member(first, "delta")
        said = (member(delta, name) for name in ("content", "reasoning_content", "reasoning", "tool_calls"))
        return bool(member(first, "text")) or any(said)
    if isinstance(outputs := member(item, "outputs"), list):
        return any(member(output, "text") or member(output, "token_ids") for output in outputs)
    if has(item, "subtype") and (has(item, "data") or has(item, "num_turns")):
        return False
    for name in ("content", "text", "response"):
        if (said := member(item, name)) is not None and not callable(said):
            return bool(said)
    message = member(item, "message")
    return None if message is None else bool(member(message, "content"))
