"""What to change to spend less: the questions that a profile answers beyond what was spent, and two compared."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from tokprof.analysis.tree import Tree
    from tokprof.profile import Profile
    from tokprof.table import Table
    from tokprof.views.comparison import Comparison


class Insight:
    """The part of `Profile` that asks what could be different."""

    if TYPE_CHECKING:

        @property
        def table(self) -> Table: ...  # noqa: D102
        @property
        def call_tree(self) -> Tree: ...  # noqa: D102

    def critical_path(self, metric: str = "time") -> pd.DataFrame:
        """Find the chain of steps that determines when the profile ends: what, if faster, would end it sooner.

        Parameters
        ----------
        metric : {"time", "tokens", "cost"}
            ``time``: stretches of time from the start to the end, waits and gaps included. ``tokens`` and ``cost``: of
            all chains of steps that followed on each other, the one that used most.

        Returns
        -------
        pandas.DataFrame
            In order of time: ``start_s``, ``end_s``, ``seconds``, ``tokens``, ``cost`` (USD), ``share``, ``span_id``,
            ``name``, ``kind``, ``where``, ``what`` (``call``, ``step``, ``gap``, ``wait``) and ``note``; see
            `tokprof.analysis.critical.path_frame`.

        Raises
        ------
        ValueError
            For an unknown metric.
        """
        from tokprof.analysis.critical import path_frame

        return path_frame(self.table, self.call_tree, metric)

    def slack(self) -> pd.DataFrame:
        """Find by how much longer each span could have taken without a later end of the profile.

        Returns
        -------
        pandas.DataFrame
            ``span_id``, ``name``, ``kind``, ``where``, ``start_s``, ``duration_s``, ``slack_s`` (seconds; infinite
            where nothing waited for it) and ``critical``, least slack first.
        """
        from tokprof.analysis.critical import slack_frame

        return slack_frame(self.table, self.call_tree)

    def levels(self) -> pd.DataFrame:
        """Find what each depth of the profile used, and how much ran side by side there.

        Returns
        -------
        pandas.DataFrame
            Indexed by ``depth``: ``spans``, ``calls``, ``tokens``, ``cost`` (USD), ``duration_s``, ``busy_s``,
            ``parallelism`` and ``peak``; peak and mean number of calls at once are in ``attrs``. See
            `tokprof.analysis.levels.levels`.
        """
        from tokprof.analysis.levels import levels

        return levels(self.table)

    def segments(self) -> pd.DataFrame:
        """Take each prompt apart: what its parts came to, what of them was sent before, and what they cost.

        Needs the prompts, kept with ``capture="full"``; says nothing of what stands in them.

        Returns
        -------
        pandas.DataFrame
            One row a part of a call: ``part`` (system, tools, history, user, tool result, image, ...), ``label`` and
            ``role``, ``characters``, ``estimated_tokens``, ``tokens`` (which come to exactly the input that the call
            told), ``replayed_tokens`` (sent before in this profile), ``new_tokens``, ``cached_tokens`` and ``cost``
            (USD). ``attrs["unread_calls"]`` counts the calls without a prompt. See
            `tokprof.analysis.segments.segments`.

        Examples
        --------
        >>> prof.segments().groupby("part")[["tokens", "replayed_tokens", "cost"]].sum()
        """
        from tokprof.analysis.segments import segments

        return _kept(segments(self.table))

    def flow(self) -> pd.DataFrame:
        """Find where information went: which answers came back in which prompts.

        Needs prompts and answers, kept with ``capture="full"``. It finds answers that were quoted, whole or in parts of
        32 characters or more, edited around the quotes, or put into JSON; turns that were sent again; and the results
        of tools.

        Returns
        -------
        pandas.DataFrame
            One row for each ``source``, ``target`` (span ids) and ``via``: ``history`` (an assistant's turn sent
            again), ``tool`` (through the ``tool`` of that name) or ``text`` (anywhere else in the prompt). With
            ``source_name``, ``target_name``; ``characters`` and ``tokens`` of the target's prompt, where the tokens of
            one answer in one prompt are never more than it had; ``share`` of the answer, from 0 to 1; ``positions``:
            (begin in the answer, begin in the prompt, length). ``attrs["unread_calls"]`` counts the calls without a
            prompt. See `tokprof.analysis.flow.flow`.

        Examples
        --------
        >>> who = prof.df.set_index("span_id")["function"]
        >>> flow = prof.flow()
        >>> flow.groupby([flow.source.map(who), flow.target.map(who), "via"])["tokens"].sum()
        """
        from tokprof.analysis.flow import flow

        return _kept(flow(self.table))

    def reprice(
        self,
        model: str | Sequence[str | None] | None = None,
        provider: str | None = None,
        *,
        cache: bool | None = None,
        batch: bool = False,
    ) -> pd.DataFrame:
        """Price the recorded run anew: what the same tokens would have cost elsewhere.

        Parameters
        ----------
        model : str, sequence of str, or None
            Which all language models are replaced by; of several, a row each. None leaves them as they are. With
            nothing told at all, there is a table of alternatives, cheapest first: the same models with prompts cached
            and as a batch, and other models of their makers.
        provider : str, optional
            Whose price list, by its name in `df`; without it, that of the provider that was called where it lists the
            model, else that of the model's maker.
        cache : bool, optional
            True: what stood at the beginning of an earlier prompt is read from a cache, from 1,024 tokens on and for
            five minutes after its last use; of calls whose prompt was not kept (``capture="full"``), the figures that
            they told. False: nothing is read from or written to a cache. None: as the calls told.
        batch : bool
            At the listed price of the tier ``batch``.

        Returns
        -------
        pandas.DataFrame
            Indexed by ``model``, the recorded run first: tokens, ``cost`` (USD, NaN unless every call has a price),
            ``known_cost``, ``unpriced_calls``, ``delta``, ``ratio`` and ``notes``, which say what the figures rest on;
            see `tokprof.analysis.reprice.reprice`. Prices are those of the day of the calls.

        Raises
        ------
        ValueError
            For a `model` that is no name.

        Examples
        --------
        >>> prof.reprice()
        >>> prof.reprice(["gpt-5.4-mini", "claude-haiku-4-5"], cache=True)
        """
        from tokprof.analysis.reprice import reprice

        return reprice(self.table, model, provider, cache, batch)

    def anomalies(self, baseline: Profile | Sequence[Profile] | None = None) -> pd.DataFrame:
        """Find calls whose tokens, latency, cost, attempts, number or model are unusual for their function.

        Parameters
        ----------
        baseline : Profile or sequence of Profile, optional
            Earlier profiles; without them, calls are compared with the others of this profile.

        Returns
        -------
        pandas.DataFrame
            One row a call, worst first: ``span_id``, ``function``, ``model``, ``what``, ``value``, ``usual``, ``score``
            (robust deviations) and ``reason`` in plain language; see `tokprof.analysis.anomalies.anomalies`.
        """
        from tokprof.analysis.anomalies import anomalies

        earlier = [self] if baseline is None else [*baseline] if isinstance(baseline, Sequence) else [baseline]
        return anomalies(self.table, [each.table for each in earlier])

    def advice(self) -> pd.DataFrame:
        """Find what to change to spend less, most money first.

        Returns
        -------
        pandas.DataFrame
            One row a finding: ``finding``, ``what`` (in plain language), ``calls``, ``tokens``, ``usd`` and ``seconds``
            at stake (null or NaN where not known), ``evidence`` (span ids) and ``change`` (what to do). Identical
            calls, repeated prefixes, history that is sent again and tools that are never called are found where prompts
            were kept (``capture="full"``); ``attrs["unread_calls"]`` counts the calls without. See
            `tokprof.analysis.advice`.
        """
        from tokprof.analysis.advice import advice

        return advice(self.table)


def _kept(frame: pd.DataFrame) -> pd.DataFrame:
    """Say why there is nothing in a frame, where that is because no prompts were kept."""
    unread = frame.attrs.get("unread_calls", 0)
    if unread and frame.empty:
        calls = "the one call here" if unread == 1 else f"the {unread:,} calls here"
        message = (
            f'the prompts of {calls} were not kept: profile with capture="full" (%%tokprof --capture full), '
            "and save with content=True"
        )
        warnings.warn(message, UserWarning, stacklevel=3)
    return frame


def compare(before: Profile | Sequence[Profile], after: Profile | Sequence[Profile]) -> Comparison:
    """Compare two profiles, or repeated runs: what changed, in which function, step and model.

    Parameters
    ----------
    before, after : Profile or sequence of Profile
        With several runs on both sides, figures are means, and each change has a 95 % bootstrap interval, so that noise
        is not taken for an improvement.

    Returns
    -------
    Comparison
        ``.totals``, ``.by("model")``, ``.tree()`` are DataFrames with before, after, delta, ratio and ``significant``;
        ``.flamegraph()`` draws the differences, ``.to_html(path)`` writes a page. It shows itself in notebooks.

    Raises
    ------
    TypeError, ValueError
        For what is no profile, or an empty list.

    Examples
    --------
    >>> tokprof.compare(before, after).by("function")["cost"]
    """
    from tokprof.views.comparison import compare as made

    return made(before, after)
