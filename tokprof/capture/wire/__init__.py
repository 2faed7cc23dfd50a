"""Reading model calls where they cross the HTTP boundary.

A transport is a file here with two functions:

``install(module)``
    Patch the classes of the HTTP library `module`, so that clients made earlier are covered too. A hook asks
    `begin` for a `WireCall` (None: nothing to do), sends inside ``with call``, marks `answered`, passes every chunk
    of the body to `chunk` as it goes by, and says `finish` or `fail` at the end. It never reads ahead, and never
    sends anything else.
``uninstall(module)``
    Put the originals back, where nobody patched on top; an installed hook without a recording does nothing.

`TRANSPORTS` names the module a transport waits for; it is patched when the program imports it, not before.
"""

from __future__ import annotations

import sys
from types import ModuleType

import wrapt

from tokprof.capture.wire import aiohttp, botocore, grpc, httpx, lm15, requests
from tokprof.recorder import warn_once

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

_active = False
_waiting: set[str] = set()


def install() -> None:
    """Hook every transport: those already imported now, the others when they are imported.

    Each recording asks for it: a mock that has ended since may have put back what it found before the hook.
    """
    global _active
    _active = True
    for name in TRANSPORTS:
        if name in _waiting:
            if name in sys.modules:
                _patch(sys.modules[name])
        else:
            _waiting.add(name)
            wrapt.register_post_import_hook(_patch, name)


def uninstall() -> None:
    """Take every hook out."""
    global _active
    _active = False
    for name, transport in TRANSPORTS.items():
        if module := sys.modules.get(name):
            transport.uninstall(module)


def _patch(module: ModuleType) -> None:
    if not _active:
        return
    name = module.__name__
    try:
        TRANSPORTS[name].install(module)
    except Exception as error:
        warn_once(f"hook into {name}", error)
