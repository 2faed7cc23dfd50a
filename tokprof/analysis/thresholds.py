"""From where on something is worth advice."""

from __future__ import annotations

SEQUENCE = 3
"""Calls one after the other, which could have run side by side."""
SEQUENCE_SECONDS = 1.0
"""Seconds that this would have saved."""
REASONING_SHARE = 0.5
"""Share of the output of a function and model that is reasoning."""
REASONING_TOKENS = 500
"""Tokens of reasoning."""
SHORT_OUTPUT = 20
"""Output tokens of a trivially short answer, reasoning included."""
SHORT_CALLS = 3
"""Calls of a function that all answer so."""
PREFIX_TOKENS = 1024
"""Tokens of a repeated prefix, over all calls, that were not read from a cache."""
HISTORY_TOKENS = 2000
"""Tokens of earlier turns and results of tools that were sent again, over all calls of a function and model."""
HISTORY_SHARE = 0.3
"""Share of the input of these calls."""
TOOL_TOKENS = 100
"""Tokens of the schema of a tool that was never called, over all calls."""
EVIDENCE = 50
"""Span ids that a finding shows at most."""

CHEAPER = (
    (r"gpt-5(?:\.\d)?(?:-\d{4}-\d\d-\d\d)?", "gpt-5-mini"),
    (r"gpt-5-mini.*", "gpt-5-nano"),
    (r"gpt-4\.1(?:-\d{4}-\d\d-\d\d)?", "gpt-4.1-mini"),
    (r"gpt-4\.1-mini.*", "gpt-4.1-nano"),
    (r"gpt-4o(?:-\d{4}-\d\d-\d\d)?", "gpt-4o-mini"),
    (r"claude-(?:opus|sonnet).*", "claude-haiku-4-5"),
    (r"claude-3-(?:5|7)-sonnet.*", "claude-haiku-4-5"),
    (r"gemini-2\.5-pro.*", "gemini-2.5-flash"),
    (r"gemini-2\.5-flash(?!-lite).*", "gemini-2.5-flash-lite"),
)
"""Models by regular expression, and a cheaper one of the same maker to try for trivially short answers."""

CUT = ("length", "max_tokens", "max_output_tokens", "model_length", "incomplete", "model_context_window_exceeded")
"""Reasons to finish of an answer that was cut short, lower case."""
