"""One request on the wire, from the send to the last byte of its answer, and the span it becomes."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from contextvars import ContextVar, Token
from typing import Any, TypeVar

from tokprof.capture.content import keep
from tokprof.meter.reader import may_be_call, read
from tokprof.recorder import Recording, clock, current, describe, new_span, status_of, warn_once
from tokprof.span import Exchange, Reading, Span

in_wire: ContextVar[bool] = ContextVar("tokprof_in_wire", default=False)
"""Set while a hooked transport is at work: the transports below it (aiohttp under httpx) must not count again."""

_Text = TypeVar("_Text", str, str | None)
_READ = "read the answer of a model"
_USAGE_HEADERS = tuple(
    f"x-amzn-bedrock-{kind}-token-count" for kind in ("input", "output", "cache-read-input", "cache-write-input")
)


class WireCall:
    """What a transport tells of one request attempt.

    As a context manager it stands around the sending. None of the methods raises: tokprof's own failure costs a row
    and a warning, never the call.
    """

    __slots__ = (
        "_arrivals",
        "_done",
        "_error",
        "_lock",
        "_recorded",
        "_recording",
        "_retry",
        "_span",
        "_token",
        "exchange",
    )

    def __init__(self, recording: Recording, span: Span, exchange: Exchange, retry: str | None):
        self.exchange = exchange
        self._recording = recording
        self._span = span
        self._retry = retry
        self._arrivals: list[int] = []
        self._done = False
        self._recorded = False
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._token: Token[bool]
        recording.pending[span.id] = self

    def __enter__(self) -> None:
        self._token = in_wire.set(True)

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        in_wire.reset(self._token)
        if error is not None:
            self.fail(error)

    def answered(self, status: int, headers: Mapping[str, str], decoded: bool = False) -> None:
        """Take in the head of the answer; `decoded`: the library undoes the content encoding before it hands on."""
        exchange = self.exchange
        exchange.http_status = status
        exchange.content_type = headers.get("content-type", "").lower()
        exchange.content_encoding = "" if decoded else headers.get("content-encoding", "").lower()
        if exchange.path.startswith("/model/"):
            exchange.headers = {name: value for name in _USAGE_HEADERS if (value := headers.get(name)) is not None}

    def chunk(self, data: bytes) -> None:
        """Note that a part of the body went by."""
        self.exchange.chunks.append(data)
        self._arrivals.append(clock())

    def finish(self, complete: bool) -> None:
        """Close the call: the body was read to its end, or the program let go of it."""
        if self._done:
            return
        self._done = True
        self.exchange.complete = complete
        self._record()

    def fail(self, error: BaseException) -> None:
        """Close the call: sending or reading raised `error`."""
        if self._done:
            return
        self._done = True
        self._error = error
        self._record()

    def flush(self) -> None:
        """Record what has gone by so far, because the recording ends; the call may go on."""
        if not self._done:
            self._record()

    def _record(self) -> None:
        try:
            with self._lock:
                self._settle()
        except Exception as error:
            warn_once(_READ, error)

    def _settle(self) -> None:
        span, recording, exchange = self._span, self._recording, self.exchange
        span.closed = max(clock(), span.opened)
        late = not recording.is_open
        if self._done:
            recording.pending.pop(span.id, None)
        reading = read(exchange)
        if reading is None:
            return
        self._fill(reading)
        span.late = span.late or late
        span.attempt = self._attempt(span.status == "error")
        if recording.capture != "none":
            span.content = keep(exchange, recording.capture)
        if self._done:
            exchange.chunks, exchange.request = [], None
            self._arrivals = []
        if self._recorded:
            recording.changed()
        else:
            self._recorded = True
            recording.add(span)

    def _fill(self, reading: Reading) -> None:
        span, exchange = self._span, self.exchange
        span.status, span.error = self._outcome(reading)
        span.kind = reading.kind
        span.operation = reading.operation
        span.provider = reading.provider
        span.model = _one(reading.model)
        span.request_model = _one(reading.request_model)
        span.name = _one(f"{reading.operation} {reading.request_model or reading.model or ''}".rstrip())
        span.host = _one(exchange.host)
        span.http_status = exchange.http_status
        span.stream = reading.stream
        span.finish_reason = _one(reading.finish_reason)
        span.usage = reading.usage
        span.source = reading.source
        span.usage_raw = reading.usage_raw
        if reading.cost is not None:
            span.cost, span.cost_source = reading.cost, "reported"
        if reading.stream and self._arrivals:
            index = reading.first_token_at
            if index is not None:
                span.first_token = self._arrivals[min(index, len(self._arrivals) - 1)]

    def _outcome(self, reading: Reading) -> tuple[str, str | None]:
        if self._error is not None:
            return status_of(self._error), describe(self._error)
        if reading.error is not None:
            return "error", reading.error
        if (self.exchange.http_status or 0) >= 400:
            return "error", f"HTTP {self.exchange.http_status}"
        if not self._done:
            return "open", None
        cut = not self.exchange.complete and reading.source in ("missing", "partial") and reading.finish_reason is None
        return ("partial" if cut else "ok"), None

    def _attempt(self, failed: bool) -> int:
        """1 for a first try; SDKs count their retries in a header, others repeat the failed request."""
        exchange, tries = self.exchange, self._recording.failed_attempts
        if self._retry is not None and self._retry.isdigit():
            return int(self._retry) + 1
        if not failed and not tries:
            return 1
        key = (exchange.host, exchange.path, hash(exchange.request))
        attempt = tries.get(key, 0) + 1
        if failed:
            tries[key] = attempt
        else:
            tries.pop(key, None)
        return attempt


def _one(text: _Text) -> _Text:
    """Keep equal strings of many calls once: a third of what a call leaves in memory."""
    return sys.intern(text) if type(text) is str else text


def begin(method: str, host: str, path: str, headers: Mapping[str, str], request: bytes | None) -> WireCall | None:
    """Open a call, if a recording wants it and the request can be one.

    Parameters
    ----------
    method : str
    host : str
        With the port, where it is not the default one of the scheme.
    path : str
        Without query.
    headers : mapping of str to str
        Of the request, lower case names.
    request : bytes or None
        Body, where it is at hand without reading a stream.

    Returns
    -------
    WireCall or None
    """
    if in_wire.get():
        return None
    scope = current()
    if scope is None:
        return None
    try:
        request_type = headers.get("content-type", "")
        if not may_be_call(method, host, path, request_type):
            return None
        recording, parent = scope
        exchange = Exchange(method, host, path, request, request_type)
        return WireCall(recording, new_span(path, "llm", parent), exchange, headers.get("x-stainless-retry-count"))
    except Exception as error:
        warn_once("record a request", error)
        return None
