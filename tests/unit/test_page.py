"""Views without a kernel: what travels in the page, how much of it at most, and that content never does."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

import tokprof
from tokprof.testing import SimulatedProvider
from tokprof.views import display, page

from .scenes import agent, call


def payload(html: str) -> dict[str, Any]:
    found = re.findall(r'data-tokprof="([^"]+)"', html)
    assert len(found) == 1
    return dict(json.loads(gzip.decompress(base64.b64decode(found[0]))))


def header(packed: str) -> dict[str, Any]:
    block = gzip.decompress(base64.b64decode(packed))
    return dict(json.loads(block[8 : 8 + int.from_bytes(block[4:8], "little")]))


def many(clock: Any, frames: Callable[..., None], calls: int) -> tokprof.Profile:
    frames()
    with tokprof.profile() as prof:
        for _ in range(calls):
            call(clock, 0.001, input_tokens=10, output_tokens=1)
    return prof


def test_all_views_share_one_block_one_profile_and_each_front_end_once(clock: Any, frames: Callable[..., None]) -> None:
    prof = agent(clock, frames)
    for html in (prof.to_html(), page.snapshot(prof)):
        data = payload(html)
        assert [view["front"] for view in data["views"]] == ["summary", "flamegraph", "dag", "costs"]
        assert {view["state"]["_profile"] for view in data["views"]} == {prof.id}
        assert {view["block"] for view in data["views"][1:]} == {0} and len(data["blocks"]) == 1
        assert set(data["fronts"]) == {"summary", "flamegraph", "dag", "costs"}
        assert html.count("<script") == 1


def test_the_same_profile_is_the_same_page(clock: Any, frames: Callable[..., None]) -> None:
    prof = agent(clock, frames)
    assert prof.to_html() == prof.to_html()


@pytest.mark.parametrize("name", ["SNAPSHOT_NODES", "PAGE_NODES"])
def test_beyond_its_cap_a_page_sums_up_and_says_so(
    name: str, clock: Any, frames: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, name, 100)
    prof = many(clock, frames, 500)
    html = prof.to_html() if name == "PAGE_NODES" else page.snapshot(prof)
    shown = header(payload(html)["blocks"][0])
    assert shown["nodes"] < 120 and shown["meta"]["truncated"] is True
    assert any("5,500 tokens" in words for words in shown["meta"]["summary"])


def test_an_interactive_snapshot_is_of_a_bounded_size(clock: Any, frames: Callable[..., None]) -> None:
    prof = many(clock, frames, page.SNAPSHOT_NODES + 5_000)
    assert header(payload(page.snapshot(prof))["blocks"][0])["nodes"] <= page.SNAPSHOT_NODES + 2
    assert len(page.snapshot(prof)) < 2_000_000
    assert len(prof.snapshot()) < 20_000


def test_the_snapshot_is_the_static_one_unless_it_is_set(
    clock: Any, frames: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    prof = agent(clock, frames)
    assert display.saved(prof) == prof.snapshot()
    monkeypatch.setattr(display, "snapshots", "interactive")
    interactive = display.saved(prof)
    assert interactive.startswith("<style>") and "<img" in interactive and "data-tokprof=" in interactive


def test_no_prompt_and_no_answer_is_in_it() -> None:
    with SimulatedProvider() as provider, tokprof.profile(capture="full") as prof:
        provider.reply("a secret answer")
        provider.openai().chat.completions.create(
            model="gpt-5-mini", messages=[{"role": "user", "content": "a secret question"}]
        )
    assert prof.content(prof.calls.span_id.iloc[0])["answer"]
    for html in (prof.to_html(), page.snapshot(prof)):
        data = payload(html)
        blocks = b"".join(gzip.decompress(base64.b64decode(block)) for block in data["blocks"])
        for text in (html, json.dumps(data), blocks.decode("latin-1")):
            assert "secret" not in text


def test_an_empty_profile_has_no_summary(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as prof:
        pass
    assert [view["front"] for view in payload(prof.to_html())["views"]] == ["flamegraph"]
