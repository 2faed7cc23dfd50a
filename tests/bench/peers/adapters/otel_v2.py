"""OpenTelemetry's own openai-v2, with its defaults: no texts are kept."""

from __future__ import annotations

from adapters.otel import InMemory


class Adapter(InMemory):
    def activate(self) -> None:
        from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

        OpenAIInstrumentor().instrument(tracer_provider=self.provider())
