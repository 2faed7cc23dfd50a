"""Take the README's pictures: cells of the notebooks in a real JupyterLab, light and dark."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Locator

from .harness import Flame, Lab, NotebookPage, chromium

REPOSITORY = Path(__file__).parents[2]
PROFILED = 5
CELLS = {
    "quickstart": {"quickstart": PROFILED, "dag": 12, "costs": 14, "source": 16, "timeline": 17},
    "insight": {"insight": 5, "prompts": 7, "flow": 11, "compare": 22},
    "budgets": {"guard": 3, "pareto": 13, "elasticity": 18},
}
"""Pictures by notebook, and by the place of the cell in it."""
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
MARGIN = 10


def main(chosen: list[str]) -> None:
    with tempfile.TemporaryDirectory() as home, chromium() as browser:
        lab = Lab(Path(home))
        lab.start()
        try:
            for source, cells in CELLS.items():
                if not chosen or source in chosen:
                    pictures(browser, lab, source, cells)
        finally:
            lab.end_kernels()
            lab.stop()


def pictures(browser: Browser, lab: Lab, source: str, cells: dict[str, int]) -> None:
    """Run a notebook and take its pictures."""
    name = lab.copy(REPOSITORY / "notebooks" / f"{source}.ipynb", f"{source}.ipynb")
    context = browser.new_context(viewport={"width": 1280, "height": 1400}, device_scale_factor=2)
    notebook = NotebookPage(context.new_page(), lab, name)
    notebook.command("application:toggle-left-area")
    notebook.run_all()
    notebook.kernel("pass")  # comes after the cells
    flame = Flame(notebook.cell(PROFILED)).wait() if source == "quickstart" else None
    if flame:
        flame.metric("time")
    for theme, title in THEMES.items():
        notebook.command("apputils:change-theme", theme=title)
        for picture, index in cells.items():
            cell = notebook.cell(index)
            cell.scroll_into_view_if_needed()
            if flame and index == PROFILED:
                flame.click("read_page")
            notebook.page.wait_for_timeout(900)
            notebook.page.mouse.move(5, 5)
            cell.scroll_into_view_if_needed()  # again: charts above may have grown
            notebook.page.wait_for_timeout(600)
            take(notebook, cell, REPOSITORY / "notebooks" / "pictures" / f"{picture}-{theme}.png")
    context.close()


def take(notebook: NotebookPage, cell: Locator, target: Path) -> None:
    box = cell.bounding_box()
    assert box
    clip = {
        "x": box["x"] - MARGIN,
        "y": box["y"] - MARGIN,
        "width": box["width"] + 2 * MARGIN,
        "height": box["height"] + 2 * MARGIN,
    }
    notebook.page.screenshot(path=target, clip=clip)
    print(target.relative_to(REPOSITORY))


if __name__ == "__main__":
    main(sys.argv[1:])
