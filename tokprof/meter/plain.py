"""Objects of Python as JSON would have them: what an SDK tells as a class of its own, a shape can be found in."""

from __future__ import annotations

import dataclasses
import enum
import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

R = TypeVar("R")

_NOTHING: dict[str, Any] = {}
_DEPTH, _MANY = 6, 256


def once_a_class(function: Callable[[type], R]) -> Callable[[type], R]:
    """Keep what a function says of a class as long as the class is there."""
    known: WeakKeyDictionary[type, R] = WeakKeyDictionary()

    @functools.wraps(function)
    def once(cls: type) -> R:
        try:
            return known[cls]
        except KeyError:
            found = known[cls] = function(cls)
            return found
        except TypeError:  # a metaclass without a hash
            return function(cls)

    return once


def _of(cls: type, name: str) -> Any:
    return next(base.__dict__[name] for base in cls.__mro__ if name in base.__dict__)


@once_a_class
def _of_class(cls: type) -> tuple[frozenset[str], bool, bool]:
    """Names that a class has for its objects, whether these find more of them, and whether it is a mapping."""
    pydantic = hasattr(cls, "__pydantic_fields__")
    dynamic = any("__getattr__" in base.__dict__ for base in cls.__mro__) and not pydantic
    dynamic = dynamic or vars(object)["__getattribute__"] is not _of(cls, "__getattribute__")
    return frozenset(dir(cls)), dynamic, issubclass(cls, Mapping)


def member(item: Any, name: str) -> Any:
    """Member of a mapping, or attribute of an object; None where there is none, or where asking for it fails.

    Most names are not there, and models of pydantic take microseconds to say so; hence the look at the class.
    """
    names, dynamic, mapping = _of_class(type(item))
    try:
        if mapping:
            return item.get(name)
        if dynamic or name in names:
            return getattr(item, name, None)
        fields = getattr(item, "__dict__", _NOTHING)
        if name in fields:
            return fields[name]
        extra = item.__pydantic_extra__ if "__pydantic_extra__" in names else None
        return extra.get(name) if extra else None
    except Exception:  # a property may do anything
        return None


def some(item: Any, names: frozenset[str]) -> bool:
    """Whether any of these members is there and not None."""
    if type(item) is dict:
        return any(item[name] is not None for name in item.keys() & names)
    known, dynamic, mapping = _of_class(type(item))
    if mapping or dynamic:
        return any(member(item, name) is not None for name in names)
    fields = getattr(item, "__dict__", _NOTHING)
    found = (names & known) | (fields.keys() & names)
    if "__pydantic_extra__" in known and item.__pydantic_extra__:
        found |= item.__pydantic_extra__.keys() & names
    return bool(found) and any(member(item, name) is not None for name in found)


def has(item: Any, name: str) -> bool:
    """Whether an object that is no mapping has an attribute, be it None."""
    names, dynamic, mapping = _of_class(type(item))
    if mapping:
        return False
    return name in names or name in getattr(item, "__dict__", _NOTHING) or (dynamic and hasattr(item, name))


def plain(value: Any, depth: int = _DEPTH) -> Any:
    """Turn numbers, texts, mappings, sequences and objects with fields into what JSON knows; None for the rest.

    Fields are those of a mapping, a pydantic model, a dataclass, a named tuple, a protobuf message or of any other
    object with attributes.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, enum.Enum):
        return plain(value.value, depth)
    if isinstance(value, int | float | str):
        return value if type(value) in (int, float, str) else _bare(value)
    if depth <= 0:
        return None
    if isinstance(value, Mapping):
        return {str(key): plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return [plain(item, depth - 1) for item in value[:_MANY]]
    if hasattr(type(value), "__index__"):  # numbers of numpy
        return operator.index(value)
    fields = _fields(value)
    return None if fields is None else {name: plain(item, depth - 1) for name, item in fields.items()}


def _bare(value: Any) -> Any:
    return next(base(value) for base in (int, float, str) if isinstance(value, base))


def _fields(value: Any) -> dict[str, Any] | None:
    kind = type(value)
    if isinstance(value, type) or callable(value):
        return None
    if hasattr(value, "_asdict"):
        return dict(value._asdict())
    if dataclasses.is_dataclass(kind):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(kind)}
    if hasattr(kind, "DESCRIPTOR") and hasattr(value, "ListFields"):
        return {field.name: _repeated(content) for field, content in value.ListFields()}
    found = {}
    for base in reversed(kind.__mro__):
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if not name.startswith("_"):
                found[name] = getattr(value, name, None)
    found |= getattr(value, "__dict__", {})
    if isinstance(extra := getattr(value, "__pydantic_extra__", None), dict):
        found |= extra
    return {name: item for name, item in found.items() if not name.startswith("_")}


def _repeated(value: Any) -> Any:
    """Lists of protobuf are sequences of their own."""
    return list(value) if hasattr(value, "__len__") and not isinstance(value, str | bytes | Mapping) else value
