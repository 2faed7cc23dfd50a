"""What `Profile.flow` costs: seconds for ten megabytes of prompts. ``python tests/bench/flow.py``."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from typing import Any

import tokprof
from tokprof.analysis.flow import flow

SIZE = 10_000_000
WORDS = [
    "".join(random.Random(seed).choices("abcdefghijklmnopqrstuvwxyz", k=random.Random(seed).randint(2, 11)))
    for seed in range(5000)
]


def text(seed: int, size: int) -> str:
    """Words in a random order, as one text of about `size` characters."""
    chooser = random.Random(seed)
    return " ".join(chooser.choices(WORDS, k=size // 7))


def call(messages: list[dict[str, Any]], answer: str) -> int:
    """Record a call as ``capture="full"`` keeps it; returns the characters of its prompt."""
    sent = json.dumps({"model": "m", "messages": messages})
    with tokprof.span("chat", kind="llm") as step:
        step.record(model="m", input_tokens=len(sent) // 4, output_tokens=len(answer) // 4)
        assert step.span is not None
        given = json.dumps({"choices": [{"message": {"role": "assistant", "content": answer}}]})
        step.span.content = {"prompt": sent, "answer": given}
    return len(sent)


def conversation() -> Iterator[int]:
    """One chat: each prompt is the one before, the answer and a question."""
    turns = [{"role": "system", "content": text(0, 4000)}]
    for at in range(1, 10_000):
        turns.append({"role": "user", "content": text(-at, 400)})
        answer = text(at, 1200)
        yield call(turns, answer)
        turns.append({"role": "assistant", "content": answer})


def quotes() -> Iterator[int]:
    """Every call has the same instructions, a document of its own, and what three earlier answers said."""
    answers: list[str] = []
    for at in range(1, 10_000):
        quoted = "\n".join(f"> {each}" for each in answers[-3:])
        prompt = f"{text(0, 6000)}\n\n{text(-at, 30_000)}\n\nSo far:\n{quoted}\n\nWhat follows?"
        answers.append(text(at, 2000))
        yield call([{"role": "user", "content": prompt}], answers[-1])


def boilerplate() -> Iterator[int]:
    """Answers that are nearly the same, and all in every later prompt, as JSON."""
    answers: list[str] = []
    for at in range(1, 10_000):
        answers.append(json.dumps({"status": "ok", "explanation": f"The answer to your question is {at}.", "note": ""}))
        prompt = "Answers: " + json.dumps(answers[-400:])
        yield call([{"role": "user", "content": prompt}], answers[-1])


def main() -> None:
    for scene in (conversation, quotes, boilerplate):
        size = calls = 0
        with tokprof.profile(live=False) as prof:
            for more in scene():
                size, calls = size + more, calls + 1
                if size >= SIZE:
                    break
        table = prof.table
        begin = time.perf_counter()
        found = flow(table)
        seconds = time.perf_counter() - begin
        print(f"{scene.__name__:13} {calls:5} calls {size / 1e6:6.1f} MB {seconds:6.2f} s {len(found):7} flows")


if __name__ == "__main__":
    main()
