"""One request on the wire, from the send to the last byte of its answer, and the span it becomes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from tokprof.allowance.exceeded import BudgetExceeded
from tokprof.capture.content import keep
from tokprof.capture.wire import replay
from tokprof.capture.wire.beside import beside
from tokprof.capture.wire.guarded import Guarded, for_books, names
from tokprof.capture.wire.include_usage import ask
from tokprof.capture.wire.row import fill, outcome
from tokprof.capture.wire.unsent import unsent
from tokprof.meter import drafts, headers
from tokprof.meter.reader import COUNTS, may_be_call, read
from tokprof.processors import chain, process
from tokprof.recorder import (
    Recording,
    clock,
    current,
    describe,
    new_span,
    notice,
    status_of,
    warn_once,
    watchers,
)
from tokprof.span import Answer, Exchange, Span

in_wire: ContextVar[tuple[str, str, str] | None] = ContextVar("tokprof_in_wire", default=None)
"""Method, host and path of the request that a hooked transport is sending.

A transport below it that sends the same (aiohttp under httpx) must not count again; another request counts, for
instance of an app in this process that is asked through ``httpx.ASGITransport`` and asks a model.
"""

_READ = "read the answer of a model"
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
        "_asked",
        "_done",
        "_error",
        "_guarded",
        "_lock",
        "_recorded",
        "_recording",
        "_retry",
        "_rows",
        "_settled",
        "_settling",
        "_span",
        "_token",
        "_whole",
        "asks",
        "exchange",
        "hides",
        "stopped",
        "stored",
    )

    def __init__(self, recording: Recording, span: Span, exchange: Exchange, retry: str | None):
        self.exchange = exchange
        self.asks = recording.request_usage
        self.hides = False
        self.stored: Answer | None = None
        self.stopped = False
        self._guarded: Guarded | None = None
        self._asked: replay.Asked | None = None
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
        self._rows: list[Span] = []  # for alerts
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
        exchange.cached = cached or self.stored is not None
        if self._asked is not None:
            self._asked.answered(told)
        if exchange.content_type.startswith(_NO_TEXT):
            exchange.chunks = _NotKept()

    @property
    def wanted(self) -> frozenset[str]:
        """Headers of the answer that `answered` looks at."""
        return WANTED if self._asked is None else WANTED | replay.HEADERS

    def recall(self, query: str, headers: Mapping[str, str], asks: bool) -> None:
        """Look for a recorded answer, which then is `stored`; see `begin`."""
        try:
            body = (self.with_usage(headers) if asks and self.asks else None) or self.exchange.request
            self._asked = replay.ask(self._recording.cache, self.exchange, query, headers, body)
            self.stored = None if self._asked is None else self._asked.stored
        except Exception as error:
            warn_once("look into the replay cache", error)

    def send_after_all(self, error: Exception) -> None:
        """Do without the `stored` answer, which cannot be given; the call is then one like any.

        Raises
        ------
        BudgetExceeded
            Where it does not fit into a budget.
        """
        self.stored = None
        warn_once("answer from the replay cache", error)
        if self._recording.guards:
            self.admit()

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
        if self._guarded is not None and self._guarded.watches:
            self._watch(data)

    def came(self, data: bytes) -> None:
        """Note that the body is there, all of it: nothing of it can be stopped any more."""
        if self._guarded is not None:
            self._guarded.watches = False
        self.chunk(data)
        self.finish(complete=True)

    @property
    def watched(self) -> bool:
        """Whether a budget may stop the stream."""
        return self._guarded is not None and self._guarded.watches

    @property
    def parts(self) -> tuple[Callable[[bytes], None], Callable[[int], None]]:
        """Where `chunk` keeps a part and the time of its arrival: for transports with many, at half its price."""
        if self.watched:
            return self.chunk, _no_time
        return self.exchange.chunks.append, self._arrivals.append

    def admit(self, request: bytes | None = None) -> None:
        """Reserve what the call may spend in the budgets around it; see `tokprof.allowance.guard`.

        Parameters
        ----------
        request : bytes, optional
            Body as JSON, where the exchange has it in another form.

        Raises
        ------
        BudgetExceeded
            Where it does not fit. The attempt is recorded.
        """
        guarded = Guarded(self._recording, self._span, self.exchange)
        try:
            if self.stored is None:
                guarded.admit(request)
        except Exception as error:
            warn_once("keep the books of a budget", error)
        except BaseException as error:  # an interrupt, too: nothing was sent
            self._guarded = None if isinstance(error, BudgetExceeded) else guarded
            self._span.sent = False
            self._error = status_of(error), describe(error)
            self._end()
            raise
        self._guarded = guarded

    def _watch(self, data: bytes) -> None:
        """End the call where a budget stops its stream; the transport then closes the connection."""
        if self._guarded is None or self._done:
            return
        try:
            self._guarded.feed(data)
        except BudgetExceeded as error:
            self.stopped = True
            self._error = "partial", describe(error)
            self._end()
            raise

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
        return unsent(error)

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
        at_once = chain or watchers or self._asked is not None or recording.guards
        if at_once or not recording.put_off(self, size):
            self._record()
        recording.pending.pop(span.id, None)  # not before: a recording that ends now must find the call here or there
        if watchers:
            rows, self._rows = self._rows, []
            notice(recording, rows, True)

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
            if self._guarded is not None and self._done and not self._settled:
                self._settled = True
                self._guarded.give_up()
        if self._guarded is not None and (self._settled or self._whole):  # without the lock: it may call the user
            self._guarded.pay()

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
        if done and self._asked is not None and self._error is None:
            self._asked.keep(exchange, reading)
        whole = reading.stream and reading.finish_reason is not None and self._error is None and bool(self._arrivals)
        if whole and (not done or self._whole == len(self._arrivals)):
            # some SDKs read the last event of a stream, and neither its end nor close it until much later
            span.closed, late = self._arrivals[-1], span.late
            self._whole = len(self._arrivals)
        fill(span, exchange, reading, self._arrivals)
        span.status, span.error = outcome(exchange, reading, self._error, done or whole)
        span.late = span.late or late
        self._count_attempt(done)
        if recording.capture != "none":
            span.content = keep(exchange, recording.capture)
        more = [beside(span, run) for run in reading.more] if done else []
        known = [names(row) for row in (span, *more)] if chain and self._guarded is not None else []
        kept = not chain or process(recording, span, done)
        if self._recorded:
            recording.changed()
        elif kept:
            self._recorded = True
            recording.add(span)
        for run in more:
            if not chain or process(recording, run):
                recording.add(run)
        if done and watchers:
            self._rows = [span, *more]
            drafts.settle(self._rows)
        if self._guarded is not None:
            rows = [span, *more]
            self._guarded.rows = list(map(for_books, rows, known)) if known else rows
        if span.draft is not None:
            recording.drafted(span)

    def _count_attempt(self, done: bool) -> None:
        """1 for a first try; SDKs count their retries in a header, others repeat the failed request."""
        span, exchange, tries = self._span, self.exchange, self._recording.failed_attempts
        if self._retry is not None and self._retry.isdigit():
            span.attempt = int(self._retry) + 1
            return
        failed = done and span.status == "error" and span.error != BudgetExceeded.__name__
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


def _no_time(_at: int) -> None:
    """Take no note of a time that is known already."""


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
    query: str | None = None,
    asks: bool = False,
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
    query : str, optional
        Of the address; without it no cache is asked for an answer. A transport that gives it answers the program
        itself where the call comes back with one `stored`.
    asks : bool
        Whether the transport asks for usage where a call `asks`.

    Returns
    -------
    WireCall or None

    Raises
    ------
    BudgetExceeded
        Where it does not fit into a budget.
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
        call = make(recording, new_span(path, "llm", parent), exchange, headers.get("x-stainless-retry-count"))
        if recording.cache is not None and query is not None:
            call.recall(query, headers, asks)
    except Exception as error:
        warn_once("record a request", error)
        return None
    if recording.guards:
        call.admit()
    return call
