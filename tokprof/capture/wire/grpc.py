"""gRPC: hooks where a channel's method is called, for xAI's SDK and Google's older ones.

The call is made by a copy of the method whose serialisers show us the bytes of the messages as they go by: the object
that the program gets to hold, and its iteration, are grpc's own. The bytes become JSON when the call is recorded.
"""

from __future__ import annotations

import copy
import importlib
import json
import weakref
from functools import lru_cache
from types import ModuleType
from typing import Any

from tokprof.capture import patch
from tokprof.capture.wire.call import WireCall, begin
from tokprof.capture.wire.protobuf import kind_of, plain
from tokprof.meter.endpoints import rpc
from tokprof.recorder import current, warn_once

_SYNC, _AIO = "grpc._channel", "grpc.aio._channel"
_COLLECTED = "Cancelled upon garbage collection!"
_SCHEMES = ("dns:", "ipv4:", "ipv6:", "passthrough:", "xds:")
_GIVEN_UP = ("CANCELLED", "DEADLINE_EXCEEDED")
_READ = "read the answer of a model"


def install(module: ModuleType) -> None:
    """Hook the methods of channels, plain and asyncio, that send one message."""
    for name, owner, method, make in _HOOKS:
        patch.wrap(getattr(importlib.import_module(name), owner), method, make)


def uninstall(module: ModuleType) -> None:
    """Put the originals back."""
    for name, owner, method, _ in _HOOKS:
        patch.unwrap(getattr(importlib.import_module(name), owner), method)


def _blocking_hook(original: Any) -> Any:
    def ask(method: Any, *args: Any, **kwargs: Any) -> Any:
        if current() is None or (call := _begin(method)) is None:
            return original(method, *args, **kwargs)
        return call.send(lambda answer: call.finish(complete=True), original, *args, **kwargs)

    return ask


def _future_hook(original: Any) -> Any:
    def start(method: Any, *args: Any, **kwargs: Any) -> Any:
        if current() is None or (call := _begin(method)) is None:
            return original(method, *args, **kwargs)
        return call.send(call.follow, original, *args, **kwargs)

    return start


def _aio_hook(original: Any) -> Any:
    def start(method: Any, *args: Any, **kwargs: Any) -> Any:
        if current() is None or (call := _begin(method)) is None:
            return original(method, *args, **kwargs)
        return call.send(call.watch, original, *args, **kwargs)

    return start


_HOOKS = (
    (_SYNC, "_UnaryUnaryMultiCallable", "__call__", _blocking_hook),
    (_SYNC, "_UnaryUnaryMultiCallable", "with_call", _blocking_hook),
    (_SYNC, "_UnaryUnaryMultiCallable", "future", _future_hook),
    (_SYNC, "_UnaryStreamMultiCallable", "__call__", _future_hook),
    (_SYNC, "_SingleThreadedUnaryStreamMultiCallable", "__call__", _future_hook),
    (_AIO, "UnaryUnaryMultiCallable", "__call__", _aio_hook),
    (_AIO, "UnaryStreamMultiCallable", "__call__", _aio_hook),
)


@lru_cache(maxsize=1024)
def _path(method: bytes | str) -> str | None:
    path = method.decode("utf-8", "replace") if isinstance(method, bytes) else method
    return path if rpc(path) else None


def _begin(method: Any) -> _Rpc | None:
    """Open a call of a channel's method, if it is a model's."""
    try:
        if (path := _path(method._method)) is None:
            return None
        twin, host = copy.copy(method), _host(method)
        call = begin("POST", host, path, {"content-type": "application/grpc"}, None, _Rpc)
        if call is not None:
            call.take(twin)
        return call
    except Exception as error:
        warn_once("look at a request", error)
        return None


def _host(method: Any) -> str:
    target = getattr(method, "_target", None)
    if target is None:
        target = method._channel.target  # of asyncio
    name = target.decode("utf-8", "replace") if isinstance(target, bytes) else str(target)
    if name.startswith(_SCHEMES):
        name = name.partition(":")[2].rpartition("/")[2]
    return name.removesuffix(":443")


class _Rpc(WireCall):
    """A call whose messages are bytes of protobuf until it is recorded."""

    __slots__ = ("_state", "_translated", "_twin", "answer_kind", "request_kind", "sent", "whole")

    def __init__(self, *args: Any):
        super().__init__(*args)
        self._twin: Any = None
        self._state: Any = None
        self._translated = -1  # chunks that are JSON; the request is the first to become so
        self.sent = False
        self.whole = False  # the one message of the answer ends the call
        self.request_kind: Any = None
        self.answer_kind: Any = None

    def take(self, twin: Any) -> None:
        """Have the messages shown by the copy of a method."""
        stream = "Stream" in type(twin).__name__
        self.exchange.content_type = "application/x-ndjson" if stream else "application/json"
        twin._request_serializer = _Asking(self, twin._request_serializer)
        twin._response_deserializer = _Answering(self, twin._response_deserializer)
        self._twin = twin

    def send(self, then: Any, original: Any, *args: Any, **kwargs: Any) -> Any:
        """Make the call, `then` look at what it gives.

        No mark is set that others must not count it, as nothing hooked sends it on, and tasks of grpc would keep it.
        """
        twin, self._twin = self._twin, None  # its deserialiser lets go of the call as it goes
        try:
            answer = original(twin, *args, **kwargs)
        except BaseException as error:
            self.fail(error)
            raise
        then(answer)
        return answer

    # budgets

    def admit(self, request: bytes | None = None) -> None:
        """Reserve what the call may spend, when its message is known; see `WireCall.admit`.

        Its stream is not watched: the messages are read in a thread of grpc's own, where nothing may be raised.
        """
        if request is not None:
            super().admit(request)
            if self._guarded is not None:
                self._guarded.watches = False

    def ask_leave(self) -> None:
        """Reserve what the call may spend, now that its message is known."""
        if self._recording.guards:
            exchange = self.exchange
            self.admit(_json(self.request_kind, exchange.request, exchange.path.startswith("/google.")))

    # the end of a call

    def follow(self, started: Any) -> None:
        """Hear of the end of a call that goes on, without holding `started`: the program may cancel by dropping it."""
        try:
            self._state = started._state
            if not started.add_callback(self.over):
                self.over()
        except Exception as error:
            warn_once(_READ, error)

    def over(self) -> None:
        """Close the call as the state of it says."""
        try:
            if (state := self._state) is not None and state.code is not None:
                self._ended(state.code.name, state.details)
                self._state = None
        except Exception as error:
            warn_once(_READ, error)

    def watch(self, started: Any) -> None:
        """Hear of the end of a call of asyncio, which interceptors may be about to make."""
        try:
            self.whole = self.exchange.content_type == "application/json"
            making = getattr(started, "_interceptors_task", None)
            if making is None:
                self._watch(started)
            else:
                making.add_done_callback(self._made)
        except Exception as error:
            warn_once(_READ, error)

    def _made(self, making: Any) -> None:
        try:
            if making.cancelled():
                self._ended("CANCELLED", None)
            elif (error := making.exception()) is not None:
                self.fail(error)
            else:
                made = making.result()
                self._watch(getattr(made, "_call", made))
        except Exception as own:
            warn_once(_READ, own)

    def _watch(self, call: Any) -> None:
        if (inner := getattr(call, "_cython_call", None)) is None:
            return  # an interceptor answered
        held = weakref.ref(call)

        def over() -> None:
            try:
                if (call := held()) is not None:
                    status = call._cython_call._status
                    self._ended(_codes().get(status.code(), "UNKNOWN"), status.details())
            except Exception as error:
                warn_once(_READ, error)

        inner.add_done_callback(over)

    def _ended(self, code: str, details: Any) -> None:
        if code == "OK":
            if not self.whole:
                self.finish(complete=True)
        elif code == "CANCELLED" and details == _COLLECTED:
            self.finish(complete=False)
        else:
            self.fail(_Stopped(code))

    def failure(self, error: BaseException) -> tuple[str, str]:
        """Status and text of what `error` did to the call; the text is the name of grpc's code."""
        if (code := _code(error)) is None:
            return super().failure(error)
        return ("cancelled" if code == "CANCELLED" else "error"), code

    def unsent(self, error: BaseException) -> bool:
        """Whether the call was refused; one that was given up may have cost."""
        code = _code(error)
        return code is not None and code not in _GIVEN_UP and not self.exchange.chunks

    def let_go(self) -> None:
        """Close the call, if it goes on: nobody holds it any more."""
        self.over()
        self.finish(complete=False)

    def flush(self) -> None:
        """Record what has gone by so far; a call that has ended may not have heard of it yet."""
        self.over()
        super().flush()

    # from protobuf to JSON

    def _settle(self) -> None:
        if not self.sent:  # an interceptor answered, or has yet to let it pass
            return
        self._translate()
        super()._settle()

    def _translate(self) -> None:
        exchange = self.exchange
        camel = exchange.path.startswith("/google.")
        if self._translated < 0:
            exchange.request = _json(self.request_kind, exchange.request, camel)
            self._translated = 0
        chunks = exchange.chunks
        for i in range(self._translated, len(chunks)):
            chunks[i] = _json(self.answer_kind, chunks[i], camel) + b"\n"
            self._translated = i + 1


def _json(kind: Any, data: bytes | None, camel: bool) -> bytes:
    """Write the message in `data` on one line; nothing, where the program makes and reads the bytes itself."""
    if kind is None or data is None:
        return b""
    try:
        told = plain(kind.FromString(data), camel)
        if camel and isinstance(model := told.get("model"), str):
            told["model"] = model.rpartition("/")[2]  # of models/..., or of projects/.../models/...
        return json.dumps(told).encode()
    except Exception as error:
        warn_once(_READ, error)
        return b""


class _Asking:
    """Serialiser that shows a call what is sent."""

    __slots__ = ("_call", "_original")

    def __init__(self, call: _Rpc, original: Any):
        self._call = call
        self._original = original

    def __call__(self, message: Any) -> Any:
        data = message if self._original is None else self._original(message)
        call = self._call
        if not call.sent:
            call.sent = True
            call.exchange.request = data
            call.request_kind = kind_of(message)
            call.ask_leave()
        return data


class _Answering:
    """Deserialiser that shows a call what comes. It is held as long as the call is, and lets go of it as it goes."""

    __slots__ = ("_call", "_original")

    def __init__(self, call: _Rpc, original: Any):
        self._call = call
        self._original = original

    def __call__(self, data: Any) -> Any:
        message = data if self._original is None else self._original(data)
        call = self._call
        if call.answer_kind is None:
            call.answer_kind = kind_of(message)
        call.chunk(data)
        if call.whole:
            call.finish(complete=True)
        return message

    def __del__(self) -> None:
        self._call.let_go()


class _Stopped(Exception):  # noqa: N818
    """A call ended by one of grpc's codes, whose name it is."""


def _code(error: BaseException) -> str | None:
    if isinstance(error, _Stopped):
        return str(error)
    told = getattr(error, "code", None)
    name = getattr(told(), "name", None) if callable(told) else None
    return name if isinstance(name, str) else None


@lru_cache(maxsize=1)
def _codes() -> dict[int, str]:
    return {code.value[0]: code.name for code in importlib.import_module("grpc").StatusCode}
