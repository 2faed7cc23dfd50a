"""The reader under fire: answers of every provider, cut, broken, spliced, encoded, and what may still be claimed."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import brotli
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tokprof.meter.body import decode
from tokprof.meter.reader import read

from .hostile.flavours import MAKERS, TEXTS, TOOL, Answer, Counts, Json, Maker, frame
from .hostile.judge import exchange, guarded, honest, reading, sane, spent, undated

Draw = Callable[..., Any]

fuzz = settings(max_examples=70, deadline=None, derandomize=True)


def _raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "DEFLATE": _raw_deflate,
    "br": lambda body: brotli.compress(body, quality=3),
    "zstd": zstandard.compress,
    "gzip, br": lambda body: brotli.compress(gzip.compress(body), quality=3),
    "x-gzip,identity , zstd": lambda body: zstandard.compress(gzip.compress(body)),
}
CHECKED = ("gzip", "deflate")  # encodings with a checksum

# --- what is drawn -------------------------------------------------------------------------------

tokens = st.integers(1, 100_000)


@st.composite
def counts(draw: st.DrawFn) -> Counts:
    tokens_in, tokens_out = draw(tokens), draw(tokens)
    read_ = draw(st.integers(0, tokens_in))
    return Counts(
        tokens_in, tokens_out, read_, draw(st.integers(0, tokens_in - read_)), draw(st.integers(0, tokens_out - 1))
    )


@st.composite
def answers(draw: st.DrawFn, makers: Sequence[Maker] = MAKERS) -> Answer:
    texts = draw(st.lists(st.sampled_from(TEXTS) | st.text(max_size=6), min_size=1, max_size=4))
    return draw(st.sampled_from(makers))(draw(counts()), texts)


@st.composite
def bodies(draw: st.DrawFn, answer: Answer) -> bytes:
    """The body of an answer, in one of the forms that mean the same."""
    ends = {"sse": ("\n", "\r\n", "\r"), "ndjson": ("\n", "\r\n")}.get(answer.framing, ("\n",))
    indent = draw(st.sampled_from((None, None, 1))) if answer.framing in ("json", "sse") else None
    body = b"".join(answer.render(draw(st.sampled_from(ends)), draw(st.booleans()), indent))
    return b"\xef\xbb\xbf" + body if answer.framing != "frames" and draw(st.integers(0, 9)) == 0 else body


def pieces(draw: Draw, body: bytes) -> list[bytes]:
    """Cut anywhere; some pieces may be empty."""
    cuts = draw(st.lists(st.integers(0, len(body)), max_size=6).map(sorted))
    return [body[a:b] for a, b in pairwise((0, *cuts, len(body)))]


def split(draw: Draw, body: bytes) -> list[bytes]:
    if draw(st.integers(0, 7)) == 0:
        return [body[at : at + 1] for at in range(len(body))]
    return pieces(draw, body)


def invariant(draw: Draw, answer: Answer, body: bytes, encoding: str = "") -> Any:
    """Read a body whole, again, and in pieces: the same each time."""
    found = reading(answer, [body], encoding)
    assert reading(answer, [body], encoding) == found
    assert undated(reading(answer, split(draw, body), encoding)) == undated(found)
    return found


def noise(answer: Answer) -> tuple[bytes, ...]:
    """What may stand between the events of a stream and tells nothing."""
    if answer.framing == "sse":
        return (
            b": OPENROUTER PROCESSING\n\n",
            b':"usage": {"prompt_tokens": 3, "completion_tokens": 4}\n',
            b"\r\n\n\r",
            b"retry: 10\r\nid: 7\n\n",
            b'event: ping\ndata: {"type": "ping"}\n\n',
            b"data\ndata:\n\n",
            b"data: neither JSON nor the end\n\n",
            b'data: "usage"\n\n',
            b'data: {\ndata: "a": [\ndata: {"usage": {"prompt_tokens": 3, "completion_tokens": 4}}\ndata: ]}\n\n',
            b'data: {"a": [\nid: 1\ndata: {"usage": {"prompt_tokens": 3, "completion_tokens": 4}}\nid: 2\ndata: ]}\n\n',
        )
    if answer.framing == "ndjson":
        return b"\n", b"\r\n", b" \t\n", b"{}\n"
    if answer.framing == "frames":
        return frame("initial-response", {}), frame("new", {"p": "abc"}), frame("new", b""), frame("x", b"\xff{")
    return (b" ",) if answer.framing == "json" else (b"",)


# --- properties ----------------------------------------------------------------------------------


@fuzz
@given(st.data())
def test_every_form_of_an_answer_is_read_to_the_token(data: st.DataObject) -> None:
    answer = data.draw(answers())
    encoding = data.draw(st.sampled_from(list(ENCODINGS)))
    body = ENCODINGS[encoding](data.draw(bodies(answer)))
    found = invariant(data.draw, answer, body, encoding)
    assert (found.source, spent(found)) == ("reported", answer.truth)


@fuzz
@given(st.data())
def test_an_answer_cut_anywhere_claims_the_truth_or_nothing(data: st.DataObject) -> None:
    answer = data.draw(answers())
    encoding = data.draw(st.sampled_from(list(ENCODINGS)))
    body = ENCODINGS[encoding](data.draw(bodies(answer)))
    for at in data.draw(st.lists(st.integers(0, len(body)), min_size=1, max_size=12)):
        honest(invariant(data.draw, answer, body[:at], encoding), answer.truth)


@fuzz
@given(st.data())
def test_noise_and_events_sent_twice_change_nothing(data: st.DataObject) -> None:
    answer = data.draw(answers())
    parts: list[bytes] = []
    for part in answer.parts:
        again = 1 if answer.framing in ("json", "array") else data.draw(st.sampled_from((1, 1, 1, 2, 3)))
        parts += data.draw(st.lists(st.sampled_from(noise(answer)), max_size=2)) + [part] * again
    found = invariant(data.draw, answer, b"".join(parts))
    assert (found.source, spent(found)) == ("reported", answer.truth)


NONSENSE: tuple[Any, ...] = (
    True, False, -1, -0.5, 12.5, "12", "", float("nan"), float("inf"), -float("inf"), 2**53 + 1, 10**400, 1e300,
    [], [7], {}, {"tokens": 7}, [[[[]]]], None,
)  # fmt: skip
_PARTS = ("thoughtsTokenCount", "cache_read_input_tokens", "cache_creation_input_tokens")
_PARTS += ("cacheReadInputTokens", "cacheWriteInputTokens")  # what adds to a sum may not be there: null is no nonsense


def _places(node: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to the counts of an event."""
    if node is TOOL:
        return
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if type(value) is int and isinstance(key, str) and ("oken" in key or "eval_count" in key):
            yield (*at, key)
        else:
            yield from _places(value, (*at, key))


def _changed(node: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(node) if isinstance(node, dict) else list(node)
    copy[path[0]] = _changed(node[path[0]], path[1:], value)
    return copy


@fuzz
@given(st.data())
def test_a_count_that_is_none_is_not_claimed(data: st.DataObject) -> None:
    answer = data.draw(answers())
    where = [(i, path) for i, event in enumerate(answer.events) if isinstance(event, dict) for path in _places(event)]
    i, path = data.draw(st.sampled_from(where))
    value = data.draw(st.sampled_from(NONSENSE))
    if value is None and (path[-1] in _PARTS or "tokens" in path):  # without tokens, Cohere's are those that it bills
        return
    events = list(answer.events)
    events[i] = _changed(events[i], path, value)
    broken = answer.but(events)
    guarded(invariant(data.draw, broken, broken.body), answer.truth)


def _keys(node: Any) -> Iterator[str]:
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if isinstance(key, str):
            yield key
        yield from _keys(value)


@fuzz
@given(st.data())
def test_a_count_that_is_whole_but_written_as_a_fraction_is_one(data: st.DataObject) -> None:
    answer = data.draw(answers())
    events = []
    for event in answer.events:
        for path in _places(event) if isinstance(event, dict) else ():
            if data.draw(st.booleans()):
                node: Any = event
                for key in path:
                    node = node[key]
                event = _changed(event, path, float(node))
        events.append(event)
    found = reading(answer, answer.but(events).parts)
    assert (found.source, spent(found)) == ("reported", answer.truth)


edits = st.lists(
    st.tuples(st.sampled_from(("flip", "drop", "insert", "double")), st.floats(0, 1), st.binary(max_size=3)),
    min_size=1,
    max_size=4,
)


def _broken(body: bytes, changes: Sequence[tuple[str, float, bytes]]) -> bytes:
    for kind, place, data in changes:
        at = int(place * max(0, len(body) - 1))
        if kind == "flip" and body:
            body = body[:at] + bytes([body[at] ^ ((data or b"\x01")[0] or 1)]) + body[at + 1 :]
        elif kind == "drop":
            body = body[:at] + body[at + 1 + len(data) * 10 :]
        elif kind == "insert":
            body = body[:at] + data + body[at:]
        else:
            body = body[:at] + body[max(0, at - 40) :]
    return body


@fuzz
@given(st.data())
def test_broken_bytes_are_noticed_where_there_is_a_checksum(data: st.DataObject) -> None:
    answer = data.draw(answers())
    frames = answer.framing == "frames"
    encoding = data.draw(st.sampled_from(("", *ENCODINGS) if frames else CHECKED))
    body = data.draw(bodies(answer))
    if encoding not in CHECKED:
        body = ENCODINGS[encoding](_broken(body, data.draw(edits)))
    else:
        body = _broken(ENCODINGS[encoding](body), data.draw(edits))
    found = invariant(data.draw, answer, body, encoding)
    if decode([body], encoding):
        honest(found, answer.truth)


@fuzz
@given(st.data())
def test_broken_and_spliced_bytes_do_no_harm(data: st.DataObject) -> None:
    a, b = data.draw(answers()), data.draw(answers())
    left, right = data.draw(bodies(a)), data.draw(bodies(b))
    body = left[: data.draw(st.integers(0, len(left)))] + right[data.draw(st.integers(0, len(right))) :]
    encoding = data.draw(st.sampled_from(list(ENCODINGS)))
    body = _broken(ENCODINGS[encoding](_broken(body, data.draw(edits))), data.draw(edits))
    told = data.draw(st.sampled_from(("", *ENCODINGS, encoding, encoding, "gzip, gzip, gzip", "nonsense")))
    invariant(data.draw, a, body, told)


@fuzz
@given(st.data())
def test_two_answers_in_one_are_never_mixed(data: st.DataObject) -> None:
    make = data.draw(st.sampled_from([make for make in MAKERS if make.__name__.startswith(("chat", "messages"))]))
    a, b = data.draw(answers([make])), data.draw(answers([make]))
    found = invariant(data.draw, a, a.body + data.draw(st.sampled_from((b"", b"\n"))) + b.body)
    if found.source in ("reported", "derived"):
        assert spent(found) in (a.truth, b.truth)


_KEYS = st.sampled_from(
    sorted(
        {key for make in MAKERS for event in make(Counts(), TEXTS).events for key in _keys(event)}
        | {"code", "cost", "cost_details", "upstream_inference_cost", "is_byok", "cost_in_usd_ticks", "iterations"}
        | {"cache_creation", "server_tool_use", "web_search_requests", "cacheDetails", "ttl", "groundingMetadata"}
        | {
            "webSearchQueries",
            "tool_usage",
            "image_gen",
            "tools",
            "performanceConfig",
            "latency",
            "serviceTier",
            "speed",
        }
        | {
            "promptFeedback",
            "blockReason",
            "incomplete_details",
            "reason",
            "trafficType",
            "service_tier",
            "predictions",
        }
        | {"embeddings", "statistics", "token_count", "promptTokensDetails", "modality", "tokenCount", "audio_tokens"}
        | {
            "inputTextTokenCount",
            "totalOutputTextTokenCount",
            "num_tokens_generated",
            "generation_token_count",
            "error",
        }
    )
)
_WORDS = st.sampled_from(
    (
        *("message_start", "message_delta", "message_stop", "message-end", "response.completed", "response", "error"),
        *("chat.completion", "compaction", "web_search_call", "image", "IMAGE", "1h", "\ud800", "\x1b[2J", "<b>"),
    )
)
_LEAVES = st.none() | st.booleans() | st.integers(-1, 9) | st.sampled_from(NONSENSE) | _WORDS | st.text(max_size=3)
junk = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=6), max_leaves=25
)
objects = st.dictionaries(_KEYS, junk, max_size=6)


@settings(fuzz, max_examples=150)
@given(st.data())
def test_any_json_in_any_framing_does_no_harm(data: st.DataObject) -> None:
    answer = data.draw(st.sampled_from(MAKERS))(Counts(), ["x"])
    events = data.draw(st.lists(objects, min_size=1, max_size=3))
    answer = answer.but(events)
    if answer.framing == "frames":
        body = b"".join(frame(data.draw(st.sampled_from(("chunk", "metadata", "x"))), event) for event in events)
    else:
        names = () if data.draw(st.booleans()) else ("message_delta",) * len(events)
        body = Answer(**{**_fields(answer), "names": names}).body
    kind = data.draw(st.sampled_from((answer.content_type, "", "application/json", "text/event-stream", "x-ndjson")))
    found = read(exchange(answer, pieces(data.draw, body), content_type=kind, request=json.dumps(events[0]).encode()))
    if found is not None:
        sane(found)


def _fields(answer: Answer) -> Json:
    return {name: getattr(answer, name) for name in Answer.__dataclass_fields__}


@fuzz
@given(
    st.lists(
        st.binary(max_size=50) | st.sampled_from([part for make in MAKERS for part in make(Counts(), TEXTS[:2]).parts])
    ),
    st.sampled_from(MAKERS),
    st.sampled_from([*ENCODINGS, "gzip,gzip,gzip,gzip,gzip,gzip", "nonsense", ",,,", "\x00"]),
    st.sampled_from(["", "application/json", "text/event-stream", "application/vnd.amazon.eventstream", "\x00"]),
    st.none() | st.integers(-1, 1000),
    st.none() | st.binary(max_size=50),
)
def test_any_bytes_do_no_harm(
    parts: list[bytes], make: Maker, encoding: str, kind: str, status: int | None, request: bytes | None
) -> None:
    more = {"content_type": kind, "http_status": status, "request": request}
    found = read(exchange(make(Counts(), ["x"]), parts, encoding, **more))
    if found is not None:
        sane(found)
