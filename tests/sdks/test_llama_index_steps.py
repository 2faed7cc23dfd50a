"""LlamaIndex in a kernel: query engines, retrievers, agents and tools."""

import pytest

from sdks import steps
from sdks.steps import WEATHER, Case

notebook = steps.notebook("""\
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.tools import QueryEngineTool
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI

llm = OpenAI(model="gpt-4o-mini", api_base=provider.openai_url, api_key="none")
embedding = OpenAIEmbedding(api_base=provider.openai_url, api_key="none")
index = VectorStoreIndex.from_documents([Document(text="Bern is sunny")], embed_model=embedding)
engine = index.as_query_engine(llm=llm)

def weather(city: str) -> str:
    "The weather."
    ask()
    return "sunny"

meteo = FunctionAgent(name="Meteo", description="Knows the weather.", tools=[weather], llm=llm)
team = AgentWorkflow(agents=[meteo])

def query():
    with tokprof.span("mine"):
        return str(engine.query("How is Bern?"))

async def aquery():
    return str(await engine.aquery("How is Bern?"))

def by_tool():
    return str(QueryEngineTool.from_defaults(engine, name="library").call("How is Bern?"))

async def agent():
    return str(await meteo.run("Hi"))

async def workflow():
    return str(await team.run("Hi"))
""")

ASK = 'ask: inside.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "inside"}])'
ENGINE = "workflow RetrieverQueryEngine"


def query_of(caller, around=""):
    return [(f"{around}{ENGINE} > retriever VectorIndexRetriever", [caller]), (f"{around}{ENGINE}", [caller])]


def run_of(caller, agent, tools):
    return [(agent, [caller]), (f"{tools} > tool weather", [caller, "weather: ask()", ASK]), (agent, [caller])]


BY_TOOL = 'by_tool: return str(QueryEngineTool.from_defaults(engine, name="library").call("How is Bern?"))'
CASES = [
    Case("query()", query_of('query: return str(engine.query("How is Bern?"))', "task mine > ")),
    Case("await aquery()", query_of('aquery: return str(await engine.aquery("How is Bern?"))')),
    Case("by_tool()", query_of(BY_TOOL, "tool library > ")),
    Case(
        "await agent()",
        run_of('agent: return str(await meteo.run("Hi"))', "agent Meteo", "agent Meteo"),
        (WEATHER, "inside", "It is sunny"),
    ),
    Case(
        "await workflow()",
        run_of(
            'workflow: return str(await team.run("Hi"))',
            *("workflow AgentWorkflow > agent Meteo", "workflow AgentWorkflow"),
        ),
        (WEATHER, "inside", "It is sunny"),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.call)
def test_the_chain_and_the_steps(notebook, case):
    seen, expected = notebook.run(case)
    assert seen == expected


def test_an_agent_ends_when_its_run_does(notebook):
    notebook.kernel(f"script(*{(WEATHER, 'inside', 'It is sunny')!r})")
    notebook.kernel(
        "%%tokprof prof --quiet\nhandler = meteo.run('Hi')\nwith tokprof.span('after'):\n    pass\nawait handler"
    )
    rows = "prof.df.set_index('name')"
    assert notebook.kernel.value(f"{rows}.loc['Meteo', 'status'], int({rows}.loc['after', 'depth'])") == ("ok", 1)
    assert notebook.kernel.value(f"bool({rows}.loc['Meteo', 'duration_s'] > {rows}.loc['weather', 'duration_s'])")


def test_a_run_that_fails_is_an_agent_that_failed(notebook):
    notebook.kernel("provider.clear(); provider.fail(400, times=None)")
    notebook.kernel("%%tokprof prof --quiet\ntry:\n    await meteo.run('Hi')\nexcept Exception as e:\n    error = e")
    row = "prof.df.set_index('name').loc['Meteo']"
    assert notebook.kernel.value(f"({row}['status'], {row}['error'] == type(error).__name__)") == ("error", True)
