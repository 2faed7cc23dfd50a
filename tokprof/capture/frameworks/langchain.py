"""LangChain: tools and retrievers by their names. Chains have none that a user gave."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from tokprof.capture.frameworks import step


def _tool(tool: Any, *_args: Any, **_options: Any) -> tuple[str, str]:
    return "tool", tool.name


def _retriever(retriever: Any, _input: Any = None, config: Any = None, **_options: Any) -> tuple[str, str]:
    return "retriever", (config or {}).get("run_name") or retriever.get_name()


_HOOKS: dict[str, step.Hooks] = {
    "langchain_core.tools.base": {
        ("BaseTool", "run"): step.around_function(_tool),
        ("BaseTool", "arun"): step.around_coroutine(_tool),
    },
    "langchain_core.retrievers": {
        ("BaseRetriever", "invoke"): step.around_function(_retriever),
        ("BaseRetriever", "ainvoke"): step.around_coroutine(_retriever),
    },
}
MODULES = tuple(_HOOKS)


def install(module: ModuleType, name: str) -> None:
    """Hook the methods that every call of a tool or retriever goes through."""
    step.install(_HOOKS[name], module)


def uninstall(module: ModuleType, name: str) -> None:
    """Put the originals back."""
    step.uninstall(_HOOKS[name], module)
