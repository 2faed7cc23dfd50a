"""What is kept of a request beside its prompt."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest

import tokprof
from tokprof.capture.content import parameters
from tokprof.testing import SimulatedProvider
from tokprof.views.detail import detail

from .frames import frame


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


NEWS = "Rain is expected over Zürich on Sunday; the lake festival has been moved to the week after."
PIECES = [NEWS[at : at + 9] for at in range(0, len(NEWS), 9)]
CONVERSE = [
    ("messageStart", {"role": "assistant"}),
    *(("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": piece}}) for piece in PIECES),
    ("messageStop", {"stopReason": "end_turn"}),
    ("metadata", {"usage": {"inputTokens": 10, "outputTokens": 25, "totalTokens": 35}, "metrics": {"latencyMs": 9}}),
]
CLAUDE: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"role": "assistant", "usage": {"input_tokens": 10, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    *(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
        for piece in PIECES
    ),
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 25}},
]  # fmt: skip
INVOKE = [("chunk", {"bytes": base64.b64encode(json.dumps(each).encode()).decode()}) for each in CLAUDE]


class Streams(BaseHTTPRequestHandler):
    """Answers as bedrock-runtime does, by Converse and by InvokeModel, in events."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        body = b"".join(frame(*event) for event in (CONVERSE if "converse" in self.path else INVOKE))
        self.send_response(200)
        self.send_header("content-type", "application/vnd.amazon.eventstream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def bedrock() -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Streams)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    keys: dict[str, Any] = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
    address = f"http://127.0.0.1:{server.server_port}"
    client = boto3.client("bedrock-runtime", endpoint_url=address, region_name="eu-central-1", **keys)
    yield client
    client.close()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("action", ["converse", "invoke"])
def test_a_binary_stream_is_kept_so_that_it_can_be_read(bedrock: Any, action: str) -> None:
    model = "anthropic.claude-sonnet-4-5-20250929-v1:0"

    def ask(text: str) -> None:
        if action == "converse":
            said = [{"role": "user", "content": [{"text": text}]}]
            list(bedrock.converse_stream(modelId=model, messages=said)["stream"])
        else:
            said = [{"role": "user", "content": text}]
            body = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 99, "messages": said})
            list(bedrock.invoke_model_with_response_stream(modelId=model, body=body)["body"])

    with tokprof.profile(capture="full") as prof:
        ask("What is new?")
        ask(f"Translate: {NEWS}")
    assert prof.totals.total_tokens == 70
    kept = prof.content(prof.calls.span_id.iloc[0])["answer"]
    events = [json.loads(line) for line in kept.splitlines()]
    assert events == ([event for _, event in CONVERSE] if action == "converse" else CLAUDE)
    found = prof.flow()
    assert found[["via", "characters", "share"]].values.tolist() == [["text", len(NEWS), 1.0]]
