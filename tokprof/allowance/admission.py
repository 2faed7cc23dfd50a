"""Calls and the budgets around them: admitted by all of them or by none, and settled once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from tokprof.allowance.guard import Account, Ask, Guard
from tokprof.allowance.ledger import CALL, NOTHING, Sums, added, least, less, most, value
from tokprof.allowance.till import Alert, Held, later
from tokprof.recorder import Recording
from tokprof.span import Span

_MUCH = 10**30


class Ticket:
    """What one call has reserved in the budgets around it.

    Attributes
    ----------
    holds : list of (Guard, Account, tuple, tuple)
        With what was reserved at first, and now.
    counted : int or None
        Tokens of the prompt by the tokenizer of another model, where all of it was counted.
    choices : int
        How many answers were asked for.
    """

    __slots__ = ("choices", "counted", "holds", "span")

    def __init__(self, span: Span):
        self.span = span
        self.counted: int | None = None
        self.choices = 1
        self.holds: list[tuple[Guard, Account, Sums, Sums]] = []

    @property
    def timed(self) -> bool:
        """Whether time alone may stop a stream."""
        return any(guard.timed for guard, *_ in self.holds)


_standing: dict[int, Ticket] = {}  # calls of wrapped objects, by their spans: those below take their place


def admit(recording: Recording, span: Span, asks: Sequence[Ask], standing: bool = False) -> Ticket:
    """Reserve what a call may spend, in all the budgets around it.

    Parameters
    ----------
    recording : Recording
    span : Span
        Of the call.
    asks : sequence of Ask
        One for each of ``recording.guards``.
    standing : bool
        Whether calls below take the place of this one, as requests that a wrapped client sends do.

    Returns
    -------
    Ticket
        For `settle`.

    Raises
    ------
    BudgetExceeded
        Where it does not fit into one of them; nothing is reserved then.
    """
    ticket = Ticket(span)
    with Held() as held:
        _step_back(span)
        for guard, ask in zip(recording.guards, asks, strict=True):
            account = guard.account(span)
            if account is None:
                continue
            if guard.refuses:
                held.alerts += guard.look(account, span)
                ask = guard.cut(account, ask)
                if (found := guard.fits(account, ask)) is not None:
                    raise guard.refusal(account, span, found)
            hold = ask.sums() if guard.reserves else CALL
            ticket.holds.append((guard, account, hold, hold))
        for _, account, _, hold in ticket.holds:
            account._held = added(account._held, hold)
        if standing:
            _standing[span.id] = ticket
    return ticket


def _step_back(span: Span) -> None:
    """Give back what stands for a call of which another one is seen below."""
    up = span.parent
    while _standing and up is not None:
        if (ticket := _standing.pop(up.id, None)) is not None:
            _give_back(ticket)
        up = up.parent


def _give_back(ticket: Ticket) -> None:
    for _, account, _, hold in ticket.holds:
        account._held = less(account._held, hold)
    ticket.holds = []


def grow(ticket: Ticket, asks: Sequence[Ask], stop: bool = False) -> bool:
    """Raise what a stream has reserved to what has come of it, where that is more.

    Parameters
    ----------
    ticket : Ticket
    asks : sequence of Ask
        One for each of the ticket's holds.
    stop : bool
        Whether a stream that passes a limit is stopped.

    Returns
    -------
    bool
        Whether a budget that stops streams is passed.

    Raises
    ------
    BudgetExceeded
        Where it is to be stopped.
    """
    with Held():
        for i, ((guard, account, first, hold), ask) in enumerate(zip(ticket.holds, asks, strict=True)):
            reached = most(first, ask.sums())
            if reached != hold:
                account._held = added(account._held, less(reached, hold))
                ticket.holds[i] = guard, account, first, reached
        for (guard, account, _, hold), ask in zip(ticket.holds, asks, strict=True):
            if guard.terms.stop_streams and (found := guard.fits(account, ask, True)) is not None:
                if stop:
                    mine = 0 if found[0] == "seconds" else value(hold, found[0])
                    raise guard.refusal(account, ticket.span, found, mine, sent=True)
                return True
    return False


def settle(ticket: Ticket | None, guards: Sequence[Guard], rows: Sequence[Span], leaf: bool = True) -> None:
    """Put what calls spent in the place of what was reserved for them.

    Parameters
    ----------
    ticket : Ticket or None
    guards : sequence of Guard
    rows : sequence of Span
        What the call became; none, where it was no call of a model after all.
    leaf : bool
        Whether nothing can be below them.
    """
    later(partial(_apply, ticket, guards, rows, leaf))


def _apply(ticket: Ticket | None, guards: Sequence[Guard], rows: Sequence[Span], leaf: bool) -> list[Alert]:
    if ticket is not None:
        _standing.pop(ticket.span.id, None)
        kept = _kept(rows)
        for _, account, _, hold in ticket.holds:
            account._held = less(account._held, less(hold, least(hold, kept)))
        ticket.holds = []
    alerts: list[Alert] = []
    for guard in guards:
        for row in rows:
            whose = guard.post(row, leaf)
            if whose is not None:
                if ticket is not None and row.id == ticket.span.id:
                    guard.learn(ticket.counted, row, ticket.choices)
                else:
                    guard.learn(None, row)
                alerts += guard.look(whose, row)
    return alerts


def _kept(rows: Sequence[Span]) -> Sums:
    """Without end for what a call may have spent and nobody tells: that stays reserved."""
    if not rows:
        return NOTHING
    row = rows[0]
    usage = row.usage
    if row.source is None or row.cost_source == "cached" or not row.sent:
        return NOTHING
    if row.status == "error" and (row.http_status or 0) >= 400:
        return NOTHING
    no_input = usage is None or usage.input_tokens is None
    no_output = usage is None or usage.output_tokens is None
    return no_input * _MUCH, no_output * _MUCH, no_input * _MUCH, (no_input or no_output) * _MUCH, 0, 0
