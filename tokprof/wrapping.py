"""``tokprof.wrap``: a proxy for models and clients that no wire of this process shows. Usage is read from results."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import wrapt

from tokprof.meter.plain import once_a_class
from tokprof.observed import ObservedCall, Options
from tokprof.recorder import current, warn_once
from tokprof.sorts import CLOSERS, DATA, ROUTINES, has_calls, package_of, sort_of
from tokprof.span import KINDS

T = TypeVar("T")

_Base: Any = getattr(wrapt, "BaseObjectProxy", wrapt.ObjectProxy)  # wrapt 1 knows the latter only


def wrap(
    obj: T,
    *,
    name: str | None = None,
    model: str | None = None,
    provider: str | None = None,
    kind: str = "llm",
    operation: str | None = None,
    usage: Callable[[Any], Any] | None = None,
) -> T:
    """Make a proxy whose calls are recorded, for a model or client that speaks no HTTP in this process.

    It stands in for models in this process (llama-cpp-python, vLLM, transformers), for SDKs that talk to another
    process (claude-agent-sdk) and for anything else whose results tell their usage.

    Parameters
    ----------
    obj : object
        A client, whose methods at any depth are watched: ``wrap(client).chat.completions.create(...)``; a function,
        coroutine function, generator function, async generator function, bound method, or anything else that can be
        called; a module, for its functions.
    name : str, optional
        Of the rows; ``"<operation> <model>"`` unless told.
    model, provider, operation : str, optional
        What the rows say; results and the argument ``model=`` of the call tell them otherwise.
    kind : str
        Of the rows: ``llm``, ``embedding``, ``reranker``, ...; an answer that says it is one of embeddings needs none.
    usage : callable, optional
        Your own reading of a result, for one that does not tell: is given the result (of a stream each item) and gives
        None or a mapping, by the names of `tokprof.span.Usage` or in the form of any provider; ``cost`` (USD) and
        ``model`` may be among its keys.

    Returns
    -------
    proxy
        Of the same class for ``isinstance``, equal to `obj`, with its attributes, operators, ``len``, ``repr`` and
        signature. Methods and objects with methods come back as proxies, plain data, classes and private names as
        they are. A copy is a proxy of a copy; a pickle is one of `obj` itself.

    Raises
    ------
    TypeError
        For None, data and classes (wrap an instance, or a function), and if `usage` cannot be called.
    ValueError
        For a kind that does not exist.

    Notes
    -----
    A call whose result tells nothing of a model leaves no row, unless `obj` itself was called: then its usage is
    ``missing``. A stream is read as its items go by; one that is not read to its end is ``partial``. Calls below, for
    instance on the wire, are accounted for first: no token counts twice. Without a recording a proxy has no effect.

    Examples
    --------
    >>> llm = wrap(Llama("model.gguf"), model="llama-3-8b")
    >>> query = wrap(claude_agent_sdk.query)
    >>> pipe = wrap(pipeline("text-generation"), usage=lambda out: {"output_tokens": count(out)})
    """
    if kind not in KINDS or kind in ("cell", "profile"):
        known = ", ".join(known for known in KINDS if known not in ("cell", "profile"))
        raise ValueError(f"{kind!r} is no kind of span; known: {known}")
    if usage is not None and not callable(usage):
        raise TypeError(f"usage is a function of a result, not {usage!r}")
    given: Any = obj
    while issubclass(type(given), Proxy):
        given = given.__wrapped__
    if isinstance(given, type):
        raise TypeError(f"{given.__name__} is a class: wrap an instance of it, tokprof.wrap({given.__name__}(...))")
    if isinstance(given, DATA) and not isinstance(given, types.ModuleType) and not callable(given):
        raise TypeError(f"tokprof.wrap takes a client, a model or a function, not {type(given).__name__}")
    if inspect.iscoroutine(given) or inspect.isgenerator(given) or inspect.isasyncgen(given):
        raise TypeError(f"{type(given).__name__} is a result: wrap the function that makes it")
    package = package_of(type(given)) if not isinstance(given, types.ModuleType) else given.__name__.partition(".")[0]
    options = Options(name, model, provider, kind, operation, usage, package)
    return _proxy(given, options, direct=True)  # type: ignore[no-any-return]


class Proxy(_Base):  # type: ignore[misc]
    """What `wrap` makes.

    `_self_options` is what the user said, `_self_direct` whether this is the wrapped object itself, and `_self_call`
    the call that a result belongs to, with a `_Lease` on it; None for what belongs to no call.
    """

    def __init__(self, wrapped: Any, options: Options, direct: bool, call: ObservedCall | None, lease: Any):
        super().__init__(wrapped)
        self._self_options = options
        self._self_direct = direct
        self._self_call = call
        self._self_lease = lease

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.__wrapped__, name)
        if name[:1] == "_":
            return value
        call = self._self_call
        if call is not None:
            watched = isinstance(value, ROUTINES) or sort_of(type(value)) == "stream"
            return _proxy(value, self._self_options, False, call, self._self_lease) if watched else value
        return _proxy(value, self._self_options) if has_calls(value) else value

    def __repr__(self) -> str:
        return repr(self.__wrapped__)

    def __copy__(self) -> Any:
        return _proxy(copy.copy(self.__wrapped__), self._self_options, self._self_direct)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return _proxy(copy.deepcopy(self.__wrapped__, memo), self._self_options, self._self_direct)

    def __reduce__(self) -> Any:
        return _original, (self.__wrapped__,)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _original, (self.__wrapped__,)

    def __enter__(self) -> Any:
        return self._self_within(_method(self, "__enter__"))

    def __exit__(self, *error: Any) -> Any:
        return self._self_leave(_method(self, "__exit__"), error)

    async def __aenter__(self) -> Any:
        entered = await self._self_wait(_method(self, "__aenter__")())
        return self._self_within(lambda: entered)

    async def __aexit__(self, *error: Any) -> Any:
        call = self._self_call
        result = await self._self_wait(_method(self, "__aexit__")(*error))
        if call is not None:
            _left(call, error)
        return result

    async def _self_wait(self, awaitable: Any) -> Any:
        call = self._self_call
        return await (awaitable if call is None else call.wait(awaitable))

    def _self_within(self, enter: Callable[[], Any]) -> Any:
        """Hand out what a context manager gives: itself, a stream of the same call, or a client."""
        call = self._self_call
        entered = enter() if call is None else call.run(enter)
        if entered is self.__wrapped__:
            return self
        if call is None:
            return _handed(entered, self, None)
        if isinstance(entered, DATA):
            call.item(entered)
            return entered
        return _proxy(entered, self._self_options, False, call, self._self_lease)

    def _self_leave(self, leave: Callable[..., Any], error: tuple[Any, ...]) -> Any:
        call = self._self_call
        if call is None:
            return leave(*error)
        result = call.run(leave, *error)
        _left(call, error)
        return result


def _left(call: ObservedCall, error: tuple[Any, ...]) -> None:
    if error and error[1] is not None:
        call.fail(error[1])
    call.finish(False)


class _Calls:
    """Proxies of what can be called."""

    def __call__(*args: Any, **kwargs: Any) -> Any:
        self: Any
        self, *given = args
        function, options, call = self.__wrapped__, self._self_options, self._self_call
        if call is not None:
            return _part(self, call, given, kwargs)
        try:
            call = _begin(function, options, self._self_direct, given, kwargs)
        except Exception as error:  # an object may answer anything to what it is asked
            warn_once("watch a call", error)
            call = None
        if call is None:
            return _handed(function(*given, **kwargs), self, None)
        try:
            result = call.run(function, *given, **kwargs)
        except BaseException as error:
            call.fail(error)
            raise
        return _handed(result, self, call)


def _begin(
    function: Any, options: Options, direct: bool, args: list[Any], kwargs: dict[str, Any]
) -> ObservedCall | None:
    """Open a call, if a recording wants it or the totals of an agent's connection are kept."""
    scope = current()
    if scope is None and not _keeps_totals(function):
        return None
    title = getattr(function, "__qualname__", None)
    title = title if isinstance(title, str) and title else type(function).__name__
    asked = _arguments(function, args, kwargs)
    return ObservedCall(scope, options, title, asked, direct, _connection(function))


def _part(proxy: Any, call: ObservedCall, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Call a method of a stream: what it does and gives belongs to the call that made the stream."""
    name = getattr(proxy.__wrapped__, "__name__", "")
    moves = name in ("send", "throw")
    try:
        result = call.run(proxy.__wrapped__, *args, **kwargs)
    except StopIteration:
        call.finish(True)
        raise
    except BaseException as error:
        if moves:
            call.fail(error)
        raise
    if moves:
        call.item(result)
        return result
    if name in ("asend", "athrow"):
        return _moved(result, call)
    if name in CLOSERS:
        if inspect.isawaitable(result):
            return _closed(result, call)
        call.finish(False)
        return result
    if inspect.iscoroutine(result):
        return _awaited_part(result, proxy, call)
    return _handed_part(result, proxy, call)


async def _moved(awaitable: Any, call: ObservedCall) -> Any:
    try:
        item = await call.wait(awaitable)
    except StopAsyncIteration:
        call.finish(True)
        raise
    except BaseException as error:
        call.fail(error)
        raise
    call.item(item)
    return item


async def _closed(awaitable: Any, call: ObservedCall) -> Any:
    try:
        return await call.wait(awaitable)
    finally:
        call.finish(False)


async def _awaited_part(awaitable: Any, proxy: Any, call: ObservedCall) -> Any:
    return _handed_part(await call.wait(awaitable), proxy, call)


def _handed_part(result: Any, proxy: Any, call: ObservedCall) -> Any:
    if sort_of(type(result)) == "stream":
        return _proxy(result, proxy._self_options, False, call, proxy._self_lease)
    call.result(result)
    return result


class _Binds:
    """Proxies of functions, which a class binds to its instances."""

    def __get__(self: Any, instance: Any, owner: Any = None) -> Any:
        bound = self.__wrapped__.__get__(instance, owner)
        return self if bound is self.__wrapped__ else _proxy(bound, self._self_options, self._self_direct)


class _Iterates:
    def __iter__(self: Any) -> Any:
        call = self._self_call
        if call is None:
            return iter(self.__wrapped__)
        steps = call.run(iter, self.__wrapped__)
        return self if steps is self.__wrapped__ else _proxy(steps, self._self_options, False, call, self._self_lease)


class _Steps:
    def __next__(self: Any) -> Any:
        call = self._self_call
        if call is None:
            return next(self.__wrapped__)
        try:
            item = call.run(next, self.__wrapped__)
        except StopIteration:
            call.finish(True)
            raise
        except BaseException as error:
            call.fail(error)
            raise
        call.item(item)
        return item


class _IteratesAsync:
    def __aiter__(self: Any) -> Any:
        call = self._self_call
        steps = self.__wrapped__.__aiter__() if call is None else call.run(self.__wrapped__.__aiter__)
        if steps is self.__wrapped__:
            return self
        return steps if call is None else _proxy(steps, self._self_options, False, call, self._self_lease)


class _StepsAsync:
    def __anext__(self: Any) -> Any:
        step = self.__wrapped__.__anext__()
        return step if self._self_call is None else _moved(step, self._self_call)


class _Awaits:
    def __await__(self: Any) -> Any:
        if self._self_call is None:
            return self.__wrapped__.__await__()
        return _awaited(self.__wrapped__, self, self._self_call, self._self_lease).__await__()


_MIXINS = (
    ("__call__", _Calls),
    ("__get__", _Binds),
    ("__iter__", _Iterates),
    ("__next__", _Steps),
    ("__aiter__", _IteratesAsync),
    ("__anext__", _StepsAsync),
    ("__await__", _Awaits),
)


@once_a_class
def _class_of(original: type) -> type:
    """Proxy class that can do what the original can, and no more: ``callable``, ``isawaitable`` and such ask for it."""
    able = [mixin for name, mixin in _MIXINS if _has(original, name)]
    if _has(original, "__getitem__") and not _has(original, "__iter__"):
        able.append(_Iterates)
    return _made(tuple(able))


def _has(cls: type, name: str) -> bool:
    """Whether a class has a special method for its objects; its metaclass may have one for the class."""
    found = (base.__dict__[name] for base in cls.__mro__ if name in base.__dict__)
    return next(found, None) is not None


@functools.cache
def _made(able: tuple[type, ...]) -> type:
    return type("Proxy", (*able, Proxy), {})


def _proxy(
    value: Any, options: Options, direct: bool = False, call: ObservedCall | None = None, lease: Any = None
) -> Any:
    return _class_of(type(value))(value, options, direct, call, lease)


def _original(value: T) -> T:
    return value


def _method(proxy: Any, name: str) -> Any:
    """Special methods are those of the class."""
    wrapped = proxy.__wrapped__
    found = getattr(type(wrapped), name, None)
    if found is None:
        raise TypeError(f"{type(wrapped).__name__!r} object does not support the context manager protocol")
    return functools.partial(found, wrapped)


class _Lease:
    """What the proxies of a stream share: the call ends with the last of them.

    `unstarted` is a coroutine whose proxy has not begun, and may never: nobody is to hear of the one inside.
    """

    __slots__ = ("_call", "unstarted")

    def __init__(self, call: ObservedCall):
        self._call = call
        self.unstarted: Any = None

    def __del__(self) -> None:
        self._call.finish(False)
        if self.unstarted is not None:
            self.unstarted.close()


def _handed(result: Any, proxy: Any, call: ObservedCall | None, lease: _Lease | None = None) -> Any:
    """Hand out a result: data as it is, streams so that their items are seen, and clients as proxies."""
    sort = sort_of(type(result))
    options: Options = proxy._self_options
    if call is None:
        return _proxy(result, options) if sort in ("client", "manager") and _ours(result, options, sort) else result
    if sort == "coroutine":
        lease = lease or _Lease(call)
        lease.unstarted = result
        awaited: Any = _awaited(result, proxy, call, lease)
        awaited.__name__, awaited.__qualname__ = result.__name__, result.__qualname__
        return awaited
    if sort == "future":
        call.touched = True
        result.add_done_callback(functools.partial(_ended, call))
        return result
    if sort == "stream" or (sort == "manager" and _ours(result, options, sort)):
        call.streamed = True
        return _proxy(result, options, False, call, lease or _Lease(call))
    call.result(result)
    call.finish(True)
    if sort == "client" and _ours(result, options, sort) and not call.told and not call.paid_below():
        if call.asked is not None and options.asked is None:
            options = dataclasses.replace(options, asked=call.asked)
        return _proxy(result, options)
    return result


async def _awaited(awaitable: Any, proxy: Any, call: ObservedCall, lease: _Lease) -> Any:
    lease.unstarted = None
    try:
        result = await call.wait(awaitable)
    except BaseException as error:
        call.fail(error)
        raise
    return _handed(result, proxy, call, lease)


def _ended(call: ObservedCall, future: Any) -> None:
    if future.cancelled():
        call.fail(_cancelled())
    elif (error := getattr(future, "_exception", None)) is not None:  # to ask for it would count as having seen it
        call.fail(error)
    else:
        call.result(future.result())
        call.finish(True)


def _cancelled() -> BaseException:
    import asyncio

    return asyncio.CancelledError()


def _ours(result: Any, options: Options, sort: str) -> bool:
    """Whether an object that a call returned goes with the wrapped one."""
    package = package_of(type(result))
    return package == options.package or (sort == "manager" and package == "contextlib")


def _connection(function: Any) -> Any:
    """Object whose method a function is: an agent's connection keeps totals, a function begins anew each time."""
    owner = getattr(function, "__self__", None)
    return None if isinstance(owner, types.ModuleType) else owner


def _keeps_totals(function: Any) -> bool:
    """Whether an agent's connection is read, whose totals run on while nothing is recorded."""
    return package_of(type(_connection(function))) == "claude_agent_sdk"


def _arguments(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a call by name, as far as they are known without a look at the signature."""
    found = dict(kwargs)
    while isinstance(function, functools.partial):
        found, args, function = function.keywords | found, (*function.args, *args), function.func
    if args:
        bound = 1 if isinstance(function, types.MethodType) else 0
        plain = function
        if hasattr(function, "__wrapped__"):
            with contextlib.suppress(ValueError):  # it wraps itself
                plain = inspect.unwrap(function)
        if not isinstance(plain, ROUTINES):
            plain, bound = getattr(type(plain), "__call__", None), 1  # noqa: B004
        code = getattr(plain, "__code__", None)
        if code is not None:
            found.update(zip(code.co_varnames[bound : code.co_argcount], args, strict=False))
    return found
