"""What a call spent, where its provider did not say: counted from the texts that passed."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

from tokprof.meter.parts import Texts
from tokprof.meter.prompts import Asked, asked
from tokprof.meter.schemas import as_json, as_typescript
from tokprof.meter.texts import answer
from tokprof.meter.tokenizers import RULE_OF_THUMB, Counted, count_all, encoding_of
from tokprof.span import Draft, Usage

# https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken: role and frame of each message, and one for
# the name of its author; the beginning of the answer, which is a token shorter for models that reason
_A_MESSAGE = 4
_ANSWER, _ANSWER_REASONED = 3, 2
# frames of a tool call and of several at once, and the end of an answer of the Responses API: what recorded answers
# of gpt-3.5 to gpt-4.1 were billed beyond their text
_A_CALL, _A_CALL_OF_MANY, _MANY_CALLS = 7, 9, 10
_RESPONSE = 1
# https://docs.claude.com/en/docs/agents-and-tools/tool-use/overview: the prompt that tools bring along
_CLAUDE_TOOLS = 346

_REASONS = re.compile(r"(?:^|[/.:])(?:o[134](?:-|$)|gpt-5(?!.*chat)|codex-|computer-use)", re.IGNORECASE)
_KEEPS_REASONING = re.compile(
    _REASONS.pattern + r"|gpt-oss|gemini-(?:2\.5|[3-9])|grok-(?:[4-9]|code)(?!.*non-reasoning)", re.IGNORECASE
)
_BARE = re.compile(r"gemini|amazon\.nova", re.IGNORECASE)  # they count the text alone
_CLAUDE = re.compile(r"claude", re.IGNORECASE)
_NO_TEXT = frozenset({"images", "transcription", "speech", "rerank"})


class Estimate(NamedTuple):
    """What a call is reckoned to have spent.

    Attributes
    ----------
    usage : Usage
        What was told, and estimates of the rest.
    source : str
        ``estimated``, or ``partial`` where it is a lower bound: the answer was cut short, or prompt or answer have
        tokens that text does not show.
    tokenizer : str
        As in ``Counted``.
    """

    usage: Usage
    source: str
    tokenizer: str


def estimate(draft: Draft) -> Estimate | None:
    """Estimate the tokens of a call from its texts.

    Figures that the provider told stay. Its output, told or counted, is whichever is more.

    Parameters
    ----------
    draft : Draft

    Returns
    -------
    Estimate or None
        None where text does not tell the tokens (images, audio, reranking) or there is none. Never raises.
    """
    if draft.operation in _NO_TEXT or draft.kind == "reranker":
        return None
    try:
        return _estimate(draft)
    except Exception:
        return None


def _estimate(draft: Draft) -> Estimate | None:
    usage = replace(draft.usage)
    tokenizers = []
    whole = draft.complete and bool(draft.body)
    embedding = draft.kind == "embedding"
    if usage.input_tokens is None:
        prompt = asked(draft.request, "embeddings" if embedding else draft.operation)
        whole = whole and prompt.complete
        if found := count_prompt(prompt, draft.model):
            usage.input_tokens = found.tokens
            tokenizers.append(found.tokenizer)
    if embedding:
        usage.output_tokens = 0 if usage.output_tokens is None else usage.output_tokens
    else:
        said = answer(draft.body, draft.frame, draft.operation)
        whole = whole and not said.hidden
        if found := _output(said, draft):
            usage.output_tokens = max(found.tokens, usage.output_tokens or 0)
            tokenizers.append(found.tokenizer)
        thoughts = said.of("reasoning")
        if thoughts:
            usage.reasoning_tokens = max(count_all(thoughts, draft.model).tokens, usage.reasoning_tokens or 0)
        elif _KEEPS_REASONING.search(draft.model or ""):
            whole = False  # and bills it
    if not tokenizers:
        return None
    whole = whole and usage.total_tokens is not None
    tokenizer = RULE_OF_THUMB if RULE_OF_THUMB in tokenizers else tokenizers[0]
    return Estimate(usage, "estimated" if whole else "partial", tokenizer)


def count_prompt(prompt: Asked, model: str | None) -> Counted | None:
    """Count the tokens of a prompt, as far as the request shows it; None where it shows nothing."""
    if not (prompt.texts or prompt.tokens or prompt.tools):
        return None
    found = count_all([*prompt.texts, offered(prompt, model)], model)
    return Counted(found.tokens + prompt.tokens + frames(prompt, model or ""), found.tokenizer)


def offered(prompt: Asked, model: str | None) -> str:
    """Tools as they stand in a prompt; empty where there are none."""
    if not prompt.tools:
        return ""
    return (as_typescript if encoding_of(model)[1] else as_json)(prompt.tools)


def frames(prompt: Asked, model: str) -> int:
    """Tokens of a prompt beside its texts."""
    if not prompt.messages or _BARE.search(model):
        return 0
    tokens = prompt.messages * _A_MESSAGE + prompt.names + _calls(prompt.calls)
    tokens += _ANSWER_REASONED if _REASONS.search(model) else _ANSWER
    if prompt.tools and _CLAUDE.search(model):
        tokens += _CLAUDE_TOOLS
    return tokens


def _output(said: Texts, draft: Draft) -> Counted | None:
    texts = said.of()
    if not texts:
        return None
    found = count_all(texts, draft.model)
    frames = 0
    if draft.complete:  # a lower bound has none of what may not have come
        frames = _calls(len(said.of("name"))) + (_RESPONSE if draft.operation == "responses" else 0)
    return Counted(found.tokens + frames, found.tokenizer)


def _calls(calls: int) -> int:
    return _A_CALL * calls if calls < 2 else _A_CALL_OF_MANY * calls + _MANY_CALLS
