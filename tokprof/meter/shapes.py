"""Where the answers and events of each provider hold their usage, model, reason to finish and error."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from tokprof.meter.usage import Hidden, shape_of, tally
from tokprof.span import Usage

Event = dict[str, Any]

# members of the answer itself that make up a usage object, where there is none of its own
_FLAT = (
    ("prompt_eval_count", "eval_count"),
    ("prompt_token_count", "generation_token_count"),
    ("num_tokens_prompt_total", "num_tokens_generated"),
    ("inputTextTokenCount", "totalOutputTextTokenCount"),
)
_FINAL_RESPONSES = ("response.completed", "response.incomplete", "response.failed", "response.done")
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,59}")  # a word for machines; what has blanks may quote the prompt
_METRICS = "amazon-bedrock-invocationMetrics"
_TRAFFIC = {1: "on_demand", 2: "provisioned_throughput"}  # proto-REST clients send the number of the enumeration
_AFRESH = ("prompt_tokens", "promptTokenCount")  # usage that tells these tells everything up to there
_ORDINARY = (None, "standard", "default")

# `object` of an answer -> operation, kind
_OBJECTS = {
    "chat.completion": ("chat", "llm"),
    "chat.completion.chunk": ("chat", "llm"),
    "text_completion": ("completions", "llm"),
    "text.completion": ("completions", "llm"),
    "response": ("responses", "llm"),
    "response.compaction": ("responses", "llm"),
    "conversation.response": ("chat", "llm"),
}


@dataclass(slots=True)
class Told:
    """What the events of an answer told up to now.

    Attributes
    ----------
    usage : dict
        The usage objects, merged: later values win where they are not null.
    metrics : dict
        Bedrock's own counts, good where the vendor's payload tells none.
    final : bool
        Whether `usage` is that of the whole answer, not a first or running count.
    tier : str or None
        The service tier, in the provider's words and lower case.
    counted : bool
        Whether one of Anthropic's running counts told the output.
    unfinished : set of int
        Choices of which the last event seen was not their end.
    searches : int or None
        Web searches that are told outside the usage object.
    beside : list of Hidden
        Runs of another model that are told and billed outside the usage object: pictures that a tool made.
    operation, kind : str or None
        What the answer says that it is.
    """

    usage: Event = field(default_factory=dict)
    metrics: Event = field(default_factory=dict)
    final: bool = False
    counted: bool = False
    unfinished: set[int] = field(default_factory=set)
    model: str | None = None
    tier: str | None = None
    searches: int | None = None
    beside: list[Hidden] = field(default_factory=list)
    queries: set[str] = field(default_factory=set)
    finish: str | None = None
    error: str | None = None
    operation: str | None = None
    kind: str | None = None

    def absorb(self, event: Event, stream: bool) -> None:
        """Take in one event of a stream, or the one answer."""
        kind = event.get("type")
        self._identify(event, kind)
        self._finish(event)
        if (error := error_of(event)) is not None:
            self.error = error
        if isinstance(metrics := event.get(_METRICS), dict):
            merge(self.metrics, metrics)
        if (tier := _tier(event)) is not None:
            self.tier = tier
        if "candidates" in event:
            self._grounded(event["candidates"])
        elif not stream or kind in _FINAL_RESPONSES:
            self._tools(event if event.get("object") == "response" else _dict(event.get("response")))
        if stream and "choices" in event:
            self._choose(event["choices"])
        found = _usage(event, kind, stream)
        if found is None:
            self.final = self.final or (kind == "message_stop" and self.counted)
            return
        if stream and "generated_token_count" in found:
            # watsonx: the input is told once, and zero from then on
            found = {key: _higher(value, self.usage.get(key)) for key, value in found.items()}
        before, self.usage = self.usage, dict(self.usage)
        if kind == "message_start" or any(found.get(key) is not None for key in _AFRESH):
            self.usage = {}
        merge(self.usage, found)
        if (tier := _tier_of(self.usage)) is not None:
            self.tier = tier
        self.counted = kind == "message_delta" and found.get("output_tokens") is not None
        if not stream or (_is_final(event, kind) and not (self.unfinished and event.get("choices"))):
            self.final = True
        elif self.usage != before:
            self.final = False

    def _identify(self, event: Event, kind: object) -> None:
        if self.model is None:
            self.model = _model(event)
        if self.operation is None:
            known = _OBJECTS.get(told) if isinstance(told := event.get("object"), str) else None
            if known is None and isinstance(kind, str):
                if kind == "message_start" or (kind == "message" and "content" in event):
                    known = ("messages", "llm")
                elif kind.startswith("response."):
                    known = ("responses", "llm")
            if known is None and "usageMetadata" in event and ("candidates" in event or "modelVersion" in event):
                known = ("generate_content", "llm")
            if known is None and isinstance(event.get("usage"), dict):
                data = event.get("data")
                if isinstance(event.get("choices"), list):
                    known = ("chat", "llm")
                elif isinstance(data, list) and data and _dict(data[0]).get("object") == "embedding":
                    known = ("embeddings", "embedding")
            if known is not None:
                self.operation, self.kind = known

    def _choose(self, choices: object) -> None:
        """Note which choices go on: the count at the end of one is not that of all."""
        for choice in map(_dict, choices if isinstance(choices, list) else ()):
            if type(index := choice.get("index")) is int:
                (self.unfinished.discard if choice.get("finish_reason") else self.unfinished.add)(index)

    def bill(self, usage: Usage) -> None:
        """Add to a usage what was billed with it and told elsewhere in the answer."""
        if self.searches is not None:
            usage.web_searches = self.searches

    def _grounded(self, candidates: object) -> None:
        """Count Gemini's distinct search queries; empty ones are not billed."""
        for candidate in candidates if isinstance(candidates, list) else ():
            queries = _dict(_dict(candidate).get("groundingMetadata")).get("webSearchQueries")
            if isinstance(queries, list):
                self.queries.update(query for query in queries if isinstance(query, str) and query)
                self.searches = len(self.queries)

    def _tools(self, response: Event) -> None:
        """Count what tools of the Responses API did and cost."""
        used = _dict(response.get("tool_usage"))
        told = _dict(used.get("web_search")).get("num_requests")
        output = response.get("output")
        calls = [_dict(item) for item in output] if isinstance(output, list) else []
        if type(told) is int and told >= 0:
            self.searches = told
        elif found := sum(_is_search(item) for item in calls):
            self.searches = found
        pictures = _dict(used.get("image_gen"))
        if pictures and (counted := tally(pictures)) is not None:
            tools = response.get("tools")
            models = [_dict(tool).get("model") for tool in tools] if isinstance(tools, list) else []
            model = next((name for name in models if isinstance(name, str)), None)
            self.beside = [Hidden("image_gen", model, counted[0], pictures)]

    def _finish(self, event: Event) -> None:
        reason = _reason(event)
        if reason is not None:
            self.finish = reason


def _usage(event: Event, kind: object, stream: bool) -> Event | None:
    """Find the usage object at its proper place of an answer or event."""
    if stream and isinstance(kind, str):
        holder = None
        if kind == "message_start":
            holder = event.get("message")
        elif kind.startswith("response."):
            if kind not in _FINAL_RESPONSES:
                return None
            holder = event.get("response")
        elif kind == "message-end":
            holder = event.get("delta")
        if holder is not None:
            return _dict(_dict(holder).get("usage")) or None
    found = event.get("usage")
    if not isinstance(found, dict):
        found = event.get("usageMetadata")
    if not isinstance(found, dict):
        found = _dict(event.get("x_groq")).get("usage")
    if not isinstance(found, dict):
        found = _dict(event.get("response")).get("usage")  # an answer of xAI's that was asked for until it was there
    if isinstance(found, dict):
        return found if shape_of(found) is not None else None
    for meta in (event.get("meta"), _dict(event.get("response")).get("meta")):
        if isinstance(meta, dict) and ("tokens" in meta or "billed_units" in meta):
            return {key: meta[key] for key in ("tokens", "billed_units", "cached_tokens") if key in meta}
    return _flat(event)


def _flat(event: Event) -> Event | None:
    results = event.get("results")
    if isinstance(results, list) and results and all(isinstance(item, dict) for item in results):
        if "generated_token_count" in results[0]:
            keys = ("input_token_count", "generated_token_count")
            return {key: _sum([item.get(key) for item in results]) for key in keys}
        if "inputTextTokenCount" in event:
            counts = _sum([item.get("tokenCount") for item in results])
            return {"inputTextTokenCount": event["inputTextTokenCount"], "tokenCount": counts}
    for keys in _FLAT:
        found = {key: event[key] for key in keys if event.get(key) is not None}
        if found:
            return found
    predictions = event.get("predictions")
    if isinstance(predictions, list) and predictions:
        statistics = [_dict(_dict(_dict(item).get("embeddings")).get("statistics")) for item in predictions]
        if all("token_count" in item for item in statistics):
            return {"token_count": _sum([item["token_count"] for item in statistics])}
    return None


def _tier(event: Event) -> str | None:
    """Service tier that an answer or event tells beside its usage."""
    told = event.get("service_tier")
    if told is None and isinstance(response := event.get("response"), dict):
        told = response.get("service_tier")
    if isinstance(told, str):
        return told.lower().removeprefix("service_tier_")  # of xAI's enumeration
    if "serviceTier" in event or "performanceConfig" in event:
        latency = _dict(event.get("performanceConfig")).get("latency")
        told = _dict(event.get("serviceTier")).get("type")
        if isinstance(latency, str) and latency != "standard" and told in _ORDINARY:
            return latency.lower()
        return told.lower() if isinstance(told, str) else None
    return None


def _tier_of(usage: Event) -> str | None:
    """Service tier that a usage object tells: Anthropic's, with its fast mode, and Gemini's."""
    tier = usage.get("service_tier") or usage.get("serviceTier") or usage.get("trafficType")
    if isinstance(tier, int):
        tier = _TRAFFIC.get(tier)
    speed = usage.get("speed")
    if isinstance(speed, str) and speed not in _ORDINARY and tier in _ORDINARY:
        return speed.lower()
    return tier.lower() if isinstance(tier, str) else None


def _is_search(item: Event) -> bool:
    """Whether an item of output is a web search that is billed: one that opens or reads a page is not."""
    if item.get("type") != "web_search_call" or item.get("status") == "failed":
        return False
    return _dict(item.get("action")).get("type") in (None, "search")


def _is_final(event: Event, kind: object) -> bool:
    """Whether the usage of this event of a stream is the last word."""
    if isinstance(kind, str):
        if kind == "message_start":
            return False
        if kind == "message_delta":
            ended = _dict(event.get("delta")).get("stop_reason") is not None
            return ended and _dict(event.get("usage")).get("output_tokens") is not None
        return True
    if "choices" in event:
        return not event["choices"] or _reason(event) is not None
    if "candidates" in event or "usageMetadata" in event or "outputs" in event:
        return _reason(event) is not None
    if "generation_token_count" in event:
        return event.get("stop_reason") is not None
    if "totalOutputTextTokenCount" in event or "inputTextTokenCount" in event:
        ended = event.get("completionReason") or event.get("amazon-bedrock-guardrailAction") == "INTERVENED"
        return bool(ended) and event.get("totalOutputTextTokenCount") is not None
    results = event.get("results")
    if isinstance(results, list) and results:
        return _dict(results[0]).get("stop_reason") not in (None, "not_finished", "NOT_FINISHED")
    if "done" in event:
        return event["done"] is True
    return True


def _model(event: Event) -> str | None:
    for key in ("model", "modelVersion", "model_id", "model_version"):
        if isinstance(told := event.get(key), str) and told:
            return told
    for key in ("message", "response"):
        if isinstance(told := _dict(event.get(key)).get("model"), str) and told:
            return told
    return None


def _reason(event: Event) -> str | None:
    for key in ("stop_reason", "finish_reason", "stopReason", "done_reason", "completionReason"):
        if isinstance(told := event.get(key), str):
            return told
    for key in ("choices", "candidates", "completions", "results", "outputs", "generations"):
        items = event.get(key)
        if isinstance(items, list) and items and isinstance(items[0], dict):
            for name in ("finish_reason", "finishReason", "stop_reason", "completionReason"):
                told = items[0].get(name)
                told = told.get("reason") if isinstance(told, dict) else told
                if isinstance(told, str) and told not in ("not_finished", "FINISH_REASON_UNSPECIFIED"):
                    return told
                if type(told) is int and told > 0:
                    return str(told)
    for holder in (event.get("delta"), event.get("messageStop")):
        for key in ("stop_reason", "finish_reason", "stopReason"):
            if isinstance(told := _dict(holder).get(key), str):
                return told
    holder = event if event.get("object") == "response" else _dict(event.get("response"))
    if isinstance(told := _dict(holder.get("incomplete_details")).get("reason"), str):
        return told
    status = holder.get("status")
    if status in ("completed", "incomplete", "failed", "cancelled"):
        return str(status)
    feedback = _dict(event.get("promptFeedback"))
    blocked = feedback.get("blockReason")
    return str(blocked) if isinstance(blocked, str | int) else None


def error_of(event: Any) -> str | None:
    """Code by which an answer or event says what went wrong; None where nothing did.

    Messages are left alone: they quote prompts and keys.
    """
    if not isinstance(event, dict):
        return None
    error = event.get("error") or _dict(event.get("response")).get("error")
    if isinstance(error, dict):
        found = [error.get(key) for key in ("code", "status", "type")]
    elif error or event.get("type") == "error":
        found = [error, event.get("code")]
    else:
        return None
    return next((code for code in found if isinstance(code, str) and _CODE.fullmatch(code)), "error")


def merge(into: Event, more: Event) -> None:
    """Merge, later values winning where they are not null."""
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(old := into.get(key), dict):
            into[key] = merged = dict(old)
            merge(merged, value)
        elif value is not None or key not in into:
            into[key] = value


def _dict(value: Any) -> Event:
    return value if isinstance(value, dict) else {}


def _higher(new: Any, old: Any) -> Any:
    if not new:
        return old
    return max(new, old) if type(new) is int and type(old) is int else new


def _sum(values: list[Any]) -> Any:
    """Sum of counts; a value that is none of them spoils it on purpose."""
    for value in values:
        if type(value) is not int or value < 0:
            return value
    return sum(values)
