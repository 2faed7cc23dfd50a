"""What can be found wasteful where prompts and answers were kept whole (``capture="full"``)."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from tokprof.analysis import thresholds as limit
from tokprof.analysis.findings import Calls, Finding
from tokprof.analysis.repeats import LEAST, repeats
from tokprof.analysis.reprice import repriced
from tokprof.meter.parts import dump
from tokprof.meter.prompts import asked
from tokprof.meter.stream import framing
from tokprof.meter.texts import answer


def identical(calls: Calls) -> Iterator[Finding]:
    """Requests that were answered before, to the letter."""
    seen: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for row, prompt in calls.prompts.items():
        span = calls.span(row)
        if not calls.kept.failed[row]:
            seen[span.host, span.operation, span.model or span.request_model, prompt.raw].append(row)
    again = [rows for rows in seen.values() if len(rows) > 1]
    repeated = sorted(row for rows in again for row in rows[1:])
    if repeated:
        different = "one request" if len(again) == 1 else f"{len(again)} requests"
        yield Finding(
            "identical calls",
            f"{different} sent again, to the letter: {len(repeated)} calls too many",
            "keep the answer (functools.cache, a dict by prompt), unless different answers are what you want",
            repeated,
            calls.tokens(repeated),
            calls.usd(repeated),
            float(calls.seconds[repeated].sum()),
        )


def prefixes(calls: Calls) -> Iterator[Finding]:
    """Prompts that repeat the beginning of earlier ones, which no cache gave."""
    rows = [row for row in calls.prompts if not calls.kept.failed[row]]
    times = [
        (calls.span(row).opened / 1e9, (calls.span(row).closed or calls.table.now) / 1e9, calls.model(row))
        for row in rows
    ]
    found = repeats([(*time, calls.prompts[row]) for time, row in zip(times, rows, strict=True)])
    missed: dict[str, list[int]] = defaultdict(list)
    tokens: dict[str, float] = defaultdict(float)
    breaks: dict[str, Counter[str]] = defaultdict(Counter)
    for row, repeat in zip(rows, found, strict=True):
        usage = calls.span(row).usage
        if usage is None or usage.input_tokens is None:
            continue
        could = int(usage.input_tokens * repeat.read)
        if could >= LEAST and could > (usage.cache_read_tokens or 0):
            who = calls.who(row)
            missed[who].append(row)
            tokens[who] += could - (usage.cache_read_tokens or 0)
            breaks[who][repeat.breaks or ""] += 1
    if not missed:
        return
    made = repriced(calls.table, None, cache=True)
    costs = dict(zip(made.rows, made.costs, strict=True))
    for who, late in missed.items():
        if tokens[who] < limit.PREFIX_TOKENS:
            continue
        usd = calls.usd(late) - sum(costs[row] for row in late)
        part = breaks[who].most_common(1)[0][0]
        yield Finding(
            "a prefix that could be cached",
            f"{len(late)} prompts of {who} repeat {tokens[who]:,.0f} tokens of earlier ones that no cache gave; "
            f"most depart in {part}",
            "keep what stays the same first and to the letter, and mark it for the cache where the provider wants that "
            "(cache_control)",
            late,
            tokens[who],
            usd if math.isnan(usd) else max(usd, 0.0),
        )


def tools(calls: Calls) -> Iterator[Finding]:
    """Tools that stand in every prompt and are never called."""
    offered: dict[str, list[int]] = defaultdict(list)
    tokens: Counter[str] = Counter()
    usd: dict[str, float] = defaultdict(float)
    called: set[str] = set()
    for row, prompt in calls.prompts.items():
        span = calls.span(row)
        there = asked(prompt.raw.encode("utf-8", "replace"), span.operation or "").tools
        called |= _called(span.content or {})
        if not there or calls.kept.failed[row]:
            continue
        whole = span.usage.input_tokens if span.usage else None
        parts = calls.table.costs[row, [1, 3, 4]].sum()  # input, whether fresh, read or written
        for tool in there:
            share = len(dump(tool._asdict())) / max(prompt.size, 1)
            offered[tool.name].append(row)
            tokens[tool.name] += round((whole or 0) * min(share, 1.0))
            usd[tool.name] += float(parts) * min(share, 1.0)
    for name, rows in offered.items():
        if name not in called and tokens[name] >= limit.TOOL_TOKENS:
            yield Finding(
                "a tool never called",
                f"{name} is offered in {len(rows)} calls and never called; its description is about "
                f"{tokens[name]:,} tokens of their input",
                f"offer {name} only where it may be needed",
                rows,
                float(tokens[name]),
                usd[name],
            )


def _called(content: dict[str, str]) -> set[str]:
    """Names of the tools that an answer calls."""
    body = content.get("answer", "").encode("utf-8", "replace")
    return set(answer(body, framing("", body)).of("name"))
