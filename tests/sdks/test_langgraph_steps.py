"""LangGraph in a kernel: graphs, nodes and tools by their names, one after another and side by side."""

import asyncio
import operator
from typing import Annotated, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, RetryPolicy, interrupt

import tokprof
from sdks import steps
from sdks.steps import WEATHER, Case

notebook = steps.notebook("""\
import operator
from typing import Annotated, TypedDict
from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph

chat = ChatOpenAI(model="gpt-4o-mini", base_url=provider.openai_url, api_key="none")

class State(TypedDict):
    notes: Annotated[list, operator.add]

def plan(state):
    return {"notes": [chat.invoke("plan").text]}

def left(state):
    return {"notes": [chat.invoke("left").text]}

def right(state):
    return {"notes": [chat.invoke("right").text]}

async def aplan(state):
    return {"notes": [(await chat.ainvoke("plan")).text]}

async def aleft(state):
    return {"notes": [(await chat.ainvoke("left")).text]}

async def aright(state):
    return {"notes": [(await chat.ainvoke("right")).text]}

def team(plan, left, right):
    graph = StateGraph(State)
    graph.add_node("plan it", plan).add_node("on the left", left).add_node("on the right", right)
    graph.add_edge(START, "plan it").add_edge("plan it", "on the left").add_edge("plan it", "on the right")
    return graph.compile(name="team")

graph, agraph = team(plan, left, right), team(aplan, aleft, aright)
start = {"notes": []}

def outer():
    around = StateGraph(State).add_node("whole", graph).add_edge(START, "whole")
    return around.compile().invoke(start)

def invoke():
    return graph.invoke(start)

async def ainvoke():
    return await agraph.ainvoke(start)

async def threaded():
    return await graph.ainvoke(start)

def stream():
    for step in graph.stream(start):
        if "plan it" in step:
            ask()

async def astream():
    async for step in agraph.astream(start):
        if "plan it" in step:
            ask()

@tool
def weather(city: str) -> str:
    "The weather."
    ask()
    return "sunny"

agent = create_agent(chat, [weather], name="meteo")

def with_tool():
    with tokprof.span("mine"):
        return agent.invoke({"messages": [("user", "Hi")]})

@task
def part(number):
    return chat.invoke(str(number)).text

@entrypoint()
def flow(numbers):
    return [work.result() for work in (part(1), part(2))]

def functional():
    return flow.invoke([1, 2])
""")

PLAN = 'plan: return {"notes": [chat.invoke("plan").text]}'
LEFT = 'left: return {"notes": [chat.invoke("left").text]}'
RIGHT = 'right: return {"notes": [chat.invoke("right").text]}'
APLAN, ALEFT, ARIGHT = (
    f'a{name}: return {{"notes": [(await chat.ainvoke("{name}")).text]}}' for name in ("plan", "left", "right")
)
ASK = 'ask: inside.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "inside"}])'


def nodes(caller, *asked, around="workflow team"):
    names = ("plan it", "on the left", "on the right")
    return [(f"{around} > task {name}", [caller, said]) for name, said in zip(names, asked, strict=True)]


AGENT = 'with_tool: return agent.invoke({"messages": [("user", "Hi")]})'
ASYNC_STREAM = "astream: async for step in agraph.astream(start):"
CASES = [
    Case("invoke()", nodes("invoke: return graph.invoke(start)", PLAN, LEFT, RIGHT)),
    Case("await ainvoke()", nodes("ainvoke: return await agraph.ainvoke(start)", APLAN, ALEFT, ARIGHT)),
    Case("await threaded()", nodes("threaded: return await graph.ainvoke(start)", PLAN, LEFT, RIGHT)),
    Case(
        "stream()",
        [("", ["stream: ask()", ASK]), *nodes("stream: for step in graph.stream(start):", PLAN, LEFT, RIGHT)],
    ),
    Case("await astream()", [("", ["astream: ask()", ASK]), *nodes(ASYNC_STREAM, APLAN, ALEFT, ARIGHT)]),
    Case(
        "outer()",
        nodes(
            "outer: return around.compile().invoke(start)",
            *(PLAN, LEFT, RIGHT),
            around="workflow LangGraph > task whole > workflow team",
        ),
    ),
    Case(
        "with_tool()",
        [
            ("task mine > agent meteo > task model", [AGENT]),
            ("task mine > agent meteo > task tools > tool weather", [AGENT, "weather: ask()", ASK]),
            ("task mine > agent meteo > task model", [AGENT]),
        ],
        (WEATHER, "inside", "It is sunny"),
    ),
    Case(
        "functional()",
        [
            (
                "workflow LangGraph > task flow > task part",
                [
                    "functional: return flow.invoke([1, 2])",
                    "flow: return [work.result() for work in (part(1), part(2))]",
                    "part: return chat.invoke(str(number)).text",
                ],
            )
        ]
        * 2,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.call)
def test_the_chain_and_the_steps(notebook, case):
    seen, expected = notebook.run(case)
    assert seen == expected


class State(TypedDict):
    notes: Annotated[list, operator.add]


def graph_of(node, **options):
    return StateGraph(State).add_node("only", node, **options).add_edge(START, "only")


def test_a_node_that_fails_is_a_step_that_failed():
    def broken(state):
        raise LookupError("nothing")

    graph = graph_of(broken).compile()
    with tokprof.profile() as prof, pytest.raises(LookupError, match="nothing"):
        graph.invoke({"notes": []})
    assert steps.steps(prof) == ["workflow LangGraph: error LookupError", "task only: error LookupError"]


def test_a_node_that_is_retried_is_one_step():
    def flaky(state):
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError
        return {"notes": ["done"]}

    tries: list[int] = []
    graph = graph_of(flaky, retry_policy=RetryPolicy(initial_interval=0.001, jitter=False)).compile()
    with tokprof.profile() as prof:
        assert graph.invoke({"notes": []}) == {"notes": ["done"]}
    assert steps.steps(prof) == ["workflow LangGraph: ok", "task only: ok"]


def test_an_interrupt_is_no_error():
    graph = graph_of(lambda state: {"notes": [interrupt("well?")]}).compile(checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    with tokprof.profile() as prof:
        graph.invoke({"notes": []}, config)
        assert graph.invoke(Command(resume="yes"), config)["notes"] == ["yes"]
    assert steps.steps(prof) == ["workflow LangGraph: ok", "task only: ok"] * 2


def test_a_stream_left_early_ends_its_step():
    graph = graph_of(lambda state: {"notes": ["one"]}).compile()
    with tokprof.profile() as prof:
        stream = graph.stream({"notes": []})
        next(stream)
        stream.close()
        with tokprof.span("after"):
            pass
    assert steps.steps(prof) == ["workflow LangGraph: cancelled GeneratorExit", "task only: ok", "task after: ok"]
    assert prof.df.set_index("name").loc["after", "depth"] == 1


async def test_graphs_at_the_same_time_keep_apart():
    async def slow(state):
        await asyncio.sleep(0.001)
        with tokprof.span(state["notes"][0]):
            return {"notes": []}

    graph = graph_of(slow).compile()
    with tokprof.profile() as prof:
        await asyncio.gather(*(graph.ainvoke({"notes": [name]}, {"run_name": name}) for name in ("a", "b")))
    rows = prof.df.set_index("span_id")
    for name in ("a", "b"):
        step = rows[(rows["name"] == name) & (rows["kind"] == "task")].iloc[0]
        node = rows.loc[step["parent_id"]]
        assert (node["name"], rows.loc[node["parent_id"], "name"]) == ("only", name)


def test_hooks_go_with_the_extension():
    from langgraph.pregel import Pregel, _runner

    import tokprof.capture

    def hooked():
        return [
            vars(f).get("_tokprof_hook") is not None for f in (Pregel.stream, Pregel.astream, _runner.run_with_retry)
        ]

    with tokprof.profile():
        assert hooked() == [True] * 3
    tokprof.capture.uninstall()
    assert hooked() == [False] * 3
