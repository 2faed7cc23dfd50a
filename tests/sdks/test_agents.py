"""openai-agents: tasks of its own between the program and the request."""

import asyncio

import agents
import openai
import pytest

import tokprof
from sdks.rows import calls, check, check_estimated, only
from tokprof.testing import SimulatedProvider

COUNTS = {
    "input_tokens": 1511,
    "output_tokens": 67,
    "cache_read_tokens": 1152,
    "cache_write_tokens": 192,
    "reasoning_tokens": 29,
}
CHAT = {
    "provider": "openai",
    "operation": "chat",
    "kind": "llm",
    "model": "gpt-4o-mini",
    "request_model": "gpt-4o-mini",
}
RESPONSES = CHAT | {"operation": "responses", "finish_reason": "completed"}


@pytest.fixture(autouse=True)
def no_tracing():
    agents.set_tracing_disabled(True)


@pytest.fixture
def url(provider: SimulatedProvider, loopback_only: set[str]) -> str:
    loopback_only.add("api.openai.com")
    provider.reply(text="Grüezi", when="Hi", times=None, **COUNTS)
    return provider.openai_url.replace("127.0.0.1", "api.openai.com")


@pytest.fixture(params=["chat", "responses"])
def model(request, url):
    client = openai.AsyncOpenAI(base_url=url, api_key="none")
    if request.param == "chat":
        return agents.OpenAIChatCompletionsModel("gpt-4o-mini", client), CHAT | {"finish_reason": "stop"}
    return agents.OpenAIResponsesModel("gpt-4o-mini", client), RESPONSES


def test_run_sync(model):
    agent = agents.Agent("greeter", model=model[0])
    with tokprof.profile() as prof:
        result = agents.Runner.run_sync(agent, "Hi")  # the call
    assert (result.final_output, result.raw_responses[0].usage.output_tokens) == ("Grüezi", 67)
    check(only(prof), **model[1], **COUNTS, stream=False)


async def test_run(model):
    agent = agents.Agent("greeter", model=model[0])
    with tokprof.profile() as prof:
        result = await agents.Runner.run(agent, "Hi")  # the call
    assert result.final_output == "Grüezi"
    check(only(prof), **model[1], **COUNTS, stream=False)


async def test_run_streamed_responses(url):
    client = openai.AsyncOpenAI(base_url=url, api_key="none")
    agent = agents.Agent("greeter", model=agents.OpenAIResponsesModel("gpt-4o-mini", client))
    with tokprof.profile() as prof:
        result = agents.Runner.run_streamed(agent, "Hi")  # the call
        events = [event async for event in result.stream_events()]
    assert result.final_output == "Grüezi"
    assert events
    check(only(prof), **RESPONSES, **COUNTS, stream=True)


async def test_run_streamed_chat_without_usage_is_estimated(url):
    client = openai.AsyncOpenAI(base_url=url, api_key="none")
    agent = agents.Agent("greeter", model=agents.OpenAIChatCompletionsModel("gpt-4o-mini", client))
    with tokprof.profile() as prof:
        result = agents.Runner.run_streamed(agent, "Hi")  # the call
        assert [event async for event in result.stream_events()]
    assert result.final_output == "Grüezi"
    check_estimated(only(prof), **CHAT, stream=True, finish_reason="stop")


async def test_run_streamed_chat_that_asks_for_usage(url):
    client = openai.AsyncOpenAI(base_url=url, api_key="none")
    settings = agents.ModelSettings(include_usage=True)
    agent = agents.Agent(
        "greeter", model=agents.OpenAIChatCompletionsModel("gpt-4o-mini", client), model_settings=settings
    )
    with tokprof.profile() as prof:
        result = agents.Runner.run_streamed(agent, "Hi")  # the call
        assert [event async for event in result.stream_events()]
    check(only(prof), **CHAT, **COUNTS, stream=True, finish_reason="stop")


async def test_a_run_with_a_tool_is_two_calls(model, provider):
    @agents.function_tool
    def weather(city: str) -> str:
        return f"sunny in {city}"

    provider.clear()
    provider.reply(tool_calls=[("weather", {"city": "Bern"})], input_tokens=301, output_tokens=11)
    provider.reply(text="It is sunny", when="sunny in Bern", input_tokens=352, output_tokens=13)
    agent = agents.Agent("greeter", model=model[0], tools=[weather])
    with tokprof.profile() as prof:
        result = await agents.Runner.run(agent, "Hi")  # the call
    assert result.final_output == "It is sunny"
    rows = calls(prof)
    assert [(row["input_tokens"], row["output_tokens"]) for row in rows] == [(301, 11), (352, 13)]
    for row in rows:
        check(row, model="gpt-4o-mini", stream=False)


async def test_three_at_once(model):
    agent = agents.Agent("greeter", model=model[0])

    async def ask():
        return await agents.Runner.run(agent, "Hi")  # the call

    with tokprof.profile() as prof:
        await asyncio.gather(ask(), ask(), ask())
    rows = calls(prof)
    assert len(rows) == 3
    for row in rows:
        check(row, **model[1], **COUNTS, stream=False)
