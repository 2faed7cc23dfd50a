"""The live summary in a real JupyterLab: it moves while the cell runs, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from .harness import Flame, Lab, NotebookPage

pytestmark = pytest.mark.browser

SETUP = """%load_ext tokprof
import asyncio, time, tokprof
from tokprof.testing import SimulatedProvider
provider = SimulatedProvider().start()
provider.reply(input_tokens=1_000, output_tokens=200, times=None)
client = provider.openai()
def read_page():
    return client.chat.completions.create(model="gpt-5-mini", messages=[{"role": "user", "content": "Who?"}])
def plan():
    return client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "How?"}])"""
LONG = """%%tokprof prof
for turn in range(12):
    read_page() if turn % 4 else plan()
    end = time.monotonic() + 0.25
    while time.monotonic() < end:
        sum(range(2000))
print("done")"""


@pytest.fixture(scope="module")
def notebook(browser: Browser, lab: Lab) -> Iterator[NotebookPage]:
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    page = NotebookPage(context.new_page(), lab, lab.write("live.ipynb", [SETUP, "%%tokprof\nplan()", LONG]))
    page.run_all()
    Flame(page.cell(2)).wait()
    yield page
    context.close()
    lab.end_kernels()


@pytest.fixture
def card(notebook: NotebookPage) -> Locator:
    found = notebook.cell(2).get_by_test_id("tokprof-summary")
    found.scroll_into_view_if_needed()
    return found


def test_it_moves_while_the_cell_computes_and_keeps_its_size(notebook: NotebookPage, card: Locator) -> None:
    seen = notebook.page.evaluate(
        """async () => {
          const seen = [];
          const cell = () => document.querySelectorAll('.jp-Notebook .jp-Cell')[2];
          let running = true;
          const look = () => {
            const card = cell()?.querySelector('[data-testid="tokprof-summary"]');
            if (card) {
              const tokens = card.querySelector('[data-figure="tokens"] dd').textContent;
              const now = { tokens, phase: card.dataset.phase, height: card.getBoundingClientRect().height };
              const last = seen[seen.length - 1];
              if (!last || JSON.stringify(last) !== JSON.stringify(now)) seen.push(now);
            }
            if (running) requestAnimationFrame(look);
          };
          requestAnimationFrame(look);
          await window.jupyterapp.commands.execute('notebook:run-all-cells');
          await new Promise((done) => setTimeout(done, 1500));
          running = false;
          return seen;
        }"""
    )
    live = [each for each in seen if each["phase"] == "live"]
    assert len(live) >= 3, seen
    figures = [int(each["tokens"].replace(",", "")) for each in live]
    assert figures == sorted(figures) and figures[0] < 14_400
    assert seen[-1]["phase"] == "ended" and seen[-1]["tokens"] == "14,400"
    assert len({each["height"] for each in seen if each["height"]}) == 1, seen


def test_at_the_end_it_says_who_spent_and_what_to_look_at(notebook: NotebookPage, card: Locator) -> None:
    expect(card).to_contain_text("14,400")
    expect(card.locator("ol button:visible")).to_have_count(2)
    expect(card.locator("ol button").first).to_contain_text("read_page")
    expect(card.locator("ol button").first).to_contain_text("75%")
    expect(card.get_by_test_id("tokprof-notes")).to_contain_text("75% of the tokens are read_page's.")
    expect(card.get_by_test_id("tokprof-notes")).to_contain_text("all reported")


def test_a_spender_is_selected_here_in_the_flamegraph_and_in_the_kernel(notebook: NotebookPage, card: Locator) -> None:
    first, second = card.locator("ol button").nth(0), card.locator("ol button").nth(1)
    first.click()
    expect(first).to_have_attribute("aria-pressed", "true")
    notebook.until("len(prof.selected), set(prof.selected.function)", "(9, {'read_page'})")
    second.focus()
    notebook.page.keyboard.press("Enter")
    expect(first).to_have_attribute("aria-pressed", "false")
    notebook.until("len(prof.selected), set(prof.selected.function)", "(3, {'plan'})")
    notebook.page.keyboard.press("Space")
    expect(second).to_have_attribute("aria-pressed", "false")
    notebook.until("len(prof.selected)", "0")


def test_a_selection_made_elsewhere_is_shown(notebook: NotebookPage, card: Locator) -> None:
    flame = Flame(notebook.cell(2))
    name = next(name for name in flame.names() if name.startswith("read_page"))
    flame.click(name)
    expect(card.locator("ol button[aria-pressed=true]")).to_have_count(
        int(notebook.kernel("int(set(prof.selected.index) == set(prof.df.index[prof.df.function == 'read_page']))"))
    )


def test_a_quick_cell_has_its_summary_too(notebook: NotebookPage) -> None:
    card = notebook.cell(1).get_by_test_id("tokprof-summary")
    expect(card).to_have_attribute("data-phase", "ended")
    expect(card).to_contain_text("1,200")
    expect(notebook.cell(1).locator(".tokprof-static")).to_be_hidden()


def test_screenshots_light_and_dark(notebook: NotebookPage, card: Locator, screenshots: Path) -> None:
    notebook.cell(2).screenshot(path=screenshots / "summary-light.png")
    try:
        notebook.command("apputils:change-theme", theme="JupyterLab Dark")
        notebook.page.wait_for_function("() => document.body.dataset.jpThemeLight === 'false'")
        notebook.page.wait_for_timeout(500)
        red, green, blue = card.evaluate(
            "(card) => getComputedStyle(card).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"
        )
        assert max(red, green, blue) < 100
        notebook.cell(2).screenshot(path=screenshots / "summary-dark.png")
    finally:
        notebook.command("apputils:change-theme", theme="JupyterLab Light")


def test_nothing_complained(notebook: NotebookPage) -> None:
    assert [line for line in notebook.complaints if "tokprof" in line.lower() or "widget" in line.lower()] == []
