"""The notebooks, executed in a real kernel: they show what they say, and the saving that was predicted is made."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@pytest.fixture(scope="module")
def run() -> Callable[[str], Any]:
    spec = importlib.util.spec_from_file_location("build_notebooks", NOTEBOOKS / "build.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda name: module.run(NOTEBOOKS / f"{name}.ipynb")


def shown(notebook: Any, begins: str) -> str:
    """All text that the cell shows which begins so."""
    (cell,) = (each for each in notebook.cells if each.cell_type == "code" and each.source.startswith(begins))
    texts = [each.get("text", "") or each.get("data", {}).get("text/plain", "") for each in cell.outputs]
    texts += ["\n".join(each.traceback) for each in cell.outputs if each.output_type == "error"]
    return "\n".join("".join(text) for text in texts)


def test_insight_saves_what_was_predicted(run: Callable[[str], Any]) -> None:
    notebook = run("insight")
    said = shown(notebook, "predicted = ")
    predicted, saved = (float(each) for each in re.findall(r"(?:predicted|saved) \$([\d.]+)", said))
    assert 0 < abs(saved / predicted - 1) < 0.1
    assert "system" in shown(notebook, "before.prompts()")
    assert "cost" in shown(notebook, "tokprof.compare(before, after)")
    (advice,) = (each for each in notebook.cells if each.source.startswith("advice = "))
    for finding in ("a change too early in the prompt", "identical calls", "a smaller model might do"):
        assert finding in advice.outputs[0].data["text/html"]
    dag = json.dumps(next(each for each in notebook.cells if each.source.startswith("before.dag")).outputs)
    assert "widget-view" in dag
    kept = json.dumps(notebook)
    assert kept.count("The pump hums.") == 1  # where the notebook says it: no prompt is saved with it


def test_budgets_holds_finds_and_saves(run: Callable[[str], Any]) -> None:
    notebook = run("budgets")
    guarded = shown(notebook, "%%tokprof guarded")
    assert (
        "BudgetExceeded" in guarded and "the call was not sent (In[1]:" in guarded and "■ stopped at In[1]:" in guarded
    )
    assert int(re.search(r"tokprof In\[2\]: ([\d,]+) tokens", guarded)[1].replace(",", "")) <= 20_000  # type: ignore[index]
    marks = shown(notebook, "with tokprof.budget")
    assert "50% of the budget of 8,000 tokens reached" in marks and "80% of the budget" in marks
    assert re.search(r"sent: 1, from the cache: 5, saved: [\d,]+ tokens, \$0\.00[1-9]", shown(notebook, "print(f"))
    assert "10 points × 12 runs" in shown(notebook, "def solve") and "budget 400" in shown(notebook, "result.chart()")
    found = shown(notebook, "def within")
    assert re.search(r"search within: [1-9]\d\d tokens, score", found), found
    assert "used" in shown(notebook, "found.elasticity()")
    assert "fewer tokens within budgets" in shown(notebook, "questions = ")
