"""``tokprof.budget``: what a block, a function or an agent may spend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, TypeVar

from tokprof.allowance.exceeded import BudgetEvent, BudgetExceeded
from tokprof.allowance.guard import Account, Amounts, Guard
from tokprof.allowance.terms import Terms, terms
from tokprof.profile import Profile, in_kernel
from tokprof.recorder import Recording, own
from tokprof.span import Span
from tokprof.steps import inside

F = TypeVar("F", bound=Callable[..., Any])


def budget(
    tokens: int | None = None,
    *,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    cost: float | None = None,
    calls: int | None = None,
    seconds: float | None = None,
    on_exceed: str = "raise",
    enforce: str = "reserve",
    at: float | Iterable[float] = (),
    do: Callable[[BudgetEvent], object] | None = None,
    within: str | None = None,
    per: str | None = None,
    stop_streams: bool = False,
    assume_output: int | None = None,
    name: str | None = None,
) -> Budget:
    """Limit what the model calls of a block or function may spend, those of its tasks and threads included.

    Before a call is sent, what it may spend at most is reserved: the tokens of its prompt, counted, and the largest
    answer that it allows (``max_tokens`` and the like). A call that does not fit raises `BudgetExceeded` where your
    code made it, and is not sent. When the answer has come, what it spent takes the place of what was reserved.

    Parameters
    ----------
    tokens : int, optional
        Input, output and embeddings together.
    input_tokens, output_tokens : int, optional
        Of language models.
    cost : float, optional
        USD.
    calls : int, optional
        Requests that are sent, retries included.
    seconds : float, optional
        Since the block began: later calls are refused. A call under way is not interrupted, unless it is a stream and
        `stop_streams` is set.
    on_exceed : {"raise", "warn"}
        ``warn`` lets every call go on and shows one alert, when more than the limit has been spent.
    enforce : {"reserve", "settle"}
        ``settle`` reserves nothing and refuses calls from the moment when the limit is reached: what is in flight then
        goes on, and may overshoot. `calls` and `seconds` are exact in both.
    at : float or sequence of float
        Shares of each limit, for instance ``(0.5, 0.8)``, at which `do` is called, once each.
    do : callable, optional
        Is given a `BudgetEvent`; without it a warning is shown. With ``on_exceed="warn"`` it is given the alert too. It
        runs where the call ended; what it raises is shown as a warning.
    within : str, optional
        Count only calls below a step or agent of this name.
    per : str, optional
        A kind of step, for instance ``"agent"``: each one of a name has an allowance of its own, the calls outside of
        any share one.
    stop_streams : bool
        Whether a stream is stopped, and its connection closed, when what has come of it passes the limit. Over httpx,
        requests, aiohttp and lm15; not over gRPC.
    assume_output : int, optional
        Tokens to reserve for the answer of a request that does not limit it, unless a larger one was seen of the model
        in this budget. Without it see the notes.
    name : str, optional
        Of the budget, shown in messages and as the name of its profile.

    Returns
    -------
    Budget
        For ``with`` and ``async with``, once, and for ``@`` on functions, coroutine functions, generators and
        async generators: there each call has the whole allowance for itself.

    Raises
    ------
    ValueError
        Without a limit, for one that is not above 0, and for an unknown option.
    TypeError
        For a limit that is no number.

    Notes
    -----
    Budgets nest: a call must fit into each one around it. Reservations are made in all of them at once, so that calls
    side by side cannot overshoot together. The guarantee is as good as the estimate: it holds where a request limits
    its answer and its prompt is text for a tokenizer that is known (OpenAI's). For a request that does not limit its
    answer, the largest answer of the model that a budget of this process has seen is reserved, 1,024 tokens where none
    was, for each choice; where no other call is in flight, no more than is left, so that it may go, alone: such a
    call may overshoot, and a warning tells of the first. Prompts with pictures, sound or files cost
    more than is reserved; a model without a known price reserves no `cost`, and its cost counts when it is known.
    What a call that failed on the way may have spent stays reserved. An answer from a cache spends nothing. Processes
    that the block starts are not part of it. Threads that were there before belong to it while the main thread is in
    the block; tasks that were there before do not. A ``multiprocessing.pool.ThreadPool`` waits for ever for a function
    that ends by `BudgetExceeded`: catch it there, or use ``concurrent.futures``.

    Examples
    --------
    >>> with tokprof.budget(tokens=20_000, cost=0.50, at=0.8) as b:
    ...     agent.run("...")
    >>> b.spent.tokens, b.left.cost, b.profile
    >>> @tokprof.budget(calls=10)
    ... async def answer(question): ...
    """
    limits = {
        "tokens": tokens,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "cost": cost,
        "calls": calls,
        "seconds": seconds,
    }
    return Budget(
        terms(
            limits,
            on_exceed=on_exceed,
            enforce=enforce,
            at=at,
            do=do,
            within=within,
            per=per,
            stop_streams=stop_streams,
            assume_output=assume_output,
            name=name,
        )
    )


class Budget:
    """An allowance, and what was spent of it: a recording of its own, inside the one around it. See `tokprof.budget`.

    Attributes
    ----------
    limits : dict of str to float
    """

    def __init__(self, agreed: Terms):
        self._terms = agreed
        self._guard = Guard(agreed)
        self._profile: Profile | None = None

    @property
    def limits(self) -> dict[str, float]:
        """The limits by their names."""
        return dict(self._terms.limits)

    @property
    def profile(self) -> Profile:
        """What was spent, call by call; live while the block runs.

        Raises
        ------
        RuntimeError
            Before the block has begun.
        """
        if self._profile is None:
            raise RuntimeError("this budget has not begun: its profile begins with the `with` block")
        return self._profile

    @property
    def spent(self) -> Amounts:
        """What has been spent so far, of all that is counted: tokens, USD, calls and seconds."""
        return self._guard.spent

    @property
    def reserved(self) -> Amounts:
        """What calls in flight have reserved, and those whose answer never came."""
        return self._guard.reserved

    @property
    def left(self) -> Amounts:
        """What a call may still ask for; None where there is no limit. With `per`, of whoever has least."""
        return self._guard.left

    @property
    def exceeded(self) -> bool:
        """Whether a call was refused or stopped, or more than a limit has been spent."""
        return self._guard.exceeded

    @property
    def accounts(self) -> Mapping[str | None, Account]:
        """The allowances by the name of the step or agent, with `per`; else one, by None."""
        return self._guard.accounts

    def __enter__(self) -> Budget:
        if self._profile is not None:
            raise RuntimeError("this budget has been used already; make a new one with tokprof.budget()")
        around = own()
        recording = Recording(self._terms.name or "budget", "profile", around[0].capture if around else "none")
        recording.guard = self._guard
        self._profile = self._guard.profile = Profile(recording, live=True)
        self._profile.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.profile.__exit__(kind, error, traceback)
        if isinstance(error, BudgetExceeded) and error.profile is self._profile:
            self._show()

    async def __aenter__(self) -> Budget:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def _show(self) -> None:
        """Show the profile where a notebook's cell ends here, so that it is seen where the budget went."""
        if self.profile._recording.outer is None and in_kernel():
            from tokprof.cells import show_safely

            show_safely(self.profile, "auto", "tokens")

    def step_aside(self) -> tuple[Recording, Span]:
        """Leave the block without ending it, as a generator does between its items; give its scope."""
        return self.profile._recording.step_aside()

    def __call__(self, function: F) -> F:
        """Decorate a function, coroutine function, generator or async generator."""
        if isinstance(function, classmethod | staticmethod):
            return type(function)(self(function.__func__))
        if isinstance(function, type):
            raise TypeError(f"tokprof.budget decorates functions; {function.__name__} is a class: decorate its methods")
        named = self._terms.name or getattr(function, "__qualname__", type(function).__name__)
        agreed = replace(self._terms, name=named)

        def fresh(*_args: Any, **_kwargs: Any) -> Any:
            return Budget(agreed)

        return inside(function, fresh)

    def __repr__(self) -> str:
        from tokprof.allowance.exceeded import amount, figure

        spent = self.spent
        parts = [
            f"{figure(what, getattr(spent, what) or 0)} of {amount(what, limit)}" for what, limit in self._terms.limits
        ]
        whose = f" within {self._terms.within!r}" if self._terms.within else ""
        whose += f" per {self._terms.per}" if self._terms.per else ""
        return f"<Budget {self._terms.name + ': ' if self._terms.name else ''}{', '.join(parts)} spent{whose}>"
