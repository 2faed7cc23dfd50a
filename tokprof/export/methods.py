"""The methods of `tokprof.Profile` that give files, and tables to other libraries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import polars
    import pyarrow

    from tokprof.profile import Profile

_GRAPH_NODES = 40

SUFFIXES = {
    ".jsonl": "to_jsonl",
    ".parquet": "to_parquet",
    ".csv": "to_csv",
    ".html": "to_html",
    ".htm": "to_html",
    ".md": "to_markdown",
    ".trace.json": "to_chrome_trace",
    ".speedscope.json": "to_speedscope",
    ".otlp.json": "to_otlp",
    ".folded": "to_collapsed",
    ".collapsed": "to_collapsed",
    ".pb.gz": "to_pprof",
    ".pprof": "to_pprof",
    ".mmd": "to_mermaid",
    ".mermaid": "to_mermaid",
    ".dot": "to_dot",
    ".gv": "to_dot",
}
"""What `Exports.save` writes."""

_HOLDS = ("to_jsonl", "to_parquet", "to_csv", "to_chrome_trace", "to_otlp")


class Exports:
    """What a profile gives to other tools; nothing of prompts and answers unless told, never headers or keys.

    Each method gives the text or bytes, and writes them to `path` where one is given. What reads Arrow reads a profile
    itself: ``polars.DataFrame(prof)``, ``pyarrow.table(prof)``, ``duckdb.sql("from prof")``.
    """

    def save(self, path: str | Path, *, content: bool = False) -> Path:
        """Write the profile in the format that the suffix names.

        Parameters
        ----------
        path : str or Path
            ``.jsonl`` and ``.parquet`` hold all of it, and `tokprof.load` reads them back. The others are for reading
            and for other tools: ``.csv``, ``.html``, ``.md``, ``.trace.json`` (Chrome, Perfetto), ``.speedscope.json``,
            ``.otlp.json``, ``.folded`` (flamegraph.pl), ``.pb.gz`` (pprof), ``.mmd`` (Mermaid), ``.dot`` (Graphviz).
        content : bool
            Whether what was kept of prompts and answers is written, too.

        Returns
        -------
        Path

        Raises
        ------
        ValueError
            For another suffix, or `content` in a format that has no place for it.
        """
        path = Path(path)
        suffix = next((each for each in SUFFIXES if path.name.lower().endswith(each)), None)
        if suffix is None:
            known = ", ".join(SUFFIXES)
            hint = "a .json alone may be many things; " if path.suffix.lower() == ".json" else ""
            raise ValueError(f"{path.name!r} has no suffix of a known format; {hint}known: {known}")
        method = SUFFIXES[suffix]
        if content and method not in _HOLDS:
            raise ValueError(f"{suffix} has no place for prompts and answers; {', '.join(_suffixes(_HOLDS))} have")
        write: Callable[..., Any] = getattr(self, method)
        write(path, content=True) if content else write(path)
        return path

    def to_arrow(self) -> pyarrow.Table:
        """Give `df` as an Arrow table: whole numbers, null where not known, times in UTC, stacks as lists of texts.

        Returns
        -------
        pyarrow.Table
            See `tokprof.export.arrow.arrow`.

        Raises
        ------
        ImportError
            Without pyarrow.
        """
        from tokprof.export.arrow import arrow, needed

        needed("pyarrow", "to_arrow")
        return arrow(cast("Profile", self).table)

    def to_polars(self) -> polars.DataFrame:
        """Give `df` as a polars DataFrame; as `to_arrow`, with tags as lists of key and value.

        Returns
        -------
        polars.DataFrame

        Raises
        ------
        ImportError
            Without polars or pyarrow.
        """
        from tokprof.export.arrow import needed

        pl = needed("polars", "to_polars")
        needed("pyarrow", "to_polars")
        return cast("polars.DataFrame", pl.DataFrame(self))

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Give `to_arrow` by the Arrow PyCapsule interface, as other libraries ask for it."""
        from tokprof.export.arrow import arrow, needed

        needed("pyarrow", "reading a profile as Arrow")
        return arrow(cast("Profile", self).table).__arrow_c_stream__(requested_schema)

    def to_jsonl(self, path: str | Path | None = None, *, content: bool = False) -> str:
        """Give the whole profile as JSON lines, one span a line, with the columns of `df`; see `tokprof.load`.

        Parameters
        ----------
        path : str or Path, optional
            Where to write it too.
        content : bool
            Whether what was kept of prompts and answers is in it.
        """
        from tokprof.export import own
        from tokprof.export.texts import written

        return written(own.to_jsonl(cast("Profile", self), content), path)

    def to_parquet(self, path: str | Path | None = None, *, content: bool = False) -> bytes:
        """Give the whole profile as Parquet, with the columns of `df`; see `tokprof.load`.

        Parameters
        ----------
        path : str or Path, optional
            Where to write it too.
        content : bool
            Whether what was kept of prompts and answers is in it.

        Raises
        ------
        ImportError
            Without pyarrow.
        """
        from tokprof.export import own
        from tokprof.export.texts import written_bytes

        return written_bytes(own.to_parquet(cast("Profile", self), content), path)

    def to_csv(self, path: str | Path | None = None, *, content: bool = False) -> str:
        """Give `df` as CSV (UTF-8); stacks and tags are JSON.

        Parameters
        ----------
        path : str or Path, optional
            Where to write it too.
        content : bool
            Whether there are columns ``prompt`` and ``answer``.
        """
        from tokprof.export import csv
        from tokprof.export.texts import written

        return written(csv.render(cast("Profile", self), content), path)

    def to_chrome_trace(self, path: str | Path | None = None, *, content: bool = False) -> str:
        """Give a Chrome trace: open it in https://ui.perfetto.dev or chrome://tracing.

        A track for each thread and task (those of a thread together, where there are more than 100), arrows to work on
        another track, tokens and USD with each span and as counters.

        Parameters
        ----------
        path : str or Path, optional
            Where to write it too.
        content : bool
            Whether what was kept of prompts and answers is in it.
        """
        from tokprof.export import chrome
        from tokprof.export.texts import written

        return written(chrome.render(cast("Profile", self), content), path)

    def to_speedscope(self, path: str | Path | None = None) -> str:
        """Give a file for https://www.speedscope.app: the tree by tokens, time and cost, and a timeline of each track.

        Parameters
        ----------
        path : str or Path, optional
            Where to write it too.
        """
        from tokprof.export import speedscope
        from tokprof.export.texts import written

        return written(speedscope.render(cast("Profile", self)), path)

    def to_collapsed(self, path: str | Path | None = None, *, metric: str = "tokens") -> str:
        """Give collapsed stacks, ``a;b;c 123``, for flamegraph.pl and its kin.

        Parameters
        ----------
        path : str or Path, optional
            Where to write it too.
        metric : {"tokens", "input", "output", "cached", "reasoning", "cost", "time"}
            What the number counts: tokens, billionths of a USD, or nanoseconds.

        Raises
        ------
        ValueError
            For an unknown `metric`.
        """
        from tokprof.export import collapsed
        from tokprof.export.texts import written

        return written(collapsed.render(cast("Profile", self), metric), path)

    def to_pprof(self, path: str | Path | None = None) -> bytes:
        """Give a profile for ``go tool pprof`` and its kin, gzipped: calls, tokens by kind, cost and time.

        Parameters
        ----------
        path : str or Path, optional
            Where to write it too.
        """
        from tokprof.export import pprof
        from tokprof.export.texts import written_bytes

        return written_bytes(pprof.render(cast("Profile", self)), path)

    def to_mermaid(self, path: str | Path | None = None, *, limit: int = _GRAPH_NODES) -> str:
        """Give the graph of steps and models as a Mermaid flowchart, with tokens, cost and calls.

        Parameters
        ----------
        path : str or Path, optional
            Where to write it too.
        limit : int
            Nodes at most, the heaviest; it says what was left out.
        """
        from tokprof.export import mermaid
        from tokprof.export.texts import written

        return written(mermaid.render(cast("Profile", self), limit), path)

    def to_dot(self, path: str | Path | None = None, *, limit: int = _GRAPH_NODES) -> str:
        """Give the graph of steps and models for Graphviz, with tokens, cost and calls.

        Parameters
        ----------
        path : str or Path, optional
            Where to write it too.
        limit : int
            Nodes at most, the heaviest; it says what was left out.
        """
        from tokprof.export import dot
        from tokprof.export.texts import written

        return written(dot.render(cast("Profile", self), limit), path)

    def to_markdown(self, path: str | Path | None = None) -> str:
        """Give a report: totals, models, functions and the tree.

        Parameters
        ----------
        path : str or Path, optional
            Where to write it too.
        """
        from tokprof.export import markdown
        from tokprof.export.texts import written

        return written(markdown.render(cast("Profile", self)), path)

    def to_otlp(self, path: str | Path | None = None, *, content: bool = False, service: str = "tokprof") -> str:
        """Give OTLP traces as JSON, with the attributes of OpenTelemetry GenAI and of OpenInference.

        Tokens stand on the calls alone, so that a backend that sums up spans counts each once.

        Parameters
        ----------
        path : str or Path, optional
            Where to write it too.
        content : bool
            Whether what was kept of prompts and answers is in it.
        service : str
            The ``service.name``.
        """
        from tokprof.export import otlp
        from tokprof.export.texts import written

        return written(otlp.render(cast("Profile", self), content, service), path)

    def push_otlp(
        self,
        endpoint: str,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float = 10.0,
        content: bool = False,
        service: str = "tokprof",
    ) -> int:
        """Send the profile to an OpenTelemetry collector, by OTLP over HTTP (JSON); see `to_otlp`.

        Parameters
        ----------
        endpoint : str
            ``http://localhost:4318``; ``/v1/traces`` is added where there is no path.
        headers : dict of str to str, optional
            For instance ``{"authorization": "Bearer ..."}``; they are sent and not kept.
        timeout : float
            Seconds that the collector may be silent.
        content : bool
            Whether what was kept of prompts and answers is sent.
        service : str
            The ``service.name``.

        Returns
        -------
        int
            Spans that the collector took.

        Raises
        ------
        ValueError
            For an endpoint or a header that is none.
        ConnectionError
            If the collector cannot be reached, refuses, redirects or does not answer in time.

        Warns
        -----
        UserWarning
            Where the collector rejects some of the spans.
        """
        from tokprof.export.push import push

        return push(cast("Profile", self), endpoint, headers, timeout, content, service)


def _suffixes(methods: tuple[str, ...]) -> list[str]:
    return [suffix for suffix, method in SUFFIXES.items() if method in methods]
