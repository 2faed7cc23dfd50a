"""How spans get in: hooks in the HTTP libraries, in what starts threads and tasks, and in frameworks."""

from __future__ import annotations

from tokprof.capture import frameworks, tasks, threads, wire
from tokprof.recorder import before_open


def install() -> None:
    """Put every hook in, when the first recording begins."""
    threads.install()
    tasks.install()
    wire.install()
    frameworks.install()


def uninstall() -> None:
    """Take every hook out."""
    threads.uninstall()
    tasks.uninstall()
    wire.uninstall()
    frameworks.uninstall()


before_open.append(install)
