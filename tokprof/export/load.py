"""Profiles from files: what `tokprof.export.own` wrote is a profile again."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from tokprof import recorder
from tokprof.export.own import COSTS, EXACT, FIELDS, FORMAT, MORE_USAGE, parquet_of
from tokprof.profile import Profile
from tokprof.recorder import Recording
from tokprof.span import (
    CAPTURES,
    KINDS,
    METRICS,
    NO_FRAMES,
    SOURCES,
    STATUSES,
    TOKEN_FIELDS,
    CostSource,
    Frame,
    Origin,
    Pinned,
    Span,
    Stack,
    Usage,
)

_LIMIT = 1 << 62  # nanoseconds and counts; sums and differences stay within 64 bits
_HOW = 'save a profile with prof.save("run.jsonl") or prof.save("run.parquet")'
_STRANGERS = {
    '{"traceEvents"': "a Chrome trace",
    '{"$schema"': "a speedscope profile",
    '{"resourceSpans"': "OpenTelemetry traces",
    "<": "a page of HTML or XML",
    "span_id,": "a table as CSV, which does not hold all of a profile",
    "\x1f\x8b": "compressed with gzip (a pprof profile?)",
    "# ": "a report in Markdown",
    "digraph": "a graph for Graphviz",
    "flowchart": "a graph for Mermaid",
}


class _DamagedError(ValueError):
    """Something in a row that is not as it was written."""


def load(path: str | Path) -> Profile:
    """Read a profile that ``prof.save`` or ``prof.to_jsonl`` and ``prof.to_parquet`` wrote.

    All that holds of the profile that was saved holds of the one that is loaded: rows, totals, tree, views, and the
    trace, so that `tokprof.join` puts parts from several processes together. Costs stay as they were when it was saved,
    except where a price of your own (`tokprof.prices.add`) holds for a call, or none was known then and one is now.

    Parameters
    ----------
    path : str or Path
        JSON lines or Parquet, whatever the suffix.

    Returns
    -------
    Profile

    Raises
    ------
    ValueError
        For a file that tokprof did not write, that is damaged, or that a later version wrote.
    ImportError
        For Parquet, without pyarrow.
    OSError
        If the file cannot be read.

    Warns
    -----
    UserWarning
        Where JSON lines end too early: what stands before the cut is loaded.
    """
    path = Path(path)
    data = path.read_bytes()
    name = repr(path.name)
    if not data.strip():
        raise ValueError(f"{name} is empty; {_HOW}")
    try:
        told, rows, cut = _from_parquet(data, name) if data[:4] == b"PAR1" else _from_jsonl(data, name)
        spans = _spans(rows, told)
    except _DamagedError as error:
        raise ValueError(f"{name} is damaged: {error}; {_HOW} anew") from None
    expected = told["spans"]
    if len(rows) > expected or (len(rows) < expected and not cut and data[:4] == b"PAR1"):
        raise ValueError(f"{name} is damaged: it has {len(rows):,} rows, and says {expected:,}; {_HOW} anew")
    if cut or len(rows) < expected:
        left = f"{name} is cut short: {len(rows):,} of {expected:,} spans are loaded; the totals lack the rest"
        warnings.warn(left, UserWarning, stacklevel=2)
    return _profile(told, spans, name)


def _from_jsonl(data: bytes, name: str) -> tuple[dict[str, Any], list[dict[str, Any]], bool]:
    """Header, rows, and whether the last line is not whole."""
    begin = data[:64].lstrip(b"\xef\xbb\xbf \r\n\t").decode("latin-1")
    stranger = next((what for mark, what in _STRANGERS.items() if begin.startswith(mark)), None)
    if stranger is not None:
        raise ValueError(f"{name} is {stranger}, and cannot be loaded as a profile; {_HOW}")
    lines = data.removeprefix(b"\xef\xbb\xbf").rstrip().split(b"\n")
    rows: list[dict[str, Any]] = []
    told: dict[str, Any] = {}
    for number, line in enumerate(lines, 1):
        try:
            row = _parsed(line.decode("utf-8"))
        except ValueError as error:
            if number > 1 and number == len(lines):
                return told, rows, True
            if number == 1 and begin[:11] != '{"tokprof":':
                raise ValueError(f"{name} is no profile of tokprof; {_HOW}") from None
            raise _DamagedError(f"line {number} is not whole ({str(error)[:80]})") from None
        if not isinstance(row, dict):
            raise ValueError(f"{name} is no profile of tokprof; {_HOW}")
        if number == 1:
            told = _header(row.pop("tokprof", None), name)
            if "_tokprof" not in row:
                continue
        rows.append(row)
    return told, rows, False


def _from_parquet(data: bytes, name: str) -> tuple[dict[str, Any], list[dict[str, Any]], bool]:
    parquet = parquet_of("loading Parquet")
    import pyarrow as pa

    source = pa.BufferReader(data)
    try:
        metadata = parquet.read_schema(source).metadata or {}
    except (pa.ArrowException, OSError) as error:
        raise _DamagedError(f"it is not whole Parquet ({str(error)[:80]})") from None
    if b"tokprof" not in metadata:
        raise ValueError(f"{name} is Parquet, but no profile of tokprof; {_HOW}")
    try:
        told = _header(_parsed(metadata[b"tokprof"].decode()), name)
        source.seek(0)
        table = parquet.read_table(source)
        if "start" in table.column_names:
            table = table.drop_columns(["start"])  # exact in the rest; Python's times know no nanoseconds
        rows = table.to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _DamagedError(f"it is not whole Parquet ({str(error)[:80]})") from None
    return told, rows, False


def _parsed(text: str) -> Any:
    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is no figure")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _header(told: Any, name: str) -> dict[str, Any]:
    if not isinstance(told, dict) or "format" not in told:
        raise ValueError(f"{name} is no profile of tokprof; {_HOW}")
    version = told["format"]
    if type(version) is int and version > FORMAT:
        by = str(told.get("written_by", "a later tokprof"))[:40]
        raise ValueError(
            f"{name} has format {version}, by {by}; this tokprof reads {FORMAT}: pip install --upgrade jupyter-tokprof"
        )
    remote = told.get("remote")
    try:
        if version != FORMAT or type(told["spans"]) is not int or told["spans"] < 0:
            raise ValueError
        told["trace_id"] = _hex(told["trace_id"], 32)
        told["root"] = _hex(told["root"], 16)
        told["remote"] = None if remote is None else (_hex(remote[0], 32), _hex(remote[1], 16))
        if told["capture"] not in CAPTURES or told["metric"] not in METRICS:
            raise ValueError
    except (ValueError, KeyError, TypeError, IndexError):
        raise _DamagedError("its header is not as tokprof writes it") from None
    return told


def _hex(text: Any, digits: int) -> int:
    if not isinstance(text, str) or len(text) != digits or not set(text) <= set("0123456789abcdef"):
        raise _DamagedError(f"{str(text)[:40]!r} is no id")
    return int(text, 16)


def _spans(rows: list[dict[str, Any]], told: dict[str, Any]) -> list[Span]:
    # all parts of a trace on one clock of this process: by the time of day at which their roots began
    shift = recorder.clock() - recorder.wall_clock()
    stacks: dict[int, Stack] = {}
    parsed: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for number, row in enumerate(rows, 1):
        try:
            rest = _parsed(row["_tokprof"])
            if not isinstance(rest, dict):
                raise ValueError
        except (KeyError, ValueError, TypeError):
            raise _DamagedError(f"span {number} lacks what only tokprof writes (_tokprof)") from None
        if "frames" in rest:
            stacks[_whole(rest, "stack", number)] = _stack(rest, number)
        parsed.append((row, rest))
    zero = next((r["start"] for row, r in parsed if row.get("span_id") == f"{told['root']:016x}" and "start" in r), 0)
    known: dict[int, Span] = {}
    for number, (row, rest) in enumerate(parsed, 1):
        reader = _Row(row, rest, number, shift + (zero if type(zero) is int else 0), stacks)
        span, above = reader.span(), row.get("parent_id")
        if span.id in known:
            raise _DamagedError(f"span {number} stands in it twice")
        if above is not None:
            span.parent = known.get(_signed(_hex(above, 16)))
            if span.parent is None:
                raise _DamagedError(f"span {number} has a parent that does not stand before it")
        known[span.id] = span
    return [*known.values()]


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _whole(source: dict[str, Any], name: str, number: int) -> int:
    value = source.get(name)
    if type(value) is not int or not -_LIMIT < value < _LIMIT:
        raise _DamagedError(f"span {number} has {str(value)[:40]!r} as {name}")
    return value


def _stack(rest: dict[str, Any], number: int) -> Stack:
    try:
        frames = [Frame(function, file, line, cell) for function, file, line, cell in rest["frames"]]
        folded = tuple(rest.get("folded") or ())
    except (TypeError, ValueError):
        raise _DamagedError(f"span {number} has a stack that is none") from None
    for frame in frames:
        texts = isinstance(frame.function, str) and isinstance(frame.file, str)
        lines = all(type(n) is int and -_LIMIT < n < _LIMIT for n in (frame.line, frame.cell or 0))
        if not (texts and lines):
            raise _DamagedError(f"span {number} has a stack that is none")
    if not all(type(n) is int for n in folded):
        raise _DamagedError(f"span {number} has a stack that is none")
    stack = Stack(frames)
    if folded:
        stack.folded = folded
    return stack


class _Row:
    """One row as a span; each value is looked at before it is taken."""

    def __init__(self, row: dict[str, Any], rest: dict[str, Any], number: int, zero: int, stacks: dict[int, Stack]):
        self.row, self.rest, self.number, self.zero, self.stacks = row, rest, number, zero, stacks
        exact = rest.get("exact")
        self.exact = exact if isinstance(exact, dict) else {}

    def refuse(self, name: str, value: Any) -> _DamagedError:
        return _DamagedError(f"span {self.number} has {str(value)[:40]!r} as {name}")

    def take(self, name: str, fits: Callable[[Any], bool], source: dict[str, Any] | None = None) -> Any:
        value = (self.row if source is None else source).get(name)
        if value is not None and not fits(value):
            raise self.refuse(name, value)
        return value

    def text(self, name: str) -> Any:
        return self.take(name, lambda value: isinstance(value, str), self.exact if name in self.exact else None)

    def count(self, name: str, source: dict[str, Any] | None = None) -> Any:
        return self.take(name, lambda value: type(value) is int and 0 <= value < _LIMIT, source)

    def flag(self, name: str) -> Any:
        return self.take(name, lambda value: type(value) is bool)

    def money(self, name: str, value: Any) -> float | None:
        if value is None:
            return None
        if type(value) not in (int, float) or not math.isfinite(value):
            raise self.refuse(name, value)
        return float(value)

    def texts(self, name: str) -> dict[str, str] | None:
        value = self.rest.get(name)
        if value is None:
            return None
        if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
            raise self.refuse(name, value)
        return value

    def time(self, name: str) -> int:
        found = self.zero + _whole(self.rest, name, self.number)
        if not -2 * _LIMIT < found < 2 * _LIMIT:
            raise self.refuse(name, found)
        return found

    def span(self) -> Span:
        """Give the span; its parent is not set yet."""
        fields = {FIELDS.get(name, name): self.text(name) for name in EXACT}
        for name, allowed in (("kind", KINDS), ("status", STATUSES), ("source", (None, *SOURCES))):
            if fields[name] not in allowed:
                raise self.refuse(name, fields[name])
        for name in ("name", "thread"):
            fields[name] = fields[name] or ""
        usage, saved = self.usage(), self.saved()
        cost, cost_source = self.told()
        first = self.rest.get("first_token")
        span = Span(
            id=_signed(_hex(self.row.get("span_id"), 16)),
            parent=None,
            start=_whole(self.rest, "start", self.number),
            opened=self.time("opened"),
            closed=self.time("closed"),
            first_token=None if first is None else self.time("first_token"),
            late=bool(self.flag("late")),
            stream=self.flag("stream"),
            http_status=self.count("http_status"),
            attempt=self.count("attempt"),
            sent=self.rest.get("sent") is not False,
            unkept=self.count("unkept", self.rest) or 0,
            stack=self.stack(),
            usage=usage,
            cost=cost,
            cost_source=cost_source,
            saved=saved,
            saved_cost=None if saved is None else self.money("saved_cost", self.row.get("saved_cost")),
            tags=self.texts("tags"),
            content=self.texts("content"),
            origin=self.origin(),
            **fields,
        )
        if span.closed is not None and span.closed < span.opened:
            raise _DamagedError(f"span {self.number} ends before it begins")
        span.pinned = self.pinned(span)
        return span

    def stack(self) -> Stack:
        if "stack" not in self.rest:
            return NO_FRAMES
        number = _whole(self.rest, "stack", self.number)
        if number not in self.stacks:
            raise _DamagedError(f"span {self.number} has a stack that is not in the file")
        return self.stacks[number]

    def origin(self) -> Origin | None:
        told = self.rest.get("origin")
        if told is None:
            return None
        if not isinstance(told, list) or len(told) != 2 or not isinstance(told[1], str | None):
            raise self.refuse("origin", told)
        return Origin(_hex(told[0], 32), told[1])

    def usage(self) -> Usage | None:
        more = self.rest.get("usage", {})
        if more is None:
            return None
        if not isinstance(more, dict):
            raise self.refuse("usage", more)
        figures = {name: self.count(name) for name in TOKEN_FIELDS if name != "total_tokens"}
        return Usage(**figures, **{name: self.count(name, more) for name in MORE_USAGE})

    def saved(self) -> Usage | None:
        told = self.rest.get("saved")
        if told is None:
            return None
        if not isinstance(told, dict):
            raise self.refuse("saved", told)
        return Usage(**{name: self.count(name, told) for name in Usage.__slots__})

    def told(self) -> tuple[float | None, str | None]:
        told = self.rest.get("told")
        if told is None:
            return None, None
        if not isinstance(told, list) or len(told) != 2 or told[1] not in (None, *get_args(CostSource)):
            raise self.refuse("cost", told)
        return self.money("cost", told[0]), told[1]

    def pinned(self, span: Span) -> Pinned | None:
        source = self.row.get("cost_source")
        if source in (None, "missing") or span.source is None:
            return None
        if source not in get_args(CostSource):
            raise self.refuse("cost_source", source)
        parts = [self.money(name, self.row.get(name)) for name in COSTS]
        total, fresh, output, read, write = (math.nan if part is None else part for part in parts)
        return Pinned.of(span, (total, fresh, output, read, write), source)


def _profile(told: dict[str, Any], spans: list[Span], name: str) -> Profile:
    recording = Recording(str(told.get("title", "profile")), capture=told["capture"], remote=told["remote"])
    recording.trace_id = told["trace_id"]
    if spans:
        root = next((span for span in spans if span.id == _signed(told["root"])), None)
        if root is None:
            raise ValueError(f"{name} is damaged: its root is not in it; {_HOW} anew")
        root.origin = root.origin or Origin(recording.trace_id, None)
        recording.root, recording.scope, recording.spans = root, (recording, root), spans
        recording.tags = dict(root.tags or {})
    return Profile(recording, told["metric"])
