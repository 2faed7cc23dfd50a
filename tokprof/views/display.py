"""What a profile shows in a notebook: live widgets with a text tree, then a snapshot.

A summary that ran with the cell stays where it is; otherwise it comes first now. The text tree is part of the output of
the view below it. The snapshot is an output of its own, because one bundle with all loses its HTML in the commonest
case, a notebook reopened without widget state; it hides itself while a widget lives. In a terminal the text tree is all
there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokprof.recorder import warn_once

if TYPE_CHECKING:
    from tokprof.profile import Profile
    from tokprof.views.widget import ProfileView

WIDGET = "application/vnd.jupyter.widget-view+json"

snapshots = "static"
"""One of `tokprof.span.SNAPSHOTS`: a picture and tables, or the interactive views too."""


def show(
    profile: Profile, view: str = "auto", metric: str | None = None, summed_up: bool = False
) -> ProfileView | None:
    """Display a profile below the running cell.

    Parameters
    ----------
    profile : Profile
    view : {"auto", "flamegraph", "dag", "costs", "text", "none"}
        ``auto`` is the summary and the flamegraph, or one line where no call was made.
    metric : str, optional
        What the flamegraph or the graph of steps shows first.
    summed_up : bool
        Whether its summary stands in the cell already.

    Returns
    -------
    ProfileView or None
        The widget, where one was made.
    """
    from IPython.core.getipython import get_ipython
    from IPython.display import display

    if view == "none":
        return None
    if view == "text" or not profile.totals.calls:
        display({"text/plain": str(profile)}, raw=True)
        return None
    widget: ProfileView | None
    try:
        if view == "auto" and not summed_up and hasattr(get_ipython(), "kernel"):
            show_summary(profile)
        if view == "costs":
            widget = profile.costs()
        else:
            widget = profile.dag(metric) if view == "dag" else profile.flamegraph(metric)
    except Exception as error:
        warn_once("make the interactive view", error)
        widget = None
    show_widget(profile, widget)
    return widget


def show_summary(profile: Profile, state: dict[str, Any] | None = None, update: bool = False) -> tuple[Any, Any]:
    """Display the summary of a profile; gives the widget, and with `update` a handle of its output."""
    from IPython.display import display

    from tokprof.views.summary import Summary

    widget = Summary(profile, state)
    made = widget._repr_mimebundle_()
    bundle, metadata = made if isinstance(made, tuple) else (made, {})
    # no words: while a cell runs they would soon be out of date, and the tree that comes later says it all
    live = {kind: data for kind, data in (bundle or {}).items() if kind == WIDGET} | {"text/plain": ""}
    return widget, display(live, metadata=metadata, raw=True, **({"display_id": True} if update else {}))


def show_widget(profile: Profile, widget: ProfileView | None) -> None:
    """Display a view and the snapshot; without a widget the text tree stands in for it."""
    from IPython.display import display

    made = widget._repr_mimebundle_() if widget is not None else None
    bundle, metadata = made if isinstance(made, tuple) else (made, {})
    display({**(bundle or {}), "text/plain": str(profile)}, metadata=metadata, raw=True)
    display({"text/html": saved(profile)}, raw=True)


def stacked(profile: Profile) -> Any:
    """Give what marimo shows of a profile: summary and flamegraph, or the text of one without calls."""
    import marimo

    if not profile.totals.calls:
        return marimo.plain_text(str(profile))
    from tokprof.views.summary import Summary

    return marimo.vstack([Summary(profile), profile.flamegraph()])


def saved(profile: Profile) -> str:
    """Give the snapshot as it is set to be."""
    if snapshots == "interactive":
        try:
            from tokprof.views.page import snapshot

            return snapshot(profile)
        except Exception as error:
            warn_once("make the interactive snapshot", error)
    return profile.snapshot()
