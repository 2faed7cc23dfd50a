"""The flamegraph on a page from the disk: its orders, widths, filters and files, by mouse and keyboard."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import tokprof

from .harness import Flame, open_file

pytestmark = pytest.mark.browser


def fetch(page: str, tokens: int, cached: int) -> None:
    with tokprof.span("read", kind="tool"), tokprof.span(f"chat {page}") as step:
        step.record(
            model="gpt-5-mini", provider="openai", input_tokens=tokens, output_tokens=50, cache_read_tokens=cached
        )


def ask() -> None:
    think()


def think() -> None:
    decide()


def decide() -> None:
    with tokprof.span("verdict") as step:
        step.record(model="gpt-5", provider="openai", input_tokens=10, output_tokens=400, reasoning_tokens=300)
    with tokprof.span("again") as step:
        step.record(model="gpt-5", provider="openai", input_tokens=40, output_tokens=60)


def profiled() -> tokprof.Profile:
    with tokprof.profile("demo") as prof, tokprof.span("agent", kind="agent"):
        with tokprof.span("first", kind="task"):
            for page, tokens, cached in (("one", 1000, 0), ("two", 2000, 1900)):
                fetch(page, tokens, cached)
        with tokprof.span("second", kind="task"):
            fetch("three", 4000, 100)
            ask()
    return prof


@pytest.fixture
def flame(page: Page, tmp_path: Path) -> Iterator[Flame]:
    heard: list[str] = []
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.emulate_media(reduced_motion="reduce")
    profiled().to_html(path := tmp_path / "profile.html")
    open_file(page, path)
    flame = Flame(page).wait()
    flame.metric("tokens")
    yield flame
    assert heard == []


def press(flame: Flame, *keys: str) -> None:
    flame.focus.focus()
    for key in keys:
        flame.page.keyboard.press(key)
    flame.settle()


def shown(flame: Flame) -> int:
    return int(flame.root.get_attribute("data-shown") or 0)


def test_merged_the_same_steps_are_one_box_and_the_heaviest_stands_first(flame: Flame) -> None:
    before = {name: flame.box(name) for name in ("first", "second")}
    assert before["first"]["x"] < before["second"]["x"]
    press(flame, "2")
    expect(flame.root).to_have_attribute("data-order", "merged")
    after = {name: flame.box(name) for name in ("first", "second")}
    assert after["second"]["x"] < after["first"]["x"]
    assert [after[name]["w"] for name in after] == pytest.approx([before[name]["w"] for name in before])
    flame.click("read")
    expect(flame.details).to_contain_text("read ×2")
    expect(flame.details).to_contain_text("3,100")
    press(flame, "1")
    assert flame.box("first")["x"] < flame.box("second")["x"]


def test_a_sandwich_shows_who_called_a_tool_and_what_it_called(flame: Flame) -> None:
    flame.click("read")
    press(flame, "3")
    expect(flame.root).to_have_attribute("data-order", "sandwich")
    expect(flame.details).to_contain_text("read ×3")
    expect(flame.root.get_by_test_id("tokprof-tree")).to_contain_text("second")
    middle = flame.box("read")
    assert flame.box("chat three")["y"] > middle["y"]
    assert flame.box("chat three")["w"] / middle["w"] == pytest.approx(4050 / 7150, abs=0.01)
    press(flame, "ArrowUp", "ArrowUp")
    expect(flame.details).to_contain_text("second")
    expect(flame.details).to_contain_text("57% of the tokens of read")
    press(flame, "Escape")
    expect(flame.root).to_have_attribute("data-order", "time")


def test_a_sandwich_of_nothing_says_what_to_do(flame: Flame) -> None:
    flame.root.get_by_test_id("tokprof-order-sandwich").click()
    expect(flame.root.get_by_test_id("tokprof-note")).to_contain_text("First choose")
    expect(flame.root).to_have_attribute("data-order", "time")


def test_every_metric_has_its_width(flame: Flame) -> None:
    flame.metric("cached")
    assert flame.box("chat two")["w"] / flame.box("chat three")["w"] == pytest.approx(19, rel=0.02)
    flame.metric("reasoning")
    assert flame.box("verdict")["w"] == pytest.approx(flame.box("agent")["w"])


def test_the_eye_stays_on_the_chosen_box_when_the_width_changes(flame: Flame) -> None:
    flame.click("chat two")
    press(flame, "+", "+", "+")
    before = flame.box("chat two")
    for metric in ("input", "cost", "tokens"):
        flame.metric(metric)
        now = flame.box("chat two")
        assert (now["x"], now["w"], now["y"]) == pytest.approx((before["x"], before["w"], before["y"]), abs=1)


def test_search_walks_through_what_it_finds(flame: Flame) -> None:
    page = flame.page
    press(flame, "/")
    page.keyboard.type("chat")
    expect(flame.found).to_have_text(re.compile(r"^3 · \d+%$"))
    seen = []
    for key in ("Enter", "Enter", "Enter", "Enter", "Shift+Enter"):
        page.keyboard.press(key)
        seen.append(flame.selected)
    assert seen == ["chat one", "chat two", "chat three", "chat one", "chat three"]
    expect(flame.found).to_have_text(re.compile(r"^3 of 3 · "))
    expect(flame.search).to_be_focused()


def test_a_chain_of_functions_is_one_box_until_it_is_unfolded(flame: Flame) -> None:
    tree = flame.root.get_by_test_id("tokprof-tree")
    expect(tree).to_contain_text("ask › think › decide")
    folded = shown(flame)
    flame.click("think")
    press(flame, "e")
    assert shown(flame) == folded + 2
    assert flame.box("think")["y"] < flame.box("decide")["y"]
    press(flame, "e")
    assert shown(flame) == folded
    flame.canvas.click(position={"x": flame.box("ask")["x"] + 10, "y": flame.box("ask")["y"] + 9})
    assert shown(flame) == folded + 2


def test_functions_go_and_their_calls_move_up(flame: Flame) -> None:
    row = flame.box("verdict")["y"]
    width = flame.box("verdict")["w"]
    press(flame, "f")
    assert "think" not in flame.root.get_by_test_id("tokprof-tree").inner_text()
    assert flame.box("verdict")["y"] < row
    assert flame.box("verdict")["w"] == pytest.approx(width)
    press(flame, "f")
    assert flame.box("verdict")["y"] == row


def test_filters_leave_out_calls_and_say_so(flame: Flame) -> None:
    flame.root.get_by_test_id("tokprof-show").click()
    flame.root.get_by_test_id("tokprof-model-gpt-5").uncheck()
    expect(flame.root.get_by_test_id("tokprof-note")).to_contain_text("3 of 5 calls shown")
    flame.settle()
    assert flame.box("verdict")["w"] == 0
    assert flame.box("first")["w"] / flame.box("agent")["w"] == pytest.approx(3100 / 7150, abs=0.01)
    flame.root.get_by_test_id("tokprof-least").select_option("0.1")
    flame.page.keyboard.press("Escape")
    expect(flame.root.get_by_test_id("tokprof-show-panel")).to_be_hidden()
    flame.reset.click()
    flame.settle()
    assert flame.box("verdict")["w"] > 0


def test_the_breadcrumb_follows_the_zoom_and_leads_back(flame: Flame) -> None:
    crumbs = flame.root.get_by_test_id("tokprof-crumbs")
    expect(crumbs.get_by_role("button")).to_have_count(0)
    flame.click("chat three", double=True)
    expect(crumbs.get_by_role("button").last).to_have_text("chat three")
    crumbs.get_by_role("button", name="second").click()
    flame.settle()
    assert flame.box("second")["w"] / flame.box("agent")["w"] == pytest.approx(4560 / 7660, abs=0.01)
    expect(crumbs.get_by_role("button").last).to_have_text("second")


def test_a_drag_over_the_minimap_zooms(flame: Flame) -> None:
    box = flame.root.get_by_test_id("tokprof-minimap").bounding_box()
    assert box is not None and box["height"] == 28
    width = flame.box("agent")["w"]
    mouse = flame.page.mouse
    mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 10)
    mouse.down()
    mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 10, steps=4)
    mouse.up()
    flame.settle()
    assert flame.box("agent")["w"] == pytest.approx(4 * width, rel=0.03)
    left = flame.box("agent")["x"]
    mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 10)
    mouse.down()
    mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 10, steps=4)
    mouse.up()
    flame.settle()
    assert flame.box("agent")["x"] < left - 0.5 * width


def test_what_has_no_pixel_is_still_reached(page: Page, tmp_path: Path) -> None:
    with tokprof.profile("demo") as prof:
        for name, tokens in (("tiny", 1), ("huge", 10**9), ("small", 1)):
            with tokprof.span(name) as step:
                step.record(model="gpt-5", provider="openai", input_tokens=tokens, output_tokens=0)
    prof.to_html(path := tmp_path / "tiny.html")
    open_file(page, path)
    flame = Flame(page).wait()
    flame.metric("tokens")
    assert flame.box("small")["w"] < 0.01
    press(flame, "Home", "ArrowDown", "ArrowDown")
    while flame.selected != "small":
        before = flame.selected
        press(flame, "ArrowRight")
        assert flame.selected != before
    press(flame, "Enter")
    assert flame.box("small")["w"] > 100


def test_pictures_are_saved_without_a_kernel(flame: Flame, tmp_path: Path) -> None:
    for kind, begin in (("png", b"\x89PNG"), ("svg", b"<svg ")):
        flame.root.get_by_test_id("tokprof-save").click()
        with flame.page.expect_download() as waiting:
            flame.root.get_by_test_id(f"tokprof-{kind}").click()
        assert waiting.value.suggested_filename == f"demo.{kind}"
        waiting.value.save_as(path := tmp_path / waiting.value.suggested_filename)
        assert path.read_bytes().startswith(begin)
    assert "chat three" in path.read_text()
    flame.page.goto(path.as_uri())
    assert flame.page.evaluate("() => document.documentElement.nodeName") == "svg"


def test_the_critical_path_and_the_colours_are_in_the_legend(flame: Flame) -> None:
    legend = flame.root.get_by_test_id("tokprof-legend")
    press(flame, "c")
    expect(legend).to_contain_text("critical path")
    press(flame, "c")
    expect(legend).not_to_contain_text("critical path")
    for mode, word in (("kind", "tool"), ("source", "reported"), ("heat", "/ M tokens"), ("model", "gpt-5")):
        flame.root.get_by_test_id(f"tokprof-color-{mode}").click()
        expect(legend).to_contain_text(word)


def test_a_question_mark_lists_the_keys(flame: Flame) -> None:
    keys = flame.root.get_by_test_id("tokprof-keys")
    press(flame, "?")
    expect(keys).to_contain_text("callers and callees")
    press(flame, "Escape")
    expect(keys).to_be_hidden()


def test_a_call_tells_everything_that_is_known_of_it(flame: Flame) -> None:
    flame.click("verdict")
    press(flame, "d")
    detail = flame.root.get_by_test_id("tokprof-detail")
    expect(detail).to_contain_text("decide")
    expect(detail).to_contain_text("No kernel answers")
    flame.click("agent")
    expect(detail).to_be_hidden()


def kept(turns: list[dict[str, str]], tokens: int) -> None:
    with tokprof.span("chat", kind="llm") as step:
        step.record(model="gpt-4o-mini", provider="openai", input_tokens=tokens, output_tokens=100)
        assert step.span is not None
        step.span.content = {"prompt": json.dumps({"model": "gpt-4o-mini", "messages": turns}), "answer": "{}"}


def test_the_parts_of_a_prompt_are_the_deepest_level(page: Page, tmp_path: Path) -> None:
    heard: list[str] = []
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.emulate_media(reduced_motion="reduce")
    system = {"role": "system", "content": "You are brief. " * 40}
    with tokprof.profile("demo") as prof:
        for question in ("Where? ", "And who? "):
            kept([system, {"role": "user", "content": question * 40}], 500)
    prof.to_html(path := tmp_path / "profile.html")
    open_file(page, path)
    flame = Flame(page).wait()
    flame.metric("tokens")
    names = flame.names()
    chats = [at for at, name in enumerate(names) if name == "chat"]
    assert names[chats[1] :] == ["chat", "system", "user", "frame", "output"]
    for chat in chats:
        parts = [flame.box(chat + at) for at in range(1, 5)]
        assert sum(box["w"] for box in parts) == pytest.approx(flame.box(chat)["w"], rel=1e-6)
        assert {box["y"] for box in parts} == {flame.box(chat)["y"] + 20}
    flame.click(chats[1] + 1)
    expect(flame.details).to_contain_text("system")
    expect(flame.details).to_contain_text("(100%)")
    assert page.evaluate("[...globalThis[Symbol.for('tokprof.selection')].values()][0].now.label") == "chat"
    page.keyboard.press("ArrowRight")
    expect(flame.root).to_have_attribute("data-selected", str(chats[1] + 2))
    page.keyboard.press("ArrowUp")
    expect(flame.root).to_have_attribute("data-selected", str(chats[1]))
    expect(flame.root.get_by_test_id("tokprof-tree")).to_contain_text("system, part, ~ ")
    expect(flame.root.get_by_test_id("tokprof-legend")).to_contain_text("sent before")
    flame.search.fill("output")
    expect(flame.found).to_have_text("2 · 17%")  # 200 of 1,200 tokens
    flame.search.fill("")
    whole = shown(flame)
    flame.metric("input")
    assert flame.box(chats[1] + 4)["w"] == 0
    flame.metric("time")
    assert shown(flame) == whole - 8
    flame.metric("cost")
    assert shown(flame) == whole
    press(flame, "2")
    flame.click("system")
    expect(flame.details).to_contain_text("system ×2")
    assert heard == []
