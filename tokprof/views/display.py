"""What a profile shows in a notebook: the live widget with a text tree, then a static snapshot.

Two outputs, because one bundle with both loses its HTML in the commonest case, a notebook reopened without widget
state. In a terminal the first one is the text tree and the second has nothing to print.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokprof.recorder import warn_once

if TYPE_CHECKING:
    from tokprof.profile import Profile

VIEWS = ("auto", "flamegraph", "text", "none")


def show(profile: Profile, view: str = "auto", metric: str | None = None) -> Any:
    """Display a profile below the running cell.

    Parameters
    ----------
    profile : Profile
    view : {"auto", "flamegraph", "text", "none"}
        ``auto`` is the flamegraph, or one line where no call was made.
    metric : str, optional
        What the flamegraph shows first.

    Returns
    -------
    Flamegraph or None
        The widget, where one was made.
    """
    from IPython.display import display

    if view == "none":
        return None
    text = str(profile)
    if view == "text" or not profile.totals.calls:
        display({"text/plain": text}, raw=True)
        return None
    widget, bundle, metadata = _widget(profile, metric)
    bundle["text/plain"] = text
    display(bundle, metadata=metadata, raw=True)
    display({"text/html": profile.snapshot()}, raw=True)
    return widget


def _widget(profile: Profile, metric: str | None) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Make the widget with its MIME bundle; where it cannot be made, the other forms still show."""
    try:
        widget = profile.flamegraph(metric)
        made = widget._repr_mimebundle_()
        bundle, metadata = made if isinstance(made, tuple) else (made, {})
        return widget, dict(bundle or {}), dict(metadata or {})
    except Exception as error:
        warn_once("make the interactive view", error)
        return None, {}, {}
