"""Everything that is known of one call: what a view shows when it is chosen."""

from __future__ import annotations

import json
from typing import Any

from tokprof.table import Table

CONTENT = 200_000
"""Characters of a prompt and of an answer that a view is given."""


def detail(table: Table, row: int) -> dict[str, Any]:
    """Describe a row for the front end.

    Parameters
    ----------
    table : Table
    row : int

    Returns
    -------
    dict
        ``usage`` (the provider's own object) and ``parameters`` of the request as JSON text or None; ``costs``, pairs
        of what was paid for and USD; ``stack``, triples of function, place and library frames folded below it;
        ``prompt`` and ``answer``, None where they were not captured, and the whole ``length`` of each; ``tags``.
    """
    span = table.spans[row]
    content = span.content or {}
    names = ("total", "fresh input", "output", "cache reads", "cache writes")
    costs = table.costs[row].tolist()
    return {
        "usage": _indented(span.usage_raw),
        "parameters": _indented(content.get("parameters")),
        "costs": [[name, usd] for name, usd in zip(names, costs, strict=True) if usd == usd],
        "cost_source": table.cost_sources[row],
        "tokenizer": span.tokenizer,
        "service_tier": span.service_tier,
        "stack": [
            [frame.function, frame.where, folded]
            for frame, folded in zip(span.stack, span.stack.folded or (0,) * len(span.stack), strict=False)
        ],
        "prompt": _cut(content.get("prompt")),
        "answer": _cut(content.get("answer")),
        "length": [len(content.get("prompt") or ""), len(content.get("answer") or "")],
        "tags": table.tags()[row],
    }


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:CONTENT]


def _indented(text: str | None) -> str | None:
    """JSON as people read it; as it is where it is none."""
    if text is None:
        return None
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)[:CONTENT]
    except (ValueError, RecursionError):
        return text[:CONTENT]
