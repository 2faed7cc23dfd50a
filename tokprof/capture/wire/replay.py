"""Requests that are the same, and answers worth keeping: what a replay cache is asked for and given.

Nothing that tells who asked is looked at or kept: no credentials in headers or query, no cookies, and of a request
nothing but a hash.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from tokprof.contracts import Answers
from tokprof.meter import headers as meter_headers
from tokprof.meter.body import load, pieces
from tokprof.meter.reader import COUNTS
from tokprof.meter.stream import framing
from tokprof.recorder import warn_once
from tokprof.span import Answer, Exchange, Reading

_SECRET = re.compile(
    r"(?:^|[-_])(?:key|token|sig|signature|secret|credentials?|auth|authorization|password|code)$|apikey|^x-(?:amz|goog)-"
)
"""Names of parameters and headers that tell who asks, or when."""

_ASKING = ("accept", "content-type", "content-encoding", "openai-beta")
_ASKING_BY = ("anthropic-", "x-amzn-bedrock-", "x-portkey-")

_TELLING = (
    *("content-type", "content-length", "x-request-id", "request-id", "x-amzn-requestid", "x-ms-request-id"),
    *("apim-request-id", "openai-version", "openai-processing-ms", "x-amzn-bedrock-content-type"),
)
HEADERS = frozenset((*_TELLING, *meter_headers.NAMES, *(name for name, _ in COUNTS)))
"""Headers of an answer that are kept, lower case."""

_KEPT = ("conversation", "conversation_id", "thread_id")
_KEPT_THERE = re.compile(r"/conversations(?:/|$)")
_UNFINISHED = ("queued", "in_progress", "failed", "cancelled")
_LAST = re.compile(rb'data: ?\[DONE\]|"type": ?"(?:message_stop|response\.(?:completed|incomplete))"')
_ENDED = (b"\n\n", b"\r\n\r\n", b"\r\r")
_CLAIMS = ("reported", "derived")


def key(exchange: Exchange, query: str, headers: Mapping[str, str], body: bytes | None) -> bytes | None:
    """Give the hash by which equal requests are known: of method, address, body, and headers that change the answer.

    Of a body in JSON neither white space nor the order of the outermost members counts; that of the members inside
    does, because a model sees it. The encodings that the program takes do not count either: answers are kept decoded.

    Parameters
    ----------
    exchange : Exchange
    query : str
        Of the address.
    headers : mapping of str to str
        Of the request, lower case names.
    body : bytes or None

    Returns
    -------
    bytes or None
        None for a request that cannot be compared: its body is a stream or has parts, or it goes on with something that
        the provider keeps and that changes with each request.
    """
    if body is None or exchange.request_type.startswith("multipart/") or _KEPT_THERE.search(exchange.path):
        return None
    asked_for = _members(body)
    if asked_for is not None and _goes_on(asked_for):
        return None
    asked = [pair for pair in parse_qsl(query, keep_blank_values=True) if not _SECRET.search(pair[0].lower())]
    said = sorted((name, value) for name, value in headers.items() if _changes(name))
    encoded = any(name == "content-encoding" for name, _ in said)
    parts = (
        exchange.method.upper(),
        exchange.host.lower(),
        exchange.path,
        json.dumps(asked),
        json.dumps(said),
        body if encoded or asked_for is None else _plain(asked_for),
    )
    found = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        found.update(b"%d:" % len(data) + data)
    return found.digest()


class Asked:
    """A request that a cache was asked about.

    Attributes
    ----------
    stored : Answer or None
        What the cache answered.
    """

    __slots__ = ("_cache", "_head", "_key", "stored")

    def __init__(self, cache: Answers, key: bytes):
        self._cache = cache
        self._key = key
        self._head: tuple[tuple[str, str], ...] = ()
        self.stored = cache.recall(key)

    def answered(self, told: Mapping[str, str]) -> None:
        """Take in the head of the answer; `told` has lower case names."""
        self._head = tuple((name, value) for name, value in told.items() if name in HEADERS)

    def keep(self, exchange: Exchange, reading: Reading) -> None:
        """Have the answer of a model recorded, so that the same request need not be sent again."""
        if self.stored is not None:
            return
        try:
            found = answer(exchange, self._head, reading)
            if found is not None:
                self._cache.keep(self._key, found)
        except Exception as error:
            warn_once("keep an answer in the replay cache", error)


def ask(
    cache: Answers | None, exchange: Exchange, query: str, headers: Mapping[str, str], body: bytes | None
) -> Asked | None:
    """Ask a cache for the answer to a request; None where there is no cache, or the request cannot be compared."""
    if cache is None or (known := key(exchange, query, headers, body)) is None:
        return None
    return Asked(cache, known)


def _changes(name: str) -> bool:
    """Whether a header of a request can change its answer."""
    return name in _ASKING or (name.startswith(_ASKING_BY) and not _SECRET.search(name))


def _members(body: bytes) -> dict[str, Any] | None:
    asked = load(body) if body[:64].lstrip()[:1] == b"{" else None
    return asked if isinstance(asked, dict) else None


def _plain(asked: dict[str, Any]) -> bytes:
    return json.dumps(dict(sorted(asked.items())), separators=(",", ":")).encode()


def _goes_on(asked: dict[str, Any]) -> bool:
    """Whether a request adds to a conversation of the provider's, or runs code in a container that was used before."""
    tools = asked.get("tools")
    holders = [asked, *(tool for tool in (tools if isinstance(tools, list) else ()) if isinstance(tool, dict))]
    containers = [holder.get("container") for holder in holders]
    used = any(isinstance(one, str) or (isinstance(one, dict) and one.get("id")) for one in containers)
    return used or any(asked.get(name) for name in _KEPT)


def answer(exchange: Exchange, head: Iterable[tuple[str, str]], reading: Reading) -> Answer | None:
    """Give what is kept of an exchange.

    Returns
    -------
    Answer or None
        None for an answer that is no success, not whole, or has yet to come.
    """
    status = exchange.http_status or 0
    if not 200 <= status < 300 or reading.error is not None or reading.finish_reason in _UNFINISHED:
        return None
    chunks = pieces(list(exchange.chunks), exchange.content_encoding)
    if not chunks or not _whole(exchange, b"".join(chunks), reading):
        return None
    size = str(sum(map(len, chunks)))
    kept = tuple((name, size if name == "content-length" else value) for name, value in head)
    return Answer(status, kept, tuple(chunks))


def _whole(exchange: Exchange, body: bytes, reading: Reading) -> bool:
    frame = framing(exchange.content_type, body)
    if frame == "json":
        return exchange.complete and load(body) is not None
    if frame == "sse" and _LAST.search(re.split(rb"\r?\n\r?\n", body[-65536:].rstrip())[-1]):
        return exchange.complete or body.endswith(_ENDED)  # some SDKs go when the model has said its last word
    return exchange.complete and (reading.finish_reason is not None or reading.source in _CLAIMS)


class Instead:
    """An object of a library that does one thing otherwise: it hands out what replays, where it would connect.

    Parameters
    ----------
    inside : object
    **others : object
        Attributes that it has in place of those of `inside`.
    """

    def __init__(self, inside: Any, **others: Any):
        self.__dict__.update(others, _tokprof_inside=inside)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokprof_inside, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._tokprof_inside, name, value)


def message(stored: Answer) -> list[bytes]:
    """Give a stored answer as HTTP/1.1 writes it, in the pieces in which its body came.

    It goes through the library's own parser, so that the program gets what it gets from a server.
    """
    sized = any(name == "content-length" for name, _ in stored.headers)
    lines = [f"HTTP/1.1 {stored.status} OK", *(f"{name}: {value}" for name, value in stored.headers)]
    if not sized:
        lines.append("transfer-encoding: chunked")
    begin = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
    if sized:
        return [begin, *stored.chunks]
    return [begin, *(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in stored.chunks), b"0\r\n\r\n"]
