"""Protobuf messages as what JSON says, for the reader. Not a transport of its own.

Other than ``google.protobuf.json_format`` it tells counts as numbers, those of 64 bits too, and the zeros that messages
do not send. Bytes, which are pictures and sounds, it leaves out.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

_WELL_KNOWN = "google.protobuf."
_COUNTS = (1, 2, 3, 4)  # FieldDescriptor.CPPTYPE_INT32, _INT64, _UINT32, _UINT64
_KEPT = 512  # kinds of messages; the services that are read have some dozens


def plain(message: Any, camel: bool) -> dict[str, Any]:
    """Give a message as a dict for JSON.

    Parameters
    ----------
    message : google.protobuf.message.Message
    camel : bool
        Whether names are written as ``promptTokenCount``, or as ``prompt_token_count``.
    """
    zeros, told = _fields(message.DESCRIPTOR, camel)
    found = dict(zeros)
    for field, value in message.ListFields():
        name, convert = told[field.number]
        found[name] = convert(value)
    return found


def kind_of(message: Any) -> Any:
    """Give the class of a message, of one that proto-plus wraps too; None for what is no message."""
    kind = type(getattr(message, "_pb", message))
    return kind if hasattr(kind, "FromString") else None


@lru_cache(maxsize=_KEPT)
def _fields(descriptor: Any, camel: bool) -> tuple[dict[str, int], dict[int, tuple[str, Callable[[Any], Any]]]]:
    """Counts that are zero unless they are sent, and how each field is told, by its number."""
    zeros: dict[str, int] = {}
    told: dict[int, tuple[str, Callable[[Any], Any]]] = {}
    for field in descriptor.fields:
        name = field.json_name if camel else field.name
        repeated = _repeated(field)
        told[field.number] = name, _convert(field, repeated, camel)
        if field.cpp_type in _COUNTS and not field.has_presence and not repeated:
            zeros[name] = 0
    return zeros, told


def _repeated(field: Any) -> bool:
    told = getattr(field, "is_repeated", None)
    return bool(field.label == 3 if told is None else told)  # older protobuf: LABEL_REPEATED


def _convert(field: Any, repeated: bool, camel: bool) -> Callable[[Any], Any]:
    kind = field.message_type
    if repeated and kind is not None and kind.GetOptions().map_entry:
        inner = _single(kind.fields_by_name["value"], camel)
        return lambda values: {str(key): inner(values[key]) for key in values}
    one = _single(field, camel)
    return (lambda values: [one(value) for value in values]) if repeated else one


def _single(field: Any, camel: bool) -> Callable[[Any], Any]:
    if (kind := field.message_type) is not None:
        if kind.full_name.startswith(_WELL_KNOWN):
            return lambda value: importlib.import_module("google.protobuf.json_format").MessageToDict(value)
        return lambda value: plain(value, camel)
    if (kind := field.enum_type) is not None:
        names = {number: known.name for number, known in kind.values_by_number.items()}
        return lambda value: names.get(value, value)
    return _scalar


def _scalar(value: Any) -> Any:
    return None if isinstance(value, bytes) else value
