"""What is kept of prompts and answers, if the user asks for it. It stays in this process's memory."""

from __future__ import annotations

from tokprof.meter.body import decode
from tokprof.meter.prompts import last_message
from tokprof.meter.stream import framing
from tokprof.meter.texts import answer
from tokprof.span import Exchange

PREVIEW = 500
"""Characters of the last message, and of the answer, that a preview keeps."""


def keep(exchange: Exchange, capture: str) -> dict[str, str]:
    """Take prompt and answer out of an exchange.

    Parameters
    ----------
    exchange : Exchange
    capture : {"preview", "full"}
        ``preview``: the text of the last message and of the answer, 500 characters each. ``full``: both bodies as sent.

    Returns
    -------
    dict of str to str
        ``prompt`` and ``answer``.
    """
    request = exchange.request or b""
    body = decode(exchange.chunks, exchange.content_encoding) or b""
    if capture == "full":
        return {"prompt": request.decode("utf-8", "replace"), "answer": body.decode("utf-8", "replace")}
    said = answer(body, framing(exchange.content_type, body), enough=PREVIEW)
    return {"prompt": last_message(request)[:PREVIEW], "answer": "".join(said.of())[:PREVIEW]}
