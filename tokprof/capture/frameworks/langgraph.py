"""LangGraph: a graph is a workflow (an agent, where LangChain made it with a name), a node in it a task."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from tokprof.capture.frameworks import step


def _graph(graph: Any, _input: Any = None, config: Any = None, **_options: Any) -> tuple[str, str]:
    made = getattr(graph, "config", None) or {}
    agent = (made.get("metadata") or {}).get("lc_agent_name")
    return "agent" if agent else "workflow", (config or {}).get("run_name") or agent or graph.get_name()


def _node(task: Any, *_args: Any, **_options: Any) -> tuple[str, str] | None:
    return None if task.name.startswith("__") else ("task", task.name)


_HOOKS: dict[str, step.Hooks] = {
    "langgraph.pregel.main": {
        ("Pregel", "stream"): step.around_generator(_graph),
        ("Pregel", "astream"): step.around_async_generator(_graph),
    },
    # the one place that each node goes through, retries included, in a thread, a task, or neither
    "langgraph.pregel._runner": {
        ("", "run_with_retry"): step.around_function(_node),
        ("", "arun_with_retry"): step.around_coroutine(_node),
    },
}
MODULES = tuple(_HOOKS)


def install(module: ModuleType, name: str) -> None:
    """Hook the streams of graphs, which their other methods read, and what runs a node."""
    step.install(_HOOKS[name], module)


def uninstall(module: ModuleType, name: str) -> None:
    """Put the originals back."""
    step.uninstall(_HOOKS[name], module)
