"""The views in other hosts than JupyterLab, with mouse and keyboard, asked back in the kernel.

VS Code and Colab cannot be driven here. They speak the same protocol, of which nothing more is used than widgets,
display messages and custom messages.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from .harness import Flame, NotebookPage, only_loopback
from .hosts import Marimo, Notebook7

pytestmark = pytest.mark.browser

SETUP = """%load_ext tokprof
import tokprof, time
from tokprof.testing import SimulatedProvider
provider = SimulatedProvider().start()
provider.reply(input_tokens=1_000, output_tokens=200, times=None)
client = provider.openai()
def ask(model):
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Who?"}])"""
PROFILED = """%%tokprof prof
for turn in range(4):
    ask("gpt-5" if turn else "gpt-5-mini")
    time.sleep(0.3)"""

APP = """import marimo
app = marimo.App()

@app.cell
def _():
    import tokprof
    from tokprof.testing import SimulatedProvider
    provider = SimulatedProvider().start()
    provider.reply(input_tokens=1_000, output_tokens=200, times=None)
    client = provider.openai()
    def ask(model):
        return client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Who?"}])
    with tokprof.profile("marimo") as prof:
        for turn in range(4):
            ask("gpt-5" if turn else "gpt-5-mini")
    return (prof,)

@app.cell
def _(prof):
    prof
    return

@app.cell
def _():
    import marimo as mo
    button = mo.ui.button(label="ask back", value=0, on_click=lambda value: value + 1)
    button
    return (button, mo)

@app.cell
def _(button, mo, prof):
    mo.md(f"pressed {button.value}, selected {len(prof.selected)}")
    return

if __name__ == "__main__":
    app.run()
"""


@pytest.fixture(scope="module")
def notebook(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NotebookPage]:
    server = Notebook7(tmp_path_factory.mktemp("notebook7"))
    server.start()
    context = browser.new_context(viewport={"width": 1200, "height": 1000})
    try:
        page = NotebookPage(context.new_page(), server, server.write("seven.ipynb", [SETUP, PROFILED]))
        page.run_all()
        Flame(page.cell(1)).wait()
        yield page
    finally:
        context.close()
        server.stop()


def test_notebook_7_shows_summary_and_flamegraph_and_hides_the_snapshot(notebook: NotebookPage) -> None:
    cell = notebook.cell(1)
    expect(cell.get_by_test_id("tokprof-summary")).to_contain_text("4,800")
    expect(cell.get_by_test_id("tokprof-summary")).to_have_attribute("data-phase", "ended")
    expect(cell.locator(".tokprof-static")).to_be_hidden()


def test_notebook_7_tells_the_kernel_what_is_clicked(notebook: NotebookPage) -> None:
    cell = notebook.cell(1)
    cell.locator("[data-testid=tokprof-summary] ol button").first.click()
    notebook.until("len(prof.selected), set(prof.selected.model)", "(3, {'gpt-5'})")
    flame = Flame(cell)
    flame.click("ask")
    notebook.until("len(prof.selected) > 0 and set(prof.selected.function) == {'ask'}", "True")


def test_notebook_7_leaves_the_keys_to_the_view(notebook: NotebookPage) -> None:
    before = notebook.cells()
    button = notebook.cell(1).locator("[data-testid=tokprof-summary] ol button").nth(1)
    button.focus()
    notebook.page.keyboard.press("Enter")
    notebook.until("len(prof.selected), set(prof.selected.model)", "(1, {'gpt-5-mini'})")
    Flame(notebook.cell(1)).focus.focus()
    for key in ("Home", "ArrowDown", "a", "d", "d", "x", "Shift+Enter"):
        notebook.page.keyboard.press(key)
    notebook.page.wait_for_timeout(200)
    assert notebook.cells() == before


def test_notebook_7_moves_while_the_cell_runs(notebook: NotebookPage) -> None:
    seen = notebook.page.evaluate(
        """async () => {
          const seen = new Set();
          let running = true;
          const look = () => {
            const card = document.querySelector('[data-testid="tokprof-summary"][data-phase="live"]');
            if (card) seen.add(card.querySelector('[data-figure="tokens"] dd').textContent);
            if (running) requestAnimationFrame(look);
          };
          requestAnimationFrame(look);
          await window.jupyterapp.commands.execute('notebook:run-all-cells');
          running = false;
          return [...seen];
        }"""
    )
    assert len(seen) >= 2, seen


def test_marimo_shows_a_profile_and_tells_the_kernel_what_is_clicked(page: Page, tmp_path: Path) -> None:
    with Marimo(tmp_path, APP) as marimo:
        only_loopback(page)
        page.goto(marimo.url)
        flame = Flame(page).wait()
        card = page.get_by_test_id("tokprof-summary")
        expect(card).to_contain_text("4,800")
        card.locator("ol button").first.click()
        expect(card.locator("ol button").first).to_have_attribute("aria-pressed", "true")
        page.get_by_role("button", name="ask back").click()
        expect(page.get_by_text("pressed 1, selected 3")).to_be_visible(timeout=10_000)
        flame.focus.focus()
        page.keyboard.press("Home")
        page.get_by_role("button", name="ask back").click()
        expect(page.get_by_text("pressed 2, selected 5")).to_be_visible(timeout=10_000)
