"""Reading model calls where they cross the HTTP boundary.

A transport is a file here with two functions:

``install(module)``
    Patch the classes of the HTTP library `module`, so that clients made earlier are covered too. A hook asks
    `begin` for a `WireCall` (None: nothing to do), sends inside ``with call``, marks `answered`, passes every chunk
    of the body to `chunk` as it goes by, and says `finish` or `fail` at the end. It never reads ahead, and never
    sends anything else. `BudgetExceeded` comes out of `begin` and of `chunk`, and goes on to the program; after the
    latter the hook closes the connection of a call that is `stopped`. A hook that tells `begin` the query gets calls
    that come with a `stored` answer, which it gives as the library would, with nothing sent, and follows like any.
``uninstall(module)``
    Put the originals back, where nobody patched on top; an installed hook without a recording does nothing.

`TRANSPORTS` names the module a transport waits for; it is patched when the program imports it, not before.
"""

from __future__ import annotations

from types import ModuleType

from tokprof.capture.imports import Imports
from tokprof.capture.wire import aiohttp, botocore, grpc, httpx, lm15, requests

TRANSPORTS: dict[str, ModuleType] = {
    "aiohttp": aiohttp,
    "botocore.httpsession": botocore,
    "dspy._vendor.lm15.transports": lm15,
    "grpc": grpc,
    "httpx": httpx,
    "httpx2": httpx,
    "lm15.transports": lm15,
    "requests": requests,
}


def _patch(name: str, module: ModuleType) -> None:
    TRANSPORTS[name].install(module)


_imports = Imports(TRANSPORTS, _patch, "hook into")


def install() -> None:
    """Hook every transport: those already imported now, the others when they are imported."""
    _imports.install()


def uninstall() -> None:
    """Take every hook out."""
    for name, module in _imports.uninstall():
        TRANSPORTS[name].uninstall(module)
