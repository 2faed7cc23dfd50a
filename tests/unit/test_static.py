"""What a saved notebook keeps, and the page of its own: no script where none may run, no name that breaks out."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

import tokprof

from .scenes import agent, call, retrieval

HOSTILE = {
    "html": '<script>alert(1)</script><img src=x onerror="alert(1)">',
    "end of script": "</script></style><!--",
    "quotes": "\"'><b onmouseover='x'>",
    "control": "\x00\x01\x1b[31mred\x07\r\n\ttab",
    "direction": "\u202egpj.exe\u2066x\u2069",
    "surrogate": "half \ud800 pair",
    "megabyte": "m" * 1_000_000,
    "empty": "",
    "wide": "𝔘𝔫𝔦😀" * 50,
}


class Elements(HTMLParser):
    def __init__(self, page: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def picture(page: str) -> str:
    found = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    assert found
    return base64.b64decode(found[1]).decode()


def test_the_snapshot_is_tables_and_a_picture(clock: Any, frames: Callable[..., None]) -> None:
    page = agent(clock, frames).snapshot()
    elements = Elements(page)
    tags = {tag for tag, _ in elements.found}
    assert tags == {"style", "div", "p", "b", "img", "table", "thead", "tbody", "tr", "th", "td"}
    assert not any(name.startswith("on") for _, attributes in elements.found for name in attributes)
    assert "http" not in re.sub(r"base64,[^\"]+", "", page)
    text = " ".join(elements.text)
    for shown in (
        "≥ 401,100 tokens",
        "search tools.py:7",
        "plan In[2]:5",
        "400,000",
        "lower bounds",
        "mystery",
        "$0.06000",
    ):
        assert shown in text
    assert next(attributes for tag, attributes in elements.found if tag == "img")["alt"]


def test_an_unknown_figure_is_no_zero_in_the_tables(clock: Any, frames: Callable[..., None]) -> None:
    page = agent(clock, frames).snapshot()
    row = re.search(r"<tr><td>mystery</td>.*?</tr>", page)
    assert row
    assert re.findall(r">([^<>]*)</td>", row[0]) == ["mystery", "?", "?", "?", "?", "?", "1", "1 min 02 s"]


def test_tables_say_what_a_sum_lacks(clock: Any, frames: Callable[..., None]) -> None:
    page = agent(clock, frames).snapshot()
    row = re.search(r"<tr><td>gpt-4o-mini</td>.*?</tr>", page)
    assert row
    assert re.findall(r">([^<>]*)</td>", row[0])[1:6] == ["401,100", "401,000", "≥ 400", "100", "$0.0602"]
    assert "<td>act agent.py:20</td>" in page
    assert page.index("lower bounds") < page.index("<img") < page.index("<table")


def test_embeddings_have_a_column_where_there_are_some(clock: Any, frames: Callable[..., None]) -> None:
    page = retrieval(clock, frames).snapshot()
    heads = re.findall(r"<th>(.*?)</th>", page)
    assert heads[:7] == ["by function", "tokens", "input", "of it cached", "output", "embedding", "cost"]
    cells = (re.findall(r">([^<>]*)</td>", row) for row in re.findall(r"<tr>.*?</tr>", page))
    rows = {row[0]: row[1:6] for row in cells if row}
    assert rows["text-embedding-3-small"] == ["5,000", "0", "0", "0", "5,000"]
    assert rows["ranker"] == ["?", "0", "0", "0", "?"]
    assert rows["gpt-4o-mini"] == ["1,100", "1,000", "400", "100", "0"]
    assert ": 5,000 embedding tokens" in picture(page)
    assert "In[4]: ≥ 6,100 tokens (5,000 embedding)" in picture(page)
    assert "<th>embedding</th>" not in agent(clock, frames).snapshot()


def test_a_refused_call_costs_nothing_in_the_tables(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as prof:
        call(clock, 1, model="m")
    span = prof.table.spans[1]
    span.status, span.http_status = "error", 429
    page = prof.snapshot()
    assert "price unknown" not in page
    row = re.search(r"<tr><td>m</td>.*?</tr>", page)
    assert row
    assert re.findall(r">([^<>]*)</td>", row[0])[1:6] == ["0", "0", "0", "0", "-"]


def test_the_picture_has_a_box_for_what_can_be_seen(clock: Any, frames: Callable[..., None]) -> None:
    drawing = ElementTree.fromstring(picture(agent(clock, frames).snapshot()))
    space = "{http://www.w3.org/2000/svg}"
    titles = [title.text or "" for title in drawing.iter(f"{space}title")]
    assert titles[0] == "In[3]: ≥ 401,100 tokens"
    assert "search tools.py:7: 400,000 tokens" in titles
    assert not list(drawing.iter(f"{space}script"))
    widths = [float(box.attrib["width"]) for box in drawing.iter(f"{space}rect")]
    assert max(widths) == widths[0] == 959


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_names_break_nothing(case: str, clock: Any, frames: Callable[..., None]) -> None:
    name = HOSTILE[case]
    frames()
    with tokprof.profile(name, tag=name) as prof:
        frames(f"evil.py:1 {name}")
        call(clock, 1, model=name or "m", name=name, input_tokens=1000, output_tokens=10)
    text, snapshot, page = str(prof), prof.snapshot(), prof.to_html()
    assert len(text) < 2000 and len(snapshot) < 20_000
    for shown in (text, snapshot):
        shown.encode()
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", shown)
    assert len(text.splitlines()) <= 9
    ElementTree.fromstring(picture(snapshot))
    tags = [tag for tag, _ in Elements(snapshot).found]
    assert tags.count("img") == 1 and "script" not in tags
    assert not any(key.startswith("on") for _, attributes in Elements(page).found for key in attributes)
    assert page.count("<script") == page.count("</script>") == 1
    prof.df.to_csv(errors="replace") if case != "surrogate" else None


def test_the_page_needs_nothing_else(clock: Any, frames: Callable[..., None], tmp_path: Any) -> None:
    prof = agent(clock, frames)
    page = prof.to_html(tmp_path / "p.html")
    assert (tmp_path / "p.html").read_text(encoding="utf-8") == page
    for tag, attributes in Elements(page).found:
        for key in ("src", "href"):
            assert (attributes.get(key) or "data:").startswith("data:"), (tag, attributes)
    assert "import(" in page and "https://cdn" not in page and "unpkg" not in page
