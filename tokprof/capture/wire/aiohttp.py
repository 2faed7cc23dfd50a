"""aiohttp: one hook at ``ClientSession._request``, for sessions made earlier too; trace configs would miss those."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from tokprof.capture import patch
from tokprof.capture.wire.call import WireCall, begin
from tokprof.recorder import current, warn_once


def install(module: ModuleType) -> None:
    """Hook ``aiohttp.ClientSession``."""
    patch.wrap(module.ClientSession, "_request", _hook)


def uninstall(module: ModuleType) -> None:
    """Put the original back."""
    patch.unwrap(module.ClientSession, "_request")


def _hook(original: Any) -> Any:
    async def _request(session: Any, method: str, str_or_url: Any, **kwargs: Any) -> Any:
        if current() is None or (call := _begin(session, method, str_or_url, kwargs)) is None:
            return await original(session, method, str_or_url, **kwargs)
        with call:
            response = await original(session, method, str_or_url, **kwargs)
        decoded = kwargs.get("auto_decompress")
        return _follow(response, call, getattr(session, "_auto_decompress", True) if decoded is None else decoded)

    return _request


def _begin(session: Any, method: str, str_or_url: Any, kwargs: dict[str, Any]) -> WireCall | None:
    try:
        base = getattr(session, "_base_url", None)
        url = urlsplit(str(str_or_url if base is None else base.join(type(base)(str(str_or_url)))))
        headers = {str(name).lower(): str(value) for name, value in dict(kwargs.get("headers") or {}).items()}
        body = kwargs.get("data")
        if kwargs.get("json") is not None:
            headers.setdefault("content-type", "application/json")
            body = json.dumps(kwargs["json"])
        if isinstance(body, str):
            body = body.encode()
        known = bytes(body) if isinstance(body, bytes | bytearray) else None
        return begin(method.upper(), url.netloc.rpartition("@")[2], url.path, headers, known)
    except Exception as error:
        warn_once("look at a request", error)
        return None


def _follow(response: Any, call: WireCall, decoded: bool) -> Any:
    try:
        headers = {name.lower(): value for name, value in response.headers.items()}
        call.answered(response.status, headers, decoded)
        response.content = _Tee(response.content, call)
        close = response.close

        def closing(*args: Any, **kwargs: Any) -> Any:
            call.finish(complete=False)
            return close(*args, **kwargs)

        response.close = closing
    except Exception as error:
        warn_once("follow an answer", error)
    return response


class _Tee:
    """A stream reader that notes what is read of the one inside."""

    def __init__(self, reader: Any, call: WireCall):
        self._reader = reader
        self._call = call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    async def _noted(self, reading: Awaitable[Any]) -> Any:
        try:
            got = await reading
        except BaseException as error:
            self._call.fail(error)
            raise
        self._note(got[0] if isinstance(got, tuple) else got)
        return got

    def _note(self, data: bytes) -> None:
        if data:
            self._call.chunk(data)
        if self._reader.at_eof():
            self._call.finish(complete=True)

    async def read(self, n: int = -1) -> Any:
        return await self._noted(self._reader.read(n))

    async def readany(self) -> Any:
        return await self._noted(self._reader.readany())

    async def readline(self, *args: Any, **kwargs: Any) -> Any:
        return await self._noted(self._reader.readline(*args, **kwargs))

    async def readuntil(self, *args: Any, **kwargs: Any) -> Any:
        return await self._noted(self._reader.readuntil(*args, **kwargs))

    async def readexactly(self, n: int) -> Any:
        return await self._noted(self._reader.readexactly(n))

    async def readchunk(self) -> Any:
        return await self._noted(self._reader.readchunk())

    def read_nowait(self, n: int = -1) -> Any:
        data = self._reader.read_nowait(n)
        self._note(data)
        return data

    def __aiter__(self) -> AsyncIterator[Any]:
        return _until(self.readline, b"")

    def iter_any(self) -> AsyncIterator[Any]:
        return _until(self.readany, b"")

    def iter_chunked(self, n: int) -> AsyncIterator[Any]:
        return _until(lambda: self.read(n), b"")

    def iter_chunks(self) -> AsyncIterator[Any]:
        return _until(self.readchunk, (b"", False))


class _until:  # noqa: N801
    """Iterate over what `read` gives, up to `end`."""

    def __init__(self, read: Callable[[], Awaitable[Any]], end: Any):
        self._read = read
        self._end = end

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        got = await self._read()
        if got == self._end:
            raise StopAsyncIteration
        return got
