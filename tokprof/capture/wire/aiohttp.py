"""aiohttp: one hook at ``ClientSession._request``, for sessions made earlier too; trace configs would miss those."""

from __future__ import annotations

import json
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from types import ModuleType
from typing import Any
from urllib.parse import urlencode, urlsplit

from tokprof.capture import patch
from tokprof.capture.wire.call import WireCall, begin
from tokprof.capture.wire.replay import Instead, message
from tokprof.recorder import current, warn_once

_CALL = "_tokprof_call"
_LETTING_GO = ("close", "release")


def install(module: ModuleType) -> None:
    """Hook ``aiohttp.ClientSession``, and how an answer is let go of."""
    patch.wrap(module.ClientSession, "_request", _hook)
    for name in _LETTING_GO:
        patch.wrap(module.ClientResponse, name, _let_go_hook)


def uninstall(module: ModuleType) -> None:
    """Put the originals back."""
    patch.unwrap(module.ClientSession, "_request")
    for name in _LETTING_GO:
        patch.unwrap(module.ClientResponse, name)


def _hook(original: Any) -> Any:
    async def _request(session: Any, method: str, str_or_url: Any, **kwargs: Any) -> Any:
        if current() is None or (call := _begin(session, method, str_or_url, kwargs)) is None:
            return await original(session, method, str_or_url, **kwargs)
        sender = session if call.stored is None else _replaying(session, call)
        with call:
            try:
                response = await original(sender, method, str_or_url, **kwargs)
            except Exception as error:
                _refused(error, call)
                raise
        decoded = kwargs.get("auto_decompress")
        return _follow(response, call, getattr(session, "_auto_decompress", True) if decoded is None else decoded)

    return _request


def _refused(error: Exception, call: WireCall) -> None:
    """Take in the status of an answer that nobody gets to see, because of ``raise_for_status``."""
    status = getattr(error, "status", None)
    if type(error).__name__ == "ClientResponseError" and isinstance(status, int) and status >= 400:
        call.answered(status, {})


def _begin(session: Any, method: str, str_or_url: Any, kwargs: dict[str, Any]) -> WireCall | None:
    try:
        base = getattr(session, "_base_url", None)
        url = urlsplit(str(str_or_url if base is None else base.join(type(base)(str(str_or_url)))))
        query = "&".join((url.query, *_params(kwargs.get("params"))))
        given = {**getattr(session, "_default_headers", {}), **dict(kwargs.get("headers") or {})}
        headers = {str(name).lower(): str(value) for name, value in given.items()}
        body = kwargs.get("data")
        if kwargs.get("json") is not None:
            headers.setdefault("content-type", "application/json")
            body = _serialised(session, kwargs["json"])
        if isinstance(body, str):
            body = body.encode()
        known = bytes(body) if isinstance(body, bytes | bytearray) else None
        return begin(method.upper(), url.netloc.rpartition("@")[2], url.path, headers, known, query=query)
    except Exception as error:
        warn_once("look at a request", error)
        return None


def _params(params: Any) -> list[str]:
    """What a request adds to the query of its address."""
    if not params or isinstance(params, str):
        return [params] if params else []
    pairs = params.items() if hasattr(params, "items") else params
    return [urlencode([(str(name), str(value))]) for name, value in pairs]


def _replaying(session: Any, call: WireCall) -> Any:
    """Give the session as one whose every connection has the stored answer."""
    try:
        from tokprof.capture.wire.aiohttp_replay import connector

        return session if call.stored is None else Instead(session, _connector=connector(message(call.stored)))
    except Exception as error:
        call.send_after_all(error)
        return session


def _serialised(session: Any, value: Any) -> Any:
    try:
        return getattr(session, "_json_serialize", json.dumps)(value)
    except Exception:  # the program is told by aiohttp, which does the same
        return None


def _follow(response: Any, call: WireCall, decoded: bool) -> Any:
    try:
        headers = {name.lower(): value for name, value in response.headers.items()}
        call.answered(response.status, headers, decoded)
        if (body := getattr(response, "_body", None)) is not None:
            call.came(bytes(body))  # somebody below has read it: a recorder
        else:
            setattr(response, _CALL, call)
            response.content = _tee(response.content, call, weakref.ref(response) if call.watched else None)
    except Exception as error:
        warn_once("follow an answer", error)
    return response


def _let_go_hook(original: Any) -> Any:
    # On the class, as a method set on one answer would keep it, and its connection, in a reference cycle.
    def let_go(response: Any, *args: Any, **kwargs: Any) -> Any:
        if (call := response.__dict__.get(_CALL)) is not None:
            call.finish(complete=False)
        return original(response, *args, **kwargs)

    return let_go


class _Tee:
    """A stream reader that notes what is read of the one inside, and is that one in all else.

    Mixed into a subclass of the class of the reader, for those who ask ``isinstance``.
    """

    __slots__ = ()
    _tokprof_reader: Any
    _tokprof_call: WireCall
    _tokprof_answer: Any

    def __getattribute__(self, name: str) -> Any:
        if name in _OWN:
            return object.__getattribute__(self, name)
        return getattr(object.__getattribute__(self, "_tokprof_reader"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._tokprof_reader, name, value)

    def __repr__(self) -> str:
        return repr(self._tokprof_reader)

    async def _noted(self, reading: Awaitable[Any]) -> Any:
        try:
            got = await reading
        except BaseException as error:
            self._tokprof_call.fail(error)
            raise
        self._note(got[0] if isinstance(got, tuple) else got)
        return got

    def _note(self, data: bytes) -> None:
        if data:
            try:
                self._tokprof_call.chunk(data)
            except BaseException:
                self._cut()
                raise
        if self._tokprof_reader.at_eof():
            self._tokprof_call.finish(complete=True)

    def _cut(self) -> None:
        """Close the connection of a stream that was stopped."""
        answer = None if self._tokprof_answer is None else self._tokprof_answer()
        if answer is not None and self._tokprof_call.stopped:
            answer.close()

    def __del__(self) -> None:
        self._tokprof_call.finish(complete=False)

    async def read(self, n: int = -1) -> Any:
        return await self._noted(self._tokprof_reader.read(n))

    async def readany(self) -> Any:
        return await self._noted(self._tokprof_reader.readany())

    async def readline(self, *args: Any, **kwargs: Any) -> Any:
        return await self._noted(self._tokprof_reader.readline(*args, **kwargs))

    async def readuntil(self, *args: Any, **kwargs: Any) -> Any:
        return await self._noted(self._tokprof_reader.readuntil(*args, **kwargs))

    async def readexactly(self, n: int) -> Any:
        return await self._noted(self._tokprof_reader.readexactly(n))

    async def readchunk(self) -> Any:
        return await self._noted(self._tokprof_reader.readchunk())

    def read_nowait(self, n: int = -1) -> Any:
        data = self._tokprof_reader.read_nowait(n)
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


_SLOTS = ("_tokprof_reader", "_tokprof_call", "_tokprof_answer")
_OWN = frozenset(_Tee.__dict__).union(_SLOTS) - {"__class__", "__doc__", "__module__", "__dict__", "__slots__"}
_tees: dict[type, type] = {}


def _tee(reader: Any, call: WireCall, answer: Any) -> Any:
    kind = type(reader)
    if kind not in _tees:
        _tees[kind] = type(kind.__name__, (_Tee, kind), {"__slots__": _SLOTS, "__module__": kind.__module__})
    tee: Any = object.__new__(_tees[kind])
    object.__setattr__(tee, "_tokprof_reader", reader)
    object.__setattr__(tee, "_tokprof_call", call)
    object.__setattr__(tee, "_tokprof_answer", answer)
    return tee


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
