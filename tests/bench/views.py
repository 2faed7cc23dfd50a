"""What the flame graph costs in a browser, and d3-flame-graph and speedscope beside it on the same trees.

``python tests/bench/views.py [SIZES]``, for example ``1000,10000``. Everything runs in one headless Chromium on this
machine, so the rows can be compared with each other and with nothing else. First paint is from the data at hand to
the end of the frame that shows it; for speedscope, from the opening of its page to its last drawing before it comes
to rest, reading of its file included. A frame is the time between two frames while each does something: zoom by the
wheel, or move the pointer.
"""

from __future__ import annotations

import functools
import http.server
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import Error as BrowserError

REPOSITORY = Path(__file__).parents[2]
JS = REPOSITORY / "js"
PEERS = JS / "bench"
STATIC = REPOSITORY / "tokprof" / "static"
SIZES = (1_000, 10_000, 100_000, 1_000_000)
PATIENCE_MS = 90_000
ARGUMENTS = (
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--enable-unsafe-swiftshader",  # no GPU here, and speedscope draws with WebGL
)

# Frames while something is done in each of them.
HELPERS = """
window.frame = () => new Promise((done) => requestAnimationFrame(done));
window.painted = async () => { await frame(); await new Promise((done) => { const c = new MessageChannel();
  c.port1.onmessage = done; c.port2.postMessage(0); }); };
window.frames = async (act, count = 60) => { const times = []; let last = await frame();
  for (let i = 0; i < count; i++) { act(i, count); const now = await frame(); times.push(now - last); last = now; }
  return times.slice(2); };
window.wheel = (el, i, count) => { const box = el.getBoundingClientRect();
  el.dispatchEvent(new WheelEvent('wheel', { deltaY: i < count / 2 ? -60 : 60, ctrlKey: true, bubbles: true,
    cancelable: true, clientX: box.left + box.width * 0.37, clientY: box.top + 120 })); };
window.hover = (el, i, count) => { const box = el.getBoundingClientRect();
  const at = { clientX: box.left + box.width * i / count, clientY: box.top + 60 + i, bubbles: true };
  el.dispatchEvent(new PointerEvent('pointermove', at)); el.dispatchEvent(new MouseEvent('mousemove', at)); };
"""

OURS = """async ([source, n]) => {
  const bytes = demo.random(n);
  const front = (await import(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })))).default;
  document.body.replaceChildren();
  const el = document.body.appendChild(document.createElement('div'));
  const values = { _block: demo.viewOf(bytes), _profile: 'bench', _selected: {}, metric: 'tokens', height: 520 };
  const model = { get: (k) => values[k], set() {}, on() {}, off() {}, send() {} };
  const begun = performance.now();
  front.render({ model, el, signal: new AbortController().signal });
  const built = performance.now() - begun;
  await painted();
  const paint = performance.now() - begun;
  const canvas = el.querySelector('.tp-canvas');
  const zoom = await frames((i, c) => wheel(canvas, i, c));
  const move = await frames((i, c) => hover(canvas, i, c));
  const switches = {};
  for (const id of ['order-merged', 'order-time', 'metric-time']) {
    const from = performance.now();
    el.querySelector(`[data-testid="tokprof-${id}"]`).click();
    await painted();
    switches[id] = performance.now() - from;
  }
  return { bytes: bytes.length, built, paint, zoom, hover: move, switches };
}"""

# The same tree for the peers, from the columns of the block.
TREE = """(n) => {
  const bytes = demo.random(n);
  const head = new DataView(bytes.buffer).getUint32(4, true);
  const { columns, strings } = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + head)));
  const types = { i4: Int32Array, u1: Uint8Array, f8: Float64Array };
  const read = (name) => { const { dtype, offset, length } = columns[name];
    const from = 8 + head + offset;
    return new types[dtype](bytes.buffer.slice(from, from + length * types[dtype].BYTES_PER_ELEMENT)); };
  const [parent, name, model, input] = ['parent', 'name', 'model', 'input'].map(read);
  const total = Float64Array.from(input);
  for (let i = n - 1; i > 0; i--) total[parent[i]] += total[i];
  const label = (i) => strings[model[i] >= 0 ? model[i] : name[i]];
  return { parent, total, label };
}"""

D3 = """async (n) => {
  const { parent, total, label } = tree(n);
  const nodes = Array.from(parent, (_, i) => ({ name: label(i), value: total[i], children: [] }));
  for (let i = 1; i < n; i++) if (total[i] > 0) nodes[parent[i]].children.push(nodes[i]);
  document.body.replaceChildren();
  const el = document.body.appendChild(document.createElement('div'));
  el.id = 'd3';
  const begun = performance.now();
  const chart = d3peer.flamegraph().width(1200).cellHeight(18).transitionDuration(0).minFrameSize(1).selfValue(false);
  d3peer.select('#d3').datum(nodes[0]).call(chart);
  await painted();
  const paint = performance.now() - begun;
  const frames = [...el.querySelectorAll('g.frame')];
  const data = frames.map((f) => f.__data__).filter((d) => d && d.data && d.children);
  const zoom = [];
  for (let i = 0; i < 12; i++) {
    const from = performance.now();
    chart.zoomTo(i % 2 ? data[0] : data[1 + (i * 7) % Math.max(1, data.length - 1)] ?? data[0]);
    await painted();
    zoom.push(performance.now() - from);
  }
  const over = (i) => frames[i % frames.length].dispatchEvent(new MouseEvent('mouseover', { bubbles: true }));
  const move = await window.frames(over, 30);
  return { paint, zoom, hover: move };
}"""

EVENTS = """(n) => {
  const { parent, total, label } = tree(n);
  const names = new Map(); const events = []; const next = new Float64Array(n); const open = [];
  const id = (i) => { const key = label(i); if (!names.has(key)) names.set(key, names.size); return names.get(key); };
  const close = () => { const [i, end] = open.pop(); events.push({ type: 'C', frame: id(i), at: end }); };
  for (let i = 0; i < n; i++) {
    while (open.length && open.at(-1)[0] !== parent[i]) close();
    const at = i ? next[parent[i]] : 0;
    if (i) next[parent[i]] += total[i];
    next[i] = at;
    events.push({ type: 'O', frame: id(i), at });
    open.push([i, at + total[i]]);
  }
  while (open.length) close();
  const frames = [...names.keys()].map((name) => ({ name }));
  return JSON.stringify({ $schema: 'https://www.speedscope.app/file-format-schema.json', shared: { frames },
    profiles: [{ type: 'evented', name: 'bench', unit: 'none', startValue: 0, endValue: total[0], events }] });
}"""

DRAWN = """
window.drawn = [];
for (const kind of [window.WebGLRenderingContext, window.WebGL2RenderingContext]) {
  if (!kind) continue;
  for (const name of ['drawElements', 'drawArrays']) {
    const was = kind.prototype[name];
    kind.prototype[name] = function (...args) { window.drawn.push(performance.now()); return was.apply(this, args); };
  }
}
"""


def main(sizes: list[int]) -> None:
    subprocess.run(["npm", "run", "--silent", "demo"], cwd=JS, check=True)
    peers = installed()
    rows = []
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        browser = playwright.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        for n in sizes:
            rows.append(ours(browser, n))
            show(rows[-1])
            if peers:
                for measure in (d3, lambda b, size: speedscope(b, size, Path(folder))):
                    rows.append(measure(browser, n))
                    show(rows[-1])
        browser.close()
    print("\nbundles, minified")
    for path in sorted(STATIC.glob("*.js")):
        print(f"  {path.name:<16} {path.stat().st_size / 1024:6.1f} KB")


def installed() -> bool:
    """Install the peers, for this benchmark alone; without a registry there is only tokprof."""
    if not (PEERS / "node_modules" / "d3-flame-graph").exists():
        command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"]
        if subprocess.run(command, cwd=PEERS, check=False).returncode:
            print("the peers could not be installed; tokprof alone", file=sys.stderr)
            return False
    entry = "export { select } from 'd3-selection'; export { default as flamegraph } from 'd3-flame-graph';"
    command = [
        str(JS / "node_modules" / ".bin" / "esbuild"),
        "--bundle",
        "--minify",
        "--format=iife",
        "--global-name=d3peer",
    ]
    command.append("--outfile=node_modules/d3peer.js")
    subprocess.run(command, cwd=PEERS, input=entry.encode(), check=True, stderr=subprocess.DEVNULL)
    return True


@contextmanager
def page_of(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1248, "height": 800})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto((JS / "demo" / "index.html").as_uri())
    page.add_script_tag(content=HELPERS)
    page.evaluate(f"() => {{ window.tree = {TREE}; }}")
    yield page
    context.close()


def ours(browser: Browser, n: int) -> dict[str, Any]:
    with page_of(browser) as page:
        found = page.evaluate(OURS, [(STATIC / "flamegraph.js").read_text("utf-8"), n])
    return {"who": "tokprof", "n": n, **found}


def d3(browser: Browser, n: int) -> dict[str, Any]:
    row = {"who": "d3-flame-graph, minFrameSize(1)", "n": n}
    with suppress(BrowserError), page_of(browser) as page:
        page.add_script_tag(path=PEERS / "node_modules" / "d3peer.js")
        row |= page.evaluate(D3, n)
    return row


def speedscope(browser: Browser, n: int, folder: Path) -> dict[str, Any]:
    """Open speedscope's own page on a file; it draws with WebGL, here without a GPU."""
    row: dict[str, Any] = {"who": "speedscope", "n": n}
    release = JS / "node_modules" / "speedscope" / "dist" / "release"
    for source in release.iterdir():
        if not (folder / source.name).exists():
            (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / source.name)
    with page_of(browser) as page:
        text = page.evaluate(EVENTS, n)
    (folder / "bench.json").write_text(text)
    row["bytes"] = len(text)
    with suppress(BrowserError), served(folder) as address:
        context = browser.new_context(viewport={"width": 1248, "height": 800})
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.add_init_script(DRAWN + HELPERS)
        page.goto(f"{address}/index.html#profileURL={address}/bench.json")
        page.wait_for_function("() => drawn.length > 0 && performance.now() - drawn.at(-1) > 1500")
        row["paint"] = page.evaluate("() => drawn.at(-1)")
        for what in ("zoom", "hover"):
            act = "wheel" if what == "zoom" else "hover"
            at = "document.elementFromPoint(600, 400)"
            row[what] = page.evaluate(f"() => {{ const at = {at}; return frames((i, c) => {act}(at, i, c)); }}")
        context.close()
    return row


@contextmanager
def served(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def show(row: dict[str, Any]) -> None:
    def frames(name: str) -> str:
        if not row.get(name):
            return f"{'-':>13}"
        times = sorted(row[name])
        return f"{statistics.median(times):6.0f}/{times[int(0.95 * (len(times) - 1))]:<6.0f}"

    size = f"{row['bytes'] / 1e6:8.2f}" if "bytes" in row else f"{'-':>8}"
    paint = f"{row['paint']:8.0f}" if "paint" in row else f"{'-':>8}"
    extra = ", ".join(f"{name} {ms:.0f}" for name, ms in row.get("switches", {}).items())
    more = f"  built {row['built']:.0f}, {extra}" if extra else ""
    print(f"{row['n']:>9,} {row['who']:<32}{size}{paint} {frames('zoom')} {frames('hover')}{more}", flush=True)


if __name__ == "__main__":
    print(f"{'spans':>9} {'':<32}{'MB':>8}{'paint ms':>9} zoom p50/95 hover p50/95 (ms a frame)")
    main([int(size) for size in sys.argv[1].split(",")] if len(sys.argv) > 1 else list(SIZES))
