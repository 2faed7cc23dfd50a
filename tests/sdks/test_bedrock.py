"""boto3's bedrock-runtime: models named in the path alone, AWS event streams."""

import asyncio
import json

import boto3
import pytest
from botocore.config import Config

import tokprof
from sdks.rows import calls, check, check_left_early, only
from sdks.servers import bedrock

CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
HI = {"modelId": CLAUDE, "messages": [{"role": "user", "content": [{"text": "Hi"}]}]}
BODY = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 99, "messages": [{"role": "user", "content": "Hi"}]}
MODEL = {
    "provider": "aws.bedrock",
    "kind": "llm",
    "model": CLAUDE,
    "request_model": CLAUDE,
    "finish_reason": "end_turn",
}
CONVERSE = MODEL | {
    "operation": "converse",
    "input_tokens": 412 + 2000 + 300,
    "cache_read_tokens": 2000,
    "cache_write_tokens": 300,
    "output_tokens": 66,
}
INVOKE = MODEL | {
    "operation": "invoke",
    "input_tokens": 513 + 1000 + 200,
    "cache_read_tokens": 1000,
    "cache_write_tokens": 200,
    "output_tokens": 77,
}


@pytest.fixture
def server(serve):
    return serve(bedrock.answer, "bedrock-runtime.eu-central-1.amazonaws.com")


@pytest.fixture
def client(server):
    keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none", "region_name": "eu-central-1"}
    config = Config(retries={"max_attempts": 2, "mode": "standard"})
    running = boto3.client("bedrock-runtime", endpoint_url=server.url, config=config, **keys)
    yield running
    running.close()


def test_converse(client):
    with tokprof.profile() as prof:
        answer = client.converse(**HI)  # the call
    assert (answer["output"]["message"]["content"][0]["text"], answer["usage"]["totalTokens"]) == (bedrock.TEXT, 2778)
    check(only(prof), **CONVERSE, stream=False)


def test_converse_stream(client):
    with tokprof.profile() as prof:
        events = list(client.converse_stream(**HI)["stream"])  # the call
    deltas = [event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event]
    assert ("".join(deltas), events[-1]["metadata"]["usage"]["outputTokens"]) == (bedrock.TEXT, 66)
    check(only(prof), **CONVERSE, stream=True)


def test_converse_stream_left_early(client, server):
    server.pause = True
    with tokprof.profile() as prof:
        stream = client.converse_stream(**HI)["stream"]  # the call
        for event in stream:
            if "contentBlockDelta" in event:
                break
        stream.close()
    row = only(prof)
    check_left_early(row, model=CLAUDE)


def test_invoke_claude(client):
    with tokprof.profile() as prof:
        answer = client.invoke_model(modelId=CLAUDE, body=json.dumps(BODY))  # the call
        said = json.loads(answer["body"].read())
    assert (said["content"][0]["text"], said["usage"]["output_tokens"]) == (bedrock.TEXT, 77)
    check(only(prof), **INVOKE, stream=False)


def test_invoke_claude_stream(client):
    with tokprof.profile() as prof:
        answer = client.invoke_model_with_response_stream(modelId=CLAUDE, body=json.dumps(BODY))  # the call
        events = [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]
    assert [event["type"] for event in events][0::7] == ["message_start", "message_stop"]
    check(only(prof), **INVOKE, stream=True)


def test_invoke_llama(client):
    model = "meta.llama3-1-8b-instruct-v1:0"
    with tokprof.profile() as prof:
        answer = client.invoke_model(modelId=model, body=json.dumps({"prompt": "Hi"}))  # the call
        assert json.loads(answer["body"].read())["generation"] == bedrock.TEXT
    check(only(prof), operation="invoke", model=model, finish_reason="stop", input_tokens=91, output_tokens=34)


def test_invoke_titan_embedding(client):
    model = "amazon.titan-embed-text-v2:0"
    with tokprof.profile() as prof:
        answer = client.invoke_model(modelId=model, body=json.dumps({"inputText": "Hi"}))  # the call
        assert json.loads(answer["body"].read())["embedding"] == [0.25, 0.5]
    check(only(prof), kind="embedding", operation="invoke", model=model, input_tokens=13, output_tokens=0)


def test_a_model_by_its_arn(client):
    arn = "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
    with tokprof.profile() as prof:
        client.converse(**HI | {"modelId": arn})  # the call
    check(only(prof), **CONVERSE | {"model": arn, "request_model": arn}, stream=False)


async def test_three_at_once_in_threads(client):
    def ask():
        return client.converse(**HI)  # the call

    with tokprof.profile() as prof:
        await asyncio.gather(*(asyncio.to_thread(ask) for _ in range(3)))
    rows = calls(prof)
    assert len(rows) == 3
    for row in rows:
        check(row, **CONVERSE, stream=False)


def test_a_retry_is_a_row_of_its_own(client, server):
    server.fail(429, {"message": "Too many requests"}, x_amzn_errortype="ThrottlingException")
    with tokprof.profile() as prof:
        answer = client.converse(**HI)  # the call
    assert answer["usage"]["outputTokens"] == 66
    refused, answered = calls(prof)
    assert (refused["status"], refused["http_status"], refused["attempt"]) == ("error", 429, 1)
    check(answered, **CONVERSE, attempt=2)
