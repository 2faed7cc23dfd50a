"""What changes too early in a prompt: found, priced, and saved by moving it, at a provider that caches prefixes."""

from __future__ import annotations

from typing import Any

import pytest

import tokprof
from tokprof.testing import SimulatedProvider

HANDBOOK = "\n".join(f"{n}. Quote the number of the invoice in every answer about money." for n in range(250))
FINDING = "a change too early in the prompt"


def found(prof: tokprof.Profile) -> Any:
    frame = prof.advice()
    return frame[frame.finding == FINDING]


def ask(client: Any, system: str, question: str, model: str = "gpt-5") -> None:
    turns = [{"role": "system", "content": system}, {"role": "user", "content": question}]
    client.chat.completions.create(model=model, messages=turns)


def run(first: str, last: str) -> tokprof.Profile:
    with SimulatedProvider(prefix_cache=True) as provider, provider.openai() as client:

        def desk(number: int) -> None:
            ask(client, f"{first.format(number)}{HANDBOOK}", f"What of {number}?{last.format(number)}")

        with tokprof.profile(capture="full") as prof:
            for number in (101, 102, 103, 104, 105):
                desk(number)
    return prof


def test_what_moving_it_saves_is_what_was_said() -> None:
    before, after = run("Ticket {}.\n", ""), run("", "\nTicket {}.")
    (row,) = found(before).itertuples()
    assert row.calls == 4 and "4 prompts of desk → ask" not in row.what  # ask has one caller: its own name will do
    assert row.what.startswith("4 prompts of ask depart from the one before in messages[0], and go on as it did")
    assert row.evidence == tuple(before.calls.span_id.iloc[1:])
    assert row.tokens == pytest.approx(after.totals.cache_read_tokens, rel=0.05)
    assert row.usd == pytest.approx(before.totals.cost - after.totals.cost, rel=0.05)
    assert found(after).empty


def test_a_function_that_several_call_is_named_after_its_caller() -> None:
    with SimulatedProvider(prefix_cache=True) as provider, provider.openai() as client:

        def desk(number: int) -> None:
            ask(client, f"Ticket {number}.\n{HANDBOOK}", "What now?")

        def other() -> None:
            ask(client, "Be brief.", "Hi")

        with tokprof.profile(capture="full") as prof:
            for number in (101, 102, 103):
                other()
                desk(number)
    assert found(prof).what.iloc[0].startswith("2 prompts of desk → ask depart")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (HANDBOOK + "Ticket 1.", HANDBOOK + "Ticket 2."),  # at the end: a cache gives what is before
        ("Ticket 1." + HANDBOOK[:2000], "Ticket 2." + HANDBOOK[:2000]),  # too short for a cache
        (HANDBOOK, HANDBOOK.replace("invoice", "parcel")),  # more than a moment changes
        (HANDBOOK, HANDBOOK),
    ],
)
def test_nothing_to_move(first: str, second: str) -> None:
    with SimulatedProvider(prefix_cache=True) as provider, provider.openai() as client:
        with tokprof.profile(capture="full") as prof:
            for system in (first, second, first, second):
                ask(client, system, "What now?")
    assert found(prof).empty


def test_of_calls_side_by_side_none_could_have_used_the_other(clock: Any) -> None:
    before = run("Ticket {}.\n", "")
    for span in before.table.spans:
        if span.source:
            span.opened, span.closed = 0, 10
    before._recording.changed()
    assert found(before).empty
