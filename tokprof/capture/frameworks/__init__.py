"""Names of steps, taken from frameworks: agents, nodes of graphs, tools, retrievers.

A framework is a file here with two functions:

``install(module, name)``
    Patch the classes of `module`, which was imported as `name`, through `tokprof.capture.patch`, so that agents made
    earlier are covered too. A hook opens a step (see `tokprof.capture.frameworks.step`) with its kind and the name that
    the user gave, runs what it wraps inside, and ends the step with the same error. Without a recording it calls what
    it wraps and no more. It changes no argument and no result, and takes no prompt for a name.
``uninstall(module, name)``
    Put the originals back, where nobody patched on top.

`FRAMEWORKS` names the modules that a framework waits for; each is patched when the program imports it, not before. The
calls inside are seen on the wire: a step has no usage of its own.
"""

from __future__ import annotations

from types import ModuleType

from tokprof.capture.frameworks import crewai, langchain, langgraph, llama_index, openai_agents, pydantic_ai
from tokprof.capture.imports import Imports

FRAMEWORKS: dict[str, ModuleType] = {
    name: framework
    for framework in (crewai, langchain, langgraph, llama_index, openai_agents, pydantic_ai)
    for name in framework.MODULES
}


def _patch(name: str, module: ModuleType) -> None:  # CrewAI gives its modules another's ``__name__``
    FRAMEWORKS[name].install(module, name)


_imports = Imports(FRAMEWORKS, _patch, "take the names of steps from")


def install() -> None:
    """Hook every framework: what is imported already now, the rest when it is imported."""
    _imports.install()


def uninstall() -> None:
    """Take every hook out."""
    for name, module in _imports.uninstall():
        FRAMEWORKS[name].uninstall(module, name)
