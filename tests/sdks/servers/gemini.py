"""Google's Gemini API: thoughts and tool use come on top, and each chunk of a stream tells the usage so far."""

from __future__ import annotations

from typing import Any

from sdks.servers.loopback import Answer, Asked, sse, whole

TEXT = "Grüezi from Gemini"
MODEL = "gemini-2.5-flash"
PROMPT, CANDIDATES, THOUGHTS, TOOLS, CACHED = 1503, 43, 91, 17, 1100


def usage(candidates: int, thoughts: int) -> dict[str, Any]:
    """Usage after so many tokens of the answer."""
    return {
        "promptTokenCount": PROMPT,
        "candidatesTokenCount": candidates,
        "totalTokenCount": PROMPT + TOOLS + candidates + thoughts,
        "cachedContentTokenCount": CACHED,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": PROMPT}],
        "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": CACHED}],
        "toolUsePromptTokenCount": TOOLS,
        "thoughtsTokenCount": thoughts,
    }


def answer(asked: Asked) -> Answer:
    """Answer as generativelanguage.googleapis.com does."""
    model, _, action = asked.path.rpartition("/")[2].partition(":")
    if action == "batchEmbedContents":
        return whole({"embeddings": [{"values": [0.25, 0.5]} for _ in asked.body["requests"]]})
    head = {"modelVersion": model, "responseId": "r1"}
    if action == "generateContent":
        told = usage(CANDIDATES, THOUGHTS)
        return whole({"candidates": [_candidate(TEXT, "STOP")], "usageMetadata": told, **head})
    assert action == "streamGenerateContent", asked.path
    first, blank, rest = TEXT.partition(" ")
    return sse(
        [
            {"candidates": [_candidate(first, None)], "usageMetadata": usage(3, THOUGHTS), **head},
            {"candidates": [_candidate(blank, None)], "usageMetadata": usage(4, THOUGHTS), **head},
            {"candidates": [_candidate(rest, "STOP")], "usageMetadata": usage(CANDIDATES, THOUGHTS), **head},
        ]
    )


def _candidate(text: str, reason: str | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    return candidate if reason is None else candidate | {"finishReason": reason}
