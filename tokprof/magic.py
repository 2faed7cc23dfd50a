"""``%%tokprof`` and ``%tokprof``: options, settings, and how a magic line gets out of IPython's way.

A magic that runs its cell itself loses top-level ``await``, the cell's number and its lines. So an input transform
takes the line out (and keeps the line count), IPython runs the cell as any other, and `tokprof.cells` listens to its
events.
The magics below are registered too: for ``%%tokprof?``, completion, usage errors and ``%tokprof``.
"""

from __future__ import annotations

import keyword
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class
from IPython.core.magic_arguments import MagicArgumentParser
from traitlets import Bool, Enum, Float, Int, observe

from tokprof.allowance.terms import ON_EXCEED, Terms, terms
from tokprof.cache import CacheTerms
from tokprof.capture import uninstall
from tokprof.cells import CellProfiler, Plan, show_safely
from tokprof.profile import Profile, last, remember
from tokprof.span import CAPTURES, METRICS, SNAPSHOTS, VIEWS
from tokprof.views import display

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_MAGIC = "%%tokprof"


def _parser() -> MagicArgumentParser:
    parser = MagicArgumentParser(prog="%tokprof", add_help=False, description="Profile the tokens of a cell.")
    parser.add_argument("name", nargs="?", metavar="NAME", help="variable that the profile is bound to")
    parser.add_argument("--view", choices=VIEWS, help="what is shown under the cell (auto: summary and flamegraph)")
    parser.add_argument("--metric", choices=METRICS, help="what the width of a node stands for at first")
    parser.add_argument(
        "--capture",
        choices=CAPTURES,
        help="keep nothing, 500 characters, or all of prompts and answers, in the kernel's memory: prof.content(id)",
    )
    parser.add_argument("--tag", action="append", default=[], metavar="K=V", help="tag every span; may be repeated")
    parser.add_argument(
        "--request-usage",
        action="store_true",
        help="ask OpenAI chat streams for their usage where the cell does not (this changes the request)",
    )
    parser.add_argument("--budget", type=int, metavar="TOKENS", help="tokens that the cell may spend, in and out")
    parser.add_argument("--max-cost", type=float, metavar="USD", help="dollars that the cell may spend")
    parser.add_argument("--max-calls", type=int, metavar="N", help="requests that the cell may send, retries included")
    parser.add_argument("--max-seconds", type=float, metavar="S", help="time after which no call is sent any more")
    parser.add_argument(
        "--on-exceed",
        choices=ON_EXCEED,
        help="what a limit does: raise BudgetExceeded at the call that would not fit, which is not sent, or warn once",
    )
    parser.add_argument(
        "--stop-streams", action="store_true", help="stop a stream, too, when what has come of it passes a limit"
    )
    parser.add_argument(
        "--cache",
        action="store_true",
        help="answer requests that were answered before, in any cell with --cache, from the kernel's memory",
    )
    parser.add_argument("--cache-path", metavar="FILE", help="keep the answers in a file instead, for later kernels")
    parser.add_argument("--cache-ttl", type=float, metavar="SECONDS", help="ask anew what was answered longer ago")
    parser.add_argument("--refresh", action="store_true", help="send every request, and keep the new answers")
    parser.add_argument("--no-live", action="store_true", help="no summary while the cell runs")
    parser.add_argument("--quiet", action="store_true", help="show nothing; the profile is in NAME and tokprof.last()")
    return parser


_PARSER = _parser()


@magics_class
class TokProf(Magics):
    """Settings of tokprof: the defaults of ``%%tokprof``'s options."""

    view = Enum(VIEWS, "auto", help="What a profiled cell shows.").tag(config=True)
    metric = Enum(METRICS, "tokens", help="What the width of a node stands for at first.").tag(config=True)
    capture = Enum(CAPTURES, "none", help="How much of prompts and answers is kept in memory.").tag(config=True)
    request_usage = Bool(False, help="Ask OpenAI chat streams for their usage.").tag(config=True)
    budget = Int(None, allow_none=True, min=1, help="Tokens that a cell may spend.").tag(config=True)
    max_cost = Float(None, allow_none=True, min=1e-9, help="USD that a cell may spend.").tag(config=True)
    on_exceed = Enum(ON_EXCEED, "raise", help="What the limits do: stop the cell, or warn once.").tag(config=True)
    live = Bool(True, help="Show a summary while a cell runs.").tag(config=True)
    quiet = Bool(False, help="Show nothing.").tag(config=True)
    snapshot = Enum(
        SNAPSHOTS,
        "static",
        help="What a saved notebook keeps: a picture and tables, or the interactive views too, for whoever trusts it.",
    ).tag(config=True)

    def __init__(self, shell: InteractiveShell):
        super().__init__(shell=shell)
        self.ip = shell
        self.always = False
        self.cells = CellProfiler(shell, self.plan_of)

    @observe("snapshot")
    def _on_snapshot(self, change: Any) -> None:
        display.snapshots = change["new"]

    def plan_of(self, raw_cell: str) -> Plan | None:
        """Read how a cell is to be profiled; None for not at all, also where its options are wrong."""
        if statement(raw_cell):
            return self.plan("")
        line = magic_line(raw_cell)
        if line is None:
            return replace(self.plan(""), asked=False) if self.always else None
        try:
            return self.plan(line)
        except UsageError:
            return None

    def plan(self, line: str) -> Plan:
        """Parse the options of a magic line.

        Raises
        ------
        UsageError
            As IPython's own magics.
        """
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise UsageError(f"{_MAGIC}: {error}") from None
        options = _PARSER.parse_args(words)
        if options.name and (not options.name.isidentifier() or keyword.iskeyword(options.name)):
            raise UsageError(f"{_MAGIC}: NAME must be a variable name, not {options.name!r}")
        tags = []
        for tag in options.tag:
            key, equals, value = tag.partition("=")
            if not key or not equals:
                raise UsageError(f"{_MAGIC}: --tag wants K=V, not {tag!r}")
            tags.append((key, value))
        return Plan(
            name=options.name,
            view=options.view or self.view,
            metric=options.metric or self.metric,
            capture=options.capture or self.capture,
            tags=tuple(tags),
            request_usage=self.request_usage or options.request_usage,
            budget=self._budget(options),
            cache=_cache(options),
            live=self.live and not options.no_live,
            quiet=self.quiet or options.quiet,
        )

    def _budget(self, options: Any) -> Terms | None:
        """Read what a cell may spend."""
        limits = {
            "tokens": self.budget if options.budget is None else options.budget,
            "cost": self.max_cost if options.max_cost is None else options.max_cost,
            "calls": options.max_calls,
            "seconds": options.max_seconds,
        }
        if all(limit is None for limit in limits.values()):
            if options.on_exceed or options.stop_streams:
                raise UsageError(f"{_MAGIC}: no limit is given: --budget, --max-cost, --max-calls or --max-seconds")
            return None
        try:
            return terms(limits, on_exceed=options.on_exceed or self.on_exceed, stop_streams=options.stop_streams)
        except ValueError as error:
            raise UsageError(f"{_MAGIC}: {error}") from None

    def take_out(self, lines: list[str]) -> list[str]:
        """Input transform: the magic line becomes a comment, so that IPython runs the cell itself.

        A wrong line stays, and IPython calls the magic below, which says what is wrong; the cell does not run.
        """
        cell = "".join(lines)
        if code := statement(cell):
            return [f"{code}\n"]
        line = magic_line(cell)
        if line is None:
            return lines
        try:
            self.plan(line)
        except UsageError:
            return lines
        first = next(index for index, text in enumerate(lines) if text.strip().startswith(_MAGIC))
        rest = lines[first + 1 :]
        below = "".join(rest).lstrip()
        if below.startswith("%%") or any(text.strip() for text in lines[:first]):
            # another cell magic, which must stand on the first line of what is left
            return [*lines[:first], *below.splitlines(keepends=True)]
        indent = lines[first][: len(lines[first]) - len(lines[first].lstrip())]
        return [*lines[:first], f"{indent}# {lines[first].strip()}\n", *rest]

    # IPython asks by the same transforms whether a cell that is being typed is complete; with the magic line taken out
    # it would take the first line for a whole cell.
    take_out.has_side_effects = True  # type: ignore[attr-defined]

    @line_cell_magic
    def tokprof(self, line: str, cell: str | None = None) -> Any:  # noqa: D102 (made below, from the parser)
        if cell is not None:
            return self._run_cell(line, cell)
        command = line.strip()
        if command in ("on", "off"):
            self.always = command == "on"
            print(f"tokprof: profiling {'every cell from the next one on' if self.always else 'is off'}")
            return None
        if command in ("--help", "-h"):
            print(TokProf.tokprof.__doc__)
            return None
        if command.startswith("-"):
            raise UsageError("%tokprof CODE takes no options: put %%tokprof on top of a cell, or see %config TokProf")
        if command:
            self._profile_expression(command)
            return None
        profile = last()
        print(f"tokprof: {'every cell is profiled' if self.always else 'cells with %%tokprof are profiled'}")
        if profile is None:
            print("no profile yet: put %%tokprof on top of a cell and run it")
        return profile

    def _run_cell(self, line: str, cell: str) -> None:
        """Reached for wrong options, and where somebody calls the magic by `run_cell_magic`."""
        self.plan(line)
        self.ip.run_cell(f"{_MAGIC} {line}\n{cell}")

    def _profile_expression(self, code: str) -> None:
        plan = self.plan("")
        recording = plan.recording(f"%tokprof {code}"[:80], "profile")
        profile = Profile(recording, plan.metric)
        if recording.guard is not None:
            recording.guard.profile = profile
        recording.open()
        try:
            self.ip.ex(code)
        finally:
            recording.close()
            remember(profile)
            if not plan.quiet:
                show_safely(profile, plan.view, plan.metric)


TokProf.tokprof.__doc__ = f"""Profile the tokens of a cell (``{_MAGIC}``) or of one statement (``%tokprof CODE``).

Under the cell you see which line, function and model spent the tokens, the money and the time.

{_PARSER.format_help()}
Also: ``%tokprof CODE`` profiles a statement, ``%tokprof on`` / ``off`` every cell from now on, ``%tokprof`` shows the
last profile. ``%config TokProf`` lists the settings and sets defaults, for instance
``%config TokProf.metric = "cost"``.
"""


def _cache(options: Any) -> CacheTerms | None:
    """Read how a cell takes answers from a cache."""
    path, ttl = options.cache_path, options.cache_ttl
    if not (options.cache or options.refresh or path is not None or ttl is not None):
        return None
    if ttl is not None and not ttl >= 0:
        raise UsageError(f"{_MAGIC}: --cache-ttl wants seconds, 0 or more, not {ttl}")
    terms = CacheTerms(path, ttl, refresh=options.refresh)
    try:
        terms.check()
    except (ValueError, OSError) as error:
        raise UsageError(f"{_MAGIC}: --cache-path: {error}") from None
    return terms


def magic_line(raw_cell: str) -> str | None:
    """Options of the ``%%tokprof`` line on top of a cell, alone or below other cell magics; None if there is none."""
    for line in raw_cell.splitlines():
        text = line.strip()
        if text == _MAGIC or text.startswith((_MAGIC + " ", _MAGIC + "\t")):
            return text[len(_MAGIC) :]
        if text and not text.startswith("%%"):
            return None
    return None


def statement(raw_cell: str) -> str | None:
    """Code of a cell that is one ``%tokprof CODE``; None for any other."""
    text = raw_cell.strip()
    if not text.startswith("%tokprof ") or "\n" in text:
        return None
    code = text.removeprefix("%tokprof ").strip()
    return None if code in ("on", "off") or code.startswith("-") else code


def _settings(shell: InteractiveShell) -> list[Any]:
    """What ``%config`` lists."""
    return shell.configurables


_loaded: dict[int, TokProf] = {}


def load_ipython_extension(shell: InteractiveShell) -> None:
    """``%load_ext tokprof``; a second one changes nothing."""
    if id(shell) in _loaded:
        return
    magics = TokProf(shell)  # puts itself into the shell's settings
    shell.register_magics(magics)
    shell.input_transformers_cleanup.insert(0, magics.take_out)
    magics.cells.register()
    _loaded[id(shell)] = magics


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """``%unload_ext tokprof``: nothing of tokprof is left in the shell or in the HTTP libraries."""
    magics = _loaded.pop(id(shell), None)
    if magics is None:
        return
    magics.cells.unregister()
    if magics.take_out in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.remove(magics.take_out)
    if magics in _settings(shell):
        _settings(shell).remove(magics)
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("tokprof", None)
    uninstall()
