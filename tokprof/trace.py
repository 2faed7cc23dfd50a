"""Traces that go through several processes: the W3C trace context (https://www.w3.org/TR/trace-context/)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

from tokprof.meter.drafts import settle
from tokprof.profile import Profile
from tokprof.recorder import Recording, current, new_id
from tokprof.span import Span

_FORMAT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MASK = 0xFFFF_FFFF_FFFF_FFFF


class Remote(NamedTuple):
    """A span of another process: the ids of its trace and of itself."""

    trace_id: int
    span_id: int


def parse(header: str) -> Remote:
    """Read a ``traceparent`` header.

    Parameters
    ----------
    header : str
        ``00-<32 hex digits>-<16 hex digits>-<2 hex digits>``; of later versions, what follows is left alone.

    Raises
    ------
    ValueError
        For anything else.
    """
    found = _FORMAT.fullmatch(header.strip()) if isinstance(header, str) else None
    fits = found is not None and found[1] != "ff" and int(found[2], 16) and int(found[3], 16)
    if not found or not fits or (found[1] == "00" and found[5]):
        raise ValueError(
            f"{header!r} is no traceparent; one looks like 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        )
    return Remote(int(found[2], 16), int(found[3], 16))


def traceparent() -> str | None:
    """Give the header that makes a remote part of the work a child of the current span.

    Returns
    -------
    str or None
        For a ``traceparent`` header, a message or an environment variable; the other side gives it to
        ``tokprof.profile(traceparent=...)``. None while nothing is being recorded.
    """
    scope = current()
    if scope is None or not scope[0].seen:
        return None
    recording, span = scope
    return f"00-{recording.trace_id:032x}-{span.id & _MASK:016x}-01"


def join(*profiles: Profile, name: str = "joined") -> Profile:
    """Put the parts of a trace together: profiles that were begun with a `traceparent` go below the span that gave it.

    Parameters
    ----------
    *profiles : Profile
        In any order; a profile whose parent is in none of them stands below a row called ``(parent never seen)``.
    name : str
        Of the new profile.

    Returns
    -------
    Profile
        With the rows of all; the parts stay as they are.

    Raises
    ------
    ValueError
        If a profile is given twice, or is its own ancestor.
    """
    recording = Recording(name)
    root = recording.root
    copies: dict[int, Span] = {}
    ids = [profile.id for profile in profiles]
    for profile in profiles:
        if ids.count(profile.id) > 1:
            raise ValueError(f"{profile.title} is given twice")
        profile.table  # noqa: B018  (what is not settled yet is settled in the part, not in its copy)
        settle(profile._recording.spans)
        for span in profile._recording.spans:
            if id(span) in copies:
                raise ValueError(f"{profile.title} is given twice, or is part of another profile that is given")
            copies[id(span)] = replace(span)
    by_id = {span.id & _MASK: span for span in copies.values()}
    orphans: Span | None = None
    for profile in profiles:
        top, remote = copies[id(profile._recording.root)], profile._recording.remote
        for span in profile._recording.spans:
            copy = copies[id(span)]
            copy.parent = copies.get(id(span.parent)) if span.parent is not None else None
        if remote is None:
            top.parent = root
        elif (found := by_id.get(remote[1])) is not None:
            top.parent = found
        else:
            if orphans is None:
                orphans = replace(root, id=new_id(), name="(parent never seen)", parent=root)
            top.parent = orphans
    for profile in profiles:
        _refuse_cycle(copies[id(profile._recording.root)], profile.title)
    spans = [*copies.values()]
    root.start = min((span.start for span in spans), default=root.start)
    root.opened = min((span.opened for span in spans), default=root.opened)
    root.closed = max((span.closed or span.opened for span in spans), default=root.opened)
    root.status = "ok"
    if orphans is not None:
        orphans.start, orphans.opened, orphans.closed, orphans.status = root.start, root.opened, root.closed, "ok"
        spans.insert(0, orphans)
    recording.spans = [root, *spans]
    return Profile(recording)


def _refuse_cycle(span: Span, title: str) -> None:
    above = span.parent
    while above is not None:
        if above is span:
            raise ValueError(f"{title} cannot be joined: it would be below itself")
        above = above.parent
