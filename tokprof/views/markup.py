"""HTML for notebooks."""

from __future__ import annotations

from html import escape

NO_MATH = "mathjax_ignore tex2jax_ignore"
"""Classes of HTML in which notebooks look for no formulas: there are dollar signs, and names of anybody's."""


def unmathed(html: str, classes: str = "", style: str = "") -> str:
    """Put HTML into a block in which no formulas are looked for.

    Parameters
    ----------
    html : str
    classes : str
        More classes of the block.
    style : str, optional
        CSS.
    """
    named = f"{classes} {NO_MATH}".strip()
    styled = f' style="{escape(style, quote=True)}"' if style else ""
    return f'<div class="{named}"{styled}>{html}</div>'
