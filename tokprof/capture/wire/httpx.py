"""httpx and httpx2: one hook where a client sends one request attempt, above every transport.

``_send_single_request`` has had the same signature from httpx 0.23 and in httpx2 since 2.0. It sees retries and
redirects one by one, and works for mounted, custom and mock transports and for clients made before the recording.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from types import ModuleType
from typing import Any

from tokprof.capture import patch
from tokprof.capture.wire.call import WANTED, WireCall, begin
from tokprof.capture.wire.include_usage import Hide
from tokprof.capture.wire.replay import Instead
from tokprof.recorder import clock, current, warn_once

_METHOD = "_send_single_request"
_WANTED = frozenset(name.encode() for name in WANTED)


def install(module: ModuleType) -> None:
    """Hook ``Client`` and ``AsyncClient`` of `module`."""
    patch.wrap(module.Client, _METHOD, partial(_sync_hook, module))
    patch.wrap(module.AsyncClient, _METHOD, partial(_async_hook, module))


def uninstall(module: ModuleType) -> None:
    """Put the originals back."""
    patch.unwrap(module.Client, _METHOD)
    patch.unwrap(module.AsyncClient, _METHOD)


def _sync_hook(module: ModuleType, original: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def send(client: Any, request: Any) -> Any:
        if current() is None or (call := _begin(request)) is None:
            return original(client, request)
        sent = _asking(request, call) if call.asks else request
        sender = client if call.stored is None else _replaying(module, client, call)
        with call:
            response = original(sender, sent)
        return _follow(response, call, _SyncTee, request)

    return send


def _async_hook(module: ModuleType, original: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    async def send(client: Any, request: Any) -> Any:
        if current() is None or (call := _begin(request)) is None:
            return await original(client, request)
        sent = _asking(request, call) if call.asks else request
        sender = client if call.stored is None else _replaying(module, client, call)
        with call:
            response = await original(sender, sent)
        return _follow(response, call, _AsyncTee, request)

    return send


def _begin(request: Any) -> WireCall | None:
    try:
        url = request.url
        host = url.host if url.port is None else f"{url.host}:{url.port}"
        body = getattr(request, "_content", None)  # absent for a body that is a stream, which must not be read here
        path, _, query = url.raw_path.decode("ascii", "replace").partition("?")
        return begin(request.method, host, path, request.headers, body, query=query, asks=True)
    except Exception as error:
        warn_once("look at a request", error)
        return None


def _replaying(module: ModuleType, client: Any, call: WireCall) -> Any:
    """Give the client as one whose every transport has the stored answer."""
    stored = call.stored
    if stored is None:
        return client
    try:
        response = module.Response(stored.status, headers=list(stored.headers), stream=_replay(module, stored.chunks))
        return Instead(client, _transport_for_url=lambda _url: _Replay(response))
    except Exception as error:
        call.send_after_all(error)
        return client


class _Replay:
    """A transport that has an answer already."""

    def __init__(self, response: Any):
        self._response = response

    def handle_request(self, _request: Any) -> Any:
        return self._response

    async def handle_async_request(self, _request: Any) -> Any:
        return self._response


def _replay(module: ModuleType, chunks: tuple[bytes, ...]) -> Any:
    """Give a body that comes in the pieces in which it came, for sync and async clients."""
    kind = _streams.get(module)
    if kind is None:
        methods = {"__iter__": _sync_chunks, "__aiter__": _async_chunks}
        kind = _streams[module] = type("Replay", (module.SyncByteStream, module.AsyncByteStream), methods)
    stream = kind()
    stream.chunks = chunks
    return stream


_streams: dict[ModuleType, type[Any]] = {}


def _sync_chunks(stream: Any) -> Iterator[bytes]:
    yield from stream.chunks


async def _async_chunks(stream: Any) -> AsyncIterator[bytes]:
    for chunk in stream.chunks:
        yield chunk


def _asking(request: Any, call: WireCall) -> Any:
    """Give the request that asks for usage too; the program keeps its own."""
    try:
        body = call.with_usage(request.headers)
        if body is None:
            return request
        headers = request.headers.copy()
        headers["content-length"], headers["accept-encoding"] = str(len(body)), "identity"
        return type(request)(request.method, request.url, headers=headers, content=body, extensions=request.extensions)
    except Exception as error:
        warn_once("ask for usage", error)
        return request


def _follow(response: Any, call: WireCall, tee: type[_SyncTee] | type[_AsyncTee], request: Any) -> Any:
    """Put the tee inside the bound stream, so that ``response.elapsed`` stays right."""
    try:
        if call.hides:
            response.request = request
        wanted = _WANTED if call.wanted is WANTED else {name.encode() for name in call.wanted}
        told = {
            name.decode("latin-1"): value.decode("latin-1")
            for key, value in response.headers.raw
            if (name := key.lower()) in wanted
        }
        kept = response.extensions
        cached = bool(kept.get("hishel_from_cache") or kept.get("from_cache"))
        call.answered(response.status_code, told, cached=cached)
        bound = response.stream
        if hasattr(response, "_content") or not hasattr(bound, "_stream"):
            call.exchange.content_encoding = ""  # the response came with its body, decoded (mocks): no stream is read
            call.came(response.content)
            if call.hides:
                hide = Hide()
                response._content = hide.feed(response.content) + hide.flush()
        else:
            bound._stream = tee(bound._stream, call)
    except Exception as error:
        warn_once("follow an answer", error)
    return response


class _SyncTee:
    def __init__(self, stream: Any, call: WireCall):
        self._stream = stream
        self._call = call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Iterator[bytes]:
        call = self._call
        keep, arrive = call.parts
        hide = Hide() if call.hides else None
        try:
            for data in self._stream:
                keep(data)
                arrive(clock())
                if hide is None:
                    yield data
                elif seen := hide.feed(data):
                    yield seen
            if hide is not None and (rest := hide.flush()):
                yield rest
        except GeneratorExit:
            call.finish(complete=False)
            raise
        except BaseException as error:
            call.fail(error)
            if call.stopped:
                self._stream.close()
            raise
        call.finish(complete=True)

    def __del__(self) -> None:
        self._call.finish(complete=False)

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._call.finish(complete=False)


class _AsyncTee:
    def __init__(self, stream: Any, call: WireCall):
        self._stream = stream
        self._call = call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        call = self._call
        keep, arrive = call.parts
        hide = Hide() if call.hides else None
        try:
            async for data in self._stream:
                keep(data)
                arrive(clock())
                if hide is None:
                    yield data
                elif seen := hide.feed(data):
                    yield seen
            if hide is not None and (rest := hide.flush()):
                yield rest
        except GeneratorExit:
            call.finish(complete=False)
            raise
        except BaseException as error:
            call.fail(error)
            if call.stopped:
                await self._stream.aclose()
            raise
        call.finish(complete=True)

    def __del__(self) -> None:
        self._call.finish(complete=False)

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._call.finish(complete=False)
