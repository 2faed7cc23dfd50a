"""The flamegraph widget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from tokprof.span import METRICS
from tokprof.views import STATIC
from tokprof.views.widget import ProfileView

if TYPE_CHECKING:
    from tokprof.profile import Profile


class Flamegraph(ProfileView):
    """Interactive flamegraph of a profile.

    Where prompts were kept (``capture="full"``), the parts of each are below its call: see `Profile.segments`.

    Parameters
    ----------
    profile : Profile
    metric : {"tokens", "input", "output", "cached", "reasoning", "cost", "time"}
        What the width of a node stands for at first; the reader may switch.

    Attributes
    ----------
    selection : pandas.DataFrame
        Rows of ``prof.df`` at or below the node that was clicked; empty while none is chosen.
    """

    _esm = STATIC / "flamegraph.js"
    _css = STATIC / "flamegraph.css"
    _prompts = True
    metric = traitlets.Enum(METRICS, "tokens").tag(sync=True)

    def __init__(self, profile: Profile, metric: str = "tokens", **traits: Any):
        if metric not in METRICS:
            raise ValueError(f"{metric!r} is no metric; known: {', '.join(METRICS)}")
        super().__init__(profile, metric=metric, **traits)
