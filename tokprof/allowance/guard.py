"""The books of budgets: what was spent, what calls in flight have reserved, and whether one more fits.

Sums are whole numbers, money in millionths of a millionth of a dollar, so that nothing is lost in adding and taking
away.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from tokprof import recorder
from tokprof.allowance.exceeded import BudgetEvent, BudgetExceeded, Mark, budget_of, figure, place
from tokprof.allowance.ledger import NOTHING, Entries, Sums, added, used, value
from tokprof.allowance.telling import tell
from tokprof.allowance.terms import LIMITS, Terms
from tokprof.allowance.till import Alert, Held
from tokprof.recorder import Recording
from tokprof.span import Span

_PICO = 10**12  # parts of a dollar
_LARGE = 50  # tokens of a prompt that tells how far an estimate is off
_OFF = 2.0  # times as much as estimated, at most: more than that is no tokenizer's doing


@dataclass(frozen=True, slots=True)
class Amounts:
    """Figures by the names of the limits; tokens are counts, cost USD. None where there is none."""

    tokens: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    cost: float | None = None
    calls: float | None = None
    seconds: float | None = None


class Ask(NamedTuple):
    """What a call may spend at most, as far as anybody can tell before it is sent.

    Attributes
    ----------
    input, output, embedding : int
    cost : float or None
        USD; None where no price is known.
    """

    input: int = 0
    output: int = 0
    embedding: int = 0
    cost: float | None = None

    def sums(self) -> Sums:
        """As what is reserved."""
        return self.input, self.output, self.embedding, math.ceil((self.cost or 0) * _PICO), 1, 0


class Account:
    """One allowance: that of a budget, or of an agent under one."""

    __slots__ = ("_began", "_elapsed", "_fired", "_guard", "_held", "_marks", "_over", "_sums", "name")

    def __init__(self, guard: Guard, name: str | None):
        self.name = name
        self._guard = guard
        self._sums = NOTHING
        self._held = NOTHING
        self._began = recorder.clock()
        self._elapsed = 0
        self._fired: set[tuple[str, float]] = set()
        self._over: set[str] = set()
        self._marks: dict[bool, Mark] = {}

    @property
    def spent(self) -> Amounts:
        """What has been spent."""
        with Held():
            return _amounts(self._sums, self.elapsed())

    @property
    def reserved(self) -> Amounts:
        """What is reserved."""
        with Held():
            return _amounts(self._held, None)

    @property
    def left(self) -> Amounts:
        """What a call may still ask for."""
        with Held():
            found = {what: max(0, limit - self._taken(what)) for what, limit in self._guard.limits}
        return Amounts(**{what: _plain(what, number) for what, number in found.items()})

    @property
    def exceeded(self) -> bool:
        """Whether a call was refused or stopped, or more than a limit has been spent."""
        with Held():
            return bool(self._over or self._marks)

    def elapsed(self) -> int:
        """Nanoseconds since the account began; they never go back, whatever the clock does."""
        if self._guard.ended is None:
            self._elapsed = max(self._elapsed, recorder.clock() - self._began)
        return self._elapsed

    def _taken(self, what: str) -> int:
        if what == "seconds":
            return self.elapsed()
        return value(self._sums, what) + value(self._held, what)

    def __repr__(self) -> str:
        return f"<Account {self.name}: {self.spent}>"


class Guard:
    """A budget at work, on one recording.

    Parameters
    ----------
    terms : Terms

    Attributes
    ----------
    limits : tuple of (str, int)
        In the units of the books.
    refuses, reserves : bool
        Whether a call can be refused, and whether the tokens and cost of one are estimated before it is sent.
    recording : Recording or None
    profile : Profile or None
        Of the recording, for who catches `BudgetExceeded`.
    """

    def __init__(self, terms: Terms):
        self.terms = terms
        self.limits = tuple((what, _units(what, limit)) for what, limit in terms.limits)
        self.refuses = terms.on_exceed == "raise"
        names = dict(terms.limits).keys()
        self.reserves = self.refuses and terms.enforce == "reserve" and bool(names - {"calls", "seconds"})
        self.wants_input = bool(names & {"tokens", "input_tokens", "cost"})
        self.wants_output = bool(names & {"tokens", "output_tokens", "cost"})
        self.wants_cost = "cost" in names
        self.timed = "seconds" in names and terms.stop_streams
        self.recording: Recording | None = None
        self.profile: Any = None
        self.ended: int | None = None
        self._accounts: dict[str | None, Account] = {}
        self._entries = Entries()
        self._largest: dict[str | None, tuple[int, int]] = {}
        self._ratio: dict[str | None, float] = {}
        self._unpriced = False

    # its life

    def begin(self, recording: Recording) -> None:
        """Guard a recording, which opens."""
        self.recording = recording
        outer = recording.outer
        while outer is not None:
            outer.inner.append(self)
            outer = outer.outer
        if self.terms.per is None:
            self._accounts[None] = Account(self, None)

    def end(self) -> None:
        """Stop the clock: the recording has ended. Calls that go on are settled as ever."""
        with Held() as held:
            for account in self._accounts.values():
                account.elapsed()
                held.alerts += self.look(account, None)
            self.ended = recorder.clock()

    # what was spent

    @property
    def accounts(self) -> Mapping[str | None, Account]:
        """Allowances by name; one by None, unless each agent has one."""
        with Held():
            return MappingProxyType(dict(self._accounts))

    @property
    def spent(self) -> Amounts:
        """What was spent, all accounts together."""
        with Held():
            return _amounts(self._all("_sums"), max((each.elapsed() for each in self._accounts.values()), default=0))

    @property
    def reserved(self) -> Amounts:
        """What is reserved, all accounts together."""
        with Held():
            return _amounts(self._all("_held"), None)

    @property
    def left(self) -> Amounts:
        """What is left to who has least."""
        all_left = [account.left for account in self.accounts.values()]
        found = {}
        for what, limit in self.terms.limits:
            found[what] = min((left for each in all_left if (left := getattr(each, what)) is not None), default=limit)
        return Amounts(**found)

    @property
    def exceeded(self) -> bool:
        """Whether a call was refused or stopped, or more than a limit has been spent."""
        return any(account.exceeded for account in self.accounts.values())

    @property
    def bars(self) -> list[tuple[str, float, float, str]]:
        """What is limited, how much of it was spent (with an account each, by whoever spent most), and the limit."""
        all_spent = [account.spent for account in self.accounts.values()] or [Amounts(0, 0, 0, 0, 0, 0)]
        most_of = {what: max(getattr(each, what) or 0 for each in all_spent) for what, _ in self.terms.limits}
        return [(what, most_of[what], limit, self.terms.name or "") for what, limit in self.terms.limits]

    def _all(self, name: str) -> Sums:
        total = NOTHING
        for account in self._accounts.values():
            total = added(total, getattr(account, name))
        return total

    # what is known of models

    def seen(self, model: str | None) -> tuple[int, int] | None:
        """Largest prompt and largest answer of a model so far, in tokens."""
        return self._largest.get(model)

    def ratio(self, model: str | None) -> float:
        """How many tokens there were, of a model whose tokenizer is not at hand, for one that was estimated."""
        return self._ratio.get(model, 1.0)

    def learn(self, counted: int | None, row: Span) -> None:
        """Take note of the size of a call, and of how its prompt was counted before it was sent."""
        usage, model = row.usage, row.request_model
        if usage is None:
            return
        told = usage.input_tokens or 0
        before = self._largest.get(model, (0, 0))
        self._largest[model] = max(before[0], told), max(before[1], usage.output_tokens or 0)
        if row.source == "reported" and counted is not None and counted >= _LARGE:
            self._ratio[model] = min(_OFF, max(self.ratio(model), told / counted))

    def unpriced(self, model: str | None) -> None:
        """Say once that the cost of a model cannot be limited."""
        if not self._unpriced:
            self._unpriced = True
            whole = budget_of("cost", dict(self.terms.limits)["cost"], self.terms.name, None)
            tell(f"{whole}: no price is known of {model or 'a model'}, so none is reserved; see tokprof.prices.add")

    # its books; all of these under the lock

    def account(self, span: Span) -> Account | None:
        """Account that a call or step belongs to; None where it does not count."""
        within, per = self.terms.within, self.terms.per
        if within is None and per is None:
            return self._accounts[None]
        named, inside = None, within is None
        up = span.parent
        while up is not None and (named is None or not inside):
            inside = inside or up.name == within
            if named is None and up.kind == per:
                named = up.name
            up = up.parent
        if not inside:
            return None
        found = self._accounts.get(named)
        if found is None:
            found = self._accounts[named] = Account(self, named)
        return found

    def fits(self, account: Account, ask: Ask, running: bool = False) -> tuple[str, int, int | None] | None:
        """Limit that a call does not fit into, with what is taken of it and asked for; None if it fits."""
        asked = ask.sums()
        for what, limit in self.limits:
            if what == "seconds":
                if (elapsed := account.elapsed()) >= limit:
                    return what, elapsed, None
                continue
            taken = account._taken(what) if self.reserves or running else value(account._sums, what)
            if what == "calls":
                if not running and account._taken(what) + 1 > limit:
                    return what, limit, 1
            elif running:
                if taken > limit:
                    return what, taken, value(asked, what)
            elif not self.reserves:
                if taken >= limit:
                    return what, taken, None
            else:
                wanted = value(asked, what)
                spends = ask.cost is None if what == "cost" else what == "tokens" or not ask.embedding
                if taken + wanted > limit or (taken >= limit and spends):
                    return what, taken, None if what == "cost" and ask.cost is None else wanted
        return None

    def refusal(
        self, account: Account, span: Span, found: tuple[str, int, int | None], mine: int = 0, sent: bool = False
    ) -> BudgetExceeded:
        """Make the exception, and mark the place."""
        what, _, asked = found
        limit = dict(self.terms.limits)[what]
        spent = account.elapsed() if what == "seconds" else value(account._sums, what)
        reserved = 0 if what == "seconds" else value(account._held, what) - mine
        error = BudgetExceeded(
            what,
            limit,
            _plain(what, spent),
            _plain(what, max(0, reserved)),
            None if asked is None else _plain(what, asked),
            place(span),
            sent,
            self.terms.name,
            account.name or self.terms.within,
        )
        error.profile = self.profile
        mark = account._marks.get(sent)
        if mark is not None:
            mark.calls += 1
        else:
            at = f" at {error.where}" if error.where else ""
            account._marks[sent] = mark = Mark(f"{'stream ' if sent else ''}stopped{at}: {error.told}")
            self._show(mark)
        return error

    def _show(self, mark: Mark) -> None:
        recording = self.recording
        while recording is not None:
            recording.marks.append(mark)
            recording.version += 1
            recording = recording.outer

    def post(self, row: Span, leaf: bool) -> Account | None:
        """Charge what a call or step used, less what the calls below it did."""
        account = self.account(row)
        if account is None or self.recording is None:
            return None
        for span, change in self._entries.post(row, used(row), leaf, self.recording.root):
            whose = account if span is row else self.account(span)
            if whose is not None:
                whose._sums = added(whose._sums, change)
        return account

    def look(self, account: Account, span: Span | None) -> list[Alert]:
        """What has been reached since the last look."""
        alerts: list[Alert] = []
        terms = self.terms
        for (what, limit), (_, whole) in zip(self.limits, terms.limits, strict=True):
            spent = account.elapsed() if what == "seconds" else value(account._sums, what)
            plain = _plain(what, spent)
            for share in terms.at:
                if spent >= share * limit and (what, share) not in account._fired:
                    account._fired.add((what, share))
                    event = BudgetEvent(share, what, plain, whole, False, span, terms.name, account.name)
                    alerts.append((event, terms.do))
            if spent > limit and what not in account._over:
                alone = not account._over
                account._over.add(what)
                event = BudgetEvent(1.0, what, plain, whole, True, span, terms.name, account.name)
                if not account._marks and not (what == "seconds" and self.refuses):
                    where = f" at {place(span)}" if span is not None and place(span) else ""
                    whose = budget_of(what, whole, terms.name, account.name or terms.within)
                    self._show(Mark(f"over the {whose}{where}: {figure(what, plain)} spent"))
                if not self.refuses and alone:
                    alerts.append((event, terms.do))
        return alerts


def _units(what: str, number: float) -> int:
    if what == "cost":
        return round(number * _PICO)
    return round(number * 1e9) if what == "seconds" else int(number)


def _plain(what: str, number: float) -> float:
    if what == "cost":
        return number / _PICO
    return number / 1e9 if what == "seconds" else number


def _amounts(sums: Sums, elapsed: int | None) -> Amounts:
    found = {what: _plain(what, value(sums, what)) for what in LIMITS if what != "seconds"}
    return Amounts(**found, seconds=None if elapsed is None else elapsed / 1e9)
