"""Where information went: each case by hand, in the bodies of several providers, with what it came to in tokens."""

from __future__ import annotations

import json
import threading
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tokprof
from tokprof.analysis.fingerprints import plain
from tokprof.testing import SimulatedProvider

COLUMNS = [
    "source", "target", "source_name", "target_name", "via", "tool", "characters", "tokens", "share", "positions",
]  # fmt: skip
NEWS = "Rain is expected over Zürich on Sunday; the lake festival has been moved to the week after."
OTHER = "Meanwhile the harbour of Genoa reports that nineteen ships are waiting for a free berth."


def undone(text: str) -> str:
    return "".join(map(chr, plain(text).codes.tolist()))


def chat(content: Any, **more: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", "content": content, **more}}]}


def ask(
    clock: Any, name: str, sent: Any, given: Any, *, tokens: tuple[int, int] = (100, 50), **more: Any
) -> None:  # fmt: skip
    """A call of one second whose bodies are kept, as capture="full" keeps them; texts stand for whole bodies."""
    if isinstance(sent, str):
        sent = {"messages": [{"role": "user", "content": sent}]}
    given = chat(given) if isinstance(given, str) else given
    with tokprof.span(name, kind="llm") as step:
        clock.advance(1)
        step.record(model="m", input_tokens=tokens[0], output_tokens=tokens[1])
        assert step.span is not None
        answer = given if isinstance(given, bytes) else json.dumps(given).encode()
        step.span.content = {"prompt": json.dumps(sent), "answer": answer.decode()}
        for field, value in more.items():
            setattr(step.span, field, value)


def flow(prof: tokprof.Profile) -> Any:
    return prof.flow()


def edges(prof: tokprof.Profile) -> list[tuple[str, str, str]]:
    return list(flow(prof)[["source_name", "target_name", "via"]].itertuples(index=False, name=None))


def the(prof: tokprof.Profile) -> Any:
    found = flow(prof)
    assert len(found) == 1, found
    return found.iloc[0]


def test_a_quote_is_a_flow(clock: Any) -> None:
    with tokprof.profile() as prof:
        ask(clock, "writer", "What is new?", NEWS, tokens=(10, 25))
        prompt = f"Translate into French:\n{NEWS}\nKeep names."
        ask(clock, "translator", prompt, "Il pleut.", tokens=(30, 5))
    found = flow(prof)
    assert found.columns.tolist() == COLUMNS and found.attrs["unread_calls"] == 0
    row = the(prof)
    ids = prof.calls.set_index("name").span_id
    assert (row.source, row.target) == (ids["writer"], ids["translator"])
    assert (row.source_name, row.target_name, row.via, row.tool) == ("writer", "translator", "text", None)
    assert row.characters == len(NEWS) and row.share == 1
    assert row.tokens == round(30 * len(NEWS) / len(prompt)) <= 25
    assert row.positions == ((0, prompt.index(NEWS), len(NEWS)),)


def test_an_edited_quote_is_as_many_flows_as_are_left_of_it(clock: Any) -> None:
    edited = NEWS.replace("Sunday", "Monday").replace("the week after", "another week")
    with tokprof.profile() as prof:
        ask(clock, "writer", "What is new?", NEWS)
        ask(clock, "editor", f"Check:\n> {edited}", "Fine.")
    row = the(prof)
    prompt = f"Check:\n> {edited}"
    assert [NEWS[a : a + n] for a, _, n in row.positions] == [prompt[b : b + n] for _, b, n in row.positions]
    assert row.characters == sum(n for *_, n in row.positions) < len(NEWS)
    assert row.share == pytest.approx(
        74 / 91
    )  # "; the lake festival ... moved to "; the rest is too short to be sure of


def test_a_quote_that_json_has_escaped_is_found(clock: Any) -> None:
    said = 'She wrote "never again",\nand then – in her own hand – "perhaps"\tbelow it.'
    arguments = json.dumps({"note": json.dumps({"text": said})})
    given = chat(None, tool_calls=[{"id": "c1", "function": {"name": "save", "arguments": arguments}}])
    with tokprof.profile() as prof:
        ask(clock, "planner", "Make a note.", given)
        ask(clock, "reader", f"The note says:\n{said}", "Noted.")
        ask(clock, "archive", json.dumps({"notes": [said]}), "Kept.")
    found = flow(prof)
    assert found.source_name.tolist() == ["planner", "planner"]
    prompts = [f"The note says:\n{said}", json.dumps({"notes": [said]})]
    assert found.characters.tolist() == [len(said), len(json.dumps(said))]
    for positions, prompt in zip(found.positions, prompts, strict=True):
        ((_, place, length),) = positions
        assert prompt[place : place + length] in (said, json.dumps(said))


def test_text_of_the_program_itself_is_no_flow(clock: Any) -> None:
    template = "You are a careful editor. Answer in JSON, with the keys title, summary and sources, and nothing else."
    with tokprof.profile() as prof:
        ask(clock, "first", f"{template}\n\nTopic: rain", f"As you say, {template[26:90]}. Here it is.")
        ask(clock, "second", f"{template}\n\nTopic: harbours", "Done.")
        system = {"messages": [{"role": "system", "content": template}, {"role": "user", "content": "Go on."}]}
        ask(clock, "third", system, template)
        ask(clock, "fourth", system, "Done.")
    assert edges(prof) == []


def test_two_calls_that_know_the_same_are_no_flow(clock: Any) -> None:
    proverb = "A journey of a thousand miles begins with a single step, they say."
    with tokprof.profile() as prof:
        ask(clock, "first", f"Explain: {proverb}", "It is about patience.")
        ask(clock, "second", "Tell me something wise.", f"Well. {proverb} So go.")
        ask(clock, "third", f"Compare {proverb} with other proverbs.", "There are many.")
    assert edges(prof) == []


def test_what_an_answer_only_passes_on_is_its_own_all_the_same(clock: Any) -> None:
    with tokprof.profile() as prof:
        ask(clock, "first", f"Summarise:\n{NEWS}\n{OTHER}", "It is about weather and ships.")
        ask(clock, "picker", f"Which is about weather?\n{NEWS}\n{OTHER}", f"This one: {NEWS}")
        ask(clock, "judge", f"Is this about weather? This one: {NEWS}", "Yes.")
    assert edges(prof) == [("picker", "judge", "text")]


def test_of_answers_that_hold_the_same_the_nearest_is_the_source(clock: Any) -> None:
    with tokprof.profile() as prof:
        ask(clock, "first", "Tell me.", f"{NEWS} {OTHER}")
        ask(clock, "second", f"Shorten: {NEWS} {OTHER}", f"In short: {NEWS}")
        ask(clock, "near", f"Quote: {NEWS}", "One.")
        ask(clock, "whole", f"All of it: {NEWS} {OTHER}!", "Two.")
    assert edges(prof) == [
        ("first", "second", "text"), ("second", "near", "text"), ("first", "whole", "text"),
    ]  # fmt: skip


def test_each_character_has_one_source(clock: Any) -> None:
    with tokprof.profile() as prof:
        ask(clock, "first", "One.", NEWS)
        ask(clock, "second", "Two.", OTHER)
        ask(clock, "third", f"{NEWS}{OTHER}{NEWS}", "Three.", tokens=(1000, 5))
    found = flow(prof)
    assert found.characters.tolist() == [2 * len(NEWS), len(OTHER)] and found.share.tolist() == [1, 1]
    places = sorted((b, b + n) for positions in found.positions for _, b, n in positions)
    assert places == [
        (0, len(NEWS)), (len(NEWS), len(NEWS + OTHER)), (len(NEWS + OTHER), len(NEWS + OTHER + NEWS)),
    ]  # fmt: skip
    assert found.tokens.tolist() == [50, 50]  # as many as the answers had, though it takes more of the prompt


def test_calls_side_by_side_cannot_have_fed_each_other(clock: Any) -> None:
    with tokprof.profile() as prof:
        ask(clock, "first", "One.", NEWS)
        ask(clock, "second", f"Two: {NEWS}", "No.")
    spans = {span.name: span for span in prof.table.spans}
    assert edges(prof) == [("first", "second", "text")]
    spans["second"].opened = spans["first"].opened + 1
    prof._cache.clear()
    assert flow(prof).empty
    spans["first"].closed = None
    prof._cache.clear()
    assert flow(prof).empty


def test_a_conversation_is_history_whatever_it_is_about(clock: Any) -> None:
    turns: list[dict[str, Any]] = [{"role": "system", "content": "Be brief."}]
    with tokprof.profile() as prof:
        for name, question, given in (
            ("a", "Rain?", "Yes."),
            ("b", "Wind?", "No."),
            ("c", "Sun?", "Yes."),
            ("d", "Snow?", "No"),
        ):
            turns.append({"role": "user", "content": question})
            ask(clock, name, {"messages": list(turns)}, given)
            turns.append({"role": "assistant", "content": given})
    assert edges(prof) == [("a", "b", "history"), ("a", "c", "history"), ("b", "c", "history"),
                           ("a", "d", "history"), ("b", "d", "history"), ("c", "d", "history")]  # fmt: skip
    assert flow(prof).share.tolist() == [1] * 6


def test_conversations_side_by_side_are_not_mixed_up(clock: Any) -> None:
    hello = "Hello! How can I help you today, my friend?"
    with tokprof.profile() as prof:
        for name in ("one", "two"):
            ask(clock, name, f"I am {name}.", hello)
        for name in ("one", "two"):
            turns = [{"role": "user", "content": f"I am {name}."}, {"role": "assistant", "content": hello}]
            ask(clock, f"{name} again", {"messages": [*turns, {"role": "user", "content": "Go on."}]}, "Well.")
    assert edges(prof) == [("one", "one again", "history"), ("two", "two again", "history")]


def test_examples_that_the_program_wrote_are_no_history(clock: Any) -> None:
    shots = [{"role": "user", "content": "2 + 2"}, {"role": "assistant", "content": "The answer is 4."}]
    with tokprof.profile() as prof:
        ask(clock, "first", {"messages": [*shots, {"role": "user", "content": "1 + 3"}]}, "The answer is 4.")
        ask(clock, "second", {"messages": [*shots, {"role": "user", "content": "5 + 5"}]}, "The answer is 10.")
    assert edges(prof) == []


RESULT = "Sunny, 24 degrees, with a light breeze from the west and a clear sky in the evening hours."


def openai(turn: int) -> tuple[Any, Any]:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Bern"}'}}
    sent: list[Any] = [{"role": "user", "content": "Bern?"}]
    if turn:
        sent += [{"role": "assistant", "content": None, "tool_calls": [call]}]
        sent += [{"role": "tool", "tool_call_id": "call_1", "content": RESULT}]
    return {"messages": sent}, chat("Go out.") if turn else chat(None, tool_calls=[call])


def responses(turn: int) -> tuple[Any, Any]:
    call = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "weather",
        "arguments": '{"city":"Bern"}',
    }
    sent: list[Any] = [{"role": "user", "content": "Bern?"}]
    sent += [call, {"type": "function_call_output", "call_id": "call_1", "output": RESULT}] if turn else []
    text = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Go out."}]}
    return {"input": sent}, {"output": [text if turn else call]}


def stateful(turn: int) -> tuple[Any, Any]:
    """The provider keeps the turns: only the result is sent."""
    sent, given = responses(turn)
    return {"input": sent["input"][-1:], **({"previous_response_id": "resp_1"} if turn else {})}, given


def anthropic(turn: int) -> tuple[Any, Any]:
    call = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Bern"}}
    sent: list[Any] = [{"role": "user", "content": "Bern?"}]
    if turn:
        sent += [{"role": "assistant", "content": [call]}]
        result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": RESULT}]}
        sent += [{"role": "user", "content": [result, {"type": "text", "text": "Well?"}]}]
    text = {"type": "text", "text": "Go out."}
    return {"messages": sent}, {"type": "message", "role": "assistant", "content": [text if turn else call]}


def gemini(turn: int) -> tuple[Any, Any]:
    call = {"functionCall": {"name": "weather", "args": {"city": "Bern"}}}
    sent: list[Any] = [{"role": "user", "parts": [{"text": "Bern?"}]}]
    if turn:
        response = {"functionResponse": {"name": "weather", "response": {"result": RESULT}}}
        sent += [{"role": "model", "parts": [call]}, {"role": "user", "parts": [response]}]
    part = {"text": "Go out."} if turn else call
    return {"contents": sent}, {"candidates": [{"content": {"role": "model", "parts": [part]}}]}


def bedrock(turn: int) -> tuple[Any, Any]:
    call = {"toolUse": {"toolUseId": "tooluse_1", "name": "weather", "input": {"city": "Bern"}}}
    sent: list[Any] = [{"role": "user", "content": [{"text": "Bern?"}]}]
    if turn:
        result = {"toolResult": {"toolUseId": "tooluse_1", "content": [{"text": RESULT}]}}
        sent += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    part = {"text": "Go out."} if turn else call
    return {"messages": sent}, {"output": {"message": {"role": "assistant", "content": [part]}}}


@pytest.mark.parametrize("wire", [openai, responses, stateful, anthropic, gemini, bedrock])
@pytest.mark.parametrize("seen", [True, False])
def test_the_result_of_a_tool_comes_from_the_tool_that_was_called(wire: Any, seen: bool, clock: Any) -> None:
    with tokprof.profile() as prof:
        ask(clock, "plan", *wire(0), tokens=(10, 12))
        if seen:
            with tokprof.span("weather", kind="tool"):
                clock.advance(1)
        ask(clock, "act", *wire(1), tokens=(60, 3))
    found = flow(prof)
    result = found[found.share.isna()].squeeze()
    assert (result.source_name, result.target_name) == ("weather" if seen else "plan", "act")
    assert (result.via, result.tool) == ("tool", "weather") and len(RESULT) <= result.characters <= len(RESULT) + 14
    assert 20 < result.tokens <= 60 and result.positions == ()
    if wire is not stateful:
        again = found[found.via == "history"].squeeze()
        assert (again.source_name, again.target_name, again.share) == ("plan", "act", 1)
    if seen:
        called = found[found.target_name == "weather"].squeeze()
        assert (called.source_name, called.via, called.tokens) == ("plan", "tool", 12)
    assert len(found) == 1 + (wire is not stateful) + seen


def test_each_of_several_tools_has_its_own_result(clock: Any) -> None:
    calls = [{"id": f"c{n}", "function": {"name": "look", "arguments": f'{{"n":{n}}}'}} for n in range(3)]
    results = [{"role": "tool", "tool_call_id": f"c{n}", "content": str(n) * 10 * (n + 1)} for n in range(3)]
    start = [{"role": "user", "content": "Look."}]
    with tokprof.profile() as prof:
        ask(clock, "plan", {"messages": start}, chat(None, tool_calls=calls))
        for _ in range(3):
            with tokprof.span("look", kind="tool"):
                clock.advance(1)
        told = [*start, {"role": "assistant", "tool_calls": calls}, *results]
        ask(clock, "act", {"messages": told}, "Seen.")
        again = [*told, {"role": "assistant", "content": "Seen."}, {"role": "user", "content": "And?"}]
        ask(clock, "more", {"messages": again}, "All.")
    found = flow(prof)
    tools = prof.df[prof.df.kind == "tool"].span_id.tolist()
    for target in ("act", "more"):
        given = found[(found.target_name == target) & (found.via == "tool")]
        assert dict(zip(given.source, given.characters, strict=True)) == dict(zip(tools, (10, 20, 30), strict=True))
    assert found[found.target.isin(tools)].target.tolist() == tools


def test_an_agent_that_is_a_tool_is_the_source_of_what_it_answered(clock: Any) -> None:
    sent, given = openai(1)
    sent["messages"][-1]["content"] = f"The reporter says: {NEWS}"
    with tokprof.profile() as prof:
        ask(clock, "plan", *openai(0))
        with tokprof.span("weather", kind="tool"):
            ask(clock, "reporter", "Bern, please.", NEWS)
        ask(clock, "act", sent, given)
    found = flow(prof)
    told = found[(found.target_name == "act") & (found.via == "tool")].set_index("source_name")
    assert told.loc["reporter"].characters == len(NEWS) and told.loc["reporter"].share == 1
    assert told.loc["weather"].characters == len("The reporter says: ")


def test_a_stream_is_read_from_its_events(clock: Any) -> None:
    pieces = [NEWS[at : at + 7] for at in range(0, len(NEWS), 7)]
    events = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    with tokprof.profile() as prof:
        ask(clock, "writer", "What is new?", body.encode())
        ask(clock, "reader", f"Read: {NEWS}", "Read.")
    assert the(prof).positions == ((0, len("Read: "), len(NEWS)),)


def test_an_answer_goes_into_an_embedding(clock: Any) -> None:
    with tokprof.profile() as prof:
        ask(clock, "writer", "What is new?", NEWS)
        ask(clock, "index", {"input": ["something", NEWS]}, {"data": []}, operation="embeddings")
    assert edges(prof) == [("writer", "index", "text")]


def test_what_is_not_known_stays_so(clock: Any) -> None:
    with tokprof.profile() as prof:
        ask(clock, "writer", "What is new?", NEWS)
        ask(clock, "reader", f"Read: {NEWS}", "Read.")
        ask(clock, "failed", f"Once more: {NEWS}", {"error": {"message": NEWS}}, http_status=500)
        ask(clock, "last", f"The end: {NEWS}", "End.")
    for span in prof.table.spans:
        if span.name == "reader":
            span.usage = None
    found = flow(prof).set_index("target_name")
    assert set(found.source_name) == {"writer"} and pd.isna(found.tokens["reader"])
    assert 0 < found.tokens["last"] <= 50


def test_without_prompts_it_says_so(clock: Any) -> None:
    with tokprof.profile() as prof:
        with tokprof.span("chat", kind="llm") as step:
            step.record(model="m", input_tokens=1, output_tokens=1)
    found = flow(prof)
    assert found.empty and found.columns.tolist() == COLUMNS and found.attrs["unread_calls"] == 1
    with tokprof.profile() as prof:
        pass
    assert flow(prof).empty and flow(prof).attrs["unread_calls"] == 0


WORDS = st.lists(st.sampled_from([NEWS, OTHER, RESULT, "No.", "short", " and then ", "\n", '"', "\\"]), max_size=6)
CALL = st.tuples(WORDS, WORDS, st.integers(0, 60), st.integers(0, 40))


@settings(max_examples=60, deadline=None)
@given(st.lists(CALL, max_size=7))
def test_flows_never_exceed_the_answer(calls: list[tuple[list[str], list[str], int, int]]) -> None:
    class Clock:
        def advance(self, seconds: float) -> None: ...

    with tokprof.profile(live=False) as prof:
        for at, (sent, given_words, input_tokens, output_tokens) in enumerate(calls):
            ask(Clock(), str(at), "".join(sent), "".join(given_words), tokens=(input_tokens, output_tokens))
    found = flow(prof)
    calls_by_id = prof.calls.set_index("span_id")
    for (source, target), tokens in found.groupby(["source", "target"]).tokens.sum().items():
        assert 0 <= tokens <= calls_by_id.output_tokens[source]
        assert tokens <= calls_by_id.input_tokens[target] + 1
    assert found.share.between(0, 1).all() and (found.characters > 0).all()
    prompts = {str(at): "".join(sent) for at, (sent, *_) in enumerate(calls)}
    answers = {str(at): "".join(words) for at, (_, words, *_) in enumerate(calls)}
    seen: dict[str, np.ndarray[Any, Any]] = {name: np.zeros(len(text), int) for name, text in prompts.items()}
    for row in found.itertuples():
        assert int(row.source_name) < int(row.target_name)
        for start, place, length in row.positions:
            seen[row.target_name][place : place + length] += 1
            stretch = prompts[row.target_name][place : place + length]
            assert len(stretch) == length
            assert undone(answers[row.source_name][start:]).startswith(undone(stretch))
    assert all(count.max(initial=0) <= 1 for count in seen.values())


def test_real_clients_and_threads(provider: SimulatedProvider) -> None:
    client, claude = provider.openai(), provider.anthropic()
    provider.reply(NEWS, when="weather desk")
    provider.reply(OTHER, when="harbour desk")
    provider.reply("Paper printed.", when="Front page")
    answers: dict[str, str] = {}

    def desk(name: str) -> None:
        stream = name == "weather"
        asked: Any = [{"role": "user", "content": f"You are the {name} desk."}]
        if stream:
            events = client.chat.completions.create(model="gpt-4o", messages=asked, stream=True)
            answers[name] = "".join(e.choices[0].delta.content or "" for e in events if e.choices)
        else:
            message = claude.messages.create(model="claude-sonnet-4-5", max_tokens=99, messages=asked)
            answers[name] = message.content[0].text  # type: ignore[union-attr]

    with tokprof.profile(capture="full") as prof:
        threads = [threading.Thread(target=desk, args=(name,)) for name in ("weather", "harbour")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        client.responses.create(model="gpt-4o", input=f"Front page of {answers['weather']} and {answers['harbour']}")
    found = flow(prof)
    models = prof.calls.set_index("span_id").model
    assert sorted(models[found.source]) == ["claude-sonnet-4-5", "gpt-4o"]
    assert found.share.tolist() == [1, 1] and set(found.via) == {"text"} and (found.tokens > 0).all()
