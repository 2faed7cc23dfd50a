"""One real ipykernel for each test file, with a simulated provider inside."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from queue import Empty
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel

WIDGET = "application/vnd.jupyter.widget-view+json"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")

SETUP = """\
import asyncio, time
%load_ext tokprof
import tokprof
from tokprof.testing import SimulatedProvider
provider = SimulatedProvider().start()
openai, anthropic = provider.openai(), provider.async_anthropic()
"""

FUNCTIONS = """\
def ask(question="hi"):
    # a line that makes no call
    return openai.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": question}])

async def aask(question="hi"):
    return await anthropic.messages.create(
        model="claude-haiku-4-5", max_tokens=50, messages=[{"role": "user", "content": question}])
"""


@dataclass
class Cell:
    """What a cell showed: MIME bundles in order, printed text, the error and its traceback without colours."""

    executed: int = 0
    outputs: list[dict[str, Any]] = field(default_factory=list)
    printed: str = ""
    result: str | None = None
    error: str | None = None
    traceback: str = ""
    payload: str = ""

    @property
    def profile(self) -> str | None:
        """The text tree of the profile that was shown."""
        trees = [out["text/plain"] for out in self.outputs if out.get("text/plain", "").startswith("tokprof ")]
        return trees[-1] if trees else None

    @property
    def snapshots(self) -> list[str]:
        return [out["text/html"] for out in self.outputs if "tokprof-static" in str(out.get("text/html"))]


class Kernel:
    """Runs cells as a front end does."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient):
        self.manager = manager
        self.client = client

    def __call__(self, code: str, *, during: Callable[[], None] | None = None, ok: bool = True) -> Cell:
        """Run a cell; `during` is called when it has printed something. With `ok` an error fails the test."""
        message = self.client.execute(code, allow_stdin=False)
        cell = Cell()
        while True:
            got = self._message(self.client.get_iopub_msg, message)
            kind, content = got["msg_type"], got["content"]
            if kind == "status" and content["execution_state"] == "idle":
                break
            if kind == "execute_input":
                cell.executed = content["execution_count"]
            elif kind == "stream":
                cell.printed += content["text"]
                if during:
                    during()
                    during = None
            elif kind == "display_data":
                cell.outputs.append(content["data"])
            elif kind == "execute_result":
                cell.outputs.append(content["data"])
                cell.result = content["data"]["text/plain"]
            elif kind == "error":
                cell.error = content["ename"]
                cell.traceback = _ANSI.sub("", "\n".join(content["traceback"]))
        reply = self._message(self.client.get_shell_msg, message)["content"]
        cell.payload = "".join(part.get("data", {}).get("text/plain", "") for part in reply.get("payload", []))
        assert not (ok and cell.error), cell.traceback
        return cell

    def value(self, expression: str) -> Any:
        """Evaluate an expression in the kernel, in a cell that is not profiled."""
        import ast

        return ast.literal_eval(self(f"print(repr(({expression})))").printed)

    def _message(self, receive: Callable[..., dict[str, Any]], message: str) -> dict[str, Any]:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                got = receive(timeout=1)
            except Empty:
                continue
            if got["parent_header"].get("msg_id") == message:
                return got
        raise AssertionError("the kernel does not answer")


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def functions(kernel: Kernel) -> int:
    """Load tokprof and the functions of the tests; gives the execution count of the cell that holds them."""
    kernel(SETUP)
    return kernel(FUNCTIONS).executed


@pytest.fixture
def run(kernel: Kernel, functions: int) -> Iterator[Kernel]:
    """A kernel in which tokprof is loaded, with its settings as they come."""
    yield kernel
    kernel(
        "%tokprof off\n"
        "for _name, _value in dict(view='auto', metric='tokens', capture='none', live=True, quiet=False).items():\n"
        "    get_ipython().run_line_magic('config', f'TokProf.{_name} = {_value!r}')"
    )
