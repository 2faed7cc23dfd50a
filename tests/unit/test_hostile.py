"""Hostile answers: nothing false is claimed of them, and the program gets each as if nobody were looking."""

from __future__ import annotations

import gzip
import threading
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import aiohttp
import brotli
import httpx2
import pandas as pd
import pytest
import requests
import zstandard

import tokprof
import tokprof.meter.body
import tokprof.recorder
from tokprof.meter.body import decode
from tokprof.meter.reader import read
from tokprof.span import Exchange, Reading

from .hostile.case import BODY, JSON, Case
from .hostile.corpus import CASES
from .hostile.flavours import MAKERS, TEXTS, Counts, Maker
from .hostile.judge import CLAIMS, honest, reading, sane, spent

NUMBER = {case.name: i for i, case in enumerate(CASES)}
ASK = b'{"model": "asked", "messages": [], "stream": true}'


def exchange(case: Case, chunks: list[bytes]) -> Exchange:
    kind, encoding = case.content_type, case.encoding.lower()
    return Exchange("POST", *case.place, ASK, JSON, case.status, kind, encoding, dict(case.headers), chunks, True)


def pieces(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


def judge(case: Case, found: Reading | None) -> None:
    assert found is not None
    sane(found)
    if found.source in CLAIMS:
        assert spent(found) in case.may
    else:
        assert not case.must, found


def test_the_corpus_is_one() -> None:
    assert len(CASES) >= 200
    assert [name for name, times in Counter(case.name for case in CASES).items() if times > 1] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_false_is_claimed(case: Case) -> None:
    found = read(exchange(case, [case.body]))
    judge(case, found)
    for size in (7, 1000) if len(case.body) < 100_000 else (50_000,):
        again = read(exchange(case, pieces(case.body, size)))
        assert again is not None and found is not None
        again.first_token_at = found.first_token_at
        assert again == found


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_an_answer_cut_at_any_byte_claims_the_truth_or_nothing(make: Maker) -> None:
    text = TEXTS[1 + MAKERS.index(make) % (len(TEXTS) - 1)]
    answer = make(Counts(), ["Hello", text])
    body = answer.body
    claimed = 0
    for at in range(len(body) + 1):
        found = reading(answer, [body[:at]])
        honest(found, answer.truth)
        claimed += found.source in CLAIMS
    assert claimed and found.source == "reported"
    packed = gzip.compress(body)
    for at in range(len(packed) + 1):
        honest(reading(answer, [packed[:at]], "gzip"), answer.truth)


BOMBS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
    "gzip, gzip": lambda body: gzip.compress(gzip.compress(body)),
}


@pytest.mark.parametrize("encoding", BOMBS)
def test_a_bomb_is_given_up(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokprof.meter.body, "LIMIT", 2_000_000)
    bomb = BOMBS[encoding](BODY + b" " * 20_000_000)
    assert decode([bomb], encoding) == b""
    found = read(exchange(Case("bomb", bomb, encoding=encoding), [bomb]))
    assert found is not None and found.source == "missing"


# the real wire

Seen = tuple[Any, ...]


def _headers(case: Case) -> dict[str, str]:
    told = {"content-type": case.content_type, "content-encoding": case.encoding, **dict(case.headers)}
    return {name: value for name, value in told.items() if value and value.isascii()}


class _Pieces(httpx2.SyncByteStream):
    def __init__(self, body: bytes):
        self.body = body

    def __iter__(self) -> Iterator[bytes]:
        yield from pieces(self.body, max(13, len(self.body) // 7))


def _through_httpx2(client: httpx2.Client, case: Case, how: str) -> Seen:
    try:
        with client.stream("POST", "https://" + "".join(case.place), content=ASK, headers=_ask(case)) as response:
            ways: dict[str, Callable[[], Any]] = {
                "raw": lambda: list(response.iter_raw()),
                "lines": lambda: list(response.iter_lines()),
                "whole": response.read,
            }
            return response.status_code, dict(response.headers), ways[how]()
    except Exception as error:
        return type(error), str(error)


def _ask(case: Case) -> dict[str, str]:
    return {"content-type": JSON, "x-case": str(NUMBER[case.name])}


@pytest.fixture
def silent(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """No warning, whether it is raised or swallowed."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    assert not tokprof.recorder._warned
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("how", ["raw", "whole", "lines"])
def test_httpx2_gives_the_program_what_it_gives_without_a_profile(how: str, silent: None) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        case = CASES[int(request.headers["x-case"])]
        return httpx2.Response(case.status, headers=_headers(case), stream=_Pieces(case.body))

    cases = [case for case in CASES if len(case.body) < 100_000 or how == "raw"]
    with httpx2.Client(transport=httpx2.MockTransport(answer)) as client:
        bare = [_through_httpx2(client, case, how) for case in cases]
        with tokprof.profile(capture={"raw": "none", "whole": "full", "lines": "preview"}[how]) as prof:
            profiled = [_through_httpx2(client, case, how) for case in cases]
    for case, before, after in zip(cases, bare, profiled, strict=True):
        assert before == after, case.name
    rows = prof.calls
    assert len(rows) == len(cases)
    for case, row in zip(cases, rows.itertuples(), strict=True):
        if row.usage_source in CLAIMS:
            told = [(may.get("input", 0), may.get("output", 0)) for may in case.may]
            assert tuple(pd.Series([row.input_tokens, row.output_tokens]).fillna(0)) in told, case.name
        elif how == "raw":
            assert not case.must, case.name
    str(prof).encode()


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_args: Any) -> None:
        """Let clients go without a word."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        case = CASES[int(self.headers["x-case"])]
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(case.status)
        for name, value in _headers(case).items():
            self.send_header(name, value)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        parts = [*pieces(case.body, max(13, len(case.body) // 3)), b""]
        self.wfile.write(b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts))

    def log_message(self, *_args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with _Server(("127.0.0.1", 0), _Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


# requests hands out what it has decoded before it looks at the checksum
SOME = [case for case in CASES if len(case.body) < 100_000 and "wrong digit" not in case.name][::5]


def test_requests_gives_the_program_what_it_gives_without_a_profile(server: str, silent: None) -> None:
    def ask(session: requests.Session, case: Case) -> Seen:
        try:
            with session.post(server + case.place[1], data=ASK, headers=_ask(case), stream=True) as response:
                return response.status_code, list(response.iter_lines())
        except Exception as error:
            return (type(error), *map(str, error.args))

    with requests.Session() as session:
        bare = [ask(session, case) for case in SOME]
        with tokprof.profile(capture="full") as prof:
            profiled = [ask(session, case) for case in SOME]
    for case, before, after in zip(SOME, bare, profiled, strict=True):
        assert before == after, case.name
    _claims_nothing_false(prof)


async def test_aiohttp_gives_the_program_what_it_gives_without_a_profile(server: str, silent: None) -> None:
    async def ask(session: aiohttp.ClientSession, case: Case) -> Seen:
        try:
            async with session.post(server + case.place[1], data=ASK, headers=_ask(case)) as response:
                return response.status, [line async for line in response.content]
        except Exception as error:
            return type(error), str(error)

    plain = [case for case in SOME if not case.encoding]  # of some broken encodings it waits forever, by itself too
    async with aiohttp.ClientSession() as session:
        bare = [await ask(session, case) for case in plain]
        async with tokprof.profile(capture="full") as prof:
            profiled = [await ask(session, case) for case in plain]
    for case, before, after in zip(plain, bare, profiled, strict=True):
        assert before == after, case.name
    _claims_nothing_false(prof)


def _claims_nothing_false(prof: tokprof.Profile) -> None:
    told = {(may.get("input", 0), may.get("output", 0)) for case in CASES for may in case.may}
    claimed = prof.calls[prof.calls.usage_source.isin(CLAIMS)]
    assert len(claimed)
    for tokens_in, tokens_out in zip(claimed.input_tokens.fillna(0), claimed.output_tokens.fillna(0), strict=True):
        assert (tokens_in, tokens_out) in told
