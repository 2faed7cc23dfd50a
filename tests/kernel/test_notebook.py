"""A saved notebook keeps its profile: executed without a browser, exported with and without the widgets' state."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from traitlets.config import Config

from .conftest import FUNCTIONS, SETUP, WIDGET

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def notebook() -> nbformat.NotebookNode:
    cells = [SETUP, FUNCTIONS, "%%tokprof prof\nask('the secret question')\n_ = await aask()"]
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(made, timeout=60, kernel_name="python3", store_widget_state=True).execute()
    return made


def test_the_notebook_keeps_the_widget_and_the_snapshot(notebook: nbformat.NotebookNode) -> None:
    summary, live, snapshot = notebook.cells[2].outputs
    assert WIDGET in summary.data
    assert WIDGET in live.data
    assert live.data["text/plain"].startswith("tokprof In[3]: ")
    assert "tokprof-static" in snapshot.data["text/html"]
    states = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    assert live.data[WIDGET]["model_id"] in states
    assert "the secret question" not in str(notebook.cells[2].outputs) + str(notebook.metadata)


@pytest.mark.parametrize("with_state", [True, False])
def test_an_export_shows_the_tables_and_the_picture(notebook: nbformat.NotebookNode, with_state: bool) -> None:
    shown = nbformat.from_dict(notebook)
    if not with_state:
        shown = nbformat.reads(nbformat.writes(notebook), as_version=4)
        del shown.metadata["widgets"]
    page, _ = HTMLExporter().from_notebook_node(shown)
    assert 'src="data:image/svg+xml;base64,' in page
    for word in ("by function", "by model", "aask In[2]:7", "gpt-4o-mini"):
        assert word in page


def test_an_export_that_sanitizes_keeps_the_tables(notebook: nbformat.NotebookNode) -> None:
    exporter = HTMLExporter(config=Config({"HTMLExporter": {"sanitize_html": True}}))
    page, _ = exporter.from_notebook_node(nbformat.from_dict(notebook))
    assert "by function" in page
    assert "gpt-4o-mini" in page
