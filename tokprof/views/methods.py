"""The methods of `tokprof.Profile` that show it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from tokprof.profile import Profile
    from tokprof.views.charts import Chart
    from tokprof.views.costs import Costs
    from tokprof.views.dag import Dag
    from tokprof.views.flamegraph import Flamegraph
    from tokprof.views.source import Source


class Views:
    """What a profile looks like: interactive views, which share one selection, and pictures of its source and time."""

    def flamegraph(self, metric: str | None = None) -> Flamegraph:
        """Interactive flamegraph.

        Parameters
        ----------
        metric : {"tokens", "input", "output", "cached", "reasoning", "cost", "time"}, optional
            What the width of a node stands for at first.

        Returns
        -------
        Flamegraph
            ``.selection`` is the DataFrame of what was clicked.
        """
        from tokprof.views.flamegraph import Flamegraph

        return Flamegraph(_profile(self), metric or _profile(self)._metric)

    def costs(self, by: str | Sequence[str] = "model") -> Costs:
        """Interactive cost table: tokens and USD by kind, latency, errors and retries of groups of calls.

        Parameters
        ----------
        by : str or sequence of str
            ``"model"``, ``"function"``, ``"agent"``, ``"tool"``, ``"cell:line"``, ``"provider"``, ``"kind"``,
            ``"tag:NAME"`` or ``"call"`` (every call by itself); of two, the second groups within the first. The reader
            may switch.

        Returns
        -------
        Costs
            ``.selection`` is the DataFrame of what was chosen.

        Raises
        ------
        ValueError
            For another key, or more than two.
        """
        from tokprof.views.costs import Costs

        return Costs(_profile(self), by)

    def source(self, metric: str | None = None) -> Source:
        """Source of each cell and file that spent something, with tokens, cost and calls in the gutter of each line.

        Parameters
        ----------
        metric : {"tokens", "input", "output", "cached", "reasoning", "cost", "time"}, optional
            What the heat of a line stands for.

        Returns
        -------
        Source
            Static HTML in a notebook, text in a terminal; ``.df`` has the figures, ``.to_html(path)`` writes a page.

        Raises
        ------
        ValueError
            For an unknown `metric`.
        """
        from tokprof.views.source import Source

        return Source(
            _profile(self).title, _profile(self).table, _profile(self).totals, metric or _profile(self)._metric
        )

    def dag(self, metric: str | None = None, edges: str = "calls") -> Dag:
        """Interactive graph of agents, functions, tools and models: who called whom, and what it carried.

        Parameters
        ----------
        metric : {"tokens", "input", "output", "cached", "reasoning", "cost", "time"}, optional
            Of what the bars in the nodes show a share at first.
        edges : {"calls", "data"}
            Who called whom, or whose answer went into whose prompt, as `flow` finds it where prompts were kept
            (``capture="full"``). The reader may switch.

        Returns
        -------
        Dag
            ``.selection`` is the DataFrame of what was clicked.

        Raises
        ------
        ValueError
            For an unknown `metric` or `edges`.
        """
        from tokprof.views.dag import Dag

        return Dag(_profile(self), metric or _profile(self)._metric, edges)

    def timeline(self, window: str | float | None = None, metric: str | None = None) -> Chart:
        """Chart of a rate over time, by model, with the calls in flight.

        Parameters
        ----------
        window : str or float, optional
            Length of the rolling window: ``"1s"``, ``"500ms"``, or seconds; about a sixtieth of the profile, if not
            given.
        metric : {"tokens", "input", "output", "cached", "reasoning", "cost", "time"}, optional
            What is shown: tokens or USD a second, or (``time``) calls in flight.

        Returns
        -------
        Chart
            ``.chart`` is that of Altair.

        Raises
        ------
        ValueError
            For a `window` or a `metric` that is none.
        """
        from tokprof.views.charts import timeline

        return timeline(
            _profile(self).title, _profile(self).table, _profile(self).totals, window, metric or _profile(self)._metric
        )

    def heatmap(self, rows: str | Sequence[str] = "function", metric: str | None = None) -> Chart:
        """Chart of what was spent by whom and when.

        Parameters
        ----------
        rows : str or sequence of str
            As in `by`: ``"function"``, ``"operation"``, ``"model"``, ``"tag:user"``, ...
        metric : {"tokens", "input", "output", "cached", "reasoning", "cost", "time"}, optional
            What the heat stands for.

        Returns
        -------
        Chart
            ``.chart`` is that of Altair.

        Raises
        ------
        ValueError
            For an unknown `metric`, or as in `by`.
        """
        from tokprof.views.charts import heatmap

        return heatmap(
            _profile(self).title, _profile(self).table, _profile(self).totals, rows, metric or _profile(self)._metric
        )

    def prompts(self, metric: str = "tokens") -> Chart:
        """Chart of what each prompt consists of, one stacked bar a call; what was sent before is paler.

        Needs the prompts, kept with ``capture="full"``. Of more than 200 calls, a bar is the mean of some in a row.

        Parameters
        ----------
        metric : {"tokens", "cost"}
            How high the bars are: input tokens, or what they cost.

        Returns
        -------
        Chart
            ``.chart`` is that of Altair. The figures are those of `Profile.segments`.

        Raises
        ------
        ValueError
            For another `metric`.
        """
        from tokprof.views.prompts import prompts

        return prompts(_profile(self).title, _profile(self).table, metric)

    def to_html(self, path: str | Path | None = None) -> str:
        """One self-contained offline page: all views, interactive and linked; no prompt or answer inside.

        Of a very large profile the lightest branches are summed up: see `tokprof.views.page.PAGE_NODES`.

        Parameters
        ----------
        path : str or Path, optional
            Where to write it too.

        Returns
        -------
        str
            The page.
        """
        from tokprof.views.page import render

        page = render(_profile(self))
        if path is not None:
            Path(path).write_text(page, encoding="utf-8")
        return page


def _profile(self: Views) -> Profile:
    return cast("Profile", self)
