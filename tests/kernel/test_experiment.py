"""An experiment in a notebook: its progress, what it shows, and the stop button."""

from __future__ import annotations

import time
from typing import Any

import pytest

from .conftest import Kernel

pytestmark = pytest.mark.kernel

SLOW = """
def slow(k=1):
    print("asked", flush=True)
    time.sleep({seconds})
    return ask().choices[0].message.content * k
"""


@pytest.fixture
def updates(run: Kernel, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Every state that the progress was in."""
    told: list[dict[str, Any]] = []
    receive = run._message

    def listen(channel: Any, message: str) -> dict[str, Any]:
        got = receive(channel, message)
        if got["msg_type"] in ("display_data", "update_display_data"):
            told.append(got["content"]["data"])
        return got

    monkeypatch.setattr(run, "_message", listen)
    return told


def test_progress_then_one_line(run: Kernel, updates: list[dict[str, Any]]) -> None:
    run(SLOW.format(seconds=0.3))
    cell = run("result = tokprof.experiment(slow, {'k': [1, 2]}, repeats=2, score=len)")
    bars = [each["text/html"] for each in updates if "progressbar" in each.get("text/html", "")]
    assert len(cell.outputs) == 1 and len(bars) >= 3
    assert 'aria-valuemax="4" aria-valuenow="0"' in bars[0] and "0 of 4 runs · 0 tokens" in bars[0]
    assert any("left</div>" in bar for bar in bars[1:])
    assert updates[-1]["text/plain"].startswith("experiment slow: 2 points × 2 runs · ")
    assert "<script" not in "".join(bars)
    assert run.value("result.df['status'].tolist()") == ["ok"] * 4


def test_what_it_shows(run: Kernel, updates: list[dict[str, Any]]) -> None:
    cell = run("tokprof.experiment(lambda k: (ask(), k)[1], {'k': [1, 2]}, score=float)")
    assert [sorted(out) for out in cell.outputs[1:]] == [
        ["text/html", "text/plain"],
        ["application/vnd.vegalite.v5+json", "image/svg+xml", "text/plain"],
    ]
    assert cell.outputs[1]["text/html"].count("<tr>") == 3
    assert updates.count({"text/plain": ""}) == 1  # the line of the progress, which the table says again


def test_the_stop_button_gives_the_result(run: Kernel) -> None:
    run(SLOW.format(seconds=0.2))
    cell = run(
        "result = tokprof.experiment(lambda k: slow() if k < 3 else (print('now', flush=True), time.sleep(30)),\n"
        "    {'k': [1, 2, 3, 4]}, repeats=1, seed=None)",
        during=lambda: (time.sleep(1.5), run.manager.interrupt_kernel()),  # type: ignore[arg-type, return-value]
    )
    assert cell.error is None
    assert run.value("(result.interrupted, result.df['status'].tolist())") == (True, ["ok", "ok", "interrupted"])


def test_async_functions_are_awaited_and_stopped(run: Kernel) -> None:
    run("async def answer(k):\n    print('asked', flush=True)\n    await asyncio.sleep(30 * (k > 2))\n    return k")
    forgotten = run("tokprof.experiment(answer, {'k': [1, 2]})")
    assert forgotten.result == (
        "<experiment answer, which has not begun: fn is async, write `await tokprof.experiment(...)`>"
    )
    assert run("len(await tokprof.experiment(answer, {'k': [1, 2]}, parallel=3))").result == "6"
    cell = run(
        "result = await tokprof.experiment(answer, {'k': [1, 2, 3, 4]}, repeats=1, seed=None)",
        during=lambda: (time.sleep(1), run.manager.interrupt_kernel()),  # type: ignore[arg-type, return-value]
    )
    assert cell.error is None
    assert run.value("(result.interrupted, result.df['status'].tolist())") == (True, ["ok", "ok", "interrupted"])


def test_it_is_one_part_of_a_profiled_cell(run: Kernel) -> None:
    run("%%tokprof prof --view text\nresult = tokprof.experiment(lambda k: ask(), {'k': [1, 2]}, parallel=2)")
    assert run.value("(prof.totals.calls, result.profile().totals.calls)") == (6, 6)
    names = run.value("sorted(name for name in prof.df['name'] if name.startswith('run '))")
    assert len(names) == 6 and names[0].startswith("run 1: k=")
