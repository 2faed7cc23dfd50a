"""pydantic-ai: agents on the openai SDK, which it asks for the usage of streams."""

import asyncio

import pytest
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

import tokprof
from sdks.rows import calls, check, only
from tokprof.testing import SimulatedProvider

COUNTS = {
    "input_tokens": 1611,
    "output_tokens": 71,
    "cache_read_tokens": 1280,
    "cache_write_tokens": 64,
    "reasoning_tokens": 31,
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


@pytest.fixture(params=["chat", "responses"])
def setup(request, provider: SimulatedProvider, loopback_only: set[str]):
    loopback_only.add("api.openai.com")
    provider.reply(text="Grüezi", when="Hi", times=None, **COUNTS)
    url = provider.openai_url.replace("127.0.0.1", "api.openai.com")
    make, row = (OpenAIChatModel, CHAT) if request.param == "chat" else (OpenAIResponsesModel, RESPONSES)
    return Agent(make("gpt-4o-mini", provider=OpenAIProvider(base_url=url, api_key="none"))), row


def test_run_sync(setup):
    agent, row = setup
    with tokprof.profile() as prof:
        result = agent.run_sync("Hi")  # the call
    assert result.output == "Grüezi"
    check(only(prof), **row, **COUNTS, stream=False)


async def test_run(setup):
    agent, row = setup
    with tokprof.profile() as prof:
        result = await agent.run("Hi")  # the call
    assert result.output == "Grüezi"
    check(only(prof), **row, **COUNTS, stream=False)


async def test_run_stream(setup):
    agent, row = setup
    with tokprof.profile() as prof:
        async with agent.run_stream("Hi") as result:  # the call
            assert await result.get_output() == "Grüezi"
    check(only(prof), **row, **COUNTS, stream=True)


async def test_a_run_with_a_tool_is_two_calls(setup, provider):
    agent, _ = setup

    @agent.tool_plain
    def weather(city: str) -> str:
        return f"sunny in {city}"

    provider.clear()
    provider.reply(tool_calls=[("weather", {"city": "Bern"})], input_tokens=301, output_tokens=11)
    provider.reply(text="It is sunny", when="sunny in Bern", input_tokens=352, output_tokens=13)
    with tokprof.profile() as prof:
        result = await agent.run("Hi")  # the call
    assert result.output == "It is sunny"
    rows = calls(prof)
    assert [(row["input_tokens"], row["output_tokens"]) for row in rows] == [(301, 11), (352, 13)]
    for row in rows:
        check(row, model="gpt-4o-mini", stream=False)


async def test_three_at_once(setup):
    agent, row = setup

    async def ask():
        return await agent.run("Hi")  # the call

    with tokprof.profile() as prof:
        await asyncio.gather(ask(), ask(), ask())
    rows = calls(prof)
    assert len(rows) == 3
    for each in rows:
        check(each, **row, **COUNTS, stream=False)
