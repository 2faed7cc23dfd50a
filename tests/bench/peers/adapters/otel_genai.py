"""OpenTelemetry's own genai-openai, the one after openai-v2, with its defaults: no texts are kept."""

from __future__ import annotations

from adapters.otel import InMemory


class Adapter(InMemory):
    def activate(self) -> None:
        from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

        OpenAIInstrumentor().instrument(tracer_provider=self.provider())
