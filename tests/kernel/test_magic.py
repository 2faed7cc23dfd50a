"""Options, settings and the commands of ``%tokprof``."""

from __future__ import annotations

import pytest

from .conftest import WIDGET, Kernel

pytestmark = pytest.mark.kernel

OPTIONS = ("NAME", "--view", "--metric", "--capture", "--tag", "--no-live", "--quiet")


@pytest.mark.parametrize(
    "line",
    [
        "--bogus",
        "two names",
        "1x",
        "class",
        "--view pie",
        "--metric words",
        "--capture all",
        "--capture",
        "--tag user",
        "--tag =u1",
        "--view 'open",
    ],
)
def test_wrong_options_are_usage_errors_and_the_cell_does_not_run(run: Kernel, line: str) -> None:
    cell = run(f"%%tokprof {line}\nprint('ran')\nran = True", ok=False)
    told = cell.printed + cell.traceback
    assert "UsageError" in told
    assert "ran\n" not in cell.printed
    assert not run.value("'ran' in globals()")
    assert cell.profile is None


def test_help_names_every_option(run: Kernel) -> None:
    told = run("%%tokprof?").payload
    for option in OPTIONS:
        assert option in told
    for command in ("%tokprof on", "off", "%config TokProf"):
        assert command in told


def test_one_statement(run: Kernel) -> None:
    cell = run("%tokprof answer = ask('one')")
    assert "1 call" in (cell.profile or "")
    assert run.value("answer.object, tokprof.last().totals.calls") == ("chat.completion", 1)


def test_one_statement_that_fails(run: Kernel) -> None:
    cell = run("%tokprof ask(), 1 / 0", ok=False)
    assert cell.error == "ZeroDivisionError"
    assert "1 call" in (cell.profile or "")


def test_every_cell_from_now_on_and_no_more(run: Kernel) -> None:
    assert run("%tokprof on").profile is None
    assert "1 call" in (run("_ = ask()").profile or "")
    assert "1 call" in (run("_ = await aask()").profile or "")
    assert run("%tokprof off").profile is None
    assert run("_ = ask()").profile is None


def test_alone_it_says_the_state_and_shows_the_last_profile(run: Kernel) -> None:
    last = run("%%tokprof\n_ = ask()")
    cell = run("%tokprof")
    assert "%%tokprof" in cell.printed
    assert cell.profile == last.profile
    run("%tokprof on")
    assert "every cell is profiled" in run("%tokprof").printed


def test_quiet_shows_nothing(run: Kernel) -> None:
    cell = run("%%tokprof prof --quiet\nask()\n3")
    assert [sorted(out) for out in cell.outputs] == [["text/plain"]]
    assert cell.result == "3"
    assert run.value("prof.totals.calls, tokprof.last() is prof") == (1, True)


def test_view_text_and_none(run: Kernel) -> None:
    text = run("%%tokprof --view text\n_ = ask()")
    assert [sorted(out) for out in text.outputs] == [["text/plain"]]
    assert "1 call" in (text.profile or "")
    assert run("%%tokprof prof --view none\n_ = ask()").outputs == []
    assert run.value("prof.totals.calls") == 1


def test_metric_is_what_the_view_begins_with(run: Kernel) -> None:
    run("%%tokprof prof --metric cost\n_ = ask()")
    assert run.value("prof.flamegraph().metric") == "cost"


def test_tags(run: Kernel) -> None:
    run("%%tokprof prof --tag user=u1 --tag 'run=a b'\nask()")
    assert run.value("prof.calls.tags.tolist()") == [{"user": "u1", "run": "a b"}]
    assert run.value("prof.by('tag:user').index.tolist()") == ["u1"]


@pytest.mark.parametrize("capture", ["none", "preview", "full"])
def test_capture(run: Kernel, capture: str) -> None:
    cell = run(f"%%tokprof prof --capture {capture}\n_ = ask('the secret question')")
    kept = run.value("prof.content(prof.calls.span_id.iloc[0])")
    if capture == "none":
        assert kept == {}
    else:
        assert "the secret question" in kept["prompt"]
        assert "simulated answer" in kept["answer"]
    assert "secret" not in str(cell.outputs)
    assert "simulated answer" not in str(cell.outputs)


def test_settings_are_the_defaults_of_the_options(run: Kernel) -> None:
    for name in ("view", "metric", "capture", "live", "quiet"):
        assert f"TokProf.{name}" in run("%config TokProf").printed
    run("%config TokProf.view = 'text'\n%config TokProf.capture = 'full'")
    cell = run("%%tokprof prof\n_ = ask('kept')")
    assert WIDGET not in cell.outputs[0]
    assert run.value("'kept' in prof.content(prof.calls.span_id.iloc[0])['prompt']")
    assert WIDGET in run("%%tokprof --view flamegraph --capture none\n_ = ask()").outputs[0]
    run("%config TokProf.quiet = True")
    assert run("%%tokprof\n_ = ask()").outputs == []


def test_a_wrong_setting_is_refused(run: Kernel) -> None:
    assert "'pie'" in run("%config TokProf.view = 'pie'").printed
    assert WIDGET in run("%%tokprof\n_ = ask()").outputs[0]


def test_the_magic_called_by_name_runs_the_cell_too(run: Kernel) -> None:
    run("get_ipython().run_cell_magic('tokprof', 'prof', 'x = ask(); y = 1')")
    assert run.value("prof.totals.calls, y") == (1, 1)


def test_a_second_profile_in_the_cell_counts_for_both(run: Kernel) -> None:
    run("%%tokprof outer\nask()\nwith tokprof.profile('inner') as inner:\n    ask('inside')")
    assert run.value("outer.totals.calls, inner.totals.calls") == (2, 1)


def test_a_statement_may_await_and_has_a_value(run: Kernel) -> None:
    cell = run("%tokprof (await aask()).role")
    assert cell.result == "'assistant'"
    assert "1 call" in (cell.profile or "")


def test_a_statement_takes_no_options(run: Kernel) -> None:
    cell = run("%tokprof --view text ask()", ok=False)
    assert cell.error == "UsageError" or "takes no options" in cell.printed + cell.traceback
    assert cell.profile is None


def test_the_help_shows_the_magic_as_it_is_typed(run: Kernel) -> None:
    told = run("%%tokprof?").payload
    assert "%%tokprof [" in told
    assert "%%%" not in told
