"""What calls cost, in USD: told by the provider, by prices of your own, or by the list of genai-prices.

`tokprof.prices` is this module. The list comes with genai-prices; nothing is downloaded. Prices of your own win over
the list, and what the provider itself says that a call cost wins over both.
"""

from __future__ import annotations

import builtins
import math
import re
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from tokprof.meter import custom
from tokprof.meter.body import load
from tokprof.meter.custom import CustomPrice
from tokprof.meter.listed import tariff
from tokprof.meter.rates import Bands, Parts, Rates, band, cost
from tokprof.meter.split import split
from tokprof.meter.usage import billed
from tokprof.span import Span, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokprof.meter.custom import Pattern

__all__ = ["CustomPrice", "add", "clear", "free", "list", "remove"]

NAN = math.nan
_UNKNOWN = (NAN, NAN, NAN, NAN, NAN)
_NOTHING = (0.0, 0.0, 0.0, 0.0, 0.0)
SINGLE = ("embedding", "reranker")  # kinds that spend input alone; of any other, what came out is not known

TELLING = ("anthropic", "cohere")  # providers whose usage objects may tell more that matters than `Usage` holds

# Inference that stays in one country; https://platform.claude.com/docs/en/manage-claude/data-residency
_GEO = re.compile(r'"inference_geo":"([^"]*)"')
_GEO_FACTORS = {"us": 1.1, "global": 1.0, "not_available": 1.0, "": 1.0}

version = 0
"""Number of times that prices were added or removed: what was priced before a change is priced anew."""

_lock = threading.Lock()
_custom: tuple[CustomPrice, ...] = ()
_found: dict[tuple[str | None, ...], CustomPrice | None] = {}


class Price(NamedTuple):
    """USD of one call.

    Attributes
    ----------
    parts : tuple of 5 floats
        Total, input (fresh tokens, and fees by the request or search), output, cache reads, cache writes; NaN where not
        known. The four add up to the total.
    source : str
        ``reported``, ``priced``, ``custom``, ``cached`` or ``missing``.
    """

    parts: Parts
    source: str


def add(
    pattern: Pattern,
    *,
    input: float | None = None,
    output: float | None = None,
    cache_read: float | None = None,
    cache_write: float | None = None,
    cache_write_1h: float | None = None,
    reasoning: float | None = None,
    input_audio: float | None = None,
    output_audio: float | None = None,
    input_image: float | None = None,
    output_image: float | None = None,
    request: float | None = None,
    web_search: float | None = None,
    thresholds: Mapping[int, Mapping[str, float]] | None = None,
    provider: str | None = None,
    host: Pattern | None = None,
    service_tier: str | None = None,
) -> CustomPrice:
    """Add a price for a model; profiles that already exist are priced anew when they are next looked at.

    Parameters
    ----------
    pattern : str or re.Pattern
        Name of the model, or a regular expression that matches all of it: ``"gpt-4o"`` is not ``"gpt-4o-mini"``,
        ``"gpt-4o.*"`` is both. Upper and lower case are one, unless you give a compiled pattern. It is compared with
        the model that answered and with the one that was asked for.
    input, output : float, optional
        USD a million tokens. A call that has tokens without a price has no known cost.
    cache_read, cache_write, cache_write_1h : float, optional
        USD a million tokens of input read from a cache, written to it, and written to live for an hour. Without them
        they cost what `input` does, and the last what `cache_write` does.
    reasoning, input_audio, output_audio, input_image, output_image : float, optional
        USD a million tokens of these kinds; without them they cost what `input` and `output` do. A call that does not
        tell how much of its output is of a kind that has a price has no known cost.
    request, web_search : float, optional
        USD a call, and USD a search that the provider makes for it. Without the latter, a call with searches has no
        known cost.
    thresholds : dict, optional
        Prices that differ above a number of input tokens, for the whole call:
        ``{200_000: {"input": 6, "output": 22.5}}``.
    provider : str, optional
        Only calls to this provider, by its name in ``prof.df``.
    host : str or re.Pattern, optional
        Only calls to this host, with or without its port.
    service_tier : str, optional
        Only calls in this tier; without it the price holds in all of them.

    Returns
    -------
    CustomPrice
        For `remove`. Of several prices for a call, the last one added holds.

    Raises
    ------
    TypeError, ValueError
        For a price that is no finite number of dollars, an empty pattern, or one that is no regular expression.
    """
    prices: dict[str, Any] = {
        "input": input,
        "output": output,
        "cache_read": cache_read,
        "cache_write": cache_write,
        "cache_write_1h": cache_write_1h,
        "reasoning": reasoning,
        "input_audio": input_audio,
        "output_audio": output_audio,
        "input_image": input_image,
        "output_image": output_image,
        "request": request,
        "web_search": web_search,
    }
    made = custom.make(pattern, prices, thresholds, provider, host, service_tier)
    _set((*_custom, made))
    return made


def free(host: Pattern) -> CustomPrice:
    r"""Say that calls to a host cost nothing, whatever the model: of a server of your own.

    Parameters
    ----------
    host : str or re.Pattern
        Name of the host, or a regular expression that matches all of it, with or without its port:
        ``"localhost"``, ``"localhost:11434"``, ``r"localhost|127\.0\.0\.1"``.

    Returns
    -------
    CustomPrice
        For `remove`.
    """
    made = custom.free(host)
    _set((*_custom, made))
    return made


def remove(price: CustomPrice | str) -> None:
    """Take a price back.

    Parameters
    ----------
    price : CustomPrice or str
        What `add` or `free` returned, or the pattern or host that was given to them: then all prices with it.

    Raises
    ------
    ValueError
        Where there is no such price.
    """
    left = tuple(each for each in _custom if not (each is price or price in _names(each)))
    if len(left) == len(_custom):
        there = ", ".join(repr(name) for each in _custom for name in _names(each))
        raise ValueError(f"there is no price {price!r}; " + (f"there are {there}" if there else "none was added"))
    _set(left)


def clear() -> None:
    """Take back all prices that were added."""
    _set(())


def list() -> builtins.list[CustomPrice]:
    """Give the prices that were added, oldest first."""
    return [*_custom]


def price(span: Span) -> Price:
    """Price a call; the provider's own figure wins.

    A call whose input or output is not known has no price: a part of one would pass for the whole. A call that was
    loaded costs what it cost when it was saved, unless a price of your own holds for it.
    """
    pinned = span.pinned
    if pinned is not None and pinned.holds(span) and not (_custom and _own(span)):
        return Price(pinned.parts, pinned.source)
    if span.cost is None:
        own = _own(span) if _custom else None
        parts = _parts(span, own)
        if parts is None:
            return Price(_UNKNOWN, "missing")
        return Price(parts, "priced" if own is None else "custom")
    source = span.cost_source or "reported"
    if not span.cost:
        return Price(_NOTHING, source)
    return Price(_shared_out(span.cost, _parts(span, _own(span) if _custom else None)), source)


def saved(span: Span) -> float:
    """USD that a cache saved: as the provider told when a model answered, else by the prices; NaN where not known."""
    if span.saved_cost is not None:
        return span.saved_cost
    if span.saved is None:
        return NAN
    return price(replace(span, usage=span.saved, cost=None, cost_source=None, pinned=None)).parts[0]


def _names(price: CustomPrice) -> tuple[str, ...]:
    """By what a price can be called: its pattern, or the host that is free."""
    return (price.pattern,) if price.pattern != ".*" or price.host is None else (price.host,)


def _set(prices: tuple[CustomPrice, ...]) -> None:
    global _custom, _found, version
    with _lock:
        _custom, _found = prices, {}
        version += 1


def ordinary(span: Span) -> bool:
    """Whether tokens and price list alone tell what a call cost: not its provider, nor what it was saved with."""
    if span.cost is not None or span.pinned is not None or span.unkept:
        return False
    if span.provider not in TELLING or (raw := span.usage_raw) is None:
        return True
    geo = _GEO.search(raw)
    return "billed_units" not in raw and (geo is None or _GEO_FACTORS.get(geo[1]) == 1.0)


def holding(span: Span) -> CustomPrice | None:
    """Give the price of your own that holds for a call."""
    return _own(span) if _custom else None


def _own(span: Span) -> CustomPrice | None:
    """Last price added that holds for a call."""
    found = _found
    key = (span.model, span.request_model, span.provider, span.service_tier, span.host)
    try:
        return found[key]
    except KeyError:
        if len(found) > 4096:
            found.clear()
        made = found[key] = next((each for each in reversed(_custom) if each.matches(*key)), None)
        return made


def _parts(span: Span, own: CustomPrice | None) -> Parts | None:
    usage = span.usage
    bands: Bands | None
    factor = 1.0
    if own is not None:
        bands = own.bands
    else:
        if usage is None:
            return None
        provider, raw = span.provider, span.usage_raw
        listed = tariff(span.model, span.request_model, provider, span.service_tier)
        if listed is None:
            return None
        bands = listed.at(span.start)
        if raw is not None and provider == "anthropic" and (geo := _GEO.search(raw)) is not None:
            factor = _GEO_FACTORS.get(geo[1], NAN)
        elif raw is not None and provider == "cohere" and "billed_units" in raw:
            usage = billed(load(raw.encode()) or {}) or usage
    if bands is None or (len(bands) > 1 and span.count > 1):
        return None  # of a row that stands for many calls, nobody tells which of them were long
    rates = bands[0][1] if len(bands) == 1 else band(bands, usage.input_tokens if usage else None)
    single = span.kind in SINGLE
    parts = cost(rates, usage or Usage(), single, _split(span, rates) if rates.kinds else None, span.count)
    if parts is None or factor == 1.0:
        return parts
    return None if math.isnan(factor) else _scaled(parts, factor, _fees(rates, usage))


def _split(span: Span, rates: Rates) -> Any:
    """Read modalities from the provider's own object, where `Usage` does not hold what matters."""
    usage, raw = span.usage, span.usage_raw
    if usage is None or raw is None:
        return None
    mixed = usage.cache_read_tokens and (usage.input_audio_tokens or usage.input_image_tokens)
    if not (mixed or rates.odd):
        return None
    told = load(raw.encode())
    return split(told) if isinstance(told, dict) else None


def _fees(rates: Rates, usage: Usage | None) -> float:
    return rates.fee + ((usage.web_searches if usage else None) or 0) * (rates.search or 0.0)


def _scaled(parts: Parts, factor: float, fees: float) -> Parts:
    """Multiply what tokens cost, not the fees."""
    _, fresh, out, read, write = parts
    fresh = (fresh - fees) * factor + fees
    out, read, write = out * factor, read * factor, write * factor
    return fresh + out + read + write, fresh, out, read, write


def _shared_out(told: float, parts: Parts | None) -> Parts:
    """Share a cost that the provider told among the parts, as the prices would."""
    if parts is None or not parts[0]:
        return told, NAN, NAN, NAN, NAN
    share = told / parts[0]
    return told, parts[1] * share, parts[2] * share, parts[3] * share, parts[4] * share


def __dir__() -> builtins.list[str]:
    return __all__
