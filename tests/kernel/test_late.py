"""Work that outlives its cell, and cells that are profiled at the same time."""

from __future__ import annotations

import pytest

from .conftest import Kernel

pytestmark = pytest.mark.kernel

TASK = (
    "async def later():\n    await go.wait()\n    await aask()\n"
    "go = asyncio.Event()\ntask = asyncio.create_task(later())"
)
THREAD = (
    "import threading\ndef later():\n    go.wait()\n    ask()\ngo = threading.Event()\n"
    "thread = threading.Thread(target=later)\nthread.start()"
)
SUBMITTED = (
    "import threading\nfrom concurrent.futures import ThreadPoolExecutor\ndef later():\n    go.wait()\n    ask()\n"
    "go, pool = threading.Event(), ThreadPoolExecutor(1)\nfuture = pool.submit(later)"
)
WORK = {"task": (TASK, "await task"), "thread": (THREAD, "thread.join()"), "pool": (SUBMITTED, "future.result()")}


@pytest.mark.parametrize("kind", WORK)
def test_late_work_changes_the_views_of_the_profile_that_began_it_and_of_no_other(run: Kernel, kind: str) -> None:
    begin, end = WORK[kind]
    began = run(f"%%tokprof first\n{begin}")
    before = run.value("first.totals.calls, len(first.df), 'later' in str(first), 'ask In[' in first.snapshot()")
    assert before == (0, 1, False, False)
    run(f"%%tokprof second --quiet\nask(); go.set(); {end}")
    assert run.value("first.totals.calls, first.calls.late.tolist()") == (1, [True])
    assert run.value("'later' in str(first), 'ask In[' in first.snapshot()") == (True, True)
    stack = run.value("[(f.function, f.cell) for f in first.calls['stack'].iloc[0]][:2]")
    assert stack == [("<module>", began.executed), ("later", began.executed)]
    assert run.value("second.totals.calls, second.calls.late.tolist(), 'later' in str(second)") == (1, [False], False)


def test_late_work_is_in_flight_for_the_profile_that_began_it(run: Kernel) -> None:
    run("provider.clear(); provider.reply(text='late', output_tokens=7)")
    run(
        "%%tokprof first --quiet\n@tokprof.span('background')\n"
        "async def later():\n    await go.wait()\n    await aask()\n"
        "go = asyncio.Event()\ntask = asyncio.create_task(later())\nawait asyncio.sleep(0)"
    )
    statuses = run.value("dict(zip(first.df['name'], first.df['status']))")
    assert statuses["background"] == "open"
    run("%%tokprof second --quiet\ngo.set(); await task")
    assert run.value("first.df['status'].tolist(), first.totals.output_tokens") == (["ok"] * 3, 7)
    assert run.value("len(second.df)") == 1


def test_tasks_of_late_tasks_belong_to_the_first_cell(run: Kernel) -> None:
    run(
        "%%tokprof first --quiet\nasync def leaf():\n    await aask()\nasync def later():\n    await go.wait()\n"
        "    await asyncio.gather(leaf(), asyncio.to_thread(ask))\n"
        "go = asyncio.Event()\ntask = asyncio.create_task(later())"
    )
    run("go.set(); await task")
    assert run.value("sorted(first.calls.function)") == ["aask", "ask"]
    assert run.value("first.calls.late.tolist()") == [True, True]


def test_cells_profiled_at_once_in_threads_do_not_mix(run: Kernel) -> None:
    run(
        "import threading\nboth = threading.Barrier(2)\nfound = {}\n"
        "def profiled(name, times):\n"
        "    with tokprof.profile(name) as prof:\n"
        "        both.wait()\n"
        "        for _ in range(times):\n"
        "            with tokprof.span(name):\n"
        "                asyncio.run(asyncio.to_thread(ask, name))\n"
        "        both.wait()\n"
        "    found[name] = prof\n"
    )
    run(
        "%%tokprof around --quiet\nthreads = [threading.Thread(target=profiled, args=pair) for pair in "
        "(('one', 2), ('other', 3))]\nfor thread in threads:\n    thread.start()"
    )
    run("%%tokprof beside --quiet\nask()\nfor thread in threads:\n    thread.join()")
    assert run.value("{name: prof.totals.calls for name, prof in found.items()}") == {"one": 2, "other": 3}
    for name in ("one", "other"):
        assert run.value(f"set(found['{name}'].df['name']) - {{'chat gpt-4o-mini'}}") == {name}
    assert run.value("around.totals.calls, beside.totals.calls") == (5, 1)


def test_a_cell_and_a_profile_of_a_thread_at_once_do_not_mix(run: Kernel) -> None:
    run(
        "import threading\nready, go = threading.Event(), threading.Event()\n"
        "def profiled():\n    global mine\n    with tokprof.profile('mine') as mine:\n        ready.set()\n"
        "        go.wait()\n        ask('mine')\n"
        "thread = threading.Thread(target=profiled)\nthread.start()\nready.wait()"
    )
    run("%%tokprof prof --quiet\nask('cell'); go.set(); thread.join(); ask('cell')")
    assert run.value("prof.totals.calls, mine.totals.calls") == (2, 1)
