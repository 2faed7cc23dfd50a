"""llama-index-llms-openai, which keeps openai below 3."""

import asyncio

import pytest
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai import OpenAI, OpenAIResponses

import tokprof
from sdks.rows import calls, check, check_estimated, only
from tokprof.testing import SimulatedProvider

HI = [ChatMessage(role="user", content="Hi")]
COUNTS = {
    "input_tokens": 1811,
    "output_tokens": 79,
    "cache_read_tokens": 1536,
    "cache_write_tokens": 64,
    "reasoning_tokens": 41,
}
CHAT = {
    "provider": "openai",
    "operation": "chat",
    "kind": "llm",
    "model": "gpt-4o-mini",
    "request_model": "gpt-4o-mini",
    "finish_reason": "stop",
}
RESPONSES = CHAT | {"operation": "responses", "finish_reason": "completed"}


@pytest.fixture
def settings(provider: SimulatedProvider, loopback_only: set[str]):
    loopback_only.add("api.openai.com")
    provider.reply(text="Grüezi", when="Hi", times=None, **COUNTS)
    url = provider.openai_url.replace("127.0.0.1", "api.openai.com")
    return {"model": "gpt-4o-mini", "api_base": url, "api_key": "none"}


@pytest.fixture
def llm(settings):
    return OpenAI(**settings)


def test_chat(llm):
    with tokprof.profile() as prof:
        answer = llm.chat(HI)  # the call
    assert (answer.message.content, answer.raw.usage.completion_tokens) == ("Grüezi", 79)
    check(only(prof), **CHAT, **COUNTS, stream=False)


async def test_chat_async(llm):
    with tokprof.profile() as prof:
        answer = await llm.achat(HI)  # the call
    assert answer.message.content == "Grüezi"
    check(only(prof), **CHAT, **COUNTS, stream=False)


def test_complete(llm):
    with tokprof.profile() as prof:
        answer = llm.complete("Hi")  # the call
    assert answer.text == "Grüezi"
    check(only(prof), **CHAT, **COUNTS, stream=False)


def test_stream_without_usage_is_estimated(llm):
    with tokprof.profile() as prof:
        parts = list(llm.stream_chat(HI))  # the call
    assert "".join(part.delta or "" for part in parts) == "Grüezi"
    check_estimated(only(prof), **CHAT, stream=True)


async def test_stream_without_usage_is_estimated_async(llm):
    with tokprof.profile() as prof:
        stream = await llm.astream_chat(HI)
        parts = [part async for part in stream]  # the call
    assert "".join(part.delta or "" for part in parts) == "Grüezi"
    check_estimated(only(prof), **CHAT, stream=True)


def test_stream_that_asks_for_usage(settings):
    llm = OpenAI(**settings, additional_kwargs={"stream_options": {"include_usage": True}})
    with tokprof.profile() as prof:
        parts = list(llm.stream_chat(HI))  # the call
    assert parts[-1].raw.usage.completion_tokens == 79
    check(only(prof), **CHAT, **COUNTS, stream=True)


def test_responses(settings):
    llm = OpenAIResponses(**settings)
    with tokprof.profile() as prof:
        answer = llm.chat(HI)  # the call
    assert answer.message.content == "Grüezi"
    check(only(prof), **RESPONSES, **COUNTS, stream=False)


async def test_three_at_once(llm):
    async def ask():
        return await llm.achat(HI)  # the call

    with tokprof.profile() as prof:
        await asyncio.gather(ask(), ask(), ask())
    rows = calls(prof)
    assert len(rows) == 3
    for row in rows:
        check(row, **CHAT, **COUNTS, stream=False)
