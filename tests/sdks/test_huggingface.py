"""huggingface_hub's InferenceClient: httpx in 1.x, httpx2 in 2.x."""

import asyncio

import pytest
from huggingface_hub import AsyncInferenceClient, InferenceClient

import tokprof
from sdks.rows import calls, check, check_estimated, only
from sdks.servers import chat

HI = [{"role": "user", "content": "Hi"}]
ROW = {
    "provider": "huggingface",
    "operation": "chat",
    "kind": "llm",
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "request_model": "meta-llama/Llama-3.1-8B-Instruct",
    "finish_reason": "stop",
    "input_tokens": 611,
    "cache_read_tokens": 384,
    "output_tokens": 33,
}


@pytest.fixture
def server(serve):
    return serve(chat.chat(chat.HUGGING_FACE), "router.huggingface.co")


@pytest.fixture
def settings(server):
    return {"base_url": f"{server.url}/v1", "api_key": "none"}


def test_chat(settings):
    client = InferenceClient(**settings)
    with tokprof.profile() as prof:
        answer = client.chat.completions.create(HI, model=ROW["model"])  # the call
    assert (answer.choices[0].message.content, answer.usage.completion_tokens) == (chat.TEXT, 33)
    check(only(prof), **ROW, stream=False)


async def test_chat_async(settings):
    async with AsyncInferenceClient(**settings) as client:
        with tokprof.profile() as prof:
            answer = await client.chat_completion(HI, model=ROW["model"])  # the call
    assert answer.choices[0].message.content == chat.TEXT
    check(only(prof), **ROW, stream=False)


def test_stream_that_asks_for_usage(settings):
    client = InferenceClient(**settings)
    with tokprof.profile() as prof:
        options = {"include_usage": True}
        stream = client.chat_completion(HI, model=ROW["model"], stream=True, stream_options=options)  # the call
        chunks = list(stream)
    assert chunks[-1].usage.completion_tokens == 33
    check(only(prof), **ROW, stream=True)


def test_stream_without_usage_is_estimated(settings):
    client = InferenceClient(**settings)
    with tokprof.profile() as prof:
        chunks = list(client.chat_completion(HI, model=ROW["model"], stream=True))  # the call
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == chat.TEXT
    check_estimated(only(prof), model=ROW["model"], stream=True, finish_reason="stop")


async def test_stream_async(settings):
    """The SDK leaves the connection open behind the end of the answer, until the client is closed."""
    async with AsyncInferenceClient(**settings) as client:
        with tokprof.profile() as prof:
            asked = {"model": ROW["model"], "stream_options": {"include_usage": True}}
            stream = await client.chat_completion(HI, **asked, stream=True)  # the call
            chunks = [chunk async for chunk in stream]
        check(only(prof), **ROW, stream=True)
    assert chunks[-1].usage.completion_tokens == 33


async def test_three_at_once(settings):
    async with AsyncInferenceClient(**settings) as client:

        async def ask(number):
            messages = [{"role": "user", "content": f"Hi {number}"}]
            return await client.chat_completion(messages, model=ROW["model"])  # the call

        with tokprof.profile() as prof:
            await asyncio.gather(*map(ask, (1, 2, 3)))
    rows = sorted(calls(prof), key=lambda row: row["input_tokens"])
    assert len(rows) == 3
    for number, row in enumerate(rows, start=1):
        check(row, **ROW | {"input_tokens": 611 + number}, stream=False)
