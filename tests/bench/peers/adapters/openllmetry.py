"""OpenLLMetry's instrumentation of openai, with its defaults: prompts and answers are kept."""

from __future__ import annotations

from adapters.otel import InMemory


class Adapter(InMemory):
    def activate(self) -> None:
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor

        OpenAIInstrumentor().instrument(tracer_provider=self.provider())
