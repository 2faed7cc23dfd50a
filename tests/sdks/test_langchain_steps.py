"""LangChain in a kernel: who asked, in threads and tasks; tools and retrievers by their names."""

import pytest
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import tool

import tokprof
from sdks import steps
from sdks.steps import Case

notebook = steps.notebook("""\
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

chat = ChatOpenAI(model="gpt-4o-mini", base_url=provider.openai_url, api_key="none")

def sync_one(text):
    return chat.invoke(text)

async def async_one(text):
    return await chat.ainvoke(text)

one = RunnableLambda(sync_one, afunc=async_one)

def invoke():
    return (one | str).invoke("Hi")

async def ainvoke():
    return await (one | str).ainvoke("Hi")

def batch():
    return one.batch(["Hi 1", "Hi 2"])

async def abatch():
    return await one.abatch(["Hi 1", "Hi 2"])

def parallel():
    return RunnableParallel(left=one, right=chat).invoke("Hi")

async def aparallel():
    return await RunnableParallel(left=one, right=chat).ainvoke("Hi")

async def events():
    async for event in (one | str).astream_events("Hi", version="v2"):
        last = event

@tool
def weather(city: str) -> str:
    "The weather."
    ask()
    return "sunny"

@tool("wind in")
async def wind(city: str) -> str:
    "The wind."
    await asyncio.to_thread(ask)
    return "windy"

def by_tool():
    return weather.invoke({"city": "Bern"})

async def by_threaded_tool():
    return await weather.ainvoke({"city": "Bern"})

async def by_async_tool():
    with tokprof.span("mine"):
        return await wind.ainvoke({"city": "Bern"})

class Library(BaseRetriever):
    def _get_relevant_documents(self, query, *, run_manager):
        ask()
        return [Document(query)]

def by_retriever():
    return Library().invoke("Hi")

async def by_threaded_retriever():
    return await Library().ainvoke("Hi")
""")

SYNC, ASYNC = "sync_one: return chat.invoke(text)", "async_one: return await chat.ainvoke(text)"
ASK = 'ask: inside.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "inside"}])'
PARALLEL = 'parallel: return RunnableParallel(left=one, right=chat).invoke("Hi")'
APARALLEL = 'aparallel: return await RunnableParallel(left=one, right=chat).ainvoke("Hi")'
READ = "Library._get_relevant_documents: ask()"
CASES = [
    Case("invoke()", [("", ['invoke: return (one | str).invoke("Hi")', SYNC])]),
    Case("await ainvoke()", [("", ['ainvoke: return await (one | str).ainvoke("Hi")', ASYNC])]),
    Case("batch()", [("", ['batch: return one.batch(["Hi 1", "Hi 2"])', SYNC])] * 2),
    Case("await abatch()", [("", ['abatch: return await one.abatch(["Hi 1", "Hi 2"])', ASYNC])] * 2),
    Case("parallel()", [("", [PARALLEL]), ("", [PARALLEL, SYNC])]),
    Case("await aparallel()", [("", [APARALLEL]), ("", [APARALLEL, ASYNC])]),
    Case(
        "await events()",
        [("", ['events: async for event in (one | str).astream_events("Hi", version="v2"):', ASYNC])],
    ),
    Case("by_tool()", [("tool weather", ['by_tool: return weather.invoke({"city": "Bern"})', "weather: ask()", ASK])]),
    Case(
        "await by_threaded_tool()",
        [
            (
                "tool weather",
                ['by_threaded_tool: return await weather.ainvoke({"city": "Bern"})', "weather: ask()", ASK],
            )
        ],
    ),
    Case(
        "await by_async_tool()",
        [
            (
                "task mine > tool wind in",
                [
                    'by_async_tool: return await wind.ainvoke({"city": "Bern"})',
                    "wind: await asyncio.to_thread(ask)",
                    ASK,
                ],
            )
        ],
    ),
    Case("by_retriever()", [("retriever Library", ['by_retriever: return Library().invoke("Hi")', READ, ASK])]),
    Case(
        "await by_threaded_retriever()",
        [("retriever Library", ['by_threaded_retriever: return await Library().ainvoke("Hi")', READ, ASK])],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.call)
def test_the_chain_and_the_steps(notebook, case):
    seen, expected = notebook.run(case)
    assert seen == expected


def test_a_tool_that_fails_is_a_step_that_failed():
    @tool
    def broken(city: str) -> str:
        """Nothing."""
        raise LookupError(city)

    with tokprof.profile() as prof, pytest.raises(LookupError, match="Bern"):
        broken.invoke({"city": "Bern"})
    assert steps.steps(prof) == ["tool broken: error LookupError"]


def test_without_a_recording_nothing_is_asked_for_a_name():
    class Library(BaseRetriever):
        def get_name(self, *args, **kwargs):
            named.append(self)
            return "library"

        def _get_relevant_documents(self, query, *, run_manager):
            return [Document(query)]

    named: list[BaseRetriever] = []
    with tokprof.profile() as prof:
        Library().invoke("Hi")
    recorded = len(named)
    named.clear()
    assert Library().invoke("Hi") == [Document("Hi")]
    assert len(named) == recorded - 1
    assert steps.steps(prof) == ["retriever library: ok"]
