"""The chart of prompts as Vega-Lite, by Altair: importing this module takes a while."""

from __future__ import annotations

from typing import Any

import altair

from tokprof.views.prompts import FADED, Bars
from tokprof.views.vega import _dressed, _round

_STATES = ("new", "sent before")


def bars(picture: Bars, width: int, height: int) -> Any:
    """One stacked bar a call; what was sent before is paler. Without calls, nothing but the title."""
    if not picture.calls:
        nothing = altair.Chart(altair.InlineData(values=[{}])).mark_text(text="")
        return _dressed(nothing, picture, width, 1)
    money = picture.unit == "USD"
    values = [
        {
            "call": call,
            "part": part,
            "state": _STATES[state],
            "amount": _round(float(picture.amounts[place, state, at])),
            "tokens": picture.write(amount) if not money else picture.other(other),
            "usd": picture.write(amount) if money else picture.other(other) if other == other else "unknown",
            "where": picture.where[at],
            "order": 2 * place + 1 - state,
        }
        for at, call in enumerate(picture.calls)
        for place, part in enumerate(picture.parts)
        for state in (1, 0)
        for amount, other in [(float(picture.amounts[place, state, at]), float(picture.others[place, state, at]))]
        if amount > 0
    ]
    legend: dict[str, Any] = {"orient": "bottom", "direction": "horizontal", "columns": 8, "title": None}
    chart = (
        altair.Chart(altair.InlineData(values=values))
        .mark_bar()
        .encode(
            x=altair.X(
                "call:O",
                sort=picture.calls,
                title="calls in order of time",
                axis=altair.Axis(labelAngle=0, labelOverlap="greedy", labelSeparation=12, grid=False, ticks=False),
            ),
            y=altair.Y("amount:Q", title=picture.unit, stack="zero", axis=altair.Axis(tickCount=5)),
            color=altair.Color(
                "part:N",
                scale=altair.Scale(domain=picture.parts, range=picture.colours),
                legend=altair.Legend(**legend),
            ),
            opacity=altair.Opacity(
                "state:N",
                scale=altair.Scale(domain=list(_STATES), range=[1, FADED]),
                legend=altair.Legend(**legend, symbolFillColor="#70777f", symbolStrokeWidth=0),
            ),
            order=altair.Order("order:Q"),
            tooltip=[
                altair.Tooltip("call:O"),
                altair.Tooltip("where:N"),
                altair.Tooltip("part:N"),
                altair.Tooltip("state:N", title="sent"),
                altair.Tooltip("tokens:N"),
                altair.Tooltip("usd:N", title="USD"),
            ],
        )
    )
    return _dressed(chart, picture, width, height)
