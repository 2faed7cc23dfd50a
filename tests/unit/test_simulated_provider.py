import asyncio
import gzip
import json
import socket
import time
import urllib.error
import urllib.request

import anthropic
import openai
import pytest

from tokprof.testing import RecordedRequest, Reply, SimulatedProvider

HI = [{"role": "user", "content": "Hi"}]
FUNCTION = {"name": "weather", "description": "The weather", "parameters": {"type": "object", "properties": {}}}
CHAT_TOOLS = [{"type": "function", "function": FUNCTION}]
RESPONSES_TOOLS = [{"type": "function", "strict": False, **FUNCTION}]
ANTHROPIC_TOOLS = [{"name": "weather", "description": "The weather", "input_schema": {"type": "object"}}]
ARGUMENTS = {"city": "Zürich", "days": [1, 2]}
COUNTS = {
    "input_tokens": 1000,
    "output_tokens": 50,
    "cache_read_tokens": 600,
    "cache_write_tokens": 300,
    "cache_write_1h_tokens": 100,
    "reasoning_tokens": 20,
}
TRUTH = {name: count for name, count in COUNTS.items() if name != "cache_write_1h_tokens"}


@pytest.fixture
def provider():
    with SimulatedProvider(reply="Hello from the simulation, 你好 🙂") as running:
        yield running


def canonical_chat(usage, model="m"):
    return {
        "input_tokens": usage.prompt_tokens,
        "output_tokens": usage.completion_tokens,
        "cache_read_tokens": usage.prompt_tokens_details.cached_tokens,
        "cache_write_tokens": usage.prompt_tokens_details.cache_write_tokens,
        "reasoning_tokens": usage.completion_tokens_details.reasoning_tokens,
        "model": model,
    }


def canonical_responses(usage, model="m"):
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.input_tokens_details.cached_tokens,
        "cache_write_tokens": usage.input_tokens_details.cache_write_tokens,
        "reasoning_tokens": usage.output_tokens_details.reasoning_tokens,
        "model": model,
    }


def canonical_anthropic(usage, model="m"):
    cached = usage.cache_read_input_tokens + usage.cache_creation_input_tokens
    details = usage.output_tokens_details
    return {
        "input_tokens": usage.input_tokens + cached,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_input_tokens,
        "cache_write_tokens": usage.cache_creation_input_tokens,
        "reasoning_tokens": details.thinking_tokens if details else 0,
        "model": model,
    }


def post(provider, path, body, headers=None, data=None):
    data = json.dumps(body).encode() if data is None else data
    request = urllib.request.Request(provider.url + path, data=data, headers=headers or {})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as problem:
        with problem:
            return problem.code, problem.headers, problem.read()


@pytest.mark.parametrize("scripted", [False, True])
def test_chat_json_and_stream_report_the_truth(provider, scripted):
    if scripted:
        provider.reply(text="Scripted", times=2, **COUNTS)
    with provider.openai() as client:
        whole = client.chat.completions.create(model="m", messages=HI)
        chunks = list(
            client.chat.completions.create(model="m", messages=HI, stream=True, stream_options={"include_usage": True})
        )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content == ("Scripted" if scripted else provider.text)
    assert whole.choices[0].finish_reason == chunks[-2].choices[0].finish_reason == "stop"
    assert all("usage" in chunk.model_fields_set and chunk.usage is None for chunk in chunks[:-1])
    assert chunks[-1].choices == []
    assert provider.truth == [canonical_chat(whole.usage), canonical_chat(chunks[-1].usage)]
    assert provider.truth[0] == provider.truth[1]
    assert provider.truth[0] == {**(TRUTH if scripted else counted(1 + 3, -(-len(provider.text) // 4))), "model": "m"}
    assert [request.usage for request in provider.requests] == provider.truth


def counted(given, made):
    zero = dict.fromkeys(("cache_read_tokens", "cache_write_tokens", "reasoning_tokens"), 0)
    return {"input_tokens": given, "output_tokens": made, **zero}


def test_chat_stream_without_usage(provider):
    with provider.openai() as client:
        chunks = list(client.chat.completions.create(model="m", messages=HI, stream=True))
    assert not any("usage" in chunk.model_fields_set for chunk in chunks)


def test_chat_tools(provider):
    provider.reply(tool_calls=[("weather", ARGUMENTS), ("clock", {})], times=2)
    with provider.openai() as client:
        assert client.chat.completions.create(model="m", messages=HI).choices[0].message.content == provider.text
        whole = client.chat.completions.create(model="m", messages=HI, tools=CHAT_TOOLS).choices[0]
        with client.chat.completions.stream(model="m", messages=HI, tools=CHAT_TOOLS) as stream:
            streamed = stream.get_final_completion().choices[0]
    for choice in (whole, streamed):
        assert choice.finish_reason == "tool_calls"
        assert not choice.message.content
        calls = [(call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls]
        assert calls == [("weather", ARGUMENTS), ("clock", {})]


@pytest.mark.parametrize("scripted", [False, True])
def test_responses_json_and_stream_report_the_truth(provider, scripted):
    if scripted:
        provider.reply(text="Scripted", times=3, **COUNTS)
    with provider.openai() as client:
        whole = client.responses.create(model="m", input="Hi", instructions="Be brief")
        events = list(client.responses.create(model="m", input=HI, instructions="Be brief", stream=True))
        with client.responses.stream(model="m", input="Hi", instructions="Be brief") as stream:
            kinds = [event.type for event in stream]
            final = stream.get_final_response()
    assert whole.output_text == final.output_text == ("Scripted" if scripted else provider.text)
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == final.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert kinds[:3] == ["response.created", "response.in_progress", "response.output_item.added"]
    assert kinds[-1] == events[-1].type == "response.completed"
    usages = [whole.usage, events[-1].response.usage, final.usage]
    assert provider.truth == [canonical_responses(usage) for usage in usages]
    assert provider.truth[1] == {
        **(TRUTH if scripted else counted(2 + 1 + 6, -(-len(provider.text) // 4))),
        "model": "m",
    }


def test_responses_tools(provider):
    provider.reply(text="Let me see", tool_calls=[("weather", ARGUMENTS)], times=2)
    with provider.openai() as client:
        whole = client.responses.create(model="m", input="Hi", tools=RESPONSES_TOOLS)
        with client.responses.stream(model="m", input="Hi", tools=RESPONSES_TOOLS) as stream:
            final = stream.get_final_response()
    for response in (whole, final):
        assert response.output_text == "Let me see"
        assert response.output[1].name == "weather"
        assert json.loads(response.output[1].arguments) == ARGUMENTS


@pytest.mark.parametrize("scripted", [False, True])
def test_messages_json_and_stream_report_the_truth(provider, scripted):
    if scripted:
        provider.reply(text="Scripted", times=3, **COUNTS)
    ask = {"model": "m", "messages": HI, "max_tokens": 100, "system": "Be brief"}
    with provider.anthropic() as client:
        whole = client.messages.create(**ask)
        kinds = [event.type for event in client.messages.create(stream=True, **ask)]
        with client.messages.stream(**ask) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
    assert text == whole.content[0].text == final.content[0].text == ("Scripted" if scripted else provider.text)
    assert whole.stop_reason == final.stop_reason == "end_turn"
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert provider.truth[0] == provider.truth[1] == canonical_anthropic(whole.usage)
    assert provider.truth[2] == canonical_anthropic(final.usage)
    if scripted:
        for usage in (whole.usage, final.usage):
            assert usage.input_tokens == 100
            assert usage.cache_creation.ephemeral_5m_input_tokens == 200
            assert usage.cache_creation.ephemeral_1h_input_tokens == 100


def test_messages_stream_begins_with_usage_and_pings(provider):
    provider.reply(text="Scripted", **COUNTS)
    ask = {"model": "m", "messages": HI, "max_tokens": 100, "stream": True}
    content = post(provider, "/v1/messages", ask)[2].decode()
    events = [json.loads(line[6:]) for line in content.splitlines() if line.startswith("data: ")]
    assert events[0]["message"]["usage"]["input_tokens"] == 100
    assert events[0]["message"]["usage"]["output_tokens"] == 1
    assert events[2] == {"type": "ping"}
    assert events[-2]["usage"]["output_tokens"] == 50


def test_messages_tools(provider):
    provider.reply(tool_calls=[("weather", ARGUMENTS)], times=2)
    ask = {"model": "m", "messages": HI, "max_tokens": 100, "tools": ANTHROPIC_TOOLS}
    with provider.anthropic() as client:
        whole = client.messages.create(**ask)
        with client.messages.stream(**ask) as stream:
            final = stream.get_final_message()
    for message in (whole, final):
        assert message.stop_reason == "tool_use"
        assert [(block.name, block.input) for block in message.content] == [("weather", ARGUMENTS)]


def test_embeddings_in_both_encodings(provider):
    with provider.openai() as client:
        packed = client.embeddings.create(model="text-embedding-3-small", input=["one", "twotwo"])
        plain = client.embeddings.create(
            model="text-embedding-3-small", input=["one", "twotwo"], encoding_format="float"
        )
        small = client.embeddings.create(model="m", input=[1, 2, 3], dimensions=8)
    assert [list(row.embedding) for row in packed.data] == [row.embedding for row in plain.data]
    assert len(packed.data[0].embedding) == 1536
    assert len(small.data[0].embedding) == 8
    assert [entry["input_tokens"] for entry in provider.truth] == [3, 3, 3]
    assert packed.usage.prompt_tokens == 3
    assert provider.truth[0]["output_tokens"] == 0


def test_caps_cut_the_answer(provider):
    provider.text = "x" * 100
    with provider.openai() as client, provider.anthropic() as claude:
        chat = client.chat.completions.create(model="m", messages=HI, max_tokens=3)
        response = client.responses.create(model="m", input="Hi", max_output_tokens=3)
        last = list(client.responses.create(model="m", input="Hi", max_output_tokens=3, stream=True))[-1]
        message = claude.messages.create(model="m", messages=HI, max_tokens=3)
    assert (chat.choices[0].finish_reason, chat.choices[0].message.content) == ("length", "x" * 12)
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert last.type == "response.incomplete"
    assert (message.stop_reason, message.content[0].text) == ("max_tokens", "x" * 12)
    assert [entry["output_tokens"] for entry in provider.truth] == [3] * 4


def test_scripted_count_over_the_cap(provider):
    provider.reply(text="x" * 40, output_tokens=100, reasoning_tokens=20)
    with provider.openai() as client:
        chat = client.chat.completions.create(model="m", messages=HI, max_completion_tokens=60)
    assert chat.choices[0].message.content == "x" * 20
    assert (chat.usage.completion_tokens, chat.usage.completion_tokens_details.reasoning_tokens) == (60, 20)


def test_rate_limit_is_retried_after_the_time_given(provider):
    provider.fail(429, retry_after=0.05)
    provider.fail(429, retry_after=0.05, when="claude")
    with provider.openai() as client, provider.anthropic() as claude:
        begin = time.perf_counter()
        client.chat.completions.create(model="m", messages=HI)
        claude.messages.create(model="claude", messages=HI, max_tokens=10)
        passed = time.perf_counter() - begin
    assert [request.status for request in provider.requests] == [429, 200, 429, 200]
    assert 0.1 <= passed < 0.6
    assert len(provider.truth) == 2


def test_errors_have_the_shapes_of_the_providers(provider):
    with provider.openai(max_retries=0) as client, provider.anthropic(max_retries=0) as claude:
        provider.fail(429, retry_after=0.01, message="slow down")
        with pytest.raises(openai.RateLimitError, match="slow down") as limited:
            client.responses.create(model="m", input="Hi")
        assert limited.value.code == "rate_limit_exceeded"
        assert limited.value.response.headers["retry-after"] == "0.01"
        assert limited.value.response.headers["retry-after-ms"] == "10"
        provider.fail(500)
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(model="m", messages=HI, stream=True)
        provider.fail(500)
        with pytest.raises(anthropic.InternalServerError):
            claude.messages.create(model="m", messages=HI, max_tokens=10)
        provider.fail(429)
        with pytest.raises(anthropic.RateLimitError) as limited:
            claude.messages.create(model="m", messages=HI, max_tokens=10)
        assert limited.value.body["error"]["type"] == "rate_limit_error"
    assert provider.truth == []


def test_dropped_before_the_answer(provider):
    provider.drop()
    with provider.openai() as client, provider.anthropic(max_retries=0) as claude:
        client.chat.completions.create(model="m", messages=HI)
        assert [request.status for request in provider.requests] == [None, 200]
        provider.drop()
        with pytest.raises(anthropic.APIConnectionError):
            claude.messages.create(model="m", messages=HI, max_tokens=10)
    assert len(provider.truth) == 1


def test_dropped_in_the_middle(provider):
    provider.drop(mid=True, times=3)
    with provider.openai(max_retries=0) as client, provider.anthropic(max_retries=0) as claude:
        with pytest.raises(openai.APIConnectionError):
            client.chat.completions.create(model="m", messages=HI)
        received = []
        with pytest.raises(openai.APIConnectionError):
            received.extend(client.chat.completions.create(model="m", messages=HI, stream=True))
        assert 1 <= len(received) < 20
        with pytest.raises(Exception, match=r"(?i)incomplete|closed|connection"):
            received.extend(claude.messages.create(model="m", messages=HI, max_tokens=10, stream=True))
        assert received[-1].type == "content_block_delta"
        client.chat.completions.create(model="m", messages=HI)
    assert len(provider.truth) == 1


async def test_async_clients_wait_concurrently(provider):
    provider.latency = 0.2
    async with provider.async_openai() as client, provider.async_anthropic() as claude:
        begin = time.perf_counter()
        chats = [client.chat.completions.create(model="m", messages=HI) for _ in range(10)]
        messages = [claude.messages.create(model="m", messages=HI, max_tokens=100) for _ in range(10)]
        await asyncio.gather(*chats, *messages)
        passed = time.perf_counter() - begin
    assert 0.2 <= passed < 1.5
    assert len(provider.truth) == 20


async def test_async_streams(provider):
    async with provider.async_openai() as client, provider.async_anthropic() as claude:
        async with claude.messages.stream(model="m", messages=HI, max_tokens=100) as stream:
            assert "".join([text async for text in stream.text_stream]) == provider.text
        async with client.responses.stream(model="m", input="Hi") as stream:
            assert (await stream.get_final_response()).output_text == provider.text
        stream = await client.chat.completions.create(model="m", messages=HI, stream=True)
        texts = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(texts) == provider.text
    assert len(provider.truth) == 3


def test_tokens_per_second_spread_a_stream(provider):
    provider.tokens_per_second = 100
    provider.reply(text="one two three", output_tokens=20, chunks=4, times=2)
    with provider.openai() as client:
        begin = time.perf_counter()
        arrivals = [
            time.perf_counter() - begin for _ in client.chat.completions.create(model="m", messages=HI, stream=True)
        ]
        client.chat.completions.create(model="m", messages=HI)
        passed = time.perf_counter() - begin
    assert len(arrivals) == 6
    assert arrivals[0] < 0.1
    assert arrivals[-1] >= 0.2
    assert 0.4 <= passed < 1.0


def test_same_requests_same_answers():
    answers = []
    for _ in range(2):
        with SimulatedProvider() as provider:
            ask = {"model": "m", "messages": HI, "max_tokens": 10}
            paths = "/v1/chat/completions", "/v1/messages"
            bodies = [post(provider, path, {**ask, "stream": stream})[2] for path in paths for stream in (False, True)]
            bodies.append(post(provider, "/v1/embeddings", {"model": "m", "input": "one"})[2])
            answers.append(bodies)
    assert answers[0] == answers[1]


def test_script_is_first_in_first_out_and_matched(provider):
    provider.reply("only France", when="France", times=None)
    provider.reply("only long", when=lambda request: len(request.prompt) > 20)
    provider.reply("first")
    provider.reply("second")

    def ask(text, client):
        return client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}]).choices[0]

    with provider.openai() as client:
        client.embeddings.create(model="m", input="a reply with a text is not for embeddings")
        texts = ["Hi", "France?", "Hi", "x" * 30, "France!", "Hi"]
        answers = [ask(text, client).message.content for text in texts]
    assert answers == ["first", "only France", "second", "only long", "only France", provider.text]
    assert [reply.text for reply in provider.pending] == ["only France"]


def test_a_failing_when_says_so(provider):
    provider.reply("never", when=lambda request: request.body["absent"])
    with provider.openai() as client, pytest.raises(openai.BadRequestError, match=r"when.*absent"):
        client.responses.create(model="m", input="Hi")


def test_requests_hold_no_keys(provider):
    with provider.openai(api_key="sk-secret") as client, provider.anthropic(api_key="sk-secret") as claude:
        client.chat.completions.create(model="m", messages=HI)
        claude.messages.create(model="m", messages=HI, max_tokens=10)
    assert "sk-secret" not in repr(provider.requests)
    request = provider.requests[0]
    assert isinstance(request, RecordedRequest)
    assert (request.path, request.body["messages"], request.status) == ("/v1/chat/completions", HI, 200)
    provider.clear()
    assert provider.requests == provider.truth == []


def test_compression_only_for_clients_that_accept_it(provider):
    provider.compress = True
    ask = {"model": "m", "messages": HI}
    _, headers, content = post(provider, "/v1/chat/completions", ask, {"accept-encoding": "gzip"})
    assert headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(content))["usage"]
    assert json.loads(post(provider, "/v1/chat/completions", ask)[2])["usage"]
    with provider.openai() as client:
        assert client.chat.completions.create(**ask).choices[0].message.content == provider.text


@pytest.mark.parametrize("chunks", [None, 3])
def test_raw_bodies_are_sent_as_they_are(provider, chunks):
    provider.raw(b"\xff\x00{]", content_type="text/plain", content_encoding="br", status=203, chunks=chunks)
    status, headers, content = post(provider, "/v1/responses", {"model": "m", "input": "Hi"})
    assert (status, content) == (203, b"\xff\x00{]")
    assert (headers["content-type"], headers["content-encoding"]) == ("text/plain", "br")
    assert provider.truth == []


def test_models_and_counting(provider):
    with provider.openai() as client, provider.anthropic() as claude:
        assert "gpt-4o-mini" in [model.id for model in client.models.list()]
        assert all(model.id.startswith("claude") for model in claude.models.list())
        assert claude.messages.count_tokens(model="m", messages=HI).input_tokens == 4


def test_bad_requests_are_explained(provider):
    status, _, content = post(provider, "/chat/completions", {})
    assert status == 404
    assert "POST /v1/chat/completions" in json.loads(content)["error"]["message"]
    assert post(provider, "/v1/messages/nothing", {})[0] == 404
    for body in ({}, {"model": "m"}, {"model": "m", "messages": 3}, {"model": "m", "messages": HI, "n": 2}):
        status, _, content = post(provider, "/v1/chat/completions", body)
        assert (status, json.loads(content)["error"]["type"]) == (400, "invalid_request_error")
    for data in (b"{", b"[]", b"\xff", b"[" * 100_000):
        assert post(provider, "/v1/messages", None, data=data)[0] == 400
    assert post(provider, "/v1/embeddings", {"model": "m", "input": "x", "dimensions": "many"})[0] == 400
    assert provider.truth == []


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({"input_tokens": -1}, "zero or more"),
        ({"latency": -1}, "zero or more"),
        ({"drop": "after"}, "'before'.*'mid'"),
        ({"chunks": 0}, "one or more"),
        ({"times": 0}, "one or more"),
        ({"status": 42}, "from 200 to 599"),
        ({"finish_reason": "bored"}, "tool_calls"),
        ({"input_tokens": 5, "cache_read_tokens": 6}, "cache included"),
        ({"cache_write_1h_tokens": 6}, "part of cache_write_tokens"),
        ({"output_tokens": 1, "reasoning_tokens": 2}, "part of output_tokens"),
    ],
)
def test_bad_settings_say_what_to_do(settings, advice):
    with pytest.raises(ValueError, match=advice):
        SimulatedProvider().reply(**settings)
    with pytest.raises(ValueError, match=advice):
        Reply(**settings)


def test_bad_provider_settings():
    for settings in ({"latency": -1}, {"tokens_per_second": 0}, {"reply": 3}):
        with pytest.raises(ValueError, match=r"give|text"):
            SimulatedProvider(**settings)
    with pytest.raises(ValueError, match="400 or more"):
        SimulatedProvider().fail(200)
    with pytest.raises(RuntimeError, match="start"):
        _ = SimulatedProvider().url


def test_a_missing_sdk_is_named(provider, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "anthropic", None)
    with pytest.raises(ImportError, match="pip install anthropic"):
        provider.anthropic()


def test_a_client_that_goes_away_makes_no_noise(provider, capfd):
    provider.tokens_per_second = 1000
    provider.reply(text="x" * 2000)
    body = json.dumps({"model": "m", "messages": HI, "stream": True}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
    with socket.create_connection(("127.0.0.1", int(provider.url.rpartition(":")[2]))) as connection:
        connection.sendall(head + body)
        connection.recv(100)
    time.sleep(0.2)
    assert capfd.readouterr().err == ""


def test_stop_ends_waiting_answers_and_start_begins_anew(capfd):
    provider = SimulatedProvider(latency=30).start()
    client = provider.openai(max_retries=0)
    begin = time.perf_counter()

    async def stop_meanwhile():
        asking = asyncio.to_thread(client.chat.completions.create, model="m", messages=HI)
        task = asyncio.ensure_future(asking)
        await asyncio.sleep(0.2)
        provider.stop()
        with pytest.raises(openai.APIConnectionError):
            await task

    asyncio.run(stop_meanwhile())
    provider.close()
    assert time.perf_counter() - begin < 5
    provider.latency = 0
    with provider, provider.openai() as again:
        again.chat.completions.create(model="m", messages=HI)
    assert len(provider.requests) == 2
    assert capfd.readouterr().err == ""


def test_the_beginning_of_an_earlier_prompt_is_read_from_the_cache():
    handbook = [{"role": "system", "content": "rule " * 2000}]  # 2,500 tokens, and 3 for the message
    with SimulatedProvider(prefix_cache=True) as provider, provider.openai() as client:

        def cached(messages, **more):
            made = client.chat.completions.create(model="m", messages=messages, **more)
            return made.usage.prompt_tokens_details.cached_tokens

        first = {"role": "user", "content": "a first question"}
        assert cached([*handbook, first]) == 0
        assert cached([*handbook, {"role": "user", "content": "another"}]) == 2432  # 19 x 128
        assert cached([{"role": "system", "content": "Monday. " + "rule " * 2000}]) == 0
        assert cached([*handbook, first], tools=CHAT_TOOLS) == 0  # tools come first
        assert cached(HI) == cached(HI) == 0  # too short
        made = client.responses.create(model="m", instructions="rule " * 2000, input="x")
        assert made.usage.input_tokens_details.cached_tokens == 2432
        provider.reply(text="told", input_tokens=5000)
        assert cached([*handbook, first]) == 0
        provider.clear()
        assert cached([*handbook, first]) == 0
