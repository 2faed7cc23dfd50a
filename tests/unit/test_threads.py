"""Threads work for whoever started them."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

import tokprof
from tokprof.capture import threads
from tokprof.testing import SimulatedProvider


def ask(client: object) -> None:
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])  # type: ignore[attr-defined]


def test_a_thread_keeps_the_step_it_was_started_in(provider: SimulatedProvider) -> None:
    client = provider.openai()

    class Worker(threading.Thread):
        def run(self) -> None:
            ask(client)

    with tokprof.profile() as prof:
        with tokprof.span("step"):
            workers = [threading.Thread(target=ask, args=(client,)), Worker()]
            for worker in workers:
                worker.start()
        for worker in workers:
            worker.join()
    step = prof.df[prof.df.name == "step"].span_id.item()
    assert prof.calls.parent_id.tolist() == [step, step]


def test_work_of_a_pool_belongs_to_who_gave_it(provider: SimulatedProvider) -> None:
    client = provider.openai()
    with ThreadPoolExecutor(1) as pool:
        with tokprof.profile("first") as first, tokprof.span("a"):
            pool.submit(ask, client).result()
        with tokprof.profile("second") as second:
            list(pool.map(ask, [client, client]))
        pool.submit(ask, client).result()
    assert (len(first.calls), len(second.calls)) == (1, 2)
    assert first.calls.depth.item() == 2
    assert not first.calls.late.any()


def test_a_thread_that_outlives_its_profile_is_late_there_and_nowhere_else(provider: SimulatedProvider) -> None:
    client = provider.openai()
    go = threading.Event()

    def later() -> None:
        go.wait()
        ask(client)

    with tokprof.profile() as first:
        worker = threading.Thread(target=later)
        worker.start()
    with tokprof.profile() as second:
        go.set()
        worker.join()
    assert first.calls.late.tolist() == [True]
    assert second.calls.empty


def test_two_threads_with_a_profile_each_do_not_mix(provider: SimulatedProvider) -> None:
    client = provider.openai()
    both = threading.Barrier(2)
    found: dict[int, tokprof.Profile] = {}

    def work(times: int) -> None:
        with tokprof.profile() as prof:
            both.wait()
            for _ in range(times):
                ask(client)
            both.wait()
        found[times] = prof

    workers = [threading.Thread(target=work, args=(times,)) for times in (1, 3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert {times: len(prof.calls) for times, prof in found.items()} == {1: 1, 3: 3}


async def test_to_thread_and_the_loops_executor(provider: SimulatedProvider) -> None:
    client = provider.openai()
    async with tokprof.profile() as prof, tokprof.span("step"):
        await asyncio.to_thread(ask, client)
        await asyncio.get_running_loop().run_in_executor(None, ask, client)
    assert prof.calls.depth.tolist() == [2, 2]


def test_a_pool_does_not_keep_the_recording_that_its_worker_was_started_in(provider: SimulatedProvider) -> None:
    client = provider.openai()
    with ThreadPoolExecutor(1) as pool:
        with tokprof.profile() as prof:
            pool.submit(ask, client).result()
        assert len(prof.calls) == 1
        recording = weakref.ref(prof._recording)
        del prof
        with tokprof.profile():  # now this one is the last
            pool.submit(int).result()
        gc.collect()
        assert recording() is None


def test_a_thread_does_not_keep_its_recording_after_it_ran() -> None:
    ran = []

    def run() -> None:
        ran.append(threading.current_thread())

    plain, custom = threading.Thread(target=run), threading.Thread()
    custom.run = run  # type: ignore[method-assign]
    with tokprof.profile() as prof:
        for worker in (plain, custom):
            worker.start()
            worker.join()
    assert ran == [plain, custom]
    assert "run" not in plain.__dict__
    assert custom.__dict__["run"] is run
    recording = weakref.ref(prof._recording)
    del prof
    with tokprof.profile():  # now this one is the last
        pass
    gc.collect()
    assert recording() is None


def test_a_thread_that_is_started_twice_fails_as_without_tokprof() -> None:
    worker = threading.Thread(target=int)
    with tokprof.profile():
        worker.start()
        worker.join()
        with pytest.raises(RuntimeError, match="only be started once"):
            worker.start()
    assert "run" not in worker.__dict__


def test_work_given_outside_of_any_profile_is_passed_on_as_it_is() -> None:
    submit = threads._submit_hook(lambda _pool, fn: fn)
    assert submit(None, ask) is ask
    with tokprof.profile():
        assert submit(None, ask) is not ask
