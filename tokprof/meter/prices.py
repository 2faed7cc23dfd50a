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
            return get_snapshot().find_provider_model(model, None, maker, None)[1]
        except LookupError:
            continue
    return None


def _parts(model: ModelInfo, usage: Usage, at: datetime) -> tuple[float, float, float, float, float] | None:
    prices = model.get_prices(at)
    tokens_in, tokens_out = usage.input_tokens or 0, usage.output_tokens or 0
    fresh_rate = _rate(prices, "input_mtok", tokens_in)
    out_rate = _rate(prices, "output_mtok", tokens_in)
    if fresh_rate is None or (out_rate is None and tokens_out):
        return None
    read, write, long = (min(n or 0, tokens_in) for n in _cached(usage))
    read_rate = _rate(prices, "cache_read_mtok", tokens_in, fresh_rate)
    write_rate = _rate(prices, "cache_write_mtok", tokens_in, fresh_rate)
    long_rate = _rate(prices, "cache_write_1h_mtok", tokens_in, write_rate)
    for_read = read * read_rate
    for_write = (write - min(long, write)) * write_rate + min(long, write) * long_rate
    fresh = max(0, tokens_in - read - write) * fresh_rate
    out = tokens_out * (out_rate or 0.0)
    special = _special(prices, usage)
    if special is not None:
        listed = _calculated(prices, usage)
        if listed is None:
            return None
        fresh = max(0.0, float(listed["input_price"]) - for_read - for_write)
        out = float(listed["output_price"])
        return float(listed["total_price"]), fresh, out, for_read, for_write
    return fresh + out + for_read + for_write, fresh, out, for_read, for_write


def _cached(usage: Usage) -> tuple[int | None, int | None, int | None]:
    return usage.cache_read_tokens, usage.cache_write_tokens, usage.cache_write_1h_tokens


def _special(prices: Any, usage: Usage) -> str | None:
    """Name a kind of token, or a unit, that has a price of its own beside plain text and cache."""
    if usage.input_audio_tokens or usage.output_audio_tokens or usage.input_image_tokens or usage.output_image_tokens:
        return "audio or image"
    priced = {name for name, value in vars(prices).items() if value is not None and not name.startswith("_")}
    return next(iter(sorted(priced & {"requests_kcount", "output_reasoning_mtok"})), None)


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
