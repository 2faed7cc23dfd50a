"""A call of a wrapped object, from its beginning to the last item of its result, and the rows it becomes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tokprof import recorder
from tokprof.allowance import admission
from tokprof.allowance.admission import Ticket
from tokprof.allowance.exceeded import BudgetExceeded
from tokprof.allowance.guard import Ask
from tokprof.meter.agent import Totals
from tokprof.meter.results import Results, speaks, tells
from tokprof.processors import chain, process
from tokprof.recorder import (
    Recording,
    _scope,
    describe,
    end_span,
    leave,
    new_span,
    notice,
    status_of,
    warn_once,
    watchers,
)
from tokprof.span import Reading, Span

_READ = "read the result of a wrapped call"
_PROMPTS = ("messages", "prompt", "prompts", "input", "inputs", "contents", "texts")
_FIRST = 2  # items of a stream that are always looked at: who answers


@dataclass(frozen=True, eq=False)
class Options:
    """What the user said of a wrapped object.

    Attributes
    ----------
    name, model, provider, operation : str or None
        They win over what results tell; `asked` is a model that was named when the object was made.
    kind : str
    usage : callable or None
    package : str
        Top package of the object's class.
    totals : dict
        Running totals of an agent's connection, see `tokprof.meter.agent`.
    """

    name: str | None = None
    model: str | None = None
    provider: str | None = None
    kind: str = "llm"
    operation: str | None = None
    usage: Callable[[Any], Any] | None = None
    package: str = ""
    asked: str | None = None
    totals: Totals = field(default_factory=dict)


class ObservedCall:
    """What a proxy tells of one call.

    It leaves rows if its result tells of a model; where nothing is told, only if a model must have been called. None of
    the methods raises: tokprof's own failure costs a row and a warning, never the call.

    Parameters
    ----------
    scope : tuple of Recording and Span, or None
        Without one nothing is recorded, and only the totals of an agent's connection are kept.
    options : Options
    title : str
        Of the function.
    arguments : mapping of str to object
        Of the call, as far as their names are known.
    direct : bool
        Whether the wrapped object itself was called.
    connection : object, optional
        Whose method was called; running totals are of one connection.

    Attributes
    ----------
    touched, streamed : bool
        Whether anything ran, and whether the result is a stream.
    """

    __slots__ = (
        "_asked",
        "_at",
        "_direct",
        "_done",
        "_error",
        "_first",
        "_last",
        "_likely",
        "_lock",
        "_noticed",
        "_paid",
        "_place",
        "_results",
        "_rows",
        "_seen",
        "_ticket",
        "_told",
        "_whole",
        "options",
        "streamed",
        "title",
        "touched",
    )

    def __init__(
        self,
        scope: tuple[Recording, Span] | None,
        options: Options,
        title: str,
        arguments: Mapping[str, Any],
        direct: bool,
        connection: Any = None,
    ):
        self.options, self.title = options, title
        asked = next((told for key in ("model", "model_name") if isinstance(told := arguments.get(key), str)), None)
        self._asked = asked or options.asked
        self._direct = direct
        self._likely = direct or asked is not None or any(key in arguments for key in _PROMPTS)
        self._results = Results(options.kind, options.usage, None if connection is None else options.totals)
        self.touched = self.streamed = self._whole = False
        self._error: tuple[str, str] | None = None
        self._first: int | None = None
        self._last: Any = None
        self._seen = 0
        self._done = False
        self._rows: list[Span] = []
        self._lock = threading.RLock()
        self._place: tuple[Recording, Span] | None = None
        self._at = 0
        self._paid = False
        self._noticed = False
        self._told: list[Span] = []
        self._ticket: Ticket | None = None
        if scope is not None:
            recording, parent = scope
            self._place = recording, new_span(title, options.kind, parent)
            self._place[1].kept = False  # until it is known to have a row: what is below it belongs to its parent
            self._at = len(recording.spans)
            recording.pending[self._place[1].id] = self
            if recording.guards and self._likely:
                self._admit(recording, self._place[1])

    def _admit(self, recording: Recording, span: Span) -> None:
        """Ask the budgets around the call whether anything is left; what it will spend cannot be told."""
        try:
            self._ticket = admission.admit(recording, span, [Ask()] * len(recording.guards), standing=True)
        except BudgetExceeded as error:
            span.sent = False
            self.fail(error)
            raise

    @property
    def asked(self) -> str | None:
        """The model that was asked for."""
        return self._asked

    @property
    def told(self) -> bool:
        """Whether anything was said of a model."""
        return self._results.told

    @property
    def done(self) -> bool:
        """Whether the call has ended."""
        return self._done

    def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a function as a part of this call: what it calls stands below."""
        if self._place is None:
            return function(*args, **kwargs)
        token = _scope.set(self._place)
        try:
            return function(*args, **kwargs)
        finally:
            leave(token, self._place, anyway=True)

    async def wait(self, awaitable: Any) -> Any:
        """Await as a part of this call."""
        self.touched = True
        if self._place is None:
            return await awaitable
        token = _scope.set(self._place)
        try:
            return await awaitable
        finally:
            leave(token, self._place, anyway=True)

    def paid_below(self) -> bool:
        """Whether another call was seen below this one."""
        if self._place is None:
            return False
        recording, mine = self._place
        recording.settle()
        for span in recording.spans[self._at :]:
            around = span.parent
            while span.source is not None and around is not None:
                if around is mine:
                    return True
                around = around.parent
        return False

    def item(self, item: Any) -> None:
        """Note that an item of a stream went by."""
        try:
            with self._lock:
                self._seen += 1
                self.touched = self.streamed = True
                if self._first is None:
                    said = speaks(item)
                    if said or (said is None and self._seen == 1):
                        self._first = recorder.clock()
                if self._seen <= _FIRST or self.options.usage is not None or tells(item):
                    self._results.absorb(item, True)
                    self._last = None
                else:
                    self._last = item
        except Exception as error:
            warn_once(_READ, error)

    def result(self, result: Any) -> None:
        """Take in a result that is not a stream."""
        self.touched = True
        self._whole = result is not None
        try:
            self._results.absorb(result)
        except Exception as error:
            warn_once(_READ, error)

    def finish(self, complete: bool) -> None:
        """Close the call: its result is whole, or the program let go of it."""
        if not self._done:
            self._done = True
            self._settle(complete)

    def fail(self, error: BaseException) -> None:
        """Close the call: it raised `error`."""
        if self._done:
            return
        try:
            self._error = status_of(error), describe(error)
        except Exception:
            self._error = "error", type(error).__name__
        self._done = self.touched = True
        self._settle(False)

    def flush(self) -> None:
        """Record what is known so far, because the recording ends; the call may go on."""
        if not self._done:
            self._settle(False)

    def _settle(self, complete: bool) -> None:
        try:
            with self._lock:
                last, self._last = self._last, None
                if last is not None:
                    self._results.absorb(last, True)
                if self._place is not None:
                    self._record(*self._place, complete)
        except Exception as error:
            warn_once(_READ, error)
        if self._done and self._place is not None and self._place[0].guards and not self._paid:
            self._paid = True
            ticket, self._ticket = self._ticket, None
            admission.settle(ticket, self._place[0].guards, self._told, leaf=False)
        if watchers and self._done and self._place is not None and not self._noticed:
            self._noticed = True
            notice(self._place[0], self._told, False)

    def _record(self, recording: Recording, span: Span, complete: bool) -> None:
        done, self._told = self._done, []
        if done:
            recording.pending.pop(span.id, None)
        found = self._results.readings(complete and done)
        if not found:
            if not self._rows and not self._certain():
                return
            found = [Reading(self.options.operation or "chat", self.options.kind)]
        status, error = self._outcome(found, complete)
        if done:
            end_span(span, status, error)
        else:
            span.closed, span.status = max(recorder.clock(), span.opened), "open"
        span.late = span.late or not recording.is_open
        if self._results.of_agent:
            self._as_agent(recording, span, found)
        else:
            self._fill(span, found[0])
            self._add(recording, span)
        recording.changed()

    def _certain(self) -> bool:
        """Whether a model was called though nothing was said of it."""
        if not self.touched:
            return False
        if self._error is not None or self._seen:
            return self._likely
        return self._direct and self._whole

    def _outcome(self, found: list[Reading], complete: bool) -> tuple[str, str | None]:
        if self._error is not None:
            return self._error
        for reading in found:
            if reading.error is not None:
                return "error", reading.error
        if self._results.failure is not None:
            return "error", self._results.failure
        return ("ok" if complete or self._results.settled else "partial"), None

    def _as_agent(self, recording: Recording, span: Span, found: list[Reading]) -> None:
        """Put a row for each model below the run: what its tools call in this process is not theirs."""
        span.name, span.kind = self.options.name or self.title, "agent"
        self._add(recording, span)
        known = {row.model: row for row in self._rows if row is not span}
        for old in known.values():
            old.kept = False  # a step calls a model by another name than the totals may
        for reading in found:
            row = known.get(reading.model)
            if row is None:
                row = new_span("", "llm", span)
                row.start, row.opened, row.first_token = span.start, span.opened, None
                row.stack, row.thread, row.task = span.stack, span.thread, span.task
            row.closed, row.status, row.error, row.late = span.closed, span.status, span.error, span.late
            self._fill(row, reading)
            self._add(recording, row)

    def _add(self, recording: Recording, row: Span) -> None:
        row.kept = True
        kept = not chain or process(recording, row, self._done)
        if kept and not any(row is known for known in self._rows):
            self._rows.append(row)
            recording.add(row)

    def _fill(self, row: Span, reading: Reading) -> None:
        options = self.options
        row.kind = options.kind if options.kind != "llm" else reading.kind
        row.operation = options.operation or reading.operation
        row.provider = options.provider or reading.provider
        row.model = options.model if options.model and not self._results.of_agent else reading.model
        row.request_model = self._asked
        row.model = row.model or self._asked
        title = f"{row.operation} {row.request_model or row.model or ''}".rstrip()
        row.name = title if options.name is None or self._results.of_agent else options.name
        row.stream = self._seen > 0
        row.finish_reason, row.service_tier = reading.finish_reason, reading.service_tier
        row.usage, row.source, row.usage_raw = reading.usage, reading.source, reading.usage_raw
        row.first_token = self._first
        if reading.cost is not None:
            row.cost, row.cost_source = reading.cost, "reported"
        self._told.append(row)
