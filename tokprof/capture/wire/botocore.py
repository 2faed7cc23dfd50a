"""botocore (boto3): one hook at ``URLLib3Session.send``, where a signed request goes out."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from tokprof.capture import patch
from tokprof.capture.wire import urllib3
from tokprof.capture.wire.call import WireCall
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
        answer = None if call.stored is None else _answer(request, call)
        with call:
            response = original(session, request) if answer is None else answer
        return urllib3.follow(response, call, not request.stream_output, decoded=False)

    return send


def _answer(request: Any, call: WireCall) -> Any:
    """Give the stored answer as the library's own."""
    if (raw := urllib3.stored(call)) is None:
        return None
    response = sys.modules["botocore.awsrequest"].AWSResponse(request.url, raw.status, raw.headers, raw)
    if not request.stream_output:
        response.content  # noqa: B018  (read now, as the original does)
    return response
