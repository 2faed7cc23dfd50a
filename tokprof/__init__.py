"""tokprof: a profiler for tokens.

``%load_ext tokprof``, then ``%%tokprof`` on top of a cell; or ``with tokprof.profile() as prof:`` anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import tokprof.capture  # noqa: F401  (hooks into the recorder)
from tokprof import alerts, processors, recipes
from tokprof.alerts import alert
from tokprof.allowance.exceeded import BudgetExceeded, BudgetWarning
from tokprof.budget import budget
from tokprof.cache import cache
from tokprof.experiment import experiment, last_experiment
from tokprof.export.load import load
from tokprof.insight import compare
from tokprof.meter import prices
from tokprof.processors import use
from tokprof.profile import Profile, last, profile
from tokprof.search import last_search, search_budget
from tokprof.steps import span
from tokprof.table import Table
from tokprof.trace import join, traceparent
from tokprof.wrapping import wrap

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__version__ = "0.1.0"
__all__ = [
    "BudgetExceeded",
    "BudgetWarning",
    "Profile",
    "Table",
    "alert",
    "alerts",
    "budget",
    "cache",
    "compare",
    "experiment",
    "join",
    "last",
    "last_experiment",
    "last_search",
    "load",
    "load_ipython_extension",
    "prices",
    "processors",
    "profile",
    "recipes",
    "search_budget",
    "span",
    "traceparent",
    "unload_ipython_extension",
    "use",
    "wrap",
]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """``%load_ext tokprof``."""
    from tokprof.magic import load_ipython_extension as begin

    begin(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """``%unload_ext tokprof``."""
    from tokprof.magic import unload_ipython_extension as unload

    unload(shell)


def __dir__() -> list[str]:
    return __all__
