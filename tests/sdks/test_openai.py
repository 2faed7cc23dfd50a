"""openai 3 on httpx2 and openai 2 on httpx: the same program, the same rows."""

import asyncio

import openai
import pytest

import tokprof
from sdks.rows import calls, check, check_estimated, check_left_early, only
from tokprof.testing import SimulatedProvider

HI = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
OPTIONS = {"stream": True, "stream_options": {"include_usage": True}}
COUNTS = {
    "input_tokens": 1311,
    "output_tokens": 47,
    "cache_read_tokens": 1024,
    "cache_write_tokens": 128,
    "reasoning_tokens": 19,
}
CHAT = {
    "provider": "openai",
    "operation": "chat",
    "kind": "llm",
    "model": "gpt-4o-mini",
    "request_model": "gpt-4o-mini",
}
RESPONSES = CHAT | {"operation": "responses"}


@pytest.fixture
def url(provider: SimulatedProvider, loopback_only: set[str]) -> str:
    loopback_only.add("api.openai.com")
    provider.reply(text="Grüezi", when="Hi", **COUNTS)
    return provider.openai_url.replace("127.0.0.1", "api.openai.com")


@pytest.fixture
def client(url: str):
    with openai.OpenAI(base_url=url, api_key="none") as running:
        yield running


@pytest.fixture
async def aclient(url: str):
    async with openai.AsyncOpenAI(base_url=url, api_key="none") as running:
        yield running


def test_chat(client):
    with tokprof.profile() as prof:
        answer = client.chat.completions.create(**HI)  # the call
    assert answer.choices[0].message.content == "Grüezi"
    assert answer.usage.prompt_tokens == 1311
    check(only(prof), **CHAT, **COUNTS, stream=False, finish_reason="stop", attempt=1)


async def test_chat_async(aclient):
    with tokprof.profile() as prof:
        answer = await aclient.chat.completions.create(**HI)  # the call
    assert answer.choices[0].message.content == "Grüezi"
    check(only(prof), **CHAT, **COUNTS, stream=False, finish_reason="stop", attempt=1)


def test_chat_stream_that_asks_for_usage(client):
    with tokprof.profile() as prof:
        stream = client.chat.completions.create(**HI, **OPTIONS)  # the call
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Grüezi"
    assert chunks[-1].usage.completion_tokens == 47
    check(only(prof), **CHAT, **COUNTS, stream=True, finish_reason="stop")


async def test_chat_stream_that_asks_for_usage_async(aclient):
    async def ask():
        return await aclient.chat.completions.create(**HI, **OPTIONS)  # the call

    with tokprof.profile() as prof:
        chunks = [chunk async for chunk in await ask()]
    assert chunks[-1].usage.completion_tokens == 47
    row = only(prof)
    check(row, **CHAT, **COUNTS, stream=True, finish_reason="stop")
    assert row["function"].endswith("ask")


def test_chat_stream_without_usage_is_estimated(client):
    with tokprof.profile() as prof:
        stream = client.chat.completions.create(**HI, stream=True)  # the call
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Grüezi"
    assert not any(chunk.usage for chunk in chunks)
    check_estimated(only(prof), **CHAT, stream=True, finish_reason="stop")


async def test_chat_stream_without_usage_is_estimated_async(aclient):
    with tokprof.profile() as prof:
        stream = await aclient.chat.completions.create(**HI, stream=True)  # the call
        chunks = [chunk async for chunk in stream]
    assert not any(chunk.usage for chunk in chunks)
    check_estimated(only(prof), **CHAT, stream=True, finish_reason="stop")


def test_chat_stream_left_early(client, provider):
    provider.clear()
    provider.tokens_per_second = 100
    provider.reply(text="one two three four " * 50)
    with tokprof.profile() as prof:
        with client.chat.completions.create(**HI, stream=True) as stream:  # the call
            for chunk in stream:
                if chunk.choices[0].delta.content:
                    break
    check_left_early(only(prof), **CHAT)


async def test_chat_stream_left_early_async(aclient, provider):
    provider.clear()
    provider.tokens_per_second = 100
    provider.reply(text="one two three four " * 50)
    with tokprof.profile() as prof:
        async with await aclient.chat.completions.create(**HI, stream=True) as stream:  # the call
            async for chunk in stream:
                if chunk.choices[0].delta.content:
                    break
    check_left_early(only(prof), **CHAT)


def test_responses(client):
    with tokprof.profile() as prof:
        answer = client.responses.create(model="gpt-4o-mini", input="Hi")  # the call
    assert (answer.output_text, answer.usage.output_tokens_details.reasoning_tokens) == ("Grüezi", 19)
    check(only(prof), **RESPONSES, **COUNTS, stream=False, finish_reason="completed")


async def test_responses_stream_async(aclient):
    with tokprof.profile() as prof:
        async with aclient.responses.stream(model="gpt-4o-mini", input="Hi") as stream:  # the call
            final = await stream.get_final_response()
    assert final.output_text == "Grüezi"
    check(only(prof), **RESPONSES, **COUNTS, stream=True, finish_reason="completed")


def test_responses_stream(client):
    with tokprof.profile() as prof:
        events = list(client.responses.create(model="gpt-4o-mini", input="Hi", stream=True))  # the call
    assert events[-1].response.output_text == "Grüezi"
    check(only(prof), **RESPONSES, **COUNTS, stream=True, finish_reason="completed")


def test_embeddings(client, provider):
    provider.clear()
    provider.reply(input_tokens=77)
    with tokprof.profile() as prof:
        answer = client.embeddings.create(model="text-embedding-3-small", input=["Hi", "ho"])  # the call
    assert (len(answer.data), len(answer.data[0].embedding), answer.usage.prompt_tokens) == (2, 1536, 77)
    model = {"model": "text-embedding-3-small", "request_model": "text-embedding-3-small"}
    check(
        only(prof),
        **model,
        provider="openai",
        kind="embedding",
        operation="embeddings",
        input_tokens=77,
        output_tokens=0,
    )


def test_parsed_answers_and_raw_answers_are_one_row(client, provider):
    provider.reply(text="raw", when="Hi", **COUNTS)
    with tokprof.profile() as prof:
        raw = client.chat.completions.with_raw_response.create(**HI)  # the call
    assert raw.parse().choices[0].message.content == "Grüezi"
    check(only(prof), **CHAT, **COUNTS, stream=False)


async def test_three_at_once(aclient, provider):
    provider.clear()
    for number in range(3):
        provider.reply(
            text=f"answer {number}", when=f"number {number}", input_tokens=100 + number, output_tokens=10 + number
        )

    async def ask(number):
        messages = [{"role": "user", "content": f"number {number}"}]
        return await aclient.chat.completions.create(**HI | {"messages": messages})  # the call

    with tokprof.profile() as prof:
        answers = await asyncio.gather(*map(ask, range(3)))
    assert [answer.choices[0].message.content for answer in answers] == ["answer 0", "answer 1", "answer 2"]
    rows = sorted(calls(prof), key=lambda row: row["input_tokens"])
    assert len(rows) == 3
    for number, row in enumerate(rows):
        check(row, **CHAT, input_tokens=100 + number, output_tokens=10 + number, stream=False)


def test_a_retry_is_a_row_of_its_own(client, provider):
    provider.clear()
    provider.fail(429, retry_after=0.01)
    provider.reply(text="Grüezi", **COUNTS)
    with tokprof.profile() as prof:
        answer = client.chat.completions.create(**HI)  # the call
    assert answer.choices[0].message.content == "Grüezi"
    refused, answered = calls(prof)
    assert (refused["status"], refused["http_status"], refused["attempt"], refused["total_tokens"]) == (
        "error",
        429,
        1,
        None,
    )
    check(answered, **CHAT, **COUNTS, attempt=2)


async def test_a_retry_is_a_row_of_its_own_async(aclient, provider):
    provider.clear()
    provider.fail(429, retry_after=0.01)
    provider.reply(text="Grüezi", **COUNTS)
    with tokprof.profile() as prof:
        await aclient.chat.completions.create(**HI)  # the call
    refused, answered = calls(prof)
    assert (refused["status"], refused["http_status"], refused["attempt"]) == ("error", 429, 1)
    check(answered, **CHAT, **COUNTS, attempt=2)


def test_a_refusal_is_raised_and_shown(client, provider):
    provider.clear()
    provider.fail(401)
    with tokprof.profile() as prof, pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(**HI)  # the call
    row = only(prof)
    check(
        row,
        status="error",
        http_status=401,
        error="HTTP 401: invalid_api_key",
        usage_source="missing",
        request_model="gpt-4o-mini",
    )
