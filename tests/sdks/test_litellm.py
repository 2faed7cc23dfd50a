"""litellm: many providers behind one function, on httpx and, for asyncio, aiohttp below it."""

import asyncio

import pytest

import tokprof
from sdks.rows import calls, check, check_estimated, only
from sdks.servers import cohere, gemini
from tokprof.testing import SimulatedProvider

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore:Items? .* `ReadOnly` qualifier:UserWarning"
)

HI = [{"role": "user", "content": "Hi"}]
COUNTS = {
    "input_tokens": 1911,
    "output_tokens": 83,
    "cache_read_tokens": 1664,
    "cache_write_tokens": 128,
    "reasoning_tokens": 43,
}
CHAT = {
    "provider": "openai",
    "operation": "chat",
    "kind": "llm",
    "model": "gpt-4o-mini",
    "request_model": "gpt-4o-mini",
    "finish_reason": "stop",
}
CLAUDE = CHAT | {
    "provider": "anthropic",
    "operation": "messages",
    "model": "claude-sonnet-4-6",
    "request_model": "claude-sonnet-4-6",
    "finish_reason": "end_turn",
}


@pytest.fixture
async def litellm(loopback_only: set[str]):
    import litellm  # once the tests have told it not to fetch its prices

    litellm.in_memory_llm_clients_cache.flush_cache()
    yield litellm
    await litellm.close_litellm_async_clients()


@pytest.fixture
def openai_model(provider: SimulatedProvider, loopback_only: set[str]):
    loopback_only.add("api.openai.com")
    provider.reply(text="Grüezi", when="Hi", times=None, **COUNTS)
    url = provider.openai_url.replace("127.0.0.1", "api.openai.com")
    return {"model": "openai/gpt-4o-mini", "api_base": url, "api_key": "none", "messages": HI}


@pytest.fixture
def elsewhere(openai_model: dict, provider: SimulatedProvider):
    return openai_model | {"api_base": provider.openai_url}


@pytest.fixture
def claude(provider: SimulatedProvider, loopback_only: set[str]):
    loopback_only.add("api.anthropic.com")
    provider.reply(text="Grüezi", when="Hi", times=None, **COUNTS)
    url = provider.anthropic_url.replace("127.0.0.1", "api.anthropic.com")
    return {"model": "anthropic/claude-sonnet-4-6", "api_base": url, "api_key": "none", "messages": HI}


def test_openai(litellm, openai_model):
    with tokprof.profile() as prof:
        answer = litellm.completion(**openai_model)  # the call
    assert (answer.choices[0].message.content, answer.usage.completion_tokens) == ("Grüezi", 83)
    check(only(prof), **CHAT, **COUNTS, stream=False)


async def test_openai_async(litellm, openai_model):
    with tokprof.profile() as prof:
        answer = await litellm.acompletion(**openai_model)  # the call
    assert answer.choices[0].message.content == "Grüezi"
    check(only(prof), **CHAT, **COUNTS, stream=False)


def test_openai_stream(litellm, openai_model):
    """litellm asks for the usage at OpenAI's own host."""
    with tokprof.profile() as prof:
        chunks = list(litellm.completion(**openai_model, stream=True))  # the call
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Grüezi"
    check(only(prof), **CHAT, **COUNTS, stream=True)


async def test_openai_stream_async(litellm, openai_model):
    with tokprof.profile() as prof:
        chunks = [chunk async for chunk in await litellm.acompletion(**openai_model, stream=True)]  # the call
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Grüezi"
    check(only(prof), **CHAT, **COUNTS, stream=True)


def test_stream_of_another_host_without_usage_is_estimated(litellm, elsewhere):
    with tokprof.profile() as prof:
        chunks = list(litellm.completion(**elsewhere, stream=True))  # the call
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Grüezi"
    check_estimated(only(prof), **CHAT | {"provider": None}, stream=True)


async def test_stream_of_another_host_without_usage_is_estimated_async(litellm, elsewhere):
    with tokprof.profile() as prof:
        chunks = [chunk async for chunk in await litellm.acompletion(**elsewhere, stream=True)]  # the call
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Grüezi"
    check_estimated(only(prof), **CHAT | {"provider": None}, stream=True)


def test_stream_of_another_host_that_asks_for_usage(litellm, elsewhere):
    with tokprof.profile() as prof:
        options = {"include_usage": True}
        chunks = list(litellm.completion(**elsewhere, stream=True, stream_options=options))  # the call
    assert chunks[-1].usage.completion_tokens == 83
    check(only(prof), **CHAT | {"provider": None}, **COUNTS, stream=True)


def test_claude(litellm, claude):
    with tokprof.profile() as prof:
        answer = litellm.completion(**claude)  # the call
    assert (answer.choices[0].message.content, answer.usage.prompt_tokens) == ("Grüezi", 1911)
    check(only(prof), **CLAUDE, **COUNTS, stream=False)


async def test_claude_async(litellm, claude):
    with tokprof.profile() as prof:
        answer = await litellm.acompletion(**claude)  # the call
    assert answer.choices[0].message.content == "Grüezi"
    check(only(prof), **CLAUDE, **COUNTS, stream=False)


def test_claude_stream(litellm, claude):
    """litellm reads neither to the end nor closes; what was told is told all the same."""
    with tokprof.profile() as prof:
        chunks = list(litellm.completion(**claude, stream=True))  # the call
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Grüezi"
    check(only(prof), **CLAUDE, **COUNTS, stream=True)


async def test_claude_stream_async(litellm, claude):
    with tokprof.profile() as prof:
        chunks = [chunk async for chunk in await litellm.acompletion(**claude, stream=True)]  # the call
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Grüezi"
    check(only(prof), **CLAUDE, **COUNTS, stream=True)


async def test_gemini(litellm, serve):
    server = serve(gemini.answer, "generativelanguage.googleapis.com")
    model = f"gemini/{gemini.MODEL}"
    with tokprof.profile() as prof:
        url = f"{server.url}/v1beta/models/{gemini.MODEL}"
        answer = await litellm.acompletion(model, HI, api_base=url, api_key="none")  # the call
    assert answer.choices[0].message.content == gemini.TEXT
    check(
        only(prof),
        provider="gcp.gemini",
        operation="generate_content",
        model=gemini.MODEL,
        input_tokens=gemini.PROMPT + gemini.TOOLS,
        output_tokens=gemini.CANDIDATES + gemini.THOUGHTS,
        stream=False,
    )


def test_cohere(litellm, serve):
    server = serve(cohere.answer, "api.cohere.com")
    with tokprof.profile() as prof:
        url = f"{server.url}/v2/chat"
        answer = litellm.completion("cohere_chat/command-a-03-2025", HI, api_base=url, api_key="none")  # the call
    assert answer.choices[0].message.content == cohere.TEXT
    check(only(prof), provider="cohere", request_model="command-a-03-2025", input_tokens=811, output_tokens=73)


def test_embeddings(litellm, provider, openai_model):
    provider.clear()
    provider.reply(input_tokens=97)
    where = {name: openai_model[name] for name in ("api_base", "api_key")}
    with tokprof.profile() as prof:
        answer = litellm.embedding("openai/text-embedding-3-small", ["Hi"], **where)  # the call
    assert answer.usage.prompt_tokens == 97
    check(only(prof), kind="embedding", operation="embeddings", input_tokens=97, output_tokens=0)


async def test_three_at_once(litellm, openai_model):
    async def ask():
        return await litellm.acompletion(**openai_model)  # the call

    with tokprof.profile() as prof:
        await asyncio.gather(ask(), ask(), ask())
    rows = calls(prof)
    assert len(rows) == 3
    for row in rows:
        check(row, **CHAT, **COUNTS, stream=False)
