"""What it costs to carry context and to name steps, bare and recorded side by side in one run: ``make bench``.

Read it as ``overhead.py``, which says how it is measured. A cell stands some 13 frames deep in a kernel, so the pieces
are measured there too.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import queue
import sys
import sysconfig
import threading
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from overhead import _met, compare, cpu, line, nothing, recorded, row

import tokprof

FRAMES = 13  # of ipykernel, IPython and asyncio below a cell
STDLIB = str(Path(sysconfig.get_path("stdlib"), "deep.py"))

_library: dict[str, Any] = {}
exec(  # a frame of the standard library, as the walk up the stack sees it
    compile("def deep(batch, frames): return batch() if frames == 0 else deep(batch, frames - 1)", STDLIB, "exec"),
    _library,
)
_todo: queue.SimpleQueue[Any] = queue.SimpleQueue()
_done: queue.SimpleQueue[Any] = queue.SimpleQueue()


def cell() -> None:
    """A thread of its own, so that the frames of this script are no part of the measure."""
    while True:
        context, batch = _todo.get()
        _done.put(context.run(_library["deep"], batch, FRAMES))


def deep(batch: Callable[[], Any]) -> Any:
    """Call it as far down as a cell stands."""
    _todo.put((contextvars.copy_context(), batch))
    return _done.get()


async def nothing_async() -> None: ...


def numbers() -> Any:
    yield from range(10)


decorated = tokprof.span(nothing)
decorated_async = tokprof.span(nothing_async)
decorated_generator = tokprof.span(numbers)


def steps(function: Callable[[], Any], times: int) -> Callable[[], Any]:
    def batch() -> None:
        for _ in range(times):
            function()

    return lambda: deep(batch)


def tasks(loop: asyncio.AbstractEventLoop, times: int) -> Callable[[], Any]:
    async def all_of_them() -> None:
        for _ in range(times):
            await asyncio.create_task(nothing_async())

    return lambda: deep(lambda: loop.run_until_complete(all_of_them()))


def awaits(loop: asyncio.AbstractEventLoop, function: Callable[[], Any], times: int) -> Callable[[], Any]:
    async def all_of_them() -> None:
        for _ in range(times):
            await function()

    return lambda: deep(lambda: loop.run_until_complete(all_of_them()))


def submits(pool: ThreadPoolExecutor, times: int) -> Callable[[], Any]:
    return lambda: deep(lambda: [work.result() for work in [pool.submit(nothing) for _ in range(times)]])


def threads(times: int) -> Callable[[], Any]:
    def batch() -> None:
        for _ in range(times):
            thread = threading.Thread(target=nothing)
            thread.start()
            thread.join()

    return lambda: deep(batch)


def added(bare: Callable[[], Any], batch: Callable[[], Any], units: int, seconds: float = 3.0) -> Any:
    return compare(lambda: cpu(bare, 1), lambda: recorded(batch, 1), units, seconds)


def memory(count: int) -> float:
    """Bytes a step leaves behind."""
    with tokprof.profile():
        decorated()
    gc.collect()
    tracemalloc.start()
    with tokprof.profile() as prof:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(count):
            decorated()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(prof.table) == count + 1
    return (after - before) / count


def main() -> None:
    begin = time.perf_counter()
    threading.Thread(target=cell, daemon=True).start()
    print(f"tokprof {tokprof.__version__}, Python {sys.version.split()[0]}\n")
    head = f"{'added, CPU us':<48} {'median':>9} {'[quartiles]':>20} {'least':>9} {'bare':>11} {'ratio':>7}  target"
    print(head, "-" * len(head), sep="\n")
    row("decorated function", added(steps(nothing, 1_000), steps(decorated, 1_000), 1_000), 5)
    loop = asyncio.new_event_loop()
    many = 1_000
    bare, wrapped = awaits(loop, nothing_async, many), awaits(loop, decorated_async, many)
    row("decorated coroutine", added(bare, wrapped, many))
    bare, wrapped = (
        steps(lambda function=function: list(function()), 200) for function in (numbers, decorated_generator)
    )
    row("decorated generator of 10, all of it", added(bare, wrapped, 200))
    row("create_task and await", added(tasks(loop, many), tasks(loop, many), many), 10)
    loop.close()
    with ThreadPoolExecutor(4) as pool:
        row("submit to a pool of 4, and its result", added(submits(pool, 500), submits(pool, 500), 500), 10)
    row("Thread, started and joined", added(threads(100), threads(100), 100))
    print()
    line("memory, per step", memory(50_000), "bytes", 1024, "50,000 decorated calls")
    print(f"\n{sum(_met)} of {len(_met)} targets met, {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
