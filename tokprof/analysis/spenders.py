"""Who spent the tokens: calls added up by step, by function and by model, one call at a time."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import nlargest
from typing import NamedTuple

from tokprof.span import Span, Stack

_WHOLE = frozenset(("cell", "profile"))
_MODEL = frozenset(("llm", "embedding", "reranker"))


class Who(NamedTuple):
    """A group of calls.

    Attributes
    ----------
    what : str
        ``function``, ``model``, or the kind of a named step.
    name : str
    where : str
        Place of a function's code; empty for the others.
    """

    what: str
    name: str
    where: str = ""


@dataclass(slots=True)
class Spender:
    """What a group of calls used.

    Attributes
    ----------
    who : Who
    calls : int
    tokens, seconds : float
        Known tokens, and the time of its calls added up.
    cost : float
        USD, of the calls whose price is known; NaN where none is.
    share : float
        Of all tokens, or of all time where no tokens are known, from 0 to 1.
    rows : list of int
        Rows of the span table.
    """

    who: Who
    calls: int = 0
    tokens: float = 0.0
    seconds: float = 0.0
    cost: float = math.nan
    share: float = 0.0
    rows: list[int] = field(default_factory=list)


class Spenders:
    """Sums by step, function and model."""

    def __init__(self) -> None:
        self._steps: dict[Who, Spender] = {}
        self._functions: dict[Who, Spender] = {}
        self._models: dict[Who, Spender] = {}
        self._owners: dict[Stack, Who | None] = {}
        self.tokens = 0.0
        self.seconds = 0.0

    def add(self, span: Span, tokens: float, cost: float, seconds: float, calls: int, row: int = -1) -> None:
        """Add what a call used; less than nothing takes it back."""
        self.tokens += tokens
        self.seconds += seconds
        named = (
            (self._steps, step_of(span)),
            (self._functions, self._function(span.stack)),
            (self._models, _model(span)),
        )
        for groups, who in named:
            if who is None:
                continue
            group = groups.get(who)
            if group is None:
                group = groups[who] = Spender(who)
            group.calls += calls
            group.tokens += tokens
            group.seconds += seconds
            if cost == cost:
                group.cost = cost if math.isnan(group.cost) else group.cost + cost
            if row >= 0:
                group.rows.append(row)

    def groups(self) -> Iterable[Spender]:
        """Give the groups that tell most: steps where they were named, else functions, else models."""
        for groups in (self._steps, self._functions, self._models):
            if len(groups) > 1:
                return groups.values()
        return (self._functions or self._steps or self._models).values()

    def top(self, count: int) -> list[Spender]:
        """Give the largest groups, by tokens, or by time where no tokens are known."""
        found = nlargest(count, self.groups(), key=lambda group: (group.tokens, group.seconds))
        for group in found:
            part, whole = (group.tokens, self.tokens) if self.tokens > 0 else (group.seconds, self.seconds)
            group.share = part / whole if whole > 0 else 0.0
        return found

    def models(self) -> Iterable[Spender]:
        """Give the groups by model."""
        return self._models.values()

    def _function(self, stack: Stack) -> Who | None:
        if not stack:
            return None
        found = self._owners.get(stack)
        if found is None:
            frame = stack[-1]
            name = frame.function.rpartition("<locals>.")[2]
            who = Who("line", frame.where) if name == "<module>" else Who("function", name, frame.where)
            found = self._owners[stack] = who
        return found


def step_of(span: Span) -> Who | None:
    """Give the innermost named step around a call, or the call itself if it is a step that recorded its usage."""
    step: Span | None = span if span.kind not in _MODEL else span.parent
    while step is not None:
        if not step.kept or step.kind in _MODEL:
            step = step.parent
            continue
        return None if step.kind in _WHOLE else Who(step.kind, step.name)
    return None


def _model(span: Span) -> Who | None:
    name = span.model or span.request_model
    return Who("model", name) if name else None
