"""OTLP traces as JSON, with the attributes of OpenTelemetry GenAI and of OpenInference.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding,
https://github.com/open-telemetry/semantic-conventions-genai,
https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
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


def render(profile: Profile, content: bool = False, service: str = "tokprof") -> str:
    """Give the profile as one ``ExportTraceServiceRequest``."""
    return request(list(spans(profile, content)), service)


def request(made: list[dict[str, Any]], service: str) -> str:
    """Give spans as the body of a request to a collector."""
    from tokprof import __version__

    resource = {"attributes": _attributes({"service.name": service, "telemetry.sdk.language": "python"})}
    scope = {"name": "tokprof", "version": __version__}
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": made}]}]}
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def spans(profile: Profile, content: bool = False) -> Iterator[dict[str, Any]]:
    """Give each span as OTLP has it: ids as hex, times and whole numbers as text."""
    table, recording = profile.table, profile._recording
    kept, tags = books(table), table.tags()
    sums = _sums_up(table, kept)
    trace = f"{recording.trace_id:032x}"
    for row, span in enumerate(table.spans):
        up = int(table.parents[row])
        parent: int | None = table.spans[up].id if up >= 0 else None
        if span is recording.root and recording.remote is not None:
            parent = recording.remote[1]
        seen = _facts(span, tags[row])
        if kept.call[row]:
            seen |= _spent(table, kept, row, sums[row])
        if content and span.content:
            seen |= {"input.value": span.content.get("prompt"), "output.value": span.content.get("answer")}
        closed = table.now if span.closed is None else span.closed
        made: dict[str, Any] = {
            "traceId": trace,
            "spanId": f"{span.id & _MASK:016x}",
            "name": valid(_name(span)),
            "kind": _CLIENT if span.host else _INTERNAL,
            "startTimeUnixNano": str(span.start),
            "endTimeUnixNano": str(span.start + closed - span.opened),
            "attributes": _attributes(seen),
        }
        if parent is not None:
            made["parentSpanId"] = f"{parent & _MASK:016x}"
        if span.status in ("error", "cancelled"):
            made["status"] = {"code": _ERROR, "message": valid(span.error or span.status)}
        yield made


def _name(span: Span) -> str:
    if span.kind in _STEPS:
        return f"{_STEPS[span.kind]} {span.name}"
    return span.name or "(no name)"


def _sums_up(table: Table, kept: Books) -> list[bool]:
    """Which spans have spending below them."""
    found = [False] * len(table)
    spends = (kept.call | kept.used.any(axis=1)).tolist()
    for row in range(len(table) - 1, -1, -1):
        up = int(table.parents[row])
        if up >= 0 and (found[row] or spends[row]):
            found[up] = True
    return found


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
    if span.first_token is not None:
        seen["gen_ai.response.time_to_first_chunk"] = (span.first_token - span.opened) / 1e9
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


def _spent(table: Table, kept: Books, row: int, sums_up: bool) -> dict[str, Any]:
    """Usage and cost of a call; a step that sums up the calls below it tells what they do not account for."""
    span = table.spans[row]
    usage, costs = span.usage or Usage(), table.costs[row]
    seen: dict[str, Any] = {"tokprof.usage_source": span.source, "tokprof.cost_source": table.cost_sources[row]}
    if kept.hit[row]:
        paid = float(kept.saved[row, COST])
        seen |= {"tokprof.saved_tokens": span.saved_tokens, "tokprof.saved_cost": None if math.isnan(paid) else paid}
    if sums_up:
        fresh, out = round(float(kept.used[row, 0])), round(float(kept.used[row, 1]))
        usage = Usage(input_tokens=fresh, output_tokens=out)
        costs = [float(kept.used[row, -1]), math.nan, math.nan, math.nan, math.nan]
    for name, attributes in _TOKENS.items():
        value = getattr(usage, name)
        seen |= {attribute: value for attribute in attributes if attribute and value is not None}
    total, fresh_cost, out_cost, read, write = (None if math.isnan(part) else float(part) for part in costs)
    seen["llm.cost.total"] = total
    if fresh_cost is not None:
        seen["llm.cost.prompt"] = fresh_cost + (read or 0.0) + (write or 0.0)
    seen["llm.cost.completion"] = out_cost
    seen["llm.cost.prompt_details.cache_read"] = read
    seen["llm.cost.prompt_details.cache_write"] = write
    return seen


def _attributes(seen: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": valid(key), "value": _value(value)} for key, value in seen.items() if value is not None]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(each) for each in value]}}
    return {"stringValue": valid(str(value))}
