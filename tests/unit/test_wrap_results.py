"""What `tokprof.wrap` reads in results: usage in any object, tokens of vLLM, and agents in another process."""

from __future__ import annotations

import asyncio
import collections
import types
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pydantic
import pytest

import tokprof
from tokprof.testing import SimulatedProvider

MODEL = "llama-3-8b"
USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
ANSWER = {"object": "chat.completion", "model": MODEL, "choices": [], "usage": USAGE}


def rows(prof: tokprof.Profile) -> list[tuple[Any, ...]]:
    """Name, status, input, output and source of each call."""
    columns = prof.calls[["name", "status", "input_tokens", "output_tokens", "usage_source"]]
    return [tuple(None if pd.isna(value) else value for value in row) for row in columns.itertuples(index=False)]


async def drain(stream: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in stream]


class PydanticUsage(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    prompt_tokens: int = 5
    completion_tokens: int = 3


@dataclass
class DataUsage:
    input_tokens: int = 5
    output_tokens: int = 3
    cache_read_tokens: int = 2


class SlotUsage:
    __slots__ = ("completion_tokens", "prompt_tokens")

    def __init__(self) -> None:
        self.prompt_tokens, self.completion_tokens = np.int64(5), np.int64(3)


class Details(pydantic.BaseModel):
    cached_tokens: int = 2


Named = collections.namedtuple("Named", "input_tokens output_tokens")


@pytest.mark.parametrize(
    "result",
    [
        {"usage": USAGE},
        types.MappingProxyType({"usage": types.MappingProxyType(USAGE)}),
        SimpleNamespace(usage=SimpleNamespace(**USAGE)),
        SimpleNamespace(usage=PydanticUsage()),
        SimpleNamespace(usage=PydanticUsage(prompt_tokens_details=Details())),  # type: ignore[call-arg]
        SimpleNamespace(usage=DataUsage()),
        SimpleNamespace(usage=SlotUsage()),
        SimpleNamespace(usage=Named(5, 3)),
        {"usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 1, "thoughtsTokenCount": 2}},
        SimpleNamespace(
            usage_metadata=SimpleNamespace(prompt_token_count=5, candidates_token_count=1, thoughts_token_count=2)
        ),
        SimpleNamespace(usage_metadata={"input_tokens": 5, "output_tokens": 3, "total_tokens": 8}),
        SimpleNamespace(meta=SimpleNamespace(billed_units=SimpleNamespace(input_tokens=5.0, output_tokens=3.0))),
        {"prompt_eval_count": 5, "eval_count": 3, "done": True},
        SimpleNamespace(prompt_eval_count=5, eval_count=3, done=True, model="llama3"),
        {"usage": {"input_tokens": 1, "output_tokens": 3, "cache_read_input_tokens": 4}},
        [{"usage": {"prompt_tokens": n, "completion_tokens": n - 1}} for n in (2, 3)],
    ],
    ids=["dict", "mapping", "namespace", "pydantic", "nested pydantic", "dataclass", "slots", "named tuple", "gemini",
         "google-genai", "langchain", "cohere", "ollama", "ollama object", "anthropic", "batch"],
)  # fmt: skip
def test_usage_is_found_in_any_object(result: Any) -> None:
    with tokprof.profile() as prof:
        assert tokprof.wrap(lambda: result)() is result
    assert [row[1:] for row in rows(prof)] == [("ok", 5, 3, "reported")]


def test_cached_tokens_of_nested_objects() -> None:
    with tokprof.profile() as prof:
        tokprof.wrap(lambda: SimpleNamespace(usage=PydanticUsage(prompt_tokens_details=Details())))()  # type: ignore[call-arg]
        tokprof.wrap(lambda: SimpleNamespace(usage=DataUsage()))()
    assert list(prof.calls.cache_read_tokens) == [2, 2]


def test_a_batch_with_an_answer_that_does_not_tell_is_a_lower_bound() -> None:
    with tokprof.profile() as prof:
        tokprof.wrap(lambda: [ANSWER, {"model": MODEL}])()
    assert rows(prof) == [(f"chat {MODEL}", "ok", 5, 3, "partial")]


def test_langchain_chunks_are_added_up() -> None:
    def stream() -> Iterator[Any]:
        for inside, outside in ((9, 0), (0, 2), (0, 1)):
            usage = {"input_tokens": inside, "output_tokens": outside, "total_tokens": inside + outside}
            yield SimpleNamespace(content="a", usage_metadata=usage, response_metadata={"model_name": "m"})

    with tokprof.profile() as prof:
        list(tokprof.wrap(stream)())
    assert rows(prof) == [("chat m", "ok", 9, 3, "reported")]


def test_a_cost_that_is_told_is_reported() -> None:
    with tokprof.profile() as prof:
        tokprof.wrap(lambda: {"result": "hi", "usage": USAGE, "total_cost_usd": 0.25})()
        tokprof.wrap(lambda: {"usage": USAGE | {"cost": 0.5}})()
    assert list(prof.calls.cost) == [0.25, 0.5]
    assert set(prof.calls.cost_source) == {"reported"}


@dataclass
class RequestOutput:
    """As vLLM's: no usage, but the tokens themselves."""

    prompt_token_ids: list[int]
    outputs: Any
    finished: bool = True
    num_cached_tokens: int | None = None


@dataclass
class CompletionOutput:
    token_ids: list[int]
    text: str = "x"
    finish_reason: str | None = "stop"


def test_tokens_of_vllm_are_counted() -> None:
    class LLM:
        def generate(self, prompts: list[str]) -> Any:
            return [RequestOutput([1, 2, 3], [CompletionOutput([4, 5])], num_cached_tokens=2) for _ in prompts]

        def embed(self, prompt: str) -> Any:
            return [RequestOutput([1, 2, 3], SimpleNamespace(embedding=[0.1]))]

    llm = tokprof.wrap(LLM(), model="qwen")
    with tokprof.profile() as prof:
        llm.generate(["a", "b"])
        llm.embed("a")
    assert rows(prof) == [
        ("chat qwen", "ok", 6, 4, "derived"),
        ("embeddings qwen", "ok", 3, 0, "derived"),
    ]
    assert prof.calls.iloc[0].cache_read_tokens == 4


@pytest.mark.parametrize("delta", [False, True], ids=["so far", "new"])
async def test_streams_of_vllm(delta: bool) -> None:
    async def generate(prompt: str) -> AsyncIterator[Any]:
        for n in range(1, 5):
            ids = [7] if delta else list(range(n))
            yield RequestOutput([1, 2, 3], [CompletionOutput(ids, finish_reason=None)], finished=n == 4)

    with tokprof.profile() as prof:
        await drain(tokprof.wrap(generate, model="qwen")("hi"))
    assert rows(prof) == [("chat qwen", "ok", 3, 4, "derived")]


# agents in another process: the messages of claude-agent-sdk


@dataclass
class SystemMessage:
    subtype: str = "init"
    data: dict[str, Any] = field(default_factory=dict)


@dataclass
class TaskMessage(SystemMessage):
    usage: dict[str, int] = field(default_factory=lambda: {"total_tokens": 99, "tool_uses": 1, "duration_ms": 5})


@dataclass
class AssistantMessage:
    content: list[Any]
    model: str
    parent_tool_use_id: str | None = None
    usage: dict[str, Any] | None = None
    message_id: str | None = None


@dataclass
class ResultMessage:
    subtype: str
    is_error: bool
    num_turns: int
    session_id: str
    total_cost_usd: float | None = None
    usage: dict[str, Any] | None = None
    model_usage: dict[str, Any] | None = None
    stop_reason: str | None = None


SONNET, HAIKU = "claude-sonnet-4-5", "claude-haiku-4-5"


def anthropic(inside: int, outside: int, read: int = 0, write: int = 0) -> dict[str, int]:
    return {"input_tokens": inside, "output_tokens": outside, "cache_read_input_tokens": read,
            "cache_creation_input_tokens": write}  # fmt: skip


def spent(inside: int, outside: int, cost: float, read: int = 0, write: int = 0) -> dict[str, Any]:
    return {"inputTokens": inside, "outputTokens": outside, "cacheReadInputTokens": read,
            "cacheCreationInputTokens": write, "costUSD": cost, "contextWindow": 200000}  # fmt: skip


STEPS = [
    SystemMessage(),
    AssistantMessage(["thinking"], SONNET, usage=anthropic(10, 1, 100, 50), message_id="a"),
    AssistantMessage(["text"], SONNET, usage=anthropic(10, 1, 100, 50), message_id="a"),
    TaskMessage(),
    AssistantMessage(["text"], SONNET, usage=anthropic(5, 2), message_id="b"),
]
TOTALS = {SONNET: spent(15, 40, 0.015, 100, 50), HAIKU: spent(300, 20, 0.005)}
END = ResultMessage("success", False, 2, "s", 0.02, anthropic(15, 40, 100, 50), TOTALS)


async def query(*, prompt: str, until: Any = END) -> AsyncIterator[Any]:
    for message in (*STEPS, *([until] if until else [])):
        await asyncio.sleep(0)
        yield message


def models(prof: tokprof.Profile) -> dict[str, tuple[Any, ...]]:
    calls = prof.calls.set_index("model")
    return {model: (row.input_tokens, row.output_tokens, round(row.cost, 6)) for model, row in calls.iterrows()}


async def test_an_agent_has_a_row_for_each_model() -> None:
    with tokprof.profile() as prof:
        assert len(await drain(tokprof.wrap(query)(prompt="hi"))) == 6
    assert models(prof) == {SONNET: (165, 40, 0.015), HAIKU: (300, 20, 0.005)}
    assert list(prof.df.kind) == ["profile", "agent", "llm", "llm"]
    assert list(prof.df.depth) == [0, 1, 2, 2]
    assert list(prof.calls["name"]) == [f"chat {SONNET}", f"chat {HAIKU}"]
    assert set(prof.calls.cost_source) == set(prof.calls.usage_source) == {"reported"}
    assert set(prof.calls.provider) == {"anthropic"}
    assert (prof.totals.total_tokens, prof.totals.cost) == (525, pytest.approx(0.02))


async def test_an_agent_without_figures_by_model() -> None:
    end = ResultMessage("success", False, 2, "s", 0.02, anthropic(15, 40, 100, 50))
    with tokprof.profile() as prof:
        await drain(tokprof.wrap(query)(prompt="hi", until=end))
    assert models(prof) == {SONNET: (165, 40, 0.02)}


async def test_an_agent_left_early_is_a_lower_bound() -> None:
    with tokprof.profile() as prof:
        stream = tokprof.wrap(query)(prompt="hi", until=None)
        for _ in range(5):
            await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
    row = prof.calls.iloc[0]
    assert len(prof.calls) == 1
    assert (row.input_tokens, row.output_tokens, row.usage_source, row.status) == (165, 3, "partial", "partial")


async def test_an_agent_that_failed_was_billed_all_the_same() -> None:
    end = ResultMessage("error_max_turns", True, 2, "s", 0.02, anthropic(15, 40, 100, 50), TOTALS)
    with tokprof.profile() as prof:
        await drain(tokprof.wrap(query)(prompt="hi", until=end))
    assert set(prof.calls.status) == {"error"}
    assert set(prof.calls.error) == {"error_max_turns"}
    assert prof.totals.total_tokens == 525


async def test_an_agent_that_outlives_its_recording_is_told_anew() -> None:
    dated = f"{SONNET}-20250929"
    end = ResultMessage("success", False, 2, "s", 0.02, anthropic(15, 40), {dated: spent(15, 40, 0.02)})
    with tokprof.profile() as prof:
        stream = tokprof.wrap(query)(prompt="hi", until=end)
        for _ in range(5):
            await anext(stream)
    assert list(prof.calls.model) == [SONNET]
    assert list(prof.calls.status) == ["open"]
    await drain(stream)
    assert models(prof) == {dated: (15, 40, 0.02)}


class Connection:
    """As ``ClaudeSDKClient``: the figures by model and the cost are those of the connection up to now."""

    def __init__(self) -> None:
        self.ends = [
            END,
            ResultMessage("success", False, 1, "s", 0.03, anthropic(7, 9),
                          {SONNET: spent(22, 49, 0.025, 100, 50), HAIKU: spent(300, 20, 0.005)}),
            ResultMessage("success", False, 1, "s", 0.01, anthropic(6, 8), {SONNET: spent(6, 8, 0.01)}),
        ]  # fmt: skip

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *error: Any) -> None: ...

    async def query(self, prompt: str) -> None: ...

    async def receive_response(self) -> AsyncIterator[Any]:
        yield self.ends.pop(0)


async def test_the_turns_of_a_connection_are_told_apart() -> None:
    found = []
    async with tokprof.wrap(Connection()) as client:
        for _ in range(3):  # the last one after a reset
            with tokprof.profile() as prof:
                await client.query("hi")
                await drain(client.receive_response())
            found.append(models(prof))
    assert found == [
        {SONNET: (165, 40, 0.015), HAIKU: (300, 20, 0.005)},
        {SONNET: (7, 9, 0.01)},
        {SONNET: (6, 8, 0.01)},
    ]


async def test_what_the_tools_of_an_agent_call_is_not_taken_from_it(provider: SimulatedProvider) -> None:
    openai = provider.openai()

    async def with_tool() -> AsyncIterator[Any]:
        yield STEPS[1]
        openai.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}])
        yield END

    with tokprof.profile() as prof:
        await drain(tokprof.wrap(with_tool)())
    below = prof.calls[prof.calls.provider != "anthropic"].total_tokens.sum()
    assert below > 0
    assert prof.totals.total_tokens == 525 + below
