"""What was used: in total, and by group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tokprof.analysis.books import COST, FIGURES, SPENT, TOKEN_NAMES, TOKENS, Evidence, books, refused
from tokprof.span import KINDS, TOKEN_FIELDS, Origin
from tokprof.table import SCHEMA, Table, encodable

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the calls of a profile.

    Attributes
    ----------
    calls, errors, retries : int
        Model calls; those that failed or were cancelled; those that were a second or later attempt.
    input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens : int
        Of language models, as far as known. Cache is part of the input, reasoning of the output.
    embedding_tokens : int
        Of embedding models and rerankers, as far as known.
    total_tokens : int
        Input, output and embedding together.
    cost : float
        USD, of the calls whose price is known.
    unpriced_calls : int
        Calls without a known cost, without those that were refused.
    uncounted_calls : int
        Those of `unpriced_calls` of which not all tokens are known; the others have no known price.
    cost_sources : dict of str to int
        Number of calls by where their cost comes from: ``reported``, ``priced``, ``custom``, ``cached``, ``missing``,
        or ``refused``: nothing was billed.
    cost_coverage : float
        Share of the calls whose whole cost is in `cost`, from 0 to 1, without those that were refused; where it is
        less than 1, more was spent than `cost`.
    seconds : float
        From the start of the profile to its end.
    provenance : dict of str to int
        Number of calls by where their usage comes from: ``reported``, ``derived``, ``estimated``, ``partial``,
        ``missing``, or ``refused``: nothing was used.
    unknown_calls : int
        Calls that may have spent tokens nobody told of: ``missing`` or ``partial``, without those that were refused.
    unkept_calls : int
        Calls that a processor let go: they are in all sums, but have no row of their own.
    cache_hits : int
        Calls that a cache answered, and no model: `tokprof.cache`, one of the client's, or a gateway's. Nothing was
        spent on them. What providers read from a cache of prompts is in `cache_read_tokens`, and is billed.
    saved_tokens : int
        What these calls would have used, as far as known.
    saved_cost : float
        USD that they would have cost, as far as known.
    """

    calls: int = 0
    errors: int = 0
    retries: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    embedding_tokens: int = 0
    total_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost: float = 0.0
    unpriced_calls: int = 0
    uncounted_calls: int = 0
    cost_sources: dict[str, int] = field(default_factory=dict)
    cost_coverage: float = 1.0
    seconds: float = 0.0
    provenance: dict[str, int] = field(default_factory=dict)
    unknown_calls: int = 0
    unkept_calls: int = 0
    cache_hits: int = 0
    saved_tokens: int = 0
    saved_cost: float = 0.0

    @property
    def exact(self) -> bool:
        """Whether every answered call's tokens were told by its provider."""
        return not self.unknown_calls and not self.provenance.get("estimated")

    def to_dict(self) -> dict[str, Any]:
        """Give the figures as a plain dict."""
        return asdict(self)

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)


def totals(table: Table) -> Totals:
    """Sum up a profile."""
    kept = books(table)
    used = kept.used.sum(axis=0)
    tokens = {name: round(float(used[index])) for index, name in enumerate(TOKEN_NAMES)}
    calls, unknown, unpriced, failed, retried = kept.counts.sum(axis=0).tolist()
    told, untold = kept.told[:, COST] & kept.call, kept.untold[:, COST] & kept.call
    billed = int(kept.weight[told | untold].sum())
    provenance: Counter[str] = Counter()
    cost_sources: Counter[str] = Counter()
    for row in np.flatnonzero(kept.call).tolist():
        span = table.spans[row]
        nothing = "refused" if refused(span) else "missing"
        for counts, source in ((provenance, span.source), (cost_sources, table.cost_sources[row])):
            counts[nothing if source in (None, "missing") else source] += span.count
    root = table.spans[0] if len(table) else None
    return Totals(
        calls=calls,
        errors=failed,
        retries=retried,
        **tokens,
        total_tokens=sum(list(tokens.values())[SPENT]),
        cost=float(used[COST]),
        unpriced_calls=unpriced,
        uncounted_calls=int(kept.weight[kept.unpriced & kept.unknown].sum()),
        cost_sources=dict(cost_sources),
        cost_coverage=int(kept.weight[told & ~untold].sum()) / billed if billed else 1.0,
        seconds=table.duration(root) if root else 0.0,
        provenance=dict(provenance),
        unknown_calls=unknown,
        unkept_calls=sum(span.unkept for span in table.spans),
        cache_hits=int(kept.weight[kept.hit].sum()),
        saved_tokens=round(float(np.nansum(kept.saved_tokens))),
        saved_cost=float(np.nansum(kept.saved[kept.hit, COST])),
    )


@dataclass(frozen=True, slots=True)
class Groups:
    """Calls in groups.

    Attributes
    ----------
    frame : pandas.DataFrame
        What `by` gives.
    evidence : Evidence
        How well the sums of each row are known.
    """

    frame: pd.DataFrame
    evidence: Evidence


def by(table: Table, keys: Sequence[str | Sequence[str]]) -> pd.DataFrame:
    """Group the calls.

    Parameters
    ----------
    table : Table
    keys : sequence of str
        Columns of the span table, ``tag:NAME``, or where a call stands; a list or tuple of them counts as its parts. By
        ``model``, a call that got no answer counts to the model it asked for.

        ``agent``, ``tool``
            Name of the innermost one around a call.
        ``span``
            Name of the innermost named step around a call, whatever its kind; null directly in a cell or profile.
        ``profile``
            Name of the innermost profile or profiled cell around a call, for instance ``In[7]``. (The column ``cell``
            tells which cell holds the line of code.)
        ``trace``
            OpenTelemetry's id of the trace. Profiles that were joined keep theirs.
        ``session``
            The tag ``session`` or ``session.id``; without one, the process that recorded the call: for a notebook, the
            session of its kernel.
        ``cell:line``
            Place of the code, or file and line.

    Returns
    -------
    pandas.DataFrame
        Indexed by the keys, most tokens first: ``calls``, tokens by kind (see `Totals`), ``cost`` (USD), ``duration_s``
        (sum of the calls' seconds, also of those that ran side by side), ``errors``, ``retries``, ``unknown_calls``
        (their tokens are not all in the sums), ``unpriced_calls`` (their cost is not in the sum), and ``cache_hits``,
        ``saved_tokens`` and ``saved_cost`` (see `Totals`; null and NaN where none of what was saved is known).

        Tokens are nullable integers: the sum of what was told, null where no call of the group told that figure. Cost
        is NaN where no call of the group has a known cost. A refused request (status ``error`` and HTTP status 400 or
        more) is known to have used 0 tokens and USD 0: a group of such requests sums up to 0, and beside other calls
        they make nothing known and nothing unknown.

    Raises
    ------
    ValueError
        For a key that is no column, a figure, or a tag that no call has, with the names there are.
    """
    return grouped(table, keys).frame


def grouped(table: Table, keys: Sequence[str | Sequence[str]]) -> Groups:
    """Group the calls; see `by`."""
    import pandas as pd

    kept = books(table)
    rows = kept.counted()
    data = keyed(table, keys, rows)
    names = list(data)
    calls, unknown, unpriced, failed, retried = kept.counts[rows].T
    data["calls"], data["errors"], data["retries"] = calls, failed, retried
    for index, name in enumerate(TOKEN_NAMES):
        data[name] = kept.used[rows, index].astype(np.int64)
    data["total_tokens"] = kept.used[rows, SPENT].sum(axis=1).astype(np.int64)
    data["cost"] = kept.used[rows, COST]
    data["duration_s"] = table.durations()[rows] * kept.call[rows]
    data["unknown_calls"], data["unpriced_calls"] = unknown, unpriced
    data["cache_hits"] = hits = (kept.hit * kept.weight)[rows]
    for name, values in (("saved_tokens", kept.saved_tokens), ("saved_cost", kept.saved[:, COST])):
        data[name] = np.nan_to_num(values[rows])
        data[f"untold:{name}"] = hits * np.isnan(values[rows])
    for column, figure in enumerate(FIGURES):
        data[f"told:{figure}"] = kept.told[rows, column].astype(np.int64)
        data[f"untold:{figure}"] = kept.untold[rows, column].astype(np.int64)
    sums = pd.DataFrame(data).groupby(names, dropna=False).sum()
    sums = sums.sort_values(["total_tokens", "calls"], ascending=False, kind="stable")
    evidence = Evidence(*(sums[[f"{what}:{figure}" for figure in FIGURES]].to_numpy(float) for what in _EVIDENCE))
    result = sums[_ORDER].copy()
    for column, name in [*enumerate(TOKEN_NAMES), (TOKENS, "total_tokens")]:
        result[name] = pd.arrays.IntegerArray(sums[name].to_numpy(np.int64), evidence.nothing(column))
    result.loc[evidence.nothing(COST), "cost"] = np.nan
    hits = sums["cache_hits"].to_numpy()
    nothing = {
        name: (hits > 0) & (hits == sums[f"untold:{name}"].to_numpy()) for name in ("saved_tokens", "saved_cost")
    }
    result["saved_tokens"] = pd.arrays.IntegerArray(sums["saved_tokens"].to_numpy(np.int64), nothing["saved_tokens"])
    result.loc[nothing["saved_cost"], "saved_cost"] = np.nan
    return Groups(result, evidence)


def keyed(table: Table, keys: Sequence[str | Sequence[str]], rows: np.ndarray[Any, Any]) -> dict[str, Any]:
    """What `by` groups by: the values that some rows have for each key.

    Parameters
    ----------
    table : Table
    keys : sequence of str
        As in `by`.
    rows : integer array
        Rows of the table.

    Raises
    ------
    ValueError
        As in `by`.
    """
    names = _names(keys)
    columns = {"tags" if key.startswith("tag:") else key for key in names if key not in _PLACES}
    frame = table.frame(columns).iloc[rows]
    values: dict[str, Any] = {}
    for key in names:
        if key.startswith("tag:"):
            values[key] = encodable(_tagged(frame["tags"], key.removeprefix("tag:")))
        elif key == "cell:line":
            stacks = (table.spans[row].stack for row in rows.tolist())
            values[key] = encodable(stack[-1].where if stack else None for stack in stacks)
        elif key in _AROUND:
            around = _innermost(table, *_AROUND[key])
            values[key] = encodable(around[row] for row in rows.tolist())
        elif key in _PLACES:
            origins = _from(table, key)
            values[key] = encodable(origins[row] for row in rows.tolist())
        elif key == "model":
            spans = map(table.spans.__getitem__, rows.tolist())
            values[key] = encodable(span.model or span.request_model for span in spans)
        else:
            values[key] = encodable(frame[key]) if SCHEMA[key] == "object" else frame[key].array
    return values


_EVIDENCE = ("told", "untold")
_FIGURES = (
    *TOKEN_FIELDS,
    *(name for name in SCHEMA if name == "cost" or (name.startswith("cost_") and name != "cost_source")),
    "saved_tokens",
    "saved_cost",
    "duration_s",
    "ttft_s",
)
_ROOTS = frozenset(("cell", "profile"))
_AROUND: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "agent": (frozenset(("agent",)), frozenset()),
    "tool": (frozenset(("tool",)), frozenset()),
    "span": (frozenset(KINDS) - _ROOTS - {"llm", "embedding", "reranker"}, _ROOTS),
    "profile": (_ROOTS, frozenset()),
}
_PLACES = (*_AROUND, "trace", "session", "cell:line")  # no columns: where a call stands
_GROUPS = [*_PLACES, *(name for name in SCHEMA if name not in (*_FIGURES, "tags"))]
_ORDER = [
    "calls",
    "total_tokens",
    *TOKEN_NAMES,
    "cost",
    "duration_s",
    "errors",
    "retries",
    "unknown_calls",
    "unpriced_calls",
    "cache_hits",
    "saved_tokens",
    "saved_cost",
]


def _innermost(table: Table, kinds: frozenset[str], ends: frozenset[str]) -> list[str | None]:
    """Name of the innermost step of some kinds at or around each row, up to the innermost of others."""
    found: list[str | None] = []
    for span, parent in zip(table.spans, table.parents.tolist(), strict=True):
        inherits = parent >= 0 and span.kind not in ends
        found.append(span.name if span.kind in kinds else found[parent] if inherits else None)
    return found


def _from(table: Table, key: str) -> list[str | None]:
    """Trace or session of each row."""
    origins: list[Origin | None] = []
    for span, parent in zip(table.spans, table.parents.tolist(), strict=True):
        origins.append(span.origin or (origins[parent] if parent >= 0 else None))
    if key == "trace":
        return [origin and f"{origin.trace_id:032x}" for origin in origins]
    told = [tags.get("session", tags.get("session.id")) for tags in table.tags()]
    return [origin.session if tag is None and origin else tag for tag, origin in zip(told, origins, strict=True)]


def _names(keys: Sequence[str | Sequence[str]]) -> list[str]:
    """Names of columns and tags, each once."""
    flat: list[Any] = []
    for key in keys:
        flat += key if isinstance(key, list | tuple) else [key]
    if not flat:
        raise ValueError('by() needs at least one column, for instance by("model") or by("cell", "line")')
    for key in flat:
        if key in _FIGURES or key in _ORDER:
            raise ValueError(f"{key!r} is a figure, not something to group by; known: {', '.join(_GROUPS)}, tag:NAME")
        if not isinstance(key, str) or not (key in _GROUPS or key.startswith("tag:")):
            raise ValueError(f"{key!r} is no column to group by; known: {', '.join(_GROUPS)}, tag:NAME")
    return list(dict.fromkeys(flat))


def _tagged(tags: Iterable[dict[str, str]], name: str) -> list[str | None]:
    """Values of a tag; a name that no call bears is a slip of the pen."""
    found = [each.get(name) for each in tags]
    if found and not any(value is not None for value in found):
        there = ", ".join(sorted({tag for each in tags for tag in each}))
        raise ValueError(f"no call has a tag {name!r}; " + (f"there are {there}" if there else "there are no tags"))
    return found
