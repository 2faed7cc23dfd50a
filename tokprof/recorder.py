"""Recording: spans open and close, and find their parents.

A scope is a recording with its current span. It travels in a ContextVar, so that a task belongs to whoever created it,
also after the cell that created it has ended. A thread that was started without a context falls back on the newest
open recording.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar, Token
from typing import Any, Literal

from tokprof.contracts import Answers, Ended, Guard, Pending
from tokprof.span import NO_FRAMES, Origin, Span
from tokprof.stack import Began, current_task, find_cells, snapshot

_ids = itertools.count(secrets.randbits(62) | 1)
_lock = threading.Lock()
_open: list[Recording] = []
_warned: set[str] = set()
_session = secrets.token_hex(8)  # of this process and those that it forks
_MANY = 1000  # spans without a row that wait to be summed up
_BATCH, _HELD = 32, 4 * 1024 * 1024  # calls that wait to be read, and bytes of their bodies
_PATIENCE = 10.0  # seconds to wait for another thread that reads them; a child process may wait for one that it has not

before_open: list[Callable[[], None]] = []
"""Called before each recording opens: the capture layer sees to its hooks."""

watchers: list[Callable[[Recording, Sequence[Span], bool], None]] = []
"""Alerts: called when a call has ended, with its rows and whether nothing can be below them. Calls are recorded at once
while there are any."""

wall_clock: Callable[[], int] = time.time_ns
"""Nanoseconds since the Unix epoch."""

clock: Callable[[], int] = time.perf_counter_ns
"""Nanoseconds on a clock that never goes back."""


class Recording:
    """An append-only list of spans under one root.

    Parameters
    ----------
    name : str
        Of the root span, for instance ``In[7]``.
    kind : str
        Of the root span: ``cell`` or ``profile``.
    capture : {"none", "preview", "full"}
        How much of prompts and answers is kept, in memory.
    tags : dict of str to str, optional
        Of the root, and so of every span.
    request_usage : bool
        Whether streams that do not tell their usage are asked to: the one case in which a request is changed.
    remote : tuple of int, optional
        Ids of a trace and of the span in another process that this recording is a part of.
    """

    seen = True
    """Whether somebody looks at its rows, or at those of a recording around it."""

    def __init__(
        self,
        name: str,
        kind: str = "profile",
        capture: str = "none",
        tags: dict[str, str] | None = None,
        request_usage: bool = False,
        remote: tuple[int, int] | None = None,
    ):
        self.outer: Recording | None = None
        self.around: tuple[Recording, Span] | Literal["nobody"] | None = None  # scope that it was opened in
        self.ended = False
        self._thread = 0
        self.capture = capture
        self.request_usage = request_usage
        self.remote = remote
        self.trace_id = remote[0] if remote else secrets.randbits(127) + 1
        self.tags = dict(tags or {})
        self.budget: Mapping[str, float] | None = None  # tokens, cost (USD), calls, seconds
        self.cache: Answers | None = None
        self.guard: Guard | None = None
        self.guards: tuple[Any, ...] = ()  # those of the recordings around this one, too
        self.inner: deque[Guard] = deque(maxlen=3)  # the latest of the recordings inside this one
        self.marks: list[object] = []  # where a budget was reached, in words
        self.alerts: list[object] = []  # those that were raised
        self.pending: dict[int, Pending] = {}
        self.failed_attempts: dict[tuple[str, str, int], int] = {}
        self.spans: list[Span] = []
        self.version = 0
        self.is_open = False
        self._drafted = 0
        # no lock around these two: garbage is collected at any time, and may end a call in the very thread that held it
        self._ended: deque[Ended] = deque()
        self._unkept: deque[Span] = deque()
        self._held = 0
        self._sums: dict[tuple[Any, ...], Span] = {}
        self._settling = threading.RLock()
        self._folding = threading.RLock()
        find_cells()  # before it says where it stands
        self.root = new_span(name, kind, None)
        self.root.origin = Origin(self.trace_id, _session)
        self.scope = (self, self.root)
        self._token: Token[Any] | None = None

    def open(self) -> None:
        """Begin: from here on, calls of this context belong to this recording.

        Raises
        ------
        RuntimeError
            If it was opened before.
        """
        if self.spans:
            raise RuntimeError("this profile has been recorded already; make a new one with tokprof.profile()")
        if outer := own():  # not of another thread: that one's profile is its own
            self.outer, self.root.parent = outer
            self.request_usage = self.request_usage or self.outer.request_usage
            self.cache = self.cache or self.outer.cache
            if self.remote is None:
                self.trace_id = self.outer.trace_id
                self.root.origin = self.outer.root.origin
            self.guards = self.outer.guards
        if self.guard is not None:
            self.guards = (self.guard, *self.guards)
            self.guard.begin(self)
        around = self.outer.root.tags if self.outer else None
        self.root.tags = (around or {}) | self.tags
        self.root.start, self.root.opened = wall_clock(), clock()
        self.add(self.root)
        find_cells()
        for prepare in before_open:
            prepare()
        self.is_open = True
        self._thread = threading.get_ident()
        with _lock:
            _open.append(self)
        self._enter()

    def _enter(self) -> None:
        self.around = _scope.get()
        self._token = _scope.set(self.scope)

    def takes_in(self, thread: int) -> bool:
        """Whether work of a context that nothing is known of belongs here, if it is done in a thread of this ident.

        A budget takes in what threads of unknown origin do while the main thread is inside its block, and no task of
        its own thread or sibling of a worker: a row too many does no harm, a refused call of somebody else's does.
        """
        return not self.guards or thread != self._thread == threading.main_thread().ident

    def step_aside(self) -> tuple[Recording, Span]:
        """Let what comes in this context belong to the recording around this one, which goes on; give the scope."""
        leave(self._token, self.scope)
        self._token = None
        return self.scope

    def close(self, error: BaseException | None = None) -> None:
        """End, by `error` where there is one.

        What is still in flight is recorded as far as it got, and may be amended later.
        """
        with _lock:
            if self in _open:
                _open.remove(self)
        self.ended = True
        leave(self._token, self.scope)
        self._token = None
        self.settle()
        for work in list(self.pending.values()):
            work.flush()
        self.settle()  # what has ended meanwhile, in another thread
        self.is_open = False
        if self.guard is not None:
            self.guard.end()
        if self._drafted:
            from tokprof.meter import drafts

            self._drafted = 0
            drafts.settle(self.spans)
        self.fold()
        if error is None:
            end_span(self.root, "ok")
        else:
            end_span(self.root, status_of(error), describe(error))
        self.changed()

    def add(self, span: Span) -> None:
        """Append a span, here and in the recordings around this one."""
        recording: Recording | None = self
        while recording is not None:
            recording.spans.append(span)
            recording.version += 1
            recording = recording.outer

    def put_off(self, work: Ended, size: int) -> bool:
        """Record work later, with others like it: code that runs again and again is twice as quick as when it is cold.

        Parameters
        ----------
        work : Ended
        size : int
            Bytes that it keeps until then.

        Returns
        -------
        bool
            Whether it will be recorded; where nobody would look any more, the caller does it at once.
        """
        if not self.is_open:
            return False
        top = self._outermost
        top._ended.append(work)
        top._held += size
        if len(top._ended) >= _BATCH or top._held > _HELD:
            top.settle(wait=False)
        return True

    @property
    def _outermost(self) -> Recording:
        top = self
        while top.outer is not None:
            top = top.outer
        return top

    def settle(self, wait: bool = True) -> None:
        """Do what was put off: record what has ended, and sum up what was let go.

        Parameters
        ----------
        wait : bool
            Whether it is all done when this returns, also where another thread is at it; who only wants to be rid of a
            batch leaves it to that one.
        """
        top = self._outermost
        if top._settling.acquire(timeout=_PATIENCE if wait else 0):
            try:
                top._settle()
            finally:
                top._settling.release()
        self.fold()
        for inner in _open:  # their rows are in this one, too
            if inner is not self and inner._outermost is top:
                inner.fold()

    def _settle(self) -> None:
        self._held = 0
        while self._ended:
            try:
                work = self._ended.popleft()
            except IndexError:
                return
            try:
                work.settle()
            except BaseException:  # an interrupt, which must not cost a row
                self._ended.appendleft(work)
                raise

    def drafted(self, span: Span) -> None:
        """Take note that a span keeps texts for an estimate, which must not pile up."""
        from tokprof.meter import drafts

        self._drafted += drafts.weight(span)
        if self._drafted > drafts.LIMIT:
            self._drafted = 0
            drafts.settle(self.spans)
            self.fold(wait=False)  # what was let go keeps texts, too

    def let_go(self, span: Span) -> None:
        """Do without the row of a span that ended; the figures of a call go into a row that stands for many."""
        span.kept = False
        if span.source is None:
            self.changed()
            return
        self._unkept.append(span)
        if len(self._unkept) >= _MANY:
            self.fold(wait=False)

    def fold(self, wait: bool = True) -> None:
        """Sum up what was let go since the last time; without `wait`, unless another thread is at it."""
        if not self._unkept:
            return
        from tokprof.unkept import fold

        if self._folding.acquire(timeout=_PATIENCE if wait else 0):
            try:
                fold(self, _taken(self._unkept), self._sums)
            finally:
                self._folding.release()

    def changed(self) -> None:
        """Say that a span which is already in the list was amended."""
        recording: Recording | None = self
        while recording is not None:
            recording.version += 1
            recording = recording.outer


def _taken(spans: deque[Span]) -> Iterator[Span]:
    """Take spans out, one by one, until there are none."""
    while spans:
        try:
            span = spans.popleft()
        except IndexError:
            return
        yield span


_scope: ContextVar[tuple[Recording, Span] | Literal["nobody"] | None] = ContextVar("tokprof_scope", default=None)
# None: nothing is known of this context. "nobody": it is known that it belongs to no recording.


def own() -> tuple[Recording, Span] | None:
    """Give the scope of this very context, which may have none."""
    scope = _scope.get()
    return None if scope == "nobody" else scope


def current() -> tuple[Recording, Span] | None:
    """Give the recording and the span that work begun here and now belongs to.

    Work of a context that nothing is known of (a thread of a library) belongs to the newest open recording.
    """
    scope = _scope.get()
    if scope is not None:
        return None if scope == "nobody" else scope
    return _newest() if _open else None


def _newest() -> tuple[Recording, Span] | None:
    thread = threading.get_ident()
    return next((recording.scope for recording in _open[::-1] if recording.takes_in(thread)), None)


def leave(token: Token[Any] | None, scope: tuple[Recording, Span], anyway: bool = False) -> None:
    """Take back a scope that was entered with `token`.

    Cells and generators may end in another context than the one they began in, where a token is worth nothing; and
    generators end in any order: a recording that was entered since and goes on stays in place, unless it is to be left
    `anyway`, and one that has ended meanwhile does not come back.
    """
    if token is None:
        return
    here = _scope.get()
    if not anyway and isinstance(here, tuple) and here[0] is not scope[0] and not here[0].ended:
        return
    try:
        _scope.reset(token)
    except ValueError:
        if here is scope:
            _scope.set(scope[0].around if scope is scope[0].scope else None)
    now = before = _scope.get()
    while isinstance(now, tuple) and now[0].ended:
        now = now[0].around
    if now is not before:
        _scope.set(now)


def forget_scope() -> None:
    """Belong to nobody: what a cell that is not profiled does, and what a profiled one does before it begins."""
    _scope.set("nobody")


class carry(Began):  # noqa: N801
    """A function that runs in a given scope, whatever thread runs it, and remembers who gave it away.

    Parameters
    ----------
    scope : tuple of Recording and Span, or None
    function : callable
    """

    __slots__ = ("_scope",)

    def __init__(self, scope: tuple[Recording, Span] | None, function: Callable[..., Any]):
        super().__init__(function, NO_FRAMES if scope is None else snapshot(2))
        self._scope = scope

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function."""
        token = _scope.set(self._scope)
        try:
            return super().__call__(*args, **kwargs)
        finally:
            _scope.reset(token)


def _renumber() -> None:
    """Count from elsewhere: a forked process must not give the ids that its parent gives."""
    global _ids
    _ids = itertools.count(secrets.randbits(62) | 1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renumber)


def new_id() -> int:
    """Give an id that no other span of this process has."""
    return next(_ids)


def new_span(name: str, kind: str, parent: Span | None) -> Span:
    """Open a span that starts now, in this thread and task."""
    task = current_task()
    return Span(
        id=next(_ids),
        parent=parent,
        name=name,
        kind=kind,
        start=wall_clock(),
        opened=clock(),
        stack=snapshot(2, task),
        thread=threading.current_thread().name,
        task=task.get_name() if task else None,
    )


def end_span(span: Span, status: str, error: str | None = None) -> None:
    """Close a span now; the clock never runs backwards."""
    closed, opened = clock(), span.opened
    span.closed = closed if closed > opened else opened
    span.status = status
    span.error = error


def notice(recording: Recording, rows: Sequence[Span], leaf: bool) -> None:
    """Show calls that have ended to those who watch."""
    if rows and recording.is_open:
        for watch in tuple(watchers):
            watch(recording, rows, leaf)


def warn_once(where: str, error: BaseException) -> None:
    """Tell the user, once for each `where`, that tokprof failed and the program goes on."""
    if where in _warned:
        return
    _warned.add(where)
    told = describe(error) if isinstance(error, UnicodeError) else repr(error)  # which would show all of the text
    message = f"tokprof could not {where} and leaves it out of the profile; your program goes on ({told})"
    try:
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    except Warning:  # under `-W error` a warning is an exception, and the program must not see it
        print(message, file=sys.stderr)


def describe(error: BaseException) -> str:
    """Give the type of an error. Its message may hold a prompt, or a key in an address, and stays with the program."""
    return type(error).__name__


def status_of(error: BaseException) -> str:
    """``cancelled`` for what stops a program from outside, ``error`` for the rest."""
    return "cancelled" if isinstance(error, asyncio.CancelledError | KeyboardInterrupt | GeneratorExit) else "error"
