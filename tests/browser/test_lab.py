"""The quickstart in a real JupyterLab: seen, clicked, typed at, and asked back in the kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from .conftest import REPOSITORY
from .harness import Flame, Lab, NotebookPage

pytestmark = pytest.mark.browser

PROFILED, VIEW = 5, 9  # cells of the quickstart: the one under %%tokprof, and `view = prof.flamegraph()`


@pytest.fixture(scope="module")
def quickstart(browser: Browser, lab: Lab) -> Iterator[NotebookPage]:
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    notebook = NotebookPage(
        context.new_page(), lab, lab.copy(REPOSITORY / "notebooks" / "quickstart.ipynb", "quickstart.ipynb")
    )
    notebook.run_all()
    Flame(notebook.cell(PROFILED)).wait()
    Flame(notebook.cell(VIEW)).wait()
    yield notebook
    context.close()
    lab.end_kernels()


@pytest.fixture
def flame(quickstart: NotebookPage) -> Flame:
    """The view of the cell `view = ...`, as it is at first, except for what is selected."""
    flame = Flame(quickstart.cell(VIEW))
    flame.root.scroll_into_view_if_needed()
    quickstart.kernel("view.select(None)")
    expect(flame.root).to_have_attribute("data-selected", "-1")
    if flame.reset.is_enabled():
        flame.reset.click()
    flame.metric("cost")
    return flame


def test_a_click_on_a_box_selects_that_span_in_the_kernel(quickstart: NotebookPage, flame: Flame) -> None:
    flame.metric("tokens")
    for name in ("plan", "read_page", "write"):
        flame.click(name)
        assert flame.selected == name
        quickstart.until("view.selected", repr(name))
    expect(flame.details).to_contain_text("write")
    assert quickstart.kernel("set(view.selection['function'])") == "{'write'}"
    assert quickstart.kernel("len(view.selection), int(view.selection['total_tokens'].sum())") == "(1, 3780)"


def test_the_kernel_selects_a_box_also_one_that_it_selected_before(quickstart: NotebookPage, flame: Flame) -> None:
    search = str(flame.names().index("search"))
    for _ in range(2):
        quickstart.kernel("view.select('search')")
        expect(flame.root).to_have_attribute("data-selected", search)
        expect(flame.details).to_contain_text("search")
        flame.click("write")
        quickstart.until("view.selected", "'write'")


def test_keys_walk_the_graph_and_never_reach_the_notebook(quickstart: NotebookPage, flame: Flame) -> None:
    page, before = quickstart.page, quickstart.cells()
    flame.search.focus()
    page.keyboard.press("Escape")
    expect(flame.focus).to_be_focused()
    for key in ("Home", "ArrowDown", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
    expect(flame.root).to_have_attribute("data-selected", str(flame.names().index("plan")))
    quickstart.until("view.selected", "'plan'")
    page.keyboard.press("Enter")
    flame.settle()
    for key in ("a", "b", "d", "d", "x", "c", "v", "z", "m", "y", "j", "k", "Shift+M", "Shift+Enter", "Enter"):
        page.keyboard.press(key)
    page.wait_for_timeout(200)
    assert quickstart.cells() == before
    expect(flame.focus).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(flame.root).to_have_attribute("data-selected", "-1")
    quickstart.until("view.selected", "")  # None


def test_tab_enters_the_graph_and_leaves_it(quickstart: NotebookPage, flame: Flame) -> None:
    page = quickstart.page
    flame.focus.focus()
    seen = []
    for _ in range(20):
        page.keyboard.press("Tab")
        here = page.evaluate("() => document.activeElement.dataset.testid ?? document.activeElement.tagName")
        seen.append(here)
        if not flame.root.evaluate("(root) => root.contains(document.activeElement)"):
            break
    else:
        pytest.fail(f"Tab does not get out: {seen}")
    assert "tokprof-search" in seen
    for _ in range(12):  # Lab has stops of its own between the cells
        page.keyboard.press("Shift+Tab")
        if flame.root.evaluate("(root) => root.contains(document.activeElement)"):
            return
    pytest.fail("Shift+Tab does not lead back")


def test_typing_a_search_marks_what_it_finds(quickstart: NotebookPage, flame: Flame) -> None:
    before = quickstart.cells()
    flame.focus.focus()
    quickstart.page.keyboard.press("/")
    expect(flame.search).to_be_focused()
    quickstart.page.keyboard.type("read_page dd")
    expect(flame.found).to_have_text("none")
    flame.search.fill("claude")
    expect(flame.found).to_contain_text("%")
    assert quickstart.cells() == before


def test_ctrl_wheel_zooms_and_the_plain_wheel_scrolls_the_page(quickstart: NotebookPage, flame: Flame) -> None:
    page = quickstart.page
    width = flame.box("write")["w"]
    box = flame.box("write")
    flame.canvas.hover(position={"x": box["x"] + box["w"] / 2, "y": box["y"] + box["h"] / 2})
    page.keyboard.down("Control")
    page.mouse.wheel(0, -240)
    page.keyboard.up("Control")
    flame.settle()
    zoomed = flame.box("write")["w"]
    assert zoomed > width * 1.2
    top = quickstart.scroll_top()
    page.mouse.wheel(0, -200)
    page.wait_for_timeout(300)
    assert quickstart.scroll_top() < top
    assert flame.box("write")["w"] == pytest.approx(zoomed)
    flame.reset.click()
    flame.settle()
    assert flame.box("write")["w"] == pytest.approx(width)


def test_a_merged_box_selects_all_its_rows_in_the_kernel_and_a_sandwich_those_of_a_model(
    quickstart: NotebookPage, flame: Flame
) -> None:
    page = quickstart.page
    flame.metric("tokens")
    flame.focus.focus()
    page.keyboard.press("2")
    flame.click("read_page")
    quickstart.until("view.selected", "'read_page'")
    assert quickstart.kernel("int((view.selection['kind'] == 'tool').sum())") == "3"
    expect(flame.details).to_contain_text("×3")
    page.keyboard.press("ArrowDown")
    quickstart.until("len(view.selection), set(view.selection['kind'])", "(4, {'llm'})")  # one was sent again
    page.keyboard.press("3")
    expect(flame.root).to_have_attribute("data-order", "sandwich")
    page.keyboard.press("ArrowUp")
    expect(flame.details).to_contain_text("of the tokens of messages")
    assert flame.selected == "read_page"
    assert quickstart.kernel("len(view.selection)") == "4"
    page.keyboard.press("Escape")
    expect(flame.root).to_have_attribute("data-order", "merged")
    page.keyboard.press("1")
    # rows that are no single box of this order
    quickstart.kernel("view.select([row for row, kind in enumerate(prof.df['kind']) if kind == 'tool'][:2])")
    quickstart.until("len(view.selection)", "2")
    expect(flame.root).to_have_attribute("data-selected", "-1")


def test_the_width_of_a_box_is_its_share_of_the_metric(quickstart: NotebookPage, flame: Flame) -> None:
    columns = (("input", 0, "write"), ("output", 1, "write"), ("cached", 3, "read_page"), ("reasoning", 5, "plan"))
    for metric, column, name in (*columns, ("cost", -1, "write")):
        flame.metric(metric)
        expect(flame.root).to_have_attribute("data-metric", metric)
        share = quickstart.kernel(
            f"t = prof.call_tree; float(t.total[t.name.index({name!r}), {column}] / t.total[0, {column}])"
        )
        assert flame.box(name)["w"] / flame.box(0)["w"] == pytest.approx(float(share), abs=0.01)


def test_the_hosts_theme_is_the_graphs(quickstart: NotebookPage, flame: Flame, screenshots: Path) -> None:
    assert min(Flame(quickstart.cell(PROFILED)).background()) > 200
    light = flame.background()
    flame.root.screenshot(path=screenshots / "lab-light.png")
    quickstart.page.screenshot(path=screenshots / "lab-page-light.png")
    assert min(light) > 200
    try:
        quickstart.command("apputils:change-theme", theme="JupyterLab Dark")
        quickstart.page.wait_for_function("() => document.body.dataset.jpThemeLight === 'false'")
        quickstart.page.wait_for_timeout(500)
        dark = flame.background()
        flame.root.screenshot(path=screenshots / "lab-dark.png")
        quickstart.page.screenshot(path=screenshots / "lab-page-dark.png")
        assert max(dark) < 100  # the commonest grey may be that of a frame
    finally:
        quickstart.command("apputils:change-theme", theme="JupyterLab Light")
        quickstart.page.wait_for_function("() => document.body.dataset.jpThemeLight === 'true'")


def test_the_snapshot_hides_while_the_widget_lives(quickstart: NotebookPage) -> None:
    for index in (PROFILED, VIEW):
        snapshot = quickstart.cell(index).locator(".tokprof-static")
        expect(snapshot).to_have_count(1)
        expect(snapshot).to_be_hidden()
        expect(quickstart.cell(index).get_by_test_id("tokprof-root")).to_be_visible()


def test_screenshots_of_the_quickstarts_page(quickstart: NotebookPage, browser: Browser, screenshots: Path) -> None:
    assert quickstart.kernel("len(prof.to_html('quickstart.html')) > 0") == "True"
    for scheme in ("light", "dark"):
        for width in (1200, 420):
            context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
            page = context.new_page()
            page.goto((quickstart.lab.root / "quickstart.html").as_uri())
            flame = Flame(page).wait()
            page.screenshot(path=screenshots / f"page-{scheme}-{width}.png")
            flame.click("read_page")
            flame.canvas.hover(position={"x": flame.box("read_page")["x"] + 9, "y": flame.box("read_page")["y"] + 9})
            flame.root.screenshot(path=screenshots / f"flame-{scheme}-{width}.png")
            context.close()


def test_nothing_complained_and_nothing_was_fetched(quickstart: NotebookPage) -> None:
    assert [line for line in quickstart.complaints if "tokprof" in line.lower() or "widget" in line.lower()] == []
    assert [url for url in quickstart.refused if "tokprof" in url or "anywidget" in url] == []
