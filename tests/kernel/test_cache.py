"""``%%tokprof --cache``: a cell that is run again asks nobody again."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Kernel

pytestmark = pytest.mark.kernel


@pytest.fixture(autouse=True)
def empty(run: Kernel) -> None:
    run("tokprof.cache.clear(); provider.clear(); provider.reply('a secret answer', times=None)")


def test_a_cell_that_is_run_again_is_answered_from_memory(run: Kernel) -> None:
    code = "%%tokprof prof --cache\n_ = ask('one'), ask('two'), (await aask('three'))"
    first = run(code)
    assert "cache" not in (first.profile or "")
    assert run.value("prof.totals.cache_hits, len(provider.requests)") == (0, 3)
    cost = run.value("prof.totals.cost")
    second = run(code)
    assert "3 calls answered from a cache: " in (second.profile or "")
    assert "saved." in (second.profile or "")
    assert run.value("len(provider.requests)") == 3
    assert run.value("prof.totals.cache_hits, prof.totals.total_tokens, prof.totals.cost") == (3, 0, 0)
    assert run.value("prof.totals.saved_cost") == pytest.approx(cost)
    assert "a secret answer" not in repr(second.outputs)


def test_it_holds_for_no_other_cell(run: Kernel) -> None:
    run("%%tokprof --cache\n_ = ask('one')")
    run("_ = ask('one')")
    run("%%tokprof\n_ = ask('one')")
    assert run.value("len(provider.requests)") == 3
    run("with tokprof.cache():\n    _ = ask('one')")  # the same memory
    assert run.value("len(provider.requests)") == 3


def test_what_changes_is_asked_and_refresh_asks_all(run: Kernel) -> None:
    run("%%tokprof --cache\n_ = ask('one'), ask('two')")
    run("%%tokprof prof --cache\n_ = ask('one'), ask('three')")
    assert run.value("prof.totals.cache_hits, len(provider.requests)") == (1, 3)
    run("%%tokprof prof --cache --refresh\n_ = ask('one'), ask('three')")
    assert run.value("prof.totals.cache_hits, len(provider.requests)") == (0, 5)
    run("%%tokprof prof --cache --cache-ttl 0\n_ = ask('one')")
    assert run.value("len(provider.requests)") == 6


def test_a_file_keeps_the_answers(run: Kernel, tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    run(f"%%tokprof --cache-path {path}\n_ = ask('one')")
    run(f"%%tokprof prof --cache-path {path}\n_ = ask('one')")
    assert run.value("prof.totals.cache_hits, len(provider.requests)") == (1, 1)
    assert run.value(f"tokprof.cache.info({str(path)!r}).answers, tokprof.cache.info().answers") == (1, 0)


@pytest.mark.parametrize("options", ["--cache-ttl -1", "--cache-ttl soon", "--cache-path {foreign}", "--cache-path"])
def test_wrong_options_are_usage_errors_and_the_cell_does_not_run(run: Kernel, tmp_path: Path, options: str) -> None:
    foreign = tmp_path / "notes.txt"
    foreign.write_text("my notes")
    cell = run(f"%%tokprof {options.format(foreign=foreign)}\nprint('ran')", ok=False)
    assert "UsageError" in cell.printed + cell.traceback
    assert "ran\n" not in cell.printed
    assert ("notes.txt is no replay cache" in cell.printed + cell.traceback) == ("foreign" in options)
    assert foreign.read_text() == "my notes"


def test_help_names_the_options(run: Kernel) -> None:
    told = run("%%tokprof?").payload
    for option in ("--cache", "--cache-path", "--cache-ttl", "--refresh"):
        assert option in told
