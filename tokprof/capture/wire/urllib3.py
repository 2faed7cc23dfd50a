"""What requests and botocore have in common: prepared requests, and answers of urllib3. Not a transport of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

from tokprof.capture.wire.call import WireCall, begin
from tokprof.capture.wire.replay import message
from tokprof.recorder import warn_once

_NOTE = "_tokprof_note"


def begin_prepared(request: Any) -> WireCall | None:
    """Open a call for a prepared request of requests or botocore, if it may be one."""
    try:
        url = urlsplit(request.url)
        body = request.body.encode() if isinstance(request.body, str) else request.body
        known = bytes(body) if isinstance(body, bytes | bytearray) else None
        headers = {name.lower(): value for name, value in request.headers.items() if isinstance(value, str)}
        return begin(request.method, url.netloc.rpartition("@")[2], url.path, headers, known, query=url.query)
    except Exception as error:
        warn_once("look at a request", error)
        return None


def stored(call: WireCall) -> Any:
    """Give the stored answer of a call as urllib3 gives one of a server; None where that fails."""
    if call.stored is None:
        return None
    try:
        from http.client import HTTPResponse

        from urllib3 import HTTPResponse as Answer

        received = HTTPResponse(_Received(b"".join(message(call.stored))), method="POST")  # type: ignore[arg-type]
        received.begin()
        told: dict[str, Any] = {"headers": dict(received.getheaders()), "status": received.status}
        told |= {"reason": received.reason, "version": received.version, "original_response": received}
        return Answer(received, preload_content=False, decode_content=False, **told)
    except Exception as error:
        call.send_after_all(error)
        return None


class _Received:
    """A connection by which everything has come already."""

    def __init__(self, data: bytes):
        self._data = data

    def makefile(self, _mode: str) -> BytesIO:
        return BytesIO(self._data)


def follow(response: Any, call: WireCall, consumed: bool, decoded: bool) -> Any:
    """Take in the head of an answer of requests or botocore, and its body: now, or as it is read."""
    try:
        headers = {name.lower(): value for name, value in response.headers.items()}
        call.answered(response.status_code, headers, decoded)
        if consumed:
            call.came(response.content)
        else:
            follow_raw(response.raw, call, counted=not headers.get("content-encoding"))
    except Exception as error:
        warn_once("follow an answer", error)
    return response


def follow_raw(raw: Any, call: WireCall, counted: bool) -> None:
    """Note what is read of `raw`, by giving this one object a class that does so.

    Methods set on the object would keep it, and its socket, in a reference cycle.

    Parameters
    ----------
    raw : urllib3.HTTPResponse
    call : WireCall
    counted : bool
        Whether the content-length counts the bytes that are read; not if they are decoded meanwhile.
    """
    kind = _noting(type(raw))
    setattr(raw, _NOTE, _Note(call, counted))
    raw.__class__ = kind


class _Note:
    """The call of an answer; ``inside`` while a method of it is at work, as ``stream`` is built on ``read``."""

    __slots__ = ("call", "counted", "inside")

    def __init__(self, call: WireCall, counted: bool):
        self.call = call
        self.counted = counted
        self.inside = False

    def __del__(self) -> None:
        self.call.finish(complete=False)


def _read(original: Any) -> Any:
    def read(raw: Any, amt: int | None = None, *args: Any, **kwargs: Any) -> Any:
        note: _Note = raw.__dict__[_NOTE]
        if note.inside:
            return original(raw, amt, *args, **kwargs)
        note.inside = True
        try:
            data = original(raw, amt, *args, **kwargs)
        except BaseException as error:
            note.call.fail(error)
            raise
        finally:
            note.inside = False
        if amt == 0:
            return data
        if data:
            _noted(raw, note, data)
        whole = amt is None or amt < 0 or not data
        if whole or (note.counted and getattr(raw, "length_remaining", None) == 0):
            note.call.finish(complete=True)
        return data

    return read


def _stream(original: Any) -> Any:
    def stream(raw: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        note: _Note = raw.__dict__[_NOTE]
        if note.inside:
            yield from original(raw, *args, **kwargs)
            return
        pieces = iter(original(raw, *args, **kwargs))
        try:
            while True:
                note.inside = True
                try:
                    data = next(pieces)
                except StopIteration:
                    break
                finally:
                    note.inside = False
                _noted(raw, note, data)
                yield data
        except GeneratorExit:
            note.call.finish(complete=False)
            raise
        except BaseException as error:
            note.call.fail(error)
            raise
        note.call.finish(complete=True)

    return stream


def _noted(raw: Any, note: _Note, data: Any) -> None:
    try:
        note.call.chunk(bytes(data))
    except BaseException:
        if note.call.stopped:
            raw.close()
        raise


def _close(original: Any) -> Any:
    def close(raw: Any, *args: Any, **kwargs: Any) -> Any:
        note: _Note = raw.__dict__[_NOTE]
        try:
            return original(raw, *args, **kwargs)
        finally:
            if not note.inside:  # it closes itself as well, when it has read the last byte
                note.call.finish(complete=False)

    return close


_METHODS: dict[str, Callable[[Any], Any]] = {
    "read": _read,
    "read1": _read,
    "stream": _stream,
    "read_chunked": _stream,
    "close": _close,
    "release_conn": _close,
    "drain_conn": _close,
}
_kinds: dict[type, type] = {}


def _noting(kind: type) -> type:
    """Give the subclass of `kind` that notes; there is one for each class of answers."""
    if kind not in _kinds:
        methods = {name: make(getattr(kind, name)) for name, make in _METHODS.items() if hasattr(kind, name)}
        same = {"__slots__": (), "__module__": kind.__module__, "__qualname__": kind.__qualname__}
        _kinds[kind] = type(kind.__name__, (kind,), same | methods)
    return _kinds[kind]
