"""What a profile shows in a notebook: the live widget with a text tree, then a static snapshot.

Two outputs, because one bundle with both loses its HTML in the commonest case, a notebook reopened without widget
state. In a terminal the first one is the text tree and the second has nothing to print.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokprof.recorder import warn_once

if TYPE_CHECKING:
    from tokprof.profile import Profile
    from tokprof.views.widget import ProfileView


def show(profile: Profile, view: str = "auto", metric: str | None = None) -> ProfileView | None:
    """Display a profile below the running cell.

    Parameters
    ----------
    profile : Profile
    view : {"auto", "flamegraph", "costs", "text", "none"}
        ``auto`` is the flamegraph, or one line where no call was made.
    metric : str, optional
        What the flamegraph shows first.

    Returns
    -------
    ProfileView or None
        The widget, where one was made.
    """
    from IPython.display import display

    if view == "none":
        return None
    if view == "text" or not profile.totals.calls:
        display({"text/plain": str(profile)}, raw=True)
        return None
    widget: ProfileView | None
    try:
        widget = profile.costs() if view == "costs" else profile.flamegraph(metric)
    except Exception as error:
        warn_once("make the interactive view", error)
        widget = None
    show_widget(profile, widget)
    return widget


def show_widget(profile: Profile, widget: ProfileView | None) -> None:
    """Display the two outputs; without a widget the text tree stands in for it."""
    from IPython.display import display

    made = widget._repr_mimebundle_() if widget is not None else None
    bundle, metadata = made if isinstance(made, tuple) else (made, {})
    display({**(bundle or {}), "text/plain": str(profile)}, metadata=metadata, raw=True)
    display({"text/html": profile.snapshot()}, raw=True)
