"""xai-sdk: gRPC, plain and asyncio."""

import asyncio

import grpc
import pytest
from xai_sdk import AsyncClient, Client
from xai_sdk.chat import user

import tokprof
from sdks.rows import calls, check, check_left_early, only
from sdks.servers import xai

ROW = {
    "operation": "chat",
    "kind": "llm",
    "model": "grok-4",
    "request_model": "grok-4",
    "http_status": None,
    "finish_reason": "REASON_STOP",
    "input_tokens": 702,
    "cache_read_tokens": 448,
    "output_tokens": 31 + 113,
    "reasoning_tokens": 113,
}


@pytest.fixture
def server():
    with xai.Grok() as running:
        yield running


@pytest.fixture
def chat(server):
    with Client(api_key="none", api_host=server.host, use_insecure_channel=True) as client:
        yield client.chat.create("grok-4", messages=[user("Hi")])


@pytest.fixture
async def achat(server):
    async with AsyncClient(api_key="none", api_host=server.host, use_insecure_channel=True) as client:
        yield client.chat.create("grok-4", messages=[user("Hi")])


def test_sample(chat):
    with tokprof.profile() as prof:
        answer = chat.sample()  # the call
    assert (answer.content, answer.usage.reasoning_tokens) == (xai.TEXT, 113)
    check(only(prof), **ROW, stream=False)


async def test_sample_async(achat):
    with tokprof.profile() as prof:
        answer = await achat.sample()  # the call
    assert (answer.content, answer.usage.reasoning_tokens) == (xai.TEXT, 113)
    check(only(prof), **ROW, stream=False)


def test_stream(chat):
    with tokprof.profile() as prof:
        pairs = list(chat.stream())  # the call
    assert (pairs[-1][0].content, "".join(chunk.content for _, chunk in pairs)) == (xai.TEXT, xai.TEXT)
    check(only(prof), **ROW, stream=True)


async def test_stream_async(achat):
    with tokprof.profile() as prof:
        pairs = [pair async for pair in achat.stream()]  # the call
    assert pairs[-1][0].content == xai.TEXT
    check(only(prof), **ROW, stream=True)


def test_stream_left_early(chat, server):
    server.pause = True
    with tokprof.profile() as prof:
        stream = chat.stream()
        assert next(stream)[1].content == "Grüezi"  # the call
        stream.close()
        del stream
    check_left_early(only(prof), http_status=None, model="grok-4")


async def test_three_at_once(achat):
    async def ask():
        return await achat.sample()  # the call

    with tokprof.profile() as prof:
        await asyncio.gather(ask(), ask(), ask())
    rows = calls(prof)
    assert len(rows) == 3
    for row in rows:
        check(row, **ROW, stream=False)


def test_a_refusal_is_raised_and_shown(chat, server):
    server.failures.append(grpc.StatusCode.RESOURCE_EXHAUSTED)
    with tokprof.profile() as prof, pytest.raises(grpc.RpcError):
        chat.sample()  # the call
    row = only(prof)
    check(row, status="error", http_status=None, error="RESOURCE_EXHAUSTED", usage_source="missing", total_tokens=None)
