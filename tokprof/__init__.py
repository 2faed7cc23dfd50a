"""tokprof: a profiler for tokens.

``%load_ext tokprof``, then ``%%tokprof`` on top of a cell; or ``with tokprof.profile() as prof:`` anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import tokprof.capture  # noqa: F401  (hooks into the recorder)
from tokprof import processors
from tokprof.export.load import load
from tokprof.insight import compare
from tokprof.meter import prices
from tokprof.processors import use
from tokprof.profile import Profile, last, profile
from tokprof.steps import span
from tokprof.table import Table
from tokprof.trace import join, traceparent
from tokprof.wrapping import wrap

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__version__ = "0.1.0"
__all__ = [
    "Profile",
    "Table",
    "compare",
    "join",
    "last",
    "load",
    "load_ipython_extension",
    "prices",
    "processors",
    "profile",
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
