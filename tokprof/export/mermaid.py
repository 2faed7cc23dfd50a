"""Mermaid flowchart: https://mermaid.js.org/syntax/flowchart.html."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tokprof.export.graph import graph

if TYPE_CHECKING:
    from tokprof.profile import Profile

_SHAPES = {"model": ('(["', '"])'), "frame": ('["', '"]'), "tool": ('[/"', '"/]')}
_OTHER = ('("', '")')
_ODD = re.compile(r"[^\w .,:≥?·$…()-]")


def render(profile: Profile, limit: int) -> str:
    """Give the graph of steps as a flowchart; the thicker arrows carry more than half of the tokens."""
    made = graph(profile.merged_tree, limit)
    lines = ["flowchart TD"]
    for number, node in enumerate(made.nodes):
        begin, end = _SHAPES.get(node.kind, _OTHER)
        kind = "" if node.kind in ("model", "frame") else f" [{node.kind}]"
        texts = [node.lines[0] + kind, *node.lines[1:]]
        lines.append(f"    n{number}{begin}{'<br/>'.join(map(escaped, texts))}{end}")
    for source, target, text, share in made.edges:
        arrow = "==>" if share > 0.5 else "-->"
        carried = f'|"{escaped(text)}"|' if text else ""
        lines.append(f"    n{source} {arrow}{carried} n{target}")
    if made.left_out:
        lines.append(f'    left["{escaped(made.left_out)}"]')
        lines.append("    style left stroke-dasharray: 4")
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Give a text for a label: whatever may mean something to Mermaid, Markdown or HTML is an entity code."""
    return _ODD.sub(lambda found: f"#{ord(found[0])};", text).replace("_", "#95;")
