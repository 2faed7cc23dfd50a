"""``tokprof.cache``: the same request is answered from its recorded answer, while the code around it changes."""

from __future__ import annotations

import atexit
import math
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

from tokprof.answers import File, Memory, Store, check
from tokprof.layer import Layer
from tokprof.recorder import Recording, own, warn_once
from tokprof.span import Answer, Span
from tokprof.steps import inside

F = TypeVar("F", bound=Callable[..., Any])

LIMIT = 256 * 1024 * 1024
"""Bytes that answers take at most, unless told."""

_memory = Memory()
_files: dict[Path, File] = {}
_lock = threading.RLock()


class CacheInfo(NamedTuple):
    """What a cache holds.

    Attributes
    ----------
    answers : int
    bytes : int
    path : str or None
        The file; None for the memory of this session.
    """

    answers: int
    bytes: int
    path: str | None


class CacheTerms(NamedTuple):
    """How a cache is used: the parameters of `cache`."""

    path: str | os.PathLike[str] | None = None
    ttl: float | None = None
    max_bytes: int = LIMIT
    refresh: bool = False

    def check(self) -> None:
        """Look whether the file can be used, without making one.

        Raises
        ------
        ValueError, OSError
            As on entering a block.
        """
        if self.path is None:
            return
        place = Path(self.path).expanduser()
        check(place)
        if place.exists():
            _store(place)

    def opened(self) -> Recalled:
        """Give the answers, for a recording.

        Raises
        ------
        ValueError, OSError
            As on entering a block.
        """
        return Recalled(self)


class Recalled:
    """The answers that a recording may take in place of sending.

    Parameters
    ----------
    terms : CacheTerms

    Attributes
    ----------
    hits, misses : int
        Requests that were answered from it, and those that were sent.
    """

    def __init__(self, terms: CacheTerms):
        self._terms = terms
        self._store = _store(terms.path)
        self._lock = threading.Lock()
        self.hits = 0
        self.misses = 0

    def reopen(self) -> None:
        """Make sure of the file, which may have been deleted since."""
        self._store = _store(self._terms.path)

    def recall(self, key: bytes) -> Answer | None:
        """Give the recorded answer to a request; None where there is none, or a new one is wanted."""
        found = None
        if not self._terms.refresh:
            try:
                found = self._store.get(key, self._terms.ttl)
            except Exception as error:
                warn_once(self._told("read"), error)
        with self._lock:
            if found is None:
                self.misses += 1
            else:
                self.hits += 1
        return found

    def keep(self, key: bytes, answer: Answer) -> None:
        """Record the answer to a request."""
        try:
            self._store.put(key, answer, self._terms.max_bytes)
        except Exception as error:
            warn_once(self._told("write to"), error)

    def _told(self, what: str) -> str:
        return f"{what} the replay cache {self._store.path or 'in memory'}"


class cache:  # noqa: N801
    """Answer requests that were answered before from the recorded answer, while you work on the code around them.

    Two requests are the same where method, address, body and the headers that change an answer are: of a body in JSON
    neither white space nor the order of the outermost members counts. What comes from the cache is not sent, costs
    nothing and is not counted as spent: its row has ``usage_source`` and ``cost_source`` ``cached``, 0 tokens and USD
    0, and what was saved in ``saved_tokens`` and ``saved_cost``.

    Parameters
    ----------
    path : str or Path, optional
        A file that keeps the answers, made for you alone to read; several processes may use it. Without it they stay in
        memory, for all blocks of this session that name no file.
    ttl : float, optional
        Seconds after which an answer is asked for anew. Without it answers do not age.
    max_bytes : int
        Bytes that the answers take at most; the one that was used longest ago goes first.
    refresh : bool
        Send every request, and keep the new answers.

    Raises
    ------
    ValueError
        For a `ttl` or `max_bytes` that is negative or no number; on entering, for a file that is no replay cache, is
        damaged, or was written by a later version: it is left as it is.
    OSError
        On entering, where the file cannot be made or read.

    Notes
    -----
    For ``with`` and ``async with``, and for ``@`` on functions, coroutine functions, generators and async generators;
    inside a recording or without one. Streams come back in the pieces in which they came, but at once. A loop that
    asks the same several times, to choose among the answers, gets one answer. Two equal requests in flight at once are
    both sent. So is each request that goes on with a conversation or a container which the provider keeps.

    Answers of models are kept, over httpx, httpx2, requests, aiohttp, botocore and lm15; not over gRPC. No errors, no
    streams that were cut, no sound or pictures but those inside JSON; nothing of requests with streamed bodies or with
    files. Of a request nothing is stored but a hash in which keys have no part; of an answer its body and a few
    headers, no cookies.

    Examples
    --------
    >>> with tokprof.cache():
    ...     agent.run("...")
    >>> with tokprof.profile() as prof, tokprof.cache("answers.sqlite", ttl=86_400):
    ...     agent.run("...")
    >>> prof.totals.cache_hits, prof.totals.saved_tokens, prof.totals.saved_cost
    >>> tokprof.cache.info(), tokprof.cache.clear()
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        ttl: float | None = None,
        max_bytes: int = LIMIT,
        refresh: bool = False,
    ):
        if callable(path):
            raise TypeError("write @tokprof.cache() with brackets")
        for name, value in (("ttl", ttl), ("max_bytes", max_bytes)):
            if value is None and name == "ttl":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value) or value < 0:
                raise ValueError(f"{name} must be a number, 0 or more, not {value!r}")
        self._terms = CacheTerms(path, ttl, max_bytes, refresh)
        self._used: Recalled | None = None
        self._entered: list[Layer] = []

    @property
    def hits(self) -> int:
        """Requests that were answered from the cache, in all blocks of this scope."""
        return self._used.hits if self._used else 0

    @property
    def misses(self) -> int:
        """Requests that were sent."""
        return self._used.misses if self._used else 0

    @staticmethod
    def info(path: str | os.PathLike[str] | None = None) -> CacheInfo:
        """Say what a cache holds.

        Parameters
        ----------
        path : str or Path, optional
            The file; without it the memory of this session.

        Raises
        ------
        ValueError, OSError
            As on entering a block.
        """
        if path is not None and not Path(path).exists():
            return CacheInfo(0, 0, str(path))
        store = _store(path)
        return CacheInfo(*store.count(), None if store.path is None else str(store.path))

    @staticmethod
    def clear(path: str | os.PathLike[str] | None = None) -> None:
        """Forget all answers.

        Parameters
        ----------
        path : str or Path, optional
            The file; without it the memory of this session.

        Raises
        ------
        ValueError, OSError
            As on entering a block.
        """
        if path is None or Path(path).exists():
            _store(path).clear()

    def __enter__(self) -> cache:
        if self._used is None:
            self._used = self._terms.opened()
        else:
            self._used.reopen()
        layer = Layer("cache")
        layer.cache = self._used
        layer.open()
        self._entered.append(layer)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if (layer := self._mine()) is not None:
            self._entered.remove(layer)
            layer.close(error)

    async def __aenter__(self) -> cache:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def step_aside(self) -> tuple[Recording, Span] | None:
        """Leave the block without ending it, as a generator does between its items; give its scope."""
        layer = self._mine()
        return None if layer is None else layer.step_aside()

    def _mine(self) -> Layer | None:
        """The block that this context entered last: tasks and threads may share a scope."""
        here, entered = own(), tuple(self._entered)
        mine = [layer for layer in entered if here is not None and layer is here[0]]
        return (mine or entered or (None,))[-1]

    def __call__(self, function: F) -> F:
        """Decorate a function, coroutine function, generator or async generator."""
        if isinstance(function, classmethod | staticmethod):
            return type(function)(self(function.__func__))
        if isinstance(function, type):
            raise TypeError(f"tokprof.cache decorates functions; {function.__name__} is a class: decorate its methods")
        path, ttl, max_bytes, refresh = self._terms

        def scope(*_args: Any, **_kwargs: Any) -> Any:
            return cache(path, ttl=ttl, max_bytes=max_bytes, refresh=refresh)

        return inside(function, scope)

    def __repr__(self) -> str:
        return f"<cache {self._terms.path or 'in memory'}: {self.hits:,} hits, {self.misses:,} misses>"


def _store(path: str | os.PathLike[str] | None) -> Store:
    """Give the store of a path; there is one for each file, and one in memory."""
    if path is None:
        return _memory
    place = Path(path).expanduser().resolve()
    with _lock:
        known = _files.get(place)
        if known is not None and known.there:
            return known
        if known is not None:
            known.close()
        made = _files[place] = File(place)
        return made


def _alone() -> None:
    global _lock
    _lock = threading.RLock()
    stores: tuple[Store, ...] = (_memory, *_files.values())
    for store in stores:
        store.alone()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_alone)


@atexit.register
def _close() -> None:
    for file in _files.values():
        file.close()
    _files.clear()
