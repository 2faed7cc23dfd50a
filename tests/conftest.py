"""Fixtures shared by all tests: the simulated provider, a fake clock, and tokprof as it is in a fresh process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

import tokprof.allowance.guard
import tokprof.capture.wire.call
import tokprof.recorder
from tokprof.span import Frame
from tokprof.testing import SimulatedProvider

SECOND = 1_000_000_000
NEW_YEAR = 1_767_225_600 * SECOND  # 2026-01-01T00:00:00Z


@pytest.fixture
def provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider() as running:
        yield running


@pytest.fixture(autouse=True)
def fresh_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test may be warned once of each thing."""
    monkeypatch.setattr(tokprof.recorder, "_warned", set())


@pytest.fixture(autouse=True)
def fresh_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """No budget has seen an answer of any model."""
    monkeypatch.setattr(tokprof.allowance.guard, "_largest_answer", {})


class Clock:
    """Time stands still until `advance`."""

    def __init__(self) -> None:
        self.now = 0

    def advance(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)

    def monotonic(self) -> int:
        return self.now + 77 * SECOND

    def wall(self) -> int:
        return self.now + NEW_YEAR


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    for name in ("tokprof.recorder", "tokprof.capture.wire.call", "tokprof.profile"):
        monkeypatch.setattr(sys.modules[name], "clock", fake.monotonic)
    monkeypatch.setattr(tokprof.recorder, "wall_clock", fake.wall)
    return fake


@pytest.fixture
def frames(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the user frames of what opens next: ``frames("In[3]:2 <module>", "agent.py:7 ask")``."""
    stack = SimpleNamespace(now=())

    def parse(text: str) -> Frame:
        place, _, function = text.partition(" ")
        file, _, line = place.rpartition(":")
        cell = int(file[3:-1]) if file.startswith("In[") else None
        return Frame(function, file, int(line), cell)

    def set_to(*texts: str) -> None:
        stack.now = tuple(parse(text) for text in texts)

    monkeypatch.setattr(tokprof.recorder, "snapshot", lambda depth=1, task=None: stack.now)
    return set_to
