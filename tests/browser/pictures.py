"""Take the README's pictures: the profiled cell of the quickstart in a real JupyterLab, light and dark."""

from __future__ import annotations

import tempfile
from pathlib import Path

from .harness import Flame, Lab, NotebookPage, chromium

REPOSITORY = Path(__file__).parents[2]
PROFILED = 5
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
MARGIN = 10


def main() -> None:
    with tempfile.TemporaryDirectory() as home, chromium() as browser:
        lab = Lab(Path(home))
        lab.start()
        try:
            name = lab.copy(REPOSITORY / "notebooks" / "quickstart.ipynb", "quickstart.ipynb")
            context = browser.new_context(viewport={"width": 1280, "height": 1000}, device_scale_factor=2)
            notebook = NotebookPage(context.new_page(), lab, name)
            notebook.command("application:toggle-left-area")
            notebook.run_all()
            cell = notebook.cell(PROFILED)
            flame = Flame(cell).wait()
            flame.metric("time")
            for theme, title in THEMES.items():
                notebook.command("apputils:change-theme", theme=title)
                cell.scroll_into_view_if_needed()
                flame.click("read_page")
                notebook.page.wait_for_timeout(600)
                notebook.page.mouse.move(5, 5)
                notebook.page.wait_for_timeout(300)
                box = cell.bounding_box()
                assert box
                clip = {
                    "x": box["x"] - MARGIN,
                    "y": box["y"] - MARGIN,
                    "width": box["width"] + 2 * MARGIN,
                    "height": box["height"] + 2 * MARGIN,
                }
                target = REPOSITORY / "notebooks" / "pictures" / f"quickstart-{theme}.png"
                notebook.page.screenshot(path=target, clip=clip)
                print(target.relative_to(REPOSITORY))
        finally:
            lab.end_kernels()
            lab.stop()


if __name__ == "__main__":
    main()
