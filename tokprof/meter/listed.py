"""The price list: genai-prices (bundled data, no download), by model, provider, service tier and time."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tokprof.meter.rates import MODALITIES, UNSEEN, Bands, Rates

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo

_MINUTE = 60 * 10**9

# Of a host that is not known, only a name that nobody else can serve tells the price.
_CLOSED = ("openai", "anthropic", "google", "x-ai")
_OPEN = ("gpt-oss", "gemma", "openai/gpt-oss", "google/gemma", "gpt2", "gpt-2")

# genai-prices' ids where they differ from the names of the OpenTelemetry conventions
PROVIDER_IDS = {
    "aws.bedrock": "aws",
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "gcp.gen_ai": "google",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "voyage": "voyageai",
    "x_ai": "x-ai",
    "z_ai": "zai",
}

# words for the tier that the list's standard prices are for
_STANDARD = ("", "default", "standard", "standard_only", "auto", "on_demand", "traffic_type_unspecified")
_TIERS = {"on_demand_priority": "priority", "on_demand_flex": "flex"}

# (provider, tier) that costs what the standard tier costs; https://console.groq.com/docs/flex-processing
_SAME = {("groq", "flex")}

# units that the usage of a call does not tell
_UNTOLD = (
    "audio_hours",
    "input_audio_hours",
    "output_audio_hours",
    "input_mchars",
    "input_gpixels",
    "input_document_kpages",
    "input_annotated_document_kpages",
    "input_text_messages_kcount",
    "output_citation_mtok",
    "rerank_searches_kcount",
)


class Tariff:
    """Prices of one model at one provider in one service tier, over time.

    Parameters
    ----------
    model : ModelInfo
        Entry of the list.
    provider : str
        Whose list it is in.
    tier : str or None
        None for the standard tier.
    """

    def __init__(self, model: ModelInfo, provider: str, tier: str | None):
        self._model, self._provider = model, provider
        self._context = None if tier is None else dict.fromkeys(("service_tier", "speed", "processing"), tier)
        self._variants = [
            variant
            for variant in (model.price_variants or () if self._context else ())
            if all((self._context or {}).get(key) == value for key, value in variant.when.items())
        ]
        timed = isinstance(model.prices, list) or any(variant.constraint for variant in self._variants)
        self._at: dict[int, Bands | None] | None = {} if timed else None
        self._bands = None if timed else self._compile(0)

    @property
    def timed(self) -> bool:
        """Whether the prices change, or have changed, with time."""
        return self._at is not None

    def at(self, start: int) -> Bands | None:
        """Give the rates by size of the input for a call that began at `start`, in nanoseconds since the epoch."""
        if self._at is None:
            return self._bands
        minute = start // _MINUTE  # no price changes within one
        try:
            return self._at[minute]
        except KeyError:
            if len(self._at) > 4096:
                self._at.clear()
            bands = self._at[minute] = self._compile(minute * _MINUTE)
            return bands

    def _compile(self, start: int) -> Bands | None:
        at = datetime.fromtimestamp(start / 1e9, UTC)
        if self._context and not any(v.constraint is None or v.constraint.active(at) for v in self._variants):
            return None  # this tier costs something else, and nobody tells what
        prices = self._model.get_prices(at, self._context)
        named = {name: value for name, value in vars(prices).items() if value is not None}
        if any(name in named for name in _UNTOLD) or self._searches_untold():
            return None
        starts = {tier.start for value in named.values() if hasattr(value, "tiers") for tier in value.tiers}
        return tuple((above, self._rates(named, above + 1)) for above in (-1, *sorted(starts)))

    def _searches_untold(self) -> bool:
        """Whether the model always searches the web, which is billed and not told."""
        return "-search-preview" in self._model.id or "-search-api" in self._model.id

    def _rates(self, named: dict[str, Any], tokens: int) -> Rates:
        def rate(name: str, default: float | None = None, per: float = 1e6) -> float | None:
            value = named.get(name)
            if value is None:
                return default
            if hasattr(value, "tiers"):
                reached = [tier.price for tier in value.tiers if tokens > tier.start]
                value = reached[-1] if reached else value.base
            return float(value) / per

        fresh = rate("input_mtok")
        write = rate("cache_write_mtok", fresh)
        search = rate("web_searches_kcount", None, 1e3)
        if self._model.id.startswith("gpt-4"):
            search = None  # $10 or, with the tool `web_search_preview`, $25 a thousand
        units = {"reasoning": "output_reasoning_mtok"}
        for name in MODALITIES:
            units |= {f"input_{name}": f"input_{name}_mtok", f"output_{name}": f"output_{name}_mtok"}
            units[f"cache_{name}"] = f"cache_{name}_read_mtok"
        kinds = {kind: price for kind, unit in units.items() if (price := rate(unit)) is not None}
        return Rates(
            fresh,
            rate("output_mtok"),
            rate("cache_read_mtok", fresh),
            write,
            rate("cache_write_1h_mtok", write),
            rate("requests_kcount", 0.0, 1e3) or 0.0,
            search,
            # by the grounded prompt before Gemini 3, by the query since
            self._provider == "google" and self._model.id.startswith(("gemini-1", "gemini-2")),
            kinds,
            odd=any(name in kinds for name in ("output_audio", "output_image", *UNSEEN)),
        )


@lru_cache(maxsize=4096)
def tariff(model: str | None, request_model: str | None, provider: str | None, tier: str | None) -> Tariff | None:
    """Find the prices of a call.

    Parameters
    ----------
    model, request_model : str or None
        Which answered and which was asked for; the first that is listed counts.
    provider : str or None
        By the names of the OpenTelemetry conventions; None for a host that is not known.
    tier : str or None
        Service tier as the provider says it.

    Returns
    -------
    Tariff or None
        None where the list does not know the model at this provider, or has no price for the tier at any time.
    """
    listed = PROVIDER_IDS.get(provider or "", provider)
    kind = _tier(tier, listed)
    for name in dict.fromkeys((model, request_model)):
        if name and (found := find(name, listed)):
            maker, entry = found
            # a list that falls back on another maker's prices does not tell its own tiers
            if kind is not None and not any(entry is own for own in maker.models):
                return None
            return Tariff(entry, maker.id, kind)
    return None


def alike(model: str, most: int = 3) -> list[str]:
    """Give names in the list that are close to one that is not in it, closest first."""
    from difflib import get_close_matches

    from genai_prices.data_snapshot import get_snapshot

    names = {entry.id for maker in get_snapshot().providers for entry in maker.models}
    return [] if model in names else get_close_matches(model, sorted(names), most, 0.7)


def _tier(tier: str | None, provider: str | None) -> str | None:
    if tier is None or tier.lower() in _STANDARD or (provider, tier.lower()) in _SAME:
        return None
    return _TIERS.get(tier.lower(), tier.lower())


def find(model: str, provider: str | None) -> tuple[Any, ModelInfo] | None:
    """Find the entry of a model and whose list it is in; by the name alone only where the host tells no provider."""
    from genai_prices.data_snapshot import get_snapshot

    # `None` lets the list guess the maker by the name; it does not know that of OpenAI's embedding models
    for maker in (provider,) if provider else (None, "openai"):
        try:
            found, entry = get_snapshot().find_provider_model(model, None, maker, None)
        except LookupError:
            continue
        if provider or (found.id in _CLOSED and not model.lower().startswith(_OPEN)):
            return found, entry
    return None
