"""OTLP over HTTP: a profile to a collector, when one asks for it."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import urllib.error
import urllib.request
import warnings
from collections.abc import Mapping
from contextvars import copy_context
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from tokprof.export.otlp import request, spans
from tokprof.recorder import forget_scope

if TYPE_CHECKING:
    from tokprof.profile import Profile

BATCH = 1_000
"""Spans of one request."""

_PATH = "/v1/traces"
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class _Stay(urllib.request.HTTPRedirectHandler):
    """Redirects are not followed: urllib would drop the body, and hand the headers on."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def push(
    profile: Profile,
    endpoint: str,
    headers: Mapping[str, str] | None,
    timeout: float,
    content: bool,
    service: str,
) -> int:
    """Send a profile; see `Profile.push_otlp`."""
    address, shown = _address(endpoint)
    sent = _headers(headers or {})
    made, count, rejected = spans(profile, content), 0, 0
    context = copy_context()  # in which this is nobody's call, whatever is recorded meanwhile
    context.run(forget_scope)
    while batch := list(islice(made, BATCH)):
        body = gzip.compress(request(batch, service).encode("utf-8"))
        rejected += context.run(_send, address, shown, body, sent, timeout)
        count += len(batch)
    return count - rejected


def _address(endpoint: str) -> tuple[str, str]:
    """Give the address to send to, and how it may be shown: without what may be a secret."""
    try:
        parts = urlsplit(endpoint)
        port, host = parts.port, parts.hostname
    except (ValueError, AttributeError):
        parts, port, host = urlsplit(""), None, None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("the endpoint is no address of a collector; one looks like http://localhost:4318")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the endpoint holds a name or password; give them by headers={'authorization': ...}")
    path = _PATH if parts.path in ("", "/") else parts.path
    shown = f"{parts.scheme}://{host}{'' if port is None else f':{port}'}{path}"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, "")), shown


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError("a name of a header is no name")
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise ValueError(f"the value of the header {name!r} is no text in one line")
    return {**headers, "Content-Type": "application/json", "Content-Encoding": "gzip"}


def _send(address: str, shown: str, body: bytes, headers: dict[str, str], timeout: float) -> int:
    """Send a request; gives how many spans were rejected."""
    opener = urllib.request.build_opener(_Stay)
    asked = urllib.request.Request(address, body, headers, method="POST")
    try:
        with opener.open(asked, timeout=timeout) as response:
            answer = response.read(1 << 20)
    except urllib.error.HTTPError as error:
        with error:
            said = error.read(300).decode("utf-8", "replace").strip()
        raise ConnectionError(f"{shown} answered {error.code} {error.reason}: {said}".rstrip(": ")) from None
    except TimeoutError:
        raise ConnectionError(f"{shown} did not answer within {timeout:g} s") from None
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            raise ConnectionError(f"{shown} did not answer within {timeout:g} s") from None
        raise ConnectionError(f"{shown} cannot be reached: {reason}; is a collector listening there?") from None
    return _rejected(answer)


def _rejected(answer: bytes) -> int:
    """How many spans a collector did not take, with its reason as a warning."""
    try:
        partial = json.loads(answer or b"{}").get("partialSuccess") or {}
        count = int(partial.get("rejectedSpans", 0))
    except (ValueError, AttributeError, TypeError, RecursionError):
        return 0  # it said yes, in words of its own
    if count:
        reason = str(partial.get("errorMessage") or "without a reason")[:300]
        warnings.warn(f"the collector rejected {count:,} spans: {reason}", UserWarning, stacklevel=5)
    return count
