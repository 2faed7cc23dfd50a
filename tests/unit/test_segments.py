"""Prompts taken apart: what each part is, what it came to, what of it was sent before, and what it cost."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tokprof
from tokprof.analysis.segments import apportion
from tokprof.meter.pieces import PARTS, pieces
from tokprof.meter.prompts import asked
from tokprof.testing import SimulatedProvider
from tokprof.views.border import pack
from tokprof.views.portions import NAMES

from .scenes import PRICED, call
from .talks import SYSTEM, TOOLS, called, send, talk, turn
from .test_border import decode

TOOL = {"name": "find", "description": "Finds", "parameters": {"type": "object", "properties": {}}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}

# flavour -> operation, request, (part, label, role, text) of each piece; None for what is no text
FLAVOURS: dict[str, tuple[str, dict[str, Any], list[tuple[str, str, str, str | None]]]] = {
    "openai chat": (
        "chat",
        {
            "messages": [
                {"role": "developer", "content": "be brief"},
                {"role": "user", "content": "and now?"},
                {"role": "assistant", "content": "wait", "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"x":1}'}}
                ]},
                {"role": "tool", "tool_call_id": "c1", "content": "nothing"},
                {"role": "user", "content": [{"type": "text", "text": "look"}, IMAGE]},
            ],
            "tools": [{"type": "function", "function": TOOL}, {"type": "web_search"}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "Joke", "schema": {"type": "object"}}},
        },
        [
            ("tools", "find", "", '{"name":"find","description":"Finds","schema":{"type":"object","properties":{}}}'),
            ("tools", "web_search", "", None),
            ("format", "Joke", "", '# Response Formats\n\n## Joke\n\n{"type":"object"}'),
            ("system", "messages[0]", "developer", "be brief"),
            ("history", "messages[1]", "user", "and now?"),
            ("history", "messages[2]", "assistant", "wait"),
            ("history", "find", "tool call", 'find{"x":1}'),
            ("tool result", "find", "tool", "nothing"),
            ("user", "messages[4]", "user", "look"),
            ("image", "messages[4]", "user", None),
        ],
    ),
    "openai responses": (
        "responses",
        {
            "instructions": "be brief",
            "previous_response_id": "resp_1",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "hello"},
                                             {"type": "input_file", "file_data": "AAAA"}]},
                {"type": "function_call", "call_id": "c", "name": "find", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "nothing"},
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "x"},
            ],
        },
        [
            ("system", "instructions", "system", "be brief"),
            ("history", "previous_response_id", "", None),
            ("user", "input[0]", "user", "hello"),
            ("file", "input[0]", "user", None),
            ("history", "find", "tool call", "find{}"),
            ("tool result", "find", "tool", "nothing"),
            ("history", "input[3]", "assistant", "hm"),
        ],
    ),
    "anthropic messages": (
        "messages",
        {
            "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": "hello"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "find", "input": {}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": [
                        {"type": "text", "text": "no"},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                    ]},
                    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a book"}},
                    {"type": "text", "text": "go on"},
                ]},
            ],
            "tools": [{"name": "find", "description": "Finds", "input_schema": TOOL["parameters"]}],
        },
        [
            ("tools", "find", "", '{"name":"find","description":"Finds","schema":{"type":"object","properties":{}}}'),
            ("system", "system", "system", "be brief"),
            ("history", "messages[0]", "user", "hello"),
            ("history", "find", "tool call", "find{}"),
            ("tool result", "find", "tool", "no"),
            ("file", "messages[2]", "user", "a book"),
            ("user", "messages[2]", "user", "go on"),
            ("image", "messages[2]", "tool", None),
        ],
    ),
    "gemini": (
        "generate_content",
        {
            "systemInstruction": {"parts": [{"text": "be brief"}]},
            "contents": [
                {"role": "user", "parts": [{"text": "hello"},
                                           {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}]},
                {"role": "model", "parts": [{"functionCall": {"name": "find", "args": {}}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "find", "response": {"r": 1}}}]},
            ],
        },
        [
            ("system", "systemInstruction", "system", "be brief"),
            ("user", "contents[0]", "user", "hello"),
            ("audio", "contents[0]", "user", None),
            ("history", "find", "tool call", "find{}"),
            ("tool result", "find", "tool", 'find{"r": 1}'),
        ],
    ),
    "bedrock converse": (
        "converse",
        {
            "system": [{"text": "be brief"}, {"cachePoint": {"type": "default"}}],
            "messages": [
                {"role": "user", "content": [{"text": "hello"}, {"document": {"name": "d", "source": {"bytes": "A"}}}]},
                {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "find", "input": {}}}]},
                {"role": "user", "content": [{"toolResult": {"toolUseId": "t", "content": [{"json": {"r": 1}}]}}]},
            ],
        },
        [
            ("system", "system", "system", "be brief"),
            ("user", "messages[0]", "user", "hello"),
            ("file", "messages[0]", "user", None),
            ("history", "find", "tool call", "find{}"),
            ("tool result", "find", "tool", '{"r": 1}'),
        ],
    ),
    "ollama": (
        "chat",
        {
            "messages": [
                {"role": "user", "content": "hello", "images": ["AAAA"]},
                {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "find", "arguments": {}}}]},
                {"role": "tool", "tool_name": "find", "content": "nothing"},
            ]
        },
        [
            ("user", "messages[0]", "user", "hello"),
            ("image", "messages[0]", "user", None),
            ("history", "find", "tool call", "find{}"),
            ("tool result", "find", "tool", "nothing"),
        ],
    ),
    "ollama generate": (
        "completions",
        {"prompt": "hello", "system": "be brief", "context": [1, 2, 3]},
        [
            ("system", "system", "system", "be brief"),
            ("history", "context", "", ""),
            ("user", "prompt", "user", "hello"),
        ],
    ),
    "cohere 1": (
        "chat",
        {
            "preamble": "be brief",
            "chat_history": [{"role": "USER", "message": "hi"}, {"role": "CHATBOT", "message": "hello"}],
            "message": "well?",
            "documents": [{"text": "d"}],
        },
        [
            ("system", "preamble", "system", "be brief"),
            ("file", "documents", "user", '[{"text": "d"}]'),
            ("history", "chat_history[0]", "user", "hi"),
            ("history", "chat_history[1]", "assistant", "hello"),
            ("user", "message", "user", "well?"),
        ],
    ),
    "mistral": (
        "chat",
        {
            "messages": [
                {"role": "user", "content": "hello"},
                {"role": "assistant", "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]},
                {"role": "tool", "name": "find", "tool_call_id": "c", "content": "nothing"},
                {"role": "user", "content": "one"},
                {"role": "user", "content": "two"},
            ]
        },
        [
            ("history", "messages[0]", "user", "hello"),
            ("history", "messages[1]", "assistant", "hm"),
            ("tool result", "find", "tool", "nothingfind"),
            ("user", "messages[3]", "user", "one"),
            ("user", "messages[4]", "user", "two"),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_pieces_of_each_dialect(flavour: str) -> None:
    operation, request, expected = FLAVOURS[flavour]
    found = pieces(asked(json.dumps(request).encode(), operation))
    assert [(each.part, each.label, each.role, each.text) for each in found] == [
        (part, label, role, text or "") for part, label, role, text in expected
    ]
    hidden = [each.thing is not None for each in found]
    assert hidden == [
        text is None or each.label == "input[3]" for each, (*_, text) in zip(found, expected, strict=True)
    ]
    assert {each.part for each in found} <= set(PARTS)


@pytest.mark.parametrize("body", [None, b"", b"[]", b'{"messages": 7}', b'{"tools": 7}', b'{"input": {"a": 1}}'])
def test_what_cannot_be_read_has_no_pieces(body: bytes | None) -> None:
    assert [each for each in pieces(asked(body, "chat")) if each.texts] == []


def test_what_changes_at_the_beginning_leaves_the_rest_sent_before(clock: Any) -> None:
    handbook = "Quote the number of the invoice. " * 30  # 990 characters
    with tokprof.profile("In[1]") as prof, tokprof.span("desk", kind="agent"):
        for number in (1, 2):
            system = turn("system", f"Ticket {number}. {handbook}")
            send(clock, {"model": PRICED, "messages": [system]}, input_tokens=1000, output_tokens=5)
    found = prof.segments()
    assert found.step.unique().tolist() == ["desk"]
    assert found[found.part == "system"].replayed_tokens.tolist()[0] == 0
    share = found[found.part == "system"].iloc[1]
    assert share.replayed_tokens / share.tokens == pytest.approx(0.992, abs=0.005)  # all but "Ticket 2"


def test_a_call_by_hand(clock: Any) -> None:
    with tokprof.profile("In[1]") as prof:
        first = [turn("system", "be brief"), turn("user", "hello world")]
        send(clock, {"model": PRICED, "messages": first}, input_tokens=30, output_tokens=5)
        then = [*first, turn("assistant", "hello world"), turn("user", "2 + 2 = 4")]
        send(clock, {"model": PRICED, "messages": then}, input_tokens=31, output_tokens=5, cache_read_tokens=10)
    found = prof.segments()
    assert found.columns.tolist() == [
        "span_id", "name", "step", "function", "where", "position", "part", "label", "role", "characters",
        "estimated_tokens", "tokens", "replayed_tokens", "new_tokens", "cached_tokens", "cost", "usage_source",
    ]  # fmt: skip
    one, two = (found[found.span_id == each].set_index("position") for each in prof.calls.span_id)
    assert one.part.tolist() == ["system", "user", "frame"]
    assert one.estimated_tokens.tolist() == [2, 2, 11]  # two messages of 4, and 3
    assert one.tokens.tolist() == [4, 4, 22] and one.new_tokens.tolist() == [4, 4, 22]
    assert two.part.tolist() == ["system", "history", "history", "user", "frame"]
    assert two.role.tolist() == ["system", "user", "assistant", "user", ""]
    assert two.estimated_tokens.tolist() == [2, 2, 2, 7, 19]
    # 31 of 32 tokens: all but a thirty-second of each; the largest remainders are those of the four smallest
    assert two.tokens.tolist() == [2, 2, 2, 7, 18]
    assert two.replayed_tokens.tolist() == [2, 2, 0, 0, 5]  # the answer is sent for the first time; 4/13 of the frame
    assert two.cached_tokens.tolist() == [2, 2, 2, 4, 0]  # from the front
    fresh, read = 0.15e-6, 0.075e-6
    assert two.cost.tolist() == pytest.approx([2 * read, 2 * read, 2 * read, 4 * read + 3 * fresh, 18 * fresh])
    assert found.usage_source.unique().tolist() == ["reported"]
    assert found.characters.isna().tolist() == (found.part == "frame").tolist()
    assert found.attrs["unread_calls"] == 0


def test_pictures_take_what_was_told_of_them_or_what_is_left(clock: Any) -> None:
    seen = {"model": PRICED, "messages": [turn("user", [{"type": "text", "text": "hello world"}, IMAGE, IMAGE])]}  # type: ignore[arg-type]
    with tokprof.profile("In[1]") as prof:
        send(clock, seen, input_tokens=1009, output_tokens=1, input_image_tokens=800)
        send(clock, seen, input_tokens=1009, output_tokens=1)
        send(clock, seen, input_tokens=5, output_tokens=1)
    found = prof.segments()
    told, left, few = (found[found.span_id == each] for each in prof.calls.span_id)
    assert told.part.tolist() == ["user", "image", "image", "frame"]
    assert told.estimated_tokens.isna().tolist() == [False, True, True, False]
    assert told.tokens.tolist() == [46, 400, 400, 163]  # of the other 209, 2 and 7 ninths
    assert left.tokens.tolist() == [2, 500, 500, 7]
    assert few.tokens.tolist() == [1, 0, 0, 4]
    assert left.replayed_tokens.tolist() == [2, 500, 500, 7]


def test_tools_are_parts_of_their_own(clock: Any) -> None:
    prof = talk(clock, 3)
    tools = prof.segments().query("part == 'tools'")
    assert tools.label.tolist() == ["search", "read_page", "delete_all"] * 3
    assert tools.replayed_tokens.iloc[:3].tolist() == [0, 0, 0]
    assert (tools.replayed_tokens.iloc[3:] == tools.tokens.iloc[3:]).all()
    results = prof.segments().query("part == 'tool result'")
    assert results.label.tolist() == ["search", "search", "read_page"]
    assert results.new_tokens.gt(0).tolist() == [True, False, True]


def test_a_message_that_grows_is_sent_again_up_to_where_it_differs(clock: Any) -> None:
    long = "".join(f"{at:04} " for at in range(200))
    with tokprof.profile("In[1]") as prof:
        for text in (long, long + long, "0000 other", f"  {long}\n"):
            send(clock, {"model": PRICED, "messages": [turn("user", text)]}, input_tokens=1000, output_tokens=1)
    users = prof.segments().query("part == 'user'")
    shares = (users.replayed_tokens / users.tokens).tolist()
    assert shares == pytest.approx([0, 0.5, 0, 1], abs=2e-3)  # what begins alike by chance does not count


def test_what_runs_side_by_side_or_was_never_sent_does_not_count(clock: Any) -> None:
    def ask(seconds: float) -> Any:
        with tokprof.span("chat", kind="llm") as step:
            clock.advance(seconds)
            step.record(model=PRICED, input_tokens=100, output_tokens=1)
        step.span.content = {"prompt": json.dumps({"messages": [turn("user", "hello " * 40)]})}  # type: ignore[union-attr]
        return step.span

    def replayed(prof: tokprof.Profile) -> list[int]:
        return list(prof.segments().groupby("span_id", sort=False).replayed_tokens.sum())

    with tokprof.profile("In[1]") as prof:
        first, second, _ = ask(1), ask(1), ask(1)
    second.opened = first.opened + 1
    assert replayed(prof) == [0, 0, 100]
    with tokprof.profile("In[2]") as unsent:
        ask(1).sent = False
        ask(1)
    assert replayed(unsent) == [0, 0]


def test_earlier_turns_that_the_provider_keeps(clock: Any) -> None:
    with tokprof.profile("In[1]") as prof:
        send(clock, {"model": PRICED, "input": "hello"}, {"id": "resp_1"}, operation="responses",
             input_tokens=10, output_tokens=5)  # fmt: skip
        for earlier in ("resp_1", "resp_of_another_day"):
            body = {"model": PRICED, "input": "well?", "previous_response_id": earlier}
            send(clock, body, {"id": "resp_2"}, operation="responses", input_tokens=30, output_tokens=5)
    kept = prof.segments().query("label == 'previous_response_id'")
    assert kept.tokens.tolist() == [21, 21]  # 30 less 2 tokens, and 7 of the frame
    assert kept.replayed_tokens.tolist() == [21, 0]


def test_calls_without_a_prompt_or_without_figures(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile("In[1]") as prof:
        call(clock, 1, input_tokens=10, output_tokens=1)
        send(clock, {"model": PRICED, "messages": [turn("user", "hello world")]})
        send(clock, {"model": "mystery", "messages": [turn("user", "hello world")]}, input_tokens=10, output_tokens=1)
        send(clock, {"model": PRICED}, input_tokens=10, output_tokens=1)
        with tokprof.span("embed", kind="embedding") as step:
            step.record(model="text-embedding-3-small", operation="embeddings", input_tokens=5)
    found = prof.segments()
    assert found.attrs["unread_calls"] == 2
    silent, unpriced = (group for _, group in found.groupby("span_id", sort=False))
    assert silent.estimated_tokens.tolist() == [2, 7]
    assert silent[["tokens", "replayed_tokens", "new_tokens", "cached_tokens", "cost"]].isna().all(axis=None)
    assert unpriced.tokens.sum() == 10 and unpriced.cost.isna().all()
    with tokprof.profile("none") as none:
        pass
    assert none.segments().empty and none.segments().columns.tolist() == found.columns.tolist()


def test_no_content_in_it(clock: Any) -> None:
    frame = talk(clock).segments()
    said = frame.to_csv() + frame.attrs.__repr__()
    assert "research" not in said and "Vienna" not in said and "river" not in said


def test_a_prompt_that_was_estimated_comes_to_its_estimate(provider: SimulatedProvider) -> None:
    client = provider.openai()
    with tokprof.profile(capture="full") as prof:
        turns: Any = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "hello world"}]
        tools: Any = TOOLS
        list(client.chat.completions.create(model="gpt-4o-mini", messages=turns, tools=tools, stream=True))
    found = prof.segments()
    assert found.usage_source.unique().tolist() == ["estimated"]
    assert found.tokens.tolist() == found.estimated_tokens.tolist()
    assert found.tokens.sum() == prof.calls.input_tokens.iloc[0]


# --- for any prompt ------------------------------------------------------------------------------


def anything(chance: random.Random) -> dict[str, Any]:
    """A request with whatever may be in one."""

    def words(most: int) -> str:
        return " ".join(
            chance.choices(["river", "Ω", "long", "\ud83d\ude00", "{}", "\n", "a" * 30], k=chance.randrange(most))
        )

    def message(at: int) -> dict[str, Any]:
        role = chance.choice(["user", "assistant", "system", "tool", "critic"])
        if chance.random() < 0.2:
            return called(f"tool{chance.randrange(3)}", at)
        content: Any = words(60)
        if chance.random() < 0.3:
            content = [
                {"type": "text", "text": words(9)},
                chance.choice([IMAGE, {"type": "input_audio"}, {"type": "file"}]),
            ]
        return turn(role, content, tool_call_id=f"call_{at}")

    body: dict[str, Any] = {"model": chance.choice([PRICED, "claude-haiku-4-5"])}
    body["messages"] = [message(at) for at in range(chance.randrange(9))]
    body["tools"] = chance.sample(TOOLS, chance.randrange(4))
    if chance.random() < 0.3:
        body["previous_response_id"] = "resp"
    return body


@pytest.mark.parametrize("seed", range(12))
def test_parts_come_to_what_the_call_told(seed: int, clock: Any) -> None:
    chance = random.Random(seed)
    with tokprof.profile("In[1]") as prof:
        for _ in range(25):
            whole = chance.choice([0, 1, 7, 1000, chance.randrange(10**6)])
            read = chance.randrange(whole + 1)
            body = anything(chance)
            send(
                clock,
                body,
                seconds=chance.choice([0, 1]),
                input_tokens=whole,
                output_tokens=3,
                cache_read_tokens=read,
                cache_write_tokens=chance.randrange(whole - read + 1),
                input_image_tokens=chance.choice([None, 0, whole // 3, whole + 5]),
            )
    found = prof.segments()
    calls = prof.calls.set_index("span_id")
    sums = found.groupby("span_id")[["tokens", "replayed_tokens", "new_tokens", "cached_tokens"]].sum()
    calls = calls.loc[sums.index]
    assert (sums.tokens == calls.input_tokens).all()
    assert (sums.replayed_tokens + sums.new_tokens == sums.tokens).all()
    assert (sums.cached_tokens == calls.cache_read_tokens).all()
    assert (found[["tokens", "replayed_tokens", "new_tokens", "cached_tokens"]] >= 0).all(axis=None)
    assert (found.cached_tokens <= found.tokens).all()
    paid = calls[["cost_input", "cost_cache_read", "cost_cache_write"]].sum(axis=1, min_count=3)
    assert found.groupby("span_id").cost.sum(min_count=1).to_numpy() == pytest.approx(paid.to_numpy(), nan_ok=True)
    # what is cached stands at the front
    for _, parts in found.groupby("span_id"):
        full = (parts.cached_tokens == parts.tokens).to_numpy(bool)
        some = parts.cached_tokens.gt(0).to_numpy(bool)
        assert not some[1:][~np.minimum.accumulate(full)[:-1]].any()


@pytest.mark.parametrize("seed", range(20))
def test_shares_come_to_the_whole(seed: int) -> None:
    chance = random.Random(seed)
    weights = [chance.choice([0, 1, chance.randrange(10**6)]) for _ in range(chance.randrange(1, 30))]
    whole = chance.randrange(10**9)
    shares = apportion(whole, weights)
    assert sum(shares) == whole
    total = sum(weights)
    if total:
        assert all(abs(share - whole * weight / total) < 1.0001 for share, weight in zip(shares, weights, strict=True))


def test_the_same_in_every_process() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from tests.unit.talks import talk\n"
        "class Clock:\n    def advance(self, seconds): pass\n"
        "frame = talk(Clock(), 4).segments().drop(columns=['span_id'])\n"
        "print(frame.to_csv())"
    )
    root = str(Path(__file__).parents[2])
    said = {
        subprocess.run(
            [sys.executable, "-c", code, root],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            timeout=120,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


# --- what the views show -------------------------------------------------------------------------


def test_the_block_has_the_parts_of_each_call_and_no_content(clock: Any) -> None:
    prof = talk(clock)
    block = pack(prof.table, prof.call_tree, {}, prompts=True)
    header, columns = decode(block)
    assert header["parts"] == list(NAMES)
    nodes = columns["segment_node"]
    assert len(nodes) != header["nodes"] and (np.diff(nodes) >= 0).all()
    assert set(nodes.tolist()) == {at for at, name in enumerate(prof.call_tree.name) if name == "chat"}
    for node in set(nodes.tolist()):
        theirs = nodes == node
        assert columns["segment_tokens"][theirs].sum() == columns["input"][node]
        assert columns["segment_cached"][theirs].sum() == (columns["cache_read"][node])
        paid = columns["cost"][node] - columns["cost_output"][node]
        assert columns["segment_cost"][theirs].sum() == pytest.approx(paid)
    assert columns["segment_new"].sum() == prof.segments().new_tokens.sum()
    named = {header["strings"][at] for at in columns["segment_label"] if at >= 0}
    assert named == {"search", "read_page", "delete_all"}
    assert b"Vienna" not in block
    assert "segment_node" not in decode(pack(prof.table, prof.call_tree, {}))[1]
    assert "segment_node" not in decode(pack(prof.table, prof.call_tree, {"truncated": True}, prompts=True))[1]
    assert "segment_node" in decode(prof.flamegraph()._block)[1]
    assert "segment_node" not in decode(prof.dag()._block)[1]


def test_a_call_with_very_many_parts_is_bounded(clock: Any) -> None:
    tools = [{"type": "function", "function": {**TOOL, "name": f"tool_{at}"}} for at in range(200)]
    with tokprof.profile("In[1]") as prof:
        body = {"model": PRICED, "messages": [turn("user", "hello")], "tools": tools}
        send(clock, body, input_tokens=100_000, output_tokens=1)
    header, columns = decode(prof.flamegraph()._block)
    assert len(columns["segment_node"]) == 12
    assert header["parts"][columns["segment_part"][-1]] == "smaller parts"
    assert columns["segment_tokens"].sum() == 100_000


def test_a_profile_that_goes_on_has_no_parts_yet(clock: Any) -> None:
    with tokprof.profile("In[1]") as prof:
        send(clock, {"model": PRICED, "messages": [turn("user", "hello")]}, input_tokens=10, output_tokens=1)
        assert "segment_node" not in decode(prof.flamegraph()._block)[1]
    assert "segment_node" in decode(prof.flamegraph()._block)[1]


def test_the_chart_of_prompts(clock: Any) -> None:
    prof = talk(clock)
    for metric, column in (("tokens", "tokens"), ("cost", "cost")):
        chart = prof.prompts(metric)
        spec = chart._repr_mimebundle_()["application/vnd.vegalite.v5+json"]
        rows = pd.DataFrame(
            spec["data"]["values"] if "values" in spec["data"] else spec["datasets"][spec["data"]["name"]]
        )
        found = prof.segments()
        assert rows.amount.sum() == pytest.approx(found[column].sum(), rel=1e-4)
        assert rows.call.unique().tolist() == list("123456")
        assert set(rows.part) == set(found.part)
    before = rows[rows.state == "sent before"].amount.sum()
    assert before == pytest.approx((found.cost * found.replayed_tokens / found.tokens).sum(), rel=1e-4)
    assert "tool result" in str(chart) and "sent before" in chart.svg
    with pytest.raises(ValueError, match="'time' is nothing that prompts are made of; known: tokens, cost"):
        prof.prompts("time")


def test_very_many_calls_are_means(clock: Any) -> None:
    with tokprof.profile("In[1]") as prof:
        for _ in range(450):
            send(clock, {"model": PRICED, "messages": [turn("user", "hi")]}, input_tokens=10, output_tokens=1)
    chart = prof.prompts()
    assert "means of 3 calls" in str(chart)
    assert chart.svg.count("<rect") <= 150 * 4 + 8
    assert chart.chart.to_dict()["height"] == 240


def test_a_chart_without_prompts_says_what_is_missing(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile("In[1]") as prof:
        call(clock, 1, input_tokens=10, output_tokens=1)
    chart = prof.prompts()
    assert 'no prompts were kept; profile with capture="full"' in str(chart)
    assert "no prompts were kept" in chart.svg
    assert chart._repr_mimebundle_()["application/vnd.vegalite.v5+json"]["height"] == 1  # none of 0 ends in a browser
    with tokprof.profile("In[2]") as some:
        call(clock, 1, input_tokens=10, output_tokens=1)
        send(clock, {"model": "mystery", "messages": [turn("user", "hi")]}, input_tokens=10, output_tokens=1)
        send(clock, {"model": PRICED, "messages": [turn("user", "hi")]}, input_tokens=10, output_tokens=1)
    assert "1 call without a prompt" in str(some.prompts())
    assert "1 call without a known cost." in str(some.prompts("cost"))


def test_without_prompts_it_says_why(clock: Any) -> None:
    with tokprof.profile("In[1]") as prof, tokprof.span("chat", kind="llm") as step:
        step.record(model=PRICED, input_tokens=10, output_tokens=5)
    for asked_for in (prof.segments, prof.flow):
        with pytest.warns(UserWarning, match='the one call here were not kept: profile with capture="full"'):
            assert asked_for().empty
