"""One Chromium and one JupyterLab for all browser tests; a page for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from .harness import Lab, NotebookPage, Opener, chromium

REPOSITORY = Path(__file__).parents[2]


# The scope is that of this folder: as long as Playwright's synchronous interface runs, asyncio cannot.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    context = chromium()
    try:
        running = context.__enter__()
    except RuntimeError as error:
        pytest.fail(str(error), pytrace=False)
    try:
        yield running
    finally:
        context.__exit__(None, None, None)


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    server = Lab(tmp_path_factory.mktemp("lab"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    yield context.new_page()
    context.close()


@pytest.fixture
def open_notebook(browser: Browser, lab: Lab) -> Iterator[Opener]:
    """Opens a notebook of the server in a browser that has never been here."""
    contexts = []

    def open_one(name: str) -> NotebookPage:
        context = browser.new_context(viewport={"width": 1300, "height": 1000})
        contexts.append(context)
        return NotebookPage(context.new_page(), lab, name)

    yield open_one
    for context in contexts:
        context.close()
    lab.end_kernels()


@pytest.fixture(scope="package")
def screenshots() -> Path:
    folder = REPOSITORY / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
