"""What a recording asks of those that work with it: calls in flight and ended ones, a cache, a budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tokprof.span import Answer

if TYPE_CHECKING:
    from tokprof.recorder import Recording


class Pending(Protocol):
    """Work in flight that becomes a span when it ends."""

    def flush(self) -> None:
        """Record what is known so far; the work may go on and amend its span."""


class Ended(Protocol):
    """Work that has ended, and is yet to be made a span of."""

    def settle(self) -> None:
        """Record it."""


class Answers(Protocol):
    """A cache that answers requests which were answered before."""

    def recall(self, key: bytes) -> Answer | None:
        """Give the recorded answer to a request; None where there is none."""

    def keep(self, key: bytes, answer: Answer) -> None:
        """Record the answer to a request."""


class Guard(Protocol):
    """A budget: see `tokprof.allowance.guard`, where what is asked of several at once stands, too.

    Attributes
    ----------
    profile : Profile or None
        Of the recording.
    """

    profile: Any

    def begin(self, recording: Recording) -> None:
        """Guard a recording, which opens."""

    def end(self) -> None:
        """Hear that the recording has ended."""

    @property
    def bars(self) -> list[tuple[str, float, float, str]]:
        """What is limited, how much of it was spent, the limit, and the name of the budget."""
