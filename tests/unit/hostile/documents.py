"""Documents of JSON: numbers that are none, usage at the wrong place, what is no JSON, what is big."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from . import flavours
from .case import (
    ANSWER,
    BIG,
    BODY,
    COUNTS,
    FAKE,
    JSON,
    LINES,
    OTHER,
    OTHER_TRUTH,
    SSE,
    TRUTH,
    USAGE,
    Case,
    dumps,
    events,
    of,
    right,
)
from .flavours import TOOL

NONSENSE: tuple[Any, ...] = (
    True, False, -1, -0.5, 12.5, "13", "", "13 tokens", float("nan"), float("inf"), -float("inf"), 2**53 + 1, 10**400,
    [], [13], {}, {"value": 13}, [[[[[]]]]],
)  # fmt: skip


def numbers() -> Iterator[Case]:
    for key in ("prompt_tokens", "completion_tokens", "total_tokens"):
        for value in NONSENSE:
            yield Case(f"{key} is {value!r:.20}", dumps(ANSWER | {"usage": USAGE | {key: value}}))
        written = BODY.replace(f'"{key}": {USAGE[key]}'.encode(), f'"{key}": 1e400'.encode())
        yield Case(f"{key} is 1e400", written)
        yield right(
            f"{key} is a whole fraction",
            BODY.replace(f'"{key}": {USAGE[key]}'.encode(), f'"{key}": {USAGE[key]}.0'.encode()),
        )
    for group, key in (("prompt_tokens_details", "cached_tokens"), ("completion_tokens_details", "reasoning_tokens")):
        for value in NONSENSE:
            yield Case(f"{key} is {value!r:.20}", dumps(ANSWER | {"usage": USAGE | {group: {key: value}}}))
        for value in (None, [], "x", 7, True, [{}]):
            gone = "cache_read" if key == "cached_tokens" else "reasoning"
            without = {name: number for name, number in TRUTH.items() if name != gone}
            yield Case(f"{group} is {value!r}", dumps(ANSWER | {"usage": USAGE | {group: value}}), (without,))
    yield Case(
        "prompt_tokens is null",
        dumps(ANSWER | {"usage": USAGE | {"prompt_tokens": None}}),
        ({"output": 24, "cache_read": 5, "reasoning": 7},),
    )
    yield Case("all counts are null", dumps(ANSWER | {"usage": dict.fromkeys(USAGE)}))
    yield Case(
        "all counts are zero",
        dumps(ANSWER | {"usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}}),
    )
    parts = {"input": 13, "output": 24, "cache_read": 5, "reasoning": 7}
    for total in (0, 1, 36, 38, 10_000):
        yield Case(f"total is {total}", dumps(ANSWER | {"usage": USAGE | {"total_tokens": total}}), (parts,))
    over = USAGE | {
        "completion_tokens_details": {"reasoning_tokens": 700},
        "prompt_tokens_details": {"cached_tokens": 500},
    }
    clamped = {"input": 13, "output": 24, "cache_read": 13, "reasoning": 24}
    yield Case("parts are more than the whole", dumps(ANSWER | {"usage": over}), (clamped,))
    for field in ("usage", "usageMetadata"):
        for value in (
            None,
            [],
            [USAGE],
            "",
            json.dumps(USAGE),
            True,
            13,
            12.5,
            {},
            {"": 1},
            {"tokens": 13},
            [[]],
            {"usage": USAGE},
        ):
            answer = {key: told for key, told in ANSWER.items() if key != "usage"}
            yield Case(f"{field} is {value!r:.30}", dumps(answer | {field: value}))
    for wrong in ("Usage", "USAGE", "usage ", "usages", "_usage"):
        answer = {key: told for key, told in ANSWER.items() if key != "usage"}
        yield Case(f"{wrong!r} for usage", dumps(answer | {wrong: USAGE}))
    loud = {key.upper(): value for key, value in USAGE.items()}
    yield Case("keys in upper case", dumps(ANSWER | {"usage": loud}))
    yield Case("keys in camel case", dumps(ANSWER | {"usage": {"promptTokens": 1, "completionTokens": 2}}))
    yield Case("a shape nobody knows", dumps(ANSWER | {"usage": {"credits": 3, "units": {"in": 1}}}))


def places() -> Iterator[Case]:
    bare = {key: told for key, told in ANSWER.items() if key != "usage"}
    for key in ("content", "refusal", "reasoning"):
        text = f'"usage": {json.dumps(FAKE)}, {{"usage": {json.dumps(FAKE)}}}'
        told = {"index": 0, "message": {key: text}}
        yield Case(f"usage quoted in {key}", dumps(bare | {"choices": [told]}))
        yield right(f"usage quoted in {key}, and told", dumps(bare | {"usage": USAGE, "choices": [told]}))
        yield Case(f"usage as an object in {key}", dumps(bare | {"choices": [{"message": {key: TOOL}}]}))
        yield Case(
            f"usage quoted in {key} of a delta",
            events(bare | {"choices": [{"delta": {key: text}}]}, "[DONE]"),
            content_type=SSE,
        )
        yield Case(
            f"usage as an object in {key} of a delta",
            events(bare | {"choices": [{"delta": {key: TOOL}}]}, "[DONE]"),
            content_type=SSE,
        )
    for name, answer in {
        "in a choice": {"choices": [{"usage": FAKE}]},
        "in metadata": {"metadata": {"usage": FAKE}},
        "in the request": {"request": {"usage": FAKE}},
        "in data": {"data": [{"usage": FAKE}]},
        "in a message": {"message": {"usage": FAKE}},
    }.items():
        yield Case(f"usage {name}", dumps({"model": "m-1"} | answer))
    yield right("usage twice in the object", BODY[:-1] + b', "usage": ' + dumps(OTHER) + b"}", OTHER_TRUTH)
    yield Case("usage twice, then null", BODY[:-1] + b', "usage": null}')
    yield right("a key escaped", BODY.replace(b'"usage"', b'"\\u0075sage"'))
    for make in flavours.MAKERS:
        decoys = make(COUNTS, flavours.TEXTS)
        yield of(decoys, f"{decoys.flavour} with decoys", decoys.body, True)


def documents() -> Iterator[Case]:
    page = b"<!DOCTYPE html><html><body>502 Bad Gateway " + BODY + b"</body></html>"
    for name, body in {
        "nothing": b"",
        "blanks": b" \r\n\t ",
        "null": b"null",
        "true": b"true",
        "a number": b"13",
        "a string": b'"usage"',
        "usage alone": b'"usage": ' + dumps(USAGE),
        "an empty array": b"[]",
        "an array of answers": b"[" + BODY + b"," + BODY + b"]",
        "an array in an array": b"[[" + BODY + b"]]",
        "a page": page,
        "a page with a script": b"<script>var x = " + BODY + b"</script>",
        "an answer in a comment": b"/*" + BODY + b"*/",
        "two answers in a row": BODY + BODY,
        "garbage behind": BODY + b" garbage",
        "garbage before": b"garbage " + BODY,
        "a brace too many": BODY + b"}",
        "a brace too few": BODY[:-1],
        "a comma too many": BODY[:-1] + b",}",
        "single quotes": BODY.replace(b'"', b"'"),
        "JSONP": b"callback(" + BODY + b")",
        "XSSI": b")]}',\n" + BODY,
        "a NUL behind": BODY + b"\0",
        "a NUL before": b"\0" + BODY,
        "NULs between": BODY.replace(b" ", b"\0"),
        "NULs": b"\0" * 100,
        "bytes": bytes(range(256)) * 4,
        "half a character": BODY.replace(b"hi", b"\xe2\x82"),
        "Latin-1": BODY.replace(b"hi", b"\xfcber"),
        "overlong": BODY.replace(b"hi", b"\xc0\xaf"),
        "a control character": BODY.replace(b"hi", b"h\x01\n"),
        "deep": b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b", " + BODY[1:],
        "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        "deep and open": b"[" * 100_000,
        "deep usage": b'{"usage": {"prompt_tokens": ' + b"[" * 900 + b"]" * 900 + b"}}",
        "a number of 5000 digits": BODY.replace(b"13", b"1" * 5000),
        "a blockReason of depth": b'{"promptFeedback": {"blockReason": ' + b"[" * 800 + b"]" * 800 + b"}}",
        "usage without an end": b'{"usage":' * 1000,
        "quotes": b'"' * 10_000,
        "backslashes": b'{"a": "' + b"\\" * 9999,
    }.items():
        for kind in (JSON, SSE):
            yield Case(f"{name}, as {kind}", body, content_type=kind)
    yield right("a mark before", b"\xef\xbb\xbf" + BODY)
    yield Case("two marks before", b"\xef\xbb\xbf" * 2 + BODY, (TRUTH,))
    for code in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"):
        yield Case(code, BODY.decode().encode(code), (TRUTH,))
    yield right("blanks around", b"\r\n \n" * 50 + BODY + b"\n\n")
    yield right("on many lines", json.dumps(ANSWER, indent=2).replace("\n", "\r\n").encode())
    yield right("a lone surrogate", BODY.replace(b"hi", b"\\ud83d"))
    yield right("a model that nobody can print", BODY.replace(b"m-1", b"\\ud800\\u0000\\u001b[2J"))
    yield right("a model of a megabyte", BODY.replace(b"m-1", b"m" * 900_000))
    yield right("infinite elsewhere", BODY[:-1] + b', "cost": 1e400, "x": NaN}')
    yield right("deep, but not too deep", b'{"a": ' + b"[" * 200 + b"]" * 200 + b", " + BODY[1:])
    yield Case("two answers on two lines", BODY + b"\n" + dumps(ANSWER | {"usage": OTHER}), (TRUTH, OTHER_TRUTH))
    nested = b'{\n"a": [\n{"usage": ' + dumps(FAKE) + b"}\n]\n}\n"
    yield Case("two pretty answers", nested + nested)
    yield Case("a pretty answer called lines", nested, content_type=LINES)
    yield Case("lines, then a pretty one", b"{}\n{}\n" + nested + b"{}\n" * 9, content_type=LINES)
    for status in (400, 401, 404, 429, 500, 502, 529):
        yield Case(f"status {status} with usage", BODY, status=status)


def big() -> Iterator[Case]:
    """Beyond a megabyte answers are read from their ends."""
    pad = b'{"object": "chat.completion", "pad": "' + b"x" * BIG + b'"'
    inner = b', "choices": [{"message": {}, "usage": ' + dumps(FAKE) + b"}"
    usage = b', "usage": ' + dumps(USAGE)
    yield right("big", pad + usage + b"}")
    yield right("big, with usage inside behind its own", pad + usage + inner + b"]}")
    yield Case("big, cut behind usage inside", pad + inner)
    yield Case("big, cut behind the choices", pad + inner + b"]")
    yield Case("big, cut in a text that quotes", pad + b', "text": "' + usage.replace(b'"', b'\\"') + b"}")
    yield Case("big, cut in a text full of braces", pad.replace(b"x" * 9, b'}]\\"}') + inner)
    yield Case("big, two in a row", pad + b"}" + pad + usage + b"}", (TRUTH,))
    yield Case("big, usage behind its end", pad + b"}" + usage + b"}")
    yield Case("big page", b"<script>" + b"x" * BIG + b"var x = {1" + usage + b"}")
    yield Case("big array", b"[" + pad + usage + b"}")
    yield Case("big, nested", b'{"a": ' + pad + usage + b"}")
    yield Case("big, with usage in a string", pad + b', "usage": ' + dumps(json.dumps(USAGE)) + b"}")
    yield right("big, with brackets in texts", pad.replace(b"x" * 90, b'}]{[\\\\\\"{') + usage + b"}")
    yield Case("big, and nothing but braces", b'{"usage":{' * (BIG // 8))
