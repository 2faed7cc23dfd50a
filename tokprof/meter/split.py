"""Tokens by modality: text, sound, pictures and film may each have a price."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from tokprof.meter.usage import InvalidCountError, Paths, Raw, count, shape_of

# proto-REST clients send the number of the enumeration; Google bills documents as pictures
_MODALITIES: dict[object, str] = {
    "TEXT": "text",
    1: "text",
    "IMAGE": "image",
    2: "image",
    "VIDEO": "video",
    3: "video",
    "AUDIO": "audio",
    4: "audio",
    "DOCUMENT": "image",
    5: "image",
}
_KEYS = ("text", "audio", "image", "video")


class Split(NamedTuple):
    """Tokens by modality, as told: ``text``, ``audio``, ``image``, ``video``.

    Attributes
    ----------
    input, cache, output : mapping of str to int
        Of the input, of what was read from a cache, and of the output; empty where nothing is told.
    """

    input: Mapping[str, int] = MappingProxyType({})
    cache: Mapping[str, int] = MappingProxyType({})
    output: Mapping[str, int] = MappingProxyType({})


def split(raw: Raw) -> Split:
    """Read what a usage object tells of modalities."""
    shape = shape_of(raw)
    if shape is None:
        return Split()
    try:
        inputs, outputs = shape.modalities
        found = _by_modality(raw, inputs)
        for name, tokens in _by_modality(raw, (("toolUsePromptTokensDetails",),)).items():
            found[name] = found.get(name, 0) + tokens
        return Split(found, _by_modality(raw, shape.cached_modalities), _by_modality(raw, outputs))
    except InvalidCountError:
        return Split()


def _by_modality(raw: Raw, paths: Paths) -> dict[str, int]:
    found: dict[str, int] = {}
    for path in paths:
        told: Any = raw
        for key in path:
            told = told.get(key) if isinstance(told, dict) else None
        if isinstance(told, dict):
            for name in _KEYS:
                if (tokens := count(told.get(f"{name}_tokens"))) is not None:
                    found[name] = tokens
        elif isinstance(told, list):
            for item in told:
                modality = item.get("modality") if isinstance(item, dict) else None
                kind = _MODALITIES.get(modality) if isinstance(modality, str | int) else None
                if kind is not None:
                    found[kind] = found.get(kind, 0) + (count(item.get("tokenCount")) or 0)
        if found:
            break
    return found
