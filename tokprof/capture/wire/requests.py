"""requests: one hook at ``Session.send``, above mounted, mocked and replayed adapters."""

from __future__ import annotations

from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from tokprof.capture import patch
from tokprof.capture.wire import urllib3
from tokprof.capture.wire.call import WireCall, begin
from tokprof.recorder import current, warn_once


def install(module: ModuleType) -> None:
    """Hook ``requests.Session``."""
    patch.wrap(module.Session, "send", _hook)


def uninstall(module: ModuleType) -> None:
    """Put the original back."""
    patch.unwrap(module.Session, "send")


def _hook(original: Any) -> Any:
    def send(session: Any, request: Any, **kwargs: Any) -> Any:
        if current() is None or (call := _begin(request)) is None:
            return original(session, request, **kwargs)
        with call:
            response = original(session, request, **kwargs)
        return follow(response, call, getattr(response, "_content_consumed", True), decoded=True)

    return send


def _begin(request: Any) -> WireCall | None:
    try:
        url = urlsplit(request.url)
        body = request.body.encode() if isinstance(request.body, str) else request.body
        headers = {name.lower(): value for name, value in request.headers.items() if isinstance(value, str)}
        return begin(request.method, url.netloc.rpartition("@")[2], url.path, headers, _bytes(body))
    except Exception as error:
        warn_once("look at a request", error)
        return None


def _bytes(body: Any) -> bytes | None:
    return bytes(body) if isinstance(body, bytes | bytearray) else None


def follow(response: Any, call: WireCall, consumed: bool, decoded: bool) -> Any:
    """Take in the head of an answer of requests or botocore, and its body: now, or as it is read."""
    try:
        call.answered(response.status_code, {name.lower(): value for name, value in response.headers.items()}, decoded)
        if consumed:
            call.chunk(response.content)
            call.finish(complete=True)
        else:
            urllib3.follow(response.raw, call)
    except Exception as error:
        warn_once("follow an answer", error)
    return response
