"""Other hosts of notebooks than JupyterLab: Notebook 7 and marimo."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from .harness import Lab


class Notebook7(Lab):
    """A Jupyter Notebook 7 server of its own."""

    app = "notebook"
    options = ("--JupyterNotebookApp.expose_app_in_browser=True",)

    def address(self, name: str) -> str:
        return f"{self.url}/notebooks/{name}"


class Marimo:
    """A marimo notebook that is served as an app.

    Parameters
    ----------
    home : Path
        Of everything that marimo writes.
    code : str
        The notebook, a Python file.
    """

    def __init__(self, home: Path, code: str):
        self.home = home
        self.file = home / "app.py"
        self.file.write_text(code, encoding="utf-8")
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Marimo:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment = os.environ | {
            f"XDG_{kind}_HOME": str(self.home / kind.lower()) for kind in ("CONFIG", "CACHE", "DATA", "STATE")
        }
        command = [sys.executable, "-m", "marimo", "run", "--headless", "--no-token", "--host", "127.0.0.1"]
        command += ["--port", str(port), str(self.file)]
        log = self.home / "server.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(command, cwd=self.home, env=environment, stdout=output, stderr=output)
        self.url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/health", timeout=2):
                return self
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"marimo did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.1)

    def __exit__(self, *error: object) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
