"""CrewAI in a kernel: crews, tasks, agents and tools by their names."""

import pytest

from sdks import steps
from sdks.steps import WEATHER, Case

notebook = steps.notebook("""\
import os, tempfile
os.environ |= {"CREWAI_DISABLE_TELEMETRY": "true", "CREWAI_TRACING_ENABLED": "false", "OTEL_SDK_DISABLED": "true",
               "CREWAI_STORAGE_DIR": tempfile.mkdtemp()}
from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool

llm = LLM(model="openai/gpt-4o-mini", base_url=provider.openai_url, api_key="none")

@tool("weather")
def weather(city: str) -> str:
    "The weather."
    ask()
    return "sunny"

meteo = Agent(role="Meteo", goal="Tell the weather.", backstory="None.", llm=llm, tools=[weather])
writer = Agent(role="Writer", goal="Write.", backstory="None.", llm=llm)

def crew(at_once=False):
    look = Task(name="look", description="Look.", expected_output="Words.", agent=meteo, async_execution=at_once)
    write = Task(description="Write.", expected_output="Words.", agent=writer)
    return Crew(name="news", agents=[meteo, writer], tasks=[look, write])

def kickoff(at_once=False):
    return str(crew(at_once).kickoff())

async def in_a_thread():
    with tokprof.span("mine"):
        return await asyncio.to_thread(kickoff)

async def at_once():
    return await asyncio.to_thread(kickoff, True)

async def kickoff_async():
    return str(await crew().kickoff_async())

async def akickoff():
    return str(await crew().akickoff())

async def alone():
    return str(await writer.kickoff("Hi"))

async def alone_in_a_thread():
    return str(await asyncio.to_thread(writer.kickoff, "Hi"))
""")

ASK = 'ask: inside.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "inside"}])'
ANSWERS = (WEATHER, "inside", "Final Answer: sunny", "Final Answer: It is sunny")


KICKOFF = "kickoff: return str(crew(at_once).kickoff())"


def run_of(*callers, around=""):
    meteo = f"{around}workflow news > task look > agent Meteo"
    return [
        (meteo, [*callers]),
        (f"{meteo} > tool weather", [*callers, "weather: ask()", ASK]),
        (meteo, [*callers]),
        (f"{around}workflow news > agent Writer", [*callers]),
    ]


CASES = [
    Case(
        "await in_a_thread()",
        run_of("in_a_thread: return await asyncio.to_thread(kickoff)", KICKOFF, around="task mine > "),
        ANSWERS,
    ),
    Case("await at_once()", run_of("at_once: return await asyncio.to_thread(kickoff, True)", KICKOFF), ANSWERS),
    Case("await kickoff_async()", run_of("kickoff_async: return str(await crew().kickoff_async())"), ANSWERS),
    Case("await akickoff()", run_of("akickoff: return str(await crew().akickoff())"), ANSWERS),
    Case(
        "await alone()",
        [("agent Writer", ['alone: return str(await writer.kickoff("Hi"))'])],
        ("Final Answer: Hi",),
    ),
    Case(
        "await alone_in_a_thread()",
        [("agent Writer", ['alone_in_a_thread: return str(await asyncio.to_thread(writer.kickoff, "Hi"))'])],
        ("Final Answer: Hi",),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.call)
def test_the_chain_and_the_steps(notebook, case):
    seen, expected = notebook.run(case)
    assert seen == expected


def test_a_step_is_one_row(notebook):
    notebook.kernel("script('Final Answer: Hi')")
    notebook.kernel("%%tokprof prof --quiet\nawait writer.kickoff('Hi')")
    assert notebook.kernel.value("prof.df['kind'].tolist()") == ["cell", "agent", "llm"]
