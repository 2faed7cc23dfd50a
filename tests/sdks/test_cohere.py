"""cohere: tokens and billed units, in answers that name no model."""

import asyncio

import cohere
import pytest

import tokprof
from sdks.rows import calls, check, check_left_early, only
from sdks.servers import cohere as dialect

pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute:DeprecationWarning")

HI = {"model": "command-a-03-2025", "messages": [{"role": "user", "content": "Hi"}]}
ROW = {
    "provider": "cohere",
    "operation": "chat",
    "kind": "llm",
    "model": None,
    "request_model": "command-a-03-2025",
    "finish_reason": "COMPLETE",
    "input_tokens": 811,
    "cache_read_tokens": 256,
    "output_tokens": 73,
}


@pytest.fixture
def server(serve):
    return serve(dialect.answer, "api.cohere.com")


@pytest.fixture
def client(server):
    return cohere.ClientV2(api_key="none", base_url=server.url)


@pytest.fixture
def aclient(server):
    return cohere.AsyncClientV2(api_key="none", base_url=server.url)


def test_chat(client):
    with tokprof.profile() as prof:
        answer = client.chat(**HI)  # the call
    assert (answer.message.content[0].text, answer.usage.tokens.input_tokens) == (dialect.TEXT, 811)
    check(only(prof), **ROW, stream=False)


async def test_chat_async(aclient):
    with tokprof.profile() as prof:
        answer = await aclient.chat(**HI)  # the call
    assert answer.message.content[0].text == dialect.TEXT
    check(only(prof), **ROW, stream=False)


def test_stream(client):
    with tokprof.profile() as prof:
        events = list(client.chat_stream(**HI))  # the call
    text = "".join(event.delta.message.content.text for event in events if event.type == "content-delta")
    assert (text, events[-1].delta.usage.tokens.output_tokens) == (dialect.TEXT, 73)
    check(only(prof), **ROW, stream=True)


async def test_stream_async(aclient):
    with tokprof.profile() as prof:
        events = [event async for event in aclient.chat_stream(**HI)]  # the call
    assert events[-1].delta.usage.tokens.output_tokens == 73
    check(only(prof), **ROW, stream=True)


def test_stream_left_early(client, server):
    server.pause = True
    with tokprof.profile() as prof:
        stream = client.chat_stream(**HI)
        for event in stream:  # the call
            if event.type == "content-delta":
                break
        stream.close()
    row = only(prof)
    check_left_early(row, request_model=HI["model"])


def test_embeddings(client):
    with tokprof.profile() as prof:
        kind = {"input_type": "search_document", "embedding_types": ["float"]}
        answer = client.embed(model="embed-v4.0", texts=["Hi", "ho"], **kind)  # the call
    assert answer.embeddings.float_ == [[0.25, 0.5], [0.25, 0.5]]
    check(
        only(prof),
        provider="cohere",
        kind="embedding",
        operation="embeddings",
        request_model="embed-v4.0",
        input_tokens=27,
        output_tokens=0,
    )


async def test_reranking_spends_no_tokens(aclient):
    with tokprof.profile() as prof:
        answer = await aclient.rerank(model="rerank-v3.5", query="Hi", documents=["a", "b"])  # the call
    assert [result.index for result in answer.results] == [1, 0]
    row = only(prof)
    check(
        row, kind="reranker", operation="rerank", request_model="rerank-v3.5", usage_source="missing", total_tokens=None
    )


async def test_three_at_once(aclient):
    async def ask():
        return await aclient.chat(**HI)  # the call

    with tokprof.profile() as prof:
        await asyncio.gather(ask(), ask(), ask())
    rows = calls(prof)
    assert len(rows) == 3
    for row in rows:
        check(row, **ROW, stream=False)
