"""Named steps: ``tokprof.span`` as a context manager and as a decorator."""

from __future__ import annotations

import contextlib
import functools
import inspect
import operator
from collections.abc import AsyncGenerator, Callable, Generator
from contextvars import Token
from types import TracebackType
from typing import Any, TypeVar, overload

from tokprof.allowance import admission
from tokprof.processors import chain, process
from tokprof.recorder import (
    Recording,
    _scope,
    current,
    describe,
    end_span,
    leave,
    new_span,
    notice,
    own,
    status_of,
    watchers,
)
from tokprof.span import KINDS, OPERATIONS, Span, Usage

F = TypeVar("F", bound=Callable[..., Any])


class SpanHandle:
    """What ``with tokprof.span(...) as s`` gives: the place to record figures on the span.

    Attributes
    ----------
    span : Span or None
        None while nothing is being recorded; everything is then without effect.
    """

    __slots__ = ("_recording", "span")

    def __init__(self, recording: Recording | None, span: Span | None):
        self._recording = recording
        self.span = span

    def record(
        self,
        *,
        model: str | None = None,
        provider: str | None = None,
        operation: str = "chat",
        cost: float | None = None,
        **tokens: int | None,
    ) -> None:
        """Record the usage of a model that tokprof does not see on the wire (in-process, another protocol).

        Recorded again on the same span, figures add up. What the calls below the span told is taken to be part of them,
        as where a framework sums up: the span keeps what those do not account for. Open a span of its own for a model
        that was asked beside other calls.

        Parameters
        ----------
        model, provider : str, optional
            Used to look up the price.
        operation : str
            ``chat``, ``embeddings``, ...
        cost : float, optional
            USD, where you know it; it wins over the price list.
        **tokens : int
            ``input_tokens`` (cache included), ``output_tokens`` (reasoning included), ``cache_read_tokens``,
            ``cache_write_tokens``, ``reasoning_tokens`` and the audio and image parts.

        Raises
        ------
        ValueError
            For a negative figure, a part larger than its whole, a name that is no kind of token, or another model than
            the span has recorded before.
        TypeError
            For tokens that are no whole number, or a cost that is no number.
        """
        usage = _usage(tokens)
        if cost is not None and (isinstance(cost, bool) or not isinstance(cost, int | float)):
            raise TypeError(f"cost must be a number (USD), not {cost!r}")
        if cost is not None and not 0 <= cost < float("inf"):
            raise ValueError(f"cost must be 0 or more (USD), not {cost}")
        if operation in ("embeddings", "rerank") and usage.input_tokens is not None and usage.output_tokens is None:
            usage.output_tokens = 0
        span = self.span
        if span is None or self._recording is None:
            return
        if span.usage is not None:
            if (model, provider) != (span.model, span.provider):
                raise ValueError(f"this span has recorded {span.model!r} before; open a span for each model")
            usage = Usage.sum(span.usage, usage) or usage
            cost = None if cost is None or span.cost is None else cost + span.cost
        span.model, span.provider, span.operation, span.usage = model, provider, operation, usage
        known = usage.input_tokens is not None or usage.output_tokens is not None
        span.source = "reported" if known else "missing"
        span.cost, span.cost_source = cost, None if cost is None else "reported"
        self._recording.changed()
        if self._recording.guards:
            admission.settle(None, self._recording.guards, [span], leaf=False)

    def tag(self, **tags: str) -> None:
        """Add tags to the span."""
        if self.span is not None and self._recording is not None:
            self.span.tags = (self.span.tags or {}) | {key: str(value) for key, value in tags.items()}
            self._recording.changed()


def _begin(
    scope: tuple[Recording, Span], name: str, kind: str, tags: dict[str, str]
) -> tuple[Recording, Span, Token[Any]]:
    recording, parent = scope
    span = new_span(name, kind, parent)
    if tags:
        span.tags = dict(tags)
    span.late = not recording.is_open
    recording.add(span)
    return recording, span, _scope.set((recording, span))


def _end(recording: Recording, span: Span, token: Token[Any] | None, error: BaseException | None) -> None:
    leave(token, (recording, span))
    if error is None:
        end_span(span, "ok")
    else:
        end_span(span, status_of(error), describe(error))
    if chain:
        process(recording, span)
    recording.changed()
    if watchers and span.source is not None:
        notice(recording, [span], False)


def _usage(tokens: dict[str, Any]) -> Usage:
    for key, value in tokens.items():
        if key not in Usage.__slots__:
            hint = "; it is the sum of input_tokens and output_tokens" if key == "total_tokens" else ""
            raise ValueError(f"{key!r} is no kind of token{hint}; known: {', '.join(Usage.__slots__)}")
        if value is not None:
            try:
                tokens[key] = number = operator.index(value)
            except TypeError:
                raise TypeError(f"{key} must be a whole number, not {value!r}") from None
            if number < 0:
                raise ValueError(f"{key} must be 0 or more, not {number}")
    usage = Usage(**tokens)
    cached = (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0)
    if usage.input_tokens is not None and cached > usage.input_tokens:
        raise ValueError(
            f"input_tokens ({usage.input_tokens}) includes the cache, and is less than its {cached} tokens"
        )
    if usage.output_tokens is not None and (usage.reasoning_tokens or 0) > usage.output_tokens:
        raise ValueError(
            f"output_tokens ({usage.output_tokens}) includes reasoning, and is less than its {usage.reasoning_tokens}"
        )
    return usage


class SpanScope:
    """A named step: a context manager (sync and async) and a decorator; see `tokprof.span`."""

    __slots__ = ("_entered", "_kind", "_name", "_tags")

    def __init__(self, name: str, kind: str, tags: dict[str, str]):
        self._name = name
        self._kind = kind
        self._tags = tags
        self._entered: list[tuple[Recording, Span, Token[Any] | None] | None] = []

    def __enter__(self) -> SpanHandle:
        scope = current()
        if scope is None:
            self._entered.append(None)
            return SpanHandle(None, None)
        entered = _begin(scope, self._name or "span", self._kind, self._tags)
        self._entered.append(entered)
        return SpanHandle(entered[0], entered[1])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if (entered := self._take()) is not None:
            _end(*entered, error)

    def step_aside(self) -> tuple[Recording, Span] | None:
        """Leave the step that was entered last, without ending it; give its scope."""
        entered = self._entered.pop()
        if entered is None:
            self._entered.append(None)
            return None
        recording, span, token = entered
        leave(token, (recording, span))
        self._entered.append((recording, span, None))
        return recording, span

    def _take(self) -> tuple[Recording, Span, Token[Any] | None] | None:
        """Take out what this context entered last: tasks and threads may share a scope."""
        here, all_entered = own(), tuple(self._entered)
        mine = [one for one in all_entered if (one is None if here is None else one is not None and one[1] is here[1])]
        entered = (mine or all_entered or (None,))[-1]
        with contextlib.suppress(ValueError):  # another thread has taken it, as only one that entered nothing can
            self._entered.remove(entered)  # by what it is: places may change meanwhile
        return entered

    async def __aenter__(self) -> SpanHandle:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: F) -> F:
        """Decorate a function, coroutine function, generator or async generator."""
        return _decorated(function, self._name, self._kind, self._tags)


@overload
def span(name: str | None = None, *, kind: str = "task", **tags: str) -> SpanScope: ...
@overload
def span(name: F) -> F: ...
def span(name: Any = None, *, kind: str = "task", **tags: str) -> Any:
    """Name a step, so that the calls made inside are shown under it.

    Parameters
    ----------
    name : str, optional
        Shown in every view; a decorated function gives its own name.
    kind : str
        ``agent``, ``workflow``, ``task``, ``tool``, ``retriever``, ``embedding``, ``reranker``, ``guardrail``,
        ``evaluator``, ``prompt``, ``chain`` or ``llm``; also as OpenInference writes them (``AGENT``) and by the
        operations of OpenTelemetry (``invoke_agent``, ``execute_tool``, ``retrieval``, ...).
    **tags : str
        Kept on the span; ``prof.by("tag:user")`` groups by them.

    Returns
    -------
    SpanScope
        For ``with`` and ``async with`` (which give a `SpanHandle`), and for ``@``.

    Raises
    ------
    ValueError
        For a kind that does not exist.
    TypeError
        For a class: decorate its methods.

    Notes
    -----
    Without a recording a span has no effect. ``step.record(...)`` takes the usage of a model that tokprof cannot see;
    see `SpanHandle.record`.

    Examples
    --------
    >>> with span("plan", kind="agent", user="u1") as step:
    ...     step.tag(round="2")
    >>> @span(kind="tool")
    ... def search(query): ...
    """
    kind = OPERATIONS.get(kind, kind.lower()) if isinstance(kind, str) else kind
    if kind not in KINDS:
        steps = ", ".join(known for known in KINDS if known not in ("cell", "profile"))
        raise ValueError(f"{kind!r} is no kind of span; known: {steps}")
    texts = {key: str(value) for key, value in tags.items()}
    if callable(name):
        return _decorated(name, "", kind, texts)
    return SpanScope("" if name is None else str(name), kind, texts)


class _Turns:
    """The span of a generator: in place while the generator runs, out of the way while its reader does.

    So are the scopes that the generator itself has entered when it yields.
    """

    __slots__ = ("_here", "_place", "_step")

    def __init__(self, step: SpanScope):
        self._step = step
        self._place: tuple[Recording, Span] | None = None
        self._here: Any = None

    def __enter__(self) -> _Turns:
        self._step.__enter__()
        self._here = self._place = self._step.step_aside()
        return self

    def __exit__(self, *error: Any) -> None:
        self._step.__exit__(*error)

    def take(self, move: Callable[..., Any], *given: Any) -> Any:
        if self._place is None:
            return move(*given)
        token = _scope.set(self._here)
        try:
            return move(*given)
        finally:
            self._here = _scope.get()
            leave(token, self._place, anyway=True)

    async def take_async(self, move: Callable[..., Any], *given: Any) -> Any:
        if self._place is None:
            return await move(*given)
        token = _scope.set(self._here)
        try:
            return await move(*given)
        finally:
            self._here = _scope.get()
            leave(token, self._place, anyway=True)


def within_async_generator(function: Callable[..., Any], scope: Callable[..., SpanScope]) -> Callable[..., Any]:
    """Make an async generator function that runs `function` in the step that `scope` gives for its arguments."""

    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with _Turns(scope(*args, **kwargs)) as turns:
            steps = function(*args, **kwargs)
            move, given = steps.asend, None
            while True:
                try:
                    value = await turns.take_async(move, given)
                except StopAsyncIteration:
                    return
                try:
                    given = yield value
                    move = steps.asend
                except GeneratorExit:
                    await turns.take_async(steps.aclose)
                    raise
                except BaseException as error:
                    move, given = steps.athrow, error

    return wrapper


def within_generator(function: Callable[..., Any], scope: Callable[..., SpanScope]) -> Callable[..., Any]:
    """Make a generator function that runs `function` in the step that `scope` gives for its arguments."""

    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with _Turns(scope(*args, **kwargs)) as turns:
            steps = function(*args, **kwargs)
            move, given = steps.send, None
            while True:
                try:
                    value = turns.take(move, given)
                except StopIteration as end:
                    return end.value
                try:
                    given = yield value
                    move = steps.send
                except GeneratorExit:
                    turns.take(steps.close)
                    raise
                except BaseException as error:
                    move, given = steps.throw, error

    return wrapper


def within_coroutine(function: Callable[..., Any], scope: Callable[..., SpanScope]) -> Callable[..., Any]:
    """Make a coroutine function that runs `function` in the step that `scope` gives for its arguments."""

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        with scope(*args, **kwargs):
            return await function(*args, **kwargs)

    return wrapper


def inside(function: F, scope: Callable[..., Any], plain: Callable[..., Any] | None = None) -> F:
    """Decorate a function, coroutine function, generator or async generator: it runs inside a block of its own.

    Parameters
    ----------
    function : callable
    scope : callable
        Is given the arguments, and gives a context manager that can `step_aside`.
    plain : callable, optional
        What an ordinary function becomes, where there is something quicker than a ``with`` block.
    """
    wrapper: Callable[..., Any]
    if inspect.isasyncgenfunction(function):
        wrapper = within_async_generator(function, scope)
    elif inspect.isgeneratorfunction(function):
        wrapper = within_generator(function, scope)
    elif inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004
        wrapper = within_coroutine(function, scope)
    elif plain is not None:
        wrapper = plain
    else:

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with scope(*args, **kwargs):
                return function(*args, **kwargs)

    return functools.wraps(function)(wrapper)  # type: ignore[return-value]


def _decorated(function: F, name: str, kind: str, tags: dict[str, str]) -> F:
    if isinstance(function, classmethod | staticmethod):
        return type(function)(_decorated(function.__func__, name, kind, tags))
    if isinstance(function, type):
        raise TypeError(f"tokprof.span decorates functions; {function.__name__} is a class: decorate its methods")
    title = name or getattr(function, "__qualname__", type(function).__name__)

    def scope(*_args: Any, **_kwargs: Any) -> SpanScope:
        return SpanScope(title, kind, tags)

    def plain(*args: Any, **kwargs: Any) -> Any:
        around = current()
        if around is None:
            return function(*args, **kwargs)
        entered = _begin(around, title, kind, tags)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            _end(*entered, error)
            raise
        _end(*entered, None)
        return result

    return inside(function, scope, plain)
