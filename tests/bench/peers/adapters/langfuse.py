"""Langfuse: its drop-in for openai and its own queue; the exporter at the end keeps the spans in memory."""

from __future__ import annotations

import os
from collections.abc import Callable

from adapters.otel import InMemory


class Adapter(InMemory):
    def activate(self) -> None:
        os.environ |= {
            "LANGFUSE_PUBLIC_KEY": "pk-none",
            "LANGFUSE_SECRET_KEY": "sk-none",
            "LANGFUSE_BASE_URL": "http://127.0.0.1:9",
            "LANGFUSE_MEDIA_UPLOAD_ENABLED": "false",
        }
        from langfuse import Langfuse

        self._client = Langfuse(span_exporter=self.exporter)
        import langfuse.openai  # noqa: F401 - it patches the openai module

    def decorate(self, function: Callable[[], None]) -> Callable[[], None]:
        from langfuse import observe

        return observe(function)

    def flush(self) -> None:
        self._client.flush()
