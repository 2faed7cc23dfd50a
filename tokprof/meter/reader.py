"""Reading of an exchange: whether it is a model call, and what it spent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tokprof.meter import headers, quick
from tokprof.meter.body import BOM, decode, is_whole, load, tail_member
from tokprof.meter.endpoints import Endpoint, endpoint, may_be_call, never
from tokprof.meter.providers import provider
from tokprof.meter.shapes import Told, error_of
from tokprof.meter.stream import Events, first_token, framing, read_array, read_frames, read_lines
from tokprof.meter.usage import hidden, tally
from tokprof.span import Draft, Exchange, Reading, Usage

__all__ = ["may_be_call", "read"]

BIG = 1024 * 1024
HUGE = 8 * BIG

_compact = json.JSONEncoder(separators=(",", ":"), allow_nan=False)

_PROMPTS = ("messages", "input", "prompt", "contents", "inputs", "texts", "documents", "query", "message")
_REQUEST_KEYS = (b"model", b"stream")
_ANSWER_KEYS = (b"model", b"service_tier", b"tool_usage", b"meta", b"usageMetadata", b"usage", b"prompt_eval_count")
_HEAD_MODEL = re.compile(
    rb'\s*\{\s*(?:"\w+"\s*:\s*(?:"[^"\\]*"|[0-9.]+|null|true|false)\s*,\s*){0,8}"model"\s*:\s*"([^"\\]+)"'
)
_LONG = 256  # characters; longer is no name of a model, and no reason
_CLAIMS = ("reported", "derived")
_TICKS = 10_000_000_000  # xAI tells its cost in these parts of a dollar


def read(exchange: Exchange) -> Reading | None:
    """Read what an exchange tells of a model call.

    Parameters
    ----------
    exchange : Exchange
        Request and answer; the answer may be cut anywhere, or not have come at all.

    Returns
    -------
    Reading or None
        None where the exchange is no model call. Never raises: what cannot be read has source ``missing``.
    """
    try:
        return _read(exchange)
    except Exception:
        place = _place(exchange)
        if place is None or not place.certain:
            return None
        return Reading(place.operation, place.kind, request_model=place.model, stream=place.stream)


def _place(exchange: Exchange) -> Endpoint | None:
    try:
        return endpoint(exchange.host, exchange.path)
    except Exception:
        return None


def _read(exchange: Exchange) -> Reading | None:
    host, path = exchange.host, exchange.path
    place = endpoint(host, path)
    if exchange.method.upper() != "POST" or (place is None and never(host, path)):
        return None
    body = decode(exchange.chunks, exchange.content_encoding)
    body = body and body.removeprefix(BOM)
    request = _request(exchange, bool(body) and place is not None and place.certain)
    frame = framing(exchange.content_type, body) if body else ""
    plain = exchange.http_status == 200 and not exchange.headers and not exchange.cached
    if body and frame == "json" and plain and place is not None and place.operation == "chat":
        answer = _answer(body)
        usual = quick.chat(answer)
        if usual is not None:
            return _usual(exchange, place, request, answer, *usual)
    told = Told()
    if body:
        _take_in(told, body, frame, place)
    if place is None:
        if told.operation is None or told.kind is None or not (told.usage or told.metrics):
            return None
        place = Endpoint(told.operation, told.kind, True)
    elif not place.certain and not (told.usage or told.operation or _asks(request)):
        return None
    return _report(exchange, place, request, told, body, frame)


def _usual(
    exchange: Exchange, place: Endpoint, request: Mapping[str, Any], answer: dict[str, Any], usage: Usage, finish: str
) -> Reading:
    asked, tier = request.get("model") or request.get("model_id"), answer.get("service_tier")
    return Reading(
        operation=place.operation,
        kind=place.kind,
        provider=provider(exchange.host),
        model=_word(answer["model"]),
        request_model=_word(asked) if isinstance(asked, str) else place.model,
        finish_reason=_word(finish),
        usage=usage,
        source="reported",
        usage_raw=_dump(answer["usage"]),
        service_tier=_word(tier.lower()) if isinstance(tier, str) else None,
    )


def _report(
    exchange: Exchange, place: Endpoint, request: Mapping[str, Any], told: Told, body: bytes | None, frame: str
) -> Reading:
    asked = request.get("model") or request.get("model_id")
    bedrock = place.operation in ("converse", "invoke")
    reading = Reading(
        operation=place.operation,
        kind=place.kind,
        provider=provider(exchange.host),
        model=place.model if bedrock else _word(told.model),
        request_model=place.model if bedrock or not isinstance(asked, str) else _word(asked),
        finish_reason=_word(told.finish),
        service_tier=_word(told.tier),
        error=told.error,
    )
    if body:
        reading.stream = frame in ("sse", "ndjson", "eventstream") or (place.stream and body.lstrip()[:1] == b"[")
    else:
        reading.stream = place.stream or request.get("stream") is True or "event-stream" in exchange.content_type
    if exchange.http_status is not None and exchange.http_status >= 400:
        reading.error = _refusal(exchange.http_status, told.error, body)
        reading.stream = reading.stream and frame != "json"
        return reading
    _meter(reading, exchange.headers, told)
    told.bill(reading.usage)
    _bill(reading, exchange, told)
    spared = exchange.cached or headers.cached(exchange.headers)
    if reading.source not in _CLAIMS:
        model = reading.model or reading.request_model
        reading.draft = Draft(
            reading.operation,
            reading.kind,
            model,
            exchange.request,
            body or b"",
            frame,
            exchange.complete or reading.finish_reason is not None,
            reading.usage,
        )
    if reading.stream and body and exchange.content_encoding in ("", "identity"):
        reading.first_token_at = first_token(exchange.chunks, body, frame)
    if spared:
        for run in (reading, *reading.more):
            run.spare()
    return reading


def _bill(reading: Reading, exchange: Exchange, told: Told) -> None:
    """Take in what headers tell of money, and what else was billed than the run that answers."""
    known = exchange.headers
    if known:
        reading.cost = headers.cost(known) if reading.cost is None else reading.cost
        tier = headers.tier(known)
        if tier is not None and reading.service_tier in (None, "default"):
            reading.service_tier = tier
    for run in (*hidden(told.usage), *told.beside):
        raw = dict(run.raw)
        if "inference_geo" in told.usage:
            raw.setdefault("inference_geo", told.usage["inference_geo"])  # it has a price
        reading.more.append(
            replace(
                reading,
                operation=run.kind,
                kind="llm",
                model=_word(run.model) or reading.model,
                request_model=_word(run.model) or reading.request_model,
                finish_reason=None,
                usage=run.usage,
                source="reported",
                usage_raw=_dump(raw),
                cost=None,
                draft=None,
                more=[],
            )
        )


def _take_in(told: Told, body: bytes, frame: str, place: Endpoint | None) -> None:
    if frame == "json":
        answer = _answer(body)
        if isinstance(answer, dict):
            told.absorb(answer, False)
            return
        if body[:64].lstrip()[:1] == b"[":
            events = read_array(body) if len(body) < HUGE and place is not None and place.stream else Events([])
        elif answer is None and b"}\n{" in body:
            events = read_lines(body, False)
        else:
            return
    elif frame == "eventstream":
        events = read_frames(body)
    else:
        events = read_lines(body, frame == "sse")
    for event in events.told:
        told.absorb(event, True)
    told.final = told.final or (events.done and bool(told.usage) and told.operation != "messages")


def _answer(body: bytes) -> Any:
    if len(body) < BIG:
        return load(body)
    found = _ends(body, _ANSWER_KEYS)
    tells = found is not None and found.keys() & {"usage", "usageMetadata", "meta", "prompt_eval_count"}
    if tells and is_whole(body):
        return found
    if len(body) < HUGE:
        return load(body)
    return None if tells else found


def _ends(body: bytes, keys: tuple[bytes, ...]) -> dict[str, Any] | None:
    """Members of a big object that its two ends tell."""
    found: dict[str, Any] = {}
    for key in keys:
        found.update(tail_member(body, key) or {})
    if "model" not in found and (head := _HEAD_MODEL.match(body)):
        found["model"] = head[1].decode("utf-8", "replace")
    return found or None


def _request(exchange: Exchange, answered: bool) -> Mapping[str, Any]:
    """Members of the request; of one that was answered for certain, nothing but the model is asked for."""
    body = exchange.request
    if not body or body[:64].lstrip()[:1] != b"{" or len(body) > HUGE:
        return {}
    if answered:
        if head := _HEAD_MODEL.match(body):
            return {"model": head[1].decode("utf-8", "replace")}
        end = tail_member(body, b"model")
        if end is not None and isinstance(end.get("model"), str) and end["model"]:
            return end
    if len(body) > 64 * 1024:
        ends = _ends(body, _REQUEST_KEYS)
        if ends is not None and isinstance(ends.get("model"), str):
            return ends
    asked = load(body)
    return asked if isinstance(asked, dict) else {}


def _asks(request: Mapping[str, Any]) -> bool:
    """Whether a request asks a model for something, whatever its path."""
    return isinstance(request.get("model"), str) and any(key in request for key in _PROMPTS)


def _meter(reading: Reading, known: Mapping[str, str], told: Told) -> None:
    single = reading.kind in ("embedding", "reranker")
    if told.usage:
        reading.usage_raw = _dump(told.usage)
        reading.cost = _cost(told.usage)
        counted = tally(told.usage, single)
        if counted is not None:
            usage, source = counted
            reading.usage, reading.source = usage, source if told.final else "partial"
            if told.final and usage.total_tokens is not None:
                return
    for raw in (told.metrics, _counts(known)):
        counted = tally(raw, single)
        if counted is not None and (reading.source not in _CLAIMS or counted[0].total_tokens is not None):
            reading.usage, reading.source = counted
            reading.usage_raw = _dump(raw)
            return


def _counts(known: Mapping[str, str]) -> dict[str, Any]:
    """Read what Bedrock tells in headers, by the names that it uses in bodies."""
    found: dict[str, Any] = {}
    for header, key in COUNTS:
        value = known.get(header)
        if value is not None and value.isascii() and value.isdigit() and len(value) < 17:
            found[key] = int(value)
    return found


COUNTS = (
    ("x-amzn-bedrock-input-token-count", "inputTokenCount"),
    ("x-amzn-bedrock-output-token-count", "outputTokenCount"),
    ("x-amzn-bedrock-cache-read-input-token-count", "cacheReadInputTokenCount"),
    ("x-amzn-bedrock-cache-write-input-token-count", "cacheWriteInputTokenCount"),
)


def _word(text: str | None) -> str | None:
    """Shorten what is no name, and replace lone surrogates: who prints one fails."""
    return text and text[:_LONG].encode("utf-8", "replace").decode()


def _dump(raw: Mapping[str, Any]) -> str | None:
    try:
        return _compact.encode(raw)
    except (ValueError, RecursionError):
        return None


def _cost(usage: Mapping[str, Any]) -> float | None:
    """USD that the provider says the call cost."""
    told = usage.get("cost")
    if isinstance(told, dict):
        return _dollars(told.get("total_cost"))
    if told is None:
        ticks = _dollars(usage.get("cost_in_usd_ticks"))
        return None if ticks is None else ticks / _TICKS
    cost = _dollars(told)
    if cost is not None and usage.get("is_byok") is True:
        # what the upstream provider takes comes on top of the gateway's share
        details = usage.get("cost_details")
        upstream = _dollars(details.get("upstream_inference_cost")) if isinstance(details, dict) else None
        return None if upstream is None else cost + upstream
    return cost


def _dollars(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e18:
        return float(value)
    return None


def _refusal(status: int, told: str | None, body: bytes | None) -> str:
    """Tell how a request was refused: the status, with the provider's code for it where there is one."""
    if told is None and body:
        answer = load(body[:BIG])
        told = error_of(answer[0] if isinstance(answer, list) and answer else answer)
    return f"HTTP {status}" if told in (None, "error") else f"HTTP {status}: {told}"
