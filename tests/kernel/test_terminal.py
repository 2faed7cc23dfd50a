"""IPython in a terminal: no widgets, the text tree is what one sees."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.kernel

SCRIPT = """\
%load_ext tokprof
import asyncio
from tokprof.testing import SimulatedProvider
provider = SimulatedProvider().start(); openai = provider.openai(); anthropic = provider.async_anthropic()
def ask(q): return openai.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": q}])

%tokprof ask("one")
%tokprof on
asked = dict(model="claude-haiku-4-5", max_tokens=9, messages=[{"role": "user", "content": "q"}])
answer = await anthropic.messages.create(**asked)
%tokprof off
print("role:", answer.role)
"""


def ipython(tmp_path: Path, *arguments: str, typed: str = "") -> str:
    run = subprocess.run(
        [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--colors=nocolor", *arguments],
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"IPYTHONDIR": str(tmp_path), "TERM": "dumb"},
    )
    return run.stdout + run.stderr


def test_typed_lines(tmp_path: Path) -> None:
    told = ipython(tmp_path, typed=SCRIPT)
    assert "tokprof In[6]: " in told
    assert "└─ chat gpt-4o-mini" in told
    assert "└─ messages claude-haiku-4-5" in told
    assert "role: assistant" in told
    assert "Traceback" not in told and "Error" not in told
    assert "<style>" not in told and "Flamegraph(" not in told


def test_a_typed_cell(tmp_path: Path) -> None:
    told = ipython(tmp_path, typed=f"{SCRIPT.split(chr(10) * 2)[0]}\n\n%%tokprof prof\nx = ask('two')\nx.model\n\n\n")
    assert "Out[6]: 'gpt-4o-mini'" in told
    assert "└─ ask  In[5]:1" in told
    assert "no model calls" not in told


def test_a_profiled_cell_of_a_script(tmp_path: Path) -> None:
    """A file of IPython is the only way to give a terminal a cell of several lines without a keyboard."""
    cell = "%%tokprof prof\\nx = ask('two')\\n(await asyncio.gather(asyncio.sleep(0, 5)))[0]"
    script = tmp_path / "cells.ipy"
    lines = SCRIPT.split("\n\n")[0]
    script.write_text(
        f"{lines}\nget_ipython().run_cell({cell!r}.replace(chr(92) + 'n', chr(10)), store_history=True)\n"
    )
    told = ipython(tmp_path, str(script))
    assert "└─ chat gpt-4o-mini" in told
    assert "1 call" in told
    assert "Traceback" not in told


def test_the_source_view_is_text(tmp_path: Path) -> None:
    told = ipython(
        tmp_path, typed=f"{SCRIPT.split(chr(10) * 2)[0]}\n\n%%tokprof prof\nx = ask('two')\n\n\nprof.source()\n"
    )
    assert "In[5] · " in told and "In[4] · " not in told.split("In[5] · ")[0]
    assert "2  x = ask('two')" in told or "1  x = ask('two')" in told
    assert "def ask(q): return openai" in told.split("In[5] · ")[1]
    assert "<table" not in told
