"""What tokprof costs beside its peers, in one run: ``make bench``; ``ROUNDS=99 make bench`` looks longer.

For each peer two processes live in its environment, the bare SDK in one and the peer at work in the other. All of them
run small batches in turn, in alternating order, so that a slow moment of the machine meets everybody. What is compared
is CPU time of the whole process, threads in the background and a flush at the end included; a transport inside the
process answers, nothing is sent. Added is the median of the rounds' differences, with quartiles; "least" is the least
disturbed batch of the one less that of the other. Believe ratios, and compare them within a run.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from environments import HERE, Peer, peers, python_of

ROUNDS = int(os.environ.get("ROUNDS", "31"))


class Workload(NamedTuple):
    """Name, how often it runs in a batch, units and model calls of one run, title."""

    name: str
    times: int
    units: int
    calls: int
    title: str


WORKLOADS = (
    Workload("short", 20, 1, 1, "call, 1 kB prompt"),
    Workload("long", 4, 1, 1, "call, 40 kB prompt in 40 messages"),
    Workload("stream", 1, 1, 1, "stream of 200 chunks with usage, per stream"),
    Workload("gather", 1, 100, 100, "asyncio.gather of 100, per call"),
    Workload("function", 500, 1, 0, "decorated function that does nothing"),
)


class Result(NamedTuple):
    """Microseconds a unit: quartiles of what was added, least disturbed, the bare SDK."""

    low: float
    added: float
    high: float
    least: float
    bare: float

    @property
    def ratio(self) -> float:
        return (self.bare + self.added) / self.bare


class Worker:
    """A process that measures on demand."""

    def __init__(self, python: Path, adapter: str):
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "PYTHON"))}
        self._process = subprocess.Popen(
            [str(python), str(HERE / "worker.py"), adapter],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment | {"PYTHONHASHSEED": "0"},
        )

    def measure(self, workload: Workload) -> dict[str, Any]:
        """Run one batch."""
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(json.dumps({"workload": workload.name, "times": workload.times}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        return json.loads(line) if line else {"error": "its process ended"}

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin
        try:
            self._process.stdin.close()
            self._process.wait(10)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()


class Pair(NamedTuple):
    """The two processes of a peer."""

    peer: Peer
    bare: Worker
    other: Worker


def measure(pairs: list[Pair], workload: Workload) -> dict[str, Result]:
    """Measure one workload of everybody; who fails is named on stderr and left out."""
    rounds: dict[str, list[tuple[float, float]]] = {pair.peer.name: [] for pair in pairs}
    failed: set[str] = set()
    for index in range(-1, max(3, ROUNDS)):
        for pair in pairs[index % len(pairs) :] + pairs[: index % len(pairs)]:
            if pair.peer.name in failed:
                continue
            try:
                taken = _round(pair, workload, bool(index % 2))
            except RuntimeError as error:
                print(f"{pair.peer.label}, {workload.title}: {error}", file=sys.stderr, flush=True)
                failed.add(pair.peer.name)
            else:
                rounds[pair.peer.name].append(taken)
    return {name: _result(taken[1:]) for name, taken in rounds.items() if name not in failed}


def _round(pair: Pair, workload: Workload, bare_first: bool) -> tuple[float, float]:
    order = (pair.bare, pair.other) if bare_first else (pair.other, pair.bare)
    told = {worker: worker.measure(workload) for worker in order}
    for answer in told.values():
        if "error" in answer:
            raise RuntimeError(answer["error"])
        if answer["refused"]:
            raise RuntimeError(f"it wanted to reach {', '.join(answer['refused'])}")
    calls = workload.times * workload.calls
    if told[pair.other]["recorded"] != calls:
        raise RuntimeError(f"it recorded {told[pair.other]['recorded']} of {calls} calls")
    scale = 1000 * workload.times * workload.units
    return told[pair.bare]["cpu"] / scale, told[pair.other]["cpu"] / scale


def _result(taken: list[tuple[float, float]]) -> Result:
    low, added, high = statistics.quantiles([b - a for a, b in taken], n=4)
    least = min(b for _, b in taken) - min(a for a, _ in taken)
    return Result(low, added, high, least, statistics.median(a for a, _ in taken))


def show(workload: Workload, results: list[tuple[Peer, Result]], names: dict[str, str]) -> bool | None:
    """Print the rows of one workload; whether tokprof is below every peer, None where there is none."""
    print(workload.title)
    for peer, it in results:
        name = names[peer.name]
        if workload.name == "function" and peer.decorator:
            name += f" (decorator: {peer.decorator})"
        spread = f"[{it.low:,.1f} - {it.high:,.1f}]"
        print(f"  {name:<46} {it.added:>9,.1f} {spread:>22} {it.least:>9,.1f} {it.bare:>10,.1f} {it.ratio:>7.2f}x")
    ours = next((it for peer, it in results if peer.name == "tokprof"), None)
    others = [(it, peer) for peer, it in results if peer.environment != "tokprof"]
    if ours is None or not others:
        return None
    best, peer = min(others, key=lambda other: other[0].added)
    below = ours.added < best.added
    much = f", {best.added / ours.added:.1f} times as much" if ours.added > 0 else ""
    close = "; the quartiles overlap" if below and ours.high >= best.low else ""
    verdict = "tokprof is below every peer" if below else "tokprof is NOT below every peer"
    print(f"  {verdict}: the least of them is {peer.label} with {best.added:,.1f}{much}{close}\n", flush=True)
    return below


def title(peer: Peer, python: Path) -> str:
    """Label of a peer with the version that is installed."""
    package = next((it for it in peer.packages[2:] if "==" in it), "jupyter-tokprof").split("==")[0]
    code = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True)
    return f"{peer.label} {done.stdout.strip()}" + (f", {peer.note}" if peer.note else "")


def main() -> None:
    """Measure everybody, or the adapters that are named, and print one table."""
    wanted = set(sys.argv[1:])
    asked = [peer for peer in peers() if not wanted or peer.name in wanted]
    ready: list[tuple[Peer, Path]] = []
    for peer in asked:
        python = python_of(peer)
        if python is None and peer.environment == "tokprof":
            python = Path(sys.executable)
        if python is not None:
            ready.append((peer, python))
    begin = time.perf_counter()
    names = {peer.name: title(peer, python) for peer, python in ready}
    pairs = [Pair(peer, Worker(python, "bare"), Worker(python, peer.name)) for peer, python in ready]
    head = f"{'added, CPU us':<48} {'median':>9} {'[quartiles]':>22} {'least':>9} {'bare':>10} {'ratio':>8}"
    print(f"\n{head}\n{'-' * len(head)}", flush=True)
    below: list[bool | None] = []
    try:
        for workload in WORKLOADS:
            results = measure(pairs, workload)
            found = [(peer, results[peer.name]) for peer, _ in ready if peer.name in results]
            below.append(show(workload, found, names))
    finally:
        for pair in pairs:
            pair.bare.close(), pair.other.close()
    counted = [it for it in below if it is not None]
    told = f"tokprof is below every peer in {sum(counted)} of {len(counted)} workloads"
    if not counted:
        told = "no peer is installed, so tokprof stands alone; with a package index at hand, run it again"
    print(f"{told}, {ROUNDS} rounds, {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
