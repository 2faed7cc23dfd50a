"""Take the README's pictures: cells of the quickstart in a real JupyterLab, light and dark."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Locator

from .harness import Flame, Lab, NotebookPage, chromium

REPOSITORY = Path(__file__).parents[2]
PROFILED = 5
CELLS = {"quickstart": PROFILED, "dag": 12, "costs": 14, "source": 16, "timeline": 17}
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
MARGIN = 10


def main() -> None:
    with tempfile.TemporaryDirectory() as home, chromium() as browser:
        lab = Lab(Path(home))
        lab.start()
        try:
            name = lab.copy(REPOSITORY / "notebooks" / "quickstart.ipynb", "quickstart.ipynb")
            context = browser.new_context(viewport={"width": 1280, "height": 1400}, device_scale_factor=2)
            notebook = NotebookPage(context.new_page(), lab, name)
            notebook.command("application:toggle-left-area")
            notebook.run_all()
            flame = Flame(notebook.cell(PROFILED)).wait()
            flame.metric("time")
            for theme, title in THEMES.items():
                notebook.command("apputils:change-theme", theme=title)
                for picture, index in CELLS.items():
                    cell = notebook.cell(index)
                    cell.scroll_into_view_if_needed()
                    if index == PROFILED:
                        flame.click("read_page")
                    notebook.page.wait_for_timeout(900)
                    notebook.page.mouse.move(5, 5)
                    notebook.page.wait_for_timeout(300)
                    take(notebook, cell, REPOSITORY / "notebooks" / "pictures" / f"{picture}-{theme}.png")
        finally:
            lab.end_kernels()
            lab.stop()


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
    main()
