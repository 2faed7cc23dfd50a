"""Mermaid, Graphviz and Markdown: what they show, that they say what is left out, and that no name breaks them."""

from __future__ import annotations

import re
from typing import Any

import pydot
import pytest

import tokprof
from tests.unit.export_scenes import HOSTILE, agent, hostile
from tests.unit.scenes import call

NODE = re.compile(r'    (n\d+|left)(\["|\(\["|\("|\[/")([^"]*)("\]\)|"\]|"\)|"/\])')
EDGE = re.compile(r'    (n\d+) (==>|-->)(\|"[^"]*"\|)? (n\d+)')


@pytest.fixture(params=[agent, hostile], ids=["agent", "hostile"])
def prof(request: pytest.FixtureRequest, clock: Any, frames: Any) -> tokprof.Profile:
    made: tokprof.Profile = request.param(clock, frames)
    return made


@pytest.mark.parametrize("limit", [2, 5, 200])
def test_mermaid_has_nodes_and_edges_between_them(prof: tokprof.Profile, limit: int) -> None:
    head, *lines = prof.to_mermaid(limit=limit).split("\n")[:-1]
    assert head == "flowchart TD"
    nodes: set[str] = set()
    for line in lines:
        if node := NODE.fullmatch(line):
            nodes.add(node[1])
            label = re.sub(r"<br/>|#\d+;", "", node[3])
            assert re.fullmatch(r"[\w .,:≥?·$…()-]*", label)
        elif edge := EDGE.fullmatch(line):
            assert {edge[1], edge[4]} <= nodes
        else:
            assert line == "    style left stroke-dasharray: 4"
    assert len(nodes - {"left"}) <= limit
    assert ("left" in nodes) == (len(nodes - {"left"}) == limit)


@pytest.mark.parametrize("limit", [2, 5, 200])
def test_dot_is_parsed_by_pydot(prof: tokprof.Profile, limit: int) -> None:
    text = prof.to_dot(limit=limit)
    graphs = pydot.graph_from_dot_data(text)
    assert graphs is not None and len(graphs) == 1
    names = {node.get_name() for node in graphs[0].get_nodes()} - {"node", "edge"}
    assert len(names - {"left"}) <= limit
    assert all({edge.get_source(), edge.get_destination()} <= names for edge in graphs[0].get_edges())
    again = pydot.graph_from_dot_data(graphs[0].to_string())
    assert again is not None
    labels = {node.get_name(): node.get_label() for node in graphs[0].get_nodes()}
    assert {node.get_name(): node.get_label() for node in again[0].get_nodes()} == labels
    assert all(line.count('"') - line.count('\\"') in (0, 2, 4) for line in text.split("\n"))


def test_graphs_by_hand(clock: Any, frames: Any) -> None:
    prof = agent(clock, frames)
    made = prof.to_mermaid()
    assert '(["gpt-4o-mini<br/>401,100 tokens · $0.0602 · 3 calls"])' in made
    assert "mystery<br/>? tokens · 1 call" in made
    small = prof.to_mermaid(limit=3)
    assert "6 smaller steps left out, with 0 tokens of their own" in small
    assert small.count("-->") + small.count("==>") >= 2
    assert "6 smaller steps left out" in prof.to_dot(limit=3)
    with pytest.raises(ValueError, match="limit must be 2 or more"):
        prof.to_dot(limit=1)


def test_what_is_in_itself_counts_once(clock: Any, frames: Any) -> None:
    frames()
    with tokprof.profile("run") as prof:
        with tokprof.span("a", kind="agent"), tokprof.span("a", kind="agent"):
            call(clock, 1, input_tokens=70, output_tokens=7)
        with tokprof.span("b", kind="agent"):
            call(clock, 1, input_tokens=20, output_tokens=3)
    made = prof.to_dot()
    assert 'label="a\\nagent\\n77 tokens' in made
    assert 'label="gpt-4o-mini\\n100 tokens' in made


def test_markdown_report(clock: Any, frames: Any) -> None:
    text = agent(clock, frames).to_markdown()
    assert text.startswith("# tokprof: In\\[3\\]\n\n≥ 401,100 tokens · ≥ \\$0\\.0602 · 4 calls · 1 min 04 s\n")
    assert "| Input tokens | ≥ 401,000 |" in text
    assert "| gpt\\-4o\\-mini | 3 | 401,100 | 401,000 | 100 | $0.0602 | 2.0 s | 0 |" in text
    assert "| mystery | 1 | ? | ? | ? | ? | 1 min 02 s | 0 |" in text
    assert "1 call did not tell all of its tokens\\: the sums are lower bounds" in text


def test_no_name_breaks_the_report(clock: Any, frames: Any) -> None:
    import mistune

    text = hostile(clock, frames).to_markdown()
    html = mistune.create_markdown(plugins=["table"], escape=False)(text)
    assert isinstance(html, str)
    assert "<script" not in html
    assert html.count("<h1>") == 1
    assert html.count("<table>") == 3
    body = re.split(r"<h2>", html)
    models = next(part for part in body if part.startswith("Models"))
    assert models.count("<tr>") == 1 + len(HOSTILE)
    assert {row.count("<td") for row in re.findall(r"<tr>.*?</tr>", models, re.S)[1:]} == {8}
    assert html.count("<pre>") == 1
