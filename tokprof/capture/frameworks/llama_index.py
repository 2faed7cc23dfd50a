"""LlamaIndex: query engines and agent workflows are workflows; agents, retrievers and tools go by their names."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from tokprof.capture.frameworks import step


def _engine(engine: Any, *_args: Any, **_options: Any) -> tuple[str, str]:
    return "workflow", type(engine).__name__


def _retriever(retriever: Any, *_args: Any, **_options: Any) -> tuple[str, str]:
    return "retriever", type(retriever).__name__


def _agent(agent: Any, *_args: Any, **_options: Any) -> tuple[str, str]:
    return "agent", agent.name


def _tool(tool: Any, *_args: Any, **_options: Any) -> tuple[str, str]:
    return "tool", tool.metadata.get_name()


def _run_hook(step_of: step.StepOf) -> step.Hook:
    """Hook of ``run``, which starts tasks and returns: the step ends with them."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            scope = step.opened(step_of, *args, **kwargs)
            scope.__enter__()
            try:
                handler = original(*args, **kwargs)
            except BaseException as error:
                scope.__exit__(type(error), error, error.__traceback__)
                raise
            scope.step_aside()
            work = handler if hasattr(handler, "add_done_callback") else getattr(handler, "_result_task", None)
            if work is None:
                scope.__exit__(None, None, None)
            else:
                work.add_done_callback(lambda done: _ended(scope, done))
            return handler

        return run

    return make


def _ended(scope: step.Step, done: Any) -> None:
    import asyncio

    error = asyncio.CancelledError() if done.cancelled() else done.exception()
    scope.__exit__(None if error is None else type(error), error, None)


_AGENTS = "llama_index.core.agent.workflow"
_HOOKS: dict[str, step.Hooks] = {
    "llama_index.core.base.base_query_engine": {
        ("BaseQueryEngine", "query"): step.around_function(_engine),
        ("BaseQueryEngine", "aquery"): step.around_coroutine(_engine),
    },
    "llama_index.core.base.base_retriever": {
        ("BaseRetriever", "retrieve"): step.around_function(_retriever),
        ("BaseRetriever", "aretrieve"): step.around_coroutine(_retriever),
    },
    "llama_index.core.tools.function_tool": {
        ("FunctionTool", "call"): step.around_function(_tool),
        ("FunctionTool", "acall"): step.around_coroutine(_tool),
    },
    "llama_index.core.tools.query_engine": {
        ("QueryEngineTool", "call"): step.around_function(_tool),
        ("QueryEngineTool", "acall"): step.around_coroutine(_tool),
    },
    f"{_AGENTS}.base_agent": {("BaseWorkflowAgent", "run"): _run_hook(_agent)},
    f"{_AGENTS}.multi_agent_workflow": {("AgentWorkflow", "run"): _run_hook(_engine)},
    f"{_AGENTS}.function_agent": {("FunctionAgent", "take_step"): step.around_coroutine(_agent)},
    f"{_AGENTS}.react_agent": {("ReActAgent", "take_step"): step.around_coroutine(_agent)},
    f"{_AGENTS}.codeact_agent": {("CodeActAgent", "take_step"): step.around_coroutine(_agent)},
}
MODULES = tuple(_HOOKS)


def install(module: ModuleType, name: str) -> None:
    """Hook the methods that engines, retrievers, tools and agents are run by."""
    step.install(_HOOKS[name], module)


def uninstall(module: ModuleType, name: str) -> None:
    """Put the originals back."""
    step.uninstall(_HOOKS[name], module)
