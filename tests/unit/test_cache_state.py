"""What a replay cache never answers: requests that go on with something which the provider keeps."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

import tokprof
from tokprof.testing import SimulatedProvider

from .caching import ASK, url

RESPONSES = "https://api.openai.com/v1/responses"
USAGE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
ANSWER = {"id": "resp_1", "object": "response", "status": "completed", "model": "gpt-4o-mini", "output": []}


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    tokprof.cache.clear()
    yield
    tokprof.cache.clear()


def sent(path: str, more: dict[str, Any]) -> int:
    """Ask the same two times; give how many requests were sent."""
    seen: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.url.path)
        return httpx2.Response(200, json=ANSWER | {"usage": USAGE})

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as client, tokprof.cache():
        for _ in range(2):
            client.post(path, json={"model": "gpt-4o-mini", "input": "go on"} | more)
    return len(seen)


@pytest.mark.parametrize(
    "more",
    [
        {"conversation": "conv_1"},
        {"conversation": {"id": "conv_1"}},
        {"conversation_id": "c1"},
        {"thread_id": "t1"},
        {"container": "container_1"},
        {"container": {"id": "container_1", "skills": []}},
        {"tools": [{"type": "code_interpreter", "container": "cntr_1"}]},
    ],
)
def test_what_goes_on_is_sent(more: dict[str, Any]) -> None:
    assert sent(RESPONSES, more) == 2


@pytest.mark.parametrize(
    "more",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": None},
        {"container": {"skills": []}},
        {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]},
    ],
)
def test_what_begins_anew_or_after_an_answer_that_stays_is_not_sent_again(more: dict[str, Any]) -> None:
    assert sent(RESPONSES, more) == 1


def test_conversations_by_their_path_are_sent() -> None:
    assert sent("https://api.mistral.ai/v1/conversations/conv_1", {}) == 2


def test_another_writer_costs_no_hit(provider: SimulatedProvider, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("tokprof.answers._PATIENCE", 0.01)
    monkeypatch.setattr("tokprof.answers._TOUCHED", 2)
    path = tmp_path / "answers.sqlite"
    with tokprof.cache(path) as answers:
        for user in "abc":
            httpx2.post(url(provider), json=ASK | {"user": user})
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for user in "abc":
            httpx2.post(url(provider), json=ASK | {"user": user})
        other.execute("ROLLBACK")
        other.close()
    assert (answers.hits, len(provider.requests)) == (3, 3)


@pytest.mark.parametrize("path", ["", "answers.sqlite"])
def test_a_process_that_was_forked_while_another_thread_was_at_the_cache_goes_on(
    provider: SimulatedProvider, tmp_path: Path, path: str
) -> None:
    code = """if True:
        import os, sys, threading, httpx2, tokprof
        from tokprof.cache import _store
        def ask():
            httpx2.post(sys.argv[2], json={"model": "m", "messages": []})
        def hold():
            with _store(path)._lock:
                held.set()
                go.wait(60)
        path, held, go = sys.argv[1] or None, threading.Event(), threading.Event()
        with tokprof.cache(path) as cache:
            ask()
            thread = threading.Thread(target=hold)
            thread.start()
            held.wait()
            child = os.fork()
            if not child:
                ask()
                os._exit(cache.hits != 1)
            code = os.waitpid(child, 0)[1]
            go.set()
            thread.join()
            assert code == 0
    """
    if not hasattr(os, "fork"):
        return
    place = str(tmp_path / path) if path else ""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, place, url(provider)],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert len(provider.requests) == 1
