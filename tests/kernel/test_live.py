"""The summary of a cell that runs long: it ticks, it stays, it leaves the program's own output alone."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import WIDGET, Cell, Kernel

pytestmark = pytest.mark.kernel

BUSY = "end = time.monotonic() + 1.2\nwhile time.monotonic() < end: sum(range(1000))"
AWAIT = "await asyncio.sleep(1.2)"


class Comms:
    """States that a kernel sent for its widgets while a cell ran, each with the number of outputs before it."""

    def __init__(self, run: Kernel, monkeypatch: pytest.MonkeyPatch):
        self.states: list[dict[str, Any]] = []
        self.closed: list[str] = []
        receive = run._message

        def listen(channel: Any, message: str) -> dict[str, Any]:
            got = receive(channel, message)
            data = got["content"].get("data", {})
            if got["msg_type"] == "comm_close":
                self.closed.append(got["content"]["comm_id"])
            elif got["msg_type"] in ("comm_open", "comm_msg") and "_state" in data.get("state", {}):
                self.states.append(data["state"]["_state"])
            return got

        monkeypatch.setattr(run, "_message", listen)


@pytest.fixture
def comms(run: Kernel, monkeypatch: pytest.MonkeyPatch) -> Comms:
    run("%%tokprof\nask()")  # loads what is loaded once
    return Comms(run, monkeypatch)


def widgets(cell: Cell) -> int:
    return sum(WIDGET in out for out in cell.outputs)


@pytest.mark.parametrize("wait", [BUSY, AWAIT], ids=["computing", "awaiting"])
def test_it_ticks_while_the_cell_runs_and_ends_with_it(run: Kernel, comms: Comms, wait: str) -> None:
    cell = run(f"%%tokprof prof\nask()\n{wait}\nask()\n{wait}\nask()\nprint('printed')")
    phases = [state["phase"] for state in comms.states]
    assert phases[-1] == "ended" and phases.count("ended") == 1
    assert len(phases) >= 3
    calls = [state["calls"] for state in comms.states]
    assert calls == sorted(calls) and {1, 2} <= set(calls)
    assert comms.states[-1]["tokens"] == run.value("prof.totals.total_tokens")
    # the summary stands where it began, the flamegraph and the snapshot come at the end
    assert [sorted(out)[:1] for out in cell.outputs] == [[WIDGET], [WIDGET], ["text/html"]]
    assert len(comms.states) <= 2.4 / 0.15 + 4


def test_calls_in_flight_are_counted_before_the_first_has_ended(run: Kernel, comms: Comms) -> None:
    run("provider.reply(latency=1.5, times=2)")
    run("%%tokprof\nawait asyncio.gather(aask(), aask())")
    assert (comms.states[0]["flying"], comms.states[0]["calls"]) == (2, 0)
    assert (comms.states[-1]["flying"], comms.states[-1]["calls"]) == (0, 2)


def test_no_live_and_quick_cells_show_it_once_and_at_the_end(run: Kernel, comms: Comms) -> None:
    for code in (f"%%tokprof --no-live\nask()\n{AWAIT}", "%%tokprof\nask()"):
        cell = run(code)
        assert [state["phase"] for state in comms.states] == ["ended"]
        assert widgets(cell) == 2
        comms.states.clear()


@pytest.mark.parametrize("option", ["--view text", "--view none"])
def test_it_goes_where_no_widget_is_wanted(run: Kernel, comms: Comms, option: str) -> None:
    run(f"%%tokprof {option}\nask()\n{AWAIT}")
    assert comms.states and all(state["phase"] == "live" for state in comms.states)
    assert len(comms.closed) == 1


def test_quiet_shows_nothing(run: Kernel, comms: Comms) -> None:
    assert run(f"%%tokprof --quiet\nask()\n{AWAIT}").outputs == []
    assert comms.states == []


def test_a_cell_without_calls_shows_none(run: Kernel, comms: Comms) -> None:
    run(f"%%tokprof\n{AWAIT}")
    assert comms.states == []


def test_where_the_cell_clears_its_output_it_comes_back_at_the_end_only(run: Kernel, comms: Comms) -> None:
    clear = "from IPython.display import clear_output\nclear_output(wait=True)"
    cell = run(f"%%tokprof\nask()\n{AWAIT}\n{clear}\n{AWAIT}\nprint('kept')")
    assert widgets(cell) == 3
    last_before = [state["phase"] for state in comms.states]
    assert last_before[-1] == "ended" and "live" in last_before
    assert len(comms.closed) == 1


def test_output_that_the_program_collects_is_its_own(run: Kernel, comms: Comms) -> None:
    run(f"%%capture out\n%%tokprof prof\nask()\n{BUSY}")
    assert run.value("len(out.outputs)") == 0
    assert run.value("prof.totals.calls") == 1


def test_a_with_block_shows_one_while_it_runs(run: Kernel, comms: Comms) -> None:
    run(f"with tokprof.profile() as prof:\n    ask()\n    {AWAIT}")
    assert comms.states and {state["phase"] for state in comms.states} == {"live"}
    assert len(comms.closed) == 1


def test_a_budget_is_part_of_every_state(run: Kernel, comms: Comms) -> None:
    run("%%tokprof prof\nprof._recording.budget = {'calls': 4, 'seconds': 60}\nask()\n" + AWAIT)
    first, last = comms.states[0], comms.states[-1]
    assert [(each["what"], each["limit"]) for each in first["budget"]] == [("calls", 4), ("seconds", 60)]
    assert last["budget"][0]["used"] == 1


def test_an_interrupted_cell_has_its_final_figures(run: Kernel, comms: Comms) -> None:
    run("%%tokprof\nask()\nprint('x', flush=True)\ntime.sleep(1)\nraise KeyboardInterrupt", ok=False)
    assert [state["phase"] for state in comms.states][-1] == "ended"
    assert run.value("[t.name for t in __import__('threading').enumerate() if t.name == 'tokprof-live']") == []
