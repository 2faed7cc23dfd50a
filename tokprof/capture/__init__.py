"""How spans get in: hooks in the HTTP libraries, and in what starts threads and tasks."""

from __future__ import annotations

from tokprof.capture import tasks, threads, wire
from tokprof.recorder import before_open


def install() -> None:
    """Put every hook in, when the first recording begins."""
    threads.install()
    tasks.install()
    wire.install()


def uninstall() -> None:
    """Take every hook out."""
    threads.uninstall()
    tasks.uninstall()
    wire.uninstall()


before_open.append(install)
