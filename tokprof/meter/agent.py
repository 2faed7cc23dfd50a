"""Runs of an agent in another process, which tells the usage of many model calls at once: the Claude Agent SDK.

A ``ResultMessage`` ends each turn. Its ``model_usage`` and ``total_cost_usd`` are running totals of the connection, its
``usage`` is that of the turn (https://code.claude.com/docs/en/agent-sdk/cost-tracking, and issue 39733 of
anthropics/claude-code). ``AssistantMessage`` repeats the usage of a step with each of its content blocks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tokprof.meter.plain import has, member, plain
from tokprof.meter.shapes import merge
from tokprof.meter.usage import tally
from tokprof.span import Reading

Figures = dict[str, Any]
Totals = dict[str, dict[str, Figures]]
"""Session -> model -> its running totals."""

_PROVIDERS = {
    "bedrock": "aws.bedrock",
    "vertex": "gcp.vertex_ai",
    "foundry": "azure.ai.inference",
}
# names of the totals -> names of the API
_NAMES = {
    "inputTokens": "input_tokens",
    "outputTokens": "output_tokens",
    "cacheReadInputTokens": "cache_read_input_tokens",
    "cacheCreationInputTokens": "cache_creation_input_tokens",
}
_COUNTS = (*_NAMES, "webSearchRequests", "costUSD")
_WHOLE = ""  # the model of what a result tells without a model


class AgentRun:
    """What the messages of an agent told up to now.

    Parameters
    ----------
    totals : dict, optional
        Running totals up to the last turn of the same connection; they are brought up to date.
    """

    def __init__(self, totals: Totals | None = None):
        self._totals = {} if totals is None else totals
        self._steps: dict[str, tuple[str | None, Figures]] = {}
        self._models: dict[str, Figures] = {}
        self._turns: Figures = {}
        self._said = False
        self.ended = False
        self.finish: str | None = None
        self.error: str | None = None

    @property
    def told(self) -> bool:
        """Whether anything was said of a model."""
        return self._said

    def absorb(self, message: Any) -> bool:
        """Take in a message; False for one that is none of an agent's."""
        if _is_result(message):
            self._said = self.ended = True
            self._result(message)
            return True
        if has(message, "parent_tool_use_id"):
            self._step(message)
            return True
        # of a task below, whose usage the result holds too
        return isinstance(member(message, "subtype"), str) and has(message, "data")

    def _step(self, message: Any) -> None:
        model, usage = member(message, "model"), plain(member(message, "usage"))
        if isinstance(model, str):
            self._said = True
        if isinstance(usage, dict):
            step = member(message, "message_id")
            key = step if isinstance(step, str) else f"step {len(self._steps)}"
            told = self._steps.setdefault(key, (model if isinstance(model, str) else None, {}))
            merge(told[1], usage)

    def _result(self, message: Any) -> None:
        session = str(member(message, "session_id"))
        models = plain(_first(message, "model_usage", "modelUsage"))
        known = self._totals.get(session, {})
        if isinstance(models, dict) and models:
            now = {model: told for model, told in models.items() if isinstance(told, dict)}
        else:
            now = {}
        whole = {"costUSD": member(message, "total_cost_usd")}
        if _fell(whole, known.get(_WHOLE, {})) or any(_fell(told, known.get(model, {})) for model, told in now.items()):
            known = {}  # the conversation was reset, and its totals with it
        for model, told in now.items():
            _add(self._models.setdefault(model, {}), _since(told, known.get(model, {})), told)
        usage = plain(member(message, "usage"))
        if isinstance(usage, dict):
            _add(self._turns, {key: value for key, value in usage.items() if type(value) is int}, usage)
        cost = _since(whole, known.get(_WHOLE, {})).get("costUSD")
        if cost is not None:
            self._turns["cost"] = self._turns.get("cost", 0) + cost
        self._totals[session] = known | now | {_WHOLE: whole}
        reason = member(message, "stop_reason")
        self.finish = reason if isinstance(reason, str) else None
        subtype = member(message, "subtype")
        failed = member(message, "is_error") is True
        self.error = (subtype if isinstance(subtype, str) and subtype != "success" else "error") if failed else None

    def readings(self) -> list[Reading]:
        """One for each model; where the run has not ended, lower bounds from its steps."""
        if self._models:
            found = [_of_totals(model, told) for model, told in self._models.items()]
            return [reading for reading in found if reading is not None]
        if self.ended:
            models = [model for model, _ in self._steps.values() if model]
            return [self._of_turns(models[0] if models else None)]
        by_model: dict[str | None, list[Figures]] = {}
        for model, usage in self._steps.values():
            by_model.setdefault(model, []).append(usage)
        return [_of_steps(model, steps) for model, steps in by_model.items()] or [_reading(None)]

    def _of_turns(self, model: str | None) -> Reading:
        reading = _reading(model)
        reading.cost = self._turns.get("cost")
        usage = {key: value for key, value in self._turns.items() if key != "cost"}
        if (counted := tally(usage)) is not None:
            reading.usage, reading.source = counted
            reading.usage_raw = json.dumps(usage, separators=(",", ":"))
        return reading


def _is_result(message: Any) -> bool:
    models = _first(message, "model_usage", "modelUsage")
    if isinstance(models, Mapping) and all(isinstance(told, Mapping) for told in models.values()):
        return True
    return type(member(message, "num_turns")) is int and isinstance(member(message, "session_id"), str)


def _first(message: Any, *names: str) -> Any:
    return next((found for name in names if (found := member(message, name)) is not None), None)


def _number(value: Any) -> float | int | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None


def _fell(now: Figures, before: Figures) -> bool:
    return any((new := _number(now.get(key))) is not None and new < (_number(before.get(key)) or 0) for key in _COUNTS)


def _since(now: Figures, before: Figures) -> Figures:
    return {key: new - (_number(before.get(key)) or 0) for key in _COUNTS if (new := _number(now.get(key))) is not None}


def _add(into: Figures, more: Figures, also: Figures) -> None:
    for key, value in also.items():
        if key not in more:
            into[key] = value
    for key, value in more.items():
        into[key] = into.get(key, 0) + value


def _reading(model: str | None) -> Reading:
    return Reading("chat", "llm", provider="anthropic", model=model)


def _of_totals(model: str, told: Figures) -> Reading | None:
    """Read what a run spent on a model; None for a model that it left alone since the turn before."""
    if not any(told.get(key) for key in _COUNTS):
        return None
    reading = _reading(model)
    provider = told.get("provider")
    reading.provider = _PROVIDERS.get(provider, "anthropic") if isinstance(provider, str) else "anthropic"
    reading.cost = _number(told.get("costUSD"))
    reading.usage_raw = json.dumps(told, separators=(",", ":"))
    counted = tally({name: told[key] for key, name in _NAMES.items() if key in told})
    if counted is not None:
        reading.usage, reading.source = counted
        reading.usage.web_searches = told.get("webSearchRequests") or None
    return reading


def _of_steps(model: str | None, steps: list[Figures]) -> Reading:
    reading = _reading(model)
    usage: Figures = {}
    for step in steps:
        _add(usage, {key: value for key, value in step.items() if type(value) is int}, step)
    if (counted := tally(usage)) is not None:
        reading.usage, reading.source = counted[0], "partial"
        reading.usage_raw = json.dumps(usage, separators=(",", ":"))
    return reading
