"""The opt-in that changes a request: OpenAI chat streams tell their usage only if they are asked to.

``stream_options.include_usage`` makes the server send one more event, with ``"choices": []`` and the usage of the whole
stream (https://platform.openai.com/docs/api-reference/chat/create). A program that did not ask for it does not see it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tokprof.meter.body import load
from tokprof.meter.providers import provider

_PATHS = ("/chat/completions", "/completions")
# Mistral and OpenRouter tell usage without being asked: the one refuses fields that it does not know, the program of
# the other is to see the event that it gets anyway (https://openrouter.ai/docs/use-cases/usage-accounting)
_REFUSE = ("mistral_ai", "openrouter")
# a body that is signed or has a checksum may not change: AWS and Oracle sign, RFC 9421 and RFC 9530 for the others
_SIGNED = ("aws4-", "signature", "hmac")
_SUMS = ("content-digest", "repr-digest", "digest", "content-md5", "x-content-sha256", "signature-input")


def ask(host: str, path: str, headers: Mapping[str, str], body: bytes | None) -> bytes | None:
    """Write a request anew, so that its stream tells its usage.

    Parameters
    ----------
    host, path : str
        Where it goes; `path` without the query.
    headers : mapping of str to str
        Of the request, lower case names.
    body : bytes or None

    Returns
    -------
    bytes or None
        The new body; None where there is nothing to ask for, or where a signature covers the body.
    """
    if not body or b'"stream"' not in body or not path.rstrip("/").endswith(_PATHS) or provider(host) in _REFUSE:
        return None
    scheme = headers.get("authorization", "").partition(" ")[0].lower()
    if any(sign in scheme for sign in _SIGNED) or any(name in headers for name in (*_SUMS, "content-encoding")):
        return None
    asked = load(body)
    if not isinstance(asked, dict) or asked.get("stream") is not True:
        return None
    options = asked.get("stream_options")
    if options is not None and not isinstance(options, dict):
        return None
    if options and options.get("include_usage") is not None:
        return None
    asked["stream_options"] = (options or {}) | {"include_usage": True}
    return json.dumps(asked, separators=(",", ":")).encode()


class Hide:
    """Takes the event with the usage out of a stream of server-sent events.

    Whole events go on as they come; the beginning of one waits for its end, as it does in every reader.
    """

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Give what the program may see of the stream up to here."""
        text = self._rest + data
        end = max(text.rfind(mark) + len(mark) for mark in _ENDS if mark in text) if _ended(text) else 0
        self._rest = text[end:]
        whole = text[:end]
        if b'"usage"' not in whole:
            return whole
        return b"".join(event for event in _events(whole) if not _is_extra(event))

    def flush(self) -> bytes:
        """Give what is left at the end of the stream."""
        rest, self._rest = self._rest, b""
        return b"" if _is_extra(rest) else rest


_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")


def _ended(text: bytes) -> bool:
    return any(mark in text for mark in _ENDS)


def _events(text: bytes) -> list[bytes]:
    """Split after each blank line."""
    events: list[bytes] = []
    begin = 0
    while begin < len(text):
        ends = [at + len(mark) for mark in _ENDS if (at := text.find(mark, begin)) >= 0]
        end = min(ends) if ends else len(text)
        events.append(text[begin:end])
        begin = end
    return events


def _is_extra(event: bytes) -> bool:
    """Whether an event is the one that ``include_usage`` adds."""
    if b'"usage"' not in event or b'"choices"' not in event:
        return False
    data = b"\n".join(line[5:] for line in event.splitlines() if line.startswith(b"data:"))
    told: Any = load(data)
    return isinstance(told, dict) and told.get("choices") == [] and isinstance(told.get("usage"), dict)
