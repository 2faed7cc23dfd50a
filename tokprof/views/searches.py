"""What a search for a budget found: the answer, the trials behind it, and how it shows itself."""

from __future__ import annotations

import base64
import math
from collections import Counter
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from tokprof.analysis import sequential
from tokprof.analysis.bootstrap import Interval, intervals
from tokprof.analysis.experiments import figures
from tokprof.analysis.search import Search, Tried
from tokprof.recorder import warn_once
from tokprof.views.charts import Chart
from tokprof.views.experiment_charts import aligned
from tokprof.views.markup import unmathed
from tokprof.views.words import clean, count, doubts, summary, tokens, usd, usd_places

if TYPE_CHECKING:
    import pandas as pd

    from tokprof.profile import Profile
    from tokprof.trials.trial import Trial

METRICS = {"output": "output_tokens", "tokens": "total_tokens", "reasoning": "reasoning_tokens"}
"""What a budget is to save, and the column it stands in."""

_UNITS = {"output": "output tokens", "tokens": "tokens", "reasoning": "reasoning tokens"}
_FIGURES = ("input_tokens", "output_tokens", "reasoning_tokens", "total_tokens", "calls", "cost", "seconds")
_UNSURE = "the mean decided: the test was not sure of these budgets"
_WHOLE = ("input_tokens", "output_tokens", "reasoning_tokens", "total_tokens", "calls")


class Reduction(NamedTuple):
    """Tokens saved, in %, with the interval at 95 % (NaN where too few runs tell)."""

    percent: float
    low: float
    high: float

    def __str__(self) -> str:
        if math.isnan(self.percent):
            return "unknown"
        between = "" if math.isnan(self.low) else f" ({self.low:.1f} to {self.high:.1f})"
        return f"{self.percent:.1f} %{between}"


@dataclass(frozen=True, slots=True)
class Goal:
    """Which score is to be kept, and how scores are put between 0 and 1, where 1 is best.

    Attributes
    ----------
    target : float or None
    tolerance : float
    range : tuple of float
    up : bool
        Whether more is better.
    confidence : float

    Raises
    ------
    TypeError, ValueError
        For what is no range, or lies outside of it.
    """

    target: float | None
    tolerance: float
    range: tuple[float, float]
    up: bool
    confidence: float

    def __post_init__(self) -> None:
        try:
            low, high = self.range
            fine = math.isfinite(low) and math.isfinite(high) and low < high
        except (TypeError, ValueError):
            raise TypeError(f"score_range is a pair of numbers, least and greatest, not {self.range!r}") from None
        if not fine:
            raise ValueError(f"score_range goes from less to more, not from {low} to {high}")
        for what, value in (("target", self.target), ("tolerance", self.tolerance)):
            if value is None and what == "target":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"{what} must be a number, not {value!r}")
        if self.target is not None and not low <= self.target <= high:
            raise ValueError(f"target {self.target} is not within score_range, {low} to {high}")
        if not 0 <= self.tolerance <= high - low:
            raise ValueError(f"tolerance must be from 0 to {high - low}, not {self.tolerance}")

    @property
    def norm_target(self) -> float | None:
        """The target between 0 and 1."""
        return None if self.target is None else self.norm(self.target)

    @property
    def norm_tolerance(self) -> float:
        """The tolerance as a share of the range."""
        return self.tolerance / (self.range[1] - self.range[0])

    def norm(self, score: float) -> float:
        """Put a score between 0 and 1."""
        low, high = self.range
        share = (score - low) / (high - low)
        return share if self.up else 1 - share

    def plain(self, share: float) -> float:
        """Give the score that `norm` was made from."""
        low, high = self.range
        return low + (share if self.up else 1 - share) * (high - low)

    def between(self, found: Interval) -> tuple[float, float]:
        """Give an interval in scores."""
        ends = self.plain(found.low), self.plain(found.high)
        return ends if self.up else ends[::-1]


class BudgetSearch:
    """What `tokprof.search_budget` found. It shows itself as text, and as HTML without script.

    Attributes
    ----------
    name : str
        Of the function; empty of a lambda.
    metric : str
        What was to be saved.
    interrupted : bool
        Whether the user ended the search before it had found its answer.
    stopped : str or None
        By which budget it was ended, in words.
    trials : list of Trial
        Every run with its profile, result and score, in order.
    """

    def __init__(self, name: str, strategy: Search, goal: Goal, metric: str, miss: bool, relative: bool):
        self.name, self.metric = name, metric
        self.interrupted = False
        self.stopped: str | None = None
        self.trials: list[Trial] = []
        self._strategy, self._goal = strategy, goal
        self._miss, self._relative = miss, relative
        self._rows: list[dict[str, Any]] = []
        self._whole: Profile | None = None

    @property
    def title(self) -> str:
        """``search`` and its name."""
        return f"search {self.name}".rstrip()

    # the answer

    @property
    def budget(self) -> int | None:
        """The budget that was found; None where there is none. Of a search that was cut short, the best so far."""
        at = self._best
        return None if at is None else self._strategy.tried[at].budget

    @property
    def complete(self) -> bool:
        """Whether the search came to its end."""
        return self._strategy.answer is not None or bool(self._strategy.reason)

    @property
    def reason(self) -> str:
        """Why `budget` is what it is, in a sentence."""
        highest = self._tried[-1]
        if self.interrupted or self.stopped:
            ended = "interrupted" if self.interrupted else f"stopped: {self.stopped}"
            found = "no budget is sure to keep the score yet" if self.budget is None else "the best so far"
            return f"{ended}; {found}"
        why = self._strategy.reason
        if why == "failed":
            raised = Counter(row["error"] for row in self._rows if row["error"]).most_common(1)
            return f"every run at {highest.budget:,} failed ({raised[0][0] if raised else 'error'})"
        if why == "unscored":
            notes = Counter(row["note"] for row in self._rows if row["note"]).most_common(1)
            return f"no run at {highest.budget:,} has a score{f' ({notes[0][0]})' if notes else ''}"
        if why == "missed":
            return f"even {highest.budget:,} tokens miss the target: {self._said(highest)}"
        answer = self._strategy.answer
        if answer is None:
            return "the search has not ended"
        if any(self.summary()["decision"] == "longer"):
            return "answers get longer again with less"
        if answer == 0:
            return "the smallest budget of the search keeps the score"
        return "the next smaller budget misses the score"

    @property
    def target(self) -> float | None:
        """The score to keep; None where it is not known yet."""
        threshold = self._strategy.threshold
        return None if threshold is None else self._goal.plain(threshold)

    @property
    def reduction(self) -> Reduction:
        """Tokens that the answer saves against the largest budget, in %, with its bootstrap interval."""
        at = self._best
        if at is None:
            return Reduction(math.nan, math.nan, math.nan)
        found, between = sequential.reduction(self._tried[-1].tokens, self._tried[at].tokens)
        return Reduction(found, between.low, between.high)

    # what it rests on

    @property
    def profile(self) -> Profile:
        """Everything the search did, the scores too."""
        assert self._whole is not None
        return self._whole

    @property
    def df(self) -> pd.DataFrame:
        """One row a run, in order.

        Returns
        -------
        pandas.DataFrame
            ``trial``, ``budget``, ``repeat``, ``status`` (``ok``, ``error``, ``stopped``, ``interrupted``), ``score``
            (NaN where there is none), ``used`` (tokens that count; NaN where not all are known), tokens by kind,
            ``calls``, ``cost`` (USD), ``seconds``, ``error`` and ``note``.
        """
        import pandas as pd

        names = ("trial", "budget", "repeat", "status", "score", "used", *_FIGURES, "error", "note")
        frame = pd.DataFrame([[row.get(name) for name in names] for row in self._rows], columns=list(names))
        kinds: dict[str, Any] = {
            **dict.fromkeys(("trial", "budget", "repeat"), "int64"),
            **dict.fromkeys(_WHOLE, "Int64"),
            **dict.fromkeys(("score", "used", "cost", "seconds"), "float64"),
        }
        return frame.astype(kinds)

    def summary(self) -> pd.DataFrame:
        """What was found of each budget that was tried.

        Returns
        -------
        pandas.DataFrame
            Indexed by ``budget``: ``trials``, ``failed``, ``score`` with ``score_low`` and ``score_high`` (Wilson's
            interval of pass and fail, else a bootstrap's), ``tokens`` with ``tokens_low`` and ``tokens_high`` (means of
            the runs that ended well), ``cost`` (USD, mean), ``decision`` and ``sure``, whether the test was: else the
            mean decided after the most repeats. Decisions: ``best``; ``kept``, the score; ``missed``; ``longer``: the
            score is kept, but answers are longer than with more; ``open``: the search was cut short.
        """
        import pandas as pd

        rows = []
        for at, (one, decision) in enumerate(zip(self._tried, self._decisions(), strict=True)):
            if not one.trials:
                continue
            between = self._goal.between(sequential.interval(one.scores, self._goal.confidence))
            spent = self._interval(one)
            paid = [row["cost"] for row in self._rows if row["budget"] == one.budget and row["cost"] is not None]
            cost = math.fsum(paid) / len(paid) if paid else math.nan
            score = self._goal.plain(one.score)
            found = [one.budget, one.trials, one.failed, score, *between, one.used, *spent, cost, decision]
            rows.append([*found, self._strategy.sure(at) is not None])
        columns = ["budget", "trials", "failed", "score", "score_low", "score_high"]
        columns += ["tokens", "tokens_low", "tokens_high", "cost", "decision", "sure"]
        return pd.DataFrame(rows, columns=columns).set_index("budget")

    def elasticity(self) -> Chart:
        """Draw the tokens used against the budget asked for, with the score as colour.

        Returns
        -------
        Chart
            It shows itself; ``.chart`` is that of Altair, to change, combine and save.
        """
        from tokprof.views.elasticity import elasticity

        return elasticity(self)

    # what is shown

    def __repr__(self) -> str:
        lines = [f"tokprof {self._headline()}", *self._sentences()]
        if self._rows:
            lines += ["", *aligned(self._cells(), 0)]
            lines += [f"? {_UNSURE}"] if self._unsure else []
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head, *rest = [self._headline(), *self._sentences()]
        parts = [f"<p><b>{escape(head)}</b>{''.join(f'<br>{escape(each)}' for each in rest)}</p>"]
        if not self._rows:
            return unmathed(parts[0])
        titles, *rows = self._cells()
        cells = "".join(f"<th{_side(at, titles)}>{escape(each)}</th>" for at, each in enumerate(titles))
        parts.append(f"<table><thead><tr>{cells}</tr></thead><tbody>")
        for row in rows:
            strong = ("<b>", "</b>") if row[-1].startswith("best") else ("", "")
            parts.append("<tr>")
            parts += [
                f"<td{_side(at, row)}>{escape(cell).join(strong)}</td>"
                if at not in (3, 5)
                else f'<td{_side(at, row)}><small style="opacity:.75">{escape(cell)}</small></td>'
                for at, cell in enumerate(row)
            ]
            parts.append("</tr>")
        parts.append("</tbody></table>")
        parts += [f"<p>? {escape(_UNSURE)}</p>"] if self._unsure else []
        try:
            picture = base64.b64encode(self.elasticity().svg.encode()).decode()
            parts.append(
                '<img alt="Tokens used against budgets asked for; the table holds its figures" '
                f'src="data:image/svg+xml;base64,{picture}" style="width:100%;max-width:768px">'
            )
        except Exception as error:
            warn_once("draw the chart of a search", error)
        return unmathed("".join(parts))

    # inside

    @property
    def _tried(self) -> list[Tried]:
        return self._strategy.tried

    @property
    def _best(self) -> int | None:
        strategy = self._strategy
        if strategy.answer is not None or strategy.reason:
            return strategy.answer
        kept = (at for at, keeps in enumerate(strategy.keeps()) if keeps and strategy.sure(at))
        return next(kept, None)

    @property
    def _unit(self) -> str:
        return _UNITS[self.metric]

    def _take(self, at: int, trial: Trial) -> None:
        """Take in a run."""
        one = self._tried[at]
        spent = figures(trial.profile.table)
        ended = trial.status in ("ok", "error")
        score, note = self._scored(trial)
        used = spent[METRICS[self.metric]]
        if trial.status != "ok" or not spent["calls"] or spent["unknown_calls"] or used is None:
            used = math.nan
        if trial.status == "ok" and not spent["calls"]:
            note = "; ".join(filter(None, (note, "no model call was seen")))
        if ended:
            failed = trial.status == "error"
            norm = 0.0 if failed and self._miss else math.nan if math.isnan(score) else self._goal.norm(score)
            self._strategy.add(at, norm, float(used), failed)
        self.trials.append(trial)
        row = {"trial": len(self._rows) + 1, "budget": one.budget, "status": trial.status, "score": score}
        row["repeat"] = 1 + sum(each["budget"] == one.budget for each in self._rows)
        self._rows.append({**spent, **row, "used": used, "error": trial.error, "note": note})

    def _scored(self, trial: Trial) -> tuple[float, str]:
        """Score of a run, and what is wrong with it."""
        score, note = trial.score, "; ".join(trial.notes)
        low, high = self._goal.range
        if not math.isnan(score) and not low <= score <= high:
            return math.nan, f"score {score:g} is not within score_range, {low:g} to {high:g}"
        return score, note

    def _decisions(self) -> list[str]:
        strategy = self._strategy
        found = []
        for at, keeps in enumerate(strategy.keeps()):
            if keeps is None or not (self.complete or strategy.sure(at) is not None):
                found.append("open")
            elif not keeps:
                found.append("missed")
            elif at == self._best:
                found.append("best")
            else:
                found.append("longer" if self._best is not None and at < self._best else "kept")
        return found

    def _interval(self, one: Tried) -> Interval:
        import numpy as np

        return intervals(np.asarray(one.tokens, np.float64)[:, None], self._goal.confidence)[0]

    @property
    def _unsure(self) -> bool:
        """Whether the mean decided on a budget, and no test."""
        frame = self.summary()
        return bool((~frame["sure"] & (frame["decision"] != "open")).any())

    def _said(self, one: Tried) -> str:
        wanted = "" if self.target is None else f", target {self.target:.3g}"
        return f"score {self._goal.plain(one.score):.3g}{wanted}"

    def _headline(self) -> str:
        name = clean(self.title, 80)
        at = self._best
        if at is None:
            return f"{name}: no budget found"
        return f"{name}: {self._tried[at].budget:,} tokens, {self._said(self._tried[at])}"

    def _sentences(self) -> list[str]:
        """What the answer is worth and rests on."""
        said = [f"{self.reason[:1].upper()}{self.reason[1:]}."]
        at, highest = self._best, self._tried[-1]
        if at is not None and self._tried[at].tokens and highest.tokens:
            before, after = tokens(highest.used), tokens(self._tried[at].used)
            saved = self.reduction
            less = f"{saved} fewer" if saved.percent >= 0 else f"{Reduction(-saved[0], -saved[2], -saved[1])} more"
            said.append(f"{after} {self._unit} instead of {before} with {highest.budget:,}: {less}.")
        totals = self.profile.totals
        said.append(f"{count(len(self._rows), 'run')}: {', '.join(summary(totals))}.")
        unseen = sum(row["note"] is not None and "no model call" in row["note"] for row in self._rows)
        if unseen:
            said.append(f"{count(unseen, 'run')} in which no model call was seen: their tokens are not known.")
        unscored = sum(row["status"] == "ok" and math.isnan(row["score"]) for row in self._rows)
        if unscored:
            said.append(f"{count(unscored, 'run')} without a score; see .df.note.")
        failed = sum(row["status"] == "error" for row in self._rows)
        if failed:
            said.append(f"{count(failed, 'run')} failed, counted as {'a miss' if self._miss else 'nothing'}.")
        return said + doubts(totals)

    def _cells(self) -> list[list[str]]:
        """The table: titles, then a row for each budget."""
        rows = [["budget", "runs", "score", "", self._unit, "", "cost", ""]]
        frame = self.summary()
        places = usd_places(frame["cost"])
        for budget, row in frame.iterrows():
            score, spent = float(row["score"]), float(row["tokens"])
            rows.append(
                [
                    f"{budget:,}",
                    str(row["trials"]),
                    "–" if math.isnan(score) else f"{score:.3g}",
                    _between(f"{row['score_low']:.3g}", f"{row['score_high']:.3g}", float(row["score_low"])),
                    "?" if math.isnan(spent) else tokens(spent),
                    _between(_known(row["tokens_low"]), _known(row["tokens_high"]), float(row["tokens_low"])),
                    "?" if math.isnan(row["cost"]) else usd(float(row["cost"]), places),
                    str(row["decision"]) + ("" if row["sure"] or row["decision"] == "open" else " ?"),
                ]
            )
        return rows


def _known(value: float) -> str:
    return "" if math.isnan(value) else tokens(value)


def _between(low: str, high: str, known: float) -> str:
    return "" if math.isnan(known) else f"({low} – {high})"


def _side(at: int, row: list[str]) -> str:
    return f' style="text-align:{"left" if at == len(row) - 1 else "right"}"'
