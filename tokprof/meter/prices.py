"""Usage and model -> USD, by the price list of genai-prices (bundled data, no download)."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from tokprof.span import Span, Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo

NAN = math.nan
# Of a host that is not known, only a name that nobody else can serve tells the price.
_CLOSED = ("openai", "anthropic", "google", "x-ai")
_OPEN = ("gpt-oss", "gemma", "openai/gpt-oss", "google/gemma", "gpt2", "gpt-2")
_UNKNOWN = (NAN, NAN, NAN, NAN, NAN)
# genai-prices' ids where they differ from the names of the OpenTelemetry conventions
_PROVIDER_IDS = {
    "aws.bedrock": "aws",
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "gcp.gen_ai": "google",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "x_ai": "x-ai",
}


class Price(NamedTuple):
    """USD of one call.

    Attributes
    ----------
    parts : tuple of 5 floats
        Total, fresh input, output, cache reads, cache writes; NaN where not known.
    source : str
        ``reported``, ``priced`` or ``missing``.
    """

    parts: tuple[float, float, float, float, float]
    source: str


def price(span: Span) -> Price:
    """Price a call; the provider's own figure wins.

    A call whose input or output is not known has no price: a part of one would pass for the whole.
    """
    parts = _listed(span)
    if span.cost is not None:
        return Price((span.cost, *(parts or _UNKNOWN)[1:]), span.cost_source or "reported")
    return Price(parts, "priced") if parts else Price(_UNKNOWN, "missing")


def _listed(span: Span) -> tuple[float, float, float, float, float] | None:
    usage = span.usage
    if usage is None or usage.input_tokens is None or (usage.output_tokens is None and span.kind == "llm"):
        return None
    provider = _PROVIDER_IDS.get(span.provider or "", span.provider)
    for model in dict.fromkeys((span.model, span.request_model)):
        if model and (listed := _model(model, provider)):
            at = datetime.fromtimestamp(span.start / 1e9, UTC)
            return _parts(listed, usage, at)
    return None


@lru_cache(maxsize=1024)
def _model(model: str, provider: str | None) -> ModelInfo | None:
    """Find the model in its provider's list; only where the host tells no provider, by the name of the model."""
    from genai_prices.data_snapshot import get_snapshot

    # `None` lets the list guess the maker by the name; it does not know that of OpenAI's embedding models
    for maker in (provider,) if provider else (None, "openai"):
        try:
            found, listed = get_snapshot().find_provider_model(model, None, maker, None)
        except LookupError:
            continue
        if provider or (found.id in _CLOSED and not model.lower().startswith(_OPEN)):
            return listed
    return None


def _parts(model: ModelInfo, usage: Usage, at: datetime) -> tuple[float, float, float, float, float] | None:
    prices = model.get_prices(at)
    tokens_in, tokens_out = usage.input_tokens or 0, usage.output_tokens or 0
    rates = _flat(prices) or _rates(prices, tokens_in)
    if rates.fresh is None or (rates.out is None and tokens_out):
        return None
    read, write, long = (min(n or 0, tokens_in) for n in _cached(usage))
    for_read = read * rates.read
    for_write = (write - min(long, write)) * rates.write + min(long, write) * rates.long
    fresh = max(0, tokens_in - read - write) * rates.fresh
    out = tokens_out * (rates.out or 0.0)
    if rates.rare or _rare(usage):
        listed = _calculated(prices, usage)
        if listed is None:
            return None
        fresh = max(0.0, float(listed["input_price"]) - for_read - for_write)
        out = float(listed["output_price"])
        return float(listed["total_price"]), fresh, out, for_read, for_write
    return fresh + out + for_read + for_write, fresh, out, for_read, for_write


def _cached(usage: Usage) -> tuple[int | None, int | None, int | None]:
    return usage.cache_read_tokens, usage.cache_write_tokens, usage.cache_write_1h_tokens


def _rare(usage: Usage) -> bool:
    """Whether there are tokens with a price of their own beside plain text and cache."""
    return bool(
        usage.input_audio_tokens or usage.output_audio_tokens or usage.input_image_tokens or usage.output_image_tokens
    )


class _Rates(NamedTuple):
    """USD a token; `rare` where the list charges for other units too."""

    fresh: float | None
    out: float | None
    read: Any
    write: Any
    long: Any
    rare: bool


_flats: dict[int, tuple[Any, _Rates | None]] = {}  # by id of the prices, which are kept so that the id stays theirs


def _flat(prices: Any) -> _Rates | None:
    """Rates that hold for a call of any size; None for prices in tiers."""
    known = _flats.get(id(prices))
    if known is None:
        tiers = any(hasattr(value, "tiers") for value in vars(prices).values())
        if len(_flats) > 1024:
            _flats.clear()
        known = _flats[id(prices)] = (prices, None if tiers else _rates(prices, 0))
    return known[1]


def _rates(prices: Any, input_tokens: int) -> _Rates:
    fresh = _rate(prices, "input_mtok", input_tokens)
    write = _rate(prices, "cache_write_mtok", input_tokens, fresh)
    return _Rates(
        fresh,
        _rate(prices, "output_mtok", input_tokens),
        _rate(prices, "cache_read_mtok", input_tokens, fresh),
        write,
        _rate(prices, "cache_write_1h_mtok", input_tokens, write),
        any(getattr(prices, name, None) is not None for name in ("requests_kcount", "output_reasoning_mtok")),
    )


def _calculated(prices: Any, usage: Usage) -> Any:
    """Leave the arithmetic of the rarer units to genai-prices (about 100 us; the plain case above takes 5)."""
    from genai_prices import Usage as Listed

    names = (name for name in Usage.__slots__ if name != "reasoning_tokens")
    known = {name: value for name in names if (value := getattr(usage, name)) is not None}
    try:
        return prices.calc_price(Listed(**known))
    except (ValueError, TypeError, LookupError):
        return None


def _rate(prices: Any, name: str, input_tokens: int, default: float | None = None) -> Any:
    """USD a token, in the tier that `input_tokens` puts the whole call in."""
    value = getattr(prices, name, None)
    if value is None:
        return default
    if isinstance(value, Decimal | int | float):
        return float(value) / 1e6
    rate = value.base
    for tier in value.tiers:
        if input_tokens > tier.start:
            rate = tier.price
    return float(rate) / 1e6
