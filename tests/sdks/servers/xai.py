"""xAI's chat over gRPC: reasoning comes on top of the completion."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any, Self

import grpc
from xai_sdk.proto import chat_pb2, chat_pb2_grpc, sample_pb2, usage_pb2

TEXT = "Grüezi from Grok"
USAGE = {
    "prompt_tokens": 702,
    "cached_prompt_text_tokens": 448,
    "completion_tokens": 31,
    "reasoning_tokens": 113,
    "total_tokens": 702 + 31 + 113,
}


class Grok(chat_pb2_grpc.ChatServicer):
    """A gRPC server on a port of its own, while it is used as a context manager.

    Attributes
    ----------
    failures : deque of grpc.StatusCode
        Given before it answers.
    pause : bool
        Whether a stream stops after its first message until the client goes away.
    """

    def __init__(self) -> None:
        self.failures: deque[grpc.StatusCode] = deque()
        self.pause = False
        self._left = Event()
        self._server = grpc.server(ThreadPoolExecutor(8))
        chat_pb2_grpc.add_ChatServicer_to_server(self, self._server)
        self.host = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._left.set()
        self._server.stop(None).wait()

    def GetCompletion(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Answer whole."""
        self._fail(context)
        message = chat_pb2.CompletionMessage(content=TEXT, role=chat_pb2.ROLE_ASSISTANT)
        output = chat_pb2.CompletionOutput(index=0, message=message, finish_reason=sample_pb2.REASON_STOP)
        usage = usage_pb2.SamplingUsage(**USAGE)
        return chat_pb2.GetChatCompletionResponse(id="g1", model=request.model, outputs=[output], usage=usage)

    def GetCompletionChunk(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: N802
        """Answer in parts, the last of which counts."""
        self._fail(context)
        context.add_callback(self._left.set)
        *pieces, last = TEXT.partition(" ")
        for piece in pieces:
            yield self._chunk(request, piece)
            if self.pause:
                self._left.wait()
                return
        usage = usage_pb2.SamplingUsage(**USAGE)
        yield self._chunk(request, last, finish_reason=sample_pb2.REASON_STOP, usage=usage)

    def _fail(self, context: grpc.ServicerContext) -> None:
        if self.failures:
            context.abort(self.failures.popleft(), "the tests say so")

    def _chunk(self, request: Any, text: str, usage: Any = None, finish_reason: Any = None) -> Any:
        delta = chat_pb2.Delta(content=text, role=chat_pb2.ROLE_ASSISTANT)
        output = chat_pb2.CompletionOutputChunk(index=0, delta=delta, finish_reason=finish_reason)
        return chat_pb2.GetChatCompletionChunk(id="g1", model=request.model, outputs=[output], usage=usage)
