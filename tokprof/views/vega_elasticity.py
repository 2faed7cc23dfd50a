"""The chart of a search for a budget as Vega-Lite, by Altair: importing this module takes a while."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import altair

from tokprof.views.elasticity import _MARKS, _SAID, Axis, Picture, Point, colour
from tokprof.views.plot import INK
from tokprof.views.vega import _dressed, _round


def elasticity(picture: Picture, width: int, height: int) -> Any:
    """Means with their intervals, the diagonal, and the answer."""
    across = _axis(altair.X, "budget", picture.across, "budget asked for (tokens)", False)
    up = _axis(altair.Y, "tokens", picture.up, picture.unit, True)
    values = [_row(point, picture.up) for point in picture.points if not math.isnan(point.tokens)]
    chart = altair.Chart(altair.InlineData(values=values))
    low = max(picture.across.low, picture.up.low)
    high = max(low, min(picture.across.high, picture.up.high))
    diagonal = [{"budget": _round(each), "tokens": _round(each)} for each in (low, high)]
    shade = altair.Color("shade:N", scale=None)
    kinds = [kind for kind in _MARKS if any(row["decision"] == _SAID[kind] for row in values)]
    said = [_SAID[kind] for kind in kinds if kind != "best"]  # which has its name beside it
    shape = altair.Shape(
        "decision:N",
        title=None,
        scale=altair.Scale(domain=[_SAID[kind] for kind in kinds], range=[_MARKS[kind] for kind in kinds]),
        legend=altair.Legend(
            orient="bottom", columns=4, labelLimit=220, values=said, symbolFillColor=INK, symbolStrokeColor=INK
        ),
    )
    tooltip = [
        altair.Tooltip("budget:Q", title="asked for", format=","),
        altair.Tooltip("used:N", title=picture.unit),
        altair.Tooltip("score:Q", format=".3~g"),
        altair.Tooltip("runs:Q"),
        altair.Tooltip("decision:N"),
    ]
    best = f"datum.decision === '{_SAID['best']}'"
    layers = [
        altair.Chart(altair.InlineData(values=diagonal))
        .mark_line(color=INK, strokeDash=[5, 4], strokeWidth=1.5)
        .encode(x=across, y=up),
        chart.mark_line(color=INK, strokeWidth=1.5, opacity=0.6).encode(x=across, y=up),
        chart.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=2, opacity=0.7)
        .encode(x=across, y=altair.Y("low:Q", title=picture.unit), y2="high:Q", color=shade),
        chart.mark_point(size=110, filled=True, opacity=1).encode(
            x=across, y=up, color=shade, shape=shape, tooltip=tooltip
        ),
        chart.transform_filter(best)
        .mark_point(size=420, filled=False, color=INK, strokeWidth=2, shape="circle", opacity=1)
        .encode(x=across, y=up, tooltip=tooltip),
        chart.transform_filter(best)
        .mark_text(align="left", dx=14, dy=24, color=INK, fontSize=13, fontWeight="bold")
        .encode(x=across, y=up, text="label:N"),
    ]
    shades = "" if picture.target is None else f"; orange is below the target, {picture.target:.3g}, blue above"
    notes = [*picture.notes, f"Dashed: as many as asked for{shades}."]
    return _dressed(altair.layer(*layers), replace(picture, notes=notes), width, height)


def _row(point: Point, up: Axis) -> dict[str, Any]:
    row = {
        "budget": point.budget,
        "tokens": _round(point.tokens),
        "used": point.said.split(" asked for, ")[1].split(" used,")[0],
        "runs": point.runs,
        "decision": _SAID[point.decision],
        "shade": colour(point.share),
        "label": f"best: {point.budget:,}",
    }
    if not math.isnan(point.score):
        row["score"] = _round(point.score)
    if not math.isnan(point.low):
        row |= {"low": _round(max(point.low, up.low)), "high": _round(min(point.high, up.high))}
    return row


def _axis(channel: Any, name: str, axis: Axis, title: str, grid: bool) -> Any:
    kind: Any = "log" if axis.logarithmic else "linear"
    scale = altair.Scale(type=kind, domain=[_round(axis.low), _round(axis.high)], nice=False)
    return channel(
        f"{name}:Q",
        title=title,
        scale=scale,
        axis=altair.Axis(grid=grid, values=[_round(each) for each in axis.ticks()], format=","),
    )
