"""A recording without rows of its own: what holds for the calls inside a block, and leaves them where they belong."""

from __future__ import annotations

from tokprof import recorder
from tokprof.contracts import Ended
from tokprof.recorder import Recording, current, leave
from tokprof.span import Span


class _Nowhere(list[Span]):
    """Rows that are let by."""

    def append(self, span: Span, /) -> None:
        """Forget it."""


class Layer(Recording):
    """What a scope sets for the calls inside it, a cache for instance; their rows are those of the recording around it.

    Without a recording around it, calls are followed and leave no rows. Work of a context that nothing is known of
    stays outside: a row too many does no harm, another answer may.
    """

    def __init__(self, name: str):
        self._begun = False
        super().__init__(name)
        self.spans = _Nowhere()

    @property
    def is_open(self) -> bool:
        """Whether the recording around it is; alone, whether the block goes on."""
        return self._begun if self.outer is None else self.outer.is_open

    @is_open.setter
    def is_open(self, value: bool) -> None:
        self._begun = value

    @property
    def seen(self) -> bool:  # type: ignore[override]
        """Whether there is a recording around it."""
        return self.outer is not None and self.outer.seen

    def open(self) -> None:
        """Begin."""
        around = current()
        if around is not None:
            outer, span = around
            self.outer, self.scope = outer, (self, span)
            self.capture, self.request_usage, self.remote = outer.capture, outer.request_usage, outer.remote
            self.trace_id, self.tags = outer.trace_id, outer.tags
            self.guards, self.marks = outer.guards, outer.marks
            self.pending, self.failed_attempts = outer.pending, outer.failed_attempts
            self.cache = self.cache or outer.cache
        for prepare in recorder.before_open:
            prepare()
        self.is_open = True
        self._enter()

    def close(self, error: BaseException | None = None) -> None:
        """End; work that goes on does so in the recording around."""
        self.ended = True
        leave(self._token, self.scope)
        self._token = None
        self.is_open = False

    def put_off(self, work: Ended, size: int) -> bool:
        """As in the recording around; alone, nothing is."""
        return self.outer is not None and self.outer.put_off(work, size)

    def drafted(self, span: Span) -> None:
        """As in the recording around; alone, nobody asks for estimates."""
        if self.outer is None:
            span.draft = None
        else:
            self.outer.drafted(span)

    def let_go(self, span: Span) -> None:
        """As in the recording around."""
        if self.outer is not None:
            self.outer.let_go(span)
