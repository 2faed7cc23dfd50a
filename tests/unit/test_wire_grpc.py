"""gRPC: xAI's own SDK and Google's service, read like HTTP, and nothing changes for the program."""

from __future__ import annotations

import asyncio
import datetime
import gc
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc
import grpc.aio
import grpc.experimental
import pytest
import xai_sdk
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from xai_sdk.chat import user
from xai_sdk.proto import chat_pb2, chat_pb2_grpc, usage_pb2

import tokprof
from tokprof.capture import wire
from tokprof.capture.wire.protobuf import plain

from .xai_server import MODEL, WORDS, Xai, serving

SINGLE = (grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1)


@pytest.fixture
def xai() -> Iterator[Xai]:
    servicer = Xai()
    with serving(servicer) as address:
        servicer.address = address
        yield servicer
        servicer.slow.set()


@pytest.fixture
def client(xai: Any) -> Iterator[Any]:
    with xai_sdk.Client(api_key="key", api_host=xai.address, use_insecure_channel=True) as client:
        yield client


@pytest.fixture
async def async_client(xai: Any) -> AsyncIterator[Any]:
    async with xai_sdk.AsyncClient(api_key="key", api_host=xai.address, use_insecure_channel=True) as client:
        yield client


def ask(client: Any) -> Any:
    return client.chat.create(model=MODEL, messages=[user("hello")])


def only(prof: tokprof.Profile) -> Any:
    assert len(prof.calls) == 1, prof.calls[["name", "status", "error"]]
    return prof.calls.iloc[0]


def assert_whole(row: Any, stream: bool) -> None:
    assert (row.status, row.error, row.finish_reason) == ("ok", None, "REASON_STOP")
    assert (row.input_tokens, row.output_tokens, row.total_tokens) == (320, 312, 632)
    assert (row.cache_read_tokens, row.reasoning_tokens, row.usage_source) == (128, 300, "reported")
    assert row.input_image_tokens == 100
    assert row.cost == pytest.approx(0.00501234) and row.cost_source == "reported"
    assert (row.operation, row.kind, row.request_model, row.stream) == ("chat", "llm", MODEL, stream)


def assert_partial(row: Any, status: str, error: str | None, words: int) -> None:
    """What the last chunk told is a lower bound."""
    assert (row.status, row.error, row.input_tokens, row.usage_source) == (status, error, 320, "partial")
    assert json.loads(row.usage_raw)["completion_tokens"] == words


# one row for each way to ask


def test_an_answer_of_the_sdk(xai: Any, client: Any) -> None:
    with tokprof.profile() as prof:
        response = ask(client).sample()
    assert (response.content, response.usage.total_tokens) == ("so long, and thanks", 632)
    row = only(prof)
    assert_whole(row, stream=False)
    assert (row.model, row.host, row.function) == (MODEL + "-0709", xai.address, "test_an_answer_of_the_sdk")


def test_a_stream_of_the_sdk(client: Any) -> None:
    with tokprof.profile() as prof:
        pieces = [piece.content for _, piece in ask(client).stream()]
    assert pieces == WORDS
    row = only(prof)
    assert_whole(row, stream=True)
    assert 0 < row.ttft_s <= row.duration_s


async def test_an_answer_of_the_async_sdk(async_client: Any) -> None:
    async with tokprof.profile() as prof:
        response = await ask(async_client).sample()
    assert response.content == "so long, and thanks"
    assert_whole(only(prof), stream=False)
    assert only(prof).function == "test_an_answer_of_the_async_sdk"


async def test_a_stream_of_the_async_sdk(async_client: Any) -> None:
    async with tokprof.profile() as prof:
        pieces = [piece.content async for _, piece in ask(async_client).stream()]
    assert pieces == WORDS
    row = only(prof)
    assert_whole(row, stream=True)
    assert 0 < row.ttft_s <= row.duration_s


async def test_many_at_once_lose_nothing(async_client: Any) -> None:
    async def stream() -> int:
        return len([piece async for piece in ask(async_client).stream()])

    async with tokprof.profile() as prof:
        asked = [ask(async_client).sample() for _ in range(20)]
        assert await asyncio.gather(*(stream() for _ in range(20))) == [4] * 20
        await asyncio.gather(*asked)
    assert len(prof.calls) == 40
    assert prof.calls.total_tokens.tolist() == [632] * 40


def test_a_deferred_answer_counts_when_it_is_there(xai: Any, client: Any) -> None:
    with tokprof.profile() as prof:
        response = ask(client).defer(interval=datetime.timedelta(milliseconds=1))
    assert response.content == "so long, and thanks" and xai.polls == 3
    assert (only(prof).total_tokens, only(prof).model) == (632, MODEL + "-0709")


def test_an_image_tells_its_cost(client: Any) -> None:
    with tokprof.profile() as prof:
        client.image.sample("a cat", model="grok-image")
    row = only(prof)
    assert (row.operation, row.cost, row.cost_source) == ("images", 0.07, "reported")


def test_what_is_kept_of_prompt_and_answer(client: Any) -> None:
    with tokprof.profile(capture="preview") as prof:
        ask(client).sample()
        list(ask(client).stream())
    for span_id in prof.calls.span_id:
        assert prof.content(span_id) == {"prompt": "hello", "answer": "so long, and thanks"}


# one row for each way to end


@pytest.mark.parametrize("name", ["RESOURCE_EXHAUSTED", "UNAUTHENTICATED", "INVALID_ARGUMENT"])
def test_a_refusal_is_an_error_by_its_code(xai: Any, client: Any, name: str) -> None:
    xai.fault = grpc.StatusCode[name]
    with tokprof.profile() as prof:
        with pytest.raises(grpc.RpcError, match="too much"):
            ask(client).sample()
        with pytest.raises(grpc.RpcError, match="too much"):
            list(ask(client).stream())
    assert prof.calls[["status", "error"]].to_numpy().tolist() == [["error", name]] * 2
    assert prof.calls.total_tokens.isna().all()


async def test_an_async_refusal_is_an_error_by_its_code(xai: Any, async_client: Any) -> None:
    xai.fault = grpc.StatusCode.RESOURCE_EXHAUSTED
    async with tokprof.profile() as prof:
        with pytest.raises(grpc.aio.AioRpcError, match="too much"):
            await ask(async_client).sample()
        with pytest.raises(grpc.aio.AioRpcError, match="too much"):
            async for _ in ask(async_client).stream():
                pass
    assert prof.calls[["status", "error"]].to_numpy().tolist() == [["error", "RESOURCE_EXHAUSTED"]] * 2


def test_a_stream_that_breaks_off_keeps_what_was_told(xai: Any, client: Any) -> None:
    xai.fault, xai.after = grpc.StatusCode.INTERNAL, 2
    with tokprof.profile() as prof, pytest.raises(grpc.RpcError):
        list(ask(client).stream())
    assert_partial(only(prof), "error", "INTERNAL", 2)


def test_nobody_there_is_an_error(xai: Any) -> None:
    with xai_sdk.Client(api_key="key", api_host="127.0.0.1:1", use_insecure_channel=True, timeout=0.3) as client:
        with tokprof.profile() as prof, pytest.raises(grpc.RpcError):
            ask(client).sample()
    assert only(prof).status == "error" and only(prof).error in ("UNAVAILABLE", "DEADLINE_EXCEEDED")


def method(channel: Any, stream: bool) -> Any:
    stub = chat_pb2_grpc.ChatStub(channel)
    return stub.GetCompletionChunk if stream else stub.GetCompletion


REQUEST = chat_pb2.GetCompletionsRequest(model=MODEL)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("options", [[], [SINGLE]], ids=["threads", "single"])
def test_a_deadline_is_an_error(xai: Any, stream: bool, options: list[Any]) -> None:
    xai.slow.clear()
    with grpc.insecure_channel(xai.address, options=options) as channel, tokprof.profile() as prof:
        with pytest.raises(grpc.RpcError) as caught:
            answer = method(channel, stream)(REQUEST, timeout=0.1)
            list(answer)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert (only(prof).status, only(prof).error) == ("error", "DEADLINE_EXCEEDED")


@pytest.mark.parametrize("options", [[], [SINGLE]], ids=["threads", "single"])
def test_a_stream_cancelled_is_a_row(xai: Any, options: list[Any]) -> None:
    xai.slow.clear()
    xai.after = 1
    with grpc.insecure_channel(xai.address, options=options) as channel:
        with tokprof.profile() as prof:
            call = method(channel, True)(REQUEST)
            assert next(call).outputs[0].delta.content == WORDS[0]
            assert call.cancel() and call.cancelled() and call.code() is grpc.StatusCode.CANCELLED
    assert_partial(only(prof), "cancelled", "CANCELLED", 1)


@pytest.mark.parametrize("options", [[], [SINGLE]], ids=["threads", "single"])
def test_a_stream_left_early_is_partial_and_cancelled_as_without_a_profile(xai: Any, options: list[Any]) -> None:
    ended = threading.Event()
    xai.slow.clear()
    xai.after = 1
    original = xai.GetCompletionChunk

    def watched(request: Any, context: Any) -> Iterator[Any]:
        context.add_callback(ended.set)
        yield from original(request, context)

    xai.GetCompletionChunk = watched
    with serving(xai) as address, grpc.insecure_channel(address, options=options) as channel:
        gc.disable()
        try:
            with tokprof.profile() as prof:
                for piece in method(channel, True)(REQUEST):
                    assert piece.outputs[0].delta.content == WORDS[0]
                    break
                del piece
                assert ended.wait(10)
        finally:
            gc.enable()
            xai.slow.set()
    assert_partial(only(prof), "partial", None, 1)


async def test_an_async_stream_left_early_goes_on_until_its_channel_is_closed(xai: Any) -> None:
    xai.slow.clear()
    xai.after = 1
    async with xai_sdk.AsyncClient(api_key="key", api_host=xai.address, use_insecure_channel=True) as client:
        async with tokprof.profile() as prof:
            async for _ in ask(client).stream():
                break
        assert_partial(only(prof), "open", None, 1)
    assert_partial(only(prof), "cancelled", "CANCELLED", 1)


async def test_an_async_stream_cancelled_is_a_row(xai: Any) -> None:
    xai.slow.clear()
    xai.after = 1
    async with grpc.aio.insecure_channel(xai.address) as channel:
        async with tokprof.profile() as prof:
            call = method(channel, True)(REQUEST)
            assert (await call.read()).outputs[0].delta.content == WORDS[0]
            assert call.cancel() and call.cancelled() and await call.code() is grpc.StatusCode.CANCELLED
    assert_partial(only(prof), "cancelled", "CANCELLED", 1)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_async_call_cancelled_is_a_row_and_stays_cancelled(xai: Any, async_client: Any, stream: bool) -> None:
    async def go() -> None:
        if stream:
            async for _ in ask(async_client).stream():
                pass
        else:
            await ask(async_client).sample()

    xai.slow.clear()
    xai.after = 1
    async with tokprof.profile() as prof:
        task = asyncio.create_task(go())
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (only(prof).status, only(prof).error) == ("cancelled", "CANCELLED")


async def test_an_async_call_cancelled_before_it_is_sent_is_no_row(async_client: Any) -> None:
    async with tokprof.profile() as prof:
        task = asyncio.create_task(ask(async_client).sample())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(prof.calls) == 0


def test_a_call_still_on_its_way_is_open_and_completed_later(xai: Any) -> None:
    xai.slow.clear()
    with grpc.insecure_channel(xai.address) as channel:
        with tokprof.profile() as prof:
            future = method(channel, False).future(REQUEST)
            heard = threading.Event()
            future.add_done_callback(lambda _: heard.set())
        assert only(prof).status == "open"
        xai.slow.set()
        assert future.result(10).usage.total_tokens == 632 and heard.wait(10)
        assert future.exception() is None and future.code() is grpc.StatusCode.OK
    assert_whole(only(prof), stream=False)


# what the program sees


def test_call_objects_are_as_without_a_profile(xai: Any) -> None:
    def look(channel: Any) -> list[Any]:
        answer, call = method(channel, False).with_call(REQUEST, metadata=[("x", "y")])
        future = method(channel, False).future(REQUEST)
        seen = [answer, type(call), call.code(), call.trailing_metadata(), future.result(), type(future)]
        stream = method(channel, True)(REQUEST)
        seen += [type(stream), next(stream), stream.initial_metadata() is not None, stream.is_active()]
        seen += [*stream, stream.code(), stream.details(), stream.done(), stream.cancel(), stream.cancelled()]
        return seen

    for options in ([], [SINGLE]):
        with grpc.insecure_channel(xai.address, options=options) as channel:
            plain = look(channel)
            with tokprof.profile() as prof:
                assert look(channel) == plain
            assert prof.calls.total_tokens.tolist() == [632] * 3


async def test_async_call_objects_are_as_without_a_profile(xai: Any) -> None:
    async def look(channel: Any) -> list[Any]:
        heard: list[Any] = []
        call = method(channel, False)(REQUEST, metadata=(("x", "y"),))
        call.add_done_callback(heard.append)
        seen = [type(call), await call, await call.code(), await call.details(), call.done(), heard == [call]]
        stream = method(channel, True)(REQUEST)
        seen += [type(stream), await stream.read(), await stream.read(), await stream.initial_metadata() is not None]
        while (piece := await stream.read()) is not grpc.aio.EOF:
            seen.append(piece)
        seen += [await stream.code(), stream.cancel(), stream.cancelled()]
        return seen + [piece async for piece in method(channel, True)(REQUEST)]

    async with grpc.aio.insecure_channel(xai.address) as channel:
        plain = await look(channel)
        async with tokprof.profile() as prof:
            assert await look(channel) == plain
    assert prof.calls.total_tokens.tolist() == [632] * 3


def test_a_client_made_before_tokprof_had_any_hook(xai: Any) -> None:
    wire.uninstall()
    try:
        with xai_sdk.Client(api_key="key", api_host=xai.address, use_insecure_channel=True) as client:
            chat = ask(client)
            with tokprof.profile() as prof:
                chat.sample()
    finally:
        wire.install()
    assert_whole(only(prof), stream=False)


def test_interceptors_that_ask_again_or_answer_themselves(xai: Any) -> None:
    class Again(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
            call = continuation(details, request)
            if call.code() is grpc.StatusCode.UNAVAILABLE:
                xai.fault = None
                call = continuation(details, request)
            return call

    xai.fault = grpc.StatusCode.UNAVAILABLE
    with grpc.intercept_channel(grpc.insecure_channel(xai.address), Again()) as channel, tokprof.profile() as prof:
        assert method(channel, False)(REQUEST).usage.total_tokens == 632
    assert prof.calls[["status", "attempt"]].to_numpy().tolist() == [["error", 1], ["ok", 2]]


async def test_an_async_interceptor_that_answers_itself_is_no_call(xai: Any) -> None:
    kept = chat_pb2.GetChatCompletionResponse(model="kept")

    class Cache(grpc.aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
            return kept

    async with grpc.aio.insecure_channel(xai.address, interceptors=[Cache()]) as channel:
        async with tokprof.profile() as prof:
            assert await method(channel, False)(REQUEST) is kept
    assert len(prof.calls) == 0


# other services


class Echo(grpc.GenericRpcHandler):
    def service(self, details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(lambda request, _context: request)


def test_other_services_are_no_rows_and_not_touched(xai: Any) -> None:
    with serving(Echo()) as address, grpc.insecure_channel(address) as channel, tokprof.profile() as prof:
        paths = (
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            "/qdrant.Points/Search",
            "/xai_api.Models/ListLanguageModels",
            "/xai_api.Tokenize/TokenizeText",
            "/google.pubsub.v1.Publisher/Publish",
            "/google.ai.generativelanguage.v1beta.GenerativeService/CountTokens",
        )
        assert [channel.unary_unary(path)(b"as it is") for path in paths] == [b"as it is"] * 6
    assert len(prof.calls) == 0


def test_bytes_without_a_message_class_are_a_row_without_usage() -> None:
    with serving(Echo()) as address, grpc.insecure_channel(address) as channel, tokprof.profile() as prof:
        assert channel.unary_unary("/xai_api.Chat/GetCompletion")(b"\xff\x00") == b"\xff\x00"
    assert (only(prof).status, only(prof).usage_source) == ("ok", "missing")


def gemini() -> Callable[[str], Any]:
    """Google's messages, as far as they tell usage."""
    file = descriptor_pb2.FileDescriptorProto(name="gemini.proto", package="tests", syntax="proto3")

    def message(name: str, **fields: Any) -> None:
        told = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields.items(), 1):
            one = told.field.add(name=field, number=number, label=3 if isinstance(kind, list) else 1)
            kind = kind[0] if isinstance(kind, list) else kind
            if isinstance(kind, str):
                one.type, one.type_name = 11, f".tests.{kind}"
            else:
                one.type = kind

    text, count = 9, 5
    message("Part", text=text)
    message("Content", parts=["Part"], role=text)
    message("Candidate", content="Content", finish_reason=text)
    message(
        "Usage",
        prompt_token_count=count,
        candidates_token_count=count,
        total_token_count=count,
        cached_content_token_count=count,
        thoughts_token_count=count,
    )
    message("Request", model=text, contents=["Content"])
    message("Response", candidates=["Candidate"], usage_metadata="Usage", model_version=text)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return lambda name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tests.{name}"))


@pytest.mark.parametrize(
    "service", ["ai.generativelanguage.v1beta.GenerativeService", "cloud.aiplatform.v1.PredictionService"]
)
def test_googles_service(service: str) -> None:
    kind = gemini()
    request_kind, response_kind = kind("Request"), kind("Response")

    def piece(text: str, finish: str, tokens: int) -> bytes:
        usage = {
            "prompt_token_count": 40,
            "candidates_token_count": tokens,
            "thoughts_token_count": 7,
            "total_token_count": 47 + tokens,
            "cached_content_token_count": 30,
        }
        candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "finish_reason": finish}
        answer = response_kind(candidates=[candidate], usage_metadata=usage, model_version="gemini-2.5-flash-001")
        return bytes(answer.SerializeToString())

    class Google(grpc.GenericRpcHandler):
        def service(self, details: Any) -> Any:
            if "Stream" in details.method:
                pieces = [piece("a", "", 1), piece("b", "STOP", 5)]
                return grpc.unary_stream_rpc_method_handler(lambda _request, _context: iter(pieces))
            return grpc.unary_unary_rpc_method_handler(lambda _request, _context: piece("ab", "STOP", 5))

    request = request_kind(model="models/gemini-2.5-flash", contents=[{"parts": [{"text": "hello"}]}])
    codec = {"request_serializer": request_kind.SerializeToString, "response_deserializer": response_kind.FromString}
    with serving(Google()) as address, grpc.insecure_channel(address) as channel, tokprof.profile() as prof:
        channel.unary_unary(f"/google.{service}/GenerateContent", **codec)(request)
        list(channel.unary_stream(f"/google.{service}/StreamGenerateContent", **codec)(request))
    assert prof.calls.stream.tolist() == [False, True]
    for _, row in prof.calls.iterrows():
        assert (row.input_tokens, row.output_tokens, row.reasoning_tokens, row.cache_read_tokens) == (40, 12, 7, 30)
        assert (row.operation, row.usage_source, row.finish_reason) == ("generate_content", "reported", "STOP")
        assert (row.request_model, row.model) == ("gemini-2.5-flash", "gemini-2.5-flash-001")


def test_messages_with_every_kind_of_field() -> None:
    search = chat_pb2.SearchParameters(max_search_results=3)
    search.from_date.FromJsonString("2026-01-01T00:00:00Z")
    tool = chat_pb2.Tool(mcp=chat_pb2.MCP(server_label="s", extra_headers={"a": "b"}))
    file = chat_pb2.FileContent(data=b"\xff", filename="f")
    message = chat_pb2.Message(content=[chat_pb2.Content(file=file)], role=chat_pb2.ROLE_USER)
    request = chat_pb2.GetCompletionsRequest(
        model=MODEL, n=0, stop=["a", "b"], temperature=0.5, search_parameters=search, tools=[tool], messages=[message]
    )
    assert plain(request, camel=False) == {
        "model": MODEL,
        "n": 0,
        "stop": ["a", "b"],
        "temperature": 0.5,
        "search_parameters": {"from_date": "2026-01-01T00:00:00Z", "max_search_results": 3},
        "tools": [{"mcp": {"server_label": "s", "extra_headers": {"a": "b"}}}],
        "messages": [{"content": [{"file": {"data": None, "filename": "f"}}], "role": "ROLE_USER"}],
    }
    assert plain(usage_pb2.SamplingUsage(cost_in_usd_ticks=1 << 40), camel=True) == {
        "completionTokens": 0,
        "reasoningTokens": 0,
        "promptTokens": 0,
        "totalTokens": 0,
        "promptTextTokens": 0,
        "cachedPromptTextTokens": 0,
        "promptImageTokens": 0,
        "numSourcesUsed": 0,
        "costInUsdTicks": 1 << 40,
    }
