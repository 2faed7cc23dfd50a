"""Dollar signs in a real JupyterLab, which typesets what stands between two: amounts and names stay as they are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from .harness import Lab, NotebookPage

pytestmark = pytest.mark.browser

SETUP = r"""%load_ext tokprof
import tokprof
from IPython.display import HTML, display
NAME = "m$x_1$ and $5"
def call(model=NAME, k=1, budget=100):
    with tokprof.span("call") as step:
        step.record(model=model, input_tokens=100 * k, output_tokens=min(budget, 50) * k, cost=0.25 * k)
    return "[[7]]"
def recorded(k):
    with tokprof.profile(f"run {NAME}") as prof:
        call(k=k)
    return prof
before, after = recorded(1), recorded(3)"""
SHOWN = {
    "control": 'HTML("<p>before $x_1$ after</p>")',
    "snapshot": "HTML(before.snapshot())",
    "source": "after.source()",
    "comparison": "tokprof.compare(before, after)",
    "heatmap": 'tokprof.compare(before, after).heatmap("cost")',
    "experiment": 'tokprof.experiment(call, {"model": [NAME, "n"], "k": [1, 3]}, score=len)',
    "best": "tokprof.last_experiment().best()",
    "search": """def of_x(budget):
    return call(budget=budget)
tokprof.search_budget(of_x, lambda text: True, 10, 100, target=0.5, name=NAME)""",
    "tale": 'tokprof.recipes.tale(lambda prompt: call(), [f"What is {NAME}?"])',
    "alert": "with tokprof.alert(lambda now: now.cost > 0.1, name=NAME):\n    call()",
}
UNNAMED = {"source", "heatmap"}  # they show amounts alone


@pytest.fixture(scope="module")
def opened(browser: Browser, lab: Lab) -> Iterator[NotebookPage]:
    context = browser.new_context(viewport={"width": 1300, "height": 6000})
    notebook = NotebookPage(context.new_page(), lab, lab.write("formulas.ipynb", [SETUP, *SHOWN.values()]))
    notebook.run_all()
    yield notebook
    context.close()
    lab.end_kernels()


def test_nothing_of_it_becomes_a_formula(opened: NotebookPage) -> None:
    cells = dict(zip(SHOWN, range(1, len(SHOWN) + 1), strict=True))
    control = opened.cell(cells.pop("control"))
    control.scroll_into_view_if_needed()
    expect(control.locator("mjx-container")).to_have_count(1, timeout=30_000)  # formulas are typeset here
    for what, index in cells.items():
        cell = opened.cell(index)
        cell.scroll_into_view_if_needed()
        html = cell.locator(".jp-RenderedHTML:visible").last
        expect(html, what).to_contain_text("$" if what in UNNAMED else "m$x_1$ and $5", timeout=30_000)
        opened.page.wait_for_timeout(200)
        assert cell.locator("mjx-container").count() == 0, what
