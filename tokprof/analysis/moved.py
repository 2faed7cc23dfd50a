"""Prompts in which something changes too early: what stays the same behind it can be given by no cache of prefixes."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from tokprof.analysis import thresholds as limit
from tokprof.analysis.anomalies import Who
from tokprof.analysis.findings import Calls, Finding
from tokprof.analysis.repeats import LEAST, LIFE, Prompt
from tokprof.analysis.replays import common
from tokprof.meter.prices import price


class Change(NamedTuple):
    """Where a prompt departs from an earlier one, and agrees with it again.

    Attributes
    ----------
    part : str
        Name of the part, for instance ``system`` or ``messages[0]``.
    before, behind : int
        Characters that are the same before and behind what changes.
    changed : int
        Characters that change.
    """

    part: str
    before: int
    behind: int
    changed: int


def early_changes(calls: Calls) -> Iterator[Finding]:
    """Prompts of one place that would have a long prefix in common, were it not for something at their beginning."""
    groups: dict[Who, list[int]] = defaultdict(list)
    for row in calls.prompts:
        if not (calls.kept.failed[row] or calls.kept.hit[row]) and calls.span(row).closed is not None:
            groups[calls.who(row), calls.model(row)].append(row)
    for (who, _), rows in groups.items():
        rows.sort(key=lambda row: calls.span(row).opened)
        late: list[int] = []
        tokens, saved = 0, 0.0
        places: Counter[str] = Counter()
        for row in rows[1:]:
            other = _before(calls, rows, row)
            change = None if other is None else depart(calls.prompts[row], calls.prompts[other])
            could = 0 if change is None else _could(calls, row, change)
            if change is None or not could:
                continue
            if not late and other is not None:
                saved -= _price(calls, other, write=could) - calls.usd([other])
            late.append(row)
            tokens += could
            saved += calls.usd([row]) - _price(calls, row, read=could)
            places[change.part] += 1
        if tokens >= limit.PREFIX_TOKENS:
            part = places.most_common(1)[0][0]
            yield Finding(
                "a change too early in the prompt",
                f"{len(late)} prompts of {who} depart from the one before in {part}, and go on as it did: "
                f"{tokens:,} tokens behind the change could have come from a cache",
                "put what changes (dates, names, ids) behind what stays the same, at best into the last message",
                late,
                float(tokens),
                saved if math.isnan(saved) else max(saved, 0.0),
            )


def depart(prompt: Prompt, earlier: Prompt) -> Change | None:
    """Find the first change from an earlier prompt; None where there is none, or one begins with all of the other."""
    before = 0
    for at, ((name, mine), (other, theirs)) in enumerate(zip(prompt.parts, earlier.parts, strict=False)):
        if name == other and mine == theirs:
            before += len(mine)
            continue
        if name != other:
            return None
        same = common(mine, theirs)
        behind = common(mine[same:][::-1], theirs[same:][::-1])
        changed = len(mine) - same - behind
        for (_, a), (_, b) in zip(prompt.parts[at + 1 :], earlier.parts[at + 1 :], strict=False):
            if a != b:
                behind += common(a, b)
                break
            behind += len(a)
        return Change(name, before + same, behind, changed)
    return None


def _before(calls: Calls, rows: list[int], row: int) -> int | None:
    """The last call of the same place that a cache would remember."""
    opened = calls.span(row).opened
    ended = ((calls.span(other).closed or opened, other) for other in rows if other != row)
    found = [(closed, other) for closed, other in ended if opened - LIFE * 1e9 <= closed <= opened]
    return max(found)[1] if found else None


def _could(calls: Calls, row: int, change: Change) -> int:
    """Tokens that a cache would have given beyond those that it gave, or that a prefix as it is could."""
    usage = calls.span(row).usage
    if usage is None or not usage.input_tokens or change.changed > change.behind:
        return 0
    each = usage.input_tokens / max(calls.prompts[row].size, 1)
    stays, as_it_is = int((change.before + change.behind) * each), int(change.before * each)
    there = max(usage.cache_read_tokens or 0, as_it_is if as_it_is >= LEAST else 0)
    return stays - there if stays >= LEAST else 0


def _price(calls: Calls, row: int, read: int = 0, write: int = 0) -> float:
    """USD of a call if more of its prompt had been read from a cache, or written to it."""
    span = calls.span(row)
    usage = span.usage
    assert usage is not None
    changed = replace(
        usage,
        cache_read_tokens=(usage.cache_read_tokens or 0) + read,
        cache_write_tokens=(usage.cache_write_tokens or 0) + write if span.provider == "anthropic" else None,
    )
    return price(replace(span, usage=changed, cost=None, cost_source=None)).parts[0]
