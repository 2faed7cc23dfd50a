"""What tokprof costs, bare and profiled side by side in one run: ``make bench``.

CPU time of the whole process, microseconds. A pair is one batch without a recording and one with it, in alternating
order, so that a slow moment of the machine meets both; the median and the quartiles are those of the pairs'
differences, "least" is the least disturbed batch of the one less that of the other. Believe ratios, and compare runs.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import openai
from openai import AsyncOpenAI, OpenAI

import tokprof
from tokprof.capture.wire import install, uninstall
from tokprof.recorder import Recording, clock, end_span, new_span
from tokprof.span import Frame, Span, Stack, Usage

STATIC = Path(tokprof.__file__).parent / "static"
SHORT, LONG = "word " * 200, "word " * 8_000
Batch = Callable[[], Any]


class Result(NamedTuple):
    """Differences of the pairs, per unit: quartiles, that of the least disturbed batches; bare cost."""

    low: float
    median: float
    high: float
    least: float
    bare: float


# --- what is measured ---------------------------------------------------------------------------


def answer(text: str = "fine " * 100) -> bytes:
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "gpt-5-mini-2025-08-07",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 210,
            "completion_tokens": 100,
            "total_tokens": 310,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
    }
    return json.dumps(body).encode()


def events(count: int) -> list[bytes]:
    head: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": "gpt-5-mini",
    }
    bodies = [
        head | {"choices": [{"index": 0, "delta": {"content": f"word{i} "}, "finish_reason": None}], "usage": None}
        for i in range(count - 2)
    ]
    bodies.append(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": None})
    usage = {"prompt_tokens": 210, "completion_tokens": count, "total_tokens": 210 + count}
    bodies.append(head | {"choices": [], "usage": usage})
    return [b"data: " + json.dumps(body).encode() + b"\n\n" for body in bodies] + [b"data: [DONE]\n\n"]


class Chunks(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body that is read from a stream, as one from a socket is."""

    def __init__(self, chunks: list[bytes]):
        self._chunks = chunks

    def __iter__(self) -> Any:
        yield from self._chunks

    async def __aiter__(self) -> Any:
        for chunk in self._chunks:
            yield chunk


JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream"}
ANSWER = answer()


def handle(_request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, headers=JSON, stream=Chunks([ANSWER]))


async def handle_async(_request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, headers=JSON, stream=Chunks([ANSWER]))


def streaming(count: int) -> httpx2.Client:
    chunks = events(count)

    def handle(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers=SSE, stream=Chunks(chunks))

    return httpx2.Client(transport=httpx2.MockTransport(handle))


def sdk(client: httpx2.Client) -> OpenAI:
    return OpenAI(api_key="none", base_url="https://api.openai.com/v1", http_client=client, max_retries=0)  # type: ignore[arg-type]


def chat(prompt: str) -> Batch:
    client = sdk(httpx2.Client(transport=httpx2.MockTransport(handle)))
    messages: Any = [{"role": "user", "content": prompt}]
    return lambda: client.chat.completions.create(model="gpt-5-mini", messages=messages)


def raw(prompt: str) -> Batch:
    client = httpx2.Client(transport=httpx2.MockTransport(handle))
    body = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": prompt}]}
    return lambda: client.post("https://api.openai.com/v1/chat/completions", json=body).json()


def stream(count: int) -> Batch:
    client = sdk(streaming(count))
    messages: Any = [{"role": "user", "content": SHORT}]

    def consume() -> None:
        for _ in client.chat.completions.create(
            model="gpt-5-mini", messages=messages, stream=True, stream_options={"include_usage": True}
        ):
            pass

    return consume


def raw_stream(count: int) -> Batch:
    client = streaming(count)

    def consume() -> None:
        body = {"model": "gpt-5-mini", "stream": True}
        with client.stream("POST", "https://api.openai.com/v1/chat/completions", json=body) as response:
            for _ in response.iter_raw():
                pass

    return consume


def gather(loop: asyncio.AbstractEventLoop, count: int) -> Batch:
    client = AsyncOpenAI(
        api_key="none",
        base_url="https://api.openai.com/v1",
        max_retries=0,
        http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(handle_async)),  # type: ignore[arg-type]
    )
    messages: Any = [{"role": "user", "content": SHORT}]

    async def one() -> None:
        await client.chat.completions.create(model="gpt-5-mini", messages=messages)

    async def all_of_them() -> None:
        await asyncio.gather(*(one() for _ in range(count)))

    return lambda: loop.run_until_complete(all_of_them())


def nothing() -> None: ...


decorated = tokprof.span(kind="task")(nothing)


# --- how it is measured ---------------------------------------------------------------------------


def cpu(batch: Batch, times: int) -> float:
    begin = time.process_time_ns()
    for _ in range(times):
        batch()
    return (time.process_time_ns() - begin) / 1000


def recorded(batch: Batch, times: int) -> float:
    begin = time.process_time_ns()
    with tokprof.profile():
        for _ in range(times):
            batch()
    return (time.process_time_ns() - begin) / 1000


def compare(bare: Callable[[], float], other: Callable[[], float], units: int, seconds: float) -> Result:
    bare(), other()
    pairs: list[tuple[float, float]] = []
    gc.collect()
    gc.disable()
    try:
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline or len(pairs) < 5:
            if len(pairs) % 2:
                second, first = other(), bare()
            else:
                first, second = bare(), other()
            pairs.append((first / units, second / units))
            if len(pairs) % 8 == 0:
                gc.collect()
    finally:
        gc.enable()
    low, median, high = statistics.quantiles([b - a for a, b in pairs], n=4)
    least = min(a for a, _ in pairs)
    return Result(low, median, high, min(b for _, b in pairs) - least, statistics.median(a for a, _ in pairs))


def profiled(batch: Batch, times: int, units: int = 1, seconds: float = 3.0) -> Result:
    return compare(lambda: cpu(batch, times), lambda: recorded(batch, times), times * units, seconds)


def idle(batch: Batch, times: int, seconds: float = 3.0) -> Result:
    def bare() -> float:
        uninstall()
        return cpu(batch, times)

    def hooked() -> float:
        install()
        return cpu(batch, times)

    return compare(bare, hooked, times, seconds)


def recording_of(calls: int) -> Recording:
    """A finished recording as `calls` calls from two functions leave it."""
    recording = Recording("bench", "profile")
    recording.open()
    step = recording.root
    for index in range(calls - 1):
        if index % 10 == 0:
            step = new_span("step", "task", recording.root)
            end_span(step, "ok")
            recording.add(step)
        else:
            recording.add(call(step, index))
    recording.close()
    return recording


def call(parent: Span, index: int) -> Span:
    span = new_span("chat gpt-5-mini", "llm", parent)
    span.operation, span.provider, span.model, span.request_model = "chat", "openai", "gpt-5-mini", "gpt-5-mini"
    span.host, span.http_status, span.attempt, span.stream = "api.openai.com", 200, 1, False
    span.finish_reason, span.source = "stop", "reported"
    span.usage = Usage(input_tokens=1000 + index, output_tokens=index % 700, cache_read_tokens=0, reasoning_tokens=0)
    span.usage_raw = json.dumps({"prompt_tokens": 1000 + index, "completion_tokens": index % 700})
    span.closed, span.status = clock(), "ok"
    return span


MODELS = (
    *(("openai", name) for name in ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-5-mini")),
    *(("anthropic", name) for name in ("claude-sonnet-4-5", "claude-haiku-4-5")),
    *(("gcp.gemini", name) for name in ("gemini-2.5-pro", "gemini-2.5-flash")),
    (None, "a-model-of-your-own"),
)


class Program:
    """A finished recording as a large program leaves it.

    A fifth of the spans are steps, up to three inside each other; 200 functions, ten models, and trees eight deep. A
    fifth of the steps run as tasks beside what comes next, and may go on after the step that began them. With
    `distinct`, no two calls come from the same line.
    """

    def __init__(self, spans: int, distinct: bool = False):
        self.draw, self.distinct = random.Random(1), distinct
        self.recording = Recording("bench", "profile")
        self.recording.open()
        self.recording.close()
        self.now = self.recording.root.opened
        self.stacks: dict[tuple[int, ...], Stack] = {}
        while len(self.recording.spans) < spans:
            self.step(self.recording.root, (), spans)
        self.recording.root.closed = self.now
        self.recording.changed()

    def stack(self, path: tuple[int, ...]) -> Stack:
        known = self.stacks.get(path)
        if known is None:
            frames = [Frame("<module>", "main.ipynb", 1, 7)]
            frames += [Frame(f"function_{at}", f"module_{at % 20}.py", at + 1, None) for at in path]
            known = self.stacks[path] = Stack(frames)
        return known

    def add(self, name: str, kind: str, parent: Span, path: tuple[int, ...]) -> Span:
        self.now += self.draw.randrange(1_000, 1_000_000)
        if self.distinct:
            path = (*path, 1_000 + len(self.recording.spans))
        span = replace(new_span(name, kind, parent), start=self.recording.root.start + self.now, opened=self.now)
        span.stack, span.task, span.status = self.stack(path), parent.task, "ok"
        self.recording.add(span)
        return span

    def step(self, parent: Span, path: tuple[int, ...], most: int) -> None:
        which = self.draw.randrange(4 if path else 50)  # what a function calls stands in its code
        path = (*path, (7 * sum(path) + which) % 50 + 50 * len(path))
        step = self.add(f"step {which}", ("agent", "tool", "task", "chain")[which % 4], parent, path)
        began = self.now
        if aside := self.draw.random() < 0.2:
            step.task = f"Task-{which}"
        for _ in range(self.draw.randrange(3, 8)):
            if len(path) < 3 and self.draw.random() < 0.25 and len(self.recording.spans) < most:
                self.step(step, path, most)
            elif len(self.recording.spans) < most:
                self.call(step, (*path, (7 * sum(path) + self.draw.randrange(3)) % 50 + 150))
        step.closed = self.now
        if aside:
            self.now = began + (self.now - began) // 3

    def call(self, step: Span, path: tuple[int, ...]) -> None:
        provider, model = self.draw.choice(MODELS)
        span = self.add(f"chat {model}", "llm", step, path)
        span.operation, span.provider, span.model, span.request_model = "chat", provider, model, model
        span.host, span.http_status, span.attempt, span.stream = "api.example.com", 200, 1, self.draw.random() < 0.5
        span.finish_reason, span.source = "stop", "reported"
        tokens = self.draw.randrange(100, 9_000), self.draw.randrange(900), self.draw.randrange(100)
        span.usage = Usage(*tokens, cache_write_tokens=0, reasoning_tokens=0)
        span.usage_raw = json.dumps({"input_tokens": tokens[0], "output_tokens": tokens[1]})
        self.now += self.draw.randrange(1_000_000, 9_000_000)
        span.closed = self.now
        if span.stream:
            span.first_token = span.opened + 500_000


def memory(calls: int) -> float:
    """Bytes a call that went through the wire leaves behind."""
    client = httpx2.Client(transport=httpx2.MockTransport(handle))
    body = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hello"}]}
    warm = tokprof.profile()
    with warm:
        client.post("https://api.openai.com/v1/chat/completions", json=body)
    del warm
    gc.collect()
    tracemalloc.start()
    with tokprof.profile() as prof:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(calls):
            client.post("https://api.openai.com/v1/chat/completions", json=body)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert prof.totals.calls == calls
    return (after - before) / calls


def milliseconds(work: Callable[[], Any], times: int = 5) -> float:
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        taken.append((time.perf_counter() - begin) * 1000)
    return min(taken)


def median_of(work: Callable[[], Any], times: int = 5) -> float:
    """Milliseconds."""
    taken = []
    for _ in range(times):
        gc.collect()
        begin = time.perf_counter()
        work()
        taken.append((time.perf_counter() - begin) * 1000)
    return statistics.median(taken)


LOAD = """
import sys, time
import IPython, ipywidgets
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
before = set(sys.modules)
begin = time.perf_counter()
shell.run_line_magic("load_ext", "tokprof")
print(time.perf_counter() - begin, len(set(sys.modules) - before))
"""


def load() -> tuple[float, int]:
    """Seconds and modules of ``%load_ext tokprof`` in a fresh process."""
    runs = []
    for _ in range(4):
        done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=True)
        taken, modules = done.stdout.split()[-2:]
        runs.append((float(taken), int(modules)))
    return min(runs)


# --- what is printed ------------------------------------------------------------------------------

_met: list[bool] = []


def verdict(value: float, target: float | None, unit: str) -> str:
    if target is None:
        return ""
    _met.append(value <= target)
    return f"{'met' if value <= target else 'MISSED':>6}: <= {target:g} {unit}"


def row(name: str, result: Result, target: float | None = None, unit: str = "us") -> None:
    ratio = (result.bare + result.median) / result.bare
    spread = f"[{result.low:.2f} - {result.high:.2f}]"
    print(
        f"{name:<48} {result.median:>9.2f} {spread:>20} {result.least:>9.2f} {result.bare:>11.2f} {ratio:>6.2f}x  "
        f"{verdict(result.median, target, unit)}",
        flush=True,
    )


def line(name: str, value: float, unit: str, target: float | None = None, note: str = "") -> None:
    shown = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    print(f"{name:<48} {shown:>9} {unit:<8} {note:<52} {verdict(value, target, unit)}", flush=True)


def main() -> None:
    begin = time.perf_counter()
    print(f"tokprof {tokprof.__version__}, openai {openai.__version__}, Python {sys.version.split()[0]}\n")
    head = f"{'added, CPU us':<48} {'median':>9} {'[quartiles]':>20} {'least':>9} {'bare':>11} {'ratio':>7}  target"
    print(head, "-" * len(head), sep="\n")
    row("call, openai SDK, 1 kB prompt", profiled(chat(SHORT), 100), 60)
    row("call, openai SDK, 40 kB prompt", profiled(chat(LONG), 50))
    row("call, httpx2, 1 kB prompt", profiled(raw(SHORT), 200), 60)
    row("call, httpx2, 40 kB prompt", profiled(raw(LONG), 100))
    for count in (200, 500):
        row(f"stream of {count}, openai SDK, per chunk", profiled(stream(count), 2, count, 6.0), 1)
        row(f"stream of {count}, httpx2, per chunk", profiled(raw_stream(count), 20, count), 1)
    loop = asyncio.new_event_loop()
    row("gather of 100, openai SDK, per call", profiled(gather(loop, 100), 1, 100), 60)
    loop.close()
    row("decorated function that does nothing", compare_decorated(), 5)
    row("hooks installed, no recording, httpx2 call", idle(raw(SHORT), 200))
    print()
    wire = memory(20_000)
    line("memory, per call without content", wire, "bytes", 1024, "20,000 calls through httpx2")
    print()
    large()
    small = recording_of(1_000)
    pieces = {
        "table": lambda: fresh(small).table,
        "+ call tree": lambda: fresh(small).call_tree,
        "+ merged tree": lambda: fresh(small).merged_tree,
        "+ text": lambda: str(fresh(small)),
        "+ snapshot": lambda: fresh(small).snapshot(),
        "+ widget": lambda: fresh(small).flamegraph(),
    }
    parts = ", ".join(f"{name} {milliseconds(work):.0f}" for name, work in pieces.items())
    line("display of 1,000 spans, the kernel's part", milliseconds(lambda: display(small)), "ms", 150, parts)
    taken, modules = load()
    line("%load_ext tokprof in a fresh process", taken, "s", 0.3, f"{modules} modules beyond IPython and ipywidgets")
    size = (STATIC / "flamegraph.js").stat().st_size / 1024
    line("flamegraph.js", size, "KB", 60, f"with {(STATIC / 'flamegraph.css').stat().st_size / 1024:.1f} KB of CSS")
    print(f"\n{sum(_met)} of {len(_met)} targets met, {time.perf_counter() - begin:.0f} s")


QUESTIONS: dict[str, tuple[Callable[[tokprof.Profile], Any], float | None]] = {
    "prof.df": (lambda prof: prof.df, 300),
    "prof.tree()": (lambda prof: (prof._cache.pop("merged_tree", None), prof.tree()), 500),
    "the tree in call order": (lambda prof: (prof._cache.pop("call_tree", None), prof.call_tree), 500),
    'prof.by("model")': (lambda prof: prof.by("model"), 500),
    'prof.by("function", "line")': (lambda prof: prof.by("function", "line"), 500),
    "prof.critical_path()": (lambda prof: prof.critical_path(), 500),
    'prof.critical_path("cost")': (lambda prof: prof.critical_path("cost"), 500),
    "prof.slack()": (lambda prof: prof.slack(), 500),
    "prof.levels()": (lambda prof: prof.levels(), 500),
    "prof.to_otlp()": (lambda prof: prof.to_otlp(), 3_000),
}
"""What is asked of a profile of 100,000 spans, and milliseconds that it may take."""


def large() -> None:
    """100,000 spans: the table, and what each question takes when it is there."""
    calls, recording = recording_of(100_000), Program(100_000).recording
    prof = tokprof.Profile(recording)
    nodes = f"{len(prof.call_tree):,} nodes, {len(prof.merged_tree):,} merged"
    line("prof.df of 100,000 calls, with their table", median_of(lambda: fresh(calls).df), "ms", 300)
    line(
        "a program of 100,000 spans: the table", median_of(lambda: fresh(recording).table), "ms", None, "sorted, priced"
    )
    for name, (ask, target) in QUESTIONS.items():
        line(f"  {name}", median_of(partial(ask, prof)), "ms", target, nodes if "tree" in name else "")


def compare_decorated() -> Result:
    """In recordings of 1,000 steps, as a program has them."""
    return compare(lambda: cpu(nothing, 1_000), lambda: recorded(decorated, 1_000), 1_000, 3.0)


def fresh(recording: Recording) -> tokprof.Profile:
    return tokprof.Profile(recording)


def display(recording: Recording) -> None:
    """As a cell that has just ended: two outputs, made from nothing."""
    prof = fresh(recording)
    prof.flamegraph()._repr_mimebundle_()
    str(prof), prof.snapshot()


if __name__ == "__main__":
    main()
