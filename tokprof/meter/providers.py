"""Who is behind a host, by the names of the OpenTelemetry GenAI conventions."""

from __future__ import annotations

import re
from functools import lru_cache

# host suffix -> provider; the longest suffix comes first where one contains another
_SUFFIXES = (
    (".openai.azure.com", "azure.ai.openai"),
    (".cognitiveservices.azure.com", "azure.ai.openai"),
    (".services.ai.azure.com", "azure.ai.inference"),
    (".inference.ai.azure.com", "azure.ai.inference"),
    (".models.ai.azure.com", "azure.ai.inference"),
    ("models.github.ai", "azure.ai.inference"),
    ("models.inference.ai.azure.com", "azure.ai.inference"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("openai.com", "openai"),
    ("anthropic.com", "anthropic"),
    ("cohere.com", "cohere"),
    ("cohere.ai", "cohere"),
    ("api.deepseek.com", "deepseek"),
    ("groq.com", "groq"),
    ("mistral.ai", "mistral_ai"),
    ("perplexity.ai", "perplexity"),
    ("x.ai", "x_ai"),
    ("moonshot.ai", "moonshot_ai"),
    ("moonshot.cn", "moonshot_ai"),
    (".ml.cloud.ibm.com", "ibm.watsonx.ai"),
    ("together.xyz", "together"),
    ("together.ai", "together"),
    ("openrouter.ai", "openrouter"),
    ("fireworks.ai", "fireworks"),
    ("cerebras.ai", "cerebras"),
    ("voyageai.com", "voyage"),
    ("writer.com", "writer"),
    ("aleph-alpha.com", "aleph_alpha"),
    ("huggingface.co", "huggingface"),
    ("huggingface.cloud", "huggingface"),
    ("replicate.com", "replicate"),
    ("ai21.com", "ai21"),
    ("nvidia.com", "nvidia"),
    ("sambanova.ai", "sambanova"),
    ("hyperbolic.xyz", "hyperbolic"),
    ("novita.ai", "novita"),
    ("deepinfra.com", "deepinfra"),
    ("jina.ai", "jina"),
    ("z.ai", "z_ai"),
    ("bigmodel.cn", "z_ai"),
    ("minimax.io", "minimax"),
    ("aliyuncs.com", "alibaba"),
)
_BEDROCK = re.compile(r"(^|[.-])bedrock[a-z0-9.-]*\.(amazonaws\.com(\.cn)?|api\.aws)$")


@lru_cache(maxsize=256)
def provider(host: str) -> str | None:
    """Name the provider behind a host.

    Parameters
    ----------
    host : str
        Host name, with or without a port.

    Returns
    -------
    str or None
        Such as ``openai`` or ``aws.bedrock``; None for a host that is not known.
    """
    name = host.lower().rsplit("@", 1)[-1]
    if name.startswith("["):
        return None
    name = name.split(":", 1)[0].rstrip(".")
    if name.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws")):
        return "aws.bedrock" if _BEDROCK.search(name) else None
    if name in ("127.0.0.1", "localhost"):
        return "ollama" if host.endswith(":11434") else None
    for suffix, told in _SUFFIXES:
        if name == suffix.lstrip(".") or name.endswith(suffix if suffix[0] in ".-" else "." + suffix):
            return told
        if suffix == "aiplatform.googleapis.com" and name.endswith("-" + suffix):
            return told
    return None
