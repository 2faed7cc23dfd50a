"""The recorded run at other prices: of another model, with its prompts cached, or as a batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from tokprof.analysis.books import COST, SPENT, TOKEN_NAMES, Books, books, embeds, refused
from tokprof.analysis.repeats import LEAST, Repeat, prompt_of, repeats
from tokprof.meter.listed import alike
from tokprof.meter.prices import price
from tokprof.span import Span, Usage
from tokprof.table import Table

if TYPE_CHECKING:
    import pandas as pd

RECORDED, SAME = "as recorded", "the same models"
ALTERNATIVES = 12
"""Other models in a table of alternatives, the cheapest."""


@dataclass(slots=True)
class Repriced:
    """The calls of a profile at other prices.

    Attributes
    ----------
    rows : list of int
        Rows of the table that have a part in the sums.
    usages : list of Usage
        Tokens of each, cache included.
    costs : list of float
        USD of each; NaN where the price is not known.
    notes : list of str
        What the figures rest on, and what is not known.
    """

    rows: list[int]
    usages: list[Usage]
    costs: list[float]
    notes: list[str] = field(default_factory=list)


def reprice(
    table: Table,
    model: str | Sequence[str | None] | None = None,
    provider: str | None = None,
    cache: bool | None = None,
    batch: bool = False,
) -> pd.DataFrame:
    """Price a run anew.

    Parameters
    ----------
    table : Table
    model : str, sequence of str, or None
        Which all language models are replaced by; one row each. None leaves them as they are; with nothing else told
        either, there is a table of alternatives, cheapest first: prompts cached, a batch, and of the makers of the
        models that were called the cheapest others, in whose context the largest prompt fits.
    provider : str, optional
        Whose price list; without it that of the provider that was called, where it lists the model, else that of the
        maker of the model. Embedding models and rerankers stay as they are.
    cache : bool, optional
        True: prefixes that stood at the beginning of an earlier prompt are read from a cache. False: nothing is. None:
        as the calls told.
    batch : bool
        At the price of the tier ``batch``.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``model``, `RECORDED` first. ``provider``, ``calls``, ``input_tokens``, ``output_tokens``,
        ``cache_read_tokens``, ``cache_write_tokens``; ``cost``: USD, NaN unless all calls have a price; ``known_cost``:
        USD of those that have; ``unpriced_calls``; ``delta`` and ``ratio``: cost less, and by, that of the recorded
        run; ``notes``.
    """
    if model is None and provider is None and cache is None and not batch:
        return _table(table, _alternatives(table))
    models: list[str | None] = [model] if model is None or isinstance(model, str) else list(model)
    if not models or not all(each is None or (isinstance(each, str) and each.strip()) for each in models):
        raise ValueError(f"model must be a name, or names, for instance 'gpt-4o-mini': {model!r}")
    return _table(table, [(each or SAME, provider, repriced(table, each, provider, cache, batch)) for each in models])


def _table(table: Table, made: list[tuple[str, str | None, Repriced]]) -> pd.DataFrame:
    import pandas as pd

    kept = books(table)
    rows = [_row(table, kept, *each) for each in ((RECORDED, None, recorded(table)), *made)]
    frame = pd.DataFrame(rows).set_index("model")
    was = frame["cost"].iloc[0]
    last = len(frame.columns) - 1
    frame.insert(last, "delta", frame["cost"] - was)
    frame.insert(last + 1, "ratio", frame["cost"] / was if was else np.nan)
    return frame


def _alternatives(table: Table) -> list[tuple[str, str | None, Repriced]]:
    """What one could do instead, cheapest first: prompts cached, a batch, other models of the same makers."""
    from tokprof.meter.siblings import siblings

    kept = books(table)
    called: dict[str, str | None] = {}
    room = 0
    for row in kept.counted().tolist():
        span = table.spans[row]
        name = span.model or span.request_model
        if name and not embeds(span) and not refused(span):
            called.setdefault(name, span.provider)
            room = max(room, (_usage(table, kept, row).input_tokens or 0))
    others = {other: None for name, provider in called.items() for other in siblings(name, provider, room)}
    made: list[tuple[str, str | None, Repriced]] = [
        (f"{SAME}, cached", None, repriced(table, None, cache=True)),
        (f"{SAME}, as a batch", None, repriced(table, None, batch=True)),
    ]
    priced = [(name, None, repriced(table, name)) for name in others if len(called) > 1 or name not in called]
    priced = [each for each in priced if not _unlisted(table, each[2])]
    made += sorted(priced, key=_known)[:ALTERNATIVES]
    return sorted(made, key=_known)


def _known(made: tuple[str, str | None, Repriced]) -> tuple[bool, float]:
    """By which alternatives are ranked: what has a price for every call comes first."""
    costs = made[2].costs
    return any(map(math.isnan, costs)), sum(cost for cost in costs if not math.isnan(cost))


def recorded(table: Table) -> Repriced:
    """Give a run as it was recorded."""
    kept = books(table)
    rows = kept.counted().tolist()
    costs = [math.nan if kept.unpriced[row] else float(kept.used[row, COST]) for row in rows]
    return Repriced(rows, [_usage(table, kept, row) for row in rows], costs)


def repriced(
    table: Table, model: str | None, provider: str | None = None, cache: bool | None = None, batch: bool = False
) -> Repriced:
    """Price each call anew; see `reprice`."""
    kept = books(table)
    made = recorded(table)
    turns = [at for at, row in enumerate(made.rows) if not embeds(table.spans[row])]
    if cache is False:
        for at in turns:
            made.usages[at] = replace(
                made.usages[at], cache_read_tokens=0, cache_write_tokens=0, cache_write_1h_tokens=0
            )
    elif cache:
        _cache(table, made, turns, model)
    told = summed_up = 0
    for at, row in enumerate(made.rows):
        span = table.spans[row]
        if refused(span) or table.cost_sources[row] == "cached":
            made.costs[at] = 0.0
            continue
        same = model is None or embeds(span)
        if same and not batch and made.usages[at] == (span.usage or Usage()) and not math.isnan(made.costs[at]):
            continue  # nothing about it is different
        if same and not batch and cache is None:
            continue
        if not _whole(kept, span, row):
            summed_up += 1
        told += same and span.cost_source == "reported"
        made.costs[at] = _price(span, made.usages[at], None if same else model, provider, batch)
    _say(table, made, model, batch, told, summed_up)
    return made


def _whole(kept: Books, span: Span, row: int) -> bool:
    """Whether all that a span reported is its own, none of it that of calls below it."""
    reported = span.usage.total_tokens if span.usage else None
    return reported is None or round(float(kept.used[row, SPENT].sum())) == reported


def _usage(table: Table, kept: Books, row: int) -> Usage:
    """What a row used itself."""
    span = table.spans[row]
    if span.usage is None or _whole(kept, span, row):
        return replace(span.usage) if span.usage else Usage()
    own = dict(zip(TOKEN_NAMES, kept.used[row].tolist(), strict=False))
    names = [name for name in TOKEN_NAMES if name != "embedding_tokens"]
    return Usage(**{name: round(own[name]) for name in names if getattr(span.usage, name) is not None})


def _price(span: Span, usage: Usage, model: str | None, provider: str | None, batch: bool) -> float:
    tier = "batch" if batch else span.service_tier if model is None else None
    asked = replace(span, usage=usage, cost=None, cost_source=None, service_tier=tier)
    if model is None:
        return price(asked).parts[0]
    asked.model, asked.request_model, asked.usage_raw, asked.host = model, None, None, None
    for each in (provider,) if provider else (span.provider, None):
        asked.provider = each
        found = price(asked).parts[0]
        if not math.isnan(found):
            return found
    return math.nan


def _cache(table: Table, made: Repriced, turns: list[int], model: str | None) -> None:
    """Put simulated cache reads and writes in place of those that were told."""
    calls: list[int] = []
    seen = []
    for at in turns:
        span = table.spans[made.rows[at]]
        prompt = prompt_of(span)
        if prompt is not None and made.usages[at].input_tokens and span.usage is not None and not refused(span):
            end = table.now if span.closed is None else span.closed
            name = model or span.model or span.request_model or ""
            seen.append((span.opened / 1e9, end / 1e9, name, prompt))
            calls.append(at)
    for at, repeat in zip(calls, repeats(seen), strict=True):
        made.usages[at] = cached(made.usages[at], repeat)
    billed = sum(not refused(table.spans[made.rows[at]]) for at in turns)
    if calls:
        made.notes.append(f"cache simulated for {len(calls)} of {billed} calls")
    if len(calls) < billed:
        rest = "all calls have" if not calls else f"{billed - len(calls)} have"
        made.notes.append(f"{rest} the cache figures that they told: their prompts were not kept (capture='full')")


def cached(usage: Usage, repeat: Repeat) -> Usage:
    """Give the usage of a call whose repeated prefix is read from a cache; short prefixes are not cached."""
    whole = usage.input_tokens or 0
    read, write = int(whole * repeat.read), int(whole * repeat.write)
    read = read if read >= LEAST else 0
    write = min(write, whole - read) if read + write >= LEAST else 0
    return replace(usage, cache_read_tokens=read, cache_write_tokens=write, cache_write_1h_tokens=0)


def _say(table: Table, made: Repriced, model: str | None, batch: bool, told: int, summed_up: int) -> None:
    known = {name for row in made.rows if (name := table.spans[row].model or table.spans[row].request_model)}
    if model is not None and known - {model}:
        made.notes.append("tokens as the recorded models counted and wrote them")
    others = sum(embeds(table.spans[row]) for row in made.rows)
    if model is not None and others:
        made.notes.append(f"{others} calls of embedding models and rerankers as recorded")
    missing = sum(math.isnan(cost) for cost in made.costs)
    if missing:
        what = f"of {model}" if model else "of their models"
        tier = " in the tier batch" if batch else ""
        made.notes.append(f"{missing} of {len(made.rows)} calls without a known price {what}{tier}, or without usage")
    if model is not None and not batch and _unlisted(table, made):
        near = alike(model)
        made.notes.append(f"no price for {model}" + (f": did you mean {' or '.join(near)}?" if near else ""))
    if told:
        made.notes.append(f"{told} calls told their cost; here they have the price of the list")
    if summed_up:
        made.notes.append(f"{summed_up} steps with what the calls below them do not account for")


def _unlisted(table: Table, made: Repriced) -> bool:
    """Whether of all calls that told their tokens none got a price."""
    told = [
        math.isnan(cost)
        for row, usage, cost in zip(made.rows, made.usages, made.costs, strict=True)
        if usage.total_tokens is not None and not embeds(table.spans[row]) and not refused(table.spans[row])
    ]
    return bool(told) and all(told)


def _row(table: Table, kept: Books, name: str, provider: str | None, made: Repriced) -> dict[str, object]:
    known = [cost for cost in made.costs if not math.isnan(cost)]
    missing = [row for row, cost in zip(made.rows, made.costs, strict=True) if math.isnan(cost)]
    turns = [usage for row, usage in zip(made.rows, made.usages, strict=True) if not embeds(table.spans[row])]

    def tokens(field_name: str) -> int:
        return sum(getattr(usage, field_name) or 0 for usage in turns)

    notes = list(made.notes)
    if name == RECORDED and missing:
        notes.append(f"{len(missing)} calls without a known cost")
    return {
        "model": name,
        "provider": provider,
        "calls": int(kept.weight[kept.call].sum()),
        "input_tokens": tokens("input_tokens"),
        "output_tokens": tokens("output_tokens"),
        "cache_read_tokens": tokens("cache_read_tokens"),
        "cache_write_tokens": tokens("cache_write_tokens"),
        "cost": math.nan if missing else float(sum(known)),
        "known_cost": float(sum(known)),
        "unpriced_calls": int(kept.weight[missing].sum()),
        "notes": "; ".join(notes),
    }
