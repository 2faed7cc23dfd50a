"""Figures in words: one way to write tokens, money and time, wherever they are shown."""

from __future__ import annotations

import re

from tokprof.analysis.rollup import Totals
from tokprof.money import usd, usd_places

__all__ = [
    "bounded",
    "clean",
    "count",
    "doubts",
    "saved",
    "seconds",
    "spent",
    "summary",
    "tokens",
    "usd",
    "usd_places",
]

_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def clean(text: str, limit: int = 120) -> str:
    """Make a name safe for one line of text: no control or direction marks, at most `limit` characters."""
    short = _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text[: limit + 1])
    return short if len(short) <= limit else short[: limit - 1] + "…"


def tokens(count: float) -> str:
    """``12,345``."""
    return f"{round(count):,}"


def spent(total: float, embedding: float, bound: str = "") -> str:
    """``27,002 tokens (12 embedding)``, or ``12 embedding tokens`` where all are; `bound` stands before the figure."""
    figure = bounded(tokens(total), bound, " ")
    if not round(embedding):
        return f"{figure} tokens"
    return f"{figure} embedding tokens" if embedding == total else f"{figure} tokens ({tokens(embedding)} embedding)"


def bounded(figure: str, bound: str, space: str = "") -> str:
    """``≥12`` for a sum that lacks something, ``?`` where nothing of it is known."""
    if bound == "?":
        return "?"
    least = "$0" if figure.startswith("<") else figure  # at least less than something says nothing
    return f"{bound}{space}{least}" if bound else figure


def seconds(value: float) -> str:
    """``340 ms``, ``8.2 s``, ``3 min 05 s``."""
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    if value < 59.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s"


def count(number: int, thing: str) -> str:
    """``1 call``, ``3 calls``."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {_plural(thing)}"


def _plural(thing: str) -> str:
    return f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"


def summary(totals: Totals) -> list[str]:
    """Say what a profile comes to, most important first, with what is not known."""
    if not totals.calls:
        return ["no model calls", seconds(totals.seconds)]
    bound = "≥" if totals.unknown_calls else "~" if totals.provenance.get("estimated") else ""
    unknown = totals.unknown_calls and not totals.total_tokens
    parts = ["tokens unknown" if unknown else spent(totals.total_tokens, totals.embedding_tokens, bound)]
    if totals.unpriced_calls < totals.calls - totals.errors or totals.cost:
        lower = totals.unpriced_calls or totals.provenance.get("partial")
        parts.append(f"{'≥ ' if lower else ''}{usd(totals.cost)}")
    elif totals.unpriced_calls:
        parts.append("price unknown" if totals.unpriced_calls > totals.uncounted_calls else "cost unknown")
    parts.append(count(totals.calls, "call"))
    if totals.errors:
        parts.append(f"{totals.errors} failed")
    if totals.retries:
        parts.append(count(totals.retries, "retry"))
    parts.append(seconds(totals.seconds))
    return parts


def saved(hits: int, calls: int, spared: float, cost: float) -> list[str]:
    """``3 of 8 calls answered from a cache: 12,345 tokens and $0.12 saved.``; nothing where none was."""
    if not hits:
        return []
    whose = count(hits, "call") if hits == calls else f"{hits:,} of {count(calls, 'call')}"
    amounts = [f"{tokens(spared)} tokens"] if spared else []
    amounts += [usd(cost)] if cost else []
    amount = f": {' and '.join(amounts)} saved" if amounts else ""
    return [f"{whose} answered from a cache{amount}."]


def doubts(totals: Totals) -> list[str]:
    """Sentences about what the sums leave out."""
    said = saved(totals.cache_hits, totals.calls, totals.saved_tokens, totals.saved_cost)
    missing = totals.unknown_calls
    if missing:
        whose = "its" if missing == 1 else "their"
        said.append(f"{count(missing, 'call')} did not tell all of {whose} tokens: the sums are lower bounds.")
    if estimated := totals.provenance.get("estimated", 0):
        said.append(f"{count(estimated, 'call')} estimated by a tokenizer.")
    if unlisted := totals.unpriced_calls - totals.uncounted_calls:
        said.append(f"{count(unlisted, 'call')} without a known price.")
    if uncounted := totals.uncounted_calls:
        whose = "its" if uncounted == 1 else "their"
        said.append(f"{count(uncounted, 'call')} without a known cost: not all of {whose} tokens are known.")
    return said
