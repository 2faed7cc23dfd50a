"""How much of each prompt stood at the beginning of an earlier one: what a provider's cache could have given.

Only where prompts were kept whole (``capture="full"``). A prompt is what a provider caches it by: tools, system prompt
and messages in this order, cut into blocks, each known by all that is before it, as the caches themselves do it
(https://platform.openai.com/docs/guides/prompt-caching, https://platform.claude.com/docs/en/build-with-claude/prompt-caching).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from tokprof.meter.body import load
from tokprof.meter.parts import dump
from tokprof.span import Span

BLOCK = 64
"""Characters of a block."""
LEAST = 1024
"""Tokens of the shortest prefix that is cached: of OpenAI and most of Anthropic's models."""
LIFE = 300.0
"""Seconds for which a prefix lives after its last use."""

_TOOLS = ("tools", "functions", "toolConfig")
_SYSTEM = ("system", "systemInstruction", "system_instruction", "instructions", "preamble")
_TURNS = ("chat_history", "messages", "contents", "input", "prompt", "message")


@dataclass(slots=True)
class Prompt:
    """A prompt that was kept whole.

    Attributes
    ----------
    parts : list of (str, str)
        Name (``tools``, ``system``, ``messages[2]``, ...) and text of each part, in the order in which they are cached.
    body : dict
        The request.
    raw : str
        The request as sent.
    """

    parts: list[tuple[str, str]]
    body: dict[str, Any]
    raw: str

    @property
    def size(self) -> int:
        """Characters of all parts."""
        return sum(len(text) for _, text in self.parts)


@dataclass(slots=True)
class Repeat:
    """What a prompt shares with earlier and later ones.

    Attributes
    ----------
    read : float
        Share of the prompt, from 0 to 1, that stood at the beginning of an earlier one still in the cache.
    write : float
        Share beyond `read` that a later prompt reads: what is worth writing to a cache.
    breaks : str or None
        Name of the part in which it departs from the earlier prompt; None where it begins with nothing known.
    source : int or None
        The earlier call, by its place in the list.
    """

    read: float = 0.0
    write: float = 0.0
    breaks: str | None = None
    source: int | None = None


def prompt_of(span: Span) -> Prompt | None:
    """Give the prompt of a call; None where it was not kept whole."""
    raw = (span.content or {}).get("prompt")
    if not raw or raw[:1] != "{":
        return None
    body = load(raw.encode("utf-8", "replace"))
    if not isinstance(body, dict):
        return None
    parts = [(name, _text(body[name])) for name in (*_TOOLS, *_SYSTEM) if body.get(name)]
    for name in _TURNS:
        value = body.get(name)
        if isinstance(value, list):
            parts += [(f"{name}[{at}]", _text(turn)) for at, turn in enumerate(value)]
        elif value:
            parts.append((name, _text(value)))
    return Prompt(parts, body, raw) if parts else None


def repeats(calls: list[tuple[float, float, str, Prompt]]) -> list[Repeat]:
    """Simulate a cache of prefixes.

    Parameters
    ----------
    calls : list of (start, end, model, Prompt)
        Seconds; a prompt is in the cache of its model when the call has ended, and for `LIFE` after each use.

    Returns
    -------
    list of Repeat
        In the order of `calls`. That a prefix is too short to be cached (`LEAST`) is not considered here.
    """
    found = [Repeat() for _ in calls]
    texts = ["".join(text for _, text in prompt.parts) for _, _, _, prompt in calls]
    chains = [_chain(model, text) for (_, _, model, _), text in zip(calls, texts, strict=True)]
    known: dict[bytes, list[tuple[float, float, int]]] = {}  # from when, until when, and which call brought it
    later: list[int] = [0] * len(calls)
    reads: list[int] = [0] * len(calls)
    for at in sorted(range(len(calls)), key=lambda each: calls[each][0]):
        start, end, _, prompt = calls[at]
        length, source = 0, None
        for place, mark in enumerate(chains[at]):
            there = [each for each in known.get(mark, ()) if each[0] <= start <= each[1]]
            if not there:
                break
            length, source = place + 1, there[-1][2]
        reads[at] = length
        if source is not None:
            later[source] = max(later[source], length)
            same = length * BLOCK
            apart = zip(texts[at][same : same + BLOCK], texts[source][same : same + BLOCK], strict=False)
            same += next((place for place, (a, b) in enumerate(apart) if a != b), 0)
            found[at].breaks, found[at].source = _part_at(prompt, same), source
        for place, mark in enumerate(chains[at]):
            until = start + LIFE
            if place < length:  # read again: it lives on
                known[mark] = [(a, max(b, until), c) for a, b, c in known[mark] if b >= start]
            else:
                spells = known.setdefault(mark, [])
                if spells and end <= spells[-1][1]:  # of prompts side by side, the first to end brings it
                    first, last, who = spells[-1]
                    spells[-1] = (min(first, end), max(last, end + LIFE), who if first <= end else at)
                else:
                    spells.append((end, end + LIFE, at))
    for at, (_, _, _, prompt) in enumerate(calls):
        size = max(prompt.size, 1)
        found[at].read = min(1.0, reads[at] * BLOCK / size)
        found[at].write = min(1.0, max(0, later[at] - reads[at]) * BLOCK / size)
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else dump(_unmarked(value))


def _unmarked(value: Any) -> Any:
    """Without the marks of where to cache, which move from call to call."""
    if isinstance(value, dict):
        return {key: _unmarked(inner) for key, inner in value.items() if key not in ("cache_control", "cachePoint")}
    return [_unmarked(inner) for inner in value] if isinstance(value, list) else value


def _chain(model: str, prompt: str) -> list[bytes]:
    """A mark for each whole block of a prompt, by all the text before its end."""
    text = prompt.encode("utf-32-le", "surrogatepass")
    width = BLOCK * 4
    running = blake2b(model.encode("utf-8", "replace"), digest_size=12)
    marks: list[bytes] = []
    for at in range(0, len(text) - width + 1, width):
        running.update(text[at : at + width])
        marks.append(running.copy().digest())
    return marks


def _part_at(prompt: Prompt, place: int) -> str:
    for name, text in prompt.parts:
        if place < len(text):
            return name
        place -= len(text)
    return prompt.parts[-1][0]
