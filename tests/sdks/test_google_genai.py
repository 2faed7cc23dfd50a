"""google-genai: on httpx, httpx2 and, where it is installed, aiohttp."""

import asyncio

import httpx2
import pytest
from google import genai
from google.genai import types

import tokprof
from sdks.rows import calls, check, check_left_early, only
from sdks.servers import gemini

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")

ROW = {
    "provider": "gcp.gemini",
    "operation": "generate_content",
    "kind": "llm",
    "model": gemini.MODEL,
    "request_model": gemini.MODEL,
    "finish_reason": "STOP",
    "input_tokens": gemini.PROMPT + gemini.TOOLS,
    "cache_read_tokens": gemini.CACHED,
    "output_tokens": gemini.CANDIDATES + gemini.THOUGHTS,
    "reasoning_tokens": gemini.THOUGHTS,
}
HI = {"model": gemini.MODEL, "contents": "Hi"}


@pytest.fixture
def server(serve):
    return serve(gemini.answer, "generativelanguage.googleapis.com")


def options(server, **more):
    retries = types.HttpRetryOptions(attempts=2, initial_delay=0.01, max_delay=0.01, jitter=0)
    return types.HttpOptions(base_url=server.url, retry_options=retries, **more)


@pytest.fixture
def client(server):
    with genai.Client(api_key="none", http_options=options(server)) as running:
        yield running


@pytest.fixture(params=["its own choice", "httpx2"])
async def aclient(server, request):
    """The SDK takes aiohttp where it is installed, unless it is given another client."""
    if request.param == "httpx2":
        async with httpx2.AsyncClient() as given:
            yield genai.Client(api_key="none", http_options=options(server, httpx_async_client=given)).aio
    else:
        async with genai.Client(api_key="none", http_options=options(server)).aio as running:
            yield running


def test_generate(client):
    with tokprof.profile() as prof:
        answer = client.models.generate_content(**HI)  # the call
    assert (answer.text, answer.usage_metadata.thoughts_token_count) == (gemini.TEXT, gemini.THOUGHTS)
    check(only(prof), **ROW, stream=False)


async def test_generate_async(aclient):
    with tokprof.profile() as prof:
        answer = await aclient.models.generate_content(**HI)  # the call
    assert answer.text == gemini.TEXT
    check(only(prof), **ROW, stream=False)


def test_stream(client):
    with tokprof.profile() as prof:
        text = "".join(chunk.text for chunk in client.models.generate_content_stream(**HI))  # the call
    assert text == gemini.TEXT
    check(only(prof), **ROW, stream=True)


async def test_stream_async(aclient):
    with tokprof.profile() as prof:
        stream = await aclient.models.generate_content_stream(**HI)
        chunks = [chunk async for chunk in stream]  # the call
    assert "".join(chunk.text for chunk in chunks) == gemini.TEXT
    assert chunks[-1].usage_metadata.candidates_token_count == gemini.CANDIDATES
    check(only(prof), **ROW, stream=True)


def test_stream_left_early_has_its_input(client, server):
    server.pause = True
    with tokprof.profile() as prof:
        stream = client.models.generate_content_stream(**HI)
        assert next(stream).text == "Grüezi"  # the call
        stream.close()
    row = only(prof)
    known = {name: ROW[name] for name in ("provider", "model", "input_tokens", "cache_read_tokens")}
    check_left_early(row, **known)


async def test_three_at_once(aclient):
    async def ask():
        return await aclient.models.generate_content(**HI)  # the call

    with tokprof.profile() as prof:
        await asyncio.gather(ask(), ask(), ask())
    rows = calls(prof)
    assert len(rows) == 3
    for row in rows:
        check(row, **ROW, stream=False)


def test_embeddings_tell_no_usage(client):
    with tokprof.profile() as prof:
        answer = client.models.embed_content(model="gemini-embedding-001", contents="Hi")  # the call
    assert answer.embeddings[0].values == [0.25, 0.5]
    row = only(prof)
    check(row, kind="embedding", request_model="gemini-embedding-001", output_tokens=0, usage_source="estimated")
    assert row["input_tokens"] >= 1


REFUSAL = {"error": {"code": 429, "message": "Resource exhausted", "status": "RESOURCE_EXHAUSTED"}}


def test_a_retry_is_a_row_of_its_own(client, server):
    server.fail(429, REFUSAL)
    with tokprof.profile() as prof:
        assert client.models.generate_content(**HI).text == gemini.TEXT  # the call
    refused, answered = calls(prof)
    assert (refused["status"], refused["error"], refused["attempt"]) == ("error", "HTTP 429: RESOURCE_EXHAUSTED", 1)
    check(answered, **ROW, attempt=2)


async def test_a_retry_is_a_row_of_its_own_async(aclient, server):
    server.fail(429, REFUSAL)
    with tokprof.profile() as prof:
        assert (await aclient.models.generate_content(**HI)).text == gemini.TEXT  # the call
    refused, answered = calls(prof)
    assert (refused["status"], refused["error"], refused["attempt"]) == ("error", "HTTP 429: RESOURCE_EXHAUSTED", 1)
    check(answered, **ROW, attempt=2)
