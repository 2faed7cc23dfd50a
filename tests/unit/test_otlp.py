"""OTLP: the JSON by the project's own protocol buffers, and the push to a collector on the loopback."""

from __future__ import annotations

import base64
import gzip
import importlib
import json
import pkgutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import opentelemetry.semconv._incubating.attributes
import opentelemetry.semconv.attributes
import pytest
from google.protobuf import json_format
from openinference.semconv import resource, trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes

import tokprof
from tests.unit.export_scenes import agent, hostile, parallel
from tests.unit.scenes import call, retrieval
from tokprof.span import KINDS, Usage

SCENES = {"agent": agent, "retrieval": retrieval, "hostile": hostile, "parallel": lambda clock, frames: parallel(clock)}
HEADER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def parsed(text: str) -> Any:
    """By the published messages; ids are hex in OTLP and base64 in the JSON of protocol buffers."""
    body = json.loads(text)
    for span in body["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for name in ("traceId", "spanId", "parentSpanId"):
            if name in span:
                span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    return json_format.ParseDict(body, ExportTraceServiceRequest())


def values(span: Any) -> dict[str, Any]:
    found = {}
    for each in span.attributes:
        kind = each.value.WhichOneof("value")
        value = getattr(each.value, kind)
        found[each.key] = [v.string_value for v in value.values] if kind == "array_value" else value
    return found


@pytest.mark.parametrize("scene", SCENES)
def test_otlp_is_read_by_the_published_messages(clock: Any, frames: Any, scene: str) -> None:
    prof = SCENES[scene](clock, frames)
    read = parsed(prof.to_otlp())
    spans = list(read.resource_spans[0].scope_spans[0].spans)
    assert [span.span_id.hex() for span in spans] == prof.df.span_id.tolist()
    assert [span.parent_span_id.hex() or None for span in spans] == prof.df.parent_id.tolist()
    assert len({span.trace_id for span in spans}) == 1 and len(spans[0].trace_id) == 16
    assert [(s.end_time_unix_nano - s.start_time_unix_nano) / 1e9 for s in spans] == prof.df.duration_s.tolist()
    assert all(len({each.key for each in span.attributes}) == len(span.attributes) for span in spans)
    told = [values(span) for span in spans]
    generated = [each for each in told if each["openinference.span.kind"] not in ("EMBEDDING", "RERANKER")]
    assert sum(each.get("llm.token_count.total", 0) for each in generated) == (
        prof.totals.input_tokens + prof.totals.output_tokens
    )
    assert sum(each.get("llm.cost.total", 0) for each in told) == pytest.approx(prof.totals.cost)


def test_attributes_by_hand(clock: Any, frames: Any) -> None:
    frames("In[3]:2 <module>", "agent.py:5 plan")
    with tokprof.profile("run", session="s1", traceparent=HEADER) as prof:
        with tokprof.span("helper", kind="agent"), tokprof.span("answer", kind="llm") as step:
            clock.advance(1)
            step.record(
                model="gpt-4o-mini", provider="openai", operation="responses",
                input_tokens=1000, output_tokens=100, cache_read_tokens=400, reasoning_tokens=60,
            )  # fmt: skip
    root, helper, answer = parsed(prof.to_otlp(service="mine")).resource_spans[0].scope_spans[0].spans
    assert (root.trace_id.hex(), root.parent_span_id.hex()) == (HEADER[3:35], HEADER[36:52])
    assert helper.name == "invoke_agent helper"
    assert values(helper)["gen_ai.agent.name"] == values(helper)["agent.name"] == "helper"
    found = values(answer)
    expected = {
        "openinference.span.kind": "LLM",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "llm.provider": "openai",
        "gen_ai.response.model": "gpt-4o-mini",
        "llm.model_name": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 1000,
        "llm.token_count.prompt": 1000,
        "gen_ai.usage.output_tokens": 100,
        "llm.token_count.completion": 100,
        "llm.token_count.total": 1100,
        "gen_ai.usage.cache_read.input_tokens": 400,
        "llm.token_count.prompt_details.cache_read": 400,
        "gen_ai.usage.reasoning.output_tokens": 60,
        "llm.token_count.completion_details.reasoning": 60,
        "llm.cost.total": pytest.approx(0.00018),
        "llm.cost.prompt": pytest.approx(0.00012),
        "llm.cost.completion": pytest.approx(0.00006),
        "llm.cost.prompt_details.cache_read": pytest.approx(0.00003),
        "session.id": "s1",
        "gen_ai.conversation.id": "s1",
        "code.function.name": "plan",
        "code.file.path": "agent.py",
        "code.line.number": 5,
        "tokprof.usage_source": "reported",
        "tokprof.cost_source": "priced",
    }
    assert expected.items() <= found.items()
    assert not any("token_count" in name for name in values(helper))


def test_a_step_that_sums_up_its_calls_tells_only_the_rest(clock: Any, frames: Any) -> None:
    frames()
    with tokprof.profile("run") as prof:
        with tokprof.span("framework", kind="agent") as step:
            call(clock, 1, input_tokens=100, output_tokens=10)
            step.record(model="gpt-4o-mini", input_tokens=150, output_tokens=10)
        with tokprof.span("exact", kind="agent") as step:
            call(clock, 1, input_tokens=100, output_tokens=10)
            step.record(model="gpt-4o-mini", input_tokens=100, output_tokens=10)
    spans = parsed(prof.to_otlp()).resource_spans[0].scope_spans[0].spans
    told = {span.name: values(span) for span in spans}
    assert told["invoke_agent framework"]["gen_ai.usage.input_tokens"] == 50
    assert "gen_ai.usage.input_tokens" not in told["invoke_agent exact"]
    assert sum(values(span).get("llm.token_count.total", 0) for span in spans) == prof.totals.total_tokens == 270


class Collector(ThreadingHTTPServer):
    """Takes what is sent, and answers as told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.taken: list[tuple[str, dict[str, str], str]] = []
        self.status, self.answer, self.location = 200, b"{}", ""
        self.wait = threading.Event()
        self.wait.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.taken.append((self.path, headers, gzip.decompress(body).decode()))
        self.server.wait.wait(10)
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("location", self.server.location)
        self.send_header("content-length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.wait.set()
        server.shutdown()
        thread.join()


def test_push_sends_what_to_otlp_gives(clock: Any, frames: Any, collector: Collector) -> None:
    prof = agent(clock, frames)
    assert prof.push_otlp(collector.url, {"authorization": "Bearer hush"}, service="mine") == 6
    [(path, headers, body)] = collector.taken
    assert path == "/v1/traces"
    assert (headers["content-type"], headers["content-encoding"]) == ("application/json", "gzip")
    assert headers["authorization"] == "Bearer hush"
    assert body == prof.to_otlp(service="mine")
    assert prof.push_otlp(f"{collector.url}/api/otel?project=1") == 6
    assert collector.taken[1][0] == "/api/otel?project=1"


def test_a_large_profile_is_sent_in_parts(clock: Any, frames: Any, collector: Collector) -> None:
    frames()
    with tokprof.profile("run") as prof:
        for _ in range(2500):
            call(clock, 1, input_tokens=1, output_tokens=1)
    assert prof.push_otlp(collector.url) == 2501
    sent = [parsed(body).resource_spans[0].scope_spans[0].spans for _, _, body in collector.taken]
    assert [len(spans) for spans in sent] == [1000, 1000, 501]
    assert [span.span_id.hex() for spans in sent for span in spans] == prof.df.span_id.tolist()


def test_a_push_is_in_no_profile(clock: Any, frames: Any, collector: Collector) -> None:
    prof = agent(clock, frames)
    with tokprof.profile("outer") as outer:
        prof.push_otlp(f"{collector.url}/v1/chat/completions")
    assert (len(outer.df), outer.totals.calls) == (1, 0)
    assert len(prof.df) == 6


def test_what_goes_wrong_is_said_without_secrets(clock: Any, frames: Any, collector: Collector) -> None:
    prof = agent(clock, frames)
    hush = {"authorization": "Bearer hush"}
    collector.status, collector.answer = 401, b"who are you?"
    with pytest.raises(ConnectionError) as caught:
        prof.push_otlp(f"{collector.url}/?key=hush", hush)
    assert str(caught.value) == f"{collector.url}/v1/traces answered 401 Unauthorized: who are you?"
    collector.status, collector.location, collector.answer = 307, f"{collector.url}/elsewhere", b""
    with pytest.raises(ConnectionError, match="answered 307"):
        prof.push_otlp(collector.url, hush)
    assert "/elsewhere" not in [path for path, _, _ in collector.taken]
    collector.wait.clear()
    with pytest.raises(ConnectionError, match=r"/v1/traces did not answer within 0.2 s"):
        prof.push_otlp(collector.url, hush, timeout=0.2)
    with pytest.raises(ConnectionError, match=r"http://127.0.0.1:1/v1/traces cannot be reached: .*; is a collector"):
        prof.push_otlp("http://127.0.0.1:1", hush)


def test_rejected_spans_are_told(clock: Any, frames: Any, collector: Collector) -> None:
    collector.answer = b'{"partialSuccess": {"rejectedSpans": "2", "errorMessage": "too old"}}'
    with pytest.warns(UserWarning, match="the collector rejected 2 spans: too old") as caught:
        assert agent(clock, frames).push_otlp(collector.url) == 4
    assert caught[0].filename == __file__
    collector.answer = b"\x00 thanks"
    assert agent(clock, frames).push_otlp(collector.url) == 6


@pytest.mark.parametrize(
    "endpoint", ["", "localhost:4318", "file:///etc/passwd", "ftp://a", "http://", "http://a:b:c", None]
)
def test_endpoints_that_are_none(clock: Any, frames: Any, endpoint: Any) -> None:
    with pytest.raises(ValueError, match="one looks like http://localhost:4318"):
        agent(clock, frames).push_otlp(endpoint)


def test_secrets_where_they_do_not_belong(clock: Any, frames: Any) -> None:
    prof = agent(clock, frames)
    with pytest.raises(ValueError, match="give them by headers") as caught:
        prof.push_otlp("http://user:hush@127.0.0.1:1")
    assert "hush" not in str(caught.value)
    for headers in ({"a": "hush\r\nb: c"}, {"a": "hush\u2028"}, {"a": 7}, {"hush b": "c"}):
        with pytest.raises(ValueError, match="header") as caught:
            prof.push_otlp("http://127.0.0.1:1", headers)
        assert "hush" not in str(caught.value)


# --- names of attributes, by what the projects publish ------------------------------------------

# in semantic-conventions-genai and opentelemetry-util-genai, and not yet a constant of a release
NEWER = {
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.audio.input_tokens",
    "gen_ai.usage.audio.output_tokens",
    "gen_ai.usage.image.input_tokens",
    "gen_ai.usage.image.output_tokens",
}


def published() -> set[str]:
    """Names that OpenTelemetry and OpenInference publish as constants."""
    found: set[str] = set()
    for package in (opentelemetry.semconv.attributes, opentelemetry.semconv._incubating.attributes):
        for each in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package.__name__}.{each.name}")
            found |= {value for value in vars(module).values() if isinstance(value, str)}
    kinds = (trace.SpanAttributes, trace.ToolAttributes, resource.ResourceAttributes)
    return found | {value for kind in kinds for value in vars(kind).values() if isinstance(value, str)}


def everything(clock: Any, frames: Any) -> tokprof.Profile:
    """A span of each kind, with all that a call can tell."""
    frames("agent.py:5 plan")
    with tokprof.profile("run", capture="full", session="s", user="u", team="t") as prof:
        for kind in KINDS:
            if kind in ("cell", "profile"):
                continue
            with tokprof.span(f"a {kind}", kind=kind) as step:
                clock.advance(1)
                if kind in ("llm", "embedding", "reranker"):
                    step.record(model="gpt-4o", provider="openai", operation="chat", input_tokens=1000, output_tokens=9)
                    span = step.span
                    assert span is not None and span.usage is not None
                    for name in Usage.__slots__:
                        setattr(span.usage, name, getattr(span.usage, name) or 3)
                    span.host, span.http_status, span.attempt, span.stream = "api.openai.com:443", 200, 2, True
                    span.finish_reason, span.first_token, span.late = "stop", span.opened + 5, True
                    span.service_tier, span.content = "default", {"prompt": "p", "answer": "a"}
        with pytest.raises(ValueError), tokprof.span("bad", kind="tool"):
            raise ValueError
    return prof


def test_every_attribute_is_a_name_of_the_conventions_or_of_our_own(clock: Any, frames: Any) -> None:
    names = published() | NEWER
    seen: set[str] = set()
    for span in parsed(everything(clock, frames).to_otlp(content=True)).resource_spans[0].scope_spans[0].spans:
        seen |= set(values(span))
    assert {name for name in seen if not name.startswith("tokprof.")} - names == set()
    assert len({name for name in seen if name.startswith("gen_ai.usage.")}) >= 8
    assert len({name for name in seen if name.startswith("llm.token_count.")}) >= 8


def test_values_are_of_the_published_kinds(clock: Any, frames: Any) -> None:
    kinds = {kind.value for kind in trace.OpenInferenceSpanKindValues}
    operations = {each.value for each in gen_ai_attributes.GenAiOperationNameValues}
    providers = {each.value for each in gen_ai_attributes.GenAiProviderNameValues}
    told = [values(span) for span in parsed(everything(clock, frames).to_otlp()).resource_spans[0].scope_spans[0].spans]
    assert {each["openinference.span.kind"] for each in told} <= kinds
    assert {each["gen_ai.operation.name"] for each in told if "gen_ai.operation.name" in each} <= operations
    assert {each["gen_ai.provider.name"] for each in told if "gen_ai.provider.name" in each} <= providers
