"""Charts of experiments as Vega-Lite, by Altair: importing this module takes a while."""

from __future__ import annotations

from typing import Any

import altair
import numpy as np

from tokprof.views.plot import INK
from tokprof.views.scatter import CELL_INK, Dots, Matrix, Scale, label, mix, placed
from tokprof.views.vega import _dressed, _round


def dots(picture: Dots, width: int, height: int) -> Any:
    """Points, their intervals, and the front as a staircase."""
    values = []
    places = placed(picture, width, height)
    for at in range(len(picture.names)):
        if np.isnan(picture.x.means[at]) or np.isnan(picture.y.means[at]):
            continue
        row: dict[str, Any] = {
            "point": picture.numbers[at],
            "what": picture.names[at],
            "group": picture.groups[at],
            "front": bool(picture.front[at]),
        }
        if at in places:
            row |= {"short": label(picture, at), "label": _place(*places[at])}
        for name, scale in (("x", picture.x), ("y", picture.y)):
            low, high = scale.extent
            row[name] = _round(float(scale.means[at]))
            row[f"{name}_said"] = scale.said(at)
            if not np.isnan(scale.lows[at]):
                row[f"{name}_low"] = _round(float(np.clip(scale.lows[at], low, high)))
                row[f"{name}_high"] = _round(float(np.clip(scale.highs[at], low, high)))
        values.append(row)
    chart = altair.Chart(altair.InlineData(values=values))
    across, down = _axis(altair.X, "x", picture.x, False), _axis(altair.Y, "y", picture.y, True)
    legend = (
        altair.Legend(orient="bottom", columns=4, labelLimit=220, title=picture.group_title)
        if len(picture.colours) > 1
        else None
    )
    colour = altair.Color(
        "group:N",
        scale=altair.Scale(domain=list(picture.colours), range=list(picture.colours.values())),
        legend=legend,
    )
    strength = altair.condition("datum.front", altair.value(1), altair.value(0.5))
    tooltip = [
        altair.Tooltip("point:Q"),
        altair.Tooltip("what:N", title="parameters"),
        altair.Tooltip("y_said:N", title=picture.y.title),
        altair.Tooltip("x_said:N", title=picture.x.title),
    ]
    bars = {"color": colour, "opacity": strength}
    layers: list[Any] = [
        chart.transform_filter("datum.front")
        .mark_line(interpolate="step-after", color=INK, strokeDash=[5, 3], strokeWidth=1.5)
        .encode(x=across, y=down, order=altair.Order("x:Q")),
        chart.transform_filter("isValid(datum.x_low)")
        .mark_rule(strokeWidth=1.5)
        .encode(x=_axis(altair.X, "x_low", picture.x, False), x2="x_high:Q", y=down, **bars),
        chart.transform_filter("isValid(datum.y_low)")
        .mark_rule(strokeWidth=1.5)
        .encode(x=across, y=_axis(altair.Y, "y_low", picture.y, True), y2="y_high:Q", **bars),
        chart.mark_point(filled=True, stroke=None).encode(
            x=across,
            y=down,
            size=altair.condition("datum.front", altair.value(130), altair.value(70)),
            tooltip=tooltip,
            **bars,
        ),
    ]
    for right, off in dict.fromkeys(places.values()):
        layers.append(
            chart.transform_filter(f"datum.label == '{_place(right, off)}'")
            .mark_text(align="left" if right else "right", dx=10 if right else -10, dy=off, color=INK)
            .encode(x=across, y=down, text="short:N")
        )
    return _dressed(altair.layer(*layers), picture, width, height)


def matrix(picture: Matrix, cell: int, row: int) -> Any:
    """A rectangle with its figure for each pair of values."""
    values = [
        {
            "column": column,
            "row": name,
            "value": _round(float(value)),
            "said": picture.write(float(value)),
            "colour": mix(picture.shade(float(value))),
        }
        for name, figures in zip(picture.rows, picture.values, strict=True)
        for column, value in zip(picture.columns, figures, strict=True)
        if not np.isnan(value)
    ]
    chart = altair.Chart(altair.InlineData(values=values)).encode(
        x=altair.X(
            "column:N",
            title=picture.x_title,
            sort=picture.columns,
            scale=altair.Scale(domain=picture.columns),
            axis=altair.Axis(orient="top", labelAngle=0, labelLimit=cell, domain=False, ticks=False),
        ),
        y=altair.Y(
            "row:N",
            title=picture.y_title,
            sort=picture.rows,
            scale=altair.Scale(domain=picture.rows),
            axis=altair.Axis(labelLimit=220, labelPadding=8, domain=False, ticks=False),
        ),
        tooltip=[
            altair.Tooltip("column:N", title=picture.x_title),
            altair.Tooltip("row:N", title=picture.y_title),
            altair.Tooltip("said:N", title=picture.title),
        ],
    )
    layers = (
        chart.mark_rect(cornerRadius=3).encode(color=altair.Color("colour:N", scale=None)),
        chart.mark_text(color=CELL_INK).encode(text="said:N"),
    )
    size = cell * len(picture.columns), max(row * len(picture.rows), 2 * row)
    return _dressed(altair.layer(*layers), picture, *size)


def _place(right: bool, off: float) -> str:
    return f"{'right' if right else 'left'} {'below' if off > 0 else 'above'}"


def _axis(channel: Any, field: str, scale: Scale, grid: bool) -> Any:
    money = scale.write(1.5).startswith("$")
    return channel(
        f"{field}:Q",
        title=scale.title,
        scale=altair.Scale(type="log" if scale.logarithmic else "linear", domain=list(scale.extent), nice=False),
        axis=altair.Axis(grid=grid, tickCount=5, format="$~g" if money else "~g"),
    )
