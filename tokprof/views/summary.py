"""The summary widget: what a profile comes to, while it is recorded and when it has ended."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from tokprof.analysis.highlights import SPENDERS, highlights
from tokprof.analysis.pulse import pulse
from tokprof.analysis.spenders import Spender
from tokprof.analysis.tally import Tally
from tokprof.views import STATIC
from tokprof.views.widget import ranges, rows_in
from tokprof.views.words import clean, count, saved, seconds, tokens

if TYPE_CHECKING:
    import pandas as pd

    from tokprof.analysis.rollup import Totals
    from tokprof.profile import Profile
    from tokprof.recorder import Recording

BUDGETS = ("tokens", "cost", "calls", "seconds")
"""What a budget can be of, as keys of `Recording.budget`."""

_EDGES = 2_000  # of the rows of a spender, in the state of a widget; of more, the spender cannot be chosen


def live_state(tally: Tally, recording: Recording) -> dict[str, Any]:
    """Give the state of the summary of a recording that goes on."""
    sums, taken = tally.sums, tally.seconds
    flying = len(recording.pending)
    notes = [f"{count(flying, 'call')} in flight" if flying else "no call in flight"]
    if (last := tally.last) is not None:
        used = last.usage.total_tokens if last.usage is not None else None
        figure = "tokens unknown" if used is None else f"{tokens(used)} tokens"
        ended = last.opened if last.closed is None else last.closed
        notes.append(f"last: {clean(last.name, 60)}, {figure}, {seconds((ended - last.opened) / 1e9)}")
    notes += saved(sums.hits, sums.calls, sums.saved_input + sums.saved_output, sums.saved_cost)
    return {
        "phase": "live",
        "title": clean(recording.root.name),
        "seconds": int(taken) if taken >= 1 else round(taken, 1),
        "flying": flying,
        "tokens": round(sums.tokens),
        "bound": "≥" if sums.unknown else "~" if sums.estimated else "",
        "cost": round(sums.cost, 9) if sums.cost or sums.unpriced < sums.calls - sums.errors else None,
        "cost_bound": "≥" if sums.unpriced else "",
        "calls": sums.calls,
        "errors": sums.errors,
        "retries": sums.retries,
        "pulse": tally.pulse.counts(taken),
        "budget": _budget(recording, sums.tokens, sums.cost, sums.calls, taken),
        "stopped": _stopped(recording),
        "spenders": [_spender(each) for each in tally.spenders.top(SPENDERS)] if sums.calls else [],
        "notes": notes,
    }


def final_state(profile: Profile) -> dict[str, Any]:
    """Give the state of the summary of a profile: its totals, where they come from, and what stands out."""
    table, totals = profile.table, profile.totals
    found = highlights(table)
    known = totals.unpriced_calls < totals.calls - totals.errors or totals.cost
    spared = saved(totals.cache_hits, totals.calls, totals.saved_tokens, totals.saved_cost)
    return {
        "phase": "live" if profile.recording else "ended",
        "title": clean(profile.title),
        "seconds": totals.seconds,
        "flying": 0,
        "tokens": totals.total_tokens,
        "bound": "≥" if totals.unknown_calls else "~" if totals.provenance.get("estimated") else "",
        "cost": round(totals.cost, 9) if known else None,
        "cost_bound": "≥" if totals.unpriced_calls or totals.provenance.get("partial") else "",
        "calls": totals.calls,
        "errors": totals.errors,
        "retries": totals.retries,
        "pulse": pulse(table).counts(totals.seconds),
        "budget": _budget(profile._recording, totals.total_tokens, totals.cost, totals.calls, totals.seconds),
        "stopped": _stopped(profile._recording),
        "spenders": [_spender(each) for each in found.spenders] if totals.calls else [],
        "notes": [*spared, *(clean(remark, 300) for remark in found.remarks), provenance(totals)]
        if totals.calls
        else [],
    }


def provenance(totals: Totals) -> str:
    """Say where the figures come from: ``Tokens: 9 reported, 2 estimated. Cost: all by price list``."""
    whence = ("reported", "derived", "estimated", "partial", "missing", "cached", "refused")
    usage = _listed(totals.provenance, {"cached": "from a cache"}, whence)
    names = {"priced": "by price list", "custom": "by your prices", "cached": "from a cache", "missing": "unknown"}
    cost = _listed(totals.cost_sources, names, ("reported", *names, "refused"))
    return f"Tokens: {usage}. Cost: {cost}."


def _listed(calls: Mapping[str, int], names: Mapping[str, str], order: Iterable[str]) -> str:
    found = [(names.get(key, key), calls[key]) for key in order if calls.get(key)]
    if len(found) == 1:
        return f"all {found[0][0]}"
    return ", ".join(f"{number:,} {name}" for name, number in found) or "none told"


def _stopped(recording: Recording) -> list[str]:
    """Where budgets were reached."""
    return [clean(str(mark), 300) for mark in recording.marks[:3]]


def _budget(recording: Recording, spent: float, cost: float, calls: float, taken: float) -> list[dict[str, Any]]:
    """How far budgets are used: that of the recording, then those inside it."""
    mine = [] if recording.guard is None else [(*bar[:3], "") for bar in recording.guard.bars]
    bars = [*mine, *(bar for guard in recording.inner for bar in guard.bars)]
    if bars:
        return [
            {"what": what, "used": round(used, 9), "limit": limit, "name": clean(name, 40)}
            for what, used, limit, name in bars[:4]
        ]
    limits = recording.budget
    used = dict(zip(BUDGETS, (spent, cost, calls, taken), strict=True))
    return [
        {"what": what, "used": used[what], "limit": limits[what]}
        for what in BUDGETS
        if limits and limits.get(what) is not None
    ]


def _spender(found: Spender) -> dict[str, Any]:
    rows = ranges(sorted(found.rows))
    return {
        "what": clean(found.who.what, 40),
        "name": clean(found.who.name),
        "where": clean(found.who.where, 60),
        "tokens": round(found.tokens),
        "seconds": round(found.seconds, 6),
        "cost": None if math.isnan(found.cost) else round(found.cost, 9),
        "share": round(min(1.0, max(0.0, found.share)), 4),
        "rows": rows if len(rows) <= _EDGES else [],
    }


class Summary(anywidget.AnyWidget):
    """Summary of a profile: totals, their provenance, who spent most, and what to look at next.

    Parameters
    ----------
    profile : Profile
    state : dict, optional
        What it shows at first, as `live_state` or `final_state` give it.

    Attributes
    ----------
    selection : pandas.DataFrame
        Rows of ``prof.df`` that are selected, in this view or another one of the profile.
    """

    _esm = STATIC / "summary.js"
    _css = STATIC / "summary.css"
    _state = traitlets.Dict().tag(sync=True)
    _profile = traitlets.Unicode().tag(sync=True)
    _selected = traitlets.Dict().tag(sync=True)

    def __init__(self, profile: Profile, state: dict[str, Any] | None = None, **traits: Any):
        self.profile = profile
        super().__init__(_state=state or final_state(profile), _profile=profile.id, **traits)
        self.on_msg(self._on_message)

    @property
    def selection(self) -> pd.DataFrame:
        """Rows of ``prof.df`` that are selected, in this view or another one of the profile."""
        return self.profile.selected

    def _on_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """Take a message of the front end, which may come from anybody."""
        if not isinstance(content, dict) or content.get("type") != "select":
            return
        rows = rows_in(content.get("rows"), len(self.profile.table))
        label = content.get("label")
        self.profile._selected = (rows, label if rows and isinstance(label, str) else None)
