"""What the tests of every SDK need: names of providers that lead to the loopback, and nowhere else."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from sdks.matrix import GROUPS, file_of
from sdks.servers.loopback import Answer, Asked, Loopback

_core = {file_of(sdk).name for sdk in GROUPS["core"].sdks}
# a file that is named on the command line is collected all the same: see matrix.py
collect_ignore = sorted({file_of(sdk).name for group in GROUPS.values() for sdk in group.sdks} - _core)

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names in the set lead to the loopback; all others cannot be resolved."""
    names = {"127.0.0.1", "localhost", "::1"}
    resolve = socket.getaddrinfo

    def getaddrinfo(host: str | bytes | None, *args: object, **kwargs: object) -> object:
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and name not in names:
            raise socket.gaierror(socket.EAI_NONAME, f"the tests know no {name}")
        return resolve("127.0.0.1" if name else name, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    for name in _PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return names


@pytest.fixture
def serve(loopback_only: set[str]) -> Iterator[Callable[..., Loopback]]:
    """Starts a server for the test: ``serve(dialect, "api.groq.com")``."""
    with ExitStack() as stack:

        def start(dialect: Callable[[Asked], Answer], host: str = "127.0.0.1") -> Loopback:
            loopback_only.add(host)
            return stack.enter_context(Loopback(dialect, host))

        yield start
