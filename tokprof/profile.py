"""Profile: the table of one recording, and everything one can ask of it."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Sequence
from difflib import get_close_matches
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tokprof.analysis.rollup import Totals, by, totals
from tokprof.export.methods import Exports
from tokprof.insight import Insight
from tokprof.meter import prices
from tokprof.recorder import Recording, clock
from tokprof.span import CAPTURES, METRICS
from tokprof.table import Table
from tokprof.views.methods import Views

if TYPE_CHECKING:
    import pandas as pd

    from tokprof.analysis.tree import Tree
    from tokprof.views.live import Live


class Profile(Views, Insight, Exports):
    """What a recording found; live while it runs, final when it has ended.

    It is the context manager that `tokprof.profile` returns, and the object that ``%%tokprof NAME`` binds; it is not
    made by calling this class.
    """

    def __init__(self, recording: Recording, metric: str = "tokens", live: bool = False):
        self._recording = recording
        self._live = live
        self._shown: Live | None = None
        self._metric = metric
        self._selected: tuple[list[int], str | None] = ([], None)
        self._lock = threading.RLock()
        self._cache: dict[str, Any] = {}
        self._cached_version: tuple[int, bool, int] = (-1, False, 0)

    # recording

    def __enter__(self) -> Profile:
        self._recording.open()
        around = self._recording.outer
        if self._live and not (around and around.seen) and in_kernel():
            from tokprof.views.live import Live

            self._shown = Live(self)
            self._shown.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._recording.close(error)
        if self._shown:
            self._shown.stop(keep=False)
        remember(self)

    async def __aenter__(self) -> Profile:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    @property
    def recording(self) -> bool:
        """Whether the recording still runs."""
        return self._recording.is_open

    # the table

    @property
    def title(self) -> str:
        """Name of the root: ``In[7]`` or what was given to `tokprof.profile`."""
        return self._recording.root.name

    @property
    def id(self) -> str:
        """Name of this profile that no other has: the id of its root span."""
        return f"{self._recording.root.id & 0xFFFFFFFFFFFFFFFF:016x}"

    @property
    def table(self) -> Table:
        """The spans so far, linked and priced."""
        return self._derived("table", lambda: Table.of(tuple(self._recording.spans), clock()))  # type: ignore[no-any-return]

    @property
    def df(self) -> pd.DataFrame:
        """One row a span, with the columns of `tokprof.table.SCHEMA`; tokens are counts, costs USD, times seconds.

        Returns
        -------
        pandas.DataFrame
            A copy of your own: change it as you like.
        """
        return self.table.frame()

    @property
    def calls(self) -> pd.DataFrame:
        """The rows of `df` that are model calls, retries and failures included.

        A step that recorded no more than what the calls below it reported is not one of them.
        """
        from tokprof.analysis.books import books

        table = self.table
        return table.frame()[books(table).call]

    @property
    def alerts(self) -> pd.DataFrame:
        """Alerts that were raised while this profile was recorded; see `tokprof.alert`.

        Returns
        -------
        pandas.DataFrame
            In order: ``alert``, ``said`` (the figures in words), ``seconds`` (since the recording, or the block of the
            alert, began), ``where``, ``span_id`` (of the call that did it), and ``calls``, ``errors``, ``tokens`` and
            ``cost`` (USD) as they were.
        """
        from tokprof.alerts.alert import frame

        return frame(self._recording.alerts)

    @property
    def selected(self) -> pd.DataFrame:
        """Rows of `df` that are selected in the views of this profile; empty while nothing is."""
        frame = self.table.frame()
        return frame.iloc[[row for row in self._selected[0] if row < len(frame)]]

    @property
    def totals(self) -> Totals:
        """Tokens by kind, cost in USD, calls, errors, retries and seconds, with what is not known."""
        return self._derived("totals", lambda: totals(self.table))  # type: ignore[no-any-return]

    def by(self, *keys: str | Sequence[str]) -> pd.DataFrame:
        """Group the calls by columns of `df` or by tags.

        Parameters
        ----------
        *keys : str
            ``"model"``, ``"function"``, ``"agent"``, ``"tool"``, ``"span"`` (the innermost named step), ``"cell",
            "line"`` (of the code), ``"tag:user"``, ...; of profiles that were joined, ``"profile"`` (or cell that was
            run), ``"trace"`` and ``"session"``. See `tokprof.analysis.rollup.by`.

        Returns
        -------
        pandas.DataFrame
            Indexed by the keys, most tokens first: ``calls``, tokens by kind (null where no call told), ``cost`` (USD,
            NaN where none is known), ``duration_s``, ``errors``, ``retries``, ``unknown_calls`` and ``unpriced_calls``
            (which are not, or not all, in the sums).

        Raises
        ------
        ValueError
            For a key that is no column, a figure, or a tag that no call has.
        """
        return by(self.table, keys)

    def latency(self, by: str | Sequence[str] = "model") -> pd.DataFrame:
        """Percentiles of the calls' times, and how fast tokens came.

        Parameters
        ----------
        by : str or sequence of str
            As in `by`.

        Returns
        -------
        pandas.DataFrame
            p50, p95 and p99 of duration and of the time to the first token (seconds), tokens a second and cache hit
            rate; see `tokprof.analysis.latency.latency`.

        Raises
        ------
        ValueError
            As in `by`.
        """
        from tokprof.analysis.latency import latency

        return latency(self.table, [by])

    def windows(self, window: str | float = "1s", by: str | Sequence[str] | None = None) -> pd.DataFrame:
        """Tokens, cost and calls in flight over time, summed up in rolling windows.

        Parameters
        ----------
        window : str or float
            Length: ``"500ms"``, ``"1s"``, ``"2min"``, or seconds.
        by : str or sequence of str, optional
            As in `by`: one row for each window and group.

        Returns
        -------
        pandas.DataFrame
            Indexed by ``end_s``, seconds since the start of the profile; at most 600 windows, longer ones where there
            would be more (``attrs["window_s"]``). See `tokprof.analysis.windows.windows`.

        Raises
        ------
        ValueError
            For a `window` that is none, or as in `by`.
        """
        from tokprof.analysis.windows import windows

        return windows(self.table, window, () if by is None else [by])

    # the tree

    @property
    def call_tree(self) -> Tree:
        """The tree in call order: what the flamegraph shows."""
        from tokprof.analysis.tree import build

        return self._derived("call_tree", lambda: build(self.table))  # type: ignore[no-any-return]

    @property
    def merged_tree(self) -> Tree:
        """The tree with equal paths merged: what the text and the snapshot show."""
        from tokprof.analysis.tree import build

        return self._derived("merged_tree", lambda: build(self.table, merge=True))  # type: ignore[no-any-return]

    def tree(self) -> pd.DataFrame:
        """Self and total of every metric for root, frames, spans and calls, equal paths merged.

        Returns
        -------
        pandas.DataFrame
            One row a node, in pre-order; see `tokprof.analysis.tree.frame`.
        """
        from tokprof.analysis.tree import frame

        return frame(self.merged_tree)

    def content(self, span_id: str) -> dict[str, str]:
        """What was kept of the prompt and the answer of a call.

        Parameters
        ----------
        span_id : str
            As in `df`.

        Returns
        -------
        dict of str to str
            ``prompt`` and ``answer``; empty where nothing was kept.

        Raises
        ------
        KeyError
            For a span that is not in this profile.
        """
        for span in self.table.spans:
            if f"{span.id & 0xFFFFFFFFFFFFFFFF:016x}" == span_id:
                kept = span.content or {}
                return {name: kept[name] for name in ("prompt", "answer") if name in kept}
        raise KeyError(f"no span {span_id!r} in this profile; see prof.df.span_id")

    # what is shown

    @property
    def budget_notes(self) -> list[str]:
        """Where a budget of this profile, or of one inside, was reached: a sentence each."""
        return [str(mark) for mark in self._recording.marks[:20]]

    def snapshot(self) -> str:
        """Static HTML without script: what a saved notebook keeps."""
        from tokprof.views.static import render

        return render(f"tokprof {self.title}", self.table, self.merged_tree, self.totals, self.budget_notes)

    def __str__(self) -> str:
        from tokprof.views.text import render

        return render(self.title, self.merged_tree, self.totals, marks=self.budget_notes)

    def __repr__(self) -> str:
        from tokprof.views.words import summary

        state = "recording, " if self.recording else ""
        return f"<Profile {self.title}: {state}{', '.join(summary(self.totals))}>"

    def _display_(self) -> Any:
        """What marimo shows."""
        from tokprof.views.display import stacked

        return stacked(self)

    def _ipython_display_(self) -> None:
        from tokprof.views.display import show

        show(self)

    def _derived(self, name: str, make: Any) -> Any:
        self._recording.settle()
        version = (self._recording.version, self._recording.is_open, prices.version)
        with self._lock:
            if version != self._cached_version or version[1]:
                self._cache.clear()
                self._cached_version = version
            if name not in self._cache:
                self._cache[name] = make()
            return self._cache[name]


_last: list[Profile] = []


def in_kernel() -> bool:
    """Whether there is a notebook to show a summary in."""
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    return hasattr(shell, "kernel")


def remember(profile: Profile) -> None:
    """Make a profile the one that `last` gives."""
    _last[:] = [profile]


def last() -> Profile | None:
    """Give the newest profile that has ended; None before the first."""
    return _last[-1] if _last else None


def profile(
    name: str | None = None,
    *,
    capture: str = "none",
    metric: str = "tokens",
    live: bool = True,
    request_usage: bool = False,
    traceparent: str | None = None,
    **tags: str,
) -> Profile:
    """Record every model call made inside a ``with`` (or ``async with``) block.

    Parameters
    ----------
    name : str, optional
        Of the profile: its title, and the name of its root.
    capture : {"none", "preview", "full"}
        How much of prompts and answers is kept, in this process's memory: nothing, 500 characters of the last message
        and of the answer, or everything. Nothing of it is written to a notebook or file.
    metric : {"tokens", "input", "output", "cached", "reasoning", "cost", "time"}
        What views show first.
    live : bool
        Whether a notebook shows a summary while a block runs for longer than a moment.
    request_usage : bool
        Whether OpenAI chat streams are asked for their usage (``stream_options.include_usage``) where the program does
        not ask; it does not see the event that this adds. Without it the usage of such a stream is estimated. Requests
        sent by httpx and httpx2 alone.
    traceparent : str, optional
        Of the span in another process that this is a part of, as `tokprof.traceparent` gives it there; `tokprof.join`
        puts the parts together.
    **tags : str
        Put on every span.

    Returns
    -------
    Profile

    Raises
    ------
    ValueError
        For an unknown `capture` or `metric`, or a `traceparent` that is none.

    Examples
    --------
    >>> with tokprof.profile() as prof:
    ...     agent.run("...")
    >>> prof.totals.cost
    """
    if capture not in CAPTURES:
        raise ValueError(f"{capture!r} is no way to capture; known: {', '.join(CAPTURES)}")
    if metric not in METRICS:
        raise ValueError(f"{metric!r} is no metric; known: {', '.join(METRICS)}")
    for key in tags:
        if near := get_close_matches(
            key, ("name", "capture", "metric", "live", "request_usage", "traceparent"), 1, 0.8
        ):
            warnings.warn(f"{key!r} is taken as a tag; did you mean {near[0]}=?", UserWarning, stacklevel=2)
    texts = {key: str(value) for key, value in tags.items()}
    remote = None
    if traceparent is not None:
        from tokprof.trace import parse

        remote = parse(traceparent)
    return Profile(Recording(str(name or "profile"), "profile", capture, texts, request_usage, remote), metric, live)
