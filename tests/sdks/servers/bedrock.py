"""Amazon Bedrock: Converse and InvokeModel, as JSON and as AWS event streams.

Framing of a message, all numbers big endian: total length, length of the headers, CRC-32 of these two; headers, each
a name and a value with its type (7: text); payload; CRC-32 of all before it
(https://smithy.io/2.0/aws/amazon-eventstream.html).
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any
from urllib.parse import unquote

from sdks.servers.loopback import Answer, Asked, whole

TEXT = "Grüezi from Bedrock"
CONVERSE = {
    "inputTokens": 412,
    "outputTokens": 66,
    "totalTokens": 412 + 66 + 2000 + 300,
    "cacheReadInputTokens": 2000,
    "cacheWriteInputTokens": 300,
}
CLAUDE = {
    "input_tokens": 513,
    "output_tokens": 77,
    "cache_read_input_tokens": 1000,
    "cache_creation_input_tokens": 200,
}
LLAMA = {"prompt_token_count": 91, "generation_token_count": 34}
TITAN_EMBEDDING = {"embedding": [0.25, 0.5], "inputTextTokenCount": 13}
METRICS = {"inputTokenCount": 513, "outputTokenCount": 77, "invocationLatency": 90, "firstByteLatency": 30}


def answer(asked: Asked) -> Answer:
    """Answer as bedrock-runtime does; InvokeModel in the vendor's words, by the name of the model."""
    _, _, model, action = map(unquote, asked.path.split("/"))
    stream = action.endswith("stream")
    if action.startswith("converse"):
        return _events(_CONVERSE) if stream else _converse()
    headers = {"x_amzn_bedrock_input_token_count": "513", "x_amzn_bedrock_output_token_count": "77"}
    if "embed" in model:
        return whole(TITAN_EMBEDDING)
    if "llama" in model:
        return whole({"generation": TEXT, "stop_reason": "stop", **LLAMA})
    if stream:
        return _events(
            [("chunk", {"bytes": base64.b64encode(json.dumps(event).encode()).decode()}) for event in _claude()]
        )
    body = {"id": "m1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "stop_reason": "end_turn"}
    return whole({**body, "content": [{"type": "text", "text": TEXT}], "usage": CLAUDE}, **headers)


def frame(kind: str, payload: dict[str, Any]) -> bytes:
    """Frame one event."""
    content = json.dumps(payload).encode()
    named = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in named.items()
    )
    prelude = struct.pack("!II", 12 + len(headers) + len(content) + 4, len(headers))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + content
    return message + struct.pack("!I", zlib.crc32(message))


def _events(events: list[tuple[str, dict[str, Any]]]) -> Answer:
    return Answer([frame(*event) for event in events], "application/vnd.amazon.eventstream")


def _converse() -> Answer:
    message = {"role": "assistant", "content": [{"text": TEXT}]}
    body = {"output": {"message": message}, "stopReason": "end_turn", "usage": CONVERSE, "metrics": {"latencyMs": 9}}
    return whole(body)


_CONVERSE: list[tuple[str, dict[str, Any]]] = [
    ("messageStart", {"role": "assistant"}),
    *(("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": piece}}) for piece in TEXT.partition(" ")),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("messageStop", {"stopReason": "end_turn"}),
    ("metadata", {"usage": CONVERSE, "metrics": {"latencyMs": 9}}),
]


def _claude() -> list[dict[str, Any]]:
    message = {"id": "m1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": []}
    deltas = [{"type": "text_delta", "text": piece} for piece in TEXT.partition(" ")]
    return [
        {"type": "message_start", "message": {**message, "usage": CLAUDE | {"output_tokens": 2}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 77}},
        {"type": "message_stop", "amazon-bedrock-invocationMetrics": METRICS},
    ]
