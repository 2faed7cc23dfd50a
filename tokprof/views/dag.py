"""The widget of the graph of steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from tokprof.span import METRICS
from tokprof.views import STATIC
from tokprof.views.widget import ProfileView

if TYPE_CHECKING:
    from tokprof.profile import Profile

EDGES = ("calls", "data")


class Dag(ProfileView):
    """Interactive graph of a profile's steps: which agents, functions and tools called which, and which models.

    The runs of a step under the same callers are one node, and can be taken apart; a model is one node, whoever calls
    it. A step that calls one around it leads back to that one. Functions that do nothing but call one other function
    are folded into it. An edge is as wide as the tokens spent below it.

    Where prompts and answers were kept (``capture="full"``), it also shows the data: which answers came back in whose
    prompts, as `Profile.flow` finds them, between the steps that made the calls. An edge is as wide as the tokens that
    were passed on.

    The critical path is the chain of steps that determines when the profile ends: from the end backwards, of the steps
    inside a step the one that ended last, then the one that had ended last before it began, and so on.

    Parameters
    ----------
    profile : Profile
    metric : {"tokens", "input", "output", "cached", "reasoning", "cost", "time"}
        Of what the bars in the nodes show a share at first; the reader may switch.
    edges : {"calls", "data"}
        What the edges are at first: who called whom, or who passed text on to whom; the reader may switch.

    Attributes
    ----------
    selection : pandas.DataFrame
        Rows of ``prof.df`` at or below the node or edge that was clicked; empty while none is chosen.

    Raises
    ------
    ValueError
        For an unknown `metric` or `edges`.
    """

    _esm = STATIC / "dag.js"
    _css = STATIC / "dag.css"
    metric = traitlets.Enum(METRICS, "tokens").tag(sync=True)
    edges = traitlets.Enum(EDGES, "calls").tag(sync=True)
    _flows = True

    def __init__(self, profile: Profile, metric: str = "tokens", edges: str = "calls", **traits: Any):
        if metric not in METRICS:
            raise ValueError(f"{metric!r} is no metric; known: {', '.join(METRICS)}")
        if edges not in EDGES:
            raise ValueError(f"{edges!r} are no edges; known: {', '.join(EDGES)}")
        super().__init__(profile, metric=metric, edges=edges, **traits)
