"""Logfire, with its defaults but for the place where spans go: prompts and answers are kept."""

from __future__ import annotations

from collections.abc import Callable

from adapters.otel import InMemory


class Adapter(InMemory):
    def activate(self) -> None:
        import logfire
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor

        logfire.configure(
            send_to_logfire=False,
            console=False,
            metrics=False,
            additional_span_processors=[SimpleSpanProcessor(self.exporter)],
        )
        logfire.instrument_openai()

    def decorate(self, function: Callable[[], None]) -> Callable[[], None]:
        import logfire

        return logfire.instrument("nothing")(function)

    def flush(self) -> None:
        import logfire

        logfire.force_flush()
