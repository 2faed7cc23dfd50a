"""pydantic-ai in a kernel: agents and tools by their names, tools in threads and tasks."""

import pytest
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

import tokprof
from sdks import steps
from sdks.steps import WEATHER, Case

notebook = steps.notebook("""\
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

model = OpenAIChatModel("gpt-4o-mini", provider=OpenAIProvider(base_url=provider.openai_url, api_key="none"))
meteo = Agent(model)

@meteo.tool_plain
def weather(city: str) -> str:
    ask()
    return "sunny"

@meteo.tool_plain
async def wind(city: str) -> str:
    await asyncio.to_thread(ask)
    return "windy"

async def run():
    with tokprof.span("mine"):
        return (await meteo.run("Hi")).output

async def run_stream():
    async with meteo.run_stream("Hi") as result:
        return await result.get_output()

async def iterate():
    async with meteo.iter("Hi") as steps:
        async for step in steps:
            pass
    return steps.result.output
""")

ASK = 'ask: inside.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "inside"}])'
TOOLS = {"tool_calls": [*WEATHER["tool_calls"], ("wind", {"city": "Bern"})]}
ANSWERS = (TOOLS, "inside", "inside", "It is sunny")


def run_of(caller, around="", asked=None):
    asked = asked or caller
    return [
        (f"{around}agent meteo", [asked]),
        (f"{around}agent meteo > tool weather", [asked, "weather: ask()", ASK]),
        (f"{around}agent meteo > tool wind", [asked, "wind: await asyncio.to_thread(ask)", ASK]),
        (f"{around}agent meteo", [asked]),
    ]


CASES = [
    Case("await run()", run_of('run: return (await meteo.run("Hi")).output', "task mine > "), ANSWERS),
    Case("await run_stream()", run_of('run_stream: async with meteo.run_stream("Hi") as result:'), ANSWERS),
    Case("await iterate()", run_of("iterate: async for step in steps:"), ANSWERS),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.call)
def test_the_chain_and_the_steps(notebook, case):
    seen, expected = notebook.run(case)
    assert seen == expected


@pytest.fixture
def model(provider):
    return OpenAIChatModel("gpt-4o-mini", provider=OpenAIProvider(base_url=provider.openai_url, api_key="none"))


@pytest.mark.parametrize("profiled", [True, False])
async def test_an_agent_takes_its_name_from_the_variable_as_without_tokprof(model, profiled):
    helper, named, other = Agent(model), Agent(model, name="Front desk"), Agent(model)
    with tokprof.profile() as prof:
        pass
    if profiled:
        with tokprof.profile() as prof:
            await helper.run("Hi")
            await named.run("Hi")
            async with other.run_stream("Hi") as result:
                await result.get_output()
        assert steps.steps(prof) == ["agent helper: ok", "agent Front desk: ok", "agent other: ok"]
    else:
        await helper.run("Hi")
        async with other.run_stream("Hi") as result:
            await result.get_output()
        assert steps.steps(prof) == []
    assert (helper.name, named.name, other.name) == ("helper", "Front desk", "other")


async def test_a_tool_that_fails_fails_the_agent_with_its_own_error(model, provider):
    meteo = Agent(model)

    @meteo.tool_plain
    def weather(city: str) -> str:
        raise LookupError(city)

    provider.reply(**WEATHER)
    with tokprof.profile() as prof, pytest.raises(LookupError, match="Bern"):
        await meteo.run("Hi")
    assert steps.steps(prof) == ["agent meteo: error LookupError", "tool weather: error LookupError"]


async def test_an_agent_in_a_tool_of_another_is_below_it(model, provider):
    inner, outer = Agent(model, name="inner"), Agent(model, name="outer")

    @outer.tool_plain
    async def delegate() -> str:
        return (await inner.run("Hello")).output

    provider.reply(tool_calls=[("delegate", {})])
    with tokprof.profile() as prof:
        await outer.run("Hi")
    assert steps.steps(prof) == ["agent outer: ok", "tool delegate: ok", "agent inner: ok"]
    assert prof.df.set_index("name").loc["inner", "depth"] == 3
