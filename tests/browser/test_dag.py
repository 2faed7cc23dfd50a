"""The graph of steps: clicked, walked, opened and searched, on a page from the disk and in a real JupyterLab."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

import tokprof

from .harness import Flame, Lab, NotebookPage, open_file
from .test_page import EVIL

pytestmark = pytest.mark.browser

MAKE = """
import tokprof

def ask(model, tokens):
    with tokprof.span(f"chat {model}", kind="llm") as span:
        span.record(model=model, provider="openai", input_tokens=tokens, output_tokens=tokens // 10)

def research(depth):
    with tokprof.span("researcher", kind="agent"):
        ask("gpt-5", 1000)
        for page in range(3):
            with tokprof.span("read_page", kind="tool"):
                ask("gpt-5-mini", 300)
        if depth:
            research(depth - 1)

with tokprof.profile("team") as prof:
    research(1)
    with tokprof.span("writer", kind="agent"):
        ask("gpt-5", 4000)
"""


class Dag:
    """A graph of steps in a page."""

    def __init__(self, within: Page | Locator):
        self.page = within if isinstance(within, Page) else within.page
        self.focus = within.get_by_test_id("tokprof-dag")
        self.root = within.get_by_test_id("tokprof-root").filter(has=self.page.get_by_test_id("tokprof-dag"))
        self.graph = within.get_by_test_id("tokprof-graph")
        self.details = self.root.get_by_test_id("tokprof-details")
        self.search = self.root.get_by_test_id("tokprof-search")
        self.found = self.root.get_by_test_id("tokprof-found")
        self.note = self.root.get_by_test_id("tokprof-note")
        self.threshold = self.root.get_by_test_id("tokprof-threshold")

    def wait(self) -> Dag:
        self.graph.locator("[data-node]").first.wait_for(timeout=30_000)
        return self

    def names(self) -> list[str]:
        return list(self.root.evaluate("(root) => root.tokprof.nodes.map((node) => node.name)"))

    def node(self, name: str) -> Locator:
        return self.graph.locator(f'[data-node="{self.names().index(name)}"]')

    def expect_selected(self, name: str) -> None:
        expect(self.root).to_have_attribute("data-selected", name)


FLOWS = """
import json
import tokprof

def text(word):
    return " ".join(f"{word}{n}" for n in range(60))

def ask(prompt, answer):
    with tokprof.span("chat gpt-5", kind="llm") as span:
        span.record(model="gpt-5", provider="openai", input_tokens=len(prompt) // 4, output_tokens=len(answer) // 4)
        sent = {"messages": [{"role": "user", "content": prompt}]}
        given = {"choices": [{"message": {"role": "assistant", "content": answer}}]}
        span.span.content = {"prompt": json.dumps(sent), "answer": json.dumps(given)}
    return answer

with tokprof.profile("newsroom") as prof:
    for name in ("planner", "researcher", "writer", "critic", "publisher"):
        with tokprof.span(name, kind="agent"):
            if name == "planner":
                last = plan = ask("A story, please.", text("plan"))
            else:
                last = ask(f"Go on from: {last}" + (plan if name == "critic" else ""), text(name))
    with tokprof.span("auditor", kind="agent"):
        ask("Is all well?", "Yes.")
"""


@pytest.fixture
def complaints(page: Page) -> Iterator[list[str]]:
    heard: list[str] = []
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("console", lambda message: heard.append(message.text) if message.type == "error" else None)
    yield heard
    assert heard == []


@pytest.fixture
def dag(page: Page, tmp_path: Path, complaints: list[str]) -> Dag:
    made: dict[str, tokprof.Profile] = {}
    exec(MAKE, made)
    made["prof"].to_html(path := tmp_path / "team.html")
    assert open_file(page, path) == []
    page.get_by_test_id("tokprof-dag").scroll_into_view_if_needed()
    return Dag(page).wait()


def test_runs_are_one_node_and_recursion_leads_back(dag: Dag) -> None:
    for name in ("team", "researcher", "read_page", "writer", "gpt-5", "gpt-5-mini"):
        assert dag.names().count(name) == 1
    expect(dag.graph.locator(".tp-back")).to_have_count(1)
    dag.node("read_page").click()
    dag.expect_selected("read_page")
    expect(dag.details).to_contain_text("6 runs")
    expect(dag.details).to_contain_text("1,980")


def test_a_selection_goes_to_the_other_views_and_comes_back(dag: Dag) -> None:
    flame = Flame(dag.page)
    dag.node("writer").click()
    expect(flame.root).not_to_have_attribute("data-selected", "-1")
    names = flame.root.evaluate("(root) => root.tokprof.nodes.map((node) => node.name)")
    assert names[int(flame.root.get_attribute("data-selected") or -1)] == "writer"
    dag.focus.focus()
    dag.page.keyboard.press("Escape")
    expect(flame.root).to_have_attribute("data-selected", "-1")
    call = names.index("chat gpt-5-mini")
    box = flame.root.evaluate("(root, node) => ({ ...root.tokprof.boxOf(node) })", call)
    flame.canvas.click(position={"x": box["x"] + box["w"] / 2, "y": box["y"] + box["h"] / 2})
    expect(dag.graph.locator(".tp-within")).to_have_count(2)
    expect(dag.details).to_contain_text("Selected rows are in 2 nodes")


def test_a_double_click_takes_runs_apart_and_puts_them_together(dag: Dag) -> None:
    before = dag.names()
    dag.node("read_page").dblclick()
    assert [name for name in dag.names() if name.startswith("read_page")] == [f"read_page #{n}" for n in range(1, 7)]
    dag.expect_selected("read_page #1")
    expect(dag.details).to_contain_text("puts the runs together again")
    dag.page.keyboard.press("Enter")
    assert dag.names() == before
    dag.expect_selected("read_page")


def test_keys_walk_along_edges_fold_and_find(dag: Dag) -> None:
    keyboard = dag.page.keyboard
    dag.focus.focus()
    keyboard.press("Home")
    dag.expect_selected("team")
    seen = []
    for _ in range(6):
        keyboard.press("ArrowRight")
        seen.append(dag.root.get_attribute("data-selected"))
    assert seen[-1] in {"gpt-5", "gpt-5-mini"}
    keyboard.press("ArrowLeft")
    dag.node("researcher").click()
    keyboard.press("Space")
    assert "read_page" not in dag.names()
    keyboard.press("Enter")
    assert "read_page" in dag.names()
    keyboard.press("/")
    expect(dag.search).to_be_focused()
    keyboard.type("gpt")
    expect(dag.found).to_have_text("2")
    keyboard.press("Enter")
    keyboard.press("Enter")
    expect(dag.found).to_have_text("2 of 2")
    keyboard.press("Escape")
    expect(dag.search).to_have_value("")
    expect(dag.focus).to_be_focused()
    assert dag.focus.get_attribute("aria-activedescendant")


def test_small_steps_fold_into_their_callers_and_it_says_so(dag: Dag) -> None:
    dag.threshold.fill("9")
    expect(dag.note).to_contain_text("below 50% are folded")
    assert "read_page" not in dag.names()
    dag.threshold.fill("0")
    expect(dag.note).to_have_text("")
    assert "read_page" in dag.names()


def test_an_edge_can_be_chosen(dag: Dag) -> None:
    at = dag.root.evaluate(
        "(root) => [...root.querySelectorAll('.tp-edge')].map((e) => e.dataset.edge).sort((a, b) => a - b).pop()"
    )
    dag.graph.locator(f'[data-edge="{at}"] .tp-tip').click(force=True)
    expect(dag.details.locator("strong")).to_contain_text("→")


def test_the_plain_wheel_scrolls_the_page_and_ctrl_wheel_zooms(dag: Dag) -> None:
    dag.graph.hover()
    scale = "(graph) => graph.querySelector('svg > g').getAttribute('transform')"
    before = dag.graph.evaluate(scale)
    dag.page.set_viewport_size({"width": 1200, "height": 500})
    dag.graph.scroll_into_view_if_needed()
    dag.page.mouse.wheel(0, 60)
    dag.page.wait_for_timeout(100)
    assert dag.graph.evaluate(scale) == before
    dag.graph.hover()
    dag.page.keyboard.down("Control")
    dag.page.mouse.wheel(0, -240)
    dag.page.keyboard.up("Control")
    dag.page.wait_for_timeout(100)
    assert dag.graph.evaluate(scale) != before
    dag.root.get_by_test_id("tokprof-fit").click()
    assert dag.graph.evaluate(scale) == before


def test_edges_show_who_called_whom_or_who_passed_text_on(
    page: Page, tmp_path: Path, complaints: list[str], screenshots: Path
) -> None:
    made: dict[str, tokprof.Profile] = {}
    exec(FLOWS, made)
    made["prof"].to_html(path := tmp_path / "newsroom.html")
    open_file(page, path)
    page.get_by_test_id("tokprof-dag").scroll_into_view_if_needed()
    dag = Dag(page).wait()
    expect(dag.root).to_have_attribute("data-edges", "calls")
    assert "gpt-5" in dag.names()
    dag.root.get_by_test_id("tokprof-edges-data").click()
    expect(dag.root).to_have_attribute("data-edges", "data")
    assert dag.names() == ["planner", "researcher", "writer", "critic", "publisher"]
    expect(dag.graph.locator(".tp-flow.tp-via-text")).to_have_count(5)
    expect(dag.note).to_contain_text("not shown")
    tokens = len(" ".join(f"plan{n}" for n in range(60))) // 4
    expect(dag.graph.locator(".tp-label-flow").first).to_contain_text("tokens")
    dag.graph.locator('[data-edge="0"] .tp-tip').click(force=True)
    dag.expect_selected("planner → researcher")
    expect(dag.details).to_contain_text(f"Carries{tokens} tokens")
    expect(dag.details).to_contain_text("quoted in prompts")
    dag.root.screenshot(path=screenshots / "dag-data.png")
    dag.focus.focus()
    page.keyboard.press("Home")
    dag.expect_selected("planner")
    page.keyboard.press("ArrowRight")
    reached = dag.root.get_attribute("data-selected") or ""
    assert reached in {"researcher", "critic"}
    expect(dag.root.get_by_test_id("tokprof-live")).to_contain_text("Passes on")
    described = dag.focus.get_attribute("aria-activedescendant")
    expect(page.locator(f"[id='{described}']")).to_contain_text("receives answers of")
    page.keyboard.press("e")
    expect(dag.root).to_have_attribute("data-edges", "calls")
    dag.expect_selected(reached)


def test_without_flows_there_is_no_switch(dag: Dag) -> None:
    expect(dag.root.get_by_test_id("tokprof-edges-data")).to_be_hidden()
    dag.focus.focus()
    dag.page.keyboard.press("e")
    expect(dag.root).to_have_attribute("data-edges", "calls")


@pytest.mark.parametrize("width", [1200, 420])
def test_names_that_mean_harm_are_only_names(page: Page, tmp_path: Path, complaints: list[str], width: int) -> None:
    with tokprof.profile(EVIL["end of script"]) as prof:
        for name in EVIL.values():
            with pytest.raises(ValueError), tokprof.span(name, kind="tool") as step:
                step.record(model=name, provider=name, input_tokens=1000, output_tokens=500)
                raise ValueError(name)
    prof.to_html(path := tmp_path / "hostile.html")
    page.set_viewport_size({"width": width, "height": 900})
    open_file(page, path)
    dag = Dag(page).wait()
    assert len(dag.names()) > len(EVIL)
    dag.focus.focus()
    page.keyboard.press("Home")
    for _ in range(2 * len(EVIL)):
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowRight")
    dag.search.fill(EVIL["element"])
    expect(dag.found).not_to_have_text("none")
    assert page.evaluate("() => window.__pwned") is None
    assert page.locator("img[onerror], img[src='x'], [onmouseover]").count() == 0
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert "\u202e" not in dag.root.inner_text() and "\u202e" not in str(
        dag.root.evaluate("(root) => root.textContent")
    )


@pytest.fixture(scope="module")
def notebook(browser: Browser, lab: Lab) -> Iterator[NotebookPage]:
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    name = lab.write("dag.ipynb", [MAKE, "view = prof.dag('cost')\nview", "flame = prof.flamegraph()\nflame"])
    page = NotebookPage(context.new_page(), lab, name)
    page.run_all()
    Dag(page.cell(1)).wait()
    yield page
    context.close()
    lab.end_kernels()


def test_in_a_notebook_a_click_selects_rows_in_the_kernel(notebook: NotebookPage) -> None:
    dag = Dag(notebook.cell(1))
    dag.node("writer").click()
    notebook.until("view.selected", "'writer'")
    assert notebook.kernel("list(view.selection.name)") == "['writer', 'chat gpt-5']"
    dag.node("gpt-5-mini").click()
    notebook.until("prof.selected.shape[0]", "6")
    assert notebook.kernel("set(prof.selected.model)") == "{'gpt-5-mini'}"


def test_in_a_notebook_one_call_shows_what_the_kernel_knows_of_it(notebook: NotebookPage) -> None:
    dag = Dag(notebook.cell(1))
    dag.node("gpt-5").dblclick()
    dag.expect_selected("gpt-5 #1")
    dag.root.get_by_test_id("tokprof-more").click()
    expect(dag.root.get_by_test_id("tokprof-detail")).to_contain_text("Not captured")
    dag.page.keyboard.press("d")
    expect(dag.root.get_by_test_id("tokprof-detail")).to_be_hidden()
    dag.page.keyboard.press("Enter")
    assert "gpt-5" in dag.names()


def test_in_a_notebook_keys_walk_and_never_reach_it(notebook: NotebookPage) -> None:
    dag, page, before = Dag(notebook.cell(1)), notebook.page, notebook.cells()
    dag.focus.focus()
    page.keyboard.press("Home")
    notebook.until("view.selected", "'team'")
    page.keyboard.press("ArrowRight")
    here = dag.root.get_attribute("data-selected") or ""
    assert here not in {"", "team"}
    notebook.until("view.selected", repr(here))
    for key in ("a", "b", "d", "d", "x", "c", "v", "z", "m", "y", "j", "k", "Shift+M", "Shift+Enter", "n", "Space"):
        page.keyboard.press(key)
    page.wait_for_timeout(200)
    assert notebook.cells() == before
    expect(dag.focus).to_be_focused()
    page.keyboard.press("Escape")
    notebook.until("view.selected", "")  # None


def test_in_a_notebook_the_kernel_and_other_views_select_here(notebook: NotebookPage) -> None:
    dag = Dag(notebook.cell(1))
    notebook.kernel("flame.select('writer')")
    dag.expect_selected("writer")
    notebook.kernel("view.select(None)")
    dag.expect_selected("")


def test_in_a_notebook_data_can_be_asked_for(notebook: NotebookPage) -> None:
    notebook.kernel(FLOWS.replace("prof:", "news:"))
    assert notebook.kernel("news.dag(edges='data').edges") == "'data'"
    assert notebook.kernel("news.dag(edges='arrows')").startswith("ERROR ValueError: 'arrows' are no edges")
    assert notebook.kernel("len(news.flow())") == "5"


def test_in_a_notebook_it_looks_like_this(notebook: NotebookPage, screenshots: Path) -> None:
    for theme in ("Light", "Dark"):
        notebook.command("apputils:change-theme", theme=f"JupyterLab {theme}")
        notebook.page.wait_for_timeout(500)
        Dag(notebook.cell(1)).root.screenshot(path=screenshots / f"dag-{theme.lower()}.png")
    notebook.command("apputils:change-theme", theme="JupyterLab Light")
    assert [line for line in notebook.complaints if "tokprof" in line.lower() or "widget" in line.lower()] == []
