"""The page of `Profile.to_html`: opened from the disk, without any network, with names that mean harm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

import tokprof

from .harness import Flame, open_file

pytestmark = pytest.mark.browser

EVIL = {
    "element": "<img src=x onerror=window.__pwned=1>",
    "end of script": "</script><script>window.__pwned=1</script>",
    "comment": "<!--<script>window.__pwned=1;",
    "attribute": "\"' onmouseover=window.__pwned=1 x='",
    "template": "${window.__pwned=1}`\\u003cscript>",
    "right to left": "abc\u202egnp.exe\u2066",
    "nul": "be\x00fore\x1b[31m",
    "line separators": "a\u2028b\u2029c\nd\re",
    "emoji": "👩‍👩‍👧‍👦 🏴‍☠️ ✈️",
    "lone surrogate": "\ud800 cut",
    "100 kB": "long " * 20_000,
    "100 kB without a space": "x" * 100_000,
    "empty": "",
}


def simple() -> tokprof.Profile:
    with tokprof.profile("demo") as prof, tokprof.span("agent", kind="agent"):
        with tokprof.span("small") as step:
            step.record(model="gpt-5-mini", provider="openai", input_tokens=100, output_tokens=50)
        with tokprof.span("large") as step:
            step.record(model="gpt-5", provider="openai", input_tokens=700, output_tokens=150)
    return prof


def hostile() -> tokprof.Profile:
    with tokprof.profile(EVIL["end of script"]) as prof:
        for name in EVIL.values():
            with pytest.raises(ValueError), tokprof.span(name, evil=name) as step:
                step.record(model=name, provider=name, input_tokens=1000, output_tokens=500)
                raise ValueError(name)
    return prof


@pytest.fixture
def complaints(page: Page) -> Iterator[list[str]]:
    heard: list[str] = []
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("console", lambda message: heard.append(message.text) if message.type == "error" else None)
    yield heard
    assert heard == []


def test_it_opens_without_a_network_and_is_alive(page: Page, tmp_path: Path, complaints: list[str]) -> None:
    path = tmp_path / "profile.html"
    assert simple().to_html(path) == path.read_text(encoding="utf-8")
    asked = open_file(page, path)
    flame = Flame(page).wait()
    flame.metric("tokens")
    assert flame.box("large")["w"] / flame.box("agent")["w"] == pytest.approx(0.85, abs=0.01)
    flame.click("large")
    assert flame.selected == "large"
    expect(flame.details).to_contain_text("850")
    flame.click("large", double=True)
    assert flame.box("large")["w"] == pytest.approx(flame.box("agent")["w"] * 0.85)
    assert asked == []


def test_without_script_the_page_still_has_its_tables(browser: Browser, tmp_path: Path) -> None:
    simple().to_html(path := tmp_path / "profile.html")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    expect(page.locator("table").first).to_contain_text("850")
    context.close()


def test_it_takes_the_readers_theme_also_when_that_changes(page: Page, tmp_path: Path, complaints: list[str]) -> None:
    simple().to_html(path := tmp_path / "profile.html")
    page.emulate_media(color_scheme="light")
    open_file(page, path)
    flame = Flame(page).wait()
    assert min(flame.background()) > 200
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(300)
    assert max(flame.background()) < 80
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"


@pytest.mark.parametrize("width", [1200, 420])
def test_names_that_mean_harm_are_only_names(page: Page, tmp_path: Path, complaints: list[str], width: int) -> None:
    prof = hostile()
    prof.to_html(path := tmp_path / "hostile.html")
    page.set_viewport_size({"width": width, "height": 900})
    open_file(page, path)
    flame = Flame(page).wait()
    assert len(flame.names()) > len(EVIL)
    for node in range(len(flame.names())):
        box = flame.box(node)
        if box["w"] >= 1:
            flame.click(node)
            flame.canvas.hover(position={"x": box["x"] + box["w"] / 2, "y": box["y"] + box["h"] / 2})
            assert int(flame.root.get_attribute("data-selected") or -1) == node
            assert flame.details.bounding_box()["height"] < 600  # type: ignore[index]
            tip = flame.root.get_by_test_id("tokprof-tooltip").bounding_box()
            assert tip["x"] >= 0 and tip["x"] + tip["width"] <= width  # type: ignore[index]
            assert tip["y"] >= 0 and tip["y"] + tip["height"] <= 900  # type: ignore[index]
    flame.search.fill(EVIL["element"])
    expect(flame.found).to_contain_text("%")
    assert page.evaluate("() => window.__pwned") is None
    assert page.locator("img[onerror], img[src='x'], [onmouseover]").count() == 0
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), (
        "the page is wider than the window"
    )
    assert flame.root.evaluate("(root) => root.scrollWidth <= root.clientWidth")
    assert "\u202e" not in page.inner_text("body")


def test_an_empty_profile_is_a_page_that_says_so(page: Page, tmp_path: Path, complaints: list[str]) -> None:
    with tokprof.profile("nothing") as prof:
        pass
    prof.to_html(path := tmp_path / "empty.html")
    open_file(page, path)
    page.get_by_test_id("tokprof-root").first.wait_for()
    expect(page.locator("body")).to_contain_text("no model calls")


def failing() -> tokprof.Profile:
    """Long names, and a call that failed."""
    with tokprof.profile("demo") as prof, tokprof.span("agent", kind="agent"):
        for at in range(3):
            name = f"summarize_every_document_of_the_folder_and_rank_them_by_how_well_they_answer_{at}"
            with tokprof.span(name, kind="tool"), tokprof.span("chat", kind="llm") as step:
                step.record(model="gpt-5", provider="openai", input_tokens=70_000, output_tokens=900)
        with pytest.raises(ValueError), tokprof.span("chat", kind="llm") as step:
            step.record(model="gpt-5", provider="openai")
            raise ValueError("no")
    return prof


@pytest.mark.parametrize("width", [390, 968, 1200])
def test_nothing_lies_on_anything_else_at_any_width(page: Page, tmp_path: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    failing().to_html(tmp_path / "p.html")
    open_file(page, tmp_path / "p.html")
    flame = Flame(page).wait()

    def box(testid: str) -> dict[str, float]:
        found = page.get_by_test_id(testid).first.bounding_box()
        assert found is not None
        return {**found, "right": found["x"] + found["width"], "bottom": found["y"] + found["height"]}

    card = page.get_by_test_id("tokprof-summary")
    notes = card.get_by_test_id("tokprof-notes")
    assert notes.evaluate("(list) => list.scrollHeight <= list.clientHeight")
    left = box("tokprof-notes")["x"]
    for button in card.locator("ol button:visible").all():
        edge = button.bounding_box()
        assert edge is not None and (width < 640 or edge["x"] + edge["width"] <= left)
        assert (button.get_attribute("title") or "").startswith("summarize_every_document_of_the_folder_and_rank_them_")
    share, search = box("tokprof-threshold-value"), page.get_by_test_id("tokprof-dag").get_by_test_id("tokprof-search")
    found = search.bounding_box()
    assert found is not None and (found["x"] >= share["right"] or found["y"] >= share["bottom"])
    whole = flame.root.bounding_box()
    assert whole is not None
    page.get_by_test_id("tokprof-show").click()
    panel = box("tokprof-show-panel")
    assert panel["y"] >= whole["y"] and panel["bottom"] <= whole["y"] + whole["height"]
    assert panel["x"] >= whole["x"] and panel["right"] <= whole["x"] + whole["width"]
    page.keyboard.press("Escape")
    flame.focus.focus()
    page.keyboard.press("ArrowDown")
    expect(flame.root.get_by_test_id("tokprof-tooltip")).to_be_visible()
    page.keyboard.press("?")
    expect(flame.root.get_by_test_id("tokprof-tooltip")).to_be_hidden()
    keys, whole = box("tokprof-keys"), flame.root.bounding_box()
    assert whole is not None and keys["y"] >= whole["y"] and keys["bottom"] <= whole["y"] + whole["height"]
    if width == 968:
        expect(page.get_by_test_id("tokprof-columns-more")).to_have_text("+7")
        expect(page.get_by_test_id("tokprof-costs").get_by_role("columnheader", name="Errors")).to_be_visible()


def test_a_print_shows_what_was_not_scrolled_to(page: Page, tmp_path: Path) -> None:
    html = failing().to_html(tmp_path / "p.html")
    (tmp_path / "p.html").write_text(html.replace("<body>", '<body><div style="height:9000px"></div>', 1), "utf-8")
    open_file(page, tmp_path / "p.html")
    page.wait_for_timeout(200)
    expect(page.get_by_test_id("tokprof-canvas")).to_have_count(0)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(page.get_by_test_id("tokprof-canvas")).to_have_count(1)
