"""Sorts of objects: which of what a wrapped client has and gives is data, and comes back as it is."""

from __future__ import annotations

import enum
import functools
import inspect
import io
import os
import sys
import types
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, Literal

from tokprof.meter.plain import once_a_class

Sort = Literal["data", "coroutine", "future", "stream", "manager", "client"]

DATA = (
    *(str, bytes, bytearray, memoryview, int, float, complex, type(None)),
    *(Mapping, Sequence, Set, os.PathLike, enum.Enum, io.IOBase),
    *(BaseException, type, types.ModuleType, types.CodeType, types.FrameType),
)
ROUTINES = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, functools.partial)
CLOSERS = frozenset(("close", "aclose", "cancel", "abort"))
"""Methods that end a stream."""

_STREAMS = ("__next__", "__anext__", "__aiter__", "__await__")
_RECORDS = ("__dataclass_fields__", "__pydantic_fields__", "__fields__", "__attrs_attrs__", "DESCRIPTOR", "__array__")
_FRAMEWORKS = ("pydantic", "attr", "typing", "abc")
_METHODS = (types.FunctionType, classmethod, staticmethod, property)
_HEAP = 1 << 9  # of a type's flags: made by a class statement, or on the heap by an extension


def package_of(cls: type) -> str:
    """Top package in which a class is made."""
    module = getattr(cls, "__module__", None)
    return module.partition(".")[0] if isinstance(module, str) else ""


@once_a_class
def sort_of(cls: type) -> Sort:
    """Sort of the objects of a class, as results of a call."""
    if issubclass(cls, DATA):
        return "data"
    if issubclass(cls, types.CoroutineType):
        return "coroutine"
    if hasattr(cls, "add_done_callback") and hasattr(cls, "cancelled"):
        return "future"
    if any(getattr(cls, name, None) is not None for name in _STREAMS):
        return "stream"
    if _is_record(cls):
        return "data"
    entered = hasattr(cls, "__enter__") or hasattr(cls, "__aenter__")
    if entered and (package_of(cls) == "contextlib" or not set(_public(cls)) - CLOSERS):
        return "manager"
    return "client" if _of_python(cls) and _has_methods(cls) else "data"


def has_calls(value: Any) -> bool:
    """Whether an attribute is a function, or an object on which functions may be found."""
    if isinstance(value, (*ROUTINES, types.SimpleNamespace)) or inspect.isroutine(value):
        return True
    cls = type(value)
    return _of_python(cls) and (not _is_record(cls) or _has_methods(cls))


@once_a_class
def _of_python(cls: type) -> bool:
    """Whether a class is written in Python, outside of its library: C code takes no proxy for an object of its own."""
    if package_of(cls) in sys.stdlib_module_names and package_of(cls) not in ("unittest", "__main__"):
        return False
    if issubclass(cls, DATA):
        return False
    for base in cls.__mro__[:-1]:
        made = base.__dict__.get("__new__")
        if not base.__flags__ & _HEAP or (made is not None and not isinstance(made, staticmethod)):
            return False
    return True


def _is_record(cls: type) -> bool:
    """Whether a class is one of fields, of a library that makes such."""
    return any(hasattr(cls, mark) for mark in _RECORDS)


@once_a_class
def _has_methods(cls: type) -> bool:
    if any("__call__" in base.__dict__ or "__getattr__" in base.__dict__ for base in cls.__mro__[:-1]):
        return True
    return next(_public(cls), None) is not None


def _public(cls: type) -> Iterator[str]:
    """Public methods of a class, without those of libraries that make classes of fields."""
    for base in cls.__mro__[:-1]:
        if package_of(base) not in _FRAMEWORKS:
            for name, value in base.__dict__.items():
                if name[:1] != "_" and (isinstance(value, _METHODS) or hasattr(type(value), "__get__")):
                    yield name
