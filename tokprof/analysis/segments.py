"""Each prompt taken apart: what its parts came to, what of them was sent before, and what they cost.

Only where prompts were kept whole (``capture="full"``). Nothing here holds what a prompt says.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from tokprof.analysis.books import embeds
from tokprof.analysis.findings import Calls
from tokprof.analysis.replays import Earlier
from tokprof.meter.body import load
from tokprof.meter.estimate import frames, offered
from tokprof.meter.pieces import PARTS, Piece, pieces
from tokprof.meter.prompts import Asked, asked_by
from tokprof.meter.tokenizers import count_all, encoding_of
from tokprof.span import Span, Usage
from tokprof.table import Table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PARTS", "Segment", "Taken", "apportion", "read_prompt", "readable", "segments", "take_apart"]

_READ = 30_000_000  # characters that are counted, each text once: three seconds
_FRESH, _CACHED, _WRITTEN = 1, 3, 4  # columns of `Table.costs`


@dataclass(slots=True, eq=False)
class Segment:
    """A part of the prompt of a call; the columns of `segments` document the fields."""

    part: str
    label: str
    role: str = ""
    characters: int | None = None
    estimated: int | None = None
    tokens: int | None = None
    replayed: int | None = None
    cached: int | None = None
    cost: float = math.nan

    @property
    def new(self) -> int | None:
        """Tokens that were not sent before."""
        return None if self.tokens is None or self.replayed is None else self.tokens - self.replayed


@dataclass(slots=True)
class Taken:
    """The prompts of a table taken apart.

    Attributes
    ----------
    calls : dict of int to list of Segment
        By row.
    unread : int
        Calls of language models whose prompt was not kept, or cannot be read.
    """

    calls: dict[int, list[Segment]] = field(default_factory=dict)
    unread: int = 0


_taken: WeakKeyDictionary[Table, Taken] = WeakKeyDictionary()


def take_apart(table: Table) -> Taken:
    """Take the prompts of a table apart; that is done once, for all that is shown of it."""
    taken = _taken.get(table)
    if taken is None:
        taken = _taken[table] = _take_apart(Calls(table))
    return taken


def readable(table: Table, most: int) -> bool:
    """Whether the prompts of a table have been taken apart, or have no more than so many characters."""
    return table in _taken or sum(len((span.content or {}).get("prompt", "")) for span in table.spans) <= most


def segments(table: Table) -> pd.DataFrame:
    """Take each prompt apart.

    Parameters
    ----------
    table : Table

    Returns
    -------
    pandas.DataFrame
        One row a part of a call, in order of the calls and as providers read a prompt. ``span_id``, ``name``,
        ``step`` (the nearest named step around it), ``function``, ``where`` of the call; ``position`` from 0;
        ``part``, one of `tokprof.meter.pieces.PARTS`; ``label`` and ``role`` as in `tokprof.meter.pieces.Piece`;
        ``characters`` (null of what is no text).

        ``estimated_tokens``: as counted, null of what text does not show. ``tokens``: these, scaled so that the parts
        of a call come to exactly its input: pictures and sound by what was told of them; of what is not known
        otherwise, what the other parts leave; the rest by the estimates. ``replayed_tokens``: those of a text, tool or
        file that a call which had ended before this one began had sent, by `tokprof.analysis.replays.Earlier`; of the
        provider's frame, the share of all others. ``new_tokens``: the rest. ``cached_tokens``: cache reads, from the
        front. All null where the call did not tell its input.

        ``cost``: USD; what was paid for fresh input, cache reads and writes, shared out by the tokens: cache reads lie
        first, writes behind them, and the rest is fresh. NaN where the price is not known. ``usage_source`` of the
        call.

        ``attrs["unread_calls"]``: calls of language models without a prompt that was kept and can be read.
    """
    import pandas as pd

    taken = take_apart(table)
    ids = table.frame(["span_id"])["span_id"].tolist()
    rows = [(row, at, each) for row, found in taken.calls.items() for at, each in enumerate(found)]
    spans = [table.spans[row] for row, _, _ in rows]
    frames_ = [span.stack[-1] if span.stack else None for span in spans]

    def text(values: Sequence[str | None]) -> pd.Series[str]:
        return pd.Series(list(values), dtype=object)

    def whole(name: str) -> object:
        return pd.array([getattr(each, name) for _, _, each in rows], dtype="Int64")

    frame = pd.DataFrame(
        {
            "span_id": text([ids[row] for row, _, _ in rows]),
            "name": text([span.name for span in spans]),
            "step": text([_step(table, row) for row, _, _ in rows]),
            "function": text([at.function if at else None for at in frames_]),
            "where": text([at.where if at else None for at in frames_]),
            "position": np.array([at for _, at, _ in rows], np.int64),
            "part": text([each.part for _, _, each in rows]),
            "label": text([each.label for _, _, each in rows]),
            "role": text([each.role for _, _, each in rows]),
            "characters": whole("characters"),
            "estimated_tokens": whole("estimated"),
            "tokens": whole("tokens"),
            "replayed_tokens": whole("replayed"),
            "new_tokens": whole("new"),
            "cached_tokens": whole("cached"),
            "cost": np.array([each.cost for _, _, each in rows], np.float64),
            "usage_source": text([span.source for span in spans]),
        }
    )
    frame.attrs["unread_calls"] = taken.unread
    return frame


def _step(table: Table, row: int) -> str | None:
    up = int(table.parents[row])
    return table.spans[up].name if up >= 0 and table.spans[up].parent is not None else None


def _take_apart(calls: Calls) -> Taken:
    taken = Taken()
    table, counter, earlier = calls.table, _Counter(), Earlier()
    running: list[tuple[int, int, list[Piece]]] = []
    for row in calls.rows:
        span = table.spans[row]
        if embeds(span):
            continue
        read = read_prompt(span)
        apart = pieces(read) if read is not None else []
        if read is None or not apart:
            taken.unread += 1
            continue
        while running and running[0][0] <= span.opened:
            _, ended, sent = heapq.heappop(running)
            earlier.add(sent, (table.spans[ended].content or {}).get("answer", ""))
        taken.calls[row] = _shared_out(span, read, apart, table.costs[row].tolist(), counter, earlier)
        if span.sent and span.closed is not None:
            heapq.heappush(running, (span.closed, row, apart))
    return taken


def read_prompt(span: Span) -> Asked | None:
    """Read the prompt of a call; None where it was not kept whole."""
    raw = (span.content or {}).get("prompt")
    if not raw or raw[:1] != "{":
        return None
    return asked_by(load(raw.encode("utf-8", "replace")), span.operation or "")


def _shared_out(
    span: Span, read: Asked, apart: list[Piece], costs: list[float], counter: _Counter, earlier: Earlier
) -> list[Segment]:
    """The parts of one call."""
    model = span.model or span.request_model
    found = [Segment(each.part, each.label, each.role) for each in apart]
    shares = [earlier.share(each) for each in apart]
    tools = [at for at, each in enumerate(apart) if each.part == "tools" and each.texts]
    for segment, piece in zip(found, apart, strict=True):
        if piece.texts or piece.ids:
            segment.characters = sum(map(len, piece.texts)) if piece.texts else None
            if piece.part != "tools":
                segment.estimated = sum(counter.count(text, model) for text in piece.texts) + len(piece.ids)
    if tools:
        together = counter.count(offered(read, model), model)
        parts = apportion(together, [len(apart[at].text) for at in tools])
        for at, part in zip(tools, parts, strict=True):
            found[at].estimated = part
    if framed := frames(read, model or ""):
        found.append(Segment("frame", "", estimated=framed))
    usage = span.usage
    if usage is None or usage.input_tokens is None:
        return found
    tokens = _scaled(found, [each.thing is not None for each in apart], usage)
    for segment, count in zip(found, tokens, strict=True):
        segment.tokens = count
    for segment, share in zip(found, shares, strict=False):
        segment.replayed = math.floor((segment.tokens or 0) * share)
    if framed:
        before, others = sum(each.replayed or 0 for each in found[:-1]), sum(tokens[:-1])
        found[-1].replayed = tokens[-1] * before // others if others else 0
    _pay(found, usage, costs)
    return found


def _scaled(found: list[Segment], hidden: list[bool], usage: Usage) -> list[int]:
    """Tokens of each part, which come to the input of the call."""
    whole = usage.input_tokens or 0
    tokens = [0] * len(found)
    left = list(range(len(found)))
    for part, told in (("image", usage.input_image_tokens), ("audio", usage.input_audio_tokens)):
        theirs = [at for at in left if found[at].part == part]
        if theirs and told is not None:
            for at, count in zip(theirs, apportion(min(told, whole), [1] * len(theirs)), strict=True):
                tokens[at] = count
            whole -= min(told, whole)
            left = [at for at in left if at not in theirs]
    counted = [found[at].estimated or 0 for at in left]
    unknown = [int(at < len(hidden) and hidden[at]) for at in left]
    spare = whole - sum(counted)
    if any(unknown) and spare >= 0:
        counted = [a + b for a, b in zip(counted, apportion(spare, unknown), strict=True)]
    for at, count in zip(left, apportion(whole, counted), strict=True):
        tokens[at] = count
    if not left and tokens:
        tokens[-1] += whole
    return tokens


def apportion(whole: int, weights: Sequence[int]) -> list[int]:
    """Share a number out by weights, to the last: by the largest remainders, of equal ones the first."""
    total = sum(weights)
    if not total:
        weights, total = [1] * len(weights), len(weights)
    shares = [divmod(whole * weight, total) for weight in weights]
    rest = whole - sum(share for share, _ in shares) if shares else 0
    largest = sorted(range(len(shares)), key=lambda at: -shares[at][1])[:rest]
    parts = [share for share, _ in shares]
    for at in largest:
        parts[at] += 1
    return parts


def _pay(found: list[Segment], usage: Usage, costs: list[float]) -> None:
    """Say what of each part was read from a cache, and what it cost."""
    tokens = [each.tokens or 0 for each in found]
    read, write = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
    amounts = np.zeros((len(found), 3))
    for at, count in enumerate(tokens):
        cached = min(count, read)
        written = min(count - cached, write)
        read, write = read - cached, write - written
        found[at].cached = cached
        amounts[at] = count - cached - written, cached, written
    spread = np.zeros(len(found))
    for column, place in enumerate((_FRESH, _CACHED, _WRITTEN)):
        amount = amounts[:, column]
        if not amount.any():  # a fee, of a call without fresh input
            amount = np.array(tokens, float) if any(tokens) else np.ones(len(found))
        spread += costs[place] * amount / amount.sum()
    for segment, usd in zip(found, spread.tolist(), strict=True):
        segment.cost = usd


class _Counter:
    """Counts each text once; beyond many characters, by what the others came to."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, int]] = {"o200k_base": {}, "cl100k_base": {}}
        self._characters = self._tokens = 0

    def count(self, text: str, model: str | None) -> int:
        known = self._known[encoding_of(model)[0]]
        tokens = known.get(text)
        if tokens is None:
            if self._characters > _READ:
                tokens = math.ceil(len(text) * self._tokens / self._characters)
            else:
                tokens = count_all((text,), model).tokens
                self._characters += len(text)
                self._tokens += tokens
            known[text] = tokens
        return tokens
