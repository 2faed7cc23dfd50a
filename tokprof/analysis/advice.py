"""What to change to spend less: findings with their evidence, ranked by what is at stake."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tokprof.analysis import contents, findings, moved
from tokprof.analysis.books import embeds
from tokprof.analysis.findings import Calls, Finding
from tokprof.analysis.thresholds import EVIDENCE
from tokprof.table import Table

if TYPE_CHECKING:
    import pandas as pd

FINDERS = (
    contents.identical,
    contents.prefixes,
    moved.early_changes,
    contents.history,
    contents.tools,
    findings.failures,
    findings.cut,
    findings.reasoning,
    findings.sequential,
    findings.cheaper,
    findings.untold,
)


def advice(table: Table) -> pd.DataFrame:
    """Look for waste.

    Parameters
    ----------
    table : Table

    Returns
    -------
    pandas.DataFrame
        One row a finding, most USD first, then most tokens, then most seconds: ``finding``, ``what``, ``calls``,
        ``tokens`` (null where not known), ``usd`` (NaN where not known, also of a part), ``seconds``, ``evidence``
        (a tuple of span ids, the first `EVIDENCE`) and ``change``. What is at stake is the most that could be saved;
        findings may overlap and do not add up. ``attrs["unread_calls"]``: calls of language models whose prompt was not
        kept, in which identical calls, prefixes, history and tools were not looked for. The limits are in
        `tokprof.analysis.thresholds`.
    """
    import pandas as pd

    calls = Calls(table)
    found = [finding for finder in FINDERS for finding in finder(calls)]
    found.sort(key=_rank)
    ids = table.frame(["span_id"])["span_id"].to_numpy()
    frame = pd.DataFrame(
        {
            "finding": [each.finding for each in found],
            "what": [each.what for each in found],
            "calls": np.array([len(each.rows) for each in found], np.int64),
            "tokens": pd.array([None if each.tokens is None else round(each.tokens) for each in found], dtype="Int64"),
            "usd": np.array([each.usd for each in found], np.float64),
            "seconds": np.array([each.seconds for each in found], np.float64),
            "evidence": [tuple(ids[each.rows[:EVIDENCE]]) for each in found],
            "change": [each.change for each in found],
        }
    )
    turns = [row for row in calls.rows if not embeds(table.spans[row])]
    frame.attrs["unread_calls"] = len(turns) - len(calls.prompts)
    return frame


def _rank(finding: Finding) -> tuple[float, float, float]:
    usd = 0.0 if math.isnan(finding.usd) else finding.usd
    return -usd, -(finding.tokens or 0.0), -finding.seconds
