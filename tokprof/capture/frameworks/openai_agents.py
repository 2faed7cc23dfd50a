"""openai-agents: agents, function tools, guardrails and hand-offs, by the spans that the SDK itself opens.

It opens them in the right contexts, with tracing disabled too. Its public processors would only be told with tracing
enabled, so `start` and `finish` of its spans are hooked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from tokprof.capture.frameworks import step
from tokprof.recorder import warn_once

_KINDS = {"agent": "agent", "function": "tool", "guardrail": "guardrail", "custom": "task", "handoff": "task"}
_STEP = "_tokprof_step"


def _step(data: Any) -> tuple[str, str] | None:
    if (kind := _KINDS.get(data.type)) is None:
        return None
    return kind, "hand-off" if data.type == "handoff" else data.name


class _Opened:
    """The step of a span of the SDK."""

    __slots__ = ("handle", "handled", "noted", "scope")

    def __init__(self, data: Any):
        self.scope = step.opened(_step, data)
        self.handled = sys.exception()  # what the caller was dealing with when the span began is no error of it
        self.noted: BaseException | None = None
        self.handle = self.scope.__enter__()

    def close(self, data: Any) -> None:
        error = sys.exception()
        error = self.noted if error is None or error is self.handled else error
        if (span := self.handle.span) is not None and getattr(data, "to_agent", None):
            span.name = f"hand-off to {data.to_agent}"  # the SDK knows it by now
        self.scope.__exit__(None if error is None else type(error), error, None)


def _start_hook(original: Callable[..., Any]) -> Callable[..., Any]:
    def start(span: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(span, *args, **kwargs)
        try:
            if _STEP not in span.__dict__ and span.span_data.type in _KINDS:
                setattr(span, _STEP, _Opened(span.span_data))
        except Exception as error:
            warn_once("open a step of openai_agents", error)
        return result

    return start


def _finish_hook(original: Callable[..., Any]) -> Callable[..., Any]:
    def finish(span: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            if (opened := span.__dict__.pop(_STEP, None)) is not None:
                opened.close(span.span_data)
        except Exception as error:
            warn_once("end a step of openai_agents", error)
        return original(span, *args, **kwargs)

    return finish


def _error_hook(original: Callable[..., Any]) -> Callable[..., Any]:
    def set_error(span: Any, *args: Any, **kwargs: Any) -> Any:
        if (opened := span.__dict__.get(_STEP)) is not None and (error := sys.exception()) is not opened.handled:
            opened.noted = error  # of a tool: the SDK tells the model, and goes on
        return original(span, *args, **kwargs)

    return set_error


_HOOKS: dict[str, step.Hooks] = {
    "agents.tracing.spans": {
        (owner, name): hook
        for owner in ("SpanImpl", "NoOpSpan")
        for name, hook in (("start", _start_hook), ("finish", _finish_hook), ("set_error", _error_hook))
    }
}
MODULES = tuple(_HOOKS)


def install(module: ModuleType, name: str) -> None:
    """Hook the beginning and the end of the SDK's spans, traced or not."""
    step.install(_HOOKS[name], module)


def uninstall(module: ModuleType, name: str) -> None:
    """Put the originals back."""
    step.uninstall(_HOOKS[name], module)
