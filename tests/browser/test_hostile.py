"""Names that mean harm, in every view: nothing runs, nothing breaks out of its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import tokprof

from .harness import Flame, open_file
from .test_page import EVIL

pytestmark = pytest.mark.browser

MORE = EVIL | {
    "1 MB": "m" * 1_000_000,
    "style": "</style><style>*{display:none!important}",
    "svg": "<svg onload=window.__pwned=1><script>window.__pwned=1</script></svg>",
    "address": "javascript:window.__pwned=1",
    "ansi": "\x1b]8;;http://evil\x07link\x1b]8;;\x07\x1b[2J",
    "stacked marks": "Z" + "\u0351" * 500,
    "prototype": "__proto__",
}


def hostile() -> tokprof.Profile:
    with tokprof.profile(MORE["end of script"], evil=MORE["element"]) as prof:
        for name in MORE.values():
            with pytest.raises(ValueError), tokprof.span(name, kind="tool", evil=name, **{"<b>": name}):
                with tokprof.span(name, kind="llm") as step:
                    step.record(model=name or "m", provider=name, input_tokens=1000, output_tokens=500)
                raise ValueError(name)
    for span in prof.table.spans[1:]:
        span.error = span.finish_reason = span.service_tier = span.name
    prof._recording.changed()
    return prof


@pytest.mark.parametrize("width", [1200, 420])
def test_all_views_show_them_as_names_only(page: Page, tmp_path: Path, width: int) -> None:
    heard: list[str] = []
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("console", lambda message: heard.append(message.text) if message.type in ("error", "warning") else None)
    path = tmp_path / "hostile.html"
    prof = hostile()
    prof.to_html(path)
    assert path.stat().st_size < 1_000_000
    page.set_viewport_size({"width": width, "height": 1000})
    asked = open_file(page, path)
    Flame(page).wait()
    views = page.locator(".tokprof-view")
    expect(views).to_have_count(4)
    for view in views.all():
        expect(view.get_by_test_id("tokprof-message")).to_have_count(0)
        view.scroll_into_view_if_needed()
        expect(view).to_be_visible()
    for button in page.locator("[data-testid=tokprof-summary] ol button:visible").all():
        button.click()
        page.wait_for_timeout(50)
    for _ in range(60):  # every control, by the keyboard
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowDown")
    assert page.evaluate("() => window.__pwned") is None
    assert page.locator("img[onerror], img[src='x'], [onmouseover], svg[onload], a[href^=javascript]").count() == 0
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), "wider than the window"
    for view in views.all():
        assert view.evaluate("(el) => el.scrollWidth <= el.clientWidth")
        box = view.bounding_box()
        assert box and 40 < box["height"] < 2_000
    text = page.inner_text("body")
    assert not set("\u202e\u2066\x1b\x07\x00") & set(text)
    assert len(text) < 200_000
    assert (heard, asked) == ([], [])
