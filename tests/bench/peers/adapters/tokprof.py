"""tokprof, a recording for each batch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from adapters import Bare


class Adapter(Bare):
    capture = "none"

    def activate(self) -> None:
        import tokprof

        self._profile: Any = None
        self._module = tokprof

    def watch(self) -> AbstractContextManager[object]:
        self._profile = self._module.profile(capture=self.capture)
        return self._profile  # type: ignore[no-any-return]

    def decorate(self, function: Callable[[], None]) -> Callable[[], None]:
        return self._module.span(kind="task")(function)

    def take(self) -> int:
        profile, self._profile = self._profile, None
        return profile.totals.provenance.get("reported", 0)  # type: ignore[no-any-return]
