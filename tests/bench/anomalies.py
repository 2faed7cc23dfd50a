"""How well unusual calls are found: precision and recall on faults put into random runs of an agent.

Ten runs without faults are the baseline of each round. Then a run with one kind of fault is judged: recall is the share
of faults of which a call was found, precision the share of the calls found that belong to a fault. Each kind comes in
sizes, from what hardly stands out of the noise to what anybody sees. The last line is of runs without any. Seeded: the
same figures each time. ``python tests/bench/anomalies.py``
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


# kind to the sizes it comes in; the last is the gross one
FAULTS: dict[str, tuple[tuple[str, tuple[float, float]], ...]] = {
    "loop": (("3 more calls", (3, 3)), ("4 to 6", (4, 6)), ("8 to 15", (8, 15))),
    "prompt growth": (("by 1.5 a turn", (1.5, 1.5)), ("by 2", (2, 2)), ("by 3 to 5", (3, 5))),
    "retry storm": (("2 refusals", (2, 2)), ("3", (3, 3)), ("4 to 6", (4, 6))),
    "model swap": (("for one of another step", (0, 0)), ("for a new one", (1, 1))),
    "slow answer": (("2 times", (2, 2)), ("4 times", (4, 4)), ("6 to 12", (6, 12))),
}


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

    def task(self, fault: str | None, low: float = 0, high: float = 0) -> None:
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
            bad = {self.call(step, 1).id for _ in range(self.draw.randint(int(low), int(high)))}
        elif fault == "prompt growth":
            factor = self.draw.uniform(low, high)
            bad = {self.call(step, 2, more=factor**power).id for power in (1, 2)}
        elif fault == "retry storm":
            refusals = self.draw.randint(int(low), int(high))
            bad = {self.refused(step, 2, attempt).id for attempt in range(1, refusals + 1)}
            last = self.call(step, 2)
            last.attempt = len(bad) + 1
            bad.add(last.id)
        elif fault == "model swap":
            bad = {self.call(step, 2, model="gpt-4.1" if high else SMALL).id}
        elif fault == "slow answer":
            bad = {self.call(step, 2, slower=self.draw.uniform(low, high)).id}
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


def run(draw: random.Random, fault: str | None = None, low: float = 0, high: float = 0) -> Run:
    made = Run(draw)
    broken = draw.randrange(8)
    for at in range(8):
        made.task(fault if at == broken else None, low, high)
    return made


def judge(fault: str | None, say: Callable[[str], None], size: int = -1) -> tuple[int, int, int, int, int]:
    """Faults, those found, calls found, those of a fault among them, calls."""
    faults = found = flagged = right = calls = 0
    label, (low, high) = FAULTS[fault][size] if fault else ("", (0.0, 0.0))
    for each in range(ROUNDS):
        draw = random.Random(f"{fault} {label} {each}")
        baseline = [run(draw).table() for _ in range(BASELINE)]
        made = run(draw, fault, low, high)
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
    say(f"{fault or 'none':<14}{label:<24}{faults:>7}{share}{exact}{flagged:>9}{flagged - right:>13} of {calls:,}")
    return faults, found, flagged, right, calls


def main() -> None:
    print(f"{'fault':<14}{'size':<24}{'faults':>7}{'recall':>7}{'precision':>10}{'flagged':>9}{'false alarms':>13}")
    for fault, sizes in FAULTS.items():
        for size in range(len(sizes)):
            judge(fault, print, size)
    judge(None, print)


if __name__ == "__main__":
    main()
