"""A real JupyterLab, a real Chromium, and the flamegraph as a reader's hand and eye meet it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Route, sync_playwright

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_ARGS = (
    "--no-sandbox",  # CI runs as root
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",  # /dev/shm is small in containers
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
)
SETTINGS = {
    # Lab's option news_url=None does not stop the question whether one wants news
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}

# The notebook in front of the reader
_PANEL = """
const panel = () => { for (const w of window.jupyterapp.shell.widgets('main'))
  { if (w.content && w.content.model && w.sessionContext && w.isVisible) return w; } return null; };
"""


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if found is None:
        raise RuntimeError("the browser tests need Chromium: apt install chromium, or set $CHROMIUM to its path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(CHROMIUM_ARGS))
        try:
            yield browser
        finally:
            browser.close()


def only_loopback(page: Page, refused: list[str] | None = None) -> None:
    """Let nothing leave the machine; what tried is noted in `refused`."""

    def decide(route: Route) -> None:
        if route.request.url.startswith(("http://127.0.0.1", "http://localhost")):
            route.continue_()
            return
        if refused is not None:
            refused.append(route.request.url)
        route.abort()

    page.route(lambda url: url.startswith(("http:", "https:")), decide)


def open_file(page: Page, path: Path) -> list[str]:
    """Open a page from the disk without any network; return the addresses that it asked for in vain."""
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    page.route(lambda url: url.startswith(("http:", "https:")), refuse)
    page.goto(path.as_uri())
    return asked


class Lab:
    """A JupyterLab server of its own: fresh settings, data and trust, no news, no token."""

    app = "lab"
    options: tuple[str, ...] = ("--LabApp.expose_app_in_browser=True",)

    def __init__(self, home: Path):
        self.home = home
        self.root = home / "notebooks"
        self.root.mkdir(parents=True)
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        for plugin, values in SETTINGS.items():
            file = self.home / "settings" / f"{plugin}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))
        environment = os.environ | {
            "JUPYTER_CONFIG_DIR": str(self.home / "config"),
            "JUPYTER_DATA_DIR": str(self.home / "data"),
            "JUPYTER_RUNTIME_DIR": str(self.home / "runtime"),
            "JUPYTERLAB_WORKSPACES_DIR": str(self.home / "workspaces"),
            "JUPYTERLAB_SETTINGS_DIR": str(self.home / "settings"),
            "IPYTHONDIR": str(self.home / "ipython"),
            "JUPYTER_PLATFORM_DIRS": "1",
        }
        environment.pop("JUPYTER_TOKEN", None)
        command = [sys.executable, "-m", "jupyter", self.app, "--no-browser", "--allow-root"]
        command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
        command += ["--IdentityProvider.token=", "--ServerApp.password=", "--ServerApp.disable_check_xsrf=True"]
        command += [f"--ServerApp.root_dir={self.root}", "--LabApp.news_url=None"]
        command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
        command += ["--LabApp.extension_manager=readonly", *self.options]
        log = self.home / "server.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(command, cwd=self.root, env=environment, stdout=output, stderr=output)
        self.url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                self._get("/api/status")
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process is None:
            return
        self.end_kernels()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def end_kernels(self) -> None:
        """End all sessions, as a night does."""
        with contextlib.suppress(OSError):
            for session in json.loads(self._get("/api/sessions")):
                self._get(f"/api/sessions/{session['id']}", "DELETE")

    def _get(self, path: str, method: str = "GET") -> bytes:
        request = urllib.request.Request(self.url + path, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bytes(answer.read())

    def address(self, name: str) -> str:
        """Of a notebook, as a reader opens it."""
        return f"{self.url}/lab/tree/{name}?reset"

    def write(self, name: str, cells: Sequence[str]) -> str:
        """Put a notebook of code cells into the server's folder."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, self.root / name)
        return name

    def copy(self, source: Path, name: str) -> str:
        shutil.copy(source, self.root / name)
        return name

    def read(self, name: str) -> Any:
        return nbformat.read(self.root / name, as_version=4)


class NotebookPage:
    """A browser tab with a notebook of `lab` in it."""

    def __init__(self, page: Page, lab: Lab, name: str):
        self.page = page
        self.lab = lab
        self.name = name
        self.complaints: list[str] = []
        self.refused: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"{error}\n{error.stack or ''}"))
        only_loopback(page, self.refused)
        page.goto(lab.address(name), wait_until="domcontentloaded")
        page.wait_for_function("() => window.jupyterapp !== undefined", timeout=60_000)
        page.wait_for_function(
            f"() => {{ {_PANEL} const p = panel(); return !!p && p.sessionContext.isReady && p.context.isReady"
            " && p.sessionContext.session?.kernel?.status === 'idle'; }",
            timeout=60_000,
        )

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"{message.text} ({message.location.get('url', '')})")

    def run_all(self) -> None:
        self.command("notebook:run-all-cells")

    def save(self) -> None:
        self.command("docmanager:save")

    def command(self, name: str, **arguments: Any) -> None:
        """Run a command of JupyterLab, to its end."""
        self.page.evaluate(
            "([name, args]) => window.jupyterapp.commands.execute(name, args).then(() => null)", [name, arguments]
        )

    def kernel(self, code: str) -> str:
        """Run code in the notebook's kernel; give what it printed, its value, or its error."""
        return str(
            self.page.evaluate(
                "async (code) => {"
                + _PANEL
                + """
                const kernel = panel().sessionContext.session.kernel;
                const future = kernel.requestExecute({ code, store_history: false, silent: false });
                let out = '';
                future.onIOPub = (m) => { const c = m.content, t = m.header.msg_type;
                  if (t === 'stream') out += c.text;
                  else if (t === 'execute_result') out += c.data['text/plain'];
                  else if (t === 'error') out += `ERROR ${c.ename}: ${c.evalue}`; };
                await future.done; return out; }""",
                code,
            )
        ).strip()

    def until(self, code: str, wanted: str, timeout: float = 10) -> None:
        """Wait until the kernel answers `code` with `wanted`; a click needs its time to get there."""
        deadline = time.monotonic() + timeout
        while (answer := self.kernel(code)) != wanted:
            assert time.monotonic() < deadline, f"{code} is {answer}, not {wanted}"
            self.page.wait_for_timeout(50)

    def cells(self) -> list[str]:
        return list(
            self.page.evaluate(
                f"() => {{ {_PANEL} return Array.from(panel().model.cells).map((c) => c.sharedModel.getSource()); }}"
            )
        )

    def cell(self, index: int) -> Locator:
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def is_trusted(self, cell: int) -> bool:
        return bool(self.page.evaluate(f"(at) => {{ {_PANEL} return panel().model.cells.get(at).trusted; }}", cell))

    def scroll_top(self) -> float:
        notebook = "(panel().content.outerNode ?? panel().content.node)"
        return float(self.page.evaluate(f"() => {{ {_PANEL} return {notebook}.scrollTop; }}"))


class Flame:
    """A flamegraph in a page."""

    def __init__(self, within: Page | Locator):
        self.page = within if isinstance(within, Page) else within.page
        self.root = within.get_by_test_id("tokprof-root").filter(has=self.page.get_by_test_id("tokprof-flame"))
        self.focus = self.root.get_by_test_id("tokprof-flame")
        self.canvas = self.root.get_by_test_id("tokprof-canvas")
        self.details = self.root.get_by_test_id("tokprof-details")
        self.search = self.root.get_by_test_id("tokprof-search")
        self.found = self.root.get_by_test_id("tokprof-found")
        self.reset = self.root.get_by_test_id("tokprof-reset")

    def wait(self) -> Flame:
        self.canvas.wait_for(timeout=30_000)
        self.settle()
        return self

    def metric(self, name: str) -> None:
        self.root.get_by_test_id(f"tokprof-metric-{name}").click()
        self.settle()

    def names(self) -> list[str]:
        return list(self.root.evaluate("(root) => root.tokprof.nodes.map((node) => node.name)"))

    def box(self, node: int | str) -> dict[str, float]:
        node = node if isinstance(node, int) else self.names().index(node)
        return dict(self.root.evaluate("(root, node) => ({ ...root.tokprof.boxOf(node) })", node))

    def settle(self) -> None:
        """Wait until two looks at the boxes see the same: no movement under way."""
        self.root.evaluate(
            """async (root) => {
              const look = () => JSON.stringify(root.tokprof.nodes.slice(0, 50).map((_, n) => root.tokprof.boxOf(n)));
              const tick = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
              await tick();
              for (let last = ''; last !== look(); await tick()) { last = look(); await tick(); }
            }"""
        )

    def click(self, node: int | str, double: bool = False) -> None:
        self.settle()
        box = self.box(node)
        assert box["w"] >= 1, f"{node} is too narrow to be clicked: {box}"
        position = {"x": box["x"] + min(box["w"] / 2, 40), "y": box["y"] + box["h"] / 2}
        (self.canvas.dblclick if double else self.canvas.click)(position=position)  # type: ignore[arg-type]
        self.settle()

    @property
    def selected(self) -> str:
        """Name of the selected node; empty for none."""
        node = int(self.root.get_attribute("data-selected") or -1)
        return "" if node < 0 else self.names()[node]

    def colors(self) -> dict[str, int]:
        """How many pixels the canvas has of each colour, `r,g,b`."""
        return dict(
            self.canvas.evaluate(
                """(canvas) => { const { width, height } = canvas;
                  const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
                  const seen = {};
                  for (let i = 0; i < data.length; i += 4) { const c = `${data[i]},${data[i + 1]},${data[i + 2]}`;
                    seen[c] = (seen[c] ?? 0) + 1; }
                  return seen; }"""
            )
        )

    def background(self) -> tuple[int, int, int]:
        """The canvas's commonest colour without saturation."""
        colors = {tuple(map(int, key.split(","))): count for key, count in self.colors().items()}
        gray = {color: count for color, count in colors.items() if max(color) - min(color) <= 16}
        r, g, b = max(gray, key=lambda color: gray[color])
        return r, g, b


Opener = Callable[[str], NotebookPage]
