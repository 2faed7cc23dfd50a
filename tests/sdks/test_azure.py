"""azure-ai-inference: requests and aiohttp under azure-core."""

import asyncio

import pytest
from azure.ai.inference import ChatCompletionsClient
from azure.ai.inference.aio import ChatCompletionsClient as AsyncChatCompletionsClient
from azure.ai.inference.models import UserMessage
from azure.core.credentials import AzureKeyCredential

import tokprof
from sdks.rows import calls, check, check_estimated, check_left_early, only
from sdks.servers import chat

HI = {"model": "gpt-4o-mini", "messages": [UserMessage("Hi")]}
OPTIONS = {"stream": True, "model_extras": {"stream_options": {"include_usage": True}}}
ROW = {
    "provider": "azure.ai.inference",
    "operation": "chat",
    "kind": "llm",
    "model": "gpt-4o-mini-2024-07-18",
    "request_model": "gpt-4o-mini",
    "finish_reason": "stop",
    "input_tokens": 927,
    "cache_read_tokens": 768,
    "output_tokens": 81,
    "reasoning_tokens": 57,
}


@pytest.fixture
def server(serve):
    return serve(chat.chat(chat.AZURE, "gpt-4o-mini-2024-07-18"), "tests.services.ai.azure.com")


def credentials(server):
    return {"endpoint": f"{server.url}/models", "credential": AzureKeyCredential("none"), "retry_backoff_factor": 0.01}


@pytest.fixture
def client(server):
    with ChatCompletionsClient(**credentials(server)) as running:
        yield running


@pytest.fixture
async def aclient(server):
    async with AsyncChatCompletionsClient(**credentials(server)) as running:
        yield running


def test_chat(client):
    with tokprof.profile() as prof:
        answer = client.complete(**HI)  # the call
    assert (answer.choices[0].message.content, answer.usage.completion_tokens) == (chat.TEXT, 81)
    check(only(prof), **ROW, stream=False)


async def test_chat_async(aclient):
    with tokprof.profile() as prof:
        answer = await aclient.complete(**HI)  # the call
    assert answer.choices[0].message.content == chat.TEXT
    check(only(prof), **ROW, stream=False)


def test_stream_that_asks_for_usage(client):
    with tokprof.profile() as prof:
        updates = list(client.complete(**HI, **OPTIONS))  # the call
    assert updates[-1].usage.completion_tokens == 81
    check(only(prof), **ROW, stream=True)


async def test_stream_that_asks_for_usage_async(aclient):
    with tokprof.profile() as prof:
        updates = [update async for update in await aclient.complete(**HI, **OPTIONS)]  # the call
    assert updates[-1].usage.completion_tokens == 81
    check(only(prof), **ROW, stream=True)


def test_stream_without_usage_is_estimated(client):
    with tokprof.profile() as prof:
        updates = list(client.complete(**HI, stream=True))  # the call
    assert "".join(update.choices[0].delta.content or "" for update in updates) == chat.TEXT
    check_estimated(only(prof), model=ROW["model"], stream=True, finish_reason="stop")


async def test_stream_left_early(aclient, server):
    server.pause = True
    with tokprof.profile() as prof:
        async with await aclient.complete(**HI, stream=True) as stream:  # the call
            async for update in stream:
                if update.choices[0].delta.content:
                    break
    check_left_early(only(prof), model=ROW["model"])


async def test_three_at_once(aclient):
    async def ask(number):
        return await aclient.complete(**HI | {"messages": [UserMessage(f"Hi {number}")]})  # the call

    with tokprof.profile() as prof:
        await asyncio.gather(*map(ask, (1, 2, 3)))
    rows = sorted(calls(prof), key=lambda row: row["input_tokens"])
    assert len(rows) == 3
    for number, row in enumerate(rows, start=1):
        check(row, **ROW | {"input_tokens": 927 + number}, stream=False)


def test_a_retry_is_a_row_of_its_own(client, server):
    server.fail(429, {"error": {"code": "RateLimitReached", "message": "slow down"}}, retry_after="0")
    with tokprof.profile() as prof:
        client.complete(**HI)  # the call
    refused, answered = calls(prof)
    assert (refused["status"], refused["error"], refused["attempt"]) == ("error", "HTTP 429: RateLimitReached", 1)
    check(answered, **ROW, attempt=2)
