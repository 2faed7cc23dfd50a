"""Who asked, whatever carries the work there: the chain of functions and lines in a real kernel."""

from __future__ import annotations

import pytest

from .conftest import Kernel

pytestmark = pytest.mark.kernel

# Each case defines `go`, which makes one call or more; the chain has the function and the source of its line, and
# begins below the cell that says `go()`.
AWAIT = "await aask()"
CASES: dict[str, tuple[str, list[str]]] = {
    "sync": ("def go():\n    ask()", ["go: ask()"]),
    "await chain": (
        "async def deeper():\n    await aask()\nasync def go():\n    await asyncio.sleep(0)\n    await deeper()",
        ["go: await deeper()", f"deeper: {AWAIT}"],
    ),
    "generator": (
        "def steps():\n    yield ask()\ndef go():\n    for _ in steps():\n        pass",
        ["go: for _ in steps():", "steps: yield ask()"],
    ),
    "async generator": (
        "async def steps():\n    yield await aask()\nasync def go():\n    async for _ in steps():\n        pass",
        ["go: async for _ in steps():", "steps: yield await aask()"],
    ),
    "gather": (
        "async def one():\n    await aask()\nasync def go():\n    await asyncio.gather(one(), one())",
        ["go: await asyncio.gather(one(), one())", f"one: {AWAIT}"],
    ),
    "TaskGroup": (
        "async def one():\n    await aask()\nasync def go():\n    async with asyncio.TaskGroup() as group:\n"
        "        group.create_task(one())",
        ["go: group.create_task(one())", f"one: {AWAIT}"],
    ),
    "as_completed": (
        "async def one():\n    await aask()\nasync def go():\n    for done in asyncio.as_completed([one()]):\n"
        "        await done",
        ["go: for done in asyncio.as_completed([one()]):", f"one: {AWAIT}"],
    ),
    "create_task, awaited": (
        "async def one():\n    await aask()\nasync def go():\n    task = asyncio.create_task(one())\n    await task",
        ["go: task = asyncio.create_task(one())", f"one: {AWAIT}"],
    ),
    "create_task, polled": (
        "async def one():\n    await aask()\nasync def go():\n    task = asyncio.create_task(one())\n"
        "    while not task.done():\n        await asyncio.sleep(0.001)",
        ["go: task = asyncio.create_task(one())", f"one: {AWAIT}"],
    ),
    "wait_for": (
        "async def one():\n    await aask()\nasync def go():\n    await asyncio.wait_for(one(), 9)",
        ["go: await asyncio.wait_for(one(), 9)", f"one: {AWAIT}"],
    ),
    "tasks of tasks": (
        "async def leaf():\n    await aask()\nasync def twig():\n    await asyncio.gather(leaf())\n"
        "async def go():\n    await asyncio.gather(twig())",
        ["go: await asyncio.gather(twig())", "twig: await asyncio.gather(leaf())", f"leaf: {AWAIT}"],
    ),
    "submit": (
        "def one():\n    ask()\ndef go():\n    with ThreadPoolExecutor(2) as pool:\n        pool.submit(one).result()",
        ["go: pool.submit(one).result()", "one: ask()"],
    ),
    "map": (
        "def one(_):\n    ask()\ndef go():\n    with ThreadPoolExecutor(2) as pool:\n        list(pool.map(one, [1]))",
        ["go: list(pool.map(one, [1]))", "one: ask()"],
    ),
    "submit in a copied context": (
        "def one():\n    ask()\ndef go():\n    with ThreadPoolExecutor(2) as pool:\n"
        "        pool.submit(contextvars.copy_context().run, one).result()",
        ["go: pool.submit(contextvars.copy_context().run, one).result()", "one: ask()"],
    ),
    "to_thread": (
        "def one():\n    ask()\nasync def go():\n    await asyncio.to_thread(one)",
        ["go: await asyncio.to_thread(one)", "one: ask()"],
    ),
    "run_in_executor": (
        "def one():\n    ask()\nasync def go():\n    await asyncio.get_running_loop().run_in_executor(None, one)",
        ["go: await asyncio.get_running_loop().run_in_executor(None, one)", "one: ask()"],
    ),
    "Thread": (
        "def one():\n    ask()\ndef go():\n    thread = threading.Thread(target=one)\n    thread.start()\n"
        "    thread.join()",
        ["go: thread.start()", "one: ask()"],
    ),
    "subclass of Thread": (
        "class Worker(threading.Thread):\n    def run(self):\n        ask()\n"
        "def go():\n    thread = Worker()\n    thread.start()\n    thread.join()",
        ["go: thread.start()", "Worker.run: ask()"],
    ),
    "a loop in a thread": (
        "async def leaf():\n    await aask()\ndef one():\n    asyncio.run(leaf())\n"
        "async def go():\n    await asyncio.to_thread(one)",
        ["go: await asyncio.to_thread(one)", "one: asyncio.run(leaf())", f"leaf: {AWAIT}"],
    ),
    "run_coroutine_threadsafe": (
        "async def one():\n    await aask()\ndef go():\n    loop = asyncio.new_event_loop()\n"
        "    thread = threading.Thread(target=loop.run_forever)\n    thread.start()\n"
        "    asyncio.run_coroutine_threadsafe(one(), loop).result()\n"
        "    loop.call_soon_threadsafe(loop.stop)\n    thread.join()",
        ["go: asyncio.run_coroutine_threadsafe(one(), loop).result()", f"one: {AWAIT}"],
    ),
    "anyio task group": (
        "async def one():\n    await aask()\nasync def go():\n    async with anyio.create_task_group() as group:\n"
        "        group.start_soon(one)",
        ["go: group.start_soon(one)", f"one: {AWAIT}"],
    ),
    "anyio thread": (
        "def one():\n    ask()\nasync def go():\n    await anyio.to_thread.run_sync(one)",
        ["go: await anyio.to_thread.run_sync(one)", "one: ask()"],
    ),
    "uvloop": (
        "async def one():\n    await aask()\nasync def both():\n    await asyncio.gather(one())\n"
        "def go():\n    thread = threading.Thread(target=lambda: uvloop.run(both()))\n    thread.start()\n"
        "    thread.join()",
        [
            "go: thread.start()",
            "go.<locals>.<lambda>: thread = threading.Thread(target=lambda: uvloop.run(both()))",
            "both: await asyncio.gather(one())",
            f"one: {AWAIT}",
        ],
    ),
    "eager tasks": (
        "async def one():\n    await asyncio.sleep(0)\n    await aask()\nasync def both():\n"
        "    loop = asyncio.get_running_loop()\n"
        "    if factory := getattr(asyncio, 'eager_task_factory', None):\n        loop.set_task_factory(factory)\n"
        "    await asyncio.gather(one())\nasync def go():\n    await asyncio.to_thread(lambda: asyncio.run(both()))",
        [
            "go: await asyncio.to_thread(lambda: asyncio.run(both()))",
            "go.<locals>.<lambda>: await asyncio.to_thread(lambda: asyncio.run(both()))",
            "both: await asyncio.gather(one())",
            f"one: {AWAIT}",
        ],
    ),
}

IMPORTS = """\
import anyio, asyncio, contextvars, linecache, threading, uvloop
from concurrent.futures import ThreadPoolExecutor

def chains(prof):
    found = []
    for stack in prof.calls["stack"]:
        said = [(f.cell, f"{f.function}: {linecache.getline(f.file, f.line).strip()}") for f in stack]
        found.append(said)
    return found
"""


@pytest.mark.parametrize("case", CASES)
def test_the_chain_of_functions_and_lines(run: Kernel, functions: int, case: str) -> None:
    code, chain = CASES[case]
    run(IMPORTS)
    defined = run(code).executed
    cell = run(f"%%tokprof prof --quiet\n# the call\n{'await ' if 'async def go' in code else ''}go()")
    found = run.value("chains(prof)")
    assert found, "no call was seen"
    for seen in found:
        *steps, asked = seen
        assert asked[0] == functions
        assert asked[1].startswith(("ask:", "aask:"))
        top = "await go()" if "async def go" in code else "go()"
        assert steps == [(cell.executed, f"<module>: {top}"), *((defined, step) for step in chain)]


def test_hooks_go_with_the_extension(run: Kernel) -> None:
    run("import asyncio, threading\nfrom concurrent.futures import ThreadPoolExecutor")
    run("%unload_ext tokprof")
    names = run.value(
        "[vars(m).get('_tokprof_hook') is None for m in (asyncio.BaseEventLoop.create_task, "
        "threading.Thread.start, ThreadPoolExecutor.submit, asyncio.run_coroutine_threadsafe)]"
    )
    run("%load_ext tokprof")
    assert names == [True] * 4


def test_a_task_factory_of_the_user_stays(run: Kernel) -> None:
    run(
        "made = []\n"
        "def factory(loop, coro, **kwargs):\n    made.append(coro.__qualname__)\n"
        "    return asyncio.Task(coro, loop=loop, **kwargs)\n"
        "async def one():\n    await aask()\n"
        "async def both():\n    asyncio.get_running_loop().set_task_factory(factory)\n    await asyncio.gather(one())"
    )
    run("%%tokprof prof --quiet\nawait asyncio.to_thread(lambda: asyncio.run(both()))")
    assert run.value("made.count('one')") == 1
    assert run.value("[f.function for f in prof.calls['stack'].iloc[0]]") == [
        "<module>",
        "<lambda>",
        "both",
        "one",
        "aask",
    ]
