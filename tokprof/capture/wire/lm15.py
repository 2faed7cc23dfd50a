"""lm15, on sockets of its own: the engine of dspy, which brings a copy along, and the package itself.

One hook for sync and async where a transport sends one request. What is read goes through ``_chunks`` of the answer,
whose connection is let go of by its ``_release``.
"""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from tokprof.capture import patch
from tokprof.capture.wire.call import WireCall, begin
from tokprof.recorder import current, warn_once


def install(module: ModuleType) -> None:
    """Hook both transports of ``lm15.transports``."""
    patch.wrap(module.StdlibTransport, "stream", partial(_sync_hook, module))
    patch.wrap(module.StdlibAsyncTransport, "_do_stream", partial(_async_hook, module))


def uninstall(module: ModuleType) -> None:
    """Put the originals back."""
    patch.unwrap(module.StdlibTransport, "stream")
    patch.unwrap(module.StdlibAsyncTransport, "_do_stream")


def _sync_hook(module: ModuleType, original: Any) -> Any:
    def stream(transport: Any, request: Any) -> Any:
        if current() is None or (call := _begin(request)) is None:
            return original(transport, request)
        answer = _answer(module, "TransportResponse", call, _Replay)
        with call:
            response = original(transport, request) if answer is None else answer
        return _follow(response, call, _SyncTee, _released)

    return stream


def _async_hook(module: ModuleType, original: Any) -> Any:
    async def stream(transport: Any, request: Any) -> Any:
        if current() is None or (call := _begin(request)) is None:
            return await original(transport, request)
        answer = _answer(module, "AsyncTransportResponse", call, _AsyncReplay)
        with call:
            response = await original(transport, request) if answer is None else answer
        return _follow(response, call, _AsyncTee, _released_async)

    return stream


def _begin(request: Any) -> WireCall | None:
    try:
        url = urlsplit(request.url)
        headers = {name.lower(): value for name, value in request.headers}
        body = request.body if isinstance(request.body, bytes) else None
        return begin(request.method, url.netloc.rpartition("@")[2], url.path, headers, body, query=url.query)
    except Exception as error:
        warn_once("look at a request", error)
        return None


def _answer(module: ModuleType, name: str, call: WireCall, replay: Any) -> Any:
    """Give the stored answer of a call as the library's own; None where there is none, or that fails."""
    if (stored := call.stored) is None:
        return None
    try:
        chunks = replay(stored.chunks)
        same: dict[str, Any] = {"headers": list(stored.headers), "http_version": "HTTP/1.1"}
        return getattr(module, name)(status=stored.status, reason="OK", **same, chunks=chunks, release=chunks.release)
    except Exception as error:
        call.send_after_all(error)
        return None


class _Replay:
    """Chunks that are here already."""

    def __init__(self, chunks: tuple[bytes, ...]):
        self._chunks = iter(chunks)

    def __iter__(self) -> _Replay:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def release(self, body_consumed: bool) -> None:
        """There is no connection to let go of."""


class _AsyncReplay(_Replay):
    def __aiter__(self) -> _AsyncReplay:
        return self

    async def __anext__(self) -> bytes:
        for chunk in self._chunks:
            return chunk
        raise StopAsyncIteration

    async def release(self, body_consumed: bool) -> None:  # type: ignore[override]
        """There is no connection to let go of."""


def _follow(response: Any, call: WireCall, tee: type[_Tee], released: Any) -> Any:
    try:
        call.answered(response.status, {name.lower(): value for name, value in response.headers})
        response._release = released(response._release, call)
        response._chunks = tee(response._chunks, call)
    except Exception as error:
        warn_once("follow an answer", error)
    return response


def _released(original: Any, call: WireCall) -> Any:
    def release(body_consumed: bool) -> Any:
        call.finish(complete=body_consumed)
        return original(body_consumed)

    return release


def _released_async(original: Any, call: WireCall) -> Any:
    async def release(body_consumed: bool) -> Any:
        call.finish(complete=body_consumed)
        return await original(body_consumed)

    return release


class _Tee:
    """Chunks that are noted as they go by. No generator: the one inside is to end when and where it does without us."""

    def __init__(self, chunks: Any, call: WireCall):
        self._chunks = chunks
        self._call = call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chunks, name)

    def __del__(self) -> None:
        self._call.finish(complete=False)


class _SyncTee(_Tee):
    def __iter__(self) -> _SyncTee:
        return self

    def __next__(self) -> Any:
        try:
            data = next(self._chunks)
        except StopIteration:
            self._call.finish(complete=True)
            raise
        except BaseException as error:
            self._call.fail(error)
            raise
        self._call.chunk(data)
        return data


class _AsyncTee(_Tee):
    def __aiter__(self) -> _AsyncTee:
        return self

    async def __anext__(self) -> Any:
        try:
            data = await self._chunks.__anext__()
        except StopAsyncIteration:
            self._call.finish(complete=True)
            raise
        except BaseException as error:
            self._call.fail(error)
            raise
        self._call.chunk(data)
        return data
