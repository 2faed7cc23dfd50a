"""One measured process: ``python worker.py ADAPTER``.

It reads a workload and how often to run it, a line of JSON each time, and answers with the CPU time of the whole
process in nanoseconds and the number of model calls that were recorded.
"""

from __future__ import annotations

import gc
import importlib
import json
import logging
import os
import sys
import time
import warnings
from typing import Any

import guard


def main() -> None:
    guard.close()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a peer prints is not an answer
    adapter = importlib.import_module(f"adapters.{sys.argv[1]}").Adapter()
    adapter.activate()
    workloads = importlib.import_module("workloads").make(adapter.decorate)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            told: dict[str, Any] = measure(adapter, workloads[asked["workload"]], asked["times"])
        except Exception as error:
            told = {"error": f"{type(error).__name__}: {error}"[:200]}
        answers.write(json.dumps(told | {"refused": sorted(guard.refused)}) + "\n")
    answers.flush()
    os._exit(0)  # a peer's exit handlers may wait for a server that is not there


def measure(adapter: Any, batch: Any, times: int) -> dict[str, Any]:
    gc.collect()
    gc.freeze()
    begin = time.process_time_ns()
    with adapter.watch():
        batch(times)
    adapter.flush()
    taken = time.process_time_ns() - begin
    return {"cpu": taken, "recorded": adapter.take()}


if __name__ == "__main__":
    main()
