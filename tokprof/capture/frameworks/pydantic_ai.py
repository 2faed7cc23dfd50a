"""pydantic-ai: agents by their names, and function tools."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

from tokprof.capture.frameworks import step
from tokprof.recorder import current


def _agent(agent: Any, *_args: Any, **_options: Any) -> tuple[str, str]:
    return "agent", agent.name or type(agent).__name__


def _tool(_tools: Any, name: str, *_args: Any, **_options: Any) -> tuple[str, str]:
    return "tool", name


def _iter_hook(original: Callable[..., Any]) -> Callable[..., Any]:
    """Hook of ``Agent.iter``, which every other way to run an agent goes through.

    Not of ``run``: an agent without a name takes that of the variable which holds it in the frame that called ``run``.
    """

    @asynccontextmanager
    async def entered(args: Any, kwargs: Any) -> AsyncGenerator[Any, None]:
        with step.opened(_agent, *args, **kwargs):
            async with original(*args, **kwargs) as run:
                yield run

    def iter(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs) if current() is None else entered(args, kwargs)

    return iter


_HOOKS: dict[str, step.Hooks] = {
    "pydantic_ai.agent": {("Agent", "iter"): _iter_hook},
    "pydantic_ai.toolsets.function": {("FunctionToolset", "call_tool"): step.around_coroutine(_tool)},
}
MODULES = tuple(_HOOKS)


def install(module: ModuleType, name: str) -> None:
    """Hook the run of an agent and the call of a tool."""
    step.install(_HOOKS[name], module)


def uninstall(module: ModuleType, name: str) -> None:
    """Put the originals back."""
    step.uninstall(_HOOKS[name], module)
