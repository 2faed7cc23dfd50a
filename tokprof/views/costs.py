"""The cost table widget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import traitlets

from tokprof.views import STATIC
from tokprof.views.widget import ProfileView

if TYPE_CHECKING:
    from tokprof.profile import Profile

KEYS = ("model", "function", "agent", "tool", "cell:line", "provider", "kind", "call")
"""What calls can be grouped by, beside ``tag:NAME``; by ``call``, each stands alone."""

_ALSO = {"line": "cell:line"}


class Costs(ProfileView):
    """Interactive cost table of a profile.

    A call belongs to the innermost agent and tool around it, to the innermost function and line of yours that made it,
    and has its own tags and those of the steps around it. Percentiles are over the calls of a group, interpolated
    linearly.

    Parameters
    ----------
    profile : Profile
    by : str or sequence of str
        One or two of `KEYS` or ``tag:NAME``; the second groups within the first. The reader may switch.

    Attributes
    ----------
    selection : pandas.DataFrame
        Rows of ``prof.df`` of the calls that were chosen; empty while none is.

    Raises
    ------
    ValueError
        For another key, or more than two.
    """

    _esm = STATIC / "costs.js"
    _css = STATIC / "costs.css"
    by = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(self, profile: Profile, by: str | Sequence[str] = "model", **traits: Any):
        keys = [_ALSO.get(key, key) for key in ([by] if isinstance(by, str) else by)]
        for key in keys:
            if not isinstance(key, str) or not (key in KEYS or (key.startswith("tag:") and key != "tag:")):
                raise ValueError(f"{key!r} is nothing to group by; known: {', '.join(KEYS)}, tag:NAME")
        if not 1 <= len(keys) <= 2:
            raise ValueError(f"costs() groups by one key or two, not {len(keys)}")
        super().__init__(profile, by=keys, **traits)
