"""Loading, loading again and unloading."""

from __future__ import annotations

import pytest
from jupyter_client.manager import start_new_kernel

from .conftest import Kernel

pytestmark = pytest.mark.kernel

TRACES = """\
def traces():
    import httpx, httpx2
    shell = get_ipython()
    callbacks = [c for name in shell.events.callbacks for c in shell.events.callbacks[name]]
    found = {
        "transforms": sum("tokprof" in type(getattr(t, "__self__", t)).__module__
                          for t in shell.input_transformers_cleanup),
        "events": sum("tokprof" in type(getattr(c, "__self__", c)).__module__ for c in callbacks),
        "magics": sum("tokprof" in shell.magics_manager.magics[kind] for kind in ("line", "cell")),
        "settings": sum(type(c).__name__ == "TokProf" for c in shell.configurables),
        "hooks": sum(hasattr(getattr(m, c)._send_single_request, "_tokprof_original")
                     for m in (httpx, httpx2) for c in ("Client", "AsyncClient")),
    }
    return [found[key] for key in ("transforms", "events", "magics", "settings", "hooks")]
"""
LOADED, GONE = [1, 2, 2, 1, 4], [0, 0, 0, 0, 0]


@pytest.fixture(autouse=True)
def tracing(run: Kernel) -> None:
    run(TRACES)
    run("%load_ext tokprof\n_ = tokprof.profile().__enter__().__exit__(None, None, None)")


def test_a_second_load_changes_nothing(run: Kernel) -> None:
    assert "already loaded" in run("%load_ext tokprof").printed
    run("tokprof.load_ipython_extension(get_ipython())")
    assert run.value("traces()") == LOADED
    assert run("%%tokprof\n_ = ask()").profile


def test_reload_leaves_one_of_each(run: Kernel) -> None:
    run("%reload_ext tokprof")
    run("%%tokprof prof\n_ = ask()")
    assert run.value("traces()") == LOADED
    assert run.value("prof.totals.calls") == 1


def test_unload_leaves_nothing(run: Kernel) -> None:
    run("%%tokprof prof\n_ = ask()")
    run("%unload_ext tokprof")
    assert run.value("traces()") == GONE
    plain = run("_ = ask()\nawait aask()\n1")
    assert (plain.result, plain.profile) == ("1", None)
    assert run.value("prof.totals.calls") == 1
    missing = run("%%tokprof\nprint('ran')", ok=False)
    assert "ran\n" not in missing.printed
    run("%load_ext tokprof")
    assert "1 call" in (run("%%tokprof\n_ = ask()").profile or "")


def test_cells_are_known_without_the_extension(kernel: Kernel) -> None:
    kernel("import tokprof\ndef step():\n    with tokprof.span('inner'):\n        pass")
    cell = kernel("with tokprof.profile(live=False) as alone:\n    step()")
    stack = kernel.value("[(f.function, f.cell, f.line) for f in alone.df['stack'].iloc[1]]")
    assert stack == [("<module>", cell.executed, 2), ("step", cell.executed - 1, 3)]


def test_the_first_profile_of_a_kernel_knows_its_cell() -> None:
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        fresh = Kernel(manager, client)
        cell = fresh("import tokprof\nwith tokprof.profile(live=False) as first:\n    pass")
        assert fresh.value("[(f.function, f.cell, f.line) for f in first.df['stack'].iloc[0]]") == [
            ("<module>", cell.executed, 2)
        ]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
