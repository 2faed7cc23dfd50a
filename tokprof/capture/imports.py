"""Modules of other people are hooked when the program imports them, not before."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import partial
from types import ModuleType

import wrapt

from tokprof.recorder import warn_once


class Imports:
    """Modules that are waited for.

    Parameters
    ----------
    names : iterable of str
    hook : callable
        Takes the name that was waited for, which a module may not bear itself, and the module.
    doing : str
        What a warning says that could not be done; the name follows.
    """

    def __init__(self, names: Iterable[str], hook: Callable[[str, ModuleType], None], doing: str):
        self._names = tuple(names)
        self._hook = hook
        self._doing = doing
        self._active = False
        self._waiting = False

    def install(self) -> None:
        """Hook what is imported already now, and the rest when it is imported.

        Each recording asks for it: a mock that has ended since may have put back what it found before the hook.
        """
        self._active = True
        if self._waiting:
            for name, module in self.imported():
                self._apply(name, module)
            return
        self._waiting = True
        for name in self._names:
            wrapt.register_post_import_hook(partial(self._apply, name), name)

    def uninstall(self) -> list[tuple[str, ModuleType]]:
        """Hook nothing from now on; gives what was imported, for the originals to be put back."""
        self._active = False
        return self.imported()

    def imported(self) -> list[tuple[str, ModuleType]]:
        """Give those of the modules that the program has imported."""
        return [(name, module) for name in self._names if (module := sys.modules.get(name)) is not None]

    def _apply(self, name: str, module: ModuleType) -> None:
        if not self._active:
            return
        try:
            self._hook(name, module)
        except Exception as error:
            warn_once(f"{self._doing} {name}", error)
