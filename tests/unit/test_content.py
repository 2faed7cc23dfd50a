"""What is kept of a request beside its prompt."""

from __future__ import annotations

import json
from typing import Any

import pytest

import tokprof
from tokprof.capture.content import parameters
from tokprof.testing import SimulatedProvider
from tokprof.views.detail import detail


@pytest.mark.parametrize(
    ("request_body", "kept"),
    [
        (
            {"model": "m", "messages": [{"role": "user", "content": "SECRET"}], "temperature": 0.2, "stream": True},
            {"model": "m", "temperature": 0.2, "stream": True},
        ),
        ({"input": "SECRET", "reasoning": {"effort": "low", "note": "SECRET"}}, {"reasoning": {"effort": "low"}}),
        ({"prompt": "SECRET", "user": "SECRET", "system": "SECRET", "stop": ["SECRET"]}, {}),
        ({"contents": [], "generationConfig": {"maxOutputTokens": 9}}, {"generationConfig": {"maxOutputTokens": 9}}),
        ({"tools": [{"name": "SECRET"}], "tool_choice": "auto"}, {"tools": "1 tool", "tool_choice": "auto"}),
        ({"text": {"format": {"type": "json_schema", "schema": {"x": "SECRET"}}}},
         {"text": {"format": {"type": "json_schema"}}}),
        (["SECRET"], {}),
    ],
)  # fmt: skip
def test_parameters_are_what_is_no_prompt(request_body: Any, kept: dict[str, Any]) -> None:
    assert parameters(request_body) == kept


def test_a_chosen_call_shows_its_parameters(provider: SimulatedProvider) -> None:
    with tokprof.profile(capture="preview") as prof:
        provider.openai().chat.completions.create(
            model="gpt-4o", temperature=0.5, messages=[{"role": "user", "content": "hi"}]
        )
    row = prof.calls.index[0]
    assert json.loads(detail(prof.table, row)["parameters"]) == {"model": "gpt-4o", "temperature": 0.5}
    assert prof.content(prof.calls.span_id.item()).keys() == {"prompt", "answer"}
