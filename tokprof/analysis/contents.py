"""What can be found wasteful where prompts and answers were kept whole (``capture="full"``)."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from tokprof.analysis import thresholds as limit
from tokprof.analysis.anomalies import Who
from tokprof.analysis.findings import Calls, Finding
from tokprof.analysis.repeats import LEAST, repeats
from tokprof.analysis.replays import common
from tokprof.analysis.reprice import repriced
from tokprof.analysis.segments import read_prompt, take_apart
from tokprof.meter.pieces import Piece, pieces
from tokprof.meter.stream import framing
from tokprof.meter.texts import answer


def identical(calls: Calls) -> Iterator[Finding]:
    """Requests that were answered before, to the letter."""
    seen: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for row, prompt in calls.prompts.items():
        span = calls.span(row)
        if not (calls.kept.failed[row] or calls.kept.hit[row]):
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
    first: dict[tuple[str, str], tuple[int, int]] = {}  # who departs where: the first call that does, and from which
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
            if repeat.source is not None:
                first.setdefault((who, repeat.breaks or ""), (row, rows[repeat.source]))
    if not missed:
        return
    made = repriced(calls.table, None, cache=True)
    costs = dict(zip(made.rows, made.costs, strict=True))
    for who, late in missed.items():
        if tokens[who] < limit.PREFIX_TOKENS:
            continue
        usd = calls.usd(late) - sum(costs[row] for row in late)
        part = breaks[who].most_common(1)[0][0]
        there = _departure(calls, *first[who, part]) if (who, part) in first else ""
        yield Finding(
            "a prefix that could be cached",
            f"{len(late)} prompts of {who} repeat {tokens[who]:,.0f} tokens of earlier ones that no cache gave; "
            f"most depart in {part}{there}",
            "keep what stays the same first and to the letter, and mark it for the cache where the provider wants that "
            "(cache_control)",
            late,
            tokens[who],
            usd if math.isnan(usd) else max(usd, 0.0),
        )


def _departure(calls: Calls, row: int, other: int) -> str:
    """Say in words in which piece a prompt departs from an earlier one, and where in it."""
    mine, theirs = (_pieces(calls, each) for each in (row, other))
    at = next((at for at, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a.texts != b.texts), len(theirs))
    if at >= len(mine):
        return ""
    piece = mine[at]
    words = {
        "tools": f"the tool {piece.label}",
        "format": "the format of the answer",
        "system": f"the {piece.role or 'system'} prompt",
        "user": "what the user says",
        "tool result": "the result of a tool" if piece.label.endswith("]") else f"the result of {piece.label}",
        "history": f"an earlier turn ({piece.role})" if piece.role else "an earlier turn",
    }
    same = common(piece.text, theirs[at].text) if at < len(theirs) else 0
    where = f"at character {same + 1:,}" if same else "from its beginning"
    return f": {words.get(piece.part, f'{piece.part} {piece.label}')}, {where}"


def _pieces(calls: Calls, row: int) -> list[Piece]:
    read = read_prompt(calls.span(row))
    return [] if read is None else pieces(read)


def history(calls: Calls) -> Iterator[Finding]:
    """Earlier turns and results of tools that are sent again and again."""
    groups: dict[Who, list[int]] = defaultdict(list)
    again: dict[Who, float] = defaultdict(float)
    whole: dict[Who, float] = defaultdict(float)
    usd: dict[Who, float] = defaultdict(float)
    for row, parts in take_apart(calls.table).calls.items():
        if calls.kept.failed[row] or calls.kept.hit[row] or parts[0].tokens is None:
            continue
        who = calls.who(row), calls.model(row)
        old = [each for each in parts if each.part in ("history", "tool result") and each.replayed and each.tokens]
        whole[who] += sum(each.tokens or 0 for each in parts)
        if old:
            groups[who].append(row)
            again[who] += sum(each.replayed or 0 for each in old)
            usd[who] += sum(each.cost * (each.replayed or 0) / (each.tokens or 1) for each in old)
    for who, rows in groups.items():
        if again[who] >= limit.HISTORY_TOKENS and again[who] >= limit.HISTORY_SHARE * whole[who]:
            yield Finding(
                "history sent again",
                f"{again[who] / whole[who]:.0%} of the input of {who[1]} in {who[0]} is earlier turns and results of "
                f"tools that were sent before: {again[who]:,.0f} tokens in {len(rows)} calls",
                "leave out or sum up old turns and results that are no longer needed, or let a cache give them",
                rows,
                again[who],
                usd[who],
            )


def tools(calls: Calls) -> Iterator[Finding]:
    """Tools that stand in every prompt and are never called."""
    offered: dict[str, list[int]] = defaultdict(list)
    tokens: Counter[str] = Counter()
    usd: dict[str, float] = defaultdict(float)
    called: set[str] = set()
    for row, parts in take_apart(calls.table).calls.items():
        called |= _called(calls.span(row).content or {})
        if calls.kept.failed[row] or calls.kept.hit[row]:
            continue
        for each in parts:
            if each.part == "tools" and each.characters:
                offered[each.label].append(row)
                tokens[each.label] += each.tokens or 0
                usd[each.label] += each.cost
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
