"""langchain-openai: chains in threads and tasks on the openai SDK."""

import pytest
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableParallel
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

import tokprof
from sdks.rows import calls, check, check_estimated, only
from tokprof.testing import SimulatedProvider

COUNTS = {
    "input_tokens": 1711,
    "output_tokens": 73,
    "cache_read_tokens": 1408,
    "cache_write_tokens": 128,
    "reasoning_tokens": 37,
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
def url(provider: SimulatedProvider, loopback_only: set[str]) -> str:
    loopback_only.add("api.openai.com")
    provider.reply(text="Grüezi", when="Hi", times=None, **COUNTS)
    return provider.openai_url.replace("127.0.0.1", "api.openai.com")


@pytest.fixture
def chat(url: str):
    return ChatOpenAI(model="gpt-4o-mini", base_url=url, api_key="none")


def test_invoke(chat):
    with tokprof.profile() as prof:
        answer = chat.invoke("Hi")  # the call
    assert (answer.content, answer.usage_metadata["output_tokens"]) == ("Grüezi", 73)
    check(only(prof), **CHAT, **COUNTS, stream=False)


async def test_ainvoke(chat):
    with tokprof.profile() as prof:
        answer = await chat.ainvoke("Hi")  # the call
    assert answer.content == "Grüezi"
    check(only(prof), **CHAT, **COUNTS, stream=False)


def test_chain(chat):
    chain = ChatPromptTemplate.from_messages([("user", "Hi {name}")]) | chat
    with tokprof.profile() as prof:
        answer = chain.invoke({"name": "Heidi"})  # the call
    assert answer.content == "Grüezi"
    check(only(prof), **CHAT, **COUNTS, stream=False)


def test_stream_of_a_custom_url_without_usage_is_estimated(chat):
    with tokprof.profile() as prof:
        chunks = list(chat.stream("Hi"))  # the call
    assert "".join(chunk.content for chunk in chunks) == "Grüezi"
    check_estimated(only(prof), **CHAT, stream=True)


async def test_astream_of_a_custom_url_without_usage_is_estimated(chat):
    with tokprof.profile() as prof:
        chunks = [chunk async for chunk in chat.astream("Hi")]  # the call
    assert "".join(chunk.content for chunk in chunks) == "Grüezi"
    check_estimated(only(prof), **CHAT, stream=True)


def test_stream_that_asks_for_usage(url):
    chat = ChatOpenAI(model="gpt-4o-mini", base_url=url, api_key="none", stream_usage=True)
    with tokprof.profile() as prof:
        chunks = list(chat.stream("Hi"))  # the call
    assert sum(chunk.usage_metadata["output_tokens"] for chunk in chunks if chunk.usage_metadata) == 73
    check(only(prof), **CHAT, **COUNTS, stream=True)


def test_responses(url):
    chat = ChatOpenAI(model="gpt-4o-mini", base_url=url, api_key="none", use_responses_api=True)
    with tokprof.profile() as prof:
        answer = chat.invoke("Hi")  # the call
    assert answer.text == "Grüezi"
    check(only(prof), **RESPONSES, **COUNTS, stream=False)


async def test_responses_astream(url):
    chat = ChatOpenAI(model="gpt-4o-mini", base_url=url, api_key="none", use_responses_api=True)
    with tokprof.profile() as prof:
        chunks = [chunk async for chunk in chat.astream("Hi")]  # the call
    assert "".join(chunk.text for chunk in chunks) == "Grüezi"
    check(only(prof), **RESPONSES, **COUNTS, stream=True)


def test_embeddings(url, provider):
    provider.clear()
    provider.reply(input_tokens=87)
    embeddings = OpenAIEmbeddings(
        model="text-embedding-3-small", base_url=url, api_key="none", check_embedding_ctx_length=False
    )
    with tokprof.profile() as prof:
        assert len(embeddings.embed_query("Hi")) == 1536  # the call
    check(only(prof), kind="embedding", operation="embeddings", input_tokens=87, output_tokens=0)


def test_batch_in_threads(chat):
    with tokprof.profile() as prof:
        answers = chat.batch(["Hi 1", "Hi 2", "Hi 3"])  # the call
    assert [answer.content for answer in answers] == ["Grüezi"] * 3
    rows = calls(prof)
    assert len(rows) == 3
    for row in rows:
        check(row, **CHAT, **COUNTS, stream=False)


async def test_abatch_in_tasks(chat):
    with tokprof.profile() as prof:
        answers = await chat.abatch(["Hi 1", "Hi 2", "Hi 3"])  # the call
    assert [answer.content for answer in answers] == ["Grüezi"] * 3
    rows = calls(prof)
    assert len(rows) == 3
    for row in rows:
        check(row, **CHAT, **COUNTS, stream=False)


def test_parallel_branches(chat):
    both = RunnableParallel(one=chat, other=chat)
    with tokprof.profile() as prof:
        answers = both.invoke("Hi")  # the call
    assert {answer.content for answer in answers.values()} == {"Grüezi"}
    rows = calls(prof)
    assert len(rows) == 2
    for row in rows:
        check(row, **CHAT, **COUNTS, stream=False)
