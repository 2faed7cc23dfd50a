"""Lines of cells and files in a real kernel: which cell they are of, and what stood there when they ran."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .conftest import Kernel

pytestmark = pytest.mark.kernel

PLACES = (
    "[(None if str(c) in ('nan', '<NA>') else int(c), f.rsplit('/', 1)[-1], l) for c, f, l in prof.source().df.index]"
)


def shown(run: Kernel, profile: str = "prof") -> str:
    """The source view as text; the HTML must show the same lines."""
    cell = run(f"{profile}.source()")
    data = cell.outputs[-1]
    lines = [re.sub(r".* \d+  ", "", line, count=1) for line in data["text/plain"].splitlines() if "ask(" in line]
    for line in lines:
        assert line.strip().replace("'", "&#x27;").replace('"', "&quot;") in data["text/html"]
    return str(data["text/plain"])


def cells(run: Kernel) -> list[tuple[int | None, int]]:
    """Cell and line of each line that spent, outermost first."""
    return [(cell, line) for cell, _, line in run.value(PLACES)]


def test_a_function_of_an_earlier_cell(run: Kernel, functions: int) -> None:
    cell = run("%%tokprof prof --quiet\ndef outer():\n    return ask(\n        'a long one')\n\nouter()")
    assert cells(run) == [(cell.executed, 6), (cell.executed, 3), (functions, 3)]
    told = shown(run)
    assert f"\nIn[{cell.executed}] · 11 tokens" in told or f"\nIn[{cell.executed}] · " in told
    assert "1  %%tokprof prof --quiet" in told  # as it was typed
    assert "2  def outer():" in told and "6  outer()" in told
    assert f"\nIn[{functions}] · " in told and "3      return openai.chat.completions.create(" in told


def test_by_tells_the_same_as_self(run: Kernel) -> None:
    run("%%tokprof prof --quiet\nask()\nask('another')\nawait aask()")
    for place in ("cell", "file"):
        assert run.value(
            f"(lambda mine, theirs: [len(mine), bool((mine == theirs.loc[mine.index]).all())])"
            f"(prof.source().df.query('self_calls > 0').groupby(['{place}', 'line']).self_tokens.sum(), "
            f"prof.by('{place}', 'line').total_tokens)"
        ) == [2, True]


def test_an_edited_cell_shows_the_text_that_ran(run: Kernel) -> None:
    first = run("def edited():\n    return ask('the first text')").executed
    run("%%tokprof before --quiet\nedited()")
    second = run("def edited():\n    # moved down\n    return ask('the second text')").executed
    run("%%tokprof after --quiet\nedited()")
    before, after = shown(run, "before"), shown(run, "after")
    assert f"In[{first}] · " in before and "2      return ask('the first text')" in before
    assert "second text" not in before
    assert f"In[{second}] · " in after and "3      return ask('the second text')" in after
    assert "first text" not in after


def test_an_identical_cell_that_ran_again_has_its_new_number(run: Kernel, functions: int) -> None:
    code = "def again():\n    return ask('again')"
    first = run(code).executed
    run("%%tokprof early --quiet\nagain()")
    second = run(code).executed
    late = run("%%tokprof prof --quiet\nagain()").executed
    assert second == first + 2
    assert cells(run) == [(late, 2), (second, 2), (functions, 3)]
    assert f"In[{second}] · " in shown(run) and f"In[{first}] · " not in shown(run)
    # an earlier profile keeps the number that the cell had then, and its text
    assert f"In[{first}] · " in shown(run, "early") and "2      return ask('again')" in shown(run, "early")


def test_a_profiled_cell_that_ran_again(run: Kernel) -> None:
    code = "%%tokprof prof --quiet\nask()"
    run(code)
    second = run(code).executed
    assert cells(run)[0] == (second, 2)
    assert f"In[{second}] · " in shown(run)


def test_a_file_that_is_run(run: Kernel, functions: int, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("# a script\ndef inside():\n    return ask('of a file')\n\ninside()\n")
    cell = run(f"%%tokprof prof --quiet\n%run -i {script}").executed
    assert run.value(PLACES)[0][0] == cell
    assert (None, "script.py", 5) in run.value(PLACES) and (None, "script.py", 3) in run.value(PLACES)
    told = shown(run)
    assert "script.py · " in told and "3      return ask('of a file')" in told
    assert "2  %run -i" in told  # not what IPython makes of it


def test_an_imported_module(run: Kernel, tmp_path: Path) -> None:
    (tmp_path / "helpers_of_mine.py").write_text("def helper(ask):\n    return ask('of a module')\n")
    run(f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nfrom helpers_of_mine import helper")
    run("%%tokprof prof --quiet\nhelper(ask)")
    assert (None, "helpers_of_mine.py", 2) in run.value(PLACES)
    assert "helpers_of_mine.py · " in shown(run) and "2      return ask('of a module')" in shown(run)


def test_lines_of_a_cell_after_blank_lines_and_with_shell_commands(run: Kernel) -> None:
    cell = run("\n\n%%tokprof prof --quiet\nfiles = !echo one\n\nask('here')").executed
    assert cells(run)[0] == (cell, 4)
    told = shown(run)
    assert "2  files = !echo one" in told and "4  ask('here')" in told


def test_a_deleted_history_does_not_take_the_text_along(run: Kernel) -> None:
    run("%%tokprof prof --quiet\nask('before the reset')")
    run("%reset -f in")
    assert "2  ask('before the reset')" in shown(run)
