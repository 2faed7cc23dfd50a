"""A virtual environment for each peer, made when it is first needed."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
VENVS = ROOT / ".venv-bench"


class Peer(NamedTuple):
    """Who is measured: adapter, label with a note, environment, packages, whose decorator where it is not its own."""

    name: str
    label: str
    note: str
    environment: str
    packages: list[str]
    decorator: str | None


def peers() -> list[Peer]:
    """Read who is compared, tokprof first."""
    told: dict[str, Any] = tomllib.loads((HERE / "peers.toml").read_text("utf-8"))
    common = told.pop("common")
    return [
        Peer(
            name,
            it["label"],
            it.get("note", ""),
            it.get("environment", name),
            common + it["packages"],
            it.get("decorator"),
        )
        for name, it in told.items()
    ]


def python_of(peer: Peer) -> Path | None:
    """Give the interpreter of a peer's environment, which is made if need be; None where it cannot be."""
    home = VENVS / peer.environment
    python = home / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    wanted = hashlib.sha256("\n".join([sys.version, *peer.packages]).encode()).hexdigest()
    stamp = home / ".installed"
    if stamp.exists() and stamp.read_text("ascii") == wanted:
        return python
    print(f"installing {peer.label} in {home.relative_to(ROOT)}", file=sys.stderr, flush=True)
    shutil.rmtree(home, ignore_errors=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    words = [word for package in peer.packages for word in package.split()]
    try:
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run([*pip, *words], cwd=ROOT, check=True, stderr=subprocess.PIPE, text=True)
    except subprocess.CalledProcessError as error:
        told = [line for line in (error.stderr or "").splitlines() if "ERROR" in line]
        print(f"cannot install {peer.label}: {told[-1].strip() if told else error}", file=sys.stderr, flush=True)
        return None
    stamp.write_text(wanted, "ascii")
    return python
