"""The arithmetic: from a provider's usage object to canonical tokens.

A shape is a row of a table: where each count is found, and whether cache and reasoning come on top of
the input and output that the provider tells, or are parts of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from tokprof.span import Usage

MAX = 2**53  # beyond it JSON numbers are not exact, and no answer is that long

Path = tuple[str, ...]
Paths = tuple[Path, ...]
Raw = Mapping[str, Any]


class Shape(NamedTuple):
    """Where the counts of one provider's usage object are.

    Attributes
    ----------
    input, output, total, cache_read, cache_write, cache_write_1h, reasoning : tuple of paths
        The first path that leads to a value counts.
    input_more, output_more : tuple of paths
        Each is added on top of the input and the output.
    cache_apart : bool
        Whether the input excludes cache reads and writes.
    modalities : tuple of paths
        Objects of counts by modality: of the input, and of the output.
    cached_modalities : tuple of paths
        The same, of what was read from a cache.
    """

    input: Paths
    output: Paths
    total: Paths = ()
    cache_read: Paths = ()
    cache_write: Paths = ()
    cache_write_1h: Paths = ()
    reasoning: Paths = ()
    input_more: Paths = ()
    output_more: Paths = ()
    cache_apart: bool = False
    modalities: tuple[Paths, Paths] = ((), ())
    cached_modalities: Paths = ()


_CHAT = Shape(
    input=(("prompt_tokens",),),
    output=(("completion_tokens",),),
    total=(("total_tokens",),),
    cache_read=(
        ("prompt_tokens_details", "cached_tokens"),
        ("prompt_token_details", "cached_tokens"),
        ("prompt_cache_hit_tokens",),
        ("num_cached_tokens",),
        ("cached_tokens",),
        ("cached_prompt_text_tokens",),
        ("cache_read_input_tokens",),
    ),
    cache_write=(
        ("prompt_tokens_details", "cache_write_tokens"),
        ("prompt_tokens_details", "cache_creation_tokens"),
        ("cache_creation_input_tokens",),
    ),
    reasoning=(("completion_tokens_details", "reasoning_tokens"), ("reasoning_tokens",)),
    modalities=(
        (("prompt_tokens_details",), ("prompt_token_details",)),
        (("completion_tokens_details",),),
    ),
    cached_modalities=(("prompt_tokens_details", "cached_tokens_details"),),
)
_RESPONSES = Shape(
    input=(("input_tokens",),),
    output=(("output_tokens",),),
    total=(("total_tokens",),),
    cache_read=(("input_tokens_details", "cached_tokens"), ("input_token_details", "cached_tokens")),
    cache_write=(("input_tokens_details", "cache_write_tokens"), ("input_token_details", "cache_write_tokens")),
    reasoning=(("output_tokens_details", "reasoning_tokens"), ("output_token_details", "reasoning_tokens")),
    modalities=(
        (("input_tokens_details",), ("input_token_details",)),
        (("output_tokens_details",), ("output_token_details",)),
    ),
    cached_modalities=(
        ("input_tokens_details", "cached_tokens_details"),
        ("input_token_details", "cached_tokens_details"),
    ),
)
_ANTHROPIC = Shape(
    input=(("input_tokens",),),
    output=(("output_tokens",),),
    cache_read=(("cache_read_input_tokens",),),
    cache_write=(("cache_creation_input_tokens",),),
    cache_write_1h=(("cache_creation", "ephemeral_1h_input_tokens"),),
    reasoning=(("output_tokens_details", "thinking_tokens"),),
    cache_apart=True,
)
_CONVERSE = Shape(
    input=(("inputTokens",),),
    output=(("outputTokens",),),
    total=(("totalTokens",),),
    cache_read=(("cacheReadInputTokens",), ("cacheReadInputTokenCount",)),
    cache_write=(("cacheWriteInputTokens",), ("cacheWriteInputTokenCount",)),
    cache_apart=True,
)
_BEDROCK = Shape(
    input=(("inputTokenCount",),),
    output=(("outputTokenCount",),),
    cache_read=(("cacheReadInputTokenCount",),),
    cache_write=(("cacheWriteInputTokenCount",),),
    cache_apart=True,
)
_GEMINI = Shape(
    input=(("promptTokenCount",),),
    output=(("candidatesTokenCount",), ("responseTokenCount",)),
    total=(("totalTokenCount",),),
    cache_read=(("cachedContentTokenCount",),),
    reasoning=(("thoughtsTokenCount",),),
    input_more=(("toolUsePromptTokenCount",),),
    output_more=(("thoughtsTokenCount",),),
    modalities=(
        (("promptTokensDetails",),),
        (("candidatesTokensDetails",), ("responseTokensDetails",)),
    ),
    cached_modalities=(("cacheTokensDetails",),),
)
_INTERACTIONS = Shape(
    input=(("total_input_tokens",),),
    output=(("total_output_tokens",),),
    total=(("total_tokens",),),
    cache_read=(("total_cached_tokens",),),
    reasoning=(("total_thought_tokens",),),
    input_more=(("total_tool_use_tokens",),),
    output_more=(("total_thought_tokens",),),
)
_COHERE = Shape(
    input=(("tokens", "input_tokens"), ("billed_units", "input_tokens")),
    output=(("tokens", "output_tokens"), ("billed_units", "output_tokens")),
    cache_read=(("cached_tokens",),),
)
_OLLAMA = Shape(input=(("prompt_eval_count",),), output=(("eval_count",),))
_LLAMA = Shape(input=(("prompt_token_count",),), output=(("generation_token_count",),))
_TITAN = Shape(input=(("inputTextTokenCount",),), output=(("tokenCount",), ("totalOutputTextTokenCount",)))
_WATSONX = Shape(input=(("input_token_count",),), output=(("generated_token_count",),))
_ALEPH_ALPHA = Shape(input=(("num_tokens_prompt_total",),), output=(("num_tokens_generated",),))
_VERTEX_EMBEDDING = Shape(input=(("token_count",),), output=())

# a key that tells the shape, in the order in which to ask
_BY_KEY = (
    ("prompt_tokens", _CHAT),
    ("completion_tokens", _CHAT),
    ("cache_creation_input_tokens", _ANTHROPIC),
    ("cache_read_input_tokens", _ANTHROPIC),
    ("cache_creation", _ANTHROPIC),
    ("promptTokenCount", _GEMINI),
    ("candidatesTokenCount", _GEMINI),
    ("inputTokens", _CONVERSE),
    ("outputTokens", _CONVERSE),
    ("tokens", _COHERE),
    ("billed_units", _COHERE),
    ("total_input_tokens", _INTERACTIONS),
    ("inputTokenCount", _BEDROCK),
    ("outputTokenCount", _BEDROCK),
    ("eval_count", _OLLAMA),
    ("prompt_eval_count", _OLLAMA),
    ("prompt_token_count", _LLAMA),
    ("generation_token_count", _LLAMA),
    ("inputTextTokenCount", _TITAN),
    ("generated_token_count", _WATSONX),
    ("input_token_count", _WATSONX),
    ("num_tokens_prompt_total", _ALEPH_ALPHA),
    ("num_tokens_generated", _ALEPH_ALPHA),
    ("token_count", _VERTEX_EMBEDDING),
    ("totalTokenCount", _GEMINI),
    ("total_tokens", _CHAT),
)

# searches that are billed by the piece, whatever the shape
_SEARCHES: Paths = (
    ("server_tool_use", "web_search_requests"),
    ("server_side_tool_usage_details", "web_search_calls"),
    ("tool_calls_details", "search_web", "invocation"),
    ("num_search_queries",),
)

_SEARCH_KEYS = frozenset(path[0] for path in _SEARCHES)

# runs of a model that Anthropic bills beside its usage object
_BESIDE = ("compaction", "advisor_message")


class Hidden(NamedTuple):
    """A run of a model that was billed beside the one that answers.

    Attributes
    ----------
    kind : str
        ``compaction``, ``advisor_message`` or ``image_gen``.
    model : str or None
        Where it differs from the one that answers.
    usage : Usage
    raw : mapping
        The provider's own object for it.
    """

    kind: str
    model: str | None
    usage: Usage
    raw: Raw


class InvalidCountError(ValueError):
    """A count that is none: of a wrong type, negative, not whole or absurd."""


def shape_of(raw: Raw) -> Shape | None:
    """Shape of a usage object; None for what holds no tokens."""
    if "input_tokens" in raw or "output_tokens" in raw:
        details = raw.get("output_tokens_details")
        thinking = isinstance(details, Mapping) and "thinking_tokens" in details
        apart = "cache_read_input_tokens" in raw or "cache_creation_input_tokens" in raw or "cache_creation" in raw
        if (apart or thinking) and "input_tokens_details" not in raw:
            return _ANTHROPIC
        return _RESPONSES
    for key, shape in _BY_KEY:
        if key in raw:
            return shape
    return None


def tally(raw: Raw, single: bool = False) -> tuple[Usage, str] | None:
    """Canonical usage of a provider's usage object.

    Parameters
    ----------
    raw : mapping
        The provider's own object.
    single : bool
        Whether nothing but input can be spent, as with embeddings and rerankers.

    Returns
    -------
    tuple of Usage and str, or None
        The tokens and ``reported`` or ``derived``; None where the object tells none, or tells nonsense.
    """
    shape = shape_of(raw)
    if shape is None:
        return None
    try:
        return _tally(raw, shape, single)
    except InvalidCountError:
        return None


def _tally(raw: Raw, shape: Shape, single: bool) -> tuple[Usage, str] | None:
    told_in, told_out = _first(raw, shape.input), _first(raw, shape.output)
    total = _first(raw, shape.total)
    read, write = _first(raw, shape.cache_read), _first(raw, shape.cache_write)
    hour, reasoning = _first(raw, shape.cache_write_1h), _first(raw, shape.reasoning)
    inside = _total(told_in, raw, shape.input_more) if shape.input_more else told_in
    outside = _total(told_out, raw, shape.output_more) if shape.output_more else told_out
    source = "reported"
    if shape.cache_apart and inside is not None:
        inside += (read or 0) + (write or 0)
    if single:
        inside = total if inside is None else inside
        outside = 0 if inside is not None and outside is None else outside
    elif total is not None and inside is not None and outside is None and total >= inside:
        outside = total - inside
        source = "derived" if outside else source
    elif total is not None and inside is not None and outside is not None and shape is _CHAT:
        inside, outside, reasoning, source = _hidden(inside, outside, total, read, write, reasoning)
    if inside is None and outside is None:
        return None
    if not inside and not outside:
        return None  # zeros of a gateway that does not know: no call spends nothing
    usage = Usage(
        input_tokens=_sane(inside),
        output_tokens=_sane(outside),
        cache_read_tokens=read and _within(read, inside),
        cache_write_tokens=write and _within(write, inside, read),
        reasoning_tokens=reasoning and _within(reasoning, outside),
    )
    usage.cache_write_1h_tokens = _within(_long(raw) if hour is None else hour, usage.cache_write_tokens)
    usage.web_searches = _searches(raw)
    if shape.modalities[0]:
        _split(usage, raw, shape)
    return usage, source


def _hidden(
    inside: int, outside: int, total: int, read: int | None, write: int | None, reasoning: int | None
) -> tuple[int, int, int | None, str]:
    """Account for the tokens of the total that neither prompt nor completion shows."""
    gap = total - inside - outside
    if gap <= 0:
        return inside, outside, reasoning, "reported"
    if gap == reasoning:  # xAI: reasoning comes on top of the completion
        return inside, outside + gap, reasoning, "reported"
    if gap == (read or 0) + (write or 0):  # gateways to Anthropic: cache comes on top of the prompt
        return inside + gap, outside, reasoning, "derived"
    if not reasoning:  # Gemini's OpenAI surface does not show its thoughts
        return inside, outside + gap, gap, "derived"
    return inside, outside, reasoning, "reported"


def hidden(raw: Raw) -> list[Hidden]:
    """Runs that Anthropic's usage object lists and leaves out of its sums.

    Parameters
    ----------
    raw : mapping
        The provider's own object. Entries of ``iterations`` that are part of its sums (``message``,
        ``fallback_message``) are left alone.
    """
    found = []
    entries = raw.get("iterations")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and (kind := entry.get("type")) in _BESIDE:
            try:
                counted = _tally(entry, _ANTHROPIC, False)
            except InvalidCountError:
                continue
            if counted is not None:
                model = entry.get("model")
                found.append(Hidden(kind, model if isinstance(model, str) else None, counted[0], entry))
    return found


def billed(raw: Raw) -> Usage | None:
    """Tokens that Cohere bills, which are fewer than those that the model saw; None for other usage objects."""
    units = raw.get("billed_units")
    if not isinstance(units, dict):
        return None
    try:
        tokens_in, tokens_out = count(units.get("input_tokens")), count(units.get("output_tokens"))
    except InvalidCountError:
        return None
    return None if tokens_in is None else Usage(tokens_in, tokens_out)


def count(value: object) -> int | None:
    """Check that a value is a number of tokens.

    Raises
    ------
    InvalidCountError
        Where it is neither nothing nor a number of tokens.
    """
    if value is None:
        return None
    if type(value) is int:
        if 0 <= value <= MAX:
            return value
    elif type(value) is float and math.isfinite(value) and value.is_integer() and 0 <= value <= MAX:
        return int(value)
    raise InvalidCountError(type(value).__name__)


def _searches(raw: Raw) -> int | None:
    if _SEARCH_KEYS.isdisjoint(raw):
        return None
    try:
        return _first(raw, _SEARCHES)
    except InvalidCountError:
        return None  # it must not spoil the tokens


def _long(raw: Raw) -> int | None:
    """Cache writes that live for an hour, where Bedrock lists the writes by their time to live."""
    entries = raw.get("cacheDetails")
    if not isinstance(entries, list):
        return None
    found = [count(item.get("inputTokens")) for item in entries if isinstance(item, dict) and item.get("ttl") == "1h"]
    return sum(tokens or 0 for tokens in found)


def _first(raw: Raw, paths: Paths) -> int | None:
    for path in paths:
        node: Any = raw.get(path[0])
        if node is None:
            continue
        if len(path) > 1:
            for key in path[1:]:
                node = node.get(key) if isinstance(node, dict) else None
            if node is None:
                continue
        return node if type(node) is int and 0 <= node <= MAX else count(node)
    return None


def _total(told: int | None, raw: Raw, paths: Paths) -> int | None:
    for path in paths:
        more = _first(raw, (path,))
        if more is not None:
            told = (told or 0) + more
    return told


def _sane(tokens: int | None) -> int | None:
    if tokens is not None and tokens > MAX:
        raise InvalidCountError(str(tokens))
    return tokens


def _within(part: int | None, whole: int | None, taken: int | None = None) -> int | None:
    """Part of a whole, of which some is taken already."""
    if part is None or whole is None:
        return part
    return max(0, min(part, whole - (taken or 0)))


def _split(usage: Usage, raw: Raw, shape: Shape) -> None:
    inputs, outputs = shape.modalities
    audio, image = _modalities(raw, inputs)
    image = count(raw.get("prompt_image_tokens")) if image is None else image  # xAI's gRPC
    usage.input_audio_tokens = audio and _within(audio, usage.input_tokens)
    usage.input_image_tokens = image and _within(image, usage.input_tokens)
    audio, image = _modalities(raw, outputs)
    usage.output_audio_tokens = audio and _within(audio, usage.output_tokens)
    usage.output_image_tokens = image and _within(image, usage.output_tokens)


# proto-REST clients send the number of the enumeration
_AUDIO, _IMAGE = ("AUDIO", 4), ("IMAGE", 2)


def _modalities(raw: Raw, paths: Paths) -> tuple[int | None, int | None]:
    """Tokens of audio and of images."""
    for path in paths:
        told = raw.get(path[0])
        if isinstance(told, dict):
            return count(told.get("audio_tokens")), count(told.get("image_tokens"))
        if isinstance(told, list):
            return _listed(told, _AUDIO), _listed(told, _IMAGE)
    return None, None


def _listed(told: list[Any], names: tuple[str, int]) -> int | None:
    found = [count(item.get("tokenCount")) for item in told if isinstance(item, dict) and item.get("modality") in names]
    return sum(tokens or 0 for tokens in found) if found else None
