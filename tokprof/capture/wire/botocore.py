"""botocore (boto3): one hook at ``URLLib3Session.send``, where a signed request goes out."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from tokprof.capture import patch
from tokprof.capture.wire import urllib3
from tokprof.recorder import current


def install(module: ModuleType) -> None:
    """Hook ``URLLib3Session`` of ``botocore.httpsession``."""
    patch.wrap(module.URLLib3Session, "send", _hook)


def uninstall(module: ModuleType) -> None:
    """Put the original back."""
    patch.unwrap(module.URLLib3Session, "send")


def _hook(original: Any) -> Any:
    def send(session: Any, request: Any) -> Any:
        if current() is None or (call := urllib3.begin_prepared(request)) is None:
            return original(session, request)
        with call:
            response = original(session, request)
        return urllib3.follow(response, call, not request.stream_output, decoded=False)

    return send
