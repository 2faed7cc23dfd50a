"""A step that a framework names: opened around a function, a coroutine or a generator of the framework."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType, TracebackType
from typing import Any

from tokprof.capture import patch
from tokprof.recorder import current, warn_once
from tokprof.steps import SpanHandle, SpanScope, within_async_generator, within_coroutine, within_generator

StepOf = Callable[..., tuple[str, str | None] | None]
"""Of the arguments of a call: kind and name of the step; None for a call that is no step."""

Hook = Callable[[Any], Any]
"""From an original to what takes its place."""

_NO_ERRORS = ("GraphBubbleUp",)  # LangGraph interrupts a graph and hands over control by raising


class Step(SpanScope):
    """A step, or nothing: without a recording, without a name, or where the step around it is the same one."""

    __slots__ = ()

    def __enter__(self) -> SpanHandle:
        around = current()
        if not self._name or around is None or (around[1].name == self._name and around[1].kind == self._kind):
            self._entered.append(None)
            return SpanHandle(None, None)
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None and any(cls.__name__ in _NO_ERRORS for cls in type(error).__mro__):
            error = None
        super().__exit__(kind, error, traceback)


def opened(step_of: StepOf, *args: Any, **kwargs: Any) -> Step:
    """Make the step of a call; a name that cannot be read is reported once, and there is no step."""
    kind, name = "task", None
    if current() is not None:
        try:
            kind, name = step_of(*args, **kwargs) or (kind, None)
        except Exception as error:
            warn_once(f"name a step of {getattr(step_of, '__module__', 'a framework').rpartition('.')[2]}", error)
    return Step("" if name is None else str(name), kind, {})


def around_function(step_of: StepOf) -> Hook:
    """Hook of a function that does its work before it returns."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def function(*args: Any, **kwargs: Any) -> Any:
            if current() is None:
                return original(*args, **kwargs)
            with opened(step_of, *args, **kwargs):
                return original(*args, **kwargs)

        return function

    return make


def around_coroutine(step_of: StepOf) -> Hook:
    """Hook of a coroutine function."""
    return lambda original: within_coroutine(original, lambda *args, **kwargs: opened(step_of, *args, **kwargs))


def around_generator(step_of: StepOf) -> Hook:
    """Hook of a generator function; who reads it is not inside of the step."""
    return lambda original: within_generator(original, lambda *args, **kwargs: opened(step_of, *args, **kwargs))


def around_async_generator(step_of: StepOf) -> Hook:
    """Hook of an async generator function; who reads it is not inside of the step."""
    return lambda original: within_async_generator(original, lambda *args, **kwargs: opened(step_of, *args, **kwargs))


Hooks = dict[tuple[str, str], Hook]
"""A class ("" for the module itself) and the method in it -> the hook."""


def install(hooks: Hooks, module: ModuleType) -> None:
    """Put the hooks of a module in; what this release of the framework does not have is left out."""
    for (owner, name), hook in hooks.items():
        holder = getattr(module, owner, None) if owner else module
        if holder is not None and hasattr(holder, name):
            patch.wrap(holder, name, hook)


def uninstall(hooks: Hooks, module: ModuleType) -> None:
    """Put the originals of a module back."""
    for owner, name in hooks:
        holder = getattr(module, owner, None) if owner else module
        if holder is not None:
            patch.unwrap(holder, name)
