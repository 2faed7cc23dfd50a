"""What a budget tells: the exception that ends a program, the warning, the event of a callback, and where it was."""

from __future__ import annotations

import linecache
import math
from dataclasses import dataclass
from typing import Any

from tokprof.money import usd
from tokprof.span import Span
from tokprof.stack import is_user_file

_UNITS = {
    "tokens": "tokens",
    "input_tokens": "input tokens",
    "output_tokens": "output tokens",
    "cost": "",
    "calls": "calls",
    "seconds": "s",
}
_LINES = 20  # frames of the user's in a traceback, at most


def figure(what: str, number: float) -> str:
    """``19,120``, ``$0.48`` or ``8.2``, as what a limit counts is written."""
    if what == "cost":
        return usd(number)
    if what == "seconds":
        return f"{number:,.1f}".removesuffix(".0")
    return f"{math.ceil(number):,}"


def amount(what: str, number: float) -> str:
    """``20,000 tokens``, ``$0.50``, ``1 call``, ``60 s``."""
    unit = _UNITS[what][:-1] if what != "seconds" and number == 1 else _UNITS[what]
    return f"{figure(what, number)} {unit}".rstrip()


def place(span: Span) -> str:
    """Say where a call was made: ``In[3]:4 in plan()``; empty where no code of the user's is known."""
    if not span.stack:
        return ""
    frame = span.stack[-1]
    name = frame.function.rpartition(".")[2]
    return frame.where if name.startswith("<") else f"{frame.where} in {name}()"


class BudgetWarning(UserWarning):
    """A budget has passed a threshold, or cannot do what it was asked to."""


class BudgetExceeded(BaseException):
    """A call did not fit into a budget.

    It is no ``Exception``, as `KeyboardInterrupt` and `asyncio.CancelledError` are none: SDKs, retries and frameworks
    catch those, try again, and raise something else. Catch it by its name, ``except tokprof.BudgetExceeded``.

    Attributes
    ----------
    kind : str
        Which limit: ``tokens``, ``input_tokens``, ``output_tokens``, ``cost`` (USD), ``calls`` or ``seconds``.
    limit, spent, reserved : float
        The limit, what had been spent, and what calls in flight had reserved.
    asked : float or None
        What the call would have reserved; None where nobody can tell.
    where : str
        ``In[3]:4 in plan()``: the line that made the call; empty where no code of yours did.
    sent : bool
        False for a call that was refused, and was never sent; True for a stream that was stopped.
    budget, account : str or None
        Name of the budget, and the agent or step whose allowance it was.
    profile : Profile or None
        Of what the budget saw.
    """

    def __init__(
        self,
        kind: str,
        limit: float,
        spent: float,
        reserved: float = 0,
        asked: float | None = None,
        where: str = "",
        sent: bool = False,
        budget: str | None = None,
        account: str | None = None,
    ):
        super().__init__(kind, limit, spent, reserved, asked, where, sent, budget, account)
        self.kind = kind
        self.limit = limit
        self.spent = spent
        self.reserved = reserved
        self.asked = asked
        self.where = where
        self.sent = sent
        self.budget = budget
        self.account = account
        self.profile: Any = None

    @property
    def told(self) -> str:
        """The figures in words, without the place."""
        said = [budget_of(self.kind, self.limit, self.budget, self.account), f"{figure(self.kind, self.spent)} spent"]
        if self.reserved:
            said.append(f"{figure(self.kind, self.reserved)} reserved by other calls")
        if self.asked is not None and self.kind != "seconds":
            said.append(f"{figure(self.kind, self.asked)} {'by this stream' if self.sent else 'asked for'}")
        return ", ".join(said)

    def __str__(self) -> str:
        what = "the stream was stopped" if self.sent else "the call was not sent"
        return f"{self.told}: {what}{f' ({self.where})' if self.where else ''}"

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the user's own lines and one sentence, without the frames of SDKs."""
        lines = ["Traceback (your lines, most recent call last):"]
        frames = []
        step = self.__traceback__
        while step is not None:
            code = step.tb_frame.f_code
            if is_user_file(code.co_filename) and not code.co_filename.startswith("<frozen"):
                frames.append((code.co_filename, step.tb_lineno, code.co_qualname))
            step = step.tb_next
        for file, line, name in frames[-_LINES:]:
            lines.append(f"  {_named(file)}:{line} in {name}")
            if text := linecache.getline(file, line).strip():
                lines.append(f"    {text}")
        return [*lines, f"\x1b[31m{type(self).__name__}\x1b[0m: {self}"]


def _named(file: str) -> str:
    from tokprof import stack

    cell = stack.cell_of(file)
    return file if cell is None else f"In[{cell}]"


def budget_of(kind: str, limit: float, name: str | None, account: str | None) -> str:
    """``budget of 20,000 tokens``, with its name and whose allowance it is."""
    named = f" {name!r}" if name else ""
    whose = f" for {account!r}" if account else ""
    return f"budget{named} of {amount(kind, limit)}{whose}"


@dataclass(frozen=True, slots=True)
class BudgetEvent:
    """What a callback of a budget is told.

    Attributes
    ----------
    share : float
        The threshold that was reached, as given in ``at``; 1 where the limit was passed.
    what : str
        Which limit: ``tokens``, ``input_tokens``, ``output_tokens``, ``cost`` (USD), ``calls`` or ``seconds``.
    spent, limit : float
    over : bool
        Whether this is the alert of ``on_exceed="warn"``: more than the limit has been spent.
    span : Span or None
        The call that did it.
    budget, account : str or None
        Name of the budget, and the agent or step whose allowance it is.
    """

    share: float
    what: str
    spent: float
    limit: float
    over: bool
    span: Span | None = None
    budget: str | None = None
    account: str | None = None

    @property
    def where(self) -> str:
        """``In[3]:4 in plan()``: the line that made the call; empty where no code of yours did."""
        return "" if self.span is None else place(self.span)

    def __str__(self) -> str:
        whole = budget_of(self.what, self.limit, self.budget, self.account)
        done = f"{figure(self.what, self.spent)} spent"
        lead = f"over the {whole}" if self.over else f"{self.share:.0%} of the {whole} reached"
        return f"{lead}: {done}{f' at {self.where}' if self.where else ''}"


@dataclass(slots=True)
class Mark:
    """Where a budget was reached, for those who look at a profile.

    Attributes
    ----------
    text : str
    calls : int
        Calls that were refused there and later.
    """

    text: str
    calls: int = 1

    def __str__(self) -> str:
        return self.text if self.calls < 2 else f"{self.text} ({self.calls:,} calls refused)"
