"""Charts as Vega-Lite, by Altair: importing this module takes a while."""

from __future__ import annotations

from typing import Any, Protocol

import altair

from tokprof.analysis.books import Floats
from tokprof.views.plot import HEAT, INK, Area, Heat

_TIME = "seconds since the start"


class Titled(Protocol):
    """A picture with a title, and notes on what its figures leave out."""

    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def notes(self) -> list[str]: ...  # noqa: D102


def timeline(picture: Area, line: tuple[Floats, Floats] | None, width: int, height: int) -> Any:
    """Stacked areas; the line has an axis of its own on the right."""
    values = [
        {"end": _round(end), "model": name, "rate": _round(rate), "order": order}
        for order, (name, rates) in enumerate(zip(picture.names, picture.amounts, strict=True))
        for end, rate in zip(picture.ends.tolist(), rates.tolist(), strict=True)
    ]
    colour = altair.Color(
        "model:N",
        title=None,
        scale=altair.Scale(domain=picture.names, range=picture.colours),
        legend=altair.Legend(orient="bottom", columns=4, labelLimit=220),
    )
    layers: list[Any] = [
        altair.Chart(altair.InlineData(values=values))
        .mark_area(opacity=0.9)
        .encode(
            x=altair.X("end:Q", title=_TIME, axis=altair.Axis(grid=False)),
            y=altair.Y("rate:Q", title=picture.unit, stack="zero", axis=altair.Axis(tickCount=4)),
            color=colour,
            order=altair.Order("order:Q"),
            tooltip=[
                altair.Tooltip("model:N"),
                altair.Tooltip("end:Q", title="until (s)", format=",.3~f"),
                altair.Tooltip("rate:Q", title=picture.unit, format=",.4~g"),
            ],
        )
    ]
    if line is not None:
        calls = [
            {"end": _round(at), "calls": _round(n)} for at, n in zip(*(part.tolist() for part in line), strict=True)
        ]
        layers.append(
            altair.Chart(altair.InlineData(values=calls))
            .mark_line(color=INK, strokeDash=[4, 3], strokeWidth=1.5)
            .encode(
                x=altair.X("end:Q", title=_TIME),
                y=altair.Y(
                    "calls:Q",
                    title="calls in flight (dashed)",
                    axis=altair.Axis(orient="right", grid=False, tickCount=4),
                ),
            )
        )
    return _dressed(altair.layer(*layers).resolve_scale(y="independent"), picture, width, height)


def heatmap(picture: Heat, width: int, row: int) -> Any:
    """One rectangle for each window in which something was spent."""
    values = [
        {"from": _round(end - picture.length), "to": _round(end), "row": name, "amount": _round(amount)}
        for name, amounts in zip(picture.names, picture.amounts, strict=True)
        for end, amount in zip(picture.ends.tolist(), amounts.tolist(), strict=True)
        if amount > 0
    ]
    chart = (
        altair.Chart(altair.InlineData(values=values))
        .mark_rect(color=HEAT)
        .encode(
            x=altair.X("from:Q", title=_TIME, axis=altair.Axis(grid=False)),
            x2="to:Q",
            y=altair.Y("row:N", title=None, sort=picture.names, axis=altair.Axis(labelLimit=220)),
            opacity=altair.Opacity(
                "amount:Q",
                title=picture.unit,
                scale=altair.Scale(domainMin=0, range=[0.1, 1]),
                legend=altair.Legend(orient="bottom", direction="horizontal"),
            ),
            tooltip=[
                altair.Tooltip("row:N"),
                altair.Tooltip("from:Q", title="from (s)", format=",.3~f"),
                altair.Tooltip("to:Q", title="to (s)", format=",.3~f"),
                altair.Tooltip("amount:Q", title=picture.unit, format=",.4~g"),
            ],
        )
    )
    return _dressed(chart, picture, width, max(row * len(picture.names), 2 * row))


def _dressed(chart: Any, picture: Titled, width: int, height: int) -> Any:
    """Transparent, with ink that reads on light and on dark: a saved chart does not know where it will be seen."""
    quiet = {"labelColor": INK, "titleColor": INK, "titleFontWeight": "normal"}
    # the editor is a site of others: a chart must not offer to send its data there
    actions = {"export": True, "source": False, "compiled": False, "editor": False}
    title = altair.TitleParams(picture.title, subtitle=picture.notes, anchor="start", fontSize=13)
    return (
        chart.properties(width=width, height=height, title=title, usermeta={"embedOptions": {"actions": actions}})
        .configure(background="transparent")
        .configure_view(stroke=None)
        .configure_axis(**quiet, domainColor=INK, tickColor=INK, gridColor=INK, gridOpacity=0.25)
        .configure_legend(**quiet)
        .configure_title(color=INK, subtitleColor=INK)
    )


def _round(value: float) -> float:
    """Six figures: all that a chart can show."""
    return float(f"{value:.6g}")
