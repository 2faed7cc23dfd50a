"""The cost table: on the offline page, and in a real JupyterLab with what the kernel knows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

import tokprof
from tokprof import prices

from .costs import CostTable
from .harness import Flame, Lab, NotebookPage, open_file
from .test_page import EVIL, hostile

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def own_prices() -> Iterator[None]:
    prices.add("large", input=2, output=8, cache_read=0.5)
    prices.add("small", input=0.1, output=0.4)
    yield
    prices.clear()


def team() -> tokprof.Profile:
    with tokprof.profile("demo") as prof:
        for name, calls in (("planner", 2), ("writer", 4)):
            with tokprof.span(name, kind="agent", user=f"of {name}"):
                for i in range(calls):
                    with tokprof.span(f"ask {i}", kind="llm") as step:
                        step.record(model="large" if i % 2 else "small", input_tokens=1000 * (i + 1), output_tokens=100)
        with tokprof.span("lost", kind="llm") as step:
            step.record(model="silent")
    return prof


@pytest.fixture
def costs(page: Page, tmp_path: Path) -> Iterator[CostTable]:
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    team().to_html(path := tmp_path / "profile.html")
    assert open_file(page, path) == []
    yield CostTable(page).wait()
    assert complaints == []


def test_groups_sorts_and_says_what_is_not_known(costs: CostTable) -> None:
    assert costs.names() == ["large", "small", "silent"]
    assert costs.cell(costs.row("large"), "tokens") == "8,300"
    assert [costs.cell(costs.row("silent"), column) for column in ("calls", "tokens", "cost")] == ["1", "?", "?"]
    assert [costs.cell(costs.total, column) for column in ("calls", "tokens")] == ["7", "≥ 13,600"]
    head = costs.table.get_by_role("columnheader").filter(has_text="Tokens").first
    costs.sort("tokens")
    expect(head).to_have_attribute("aria-sort", "descending")
    costs.sort("tokens")
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert costs.names() == ["small", "large", "silent"]
    costs.by("agent", "model")
    assert costs.names() == ["planner", "writer", "(no agent)"] and "≥ 13,600" in costs.total.inner_text()
    costs.by("tag:user")
    assert costs.names() == ["of planner", "of writer", "(no tag user)"]


def test_the_keyboard_opens_walks_chooses_and_leaves(costs: CostTable) -> None:
    page = costs.page
    costs.table.focus()
    page.keyboard.press("ArrowDown")
    assert costs.selected() == ["large"]
    page.keyboard.press("Enter")
    expect(costs.row("large")).to_have_attribute("aria-expanded", "true")
    assert costs.names() == ["large", "ask 3", "ask 1", "ask 1", "small", "silent"]
    page.keyboard.press("ArrowRight")
    assert costs.selected() == ["ask 3"]
    active = costs.table.get_attribute("aria-activedescendant")
    assert active and page.locator(f"#{active}").inner_text().startswith("ask 3")
    page.keyboard.press("Shift+ArrowDown")
    assert costs.selected() == ["ask 3", "ask 1"]
    page.keyboard.press("ArrowLeft")
    assert costs.selected() == ["large", "ask 3", "ask 1", "ask 1"]
    page.keyboard.press("ArrowLeft")
    expect(costs.row("large")).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("Escape")
    assert costs.selected() == []
    page.keyboard.press("/")
    expect(costs.filter).to_be_focused()
    page.keyboard.type("planner")
    expect(costs.total).to_contain_text("2 calls found")
    page.keyboard.press("Escape")
    expect(costs.total).to_contain_text("All 7 calls")
    page.keyboard.press("Escape")
    expect(costs.table).to_be_focused()
    for _ in range(4):
        page.keyboard.press("Tab")
    assert not costs.table.evaluate("(table) => table.contains(document.activeElement)")


def test_one_selection_for_table_and_graph_without_a_kernel(costs: CostTable) -> None:
    flame = Flame(costs.page).wait()
    costs.by("agent")
    costs.row("writer").locator(".tp-twist").click()
    costs.row("ask 3").click()
    assert flame.selected == "ask 3"
    flame.click("planner")
    assert costs.selected() == ["planner"]
    costs.by("model")
    flame.click("ask 3")
    assert costs.selected() == ["ask 3"], "its group is opened for it"
    costs.row("silent").click()
    assert flame.selected == "lost"
    expect(costs.detail).to_contain_text("No kernel answers")
    expect(costs.detail).to_contain_text("No price is known for silent")
    costs.detail.get_by_test_id("tokprof-detail-close").click()
    expect(costs.detail).to_be_hidden()


def test_a_chosen_call_shows_the_arithmetic_of_its_cost(costs: CostTable) -> None:
    costs.row("large").locator(".tp-twist").click()
    costs.row("ask 3").click()
    expect(costs.detail.get_by_test_id("tokprof-detail-cost")).to_contain_text(
        "4,000\t$2.00 / M\t$0.0080", use_inner_text=True
    )
    expect(costs.status).to_contain_text("1 call")


def test_rows_are_copied_for_spreadsheets_and_for_markdown(costs: CostTable) -> None:
    page = costs.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    read = "() => navigator.clipboard.readText()"
    costs.element.get_by_test_id("tokprof-copy-markdown").click()
    expect(costs.element.get_by_test_id("tokprof-copy-markdown")).to_have_text("Copied")
    lines = page.evaluate(read).splitlines()
    assert lines[0].startswith("| Model | Calls | Tokens |") and "| silent | 1 | ? |" in lines[4]
    assert lines[5].startswith("| Total | 7 | ≥ 13,600 |")
    costs.row("small").click()
    page.keyboard.press("Control+c")
    expect(costs.element.get_by_test_id("tokprof-live")).to_have_text("Copied")
    head, only = page.evaluate(read).splitlines()
    row = dict(zip(head.split("\t"), only.split("\t"), strict=True))
    assert (row["Model"], row["Calls"], row["Tokens"], float(row["Cost"])) == (
        "small",
        "3",
        "5300",
        pytest.approx(0.00062),
    )


def test_of_many_thousand_rows_a_few_are_in_the_page(page: Page, tmp_path: Path) -> None:
    with tokprof.profile("many") as prof:
        for i in range(20_000):
            with tokprof.span("ask", kind="llm", request=f"r{i}") as step:
                step.record(model="large", input_tokens=i, output_tokens=1)
    prof.to_html(path := tmp_path / "profile.html")
    open_file(page, path)
    costs = CostTable(page).wait()
    costs.by("tag:request")
    expect(costs.table).to_have_attribute("aria-rowcount", "20002")
    assert costs.names()[0] == "r19999" and costs.rows.count() < 60
    costs.table.focus()
    page.keyboard.press("End")
    expect(costs.rows.last).to_have_attribute("aria-rowindex", "20001")
    assert costs.names()[-1] == "r0" and costs.rows.count() < 60
    height = costs.grid.evaluate("(grid) => grid.scrollHeight")
    assert height == pytest.approx(26 * 20_002, abs=40)
    costs.grid.evaluate("(grid) => { grid.scrollTop = 260000 }")
    expect(costs.rows.nth(15)).to_contain_text("r99")
    box, head = costs.grid.bounding_box(), costs.table.locator("thead th").first.bounding_box()
    assert box and head and abs(head["y"] - box["y"]) <= 2, "the head stays"


@pytest.mark.parametrize("width", [1200, 420])
def test_names_that_mean_harm_are_only_names(page: Page, tmp_path: Path, width: int) -> None:
    hostile().to_html(path := tmp_path / "hostile.html")
    page.set_viewport_size({"width": width, "height": 900})
    open_file(page, path)
    costs = CostTable(page).wait()
    for by in ("model", "tag:evil", "call"):
        costs.by(by)
        for row in costs.rows.all()[: len(EVIL)]:
            row.click()
            expect(costs.status).to_contain_text("1,500 tokens")
    expect(costs.detail).to_be_visible()
    assert page.evaluate("() => window.__pwned") is None
    assert page.locator("img[onerror], img[src='x'], [onmouseover]").count() == 0
    assert "\u202e" not in page.inner_text("body")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert {box["height"] for row in costs.rows.all() if (box := row.bounding_box())} == {26}


def test_narrow_and_wide_show_what_finds_room(costs: CostTable) -> None:
    shown = "() => [...document.querySelectorAll('.tp-costs thead button')].map((b) => b.dataset.column)"
    wide = costs.page.evaluate(shown)
    assert {"calls", "tokens", "cost", "tokens_share", "p50"} <= set(wide)
    costs.page.set_viewport_size({"width": 420, "height": 800})
    costs.page.wait_for_function(f"() => ({shown})().length < {len(wide)}")
    assert costs.page.evaluate(shown) == ["name", "tokens", "cost"]
    costs.element.get_by_test_id("tokprof-columns-button").click()
    costs.element.get_by_test_id("tokprof-column-p99").check()
    assert costs.page.evaluate(shown) == ["name", "tokens", "cost", "p99"]
    costs.element.get_by_test_id("tokprof-columns-auto").click()
    assert costs.page.evaluate(shown) == ["name", "tokens", "cost"]


SETUP = """
%load_ext tokprof
from tokprof.testing import SimulatedProvider
provider = SimulatedProvider().start()
client = provider.openai()
provider.reply(text="<b>Paris</b>", input_tokens=1200, output_tokens=30, cache_read_tokens=1000, times=None)
def ask(question, model="gpt-5-mini"):
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": question}])
"""
PROFILED = """
%%tokprof prof --capture full --view costs
for i in range(3):
    ask(f"Question <i>{i}</i>")
_ = ask("Another", "gpt-5")
"""


@pytest.fixture(scope="module")
def notebook(browser: Browser, lab: Lab) -> Iterator[NotebookPage]:
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    cells = [SETUP.strip(), PROFILED.strip(), "view = prof.flamegraph()\nview"]
    notebook = NotebookPage(context.new_page(), lab, lab.write("costs.ipynb", cells))
    notebook.run_all()
    CostTable(notebook.cell(1)).wait()
    yield notebook
    context.close()
    lab.end_kernels()


def test_rows_that_are_chosen_are_prof_selected(notebook: NotebookPage) -> None:
    costs = CostTable(notebook.cell(1))
    costs.row("gpt-5-mini").click()
    notebook.until("len(prof.selected), set(prof.selected.model)", "(3, {'gpt-5-mini'})")
    costs.row("gpt-5").click(modifiers=["ControlOrMeta"])
    notebook.until("len(prof.selected)", "4")
    assert notebook.kernel("int(prof.selected.total_tokens.sum()) == prof.totals.total_tokens") == "True"
    notebook.page.keyboard.press("Escape")
    notebook.until("len(prof.selected)", "0")


def test_keys_stay_in_the_table(notebook: NotebookPage) -> None:
    costs, before = CostTable(notebook.cell(1)), notebook.cells()
    costs.by("model")
    costs.table.focus()
    page = notebook.page
    for key in ("Home", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    notebook.until("len(prof.selected)", "1")
    for key in ("a", "b", "d", "d", "x", "c", "v", "z", "m", "y", "j", "k", "Shift+M", "Enter"):
        page.keyboard.press(key)
    page.keyboard.press("Control+c")
    expect(costs.element.get_by_test_id("tokprof-live")).to_have_text("Copied")
    assert page.evaluate("() => navigator.clipboard.readText()").startswith("Model\tCalls\tTokens")
    assert notebook.cells() == before
    expect(costs.table).to_be_focused()


def test_the_kernel_tells_prompt_answer_and_usage(notebook: NotebookPage, screenshots: Path) -> None:
    costs = CostTable(notebook.cell(1))
    costs.by("call")
    notebook.kernel("view.select([1])")
    expect(costs.detail.get_by_test_id("tokprof-detail-prompt")).to_contain_text("Question <i>0</i>")
    expect(costs.detail.get_by_test_id("tokprof-detail-answer")).to_contain_text("<b>Paris</b>")
    expect(costs.detail.get_by_test_id("tokprof-detail-usage")).to_contain_text('"cached_tokens": 1000')
    expect(costs.detail.get_by_test_id("tokprof-detail-stack")).to_contain_text("ask")
    costs.detail.get_by_test_id("tokprof-copy-answer").click()
    expect(costs.detail.get_by_test_id("tokprof-copy-answer")).to_have_text("Copied")
    assert notebook.page.evaluate("() => navigator.clipboard.readText()").count("<b>Paris</b>") == 1
    costs.element.screenshot(path=screenshots / "costs-lab.png")


def test_graph_and_table_have_one_selection(notebook: NotebookPage) -> None:
    costs, flame = CostTable(notebook.cell(1)), Flame(notebook.cell(2)).wait()
    costs.by("function")
    costs.row("ask").click()
    notebook.until("len(prof.selected)", "4")
    notebook.kernel("view.select(None)")
    expect(costs.rows.first).to_have_attribute("aria-selected", "false")
    flame.click("chat gpt-5")
    notebook.until("prof.selected.model.tolist()", "['gpt-5']")
    assert costs.selected() == ["chat gpt-5"]
