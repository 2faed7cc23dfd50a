"""What may be claimed of an answer, judged without any code of the reader's."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from tokprof.meter.reader import read
from tokprof.span import SOURCES, Exchange, Reading

from .flavours import Answer

CLAIMS = ("reported", "derived")
_INPUT = ("cache_read_tokens", "cache_write_tokens", "input_audio_tokens", "input_image_tokens")
_OUTPUT = ("reasoning_tokens", "output_audio_tokens", "output_image_tokens")
_COUNTS = ("input_tokens", "output_tokens", "cache_write_1h_tokens", *_INPUT, *_OUTPUT)


def exchange(answer: Answer, chunks: Iterable[bytes], encoding: str = "", **more: Any) -> Exchange:
    request = b'{"model": "asked", "messages": [], "stream": true}'
    values = {"request": request, "http_status": 200, "content_type": answer.content_type, "complete": True} | more
    return Exchange("POST", answer.host, answer.path, content_encoding=encoding, chunks=list(chunks), **values)


def reading(answer: Answer, chunks: Iterable[bytes], encoding: str = "", **more: Any) -> Reading:
    """Read, and check what holds of every reading."""
    found = read(exchange(answer, chunks, encoding, **more))
    assert found is not None
    sane(found)
    return found


def tokens(found: Reading) -> dict[str, int]:
    """Tokens by canonical name, without audio and images; what is not known is left out, zeros are not."""
    names = ("input", "output", "cache_read", "cache_write", "reasoning")
    told = {name: getattr(found.usage, f"{name}_tokens") for name in names}
    return {name: number for name, number in told.items() if number is not None}


def spent(found: Reading) -> dict[str, int]:
    """The same without zeros."""
    return {name: number for name, number in tokens(found).items() if number}


def sane(found: Reading) -> None:
    """Check what holds of any answer, however broken."""
    assert found.source in SOURCES
    usage = found.usage
    assert usage.web_searches is None or (type(usage.web_searches) is int and 0 <= usage.web_searches <= 2**53)
    for name in _COUNTS:
        number = getattr(usage, name)
        assert number is None or (type(number) is int and 0 <= number <= 2**53), (name, number)
    for whole, parts in ((usage.input_tokens, _INPUT), (usage.output_tokens, _OUTPUT)):
        if whole is not None:
            assert all((getattr(usage, part) or 0) <= whole for part in parts), usage
    if usage.input_tokens is not None:
        assert (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0) <= usage.input_tokens
    if found.source == "missing":
        assert usage.input_tokens is None and usage.output_tokens is None
    if found.cost is not None:
        assert math.isfinite(found.cost) and found.cost >= 0
    if found.usage_raw is not None:
        assert isinstance(json.loads(found.usage_raw, parse_constant=_refuse), dict)
    for text in (found.model, found.request_model, found.finish_reason, found.error, found.service_tier):
        if text is not None:
            text.encode()  # a lone surrogate would break whoever prints it
    for other in found.more:
        sane(other)


def _refuse(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def honest(found: Reading, truth: Mapping[str, int]) -> None:
    """What is claimed is the truth, to the token; a lower bound is not above it."""
    if found.source in CLAIMS:
        assert spent(found) == truth, found
    elif found.source == "partial":
        for name, number in tokens(found).items():
            assert number <= truth.get(name, 0), (name, found)


def guarded(found: Reading, truth: Mapping[str, int]) -> None:
    """Each number that is claimed is the truth; some may be unknown."""
    if found.source in CLAIMS:
        for name, number in tokens(found).items():
            assert number == truth.get(name, 0), (name, found)


def undated(found: Reading) -> Reading:
    """Give a reading without what depends on how the body was cut into chunks."""
    return replace(found, first_token_at=None)
