"""Profile -> what is seen."""

from __future__ import annotations

from pathlib import Path

STATIC = Path(__file__).parent.parent / "static"
"""Built front ends."""
