"""What a request may cost, told before it is sent: the tokens of its prompt, and the most that it lets come back."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from typing import Any

from tokprof.meter.body import load
from tokprof.meter.endpoints import endpoint
from tokprof.meter.estimate import count_prompt
from tokprof.meter.prices import price
from tokprof.meter.prompts import asked_by
from tokprof.meter.providers import provider
from tokprof.meter.tokenizers import encoding_of
from tokprof.span import Exchange, Span, Usage

# the most tokens that an answer may have, by the names of OpenAI, Anthropic, Google, Amazon, Meta, AI21, Cohere,
# Hugging Face and Ollama, and where they stand
_CAPS = (
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "max_new_tokens",
    "max_tokens_to_sample",
    "max_gen_len",
    "maxTokens",
    "maxOutputTokens",
    "maxTokenCount",
    "num_predict",
)
_HOLDERS = (
    "generationConfig",
    "generation_config",
    "inferenceConfig",
    "textGenerationConfig",
    "options",
    "parameters",
)
_CHOICES = (
    "n",
    "best_of",
    "candidateCount",
    "candidate_count",
    "num_generations",
    "numResults",
    "num_return_sequences",
)
_PROMPTS = ("messages", "input", "prompt", "contents", "inputs", "texts", "message")
_ANYWHERE = ("messages", "contents", "prompt")
_NO_TEXT = ("images", "transcription", "speech", "rerank")


class Need:
    """What a request may spend.

    Parameters
    ----------
    exchange : Exchange
        Before it is sent.

    Attributes
    ----------
    model : str or None
        That is asked for.
    is_call : bool
        Whether a model is called, as far as the request tells.
    embeds : bool
        Whether it spends embedding tokens, and no output.
    """

    def __init__(self, exchange: Exchange):
        self._exchange = exchange
        body = load(exchange.request) if exchange.request else None
        self._body: dict[str, Any] = body if isinstance(body, dict) else {}
        place = endpoint(exchange.host, exchange.path)
        told = self._body.get("model") or self._body.get("model_id")
        self.model = told if isinstance(told, str) else place.model if place is not None else None
        self.operation = "chat" if place is None else place.operation
        self.kind = "llm" if place is None else place.kind
        self.embeds = self.kind in ("embedding", "reranker")
        asks = isinstance(told, str) and any(
            key in self._body for key in (_PROMPTS if place is not None else _ANYWHERE)
        )
        self.is_call = asks or (place is not None and place.certain)

    @property
    def own(self) -> bool:
        """Whether the model's own tokenizer is at hand, so that the count of a text is exact."""
        return encoding_of(self.model)[1]

    @cached_property
    def prompt(self) -> int | None:
        """Tokens of the prompt; None where the request does not show them."""
        if self.operation in _NO_TEXT:
            return None
        asked = asked_by(self._body, "embeddings" if self.embeds else self.operation)
        self.whole = asked.complete
        found = count_prompt(asked, self.model)
        return None if found is None else found.tokens

    whole = False
    """Whether all of the prompt was counted, once `prompt` was asked for."""

    @cached_property
    def answer(self) -> int | None:
        """The most tokens that may come back; None where the request sets no limit."""
        if self.embeds:
            return 0
        if self.operation in _NO_TEXT:
            return None
        caps = [cap for place in self._places for key in _CAPS if (cap := _count(place.get(key)))]
        if not caps:
            return None
        return max(caps) * self.choices

    @property
    def unlimited(self) -> bool:
        """Whether the answer is text, and the request sets no limit to it."""
        return self.answer is None and self.operation not in _NO_TEXT

    @cached_property
    def choices(self) -> int:
        """How many answers are asked for."""
        choices = max(_count(place.get(key)) or 1 for place in self._places for key in _CHOICES)
        prompt = self._body.get("prompt")
        several = isinstance(prompt, list) and bool(prompt) and not isinstance(prompt[0], int)
        return choices * (len(prompt) if isinstance(prompt, list) and several else 1)

    @property
    def _places(self) -> list[dict[str, Any]]:
        return [self._body, *(held for key in _HOLDERS if isinstance(held := self._body.get(key), dict))]

    def cost(self, tokens_in: int, tokens_out: int) -> float | None:
        """USD of a call of this model with so many tokens, at the dearest; None where no price is known."""
        usage = Usage(input_tokens=tokens_in, output_tokens=0 if self.embeds else tokens_out)
        if self._writes:
            usage.cache_write_tokens = tokens_in
            usage.cache_write_1h_tokens = tokens_in if self._hour else 0
        paid = [price(self._span(usage)).parts[0]]
        paid.append(price(self._span(replace(usage, reasoning_tokens=usage.output_tokens))).parts[0])
        return max((each for each in paid if not math.isnan(each)), default=None)

    @cached_property
    def _writes(self) -> bool:
        """Whether the prompt may be written to the provider's cache, at a price above that of input."""
        request = self._exchange.request or b""
        return b'"cache_control"' in request or b'"cachePoint"' in request

    @cached_property
    def _hour(self) -> bool:
        return b'"1h"' in (self._exchange.request or b"")

    def _span(self, usage: Usage) -> Span:
        from tokprof.recorder import wall_clock

        tier = self._body.get("service_tier")
        return Span(
            id=0,
            parent=None,
            name="",
            kind=self.kind,
            start=wall_clock(),
            opened=0,
            provider=provider(self._exchange.host),
            request_model=self.model,
            host=self._exchange.host,
            operation=self.operation,
            service_tier=tier.lower() if isinstance(tier, str) and tier != "auto" else None,
            usage=usage,
            source="estimated",
        )


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
