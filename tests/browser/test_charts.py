"""Charts and source in a real JupyterLab: drawn without a network, light and dark, and what is left of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from .harness import Lab, NotebookPage, Opener, open_file

pytestmark = pytest.mark.browser

CELLS = [
    """%load_ext tokprof
from tokprof.testing import SimulatedProvider
provider = SimulatedProvider().start()
client = provider.openai()
def ask(question, model="gpt-4o-mini"):
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": question}])""",
    """%%tokprof prof --quiet
import time
def search(words):
    for word in words:
        ask(word * 50)
        time.sleep(0.05)
search(["where", "who", "when"])
for model in ("gpt-5-mini", "gpt-4.1-nano", "gpt-4o-mini"):
    ask("Write it down. " * 40, model)
    time.sleep(0.1)""",
    "prof.timeline()",
    "prof.heatmap('function')",
    "prof.source()",
]
TIMELINE, HEATMAP, SOURCE = 2, 3, 4


@pytest.fixture(scope="module")
def opened(browser: Browser, lab: Lab) -> Iterator[NotebookPage]:
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    notebook = NotebookPage(context.new_page(), lab, lab.write("charts.ipynb", CELLS))
    notebook.run_all()
    yield notebook
    context.close()
    lab.end_kernels()


def drawn(notebook: NotebookPage, cell: int) -> Locator:
    """The chart of a cell, with something on it."""
    notebook.cell(cell).scroll_into_view_if_needed()
    chart = notebook.cell(cell).locator(".vega-embed canvas, .vega-embed svg").first
    expect(chart).to_be_visible(timeout=30_000)
    shades = chart.evaluate(
        """(canvas) => { const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
          const seen = new Set();
          for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 20)
            seen.add(`${data[i] >> 4},${data[i + 1] >> 4},${data[i + 2] >> 4}`);
          return seen.size; }"""
    )
    assert shades > 4
    return chart


def test_charts_are_drawn_without_a_network(opened: NotebookPage, screenshots: Path) -> None:
    for cell, name in ((TIMELINE, "timeline"), (HEATMAP, "heatmap")):
        drawn(opened, cell)
        opened.cell(cell).screenshot(path=screenshots / f"{name}-light.png")
    assert [url for url in opened.refused if "vega" in url or "altair" in url] == []
    assert [line for line in opened.complaints if "vega" in line.lower()] == []


def test_a_chart_is_clear_on_the_dark_theme(opened: NotebookPage, screenshots: Path) -> None:
    try:
        opened.command("apputils:change-theme", theme="JupyterLab Dark")
        opened.page.wait_for_function("() => document.body.dataset.jpThemeLight === 'false'")
        for cell, name in ((TIMELINE, "timeline"), (HEATMAP, "heatmap"), (SOURCE, "source")):
            if cell != SOURCE:
                drawn(opened, cell)
            opened.cell(cell).scroll_into_view_if_needed()
            opened.page.wait_for_timeout(300)
            opened.cell(cell).screenshot(path=screenshots / f"{name}-dark.png")
    finally:
        opened.command("apputils:change-theme", theme="JupyterLab Light")
        opened.page.wait_for_function("() => document.body.dataset.jpThemeLight === 'true'")


def test_the_source_has_the_figures_of_the_kernel_in_its_gutter(opened: NotebookPage, screenshots: Path) -> None:
    cell = opened.cell(SOURCE)
    cell.scroll_into_view_if_needed()
    cell.screenshot(path=screenshots / "source-light.png")
    row = cell.locator("tr", has=opened.page.locator("pre", has_text="search([")).first
    total = opened.kernel("int(prof.source().df.query('line == 7 and self_calls == 0').total_tokens.iloc[0])")
    expect(row.locator("td").nth(1)).to_have_text(f"{int(total):,}")
    expect(row.locator("td").nth(5)).to_have_text("3")
    indent = cell.locator("pre", has_text="ask(word").first
    assert indent.inner_text().startswith("        ask")
    assert indent.evaluate("(pre) => getComputedStyle(pre).whiteSpace") == "pre"


def test_a_saved_notebook_keeps_all_of_it_even_for_a_stranger(
    opened: NotebookPage, lab: Lab, open_notebook: Opener, page: Page, screenshots: Path
) -> None:
    drawn(opened, TIMELINE)
    drawn(opened, HEATMAP)
    opened.save()
    notebook = lab.read("charts.ipynb")
    kept = notebook.cells[TIMELINE].outputs[0].data
    assert {"application/vnd.vegalite.v5+json", "image/svg+xml", "text/plain"} <= set(kept)
    notebook.cells[0].source += "\n# changed by somebody else: the signature does not fit any more"
    nbformat.write(notebook, lab.root / "charts-stranger.ipynb")

    stranger = open_notebook("charts-stranger.ipynb")
    assert stranger.is_trusted(SOURCE) is False
    drawn(stranger, TIMELINE)
    source = stranger.cell(SOURCE)
    source.scroll_into_view_if_needed()
    source.screenshot(path=screenshots / "source-untrusted.png")
    line = source.locator("pre", has_text="ask(word").first
    assert line.inner_text().startswith("        ask")
    hot = source.locator("td[style*='background-color']")
    assert hot.count() > 3
    assert "rgba(213, 94, 0" in hot.first.evaluate("(td) => getComputedStyle(td).backgroundColor")

    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "html", "--output", "charts.html", "charts.ipynb"]
    subprocess.run(command, cwd=lab.root, check=True, capture_output=True, timeout=120)
    open_file(page, lab.root / "charts.html")
    pictures = page.locator("img[src^='data:image/svg+xml']")
    expect(pictures).to_have_count(2)
    for picture in pictures.all():
        expect(picture).to_be_visible()
        assert picture.evaluate("(img) => img.decode().then(() => img.naturalWidth)") > 600
    line = page.locator("td pre", has_text="ask(word")
    expect(line).to_be_visible()
    assert "mono" in line.evaluate("(pre) => getComputedStyle(pre).fontFamily")
    page.screenshot(path=screenshots / "charts-nbconvert.png", full_page=True)
