"""Which requests can be model calls, told by method, host and path."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from tokprof.meter.providers import provider


class Endpoint(NamedTuple):
    """What a path says of a request.

    Attributes
    ----------
    operation, kind : str
        As in ``Reading``.
    certain : bool
        Whether a request there is a model call whatever the answer looks like.
    model : str or None
        The model in the path, where that is its place.
    stream : bool
        Whether the path asks for a stream.
    """

    operation: str
    kind: str = "llm"
    certain: bool = False
    model: str | None = None
    stream: bool = False


_BEDROCK = re.compile(r"/model/([^/]+)/(converse|converse-stream|invoke|invoke-with-response-stream)$")
_GOOGLE = re.compile(r"/(?:models|tunedModels|endpoints)/([^/:]+):(\w+)$")
_AZURE = re.compile(r"/deployments/([^/]+)/")

_RPC = re.compile(r"/(xai_api|google\.(?:ai\.generativelanguage|cloud\.aiplatform)\.v\w+)\.\w+/(\w+)$")

# methods of gRPC services, xAI's and Google's: operation, kind, whether a call is a model's whatever it answers
_METHODS = {
    "xai_api": {
        "GetCompletion": ("chat", "llm", True),
        "GetCompletionChunk": ("chat", "llm", True),
        "GetDeferredCompletion": ("chat", "llm", False),  # asked until the answer is there
        "CompactContext": ("chat", "llm", True),
        "SampleText": ("completions", "llm", True),
        "SampleTextStreaming": ("completions", "llm", True),
        "GenerateImage": ("images", "llm", True),
        "Embed": ("embeddings", "embedding", True),
    },
    "google": {
        "GenerateContent": ("generate_content", "llm", True),
        "StreamGenerateContent": ("generate_content", "llm", True),
        "EmbedContent": ("embeddings", "embedding", True),
        "BatchEmbedContents": ("embeddings", "embedding", True),
        "Predict": ("embeddings", "embedding", False),  # models of every kind; embeddings tell tokens
    },
}
_STREAMS = ("GetCompletionChunk", "SampleTextStreaming", "StreamGenerateContent")

# actions of Google's paths: operation, kind
_ACTIONS = {
    "generateContent": ("generate_content", "llm"),
    "streamGenerateContent": ("generate_content", "llm"),
    "embedContent": ("embeddings", "embedding"),
    "batchEmbedContents": ("embeddings", "embedding"),
    "rawPredict": ("messages", "llm"),
    "streamRawPredict": ("messages", "llm"),
}

# end of the path -> operation, kind, whether it says enough on any host
_ENDS: tuple[tuple[str, str, str, bool], ...] = (
    ("/chat/completions", "chat", "llm", True),
    ("/completions", "completions", "llm", True),
    ("/v1/responses", "responses", "llm", True),
    ("/openai/responses", "responses", "llm", True),
    ("/responses", "responses", "llm", False),
    ("/responses/compact", "responses", "llm", False),
    ("/v1/messages", "messages", "llm", True),
    ("/messages", "messages", "llm", False),
    ("/complete", "completions", "llm", False),
    ("/v1/embeddings", "embeddings", "embedding", True),
    ("/embeddings", "embeddings", "embedding", False),
    ("/embed", "embeddings", "embedding", False),
    ("/multimodalembeddings", "embeddings", "embedding", False),
    ("/contextualizedembeddings", "embeddings", "embedding", False),
    ("/rerank", "rerank", "reranker", False),
    ("/images/generations", "images", "llm", True),
    ("/images/edits", "images", "llm", True),
    ("/images/variations", "images", "llm", True),
    ("/audio/transcriptions", "transcription", "llm", True),
    ("/audio/translations", "transcription", "llm", True),
    ("/audio/speech", "speech", "llm", True),
    ("/chat", "chat", "llm", False),
    ("/chat_stream", "chat", "llm", False),
    ("/generate", "completions", "llm", False),
    ("/generate_stream", "completions", "llm", False),
    ("/generation", "completions", "llm", False),
    ("/generation_stream", "completions", "llm", False),
    ("/generation/text", "completions", "llm", False),
    ("/generation/text_stream", "completions", "llm", False),
    ("/interactions", "interactions", "llm", False),
)

# whole segments of paths where no model runs
_NEVER = re.compile(
    r"/(?:threads|assistants|files|uploads|vector_stores|fine_tuning|fine-tunes|batches|batch|batch_jobs|count_tokens"
    r"|input_tokens|tokenize|detokenize|moderations|traces|telemetry|metrics|logs|intake|spans|events|ingest|opamp"
    r"|organization|evals|containers|datasets|experiments|schema|graphql|indexes|collections|objects|guardrails"
    r"|model-invocation-job|sessions|client_secrets|feedback|runs|checkout|cancel|tags|pull|push|show|models|search)"
    r"(?:/|$)"
)
_NEVER_HOSTS = re.compile(
    r"(?:^|\.)(?:datadoghq\.\w+|datad0g\.com|posthog\.com|sentry\.io|segment\.(?:io|com)|telemetry\..+|mixpanel\.com"
    r"|amplitude\.com|smith\.langchain\.com|langfuse\.com|traceloop\.(?:com|dev)|honeycomb\.io|newrelic\.com"
    r"|stripe\.com|google-analytics\.com|logfire\.pydantic\.dev|pypi\.org)(?::\d+)?$"
)
_NO_JSON = ("protobuf", "octet-stream", "x-www-form-urlencoded", "ndjson", "xml", "text/plain", "text/html", "graphql")


def may_be_call(method: str, host: str, path: str, request_type: str = "") -> bool:
    """Whether a request can be a model call at all: asked before it is sent, so cheap and generous.

    Parameters
    ----------
    method, host, path : str
        Of the request; `path` without the query.
    request_type : str
        Content type of the request, lower case.

    Returns
    -------
    bool
        False for what never is one: reads, telemetry, files, lists of models, token counting, ...
    """
    if method != "POST" and method.upper() != "POST":
        return False
    found = endpoint(host, path)
    if found is not None and found.certain:
        return True
    if request_type.startswith("multipart/") or any(name in request_type for name in _NO_JSON):
        return False
    return found is not None or not never(host, path)


@lru_cache(maxsize=1024)
def never(host: str, path: str) -> bool:
    """Whether host or path rule a model call out."""
    return bool(_NEVER.search(path) or _NEVER_HOSTS.search(host) or path.endswith((":countTokens", ":computeTokens")))


@lru_cache(maxsize=1024)
def endpoint(host: str, path: str) -> Endpoint | None:
    """Tell what the path says; None where it says nothing, or rules a model call out."""
    path = path.rstrip("/")
    if remote := rpc(path):
        return remote
    if found := _BEDROCK.search(path):
        return _bedrock(unquote(found[1]), found[2])
    if found := _GOOGLE.search(path):
        known = _ACTIONS.get(found[2])
        if found[2] == "predict" and "embed" in found[1]:
            known = _ACTIONS["embedContent"]
        return known and Endpoint(*known, True, unquote(found[1]), found[2].startswith("stream"))
    known_host = provider(host) is not None
    for end, operation, kind, certain in _ENDS:
        if not path.endswith(end):
            continue
        if not certain and never(host, path):
            return None
        deployment = _AZURE.search(path)
        return Endpoint(operation, kind, certain or known_host, deployment and unquote(deployment[1]))
    return None


def rpc(path: str) -> Endpoint | None:
    """Tell what the path of a gRPC method says; None for one of which no model is known."""
    if not (found := _RPC.fullmatch(path)):
        return None
    known = _METHODS[found[1].partition(".")[0]].get(found[2])
    return known and Endpoint(*known, stream=found[2] in _STREAMS)


def _bedrock(model: str, action: str) -> Endpoint:
    name = model.rsplit("/", 1)[-1]
    stream = action.endswith("stream")
    if action.startswith("converse"):
        return Endpoint("converse", "llm", True, model, stream)
    kind = "embedding" if "embed" in name else "reranker" if "rerank" in name else "llm"
    return Endpoint("invoke", kind, True, model, stream)
