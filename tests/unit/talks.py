"""A conversation whose prompts are kept whole, as ``capture="full"`` keeps them: what segments are tested on."""

from __future__ import annotations

import json
from typing import Any

import tokprof

from .scenes import PRICED

SYSTEM = "You are a careful research assistant. Answer in one sentence, name your sources, and never guess. " * 8
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"{about} Use it whenever the question needs facts that are not in the conversation yet.",
            "parameters": {
                "type": "object",
                "properties": {"query": {"type": "string", "description": "What to find"}},
            },
        },
    }
    for name, about in (("search", "Searches the web."), ("read_page", "Reads a page."), ("delete_all", "Deletes."))
]


def turn(role: str, content: str | None, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def called(name: str, at: int) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps({"query": f"question {at}"})}
    return turn("assistant", None, tool_calls=[{"id": f"call_{at}", "type": "function", "function": function}])


def send(clock: Any, body: dict[str, Any], answer: Any = None, seconds: float = 1.0, **figures: Any) -> None:
    """One call, which tells what it is given."""
    with tokprof.span("chat", kind="llm") as step:
        clock.advance(seconds)
        model = body.get("model", PRICED)
        step.record(model=model, provider="openai", operation=figures.pop("operation", "chat"), **figures)
        assert step.span is not None
        step.span.content = {"prompt": json.dumps(body), "answer": json.dumps(answer or {})}


def talk(clock: Any, turns: int = 6) -> tokprof.Profile:
    """An agent that searches and reads, and sends all of it again each time; from the third call on, a cache helps."""
    messages = [turn("system", SYSTEM), turn("user", "Which rivers flow through Vienna, and how long are they?")]
    with tokprof.profile("In[5]") as prof, tokprof.span("agent", kind="agent"):
        for at in range(turns):
            body = {"model": PRICED, "messages": [*messages], "tools": TOOLS}
            tokens = 400 + 300 * at
            send(
                clock,
                body,
                input_tokens=tokens,
                output_tokens=40 + 10 * at,
                reasoning_tokens=10 * at,
                cache_read_tokens=256 if at > 1 else 0,
            )
            name = ("search", "read_page")[at % 2]
            messages.append(called(name, at))
            messages.append(
                turn("tool", f"Result {at}: " + f"The river number {at} is long. " * 40, tool_call_id=f"call_{at}")
            )
    return prof
