"""What was used: in total, and by group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tokprof.analysis.books import COST, FIGURES, SPENT, TOKEN_NAMES, TOKENS, Evidence, books
from tokprof.span import TOKEN_FIELDS
from tokprof.table import SCHEMA, Table

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
    seconds : float
        From the start of the profile to its end.
    provenance : dict of str to int
        Number of calls by where their usage comes from: ``reported``, ``derived``, ``estimated``, ``partial``,
        ``missing``.
    unknown_calls : int
        Calls that may have spent tokens nobody told of: ``missing`` or ``partial``, without those that were refused.
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
    seconds: float = 0.0
    provenance: dict[str, int] = field(default_factory=dict)
    unknown_calls: int = 0

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
    spans = [table.spans[row] for row in np.flatnonzero(kept.call)]
    root = table.spans[0] if len(table) else None
    return Totals(
        calls=len(spans),
        errors=sum(span.status in ("error", "cancelled") for span in spans),
        retries=sum((span.attempt or 1) > 1 for span in spans),
        **tokens,
        total_tokens=sum(list(tokens.values())[SPENT]),
        cost=float(used[COST]),
        unpriced_calls=int(kept.unpriced.sum()),
        seconds=table.duration(root) if root else 0.0,
        provenance=dict(Counter(span.source or "missing" for span in spans)),
        unknown_calls=int(kept.unknown.sum()),
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
        Columns of the span table, or ``tag:NAME``; a list or tuple of them counts as its parts. By ``model``, a call
        that got no answer counts to the model it asked for.

    Returns
    -------
    pandas.DataFrame
        Indexed by the keys, most tokens first: ``calls``, tokens by kind (see `Totals`), ``cost`` (USD), ``duration_s``
        (sum of the calls' seconds, also of those that ran side by side), ``errors``, ``retries``, ``unknown_calls``
        (their tokens are not all in the sums) and ``unpriced_calls`` (their cost is not in the sum).

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

    names = _names(keys)
    kept = books(table)
    rows = kept.counted()
    frame = table.frame().iloc[rows]
    data: dict[str, Any] = {}
    for key in names:
        if key.startswith("tag:"):
            data[key] = _tagged(frame["tags"], key.removeprefix("tag:"))
        elif key == "model":
            data[key] = [table.spans[row].model or table.spans[row].request_model for row in rows]
        else:
            data[key] = frame[key].array
    spans = [table.spans[row] for row in rows]
    call = kept.call[rows].astype(np.int64)
    data["calls"] = call
    data["errors"] = [int(span.status in ("error", "cancelled")) for span in spans] * call
    data["retries"] = [int((span.attempt or 1) > 1) for span in spans] * call
    for index, name in enumerate(TOKEN_NAMES):
        data[name] = kept.used[rows, index].astype(np.int64)
    data["total_tokens"] = kept.used[rows, SPENT].sum(axis=1).astype(np.int64)
    data["cost"] = kept.used[rows, COST]
    data["duration_s"] = [table.duration(span) for span in spans] * call
    data["unknown_calls"] = kept.unknown[rows].astype(np.int64)
    data["unpriced_calls"] = kept.unpriced[rows].astype(np.int64)
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
    return Groups(result, evidence)


_EVIDENCE = ("told", "untold")
_FIGURES = (
    *TOKEN_FIELDS,
    *(name for name in SCHEMA if name == "cost" or (name.startswith("cost_") and name != "cost_source")),
    "duration_s",
    "ttft_s",
)
_GROUPS = [name for name in SCHEMA if name not in (*_FIGURES, "tags")]
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
]


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
