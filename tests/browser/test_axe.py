"""What a screen reader and a keyboard need, by the rules of axe, on the page with all views."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from .conftest import REPOSITORY
from .harness import Flame, open_file
from .test_flame import profiled

pytestmark = pytest.mark.browser

AXE = REPOSITORY / "js" / "node_modules" / "axe-core" / "axe.min.js"


def select(flame: Flame) -> None:
    flame.click("verdict")
    flame.focus.focus()
    flame.page.keyboard.press("d")


def search(flame: Flame) -> None:
    flame.search.fill("chat")
    flame.root.get_by_test_id("tokprof-show").click()


def sandwich(flame: Flame) -> None:
    flame.click("read")
    flame.root.get_by_test_id("tokprof-order-sandwich").click()
    flame.focus.focus()
    flame.page.keyboard.press("?")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("act", [None, select, search, sandwich])
def test_axe_finds_nothing_serious(
    page: Page, tmp_path: Path, scheme: Any, act: Callable[[Flame], None] | None
) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    profiled().to_html(path := tmp_path / "profile.html")
    open_file(page, path)
    flame = Flame(page).wait()
    flame.metric("tokens")
    if act:
        act(flame)
    page.mouse.move(0, 0)
    page.add_script_tag(path=AXE)
    found = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    serious = [
        (rule["id"], node["target"], node["failureSummary"])
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
    assert serious == []
