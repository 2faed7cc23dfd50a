"""Prices that the user gives, for models that the list does not know and contracts that it cannot know."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tokprof.meter.rates import Bands, Rates

_PER_TOKEN = (
    "input",
    "output",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "reasoning",
    "input_audio",
    "output_audio",
    "input_image",
    "output_image",
)
_PER_PIECE = ("request", "web_search")
NAMES = (*_PER_TOKEN, *_PER_PIECE)
_KINDS = ("input_audio", "output_audio", "input_image", "output_image", "reasoning")

Pattern = str | re.Pattern[str]


@dataclass(frozen=True, eq=False)
class CustomPrice:
    """A price that was added; give it to `tokprof.prices.remove` to take it back.

    Attributes
    ----------
    pattern : str
        Regular expression that the name of the model matches as a whole.
    prices : dict of str to float
        USD a million tokens, and USD a ``request`` or ``web_search``.
    thresholds : dict of int to dict
        What differs above so many input tokens.
    provider, host, service_tier : str or None
        To which calls it is limited.
    """

    pattern: str
    prices: dict[str, float]
    thresholds: dict[int, dict[str, float]] = field(default_factory=dict)
    provider: str | None = None
    host: str | None = None
    service_tier: str | None = None
    bands: Bands = field(default=(), repr=False)
    _model: re.Pattern[str] | None = field(default=None, repr=False)
    _host: re.Pattern[str] | None = field(default=None, repr=False)

    def matches(
        self, model: str | None, request_model: str | None, provider: str | None, tier: str | None, host: str | None
    ) -> bool:
        """Whether it is the price of a call: of the model that answered, or of the one that was asked for."""
        if self.provider is not None and self.provider != provider:
            return False
        if self.service_tier is not None and self.service_tier.lower() != (tier or "").lower():
            return False
        if self._host is not None and not _fits(self.host, self._host, host, _bare(host)):
            return False
        return self._model is None or _fits(self.pattern, self._model, model, request_model)


def make(
    pattern: Pattern,
    prices: Mapping[str, Any],
    thresholds: Mapping[int, Mapping[str, Any]] | None,
    provider: str | None,
    host: Pattern | None,
    service_tier: str | None,
) -> CustomPrice:
    """Check and compile a price.

    Raises
    ------
    TypeError, ValueError
        For what is none, with what to give instead.
    """
    given = {name: amount(name, value) for name, value in prices.items() if value is not None}
    if not given:
        raise ValueError(f"give at least one price, for instance input=0.5 and output=1.5; known: {', '.join(NAMES)}")
    above = _thresholds(thresholds)
    for name, value in (("provider", provider), ("service_tier", service_tier)):
        if value is not None and (not isinstance(value, str) or not value):
            raise TypeError(f"{name} must be a name such as {'openai' if name == 'provider' else 'flex'!r}: {value!r}")
    model = _compiled("pattern", pattern, "gpt-4o-mini")
    place = None if host is None else _compiled("host", host, "localhost")
    return CustomPrice(
        model.pattern,
        given,
        above,
        provider,
        place and place.pattern,
        service_tier,
        _bands(given, above),
        model,
        place,
    )


def free(host: Pattern) -> CustomPrice:
    """Make the price of everything at a host zero."""
    place = _compiled("host", host, "localhost")
    nothing = dict.fromkeys(("input", "output", "web_search"), 0.0)
    return CustomPrice(".*", nothing, host=place.pattern, bands=_bands(nothing, {}), _host=place)


def amount(name: str, value: object) -> float:
    """Check that a price is one: a number of dollars, not negative and not infinite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        try:
            value = None if isinstance(value, bool | str | bytes) else float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            value = None
        if value is None:
            raise TypeError(f"{name} must be a number of dollars, for instance {name}=0.5")
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} must be a finite number of dollars, 0 or more: {value!r}")
    return float(value)


def _thresholds(given: Mapping[int, Mapping[str, Any]] | None) -> dict[int, dict[str, float]]:
    example = 'thresholds={200_000: {"input": 6, "output": 22.5}}'
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(prices, Mapping) for prices in given.values()):
        raise TypeError(f"thresholds must map numbers of input tokens to prices, for instance {example}")
    found: dict[int, dict[str, float]] = {}
    for tokens, prices in given.items():
        if type(tokens) is not int:
            raise TypeError(f"a threshold must be a whole number of input tokens, for instance {example}: {tokens!r}")
        if tokens < 0:
            raise ValueError(f"a threshold must be 0 or more input tokens, for instance {example}: {tokens!r}")
        for name in prices:
            if name not in NAMES:
                raise ValueError(f"{name!r} is no price; known: {', '.join(NAMES)}")
        found[tokens] = {name: amount(name, value) for name, value in prices.items() if value is not None}
    return dict(sorted(found.items()))


def _compiled(what: str, pattern: object, example: str) -> re.Pattern[str]:
    if isinstance(pattern, re.Pattern) and isinstance(pattern.pattern, str):
        return pattern
    if not isinstance(pattern, str):
        raise TypeError(f"{what} must be a name or a regular expression, for instance {example!r}: {pattern!r}")
    if not pattern.strip():
        raise ValueError(f"{what} must not be empty; '.*' stands for every name")
    try:
        return re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        hint = re.escape(pattern)
        raise ValueError(
            f"{what} {pattern!r} is no regular expression ({error}); as plain text it is {hint!r}"
        ) from None


def _fits(text: str | None, pattern: re.Pattern[str], *names: str | None) -> bool:
    """Whether a pattern is or matches one of the names as a whole; a name may hold what is special in a pattern."""
    return any(name == text or pattern.fullmatch(name) is not None for name in names if name)


def _bare(host: str | None) -> str | None:
    """Drop the port of a host."""
    return None if host is None else re.sub(r":\d+$", "", host)


def _bands(prices: dict[str, float], thresholds: dict[int, dict[str, float]]) -> Bands:
    bands, valid = [(-1, _rates(prices))], prices
    for above, more in thresholds.items():
        valid = valid | more
        bands.append((above, _rates(valid)))
    return tuple(bands)


def _rates(prices: dict[str, float]) -> Rates:
    per_token = {name: prices[name] / 1e6 for name in _PER_TOKEN if name in prices}
    fresh, out = per_token.get("input"), per_token.get("output")
    write = per_token.get("cache_write", fresh)
    kinds = {name: per_token[name] for name in _KINDS if name in per_token}
    if "input_audio" in kinds or "input_image" in kinds:
        # a price of sound that has no price of its own in the cache: the cache's price is for all kinds
        read = per_token.get("cache_read")
        kinds |= {f"cache_{name[6:]}": kinds[name] if read is None else read for name in kinds if name[:6] == "input_"}
    return Rates(
        fresh,
        out,
        per_token.get("cache_read", fresh),
        write,
        per_token.get("cache_write_1h", write),
        prices.get("request", 0.0),
        prices.get("web_search"),
        kinds=kinds,
        odd=any(name in kinds for name in ("output_audio", "output_image", "reasoning")),
        flat=not any(per_token.values()) and (not per_token or (fresh == 0.0 and out == 0.0)),
    )
