"""The file of a replay cache: what it holds, who may read it, and what happens where it is no such file."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import requests

import tokprof
from tokprof.testing import SimulatedProvider

KEY = "sk-proj-AbCdEfGh0123456789"
SECRET = "my mother's maiden name"
ASK = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": SECRET}]}
STREAM = ASK | {"stream": True}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answers.sqlite"


@pytest.fixture
def provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider() as running:
        running.reply(text="an answer to find", input_tokens=1000, output_tokens=60, times=None)
        yield running


def send(provider: SimulatedProvider, body: object = ASK, query: str = "") -> bytes:
    return httpx2.post(f"{provider.openai_url}/chat/completions{query}", json=body).content


def test_it_outlives_the_process(provider: SimulatedProvider, path: Path) -> None:
    with tokprof.cache(path):
        first = send(provider)
    code = """if True:
        import sys, httpx2, tokprof
        with tokprof.profile() as prof, tokprof.cache(sys.argv[1]):
            sys.stdout.buffer.write(httpx2.post(sys.argv[2], json=eval(sys.argv[3])).content)
        assert prof.totals.cache_hits == 1 and prof.totals.saved_tokens == 1060, prof.totals
    """
    url = f"{provider.openai_url}/chat/completions"
    done = subprocess.run([sys.executable, "-c", code, str(path), url, repr(ASK)], capture_output=True, check=False)
    assert (done.stdout, done.returncode) == (first, 0), done.stderr.decode()
    assert len(provider.requests) == 1


def test_neither_keys_nor_requests_nor_cookies_are_in_it(provider: SimulatedProvider, path: Path) -> None:
    headers = {"authorization": f"Bearer {KEY}", "x-api-key": KEY, "api-key": KEY, "cookie": f"session={KEY}"}
    with tokprof.cache(path), httpx2.Client(headers=headers) as client:
        for query in ("", f"?key={KEY}", f"?api-key={KEY}&api-version=3"):
            for body in (ASK, STREAM):
                client.post(f"{provider.openai_url}/chat/completions{query}", json=body)
        requests.post(f"{provider.openai_url}/chat/completions", json=ASK, headers=headers)
    assert tokprof.cache.info(path).answers > 3
    held = b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert b"an answer to find" in held
    for text in (KEY, SECRET, "maiden", "Bearer", "cookie", "authorization", "127.0.0.1", "completions?"):
        assert text.encode() not in held, text
    with sqlite3.connect(path) as db:
        names = {name for (told,) in db.execute("SELECT headers FROM answers") for name, _ in json.loads(told)}
    db.close()
    assert names <= {"content-type", "content-length", "x-request-id", "openai-processing-ms", "openai-version"}


def test_it_is_its_owners_alone(provider: SimulatedProvider, path: Path) -> None:
    before = os.umask(0)
    try:
        with tokprof.cache(path):
            send(provider)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_what_was_forgotten_is_not_in_it(provider: SimulatedProvider, path: Path) -> None:
    with tokprof.cache(path):
        send(provider)
    assert b"an answer to find" in path.read_bytes()
    tokprof.cache.clear(path)
    assert b"an answer to find" not in path.read_bytes()
    assert tokprof.cache.info(path) == (0, 0, str(path.resolve()))


FOREIGN = {
    "text": b"these are my notes",
    "notebook": b'{"cells": [], "nbformat": 4}' * 50,
    "almost": b"SQLite format 3\0" + bytes(84),
}


@pytest.mark.parametrize("kind", [*FOREIGN, "database"])
def test_another_file_is_left_as_it_is(path: Path, kind: str) -> None:
    if kind == "database":
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE mine (it INTEGER)")
        db.close()
    else:
        path.write_bytes(FOREIGN[kind])
    before = path.read_bytes()
    for use in (tokprof.cache(path).__enter__, lambda: tokprof.cache.info(path), lambda: tokprof.cache.clear(path)):
        with pytest.raises(ValueError, match=r"answers\.sqlite is no replay cache"):
            use()
    assert path.read_bytes() == before


def test_a_damaged_file_is_named_and_left_as_it_is(provider: SimulatedProvider, path: Path) -> None:
    with tokprof.cache(path):
        for n in range(9):
            send(provider, ASK | {"seed": n})
    whole = path.read_bytes()
    other = path.with_name("other.sqlite")
    for damaged in (whole[: len(whole) // 2], whole[:100] + b"\xff" * (len(whole) - 100)):
        other.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"other\.sqlite cannot be used.*delete it, or give another path"):
            tokprof.cache(other).__enter__()
        assert other.read_bytes() == damaged


def test_a_file_of_a_later_version_is_named(provider: SimulatedProvider, path: Path) -> None:
    with tokprof.cache(path):
        send(provider)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 2")
    db.close()
    other = path.rename(path.with_name("later.sqlite"))
    with pytest.raises(ValueError, match=r"later\.sqlite has format 2, and this tokprof reads 1: pip install"):
        tokprof.cache(other).__enter__()


def test_a_folder_and_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="is a folder"):
        tokprof.cache(tmp_path).__enter__()
    with pytest.raises(FileNotFoundError, match="nowhere"):
        tokprof.cache(tmp_path / "nowhere" / "answers.sqlite").__enter__()
    assert tokprof.cache.info(tmp_path / "none.sqlite").answers == 0
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_taken(provider: SimulatedProvider, path: Path) -> None:
    path.touch()
    with tokprof.cache(path) as cache:
        send(provider)
        send(provider)
    assert cache.hits == 1


def test_damage_that_comes_later_costs_a_warning_and_no_call(provider: SimulatedProvider, path: Path) -> None:
    with tokprof.cache(path) as cache:
        send(provider)
        with sqlite3.connect(path) as db:
            db.execute("UPDATE answers SET lengths = 'x'")
        db.close()
        with pytest.warns(RuntimeWarning, match=r"read the replay cache .*answers\.sqlite"):
            assert send(provider)
    assert (cache.hits, len(provider.requests)) == (0, 2)


def test_a_file_that_was_deleted_is_made_anew(provider: SimulatedProvider, path: Path) -> None:
    cache = tokprof.cache(path)
    for _ in range(2):
        with cache:
            send(provider)
        path.unlink()
    with cache:
        send(provider)
        send(provider)
    assert (cache.hits, cache.misses) == (1, 3)
    assert tokprof.cache.info(path).answers == 1


def test_several_processes_use_one_file(provider: SimulatedProvider, path: Path) -> None:
    code = """if True:
        import sys, httpx2, tokprof
        with tokprof.cache(sys.argv[1]) as cache, httpx2.Client() as client:
            for n in range(20):
                client.post(sys.argv[2], json={"model": "m", "messages": [], "seed": n}).raise_for_status()
    """
    url = f"{provider.openai_url}/chat/completions"
    started = [subprocess.Popen([sys.executable, "-W", "error", "-c", code, str(path), url]) for _ in range(3)]
    assert [process.wait(120) for process in started] == [0, 0, 0]
    assert tokprof.cache.info(path).answers == 20
    assert 20 <= len(provider.requests) <= 60
    with tokprof.cache(path) as cache:
        for n in range(20):
            send(provider, {"model": "m", "messages": [], "seed": n})
    assert cache.hits == 20


def test_many_threads_use_one_file(provider: SimulatedProvider, path: Path) -> None:
    failed: list[BaseException] = []

    def work(first: int) -> None:
        try:
            for n in range(first, first + 10):
                send(provider, ASK | {"seed": n % 12})
        except BaseException as error:
            failed.append(error)

    with tokprof.cache(path) as cache:
        threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failed
    assert (cache.hits + cache.misses, tokprof.cache.info(path).answers) == (60, 12)


def test_a_forked_process_has_a_connection_of_its_own(provider: SimulatedProvider, path: Path) -> None:
    code = """if True:
        import os, sys, httpx2, tokprof
        def ask(n):
            return httpx2.post(sys.argv[2], json={"model": "m", "messages": [], "seed": n}).content
        with tokprof.cache(sys.argv[1]) as cache:
            first = ask(1)
            child = os.fork()
            if not child:
                assert ask(1) == first
                ask(2)
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            ask(2)
        assert (cache.hits, cache.misses) == (1, 1), cache
    """
    if not hasattr(os, "fork"):
        return
    url = f"{provider.openai_url}/chat/completions"
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, str(path), url],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert len(provider.requests) == 2
