"""``tokprof.alert``: say so as soon as something is true of the calls of a recording that goes on."""

from __future__ import annotations

import inspect
import sys
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from tokprof.alerts.conditions import (
    Condition,
    cache_hit_rate,
    cost_rate,
    error_rate,
    latency,
    parse,
    retry_rate,
    spike,
    token_rate,
)
from tokprof.alerts.watching import Past, Snapshot
from tokprof.allowance.exceeded import BudgetExceeded, place
from tokprof.layer import Layer
from tokprof.recorder import Recording, warn_once, watchers
from tokprof.span import Span
from tokprof.steps import inside
from tokprof.views.markup import unmathed
from tokprof.views.words import clean, count

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Alert",
    "AlertEvent",
    "AlertWarning",
    "Snapshot",
    "alert",
    "cache_hit_rate",
    "cost_rate",
    "error_rate",
    "latency",
    "retry_rate",
    "spike",
    "token_rate",
]

F = TypeVar("F", bound=Callable[..., Any])
_MOST = 1000  # events that a recording keeps


class AlertWarning(UserWarning):
    """Something that an alert was to look for has come true."""


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """What the callback of an alert is given.

    Attributes
    ----------
    name : str
        Of the alert: its condition in words, unless it has a name of its own.
    said : str
        The figures that made it true, in words.
    seconds : float
        Since the recording, or the block of the alert, began.
    figures : mapping of str to float
        All of `Snapshot` as they were.
    call : Span or None
        The call that did it.
    """

    name: str
    said: str
    seconds: float
    figures: Mapping[str, float] = field(repr=False)
    call: Span | None = field(repr=False)

    @property
    def where(self) -> str:
        """``In[3]:4 in plan()``: the line that made the call; empty where no code of yours did."""
        return "" if self.call is None else place(self.call)

    def __str__(self) -> str:
        said = f": {self.said}" if self.said else ""
        return f"{self.name}{said}{f' at {self.where}' if self.where else ''}"


def alert(
    when: str | Callable[[Snapshot], object],
    do: Callable[[AlertEvent], object] | None = None,
    *,
    cooldown: float = 30.0,
    name: str | None = None,
) -> Alert:
    """Say so, or do something, as soon as something is true of the calls of a recording.

    It holds from now on for every recording, each with figures of its own, until ``remove()``; as a context manager or
    decorator for the calls inside, whether they are profiled or not, with figures that begin there.

    Parameters
    ----------
    when : str or callable
        ``"cost > 0.5"``, ``"error_rate > 20% and calls >= 10"``; a ready condition of `tokprof.alerts`; or a function
        of a `Snapshot`.
    do : callable, optional
        Is given an `AlertEvent`, where the call has ended. Without it a warning is shown, in a notebook below the cell.
    cooldown : float
        Seconds after it was raised, in which the same recording does not raise it again. What has become true in them
        and still is, raises it at the first call after.
    name : str, optional
        Shown instead of the condition.

    Returns
    -------
    Alert

    Raises
    ------
    ValueError
        For a condition that is none, with the nearest name of a figure.
    TypeError
        For what can be no condition, or a `do` that cannot be called.

    Notes
    -----
    Looked at each time a call ends, not by the clock. It is raised when its condition becomes true, and again only
    after that was false in between: a sum that stays above a limit raises it once. Figures that are not known (a rate
    of too few calls) make nothing true. What `when` or `do` raise is shown once as a warning, and the program goes on.
    Alerts that were raised are in ``Profile.alerts``.

    Examples
    --------
    >>> tokprof.alert("cost > 0.5")
    >>> tokprof.alert(tokprof.alerts.spike(3, of="seconds"), do=lambda event: print(event))
    >>> with tokprof.alert(lambda now: now.errors > 3):
    ...     agent.run("...")
    """
    condition: Callable[[Snapshot], object]
    if isinstance(when, str):
        condition = parse(when)
    elif callable(when):
        condition = when
    else:
        raise TypeError(f"when is a text, a condition or a function of a Snapshot, not {type(when).__name__}")
    if do is not None and not callable(do):
        raise TypeError(f"do must be a function of an event, not {type(do).__name__}")
    if inspect.iscoroutinefunction(do) or inspect.iscoroutinefunction(getattr(do, "__call__", None)):  # noqa: B004
        raise TypeError("do cannot be async: nobody would await it; start a task in it instead")
    if isinstance(cooldown, bool) or not isinstance(cooldown, int | float) or not cooldown >= 0:
        raise ValueError(f"cooldown is in seconds, 0 or more, not {cooldown!r}")
    made = Alert(condition, do, float(cooldown), name)
    made._register()
    return made


class _State:
    """What an alert knows of one recording."""

    __slots__ = ("lock", "now", "raised", "was")

    def __init__(self, recording: Recording, past: Past):
        self.now = Snapshot(recording, past)
        self.was = False
        self.raised: float | None = None
        self.lock = threading.RLock()


class Alert:
    """An alert at work; see `tokprof.alert`.

    Attributes
    ----------
    name : str
    events : list of AlertEvent
        Whenever it was raised, the latest last.
    """

    def __init__(
        self,
        condition: Callable[[Snapshot], object],
        do: Callable[[AlertEvent], object] | None,
        cooldown: float,
        name: str | None,
    ):
        given = condition.text if isinstance(condition, Condition) else getattr(condition, "__qualname__", "")
        self.name = clean(str(name or given or type(condition).__name__))
        self.events: list[AlertEvent] = []
        self._condition, self._do, self._cooldown = condition, do, cooldown
        self._past = Past()
        self._states: WeakKeyDictionary[Recording, _State] = WeakKeyDictionary()
        self._layer: Layer | None = None
        self._busy = threading.local()
        self._lock = threading.Lock()

    def remove(self) -> None:
        """Take the alert out; once it is out, nothing happens."""
        with self._lock:
            if self._saw in watchers:
                watchers.remove(self._saw)

    def __enter__(self) -> Alert:
        if self._layer is not None:
            raise RuntimeError("this alert is at work already; make a new one with tokprof.alert()")
        self._register()
        self._layer = Layer("alert")
        self._layer.open()
        self._states[self._layer] = _State(self._layer, self._past)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        layer = self._layer
        if layer is not None:
            layer.settle()
            self.remove()
            layer.close(error)
            self._layer = None

    async def __aenter__(self) -> Alert:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def step_aside(self) -> tuple[Recording, Span] | None:
        """Leave the block without ending it, as a generator does between its items; give its scope."""
        return None if self._layer is None else self._layer.step_aside()

    def __call__(self, function: F) -> F:
        """Decorate a function, coroutine function, generator or async generator: each call has figures of its own."""
        if isinstance(function, classmethod | staticmethod):
            return type(function)(self(function.__func__))
        if not callable(function) or isinstance(function, type):
            raise TypeError("tokprof.alert decorates functions; decorate the methods of a class")
        self.remove()

        def fresh(*_args: Any, **_kwargs: Any) -> Any:
            made = Alert(self._condition, self._do, self._cooldown, self.name)
            made.events, made._past = self.events, self._past
            return made

        return inside(function, fresh)

    def __repr__(self) -> str:
        return f"<Alert {self.name}: raised {count(len(self.events), 'time')}>"

    # inside

    def _register(self) -> None:
        with self._lock:
            if self._saw not in watchers:
                watchers.append(self._saw)

    def _saw(self, recording: Recording, rows: Sequence[Span], leaf: bool) -> None:
        """Look at calls that have ended."""
        try:
            state = self._state(recording)
            if state is None:
                return
            event = None
            with state.lock:
                for row in rows:
                    state.now.take(row, leaf)
                    event = self._look(state) or event
                    if state.now.call is row:
                        self._past.add(row, state.now.figures)
        except Exception as error:
            warn_once(f"look at the alert {self.name!r}", error)
            return
        if event is not None:
            self._raise(event, recording)

    def _state(self, recording: Recording) -> _State | None:
        """What is known of the recording that an alert is for; None where the calls are not its own."""
        top: Recording | None = recording
        if self._layer is not None:
            while top is not None and top is not self._layer:
                top = top.outer
            return None if top is None else self._states[top]
        top = recording._outermost
        with self._lock:
            if (found := self._states.get(top)) is None:
                found = self._states[top] = _State(top, self._past)
        return found

    def _look(self, state: _State) -> AlertEvent | None:
        if getattr(self._busy, "here", False):  # a call that the callback itself made
            return None
        now = state.now
        self._busy.here = True
        try:
            met = bool(self._condition(now))
        except Exception as error:
            warn_once(f"ask for the condition of the alert {self.name!r}", error)
            return None
        finally:
            self._busy.here = False
        seconds = now.seconds
        if not met or state.was:
            state.was = met
            return None
        if state.raised is not None and seconds - state.raised < self._cooldown:
            return None  # it is raised later, if it is still true
        state.was, state.raised = True, seconds
        said = self._condition.said(now) if isinstance(self._condition, Condition) else ""
        return AlertEvent(self.name, said, seconds, now.to_dict(), now.call)

    def _raise(self, event: AlertEvent, recording: Recording) -> None:
        self.events.append(event)
        around: Recording | None = recording
        while around is not None:
            if len(around.alerts) < _MOST:
                around.alerts.append(event)
            around = around.outer
        self._busy.here = True
        try:
            if self._do is not None:
                self._do(event)
            else:
                _show(event)
        except (Exception, BudgetExceeded) as error:  # the latter of a model that the callback asks
            warn_once(f"do what the alert {self.name!r} was to do", error)
        finally:
            self._busy.here = False


def _show(event: AlertEvent) -> None:
    """A line below the cell of a notebook, a warning elsewhere."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if hasattr(shell, "kernel"):
        from IPython.display import display

        style = "border-left:3px solid #d55e00;padding:2px 8px;margin:2px 0"
        page = unmathed(f"<b>tokprof alert</b> {escape(str(event))}", "tokprof-alert", style)
        display({"text/plain": f"tokprof alert: {event}", "text/html": f'<div role="alert">{page}</div>'}, raw=True)
        return
    stack = event.call.stack if event.call is not None else ()
    file, line = (stack[-1].file, stack[-1].line) if stack else ("tokprof", 1)
    try:
        warnings.warn_explicit(f"tokprof alert: {event}", AlertWarning, file, line, registry={})
    except Warning:  # under `-W error` a warning is an exception, and the program must not see it
        print(f"tokprof alert: {event}", file=sys.stderr)


def frame(events: Sequence[Any]) -> pd.DataFrame:
    """Build the DataFrame of ``Profile.alerts``."""
    import pandas as pd

    names = ["alert", "said", "seconds", "where", "span_id", "calls", "errors", "tokens", "cost"]
    rows = []
    for event in events:
        span_id = None if event.call is None else f"{event.call.id & 0xFFFFFFFFFFFFFFFF:016x}"
        figures = [event.figures[name] for name in names[5:]]
        rows.append([event.name, event.said, event.seconds, event.where, span_id, *figures])
    return pd.DataFrame(rows, columns=names)
