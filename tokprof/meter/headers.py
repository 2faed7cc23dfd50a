"""What the headers of an answer tell of money: the cost, the service tier, and whether a cache answered.

The gateways' own words, as of November 2026: LiteLLM (docs.litellm.ai/docs/proxy/response_headers), Cloudflare
(developers.cloudflare.com/ai-gateway/features/caching), Portkey (portkey.ai/docs/api-reference/response-schema),
Helicone and OpenRouter. Google and AWS tell the service tier in headers where their bodies do not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

_COST = "x-litellm-response-cost"
_TIERS = ("x-gemini-service-tier", "x-amzn-bedrock-service-tier")
_CACHES = (
    "x-litellm-cache-hit",
    "cf-aig-cache-status",
    "helicone-cache",
    "x-portkey-cache-status",
    "x-openrouter-cache-status",
)
_HITS = ("hit", "true", "semantic hit")
_LATENCY = "x-amzn-bedrock-performanceconfig-latency"

NAMES = (_COST, *_TIERS, _LATENCY, *_CACHES)
"""Headers that are worth keeping, lower case."""


def cost(headers: Mapping[str, str]) -> float | None:
    """USD that a gateway says the call cost; None where it says nothing, or nonsense."""
    try:
        told = float(headers[_COST])
    except (KeyError, ValueError):
        return None
    return told if math.isfinite(told) and told >= 0 else None


def tier(headers: Mapping[str, str]) -> str | None:
    """Service tier, in the provider's words and lower case."""
    told = next((told.strip().lower() for name in _TIERS if (told := headers.get(name))), None)
    if told in (None, "default") and headers.get(_LATENCY, "").strip().lower() == "optimized":
        return "optimized"
    return told


def cached(headers: Mapping[str, str]) -> bool:
    """Whether a gateway answered from its cache, so that no model ran and nothing was billed."""
    return any(headers.get(name, "").strip().lower() in _HITS for name in _CACHES)
