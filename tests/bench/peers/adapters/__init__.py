"""One file a peer: how it is switched on and asked to finish, as its own documentation says, and nothing sent anywhere.

An adapter is a class `Adapter` with what differs from `Bare`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext


class Bare:
    """The SDK alone: nothing is watched."""

    def activate(self) -> None:
        """Switch the instrumentation on, before a client is made."""

    def watch(self) -> AbstractContextManager[object]:
        """Stand around a batch, where the peer asks for that; inside of what is measured."""
        return nullcontext()

    def decorate(self, function: Callable[[], None]) -> Callable[[], None]:
        """Trace a function."""
        return function

    def flush(self) -> None:
        """Bring to an end what goes on in the background; inside of what is measured."""

    def take(self) -> int:
        """Count the model calls with input tokens that were recorded since the last time, and forget them."""
        return 0
