"""OTLP traces as JSON, with the attributes of OpenTelemetry GenAI and of OpenInference.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding,
https://github.com/open-telemetry/semantic-conventions-genai,
https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterable, Iterator
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from tokprof.analysis.books import COST, Books, books
from tokprof.export.texts import valid
from tokprof.span import Span, Usage
from tokprof.table import Table

if TYPE_CHECKING:
    from tokprof.profile import Profile

_MASK = 0xFFFF_FFFF_FFFF_FFFF
_INTERNAL, _CLIENT = 1, 3
_ERROR = 2

_OPERATIONS = {
    "chat": "chat",
    "messages": "chat",
    "responses": "chat",
    "converse": "chat",
    "completions": "text_completion",
}
_STEPS = {"agent": "invoke_agent", "tool": "execute_tool", "workflow": "invoke_workflow", "retriever": "retrieval"}
_NAMED = {"agent": ("agent", "agent"), "tool": ("tool", "tool"), "workflow": ("workflow", "graph.node")}
_INFERENCE = {
    **{kind: kind.upper() for kind in ("llm", "embedding", "chain", "retriever", "reranker", "tool", "agent")},
    **{kind: kind.upper() for kind in ("guardrail", "evaluator", "prompt")},
}
_TOKENS = {
    "input_tokens": ("gen_ai.usage.input_tokens", "llm.token_count.prompt"),
    "output_tokens": ("gen_ai.usage.output_tokens", "llm.token_count.completion"),
    "total_tokens": (None, "llm.token_count.total"),
    "cache_read_tokens": (
        "gen_ai.usage.cache_read.input_tokens",
        "llm.token_count.prompt_details.cache_read",
    ),
    "cache_write_tokens": (
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",  # its name in releases of 2026, which backends read
        "llm.token_count.prompt_details.cache_write",
    ),
    "reasoning_tokens": ("gen_ai.usage.reasoning.output_tokens", "llm.token_count.completion_details.reasoning"),
    "input_audio_tokens": ("gen_ai.usage.audio.input_tokens", "llm.token_count.prompt_details.audio"),
    "input_image_tokens": ("gen_ai.usage.image.input_tokens", None),
    "output_audio_tokens": ("gen_ai.usage.audio.output_tokens", "llm.token_count.completion_details.audio"),
    "output_image_tokens": ("gen_ai.usage.image.output_tokens", None),
}

_KEPT = 4096  # texts
_NO_USAGE = Usage()
_tokens = attrgetter(*_TOKENS)
_alike = attrgetter(
    *("kind", "operation", "provider", "request_model", "model", "stream", "finish_reason", "http_status", "error"),
    *("status", "thread", "attempt", "late", "unkept"),
)
_text = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def render(profile: Profile, content: bool = False, service: str = "tokprof") -> str:
    """Give the profile as one ``ExportTraceServiceRequest``."""
    return request(spans(profile, content), service)


def request(made: Iterable[str], service: str) -> str:
    """Give spans as the body of a request to a collector."""
    from tokprof import __version__

    about = _attributes({"service.name": service, "telemetry.sdk.language": "python"})
    scope = _text({"name": "tokprof", "version": __version__})
    begin = f'{{"resourceSpans":[{{"resource":{{"attributes":[{about}]}},"scopeSpans":[{{"scope":{scope},"spans":['
    return f"{begin}{','.join(made)}]}}]}}]}}"


def spans(profile: Profile, content: bool = False) -> Iterator[str]:
    """Give each span as OTLP has it, as JSON: ids as hex, times and whole numbers as text."""
    table, recording = profile.table, profile._recording
    kept, tags = books(table), table.tags()
    spent = _Spent(table, kept)
    facts: dict[Hashable, str] = {}  # spans are alike in most of them
    trace = f"{recording.trace_id:032x}"
    for row, (span, up, call) in enumerate(zip(table.spans, table.parents.tolist(), kept.call.tolist(), strict=True)):
        parent: int | None = table.spans[up].id if up >= 0 else None
        if span is recording.root and recording.remote is not None:
            parent = recording.remote[1]
        if len(facts) > _KEPT:
            facts.clear()
        alike = _alike(span), span.name if span.kind in _NAMED else None, id(tags[row])
        if (seen := facts.get(alike)) is None:
            seen = facts[alike] = _attributes(_facts(span, tags[row]))
        if span.first_token is not None:
            waited = (span.first_token - span.opened) / 1e9
            seen = f"{seen},{_attribute('gen_ai.response.time_to_first_chunk', waited)}"
        place = id(span.stack), span.host
        if (where := facts.get(place)) is None:
            where = facts[place] = _attributes(_place(span))
        more = [_attributes(spent.of(row))] if call else []
        if content and span.content:
            told = {"input.value": span.content.get("prompt"), "output.value": span.content.get("answer")}
            more.append(_attributes(told))
        seen = ",".join([part for part in (seen, where, *more) if part])
        closed = table.now if span.closed is None else span.closed
        made = [
            f'{{"traceId":"{trace}","spanId":"{span.id & _MASK:016x}","name":{_text(valid(_name(span)))},'
            f'"kind":{_CLIENT if span.host else _INTERNAL},"startTimeUnixNano":"{span.start}",'
            f'"endTimeUnixNano":"{span.start + closed - span.opened}","attributes":[{seen}]'
        ]
        if parent is not None:
            made.append(f',"parentSpanId":"{parent & _MASK:016x}"')
        if span.status in ("error", "cancelled"):
            made.append(f',"status":{{"code":{_ERROR},"message":{_text(valid(span.error or span.status))}}}')
        yield "".join((*made, "}"))


def _name(span: Span) -> str:
    if span.kind in _STEPS:
        return f"{_STEPS[span.kind]} {span.name}"
    return span.name or "(no name)"


def _facts(span: Span, tags: dict[str, str]) -> dict[str, Any]:
    seen: dict[str, Any] = {
        "openinference.span.kind": _INFERENCE.get(span.kind, "CHAIN"),
        "gen_ai.operation.name": _operation(span),
        "gen_ai.provider.name": span.provider,
        "llm.provider": span.provider,
        "gen_ai.request.model": span.request_model or span.model,
        "gen_ai.response.model": span.model,
        "llm.model_name": span.model or span.request_model,
        "gen_ai.request.stream": span.stream,
        "gen_ai.response.finish_reasons": [span.finish_reason] if span.finish_reason else None,
        "llm.finish_reason": span.finish_reason,
        "http.response.status_code": span.http_status,
        "error.type": (span.error or span.status) if span.status in ("error", "cancelled") else None,
        "session.id": tags.get("session"),
        "gen_ai.conversation.id": tags.get("session"),
        "user.id": tags.get("user"),
        "thread.name": span.thread or None,
        "tokprof.kind": span.kind,
        "tokprof.status": span.status,
        "tokprof.attempt": span.attempt,
        "tokprof.late": True if span.late else None,
        "tokprof.calls": span.unkept or None,
        **{f"tokprof.tag.{key}": value for key, value in tags.items()},
    }
    if span.kind in _NAMED:
        gen_ai, inference = _NAMED[span.kind]
        seen |= {f"gen_ai.{gen_ai}.name": span.name, f"{inference}.name": span.name}
    return seen


def _place(span: Span) -> dict[str, Any]:
    """Which code called, and whom."""
    seen: dict[str, Any] = {}
    if span.stack:
        frame = span.stack[-1]
        seen |= {"code.function.name": frame.function, "code.file.path": frame.file, "code.line.number": frame.line}
        seen["tokprof.where"] = frame.where
    if span.host:
        host, _, port = span.host.rpartition(":")
        known = bool(host) and port.isascii() and port.isdigit() and len(port) < 6
        seen |= {"server.address": host if known else span.host, "server.port": int(port) if known else None}
    return seen


def _operation(span: Span) -> str | None:
    if span.kind in _STEPS:
        return _STEPS[span.kind]
    return None if span.operation is None else _OPERATIONS.get(span.operation, span.operation)


class _Spent:
    """Usage and cost of calls; a step that sums up the calls below it tells what they do not account for."""

    def __init__(self, table: Table, kept: Books):
        self._table, self._kept = table, kept
        self._costs = [part.tolist() for part in table.costs.T]
        self._hits: list[bool] = kept.hit.tolist()
        self._sums_up: list[bool] = _sums_up(table, kept)

    def of(self, row: int) -> dict[str, Any]:
        """Give the attributes of a call."""
        span, kept = self._table.spans[row], self._kept
        usage, costs = span.usage or _NO_USAGE, [part[row] for part in self._costs]
        seen: dict[str, Any] = {
            "tokprof.usage_source": span.source,
            "tokprof.cost_source": self._table.cost_sources[row],
        }
        if self._hits[row]:
            seen["tokprof.saved_tokens"] = span.saved_tokens
            seen["tokprof.saved_cost"] = _known(float(kept.saved[row, COST]))
        if self._sums_up[row]:
            fresh, out = round(float(kept.used[row, 0])), round(float(kept.used[row, 1]))
            usage = Usage(input_tokens=fresh, output_tokens=out)
            costs = [float(kept.used[row, -1]), math.nan, math.nan, math.nan, math.nan]
        for value, names in zip(_tokens(usage), _TOKENS.values(), strict=True):
            if value is not None:
                for name in names:
                    if name:
                        seen[name] = value
        total, fresh_cost, out_cost, read, write = map(_known, costs)
        seen["llm.cost.total"] = total
        if fresh_cost is not None:
            seen["llm.cost.prompt"] = fresh_cost + (read or 0.0) + (write or 0.0)
        seen["llm.cost.completion"] = out_cost
        seen["llm.cost.prompt_details.cache_read"] = read
        seen["llm.cost.prompt_details.cache_write"] = write
        return seen


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _sums_up(table: Table, kept: Books) -> list[bool]:
    """Which spans have spending below them."""
    found = [False] * len(table)
    spends = (kept.call | kept.used.any(axis=1)).tolist()
    parents = table.parents.tolist()
    for row in range(len(table) - 1, -1, -1):
        if parents[row] >= 0 and (found[row] or spends[row]):
            found[parents[row]] = True
    return found


def _attributes(seen: dict[str, Any]) -> str:
    return ",".join([_attribute(key, value) for key, value in seen.items() if value is not None])


def _attribute(key: str, value: Any) -> str:
    # as text at once: made of objects first, those of a large profile would take gigabytes, and most of the time
    return f"{_key(key)}{_value(value)}}}"


@lru_cache(4096)
def _key(key: str) -> str:
    return f'{{"key":{_text(valid(key))},"value":'


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return f'{{"boolValue":{"true" if value else "false"}}}'
    if isinstance(value, int):
        return f'{{"intValue":"{value}"}}'
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is no number in JSON")
        return f'{{"doubleValue":{float.__repr__(value)}}}'
    if isinstance(value, list):
        return f'{{"arrayValue":{{"values":[{",".join(map(_value, value))}]}}}}'
    return f'{{"stringValue":{_text(valid(str(value)))}}}'
