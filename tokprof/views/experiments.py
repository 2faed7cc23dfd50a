"""Experiment: the runs of a function over a grid, and everything one can ask of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tokprof.analysis.experiments import ALIASES, SPENDING, TOKEN_COLUMNS, as_given, front, spending, summary
from tokprof.analysis.sequential import ALIKE
from tokprof.views.best import Best
from tokprof.views.charts import Chart
from tokprof.views.words import clean

if TYPE_CHECKING:
    import pandas as pd

    from tokprof.profile import Profile
    from tokprof.trials.grids import Point
    from tokprof.trials.trial import Trial
    from tokprof.views.comparison import Comparison

STATUSES = ("ok", "error", "stopped", "interrupted")

_FIRST = ("run", "point", "repeat")
_FIGURES = ("calls", "failed_calls", *TOKEN_COLUMNS, "cost", "cost_coverage", "unknown_calls", "seconds")
_LAST = ("scoring_tokens", "scoring_cost", "error", "note", "seed", "started")
_MEANS = (f"{name}{end}" for name in SPENDING for end in ("_low", "_high"))
RESERVED = frozenset((*_FIRST, "status", *_FIGURES, *_LAST, "runs", "ok", "failed", *_MEANS)) - {"seed"}
"""Columns of ``df`` and ``summary()``, which no parameter can be called."""

WHOLE = ("calls", "failed_calls", *TOKEN_COLUMNS, "unknown_calls", "scoring_tokens")
"""Those that are whole numbers, or not known."""

_KIND: dict[str, Any] = {
    **dict.fromkeys((*WHOLE, "seed"), "Int64"),
    **dict.fromkeys(("cost", "cost_coverage", "seconds", "scoring_cost"), "float64"),
}


class Planned(NamedTuple):
    """A run that is to be made."""

    number: int
    point: Point
    repeat: int
    seed: int | None


class Experiment:
    """The runs of a function over a grid; `tokprof.experiment` makes it.

    It shows itself in notebooks: the points with their means and intervals, and cost against score. ``len()`` is the
    number of runs that were made; iteration gives each as a dict.

    Attributes
    ----------
    name : str
        Of the function; empty of a lambda.
    interrupted : bool
        Whether it was interrupted before all runs were made.
    stopped : str or None
        By which budget it was stopped, in words.
    path : Path or None
        Where the runs are kept.
    """

    def __init__(self, name: str, points: Sequence[Point], planned: Sequence[Planned], repeats: int, path: Path | None):
        self.name, self.path = name, path
        self.interrupted = False
        self.stopped: str | None = None
        self._points = list(points)
        self._planned = {each.number: each for each in planned}
        self._repeats = repeats
        self._rows: dict[int, dict[str, Any]] = {}
        self._trials: dict[int, Trial] = {}
        self._errors: dict[int, BaseException] = {}
        self._whole: Profile | None = None
        self._before: list[Mapping[str, Any]] = []  # runs of earlier attempts, which spent, too
        self._seconds = 0.0
        self._line: Any = None  # of the output that told how far it had got

    # the runs

    @property
    def title(self) -> str:
        """``experiment`` and its name."""
        return f"experiment {self.name}".rstrip()

    @property
    def params(self) -> list[str]:
        """Names of the parameters."""
        return list(dict.fromkeys(name for point in self._points for name in point.params))

    @property
    def scores(self) -> list[str]:
        """Names of the scores."""
        return list(dict.fromkeys(name for row in self._rows.values() for name in row["scores"]))

    @property
    def df(self) -> pd.DataFrame:
        """One row a run, by its number: parameters, figures and scores.

        Returns
        -------
        pandas.DataFrame
            ``run``, ``point``, ``repeat``; the parameters (numbers, flags and short texts as they are, a label of
            anything else); ``status`` (``ok``, ``error``, ``stopped`` by a budget, ``interrupted``); the scores (NaN
            where there is none); ``calls``, ``failed_calls``, tokens by kind (null where no call told), ``cost`` (USD,
            NaN where none is known), ``cost_coverage``, ``unknown_calls``, ``seconds``; ``scoring_tokens`` and
            ``scoring_cost``, which the score spent itself; ``error`` (its type), ``note`` on the score, ``seed``, and
            ``started`` (UTC).
        """
        import pandas as pd

        names, scores = self.params, self.scores
        columns = dict.fromkeys([*_FIRST, *names, "status", *scores, *_FIGURES, *_LAST])  # a seed may be a parameter
        rows = []
        for number, row in sorted(self._rows.items()):
            plan = self._planned[number]
            first = dict(zip(_FIRST, (number, plan.point.number, plan.repeat), strict=True))
            shown = dict.fromkeys(names) | plan.point.shown
            rows.append({**dict.fromkeys(scores, np.nan), **row, **row["scores"], **shown, **first})
        frame = pd.DataFrame(rows, columns=[*columns])
        frame["started"] = pd.to_datetime(frame["started"], unit="s", utc=True)
        for name in names:
            frame[name] = as_given([row[name] for row in rows])
        kinds = {**dict.fromkeys(_FIRST, "int64"), **_KIND, **dict.fromkeys(scores, "float64")}
        return frame.astype({name: kind for name, kind in kinds.items() if name not in names})

    @property
    def remaining(self) -> pd.DataFrame:
        """Runs that were not made: ``run``, ``point``, ``repeat`` and the parameters."""
        import pandas as pd

        left = [plan for number, plan in sorted(self._planned.items()) if number not in self._rows]
        frame = pd.DataFrame([[plan.number, plan.point.number, plan.repeat] for plan in left], columns=[*_FIRST])
        for name in self.params:
            frame[name] = as_given([plan.point.shown.get(name) for plan in left])
        return frame

    @property
    def spent(self) -> dict[str, float]:
        """What all runs and scores came to: ``runs``, ``tokens``, ``cost`` (USD), ``calls`` and summed ``seconds``.

        Runs of earlier attempts that stand in the file are part of it, also where they were made again since.
        """
        return spending([*self._before, *self._rows.values()])

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return ({str(name): value for name, value in row.items()} for row in self.df.to_dict("records"))

    def __bool__(self) -> bool:
        return True

    def given(self, run: int | None = None, *, point: int | None = None) -> dict[str, Any]:
        """Give the parameters of a run, or of a point, as the function gets them."""
        if point is not None:
            return dict(self._point(point).params)
        if run is None:
            raise TypeError("given() needs the number of a run, or point=")
        return dict(self._plan(run).point.params)

    def profile(self, run: int | None = None) -> Profile:
        """Give the profile of one run; without a number, that of all that this call of `tokprof.experiment` ran.

        Raises
        ------
        KeyError
            For a run that there is not.
        LookupError
            For one whose profile is not at hand: it was read from a file, or profiles are not kept.
        """
        if run is None:
            if self._whole is None:
                raise LookupError("no profile was kept: nothing was run, or keep_profiles=False")
            return self._whole
        return self._trial(run, "profile").profile

    def returned(self, run: int) -> Any:
        """Give what the function returned in a run; None of one that failed. Raises as `profile`."""
        return self._trial(run, "result").result

    def exception(self, run: int) -> BaseException | None:
        """Give what a run raised, with its message and traceback; None where nothing. Raises as `profile`."""
        if run in self._errors:
            return self._errors[run]
        return self._trial(run, "exception").exception

    # what they tell

    def summary(self, by: str | Sequence[str] | None = None, confidence: float = 0.95) -> pd.DataFrame:
        """Average the runs of each point.

        Parameters
        ----------
        by : str or sequence of str, optional
            Parameters; without them all of the grid.
        confidence : float
            Share of such intervals that hold the true mean.

        Returns
        -------
        pandas.DataFrame
            Indexed by the parameters (of several, ``"None"`` stands for None): ``runs``, ``ok``, ``failed``; of each
            score, of cost (USD), tokens by kind, seconds and calls the mean over the runs that ended ``ok``, with
            ``…_low`` and ``…_high``, a bootstrap interval (NaN below two runs; see `tokprof.analysis.bootstrap`), or
            Wilson's of a score that is always 0 or 1; of a score also ``…_runs``, how many have one; ``cost_coverage``,
            the least of a run: below 1 the mean cost is a lower bound.

        Raises
        ------
        ValueError
            For what is no parameter, or a `confidence` outside of 0 to 1.
        """
        names = self.params if by is None else [by] if isinstance(by, str) else list(by)
        for name in names:
            if name not in (*self.params, "point", "repeat"):
                raise ValueError(f"{name!r} is no parameter; known: {', '.join((*self.params, 'point', 'repeat'))}")
        if not 0 < confidence < 1:
            raise ValueError(f"confidence is a share, for instance 0.95, not {confidence!r}")
        grouped = ["point", *names] if by is None else names
        frame = summary(self.df.sort_values(["point", "run"]), grouped, self._measures, confidence, names)
        return frame.drop(columns="point") if by is None else frame

    def pareto(
        self,
        x: str | None = None,
        y: str | None = None,
        *,
        maximize: Sequence[str] | None = None,
        confidence: float = 0.95,
    ) -> pd.DataFrame:
        """Find the points that no other one beats: none has at least as much score for at most as much money.

        Parameters
        ----------
        x, y : str, optional
            Figures or scores; `x` is cost, or tokens where no cost is known; `y` is the first score, or tokens without
            one.
        maximize : sequence of str, optional
            Of which more is better: the scores, unless you say otherwise (``maximize=()`` where `y` is a loss).
        confidence : float
            As in `summary`.

        Returns
        -------
        pandas.DataFrame
            All points, least `x` first: ``point``, the parameters, `x` and `y` with their intervals, ``ok``, and
            ``dominated``, False for those on the front; null where a figure is not known. Points are compared by their
            means: where intervals overlap, more repeats may tell otherwise.

        Raises
        ------
        ValueError
            For what is no figure or score.
        """
        import pandas as pd

        x, y = self._price if x is None else self._measure(x), self._measure(y)
        more = self.scores if maximize is None else [self._measure(name) for name in maximize]
        frame = self._by_point(confidence)
        signed = np.column_stack([frame[name].to_numpy(np.float64) * (-1 if name in more else 1) for name in (x, y)])
        known = ~np.isnan(signed).any(axis=1)
        frame["dominated"] = pd.arrays.BooleanArray(~front(signed), ~known)
        kept = dict.fromkeys([f"{name}{end}" for name in (x, y) for end in ("", "_low", "_high")])
        frame = frame[["point", *self.params, *kept, "ok", "dominated"]]
        return frame.sort_values([x, y], ascending=[x not in more, y not in more], kind="stable", ignore_index=True)

    def best(
        self, target: float | None = None, y: str | None = None, x: str | None = None, *, sure: bool = False
    ) -> Best:
        """Find the cheapest point whose score is high enough.

        Parameters
        ----------
        target : float, optional
            Least mean score; without it the highest one of all.
        y, x : str, optional
            The score, and what to spend least of: cost, or tokens where no cost is known. Of a figure that is spent as
            `y`, less is better: ``best(y="seconds", target=2)`` is the cheapest of those that take 2 s at most, and
            ``best()`` without any score the one with the fewest tokens.
        sure : bool
            Whether the whole interval of the score must reach the target, not the mean alone.

        Returns
        -------
        Best
            Shows parameters, score, cost, tokens and time; all else that ``summary()`` tells is at hand by name,
            ``best["score_low"]``. ``fn(**best.params)`` calls the function as it was called.

        Raises
        ------
        ValueError
            Where no point reaches the target, with the highest score there is.
        """
        x, y = self._price if x is None else self._measure(x), self._measure(y)
        frame = self._by_point().set_index("point")
        sign, end = (1, "low") if y in self.scores else (-1, "high")
        reached = sign * (frame[f"{y}_{end}"] if sure else frame[y])
        if not frame["ok"].any():
            raise ValueError("no run ended well, so that no point is the best one")
        if not reached.notna().any():
            raise ValueError(f"no point has a known {'interval of ' if sure else ''}{y}")
        least = float(reached.max()) if target is None else sign * target
        fine = frame[reached >= least - ALIKE].astype(object)  # else a row of numbers would make all of them one kind
        if not len(fine):
            top = self._point(int(frame.index[int(np.nanargmax(reached.to_numpy(np.float64)))]))
            most, far = ("highest", "lower") if sign > 0 else ("least", "upper")
            what = f"{most} {f'{far} end of its interval' if sure else 'mean'} is {sign * reached.max():.4g}"
            raise ValueError(f"no point reaches {y} {target}; the {what} ({top.words() or self.title})")
        row = fine.sort_values([x, y], ascending=[True, sign < 0], kind="stable", na_position="last").iloc[0]
        point = self._point(int(str(row.name)))
        first = dict.fromkeys([y, *self.scores[:3], x, "cost", "total_tokens", "seconds"])
        return Best(row, point.params, point.words(self._varying() or self.params), [*first])

    def compare(self, before: int | Mapping[str, Any], after: int | Mapping[str, Any]) -> Comparison:
        """Compare the runs of two points, or of two values of a parameter: which function, step and model differs.

        Parameters
        ----------
        before, after : int or mapping
            Number of a point, or parameters as in ``df``: ``compare({"model": "a"}, {"model": "b"})``.

        Returns
        -------
        Comparison
            Of the runs that ended ``ok`` and whose profiles are at hand; see `tokprof.compare`.

        Raises
        ------
        LookupError
            Where there is no such run.
        """
        from tokprof.views.comparison import compare

        made = compare(self._profiles(before), self._profiles(after))
        made.names = self._words(before), self._words(after)
        return made

    # what is shown

    def chart(self, x: str | None = None, y: str | None = None, color: str | None = None) -> Chart:
        """Draw each point with its intervals, and the front that none of them beats.

        Parameters
        ----------
        x, y : str, optional
            As in `pareto`.
        color : str, optional
            A parameter; by default the first one with several values.

        Returns
        -------
        Chart
            It shows itself; ``.chart`` is the chart of Altair, to change, combine and save.
        """
        from tokprof.views.experiment_charts import pareto

        return pareto(self, self._price if x is None else self._measure(x), self._measure(y), color)

    def heatmap(self, x: str | None = None, y: str | None = None, metric: str | None = None) -> Chart:
        """Draw the mean of a figure for each pair of values of two parameters, over all others.

        Parameters
        ----------
        x, y : str, optional
            Parameters; by default the first two with several values.
        metric : str, optional
            A figure or score; by default the first score, or tokens without one.
        """
        from tokprof.views.experiment_charts import heatmap

        return heatmap(self, x, y, self._measure(metric))

    def to_html(self, path: str | Path | None = None) -> str:
        """One page without script; of prompts and answers, nothing but what stands in the parameters.

        Parameters
        ----------
        path : str or Path, optional
            Where to write it too.
        """
        from tokprof.views.static import page

        whole = page(f"tokprof {clean(self.title, 80)}", self._repr_html_())
        if path is not None:
            Path(path).write_text(whole, encoding="utf-8")
        return whole

    def __repr__(self) -> str:
        from tokprof.views.experiment_words import text

        return text(self)

    def _repr_html_(self, picture: bool = True) -> str:
        from tokprof.views.experiment_words import html

        return html(self, picture)

    def _ipython_display_(self) -> None:
        from tokprof.views.experiment_words import show

        show(self)

    # inside

    @property
    def _measures(self) -> list[str]:
        return [*self.scores, "cost", *TOKEN_COLUMNS, "seconds", "calls"]

    @property
    def _price(self) -> str:
        """What the points of the front are cheapest by: money, or tokens where no cost is known."""
        return "cost" if any(row.get("cost") is not None for row in self._rows.values()) else "total_tokens"

    def _measure(self, name: str | None) -> str:
        """A column of figures, by its name or the name of a metric."""
        if name is None:
            return self.scores[0] if self.scores else "total_tokens"
        found = name if name in self.scores else ALIASES.get(name, name)
        if found not in (*self.scores, *SPENDING):
            raise ValueError(f"{name!r} is no figure of a run; known: {', '.join((*self.scores, *SPENDING))}")
        return found

    def _by_point(self, confidence: float = 0.95) -> pd.DataFrame:
        runs = self.df.sort_values(["point", "run"])
        return summary(runs, ["point", *self.params], self._measures, confidence, [])

    def _varying(self) -> list[str]:
        """Parameters with several values."""
        shown = {name: [point.shown.get(name) for point in self._points] for name in self.params}
        return [name for name, values in shown.items() if len({(type(value), str(value)) for value in values}) > 1]

    def _point(self, number: int) -> Point:
        if not 1 <= number <= len(self._points):
            raise KeyError(f"there is no point {number}; the grid has {len(self._points)}")
        return self._points[number - 1]

    def _plan(self, run: int) -> Planned:
        if run not in self._planned:
            raise KeyError(f"there is no run {run}; the experiment has {len(self._planned)}")
        return self._planned[run]

    def _trial(self, run: int, what: str) -> Trial:
        self._plan(run)
        if run in self._trials:
            return self._trials[run]
        if run not in self._rows:
            raise LookupError(f"run {run} was not made")
        why = "it was read from the file" if self._rows[run].get("read") else "keep_profiles=False"
        raise LookupError(f"the {what} of run {run} is not at hand: {why}")

    def _words(self, which: int | Mapping[str, Any]) -> str:
        if isinstance(which, Mapping):
            return ", ".join(f"{name}={value}" for name, value in which.items())
        return self._point(which).words(self._varying()) or self.title

    def _profiles(self, which: int | Mapping[str, Any]) -> list[Profile]:
        if isinstance(which, Mapping):
            for name in which:
                if name not in self.params:
                    raise ValueError(f"{name!r} is no parameter; known: {', '.join(self.params)}")
            same = [
                point.number
                for point in self._points
                if all(name in point.params and point.has(name, value) for name, value in which.items())
            ]
        else:
            same = [self._point(which).number]
        found = [
            trial.profile
            for number, trial in sorted(self._trials.items())
            if self._planned[number].point.number in same and trial.status == "ok"
        ]
        if not found:
            raise LookupError(f"there is no run of {which!r} that ended well and whose profile is at hand")
        return found
