"""The wheel, file by file, built from the sdist as a packager would; and what an import finds afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
STATIC = [
    "tokprof/static/costs.css",
    "tokprof/static/costs.js",
    "tokprof/static/dag.css",
    "tokprof/static/dag.js",
    "tokprof/static/flamegraph.css",
    "tokprof/static/flamegraph.js",
    "tokprof/static/summary.css",
    "tokprof/static/summary.js",
]
DIST_INFO = ["METADATA", "RECORD", "WHEEL", "licenses/LICENSE"]
LOOK = """
import importlib.util, json, tokprof
from pathlib import Path
found = {name: importlib.util.find_spec(name) is not None for name in ("widgets", "js", "tests", "notebooks")}
static = sorted(path.name for path in (Path(tokprof.__file__).parent / "static").iterdir())
from tokprof.views.flamegraph import Flamegraph
print(json.dumps([tokprof.__file__, found, static, Flamegraph(tokprof.profile())._esm[:1] != ""]))
"""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def isolation() -> list[str]:
    """Build with the backend that is installed, if it is; a packager's isolated build needs the network."""
    try:
        version("hatchling"), version("hatch-jupyter-builder")
    except PackageNotFoundError:
        return []
    return ["--no-isolation"]


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "build", "--sdist", *isolation(), "--outdir", out, REPOSITORY, cwd=REPOSITORY)
    (path,) = out.glob("*.tar.gz")
    return path


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(out, filter="data")
    (source,) = (path for path in out.iterdir() if path.is_dir())
    run(sys.executable, "-m", "build", "--wheel", *isolation(), "--outdir", out, source, cwd=source)
    (path,) = out.glob("*.whl")
    return path


def tracked(*patterns: str) -> list[str]:
    """Files of the repository: what git knows, and what it would take in."""
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns, cwd=REPOSITORY)
    return sorted({name for name in listed.splitlines() if (REPOSITORY / name).is_file()})


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    info = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
    expected = sorted([*tracked("tokprof"), *STATIC, *(f"{info}/{name}" for name in DIST_INFO)])
    with zipfile.ZipFile(wheel) as archive:
        assert sorted(archive.namelist()) == expected
        for name in STATIC:
            assert archive.getinfo(name).file_size > 1_000, name
        metadata = archive.read(f"{info}/METADATA").decode()
    assert all(name.endswith((".py", "py.typed")) for name in tracked("tokprof"))
    assert "Name: jupyter-tokprof\n" in metadata
    assert "License-Expression: BSD-3-Clause\n" in metadata


def test_the_sdist_holds_the_sources_of_the_front_ends_and_no_npm_package(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert not [name for name in names if "node_modules" in name or ".venv" in name or "/__pycache__/" in name]
    needed = {name for name in tracked("widgets", "js", "tokprof") if "node_modules" not in name}
    assert needed - names == set()
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"} <= names


def test_an_installed_wheel_imports_and_brings_no_other_name(wheel: Path, tmp_path: Path) -> None:
    target, elsewhere = tmp_path / "target", tmp_path / "elsewhere"
    elsewhere.mkdir()
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    run(*pip, "--target", target, wheel, cwd=elsewhere)
    file, others, static, front = json.loads(run(sys.executable, "-c", LOOK, cwd=elsewhere, PYTHONPATH=str(target)))
    assert Path(file).is_relative_to(target)
    assert others == dict.fromkeys(others, False)
    assert static == [Path(name).name for name in STATIC]
    assert front


def test_the_editable_install_brings_no_other_name(tmp_path: Path) -> None:
    file, others, _, front = json.loads(run(sys.executable, "-c", LOOK, cwd=tmp_path))
    assert Path(file) == REPOSITORY / "tokprof" / "__init__.py"
    assert others == dict.fromkeys(others, False)
    assert front
