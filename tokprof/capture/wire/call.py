"""One request on the wire, from the send to the last byte of its answer, and the span it becomes."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from tokprof.capture.content import keep
from tokprof.capture.wire.include_usage import ask
from tokprof.meter import headers
from tokprof.meter.reader import COUNTS, may_be_call, read
from tokprof.processors import chain, process
from tokprof.recorder import Recording, clock, current, describe, new_id, new_span, status_of, warn_once
from tokprof.span import Exchange, Reading, Span

in_wire: ContextVar[tuple[str, str, str] | None] = ContextVar("tokprof_in_wire", default=None)
"""Method, host and path of the request that a hooked transport is sending.

A transport below it that sends the same (aiohttp under httpx) must not count again; another request counts, for
instance of an app in this process that is asked through ``httpx.ASGITransport`` and asks a model.
"""

_Text = TypeVar("_Text", str, str | None)
_READ = "read the answer of a model"
_NO_CONNECTION = frozenset(
    [
        "ConnectError",
        "ConnectTimeout",
        "ConnectTimeoutError",
        "PoolTimeout",
        "UnsupportedProtocol",
        "InvalidURL",
        "ProxyError",
        "gaierror",
        "NewConnectionError",
        "NameResolutionError",
        "EndpointConnectionError",
        "ConnectionRefusedError",
        "ClientConnectorError",
        "ClientConnectorDNSError",
        "ClientConnectorSSLError",
        "ClientConnectorCertificateError",
        "ClientProxyConnectionError",
    ]
)
"""Types of errors, in all the HTTP libraries, after which nothing has been sent."""

_TELLING = (*(name for name, _ in COUNTS), *headers.NAMES)
WANTED = frozenset(("content-type", "content-encoding", *_TELLING))
"""Headers of an answer that `WireCall.answered` looks at."""


_NO_TEXT = ("image/", "video/", "audio/", "font/", "application/zip", "application/gzip", "application/pdf")
"""Beginnings of content types that tell no tokens: a download is not to be held in memory as long as it lasts."""


class _NotKept(list[bytes]):
    """A body that is let by."""

    def append(self, data: bytes, /) -> None:
        """Forget it."""


class WireCall:
    """What a transport tells of one request attempt.

    As a context manager it stands around the sending. None of the methods raises: tokprof's own failure costs a row
    and a warning, never the call.
    """

    __slots__ = (
        "_again",
        "_arrivals",
        "_done",
        "_error",
        "_lock",
        "_recorded",
        "_recording",
        "_retry",
        "_settled",
        "_settling",
        "_span",
        "_token",
        "_whole",
        "asks",
        "exchange",
        "hides",
    )

    def __init__(self, recording: Recording, span: Span, exchange: Exchange, retry: str | None):
        self.exchange = exchange
        self.asks = recording.request_usage
        self.hides = False
        self._recording = recording
        self._span = span
        self._retry = retry
        self._arrivals: list[int] = []
        self._done = False
        self._recorded = False
        self._whole = 0  # chunks after which the model had said its last word, though nobody closed the stream
        self._settling = False
        self._settled = False
        self._again = False
        self._error: tuple[str, str] | None = None  # status and text: the error itself keeps the user's frames alive
        self._lock = threading.RLock()
        self._token: Token[tuple[str, str, str] | None]
        recording.pending[span.id] = self

    def __enter__(self) -> None:
        exchange = self.exchange
        self._token = in_wire.set((exchange.method, exchange.host, exchange.path))

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        try:
            in_wire.reset(self._token)
        except ValueError:  # whoever runs the coroutine went on in another context
            in_wire.set(None)
        del self._token  # it holds the context
        if error is not None:
            self.fail(error)

    def answered(self, status: int, told: Mapping[str, str], decoded: bool = False, cached: bool = False) -> None:
        """Take in the head of the answer.

        Parameters
        ----------
        status : int
        told : mapping of str to str
            Headers, lower case names; of those in `WANTED` at least.
        decoded : bool
            Whether the library undoes the content encoding before it hands on.
        cached : bool
            Whether the client's own cache answered.
        """
        exchange = self.exchange
        exchange.http_status = status
        exchange.content_type = told.get("content-type", "").lower()
        exchange.content_encoding = "" if decoded else told.get("content-encoding", "").lower()
        exchange.headers = {name: value for name in _TELLING if (value := told.get(name)) is not None}
        exchange.cached = cached
        if exchange.content_type.startswith(_NO_TEXT):
            exchange.chunks = _NotKept()

    def with_usage(self, headers: Mapping[str, str]) -> bytes | None:
        """Give the body that asks for usage as well, where the user wants that (`asks`) and the request does not.

        A transport that sends it takes the event out again that `hides` speaks of; see `Hide`.
        """
        exchange = self.exchange
        body = ask(exchange.host, exchange.path, headers, exchange.request)
        self.hides = body is not None
        return body

    def chunk(self, data: bytes) -> None:
        """Note that a part of the body went by."""
        self.exchange.chunks.append(data)
        self._arrivals.append(clock())

    @property
    def parts(self) -> tuple[Callable[[bytes], None], Callable[[int], None]]:
        """Where `chunk` keeps a part and the time of its arrival: for transports with many, at half its price."""
        return self.exchange.chunks.append, self._arrivals.append

    def finish(self, complete: bool) -> None:
        """Close the call: the body was read to its end, or the program let go of it."""
        if self._done:
            return
        self.exchange.complete = complete
        self._end()

    def fail(self, error: BaseException) -> None:
        """Close the call: sending or reading raised `error`."""
        if self._done:
            return
        try:
            self._error = self.failure(error)
            self._span.sent = self.exchange.http_status is not None or not self.unsent(error)
        except Exception as own:
            self._error = "error", type(error).__name__
            warn_once(_READ, own)
        self._end()

    def failure(self, error: BaseException) -> tuple[str, str]:
        """Status and text of what `error` did to the call."""
        return status_of(error), describe(error)

    def unsent(self, error: BaseException) -> bool:
        """Whether `error` says that no model has seen the request."""
        return _unsent(error)

    def flush(self) -> None:
        """Record what has gone by so far, because the recording ends; the call may go on."""
        self._record()

    def settle(self) -> None:
        """Record the call, which has ended; see `Recording.put_off`."""
        self._record()

    def _end(self) -> None:
        span, recording, exchange = self._span, self._recording, self.exchange
        span.closed = max(clock(), span.opened)
        self._done = True
        size = len(exchange.request or b"") + sum(map(len, exchange.chunks))
        if chain or not recording.put_off(self, size):
            self._record()
        recording.pending.pop(span.id, None)  # not before: a recording that ends now must find the call here or there

    def _record(self) -> None:
        try:
            with self._lock:
                if self._settling:  # garbage is collected while this very thread settles: the stream of this call
                    self._again = True
                    return
                self._settling = True
                try:
                    self._settle()
                    while self._again:
                        self._again = False
                        self._settle()
                finally:
                    self._settling = False
        except Exception as error:
            warn_once(_READ, error)

    def _settle(self) -> None:
        if self._settled:
            return
        done = self._done  # from here on it may end at any time; that is then settled once more
        self._take_in(done)
        self._settled = done  # not before: an interrupt must not cost the row
        if done:
            exchange = self.exchange
            exchange.chunks, exchange.request = [], None
            self._arrivals = []

    def _take_in(self, done: bool) -> None:
        span, recording, exchange = self._span, self._recording, self.exchange
        if not done:
            span.closed = max(clock(), span.opened)
        late = not recording.is_open
        reading = read(exchange)
        if reading is None:
            return
        whole = reading.stream and reading.finish_reason is not None and self._error is None and bool(self._arrivals)
        if whole and (not done or self._whole == len(self._arrivals)):
            # some SDKs read the last event of a stream, and neither its end nor close it until much later
            span.closed, late = self._arrivals[-1], span.late
            self._whole = len(self._arrivals)
        self._fill(reading, done or whole)
        span.late = span.late or late
        self._count_attempt(done)
        if recording.capture != "none":
            span.content = keep(exchange, recording.capture)
        more = [_beside(span, run) for run in reading.more] if done else []
        kept = not chain or process(recording, span, done)
        if self._recorded:
            recording.changed()
        elif kept:
            self._recorded = True
            recording.add(span)
        for run in more:
            if not chain or process(recording, run):
                recording.add(run)
        if span.draft is not None:
            recording.drafted(span)

    def _fill(self, reading: Reading, done: bool) -> None:
        span, exchange = self._span, self.exchange
        span.status, span.error = self._outcome(reading, done)
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
        span.service_tier = _one(reading.service_tier)
        span.usage = reading.usage
        span.source = reading.source
        span.usage_raw = reading.usage_raw
        span.draft = reading.draft if span.sent else None
        if reading.cost is not None:
            span.cost, span.cost_source = reading.cost, reading.cost_source
        if reading.stream and self._arrivals:
            index = reading.first_token_at
            if index is not None:
                span.first_token = self._arrivals[min(index, len(self._arrivals) - 1)]

    def _outcome(self, reading: Reading, done: bool) -> tuple[str, str | None]:
        if done and self._error is not None:
            return self._error
        if reading.error is not None:
            return "error", reading.error
        if (self.exchange.http_status or 0) >= 400:
            return "error", f"HTTP {self.exchange.http_status}"
        if not done:
            return "open", None
        cut = not self.exchange.complete and reading.source in ("missing", "partial") and reading.finish_reason is None
        return ("partial" if cut else "ok"), None

    def _count_attempt(self, done: bool) -> None:
        """1 for a first try; SDKs count their retries in a header, others repeat the failed request."""
        span, exchange, tries = self._span, self.exchange, self._recording.failed_attempts
        if self._retry is not None and self._retry.isdigit():
            span.attempt = int(self._retry) + 1
            return
        failed = done and span.status == "error"
        attempt = span.attempt if self._recorded and span.attempt else 1
        if exchange.request is not None and (failed or tries):  # nobody can tell requests with streamed bodies apart
            key = (exchange.host, exchange.path, hash(exchange.request))
            if not self._recorded:
                attempt = tries.get(key, 0) + 1
            if failed:
                tries[key] = attempt
            elif done:
                tries.pop(key, None)
        span.attempt = attempt


def _beside(span: Span, run: Reading) -> Span:
    """Make the row of a run that was billed beside the one that answered; when it ran is not told."""
    ended = span.closed or span.opened
    return replace(
        span,
        id=new_id(),
        name=_one(f"{run.operation} {run.model or ''}".rstrip()),
        operation=run.operation,
        model=_one(run.model),
        request_model=_one(run.request_model),
        start=span.start + ended - span.opened,
        opened=ended,
        first_token=None,
        attempt=None,
        finish_reason=None,
        usage=run.usage,
        source=run.source,
        usage_raw=run.usage_raw,
        cost=None,
        cost_source=None,
        draft=None,
        content=None,
    )


def _unsent(error: BaseException) -> bool:
    """Whether the error says that there was no connection to send a request by."""
    seen: list[Any] = [error]
    for cause in seen:
        if type(cause).__name__ in _NO_CONNECTION:
            return True
        if len(seen) < 16:
            causes = (cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args[:1])
            seen += [one for one in causes if isinstance(one, BaseException) and one not in seen]
    return False


def _one(text: _Text) -> _Text:
    """Keep equal strings of many calls once: a third of what a call leaves in memory."""
    return sys.intern(text) if type(text) is str else text


def _same(outer: tuple[str, str, str], inner: tuple[str, str, str]) -> bool:
    """Whether two transports send the same request; they may write its port and its path in different ways."""
    return outer == inner or _plain(*outer) == _plain(*inner)


def _plain(method: str, host: str, path: str) -> tuple[str, str | None, str]:
    return method.upper(), urlsplit(f"//{host}").hostname, unquote(path) or "/"


_Call = TypeVar("_Call", bound=WireCall)


def begin(
    method: str,
    host: str,
    path: str,
    headers: Mapping[str, str],
    request: bytes | None,
    make: type[_Call] = WireCall,  # type: ignore[assignment]
) -> _Call | None:
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
    make : type of WireCall

    Returns
    -------
    WireCall or None
    """
    outer = in_wire.get()
    if outer is not None and _same(outer, (method, host, path)):
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
        return make(recording, new_span(path, "llm", parent), exchange, headers.get("x-stainless-retry-count"))
    except Exception as error:
        warn_once("record a request", error)
        return None
