"""dspy: its own engine on sockets, and litellm's."""

import asyncio

import dspy
import pytest

import tokprof
from sdks.rows import calls, check, only
from tokprof.testing import SimulatedProvider

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore:Items? .* `ReadOnly` qualifier:UserWarning"
)

COUNTS = {
    "input_tokens": 2011,
    "output_tokens": 89,
    "cache_read_tokens": 1792,
    "cache_write_tokens": 64,
    "reasoning_tokens": 47,
}
CHAT = {
    "provider": "openai",
    "operation": "chat",
    "kind": "llm",
    "model": "gpt-4o-mini",
    "request_model": "gpt-4o-mini",
    "finish_reason": "stop",
}


@pytest.fixture(params=["default", "litellm"])
async def lm(request, provider: SimulatedProvider, loopback_only: set[str]):
    loopback_only.add("api.openai.com")
    provider.reply(text="[[ ## answer ## ]]\nGrüezi\n\n[[ ## completed ## ]]", times=None, **COUNTS)
    url = provider.openai_url.replace("127.0.0.1", "api.openai.com")
    engine = {} if request.param == "default" else {"engine": request.param}
    yield dspy.LM("openai/gpt-4o-mini", api_base=url, api_key="none", cache=False, num_retries=0, **engine)
    if engine:
        import litellm

        await litellm.close_litellm_async_clients()


def test_predict(lm):
    predict = dspy.Predict("question -> answer")
    with dspy.context(lm=lm), tokprof.profile() as prof:
        answer = predict(question="Hi")  # the call
    assert answer.answer == "Grüezi"
    check(only(prof), **CHAT, **COUNTS, stream=False)


async def test_predict_async(lm):
    predict = dspy.Predict("question -> answer")
    with dspy.context(lm=lm), tokprof.profile() as prof:
        answer = await predict.acall(question="Hi")  # the call
    assert answer.answer == "Grüezi"
    check(only(prof), **CHAT, **COUNTS, stream=False)


async def test_streamed(lm):
    predict = dspy.streamify(dspy.Predict("question -> answer"))
    with dspy.context(lm=lm), tokprof.profile() as prof:
        parts = [part async for part in predict(question="Hi")]  # the call
    assert parts[-1].answer == "Grüezi"
    check(only(prof), **CHAT, **COUNTS, stream=True)


async def test_three_at_once(lm):
    predict = dspy.Predict("question -> answer")

    async def ask():
        return await predict.acall(question="Hi")  # the call

    with dspy.context(lm=lm), tokprof.profile() as prof:
        await asyncio.gather(ask(), ask(), ask())
    rows = calls(prof)
    assert len(rows) == 3
    for row in rows:
        check(row, **CHAT, **COUNTS, stream=False)
