"""Cohere's API v2: chats, embeddings and reranking; billed units beside tokens."""

from __future__ import annotations

from sdks.servers.loopback import Answer, Asked, sse, whole

TEXT = "Grüezi from Cohere"
USAGE = {
    "billed_units": {"input_tokens": 305, "output_tokens": 71},
    "tokens": {"input_tokens": 811, "output_tokens": 73},
    "cached_tokens": 256,
}


def answer(asked: Asked) -> Answer:
    """Answer as api.cohere.com does; chats name no model."""
    if asked.path == "/v2/embed":
        return whole(
            {
                "id": "e1",
                "texts": asked.body["texts"],
                "embeddings": {"float": [[0.25, 0.5] for _ in asked.body["texts"]]},
                "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 27}},
                "response_type": "embeddings_by_type",
            }
        )
    if asked.path == "/v2/rerank":
        results = [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]
        return whole({"id": "r1", "results": results, "meta": {"billed_units": {"search_units": 1}}})
    assert asked.path == "/v2/chat", asked.path
    if not asked.body.get("stream"):
        message = {"role": "assistant", "content": [{"type": "text", "text": TEXT}]}
        return whole({"id": "c1", "finish_reason": "COMPLETE", "message": message, "usage": USAGE})
    content = {"type": "text", "text": ""}
    pieces = [{"message": {"content": {"text": piece}}} for piece in TEXT.partition(" ")]
    return sse(
        [
            {"id": "c1", "type": "message-start", "delta": {"message": {"role": "assistant", "content": []}}},
            {"type": "content-start", "index": 0, "delta": {"message": {"content": content}}},
            *({"type": "content-delta", "index": 0, "delta": piece} for piece in pieces),
            {"type": "content-end", "index": 0},
            {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": USAGE}},
        ],
        named=True,
    )
