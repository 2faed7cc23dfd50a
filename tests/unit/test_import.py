"""What is not needed is not loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("pandas", "anywidget", "altair", "genai_prices", "tiktoken", "httpx", "httpx2", "openai", "anthropic")

EXTENSION = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
before = set(sys.modules)
shell.run_line_magic("load_ext", "tokprof")
assert "tokprof" in shell.magics_manager.magics["cell"]
"""


@pytest.mark.parametrize("code", ["before = set(sys.modules)\nimport tokprof", EXTENSION], ids=["import", "load_ext"])
def test_heavy_modules_wait(code: str) -> None:
    script = f"import sys\n{code}\nprint(*sorted(set(sys.modules) - before))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    loaded = run.stdout.split()
    assert "tokprof" in loaded, run.stderr
    assert [name for name in HEAVY if name in loaded] == []
    assert "IPython" not in loaded


def test_transports_imported_after_the_profile_began_are_seen() -> None:
    script = """
import tokprof, sys
with tokprof.profile() as prof:
    assert "httpx2" not in sys.modules
    import httpx2
    answer = {"object": "chat.completion", "usage": {"prompt_tokens": 12, "completion_tokens": 5}}
    client = httpx2.Client(transport=httpx2.MockTransport(lambda request: httpx2.Response(200, json=answer)))
    client.post("https://api.openai.com/v1/chat/completions", json={"model": "m", "messages": []})
print(prof.totals.total_tokens)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert run.stdout == "17\n", run.stderr
