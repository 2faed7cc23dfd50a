"""Graphviz DOT: https://graphviz.org/doc/info/lang.html."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokprof.export.graph import graph
from tokprof.export.texts import label

if TYPE_CHECKING:
    from tokprof.profile import Profile

_SHAPES = {"model": "ellipse", "frame": "box", "tool": "cds"}


def render(profile: Profile, limit: int) -> str:
    """Give the graph of steps; an edge is as wide as the tokens spent below it."""
    made = graph(profile.merged_tree, limit)
    lines = [
        "digraph tokprof {",
        f"    label={quoted(label(profile.title))};",
        '    node [fontname="sans-serif", style="rounded"];',
        '    edge [fontname="sans-serif"];',
    ]
    for number, node in enumerate(made.nodes):
        texts = [node.lines[0], *([] if node.kind in ("model", "frame") else [node.kind]), *node.lines[1:]]
        shape = _SHAPES.get(node.kind, "box")
        lines.append(f"    n{number} [label={quoted(*texts)}, shape={shape}];")
    for source, target, text, share in made.edges:
        lines.append(f"    n{source} -> n{target} [label={quoted(text)}, penwidth={1 + 5 * share:.2f}];")
    if made.left_out:
        lines.append(f"    left [label={quoted(made.left_out)}, shape=plaintext];")
    return "\n".join([*lines, "}"]) + "\n"


def quoted(*lines: str) -> str:
    """Give lines of text as one quoted string."""
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;") for line in lines)
    return '"' + "\\n".join(escaped) + '"'
