"""requests: one hook at ``Session.send``, above mounted, mocked and replayed adapters."""

from __future__ import annotations

from contextvars import ContextVar
from types import ModuleType
from typing import Any

from tokprof.capture import patch
from tokprof.capture.wire import urllib3
from tokprof.capture.wire.call import WireCall
from tokprof.capture.wire.replay import Instead
from tokprof.recorder import current

_sending: ContextVar[int | None] = ContextVar("tokprof_sending", default=None)
"""The session that is sending: it follows redirects by sending once more, and gives the last answer back."""


def install(module: ModuleType) -> None:
    """Hook ``requests.Session``."""
    patch.wrap(module.Session, "send", _hook)


def uninstall(module: ModuleType) -> None:
    """Put the original back."""
    patch.unwrap(module.Session, "send")


def _hook(original: Any) -> Any:
    def send(session: Any, request: Any, **kwargs: Any) -> Any:
        if current() is None or _sending.get() == id(session) or (call := urllib3.begin_prepared(request)) is None:
            return original(session, request, **kwargs)
        sender = session if call.stored is None else _replaying(session, call)
        token = _sending.set(id(session))
        try:
            with call:
                response = original(sender, request, **kwargs)
        finally:
            _sending.reset(token)
        return urllib3.follow(response, call, getattr(response, "_content_consumed", True), decoded=True)

    return send


def _replaying(session: Any, call: WireCall) -> Any:
    """Give the session as one whose every adapter has the stored answer."""
    raw = urllib3.stored(call)
    return session if raw is None else Instead(session, get_adapter=lambda *_, **__: _Replay(raw))


class _Replay:
    """An adapter that has an answer already."""

    def __init__(self, raw: Any):
        self._raw = raw

    def send(self, request: Any, **_settings: Any) -> Any:
        from requests.adapters import HTTPAdapter

        return HTTPAdapter().build_response(request, self._raw)
