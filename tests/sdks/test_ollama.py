"""ollama: a JSON object a line."""

import asyncio

import ollama
import pytest

import tokprof
from sdks.rows import calls, check, check_left_early, only
from sdks.servers import ollama as dialect

HI = {"model": "llama3.2", "messages": [{"role": "user", "content": "Hi"}]}
ROW = {"operation": "chat", "kind": "llm", "model": "llama3.2", "request_model": "llama3.2", "finish_reason": "stop"}
CHAT = ROW | {"input_tokens": 426, "output_tokens": 29, "cache_read_tokens": None, "reasoning_tokens": None}
GENERATE = ROW | {"operation": "completions", "input_tokens": 326, "output_tokens": 25}


@pytest.fixture
def server(serve):
    return serve(dialect.answer)


@pytest.fixture
def client(server):
    with ollama.Client(server.url) as running:
        yield running


@pytest.fixture
async def aclient(server):
    async with ollama.AsyncClient(server.url) as running:
        yield running


def test_chat(client):
    with tokprof.profile() as prof:
        answer = client.chat(**HI)  # the call
    assert (answer.message.content, answer.eval_count) == (dialect.TEXT, 29)
    check(only(prof), **CHAT, stream=False)


async def test_chat_async(aclient):
    with tokprof.profile() as prof:
        answer = await aclient.chat(**HI)  # the call
    assert answer.message.content == dialect.TEXT
    check(only(prof), **CHAT, stream=False)


def test_stream(client):
    with tokprof.profile() as prof:
        text = "".join(part.message.content for part in client.chat(**HI, stream=True))  # the call
    assert text == dialect.TEXT
    check(only(prof), **CHAT, stream=True)


async def test_stream_async(aclient):
    with tokprof.profile() as prof:
        stream = await aclient.chat(**HI, stream=True)
        parts = [part async for part in stream]  # the call
    assert parts[-1].eval_count == 29
    check(only(prof), **CHAT, stream=True)


def test_stream_left_early(client, server):
    server.pause = True
    with tokprof.profile() as prof:
        stream = client.chat(**HI, stream=True)
        next(stream)  # the call
        stream.close()
    check_left_early(only(prof), model="llama3.2")


def test_generate(client):
    with tokprof.profile() as prof:
        answer = client.generate(model="llama3.2", prompt="Hi")  # the call
    assert answer.response == dialect.TEXT
    check(only(prof), **GENERATE, stream=False)


def test_generate_stream(client):
    with tokprof.profile() as prof:
        parts = list(client.generate(model="llama3.2", prompt="Hi", stream=True))  # the call
    assert "".join(part.response for part in parts) == dialect.TEXT
    check(only(prof), **GENERATE, stream=True)


def test_embeddings(client):
    with tokprof.profile() as prof:
        answer = client.embed(model="all-minilm", input="Hi")  # the call
    assert list(answer.embeddings[0]) == [0.25, 0.5]
    check(only(prof), kind="embedding", operation="embeddings", model="all-minilm", input_tokens=8, output_tokens=0)


async def test_three_at_once(aclient):
    async def ask():
        return await aclient.chat(**HI)  # the call

    with tokprof.profile() as prof:
        await asyncio.gather(ask(), ask(), ask())
    rows = calls(prof)
    assert len(rows) == 3
    for row in rows:
        check(row, **CHAT, stream=False)
