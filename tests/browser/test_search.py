"""A search for a budget in a real JupyterLab: the table, the elasticity plot, light and dark, and an alert's line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from .harness import Lab, NotebookPage

pytestmark = pytest.mark.browser

CELLS = [
    """import tokprof
from tokprof.testing import Reasoner, SimulatedProvider
reasoner = Reasoner(unbounded=1200, knee=180, middle=110, seed=3)
provider = SimulatedProvider(respond=reasoner.respond).start()
client = provider.openai()
def answer(budget):
    prompt = f"What is 6 times 7? Let's think step by step and use less than {budget} tokens:"
    reply = client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": prompt}])
    return reply.choices[0].message.content""",
    """with tokprof.alert("tokens > 5k"):
    found = tokprof.search_budget(answer, lambda text: "42" in text, 32, 2048, target=0.85)
found""",
    "found.elasticity()",
]
SEARCH, PLOT = 1, 2


@pytest.fixture(scope="module")
def opened(browser: Browser, lab: Lab) -> Iterator[NotebookPage]:
    context = browser.new_context(viewport={"width": 1300, "height": 1300})
    notebook = NotebookPage(context.new_page(), lab, lab.write("search.ipynb", CELLS))
    notebook.run_all()
    yield notebook
    context.close()
    lab.end_kernels()


def test_the_table_and_the_plot_have_the_figures_of_the_kernel(opened: NotebookPage, screenshots: Path) -> None:
    cell = opened.cell(SEARCH)
    cell.scroll_into_view_if_needed()
    expect(cell.locator("[role=alert]")).to_contain_text("tokens > 5k")
    best = cell.locator("tr", has=opened.page.locator("td", has_text="best"))
    expect(best.locator("td").first).to_have_text(f"{int(opened.kernel('found.budget')):,}")
    cell.screenshot(path=screenshots / "search-light.png")
    plot = opened.cell(PLOT)
    plot.scroll_into_view_if_needed()
    expect(plot.locator(".vega-embed canvas, .vega-embed svg").first).to_be_visible(timeout=30_000)
    opened.page.wait_for_timeout(500)
    plot.screenshot(path=screenshots / "elasticity-light.png")
    assert [url for url in opened.refused if "vega" in url or "altair" in url] == []
    assert [line for line in opened.complaints if "vega" in line.lower()] == []


def test_both_are_clear_on_the_dark_theme(opened: NotebookPage, screenshots: Path) -> None:
    try:
        opened.command("apputils:change-theme", theme="JupyterLab Dark")
        opened.page.wait_for_function("() => document.body.dataset.jpThemeLight === 'false'")
        for cell, name in ((SEARCH, "search"), (PLOT, "elasticity")):
            opened.cell(cell).scroll_into_view_if_needed()
            opened.page.wait_for_timeout(500)
            opened.cell(cell).screenshot(path=screenshots / f"{name}-dark.png")
    finally:
        opened.command("apputils:change-theme", theme="JupyterLab Light")
        opened.page.wait_for_function("() => document.body.dataset.jpThemeLight === 'true'")
