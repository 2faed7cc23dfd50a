"""Budgets in a notebook: the options of the magic, the traceback, and what is shown when a cell was stopped."""

from __future__ import annotations

import pytest

from .conftest import WIDGET, Kernel

pytestmark = pytest.mark.kernel

LOOP = """\
def plan(times, most=20):
    for _ in range(times):
        openai.chat.completions.create(
            model="gpt-4o-mini", max_tokens=most, messages=[{"role": "user", "content": "hi"}])
"""


def test_a_cell_stops_before_the_call_that_would_not_fit(run: Kernel) -> None:
    functions = run(LOOP).executed
    run("provider.clear()")
    cell = run("%%tokprof prof --budget 60\nplan(9)\nafter = 1", ok=False)
    sent = run.value("len(provider.requests)")
    assert cell.error == "BudgetExceeded"
    assert "after" not in run.value("list(globals())")
    assert 1 <= sent < 9
    lines = cell.traceback.splitlines()
    assert f"In[{cell.executed}]:2 in <module>" in cell.traceback
    assert f"In[{functions}]:3 in plan" in cell.traceback
    assert "site-packages" not in cell.traceback
    assert len(lines) < 12
    where = f"In[{functions}]:3 in plan()"
    assert "budget of 60 tokens" in lines[-1] and where in lines[-1]
    assert f"■ stopped at {where}: budget of 60 tokens" in (cell.profile or "")
    assert f"stopped at {where}" in cell.snapshots[0]
    assert run.value("prof.totals.calls, prof.calls.error.iloc[-1]") == (sent + 1, "BudgetExceeded")
    assert any(WIDGET in out for out in cell.outputs)


def test_a_cell_that_awaits_stops_as_well(run: Kernel) -> None:
    run("provider.clear()")
    cell = run("%%tokprof prof --max-calls 2\nawait asyncio.gather(*(aask() for _ in range(5)))", ok=False)
    assert cell.error == "BudgetExceeded"
    assert "budget of 2 calls" in cell.traceback and "site-packages" not in cell.traceback
    assert run.value("len(provider.requests)") <= 2
    assert run.value("prof.totals.calls") >= 3


def test_to_warn_shows_one_alert_and_the_cell_goes_on(run: Kernel) -> None:
    cell = run("%%tokprof prof --budget 10 --on-exceed warn\nplan(3)\nprint('end')")
    assert cell.printed.count("over the budget of 10 tokens") == 1
    assert "end" in cell.printed
    assert "■ over the budget of 10 tokens" in (cell.profile or "")


def test_dollars_seconds_and_streams(run: Kernel) -> None:
    assert run("%%tokprof --max-cost 0.00001\nplan(1, 1000)", ok=False).error == "BudgetExceeded"
    assert run("%%tokprof --max-seconds 0.01\ntime.sleep(.02)\nplan(1)", ok=False).error == "BudgetExceeded"
    cell = run(
        "%%tokprof prof --budget 40 --stop-streams\n"
        "provider.reply(text='word ' * 500, chunks=500)\n"
        "for event in openai.chat.completions.create(model='gpt-4o-mini', stream=True,\n"
        "        messages=[{'role': 'user', 'content': 'hi'}]): pass",
        ok=False,
    )
    assert cell.error == "BudgetExceeded"
    assert "the stream was stopped" in cell.traceback
    assert run.value("prof.calls.status.tolist()") == ["partial"]


def test_settings_limit_every_cell(run: Kernel) -> None:
    try:
        run("%config TokProf.budget = 60\n%config TokProf.max_cost = 1.5")
        assert "TokProf.on_exceed" in run("%config TokProf").printed
        assert run("%%tokprof\nplan(9)", ok=False).error == "BudgetExceeded"
        assert run("%%tokprof --budget 100000\nplan(9)").error is None
        assert run("%config TokProf.on_exceed = 'warn'\n%config TokProf.quiet = True\n%tokprof plan(9)").error is None
        assert "over the budget of 60 tokens" in run("%%tokprof\nplan(9)").printed
        run("%config TokProf.budget = 0", ok=False)
        assert run.value("get_ipython().magics_manager.registry['TokProf'].budget") == 60
    finally:
        run(
            "%config TokProf.budget = None\n%config TokProf.max_cost = None\n"
            "%config TokProf.on_exceed = 'raise'\n%config TokProf.quiet = False"
        )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--budget 0", "more than 0"),
        ("--budget -5", "more than 0"),
        ("--budget many", "invalid int value"),
        ("--budget", "expected one argument"),
        ("--max-cost -0.5", "more than 0"),
        ("--max-cost nan", "more than 0"),
        ("--max-seconds inf", "not endless"),
        ("--max-calls 1.5", "invalid int value"),
        ("--budget 5 --on-exceed stop", "invalid choice"),
        ("--on-exceed warn", "no limit is given"),
        ("--stop-streams", "no limit is given"),
        ("--budget 5 --on-exceed warn --stop-streams", "stop_streams"),
    ],
)
def test_bad_limits_are_usage_errors_and_the_cell_does_not_run(run: Kernel, line: str, words: str) -> None:
    cell = run(f"%%tokprof {line}\nprint('ran')", ok=False)
    told = cell.printed + cell.traceback
    assert "UsageError" in told and words in told
    assert "ran\n" not in cell.printed


def test_help_names_every_limit(run: Kernel) -> None:
    told = run("%%tokprof?").payload
    for option in ("--budget", "--max-cost", "--max-calls", "--max-seconds", "--on-exceed", "--stop-streams"):
        assert option in told


def test_a_block_that_is_stopped_shows_its_profile(run: Kernel) -> None:
    cell = run("with tokprof.budget(60, name='mine') as b:\n    plan(9)", ok=False)
    assert cell.error == "BudgetExceeded"
    assert "■ stopped at" in (cell.profile or "")
    assert "budget 'mine' of 60 tokens" in cell.traceback
    inside = run("%%tokprof prof\nwith tokprof.budget(60) as b:\n    plan(9)", ok=False)
    assert inside.error == "BudgetExceeded"
    assert len(inside.snapshots) == 1
    assert "■ stopped at" in (inside.profile or "")


def test_the_bar_of_the_summary_is_that_of_the_budget(run: Kernel) -> None:
    run("%%tokprof prof --budget 1000 --max-calls 10\nplan(2)")
    bars = run.value("__import__('tokprof.views.summary').views.summary.final_state(prof)['budget']")
    spent = run.value("prof.totals.total_tokens")
    assert [(bar["what"], bar["used"], bar["limit"]) for bar in bars] == [("tokens", spent, 1000), ("calls", 2, 10)]
    run("%%tokprof prof\nwith tokprof.budget(5000, name='inner'):\n    plan(2)")
    (bar,) = run.value("__import__('tokprof.views.summary').views.summary.final_state(prof)['budget']")
    assert (bar["name"], bar["used"], bar["limit"]) == ("inner", spent, 5000)
