"""A gRPC server on the loopback that says what xAI's says, in xAI's own messages."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from xai_sdk.proto import chat_pb2, chat_pb2_grpc, deferred_pb2, image_pb2, image_pb2_grpc, sample_pb2, usage_pb2

MODEL = "grok-4"
USAGE: dict[str, int] = {
    "prompt_tokens": 320,
    "completion_tokens": 12,
    "reasoning_tokens": 300,
    "total_tokens": 632,
    "prompt_text_tokens": 220,
    "prompt_image_tokens": 100,
    "cached_prompt_text_tokens": 128,
    "cost_in_usd_ticks": 50_123_400,
}
WORDS = ["so ", "long, ", "and ", "thanks"]
STOP = sample_pb2.FinishReason.REASON_STOP


def chunk(text: str, done: int, finish: int = 0) -> Any:
    """A chunk as xAI sends it, with what was spent up to here."""
    delta = chat_pb2.Delta(content=text, role=chat_pb2.ROLE_ASSISTANT)
    output = chat_pb2.CompletionOutputChunk(delta=delta, finish_reason=finish)
    spent = usage_pb2.SamplingUsage(prompt_tokens=320, completion_tokens=done, total_tokens=320 + done)
    return chat_pb2.GetChatCompletionChunk(id="1", model=MODEL, outputs=[output], usage=spent)


class Xai(chat_pb2_grpc.ChatServicer, image_pb2_grpc.ImageServicer):
    """What xAI's server says; a test sets what goes wrong, and after how many words."""

    def __init__(self) -> None:
        self.address = ""
        self.fault: grpc.StatusCode | None = None
        self.after = 0
        self.slow = threading.Event()
        self.slow.set()
        self.polls = 0

    def _fail(self, context: Any) -> None:
        if self.fault is not None:
            context.abort(self.fault, "the prompt 'hello' is too much")

    def _answer(self) -> Any:
        message = chat_pb2.CompletionMessage(content="".join(WORDS), role=chat_pb2.ROLE_ASSISTANT)
        output = chat_pb2.CompletionOutput(finish_reason=STOP, message=message)
        usage = usage_pb2.SamplingUsage(**USAGE)
        return chat_pb2.GetChatCompletionResponse(id="1", model=MODEL + "-0709", outputs=[output], usage=usage)

    def GetCompletion(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.slow.wait(10)
        self._fail(context)
        return self._answer()

    def GetCompletionChunk(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        for i, word in enumerate(WORDS):
            if i == self.after:
                self._fail(context)
                self.slow.wait(10)
            last = i == len(WORDS) - 1
            message = chunk(word, i + 1, STOP if last else 0)
            if last:
                message.usage.CopyFrom(usage_pb2.SamplingUsage(**USAGE))
            yield message

    def StartDeferredCompletion(self, request: Any, context: Any) -> Any:  # noqa: N802
        return deferred_pb2.StartDeferredResponse(request_id="r")

    def GetDeferredCompletion(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.polls += 1
        if self.polls < 3:
            return chat_pb2.GetDeferredCompletionResponse(status=deferred_pb2.DeferredStatus.PENDING)
        return chat_pb2.GetDeferredCompletionResponse(status=deferred_pb2.DeferredStatus.DONE, response=self._answer())

    def GenerateImage(self, request: Any, context: Any) -> Any:  # noqa: N802
        picture = image_pb2.GeneratedImage(url="https://images.invalid/1.png")
        usage = usage_pb2.SamplingUsage(cost_in_usd_ticks=700_000_000)
        return image_pb2.ImageResponse(images=[picture], model="grok-image", usage=usage)


@contextlib.contextmanager
def serving(*handlers: Any) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(8))
    for handler in handlers:
        if isinstance(handler, Xai):
            chat_pb2_grpc.add_ChatServicer_to_server(handler, server)
            image_pb2_grpc.add_ImageServicer_to_server(handler, server)
        else:
            server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait(10)
