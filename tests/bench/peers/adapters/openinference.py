"""OpenInference (Arize Phoenix), with its defaults: prompts and answers are kept."""

from __future__ import annotations

from collections.abc import Callable

from adapters.otel import InMemory


class Adapter(InMemory):
    def activate(self) -> None:
        from openinference.instrumentation import OITracer, TraceConfig
        from openinference.instrumentation.openai import OpenAIInstrumentor

        provider = self.provider()
        OpenAIInstrumentor().instrument(tracer_provider=provider)
        self._tracer = OITracer(provider.get_tracer("bench"), config=TraceConfig())

    def decorate(self, function: Callable[[], None]) -> Callable[[], None]:
        return self._tracer.chain(function)
