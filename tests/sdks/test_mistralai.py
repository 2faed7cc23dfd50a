"""mistralai: a cache told twice, and retries of its own."""

import asyncio

import pytest
from mistralai.client import Mistral
from mistralai.client.utils import BackoffStrategy, RetryConfig

import tokprof
from sdks.rows import calls, check, check_left_early, only
from sdks.servers import chat

HI = {"model": "mistral-small-latest", "messages": [{"role": "user", "content": "Hi"}]}
ROW = {
    "provider": "mistral_ai",
    "operation": "chat",
    "kind": "llm",
    "model": "mistral-small-latest",
    "request_model": "mistral-small-latest",
    "finish_reason": "stop",
    "input_tokens": 733,
    "cache_read_tokens": 640,
    "output_tokens": 39,
}


@pytest.fixture
def server(serve):
    return serve(chat.mistral, "api.mistral.ai")


@pytest.fixture
def client(server):
    retries = RetryConfig("backoff", BackoffStrategy(1, 10, 1.0, 5000), retry_connection_errors=False)
    return Mistral(api_key="none", server_url=server.url, retry_config=retries)


def test_chat(client):
    with tokprof.profile() as prof, client:
        answer = client.chat.complete(**HI)  # the call
    assert (answer.choices[0].message.content, answer.usage.total_tokens) == (chat.TEXT, 772)
    check(only(prof), **ROW, stream=False)


async def test_chat_async(client):
    async with client:
        with tokprof.profile() as prof:
            answer = await client.chat.complete_async(**HI)  # the call
    assert answer.choices[0].message.content == chat.TEXT
    check(only(prof), **ROW, stream=False)


def test_stream(client):
    with tokprof.profile() as prof, client:
        with client.chat.stream(**HI) as stream:  # the call
            text = "".join(event.data.choices[0].delta.content or "" for event in stream)
    assert text == chat.TEXT
    check(only(prof), **ROW, stream=True)


async def test_stream_async(client):
    async with client:
        with tokprof.profile() as prof:
            stream = await client.chat.stream_async(**HI)  # the call
            chunks = [event.data async for event in stream]
    assert chunks[-1].usage.total_tokens == 772
    check(only(prof), **ROW, stream=True)


async def test_stream_left_early(client, server):
    server.pause = True
    async with client:
        with tokprof.profile() as prof:
            async with await client.chat.stream_async(**HI) as stream:  # the call
                async for event in stream:
                    if event.data.choices[0].delta.content:
                        break
    check_left_early(only(prof), model=ROW["model"])


def test_embeddings(client):
    with tokprof.profile() as prof, client:
        answer = client.embeddings.create(model="mistral-embed", inputs=["Hi"])  # the call
    assert answer.data[0].embedding == [0.25, 0.5]
    check(only(prof), kind="embedding", operation="embeddings", model="mistral-embed", input_tokens=19, output_tokens=0)


async def test_three_at_once(client):
    async def ask(number):
        messages = [{"role": "user", "content": f"Hi {number}"}]
        return await client.chat.complete_async(**HI | {"messages": messages})  # the call

    async with client:
        with tokprof.profile() as prof:
            answers = await asyncio.gather(*map(ask, (1, 2, 3)))
    assert sorted(answer.usage.prompt_tokens for answer in answers) == [734, 735, 736]
    rows = sorted(calls(prof), key=lambda row: row["input_tokens"])
    assert len(rows) == 3
    for number, row in enumerate(rows, start=1):
        check(row, **ROW | {"input_tokens": 733 + number}, stream=False)


def test_a_retry_is_a_row_of_its_own(client, server):
    server.fail(429, {"message": "Requests rate limit exceeded"})
    with tokprof.profile() as prof, client:
        answer = client.chat.complete(**HI)  # the call
    assert answer.choices[0].message.content == chat.TEXT
    refused, answered = calls(prof)
    assert (refused["status"], refused["http_status"], refused["attempt"]) == ("error", 429, 1)
    check(answered, **ROW, attempt=2)
