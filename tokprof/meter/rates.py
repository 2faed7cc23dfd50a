"""The arithmetic of money: tokens by kind, times what each kind costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from tokprof.meter.split import Split
from tokprof.span import Usage

MODALITIES = ("audio", "image", "video")
UNSEEN = ("input_video", "output_video", "reasoning")
"""Kinds of `Rates` that matter to a call that has neither sound nor pictures."""

Parts = tuple[float, float, float, float, float]
"""USD: total, input (fresh tokens, and fees by the request or search), output, cache reads, cache writes."""

_NONE: Mapping[str, float] = MappingProxyType({})


class Rates(NamedTuple):
    """What a model costs, in USD a token; None where there is no price.

    Attributes
    ----------
    fresh, out, read, write, hour : float or None
        Input that is neither read from nor written to a cache, output, cache reads, cache writes, and writes that live
        for an hour.
    fee : float
        A request.
    search : float or None
        A web search made for it.
    once : bool
        Whether a call pays for one search, however many it made.
    kinds : mapping of str to float
        Tokens with a price of their own: ``input_audio``, ``cache_audio``, ``output_audio``, the same for ``image`` and
        ``video``, and ``reasoning``.
    flat : bool
        Whether tokens cost nothing, so that their number does not matter.
    odd : bool
        Whether the cost depends on more than what `Usage` holds for text: film, reasoning, or what kind the output is.
    """

    fresh: float | None
    out: float | None
    read: float | None
    write: float | None
    hour: float | None
    fee: float = 0.0
    search: float | None = None
    once: bool = False
    kinds: Mapping[str, float] = _NONE
    flat: bool = False
    odd: bool = False


Bands = Sequence[tuple[int, Rates]]
"""Rates by the size of the input: each holds above its number of tokens, for the whole call; the first is (-1, ...)."""


def band(bands: Bands, input_tokens: int | None) -> Rates:
    """Rates that hold for a call with so many input tokens."""
    rates = bands[0][1]
    for above, higher in bands:
        if (input_tokens or 0) > above:
            rates = higher
    return rates


def matters(rates: Rates, usage: Usage) -> bool:
    """Whether a call has, or may have, tokens of `rates.kinds`."""
    return bool(
        rates.odd
        or usage.input_audio_tokens
        or usage.input_image_tokens
        or usage.output_audio_tokens
        or usage.output_image_tokens
    )


def cost(rates: Rates, usage: Usage, single: bool, split: Split | None = None, calls: int = 1) -> Parts | None:
    """USD of a call; the parts add up to the total.

    Parameters
    ----------
    rates : Rates
        Of the band that the input is in.
    usage : Usage
    single : bool
        Whether nothing but input can be spent, as with embeddings and rerankers.
    split : Split or None
        What the answer tells of modalities, where `rates` have prices for them.
    calls : int
        For how many the usage is the sum; each pays its fee.

    Returns
    -------
    tuple of 5 floats or None
        None where a price or a number of tokens that matters is not known: a part of a cost would pass for the whole.
    """
    fees = rates.fee * calls
    if usage.web_searches and not (rates.search is None and rates.fee):  # a fee by the request covers its searches
        if rates.search is None:
            return None
        fees += (min(usage.web_searches, calls) if rates.once else usage.web_searches) * rates.search
    if rates.flat:
        return fees, fees, 0.0, 0.0, 0.0
    tokens_in, tokens_out = usage.input_tokens, usage.output_tokens
    if tokens_in is None or (tokens_out is None and not single):
        return None
    if (rates.fresh is None and tokens_in) or (rates.out is None and tokens_out):
        return None
    read = min(usage.cache_read_tokens or 0, tokens_in)
    write = min(usage.cache_write_tokens or 0, tokens_in - read)
    hour = min(usage.cache_write_1h_tokens or 0, write)
    for_fresh = (tokens_in - read - write) * (rates.fresh or 0.0)
    for_read = read * (rates.read or 0.0)
    for_write = (write - hour) * (rates.write or 0.0) + hour * (rates.hour or 0.0)
    for_out = (tokens_out or 0) * (rates.out or 0.0)
    if rates.kinds and matters(rates, usage):
        more = _more(rates, usage, tokens_in - read - write, read, split)
        if more is None:
            return None
        for_fresh, for_read, for_out = for_fresh + more[0], for_read + more[1], for_out + more[2]
    for_fresh += fees
    return for_fresh + for_out + for_read + for_write, for_fresh, for_out, for_read, for_write


def _more(rates: Rates, usage: Usage, fresh: int, read: int, split: Split | None) -> tuple[float, float, float] | None:
    """USD by which sound, pictures and reasoning differ from text: of fresh input, of cache reads, of output."""
    kinds = rates.kinds
    split = split or Split()
    told_in = {"audio": usage.input_audio_tokens, "image": usage.input_image_tokens, **split.input}
    told_out = {"audio": usage.output_audio_tokens, "image": usage.output_image_tokens, **split.output}
    for_fresh = for_read = for_out = 0.0
    for name in MODALITIES:
        tokens = told_in.get(name) or 0
        if tokens and f"input_{name}" in kinds:
            cached = 0
            if read:
                if not split.cache:
                    return None  # nobody tells how much of it was read from the cache
                cached = min(split.cache.get(name, 0), tokens, read)
                if cached and f"cache_{name}" not in kinds:
                    return None
            for_fresh += min(tokens - cached, fresh) * (kinds[f"input_{name}"] - (rates.fresh or 0.0))
            for_read += cached * (kinds.get(f"cache_{name}", 0.0) - (rates.read or 0.0)) if cached else 0.0
    if usage.output_tokens:
        speaks = any(f"output_{name}" in kinds for name in MODALITIES)
        if speaks and not split.output and all(tokens is None for tokens in told_out.values()):
            return None  # a model that speaks or draws, and nobody tells how much of the output is that
        for name in MODALITIES:
            tokens = min(told_out.get(name) or 0, usage.output_tokens)
            if tokens and f"output_{name}" in kinds:
                for_out += tokens * (kinds[f"output_{name}"] - (rates.out or 0.0))
        if "reasoning" in kinds:
            if usage.reasoning_tokens is None:
                return None
            for_out += min(usage.reasoning_tokens, usage.output_tokens) * (kinds["reasoning"] - (rates.out or 0.0))
    return for_fresh, for_read, for_out
