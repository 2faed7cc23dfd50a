"""A profiled cell does what it does without tokprof, and its profile stands below it."""

from __future__ import annotations

import time

import pytest

from .conftest import WIDGET, Kernel

pytestmark = pytest.mark.kernel


def test_a_name_binds_the_profile(run: Kernel) -> None:
    cell = run("%%tokprof prof\nask()")
    assert run.value("type(prof).__name__, prof.title, prof.totals.calls, prof is tokprof.last()") == (
        "Profile",
        f"In[{cell.executed}]",
        1,
        True,
    )


def test_summary_view_and_snapshot(run: Kernel) -> None:
    cell = run("%%tokprof prof\n_ = ask()")
    summary, live, snapshot = cell.outputs
    assert summary.keys() == {WIDGET, "text/plain"} and not summary["text/plain"]
    assert WIDGET in live
    assert live["text/plain"] == run.value("str(prof)")
    assert "ask" in live["text/plain"]
    assert snapshot.keys() == {"text/html"}
    assert snapshot["text/html"] == run.value("prof.snapshot()")
    assert 'src="data:image/svg+xml;base64,' in snapshot["text/html"]


def test_a_cell_without_calls_shows_one_line(run: Kernel) -> None:
    cell = run("%%tokprof\n1 + 1")
    assert cell.result == "2"
    assert [out for out in cell.outputs if WIDGET in out] == []
    assert "no model calls" in (cell.profile or "")
    assert "\n" not in (cell.profile or "")


@pytest.mark.parametrize(
    ("body", "result", "calls"),
    [
        ("ask()\n6 * 7", "42", 1),
        ("(await aask()).role", "'assistant'", 1),
        ("len(await asyncio.gather(*(aask(str(i)) for i in range(5))))", "5", 5),
        ("x = ask()", None, 1),
        ("ask(); 5;", None, 1),
        ("for i in range(3): ask()\ni", "2", 3),
        ('"""a string\n\n   of lines"""', "'a string\\n\\n   of lines'", 0),
    ],
    ids=["last expression", "await", "gather", "statement", "semicolon", "loop", "string"],
)
def test_the_value_of_the_cell_is_displayed(run: Kernel, body: str, result: str | None, calls: int) -> None:
    plain = run(body)
    profiled = run(f"%%tokprof prof\n{body}")
    assert profiled.result == plain.result == result
    assert run.value("prof.totals.calls") == calls


def test_shell_commands_and_line_magics_inside(run: Kernel) -> None:
    cell = run("%%tokprof prof\n!echo from the shell\n%time ask('timed').id\nfiles = !echo one\nprint(files)")
    assert "from the shell" in cell.printed
    assert "Wall time" in cell.printed
    assert "['one']" in cell.printed
    assert run.value("prof.totals.calls") == 1


def test_another_cell_magic_on_the_second_line(run: Kernel) -> None:
    cell = run("%%tokprof prof\n%%time\nask()\n7")
    assert cell.result == "7"
    assert "Wall time" in cell.printed
    assert run.value("prof.totals.calls") == 1


def test_capture_around_a_profiled_cell(run: Kernel) -> None:
    cell = run("%%capture out\n%%tokprof prof\nask()\nprint('inside')")
    assert cell.printed == ""
    assert run.value("out.stdout") == "inside\n"
    assert "1 call" in (cell.profile or "")
    assert len(cell.snapshots) == 1
    assert run.value("prof.totals.calls") == 1


def test_below_another_cell_magic(run: Kernel) -> None:
    cell = run("%%time\n%%tokprof prof\nask()\n7")
    assert cell.result == "7"
    assert "Wall time" in cell.printed
    assert "1 call" in (cell.profile or "")
    assert run.value("prof.totals.calls") == 1


def test_a_failed_cell_is_a_failed_root(run: Kernel) -> None:
    run("%%tokprof prof\nask()\n1 / 0", ok=False)
    assert run.value("prof.df.status.tolist()") == ["error", "ok"]
    assert run.value("prof.df.error.tolist()")[0] == "ZeroDivisionError"


def test_a_task_of_a_cell_that_is_not_profiled_belongs_to_nobody(run: Kernel) -> None:
    run("async def later():\n    await asyncio.sleep(0.1)\n    await aask()\ntask = asyncio.create_task(later())")
    run("%%tokprof prof\nask()\nawait task")
    assert run.value("prof.totals.calls") == 1


def test_an_indented_magic_line(run: Kernel) -> None:
    assert run("  %%tokprof prof\n  ask()\n  8").result == "8"
    assert run.value("prof.totals.calls") == 1


def test_a_cell_that_is_being_typed_is_not_complete_after_its_magic_line(run: Kernel) -> None:
    complete = "get_ipython().input_transformer_manager.check_complete"
    assert run.value(f"{complete}('%%tokprof prof\\n')") == run.value(f"{complete}('%%time\\n')")


@pytest.mark.parametrize("lead", ["", "\n\n", "   \n"], ids=["first line", "after blank lines", "after spaces"])
def test_lines_are_those_of_the_cell_as_it_was_typed(run: Kernel, lead: str) -> None:
    run(f"{lead}%%tokprof prof\n# a comment\n\nask()")
    cell, line = run.value("(lambda f: (f.cell, f.line))(prof.table.spans[1].stack[0])")
    # IPython itself takes leading blank lines off a cell
    assert run.value("prof.title") == f"In[{cell}]"
    assert line == 4


def test_cell_function_and_line_name_the_function_of_an_earlier_cell(run: Kernel, functions: int) -> None:
    cell = run("%%tokprof prof\ndef outer():\n    return ask(\n        'a long one')\n\nouter()")
    assert run.value("prof.calls[['cell', 'function', 'line']].values.tolist()") == [[functions, "ask", 3]]
    assert run.value("[str(frame) for frame in prof.calls.iloc[0]['stack']]") == [
        f"<module> (In[{cell.executed}]:6)",
        f"outer (In[{cell.executed}]:3)",
        f"ask (In[{functions}]:3)",
    ]


def test_a_cell_run_again_has_the_number_of_its_last_run(run: Kernel) -> None:
    code = "%%tokprof prof\nask()"
    first, second = run(code), run(code)
    assert second.executed == first.executed + 1
    assert run.value("prof.title") == f"In[{second.executed}]"
    assert run.value("prof.calls.iloc[0]['stack'][0].cell") == second.executed


def test_an_error_is_shown_as_without_tokprof_and_the_profile_too(run: Kernel) -> None:
    cell = run("%%tokprof prof\nask()\ndef fail():\n    1 / 0\nfail()\nask('never')", ok=False)
    assert cell.error == "ZeroDivisionError"
    assert "----> 5 fail()" in cell.traceback
    assert "----> 4     1 / 0" in cell.traceback
    assert "tokprof/" not in cell.traceback
    assert "1 call" in (cell.profile or "")
    assert run.value("prof.totals.calls") == 1


def test_a_syntax_error_leaves_no_trace(run: Kernel) -> None:
    cell = run("%%tokprof\nask(]", ok=False)
    assert cell.error == "SyntaxError"
    assert run("ask().id is not None").profile is None


@pytest.mark.parametrize(
    "body", ["time.sleep(20)", "for _ in range(200): await asyncio.sleep(0.1)"], ids=["in a function", "while awaiting"]
)
def test_an_interrupt_shows_the_profile_and_leaves_later_cells_alone(run: Kernel, body: str) -> None:
    def interrupt() -> None:
        time.sleep(0.2)  # the print comes a moment before the sleep
        run.manager.interrupt_kernel()

    cell = run(f"%%tokprof stopped\nask()\nprint('now', flush=True)\n{body}", during=interrupt, ok=False)
    assert cell.error in ("KeyboardInterrupt", "CancelledError")
    assert "1 call" in (cell.profile or ""), cell.outputs
    plain = run("ask('plain')\n5")
    assert (plain.result, plain.profile) == ("5", None)
    assert run.value("stopped.totals.calls, stopped.recording") == (1, False)
    assert "1 call" in (run("%%tokprof after\n_ = await aask()").profile or "")


def test_a_cell_without_the_magic_records_nothing(run: Kernel) -> None:
    run("%%tokprof prof\nask()")
    plain = run("ask('unprofiled')\nawait aask()\n1")
    assert (plain.result, plain.profile) == ("1", None)
    assert run.value("prof.totals.calls, tokprof.last() is prof") == (1, True)


def test_background_work_is_credited_to_the_cell_that_began_it(run: Kernel) -> None:
    run(
        "%%tokprof first\nasync def later():\n    await go.wait()\n    await aask()\ngo = asyncio.Event()\n"
        "task = asyncio.create_task(later())"
    )
    run("%%tokprof second\nask(); go.set(); await task")
    run("%%tokprof third\nask()")
    assert run.value("first.calls.late.tolist(), first.calls.function.tolist()") == ([True], ["aask"])
    assert run.value("second.calls.late.tolist(), second.calls.function.tolist()") == ([False], ["ask"])
    assert run.value("third.totals.calls") == 1


def test_a_thread_begun_in_the_cell_belongs_to_it(run: Kernel) -> None:
    run("%%tokprof prof\nimport threading\nthread = threading.Thread(target=ask)\nthread.start()\nthread.join()")
    assert run.value("prof.calls.function.tolist()") == ["ask"]


def test_profile_as_the_last_expression_shows_the_same(run: Kernel) -> None:
    first = run("%%tokprof prof\n_ = ask()")
    again = run("prof")
    assert again.profile == first.profile
    assert [sorted(out) for out in again.outputs] == [sorted(out) for out in first.outputs]
    assert again.snapshots == first.snapshots
