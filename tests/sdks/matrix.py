"""The SDKs that are tested, in groups that can live in one virtual environment.

Run as a script it tests groups one after another, each in its own environment under ``.venv-sdks``::

    python tests/sdks/matrix.py             every group
    python tests/sdks/matrix.py clouds      one group
    python tests/sdks/matrix.py cohere      one SDK, in each group that has it
    python tests/sdks/matrix.py --python clouds   no test: print the Python of a group, installed if need be
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import tomllib
import venv
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
ENVIRONMENTS = ROOT / ".venv-sdks"
RUNNER = ("pytest>=8", "pytest-asyncio>=0.26")


@dataclass(frozen=True)
class Group:
    """SDKs that are installed together.

    Attributes
    ----------
    requirements : tuple of str
        For pip, beside the project and pytest.
    sdks : tuple of str
        What is tested: ``cohere`` stands for ``test_cohere.py`` beside this file.
    extra : str
        Of the project, that holds more requirements.
    """

    requirements: tuple[str, ...]
    sdks: tuple[str, ...]
    extra: str = ""


GROUPS = {
    # what `make test` runs too: these come with the development environment
    "core": Group(
        (),
        ("openai", "anthropic", "bedrock", "cohere", "google_genai", "groq", "mistralai", "ollama"),
        extra="sdks",
    ),
    "clouds": Group(
        ("aiohttp", "azure-ai-inference>=1.0.0b9", "google-genai>=3", "xai-sdk>=1.5"),
        ("azure", "google_genai", "xai"),
    ),
    "frameworks": Group(
        ("huggingface_hub>=2", "langchain>=1", "pydantic-ai-slim[openai]>=2"),
        (
            *("agents", "agents_steps", "huggingface", "langchain", "langchain_steps", "langgraph_steps"),
            *("notebook_agents", "pydantic_ai", "pydantic_ai_steps"),
        ),
        extra="agents",
    ),
    "openai-2": Group(
        ("ipykernel>=7", "llama-index-embeddings-openai>=0.6", "llama-index-llms-openai>=0.8", "openai>=2,<3"),
        ("llama_index", "llama_index_steps", "openai"),
    ),
    "crewai": Group(("crewai>=1.15", "ipykernel>=7"), ("crewai_steps",)),
    "litellm": Group(("dspy>=3.4", "huggingface_hub<2", "litellm>=1.100"), ("dspy", "huggingface", "litellm")),
}


def file_of(sdk: str) -> Path:
    """File with the tests of an SDK."""
    return HERE / f"test_{sdk}.py"


def chosen(word: str) -> dict[str, tuple[str, ...]]:
    """SDKs to test by group: those of the group or of the SDK that is named, or all."""
    if not word:
        return {name: group.sdks for name, group in GROUPS.items()}
    if word in GROUPS:
        return {word: GROUPS[word].sdks}
    return {name: (word,) for name, group in GROUPS.items() if word in group.sdks}


def environment(name: str) -> Path:
    """Make the environment of a group, or bring it up to date; return its Python."""
    group, place = GROUPS[name], ENVIRONMENTS / name
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    asked = ["-e", f"{ROOT}[{group.extra}]" if group.extra else str(ROOT), *RUNNER, *group.requirements]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    own = project["dependencies"], project["optional-dependencies"].get(group.extra)
    wanted = hashlib.sha256(repr((asked, own, sys.version)).encode()).hexdigest()
    stamp = place / "installed"
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    print(f"{name}: installing {', '.join(group.requirements or own[1])}", file=sys.stderr, flush=True)
    begin = time.monotonic()
    venv.create(place, clear=True, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *asked], check=True)
    stamp.write_text(wanted)
    print(f"{name}: installed in {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
    return python


def main(words: list[str]) -> int:
    """Test what is named, or everything; 0 if all of it passed."""
    if words[:1] == ["--python"]:
        print(environment(words[1]))
        return 0
    runs = chosen(words[0] if words else "")
    if not runs:
        known = sorted({*GROUPS, *(sdk for group in GROUPS.values() for sdk in group.sdks)})
        print(f"No group and no SDK is called {words[0]}: there are {', '.join(known)}", file=sys.stderr)
        return 2
    failed = []
    for name, sdks in runs.items():
        try:
            python = environment(name)
        except subprocess.CalledProcessError as error:
            print(f"{name}: pip failed with {error.returncode}", file=sys.stderr)
            failed.append(name)
            continue
        print(f"{name}: testing {', '.join(sdks)}", flush=True)
        options = os.environ.get("PYTEST_OPTIONS", "").split()
        tests = [str(file_of(sdk).relative_to(ROOT)) for sdk in sdks]
        if subprocess.run([python, "-m", "pytest", "-q", *options, *tests], cwd=ROOT).returncode:
            failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else f"passed: {', '.join(runs)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
