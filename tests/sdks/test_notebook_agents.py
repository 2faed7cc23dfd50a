"""notebooks/agents.ipynb, executed in a real kernel: names of nodes and agents beside functions and lines."""

import importlib.util
import json
import re

import pytest

from sdks.matrix import ROOT

SOURCE = ROOT / "notebooks" / "agents.ipynb"


@pytest.fixture(scope="module")
def build():
    spec = importlib.util.spec_from_file_location("build_notebooks", ROOT / "notebooks" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def notebook(build):
    return build.run(SOURCE)


@pytest.fixture(scope="module")
def trees(build, notebook):
    found = [tree for tree in build.trees(notebook) if tree.startswith("tokprof ")]
    assert len(found) == 2
    return found


def branch(tree, *names):
    """Whether the names stand one below the other, each deeper than the one before."""
    depth, lines = -1, iter(tree.splitlines())
    for name in names:
        found = next((line for line in lines if re.search(rf"─ {re.escape(name)}(  |$)", line)), None)
        if found is None or found.index("─ ") <= depth:
            return False
        depth = found.index("─ ")
    return True


def test_nodes_functions_and_lines_of_the_graph(trees):
    research = trees[0]
    for node in ("physics", "prices", "policy"):
        assert branch(research, "researcher", node, f"read_{node}", "read", "chat gpt-5-mini")
    assert branch(research, "researcher", "prices", "read_prices", "price_of", "chat gpt-5-mini")
    assert branch(research, "researcher", "write", "write_report", "chat gpt-5")
    assert re.search(r"read_prices  In\[2\]:\d+", research)


def test_agents_tools_and_the_hand_off(trees):
    support = trees[1]
    assert re.search(r"answer  In\[5\]:\d+", support)
    for name in ("Billing  [agent]", "Front desk  [agent]", "invoice  [tool]", "hand-off to Billing  [task]"):
        assert name in support


def test_it_fails_nowhere_and_is_saved_without_outputs(notebook):
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert "You paid twice" in str(outputs)
    saved = json.loads(SOURCE.read_text(encoding="utf-8"))
    assert not any(cell.get("outputs") for cell in saved["cells"])
