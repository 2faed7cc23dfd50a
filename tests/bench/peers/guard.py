"""Nothing that is measured may leave the machine."""

from __future__ import annotations

import os
import socket
from typing import Any

OPT_OUTS = {
    "DO_NOT_TRACK": "1",
    "TRACELOOP_TELEMETRY": "false",
    "OTEL_SDK_DISABLED": "false",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_TRACES_EXPORTER": "none",
    "LOGFIRE_SEND_TO_LOGFIRE": "false",
}

refused: set[str] = set()
"""Hosts that somebody wanted to reach."""


def close() -> None:
    """Switch the peers' own telemetry off, and refuse every connection and look-up that is not of the loopback."""
    os.environ |= OPT_OUTS
    plain = socket.socket
    connect, connect_ex, sendto, look_up = plain.connect, plain.connect_ex, plain.sendto, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        _check(address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        _check(address)
        return connect_ex(self, address)

    def guarded_sendto(self: socket.socket, *args: Any) -> int:
        _check(args[-1])
        return sendto(self, *args)

    def guarded_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        _check((host,))
        return look_up(host, *args, **kwargs)

    socket.socket.connect = guarded_connect  # type: ignore[method-assign]
    socket.socket.connect_ex = guarded_connect_ex  # type: ignore[method-assign]
    socket.socket.sendto = guarded_sendto  # type: ignore[assignment, method-assign]
    socket.getaddrinfo = guarded_look_up


def _check(address: Any) -> None:
    if not isinstance(address, tuple):
        return  # a Unix socket
    host = address[0].decode("ascii", "replace") if isinstance(address[0], bytes) else address[0]
    if host in (None, "", "localhost", "::1") or str(host).startswith("127."):
        return
    refused.add(str(host))
    raise OSError(f"the benchmark lets nobody reach {host}")
