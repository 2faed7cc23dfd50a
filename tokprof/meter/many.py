"""Prices of many calls at once: what `tokprof.meter.prices.price` gives for each, to the bit, in columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from tokprof.meter.listed import tariff
from tokprof.meter.prices import SINGLE, TELLING, holding, ordinary, price
from tokprof.meter.rates import Bands, Parts, Rates
from tokprof.span import Span, Usage

Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

_COLUMNS = {name: column for column, name in enumerate(Usage.__slots__)}
_alike = attrgetter("model", "request_model", "provider", "service_tier", "host", "kind", "unkept")
_MODALITIES = [column for name, column in _COLUMNS.items() if "audio" in name or "image" in name]
FEW = 16
"""Calls alike, below which they are priced sooner one by one."""

_EXACT = 2.0**53  # from here on, not every whole number is a float


def prices(spans: Sequence[Span], tokens: Floats) -> tuple[Floats, list[str | None]]:
    """Price spans.

    Parameters
    ----------
    spans : sequence of Span
    tokens : float64 array, shape (n, fields of Usage)
        What they told; NaN where they did not.

    Returns
    -------
    costs : float64 array, shape (n, 5)
        As the parts of `tokprof.meter.prices.Price`; NaN for what is no call.
    sources : list of str or None
        As its source; None for what is no call.
    """
    costs = np.full((len(spans), 5), np.nan)
    sources = np.full(len(spans), None, object)
    groups: defaultdict[tuple[object, ...], list[int]] = defaultdict(list)
    alone: list[int] = []
    for row, span in enumerate(spans):
        if span.source is not None:
            if span.cost is None and span.pinned is None and span.usage is not None:
                groups[_alike(span)].append(row)
            else:
                alone.append(row)
    for rows in groups.values():
        first = spans[rows[0]]
        plain = rows
        if first.unkept or first.provider in TELLING:
            plain = [row for row in rows if ordinary(spans[row])]
            alone += {*rows}.difference(plain)
        if len(plain) < FEW:
            alone += plain
            continue
        for bands, source, among in _tariffs(spans, plain):
            parts, odd = _parts(bands, first.kind in SINGLE, tokens[among])
            costs[among] = parts
            sources[among] = np.where(np.isnan(parts[:, 0]), "missing", source)
            alone += np.array(among)[odd].tolist()
    if alone:
        found: list[Parts] = []
        for row in alone:
            each, sources[row] = price(spans[row])
            found.append(each)
        costs[alone] = found
    return costs, sources.tolist()


def _tariffs(spans: Sequence[Span], rows: list[int]) -> Iterator[tuple[Bands, str, list[int]]]:
    """Rates of calls that are alike in all but their tokens and time."""
    first = spans[rows[0]]
    own = holding(first)
    if own is not None:
        yield own.bands, "custom", rows
        return
    listed = tariff(first.model, first.request_model, first.provider, first.service_tier)
    if listed is None:
        yield (), "missing", rows
    elif not listed.timed:
        yield listed.at(0) or (), "priced", rows
    else:
        at_once: dict[int, tuple[Bands, list[int]]] = {}
        for row in rows:
            bands = listed.at(spans[row].start) or ()
            at_once.setdefault(id(bands), (bands, []))[1].append(row)
        for bands, among in at_once.values():
            yield bands, "priced", among


def _parts(bands: Bands, single: bool, tokens: Floats) -> tuple[Floats, Flags]:
    """Parts of the cost of calls, NaN where not known; and which of them are not to be had from columns."""
    parts = np.full((len(tokens), 5), np.nan)
    odd = np.zeros(len(tokens), np.bool_)
    long = np.nan_to_num(tokens[:, _COLUMNS["input_tokens"]])
    holds = np.zeros(len(tokens), np.intp)
    for number, (above, _) in enumerate(bands):
        holds[(long > above) & (number > 0)] = number
    for number, (_, rates) in enumerate(bands):
        among = holds == number
        parts[among] = _cost(rates, single, tokens[among])
        odd[among] = _odd(rates, tokens[among])
    return parts, odd


def _odd(rates: Rates, tokens: Floats) -> Flags:
    """Calls whose cost takes more than `_cost` knows: searches, sound, pictures, and numbers beyond all floats."""
    odd: Flags = np.nan_to_num(tokens[:, _COLUMNS["web_searches"]]) != 0
    odd |= (np.abs(np.nan_to_num(tokens)) >= _EXACT).any(axis=1)
    if rates.kinds:
        odd |= rates.odd or np.nan_to_num(tokens[:, _MODALITIES]).any(axis=1)
    return odd


def _cost(rates: Rates, single: bool, tokens: Floats) -> Floats:
    """Give what `tokprof.meter.rates.cost` does, by the same steps in the same order."""
    if rates.flat:
        return np.tile((rates.fee, rates.fee, 0.0, 0.0, 0.0), (len(tokens), 1))

    def known(name: str) -> Floats:
        return np.nan_to_num(tokens[:, _COLUMNS[name]])

    fresh, out = tokens[:, _COLUMNS["input_tokens"]], known("output_tokens")
    unknown = np.isnan(fresh)
    if not single:
        unknown |= np.isnan(tokens[:, _COLUMNS["output_tokens"]])
    unknown |= ((fresh != 0) & (rates.fresh is None)) | ((out != 0) & (rates.out is None))
    read = np.minimum(known("cache_read_tokens"), fresh)
    write = np.minimum(known("cache_write_tokens"), fresh - read)
    hour = np.minimum(known("cache_write_1h_tokens"), write)
    for_fresh = (fresh - read - write) * (rates.fresh or 0.0) + rates.fee
    for_read = read * (rates.read or 0.0)
    for_write = (write - hour) * (rates.write or 0.0) + hour * (rates.hour or 0.0)
    for_out = out * (rates.out or 0.0)
    parts = np.column_stack((for_fresh + for_out + for_read + for_write, for_fresh, for_out, for_read, for_write))
    parts[unknown] = np.nan
    return parts
