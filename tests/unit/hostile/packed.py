"""Bytes around an answer: content encodings, and the frames of AWS."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from typing import Any

import brotli
import zstandard

from . import flavours
from .case import BODY, COUNTS, DELTA, FRAMES, LAST, SSE, TRUTH, Case, dumps, events, of, right
from .flavours import frame, seal


def encodings() -> Iterator[Case]:
    raw = zlib.compressobj(wbits=-15)
    packed = {
        "gzip": gzip.compress(BODY),
        "x-gzip": gzip.compress(BODY, 1),
        "deflate": zlib.compress(BODY),
        "Deflate": raw.compress(BODY) + raw.flush(),
        "br": brotli.compress(BODY),
        "zstd": zstandard.compress(BODY),
    }
    for name, body in packed.items():
        yield right(f"{name}", body, encoding=name)
        yield right(f"{name}, decoded already", BODY, encoding=name)
        yield right(
            f"{name}, decoded already, a stream", events(DELTA, LAST, "[DONE]"), encoding=name, content_type=SSE
        )
        yield Case(f"{name}, not said", body)
        yield Case(f"{name}, said twice", body, (TRUTH,), encoding=f"{name}, {name}")
        yield Case(f"{name}, done twice", gzip.compress(body), encoding="gzip")
        yield Case(f"{name}, half", body[: len(body) // 2], encoding=name)
        yield Case(f"{name}, its head", body[:3], encoding=name)
        yield Case(f"{name}, garbage in the middle", body[:60] + b"\xff\x00\xff" + body[63:], encoding=name)
        yield Case(f"{name}, garbage behind", body + b"garbage", (TRUTH,), encoding=name)
        yield Case(
            f"{name} of nothing",
            {"br": brotli.compress, "zstd": zstandard.compress}.get(name, gzip.compress)(b""),
            encoding=name,
        )
        yield Case(f"nothing in {name}", b"", encoding=name)
        yield Case(f"garbage in {name}", bytes(range(256)), encoding=name)
    yield right("gzip twice", gzip.compress(packed["gzip"]), encoding="gzip, gzip")
    yield right("br in gzip", gzip.compress(packed["br"]), encoding="br,identity, gzip")
    yield right("gzip in two members", gzip.compress(BODY[:90]) + gzip.compress(BODY[90:]), encoding="gzip")
    yield right("gzip with zeros behind", packed["gzip"] + b"\0" * 512, encoding="gzip")
    yield Case("gzip six times", packed["gzip"], encoding=", ".join(["gzip"] * 6))
    yield Case("gzip with a wrong checksum", packed["gzip"][:-8] + b"\0" * 8, encoding="gzip")
    wrong = zlib.compress(BODY.replace(b"13", b"14"), 0)[:-4] + zlib.compress(BODY, 0)[-4:]
    yield Case("deflate with a wrong digit", wrong, encoding="deflate")
    yield Case("an encoding nobody knows", BODY, (TRUTH,), encoding="rot13")
    yield right("no encoding, in many words", BODY, encoding="identity, none,, binary ,")


def frames() -> Iterator[Case]:
    answer = flavours.converse_frames(COUNTS, ["a"])
    place = (answer.host, answer.path)
    head, last = b"".join(answer.parts[:-1]), answer.parts[-1]
    data = dumps(answer.events[-1])

    def case(name: str, body: bytes, must: bool = False, **more: Any) -> Case:
        return of(answer, f"frames: {name}", body, must, **more)

    def none(name: str, body: bytes) -> Case:
        return Case(f"frames: {name}", body, place=place, content_type=FRAMES)

    yield case("right", head + last, True)
    yield case("called a stream of bytes", head + last, True, content_type="application/octet-stream")
    yield case("called nothing", head + last, True, content_type="")
    yield case("garbage behind", head + last + b"garbage" * 9)
    yield case("the last twice", head + last * 2, True)
    for at in (0, 4, 8, 12, 20, len(last) - 30, len(last) - 1):
        yield none(f"a bit at {at}", head + last[:at] + bytes([last[at] ^ 1]) + last[at + 1 :])
    for total in (0, 1, 15, 16, len(last) - 1, len(last) + 1, 2**31, 2**32 - 1):
        for fixed in (False, True):
            prelude = total.to_bytes(4, "big") + last[4:8]
            check = zlib.crc32(prelude).to_bytes(4, "big") if fixed else last[8:12]
            yield none(f"length {total}, {fixed}", head + prelude + check + last[12:])
    for size in (0xFFFF, 2**32 - 1, len(last)):
        prelude = last[:4] + size.to_bytes(4, "big")
        body = prelude + zlib.crc32(prelude).to_bytes(4, "big") + last[12:-4]
        yield none(f"headers of {size}", head + body + zlib.crc32(body).to_bytes(4, "big"))
    for name, header in {
        "no headers": b"",
        "a name without a value": b"\x05:even",
        "a kind nobody knows": b"\x01a\x63abc",
        "a text longer than its header": b"\x01a\x07\xff\xffabc",
        "a name of nothing": b"\x00\x07\x00\x01a",
        "all kinds": b"".join(
            b"\x01" + bytes([97 + kind, kind]) + b"\0" * size
            for kind, size in enumerate((0, 0, 1, 2, 4, 8, 2, 2, 8, 16))
        ),
        "bytes that are no text": b"\x02\xff\xfe\x07\x00\x02\xff\xfe",
    }.items():
        yield case(name, head + seal(header, data))
    yield none(
        "an exception that quotes usage", head + frame("throttlingException", {"usage": answer.events[-1]}, "exception")
    )
    yield none("an exception with usage", head + frame("throttlingException", answer.events[-1], "exception"))
    yield none("text", head + frame("metadata", b"usage"))
    yield none("usage is a list", head + frame("metadata", {"usage": [answer.events[-1]]}))
    yield none("garbage first", b"\0" + head + last)
    yield none("nothing", b"")
    yield none("an answer of JSON that is cut", dumps(answer.events[-1])[:-1])
    yield case("JSON after all", data, True)
    invoke = flavours.invoke_frames(COUNTS, ["a"])
    for name, payload in {
        "broken base64": {"bytes": "!!!"},
        "base64 of nothing": {"bytes": ""},
        "base64 of no JSON": {"bytes": "AAAA"},
        "no text": {"bytes": 7},
        "other letters": {"bytes": "\u00e4\u0000"},
        "an empty object": {},
    }.items():
        body = b"".join(invoke.parts[:-2]) + frame("chunk", dumps(payload))
        yield Case(f"frames: {name}", body, place=(invoke.host, invoke.path), content_type=FRAMES)
    spot = (answer.host, "/model/ai21.j2/invoke")
    for value in ("-5", "1e3", "12.0", "٣", "", "9" * 17, "0x10", "7,8", "NaN", "true"):
        headers = (("x-amzn-bedrock-input-token-count", value), ("x-amzn-bedrock-output-token-count", value))
        yield Case(f"header {value!r}", b'{"completions": []}', place=spot, headers=headers)
