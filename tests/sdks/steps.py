"""Frameworks in a real kernel: the steps around each call, and the chain of functions and lines that led to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from kernel.conftest import Kernel, start_new_kernel

import tokprof

SETUP = """\
%load_ext tokprof
import asyncio, linecache, tokprof
from tokprof.testing import SimulatedProvider
provider = SimulatedProvider().start()
inside = provider.openai()

def ask():
    inside.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "inside"}])

def script(*answers):
    provider.clear()
    for answer in answers:
        provider.reply(**(answer if isinstance(answer, dict) else {"text": answer}))

def seen(prof):
    rows = prof.df.set_index("span_id")
    found = []
    for id, row in rows[rows["usage_source"].notna()].iterrows():
        steps, up = [], row["parent_id"]
        while rows.loc[up, "kind"] not in ("cell", "profile"):
            steps.append(rows.loc[up, "kind"] + " " + rows.loc[up, "name"])
            up = rows.loc[up, "parent_id"]
        chain = [(f.cell, f"{f.function}: {linecache.getline(f.file, f.line).strip()}") for f in row["stack"]]
        found.append((" > ".join(reversed(steps)), chain))
    return found
"""

WEATHER = {"tool_calls": [("weather", {"city": "Bern"})]}


@dataclass(frozen=True)
class Case:
    """A call of a function of the framework's cell.

    Attributes
    ----------
    call : str
        Expression, perhaps with ``await``.
    seen : list of tuple
        For each model call: the steps around it, and the functions with the source of their lines, from the one that
        `call` calls on.
    answers : tuple
        What the provider answers, in order.
    """

    call: str
    seen: list[tuple[str, list[str]]]
    answers: tuple[Any, ...] = ()


class Notebook:
    """A kernel with tokprof, a simulated provider and the cell of a framework."""

    def __init__(self, kernel: Kernel, code: str):
        self.kernel = kernel
        self.setup = kernel(SETUP).executed
        self.defined = kernel(code).executed

    def run(self, case: Case) -> tuple[list[Any], list[Any]]:
        """Run the call; give what was seen of it, and what should have been."""
        self.kernel(f"script(*{case.answers!r})")
        ran = self.kernel(f"%%tokprof prof --quiet\n# the call\n{case.call}").executed
        expected = []
        for steps, chain in case.seen:
            cells = [self.setup if said.startswith("ask: ") else self.defined for said in chain]
            expected.append((steps, [(ran, f"<module>: {case.call}"), *zip(cells, chain, strict=True)]))
        return sorted(self.kernel.value("seen(prof)")), sorted(expected)


def notebook(code: str) -> Any:
    """Make the fixture of a notebook with this cell."""

    @pytest.fixture(scope="module", name="notebook")
    def running() -> Iterator[Notebook]:
        manager, client = start_new_kernel(kernel_name="python3")
        try:
            yield Notebook(Kernel(manager, client), code)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)

    return running


def steps(prof: tokprof.Profile) -> list[str]:
    """Kind, name, status and error of every named step, in order of their start."""
    rows = prof.df[prof.df["usage_source"].isna()]
    rows = rows[~rows["kind"].isin(["cell", "profile"])]
    return [
        f"{row.kind} {row.name_}: {row.status}" + (f" {row.error}" if isinstance(row.error, str) else "")
        for row in rows.rename(columns={"name": "name_"}).itertuples()
    ]
