"""Errors after which nothing has been sent, so that no model has seen the request."""

from __future__ import annotations

from typing import Any

_NO_CONNECTION = frozenset(
    [
        "ConnectError",
        "ConnectTimeout",
        "ConnectTimeoutError",
        "PoolTimeout",
        "UnsupportedProtocol",
        "InvalidURL",
        "ProxyError",
        "gaierror",
        "NewConnectionError",
        "NameResolutionError",
        "EndpointConnectionError",
        "ConnectionRefusedError",
        "ClientConnectorError",
        "ClientConnectorDNSError",
        "ClientConnectorSSLError",
        "ClientConnectorCertificateError",
        "ClientProxyConnectionError",
    ]
)
"""Types of errors, in all the HTTP libraries, after which nothing has been sent."""


def unsent(error: BaseException) -> bool:
    """Whether the error says that there was no connection to send a request by."""
    seen: list[Any] = [error]
    for cause in seen:
        if type(cause).__name__ in _NO_CONNECTION:
            return True
        if len(seen) < 16:
            causes = (cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args[:1])
            seen += [one for one in causes if isinstance(one, BaseException) and one not in seen]
    return False
