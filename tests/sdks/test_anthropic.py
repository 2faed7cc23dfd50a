"""anthropic: messages, as JSON and as events that tell the usage twice."""

import asyncio

import anthropic
import pytest

import tokprof
from sdks.rows import calls, check, check_left_early, only
from tokprof.testing import SimulatedProvider

HI = {"model": "claude-sonnet-5", "max_tokens": 512, "messages": [{"role": "user", "content": "Hi"}]}
COUNTS = {
    "input_tokens": 2422,
    "output_tokens": 58,
    "cache_read_tokens": 2048,
    "cache_write_tokens": 256,
    "reasoning_tokens": 23,
}
MESSAGES = {
    "provider": "anthropic",
    "operation": "messages",
    "kind": "llm",
    "model": "claude-sonnet-5",
    "request_model": "claude-sonnet-5",
}


@pytest.fixture
def url(provider: SimulatedProvider, loopback_only: set[str]) -> str:
    loopback_only.add("api.anthropic.com")
    provider.reply(text="Grüezi", when="Hi", **COUNTS)
    return provider.anthropic_url.replace("127.0.0.1", "api.anthropic.com")


@pytest.fixture
def client(url: str):
    with anthropic.Anthropic(base_url=url, api_key="none") as running:
        yield running


@pytest.fixture
async def aclient(url: str):
    async with anthropic.AsyncAnthropic(base_url=url, api_key="none") as running:
        yield running


def test_messages(client):
    with tokprof.profile() as prof:
        answer = client.messages.create(**HI)  # the call
    assert (answer.content[0].text, answer.usage.input_tokens) == ("Grüezi", 2422 - 2048 - 256)
    check(only(prof), **MESSAGES, **COUNTS, stream=False, finish_reason="end_turn", attempt=1)


async def test_messages_async(aclient):
    with tokprof.profile() as prof:
        answer = await aclient.messages.create(**HI)  # the call
    assert answer.content[0].text == "Grüezi"
    check(only(prof), **MESSAGES, **COUNTS, stream=False, finish_reason="end_turn", attempt=1)


def test_events(client):
    with tokprof.profile() as prof:
        events = list(client.messages.create(**HI, stream=True))  # the call
    assert "".join(event.delta.text for event in events if event.type == "content_block_delta") == "Grüezi"
    check(only(prof), **MESSAGES, **COUNTS, stream=True, finish_reason="end_turn")


def test_stream_helper(client):
    with tokprof.profile() as prof:
        with client.messages.stream(**HI) as stream:  # the call
            assert "".join(stream.text_stream) == "Grüezi"
            assert stream.get_final_message().usage.output_tokens == 58
    check(only(prof), **MESSAGES, **COUNTS, stream=True, finish_reason="end_turn")


async def test_stream_helper_async(aclient):
    with tokprof.profile() as prof:
        async with aclient.messages.stream(**HI) as stream:  # the call
            assert [text async for text in stream.text_stream]
            assert (await stream.get_final_message()).usage.output_tokens == 58
    check(only(prof), **MESSAGES, **COUNTS, stream=True, finish_reason="end_turn")


async def test_stream_left_early_has_its_input(aclient, provider):
    provider.clear()
    provider.tokens_per_second = 100
    provider.reply(text="one two three four " * 50, input_tokens=2422, cache_read_tokens=2048)
    with tokprof.profile() as prof:
        async with aclient.messages.stream(**HI) as stream:  # the call
            async for _ in stream.text_stream:
                break
    row = only(prof)
    check_left_early(row, **MESSAGES, input_tokens=2422, cache_read_tokens=2048)
    assert 1 <= row["output_tokens"] < 200


async def test_three_at_once(aclient, provider):
    provider.clear()
    for number in range(3):
        provider.reply(
            text=f"answer {number}", when=f"number {number}", input_tokens=100 + number, output_tokens=10 + number
        )

    async def ask(number):
        messages = [{"role": "user", "content": f"number {number}"}]
        return await aclient.messages.create(**HI | {"messages": messages})  # the call

    with tokprof.profile() as prof:
        answers = await asyncio.gather(*map(ask, range(3)))
    assert [answer.content[0].text for answer in answers] == ["answer 0", "answer 1", "answer 2"]
    rows = sorted(calls(prof), key=lambda row: row["input_tokens"])
    assert len(rows) == 3
    for number, row in enumerate(rows):
        check(row, **MESSAGES, input_tokens=100 + number, output_tokens=10 + number, stream=False)


def test_a_retry_is_a_row_of_its_own(client, provider):
    provider.clear()
    provider.fail(429, retry_after=0.01)
    provider.reply(text="Grüezi", **COUNTS)
    with tokprof.profile() as prof:
        answer = client.messages.create(**HI)  # the call
    assert answer.content[0].text == "Grüezi"
    refused, answered = calls(prof)
    assert (refused["status"], refused["error"], refused["attempt"]) == ("error", "HTTP 429: rate_limit_error", 1)
    check(answered, **MESSAGES, **COUNTS, attempt=2)


def test_counting_tokens_is_no_call(client):
    with tokprof.profile() as prof:
        assert client.messages.count_tokens(model=HI["model"], messages=HI["messages"]).input_tokens > 0
    assert calls(prof) == []
