"""What is left of a profiled cell when the notebook is opened again, by whoever and with whatever."""

from __future__ import annotations

import base64
import gzip
import subprocess
import sys
from collections.abc import Iterator

import nbformat
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from .harness import Flame, Lab, NotebookPage, Opener, open_file

pytestmark = pytest.mark.browser

CELLS = [
    """%load_ext tokprof
from tokprof.testing import SimulatedProvider
provider = SimulatedProvider().start()
provider.reply(input_tokens=1_200, output_tokens=34, times=None)
client = provider.openai()""",
    """%%tokprof prof
def ask(question):
    return client.chat.completions.create(model="gpt-5-mini", messages=[{"role": "user", "content": question}])
ask("Who?");""",
]
PROFILED = 1


@pytest.fixture(scope="module")
def saved(browser: Browser, lab: Lab) -> Iterator[str]:
    """A notebook that was run and saved, and whose kernel is gone."""
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    notebook = NotebookPage(context.new_page(), lab, lab.write("saved.ipynb", CELLS))
    notebook.run_all()
    Flame(notebook.cell(PROFILED)).wait()
    notebook.save()
    context.close()
    lab.end_kernels()
    yield "saved.ipynb"


def looks_like_the_snapshot(within: Locator | Page) -> None:
    expect(within.locator("table").first).to_be_visible()
    expect(within.locator("table").first).to_contain_text("1,234")
    picture = within.locator('img[src^="data:image/svg+xml"]').first
    expect(picture).to_be_visible()
    picture.evaluate("(img) => img.decode()")
    assert picture.evaluate("(img) => img.naturalWidth") > 100


def test_the_file_keeps_a_text_tree_and_a_snapshot_and_no_prompt(saved: str, lab: Lab) -> None:
    notebook = lab.read(saved)
    texts = [output["data"]["text/plain"] for output in notebook.cells[PROFILED].outputs if "text/plain" in output.data]
    assert any("1,234 tokens" in text and "ask" in text for text in texts)
    outputs = nbformat.writes(nbformat.v4.new_notebook(cells=[notebook.cells[PROFILED]], metadata=notebook.metadata))
    assert "Who?" not in outputs.replace(CELLS[PROFILED].replace('"', '\\"').splitlines()[-1], "")
    assert "simulated answer" not in outputs


def test_reopened_and_trusted_the_snapshot_stands_for_the_widget(saved: str, open_notebook: Opener) -> None:
    notebook = open_notebook(saved)
    cell = notebook.cell(PROFILED)
    cell.scroll_into_view_if_needed()
    looks_like_the_snapshot(cell)
    notebook.page.wait_for_timeout(500)
    for error in cell.get_by_text("Error displaying widget").all():
        expect(error).to_be_hidden()
    expect(cell.get_by_test_id("tokprof-root")).to_have_count(0)


def test_run_again_after_reopening_the_widget_is_back(saved: str, open_notebook: Opener) -> None:
    notebook = open_notebook(saved)
    notebook.run_all()
    cell = notebook.cell(PROFILED)
    Flame(cell).wait()
    expect(cell.locator(".tokprof-static")).to_be_hidden()


def test_from_a_stranger_it_shows_text_and_the_sanitised_snapshot(saved: str, lab: Lab, open_notebook: Opener) -> None:
    notebook = lab.read(saved)
    notebook.cells[0].source += "\n# changed by somebody else: the signature does not fit any more"
    nbformat.write(notebook, lab.root / "stranger.ipynb")
    opened = open_notebook("stranger.ipynb")
    assert opened.is_trusted(PROFILED) is False
    cell = opened.cell(PROFILED)
    cell.scroll_into_view_if_needed()
    looks_like_the_snapshot(cell)
    expect(cell).to_contain_text("1,234 tokens")
    expect(cell.get_by_text("Error displaying widget")).to_have_count(0)


def test_nbconvert_keeps_picture_and_tables_without_a_network(saved: str, lab: Lab, page: Page) -> None:
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "html", "--output", "saved.html", saved]
    subprocess.run(command, cwd=lab.root, check=True, capture_output=True, timeout=120)
    open_file(page, lab.root / "saved.html")
    looks_like_the_snapshot(page)
    expect(page.locator("body")).to_contain_text("ask")


# interactive snapshots


@pytest.fixture(scope="module")
def alive(browser: Browser, lab: Lab) -> Iterator[str]:
    """A notebook with interactive snapshots that was run and saved, and whose kernel is gone."""
    setup = f"{CELLS[0]}\n%config TokProf.snapshot = 'interactive'"
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    notebook = NotebookPage(context.new_page(), lab, lab.write("alive.ipynb", [setup, CELLS[PROFILED]]))
    notebook.run_all()
    cell = notebook.cell(PROFILED)
    Flame(cell).wait()
    expect(cell.locator(".tokprof-static").first).to_be_hidden()
    expect(cell.locator(".tokprof-view")).to_have_count(0)
    notebook.save()
    context.close()
    lab.end_kernels()
    yield "alive.ipynb"


def has_all_views(within: Locator | Page) -> None:
    views = within.locator(".tokprof-view")
    expect(views).to_have_count(4)
    for view in views.all():
        expect(view.locator(".tokprof-live")).to_be_visible()
    expect(within.get_by_test_id("tokprof-summary")).to_contain_text("1,234")
    flame = Flame(views.nth(1)).wait()
    flame.click("ask")
    assert flame.selected
    expect(within.locator("[data-testid=tokprof-summary] ol button").first).to_have_attribute("aria-pressed", "true")
    expect(within.locator(".tokprof-still").first).to_be_hidden()


def test_trusted_and_reopened_the_interactive_snapshot_is_alive_without_a_kernel(
    alive: str, open_notebook: Opener
) -> None:
    notebook = open_notebook(alive)
    cell = notebook.cell(PROFILED)
    cell.scroll_into_view_if_needed()
    has_all_views(cell)
    for error in cell.get_by_text("Error displaying widget").all():
        expect(error).to_be_hidden()


def test_from_a_stranger_the_interactive_snapshot_is_the_static_one(
    alive: str, lab: Lab, open_notebook: Opener
) -> None:
    notebook = lab.read(alive)
    notebook.cells[0].source += "\n# changed by somebody else"
    nbformat.write(notebook, lab.root / "alive-stranger.ipynb")
    opened = open_notebook("alive-stranger.ipynb")
    assert opened.is_trusted(PROFILED) is False
    cell = opened.cell(PROFILED)
    cell.scroll_into_view_if_needed()
    looks_like_the_snapshot(cell)
    expect(cell.locator(".tokprof-view")).to_have_count(0)
    assert "DecompressionStream" not in cell.inner_text()


def test_an_interactive_snapshot_lives_in_an_export_and_holds_no_prompt(alive: str, lab: Lab, page: Page) -> None:
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "html", "--output", "alive.html", alive]
    subprocess.run(command, cwd=lab.root, check=True, capture_output=True, timeout=120)
    open_file(page, lab.root / "alive.html")
    page.locator(".tokprof-static").first.scroll_into_view_if_needed()
    has_all_views(page)
    packed = page.locator("[data-tokprof]").get_attribute("data-tokprof")
    text = gzip.decompress(base64.b64decode(packed or "")).decode()
    assert "gpt-5-mini" in text or "summary" in text
    assert "Who?" not in text and "simulated answer" not in text


def test_with_saved_widget_state_the_widgets_are_back_without_a_kernel(
    saved: str, lab: Lab, browser: Browser, open_notebook: Opener
) -> None:
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    notebook = NotebookPage(context.new_page(), lab, lab.write("state.ipynb", CELLS))
    notebook.run_all()
    Flame(notebook.cell(PROFILED)).wait()
    notebook.command("@jupyter-widgets/jupyterlab-manager:saveWidgetState")
    notebook.save()
    context.close()
    lab.end_kernels()
    states = lab.read("state.ipynb").metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    assert {state["state"].get("_anywidget_id") for state in states.values()} >= {
        "tokprof.views.summary.Summary",
        "tokprof.views.flamegraph.Flamegraph",
    }
    assert "Who?" not in str(states)
    reopened = open_notebook("state.ipynb")
    cell = reopened.cell(PROFILED)
    cell.scroll_into_view_if_needed()
    Flame(cell).wait()
    expect(cell.get_by_test_id("tokprof-summary")).to_contain_text("1,234")
    expect(cell.locator(".tokprof-static")).to_be_hidden()
