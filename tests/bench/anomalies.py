"""How well unusual calls are found: precision and recall on faults put into random runs of an agent.

Ten runs without faults are the baseline of each round. Then a run with one kind of fault is judged: recall is the share
of faults of which a call was found, precision the share of the calls found that belong to a fault. The last line is of
runs without any. Seeded: the same figures each time. ``python tests/bench/anomalies.py``
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tokprof.analysis.anomalies import anomalies
from tokprof.span import Frame, Span, Stack, Usage
from tokprof.table import Table

SECOND = 1_000_000_000
NEW_YEAR = 1_767_225_600 * SECOND
ROUNDS = 60
BASELINE = 10
SMALL, LARGE = "gpt-4o-mini", "gpt-4o"
# name, model, input and output tokens, seconds; they vary by a normal deviation of a quarter
FUNCTIONS = (("plan", LARGE, 1500, 400, 4.0), ("search", SMALL, 600, 60, 0.8), ("write", LARGE, 6000, 900, 9.0))


class Run:
    """One run of an agent on random figures; `faults` are sets of the ids of the spans that belong to each."""

    def __init__(self, draw: random.Random):
        self.draw = draw
        self.now = NEW_YEAR
        self.root = Span(1, None, "run", "profile", self.now, self.now, status="ok")
        self.spans = [self.root]
        self.faults: list[set[int]] = []
        self.tasks = 0

    def call(self, parent: Span, which: int, more: float = 1.0, slower: float = 1.0, model: str = "") -> Span:
        name, usual, tokens_in, tokens_out, seconds = FUNCTIONS[which]
        span = self._open(parent, f"chat {name}", "llm", Stack((Frame(name, "agent.py", which + 1, None),)))
        span.model, span.provider, span.source, span.attempt = model or usual, "openai", "reported", 1
        span.usage = Usage(self.vary(tokens_in * more), self.vary(tokens_out))
        self._close(span, self.draw.lognormvariate(0, 0.35) * seconds * slower)
        return span

    def refused(self, parent: Span, which: int, attempt: int) -> Span:
        span = self.call(parent, which)
        span.status, span.http_status, span.usage, span.source = "error", 429, None, "missing"
        span.attempt = attempt
        return span

    def task(self, fault: str | None) -> None:
        """Plan, search a few times, write."""
        step = self._open(self.root, "task", "agent", Stack())
        bad: set[int] = set()
        self.call(step, 0)
        for _ in range(self.draw.randint(1, 4)):
            if self.draw.random() < 0.05:  # now and then a request is refused once
                self.refused(step, 1, 1)
                self.call(step, 1).attempt = 2
            else:
                self.call(step, 1)
        if fault == "loop":
            bad = {self.call(step, 1).id for _ in range(self.draw.randint(8, 15))}
        elif fault == "prompt growth":
            factor = self.draw.uniform(3, 5)
            bad = {self.call(step, 2, more=factor**power).id for power in (1, 2)}
        elif fault == "retry storm":
            bad = {self.refused(step, 2, attempt).id for attempt in range(1, self.draw.randint(4, 7))}
            last = self.call(step, 2)
            last.attempt = len(bad) + 1
            bad.add(last.id)
        elif fault == "model swap":
            bad = {self.call(step, 2, model="gpt-4.1").id}
        elif fault == "slow answer":
            bad = {self.call(step, 2, slower=self.draw.uniform(6, 12)).id}
        if not bad or fault in ("loop",):
            self.call(step, 2)
        if bad:
            self.faults.append(bad)
        self._close(step, 0.1)

    def table(self) -> Table:
        self.root.closed = self.now
        return Table.of(self.spans, self.now)

    def vary(self, usual: float) -> int:
        return max(1, round(usual * self.draw.lognormvariate(0, 0.25)))

    def _open(self, parent: Span, name: str, kind: str, stack: Stack) -> Span:
        self.now += SECOND // 100
        span = Span(len(self.spans) + 1, parent, name, kind, self.now, self.now, status="ok", stack=stack)
        self.spans.append(span)
        return span

    def _close(self, span: Span, seconds: float) -> None:
        self.now += round(seconds * SECOND)
        span.closed = self.now


def run(draw: random.Random, fault: str | None = None) -> Run:
    made = Run(draw)
    broken = draw.randrange(8)
    for at in range(8):
        made.task(fault if at == broken else None)
    return made


def judge(fault: str | None, say: Callable[[str], None]) -> tuple[int, int, int, int, int]:
    """Faults, those found, calls found, those of a fault among them, calls."""
    faults = found = flagged = right = calls = 0
    for each in range(ROUNDS):
        draw = random.Random(f"{fault} {each}")
        baseline = [run(draw).table() for _ in range(BASELINE)]
        made = run(draw, fault)
        table = made.table()
        frame = anomalies(table, baseline)
        ids = {int(span, 16) for span in frame.span_id}
        faults += len(made.faults)
        found += sum(bool(bad & ids) for bad in made.faults)
        flagged += len(ids)
        right += len(ids & set().union(*made.faults))
        calls += sum(span.source is not None for span in table.spans)
    share = f"{found / faults:7.0%}" if faults else f"{'':>7}"
    exact = f"{right / flagged:10.0%}" if flagged and faults else f"{'':>10}"
    say(f"{fault or 'none':<14}{faults:>7}{share}{exact}{flagged:>9}{flagged - right:>13} of {calls:,}")
    return faults, found, flagged, right, calls


FAULTS = ("loop", "prompt growth", "retry storm", "model swap", "slow answer", None)


def main() -> None:
    print(f"{'fault':<14}{'faults':>7}{'recall':>7}{'precision':>10}{'flagged':>9}{'false alarms':>13}")
    for fault in FAULTS:
        judge(fault, print)


if __name__ == "__main__":
    main()
