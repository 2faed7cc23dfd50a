"""Okabe-Ito colours, in the order of the front ends: blind-safe, and dark text reads on each."""

from __future__ import annotations

PALETTE = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#0072B2", "#D55E00", "#999999")
FRAME = "#c9ced6"
STEP = "#9fb3c8"


def assign(names: list[str]) -> dict[str, str]:
    """A colour for each name, heaviest first; beyond the palette all share the last one."""
    return {name: PALETTE[min(index, len(PALETTE) - 1)] for index, name in enumerate(names)}
