"""groq: OpenAI's chat with usage under a name of its own in streams."""

import asyncio

import groq
import pytest

import tokprof
from sdks.rows import calls, check, check_left_early, only
from sdks.servers import chat

HI = {"model": "openai/gpt-oss-20b", "messages": [{"role": "user", "content": "Hi"}]}
ROW = {
    "provider": "groq",
    "operation": "chat",
    "kind": "llm",
    "model": "openai/gpt-oss-20b",
    "request_model": "openai/gpt-oss-20b",
    "finish_reason": "stop",
    "input_tokens": 821,
    "cache_read_tokens": 512,
    "output_tokens": 63,
    "reasoning_tokens": 41,
}


@pytest.fixture
def server(serve):
    return serve(chat.groq, "api.groq.com")


@pytest.fixture
def client(server):
    with groq.Groq(base_url=server.url, api_key="none") as running:
        yield running


@pytest.fixture
async def aclient(server):
    async with groq.AsyncGroq(base_url=server.url, api_key="none") as running:
        yield running


def test_chat(client):
    with tokprof.profile() as prof:
        answer = client.chat.completions.create(**HI)  # the call
    assert (answer.choices[0].message.content, answer.usage.total_tokens) == (chat.TEXT, 884)
    check(only(prof), **ROW, stream=False)


async def test_chat_async(aclient):
    with tokprof.profile() as prof:
        answer = await aclient.chat.completions.create(**HI)  # the call
    assert answer.choices[0].message.content == chat.TEXT
    check(only(prof), **ROW, stream=False)


def test_stream(client):
    with tokprof.profile() as prof:
        chunks = list(client.chat.completions.create(**HI, stream=True))  # the call
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == chat.TEXT
    assert chunks[-1].x_groq.usage.total_tokens == 884
    check(only(prof), **ROW, stream=True)


async def test_stream_async(aclient):
    with tokprof.profile() as prof:
        stream = await aclient.chat.completions.create(**HI, stream=True)  # the call
        chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == chat.TEXT
    check(only(prof), **ROW, stream=True)


async def test_stream_left_early(aclient, server):
    server.pause = True
    with tokprof.profile() as prof:
        async with await aclient.chat.completions.create(**HI, stream=True) as stream:  # the call
            async for chunk in stream:
                if chunk.choices[0].delta.content:
                    break
    check_left_early(only(prof), model=ROW["model"])


async def test_three_at_once(aclient):
    async def ask(number):
        messages = [{"role": "user", "content": f"Hi {number}"}]
        return await aclient.chat.completions.create(**HI | {"messages": messages})  # the call

    with tokprof.profile() as prof:
        answers = await asyncio.gather(*map(ask, (1, 2, 3)))
    assert sorted(answer.usage.prompt_tokens for answer in answers) == [822, 823, 824]
    rows = sorted(calls(prof), key=lambda row: row["input_tokens"])
    assert len(rows) == 3
    for number, row in enumerate(rows, start=1):
        check(row, **ROW | {"input_tokens": 821 + number}, stream=False)
