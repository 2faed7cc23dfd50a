"""A request under budgets: reserved before it is sent, watched while it streams, settled when it has ended."""

from __future__ import annotations

import math
from dataclasses import replace

from tokprof.allowance import admission
from tokprof.allowance.admission import Ticket
from tokprof.allowance.guard import Ask, Guard
from tokprof.meter import drafts
from tokprof.meter.prices import price
from tokprof.meter.reserve import Need
from tokprof.meter.running import Running
from tokprof.recorder import Recording, warn_once
from tokprof.span import Exchange, Span

_BOOKS = "keep the books of a budget"
_PRICED = ("model", "request_model", "provider", "host", "operation", "service_tier")


class Guarded:
    """One request, and the budgets around it.

    Parameters
    ----------
    recording : Recording
        With guards.
    span : Span
    exchange : Exchange
    """

    __slots__ = (
        "_exchange",
        "_guards",
        "_input",
        "_last",
        "_need",
        "_paid",
        "_recording",
        "_running",
        "_span",
        "_ticket",
        "rows",
        "watches",
    )

    def __init__(self, recording: Recording, span: Span, exchange: Exchange):
        self._recording, self._span, self._exchange = recording, span, exchange
        self._guards: tuple[Guard, ...] = recording.guards
        self._need: Need | None = None
        self._ticket: Ticket | None = None
        self._input: list[int] = []
        self._running: Running | None = None
        self._last = 0
        self._paid = False
        self.rows: list[Span] = []
        """What the call has become."""
        self.watches = False
        """Whether pieces of the answer are to be shown to `feed`."""

    def admit(self, request: bytes | None = None) -> None:
        """Reserve what the request may spend.

        Parameters
        ----------
        request : bytes, optional
            Body as JSON, where the exchange has it in another form.

        Raises
        ------
        BudgetExceeded
            Where it does not fit.
        """
        asks = [Ask() for _ in self._guards]
        try:
            exchange = self._exchange if request is None else replace(self._exchange, request=request)
            need = self._need = Need(exchange)
            if not need.is_call:
                return
            asks = [self._ask(need, each) for each in self._guards]
        except Exception as error:
            warn_once(_BOOKS, error)
        self._ticket = ticket = admission.admit(self._recording, self._span, asks)
        if self._need is not None and self._need.whole and not self._need.own:
            ticket.counted = self._need.prompt
        ticket.choices = self._need.choices if self._need is not None else 1
        told = dict(zip(map(id, self._guards), asks, strict=True))
        for guard, _, held, _ in list(ticket.holds):
            if told[id(guard)].least is not None and guard.terms.assume_output is None:
                guard.guessed(told[id(guard)], held)
        self.watches = any(each.terms.stop_streams for each in self._guards)

    def _ask(self, need: Need, each: Guard) -> Ask:
        if not each.reserves:
            return Ask()
        tokens_in = self._prompt(need, each)
        tokens_out, least = 0, None
        if each.wants_output:
            seen = each.seen(need.model)[1] * need.choices
            tokens_out = seen if need.answer is None else need.answer
            if need.unlimited:
                tokens_out = max(seen, each.guess(need.model) * (1 if each.terms.assume_output else need.choices))
                least = seen if each.terms.assume_output is None else None
        cost = None
        if each.wants_cost and (cost := need.cost(tokens_in, tokens_out)) is None:
            each.unpriced(need.model)
        if need.embeds:
            return Ask(0, 0, tokens_in, cost)
        if least is None:
            return Ask(tokens_in, tokens_out, 0, cost)
        return Ask(tokens_in, tokens_out, 0, cost, (least, need.cost(tokens_in, least) if each.wants_cost else None))

    def _prompt(self, need: Need, each: Guard) -> int:
        if not each.wants_input:
            return 0
        counted = need.prompt
        if counted is None:
            return each.seen(need.model)[0]
        return counted if need.own else math.ceil(counted * each.ratio(need.model))

    def feed(self, data: bytes) -> None:
        """Look at a piece of the answer.

        Raises
        ------
        BudgetExceeded
            Where a budget that stops streams is passed.
        """
        try:
            need, ticket = self._need, self._ticket
            if need is None or ticket is None or (self._exchange.http_status or 0) >= 400:
                self.watches = False
                return
            if self._running is None:
                exchange = self._exchange
                self._running = Running(need.model, need.operation, exchange.content_type, exchange.content_encoding)
                self._input = [self._prompt(need, each) for each, _, _, _ in ticket.holds]
            running = self._running
            tokens = running.feed(data)
            if running.whole:
                self.watches = False
                return
            if tokens != self._last or ticket.timed:
                if admission.grow(ticket, self._so_far(need, ticket, tokens)):
                    tokens = running.exact()
                self._last = tokens
            else:
                return
        except Exception as error:
            self.watches = False
            warn_once(_BOOKS, error)
            return
        admission.grow(ticket, self._so_far(need, ticket, tokens), stop=True)

    def _so_far(self, need: Need, ticket: Ticket, tokens_out: int) -> list[Ask]:
        found = []
        for tokens_in, (each, _, _, _) in zip(self._input, ticket.holds, strict=True):
            cost = need.cost(tokens_in, tokens_out) if each.wants_cost else None
            found.append(Ask(0, 0, tokens_in, cost) if need.embeds else Ask(tokens_in, tokens_out, 0, cost))
        return found

    def pay(self) -> None:
        """Settle, once: what the rows of the call say takes the place of what was reserved."""
        if self._paid:
            return
        self._paid, self.watches = True, False
        rows, self.rows = self.rows, []
        ticket, self._ticket = self._ticket, None
        self._need = self._running = None  # they hold the prompt
        try:
            drafts.settle(rows)
        except Exception as error:
            warn_once(_BOOKS, error)
        finally:
            admission.settle(ticket, self._guards, rows)

    def give_up(self) -> None:
        """Settle nothing: nobody can tell what was spent, and what was reserved stays so."""
        self._paid, self.watches = True, False
        self._need = self._running = None


def names(span: Span) -> tuple[object, ...]:
    """What a price is looked up by."""
    return tuple(getattr(span, name) for name in _PRICED)


def for_books(span: Span, before: tuple[object, ...]) -> Span:
    """Give a row under its `names` of before, where a processor has changed them into some that have no price."""
    if names(span) == before or not math.isnan(price(span).parts[0]):
        return span
    return replace(span, **dict(zip(_PRICED, before, strict=True)))  # type: ignore[arg-type]
