"""CrewAI: crews, agents by their roles, tasks that have a name, tools."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from tokprof.capture.frameworks import step
from tokprof.stack import current_task


def _crew(crew: Any, *_args: Any, **_options: Any) -> tuple[str, str]:
    return "workflow", crew.name or type(crew).__name__


def _agent(agent: Any, *_args: Any, **_options: Any) -> tuple[str, str]:
    return "agent", str(agent.role).strip()


def _agent_alone(agent: Any, *_args: Any, **_options: Any) -> tuple[str, str] | None:
    return None if current_task() else _agent(agent)  # in a task it gives what kickoff_async does


def _task(task: Any, *_args: Any, **_options: Any) -> tuple[str, str | None]:
    return "task", task.name  # its description is a prompt


def _tool(tool: Any, *_args: Any, **_options: Any) -> tuple[str, str]:
    return "tool", tool.name


_HOOKS: dict[str, step.Hooks] = {
    "crewai.crew": {
        ("Crew", "kickoff"): step.around_function(_crew),
        ("Crew", "akickoff"): step.around_coroutine(_crew),
    },
    "crewai.agent.core": {
        ("Agent", "execute_task"): step.around_function(_agent),
        ("Agent", "aexecute_task"): step.around_coroutine(_agent),
        ("Agent", "kickoff"): step.around_function(_agent_alone),
        ("Agent", "kickoff_async"): step.around_coroutine(_agent),
    },
    "crewai.task": {
        ("Task", "_execute_core"): step.around_function(_task),
        ("Task", "_aexecute_core"): step.around_coroutine(_task),
    },
    "crewai.tools.base_tool": {
        ("BaseTool", "run"): step.around_function(_tool),
        ("BaseTool", "arun"): step.around_coroutine(_tool),
        ("Tool", "run"): step.around_function(_tool),
        ("Tool", "arun"): step.around_coroutine(_tool),
    },
    "crewai.tools.structured_tool": {
        ("CrewStructuredTool", "invoke"): step.around_function(_tool),
        ("CrewStructuredTool", "ainvoke"): step.around_coroutine(_tool),
    },
}
MODULES = tuple(_HOOKS)


def install(module: ModuleType, name: str) -> None:
    """Hook what starts a crew, and what runs a task, an agent and a tool."""
    step.install(_HOOKS[name], module)


def uninstall(module: ModuleType, name: str) -> None:
    """Put the originals back."""
    step.uninstall(_HOOKS[name], module)
