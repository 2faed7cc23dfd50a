"""A request that never left the machine spent nothing; one whose answer never came may have."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import aiohttp
import botocore.awsrequest
import botocore.httpsession
import httpx
import httpx2
import pytest
import requests

import tokprof

ASK: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Are heat pumps worth it?"}]}


@pytest.fixture
def nobody() -> Iterator[str]:
    """Address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/v1/chat/completions"


@pytest.fixture
def silent() -> Iterator[str]:
    """Address where somebody listens and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1/chat/completions"


def by_httpx(module: ModuleType) -> Callable[[str], None]:
    return lambda url: module.post(url, json=ASK, timeout=0.2)


def by_requests(url: str) -> None:
    requests.post(url, json=ASK, timeout=0.2)


def by_aiohttp(url: str) -> None:
    async def post() -> None:
        timeout = aiohttp.ClientTimeout(total=0.2)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.post(url, json=ASK) as response:
            await response.read()

    asyncio.run(post())


def by_botocore(url: str) -> None:
    url = url.replace("/v1/chat/completions", "/model/amazon.nova-lite-v1:0/converse")
    request = botocore.awsrequest.AWSPreparedRequest("POST", url, {}, b'{"messages":[]}', False)
    botocore.httpsession.URLLib3Session(timeout=0.2).send(request)


SENDERS = pytest.mark.parametrize(
    "post",
    [by_httpx(httpx2), by_httpx(httpx), by_requests, by_aiohttp, by_botocore],
    ids=["httpx2", "httpx", "requests", "aiohttp", "botocore"],
)


@SENDERS
def test_without_a_connection_nothing_was_spent(post: Callable[[str], None], nobody: str) -> None:
    with tokprof.profile() as prof, contextlib.suppress(Exception):
        post(nobody)
    totals = prof.totals
    assert (totals.calls, totals.errors, totals.unknown_calls, totals.unpriced_calls) == (1, 1, 0, 0)
    assert prof.calls.total_tokens.isna().all()
    assert prof.calls.usage_source.tolist() == ["missing"]


@SENDERS
def test_without_an_answer_something_may_have_been(post: Callable[[str], None], silent: str) -> None:
    with tokprof.profile() as prof, contextlib.suppress(Exception):
        post(silent)
    assert (prof.totals.calls, prof.totals.errors, prof.totals.unknown_calls) == (1, 1, 1)
