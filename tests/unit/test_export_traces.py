"""Chrome trace, speedscope, collapsed stacks and pprof, each by the rules of its format."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter, defaultdict
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.unknown_fields import UnknownFieldSet

import tokprof
from tests.unit.export_scenes import agent, hostile, parallel
from tests.unit.scenes import retrieval
from tokprof.span import METRICS


@pytest.fixture(params=["agent", "retrieval", "hostile", "parallel"])
def prof(request: pytest.FixtureRequest, clock: Any, frames: Any) -> tokprof.Profile:
    if request.param == "parallel":
        return parallel(clock)
    return {"agent": agent, "retrieval": retrieval, "hostile": hostile}[request.param](clock, frames)


def slices(trace: dict[str, Any]) -> list[dict[str, Any]]:
    return [event for event in trace["traceEvents"] if event["ph"] == "X"]


def test_chrome_trace_keeps_the_rules(prof: tokprof.Profile) -> None:
    trace = json.loads(prof.to_chrome_trace())
    named = {event["tid"] for event in trace["traceEvents"] if event["name"] == "thread_name"}
    tracks: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for event in trace["traceEvents"]:
        assert {"ph", "pid", "tid", "ts", "name"} <= event.keys()
        assert event["ph"] in "XMCsf"
        assert event["ts"] >= 0
        assert isinstance(event["name"], str) and event["name"]
        if event["ph"] == "X":
            assert event["dur"] >= 0
            tracks[event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    assert len(slices(trace)) == len(prof.df)
    assert named == tracks.keys()
    for spans in tracks.values():
        around: list[float] = []
        for begin, end in spans:  # they come by their start, outer ones first
            while around and around[-1] <= begin:
                around.pop()
            assert not around or end <= around[-1]
            around.append(end)
    arrows = {phase: [e for e in trace["traceEvents"] if e["ph"] == phase] for phase in "sf"}
    assert [e["id"] for e in arrows["s"]] == [e["id"] for e in arrows["f"]]
    for begin, end in zip(arrows["s"], arrows["f"], strict=True):
        assert begin["tid"] != end["tid"]
        for event in (begin, end):
            assert any(start <= event["ts"] <= stop for start, stop in tracks[event["tid"]])
    assert sum(each["args"].get("total_tokens", 0) for each in slices(trace)) == prof.totals.total_tokens
    last = [event["args"] for event in trace["traceEvents"] if event["ph"] == "C"][-2:]
    assert last == [{"so far": prof.totals.total_tokens}, {"so far": pytest.approx(prof.totals.cost)}]


def test_chrome_trace_by_hand(clock: Any) -> None:
    trace = json.loads(parallel(clock).to_chrome_trace())
    names = {e["tid"]: e["args"]["name"] for e in trace["traceEvents"] if e["name"] == "thread_name"}
    where = {event["name"]: names[event["tid"]] for event in slices(trace)}
    assert {where["a"], where["b"]} == {"worker-0", "worker-1"}
    assert where["fan"] == where["out"] == "MainThread"
    assert sum(event["ph"] == "s" for event in trace["traceEvents"]) == 2
    args = next(event["args"] for event in slices(trace) if event["name"] == "a")
    assert (args["input_tokens"], args["model"], args["cost_usd"]) == (100, "gpt-4o-mini", 21e-6)


def test_speedscope_keeps_the_rules(prof: tokprof.Profile) -> None:
    """https://github.com/jlfwong/speedscope/blob/main/src/lib/file-format-spec.ts."""
    file = json.loads(prof.to_speedscope())
    assert file["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames = file["shared"]["frames"]
    for frame in frames:
        assert isinstance(frame["name"], str)
        assert frame.keys() <= {"name", "file", "line", "col"}
        assert isinstance(frame.get("line", 0), int)
    assert 0 <= file["activeProfileIndex"] < len(file["profiles"])
    by_name = {}
    for profile in file["profiles"]:
        by_name[profile["name"]] = profile
        assert profile["unit"] in ("none", "nanoseconds", "microseconds", "milliseconds", "seconds", "bytes")
        assert profile["endValue"] >= profile["startValue"]
        if profile["type"] == "sampled":
            assert len(profile["samples"]) == len(profile["weights"])
            assert all(0 <= frame < len(frames) for stack in profile["samples"] for frame in stack)
            assert sum(profile["weights"]) == profile["endValue"]
        else:
            assert profile["type"] == "evented"
            around: list[int] = []
            at = profile["startValue"]
            for event in profile["events"]:
                assert at <= event["at"] <= profile["endValue"]
                at = event["at"]
                if event["type"] == "O":
                    around.append(event["frame"])
                else:
                    assert event["type"] == "C"
                    assert around.pop() == event["frame"]
            assert around == []
    assert by_name["tokens"]["endValue"] == prof.totals.total_tokens
    assert by_name["cost (billionths of a USD)"]["endValue"] == pytest.approx(prof.totals.cost * 1e9, abs=len(frames))
    opened = sum(e["type"] == "O" for p in file["profiles"] if p["type"] == "evented" for e in p["events"])
    assert opened == len(prof.df)


@pytest.mark.parametrize("metric", METRICS)
def test_collapsed_stacks_are_parsed_back(prof: tokprof.Profile, metric: str) -> None:
    text = prof.to_collapsed(metric=metric)
    total = 0
    for line in text.split("\n")[:-1]:
        found = re.fullmatch(r"(.*)\s+?(\d+(?:\.\d*)?)", line)  # that of flamegraph.pl
        assert found is not None
        assert re.fullmatch(r"(.*)\s+?(\d+(?:\.\d*)?)", found[1]) is None  # no second figure, as of a difference
        assert found[1].split(";")[0] == "In[4]" or all(found[1].split(";"))
        total += int(found[2])
    totals, cached = prof.totals, prof.totals.cache_read_tokens
    expected = {
        "tokens": totals.total_tokens,
        "input": totals.input_tokens,
        "output": totals.output_tokens,
        "cached": cached,
        "reasoning": totals.reasoning_tokens,
        "cost": pytest.approx(totals.cost * 1e9, abs=len(prof.df)),
    }
    if metric in expected:
        assert total == expected[metric]
    else:
        assert total >= totals.seconds * 1e9 * 0.999


def test_collapsed_stacks_by_hand(clock: Any, frames: Any) -> None:
    assert agent(clock, frames).to_collapsed() == (
        "In[3];In[3]:2;plan;chat_gpt-4o-mini 1100\nIn[3];In[3]:3;agent;act;search;chat_gpt-4o-mini 400000\n"
    )
    assert "In[3];In[3]:2;plan;chat_gpt-4o-mini 180000\n" in agent(clock, frames).to_collapsed(metric="cost")
    assert ";a:b:c_12;" in hostile(clock, frames).to_collapsed()
    with pytest.raises(ValueError, match="'calls' is no metric; known: tokens, input"):
        agent(clock, frames).to_collapsed(metric="calls")


def pprof_profile() -> Any:
    """The messages of https://github.com/google/pprof/blob/main/proto/profile.proto that a profile needs."""
    file = descriptor_pb2.FileDescriptorProto(name="profile.proto", package="p", syntax="proto3")
    kinds = {"int64": 3, "uint64": 4, "bool": 8, "string": 9}
    messages = {
        "ValueType": "type:1:int64 unit:2:int64",
        "Label": "key:1:int64 str:2:int64 num:3:int64 num_unit:4:int64",
        "Sample": "location_id:1:*uint64 value:2:*int64 label:3:*Label",
        "Line": "function_id:1:uint64 line:2:int64 column:3:int64",
        "Location": "id:1:uint64 mapping_id:2:uint64 address:3:uint64 line:4:*Line is_folded:5:bool",
        "Function": "id:1:uint64 name:2:int64 system_name:3:int64 filename:4:int64 start_line:5:int64",
        "Profile": "sample_type:1:*ValueType sample:2:*Sample location:4:*Location function:5:*Function "
        "string_table:6:*string time_nanos:9:int64 duration_nanos:10:int64 period:12:int64 comment:13:*int64 "
        "default_sample_type:14:int64",
    }
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for each in fields.split():
            field, number, kind = each.split(":")
            made = message.field.add(name=field, number=int(number), label=3 if kind[0] == "*" else 1)
            kind = kind.lstrip("*")
            if kind in kinds:
                made.type = kinds[kind]
            else:
                made.type, made.type_name = 11, f".p.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("p.Profile"))()


def test_pprof_is_read_by_protobuf(prof: tokprof.Profile) -> None:
    read = pprof_profile()
    read.ParseFromString(gzip.decompress(prof.to_pprof()))
    assert len(UnknownFieldSet(read)) == 0
    texts = list(read.string_table)
    assert texts[0] == ""
    types = [(texts[each.type], texts[each.unit]) for each in read.sample_type]
    assert types[:2] == [("calls", "calls"), ("tokens", "tokens")]
    assert dict(types)["cost"] == "nanodollars"
    assert texts[read.default_sample_type] == "tokens"
    functions = {each.id: each for each in read.function}
    locations = {each.id: each for each in read.location}
    assert 0 not in functions and 0 not in locations
    assert len(functions) == len(read.function) and len(locations) == len(read.location)
    sums: Counter[str] = Counter()
    for sample in read.sample:
        assert len(sample.value) == len(types)
        for (name, _), value in zip(types, sample.value, strict=True):
            sums[name] += value
        for place in sample.location_id:
            assert texts[functions[locations[place].line[0].function_id].name]
        assert {texts[each.key] for each in sample.label} <= {"kind", "model"}
    totals = prof.totals
    assert sums["tokens"] == totals.total_tokens
    assert sums["calls"] == totals.calls
    assert sums["cost"] == pytest.approx(totals.cost * 1e9, abs=len(prof.df))
    assert read.time_nanos == prof.df.start.astype("int64").iloc[0]
    assert read.duration_nanos == totals.seconds * 1e9


def test_many_tasks_share_tracks(clock: Any) -> None:
    import asyncio

    async def one() -> None:
        with tokprof.span("step"):
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(one() for _ in range(150)))

    with tokprof.profile("many") as prof:
        asyncio.run(main())
    trace = json.loads(prof.to_chrome_trace())
    assert len(slices(trace)) == 151
    names = [e["args"]["name"] for e in trace["traceEvents"] if e["name"] == "thread_name"]
    assert not any("Task-" in name for name in names)


@pytest.mark.parametrize("name", ["C:\\", "a\\\\", 'quote" \\', '\\"', "plain", "\\"])
def test_no_text_of_a_chrome_trace_ends_in_an_escaped_backslash(clock: Any, name: str) -> None:
    """Perfetto takes it for an escaped quote, and the file for a broken one."""
    with tokprof.profile(name, tag=name) as prof, tokprof.span(name):
        clock.advance(1)
    text = prof.to_chrome_trace()
    assert re.search(r'(?<!\\)(\\\\)+"', text) is None
    shown = slices(json.loads(text))
    assert [each["name"] for each in shown] == [name, name]
    assert {each["args"]["tag.tag"] for each in shown if "tag.tag" in each["args"]} == {name}
