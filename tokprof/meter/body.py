"""From the bytes on the wire to decoded bodies and the events framed in them. Nothing here raises."""

from __future__ import annotations

import base64
import binascii
import importlib
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

LIMIT = 256 * 1024 * 1024  # decoded bytes; more is no answer of a model but a bomb
LAYERS = 5  # content encodings on top of each other; more is a bomb too
TAIL = 64 * 1024

_BLANKS = " \t\r\n"
_parse = json.JSONDecoder().raw_decode

BOM = b"\xef\xbb\xbf"
_IDENTITY = frozenset({"", "identity", "none", "binary"})

Feed = Callable[[bytes], bytes]


# --- content encodings ---------------------------------------------------------------------------


def decode(chunks: Iterable[bytes], encoding: str = "") -> bytes | None:
    """Undo the content encoding.

    Parameters
    ----------
    chunks : iterable of bytes
        The body as on the wire, whole or cut anywhere.
    encoding : str
        The ``content-encoding`` header.

    Returns
    -------
    bytes or None
        As far as it came; empty where it is damaged or a bomb. None for an encoding that is not known or whose library
        is not there.
    """
    if not encoding:
        return b"".join(chunks)
    names = [name for part in encoding.split(",") if (name := part.strip().lower()) not in _IDENTITY]
    if len(names) > LAYERS:
        return None
    wire = parts = list(chunks)
    for name in reversed(names):
        feed = feed_of(name)
        if feed is None:
            return None
        parts = [_drain(feed, parts)]
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    if names and not _textual(body) and _textual(plain := b"".join(wire)) and plain[:32].isascii():
        return plain  # the client has decoded it already
    return body


def pieces(chunks: list[bytes], encoding: str) -> list[bytes] | None:
    """Undo the content encoding, keeping the pieces in which a whole body came where that can be; None as `decode`."""
    body = decode(chunks, encoding)
    if not body:
        return None
    names = [name for part in encoding.split(",") if (name := part.strip().lower()) not in _IDENTITY]
    parts = chunks
    try:
        for name in reversed(names):
            feed = feed_of(name)
            parts = [] if feed is None else [feed(part) for part in parts]
    except Exception:  # decoded already
        parts = chunks
    parts = [part for part in parts if part]
    return parts if b"".join(parts) == body else [body]


def _drain(feed: Feed, parts: list[bytes]) -> bytes:
    out: list[bytes] = []
    size = 0
    try:
        for part in parts:
            for at in range(0, len(part), 4096):  # small bites, for a bomb
                if piece := feed(part[at : at + 4096]):
                    out.append(piece)
                    size += len(piece)
                    if size >= LIMIT:
                        return b""
    except Exception:
        return b""  # what came before the fault is not proven either: a wrong digit is no fault of its own
    return b"".join(out)


def _textual(body: bytes) -> bool:
    return body.lstrip()[:1] in (b"{", b"[", b":") or body.startswith((b"data:", b"event:", b"id:", BOM))


def feed_of(name: str) -> Feed | None:
    """Give what undoes a content encoding piece by piece; None where it is not known, or its library not there."""
    if name in ("gzip", "x-gzip"):
        return _gzip()
    if name == "deflate":
        return _deflate()
    try:
        if name == "br":
            return _brotli()
        if name == "zstd":
            return _zstd()
    except Exception:
        return None
    return None


def _gzip() -> Feed:
    decoder = zlib.decompressobj(31)
    held, over = b"", False

    def feed(data: bytes) -> bytes:
        nonlocal decoder, held, over
        data, held, out = held + data, b"", b""
        while data and not over:
            if decoder.eof:
                if len(data) < 2:
                    held = data
                    break
                if data[:2] != b"\x1f\x8b":
                    over = True  # what follows the last member is ignored
                    break
                decoder = zlib.decompressobj(31)
            out += decoder.decompress(data, LIMIT)
            data = decoder.unused_data
        return out

    return feed


def _deflate() -> Feed:
    decoder: Any = None
    held = b""

    def feed(data: bytes) -> bytes:
        nonlocal decoder, held
        if decoder is None:
            data = held = held + data
            if len(data) < 2:
                return b""
            # RFC 9110 means zlib, some servers send the bare stream
            wrapped = data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            decoder = zlib.decompressobj(15 if wrapped else -15)
        return b"" if decoder.eof else bytes(decoder.decompress(data, LIMIT))

    return feed


def _brotli() -> Feed:
    decoder: Any = None
    for library in ("brotli", "brotlicffi"):
        try:
            decoder = importlib.import_module(library).Decompressor()
            break
        except ImportError:
            continue
    if decoder is None:
        raise ImportError("brotli")
    process: Callable[..., bytes] = getattr(decoder, "process", None) or decoder.decompress
    # since 1.2 it can be kept from making gigabytes of one bite
    limit = {"output_buffer_limit": 1024 * 1024} if hasattr(decoder, "can_accept_more_data") else {}

    def feed(data: bytes) -> bytes:
        out = [process(data, **limit)]
        size = len(out[0])
        while size < LIMIT and (piece := process(b"", **limit)):  # it may hold back what it has decoded
            out.append(piece)
            size += len(piece)
        return b"".join(out)

    return feed


def _zstd() -> Feed:
    try:
        module = importlib.import_module("zstandard")
    except ImportError:
        plain: Feed = importlib.import_module("compression.zstd").ZstdDecompressor().decompress
        return plain
    feed: Feed = module.ZstdDecompressor().decompressobj(read_across_frames=True).decompress
    return feed


# --- JSON ----------------------------------------------------------------------------------------


_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))
_DEPTH = 64  # of an answer of a model


def load(data: bytes | str) -> Any:
    """Parse JSON; None where it is none."""
    try:  # as json.loads does, without its look at other encodings
        text = (data if isinstance(data, str) else str(data, "utf-8")).strip(_BLANKS)
        value, end = _parse(text)
        if end == len(text):
            return value
    except (ValueError, RecursionError, MemoryError):
        pass
    try:
        return json.loads(data)
    except (ValueError, RecursionError, MemoryError):
        return None


def tail_member(body: bytes, key: bytes) -> dict[str, Any] | None:
    """Members of the top-level object from the last `key` to the end, without parsing what comes before.

    What follows the key must parse, behind an opening brace, exactly to the end of the body: that proves
    that the key is a member of the outermost object, if the body `is_whole`.
    """
    end = len(body)
    at = body.rfind(b'"' + key + b'"', max(0, end - TAIL))
    if at < 1 or body[max(0, at - TAIL) : at].rstrip()[-1:] not in (b",", b"{"):
        return None
    members = load(b"{" + body[at:])
    return members if isinstance(members, dict) else None


def is_whole(body: bytes) -> bool:
    """Whether a body is one object from its first byte to its last, by its brackets alone."""
    bare = _STRING.sub(b"", body).removeprefix(BOM).strip()
    if bare[:1] != b"{" or bare[-1:] != b"}" or b'"' in bare:
        return False
    inner = bare.translate(None, _NO_BRACKETS)[1:-1]
    for _ in range(_DEPTH):
        shorter = inner.replace(b"{}", b"").replace(b"[]", b"")
        if len(shorter) == len(inner):
            break
        inner = shorter
    return not inner


def elements(body: bytes) -> list[Any]:
    """Leading elements of a JSON array that may be cut."""
    whole = load(body)
    if isinstance(whole, list):
        return whole
    text = body.decode("utf-8", "replace")
    decoder = json.JSONDecoder()
    found: list[Any] = []
    at = text.find("[") + 1
    while at < len(text):
        if text[at] in " \t\r\n,":
            at += 1
            continue
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            break
        found.append(value)
    return found


# --- streams -------------------------------------------------------------------------------------


def sse_payloads(body: bytes) -> Iterator[bytes]:
    """Yield the data of each server-sent event, by the book: LF, CRLF or CR, comments, data over several lines."""
    if b"\r" in body:
        body = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    data: list[bytes] = []
    for line in body.removeprefix(BOM).split(b"\n"):
        if not line:
            if data:
                yield b"\n".join(data)
                data = []
        elif line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
    if data:
        yield b"\n".join(data)


class Frame(NamedTuple):
    """One message of an AWS event stream: where it starts, its event or exception type, its payload."""

    offset: int
    event: str
    failed: bool
    payload: bytes


# bytes of a header's value by its type; 6 and 7 carry a length of their own
_HEADER_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}


def aws_frames(body: bytes) -> Iterator[Frame]:
    """Yield the frames of ``application/vnd.amazon.eventstream``; stop at the first that is cut or broken."""
    at = 0
    while at + 16 <= len(body):
        total = int.from_bytes(body[at : at + 4], "big")
        head = int.from_bytes(body[at + 4 : at + 8], "big")
        checked = zlib.crc32(body[at : at + 8]) == int.from_bytes(body[at + 8 : at + 12], "big")
        if not checked or total < head + 16 or at + total > len(body):
            return
        headers = _headers(body[at + 12 : at + 12 + head])
        payload = body[at + 12 + head : at + total - 4]
        if zlib.crc32(body[at : at + total - 4]) != int.from_bytes(body[at + total - 4 : at + total], "big"):
            return
        failed = headers.get(":message-type") in ("exception", "error")
        event = headers.get(":exception-type" if failed else ":event-type") or headers.get(":error-code", "")
        yield Frame(at, event, failed, _unwrap(payload) if event == "chunk" else payload)
        at += total


def _headers(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while at < len(data):
        size = data[at]
        name = data[at + 1 : at + 1 + size].decode("utf-8", "replace")
        at += 1 + size
        if at >= len(data):
            break
        sort = data[at]
        at += 1
        if sort in (6, 7):
            length = int.from_bytes(data[at : at + 2], "big")
            found[name] = data[at + 2 : at + 2 + length].decode("utf-8", "replace")
            at += 2 + length
        elif sort in _HEADER_SIZES:
            at += _HEADER_SIZES[sort]
        else:
            break
    return found


def _unwrap(payload: bytes) -> bytes:
    """Payload of invoke-with-response-stream: JSON of the vendor, base64 in JSON."""
    wrapped = load(payload)
    if isinstance(wrapped, dict) and isinstance(wrapped.get("bytes"), str):
        try:
            return base64.b64decode(wrapped["bytes"])
        except (binascii.Error, ValueError):
            return b""
    return payload
