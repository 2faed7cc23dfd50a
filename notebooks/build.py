"""Run notebooks in a real kernel; print the token tree of each profiled cell; leave notebook and page in build/."""

from __future__ import annotations

import base64
import re
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbconvert import HTMLExporter

from tokprof.views.page import element

WIDGET = "application/vnd.jupyter.widget-view+json"
STATES = "application/vnd.jupyter.widget-state+json"
MERMAID = re.compile(r"<script type=\"module\">(?:(?!</script>).)*mermaid(?:(?!</script>).)*</script>", re.DOTALL)
BUILD = Path("build")
OURS = ("_model_", "_view_", "_dom_", "_esm", "_css", "_anywidget_", "_block", "layout", "tabbable", "tooltip")
"""Beginnings of the traits that a view has as a widget, not as what it shows."""


def run(source: Path) -> Any:
    notebook = nbformat.read(source, as_version=4)
    NotebookClient(notebook, timeout=120, kernel_name="python3", extra_arguments=["--log-level=40"]).execute()
    return notebook


def trees(notebook: Any) -> list[str]:
    """Text of the profiled cells' widgets."""
    return [
        output["data"]["text/plain"]
        for cell in notebook.cells
        if cell.cell_type == "code" and cell.source.startswith("%%tokprof")
        for output in cell.outputs
        if output.output_type == "display_data" and output.get("data", {}).get("text/plain", "").strip()
    ]


def page(notebook: Any, name: str) -> str:
    """Self-contained HTML: live flamegraphs in the place of the widgets, no script from elsewhere."""
    copy = nbformat.from_dict(notebook)
    saved = copy.metadata.pop("widgets", {}).get(STATES, {}).get("state", {})
    for cell in copy.cells:
        kept: list[Any] = []
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if WIDGET in data:
                output["data"] = {"text/html": alive(saved[data[WIDGET]["model_id"]])}
            elif "tokprof-static" in data.get("text/html", "") and kept and "data-tokprof" in str(kept[-1]):
                continue
            kept.append(output)
        if "outputs" in cell:
            cell["outputs"] = kept
    exporter = HTMLExporter(mathjax_url="", require_js_url="", mermaid_js_url="", widget_renderer_url="")
    html, _ = exporter.from_notebook_node(copy, resources={"metadata": {"name": name}})
    return MERMAID.sub("", html)  # it would be loaded from elsewhere


def alive(model: dict[str, Any]) -> str:
    """A widget as its saved state shows it, without a kernel."""
    state = {key: value for key, value in model["state"].items() if not key.startswith(OURS)}
    blocks = [base64.b64decode(each["data"]) for each in model.get("buffers", []) if each["path"] == ["_block"]]
    front = model["state"]["_anywidget_id"].split(".")[-2]
    return element([{"front": front, "block": 0 if blocks else None, "state": state}], blocks, "")


def main(paths: list[str]) -> None:
    BUILD.mkdir(exist_ok=True)
    for path in map(Path, paths):
        began = time.perf_counter()
        notebook = run(path)
        print(f"\n{path}, run in {time.perf_counter() - began:.1f} s\n")
        print("\n\n".join(trees(notebook)))
        nbformat.write(notebook, BUILD / path.name)
        (BUILD / f"{path.stem}.html").write_text(page(notebook, path.stem), encoding="utf-8")
        print(f"\nLeft build/{path.name} and build/{path.stem}.html (open it in a browser: it needs nothing else).")
    print("To work with it in JupyterLab: make lab")


if __name__ == "__main__":
    main(sys.argv[1:])
