"""speedscope's file format: https://github.com/jlfwong/speedscope/blob/main/src/lib/file-format-spec.ts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tokprof.export.stacks import own, paths, whole
from tokprof.export.texts import label
from tokprof.export.tracks import Track, tracks
from tokprof.table import Table

if TYPE_CHECKING:
    from tokprof.profile import Profile

TRACKS = 20
"""Tracks with a timeline of their own, those with most spans."""

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"
_WEIGHTS = (
    ("tokens", "tokens", "none"),
    ("time", "time", "nanoseconds"),
    ("cost", "cost (billionths of a USD)", "none"),
)


class _Frames:
    """Frames, each once."""

    def __init__(self) -> None:
        self.values: list[dict[str, Any]] = []
        self._known: dict[tuple[str, str], int] = {}

    def index(self, name: str, where: str) -> int:
        key = label(name), label(where) if where else ""
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = len(self.values)
            frame: dict[str, Any] = {"name": key[0]}
            file, _, line = key[1].rpartition(":")
            if file and line.isascii() and line.isdigit():
                frame |= {"file": file, "line": int(line)}
            self.values.append(frame)
        return found


def render(profile: Profile) -> str:
    """Give the tree weighted by tokens, by time and by cost, in call order, and a timeline of each track."""
    from tokprof import __version__

    table, tree = profile.table, profile.call_tree
    frames = _Frames()
    numbers = [frames.index(name, where) for name, where in zip(tree.name, tree.where, strict=True)]
    stacks = [[numbers[node] for node in path] for path in paths(tree)]
    profiles: list[dict[str, Any]] = []
    for metric, name, unit in _WEIGHTS:
        figures = whole(own(tree, metric), metric)
        spent = [(stack, figure) for stack, figure in zip(stacks, figures, strict=True) if figure > 0]
        profiles.append(
            {
                "type": "sampled",
                "name": name,
                "unit": unit,
                "startValue": 0,
                "endValue": sum(figure for _, figure in spent),
                "samples": [stack for stack, _ in spent],
                "weights": [figure for _, figure in spent],
            }
        )
    made, _ = tracks(table)
    longest = sorted(made, key=lambda track: -len(track.rows))[:TRACKS]
    profiles += [_timeline(table, track, frames) for track in made if track in longest]
    file = {
        "$schema": _SCHEMA,
        "name": f"tokprof {label(profile.title)}",
        "exporter": f"tokprof@{__version__}",
        "activeProfileIndex": 0,
        "shared": {"frames": frames.values},
        "profiles": profiles,
    }
    return json.dumps(file, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _timeline(table: Table, track: Track, frames: _Frames) -> dict[str, Any]:
    zero = min(span.opened for span in table.spans)
    events: list[dict[str, Any]] = []
    around: list[tuple[int, int]] = []

    def close(until: int | None) -> None:
        while around and (until is None or around[-1][0] <= until):
            end, frame = around.pop()
            events.append({"type": "C", "at": end - zero, "frame": frame})

    for row in track.rows:
        span = table.spans[row]
        close(span.opened)
        frame = frames.index(span.name, span.stack[-1].where if span.stack else "")
        events.append({"type": "O", "at": span.opened - zero, "frame": frame})
        around.append((table.now if span.closed is None else span.closed, frame))
    close(None)
    return {
        "type": "evented",
        "name": f"timeline: {track.name}",
        "unit": "nanoseconds",
        "startValue": events[0]["at"],
        "endValue": events[-1]["at"],
        "events": events,
    }
