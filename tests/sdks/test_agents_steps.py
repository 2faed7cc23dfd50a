"""openai-agents in a kernel: agents, tools, guardrails and hand-offs by their names, in `run` and `run_streamed`."""

import asyncio

import agents
import openai
import pytest

import tokprof
from sdks import steps
from sdks.steps import WEATHER, Case

notebook = steps.notebook("""\
import agents, openai
agents.set_tracing_disabled(True)
client = openai.AsyncOpenAI(base_url=provider.openai_url, api_key="none")
model = agents.OpenAIResponsesModel("gpt-4o-mini", client)

@agents.function_tool
def weather(city: str) -> str:
    ask()
    return "sunny"

@agents.function_tool
async def wind(city: str) -> str:
    await asyncio.to_thread(ask)
    return "windy"

meteo = agents.Agent("Meteo", model=model, tools=[weather, wind])
triage = agents.Agent("Front desk", model=model, handoffs=[meteo])

async def run():
    with tokprof.span("mine"):
        return (await agents.Runner.run(triage, "Hi")).final_output

async def run_streamed():
    result = agents.Runner.run_streamed(triage, "Hi")
    async for event in result.stream_events():
        pass
    return result.final_output
""")

ASK = 'ask: inside.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "inside"}])'
HAND_OFF = {"tool_calls": [("transfer_to_meteo", {})]}
TOOLS = {"tool_calls": [*WEATHER["tool_calls"], ("wind", {"city": "Bern"})]}
ANSWERS = (HAND_OFF, TOOLS, "inside", "inside", "It is sunny")


def run_of(caller, around=""):
    return [
        (f"{around}agent Front desk", [caller]),
        (f"{around}agent Meteo", [caller]),
        (f"{around}agent Meteo > tool weather", [caller, "weather: ask()", ASK]),
        (f"{around}agent Meteo > tool wind", [caller, "wind: await asyncio.to_thread(ask)", ASK]),
        (f"{around}agent Meteo", [caller]),
    ]


CASES = [
    Case(
        "await run()",
        run_of('run: return (await agents.Runner.run(triage, "Hi")).final_output', "task mine > "),
        ANSWERS,
    ),
    Case("await run_streamed()", run_of('run_streamed: result = agents.Runner.run_streamed(triage, "Hi")'), ANSWERS),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.call)
def test_the_chain_and_the_steps(notebook, case):
    seen, expected = notebook.run(case)
    assert seen == expected


@pytest.fixture(params=["traced", "not traced"])
def model(request, provider):
    agents.set_trace_processors([])
    agents.set_tracing_disabled(request.param == "not traced")
    return agents.OpenAIChatCompletionsModel(
        "gpt-4o-mini", openai.AsyncOpenAI(base_url=provider.openai_url, api_key="none")
    )


async def test_a_hand_off_is_a_step_of_the_agent_that_gives(model, provider):
    provider.reply(tool_calls=[("transfer_to_meteo", {})])
    meteo = agents.Agent("Meteo", model=model)
    triage = agents.Agent("Front desk", model=model, handoffs=[meteo])
    with tokprof.profile() as prof:
        result = await agents.Runner.run(triage, "Hi")
    assert result.last_agent is meteo
    assert steps.steps(prof) == ["agent Front desk: ok", "task hand-off to Meteo: ok", "agent Meteo: ok"]
    rows = prof.df.set_index("name")
    assert rows.loc["hand-off to Meteo", "parent_id"] == rows.loc["Front desk", "span_id"]


async def test_a_tool_that_fails_is_a_step_that_failed_and_the_agent_goes_on(model, provider):
    @agents.function_tool
    def weather(city: str) -> str:
        raise LookupError(city)

    provider.reply(**WEATHER)
    provider.reply(text="I do not know")
    with tokprof.profile() as prof:
        result = await agents.Runner.run(agents.Agent("Meteo", model=model, tools=[weather]), "Hi")
    assert result.final_output == "I do not know"
    assert steps.steps(prof) == ["agent Meteo: ok", "tool weather: error LookupError"]


async def test_a_run_that_fails_is_an_agent_that_failed(model, provider):
    provider.fail(400, times=None)
    with tokprof.profile() as prof, pytest.raises(openai.BadRequestError):
        try:
            raise KeyError  # what the caller deals with is no error of the agent
        except KeyError:
            await agents.Runner.run(agents.Agent("Meteo", model=model), "Hi")
    assert steps.steps(prof) == ["agent Meteo: error BadRequestError"]


async def test_an_error_that_the_caller_deals_with_is_none_of_the_agent(model):
    with tokprof.profile() as prof:
        try:
            raise KeyError
        except KeyError:
            await agents.Runner.run(agents.Agent("Meteo", model=model), "Hi")
    assert steps.steps(prof) == ["agent Meteo: ok"]


async def test_a_guardrail_is_a_step(model):
    @agents.input_guardrail
    async def polite(context, agent, text):
        return agents.GuardrailFunctionOutput(output_info=None, tripwire_triggered=False)

    with tokprof.profile() as prof:
        await agents.Runner.run(agents.Agent("Meteo", model=model, input_guardrails=[polite]), "Hi")
    assert sorted(steps.steps(prof)) == ["agent Meteo: ok", "guardrail polite: ok"]


async def test_runs_at_the_same_time_keep_apart(model):
    async def ask(name):
        with tokprof.span(f"for {name}"):
            await agents.Runner.run(agents.Agent(name, model=model), "Hi")

    with tokprof.profile() as prof:
        await asyncio.gather(*map(ask, "ab"))
    rows = prof.df.set_index("span_id")
    for name in "ab":
        agent = rows[rows["name"] == name].iloc[0]
        assert rows.loc[agent["parent_id"], "name"] == f"for {name}"
        assert (rows["parent_id"] == agent.name).sum() == 1
