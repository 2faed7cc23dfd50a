"""What tokprof costs beside its peers, in one run: ``make bench``; ``ROUNDS=99 make bench`` looks longer.

For each peer two processes live in its environment, the bare SDK in one and the peer at work in the other. They run
small batches in turn, in alternating order, so that a slow moment of the machine meets both. What is compared is CPU
time of the whole process, threads in the background and a flush at the end included; a transport inside the process
answers, nothing is sent. "added" is the median of the rounds' differences, with quartiles; "least" is the least
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
    Workload("short", 25, 1, 1, "call, 1 kB prompt"),
    Workload("long", 6, 1, 1, "call, 40 kB prompt in 40 messages"),
    Workload("stream", 2, 1, 1, "stream of 200 chunks with usage, per stream"),
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

    def measure(self, workload: Workload, times: int) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(json.dumps({"workload": workload.name, "times": times}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        return json.loads(line) if line else {"error": "its process ended"}

    def close(self) -> None:
        assert self._process.stdin
        try:
            self._process.stdin.close()
            self._process.wait(10)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()


def measure(peer: Peer, python: Path) -> dict[str, Result]:
    """Measure every workload of one peer; those that fail are named on stderr and left out."""
    bare, other = Worker(python, "bare"), Worker(python, peer.name)
    results: dict[str, Result] = {}
    try:
        for workload in WORKLOADS:
            try:
                results[workload.name] = _pairs(bare, other, workload)
            except RuntimeError as error:
                print(f"{peer.label}, {workload.title}: {error}", file=sys.stderr, flush=True)
    finally:
        bare.close(), other.close()
    return results


def _pairs(bare: Worker, other: Worker, workload: Workload) -> Result:
    times, calls = workload.times, workload.times * workload.calls
    for worker in (bare, other):
        worker.measure(workload, max(1, times // 2))
    pairs: list[tuple[float, float]] = []
    for index in range(max(3, ROUNDS)):
        order = (bare, other) if index % 2 else (other, bare)
        told = {worker: worker.measure(workload, times) for worker in order}
        for answer in told.values():
            if "error" in answer:
                raise RuntimeError(answer["error"])
            if answer["refused"]:
                raise RuntimeError(f"it wanted to reach {', '.join(answer['refused'])}")
        if told[other]["recorded"] != calls:
            raise RuntimeError(f"it recorded {told[other]['recorded']} of {calls} calls")
        scale = 1000 * times * workload.units
        pairs.append((told[bare]["cpu"] / scale, told[other]["cpu"] / scale))
    low, added, high = statistics.quantiles([b - a for a, b in pairs], n=4)
    least = min(b for _, b in pairs) - min(a for a, _ in pairs)
    return Result(low, added, high, least, statistics.median(a for a, _ in pairs))


def show(workload: Workload, results: list[tuple[Peer, Result]], names: dict[str, str]) -> bool | None:
    """Print the rows of one workload; whether tokprof is below every peer, None where there is none."""
    print(f"\n{workload.title}")
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
    below = ours.added < best.added and ours.least < min(it.least for it, _ in others)
    much = f", {best.added / ours.added:.1f} times tokprof's" if ours.added > 0 else ""
    clear = "" if ours.high < best.low or not below else "; the quartiles overlap"
    print(f"  {'tokprof is below every peer' if below else 'tokprof is NOT below every peer'}: "
          f"the least of them is {peer.label} with {best.added:,.1f}{much}{clear}")  # fmt: skip
    return below


def version(peer: Peer, python: Path) -> str:
    """Label of a peer with the version that is installed."""
    package = next((it for it in peer.packages[2:] if "==" in it), "jupyter-tokprof").split("==")[0]
    code = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
    return f"{peer.label} {subprocess.run([str(python), '-c', code], capture_output=True, text=True).stdout.strip()}"


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
    results: dict[str, dict[str, Result]] = {}
    for peer, python in ready:
        print(f"measuring {peer.label}", file=sys.stderr, flush=True)
        results[peer.name] = measure(peer, python)
    names = {peer.name: version(peer, python) for peer, python in ready}
    head = f"{'added, CPU us':<48} {'median':>9} {'[quartiles]':>22} {'least':>9} {'bare':>10} {'ratio':>8}"
    print(f"\n{head}\n{'-' * len(head)}", end="")
    below = [show(it, [(p, results[p.name][it.name]) for p, _ in ready if it.name in results[p.name]], names)
             for it in WORKLOADS]  # fmt: skip
    counted = [it for it in below if it is not None]
    if counted:
        print(f"\ntokprof is below every peer in {sum(counted)} of {len(counted)} workloads", end="")
    else:
        print("\nno peer could be installed, so tokprof stands alone; it takes a package index", end="")
    print(f", {ROUNDS} rounds, {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
