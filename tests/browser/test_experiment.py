"""An experiment in a real JupyterLab: the bar while it runs, then table and chart, light and dark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from .harness import Lab, NotebookPage
from .test_charts import drawn

pytestmark = pytest.mark.browser

CELLS = [
    """%load_ext tokprof
import random, time, tokprof
from tokprof.testing import SimulatedProvider
provider = SimulatedProvider().start()
client = provider.openai()
def answer(model, k, seed):
    draw = random.Random(f"{seed}{model}{k}")
    for _ in range(k):
        text = "why? " * draw.randrange(150, 400)
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}])
    good = {"gpt-4o": 0.55, "gpt-4o-mini": 0.3, "gpt-4.1-nano": 0.1}[model]
    return min(1, good + 0.1 * k + 0.1 * draw.random())
grid = {"model": ["gpt-4o-mini", "gpt-4o", "gpt-4.1-nano"], "k": [1, 3, 5]}""",
    "tokprof.experiment(answer, grid, score=float)",
    "result = tokprof.last_experiment()\nresult.heatmap('k', 'model')",
    """def slow(model, k):
    time.sleep(0.4)
    return answer(model, k, 1) if k < 5 else 1 / 0
slowly = tokprof.experiment(slow, grid, score=float, repeats=1)""",
]
SHOWN, HEATMAP, SLOW = 1, 2, 3


@pytest.fixture(scope="module")
def opened(browser: Browser, lab: Lab) -> Iterator[NotebookPage]:
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    notebook = NotebookPage(context.new_page(), lab, lab.write("experiment.ipynb", CELLS))
    yield notebook
    context.close()
    lab.end_kernels()


def theme(opened: NotebookPage, name: str) -> None:
    opened.command("apputils:change-theme", theme=f"JupyterLab {name}")
    opened.page.wait_for_function(f"() => document.body.dataset.jpThemeLight === '{str(name == 'Light').lower()}'")


def test_a_bar_while_it_runs_and_one_line_after(opened: NotebookPage, screenshots: Path) -> None:
    opened.page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")
    cell = opened.cell(SLOW)
    bar = cell.get_by_role("progressbar")
    expect(bar).to_be_visible(timeout=60_000)
    expect(cell.locator(".tokprof-progress")).to_contain_text("left", timeout=10_000)
    cell.scroll_into_view_if_needed()
    expect(cell.locator(".tokprof-progress")).to_contain_text(re.compile("[1-3] failed"), timeout=10_000)
    cell.screenshot(path=screenshots / "experiment-progress.png")
    assert bar.get_attribute("aria-valuemax") == "9"
    expect(bar).to_have_count(0, timeout=20_000)
    expect(cell.locator(".tokprof-progress")).to_contain_text("experiment slow: 9 points × 1 run · 3 failed")
    assert opened.kernel("(len(slowly), int((slowly.df.status == 'error').sum()))") == "(9, 3)"


def test_a_table_and_a_chart_light_and_dark(opened: NotebookPage, screenshots: Path) -> None:
    try:
        for name in ("Light", "Dark"):
            theme(opened, name)
            for cell in (SHOWN, HEATMAP):
                drawn(opened, cell)
            rows = opened.cell(SHOWN).locator("table tbody tr")
            expect(rows).to_have_count(9)
            best = opened.kernel("print(result.best().model)")
            expect(rows.first).to_contain_text(best)
            expect(rows.first).to_contain_text("●")
            expect(opened.cell(SHOWN).locator(".tokprof-progress")).to_have_count(0)
            opened.page.wait_for_timeout(300)
            for cell, what in ((SHOWN, "experiment"), (HEATMAP, "experiment-heatmap")):
                opened.cell(cell).scroll_into_view_if_needed()
                opened.cell(cell).screenshot(path=screenshots / f"{what}-{name.lower()}.png")
    finally:
        theme(opened, "Light")
    assert [line for line in opened.complaints if "vega" in line.lower()] == []
