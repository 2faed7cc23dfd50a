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
from tokprof.allowance.exceeded import BudgetEvent, BudgetExceeded, Mark, amount, budget_of, figure, place
from tokprof.allowance.ledger import NOTHING, Entries, Sums, added, used, value
from tokprof.allowance.telling import tell
from tokprof.allowance.terms import LIMITS, Terms
from tokprof.allowance.till import Alert, Held
from tokprof.recorder import Recording
from tokprof.span import Span

_PICO = 10**12  # parts of a dollar
_LARGE = 50  # tokens of a prompt that tells how far an estimate is off
UNSEEN = 1_024
"""Tokens that are reserved for an answer that nothing limits, of a model of which none was seen."""
_CALLS = ("llm", "embedding", "reranker")
_NAMES = 5  # of steps that are told
_OFF = 2.0  # times as much as estimated, at most: more than that is no tokenizer's doing

_largest_answer: dict[str | None, int] = {}  # by model, of all budgets of this process; written under the lock


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
    least : tuple of (int, float or None), optional
        Output and cost that are asked for in any case, where the answer is a guess: nothing limits it.
    """

    input: int = 0
    output: int = 0
    embedding: int = 0
    cost: float | None = None
    least: tuple[int, float | None] | None = None

    def sums(self) -> Sums:
        """As what is reserved."""
        return self.input, self.output, self.embedding, math.ceil((self.cost or 0) * _PICO), 1, 0


class Account:
    """One allowance: that of a budget, or of an agent under one."""

    __slots__ = ("_began", "_elapsed", "_fired", "_guard", "_held", "_marks", "_over", "_passed", "_sums", "name")

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
        self._passed: dict[str, tuple[Mark, str, str]] = {}

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
        self._guessed = False
        self._inside: bool | None = None  # whether a call below a step of the right name was seen; None: no call

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
        if self._inside is False:
            self._tell_nothing_was_inside()

    def _tell_nothing_was_inside(self) -> None:
        """Say that no step had the name that calls must be below to count: it may be misspelt."""
        steps = [] if self.recording is None else [each for each in self.recording.spans if each.kind not in _CALLS]
        names = dict.fromkeys(step.name for step in steps if step.name and step.parent is not None)
        if self.recording is not None:
            names.pop(self.recording.root.name, None)
        if self.terms.within in names:
            return
        seen = ", ".join(map(repr, list(names)[:_NAMES])) or "none"
        more = ", …" if len(names) > _NAMES else ""
        tell(f"no step named {self.terms.within!r} was seen, so this budget counted no call; steps seen: {seen}{more}")

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

    def seen(self, model: str | None) -> tuple[int, int]:
        """Largest prompt and largest answer of a model under this budget so far, in tokens; 0 where there was none."""
        return self._largest.get(model, (0, 0))

    def guess(self, model: str | None) -> int:
        """Tokens to reserve for an answer of a model that nothing limits."""
        if self.terms.assume_output is not None:
            return max(self.terms.assume_output, self.seen(model)[1])
        return _largest_answer.get(model) or UNSEEN

    def ratio(self, model: str | None) -> float:
        """How many tokens there were, of a model whose tokenizer is not at hand, for one that was estimated."""
        return self._ratio.get(model, 1.0)

    def learn(self, counted: int | None, row: Span, choices: int = 1) -> None:
        """Take note of the size of a call and of each answer, and of how its prompt was counted before it was sent."""
        usage, model = row.usage, row.request_model
        if usage is None:
            return
        told = usage.input_tokens or 0
        before = self._largest.get(model, (0, 0))
        answer = math.ceil((usage.output_tokens or 0) / choices)
        self._largest[model] = max(before[0], told), max(before[1], answer)
        _largest_answer[model] = max(_largest_answer.get(model, 0), answer)
        if row.source == "reported" and counted is not None and counted >= _LARGE:
            self._ratio[model] = min(_OFF, max(self.ratio(model), told / counted))

    def unpriced(self, model: str | None) -> None:
        """Say once that the cost of a model cannot be limited."""
        if not self._unpriced:
            self._unpriced = True
            whole = budget_of("cost", dict(self.terms.limits)["cost"], self.terms.name, None)
            tell(f"{whole}: no price is known of {model or 'a model'}, so none is reserved; see tokprof.prices.add")

    def guessed(self, ask: Ask, held: Sums) -> None:
        """Say once that a request does not limit its answer, and what was reserved for it."""
        with Held():
            first, self._guessed = not self._guessed, True
        if first:
            cut = held != ask.sums()
            reserved = "all that is left of the budget is" if cut else f"{amount('tokens', ask.output)} are"
            advice = "set max_tokens in the request, or assume_output="
            tell(f"this request does not limit its answer: {reserved} reserved for it; {advice}")

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
        self._inside = inside or bool(self._inside)
        if not inside:
            return None
        found = self._accounts.get(named)
        if found is None:
            found = self._accounts[named] = Account(self, named)
        return found

    def cut(self, account: Account, ask: Ask) -> Ask:
        """Ask for no more than is left where the answer is a guess, and nothing else is in flight: it may go, alone."""
        if ask.least is None or any(account._held[:4]):
            return ask
        output, cost = ask.output, ask.cost
        for what, limit in self.limits:
            left = limit - account._taken(what)
            if what == "cost" and cost is not None:
                cost = min(cost, (left - 1) / _PICO)
            elif what in ("tokens", "output_tokens"):
                output = min(output, left - ask.input if what == "tokens" else left)
        return ask._replace(
            output=max(ask.least[0], output), cost=None if cost is None else max(ask.least[1] or 0, cost)
        )

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
                    mark = Mark("")
                    account._passed[what] = mark, f"over the {whose}: ", where and f"; first passed{where}"
                    self._show(mark)
                if not self.refuses and alone:
                    alerts.append((event, terms.do))
            if (passed := account._passed.get(what)) is not None:
                mark, lead, first = passed
                mark.text = f"{lead}{figure(what, plain)} spent{first}"
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
